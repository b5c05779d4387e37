"""Any number of labels per text: balanced N-way K~2K-shot episodes, example-based, micro- and macro-F1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from evals import metrics
from evals.kinds.base import Draw, Pools, Scored, label_text
from evals.kinds.sampling import choose_names, draw_covering, require_covering
from evals.types import Answer, Example, Gold, Label, Problem, Status
from fewshot.core.seeds import Lots

#: What stands between labels where nothing else is said.
SEPARATORS = ("|", ";")


class MultiLabel:
    """Episodes of `way` classes, each holding for at least `shot` support and `query` query texts.

    The gold is the sorted tuple of the names that hold. In an episode it is reduced to the episode's classes.
    """

    name = "multilabel"
    metric = "example_f1"
    pooled = "micro_f1"
    shown = MappingProxyType({"micro-F1": "micro_f1", "macro-F1": "macro_f1"})

    def names(self, gold: Gold) -> tuple[str, ...]:
        """All labels that hold."""
        return tuple(gold)

    def read_gold(self, row: Mapping[str, Any], column: str) -> Gold:
        """A list of labels, or one text with `|` or `;` between them; of an empty list, or `|` alone, none holds."""
        value = row.get(column)
        if value is None:
            raise ValueError(f"column {column!r} is {'missing' if column not in row else 'empty'}")
        if isinstance(value, str):
            value = split_labels(value, column)
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"column {column!r} holds {value!r}: a list of labels is expected")
        return tuple(sorted({label_text(name, column) for name in value}))

    def require(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
        """Enough classes, and texts of every class even if all queries of an episode carry it."""
        require_covering(pools, labels, way, shot, query)

    def draw(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int, lots: Lots) -> Draw:
        """Draw classes, then texts until each class has occurred often enough."""
        chosen = choose_names(labels, way, lots)
        support, queries = draw_covering(pools, chosen, shot, query, lots, _occurrences)
        wanted = set(chosen)
        return Draw(chosen, _reduced(support, wanted), _reduced(queries, wanted))

    def check(self, decision: Gold, problem: Problem, query: int) -> bool:
        """A sorted tuple of names of the problem's labels, each once; it may be empty."""
        known = {label.name for label in problem.labels}
        return isinstance(decision, tuple) and known.issuperset(decision) and decision == tuple(sorted(set(decision)))

    def score(self, answer: Answer, gold: Gold) -> float:
        """F1 of the set of labels; 1 where none holds and none was given."""
        if answer.status is not Status.OK or answer.decision is None:
            return 0.0
        return metrics.set_f1(set(gold), set(answer.decision))

    def count(self, answer: Answer, gold: Gold) -> metrics.Counts:
        """The labels of one text."""
        return metrics.Counts.of(set(gold), _given(answer))

    def metrics(self, episodes: Sequence[Scored]) -> dict[str, Any]:
        """Micro- and macro-F1 and recall per class, all episodes pooled. An answer that is not ok gives no label."""
        pairs = [
            (set(gold), _given(answer))
            for episode in episodes
            for gold, answer in zip(episode.gold, episode.answers, strict=True)
        ]
        counts = metrics.count_by_name(pairs, str)
        return {
            "micro_f1": sum(counts.values(), metrics.Counts()).f1,
            "macro_f1": metrics.mean(count.f1 for count in counts.values()),
            "recall": {name: count.recall for name, count in counts.items() if count.recall is not None},
        }

    def chance(self, problem: Problem) -> float | None:
        """None: a blind guess depends on how many labels hold, which the labels alone do not tell."""
        return None


def _given(answer: Answer) -> set[str]:
    return set(answer.decision or ()) if answer.status is Status.OK else set()


def split_labels(value: str, column: str, separator: str | None = None) -> list[str]:
    """The labels of one cell.

    Args:
        separator: what stands between them; None takes `|` or `;`, whichever is there.

    Raises:
        ValueError: an empty cell; both signs in one, of which one may belong to a label.
    """
    if not value.strip():
        raise ValueError(f"column {column!r} is empty; where no label holds, write {separator or SEPARATORS[0]} alone")
    found = [sign for sign in SEPARATORS if sign in value]
    if separator is None and len(found) > 1:
        raise ValueError(
            f"column {column!r} holds {value!r}: {' and '.join(found)} could both stand between labels; "
            "name the one that does with --separator, or `separator` in the card's source"
        )
    if separator == "":
        raise ValueError("nothing separates labels: --separator is empty")
    between = separator or (found[0] if found else SEPARATORS[0])
    return [name.strip() for name in value.split(between) if name.strip()]


def _occurrences(row: Example) -> dict[str, int]:
    return dict.fromkeys(row.label or (), 1)


def _reduced(rows: Sequence[Example], wanted: set[str]) -> tuple[Example, ...]:
    return tuple(replace(row, label=tuple(name for name in row.label or () if name in wanted)) for row in rows)
