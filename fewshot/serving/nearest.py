"""The labelled texts that are most like a text: what an answer can be held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evals.language import UNKNOWN, guess_language
from fewshot.core.catalog import ENCODERS
from fewshot.core.embedded import encoder_for
from fewshot.core.spec import Spec, auto_spec, parse_spec

if TYPE_CHECKING:
    from evals.predictor import Predictor


class Near(NamedTuple):
    """A labelled text, and its cosine to the text that is asked about."""

    text: str
    label: str
    similarity: float


class NearestTexts:
    """The support of a predictor in the space of its learner's encoder.

    A learner without one, or with one that it trains, is explained by the embedded encoder for the language: `encoder`
    says which it is.

    Args:
        predictor: whose support is searched.
        device: a torch device name, or "auto".
    """

    def __init__(self, predictor: Predictor, device: str = "auto") -> None:
        from fewshot.encoders import build_encoder

        self._rows = [row for row in predictor.support if isinstance(row.label, str)]
        texts = [row.text for row in self._rows]
        language = predictor.task.language
        language = guess_language(texts) if language == UNKNOWN else language
        self.encoder = str(_encoder(parse_spec(predictor.spec)) or encoder_for(language)[0])
        built = build_encoder(self.encoder, device=device)
        self._encode = built.fit(texts).encode
        self._vectors = self._encode(texts)

    def of(self, texts: Sequence[str], most: int = 5) -> list[list[Near]]:
        """For each text, the most similar labelled texts, the nearest first."""
        if not self._rows:
            return [[] for _ in texts]
        similarities = self._encode(texts) @ self._vectors.T
        dense = similarities if isinstance(similarities, np.ndarray) else similarities.toarray()
        return [
            [
                Near(self._rows[at].text, str(self._rows[at].label), round(float(row[at]), 4))
                for at in np.argsort(-row)[:most]
            ]
            for row in dense
        ]


def _encoder(spec: Spec) -> Spec | None:
    """The frozen encoder that a learner, or a part of it, names."""
    for name, value in spec.params.items():
        if name == "encoder" and isinstance(value, str | Spec):
            found = parse_spec(value)
            return found if ENCODERS.knows(found) and auto_spec(found) is None else None
        if isinstance(value, Spec) and (within := _encoder(value)) is not None:
            return within
    return None
