"""Nearest class mean in the space of a frozen encoder: prototypical networks without training.

Snell, Swersky and Zemel, NeurIPS 2017, arXiv 1703.05175, eq. 1 and 2. A problem with n_way classes and k shots becomes
(n_way, d) means; a query scores -|q - mean|^2 / temperature. Vectors have length 1.

Trap: with one shot "euclidean" and "cosine" decide alike, since all vectors are as long; with more, a mean is the
shorter the less its class agrees, and only "cosine" forgives that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.base import TensorLearner, stacked_log_probabilities
from evals.learner import Context
from evals.types import Problem

if TYPE_CHECKING:
    import numpy as np

    from classic.functional.distances import Distance


@dataclass(eq=False, kw_only=True)
class Prototypes(TensorLearner):
    """The class whose mean support vector is nearest.

    Attributes:
        distance: "euclidean" (squared) or "cosine".
        temperature: scores are divided by it; it moves probabilities, not decisions.
    """

    name = "prototypes"
    distance: Distance = "cosine"
    temperature: float = 0.1

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        from classic.functional.executors import build_executor
        from classic.functional.protonet import ProtoNet
        from classic.networks.mlp import Identity

        table = self._table_for(ctx)
        table.indices([problems[0].support[0].text])
        algorithm = ProtoNet(Identity(table.width), self.distance, self.temperature)
        return stacked_log_probabilities(build_executor("vmap"), algorithm, {}, problems, table)
