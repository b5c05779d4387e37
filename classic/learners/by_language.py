"""Learners whose encoder suits the language of the texts, where none is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Self

from evals.language import UNKNOWN, with_language
from evals.learner import Background, BaseLearner, Context
from evals.types import Label, Prediction, Problem, TaskInfo
from fewshot.core.embedded import encoder_for
from fewshot.core.spec import Spec, auto_spec
from fewshot.encoders import Encoder


@dataclass(eq=False, kw_only=True)
class LearnerByLanguage(BaseLearner):
    """A learner on a text encoder, which is settled before it answers. Subclasses define `_predict`, or `solve`.

    Attributes:
        encoder: "auto" takes the embedded one that suits the language of the texts.
    """

    encoder: str | Spec | Encoder = "auto"
    _background: tuple[str, ...] = field(default=(), init=False, repr=False)
    _chosen: dict[str, Self] = field(default_factory=dict, init=False, repr=False)
    _reason: str = field(default="", init=False, repr=False)

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Self:
        """With the encoder for the task's language where it is "auto"; else, or in no known language, this one."""
        return self if task.language == UNKNOWN else self._for_language(task.language)

    @property
    def _auto(self) -> Spec | None:
        """The spec of an encoder that is still to be chosen."""
        return auto_spec(self.encoder)

    def _for_language(self, language: str) -> Self:
        spec = self._auto
        if spec is None:
            return self
        if language not in self._chosen:
            name, reason = encoder_for(language)
            settled = replace(self, encoder=str(replace(spec, name=name)))
            settled._reason = reason
            settled._background = self._background
            self._chosen[language] = settled
        return self._chosen[language]

    def prepare(self, background: Background, ctx: Context) -> None:
        """Keep the texts that an encoder may learn from."""
        self._background = background.texts

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems with one encoder; where it is chosen here, the first of them tells the language.

        Raises:
            UsageError: a problem is no classification.
        """
        waiting = iter(problems)
        if self._auto is not None:
            first = next(waiting, None)
            if first is not None:
                settled = self._for_language(with_language(first).task.language)
                yield from settled.predict(chain([first], waiting), ctx)
            return
        if self._reason:
            ctx.notify(self._reason)
            self._reason = ""
        yield from self._predict(waiting, ctx)

    def _predict(self, problems: Iterator[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems with the encoder that was settled: one by one, unless a subclass says otherwise."""
        yield from super().predict(problems, ctx)
