"""What learners on the vectors of an encoder share: the names of labels as texts, and answers in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from classic.learners.by_language import LearnerByLanguage
from classic.training.data import TextTable, index_problem, stack
from classic.training.inputs import FrozenFeatures
from classic.training.vectors import VectorTable
from evals.content import content
from evals.label_names import Names, check_names, unread, with_names
from evals.learner import Background, Context, failure, require_kind
from evals.types import Answer, Prediction, Problem, Status, Usage
from fewshot.encoders import build_encoder
from fewshot.encoders.prototypes import log_softmax

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Params
    from classic.functional.executors import Executor

#: Problems that are answered together.
_CHUNK = 64
#: A table with more texts than this is begun anew before the next chunk.
MAX_TEXTS = 200_000
#: No learner that works has logits of this size; one whose inner loop diverged may, before they overflow.
_EXPLODED = 1e6


@dataclass(eq=False, kw_only=True)
class EncoderLearner(LearnerByLanguage):
    """A learner on the vectors of a text encoder. Subclasses define `_log_probabilities`.

    Attributes:
        encoder: an encoder or the spec of one; "auto" takes the embedded one that suits the language of the texts.
        names: which words of a label count as one more text of its class: "auto" (its verbalizer, unless labels are
            numbers or ids), "none", "verbalizer" or "description". Without support they are all there is to learn from.
    """

    kinds = ("classification",)
    modalities = ("text", "image", "series")
    names: Names = "auto"
    _told: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self.names = check_names(self.names)

    def _predict(self, problems: Iterator[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems in chunks."""
        while not ctx.stopping and (chunk := list(islice(problems, _CHUNK))):
            started = time.perf_counter()
            answers = self._answer(chunk, ctx)
            usage = Usage(seconds=(time.perf_counter() - started) / len(chunk))
            for problem, answered in zip(chunk, answers, strict=True):
                yield Prediction(problem.id, answered, {"predict": usage})

    def _answer(self, problems: Sequence[Problem], ctx: Context) -> list[tuple[Answer, ...]]:
        for task in dict.fromkeys(problem.task for problem in problems):
            self._require_readable(task)
        for problem in problems:
            require_kind(problem, "classification", self.name)
            if problem.task.modality == "text":
                self._tell_once(unread(problem.labels, self.names), ctx)
        named = [with_names(problem, self.names) for problem in problems]
        able = [problem for problem in named if problem.support and problem.queries]
        found = iter(self._log_probabilities(able, ctx) if able else ())
        return [
            _answers(problem, next(found))
            if problem.support and problem.queries
            else failure(problem, Status.ERROR, f"{self.name} needs a support text, or names of labels").answers
            for problem in named
        ]

    def _tell_once(self, note: str | None, ctx: Context) -> None:
        if note is not None and note not in self._told:
            self._told.add(note)
            ctx.notify(note)

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        """(n_query, n_way) log-probabilities of each problem; not finite where the learner failed."""
        raise NotImplementedError


@dataclass(eq=False, kw_only=True)
class FrozenLearner(EncoderLearner):
    """A learner on vectors that stay as they are. Subclasses define `_solve`; nothing but NumPy and SciPy is needed."""

    _table: VectorTable | None = field(default=None, init=False, repr=False)

    def prepare(self, background: Background, ctx: Context) -> None:
        """Keep the texts that an encoder may learn from; with others than before, all vectors are computed anew."""
        if background.texts != self._background:
            self._table = None
        super().prepare(background, ctx)

    def _log_probabilities(self, problems: Sequence[Problem], ctx: Context) -> Iterable[np.ndarray]:
        table = self._table_for(ctx)
        table.add(content(row) for each in problems for row in (*each.support, *each.queries))
        for problem in problems:
            column = {label.name: at for at, label in enumerate(problem.labels)}
            classes = np.array([column[str(example.label)] for example in problem.support])
            support = table.vectors([content(example) for example in problem.support])
            queries = table.vectors([content(query) for query in problem.queries])
            yield self._solve(support, classes, queries, len(column))

    def _solve(self, support: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        """Log-probabilities of one problem.

        Args:
            support: (n_support, d) float32. classes: (n_support,) integers in [0, n_way).
            queries: (n_query, d) float32.

        Returns:
            (n_query, n_way).
        """
        raise NotImplementedError

    def _table_for(self, ctx: Context) -> VectorTable:
        if self._table is None or len(self._table) > MAX_TEXTS:
            features = FrozenFeatures(build_encoder(self.encoder, device=ctx.device, notify=ctx.notify))
            if self._background:
                features.fit(self._background)
            self._table = VectorTable(features)
        return self._table


def stacked_log_probabilities(
    executor: Executor, algorithm: Algorithm, params: Params, problems: Sequence[Problem], table: TextTable
) -> Iterator[np.ndarray]:
    """(n_query, n_way) log-probabilities of each problem, computed together; NaN where an inner loop diverged."""
    batch = stack([index_problem(problem, table) for problem in problems], table)
    logits = executor.predict(algorithm, params, batch).double().cpu().numpy()
    for problem, rows in zip(problems, logits, strict=True):
        shown = rows[: len(problem.queries), : len(problem.labels)]
        yield log_softmax(np.where(np.abs(shown) < _EXPLODED, shown, np.nan))


def _answers(problem: Problem, scores: np.ndarray) -> tuple[Answer, ...]:
    """Scores (n_query, n_way) as answers; rows that are not finite are failures."""
    names = [label.name for label in problem.labels]
    failed = Answer(None, Status.ERROR, detail="the inner loop diverged: its outputs are not finite")
    return tuple(
        Answer(names[int(row.argmax())], scores=tuple(row.tolist()), score_kind="logprob") if fine else failed
        for row, fine in ((row, np.isfinite(row).all()) for row in scores)
    )
