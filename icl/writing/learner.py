"""Prompting for answers that are written: the same parts as for labels, another form of demonstrations and answers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from evals.learner import Context, Learner, require_kind
from evals.relevance import Decisions
from evals.types import Answer, Example, Label, Prediction, Problem, Status, TaskInfo
from fewshot.core.errors import UsageError
from icl.learner import ICLLearner
from icl.models.base import Generation, LanguageModel
from icl.planning import Plan, Written
from icl.preview import Preview
from icl.readouts.base import Asking, Read, Readout
from icl.readouts.labels import Labels
from icl.scoring.base import Choices, Reading, Scorer
from icl.scoring.generate import Generate
from icl.selectors.base import Pool
from icl.writing.forms import form_of


class _Write(Generate):
    """Greedy text, as it is: what it means is for its form to say."""

    def reading_of(self, generation: Generation, choices: Choices) -> Reading:
        return Reading(status=generation.status, detail=generation.text)


def for_kind(learner: ICLLearner, task: TaskInfo) -> Learner:
    """The learner for a task whose answers are no single label.

    Where a text has several labels, a decision is scored about each if the method scores labels; all else is written.

    Raises:
        UsageError: a method that scores labels, for answers that can only be written.
    """
    if task.kind == "multilabel" and learner.scorer.gives_scores:
        return Decisions(learner)
    if learner.method != "auto" and not isinstance(learner.scorer, Generate):
        raise UsageError(
            f"--method {learner.method} chooses among labels, and {task.name} is a {task.kind} task, whose answers are "
            "written; use --method generate"
        )
    return WritingLearner.like(learner)


class WritingLearner(ICLLearner):
    """Lets a model write lists of labels, sentences with their entities in brackets, or free text."""

    kinds = ("multilabel", "tagging", "generation")
    _support: tuple[Example, ...] = ()

    @classmethod
    def like(cls, learner: ICLLearner) -> WritingLearner:
        """With the parts of another learner; its models are not loaded twice."""
        found = cls(**{name: getattr(learner, name) for name in inspect.signature(cls).parameters})
        found._models, found._reasons, found._told = learner._models, learner._reasons, learner._told
        return found

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Learner:
        """With the model for the task, where it is to be chosen."""
        return self._settled_by(task, labels)

    def preview(self, problem: Problem, query_index: int = 0, ctx: Context | None = None) -> Preview:
        """The exact prompt of one query; no label is scored after it."""
        return replace(super().preview(problem, query_index, ctx), continuations=(), boundaries=())

    def label_tokens(self, problem: Problem, query_index: int, ctx: Context) -> None:
        """None: nothing is scored."""

    def _plans(self, problem: Problem, ctx: Context) -> tuple[Plan, ...]:
        require_kind(problem, self.kinds or (), self.name)
        form = form_of(problem)
        asked = replace(problem, task=replace(problem.task, instruction=form.instruction()))
        written = Written({row.id: form.write(row) for row in problem.support}, tuple(form.longest()))
        pool = self._pool_of(problem)
        return (self._planner.plan(asked, pool, self._model_for(ctx), self._scorer, ctx.seed, written),)

    def _readout_for(self, problem: Problem, model: LanguageModel) -> Readout:
        named = self._named_readout
        if not isinstance(named, Labels):
            raise UsageError(
                f"readout {named.name!r} chooses among labels, and {problem.task.name} is a {problem.task.kind} task, "
                "whose answers are written; use readout 'labels'"
            )
        return named

    def _pool_of(self, problem: Problem) -> Pool:
        # Every gold would be a class of its own to what draws balanced.
        if self._support is not problem.support:
            self._support = problem.support
            self._pool = Pool(tuple(replace(row, label=None) for row in problem.support), problem.task.language)
        return self._pool

    def _prediction(self, asking: Asking, found: Read, ctx: Context) -> Prediction:
        read, form = super()._prediction(asking, found, ctx), form_of(asking.problem)
        answers = []
        for answer, query in zip(read.answers, asking.problem.queries, strict=True):
            if answer.status is Status.OK:
                decision, status = form.read(answer.detail, query)
                answer = Answer(decision, status, detail=answer.detail)
            answers.append(answer)
        return replace(read, answers=tuple(answers))

    def _default_notes(self, ctx: Context) -> list[str]:
        return []

    def _calibration_notes(self, plan: Plan) -> list[str]:
        return super()._calibration_notes(plan) if self.calibrate not in ("auto", "none", None) else []

    @cached_property
    def _scorer(self) -> Scorer:
        return _Write()
