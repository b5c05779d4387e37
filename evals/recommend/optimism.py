"""How much too good the best of several learners looks on the very splits that chose it.

Tsamardinos, Greasidou and Borboudakis 2018, "Bootstrapping the out-of-sample predictions for efficient and accurate
cross-validation" (BBC-CV). Rows are drawn with replacement; the best learner is chosen on those drawn, and looked at on
those that were not. To look at the best of every single split (Tibshirani and Tibshirani 2009) takes off too much
where one learner is clearly better: splits of small data ask a handful of texts, on which some other one has luck.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewshot.core.seeds import random_state

_RESAMPLES = 1000


def selection_optimism(right: NDArray[np.float64], *, seed: object = 0) -> float:
    """By how much the accuracy of the best column is expected to exceed that of a learner chosen like it on new rows.

    Args:
        right: (n_rows, n_learners) share of a row's answers that are right, none of them by a learner that was shown
            the row. The first of equally good learners is chosen.
        seed: JSON value.

    Returns:
        A difference of accuracies, 0 or more; exactly 0 where every draw chooses the same learner.
    """
    n_rows, n_learners = right.shape
    if n_learners < 2 or n_rows < 2:
        return 0.0
    drawn = random_state("selection optimism", seed).multinomial(n_rows, np.full(n_rows, 1 / n_rows), _RESAMPLES)
    kept_out = drawn == 0
    chosen = np.argmax(np.round(drawn @ right, 9), axis=1)
    best = int(np.argmax(np.round(right.sum(axis=0), 9)))
    seen = kept_out.any(axis=1)
    elsewhere = (kept_out[seen] @ right) / kept_out[seen].sum(axis=1, keepdims=True)
    # The difference to the best learner on the same rows, not the mean alone: most of the noise of a draw cancels.
    lost = elsewhere[:, best] - elsewhere[np.arange(len(elsewhere)), chosen[seen]]
    return max(0.0, float(lost.mean())) if lost.size else 0.0
