"""Training sequences: examples in a row, each a query to those before it.

How a sequence is drawn, so that nothing but the demonstrations tells the answer:

- The class of every example is drawn independently of the others. Counts, order and position say nothing about the
  next one, as they would if every class had the same number of examples.
- Sequences come in pairs that show the same texts in the same order, with the words exchanged among the classes. What
  one learns about a text from the word beside it, the other takes back: only reading the demonstrations pays. Words
  that always stand for their own class are the exception: there the text itself is to be learned.
- Words that carry no meaning of their own can be told only once they were shown, and need no telling apart while they
  are the only one: an answer counts from the second word on, where its own was shown. Chance is then at most a half.

The idea of training on many tasks in context: Min et al., NAACL 2022, arXiv 2110.15943 (MetaICL). It learns from the
last example of a sequence alone; here every example that can be answered counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, Protocol, get_args

import numpy as np

from evals.episode import Episode
from evals.types import Label, Query, TaskInfo
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.seeds import random_state
from icl.formatters import completion
from icl.metatrain.words import Lexicon, WordKind, check_shares, draw_words
from icl.prompt import Demonstration, PromptBuilder
from icl.readouts.channel import channel_text
from icl.template import Template

#: direct: the label given the text. channel: the text given the label (Min et al., ACL 2022, arXiv 2108.04106).
Objective = Literal["direct", "channel"]


@dataclass(frozen=True)
class Classes:
    """Some classes with texts, of which a sequence is made.

    Attributes:
        task: the words around them.
        labels: (way,) the classes.
        texts: (way, n) texts of each.
        certainty: (way, n) probability that a text is of its class; empty where all are certain.
    """

    task: TaskInfo
    labels: tuple[Label, ...]
    texts: tuple[tuple[Query, ...], ...]
    certainty: tuple[tuple[float, ...], ...] = ()


class Material(Protocol):
    """Where classes come from. What it gives is a function of its arguments alone."""

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        """At most `way` classes (at least two, where it has them), with `n` texts each or as many as there are."""
        ...


@dataclass(frozen=True)
class Mixture:
    """What sequences are like.

    Attributes:
        words: how often each kind of label words is drawn.
        templates: drawn from for every pair of sequences; where classes keep their own words, for every sequence.
        way: classes at most; how many is drawn from 2 on.
        examples: at most; how many is drawn from half of it on.
        instruction: share of the sequences that begin with the instruction of the task.
        objective: what is learned.
    """

    words: Mapping[WordKind, float]
    templates: tuple[str, ...] = ("classify", "minimal", "named")
    way: int = 5
    examples: int = 16
    instruction: float = 0.5
    objective: Objective = "direct"

    def __post_init__(self) -> None:
        check_shares(self.words)
        if self.objective not in get_args(Objective):
            raise unknown_name("objective", self.objective, get_args(Objective))
        if self.way < 2 or self.examples < 1:
            raise UsageError("a training sequence needs at least 2 classes to choose from and 1 example")


@dataclass(frozen=True)
class TrainingSequence:
    """One sequence to learn from.

    Attributes:
        text: what the model reads.
        spans: characters of the targets, in order: label words (direct objective) or texts (channel).
        answerable: per span, whether it can be told from what stands before it.
        classes: per span, which class it belongs to.
        words: (way,) the word of each class. kind: of these words.
        certainty: per span, probability that its class is the right one; empty where all are certain, and for texts.
    """

    text: str
    spans: tuple[range, ...]
    answerable: tuple[bool, ...]
    classes: tuple[int, ...]
    words: tuple[str, ...]
    kind: WordKind
    certainty: tuple[float, ...] = ()


class EpisodeMaterial:
    """The classes of training episodes, gold included.

    Args:
        episodes: episode i is a function of i alone.
    """

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = episodes

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        episode = self.episodes[index % len(self.episodes)]
        problem = episode.problem
        texts: dict[str, list[Query]] = {label.name: [] for label in problem.labels}
        for row in problem.support:
            texts[str(row.label)].append(Query("", row.text, row.fields))
        for query, gold in zip(problem.queries, episode.gold, strict=True):
            texts[str(gold)].append(replace(query, id=""))
        chosen = [problem.labels[at] for at in random.permutation(len(problem.labels))[:way].tolist()]
        shuffled = [[texts[each.name][at] for at in random.permutation(len(texts[each.name]))] for each in chosen]
        return Classes(problem.task, tuple(chosen), tuple(tuple(found[:n]) for found in shuffled))


def draw_sequence(material: Material, mixture: Mixture, known: Lexicon, seed: int, index: int) -> TrainingSequence:
    """Sequence `index` of a training, a function of seed and index alone.

    2j and 2j + 1 are a pair. Where classes keep their own words there is nothing to exchange, and the second is drawn
    anew.
    """
    pair, turn = divmod(index, 2)
    found = _drawn(material, mixture, known, random_state(seed, pair, "training sequence"), pair, turn)
    if turn and found.kind == "canonical":
        own = replace(mixture, words={"canonical": 1.0})
        return _drawn(material, own, known, random_state(seed, pair, "other texts"), pair, turn)
    return found


def _drawn(
    material: Material, mixture: Mixture, known: Lexicon, random: np.random.RandomState, pair: int, turn: int
) -> TrainingSequence:
    way = 2 + random.randint(mixture.way - 1)
    n = mixture.examples - random.randint(1 + mixture.examples // 2)
    found = material.classes(pair, random, way, n)
    # As many as the smallest class has texts: then no class can run out, and each draw is as free as the first.
    n = min(n, *map(len, found.texts))
    order = random.randint(len(found.labels), size=n).tolist()
    # A task whose examples have fields is written as its card says: other templates would leave them out.
    templates = (found.task.template,) if found.task.fields else mixture.templates
    template = templates[random.randint(len(templates))]
    task = found.task if random.rand() < mixture.instruction else replace(found.task, instruction="")
    listed = random.permutation(len(found.labels)).tolist()
    kind, words = draw_words(found.labels, task.language, mixture.words, known, random, turn)
    taken = [order[:at].count(c) for at, c in enumerate(order)]
    places = list(zip(order, taken, strict=True))
    examples = [found.texts[c][at] for c, at in places]
    is_direct = mixture.objective == "direct"
    certainty = tuple(found.certainty[c][at] for c, at in places) if found.certainty and is_direct else ()
    write = _written if is_direct else _written_backwards
    text, spans = write(task, template, [words[at] for at in listed], examples, [words[c] for c in order])
    shown = [kind == "canonical" or (taken[at] > 0 and len({*order[:at]}) > 1) for at in range(n)]
    return TrainingSequence(text, spans, tuple(shown), tuple(order), words, kind, certainty)


@cache
def _template(name: str) -> Template:
    """Templates are read once, not once per sequence."""
    return Template.load(name)


def _written(
    task: TaskInfo, template: str, listed: Sequence[str], examples: Sequence[Query], words: Sequence[str]
) -> tuple[str, tuple[range, ...]]:
    """The text that a prompt with these demonstrations is, and where the label words stand in it."""
    builder = PromptBuilder(_template(template), task, tuple(listed))
    *shown, last = [Demonstration(query, word) for query, word in zip(examples, words, strict=True)]
    rendered = builder.showing(shown).render_folded(last.query)
    blocks = [*rendered.demonstrations, (rendered.query, builder.continuation(last.label))]
    text = completion(replace(rendered, demonstrations=())).text.removesuffix(rendered.query)
    spans = []
    for given, answer in blocks:
        start = len(text) + len(given)
        spans.append(range(start, start + len(answer)))
        text += given + answer + rendered.separator
    return text, tuple(spans)


def _written_backwards(
    task: TaskInfo, template: str, listed: Sequence[str], examples: Sequence[Query], words: Sequence[str]
) -> tuple[str, tuple[range, ...]]:
    """Label words before texts, and where the texts stand. A template says how to ask, so there is none here."""
    text, spans = "", []
    for query, word in zip(examples, words, strict=True):
        given, answer = channel_text(word, query.text)
        start = len(text) + len(given)
        spans.append(range(start, start + len(answer)))
        text += f"{given}{answer}\n"
    return text, tuple(spans)
