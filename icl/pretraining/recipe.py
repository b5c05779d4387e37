"""The recipe: one file that says everything about a model, from its texts to its tests."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fewshot.core.errors import TaskError
from fewshot.core.hashing import digest
from fewshot.core.strict_yaml import parse_yaml, validated
from fewshot.training.schedule import Schedule
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import Mixture
from icl.metatrain.words import TestWords, WordKind
from icl.pretraining.model import Size

MaterialKind = Literal["variants", "ratings", "tasks"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceRecipe(_Strict):
    """A data set that is trained on.

    Attributes:
        path: file below the data folder, or the name of a task card.
        licence, source: as the model card prints them.
        held_out: classes kept for testing, which are left out.
    """

    path: str
    licence: str
    source: str
    held_out: tuple[str, ...] = ()


class StageRecipe(_Strict):
    """One step of the curriculum.

    Attributes:
        materials: how often each is drawn, in whole numbers.
        words: how often each kind of label words is drawn.
        examples, way: of a sequence, at most.
        shortest: share of the texts, shortest first, that is drawn from.
        minutes: how long it may take on the machine at hand; the steps that fit are counted once and then fixed.
        steps: used instead of minutes where given; 0 trains nothing.
        deepen: whether the model is first given two more layers, see `deepened`.
        goal: share of right answers in training at which the stage is over.
    """

    name: str
    materials: Mapping[MaterialKind, int]
    words: Mapping[WordKind, float]
    templates: tuple[str, ...] = ("classify", "minimal", "named")
    examples: int = 16
    way: int = 2
    instruction: float = 0.5
    shortest: float = 1.0
    minutes: float = 10
    steps: int | None = None
    batch: int = 32
    max_tokens: int = 8192
    max_length: int = 512
    lr: float = 1e-3
    warmup: int = 50
    schedule: Schedule = "cosine"
    text_weight: float = 0.05
    text_every: int = 1
    precision: str = "auto"
    weight_decay: float = 0.1
    evaluations: int = 10
    goal: float | None = None
    deepen: bool = False

    def optimization(self, steps: int, seed: int) -> Optimization:
        """How the stage is trained. Every stage goes on from the weights that the one before ended with."""
        return Optimization(
            steps=steps,
            batch=self.batch,
            max_tokens=self.max_tokens,
            lr=self.lr,
            warmup=self.warmup,
            schedule=self.schedule,
            weight_decay=self.weight_decay,
            text_weight=self.text_weight,
            precision=self.precision,
            eval_every=max(1, steps // self.evaluations),
            goal=self.goal,
            keep="last",
            seed=seed,
        )

    def mixture(self) -> Mixture:
        """What the stage's sequences are like."""
        return Mixture(self.words, self.templates, self.way, self.examples, self.instruction)


class TestRecipe(_Strict):
    """What the finished model is tested on.

    Attributes:
        tasks: tasks and the way of their episodes. No text of them is trained on.
        shots, words, calibrate: every combination is tested.
        others: tasks that have nothing to do with what is trained on, tested with `other_shot` texts per class.
        baselines: learners tested on the same episodes.
    """

    tasks: Mapping[str, int]
    others: Mapping[str, int] = {}
    other_shot: int = 5
    shots: tuple[int, ...] = (1, 2, 4, 5, 8)
    words: tuple[TestWords, ...] = ("canonical", "swapped", "letters")
    calibrate: tuple[str, ...] = ("none",)
    baselines: tuple[str, ...] = ("tfidf",)
    episodes: int = 100
    query: int = 10

    @property
    def cells(self) -> list[tuple[str, int, int, tuple[TestWords, ...]]]:
        """Task, way, shot and words of everything that is tested; other tasks with their own words alone."""
        swept = [(name, way, shot, self.words) for name, way in self.tasks.items() for shot in self.shots]
        return [*swept, *((name, way, self.other_shot, self.words[:1]) for name, way in self.others.items())]


class Recipe(_Strict):
    """Everything that decides what a model becomes.

    Attributes:
        excluded: tasks of which no text is trained on, beside those of the test.
        valid_one_in: one review in this many is kept for validation.
        valid_episodes: of reviews that are not trained on, watched during training.
    """

    name: str
    languages: tuple[str, ...]
    licence: str
    seed: int = 0
    size: Size = Size()
    sources: Mapping[str, SourceRecipe]
    excluded: tuple[str, ...] = ()
    valid_one_in: int = Field(default=200, ge=2)
    valid_episodes: int = Field(default=20, ge=1)
    stages: tuple[StageRecipe, ...]
    test: TestRecipe

    @property
    def fingerprint(self) -> str:
        """Hash of the recipe."""
        return digest(self.model_dump(mode="json"))


def read_recipe(path: Path | None = None) -> Recipe:
    """Read a recipe; None reads that of the model that is embedded.

    Raises:
        TaskError: naming file and line.
    """
    if path is None:
        text, origin = (resources.files("icl.pretraining") / "ko-mini.yaml").read_text("utf-8"), "ko-mini.yaml"
    else:
        try:
            text, origin = path.read_text("utf-8"), str(path)
        except OSError as error:
            raise TaskError(f"{path}: cannot read the recipe: {error.strerror}") from error
    document = parse_yaml(text, origin)
    return validated(Recipe, document, document.data)
