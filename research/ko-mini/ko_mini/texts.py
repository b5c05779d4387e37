"""Which texts the model is trained on: read, cleaned, without anything that it will be tested on."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

from evals.loading import load_task
from evals.task import Task
from evals.types import Example
from fewshot.core.errors import TaskError
from fewshot.core.hashing import digest, text_key
from fewshot.core.seeds import seed_of
from ko_mini.materials import POLARITY, SENTIMENT, Corpus, Labelled, Sides
from ko_mini.recipe import REVIEWS, WRITTEN, Recipe, SourceRecipe
from ko_mini.teacher import Predictions, soft_targets, teacher_predictions

#: Ratings that count as praise and as blame; what those between say, a teacher must tell.
_PRAISE, _BLAME = (9, 10), (1, 2, 3, 4)
#: Characters of a review at most.
_LONGEST = 160


@dataclass(frozen=True)
class Texts:
    """Everything that is trained on.

    Attributes:
        films: film reviews by rating. between: those rated neither as praise nor as blame.
        written: reviews written for the training, by side. valid: film reviews kept for validation, as a task.
        labelled: data sets with classes.
        left_out: per source, how many texts occur in a test and were left out.
    """

    films: Sides
    between: Corpus
    written: Sides
    valid: Task
    labelled: tuple[Labelled, ...]
    left_out: dict[str, int]

    def distilled_films(self, share: float) -> Sides:
        """Film reviews of whose targets this share is a teacher's; with 0 as they were rated."""
        return soft_targets(self.films, self.between, self._predictions, share) if share else self.films

    @cached_property
    def _predictions(self) -> Predictions:
        return teacher_predictions(self.films, self.between)

    @cached_property
    def digest(self) -> str:
        """Hash of everything that is trained on and validated with."""
        reviews = [corpus.texts for corpus in self._corpora]
        valid = [(row.text, row.label) for row in self.valid.rows["all"]]
        return digest([reviews, [each.texts for each in self.labelled], valid])

    @cached_property
    def reviews(self) -> Corpus:
        """All reviews."""
        return Corpus(tuple(text for corpus in self._corpora for text in corpus.texts))

    @property
    def _corpora(self) -> tuple[Corpus, ...]:
        return (self.films.praise, self.films.blame, self.between, self.written.praise, self.written.blame)

    @cached_property
    def english(self) -> Corpus:
        """The texts of the labelled sets, each once."""
        return Corpus(tuple(dict.fromkeys(t for each in self.labelled for texts in each.texts for t in texts)), "en")


def read_texts(recipe: Recipe, data: Path) -> Texts:
    """Read the sources of a recipe.

    Args:
        data: folder of the data sets.

    Raises:
        TaskError: a source is missing or unusable.
    """
    forbidden = _forbidden(load_task(name) for name in (*recipe.test.tasks, *recipe.test.others, *recipe.excluded))
    source = recipe.sources[REVIEWS]
    rated = list(_rated(data / source.path))
    kept = [(text, rating) for text, rating in rated if text_key(text) not in forbidden]
    left_out = {REVIEWS: len(rated) - len(kept)}
    written = Sides(Corpus(()), Corpus(()))
    if WRITTEN in recipe.sources:
        written, left_out[WRITTEN] = _written(recipe.sources[WRITTEN].path, data, forbidden)
    labelled = []
    for name, each in recipe.sources.items():
        if name not in (REVIEWS, WRITTEN):
            found, left_out[name] = _labelled(each, forbidden)
            labelled.append(found)
    train = [(text, rating) for text, rating in kept if not _is_valid(text, recipe.valid_one_in)]
    valid = [(text, rating) for text, rating in kept if _is_valid(text, recipe.valid_one_in)]
    return Texts(
        Sides(
            Corpus(tuple(text for text, rating in train if rating in _PRAISE)),
            Corpus(tuple(text for text, rating in train if rating in _BLAME)),
        ),
        Corpus(tuple(text for text, rating in train if rating not in _PRAISE + _BLAME)),
        written,
        _valid_task(valid),
        tuple(labelled),
        left_out,
    )


def _forbidden(tasks: Iterable[Task]) -> set[str]:
    """The texts of test tasks. Parts that are published for training are no test."""
    keys: set[str] = set()
    for task in tasks:
        tested = {part: rows for part, rows in task.rows.items() if part != "train" or len(task.rows) == 1}
        keys |= {text_key(row.text) for rows in tested.values() for row in rows}
    return keys


def _rated(path: Path) -> Iterable[tuple[str, int]]:
    """Texts with ratings, each text once, none empty."""
    seen: set[str] = set()
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                text = " ".join(row["text"].split())[:_LONGEST].strip()
                if text and text_key(text) not in seen:
                    seen.add(text_key(text))
                    yield text, int(row["rating"])
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TaskError(f"{path}: cannot read reviews with the fields text and rating: {error}") from error


def _written(name: str, data: Path, forbidden: set[str]) -> tuple[Sides, int]:
    """Lines `praise` or `blame`, tab, text; without forbidden texts, and how many those were."""
    path = data / name if (data / name).is_file() else resources.files("ko_mini") / name
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: cannot read the reviews written for the training: {error}") from error
    found: dict[str, list[str]] = {"praise": [], "blame": []}
    for number, line in enumerate(lines, 1):
        side, _, text = line.partition("\t")
        if side not in found or not text.strip() or "\t" in text:
            raise TaskError(f"{path}:{number}: a line is praise or blame, a tab, and a text; this one is {line[:60]!r}")
        if text_key(text) not in forbidden:
            found[side].append(text)
    sides = Sides(Corpus(tuple(found["praise"])), Corpus(tuple(found["blame"])))
    return sides, len(lines) - sum(map(len, found.values()))


def _labelled(source: SourceRecipe, forbidden: set[str]) -> tuple[Labelled, int]:
    """The training classes of a task, without forbidden texts and classes that are held out."""
    task = load_task(source.path)
    split = task.default_class_split()
    labels = [label for label in task.labels_in(split, "train") if label.name not in source.held_out]
    rows = task.pools(split, "train").support.rows
    clean = [row for row in rows if text_key(row.text) not in forbidden]
    texts = [tuple(row.text for row in clean if row.label == label.name) for label in labels]
    used = [(label, found) for label, found in zip(labels, texts, strict=True) if len(found) > 1]
    if len(used) < 2:
        raise TaskError(f"task {task.name!r} has no two classes left to be trained on")
    found = Labelled(task.info, tuple(label for label, _ in used), tuple(texts for _, texts in used))
    return found, len(rows) - len(clean)


def _is_valid(text: str, one_in: int) -> bool:
    return seed_of(text_key(text), "validation") % one_in == 0


def _valid_task(rated: Sequence[tuple[str, int]]) -> Task:
    """Reviews that are not trained on, with the words that Korean sentiment is asked in."""
    rows = tuple(
        Example(f"v{at}", text, "positive" if rating in _PRAISE else "negative")
        for at, (text, rating) in enumerate(rated)
        if rating in _PRAISE + _BLAME
    )
    return Task(SENTIMENT, POLARITY, {"all": rows})
