"""A linear classifier as a teacher: what the words of a review say, beside what its author rated.

A rating is one vote, and often the wrong one: somebody rates for a friend, or takes 1 for the best. What a classifier
says of a review that it was not fitted to is a vote of all the others. It says how sure it is, too, and so teaches more
with every review than a side alone does (Hinton et al. 2015, arXiv 1503.02531). Reviews with ratings between praise and
blame can be learned from as well: it has an opinion about each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fewshot.core.errors import UsageError
from ko_mini.materials import Corpus, Sides

_PIECES, _BUCKETS = (1, 4), 2**21
#: Parts of the reviews; each is judged by a classifier that was fitted to the others.
_FOLDS = 4


@dataclass(frozen=True)
class Predictions:
    """Probability that reviews are praise.

    Attributes:
        praise, blame: (n,) of those rated so, by a classifier that did not see them.
        between: (n,) of those rated neither, by one that was fitted to all that are rated so.
    """

    praise: np.ndarray
    blame: np.ndarray
    between: np.ndarray


def teacher_predictions(sides: Sides, between: Corpus) -> Predictions:
    """What a linear classifier of pieces of words says, to which both sides count the same.

    Args:
        between: reviews that are on neither side.

    Raises:
        UsageError: a side has fewer reviews than there are parts.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    n_praise, n_blame = len(sides.praise.texts), len(sides.blame.texts)
    if min(n_praise, n_blame) < _FOLDS:
        raise UsageError(
            f"{n_praise} reviews that praise and {n_blame} that blame are too few for a teacher: "
            f"{_FOLDS} of each are needed; set distilled to 0"
        )
    is_praise = np.repeat([1, 0], [n_praise, n_blame])
    parts = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    texts = [*sides.praise.texts, *sides.blame.texts]
    rated = np.asarray(cross_val_predict(_classifier(), texts, is_praise, cv=parts, method="predict_proba"))[:, 1]
    unrated = np.zeros(0)
    if between.texts:
        unrated = _classifier().fit(texts, is_praise).predict_proba(between.texts)[:, 1]
    return Predictions(rated[:n_praise], rated[n_praise:], unrated)


def soft_targets(sides: Sides, between: Corpus, found: Predictions, share: float) -> Sides:
    """All reviews by side, and how certain each is of its own.

    Args:
        share: of the target of a rated review that is the teacher's; the rest is its author's. A review that was rated
            neither way is on the side where the teacher puts it, with the teacher's certainty.
    """
    praised = found.between >= 0.5
    certainty: dict[str, float] = {}
    corpora = []
    for side, likely, others, also in (
        (sides.praise, found.praise, praised, found.between),
        (sides.blame, 1 - found.blame, ~praised, 1 - found.between),
    ):
        added = [between.texts[at] for at in np.flatnonzero(others).tolist()]
        corpora.append(Corpus((*side.texts, *added), side.language))
        certainty |= dict(zip(side.texts, (1 - share + share * likely).tolist(), strict=True))
        certainty |= dict(zip(added, also[others].tolist(), strict=True))
    return Sides(corpora[0], corpora[1], certainty)


def _classifier() -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    counts: dict[str, Any] = {"alternate_sign": False, "norm": None}
    pieces = HashingVectorizer(analyzer="char_wb", ngram_range=_PIECES, n_features=_BUCKETS, **counts)
    options: dict[str, Any] = {"tol": None, "max_iter": 4, "average": True, "class_weight": "balanced"}
    classifier = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=0, **options)
    return make_pipeline(pieces, TfidfTransformer(sublinear_tf=True), classifier)
