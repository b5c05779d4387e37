"""Who takes part in a comparison: learners by spec, or objects of one's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from evals.comparison.study import Study
from evals.learner import Learner, MetaLearner
from evals.relevance import answered_kinds
from evals.task import Task
from evals.types import plural
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import ModelUnavailable, UsageError
from fewshot.core.spec import Spec, parse_spec


@dataclass(frozen=True)
class Contestant:
    """A learner, and what must be known of it before it is built.

    Attributes:
        name: its spec, or the name that it was given.
        build: makes one, given a seed; can be sent to other machines.
        kinds: of tasks that it answers; None where that is not known.
        modalities: of examples that it reads; None where that does not matter, or is not known.
    """

    name: str
    build: Callable[[int], Learner]
    baseline: bool = False
    kinds: tuple[str, ...] | None = None
    modalities: tuple[str, ...] | None = None

    def answers(self, kind: str) -> bool:
        """Whether it answers tasks of this kind, as far as it says."""
        return self.kinds is None or kind in self.kinds


def contestants(learners: Sequence[str] | Mapping[str, str | Learner], *, trust: bool = False) -> list[Contestant]:
    """The contestants of a study: the baselines, then those that are named.

    Args:
        learners: specs; or a mapping from names to specs or learners.
        trust: whether what trained learners were trained with may do more than compute.

    Raises:
        UsageError: an unknown learner, with the nearest names, or something that is no learner.
        MissingExtra: a named learner, or a part of it, needs packages that are not installed.
    """
    named = dict(learners) if isinstance(learners, Mapping) else {spec: spec for spec in learners}
    for name, value in named.items():
        if not isinstance(value, str | Learner):
            raise UsageError(
                f"learner {name!r} is a {type(value).__name__}: a learner has predict, describe and a name"
            )
    present = {value for value in named.values() if isinstance(value, str)}
    baselines = [name for name, entry in LEARNERS.entries().items() if entry.baseline and name not in present]
    return [
        *(_from_spec(name, name, trust) for name in baselines),
        *(
            _from_spec(name, value, trust) if isinstance(value, str) else _from_object(name, value)
            for name, value in named.items()
        ),
    ]


def why_left_out(contestant: Contestant, task: Task, study: Study) -> str | None:
    """Why a contestant cannot take part in a task, or None.

    Raises:
        UsageError: its spec names an unknown parameter, or lacks one.
        NotTrusted: a trained learner would do more than compute.
    """
    if not contestant.answers(task.info.kind):
        return f"it answers {' and '.join(contestant.kinds or ())} tasks; {task.name} is of kind {task.info.kind}"
    if contestant.modalities is not None and task.info.modality not in contestant.modalities:
        read = " and ".join(map(plural, contestant.modalities))
        return f"it reads {read}, and {task.name} is of {plural(task.info.modality)}"
    try:
        learner = contestant.build(study.seed[0])
        if isinstance(learner, MetaLearner) and learner.trained:
            learner.describe()  # reads the folder that it comes from: what is wrong with it is told before all work
    except ModelUnavailable as error:
        return str(error)
    chosen = study.class_split or (task.default_class_split(),)
    if lacks_training(learner) and any(split in (None, "all") for split in chosen):
        return f"{task.name} has no training classes; name tasks to be trained on, as in {_with_train(contestant.name)}"
    return None


def lacks_training(learner: Learner) -> bool:
    """Whether it has to be meta-trained on other classes or tasks, and does not say on which."""
    return isinstance(learner, MetaLearner) and not learner.trained and getattr(learner, "train", None) is None


def _from_spec(name: str, spec: str, trust: bool) -> Contestant:
    LEARNERS.require(spec)
    entry = LEARNERS.check(spec)
    kinds = answered_kinds(entry.kinds, meta_trained=entry.needs_meta_training)
    build = partial(_build, spec, trust)
    return Contestant(name=name, build=build, baseline=entry.baseline, kinds=kinds, modalities=entry.modalities)


def _from_object(name: str, learner: Learner) -> Contestant:
    trained = isinstance(learner, MetaLearner)
    kinds = answered_kinds(getattr(learner, "kinds", None), meta_trained=trained)
    build, modalities = partial(_copy if trained else _same, learner), getattr(learner, "modalities", None)
    return Contestant(name=name, build=build, kinds=kinds, modalities=modalities)


def _build(spec: str, trust: bool, seed: int) -> Learner:
    return LEARNERS.build(spec, seed=seed, trust=trust)


def _same(learner: Learner, seed: int) -> Learner:
    return learner


def _copy(learner: Learner, seed: int) -> Learner:
    return copy.deepcopy(learner)


def _with_train(name: str) -> str:
    spec = parse_spec(name)
    return str(Spec(spec.name, {**spec.params, "train": "TASK+TASK"}, spec.positional))
