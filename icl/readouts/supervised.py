"""Supervised calibration: the labels' scores, corrected by what is known of the support texts that are not shown.

After "Boosting In-Context Learning in LLMs Through the Lens of Classical Supervised Learning" (2025, arXiv 2505.23783):
every label's log-probability gets a scale and an offset of its own, fitted on labelled texts that are read under the
prompt of the queries, and kept near those that change nothing. The paper fits on prompts that leave some of the support
out in turn; here one prompt shows one text per class, and all other texts are fitted on. With one text per class there
are none, and nothing is corrected.

Cost: that of `labels` with one demonstration per class, and every other support text once, with every label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax

from fewshot.core.errors import UsageError
from icl.readouts.base import Asking, OnePrompt, Read, classes_of, decided, not_asked, one_prompt
from icl.readouts.scores import label_scores


@dataclass(frozen=True)
class Supervised(OnePrompt):
    """An affine map of calibrated label scores, fitted on the support texts that are not shown.

    Args:
        strength: how much the map is held at the identity: half of it times the squared distance from scale 1 and
            offset 0 is added to the summed cross-entropy in nats. The default was good on validation classes at every
            number of texts, from 2 per class on.
    """

    name = "supervised"
    use: ClassVar[str] = "fits on support texts"
    about_prompt: ClassVar[str] = (
        "readout 'supervised' has the labels scored after the same prompt for every support text, too"
    )

    strength: float = 0.3

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise UsageError(f"readout 'supervised': strength={self.strength} is not above 0")

    def read(self, asking: Asking) -> Read:
        (plan,), problem, n = asking.plans, asking.problem, len(asking.problem.queries)
        if not asking.scorer.gives_scores:
            raise UsageError("readout 'supervised' corrects scores, and written answers have none; use 'labels'")
        scores, usage, notes = label_scores(asking, plan)
        shown = {example.id for example in one_prompt(problem).support}
        held_out = np.array([example.id not in shown for example in problem.support])
        held_out &= np.isfinite(scores[n:]).all(axis=1)
        scale, offset = affine_map(scores[n:][held_out], classes_of(problem)[held_out], self.strength)
        answers = [
            not_asked(query) if query.prompt is None else decided(problem.labels, scale * row + offset)
            for query, row in zip(plan.queries[:n], scores, strict=False)
        ]
        return Read(tuple(answers), usage, notes=notes)


def affine_map(scores: np.ndarray, classes: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of every label, (n_way,) each: the minimum of a convex function, so there is one.

    Args:
        scores: (n, n_way) log-probabilities; n may be 0.
        classes: (n,) integers in [0, n_way).
        strength: of the pull towards scale 1 and offset 0.
    """
    from scipy.optimize import minimize

    n, n_way = scores.shape
    identity = np.concatenate([np.ones(n_way), np.zeros(n_way)])
    gold = np.eye(n_way)[classes]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        said = log_softmax(values[:n_way] * scores + values[n_way:], axis=1)
        wrong = np.exp(said) - gold
        away = values - identity
        slope = np.concatenate([(wrong * scores).sum(axis=0), wrong.sum(axis=0)])
        return strength / 2 * float(away @ away) - float((gold * said).sum()), slope + strength * away

    found = minimize(loss, identity, jac=True, method="L-BFGS-B").x if n else identity
    return found[:n_way], found[n_way:]
