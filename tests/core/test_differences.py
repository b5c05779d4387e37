from __future__ import annotations

import pytest

from fewshot.core.differences import differences


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "  a.b: 1 -> 2"),
        ({"a": 1}, {}, "  a: 1 -> absent"),
        ({}, {"a": "x"}, '  a: absent -> "x"'),
        ({"a": {}}, {"a": {"b": 1}}, "  a: {} -> absent\n  a.b: absent -> 1"),
        ({}, {"a": 1, "b": 1, "c": 1}, "  a: absent -> 1\n  and 2 more"),
    ],
    ids=["equal", "nested", "gone", "new", "filled", "many"],
)
def test_one_line_per_difference(before: dict, after: dict, expected: str) -> None:
    assert differences(before, after, shown=1 if len(after) > 1 else 12) == expected
