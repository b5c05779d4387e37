"""A small separable world: texts whose vectors a network can learn to tell apart, in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evals.episode import EpisodeSampler
from evals.learner import Context
from evals.metatrain import Shape, TrainingData, training_data
from evals.task import Task
from evals.types import Example, Label, TaskInfo
from fewshot.core.seeds import random_state
from fewshot.encoders.prototypes import normalized

CLASSES = [f"c{at}" for at in range(12)]
SPLIT = {"01": {"train": CLASSES[:6], "valid": CLASSES[6:9], "test": CLASSES[9:]}}


def toy_task(per_class: int = 20, *, split: bool = True, name: str = "toy") -> Task:
    """12 classes; a text names its class among words that say nothing."""
    rows = tuple(
        Example(f"{label}-{at}", f"{label} {label}x {name} number {at} and word{at % 7}", label)
        for label in CLASSES
        for at in range(per_class)
    )
    labels = tuple(Label(label, label) for label in CLASSES)
    return Task(TaskInfo(name, "en", "classification"), labels, {"all": rows}, SPLIT if split else {})


class ToyEncoder:
    """A direction per class, drowned in noise that lives in columns of its own: prototypes are mediocre, and a network
    that learns which columns to trust is not."""

    name = "toy"
    expensive = False

    def __init__(self, width: int = 24, noise: float = 1.5, faulty: str = "") -> None:
        self.width = width
        self.noise = noise
        self.faulty = faulty

    @property
    def fingerprint(self) -> str:
        return f"toy-{self.width}-{self.noise}"

    def describe(self) -> dict[str, Any]:
        return {"name": self.name, "noise": self.noise}

    def fit(self, texts: Sequence[str]) -> ToyEncoder:
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        half = self.width // 2
        vectors = np.zeros((len(texts), self.width), np.float32)
        for at, text in enumerate(texts):
            vectors[at, :half] = random_state("class", text.split()[0]).randn(half)
            vectors[at, :half] += 0.3 * random_state("within", text).randn(half)
            vectors[at, half:] = self.noise * random_state("noise", text).randn(self.width - half)
        vectors = normalized(vectors)
        if self.faulty:
            vectors[[at for at, text in enumerate(texts) if self.faulty in text]] = np.nan
        return vectors


def data(task: Task | None = None, *, way: int = 3, shot: int = 2, query: int = 5) -> TrainingData:
    shape = Shape(way, shot, query)
    return training_data(shape, shape, tested=task or toy_task(), class_split="01")


def sampler(task: Task | None = None, *, way: int = 3, shot: int = 2, query: int = 5) -> EpisodeSampler:
    return EpisodeSampler(task or toy_task(), way, shot, query, 0, "01", "test")


def context(messages: list[str] | None = None) -> Context:
    return Context(device="cpu", notify=(messages if messages is not None else []).append)


def accuracy(learner: Any, episodes: EpisodeSampler, count: int = 20) -> float:
    """Share of right answers."""
    drawn = {episode.id: episode for episode in episodes.take(count)}
    right = total = 0
    for prediction in learner.predict([episode.problem for episode in drawn.values()], context()):
        gold = drawn[prediction.problem_id].gold
        right += sum(answer.decision == label for answer, label in zip(prediction.answers, gold, strict=True))
        total += len(gold)
    assert total == sum(len(episode.gold) for episode in drawn.values())
    return right / total


def fitted(learner: Any, folder: Path | None = None, task: Task | None = None) -> Any:
    """The learner, meta-trained on the toy task."""
    known = data(task)
    learner.meta_fit(known.train, known.valid, context(), folder)
    return learner
