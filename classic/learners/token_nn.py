"""Named entities by the nearest tokens of the support.

NNShot: Yang and Katiyar 2020, "Simple and effective few-shot named entity recognition with structured nearest neighbor
learning", EMNLP, with a sentence encoder as it is published. Neighbours of one type are one entity, so that two that
touch are never told apart. On klue-ner (6-way 5-shot, e5-small, 6 episodes) entity F1 is .145 with 3 neighbours, .115
with one and .064 with class means, where the most frequent tag of each token gives .034: little, but more than nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from classic.learners.by_language import LearnerByLanguage
from evals.content import TOKENS
from evals.learner import Context, failure, require_kind
from evals.tagged import places_of
from evals.types import Answer, Example, Problem, Query, Status
from fewshot.core.devices import resolve_device

#: Texts of one forward pass.
_BATCH = 16
_OUTSIDE = "O"


@dataclass(eq=False, kw_only=True)
class TokenNeighbours(LearnerByLanguage):
    """Tags a token with the most frequent type among the support tokens that are most similar to it.

    Attributes:
        k: how many of those count; of equally frequent types, that of the most similar token is taken.
        encoder: "minilm", "e5-small", a directory, or an id on the Hugging Face hub; "auto" goes by the language.
        max_length: pieces per text; what is behind them belongs to no entity.
    """

    name = "token-nn"
    kinds = ("tagging",)
    extra = "local"
    k: int = 3
    max_length: int = 256
    _loaded: tuple[Any, Any] | None = field(default=None, init=False, repr=False)

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Compare every token of the queries with those of the support."""
        require_kind(problem, "tagging", self.name)
        if not problem.support:
            return failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers
        vectors = list(self._vectors([*problem.support, *problem.queries], ctx))
        shown, asked = vectors[: len(problem.support)], vectors[len(problem.support) :]
        types = np.array([tag[2:] or _OUTSIDE for row in problem.support for tag in row.label or ()])
        known = np.concatenate(shown)
        there = np.isfinite(known).all(axis=1)
        if not there.any():
            return failure(problem, Status.ERROR, f"{self.name} finds no token in the support").answers
        centre = known[there].mean(axis=0)
        tokens = _unit(known[there] - centre)
        return [Answer(_tags([*self._nearest(found - centre, tokens, types[there])])) for found in asked]

    def _nearest(self, vectors: np.ndarray, tokens: np.ndarray, types: np.ndarray) -> Iterator[str | None]:
        """The type of each token; None where it has no vector."""
        for vector, cosines in zip(vectors, _unit(vectors) @ tokens.T, strict=True):
            nearest = np.argsort(-cosines, kind="stable")[: self.k]
            yield Counter(types[nearest].tolist()).most_common(1)[0][0] if np.isfinite(vector).all() else None

    def _vectors(self, rows: Sequence[Example | Query], ctx: Context) -> Iterator[np.ndarray]:
        """Per row, (n_tokens, d): the mean of the pieces that a token touches; NaN where it touches none."""
        waiting = iter(rows)
        while chunk := list(islice(waiting, _BATCH)):
            for row, (offsets, states) in zip(chunk, self._pieces([row.text for row in chunk], ctx), strict=True):
                tokens = row.fields[TOKENS]
                found = np.full((len(tokens), states.shape[1]), np.nan, np.float32)
                for at, (start, end) in enumerate(places_of(row.text, tokens) or []):
                    touched = (offsets[:, 0] < end) & (start < offsets[:, 1])
                    if touched.any() and not tokens[at].isspace():
                        found[at] = states[touched].mean(axis=0)
                yield found

    def _pieces(self, texts: Sequence[str], ctx: Context) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Per text, (n, 2) characters and (n, d) last hidden states of its pieces."""
        import torch

        tokenizer, model = self._models(resolve_device(ctx.device))
        options = {"padding": True, "truncation": True, "max_length": self.max_length}
        batch = tokenizer(list(texts), **options, return_offsets_mapping=True, return_tensors="pt")
        offsets = batch.pop("offset_mapping").numpy()
        device = next(model.parameters()).device
        with torch.inference_mode():
            states = model(**{name: value.to(device) for name, value in batch.items()}).last_hidden_state
        for places, hidden in zip(offsets, states.float().cpu().numpy(), strict=True):
            kept = places[:, 1] > places[:, 0]  # neither padding nor marks
            yield places[kept], hidden[kept]

    def _models(self, device: str) -> tuple[Any, Any]:
        import torch

        from classic.networks.hub import transformer
        from fewshot.core.pretrained import load_encoder, load_tokenizer

        if self._loaded is None:
            folder = transformer(self.encoder).folder
            self._loaded = load_tokenizer(folder), load_encoder(folder, dtype=torch.float32).eval().to(device)
        return self._loaded


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _tags(types: Sequence[str | None]) -> tuple[str, ...]:
    """BIO tags; a blank belongs to the entity on both of its sides."""
    whole = [
        found or (types[at - 1] if 0 < at < len(types) - 1 and types[at - 1] == types[at + 1] else None) or _OUTSIDE
        for at, found in enumerate(types)
    ]
    before = [_OUTSIDE, *whole]
    return tuple(
        name if name == _OUTSIDE else f"{'I' if last == name else 'B'}-{name}"
        for last, name in zip(before, whole, strict=False)
    )
