"""Where problems are answered: in this process, or spread over a cluster. The runner does not know the difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evals.engines.base import Engine, Recipe
from evals.learner import Learner
from fewshot.core.catalog import ENGINES
from fewshot.core.spec import Spec

__all__ = ["Engine", "Recipe", "spread"]


def spread(
    learner: Learner, build: Callable[[], Learner], engine: str | Spec = "local", trained: Path | None = None
) -> Learner:
    """The learner, answering through an engine. Its description, and so its results and `--resume`, stay the same.

    Args:
        learner: what this process knows the learner by; the local engine uses it as it is.
        build: makes the same learner elsewhere, `partial(LEARNERS.build, spec)` for example; it has to be picklable.
        engine: spec of an engine: `local`, `ray`, `ray:4`.
        trained: the folder in which a meta-trained learner is saved.

    Raises:
        UsageError: unknown engine or option.
        MissingExtra: the engine's packages are not installed.
    """
    built: Engine = ENGINES.build(engine)
    return built.spread(learner, Recipe.of(build, trained))
