"""Answers that are written: lists of labels, entities in brackets, free text. What is no answer is never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from evals.checks import checked
from evals.episode import EpisodeSampler
from evals.kinds import kind_named
from evals.learner import Context, for_task
from evals.relevance import Decisions
from evals.types import Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.errors import UsageError
from icl.learner import ICLLearner
from icl.models.base import Prompt
from icl.writing.forms import form_of
from tests.evals.fakes import task_of
from tests.icl.fakes import OverlapModel, flat

ENTITIES = (Label("PS", "사람"), Label("LC", "곳"))
MOODS = (Label("joy", "joy"), Label("anger", "anger"), Label("fear", "fear"))


def tagging(text: str = "원균이 부산에서") -> Problem:
    shown = "이순신 장군이 한산도에서"
    tags = ("B-PS", "I-PS", "I-PS", *["O"] * 5, "B-LC", "I-LC", "I-LC", "O", "O")
    support = (Example("s0", shown, tags, {"tokens": list(shown)}),)
    info = TaskInfo("ner", "ko", "tagging", fields=("tokens",))
    return Problem("p", info, ENTITIES, support, (Query("q0", text, {"tokens": list(text)}),))


def moods(labels: tuple[Label, ...] = MOODS) -> Problem:
    support = (
        Example("s0", "what a day", ("joy",)),
        Example("s1", "oh no", ("anger", "fear")),
        Example("s2", "so", ()),
    )
    return Problem("p", TaskInfo("moods", "en", "multilabel"), labels, support, (Query("q0", "hm"),))


def answered(problem: Problem, writes: Callable[[Prompt], str], **options: Any) -> Any:
    learner = for_task(ICLLearner(OverlapModel(writes=writes), **options), problem.task, problem.labels)
    (done,) = learner.predict([problem], Context())
    (answer,) = checked(done, problem, "icl").answers
    return answer


@pytest.mark.promise(121)
@pytest.mark.parametrize("format", ["completion", "chat"])
def test_demonstrations_are_written_as_the_answers_are_to_be(format: str) -> None:
    seen: list[str] = []
    for problem in (tagging(), moods()):
        answered(problem, lambda prompt: seen.append(flat(prompt)) or "", format=format, method="generate")
    assert "이순신[사람] 장군이 한산도[곳]에서" in seen[0]
    assert "([사람], [곳])" in seen[0]
    for part in ("anger, fear", "none", "(joy, anger, fear, none)", "Write all labels that hold."):
        assert part in seen[1]


@pytest.mark.promise(121)
@pytest.mark.parametrize(
    ("written", "decision", "status"),
    [
        ("원균[사람]이 부산[곳]에서", ("B-PS", "I-PS", "O", "O", "B-LC", "I-LC", "O", "O"), Status.OK),
        (" 원균[PS]이  부산에서 ", ("B-PS", "I-PS", *["O"] * 6), Status.OK),
        ("원균이 부산에서", ("O",) * 8, Status.OK),
        ("{원균이 부산}[곳]에서", ("B-LC", *["I-LC"] * 5, "O", "O"), Status.OK),
        ("원균[기관]이 부산에서", None, Status.NOT_IN_LABELS),
        ("원균[사람", None, Status.UNPARSED),
        ("원균[사람]이 서울[곳]에서", None, Status.UNPARSED),
        ("원균[사람]", None, Status.UNPARSED),
        ("", None, Status.UNPARSED),
    ],
)
def test_sentences_that_a_model_writes(written: str, decision: tuple[str, ...] | None, status: Status) -> None:
    answer = answered(tagging(), lambda prompt: written)
    assert (answer.decision, answer.status) == (decision, status)


@pytest.mark.promise(121)
@pytest.mark.parametrize(
    ("written", "decision", "status"),
    [
        ("joy", ("joy",), Status.OK),
        (" fear, joy.", ("fear", "joy"), Status.OK),
        ('["fear", "joy"]', ("fear", "joy"), Status.OK),
        ("None", (), Status.OK),
        ("joy, bliss", None, Status.NOT_IN_LABELS),
        ("joy and fear", None, Status.NOT_IN_LABELS),
        ("joy,", None, Status.UNPARSED),
        ("", None, Status.UNPARSED),
    ],
)
def test_lists_that_a_model_writes(written: str, decision: tuple[str, ...] | None, status: Status) -> None:
    answer = answered(moods(), lambda prompt: written, method="generate")
    assert (answer.decision, answer.status) == (decision, status)


@pytest.mark.parametrize(
    ("words", "sign"),
    [(("joy", "anger", "fear"), ", "), (("joy, bliss", "anger", "fear"), "; "), (("a, b", "c; d", "e"), " | ")],
)
def test_the_sign_between_labels_stands_in_none_of_them(words: tuple[str, ...], sign: str) -> None:
    labels = tuple(replace(label, verbalizer=word) for label, word in zip(MOODS, words, strict=True))
    form = form_of(moods(labels))
    both = Example("x", "x", ("joy", "anger"))
    assert form.write(both) == sign.join(words[:2])
    assert form.read(form.write(both), Query("q", "x")) == (("anger", "joy"), Status.OK)


def test_labels_with_every_sign_cannot_be_listed() -> None:
    problem = moods((Label("joy", "a,b;c|d/e"), *MOODS[1:]))
    with pytest.raises(UsageError, match="give them verbalizers without these signs, or use --method direct"):
        answered(problem, lambda prompt: "", method="generate")


@pytest.mark.parametrize("readout", ["hidden", "ensemble", "knn-prompting"])
def test_what_chooses_among_labels_reads_no_written_answers(readout: str) -> None:
    with pytest.raises(UsageError, match="whose answers are written; use readout 'labels'"):
        answered(moods(), lambda prompt: "", method="generate", readout=readout)


def test_none_is_written_otherwise_where_it_is_a_label() -> None:
    problem = moods((Label("joy", "None"), *MOODS[1:]))
    form = form_of(problem)
    assert form.write(problem.support[2]) == "none of them"
    assert form.read("none", problem.queries[0]) == (("joy",), Status.OK)


@pytest.mark.parametrize("kind", ["multilabel", "tagging", "generation"])
@pytest.mark.parametrize("format", ["completion", "chat"])
def test_whoever_writes_the_gold_is_right(kind: str, format: str) -> None:
    """Golds as they are written, read again: full marks in every kind."""
    task = task_of(kind)
    episode = EpisodeSampler(task, 3, 2, 2)[0]
    form = form_of(episode.problem)
    pairs = zip(episode.problem.queries, episode.gold, strict=True)
    golds = iter([form.write(Example(query.id, query.text, gold, query.fields)) for query, gold in pairs])
    model = OverlapModel(writes=lambda prompt: next(golds))
    learner = for_task(ICLLearner(model, format=format, method="generate"), task.info, task.labels)  # pyright: ignore[reportArgumentType]
    (done,) = learner.predict([episode.problem], Context())
    kept = checked(done, episode.problem, "icl")
    kind_of = kind_named(kind)
    assert [kind_of.score(a, gold) for a, gold in zip(kept.answers, episode.gold, strict=True)] == [1.0] * len(
        episode.gold
    )
    assert all(kept.trace.demonstrations)


@pytest.mark.promise(121)
def test_models_that_score_labels_decide_about_each_of_them() -> None:
    problem = moods()
    learner = for_task(ICLLearner(OverlapModel()), problem.task, problem.labels)
    assert isinstance(learner, Decisions)
    (done,) = learner.predict([problem], Context())
    assert done.answers[0].status is Status.OK
    hosted = for_task(ICLLearner(OverlapModel(scores=False)), problem.task, problem.labels)
    assert not isinstance(hosted, Decisions)
    assert hosted.describe()["method"]["name"] == "generate"


@pytest.mark.parametrize("kind", ["tagging", "generation"])
@pytest.mark.parametrize("method", ["direct", "structured", "logprobs"])
def test_a_method_that_chooses_labels_is_refused(kind: str, method: str) -> None:
    with pytest.raises(UsageError, match="whose answers are written; use --method generate"):
        for_task(ICLLearner(OverlapModel(), method=method), task_of(kind).info)


def test_a_measured_model_is_shown_as_many_examples_as_it_was_measured_with() -> None:
    task = task_of("generation")
    problem = EpisodeSampler(task, 1, 5, 1)[0].problem
    shown: list[str] = []
    model = OverlapModel(measured_demos=2, writes=lambda prompt: shown.append(flat(prompt)) or "x")
    list(for_task(ICLLearner(model), task.info).predict([problem], Context()))
    assert shown[0].count("->") == 3


def test_line_ends_of_an_answer_are_no_answers() -> None:
    problem = tagging()
    text = "이순신\n장군"
    row = Example("s", text, ("B-PS", "I-PS", "I-PS", "O", "O", "O"), {"tokens": list(text)})
    form = form_of(problem)
    assert form.write(row) == "이순신[사람] 장군"
    assert form.read("이순신[사람] 장군", Query("q", text, {"tokens": list(text)}))[0] == row.label
