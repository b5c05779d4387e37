"""What a readout is: it says which prompts are asked about a problem, and makes answers of what the model says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from evals.rounds import rounds
from evals.types import Answer, Label, Problem, Query, Status, Usage
from fewshot.core.errors import UsageError
from icl.calibration.base import Calibrator
from icl.models.base import LanguageModel
from icl.parts import Part
from icl.planning import Plan, PlannedQuery
from icl.scoring.base import Scorer


@dataclass(frozen=True)
class Asking:
    """Who is asked what.

    Attributes:
        problem: as it was given.
        plans: the prompts of every problem that the readout made of it.
        scorer, calibrator: for readouts that have labels scored.
    """

    problem: Problem
    plans: tuple[Plan, ...]
    model: LanguageModel
    scorer: Scorer
    calibrator: Calibrator

    @property
    def size(self) -> int:
        """How many prompts there are."""
        return sum(len(plan.prompts) for plan in self.plans)

    @property
    def asked(self) -> Plan:
        """The first plan, with the queries of the problem alone."""
        return replace(self.plans[0], queries=self.plans[0].queries[: len(self.problem.queries)])


@dataclass(frozen=True)
class Read:
    """What was read.

    Attributes:
        answers: one per query of the problem. Those with raw scores are still to be calibrated.
        content_free: (n_content_free, n_way) raw scores of inputs without content; see `Trace`.
    """

    answers: tuple[Answer, ...]
    usage: Usage
    content_free: tuple[tuple[float, ...], ...] = ()
    notes: tuple[str, ...] = ()


class Readout(Part, ABC):
    """One way to get the scores of the labels.

    Attributes:
        selects: whether the demonstrations are those of the selector. Other readouts show what they say themselves.
        calibrates: whether its raw scores are those of labels, which can be calibrated.
        about_prompt: what whoever looks at the prompt of a query should know beside it; "" for nothing.
    """

    selects: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False
    about_prompt: ClassVar[str] = ""

    @abstractmethod
    def asked(self, problem: Problem) -> tuple[Problem, ...]:
        """What is prompted: the support of each problem is shown, its queries are asked.

        The queries of the problem come first, in their order.
        """

    @abstractmethod
    def read(self, asking: Asking) -> Read:
        """Ask the model, and make answers of what it says.

        Raises:
            UsageError: the model cannot be asked in this way.
        """


@dataclass(frozen=True)
class OnePrompt(Readout):
    """Base of readouts that show one text per class, and ask the whole support like queries under the same prompt.

    Attributes:
        use: what is done with the support, for the message where there is none.
    """

    use: ClassVar[str]

    def asked(self, problem: Problem) -> tuple[Problem, ...]:
        if not problem.support:
            raise UsageError(f"readout {self.name!r} {self.use}, and there are none; use readout 'labels'")
        return (one_prompt(problem),)


def one_prompt(problem: Problem) -> Problem:
    """One demonstration per class is shown, and the whole support is asked after the queries."""
    first = rounds(problem.support)[0]
    anchors = (Query(f"support {at}", row.text, row.fields) for at, row in enumerate(problem.support))
    return replace(problem, support=first, queries=(*problem.queries, *anchors))


def classes_of(problem: Problem) -> np.ndarray:
    """(n_support,) the position of every support text's label."""
    column = {label.name: at for at, label in enumerate(problem.labels)}
    return np.array([column[str(example.label)] for example in problem.support], dtype=np.intp)


def decided(labels: Sequence[Label], scores: np.ndarray) -> Answer:
    """The answer to one query.

    Args:
        scores: (n_way,) logits; not finite where the model failed.
    """
    if not np.isfinite(scores).all():
        return Answer(None, Status.ERROR, detail="what the model computed for this text, or the support, is not finite")
    row = log_softmax(scores.astype(np.float64))
    return Answer(labels[int(row.argmax())].name, scores=tuple(row.tolist()), score_kind="logprob")


def not_asked(query: PlannedQuery) -> Answer:
    """The answer to a query that has no prompt."""
    return Answer(None, query.status, detail=query.detail)
