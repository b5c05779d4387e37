"""New texts of a task, answered by its labelled ones: every kind of task, with the fields that it declares."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp
from typing import Any

from evals.confidence import calibrated
from evals.content import TOKENS, declared
from evals.learner import Background, Context, Learner, for_task
from evals.rounds import in_rounds
from evals.types import Answer, Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.errors import FewshotError, TaskError, UsageError
from fewshot.core.hashing import digest

_LOG = logging.getLogger(__name__)


class Labeller:
    """Answers texts with a learner that is shown labelled ones.

    Args:
        learner: used as it is, not copied.
        task: what is asked.
        labels: those of the task; the ones that the support does not hold take no part.
        support: labelled texts.
        batch_size: queries per problem. A transductive learner sees one batch at a time; a message says so.
        seed: for learners that draw at random. device: a torch device name, or "auto".
        temperature: log-probabilities are divided by it (see `Confidence`).
        abstain: answers of a lower probability become "unsure"; None keeps all.

    Raises:
        UsageError: nothing to show, or a single class to choose from.
    """

    def __init__(
        self,
        learner: Learner,
        task: TaskInfo,
        labels: Sequence[Label],
        support: Sequence[Example],
        *,
        batch_size: int = 64,
        seed: int = 0,
        device: str = "auto",
        temperature: float = 1.0,
        abstain: float | None = None,
    ) -> None:
        from evals.kinds import kind_named

        known = [row for row in support if row.label is not None]
        held = {name for row in known if row.label is not None for name in kind_named(task.kind).names(row.label)}
        self.task = task
        self.labels = tuple(sorted((label for label in labels if label.name in held), key=lambda label: label.name))
        if not known or (task.kind == "classification" and len(self.labels) < 2):
            found = f"only the class {', '.join(held)}" if known else "no labelled texts"
            raise UsageError(f"{task.name} has {found} to be shown; nothing can be told from that")
        shown = (Example(f"s{at}", row.text, row.label, declared(row, task.fields)) for at, row in enumerate(known))
        self.support = in_rounds(shown) if task.kind == "classification" else tuple(shown)
        self._size, self._seed, self._device = batch_size, seed, device
        self._temperature, self._abstain = temperature, abstain
        if learner.transductive:
            self._context().notify(
                f"{learner.name} reads the texts it is asked together, {batch_size} at a time: the answer to one may "
                "change with the others, and texts asked one by one gain nothing from it"
            )
        self._learner = for_task(learner, task, self.labels)
        self._learner.prepare(Background(), self._context())

    @property
    def transductive(self) -> bool:
        """Whether the answer to one text may depend on those that are asked with it."""
        return self._learner.transductive

    def query(self, text: str, values: Mapping[str, Any] | None = None, where: str = "this text") -> Query:
        """A new text as it is asked.

        Args:
            values: the columns of its row, by their names.
            where: it stands, for the message.

        Raises:
            TaskError: a field that the task declares is missing.
        """
        values, fields = values or {}, dict[str, Any]()
        for name in self.task.fields:
            if name == TOKENS:
                fields[name] = self._tokens(text, values.get(TOKENS))
            elif values.get(name) is None:
                raise TaskError(f"{where} has no {name!r}, which {self.task.name} needs beside the text")
            else:
                fields[name] = values[name]
        return Query("", text, fields)

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """The learner's answer to each query, failures included.

        Raises:
            FewshotError: the learner left out a batch.
        """
        starts = range(0, len(queries), self._size)
        problems = [self._problem(queries[start : start + self._size], start) for start in starts]
        answers = {done.problem_id: done.answers for done in self._learner.predict(problems, self._context())}
        if len(answers) < len(problems):
            raise FewshotError(f"learner {self._learner.name!r} answered {len(answers)} of {len(problems)} batches")
        return [self._judged(answer) for problem in problems for answer in answers[problem.id]]

    def _judged(self, answer: Answer) -> Answer:
        """With probabilities that can be trusted, and unsure where that is what they say."""
        answer = calibrated(answer, self._temperature)
        if self._abstain is None or answer.decision is None or answer.scores is None:
            return answer
        if exp(max(answer.scores)) >= self._abstain:
            return answer
        return replace(answer, decision=None, status=Status.UNSURE, detail=f"most likely {answer.decision}")

    def _tokens(self, text: str, given: Any) -> list[str]:
        """The tokens of a text: those that its row has, else cut as the support is, into characters or words."""
        if isinstance(given, str):
            return given.split()
        if isinstance(given, list):
            return [str(token) for token in given]
        by_character = all(len(token) == 1 for row in self.support for token in row.fields[TOKENS])
        return list(text) if by_character else text.split()

    def _problem(self, queries: Sequence[Query], start: int) -> Problem:
        asked = tuple(Query(f"q{start + at}", query.text, query.fields) for at, query in enumerate(queries))
        return Problem(
            id=digest(
                [[_content(row), row.label] for row in self.support] + [_content(row) for row in asked] + [start]
            ),
            task=self.task,
            labels=self.labels,
            support=self.support,
            queries=asked,
        )

    def _context(self) -> Context:
        return Context(device=self._device, seed=self._seed, notify=_LOG.warning)


def _content(row: Example | Query) -> list[Any]:
    return [row.text, dict(row.fields)]
