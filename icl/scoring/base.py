"""What a scorer is: it asks the model about prompts and says what it learned, a score per label or one choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from evals.types import Status, Usage
from icl.models.base import LanguageModel, Prompt


@dataclass(frozen=True, slots=True)
class Choices:
    """The labels of a problem as a model is shown them.

    Attributes:
        verbalizers: (n_way,) the words for the labels.
        continuations: (n_way,) what follows the prompt when it is answered with each label.
        stop: where a written answer ends, or "" where the model ends it (chat).
    """

    verbalizers: tuple[str, ...]
    continuations: tuple[str, ...]
    stop: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was learned about one prompt.

    Attributes:
        raw: (n_way,) scores, or None.
        bound: whether some of them are only bounds: those labels may be less probable than that.
        choice: index of the chosen label for scorers without scores, or None.
        status: why there is neither.
        detail: what the model wrote, or the error.
    """

    raw: tuple[float, ...] | None = None
    choice: int | None = None
    status: Status = Status.OK
    detail: str = ""
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of several prompts, in their order, with what they cost and what is to be noted."""

    readings: tuple[Reading, ...]
    usage: Usage
    notes: tuple[str, ...] = ()


class Scorer(Protocol):
    """One way to have a model choose among labels.

    Attributes:
        gives_scores: whether readings hold raw scores, which can be calibrated.
    """

    gives_scores: ClassVar[bool]

    def reserve(self, model: LanguageModel, choices: Choices) -> int:
        """Tokens that the longest answer may take."""
        ...

    def read(self, model: LanguageModel, prompts: Sequence[Prompt], choices: Choices) -> Readings:
        """Ask about all prompts at once, so that the model reads what they share only once.

        Raises:
            UsageError: the model cannot be asked in this way.
        """
        ...

    def describe(self) -> dict[str, Any]: ...
