"""Every argument that a spec can set is explained, and what is shown of it is what it is."""

from __future__ import annotations

import pytest

from fewshot.core.catalog import FAMILIES, LEARNERS
from fewshot.core.documented import about, arguments

PARTS = [(family, entry) for family, registry in FAMILIES.items() for entry in registry.entries().values()]


def takes(self, one: int = 1, two: str | None = None, three: float = 0.5) -> None:
    """Three things.

    Args:
        one: the first, which takes
            two lines. two: the second.
        three: the third: with a colon.

    Returns:
        four: no argument.
    """


def test_docstrings_are_read_as_they_are_written() -> None:
    assert [tuple(each) for each in arguments(takes)[1:]] == [
        ("one", 1, "the first, which takes two lines."),
        ("two", None, "the second."),
        ("three", 0.5, "the third: with a colon."),
    ]


@pytest.mark.parametrize(("family", "entry"), PARTS, ids=[f"{family} {entry.name}" for family, entry in PARTS])
def test_every_option_is_explained(family: str, entry) -> None:
    part = entry.load()
    assert about(part)
    assert [each.name for each in arguments(part) if not each.about] == []


def test_defaults_are_those_that_are_built() -> None:
    built = LEARNERS.build("relation")
    assert {each.name: each.default for each in arguments(type(built))}["train_way"] == built.train_way == 20
