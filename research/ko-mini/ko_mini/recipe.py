"""The recipe: one file that says everything about a model, from its texts to its tests."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fewshot.core.errors import FewshotError, TaskError
from fewshot.core.hashing import digest
from fewshot.core.strict_yaml import parse_yaml, validated
from fewshot.training.schedule import Schedule
from icl.metatrain.options import Optimization
from icl.metatrain.sequences import Mixture
from icl.metatrain.words import TestWords, WordKind
from icl.template import Template
from ko_mini.model import Size

#: The source that holds reviews with ratings, and that of reviews written for this training. Others are labelled tasks.
REVIEWS, WRITTEN = "reviews", "written"
MaterialKind = Literal["variants", "ratings", "written", "tasks"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceRecipe(_Strict):
    """A data set that is trained on.

    Attributes:
        path: file below the data folder, file of this package, or the name of a task card.
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
        distilled: share of a film review's target that a linear classifier says; the rest is its rating. Above 0,
            reviews rated between praise and blame are used too, with the classifier's target alone.
        joined: share of the written reviews, of which there are few, that are shown two at a time.
        blank: share of rated texts in whose place stands one without content.
        minutes: how long it may take on the machine at hand; the steps that fit are counted once and then fixed.
        steps: used instead of minutes where given; 0 trains nothing.
        deepen: whether the model is first given two more layers, see `deepened`.
        goal: share of right answers in training at which the stage is over. Right is the side that a text is drawn
            from, however uncertain: its rating, or the teacher's for reviews rated between praise and blame.
    """

    name: str
    materials: Mapping[MaterialKind, Annotated[int, Field(ge=1)]] = Field(min_length=1)
    words: Mapping[WordKind, float]
    templates: tuple[str, ...] = ("classify", "minimal", "named")
    examples: int = Field(default=16, ge=1)
    way: int = Field(default=2, ge=2)
    instruction: float = Field(default=0.5, ge=0, le=1)
    shortest: float = Field(default=1.0, gt=0, le=1)
    distilled: float = Field(default=0.0, ge=0, le=1)
    joined: float = Field(default=0.0, ge=0, le=1)
    blank: float = Field(default=0.0, ge=0, lt=1)
    minutes: float = Field(default=10, gt=0)
    steps: int | None = Field(default=None, ge=0)
    batch: int = Field(default=32, ge=2, multiple_of=2)
    max_tokens: int = 8192
    max_length: int = Field(default=512, ge=1)
    lr: float = Field(default=1e-3, gt=0)
    warmup: int = 50
    schedule: Schedule = "cosine"
    text_weight: float = Field(default=0.05, ge=0)
    text_every: int = Field(default=1, ge=1)
    precision: str = "auto"
    weight_decay: float = 0.1
    evaluations: int = Field(default=10, ge=1)
    goal: float | None = None
    deepen: bool = False

    @model_validator(mode="after")
    def _can_be_trained(self) -> Self:
        if self.distilled and "ratings" not in self.materials:
            raise ValueError("distilled is for ratings, and the stage draws none")
        if self.joined and "written" not in self.materials:
            raise ValueError("joined is for written reviews, and the stage draws none")
        try:
            self.optimization(max(1, self.steps or 0), 0)
            self.mixture()
            for template in self.templates:
                Template.load(template)
        except FewshotError as error:
            raise ValueError(str(error)) from error
        return self

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


class CardRecipe(_Strict):
    """Paragraphs of the model card: what the model is for, how it was trained, where its texts come from."""

    about: str = ""
    training: str = ""
    data: str = ""


class Recipe(_Strict):
    """Everything that decides what a model becomes.

    Attributes:
        card: what the model card says beside its figures.
        excluded: tasks of which no text is trained on, beside those of the test.
        valid_one_in: one review in this many is kept for validation.
        valid_episodes: of reviews that are not trained on, watched during training.
    """

    name: str
    languages: tuple[str, ...]
    licence: str
    card: CardRecipe = CardRecipe()
    seed: int = 0
    size: Size = Size()
    sources: Mapping[str, SourceRecipe]
    excluded: tuple[str, ...] = ()
    valid_one_in: int = Field(default=200, ge=2)
    valid_episodes: int = Field(default=20, ge=1)
    stages: tuple[StageRecipe, ...] = Field(min_length=1)
    test: TestRecipe

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if REVIEWS not in self.sources:
            raise ValueError(
                f"no source is called {REVIEWS!r}: validation, at least, needs texts with ratings from 1 to 10"
            )
        drawn = {kind for stage in self.stages for kind in stage.materials}
        if "written" in drawn and WRITTEN not in self.sources:
            raise ValueError(f"a stage draws from written reviews, and no source is called {WRITTEN!r}")
        if "tasks" in drawn and not self.sources.keys() - {REVIEWS, WRITTEN}:
            raise ValueError("a stage draws from tasks, and no source is one")
        if len({stage.name for stage in self.stages}) < len(self.stages):
            raise ValueError("two stages have the same name")
        if self.size.heads % 2 and any(stage.deepen for stage in self.stages):
            raise ValueError("a stage deepens the model, which needs an even number of heads")
        return self

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
        text, origin = (resources.files("ko_mini") / "ko-mini.yaml").read_text("utf-8"), "ko-mini.yaml"
    else:
        try:
            text, origin = path.read_text("utf-8"), str(path)
        except OSError as error:
            raise TaskError(f"{path}: cannot read the recipe: {error.strerror}") from error
    document = parse_yaml(text, origin)
    return validated(Recipe, document, document.data)
