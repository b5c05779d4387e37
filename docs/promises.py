"""What we promise about failures, and the tests that keep it: the page docs/reliability.md."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

PROMISES = {
    1: "Busy and broken servers (408, 409, 429, 5xx) are asked again by one loop, with jitter, a cap and a count.",
    2: "Whatever a server writes into `Retry-After`, no request outlasts its `--deadline`, and the run goes on.",
    3: "A wrong key, an empty account or an unknown model ends the run after at most three such answers, resumable.",
    4: "Silence, resets and cut bodies are tried again, and nothing waits longer than `--timeout` and `--deadline`.",
    5: "A reply that is no answer (HTML, null, wrong types, broken JSON or UTF-8) is never taken for one, nor kept.",
    6: "An empty answer counts as wrong, under a status of its own, and is not kept.",
    7: "Refused and filtered answers are told apart from wrong ones, not asked again, and not kept.",
    8: "Prompts that are too long lose demonstrations by a stated rule before they are sent; a cut answer is none.",
    9: "An answer without its end is a failure, not a short answer.",
    10: "A parameter that a model refuses is dropped once, remembered, and named in the record.",
    11: "One strict parser: an answer is exactly one label, or it is none. Nothing is guessed, no first match wins.",
    12: "Labels that share a beginning are told apart by all of their tokens, or refused where only the first is seen.",
    13: "Batch results are matched by their id alone, in any order; what is missing or expired is asked again.",
    14: "A process killed at any moment loses nothing that it had been told, and repeats at most what was on its way.",
    15: "Ctrl-C lets what is on its way finish, closes the files and says how to go on; a second one does not wait.",
    16: "A run is not resumed with another task, prompt, seed or model: the differences are listed instead.",
    17: "A disk that is full or read-only is one clear message; a file is written whole or not at all.",
    18: "Every stored row has a checksum. A damaged cache is set aside and begun anew; a damaged run is refused.",
    19: "Any number of processes share one cache; a run has one writer, and a second one is told who it is.",
    20: "Two models, servers or revisions never share a cached answer.",
    21: "Repeated samples are requests of their own; `--no-cache` reads and keeps none.",
    22: "Memory does not grow with the number of episodes or requests.",
    23: "Input whose encoding cannot be told is an error that names file and line; half characters are not sent.",
    24: "No cell of an exported CSV file is a formula, unless `--raw-csv` asks for the plain text.",
    25: "Labels like `yes`, `no` and `012` stay what was written; repeated keys and tags are errors with their line.",
    26: "`NA` and `null` are labels like any other.",
    27: "Repeated texts and texts under two labels are left out, counted and told.",
    28: "No query is among its own demonstrations, whatever its case, spacing or Unicode form; near copies are told.",
    29: "What a learner is given holds no gold of the queries.",
    30: "Templates are compiled in a sandbox that they cannot run away from; data are values and never compiled.",
    31: "Control tokens of a chat format that stand in a text are spelled out as text.",
    32: "What a text demands stays in its own turn; that a model obeys cannot be ruled out, but it can be measured.",
    33: "No model file, cache or checkpoint is unpickled, and none brings code; embedded models are known by SHA-256.",
    34: "No name of a task or a run leads out of its folder.",
    35: "A report runs our script and style only, and no text of the data becomes markup.",
    36: "Control characters and markup in data do not reach the terminal.",
    37: "Keys are in no file, message or error, even where a server echoes them, encoded in whatever way.",
    38: "Redirects are not followed: a key goes to the server that was named. Without encryption there is a warning.",
    39: "A missing key, package or model is told before anything is built, with the command or variable that mends it.",
    40: "With `--offline` no other machine is asked.",
    41: "Limits on money and requests hold before each request; where a price is unknown, so is the cost: never zero.",
    42: "The same command gives the same answers in any process; those of hosted models are marked as not repeatable.",
    43: "A label without a log-probability gets a bound that is marked as one; NaN and infinity stop the scoring.",
    44: "Intervals are finite and hold their mean, also where everything is right or wrong, or there is one episode.",
    45: "A device that is not here is one clear error.",
    46: "Times are in UTC, durations do not follow the clock, and runs of the same second have folders of their own.",
    47: "A plugin that does not load is named, and hinders no other.",
    48: "Few dependencies, none that runs what it reads, and every version that a release was tested with is pinned.",
    49: "What a folder says runs no file, plugin or command, reads no file and asks no server without `--trust`.",
    50: "Going on with a run of one's own asks nothing; a run that was copied, replaced or changed asks again.",
    51: "Of stored settings and trained learners only known arguments of the right type are taken.",
    52: "A folder of runs is listed whatever is in it, and a report builds no learner that would do more than compute.",
    54: "Work on the cache of models that is interrupted or killed leaves no folder behind for long.",
    55: "Models and tokenizers are loaded in one place, which runs nothing that they bring along and asks nothing.",
    56: "A model that is not whole, or not what its folder says, is refused in one line; nothing is filled in.",
    57: "Only models that do not see the words they are asked for score labels: it is tried, not taken from a name.",
    58: "Shared prefixes and packed trees are held against plain passes, once per model, and used if they agree.",
    59: "What a prompt shows stands in what the model reads: a chat template that leaves out a word of it is refused.",
    60: "Labels that a model's tokenizer writes with the same tokens are refused by name before anything is scored.",
    61: "Texts that are longer than an encoder reads are counted and told, also where their vectors are in the cache.",
    62: "What is on this machine is asked directly, whatever proxy the environment names; that one is used is told.",
    63: "A key goes to the server that was named. Variables of an SDK add no header; a server named by one is told.",
    64: "A reply is read up to 4 MiB, counted as it comes and as it unpacks; a larger one is a bad response.",
    65: "One label for nearly all answers is an alarm in every command; failures are counted, with their cause.",
    66: "By default a model is shown no more demonstrations than it was measured with, drawn balanced, and it is told.",
    68: "Packages that a learner or a part of it needs are told before the first episode, with the command.",
    69: "A meta-learner, whoever wrote it, is trained anew for every class split that it is tested on.",
    70: "What a machine lacks (a package, a library, a model, memory) ends a run, and never counts as wrong answers.",
    71: "No trained learner or model is tested on classes or texts that it was trained on: it is refused, with counts.",
    72: "What a learner was trained on is kept with it; where that is missing, the run says that it cannot be checked.",
    73: "What needs no extra runs without one; a stranger's package in the place of ours is named, with the way out.",
    74: "No command writes over what it reads, by whatever path or link: outputs are compared with inputs first.",
    75: "Every row of an input has one row of answers with its number; one without text has a status of its own.",
    76: "Two trainings or comparisons never write into one folder: the second is told which process owns it.",
    77: "A run whose writer was killed in the middle of a step is read and resumed; reading finishes that step first.",
    78: "A run goes on from any folder; where its data was moved or changed, the fingerprint decides.",
    79: "Results on two versions of a task's data are never shown under one title.",
    80: "Whatever ends a command, a closed stdout or Ctrl-C while it starts too, is one line or none, no traceback.",
    81: "Texts and labels are compared by what can be seen of them; labels that read alike are refused first.",
    82: "No quote swallows rows in silence, a gap is no label, and a column of parts divides its file and is told.",
    83: "CSV, TSV and JSONL are read with any line ends, suffixes in any case, gzip and byte-order marks.",
    84: "Deep nesting, endless numbers and cells, devices and pipes are one error with exit code 2.",
    85: "A task of a kind that no learner answers is told by `tasks check`, and no run of it is begun.",
    86: "Near copies of queries among the texts that are shown are counted and told before a run or comparison.",
    87: "`recommend` asks near copies of a text in one fold, so that none is shown while another is asked.",
    88: "An error names a way out that is there and works (`--drop` of a small class, for instance), or none at all.",
    89: "A Korean model made for praise and blame answers where labels mean that; elsewhere what is needed is told.",
    90: "Labels that are numbers or ids are not read as names by learners that are trained, and it is told once.",
    91: "No learner that `recommend` tries takes more than an equal share of the time left; what waits is tried later.",
    92: "`recommend` tries nothing by itself of which nothing is to be expected, and it has learners for any language.",
    94: "What takes an encoder takes the one for the language of the texts, and says so; an unused one is not missed.",
    95: "A selector's `fetch` looks at the most similar examples alone; where it covers the pool, nothing changes.",
    96: "Every selector has a balanced version, which shows equally many of each class until a class runs out.",
    97: "Selectors take any object with `encode`, or a matrix of vectors, and choose as with an encoder of ours.",
    98: "A model that is not open source is fetched only after its terms were accepted with `--accept-terms`.",
    99: "Texts that differ in spaces, width, repetitions or end marks are near copies; `tasks check` shows some.",
    100: "An encoder asked for bfloat16 uses it where the hardware multiplies it, and else float32, and says so.",
    101: "The name of a shipped task means that task, whatever lies in the working folder; `./name` is the folder.",
    102: "Without extras, `compare` and `report` default to what can run; a line tells the rest and how to get it.",
    106: "`compare` takes 0 texts per class beside others: there learners go by the names of labels alone.",
    107: "Prototypes take the centre of the support away where vectors lie in a narrow cone and every class has texts.",
    109: "Hidden states that are not finite fail the texts they belong to; they never decide a label.",
    110: "A readout that a model, a method or the support cannot serve is refused in a line that names another one.",
    113: "A stored run is calibrated again from its own scores; those of other inputs are never taken for them.",
    114: "A learner whose accuracy falls as labelled texts are added is told of, where chance does not explain it.",
    115: "Two examples are the same by text and declared fields, in every kind of task and wherever it counts.",
    116: "Learners that are trained see both texts of a pair, and the baselines beside them do too.",
    117: "Tagged texts are written and read in brackets; what overlaps, does not close or is another text is told.",
    118: "A row whose labels or tags cannot be read is one line with its number, in every form that they are kept in.",
    119: "Whatever learner classifies answers multi-label tasks by a decision per label, unless it is meta-trained.",
    120: "Entity F1 is that of seqeval, and chrF that of sacreBLEU: both are held against values of those libraries.",
    121: "Lists of labels and sentences with entities that a model writes are read strictly, and never guessed.",
    122: "New pairs, texts with several labels and tagged texts are labelled too, each answer beside its row.",
    123: "A hosted model without a system role reads the instruction in its first user turn; it is told.",
    124: "With `strip_thinking=true` no `<think>` block reaches the parser; without it, a note names the option.",
    125: "Answers that all have the same wrong form stop the run, resumable, before each query is paid for again.",
    126: "In models with sliding or chunked attention a packed tree scores as separate passes do, within 0.0001.",
    127: "A prompt shows everything that it was given: an instruction that its template does not print is refused.",
    128: "`messages` and `anthropic` of a prompt are what the vendors take, without the `->` that makes models go on.",
    129: "In Python, what is not said is as on the command line, and errors name arguments, not options.",
    130: "`predict_async` does not block the event loop; what is cancelled begins nothing further.",
    131: "With `--order shared`, prompts whose demonstrations differ begin alike where they can.",
    132: "A padded row takes no turn in a minibatch of Reptile: tasks of unequal sizes train as each would alone.",
    135: "A learner that reads all queries of a problem together says so, and is ranked apart from the others.",
    136: "With `--query-balance dirichlet` the classes of an episode are asked unevenly, and shots stay paired.",
    137: "Implicit MAML's meta-gradient is exact on a quadratic, and its memory does not grow with its inner steps.",
    138: "`simpleshot` takes away the mean of the training classes' texts alone, and refuses a task that has none.",
    139: "Learners that read the support as a sequence or by fast weights see a set whose classes have no numbers.",
    140: "A file of time series that is not as its header says, or that holds code, is refused with its line.",
    141: "An image goes by a hash of its content: that tells no class, and images that move give the same episodes.",
    142: "No zip file is extracted: members outside of it are refused, what unpacks to too much is not unpacked.",
    143: "A pickle of arrays calls nothing: whatever is not plain data is refused in one line, with the way out.",
    147: "A module whose answer to a row depends on other rows or on chance is refused by the name of its layer.",
    148: "`clone()` and `adapt(loss)` on a module give the meta-gradient of the functional core, of either order.",
    149: "A taskset that yields too few rows, or none, is told in one line with the number of the task and the class.",
    150: "Learners that train on unlabelled texts take those of the training classes, and none of a tested class.",
    154: "The service refuses what it cannot read in one line, before the learner sees it.",
    155: "Requests that break off leave nothing behind in the service.",
    151: "No text changes a cloze question: marks in it are read as letters, and it is cut where the pattern is not.",
    144: "A registry whose writer is killed at any moment holds the old state or the new; readers and writers queue.",
    145: "What a registry cannot take (a name, an item, another encoder, a foreign file) is one line, nothing changes.",
    146: "A large registry finds the classes that the product with every prototype would find, however vectors lie.",
    133: "What training draws as rows alone are the tasks that its episodes are, number for number.",
    134: "No public function or class is there for tests alone: the product uses it, or a list says whom it is for.",
    152: "`compare` tells the F1 of all entities, or labels, together beside the mean over episodes, with an interval.",
    160: "A meta-learner leaves its start only for a gain that is significant on validation tasks that chose nothing.",
    161: "Every help page ends with an example that its command takes.",
    162: "An accuracy that `predict --abstain` promises holds on new texts like those of the splits.",
}

_INTRO = """# Reliability

