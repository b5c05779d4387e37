"""One BIO tag per token (named entities, slots): N-way K~2K-shot episodes over entity types, F1 of whole entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from evals import metrics
from evals.kinds.base import Draw, Pools, Scored
from evals.kinds.sampling import choose_names, draw_covering, require_covering
from evals.types import Answer, Example, Gold, Label, Problem, Status
from fewshot.core.seeds import Lots

#: (type, index of the first token, index after the last token)
Span = tuple[str, int, int]


class Tagging:
    """Episodes of `way` entity types, each with at least `shot` entities in the support and `query` in the queries.

    The gold is one tag per token: "O", "B-TYPE" or "I-TYPE". In an episode, entities of other types become "O".
    """

    name = "tagging"
    metric = "span_f1"
    pooled = "entity_f1"
    shown = MappingProxyType(
        {"entity-F1": "entity_f1", "precision": "entity_precision", "recall": "entity_recall", "macro-F1": "macro_f1"}
    )

    def names(self, gold: Gold) -> tuple[str, ...]:
        """The types of the entities."""
        return tuple(dict.fromkeys(kind for kind, _, _ in spans(gold)))

    def read_gold(self, row: Mapping[str, Any], column: str) -> Gold:
        """A list of tags, or one text with spaces between them, as long as the row's `tokens`."""
        value = row.get(column)
        if not value:
            raise ValueError(f"column {column!r} is {'missing' if column not in row else 'empty'}")
        tags = tuple(value.split()) if isinstance(value, str) else tuple(map(str, value))
        tokens = row.get("tokens")
        if not isinstance(tokens, list) or len(tokens) != len(tags):
            raise ValueError(f"column 'tokens' must be a list of {len(tags)} tokens, one for every tag in {column!r}")
        for before, tag in zip(("O", *tags), tags, strict=False):
            if not is_tag(tag):
                raise ValueError(f"column {column!r} holds {tag!r}: tags are O, B-TYPE and I-TYPE")
            if tag.startswith("I-") and before[2:] != tag[2:]:
                raise ValueError(f"column {column!r} holds {tag!r} after {before!r}: an entity begins with B-")
        return tags

    def require(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
        """Enough types, and texts with every type even if all queries of an episode carry it."""
        require_covering(pools, labels, way, shot, query)

    def draw(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int, lots: Lots) -> Draw:
        """Draw types, then texts until each type has occurred often enough."""
        chosen = choose_names(labels, way, lots)
        support, queries = draw_covering(pools, chosen, shot, query, lots, _occurrences)
        wanted = set(chosen)
        return Draw(chosen, _reduced(support, wanted), _reduced(queries, wanted))

    def check(self, decision: Gold, problem: Problem, query: int) -> bool:
        """A tuple of tags of the problem's types, one for each token of the query."""
        known = {label.name for label in problem.labels}
        tokens = problem.queries[query].fields["tokens"]
        return (
            isinstance(decision, tuple)
            and len(decision) == len(tokens)
            and all(is_tag(tag) and (tag == "O" or tag[2:] in known) for tag in decision)
        )

    def score(self, answer: Answer, gold: Gold) -> float:
        """F1 of the entities of one text, type and both ends right; 1 where there is none and none was found."""
        if answer.status is not Status.OK or answer.decision is None:
            return 0.0
        return metrics.set_f1(set(spans(gold)), set(spans(answer.decision)))

    def count(self, answer: Answer, gold: Gold) -> metrics.Counts:
        """The entities of one text, type and both ends right."""
        return metrics.Counts.of(set(spans(gold)), _found(answer))

    def metrics(self, episodes: Sequence[Scored]) -> dict[str, Any]:
        """Precision, recall and F1 of entities, pooled over all episodes as by seqeval, and recall per type."""
        pairs = [
            (set(spans(gold)), _found(answer))
            for episode in episodes
            for gold, answer in zip(episode.gold, episode.answers, strict=True)
        ]
        counts = metrics.count_by_name(pairs, lambda span: span[0])
        together = sum(counts.values(), metrics.Counts())
        return {
            "entity_f1": together.f1,
            "entity_precision": together.precision,
            "entity_recall": together.recall,
            "macro_f1": metrics.mean(count.f1 for count in counts.values()),
            "recall": {name: count.recall for name, count in counts.items() if count.recall is not None},
        }

    def chance(self, problem: Problem) -> float | None:
        """None: a blind guess would have to know how long entities are."""
        return None


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities in a sequence of BIO tags.

    An I- tag that continues no entity of its type begins one, as in the CoNLL-2000 evaluation.
    """
    found: list[Span] = []
    open_type, start = "", 0
    for at, tag in enumerate((*tags, "O")):
        continues = tag.startswith("I-") and tag[2:] == open_type
        if open_type and not continues:
            found.append((open_type, start, at))
            open_type = ""
        if tag != "O" and not continues:
            open_type, start = tag[2:], at
    return found


def _found(answer: Answer) -> set[Span]:
    return set(spans(answer.decision or ())) if answer.status is Status.OK else set()


def is_tag(tag: str) -> bool:
    """Whether it is O, B-TYPE or I-TYPE."""
    return tag == "O" or (tag[:2] in ("B-", "I-") and len(tag) > 2)


def _occurrences(row: Example) -> Counter[str]:
    return Counter(kind for kind, _, _ in spans(row.label or ()))


def _reduced(rows: Sequence[Example], wanted: set[str]) -> tuple[Example, ...]:
    return tuple(
        replace(row, label=tuple(tag if tag[2:] in wanted else "O" for tag in row.label or ())) for row in rows
    )
