"""Free text as the answer: episodes of `shot` and `query` texts, exact match, chrF, F1 of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from evals import metrics
from evals.chrf import chrf
from evals.kinds.base import Draw, Pools, Scored
from evals.kinds.sampling import front_and_back, require_rows
from evals.types import Answer, Gold, Label, Problem, Status
from fewshot.core.hashing import text_key
from fewshot.core.seeds import Lots


class Generation:
    """Episodes without classes: `shot` support and `query` query texts in all; the way plays no part."""

    name = "generation"
    metric = "exact_match"
    shown = MappingProxyType({"chrF": "chrf", "word-F1": "token_f1"})

    def names(self, gold: Gold) -> tuple[str, ...]:
        """None: there are no labels."""
        return ()

    def read_gold(self, row: Mapping[str, Any], column: str) -> Gold:
        """The expected text."""
        value = row.get(column)
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"column {column!r} holds {value!r}: a text is expected")
        return value

    def require(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
        """Enough texts."""
        require_rows(pools, "", shot, query)

    def draw(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int, lots: Lots) -> Draw:
        """Draw the support from the front and the queries from the back of a permutation."""
        support, queries = front_and_back(pools, "", shot, query, lots)
        return Draw((), tuple(support), tuple(queries))

    def check(self, decision: Gold, problem: Problem, query: int) -> bool:
        """Any text."""
        return isinstance(decision, str)

    def score(self, answer: Answer, gold: Gold) -> float:
        """1 if the texts are the same, case and white space aside, else 0."""
        if answer.status is not Status.OK:
            return 0.0
        return float(text_key(str(answer.decision)) == text_key(str(gold)))

    def metrics(self, episodes: Sequence[Scored]) -> dict[str, Any]:
        """chrF of all texts together and mean F1 of words; an answer that is not ok is an empty text."""
        pairs = [
            (str(gold), str(answer.decision) if answer.status is Status.OK else "")
            for episode in episodes
            for gold, answer in zip(episode.gold, episode.answers, strict=True)
        ]
        return {"chrf": chrf(pairs), "token_f1": metrics.mean(metrics.token_f1(*pair) for pair in pairs)}

    def chance(self, problem: Problem) -> float | None:
        """None: nobody guesses a text."""
        return None
