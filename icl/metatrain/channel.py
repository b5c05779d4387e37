"""Noisy-channel classification: the label under which the text is most probable.

Min et al., ACL 2022, arXiv 2108.04106. Beside direct scoring it asks one prompt per label instead of one per query, and
scores the whole text: the labels share the demonstrations alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from evals.learner import BaseLearner, Context, require_kind
from evals.types import Answer, Prediction, Problem, Usage
from fewshot.core.seeds import random_state
from icl.models.base import Prompt, ScoreRequest
from icl.models.local import LocalModel
from icl.planning import refuse_unusable_labels
from icl.readouts.channel import channel_text


class Channel(BaseLearner):
    """Labels texts by what a language model thinks of the text after each label, the support shown before.

    Args:
        model: language model that scores exactly.
    """

    name = "channel"

    def __init__(self, model: LocalModel) -> None:
        self.model = model

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems in their order.

        Raises:
            UsageError: the labels read alike, or a prompt is longer than the context.
        """
        for problem in problems:
            if ctx.stopping:
                return
            require_kind(problem, "classification", self.name)
            refuse_unusable_labels(problem.labels)
            results = self.model.score(self._requests(problem, ctx.seed))
            tokens = sum(result.tokens_fresh for result in results)
            usage = Usage(requests=len(results), tokens_in=tokens)
            scores = np.array([math.fsum(result.scores[0].logprobs) for result in results])
            answers = self._answers(problem, scores.reshape(len(problem.queries), len(problem.labels)))
            yield Prediction(problem.id, answers, {"predict": usage})

    def _requests(self, problem: Problem, seed: int) -> list[ScoreRequest]:
        words = {label.name: label.verbalizer for label in problem.labels}
        order = random_state(seed, [[row.id, row.text] for row in problem.support]).permutation(len(problem.support))
        support = [problem.support[at] for at in order.tolist()]
        shown = "".join("".join(channel_text(words[str(row.label)], row.text)) + "\n" for row in support)
        pairs = [channel_text(word, query.text) for query in problem.queries for word in words.values()]
        return [ScoreRequest(Prompt(shown + given), (answer,)) for given, answer in pairs]

    def _answers(self, problem: Problem, scores: np.ndarray) -> tuple[Answer, ...]:
        names: Sequence[str] = [label.name for label in problem.labels]
        logprobs = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        return tuple(
            Answer(names[int(row.argmax())], scores=tuple(row.tolist()), score_kind="logprob", raw=tuple(raw.tolist()))
            for row, raw in zip(logprobs, scores, strict=True)
        )
