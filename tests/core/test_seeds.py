"""Random choices: the same wherever they are made, fair, and none moved by the size of another."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import pytest

from fewshot.core.seeds import Lots


def test_the_stream_is_frozen() -> None:
    """The words of Philox under this key; episodes are made of nothing else."""
    lots = Lots("toy", None, 0)
    assert [lots.order(7), lots.ends(40, 3, 3)] == [[6, 2, 0, 3, 1, 4, 5], ([7, 14, 19], [23, 6, 2])]


@pytest.mark.parametrize(
    ("n", "front", "back"), [(0, 0, 0), (1, 1, 0), (1, 0, 1), (5, 2, 3), (5, 5, 0), (5, 0, 5), (9, 0, 0), (999, 3, 40)]
)
def test_the_ends_are_those_of_the_whole_order(n: int, front: int, back: int) -> None:
    order = Lots("ends", n).order(n)
    assert Lots("ends", n).ends(n, front, back) == (order[:front], order[::-1][:back])


def test_what_is_taken_moves_no_later_choice() -> None:
    few, many = Lots(1), Lots(1)
    few.ends(50, 1, 2)
    many.ends(50, 7, 20)
    assert few.order(10) == many.order(10)


def test_every_order_comes_about_equally_often() -> None:
    """Of 6 orders, drawn 3,000 times: 500 each, with a standard deviation of 20."""
    found = Counter(tuple(Lots("fair", at).order(3)) for at in range(3000))
    assert found.keys() == set(permutations(range(3)))
    assert max(abs(count - 500) for count in found.values()) < 85


def test_other_parts_give_another_stream() -> None:
    assert len({tuple(Lots(*parts).order(20)) for parts in ((0, 1), (1, 0), ("0", 1), (0, 1, None))}) == 4
