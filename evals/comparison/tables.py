"""What a comparison holds in memory: learners side by side on the same episodes, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.balance import EQUAL, in_words
from evals.stats import Design
from evals.types import Status, Usage

#: Class splits and seeds are a factor of their own from this many on: of fewer, an interval could say next to nothing.
MIN_GROUPS = 3

#: Codes of `Outcome.status` are positions in here.
STATUSES = tuple(Status)
UNANSWERED = -1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One series of episodes: a task's class split and a seed, at one way and shot."""

    class_split: str | None
    seed: int
    n_episodes: int
    manifest_sha256: str


@dataclass(frozen=True)
class Source:
    """Where the answers of a learner to a cell are stored."""

    folder: Path
    learner: str


@dataclass(frozen=True)
class Outcome:
    """One learner's answers to all episodes of a table. Arrays are (n_observations,), one entry per query.

    Attributes:
        learner: its name in the comparison.
        described: what decides its results, as it was stored; differs between cells where it was trained for each.
        score: the kind's primary metric, 0 to 1; NaN where the learner has not answered.
        decision: index into `Table.labels`, or -1.
        confidence: probability that the learner gave its decision, or NaN where it gave none.
        status: index into STATUSES, or UNANSWERED.
        counts: (n_observations, 3) items of a text found, found wrongly and missed, where the kind counts them.
        scores: per observation, n_way probabilities are summed up in `confidence`; nothing else is kept of them.
        seconds: wall clock, training and preparation included. usage: by phase, all cells together.
        until_ci: the half-width in points at which it was to stop early, or None.
        sources: per cell, where the answers are stored.
    """

    learner: str
    described: Mapping[str, Any]
    baseline: bool
    transductive: bool
    score: Floats
    decision: Ints
    confidence: Floats
    status: Ints
    counts: Floats
    seconds: float
    usage: Mapping[str, Usage]
    until_ci: float | None
    sources: Mapping[int, Source]

    @property
    def usd(self) -> float | None:
        """Money spent, or None if unknown."""
        return sum(self.usage.values(), Usage()).usd

    @cached_property
    def answered(self) -> NDArray[np.bool_]:
        """(n_observations,) where there is an answer, be it a failure."""
        return self.status != UNANSWERED


@dataclass(frozen=True)
class Table:
    """Learners on the same episodes: one task, way and shot; class splits and seeds are its cells.

    Attributes:
        data: fingerprint of the task's rows.
        labels: every label name that occurs, sorted.
        chance: mean of the primary metric of a blind guess, or None.
        problem_ids, pairings: (n_episodes,) hashes; a pairing is equal for the same episode at another shot.
        cell: (n_episodes,) index into `cells`.
        episode: (n_observations,) index of the episode: the support draw.
        text: (n_observations,) index of the query text; equal texts have equal indices, be they asked or shown.
        shown_episode, shown: (n_shown,) an episode, and the index of a text that it shows.
        text_ids, text_class: (n_texts,) row of every text, and the index of its class in `labels`, or -1.
        gold: (n_observations,) index into `labels`, or -1 for kinds without labels.
        pooled: the figure that is told over all items together, by its heading, or None.
        notes: what was left out when runs were joined.
        query_balance: how the queries of an episode are spread over its classes.
    """

    task: str
    data: str
    language: str
    kind: str
    metric: str
    part: str
    way: int
    shot: int
    query: int
    cells: tuple[Cell, ...]
    labels: tuple[str, ...]
    chance: float | None
    problem_ids: tuple[str, ...]
    pairings: tuple[str, ...]
    cell: Ints
    episode: Ints
    text: Ints
    shown_episode: Ints
    shown: Ints
    text_ids: tuple[str, ...]
    text_class: Ints
    gold: Ints
    outcomes: tuple[Outcome, ...]
    pooled: str | None = None
    notes: tuple[str, ...] = ()
    query_balance: str = EQUAL

    @property
    def n_episodes(self) -> int:
        return len(self.problem_ids)

    @property
    def uneven(self) -> str:
        """What to say of uneven queries after their number."""
        return in_words(self.query_balance)

    @property
    def n_texts(self) -> int:
        """How many distinct query texts there are."""
        return len(np.unique(self.text))

    @cached_property
    def group(self) -> Ints:
        """(n_observations,) the cell (class split and seed) of every observation."""
        return self.cell[self.episode]

    @cached_property
    def design(self) -> Design:
        """Which texts each episode shows and asks. Cells count as groups from `MIN_GROUPS` on."""
        groups = self.cell if len(self.cells) >= MIN_GROUPS else None
        return Design(self.episode, self.text, self.shown_episode, self.shown, self.text_class, groups)

    def outcome(self, learner: str) -> Outcome:
        """The outcome of the learner with this name."""
        return next(outcome for outcome in self.outcomes if outcome.learner == learner)

    def episode_counts(self, outcome: Outcome) -> Floats:
        """(n, 3) items found, found wrongly and missed in each of the n episodes that were answered."""
        totals = np.zeros((self.n_episodes, 3))
        np.add.at(totals, self.episode[outcome.answered], outcome.counts[outcome.answered])
        return totals[np.unique(self.episode[outcome.answered])]

    def episode_means(self, outcome: Outcome) -> Floats:
        """(n_episodes,) mean score of every episode; NaN where it was not answered."""
        counts = np.bincount(self.episode, minlength=self.n_episodes)
        return np.bincount(self.episode, outcome.score, self.n_episodes) / np.maximum(counts, 1)
