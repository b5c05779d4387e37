"""The page of transductive learners: what each does, what it means to use one, and what they were measured at."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fewshot.core.catalog import LEARNERS

_INTRO = """# Transductive learners

They read all queries of a problem together: texts without labels still show where the classes lie. Where one text per
class is labelled, that is worth a lot.

What it costs: **the answer to a text changes with the texts that are asked beside it.** So they are flagged
(`fewshot learners ls`), have a block of their own in every table, are ranked apart, and `fewshot recommend` shows them
but never recommends one. Where their best is better than the winner, the sentences say so.

**New texts.** `fewshot classic predict FILE --support SET -a soft-kmeans` asks the texts of the file in batches of
64, in the order of the file: they are the queries that are read together, and a message says so. Sorted by class, a
file is a row of batches that each hold one class; shuffle it first. Asked one text at a time, a learner has nothing
more to go by than the labelled texts.

**Who knows the balance?** In usual episodes every class is asked equally often, and a learner that is told so gains
from it what nobody will tell it about real texts (Veilleux et al. 2021). No learner here is told, unless you say
`transport:balance=equal`. `--query-balance dirichlet`, of `fewshot compare`, `classic run` and `icl run`, draws the
proportions of the classes for every episode from a Dirichlet distribution: alpha is 2 unless written
`dirichlet:ALPHA`; lower is more uneven, and classes may go unasked. An episode has as many queries as with equal
classes, they do not depend on the shot, and support and classes are those of the equal episode. Where the same rows are
shown and asked, 20 texts of a class, or half where there are fewer than 40, are kept to be shown; what a class lacks is
asked of the others.
"""
_DEFAULTS = """
## How the defaults were chosen

By mean accuracy on validation classes of banking77, hwu64 and liu54 (MiniLM) and on rows of ynat (E5), 5-way 1- and
5-shot, with label names and without, equal classes and Dirichlet(2), 12 to 20 episodes each; differences below a point
are noise. Soft k-means gained 4.1 points over prototypes in the mean, LaplacianShot 4.2, transport 3.9, alpha-TIM 2.8.

Centring on support and queries gained 1 point for LaplacianShot, and up to 5 for soft k-means and transport where
vectors lie in a narrow cone (ynat); elsewhere it gained them nothing, and cost alpha-TIM 0.4. Centring on the mean of
all texts instead cost soft k-means 1.4 points where classes are uneven. Rectified prototypes gained LaplacianShot 0.7.
Between temperatures of 0.03 and 0.07 soft k-means moved by 0.2, and alpha-TIM between 0.07 and 0.2 by 0.1; with alpha
of 1 it was 1 point better on equal classes, and 1 point worse on uneven ones. A stronger balance of transport (0.03)
gained 0.2 on equal classes and cost 0.7 on uneven ones.
"""
_FIGURES = """
## Figures

By `benchmarks/transductive.py`: {episodes} episodes, 5 classes (agnews: 4), 15 queries per class or as many unevenly;
`names=none` is without the names of the labels. Accuracy, and the paired difference from prototypes with as many label
names, in percentage points; both with 95 % intervals over episodes of this pool. `transport:balance=equal` is told,
and shows what that is worth where it is true, and where it is not.
"""


def transductive(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The page.

    Args:
        records: lines of `benchmarks/transductive.py`.
    """
    yield _INTRO
    for name, entry in LEARNERS.entries().items():
        if entry.transductive and LEARNERS.is_builtin(name):
            yield from _described(name, entry.load())
    yield _DEFAULTS
    if records:
        yield _FIGURES.format(episodes=_range(record["episodes"] for record in records))
        yield from _in_short([record for record in records if record["part"] == "test"])
    for part, heading in (("test", "Test classes"), ("choice", "The sets that defaults were chosen by")):
        chosen = [record for record in records if (record["part"] == "test") == (part == "test")]
        if chosen:
            yield f"\n### {heading}\n\n"
            yield "| set | shot | learner | equal | over prototypes | Dirichlet(2) | over prototypes |\n"
            yield "|---|---|---|---|---|---|---|\n"
            yield from _rows(chosen)


def _in_short(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The mean difference from prototypes, over the sets that were measured at every shot and balance."""
    places = list(dict.fromkeys((record["shot"], record["balance"]) for record in records))
    by_set = {r["set"]: {(o["shot"], o["balance"]): o for o in records if o["set"] == r["set"]} for r in records}
    whole = [found for found in by_set.values() if len(found) == len(places)]
    if not whole:
        return
    yield f"\nMean difference from prototypes in points, over {len(whole)} sets of test classes:\n\n"
    yield f"| learner | {' | '.join(f'{shot}-shot, {balance}' for shot, balance in places)} |\n"
    yield f"|---|{'---|' * len(places)}\n"
    for learner in whole[0][places[0]]["over_prototypes"]:
        gains = [[found[place]["over_prototypes"][learner][0] for found in whole] for place in places]
        yield f"| `{learner}` | {' | '.join(f'{100 * sum(each) / len(each):+.1f}' for each in gains)} |\n"


def _described(name: str, learner: type) -> Iterator[str]:
    """What a learner does, and what its module says of paper and traps."""
    does, *_ = (inspect.getdoc(learner) or "").split("\n\n")
    of_file = (sys.modules[learner.__module__].__doc__ or "").strip()
    yield f"\n## {name}\n\n{does}\n\n{of_file}\n"


def _rows(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """One row per set, shot and learner: both balances beside each other."""
    places = dict.fromkeys((record["set"], record["shot"]) for record in records)
    for name, shot in places:
        by_balance = {r["balance"]: r for r in records if (r["set"], r["shot"]) == (name, shot)}
        learners = next(iter(by_balance.values()))["learners"]
        for learner in learners:
            cells = [cell for balance in ("equal", "dirichlet:2") for cell in _cells(by_balance.get(balance), learner)]
            yield f"| {name} | {shot} | `{learner}` | {' | '.join(cells)} |\n"


def _cells(record: Mapping[str, Any] | None, learner: str) -> tuple[str, str]:
    if record is None:
        return "", ""
    mean, low, high = (100 * value for value in record["learners"][learner])
    gain = record["over_prototypes"].get(learner)
    over = "" if gain is None else "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * value + 0.0 for value in gain))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})", over


def _range(numbers: Iterator[int]) -> str:
    found = sorted(set(numbers))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
