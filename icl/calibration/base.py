"""What a calibrator is: pure arithmetic on scores that are on record.

Everything is in log space and float64. A score is a log-probability (or a length-normalised one); for one prompt,
`log_softmax` over the labels makes probabilities of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from evals.types import Problem
from icl.parts import Part

#: Inputs without content, those of Zhao et al. 2021. Every prompt is asked with them, in this order, before the inputs
#: of the calibrator itself.
CONTENT_FREE = ("N/A", "", "[MASK]")
#: Of the content-free scores on record.
NO_ROWS, SHARED_ROWS, OWN_ROWS = slice(0, 0), slice(0, len(CONTENT_FREE)), slice(len(CONTENT_FREE), None)


class Calibrator(Protocol):
    """Turns raw scores into log-probabilities.

    Attributes:
        content_free: which of the content-free scores on record it uses; `NO_ROWS` for none.
        transductive: whether the result for one query depends on the other queries.
    """

    content_free: ClassVar[slice]
    transductive: ClassVar[bool]

    def inputs(self, problem: Problem, drawn_by: Sequence[Any]) -> tuple[str, ...]:
        """Content-free inputs to ask beside `CONTENT_FREE`.

        Args:
            problem: whose support may be looked at.
            drawn_by: what random choices depend on.
        """
        ...

    def apply(self, raw: np.ndarray, content_free: np.ndarray) -> np.ndarray:
        """Calibrate the queries of one problem.

        Args:
            raw: (n_query, n_way) scores.
            content_free: (n_content_free, n_way) scores of the content-free inputs that it uses where all queries share
                their demonstrations, else (n_query, n_content_free, n_way).

        Returns:
            (n_query, n_way) log-probabilities, normalised over the labels.
        """
        ...

    def describe(self) -> dict[str, Any]: ...


class Inductive(Part):
    """Base of calibrators that look at each query alone, and ask nothing but `CONTENT_FREE`."""

    content_free: ClassVar[slice] = NO_ROWS
    transductive: ClassVar[bool] = False

    def inputs(self, problem: Problem, drawn_by: Sequence[Any]) -> tuple[str, ...]:
        """None of its own."""
        return ()
