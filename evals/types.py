"""The nouns that travel: what a learner is given and what it gives back. Data only; every class is frozen.

The gold of an example depends on the kind of its task:

    classification   str                the label's name
    multilabel       tuple[str, ...]    the names of all labels that hold, sorted
    tagging          tuple[str, ...]    one BIO tag per token; the tokens are `fields["tokens"]`
    generation       str                the expected text
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

Gold = str | tuple[str, ...]
Phase = Literal["meta_train", "prepare", "adapt", "predict"]
ScoreKind = Literal["logprob", "bound", "none"]
#: What the examples of a task are. An image stands in the place of the text, see `fewshot.core.images`.
Modality = Literal["text", "image", "series"]


def plural(modality: str) -> str:
    """What examples are called."""
    return "time series" if modality == "series" else f"{modality}s"


class Status(StrEnum):
    """How the answer to one query came out. Everything but OK counts as wrong in the accuracy over all."""

    OK = "ok"
    UNPARSED = "unparsed"
    NOT_IN_LABELS = "not_in_labels"
    TRUNCATED = "truncated"
    REFUSED = "refused"
    FILTERED = "filtered"
    CONTEXT_EXCEEDED = "context_exceeded"
    BAD_RESPONSE = "bad_response"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    AUTH = "auth"
    ERROR = "error"
    #: Of new texts: the learner answered, and was less sure than was asked for.
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Label:
    """A class: `name` as in the data, `verbalizer` as in a prompt, `description` for zero-shot methods."""

    name: str
    verbalizer: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text. `label` is None where no gold is known (text to be labelled)."""

    id: str
    text: str
    label: Gold | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """One text to be labelled, as a learner sees it: there is no label in it, and its id tells nothing."""

    id: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """The words around the data that a learner may use, and what the data are."""

    name: str
    language: str
    kind: str
    instruction: str = ""
    template: str = "classify"
    input_name: str = "Text"
    output_name: str = "Label"
    fields: tuple[str, ...] = ()
    modality: Modality = "text"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a learner is asked: the labels, the support with gold, the queries without.

    Attributes:
        id: SHA-256 of the episode's content.
        labels: the n_way classes, in an order drawn per episode. Scores follow this order.
        support: in rounds, so that the support of fewer shots is its beginning. A round of classification holds one
            example of every class; where texts carry several classes, what each class still lacks.
        queries: shuffled.
    """

    id: str
    task: TaskInfo
    labels: tuple[Label, ...]
    support: tuple[Example, ...]
    queries: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one query.

    Attributes:
        decision: the predicted gold, or None unless the status is OK.
        scores: (n_way,) log-probabilities in the order of `Problem.labels`, normalised over the labels, or None.
        score_kind: whether scores are log-probabilities, partly mere bounds of them, or absent.
        raw: (n_way,) scores before calibration, or None.
        detail: raw output or error text, for people.
    """

    decision: Gold | None
    status: Status = Status.OK
    scores: tuple[float, ...] | None = None
    score_kind: ScoreKind = "none"
    raw: tuple[float, ...] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one phase of one prediction took. Cached figures were read, not computed or paid, this time.

    Attributes:
        tokens_in: tokens run through a model, freshly (trie nodes, where a trie is used).
        tokens_cached: tokens that a prefix or response cache saved.
        usd: money spent; None means unknown, which is not zero.
    """

    seconds: float = 0.0
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    usd: float | None = 0.0

    def __add__(self, other: Usage) -> Usage:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Usage(
            self.seconds + other.seconds,
            self.requests + other.requests,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.tokens_cached + other.tokens_cached,
            usd,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """What is needed to show, later, how a prediction came about. Prompts are rendered again, not stored.

    Attributes:
        demonstrations: per query, the ids of the support examples in prompt order; one shared entry serves all.
        prompt_hashes: per query, the SHA-256 of the exact prompt.
        content_free: (n_content_free, n_way) raw scores of the content-free inputs, for calibration afterwards.
        n_dropped: per query (or one shared entry), how many demonstrations the token budget dropped.
        notes: anything a reader should know ("system role merged into the first turn").
    """

    demonstrations: tuple[tuple[str, ...], ...] = ()
    prompt_hashes: tuple[str, ...] = ()
    content_free: tuple[tuple[float, ...], ...] = ()
    n_dropped: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """A learner's answers to one problem, in the order of its queries."""

    problem_id: str
    answers: tuple[Answer, ...]
    usage: Mapping[Phase, Usage] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
