"""kNN prompting: the labels of those support texts of which the model says alike.

Xu et al., ICLR 2023, "kNN Prompting: Beyond-Context Learning with Calibration-Free Nearest Neighbor Inference"
(arXiv 2303.13824). Every support text is read under the prompt of the queries; what is compared is the distribution
over the labels (the paper compares over the whole vocabulary), by the Kullback-Leibler divergence.

Cost: the demonstrations, every support text and every query once, each with every label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from evals.types import Answer
from fewshot.core.errors import UsageError
from icl.readouts.base import Asking, OnePrompt, Read, classes_of, decided, not_asked, one_prompt


@dataclass(frozen=True)
class KNNPrompting(OnePrompt):
    """A vote of the support texts whose label distributions are nearest to that of the query.

    Texts that are shown in the prompt do not vote, unless nothing else is there: the model has seen their labels.

    Args:
        k: how many vote. Ties go to the class of the nearest.
    """

    name = "knn-prompting"
    use: ClassVar[str] = "lets support texts vote"
    about_prompt: ClassVar[str] = (
        "readout 'knn-prompting' has the labels scored after the same prompt for every support text, too"
    )

    k: int = 3

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"readout 'knn-prompting': k={self.k} is below 1")

    def read(self, asking: Asking) -> Read:
        (plan,), problem, n = asking.plans, asking.problem, len(asking.problem.queries)
        if not asking.scorer.gives_scores:
            raise UsageError("readout 'knn-prompting' compares scores, and written answers have none; use 'labels'")
        prompts = [query.prompt for query in plan.queries if query.prompt is not None]
        found = asking.scorer.read(asking.model, prompts, plan.choices)
        readings = iter(found.readings)
        read = [None if query.prompt is None else next(readings) for query in plan.queries]
        missing = (np.nan,) * len(problem.labels)
        said = log_softmax([reading.raw or missing if reading else missing for reading in read], axis=-1)
        shown = {example.id for example in one_prompt(problem).support}
        votes = np.array([example.id not in shown for example in problem.support]) & np.isfinite(said[n:]).all(axis=1)
        votes = votes if votes.any() else np.isfinite(said[n:]).all(axis=1)
        anchors, classes = said[n:][votes], classes_of(problem)[votes]
        answers: list[Answer] = []
        for query, reading, row in zip(plan.queries[:n], read, said, strict=False):
            if reading is None:
                answers.append(not_asked(query))
            elif reading.raw is None:
                answers.append(Answer(None, reading.status, detail=reading.detail))
            else:
                answers.append(decided(problem.labels, self._votes(row, anchors, classes)))
        return Read(tuple(answers), found.usage, notes=found.notes)

    def _votes(self, query: np.ndarray, anchors: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """(n_way,) logarithms of one vote per neighbour and one that the classes share, the nearest's counting more.

        Args:
            query: (n_way,) log-probabilities. anchors: (n_anchors, n_way). classes: (n_anchors,).
        """
        divergence = (np.exp(query) * (query - anchors)).sum(axis=1)
        near = np.argsort(divergence, kind="stable")[: self.k]
        counts = np.bincount(classes[near], minlength=len(query)).astype(np.float64)
        counts[classes[near[0]]] += 0.5
        return np.log(counts + 1 / len(query))
