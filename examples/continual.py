"""Classes that arrive one session after another: what a registry of prototypes keeps of the old ones.

Every session brings six new classes, two examples each, and two more of every class that is there. A prototype stays as
it began ("none"), becomes the exact mean of all its examples, or moves by an exponential moving average. In one world
classes stay what they are: texts of `intents-en`. In the other they drift: vectors whose classes walk to where the next
class began.

    python examples/continual.py             # sentence vectors by the embedded encoder minilm
    python examples/continual.py lexical     # words and their pieces, without a model

Forgetting is that of Chaudhry et al. (ECCV 2018): the best accuracy that a class had, less its last, averaged over all
classes but those of the last session. Prototypes do not overwrite each other: what is lost is lost to new classes
nearby, and to drift. The mean forgets least where classes stay, and the moving average where they do not.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewshot import PrototypeRegistry, load_task

SESSIONS, NEW, SHOT, ASKED = 5, 6, 2, 10
#: Rule and rate of each update; None for no update.
RULES: dict[str, tuple[Any, float] | None] = {"none": None, "mean": ("mean", 1), "ema": ("ema", 0.5)}


@dataclass(frozen=True)
class World:
    """Examples of a class and its queries, by session and class number, and what embeds them."""

    encoder: str
    examples: Callable[[int, int], Any]
    queries: Callable[[int, int], Any]


def staying(encoder: str) -> World:
    """20 texts of each class: half of them are asked, the others come two by two."""
    task = load_task("intents-en")
    texts = [[row.text for row in task.rows["all"] if row.label == label.name] for label in task.labels]
    return World(encoder, lambda s, c: texts[c][ASKED + SHOT * s :][:SHOT], lambda s, c: texts[c][:ASKED])


def drifting(encoder: str, seed: int = 0, dimensions: int = 32) -> World:
    """Every class walks to where the next one began: what was learned of it becomes wrong."""
    random = np.random.default_rng(seed)
    places = 2 * random.normal(size=(SESSIONS * NEW + 1, dimensions))

    def drawn(session: int, number: int, n: int) -> np.ndarray:
        way = np.pi / 2 * session / (SESSIONS - 1)
        centre = np.cos(way) * places[number] + np.sin(way) * places[number + 1]
        return centre + random.normal(size=(n, dimensions))

    return World(encoder, lambda s, c: drawn(s, c, SHOT), lambda s, c: drawn(s, c, ASKED))


def accuracies(world: World, update: tuple[Any, float] | None) -> np.ndarray:
    """(sessions, classes) accuracy of each class after each session; NaN before it came."""
    found = np.full((SESSIONS, SESSIONS * NEW), np.nan)
    with (
        tempfile.TemporaryDirectory() as folder,
        PrototypeRegistry.create(Path(folder) / "registry.sqlite", world.encoder) as registry,
    ):
        for session in range(SESSIONS):
            old, known = session * NEW, (session + 1) * NEW
            registry.add({str(c): world.examples(session, c) for c in range(old, known)})
            if update is not None and old:
                registry.update({str(c): world.examples(session, c) for c in range(old)}, *update)
            for c in range(known):
                answers = registry.query(world.queries(session, c), k=1)
                found[session, c] = np.mean([answer.label == str(c) for answer in answers])
    return found


def forgetting(found: np.ndarray) -> float:
    """How far accuracy fell from its best, over the classes that had time to be forgotten."""
    old = found[:, :-NEW]
    return float(np.mean(np.nanmax(old, axis=0) - old[-1]))


def main(encoder: str = "minilm") -> dict[tuple[str, str], np.ndarray]:
    """Print a table per world. Returns the accuracies by world and update."""
    found = {}
    for make in (staying, drifting):
        print(f"\nclasses {make.__name__}\nupdate   on the first six classes, after each session   on all   forgetting")
        for name, update in RULES.items():
            after = found[make.__name__, name] = accuracies(make(encoder), update)
            first = "  ".join(f"{value:.3f}" for value in after[:, :NEW].mean(axis=1))
            print(f"{name:8} {first:45}  {after[-1].mean():.3f}   {forgetting(after):.3f}")
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
