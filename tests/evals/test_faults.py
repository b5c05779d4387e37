"""What a machine lacks ends a run; it is never counted as a wrong answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.adapters import SklearnLearner
from evals.comparison import compare
from evals.learner import BaseLearner, Context
from evals.types import Answer, Problem
from fewshot.core.errors import MissingExtra, ModelUnavailable
from tests.evals.fakes import classification_task, sampler_of

FAULTS = [
    ModuleNotFoundError("No module named 'torch'"),
    ImportError("cannot import name 'x' from 'y'"),
    OSError("libcudart.so.12: cannot open shared object file: No such file or directory"),
    MissingExtra("this", "local"),
    ModelUnavailable("no model here"),
    MemoryError("out of memory"),
]


class Lacking(BaseLearner):
    """Meets a fault of the machine, alone or beneath an error of its own."""

    name = "lacking"

    def __init__(self, fault: Exception, wrapped: bool = False) -> None:
        self._fault, self._wrapped = fault, wrapped

    def describe(self) -> dict[str, str]:
        return {"name": self.name}

    def fit(self, texts: object, labels: object) -> None:
        raise self._fault

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        if self._wrapped:
            raise RuntimeError("it does not work") from self._fault
        raise self._fault


@pytest.mark.promise(70)
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "beneath another"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_what_the_machine_lacks_is_no_score(fault: Exception, wrapped: bool, tmp_path: Path) -> None:
    found = compare(
        classification_task(), {"own": Lacking(fault, wrapped)}, way=3, shot=1, episodes=5, folder=tmp_path / "c"
    )
    assert [(each.learner, each.status) for each in found.absent] == [("own", "failed")]
    assert "own" not in {standing.learner for standing in found.analyses[0].standings}


@pytest.mark.promise(70)
def test_an_adapter_passes_on_what_the_machine_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'sklearn'")

    monkeypatch.setattr(SklearnLearner, "_fit_and_answer", fail)
    with pytest.raises(ModuleNotFoundError):
        list(SklearnLearner(None).predict([sampler_of("classification")[0].problem], Context()))
