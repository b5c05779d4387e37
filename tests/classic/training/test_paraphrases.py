"""Paraphrases by rules, and the tasks that bring them along."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from classic.algorithms.protaugment import ProtAugment
from classic.networks import Identity
from classic.training.data import EpisodeTasks, TextTable
from classic.training.inputs import FrozenFeatures
from classic.training.paraphrases import ParaphrasedTasks, Rule, paraphrase
from evals.types import Status
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from tests.classic.networks.test_text import tiny_model
from tests.classic.toys import SPLIT, ToyEncoder, context, data

__all__ = ["tiny_model"]

TEXTS = [
    "where is my new card",
    "내 카드가 아직 안 왔어요",
    "a b",
    "pay the bill I have to pay",
    "one two three four five six",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("rule", get_args(Rule))
def test_a_paraphrase_has_words_of_its_text_alone_and_is_another_text(text: str, number: int, rule: Any) -> None:
    found = paraphrase(text, number, rule)
    assert found == paraphrase(text, number, rule)
    assert found != text
    left = text.split()
    for word in found.split():
        left.remove(word)
    assert (left == []) == (rule in ("swap", "bigram") or (rule == "diverse" and number % 3 > 0))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("number", range(6))
def test_no_bigram_of_the_text_stays(text: str, number: int) -> None:
    kept = set(pairwise(text.split())) & set(pairwise(paraphrase(text, number, "bigram").split()))
    assert not kept


@pytest.mark.parametrize("rule", get_args(Rule))
@pytest.mark.parametrize("text", ["", "word", "단어"])
def test_of_one_word_there_is_no_paraphrase(text: str, rule: Any) -> None:
    assert paraphrase(text, 0, rule) == text


def source(texts: list[str], **arguments: Any) -> ParaphrasedTasks:
    table = TextTable(FrozenFeatures(ToyEncoder()))
    how = ProtAugment(Identity(24), **arguments)
    return ParaphrasedTasks(EpisodeTasks(data().train, table), table, texts, how, n_tasks=4, seed=0)


def test_task_i_is_a_function_of_i_and_the_share_of_labels_falls() -> None:
    texts = [f"text number {at} of many" for at in range(9)]
    batch: Any = source(texts, unlabelled=3, paraphrases=2, anneal=2.0).batch(0, 6)
    assert batch.unlabelled_x.shape == (6, 3, 3, 24)
    assert batch.supervised_share.tolist() == [1, 1 - 1 / 16, 1 - 4 / 16, 1 - 9 / 16, 0, 0]
    later: Any = source(texts, unlabelled=3, paraphrases=2, anneal=2.0).batch(4, 6)
    assert torch.equal(later.unlabelled_x, batch.unlabelled_x[4:])
    assert torch.equal(later.support_x, batch.support_x[4:])
    assert not torch.equal(batch.unlabelled_x[0], batch.unlabelled_x[1])


@pytest.mark.parametrize("texts", [[], ["한단어", "word", "another"], ["two words", "two words", "one"]])
def test_too_few_texts_are_told(texts: list[str]) -> None:
    with pytest.raises(UsageError, match=r"texts of two words or more, and unlabelled=2 asks for more"):
        source(texts, unlabelled=2)


@pytest.mark.promise(150)
@pytest.mark.parametrize("name", ["contrastnet", "protaugment"])
@pytest.mark.parametrize("background", [True, False])
def test_unlabelled_texts_are_those_of_the_training_classes(name: str, background: bool) -> None:
    known, table = data(), TextTable(FrozenFeatures(ToyEncoder()))
    learner = LEARNERS.build(name, encoder=ToyEncoder())
    if background:
        learner.prepare(known.background, context())
    train, valid = learner._sources(known.train, known.valid, table)
    batch = train.batch(0, 3)
    assert batch.unlabelled_x.shape[:2] == (3, learner.unlabelled)
    assert not hasattr(valid.batch(0, 1), "unlabelled_x")
    seen = {word for text in train.texts for word in text.split()}
    assert seen & {*SPLIT["01"]["train"]}
    assert not seen & {*SPLIT["01"]["test"]}


@pytest.mark.parametrize("name", ["contrastnet", "protaugment"])
def test_pairs_have_no_paraphrases(name: str) -> None:
    episode = data().train[0]
    pair = replace(episode, problem=replace(episode.problem, task=replace(episode.problem.task, fields=("text_pair",))))
    table = TextTable(FrozenFeatures(ToyEncoder()))
    with pytest.raises(UsageError, match=f"{name} makes no paraphrases of pairs: unlabelled=0"):
        LEARNERS.build(name, encoder=ToyEncoder())._sources([pair], [pair], table)
    LEARNERS.build(name, encoder=ToyEncoder(), unlabelled=0)._sources([pair], [pair], table)


@pytest.mark.parametrize("name", ["contrastnet", "protaugment"])
def test_a_published_encoder_is_trained_by_them(name: str, tiny_model: Path) -> None:
    quick: Any = {"steps": 1, "meta_batch": 1, "n_valid": 2, "eval_every": 1, "train_way": None, "paraphrases": 1}
    learner, known = LEARNERS.build(name, encoder=f"hub:{tiny_model}", **quick), data()
    learner.meta_fit(known.train, known.valid, context())
    assert any("word_embeddings" in name for name in learner._model.params)
    (done,) = learner.predict([known.valid[0].problem], context())
    assert {answer.status for answer in done.answers} == {Status.OK}
