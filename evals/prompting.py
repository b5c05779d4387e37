"""Learners that prompt: how the harness may ask for a prompt on record without knowing who wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from evals.learner import Context
from evals.types import Problem
from fewshot.core.hashing import digest


class Turn(Protocol):
    """One chat turn."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...


class Prompt(Protocol):
    """What a model was shown: text, or chat turns."""

    @property
    def text(self) -> str: ...
    @property
    def messages(self) -> Sequence[Turn]: ...


@runtime_checkable
class ShowsPrompts(Protocol):
    """A learner that can render a prompt of an earlier prediction again."""

    def prompt_for(self, problem: Problem, query_index: int, ctx: Context) -> Prompt | None:
        """The prompt of a query, or None where none could be asked. Sends nothing."""
        ...


@runtime_checkable
class ShowsLabelTokens(Protocol):
    """A learner that can say how probable the tokens of each label are."""

    def label_tokens(
        self, problem: Problem, query_index: int, ctx: Context
    ) -> Sequence[Sequence[tuple[str, float]]] | None:
        """Per label of the problem, its tokens with their log-probabilities after the prompt of a query.

        Runs a model of this machine; None where there is none, or no prompt.
        """
        ...


def prompt_hash(prompt: Prompt) -> str:
    """SHA-256 of a prompt, as `Trace.prompt_hashes` holds it."""
    return digest([prompt.text, [[turn.role, turn.content] for turn in prompt.messages]])
