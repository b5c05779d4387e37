"""Nearest class mean in the space of a frozen encoder: prototypical networks without training.

Snell, Swersky and Zemel, NeurIPS 2017, arXiv 1703.05175, eq. 1 and 2. A problem with n_way classes and k shots becomes
(n_way, d) means; a query scores -|q - mean|^2 / temperature. Vectors have length 1.

Vectors of some encoders lie in a narrow cone: two texts on whatever topic have a cosine of .8 by E5, of .1 to .3 by
MiniLM. Wang et al., arXiv 1911.04623 (SimpleShot), take its centre away: that of the training classes ("base"), or,
where there are none, that of the support. What the latter gained on validation classes and training rows is in
docs/languages.md.

Trap: with one shot "euclidean" and "cosine" decide alike, since all vectors are as long; with more, a mean is the
shorter the less its class agrees, and only "cosine" forgives that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np

from classic.functional.distances import require_metric
from classic.learners.base import FrozenLearner
from classic.training.inputs import CONE
from evals.learner import Background, Context
from evals.types import Problem
from fewshot.core.errors import UsageError, unknown_name
from fewshot.encoders.prototypes import class_means, cosine_logits, euclidean_logits, log_softmax, normalized

if TYPE_CHECKING:
    from classic.functional.distances import Distance

Centre = Literal["auto", "support", "base", "none"]


@dataclass(eq=False, kw_only=True)
class Prototypes(FrozenLearner):
    """The class whose mean support vector is nearest.

    Attributes:
        distance: "euclidean" (squared) or "cosine".
        temperature: scores are divided by it; it moves probabilities, not decisions.
        centre: "support" takes the mean of the class means from all vectors, where there are more texts than classes:
            one text per class says too little of where it lies. "base" takes away the mean of the texts of the training
            classes. "none" leaves vectors as they are. "auto" is "support" where vectors lie in a narrow cone, else
            "none".
    """

    name = "prototypes"
    distance: Distance = "cosine"
    temperature: float = 0.1
    centre: Centre = "auto"
    _base: np.ndarray | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_metric(self.distance, self.temperature)
        # A spec reads `centre=none` as no value.
        self.centre = cast("Centre", self.centre or "none")
        if self.centre not in get_args(Centre):
            raise unknown_name("value of centre:", self.centre, get_args(Centre))

    def prepare(self, background: Background, ctx: Context) -> None:
        """Keep the texts of the training classes; their mean is computed anew."""
        super().prepare(background, ctx)
        self._base = None

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        if self.centre == "base" and self._base is None:
            self._base = self._mean_of_background(ctx)
        return super()._log_probabilities(problems, ctx)

    def _mean_of_background(self, ctx: Context) -> np.ndarray:
        """(d,) mean vector of the texts of the training classes."""
        if not self._background:
            raise UsageError(
                f"{self.name} with centre=base takes away the mean of the texts of training classes, and there are "
                "none: use a task with class splits, or prototypes:centre=support"
            )
        table = self._table_for(ctx)
        table.add(self._background)
        return table.vectors(self._background).mean(axis=0)

    def _solve(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        means = cast(np.ndarray, class_means(support, classes, n_way))
        if self._centred(means, classes):
            centre = means.mean(axis=0) if self._base is None else self._base
            if len(centre) != support.shape[1]:
                raise UsageError(f"{self.name} with centre=base is for single texts, and these are pairs of texts")
            support, queries = normalized(support - centre), normalized(queries - centre)
            means = cast(np.ndarray, class_means(support, classes, n_way))
        if self.distance == "euclidean":
            return log_softmax(euclidean_logits(queries, means), self.temperature)
        # Folding changes lengths.
        return log_softmax(cosine_logits(normalized(queries), means), self.temperature)

    def _centred(self, means: np.ndarray, classes: np.ndarray) -> bool:
        """Whether the centre is taken away. To a class without texts all others would seem far once it is gone."""
        if self.centre == "base":
            return True
        n_way = len(means)
        if self.centre == "none" or not len(classes) > n_way == len(np.unique(classes)) > 1:
            return False
        # The product of two class means is the mean cosine between their texts.
        return self.centre == "support" or (means @ means.T)[~np.eye(n_way, dtype=bool)].mean() > CONE
