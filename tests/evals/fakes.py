"""Small tasks built in code, and one honest learner for each kind. Nothing here is random."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from evals.episode import EpisodeSampler
from evals.learner import Background, BaseLearner, Context
from evals.task import Task
from evals.types import Answer, Example, Label, Prediction, Problem, Query, TaskInfo

KINDS = ("classification", "multilabel", "tagging", "generation")


def number(text: str, below: int) -> int:
    """A number that depends on the text alone, in any process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % below


def labels(n: int) -> tuple[Label, ...]:
    return tuple(Label(f"c{at}", f"class {at}") for at in range(n))


def classification_task(n_classes: int = 6, per_class: int = 12, *, split: bool = False, instruction: str = "") -> Task:
    rows = tuple(
        Example(f"r{at}-{c}", f"text {at} about c{c}", f"c{c}", {"hidden": f"gold is c{c}"})
        for at in range(per_class)
        for c in range(n_classes)
    )
    third = n_classes // 3
    names = [label.name for label in labels(n_classes)]
    splits = {"01": {"train": names[:third], "valid": names[third : 2 * third], "test": names[2 * third :]}}
    info = TaskInfo("toy", "en", "classification", instruction=instruction)
    return Task(info, labels(n_classes), {"all": rows}, splits if split else {})


def multilabel_task(n_labels: int = 5, n_rows: int = 240) -> Task:
    rows = []
    for at in range(n_rows):
        held = sorted({f"c{number(f'{at}/{draw}', n_labels)}" for draw in range(2)})
        rows.append(Example(f"m{at}", f"text {at} about {' '.join(held)}", tuple(held)))
    return Task(TaskInfo("toy-multi", "en", "multilabel"), labels(n_labels), {"all": tuple(rows)})


def tagging_task(n_types: int = 4, n_rows: int = 200) -> Task:
    rows = []
    for at in range(n_rows):
        types = [f"c{number(f'{at}/{draw}', n_types)}" for draw in range(1 + number(str(at), 3))]
        tokens, tags = [f"text{at}"], ["O"]
        for kind in types:
            tokens += [f"big-{kind}", f"thing-{kind}", "and"]
            tags += [f"B-{kind}", f"I-{kind}", "O"]
        rows.append(Example(f"t{at}", " ".join(tokens), tuple(tags), {"tokens": tokens}))
    info = TaskInfo("toy-tags", "en", "tagging", fields=("tokens",))
    return Task(info, labels(n_types), {"all": tuple(rows)})


def generation_task(n_rows: int = 40) -> Task:
    rows = tuple(Example(f"g{at}", f"say it louder {at}", f"SAY IT LOUDER {at}") for at in range(n_rows))
    return Task(TaskInfo("toy-text", "en", "generation"), (), {"all": rows})


def task_of(kind: str) -> Task:
    builders = {
        "classification": classification_task,
        "multilabel": multilabel_task,
        "tagging": tagging_task,
        "generation": generation_task,
    }
    return builders[kind]()


def sampler_of(kind: str, way: int = 3, shot: int = 2, query: int = 2, seed: int = 0) -> EpisodeSampler:
    return EpisodeSampler(task_of(kind), way=way, shot=shot, query=query, seed=seed)


class Classifier(BaseLearner):
    """Finds the class in the text, and errs on every third text or so. Gives log-probabilities."""

    name = "fake-classifier"

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        return [self.answer(problem, query.text) for query in problem.queries]

    def answer(self, problem: Problem, text: str) -> Answer:
        names = [label.name for label in problem.labels]
        found = next(at for at, name in enumerate(names) if text.endswith(name))
        guess = (found + (number(text, 3) == 0)) % len(names)
        logits = [2.0 / self.temperature * (at == guess) for at in range(len(names))]
        total = math.log(sum(map(math.exp, logits)))
        return Answer(names[guess], scores=tuple(logit - total for logit in logits), score_kind="logprob")


class Spotter(BaseLearner):
    """Multi-label: every label whose name stands in the text, but never the problem's first one."""

    name = "fake-spotter"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        names = [label.name for label in problem.labels[1:]]
        return [Answer(tuple(sorted(name for name in names if name in q.text.split()))) for q in problem.queries]


class Tagger(BaseLearner):
    """Tags a token as the support tagged it, else O; forgets the insides of entities in every third text or so."""

    name = "fake-tagger"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        known: dict[str, str] = {}
        for example in problem.support:
            known.update(zip(example.fields["tokens"], example.label or (), strict=True))
        return [Answer(tuple(self.tags(query, known))) for query in problem.queries]

    def tags(self, query: Query, known: dict[str, str]) -> Iterator[str]:
        for token in query.fields["tokens"]:
            tag = known.get(token, "O")
            yield "O" if tag.startswith("I-") and number(query.text, 3) == 0 else tag


class Shouter(BaseLearner):
    """Generation: the text in capitals, unless its number is even."""

    name = "fake-shouter"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        texts = [query.text for query in problem.queries]
        return [Answer(text.upper() if int(text.split()[-1]) % 2 else "no") for text in texts]


def learner_of(kind: str) -> BaseLearner:
    learners = {"classification": Classifier, "multilabel": Spotter, "tagging": Tagger, "generation": Shouter}
    return learners[kind]()


class FirstLabel(BaseLearner):
    """Always the first label of the problem."""

    name = "fake-first"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        return [Answer(problem.labels[0].name) for _ in problem.queries]


@dataclass
class Logging(Classifier):
    """The classifier, writing the id of every problem that it begins to a file; slow, after the first, to be killed."""

    log: Path
    seconds: float = 0.0
    background: list[Background] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def prepare(self, background: Background, ctx: Context) -> None:
        self.background.append(background)

    def describe(self) -> dict[str, object]:
        return {"name": self.name}

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        begun = self.log.exists()
        with self.log.open("a") as file:
            file.write(problem.id + "\n")
        ctx.cancel.wait(self.seconds if begun else 0.0)
        return super().solve(problem, ctx)


@dataclass
class Wayward(Classifier):
    """The classifier, with its predictions of each whole run rearranged or spoilt by `change`."""

    change: object = None

    def __post_init__(self) -> None:
        super().__init__()

    def describe(self) -> dict[str, object]:
        return {"name": self.name}

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        predictions = list(super().predict(problems, ctx))
        yield from self.change(predictions)  # type: ignore[operator]


def with_first_answer(prediction: Prediction, **changes: object) -> Prediction:
    """The prediction with fields of its first answer changed."""
    first, *rest = prediction.answers
    return replace(prediction, answers=(replace(first, **changes), *rest))
