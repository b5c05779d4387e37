"""The language model contract: four verbs and a capability record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np

from evals.learner import Context
from evals.types import Status, Usage


@dataclass(frozen=True, slots=True)
class Message:
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is shown: either plain text (completion) or chat messages that end with a user turn.

    Control tokens that stand in `text` or in a message's content are data: the model spells them out and never takes
    them as its own.
    """

    text: str = ""
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Continuations to be scored after one prompt. In a chat prompt they begin the assistant's turn."""

    prompt: Prompt
    continuations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """Log-probabilities of one continuation, token by token.

    Attributes:
        token_ids: the tokens scored. Where a token straddles the boundary it is the first one here.
        logprobs: (n_tokens,) natural logarithms, float32 precision.
        n_bytes: UTF-8 length of the continuation.
        straddles: whether the first token also covers characters of the prompt.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    n_bytes: int
    straddles: bool = False


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """Scores of one request, in the order of its continuations, with what they cost."""

    scores: tuple[ContinuationScore, ...]
    tokens_fresh: int = 0
    tokens_shared: int = 0


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Text to be continued greedily, up to `max_tokens` or the first of `stop`.

    Attributes:
        choices: where the model can, the answer is a JSON object whose only value is one of these.
        top_logprobs: how many of the most probable first tokens are wanted beside the text.
    """

    prompt: Prompt
    max_tokens: int = 16
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """What a model wrote, or why it did not.

    Attributes:
        text: what was written or, with another status than OK, what went wrong.
        tokens_cached, usd, requests: as in `Usage`.
        alternatives: (text, log-probability) of the most probable first tokens, if they were asked for.
    """

    text: str
    status: Status = Status.OK
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    usd: float | None = 0.0
    requests: int = 1
    alternatives: tuple[tuple[str, float], ...] = ()

    @property
    def usage(self) -> Usage:
        """What it took."""
        return Usage(0.0, self.requests, self.tokens_in, self.tokens_out, self.tokens_cached, self.usd)


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A question whose answer is one of `choices`."""

    prompt: Prompt
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """How probable a model holds each of the choices to be, or why it does not say.

    Attributes:
        probabilities: (n_choices,), or None with another status than OK.
    """

    probabilities: tuple[float, ...] | None
    status: Status = Status.OK
    detail: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model can do, so that nobody finds out by failing.

    Attributes:
        context_length: tokens, prompt and answer together.
        scores: whether `score` gives exact log-probabilities of whole continuations.
        chat: whether it has a chat format. system_role: whether that format knows system messages.
        languages: languages it was made for (BCP 47), empty if unknown.
        top_logprobs: how many of the most probable first tokens `generate` can show beside its text.
        concurrency: how many requests it answers at the same time.
        measured_demos: how many demonstrations it was measured with, all classes together; by default it is shown no
            more. None if unknown.
        reads_labels: whether it was measured to be read better by the scores of its labels than by its hidden states.
    """

    context_length: int
    scores: bool = True
    chat: bool = False
    system_role: bool = False
    languages: tuple[str, ...] = ()
    top_logprobs: int = 0
    concurrency: int = 1
    measured_demos: int | None = None
    reads_labels: bool = False


@dataclass(frozen=True)
class States:
    """Hidden states of several prompts, with what they cost.

    Attributes:
        values: (n_prompts, n_layers, d) float32.
    """

    values: np.ndarray
    tokens_fresh: int = 0
    tokens_shared: int = 0


class LanguageModel(Protocol):
    """A language model behind four verbs. Models are built cheaply and loaded on first use.

    Attributes:
        notes: what a reader of its results should know (fallbacks taken), in the order in which it came up.
    """

    name: str
    notes: tuple[str, ...]

    @property
    def capabilities(self) -> Capabilities: ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """Exact log-probabilities. Requests of one call share work wherever their prompts share a beginning."""
        ...

    def next_token(self, prompts: Sequence[Prompt], top_k: int = 20) -> list[dict[str, float]]:
        """The `top_k` most probable next tokens of each prompt with their log-probabilities."""
        ...

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generation]:
        """Greedy continuations."""
        ...

    def count_tokens(self, prompt: Prompt | str) -> int:
        """Length in this model's tokens, special tokens included for a Prompt, excluded for a bare string."""
        ...

    def describe(self) -> dict[str, Any]:
        """Identity for the record: name, revision or file hash, dtype, device."""
        ...


@runtime_checkable
class ShowsTokens(Protocol):
    """A language model whose tokens can be looked at without running it."""

    def render(self, prompt: Prompt) -> str:
        """The exact text that the model reads."""
        ...

    def boundary(self, prompt: Prompt, continuation: str, before: int = 3) -> list[tuple[int, str]]:
        """The last tokens of the prompt and all of the continuation, as (id, text)."""
        ...

    def trie_size(self, requests: Sequence[ScoreRequest]) -> int:
        """How many tokens `score` would compute for these requests."""
        ...


@runtime_checkable
class ShowsStates(Protocol):
    """A language model whose hidden states can be read.

    Attributes:
        n_layers: how many layers it has. State 0 is the token embedding, state `n_layers` what the vocabulary is read
            from.
    """

    @property
    def n_layers(self) -> int: ...

    def states(self, prompts: Sequence[Prompt], layers: Sequence[int] = (-1,)) -> States:
        """The hidden states after the last token of each prompt. What prompts share is computed once."""
        ...

    def read(
        self, requests: Sequence[ScoreRequest], prompts: Sequence[Prompt], layers: Sequence[int]
    ) -> tuple[list[ScoreResult], States]:
        """What `score` and `states` give; what requests and prompts share is computed once, too."""
        ...


@runtime_checkable
class Decides(Protocol):
    """A language model that answers choice questions with probabilities."""

    def decide(self, requests: Sequence[DecisionRequest]) -> list[Decision]: ...


@runtime_checkable
class Metered(Protocol):
    """A language model whose requests cost money and time elsewhere."""

    def attend(self, ctx: Context) -> None:
        """From now on, keep to the budget of this context and note what is paid for in its ledger.

        Raises:
            ModelUnavailable: there is no key.
            UsageError: the budget cannot be kept, because a price is not known.
        """
        ...

    def foresee(self, requests: Sequence[GenerateRequest]) -> tuple[int, float | None]:
        """Estimated tokens and USD (None: unknown) of these requests, at most. Sends nothing."""
        ...

    def abandon(self) -> None:
        """Wait for no answer any longer."""
        ...
