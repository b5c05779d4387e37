"""Learners that train an encoder on the support of each problem, with a tiny one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classic.learners.finetune import FineTune
from classic.learners.support_training import batches
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import MissingExtra
from tests.classic.networks.test_text import tiny_model
from tests.classic.toys import context

__all__ = ["tiny_model"]

EXTRAS = {"lora": "peft", "setfit": "setfit"}
SETTINGS: dict[str, dict[str, Any]] = {
    "finetune": {"steps": 30, "lr": 1e-2},
    "lora": {"steps": 30, "lr": 5e-2},
    "setfit": {"steps": 30, "lr": 1e-2},
    "fastfit": {"steps": 15, "lr": 3e-3},
}
INFO = TaskInfo("toy", "en", "classification")
SUPPORT = ("my card has not arrived", "배송이 늦어요", "my card is lost", "배송이 안 와요")


def problem(name: str = "p") -> Problem:
    labels = (Label("card", "card"), Label("delivery", "delivery"))
    support = tuple(Example(f"s{at}", text, labels[at % 2].name) for at, text in enumerate(SUPPORT))
    return Problem(name, INFO, labels, support, (Query("q0", "card lost"), Query("q1", "늦어요")))


@pytest.mark.parametrize("name", SETTINGS)
def test_learns_from_the_support_repeatably_and_forgets_it(name: str, tiny_model: Path) -> None:
    if name in EXTRAS and find_spec(EXTRAS[name]) is None:
        pytest.skip(f"{EXTRAS[name]} is not installed")
    learner = LEARNERS.build(name, **{"encoder": str(tiny_model), **SETTINGS[name]})
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, other, again = learner.predict([problem("a"), problem("b"), problem("a")], context())
    assert np.array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert [answer.decision for answer in first.answers] == ["card", "delivery"]
    assert np.allclose([a.scores for a in first.answers], [a.scores for a in again.answers], atol=1e-5)
    assert first.answers != other.answers
    assert np.allclose(np.exp([a.scores for a in first.answers]).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("name", "package"), EXTRAS.items())
def test_missing_extras_are_named(name: str, package: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=rf'pip install "fewshot\[{LEARNERS.entry(name).extra}\]"'):
        LEARNERS.build(name, encoder=str(tiny_model))


def test_no_text_is_seen_twice_before_all_were() -> None:
    steps = batches(5, 4, 3, "seed")
    assert [len(rows) for rows in steps] == [3, 3, 3, 3]
    order = np.concatenate(steps)
    assert sorted(order[:5]) == sorted(order[5:10]) == [0, 1, 2, 3, 4]
    assert not np.array_equal(order, np.concatenate(batches(5, 4, 3, "another seed")))


def test_every_argument_is_described() -> None:
    assert FineTune(steps=3).describe() == {
        "name": "finetune",
        "encoder": "auto",
        "steps": 3,
        "batch_size": 16,
        "lr": 5e-5,
        "head_lr": 1e-2,
        "pooling": "mean",
        "max_length": 64,
    }
