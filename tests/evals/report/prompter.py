"""A learner that prompts nobody: it finds the label in the text, and records prompts as real ones do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from evals.learner import BaseLearner, Context
from evals.prompting import prompt_hash
from evals.types import Answer, Prediction, Problem, Trace


@dataclass(frozen=True)
class Shown:
    text: str
    messages: tuple[()] = ()


class Prompter(BaseLearner):
    """Sure of the first label that the query's text names; its raw answer is the query's text.

    Args:
        opening: what every prompt begins with.
    """

    name = "fake-prompter"

    def __init__(self, opening: str = "Label the text.") -> None:
        self.opening = opening

    def prompt_for(self, problem: Problem, query_index: int, ctx: Context) -> Shown:
        shown = "\n".join(f"{example.text} => {example.label}" for example in problem.support)
        return Shown(f"{self.opening}\n{shown}\n{problem.queries[query_index].text} => ")

    def label_tokens(self, problem: Problem, query_index: int, ctx: Context) -> list[list[tuple[str, float]]]:
        return [[(label.name[:2], -0.5), (label.name[2:], -0.25)] for label in problem.labels]

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        for problem in problems:
            hashes = [prompt_hash(self.prompt_for(problem, at, ctx)) for at in range(len(problem.queries))]
            trace = Trace((tuple(example.id for example in problem.support),), tuple(hashes), notes=("a note",))
            yield Prediction(problem.id, tuple(self._answer(problem, q.text) for q in problem.queries), trace=trace)

    def _answer(self, problem: Problem, text: str) -> Answer:
        names = [label.name for label in problem.labels]
        found = next((at for at, name in enumerate(names) if name in text), 0)
        rest = math.log(0.2 / (len(names) - 1))
        scores = tuple(math.log(0.8) if at == found else rest for at in range(len(names)))
        return Answer(names[found], scores=scores, score_kind="logprob", raw=scores, detail=text)
