"""A scikit-learn text classifier as a learner."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from evals.content import whole_text
from evals.learner import BaseLearner, Context, failure, require_kind
from evals.types import Answer, Label, Problem, Status
from fewshot.core.errors import is_fault_of_machine
from fewshot.core.seeds import seed_of

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class SklearnLearner(BaseLearner):
    """A scikit-learn text classifier as a learner: cloned and fitted anew on the support of every problem.

    Its own failures become answers with status `error`. Steps with `random_state=None` are seeded per problem.

    Args:
        pipeline: an estimator with `fit(texts, labels)` and `predict(texts)`; `predict_proba`, where it has one,
            gives the scores.
    """

    name = "sklearn"
    kinds = ("classification",)
    extra = "local"

    def __init__(self, pipeline: Any) -> None:
        self.pipeline = pipeline

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Fit on the support, then label the queries.

        Raises:
            UsageError: the problem is not a classification.
        """
        require_kind(problem, "classification", self.name)
        try:
            return self._fit_and_answer(problem, seed_of(ctx.seed, problem.id, self.name) % 2**32)
        except Exception as error:  # foreign code fails in its own ways; the failure is the answer
            if is_fault_of_machine(error):
                raise
            return failure(problem, Status.ERROR, f"{type(error).__name__}: {error}").answers

    def _fit_and_answer(self, problem: Problem, seed: int) -> list[Answer]:
        from sklearn.base import clone

        estimator: Any = clone(self.pipeline)
        _seed(estimator, seed)
        estimator.fit(
            [whole_text(example) for example in problem.support], [example.label for example in problem.support]
        )
        texts = [whole_text(query) for query in problem.queries]
        decisions = [str(decision) for decision in estimator.predict(texts)]
        if not hasattr(estimator, "predict_proba"):
            return [Answer(decision) for decision in decisions]
        scores = _log_probabilities(estimator.predict_proba(texts), estimator.classes_, problem.labels)
        return [
            Answer(decision, scores=tuple(row), score_kind="logprob")
            for decision, row in zip(decisions, scores.tolist(), strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """Name, version of scikit-learn and every parameter of the pipeline, as text."""
        import sklearn

        params = {key: _ADDRESS.sub("", repr(value)) for key, value in self.pipeline.get_params(deep=True).items()}
        return {
            "name": self.name,
            "estimator": type(self.pipeline).__name__,
            "params": params,
            "scikit-learn": sklearn.__version__,
        }


def _seed(estimator: Any, seed: int) -> None:
    """Seed every step that would else draw from the global random state."""
    unseeded = [
        key
        for key, value in estimator.get_params(deep=True).items()
        if key.rpartition("__")[2] == "random_state" and value is None
    ]
    estimator.set_params(**dict.fromkeys(unseeded, seed))


def _log_probabilities(probabilities: np.ndarray, classes: Sequence[str], labels: Sequence[Label]) -> np.ndarray:
    """(n, n_way) log-probabilities in the order of `labels`, kept finite by a floor on the probabilities."""
    column = {name: at for at, name in enumerate(classes)}
    ordered = np.zeros((len(probabilities), len(labels)))
    for at, label in enumerate(labels):
        if label.name in column:
            ordered[:, at] = probabilities[:, column[label.name]]
    return np.log(np.maximum(ordered, np.finfo(np.float64).eps))
