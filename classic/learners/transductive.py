"""What transductive learners on frozen vectors share: they read all queries of a problem together.

Queries without labels still show where the classes lie, most of all where one text per class is labelled. The price is
that an answer changes with the texts that are asked beside it: results are marked, and ranked apart from those of
learners that answer each query by itself. Asked about one text alone, there is nothing to gain.

Veilleux et al., NeurIPS 2021, arXiv 2204.11181: many gains that were published are those of knowing that every class
is asked equally often. No learner here is told; the strength of such a belief, where one has it, is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np

from classic.learners.base import FrozenLearner
from fewshot.core.errors import UsageError, unknown_name
from fewshot.encoders.prototypes import class_means, normalized

Centre = Literal["auto", "both", "none"]
#: The log-probability of a class that nothing is known of.
_LEAST = -1e9
#: Mean cosine between class means from which vectors count as lying in a narrow cone, as for prototypes.
_CONE = 0.5


@dataclass(eq=False, kw_only=True)
class TransductiveLearner(FrozenLearner):
    """A learner that reads the queries of a problem together. Subclasses define `_assigned`.

    Attributes:
        temperature: cosines, or half of a squared distance, are divided by it. Lower than that of prototypes: at 0.1
            all queries belong a little to every class, and the classes move into one another.
        centre: "both" takes the point halfway between the mean of the class means and that of the queries from all
            vectors: the latter alone would lie where most is asked. "none" leaves vectors as they are; "auto" is "both"
            where they lie in a narrow cone, else "none".
    """

    transductive = True  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    temperature: float = 0.05
    centre: Centre = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_above_0(temperature=self.temperature)
        # A spec reads `centre=none` as no value.
        self.centre = cast("Centre", self.centre or "none")
        if self.centre not in get_args(Centre):
            raise unknown_name("value of centre:", self.centre, get_args(Centre))

    def _solve(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        present, known = np.unique(classes, return_inverse=True)
        support, queries = support.astype(np.float64), queries.astype(np.float64)
        found = self._assigned(*self._centred(support, known, queries, len(present)), len(present))
        shares = np.maximum(found, np.finfo(np.float64).tiny)
        scores = np.full((len(queries), n_way), _LEAST)
        scores[:, present] = np.log(shares / shares.sum(axis=1, keepdims=True))
        return scores

    def _assigned(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        """How much each query belongs to each class.

        Args:
            support: (n_support, d) float64 of length 1. classes: (n_support,) integers in [0, n_way), each there.
            queries: (n_query, d), at least one.

        Returns:
            (n_query, n_way) probabilities.
        """
        raise NotImplementedError

    def _centred(
        self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Support, classes and queries, without their centre where that is wanted."""
        means = cast(np.ndarray, class_means(support, classes, n_way))
        if self.centre == "none" or n_way == 1 or (self.centre == "auto" and not _in_a_cone(means)):
            return support, classes, queries
        centre = (means.mean(axis=0) + queries.mean(axis=0)) / 2
        return unit(support - centre), classes, unit(queries - centre)


def _in_a_cone(means: np.ndarray) -> bool:
    cosines = unit(means) @ unit(means).T
    return bool(cosines[~np.eye(len(means), dtype=bool)].mean() > _CONE)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, float64; zero rows stay zero."""
    return normalized(vectors).astype(np.float64)


def means_with_queries(support: np.ndarray, classes: np.ndarray, queries: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The means (n_way, d) of classes to which support texts belong wholly, and queries by shares (n_query, n_way)."""
    owned = np.eye(shares.shape[1])[classes]
    weights = owned.sum(axis=0) + shares.sum(axis=0)
    return (owned.T @ support + shares.T @ queries) / weights[:, None]


def softmax(logits: np.ndarray) -> np.ndarray:
    """(n, n_way) probabilities."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def require_above_0(**values: float) -> None:
    """Refuse arguments that are not numbers above 0.

    Raises:
        UsageError: naming the first one.
    """
    for name, value in values.items():
        if not (isinstance(value, int | float) and 0 < value < float("inf")):
            raise UsageError(f"{name}={value}: a number above 0 is expected")


def require_counts(**values: int) -> None:
    """Refuse arguments that are not whole numbers from 0 on.

    Raises:
        UsageError: naming the first one.
    """
    for name, value in values.items():
        if not (isinstance(value, int) and value >= 0):
            raise UsageError(f"{name}={value}: a whole number from 0 on is expected")
