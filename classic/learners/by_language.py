"""Learners whose encoder suits the examples, where none is named: the language of texts, or what they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import ClassVar, Self

from evals.language import UNKNOWN, with_language
from evals.learner import Background, BaseLearner, Context, require_modality
from evals.types import Label, Prediction, Problem, TaskInfo, plural
from fewshot.core.catalog import ENCODERS, NETWORKS
from fewshot.core.embedded import encoder_for
from fewshot.core.spec import Spec, auto_spec, parse_spec
from fewshot.encoders import Encoder


@dataclass(eq=False, kw_only=True)
class LearnerByLanguage(BaseLearner):
    """A learner on a text encoder, which is settled before it answers. Subclasses define `_predict`, or `solve`.

    Attributes:
        encoder: "auto" takes the embedded one that suits the language of the texts.
    """

    encoder: str | Spec | Encoder = "auto"
    #: What "auto" takes where examples are no texts.
    by_modality: ClassVar[Mapping[str, str]] = {"image": "pixels", "series": "steps"}
    _background: tuple[str, ...] = field(default=(), init=False, repr=False)
    _chosen: dict[str, Self] = field(default_factory=dict, init=False, repr=False)
    _reason: str = field(default="", init=False, repr=False)

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Self:
        """With the encoder for the task's language, or modality, where it is "auto"; else this one.

        Raises:
            UsageError: the encoder reads no such examples.
        """
        settled = self if task.language == UNKNOWN else self._settled(task)
        settled._require_readable(task)
        return settled

    @property
    def _auto(self) -> Spec | None:
        """The spec of an encoder that is still to be chosen."""
        return auto_spec(self.encoder)

    def _settled(self, task: TaskInfo) -> Self:
        spec, language = self._auto, task.language
        if spec is None:
            return self
        known = language if task.modality == "text" else task.modality
        if known not in self._chosen:
            if name := self.by_modality.get(task.modality):
                reason = f"encoder {name}: {task.name} is of {plural(task.modality)}"
            else:
                name, reason = encoder_for(language)
            settled = replace(self, encoder=str(replace(spec, name=name)))
            settled._reason = reason
            settled._background = self._background
            self._chosen[known] = settled
        return self._chosen[known]

    def _require_readable(self, task: TaskInfo) -> None:
        """Refuse a task of other examples than the encoder reads."""
        if self._auto is None:
            require_modality(f"encoder {self._encoder_name!r}", (self._modality,), task)

    @property
    def _encoder_name(self) -> str:
        """For messages."""
        return parse_spec(self.encoder).name if isinstance(self.encoder, str | Spec) else self.encoder.name

    @property
    def _modality(self) -> str:
        """What the encoder reads."""
        if not isinstance(self.encoder, str | Spec):
            return getattr(self.encoder, "modality", "text")
        family = next((each for each in (NETWORKS, ENCODERS) if each.knows(self.encoder)), None)
        return "text" if family is None else family.check(self.encoder).modality

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
                settled = self._settled(with_language(first).task)
                yield from settled.predict(chain([first], waiting), ctx)
            return
        if self._reason:
            ctx.notify(self._reason)
            self._reason = ""
        yield from self._predict(waiting, ctx)

    def _predict(self, problems: Iterator[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems with the encoder that was settled: one by one, unless a subclass says otherwise."""
        yield from super().predict(problems, ctx)
