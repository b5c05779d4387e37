"""What training sequences can be made of.

    ratings    film reviews that praise and reviews that do not; a teacher can tell those rated between
    written    the same of food, goods, apps, games, services and films, written for this training
    variants   a class is one text, shown with words left out and put elsewhere
    tasks      labelled data sets, training classes alone

The embedded model learns from the first two alone. The others are there for recipes whose model is to read
demonstrations by training, which sentiment by itself does not teach (Chan et al. 2022, arXiv 2205.05055).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from evals.types import Label, Query, TaskInfo
from fewshot.core.errors import UsageError
from icl.calibration import CONTENT_FREE
from icl.metatrain.sequences import Classes

#: Words around texts of no particular task.
_PLAIN = {
    "ko": TaskInfo("texts", "ko", "classification", "다음 글을 분류하세요.", input_name="글", output_name="분류"),
    "en": TaskInfo("texts", "en", "classification", "Classify the text.", input_name="Text", output_name="Label"),
}
#: How the polarity of a Korean review is asked for.
SENTIMENT = TaskInfo(
    "reviews",
    "ko",
    "classification",
    "다음 리뷰의 감정이 긍정인지 부정인지 판단하세요.",
    input_name="리뷰",
    output_name="감정",
)
POLARITY = (Label("positive", "긍정"), Label("negative", "부정"))


@dataclass(frozen=True)
class Corpus:
    """Texts of one language, in a fixed order."""

    texts: tuple[str, ...]
    language: str = "ko"

    @cached_property
    def short(self) -> tuple[int, ...]:
        """Positions of the texts by length, shortest first."""
        return tuple(sorted(range(len(self.texts)), key=lambda at: len(self.texts[at])))

    def draw(self, random: np.random.RandomState, n: int, shortest: float = 1.0) -> list[str]:
        """`n` different texts, out of the given share of the shortest ones."""
        within = self.short[: max(n, int(len(self.short) * shortest))]
        if len(within) < n:
            raise UsageError(f"a corpus of {len(within)} texts cannot give {n} different ones")
        return [self.texts[within[at]] for at in _different(random, len(within), n)]


@dataclass(frozen=True)
class Variants:
    """Each class is one text, shown with some of its words.

    Attributes:
        kept: share of the words that are kept.
        moved: probability that neighbouring words change places.
        shortest: share of the shortest texts that is drawn from.
    """

    corpus: Corpus
    kept: float = 0.7
    moved: float = 0.1
    shortest: float = 1.0

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        texts = self.corpus.draw(random, way, self.shortest)
        shown = tuple(tuple(Query("", self._variant(text, random)) for _ in range(n)) for text in texts)
        return Classes(_PLAIN[self.corpus.language], _unnamed(way), shown)

    def _variant(self, text: str, random: np.random.RandomState) -> str:
        words = text.split()
        keep = random.rand(len(words)) < self.kept
        keep[random.randint(len(words))] = True
        words = [word for word, kept in zip(words, keep, strict=True) if kept]
        for at in np.flatnonzero(random.rand(len(words) - 1) < self.moved).tolist():
            words[at], words[at + 1] = words[at + 1], words[at]
        return " ".join(words)


@dataclass(frozen=True)
class Sides:
    """Reviews that praise and reviews that blame.

    Attributes:
        certainty: probability that a text is on its own side; 1 for those that are not named, and for two texts that
            are joined. No text is on both sides.
    """

    praise: Corpus
    blame: Corpus
    certainty: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ratings:
    """Reviews that praise and reviews that do not.

    Attributes:
        sides: where they are drawn from. shortest: share of the shortest reviews that is.
        joined: share of the reviews to which another of the same side is added.
        blank: share of the reviews in whose place stands a text without content, which is of either side by half. A
            model that learned so has no leaning that contextual calibration would have to take away.
    """

    sides: Sides
    shortest: float = 1.0
    joined: float = 0.0
    blank: float = 0.0

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        drawn = [self._texts(side, n, random) for side in (self.sides.praise, self.sides.blame)]
        at = random.permutation(2).tolist()
        texts = tuple(drawn[i] for i in at)
        certainty = tuple(tuple(self._certainty(query.text) for query in column) for column in texts)
        return Classes(SENTIMENT, tuple(POLARITY[i] for i in at), texts, certainty)

    def _certainty(self, text: str) -> float:
        return 0.5 if text in CONTENT_FREE else self.sides.certainty.get(text, 1.0)

    def _texts(self, side: Corpus, n: int, random: np.random.RandomState) -> tuple[Query, ...]:
        texts = side.draw(random, n, self.shortest)
        for at in range(n):
            if self.joined and random.rand() < self.joined:
                texts[at] += " " + side.draw(random, 1, self.shortest)[0]
            if self.blank and random.rand() < self.blank:
                texts[at] = CONTENT_FREE[random.randint(len(CONTENT_FREE))]
        return tuple(Query("", text) for text in texts)


@dataclass(frozen=True)
class Labelled:
    """The classes of a data set.

    Attributes:
        task: the words around it. labels, texts: its classes, each with its texts.
    """

    task: TaskInfo
    labels: tuple[Label, ...]
    texts: tuple[tuple[str, ...], ...]

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        chosen = _different(random, len(self.labels), min(way, len(self.labels)))
        texts = []
        for c in chosen:
            within = self.texts[c]
            texts.append(tuple(Query("", within[at]) for at in _different(random, len(within), min(n, len(within)))))
        return Classes(self.task, tuple(self.labels[c] for c in chosen), tuple(texts))


@dataclass(frozen=True)
class Mixed:
    """One of several materials, drawn anew every time."""

    materials: Sequence[Variants | Ratings | Labelled]

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        return self.materials[random.randint(len(self.materials))].classes(index, random, way, n)


def _unnamed(way: int) -> tuple[Label, ...]:
    """Classes without words of their own."""
    return tuple(Label(f"class {at}", f"class {at}") for at in range(way))


def _different(random: np.random.RandomState, n: int, k: int) -> list[int]:
    """`k` different numbers below `n`, in random order; quick where n is large."""
    if 4 * k >= n:
        return random.permutation(n)[:k].tolist()
    found: dict[int, None] = {}
    while len(found) < k:
        found[int(random.randint(n))] = None
    return list(found)
