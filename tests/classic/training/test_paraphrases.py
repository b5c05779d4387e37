"""Paraphrases by rules, and the tasks that bring them along."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import pytest
import torch

from classic.algorithms.protaugment import ProtAugment
from classic.networks import Identity
from classic.training.data import EpisodeTasks, TextTable
from classic.training.inputs import FrozenFeatures
from classic.training.paraphrases import ParaphrasedTasks, Rule, paraphrase
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from tests.classic.toys import SPLIT, ToyEncoder, context, data

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
@pytest.mark.parametrize(
    ("name", "encoder"), [("contrastnet", ToyEncoder()), ("protaugment", "ngrams:features=8,buckets=200")]
)
def test_unlabelled_texts_of_the_training_classes_are_learned_from(name: str, encoder: Any) -> None:
    known, quick = data(), {"steps": 6, "meta_batch": 2, "n_valid": 4, "eval_every": 6, "train_way": None, "lr": 0.05}

    def weights(**arguments: Any) -> str:
        learner = LEARNERS.build(name, encoder=encoder, **quick, **arguments)
        learner.prepare(known.background, context())
        learner.meta_fit(known.train, known.valid, context())
        assert learner._model.record["best_step"] == 6
        seen = {word for text in learner._model.table._index for word in text.split()}
        assert seen & {*SPLIT["01"]["train"]}
        assert not seen & {*SPLIT["01"]["test"]}
        return learner.describe()["weights"]

    assert weights() != weights(unlabelled=0)
