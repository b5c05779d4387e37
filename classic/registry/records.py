"""What a registry tells: its classes, what was found for a query, what was done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Class:
    """A registered class: of how many items it was made, and when it last changed (UTC)."""

    name: str
    items: int
    updated: str


@dataclass(frozen=True, slots=True)
class Match:
    """A class and its cosine similarity to a query, in [-1, 1]."""

    name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for one query.

    Attributes:
        label: the nearest class; None where it is below the threshold, or the query holds nothing to be read.
        nearest: the nearest classes, best first, whatever the threshold; none where there was nothing to be read.
    """

    label: str | None
    nearest: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the history.

    Attributes:
        at: UTC. verb: "add", "update", "merge" or "remove". items: that came, or went.
        detail: the rule of an update, the classes that were merged.
    """

    at: str
    verb: str
    name: str
    items: int
    detail: str
