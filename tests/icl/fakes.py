"""A language model small enough to reason about: it prefers the label whose demonstrations look like the query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from evals.types import Example, Label, Problem, Query, TaskInfo
from icl.models.base import (
    Capabilities,
    ContinuationScore,
    GenerateRequest,
    Generation,
    Prompt,
    ScoreRequest,
    ScoreResult,
    States,
)


@dataclass
class OverlapModel:
    """Scores by shared character pairs. One character is one token, so every length can be counted by eye.

    Args:
        bias: added to the score of a label, whatever the prompt.
        writes: what it generates for a prompt.
    """

    context_length: int = 100_000
    chat: bool = True
    system_role: bool = True
    scores: bool = True
    languages: tuple[str, ...] = ()
    measured_demos: int | None = None
    bias: dict[str, float] = field(default_factory=dict)
    writes: Callable[[Prompt], str] = lambda prompt: ""
    name: str = "overlap"
    notes: tuple[str, ...] = ()
    asked: list[ScoreRequest] = field(default_factory=list)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            self.context_length,
            self.scores,
            self.chat,
            self.system_role,
            self.languages,
            measured_demos=self.measured_demos,
        )

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        self.asked.extend(requests)
        return [
            ScoreResult(tuple(self._score(request.prompt, c) for c in request.continuations), tokens_fresh=1)
            for request in requests
        ]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generation]:
        return [Generation(self.writes(request.prompt), tokens_in=1, tokens_out=1) for request in requests]

    def states_of(self, prompt: Prompt) -> list[float]:
        """How the last paragraph looks: one number per telling word."""
        return [overlap(word, blocks(prompt)[-1]) for word in ("espresso", "leaves", "milk", "hot")]

    def next_token(self, prompts: Sequence[Prompt], top_k: int = 20) -> list[dict[str, float]]:
        raise NotImplementedError

    def count_tokens(self, prompt: Prompt | str) -> int:
        return len(prompt) if isinstance(prompt, str) else len(flat(prompt))

    def trie_size(self, requests: Sequence[ScoreRequest]) -> int:
        return len({flat(request.prompt)[:end] for request in requests for end in range(len(flat(request.prompt)))})

    def render(self, prompt: Prompt) -> str:
        return flat(prompt)

    def boundary(self, prompt: Prompt, continuation: str, before: int = 3) -> list[tuple[int, str]]:
        return [(ord(character), character) for character in flat(prompt)[-before:] + continuation]

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}

    def _score(self, prompt: Prompt, continuation: str) -> ContinuationScore:
        assert self.context_length >= len(flat(prompt)) + len(continuation), "the prompt does not fit"
        *shown, query = blocks(prompt)
        likeness = [overlap(given, query) for given in shown if given.endswith(continuation.strip())]
        total = max(likeness, default=0.0) * 5 - 10 + self.bias.get(continuation.strip(), 0.0)
        ids = tuple(map(ord, continuation))
        return ContinuationScore(ids, (total / len(ids),) * len(ids), len(continuation.encode()))


@dataclass
class StatesModel(OverlapModel):
    """Shows hidden states besides: `states_of` the prompt in every layer. The states of prompts are asked one by one.

    Args:
        reads_labels: as in `Capabilities`.
    """

    name: str = "states"
    reads_labels: bool = False
    n_layers: int = 4

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, reads_labels=self.reads_labels)

    def states(self, prompts: Sequence[Prompt], layers: Sequence[int] = (-1,)) -> States:
        rows = [[self.states_of(prompt)] * len(layers) for prompt in prompts]
        return States(np.array(rows, dtype=np.float32), tokens_fresh=len(prompts))

    def read(
        self, requests: Sequence[ScoreRequest], prompts: Sequence[Prompt], layers: Sequence[int]
    ) -> tuple[list[ScoreResult], States]:
        return self.score(requests), self.states(prompts, layers)


def flat(prompt: Prompt) -> str:
    """A prompt as one string."""
    return prompt.text + "".join(f"<{message.role}>{message.content}" for message in prompt.messages)


def blocks(prompt: Prompt) -> list[str]:
    """Demonstrations and query: paragraphs of a completion, turns of a chat with their answers."""
    if prompt.text:
        return prompt.text.split("\n\n")
    turns = [message for message in prompt.messages if message.role != "system"]
    pairs = zip(turns[::2], turns[1::2], strict=False)
    return [user.content + answer.content for user, answer in pairs] + [turns[-1].content]


def overlap(one: str, other: str) -> float:
    """Jaccard similarity of character pairs."""
    a, b = ({text[at : at + 2] for at in range(len(text) - 1)} for text in (one, other))
    return len(a & b) / max(1, len(a | b))


TASK = TaskInfo(
    "drinks",
    "en",
    "classification",
    instruction="Name the drink.",
    template="named",
    input_name="Order",
    output_name="Drink",
)


def problem(
    support: Sequence[tuple[str, str]] = (
        ("a black espresso", "coffee"),
        ("green leaves in a pot", "tea"),
        ("espresso with milk", "coffee"),
        ("leaves of mint, hot", "tea"),
    ),
    queries: Sequence[str] = ("double espresso please", "leaves, brewed", "an espresso", "hot green leaves"),
    labels: Sequence[str] = ("coffee", "tea"),
    task: TaskInfo = TASK,
) -> Problem:
    """A problem whose examples are s0, s1, ... and whose queries are q0, q1, ..."""
    return Problem(
        id="0" * 64,
        task=task,
        labels=tuple(Label(name, name) for name in labels),
        support=tuple(Example(f"s{at}", text, label) for at, (text, label) in enumerate(support)),
        queries=tuple(Query(f"q{at}", text) for at, text in enumerate(queries)),
    )
