"""From probabilities over labels to what a model writes: plain or JSON text, its tokens, their log-probabilities."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from icl.fake.brain import judge, read, turns_of
from icl.fake.tokens import tokenize

_ANYTHING_ELSE = {"\n": 0.01}


@dataclass(frozen=True, slots=True)
class Answer:
    """A text and how likely it was.

    Attributes:
        tokens: of the text, cut at the limit that the request sets.
        truncated: whether it was cut.
        alternatives: every text that could have been written -> probability, the most probable first.
    """

    tokens: tuple[str, ...]
    truncated: bool
    alternatives: Mapping[str, float]

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    def logprobs(self, top: int) -> list[dict[str, Any]]:
        """Token by token as OpenAI writes it: the token, its log-probability, and those of the `top` most probable."""
        paths = [(tuple(tokenize(text)), p) for text, p in {**self.alternatives, **_ANYTHING_ELSE}.items()]
        rows = []
        for at, token in enumerate(self.tokens):
            mass: defaultdict[str, float] = defaultdict(float)
            for path, probability in paths:
                if path[:at] == self.tokens[:at] and len(path) > at:
                    mass[path[at]] += probability
            total = sum(mass.values())
            ranked = sorted(mass, key=lambda token: (-mass[token], token))
            rows.append(
                {
                    **_token(token, mass[token] / total),
                    "top_logprobs": [_token(other, mass[other] / total) for other in ranked[:top]],
                }
            )
        return rows


def _token(token: str, probability: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": math.log(probability)}


def answer(body: Mapping[str, Any], schema: Mapping[str, Any] | None = None, limit: int | None = None) -> Answer:
    """What the model writes in reply to a request.

    Args:
        body: the request, of any endpoint.
        schema: JSON schema that the text must fit; the values of its first `enum` are the labels.
        limit: tokens at most.
    """
    labels = _enum(schema) if schema else ()
    probabilities = judge(read(turns_of(body)), labels)
    if schema:
        alternatives = {
            json.dumps(_fill(schema, label), ensure_ascii=False, separators=(",", ":")): p
            for label, p in probabilities.items()
        }
    else:
        alternatives = probabilities
    tokens = tokenize(next(iter(alternatives)))
    kept = tokens if limit is None else tokens[:limit]
    return Answer(tuple(kept), len(kept) < len(tokens), alternatives)


def _enum(schema: Any) -> tuple[str, ...]:
    """The first list of string values anywhere in a schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("enum"), list):
            return tuple(value for value in schema["enum"] if isinstance(value, str))
        schema = list(schema.values())
    if isinstance(schema, list):
        return next(filter(None, map(_enum, schema)), ())
    return ()


def _fill(schema: Mapping[str, Any], label: str) -> Any:
    """A value that fits the schema and says `label` where it can."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return label if label in schema["enum"] else schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: _fill(part, label) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_fill(schema.get("items", {}), label)]
    return {"number": 0.0, "integer": 0, "boolean": True, "null": None}.get(str(kind), label)
