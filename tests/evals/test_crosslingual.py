"""Cross-lingual episodes: what is shown in one language is never asked in another, and every pair draws alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.crosslingual import CrossLingualSampler, CrossLingualTask, align, pair, task_in
from evals.loading import load_task
from evals.runner import background, run
from evals.task import Task
from evals.types import Example, Label
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.hashing import text_key
from tests.evals.fakes import Classifier, classification_task, multilabel_task, task_of


def translated(task: Task, language: str) -> Task:
    """The same rows with another text, in reverse order."""
    rows = {
        part: tuple(replace(row, text=f"{language} {row.text}") for row in reversed(rows))
        for part, rows in task.rows.items()
    }
    return replace(task, info=replace(task.info, name=f"toy-{language}", language=language), rows=rows)


def paired(source: str = "en", target: str = "ko", *, split: bool = False) -> CrossLingualTask:
    task = classification_task(split=split)
    return pair(translated(task, source), translated(task, target))


def in_parts(task: Task) -> Task:
    rows = task.rows["all"]
    return replace(task, rows={"train": rows[: len(rows) // 2], "test": rows[len(rows) // 2 :]})


@given(
    way=st.integers(2, 6),
    shot=st.integers(0, 5),
    query=st.integers(1, 5),
    seed=st.integers(0, 2**32),
    index=st.integers(0, 10**6),
    parts=st.booleans(),
)
def test_support_and_queries_share_no_row_in_any_language(way, shot, query, seed, index, parts):
    task = in_parts(classification_task()) if parts else classification_task()
    sampler = CrossLingualSampler(pair(translated(task, "en"), translated(task, "ko")), way, shot, query, seed)
    episode = sampler[index]
    support, queries = episode.problem.support, episode.problem.queries
    assert not {row.id for row in support} & set(episode.query_ids)
    assert not {text_key(row.text) for row in support} & {text_key(row.text) for row in queries}
    assert all(row.text.startswith("en ") for row in support)
    assert all(row.text.startswith("ko ") for row in queries)
    asked = sampler.task.asked
    assert [(asked[row].text, asked[row].label) for row in episode.query_ids] == [
        (row.text, gold) for row, gold in zip(queries, episode.gold, strict=True)
    ]


@given(way=st.integers(2, 6), shot=st.integers(0, 4), seed=st.integers(0, 2**32), index=st.integers(0, 10**6))
def test_shots_are_nested_and_queries_do_not_move(way, shot, seed, index):
    fewer, more = (CrossLingualSampler(paired(), way, k, 3, seed)[index] for k in (shot, shot + 1))
    assert more.problem.support[: way * shot] == fewer.problem.support
    assert (more.problem.queries, more.gold, more.pairing) == (fewer.problem.queries, fewer.gold, fewer.pairing)


def test_every_pair_of_languages_gets_the_same_sentences():
    episodes = [
        CrossLingualSampler(paired(source, target), 3, 2, 2)[7]
        for source, target in [("en", "en"), ("en", "ko"), ("ko", "en"), ("de", "ko")]
    ]
    rows = [([row.id for row in e.problem.support], e.query_ids, [x.name for x in e.problem.labels]) for e in episodes]
    assert rows == [rows[0]] * len(rows)
    assert len({episode.id for episode in episodes}) == len(episodes)


def test_episodes_do_not_depend_on_the_order_of_drawing():
    sampler = CrossLingualSampler(paired(), 3, 2, 2)
    assert [sampler[at] for at in (3, 2, 1, 0)][::-1] == list(sampler.take(4))
    assert sampler.manifest(2) == [sampler[0].id, sampler[1].id]
    assert CrossLingualSampler(paired(), 3, 2, 2).manifest(4) == sampler.manifest(4)


def test_a_changed_text_in_either_language_changes_the_hashes():
    task = classification_task()
    en, ko, fr = (translated(task, language) for language in ("en", "ko", "fr"))
    pairs = [pair(en, ko), pair(fr, ko), pair(en, fr)]
    manifests = [CrossLingualSampler(each, 3, 1, 1).manifest(2) for each in pairs]
    assert len({tuple(manifest) for manifest in manifests}) == 3


def test_words_come_from_the_source_and_the_language_from_the_target():
    task = classification_task(instruction="Say what it is about.")
    source = translated(task, "en")
    target = replace(translated(task, "ko"), labels=tuple(Label(x.name, f"부류 {x.name}") for x in task.labels))
    problem = CrossLingualSampler(pair(source, target), 3, 1, 1)[0].problem
    assert (problem.task.language, problem.task.name) == ("ko", "toy-en->toy-ko")
    assert problem.task.instruction == "Say what it is about."
    assert all(label.verbalizer.startswith("class ") for label in problem.labels)


def test_rows_of_parts_stay_in_their_parts():
    task = in_parts(classification_task())
    episode = CrossLingualSampler(pair(translated(task, "en"), translated(task, "ko")), 3, 2, 2)[0]
    assert {row.id for row in episode.problem.support} <= {row.id for row in task.rows["train"]}
    assert set(episode.query_ids) <= {row.id for row in task.rows["test"]}


def test_background_holds_training_classes_in_the_language_of_the_support_only():
    sampler = CrossLingualSampler(paired(split=True), 2, 1, 1, class_split="01", part="test")
    texts = background(sampler).texts
    assert texts
    assert all(text.startswith("en ") and text.endswith(("c0", "c1")) for text in texts)
    assert {label.name for episode in sampler.take(5) for label in episode.problem.labels} == {"c4", "c5"}


def test_narrowed_gold_stays_narrow():
    task = multilabel_task()
    episode = CrossLingualSampler(pair(translated(task, "en"), translated(task, "ko")), 2, 2, 2)[0]
    names = {label.name for label in episode.problem.labels}
    assert all(names.issuperset(gold) for gold in (*episode.gold, *(row.label for row in episode.problem.support)))


def test_a_text_that_stands_under_two_ids_is_left_out_of_all_languages():
    task = classification_task(n_classes=2, per_class=4)
    source, target = translated(task, "en"), translated(task, "ko")
    first, second, *rest = source.rows["all"]
    untranslated = [replace(row, text=first.text.upper()) if row.id == second.id else row for row in target.rows["all"]]
    one, other = align([source, replace(target, rows={"all": tuple(untranslated)})])
    assert {row.id for row in one.rows["all"]} == {row.id for row in other.rows["all"]} == {row.id for row in rest}
    assert one.notes == ("left out 2 rows that another language lacks or whose text is also that of another row",)


def test_rows_that_a_language_lacks_are_left_out():
    task = classification_task()
    source, target = translated(task, "en"), translated(task, "ko")
    short = replace(target, rows={"all": target.rows["all"][:-5]})
    tasks = align([source, short, target])
    assert [len(each.rows["all"]) for each in tasks] == [len(short.rows["all"])] * 3
    assert [bool(each.notes) for each in tasks] == [True, False, True]


def _with_labels(task: Task, *names: str) -> Task:
    return replace(task, labels=(*task.labels, *(Label(name, name) for name in names)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda task: _with_labels(task, "extra"), "toy-en lacks extra"),
        (lambda task: replace(task, labels=task.labels[2:]), "toy-ko lacks c0, c1"),
        (lambda task: replace(task, info=replace(task.info, kind="multilabel")), "of kind 'multilabel': no pair"),
        (lambda task: replace(task, rows={"train": task.rows["all"]}), "no row is common.*toy-en: all; toy-ko: train"),
        (
            lambda task: replace(task, rows={"all": tuple(replace(r, id=f"x{r.id}") for r in task.rows["all"])}),
            "no row is common",
        ),
        (
            lambda task: replace(task, rows={"all": (Example("r0-0", "text", "c1"),)}),
            "row 'r0-0' is 'c0' in toy-en, but 'c1' in toy-ko",
        ),
    ],
    ids=["label more", "labels less", "kind", "parts", "ids", "gold"],
)
def test_tasks_that_do_not_match_are_refused(change, message):
    task = classification_task()
    with pytest.raises(TaskError, match=message):
        pair(translated(task, "en"), change(translated(task, "ko")))


def test_tags_of_two_languages_do_not_align():
    task = task_of("tagging")
    longer = {"all": tuple(replace(row, label=(*(row.label or ()), "O")) for row in task.rows["all"])}
    with pytest.raises(TaskError, match="do not name the same texts"):
        pair(task, replace(task, rows=longer))


def test_too_few_common_rows_are_refused_before_the_run():
    with pytest.raises(TaskError, match="lower --shot or --query"):
        CrossLingualSampler(paired(), 3, 10, 10)


def test_the_runner_takes_cross_lingual_episodes(tmp_path: Path):
    sampler = CrossLingualSampler(paired(), 3, 1, 2)
    result = run(Classifier(), sampler, 4, run_dir=tmp_path / "run").result
    assert (result["task"], result["language"], result["n_episodes"]) == ("toy-en->toy-ko", "ko", 4)
    assert result["accuracy"]["mean"] > result["chance"]


@pytest.mark.parametrize(
    ("task", "language", "name"),
    [
        ("sib200", "ko", "sib200[ko]"),
        ("intents", "en", "intents-en"),
        ("my/news-{lang}.yaml", "de", "my/news-de.yaml"),
    ],
)
def test_names_of_tasks_in_a_language(task: str, language: str, name: str):
    assert task_in(task, language) == name


@pytest.mark.parametrize(
    ("task", "language", "message"),
    [
        ("sib200", "xx", "unknown language of task 'sib200'"),
        ("intents", "xx", "Known: en, ko"),
        ("banking77", "en", "in one language only"),
        ("intent", "en", "Did you mean"),
    ],
)
def test_unknown_tasks_and_languages_are_named(task: str, language: str, message: str):
    with pytest.raises(UsageError, match=message):
        task_in(task, language)


def test_the_shipped_intents_are_aligned(no_data: None):
    task = pair(load_task("intents-en"), load_task("intents-ko"))
    assert len(task.asked) > 500
    episode = CrossLingualSampler(task, 5, 5, 5)[0]
    english = [task.shown[row].text for row in episode.query_ids]
    assert not set(english) & {query.text for query in episode.problem.queries}


@pytest.mark.data
def test_sib200_is_aligned_in_seven_languages():
    tasks = align([load_task(task_in("sib200", language)) for language in ("en", "ko", "ja", "zh", "de", "fr", "es")])
    assert {sum(map(len, task.rows.values())) for task in tasks} == {sum(map(len, tasks[0].rows.values()))}
    assert sum(map(len, tasks[0].rows.values())) > 990
