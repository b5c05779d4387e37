"""What every learner on vectors shares: the encoder suits the language, and label names count as texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from classic.algorithms.protonet import Learner as ProtoNet
from classic.learners.finetune import FineTune
from classic.learners.lora import LoRA
from classic.learners.probe import Probe
from classic.learners.prototypes import Prototypes
from classic.learners.setfit import SetFit
from classic.training.data import TextTable, index_rows
from classic.training.inputs import FrozenFeatures
from evals.episode import Episode
from evals.learner import Context, for_task
from evals.types import Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.embedded import encoder_for
from fewshot.encoders import build_encoder
from tests.classic.networks.test_text import tiny_model

__all__ = ["tiny_model"]

INFO = TaskInfo("t", "en", "classification")
PROBLEM = Problem(
    "p",
    INFO,
    (Label("light", "light"), Label("music", "music")),
    (Example("1", "darker please", "light"), Example("2", "next track", "music")),
    (Query("q1", "turn off the light"), Query("q2", "some music")),
)


@pytest.mark.parametrize(
    ("language", "encoder", "told"),
    [
        ("en", "minilm", "made for English"),
        ("en-GB", "minilm", "made for English"),
        ("ko", "e5-small", "reads ko"),
        ("ja", "e5-small", "reads ja"),
        ("und", "e5-small", "not known"),
        ("tlh", "e5-small", "no encoder here was made for tlh"),
    ],
)
def test_the_encoder_suits_the_language(language: str, encoder: str, told: str) -> None:
    name, reason = encoder_for(language)
    assert name == encoder
    assert told in reason


@pytest.mark.promise(94)
@pytest.mark.parametrize(
    "learner",
    [Prototypes(), Probe(c=3.0), ProtoNet(hidden=7), FineTune(steps=3), LoRA(rank=2), SetFit(lr=1e-4)],
    ids=lambda each: each.name,
)
def test_a_learner_is_settled_for_a_task_and_keeps_its_arguments(learner: Any) -> None:
    korean = for_task(learner, replace(INFO, language="ko"))
    assert korean.describe() == {**learner.describe(), "encoder": "e5-small"}
    assert for_task(learner, INFO).encoder == "minilm"
    assert for_task(learner, replace(INFO, language="ko")) is korean
    assert for_task(learner, replace(INFO, language="und")) is learner


def test_an_encoder_that_is_named_is_kept() -> None:
    learner = Prototypes(encoder="lexical")
    assert for_task(learner, replace(INFO, language="ko")) is learner


@pytest.mark.models
def test_where_the_language_is_unknown_the_support_tells_and_the_choice_is_told_once() -> None:
    told: list[str] = []
    ctx = Context(notify=told.append)
    learner = Prototypes()
    problem = replace(PROBLEM, task=replace(INFO, language="und"))
    for _ in range(2):
        (prediction,) = learner.predict([problem], ctx)
        assert [answer.decision for answer in prediction.answers] == ["light", "music"]
    assert told == ["encoder minilm: made for English, the language of the task"]


@pytest.mark.parametrize("language", ["ko", "und"])
def test_fine_tuning_tells_its_encoder_too(language: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classic.learners.by_language.encoder_for", lambda found: (str(tiny_model), f"for {found}"))
    told: list[str] = []
    problem = replace(PROBLEM, task=replace(INFO, language=language))
    learner = FineTune(steps=1)
    for _ in range(2):
        (prediction,) = for_task(learner, problem.task).predict([problem], Context(device="cpu", notify=told.append))
        assert all(answer.status is Status.OK for answer in prediction.answers)
    assert told == [f"for {'en' if language == 'und' else language}"]


@pytest.mark.parametrize("learner", [Prototypes, Probe])
def test_names_count_as_texts(learner: Any) -> None:
    """No support text shares a word with a query; the names do."""

    def decisions(names: str) -> list[object]:
        (prediction,) = learner(encoder="lexical", names=names).predict([PROBLEM], Context())
        return [answer.decision for answer in prediction.answers]

    assert decisions("auto") == ["light", "music"]
    assert decisions("none") != ["light", "music"]


@pytest.mark.promise(90)
@pytest.mark.parametrize("learner", [Prototypes, Probe])
@pytest.mark.parametrize(
    ("words", "told"), [(("0", "1"), 1), (("c1", "c2"), 1), (("light", "2"), 1), (("빛", "소리"), 0)]
)
def test_labels_that_are_numbers_or_ids_change_nothing_and_are_told_once(
    learner: Any, words: tuple[str, str], told: int
) -> None:
    labels = tuple(replace(label, verbalizer=word) for label, word in zip(PROBLEM.labels, words, strict=True))
    numbered, lines = replace(PROBLEM, labels=labels), []
    asked = [numbered, replace(numbered, labels=labels[::-1]), numbered]
    found = list(learner(encoder="lexical").predict(asked, Context(notify=lines.append)))
    assert len(lines) == told
    assert all("tasks new" in line for line in lines)
    bare = next(iter(learner(encoder="lexical", names="none").predict([numbered], Context())))
    assert (found[0].answers == bare.answers) is bool(told)


def test_names_alone_are_a_zero_shot_classifier() -> None:
    bare = replace(PROBLEM, support=())
    (named,) = Prototypes(encoder="lexical").predict([bare], Context())
    assert [answer.decision for answer in named.answers] == ["light", "music"]
    (unnamed,) = Prototypes(encoder="lexical", names="none").predict([bare], Context())
    assert {answer.status for answer in unnamed.answers} == {Status.ERROR}


def test_training_episodes_carry_names_and_a_query_may_be_written_like_one() -> None:
    problem = replace(PROBLEM, queries=(Query("q1", "light"), Query("q2", "some music")))
    table = TextTable(FrozenFeatures(build_encoder("lexical")))
    episode = Episode(0, problem, ("light", "music"), ("q1", "q2"), "pairing")
    (named,) = index_rows([episode.rows], table, names="auto")
    assert named.support_y.tolist() == [0, 1, 0, 1]
    (bare,) = index_rows([episode.rows], table)
    assert len(bare.support) == 2
