"""Learners without training. They stand beside every result, since they beat published meta-learners on some tasks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING

import numpy as np

from evals.content import TOKENS, whole_text
from evals.learner import Background, BaseLearner, Context, failure, require_kind
from evals.types import Answer, Problem, Status
from fewshot.core.seeds import seed_of
from fewshot.core.spec import Spec
from fewshot.encoders import Encoder, build_encoder
from fewshot.encoders.prototypes import class_means, cosine_logits, log_softmax, on_shared_columns, similarities

if TYPE_CHECKING:
    from fewshot.encoders.base import Vectors


class Chance(BaseLearner):
    """A uniform guess, drawn per query."""

    name = "chance"
    kinds = ("classification",)
    modalities = None
    baseline = True

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        """Guess. Every label has the score log(1 / n_way)."""
        require_kind(problem, "classification", self.name)
        n_way = len(problem.labels)
        scores = (-log(n_way),) * n_way
        guesses = [seed_of(ctx.seed, problem.id, query.id, self.name) % n_way for query in problem.queries]
        return [Answer(problem.labels[guess].name, scores=scores, score_kind="logprob") for guess in guesses]


class Majority(BaseLearner):
    """What is most frequent in the support, for every query. Ties are broken by the seed, one way per problem.

    That is a label; where a text may have several, as many as a text carries on average, at least one; the tag of each
    token, O where the support does not hold it; or the whole answer.
    """

    name = "majority"
    kinds = ("classification", "multilabel", "tagging", "generation")
    modalities = None
    baseline = True

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        """Count."""
        if problem.task.kind == "classification":
            return self._labels(problem, ctx)
        if not problem.support:
            return list(failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers)
        if problem.task.kind == "tagging":
            return _tags(problem)
        if problem.task.kind == "multilabel":
            counts = Counter(name for row in problem.support for name in row.label or ())
            wanted = max(1, round(counts.total() / len(problem.support)))
        else:
            counts, wanted = Counter(str(row.label) for row in problem.support), 1
        ranked = sorted(counts, key=lambda name: (-counts[name], seed_of(ctx.seed, problem.id, self.name, name)))
        decision = tuple(sorted(ranked[:wanted])) if problem.task.kind == "multilabel" else ranked[0]
        return [Answer(decision)] * len(problem.queries)

    def _labels(self, problem: Problem, ctx: Context) -> list[Answer]:
        """Scores are the label frequencies with one added to each count (Laplace)."""
        counts = Counter(example.label for example in problem.support)
        most = max(counts[label.name] for label in problem.labels)
        tied = sorted(label.name for label in problem.labels if counts[label.name] == most)
        total = len(problem.support) + len(problem.labels)
        answer = Answer(
            tied[seed_of(ctx.seed, problem.id, self.name) % len(tied)],
            scores=tuple(log((counts[label.name] + 1) / total) for label in problem.labels),
            score_kind="logprob",
        )
        return [answer] * len(problem.queries)


def _tags(problem: Problem) -> list[Answer]:
    """The most frequent tag of every token."""
    seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in problem.support:
        for token, tag in zip(row.fields[TOKENS], row.label or (), strict=True):
            seen[token][tag] += 1
    return [
        Answer(tuple(seen[token].most_common(1)[0][0] if token in seen else "O" for token in query.fields[TOKENS]))
        for query in problem.queries
    ]


class _VectorLearner(BaseLearner):
    """A learner that compares vectors. What its encoder learns comes from the background, else from the support."""

    kinds = ("classification",)
    baseline = True

    def __init__(self, encoder: str | Spec | Encoder = "lexical") -> None:
        self.encoder = encoder
        self._unfitted: Encoder | None = None
        self._prepared: Encoder | None = None

    def prepare(self, background: Background, ctx: Context) -> None:
        """Fit the encoder on the background, if there is any."""
        self._prepared = self._fit(background.texts, ctx) if background.texts else None

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        """Encode and compare. Without support there is nothing to compare with: status `error`."""
        require_kind(problem, self.kinds or (), self.name)
        if not problem.support:
            return failure(problem, Status.ERROR, f"{self.name} needs at least one support text").answers
        support = [whole_text(example) for example in problem.support]
        encoder = self._prepared or self._fit(support, ctx)
        queries = [whole_text(query) for query in problem.queries]
        return self.compare(problem, *on_shared_columns(encoder.encode(support), encoder.encode(queries)))

    def compare(self, problem: Problem, support: Vectors, queries: Vectors) -> list[Answer]:
        """Answers from vectors (n_support, d) and (n_query, d) whose dot products are cosines."""
        raise NotImplementedError

    def _fit(self, texts: Sequence[str], ctx: Context) -> Encoder:
        if self._unfitted is None:
            self._unfitted = build_encoder(self.encoder, device=ctx.device, notify=ctx.notify)
        return self._unfitted.fit(texts)


class NearestNeighbour(_VectorLearner):
    """The answer of the support text with the highest cosine similarity (Cover and Hart 1967); of equals, the first.

    Args:
        encoder: an encoder or the spec of one.
    """

    name = "nn"
    kinds = ("classification", "multilabel", "generation")

    def compare(self, problem: Problem, support: Vectors, queries: Vectors) -> list[Answer]:
        """Decisions without scores."""
        nearest = similarities(queries, support).argmax(axis=1)
        return [Answer(problem.support[at].label) for at in nearest.tolist()]


class LexicalPrototypes(_VectorLearner):
    """The class whose mean vector has the highest cosine similarity (Rocchio 1971), over TF-IDF vectors by default.

    Args:
        encoder: an encoder or the spec of one.
        temperature: scores are the log-softmax of the cosines divided by it. The default has the lowest log loss on
            validation classes of BANKING77, HWU64 and Liu, 1 and 5 shots taken together.
    """

    name = "tfidf"

    def __init__(self, encoder: str | Spec | Encoder = "lexical", temperature: float = 0.06) -> None:
        super().__init__(encoder)
        self.temperature = temperature

    def compare(self, problem: Problem, support: Vectors, queries: Vectors) -> list[Answer]:
        """Decisions with scores."""
        column = {label.name: at for at, label in enumerate(problem.labels)}
        classes = np.array([column[str(example.label)] for example in problem.support])
        prototypes = class_means(support, classes, len(problem.labels))
        scores = log_softmax(cosine_logits(queries, prototypes), self.temperature)
        decisions = [problem.labels[at].name for at in scores.argmax(axis=1).tolist()]
        return [
            Answer(decision, scores=tuple(row), score_kind="logprob")
            for decision, row in zip(decisions, scores.tolist(), strict=True)
        ]
