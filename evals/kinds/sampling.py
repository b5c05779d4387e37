"""Sampling rules that several kinds share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evals.kinds.base import Pool, Pools
from evals.types import Example, Label
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.seeds import Lots


def choose_names(labels: Sequence[Label], way: int, lots: Lots) -> tuple[str, ...]:
    """The names of `way` classes in random order."""
    return tuple(labels[at].name for at in lots.ends(len(labels), way, 0)[0])


def require_way(labels: Sequence[Label], way: int) -> None:
    """Refuse more classes per episode than there are."""
    if way > len(labels):
        raise UsageError(
            f"--way {way} is larger than the {len(labels)} classes at hand; use --way {len(labels)} or less"
        )


def require_rows(
    pools: Pools, name: str, support: int, query: int, *, least: int = 1, otherwise: str = "label more texts"
) -> None:
    """Refuse a class (or, with the name "", a task without classes) that has too few texts.

    Args:
        support: support texts that an episode may need. query: query texts that it may need.
        least: query texts that it may need at the lowest --query.
        otherwise: what can be done where lower options do not help.
    """
    whose = f"class {name!r} has" if name else "the task has"
    n_support, n_query = (len(pool.by_label.get(name, ())) for pool in (pools.support, pools.query))
    if pools.shared and n_support < support + query:
        missing = f"{n_support} usable texts, but an episode may need {support} to show and {query} to ask"
        options, helps = "--shot or --query", n_support >= min(support, 1) + least
    elif n_support < support:
        missing = f"{n_support} texts to show, but an episode needs {support}"
        options, helps = "--shot", n_support > 0
    elif n_query < query:
        missing = f"{n_query} texts to ask, but an episode needs {query}"
        options, helps = "--query", n_query >= least
    else:
        return
    raise TaskError(f"{whose} {missing}; {f'lower {options}' if helps else otherwise}")


def require_covering(pools: Pools, labels: Sequence[Label], way: int, shot: int, query: int) -> None:
    """Refuse what `draw_covering` might not fill: each class needs texts even if all queries of an episode carry it."""
    require_way(labels, way)
    least = way if pools.shared else 1
    otherwise = "label more texts, or lower --way" if least > 1 else "label more texts"
    for label in labels:
        require_rows(pools, label.name, shot, least * query, least=least, otherwise=otherwise)


def front_and_back(pools: Pools, name: str, shot: int, query: int, lots: Lots) -> tuple[list[Example], list[Example]]:
    """`shot` support and `query` query texts of one class.

    Support comes from the front of a permutation and queries from its back, so that neither moves the other.
    """
    support_rows = pools.support.by_label.get(name, ())
    query_rows = pools.query.by_label.get(name, ())
    if pools.shared:
        front, back = lots.ends(len(support_rows), shot, query)
    else:
        front, back = lots.ends(len(support_rows), shot, 0)[0], lots.ends(len(query_rows), 0, query)[1]
    return [support_rows[at] for at in front], [query_rows[at] for at in back]


def draw_covering(
    pools: Pools,
    names: Sequence[str],
    shot: int,
    query: int,
    lots: Lots,
    occurrences: Callable[[Example], Mapping[str, int]],
) -> tuple[list[Example], list[Example]]:
    """Support and queries for texts that carry several classes, each class occurring at least `shot` (`query`) times.

    Queries are drawn first and support goes around them, so the queries do not depend on the shot.
    """
    queries = cover(_shuffled(pools.query, names, lots), query, occurrences)
    asked = {row.id for row in queries}
    unasked = {
        name: [row for row in rows if row.id not in asked]
        for name, rows in _shuffled(pools.support, names, lots).items()
    }
    return cover(unasked, shot, occurrences), queries


def cover(
    candidates: Mapping[str, Sequence[Example]], times: int, occurrences: Callable[[Example], Mapping[str, int]]
) -> list[Example]:
    """Greedy N-way K~2K-shot sampling in rounds, so that the rows of fewer rounds are the beginning of those of more.

    After round k every class has occurred at least k times and, where the data allow it, at most 2k times.
    Ding et al. 2021, "Few-NERD: A Few-shot Named Entity Recognition Dataset", section 4.

    Args:
        candidates: for each class, rows that carry it, in the order in which to try them: `times` of them or more.
            The classes with the fewest rows choose first.
        occurrences: how often each class occurs in a row.
    """
    chosen: dict[str, Example] = {}
    seen: Counter[str] = Counter()
    rarest_first = sorted(candidates, key=lambda name: len(candidates[name]))
    for round_ in range(1, times + 1):
        for name in rarest_first:
            if seen[name] >= round_:
                continue
            unused = [row for row in candidates[name] if row.id not in chosen]
            row = next((row for row in unused if _fits(occurrences(row), candidates, seen, 2 * round_)), unused[0])
            chosen[row.id] = row
            seen.update(occurrences(row))
    return list(chosen.values())


def _fits(found: Mapping[str, int], names: Mapping[str, Any], seen: Counter[str], at_most: int) -> bool:
    return all(seen[name] + times <= at_most for name, times in found.items() if name in names)


def _shuffled(pool: Pool, names: Sequence[str], lots: Lots) -> dict[str, list[Example]]:
    rows = {name: pool.by_label.get(name, ()) for name in names}
    return {name: [group[at] for at in lots.order(len(group))] for name, group in rows.items()}