What we promise where things go wrong, with the tests that keep each promise. Run them with `pytest`.
"""


def reliability(tests: Path, records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The page.

    Args:
        tests: folder of the tests.
        records: what the benchmarks printed last.
    """
    yield _INTRO
    yield from _figures(list(records))
    kept = keepers(tests)
    yield "\n## Promises\n\n| | promise | kept by |\n|---|---|---|\n"
    for number, promise in PROMISES.items():
        names = ", ".join(f"[{name}](../tests/{path})" for path, name in kept.get(number, ()))
        yield f"| {number} | {promise} | {names or '**no test**'} |\n"


def keepers(tests: Path) -> dict[int, list[tuple[str, str]]]:
    """Promise to (file below `tests`, test) of those that are marked with it. Reads the files, imports nothing."""
    found: dict[int, list[tuple[str, str]]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        everywhere = [number for node in tree.body if isinstance(node, ast.Assign) for number in _numbers(node.value)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                own = [number for decorator in node.decorator_list for number in _numbers(decorator)]
                for number in dict.fromkeys(everywhere + own):
                    found.setdefault(number, []).append((path.relative_to(tests).as_posix(), node.name))
    return found


def _numbers(marks: ast.expr) -> Iterator[int]:
    """The numbers in `pytest.mark.promise(number)`, wherever it stands in an expression."""
    for node in ast.walk(marks):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.promise":
            (number,) = node.args
            yield ast.literal_eval(number)


def _figures(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "\n## Figures\n\nAs `make bench` measured them last, against the server of `fewshot serve-fake`.\n\n"
    for record in records:
        if sentence := _SENTENCES.get(record["benchmark"]):
            yield f"- {sentence(record)}\n"


def _faults(record: Mapping[str, Any]) -> str:
    failed = sum(record["reported_as_failed"].values())
    return (
        f"{record['faults_injected']} faults of {record['kinds_of_faults']} kinds injected into a run of "
        f"{record['queries']:,} queries (`{record['provider']}:`): {record['answered']} answered, {failed} reported as "
        f"failed with their cause, **{record['requests_lost']} lost, {record['keys_leaked']} keys leaked**."
    )


def _kills(record: Mapping[str, Any]) -> str:
    return (
        f"A run killed {record['kills']} times with SIGKILL and resumed: **{record['lost']} answers lost, "
        f"{record['different']} different**; {record['repeated']} requests repeated, where {record['most_repeated']} "
        "can have been on their way."
    )


def _speed(record: Mapping[str, Any]) -> str:
    return (
        f"{record['requests']:,} requests, {record['concurrency']} at a time, {record['latency_ms']} ms each "
        f"(`{record['provider']}:`): {record['ratio']} times the ideal {record['ideal_seconds']:g} s (goal: "
        f"{record['goal']}), {record['cpu_ms_per_request']} ms of CPU per request."
    )


def _memory(record: Mapping[str, Any]) -> str:
    (few, many), (before, after) = record["requests"], record["peak_mib"]
    return f"Peak memory after {few:,} and after {many:,} requests: {before:g} and {after:g} MiB."


def _injection(record: Mapping[str, Any]) -> str:
    return (
        f"A sentence behind a text that demands another label gets it in {record['followed']:.0%} of "
        f"{record['queries']} queries to `{record['learner']}` ({record['task']})."
    )


_SENTENCES = {
    "hosted faults": _faults,
    "hosted speed": _speed,
    "hosted memory": _memory,
    "killing": _kills,
    "injection": _injection,
}
