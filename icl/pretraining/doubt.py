"""Ratings that the words of their reviews contradict.

Somebody who rates a film for a friend, or takes 1 for the best, teaches a small model nothing, and the gradient of such
a review is the largest of all. What is unlikely to a classifier that never saw it is left out, after the idea of
confident learning (Northcutt et al., JAIR 2021, arXiv 1911.00068); one threshold serves both sides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fewshot.core.errors import UsageError
from icl.pretraining.materials import Corpus, Sides

_PIECES, _BUCKETS = (1, 4), 2**21
#: Reviews of a side that can be told from the other half of them.
_FEWEST = 20


def confidence(sides: Sides) -> tuple[np.ndarray, np.ndarray]:
    """How likely each review is on its own side.

    A linear classifier of pieces of words tells, which was fitted to the other half of the reviews.

    Returns:
        (n_praise,) and (n_blame,) probabilities.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline

    counts: dict[str, Any] = {"alternate_sign": False, "norm": None}
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=_PIECES, n_features=_BUCKETS, **counts)
    options: dict[str, Any] = {"tol": None, "max_iter": 4, "average": True, "class_weight": "balanced"}
    classifier = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0, **options)
    model = make_pipeline(pieces, TfidfTransformer(sublinear_tf=True), classifier)
    n_praise, n_blame = len(sides.praise.texts), len(sides.blame.texts)
    if min(n_praise, n_blame) < _FEWEST:
        raise UsageError(
            f"{n_praise} reviews that praise and {n_blame} that blame are too few to tell which are credible: "
            f"{_FEWEST} of each are needed; set credible to 0"
        )
    is_praise = np.repeat([1, 0], [n_praise, n_blame])
    halves = StratifiedKFold(2, shuffle=True, random_state=0)
    texts = [*sides.praise.texts, *sides.blame.texts]
    praise = np.asarray(cross_val_predict(model, texts, is_praise, cv=halves, method="predict_proba"))[:, 1]
    return praise[:n_praise], 1 - praise[n_praise:]


def credible(sides: Sides, found: tuple[np.ndarray, np.ndarray], least: float) -> Sides:
    """The reviews whose own side has at least this probability."""
    kept = [
        Corpus(tuple(text for text, p in zip(side.texts, likely, strict=True) if p >= least), side.language)
        for side, likely in zip((sides.praise, sides.blame), found, strict=True)
    ]
    return Sides(kept[0], kept[1])
