"""What the page shows of an episode: texts, answers, prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evals.episode import Episode
from evals.prompting import Prompt
from evals.records import EpisodeRecord
from evals.types import Answer, Gold, Status

#: A beginning that prompts share is shown once if it is at least so long.
_WORTH_SHARING = 120


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt on record, rendered again.

    Attributes:
        query: its position. rest: the prompt after the beginning that is shown once for all of them.
        verified: whether it hashes to what was recorded.
        tokens: (n_way,) per label, its tokens with their log-probabilities; empty where they are not to be had.
    """

    query: int
    rest: str
    verified: bool
    tokens: tuple[tuple[tuple[str, float], ...], ...] = ()


@dataclass(frozen=True)
class ShownAnswer:
    """One answer.

    Attributes:
        scores, raw: (n_way,) probabilities, and log-probabilities before calibration; empty where there are none.
        demonstrations: ids of the texts shown, where the learner says.
    """

    decision: str
    right: bool
    status: str
    scores: tuple[float, ...]
    raw: tuple[float, ...]
    detail: str
    demonstrations: tuple[str, ...]


@dataclass(frozen=True)
class ShownLearner:
    """What one learner did in an episode.

    Attributes:
        shared: the beginning that all prompts share.
        note: why prompts cannot be shown, or "".
    """

    name: str
    baseline: bool
    answers: tuple[ShownAnswer, ...]
    prompts: tuple[ShownPrompt, ...]
    shared: str
    note: str
    notes: tuple[str, ...]

    @property
    def is_detailed(self) -> bool:
        """Whether there is more to see than decisions."""
        return bool(self.prompts or self.note or any(a.scores or a.raw or a.detail for a in self.answers))


@dataclass(frozen=True)
class ShownEpisode:
    """An episode with the answers to it. Texts are empty where the task cannot be loaded; `note` says why.

    Attributes:
        support: (id, gold, text). queries: (id, gold, text).
    """

    index: int
    place: str
    labels: tuple[str, ...]
    support: tuple[tuple[str, str, str], ...]
    queries: tuple[tuple[str, str, str], ...]
    learners: tuple[ShownLearner, ...]
    note: str


def support_of(record: EpisodeRecord, episode: Episode | str) -> tuple[tuple[str, str, str], ...]:
    """(id, gold, text) of the support; gold and text are empty where there is no episode but a reason why not."""
    if isinstance(episode, str):
        return tuple((ident, "", "") for ident in record.support_ids)
    return tuple((row.id, _plain(row.label), row.text) for row in episode.problem.support)


def queries_of(record: EpisodeRecord, episode: Episode | str) -> tuple[tuple[str, str, str], ...]:
    """(id, gold, text) of the queries; the text is empty where there is no episode but a reason why not."""
    texts = [""] * len(record.gold) if isinstance(episode, str) else [q.text for q in episode.problem.queries]
    return tuple(
        (ident, _plain(gold), text) for ident, gold, text in zip(record.query_ids, record.gold, texts, strict=True)
    )


def answer_of(answer: Answer, gold: Gold, demonstrations: tuple[str, ...]) -> ShownAnswer:
    """An answer beside what is right."""
    return ShownAnswer(
        decision=_plain(answer.decision),
        right=answer.status is Status.OK and answer.decision == gold,
        status=answer.status.value,
        scores=tuple(np.exp(answer.scores).tolist()) if answer.scores else (),
        raw=answer.raw or (),
        detail=answer.detail,
        demonstrations=demonstrations,
    )


def _plain(value: Gold | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else ", ".join(value)


def text_of(prompt: Prompt) -> str:
    """A prompt in one text; chat turns with their roles."""
    if not prompt.messages:
        return prompt.text
    return "\n\n".join(f"[{turn.role}]\n{turn.content}" for turn in prompt.messages)


def shared_beginning(texts: Sequence[str]) -> str:
    """What all texts begin with, up to the end of a line; nothing if that is short."""
    if len(texts) < 2:
        return ""
    first, last = min(texts), max(texts)
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = first[: first.rfind("\n", 0, length) + 1]
    return shared if len(shared) >= _WORTH_SHARING else ""
