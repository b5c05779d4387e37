"""Domain-context calibration (Fei et al., ACL 2023, arXiv 2305.19148).

Cost: as many inputs as are drawn, each as long as a usual text: per problem, or per query where queries have their own
demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from evals.types import Problem
from fewshot.core.errors import UsageError
from fewshot.core.seeds import random_state
from icl.calibration.base import OWN_ROWS
from icl.calibration.contextual import Contextual


@dataclass(frozen=True)
class DomainContext(Contextual):
    """Divides by what the model says about random words of the domain: it has biases about words, too.

    The paper draws twenty texts, as long as one of the task on average, from the words of unlabelled texts. Here they
    are drawn from those of the support, so that no query is looked at.

    Args:
        texts: how many texts of random words.
    """

    name = "domain-context"
    content_free: ClassVar[slice] = OWN_ROWS

    texts: int = 20

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise UsageError(f"calibrator 'domain-context': texts={self.texts} is below 1")

    def inputs(self, problem: Problem, drawn_by: Sequence[Any]) -> tuple[str, ...]:
        """Random words of the support; a text has as many as one of the support on average.

        Raises:
            UsageError: the support is empty or without words.
        """
        words = [word for example in problem.support for word in example.text.split()]
        if not words:
            raise UsageError(
                "calibrator 'domain-context' draws its words from the support, and there are none; use --calibrate "
                "contextual"
            )
        length = max(1, round(len(words) / len(problem.support)))
        drawn = random_state(self.name, *drawn_by).randint(len(words), size=(self.texts, length))
        return tuple(" ".join(words[at] for at in row) for row in drawn.tolist())
