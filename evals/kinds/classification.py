"""One label per text: N-way K-shot episodes, accuracy, macro-F1, recall per class, log loss, calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from shlex import quote
from types import MappingProxyType
from typing import Any

from evals import metrics
from evals.kinds.base import Draw, Pools, Scored, label_text
from evals.kinds.sampling import choose_names, front_and_back, require_rows, require_way
from evals.types import Answer, Gold, Label, Problem, Status
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.seeds import Lots


class Classification:
    """Episodes of `way` classes; `shot` support and `query` query texts of each."""

    name = "classification"
    metric = "accuracy"
    shown = MappingProxyType({"macro-F1": "macro_f1"})

    def names(self, gold: Gold) -> tuple[str, ...]:
        """The label itself."""
        assert isinstance(gold, str)
        return (gold,)

    def read_gold(self, row: Mapping[str, Any], column: str) -> Gold:
        """The label column as a string; 0, "no" and "NA" are labels like any other."""
        value = row.get(column)
        if value is None or value == "":
            raise ValueError(f"column {column!r} is {'missing' if column not in row else 'empty'}")
        if isinstance(value, (list, dict)):
            raise ValueError(f"column {column!r} holds {str(value)[:60]}: one label per row is expected")
        return label_text(value, column)

    def require(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
        """Enough classes, and enough texts of every class."""
        if len(labels) < 2:
            raise TaskError(f"{len(labels)} class at hand: there is nothing to choose from, at least 2 are needed")
        if way < 2:
            raise UsageError(f"--way {way} leaves nothing to choose from; use --way 2 or more")
        require_way(labels, way)
        for label in labels:
            require_rows(pools, label.name, shot, query, otherwise=_way_out(label.name, len(labels)))

    def draw(self, pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int, lots: Lots) -> Draw:
        """Draw classes, then per class the support from the front and the queries from the back of a permutation."""
        chosen = choose_names(labels, way, lots)
        per_class = [front_and_back(pools, name, shot, query, lots) for name in chosen]
        support = tuple(rows[0][k] for k in range(shot) for rows in per_class)
        queries = tuple(row for rows in per_class for row in rows[1])
        return Draw(chosen, support, queries)

    def check(self, decision: Gold, problem: Problem, query: int) -> bool:
        """The decision is the name of one of the problem's labels."""
        return any(decision == label.name for label in problem.labels)

    def score(self, answer: Answer, gold: Gold) -> float:
        """1 for the right label, else 0."""
        return float(answer.status is Status.OK and answer.decision == gold)

    def metrics(self, episodes: Sequence[Scored]) -> dict[str, Any]:
        """Macro-F1 (mean over episodes), recall per class, and, where scores exist, log loss and calibration error."""
        return {
            "macro_f1": metrics.mean([metrics.macro_f1(e.labels, e.gold, e.answers) for e in episodes]),
            "recall": metrics.recall_per_class(episodes),
            "log_loss": metrics.log_loss(episodes),
            "calibration_error": metrics.calibration_error(episodes),
            "constant_predictor": metrics.constant_predictor(episodes),
        }

    def chance(self, problem: Problem) -> float | None:
        """1 / way."""
        return 1.0 / len(problem.labels)


def _way_out(name: str, n_classes: int) -> str:
    """What can be done about a class with too few texts, if two others are left without it."""
    return "label more texts" + (f", or leave the class out: --drop {quote(name)}" if n_classes > 2 else "")
