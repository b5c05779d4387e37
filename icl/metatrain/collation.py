"""Sequences as token ids, and batches of them: which tokens are targets, which are padding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from icl.metatrain.sequences import TrainingSequence
from icl.metatrain.words import refuse_collisions
from icl.models.base import Prompt
from icl.models.tokens import PromptTokenizer

if TYPE_CHECKING:
    from torch import Tensor


#: A batch of this many tokens keeps the processor busy; it takes no sequence this much longer than its shortest one.
_ENOUGH, _UNEVEN = 1024, 1.3


@dataclass(frozen=True)
class Alternative:
    """A word that an answer may be instead, where the one that stands there is not certain.

    Attributes:
        column: where the answer begins. token: the other word's first.
        share: of the target of the answer's first token.
    """

    column: int
    token: int
    share: float


@dataclass(frozen=True)
class Encoded:
    """A sequence in tokens.

    Attributes:
        ids: (length,) token ids.
        answers: the tokens of each target that counts; each is predicted from all tokens before it.
        others: (length,) the tokens whose loss counts as text: those of no target, or every n-th of them.
        alternatives: what answers may be instead.
    """

    ids: np.ndarray
    answers: tuple[range, ...]
    others: np.ndarray
    alternatives: tuple[Alternative, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_targets(self) -> int:
        """Tokens of the answers."""
        return sum(map(len, self.answers))


@dataclass
class SequenceEncoder:
    """Puts sequences into the tokens of a model.

    Args:
        limit: tokens per sequence. Longer ones lose their last examples; those before them do not need them.
        text_every: of the tokens that belong to no target, every n-th counts as text.
    """

    tokenizer: PromptTokenizer
    limit: int
    text_every: int = 1
    _word_ids: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False, repr=False)

    def encode(self, sequence: TrainingSequence) -> Encoded:
        """Tokenise a sequence as one string, as prompts are.

        Raises:
            UsageError: two label words are the same tokens.
        """
        refuse_collisions(sequence.words, self._ids_of)
        ids, spans = self.tokenizer.locate(sequence.text, sequence.spans)
        fitting = [span for span in spans if span.stop <= self.limit]
        ids = ids[: max((span.stop for span in fitting), default=self.limit)]
        others = (np.arange(len(ids)) + int(ids.sum())) % self.text_every == 0
        others[:1] = False
        for span in fitting:
            others[span.start : span.stop] = False
        counted = [at for at, span in enumerate(fitting) if sequence.answerable[at] and span.start > 0]
        alternatives = [
            Alternative(fitting[at].start, token, share)
            for at in counted
            for token, share in self._instead(sequence, at).items()
        ]
        return Encoded(ids, tuple(fitting[at] for at in counted), others, tuple(alternatives))

    def _instead(self, sequence: TrainingSequence, at: int) -> dict[int, float]:
        """What the other words begin with, and their shares of an answer that is not certain.

        A word that begins as the answer does leaves its share there. Later tokens of an answer are told given the
        first, and keep their whole weight.
        """
        doubt = 1 - sequence.certainty[at] if sequence.certainty else 0.0
        if not doubt:
            return {}
        begins = [self._ids_of(word)[len(self.tokenizer.bos_ids)] for word in sequence.words]
        others = Counter(token for token in begins if token != begins[sequence.classes[at]])
        return {token: doubt * n / (len(begins) - 1) for token, n in others.items()}

    def _ids_of(self, word: str) -> tuple[int, ...]:
        if word not in self._word_ids:
            self._word_ids[word] = tuple(self.tokenizer.ids(Prompt(f" {word}")).tolist())
        return self._word_ids[word]


@dataclass(frozen=True)
class Batch:
    """Sequences side by side, short ones filled up at the end, where nothing looks back at what fills them.

    Attributes:
        ids: (n, longest) token ids.
        rows, columns: (n_targets,) where each target stands: answers, then their alternatives, then text.
        tokens: (n_targets,) the targets.
        weights: (n_targets,) factor of each loss; an answer's first token and its alternatives have 1 together.
        starts: (n_answers,) where each answer begins among the targets.
        n_labels: how many of the targets belong to answers. n_alternatives: how many, after those, are alternatives.
    """

    ids: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    tokens: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    n_labels: int
    n_alternatives: int

    @classmethod
    def of(cls, sequences: Sequence[Encoded], with_text: bool) -> Batch:
        """Stack sequences.

        Args:
            with_text: whether tokens that belong to no answer are targets too.
        """
        ids = np.zeros((len(sequences), max(map(len, sequences))), np.int64)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = sequence.ids
        answers = [(row, span) for row, sequence in enumerate(sequences) for span in sequence.answers]
        labels = [(row, column) for row, span in answers for column in span]
        instead = [(row, each) for row, sequence in enumerate(sequences) for each in sequence.alternatives]
        places = [*labels, *((row, each.column) for row, each in instead)]
        if with_text:
            places += [(row, at) for row, each in enumerate(sequences) for at in np.flatnonzero(each.others).tolist()]
        rows, columns = np.array(places, np.int64).reshape(-1, 2).T
        tokens, weights = ids[rows, columns], np.ones(len(places), np.float32)
        place = {key: at for at, key in enumerate(labels)}
        for at, (row, each) in enumerate(instead, len(labels)):
            tokens[at], weights[at] = each.token, each.share
            weights[place[row, each.column]] -= each.share
        lengths = np.array([len(span) for _, span in answers], np.int64)
        return cls(ids, rows, columns, tokens, weights, np.cumsum(lengths) - lengths, len(labels), len(instead))

    @cached_property
    def rivals(self) -> tuple[np.ndarray, np.ndarray]:
        """(pairs,) targets of answers, and the tokens each is told apart from.

        Those are what answers of its sequence have where they begin as its own does, and their alternatives.
        """
        stops = [*self.starts.tolist(), self.n_labels][1:]
        begun = [
            (row := int(self.rows[at]), self.ids[row, self.columns[start] : self.columns[at]].tobytes())
            for start, stop in zip(self.starts.tolist(), stops, strict=True)
            for at in range(start, stop)
        ]
        begun += [(int(row), b"") for row in self.rows[self.n_labels :][: self.n_alternatives]]
        following: dict[tuple[int, bytes], set[int]] = {}
        for at, beginning in enumerate(begun):
            following.setdefault(beginning, set()).add(int(self.tokens[at]))
        pairs = [(at, token) for at, beginning in enumerate(begun) for token in sorted(following[beginning])]
        targets, tokens = np.array(pairs, np.int64).reshape(-1, 2).T
        return targets, tokens

    def targets(self) -> Tensor:
        """(n_targets,) the tokens to be predicted."""
        import torch

        return torch.from_numpy(self.tokens)


def batches(sequences: Sequence[Encoded], max_tokens: int, with_text: bool) -> Iterator[Batch]:
    """Sequences in batches of similar length, of at most `max_tokens` tokens with padding (one sequence at least)."""
    group: list[Encoded] = []
    for sequence in sorted(sequences, key=len):
        tokens = (len(group) + 1) * len(sequence)
        uneven = bool(group) and len(sequence) > _UNEVEN * len(group[0])
        if group and (tokens > max_tokens or (uneven and tokens > _ENOUGH)):
            yield Batch.of(group, with_text)
            group = []
        group.append(sequence)
    if group:
        yield Batch.of(group, with_text)
