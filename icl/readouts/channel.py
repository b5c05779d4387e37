"""The noisy channel: the label after which the text is most probable.

Min et al., ACL 2022, "Noisy Channel Language Model Prompting for Few-Shot Text Classification" (arXiv 2108.04106). The
demonstrations stand with the label before the text, and what is scored is the text: P(text | label), for labels that
are equally frequent. The label has to explain every word of the text, and its own probability plays no part.

Cost: the demonstrations once (where queries share them), every label once per problem, and every query once per label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evals.content import whole_text
from evals.types import Answer, Example, Problem, Query, Usage
from fewshot.core.errors import UsageError
from icl.models.base import Prompt, ScoreRequest
from icl.prompt import on_one_line
from icl.readouts.base import Asking, Read, Readout, decided, not_asked


def channel_text(word: str, text: str) -> tuple[str, str]:
    """An example as the channel reads it: the label, then the text that it is to explain."""
    return f"{word}:", f" {text}"


@dataclass(frozen=True)
class Channel(Readout):
    """Scores texts after labels, with the demonstrations that the selector chose; no instruction is shown."""

    name = "channel"
    selects: ClassVar[bool] = True
    about_prompt: ClassVar[str] = (
        "readout 'channel' writes these examples the other way round, as `label: text` without the instruction, and "
        "scores the text after every label"
    )

    def asked(self, problem: Problem) -> tuple[Problem, ...]:
        return (problem,)

    def read(self, asking: Asking) -> Read:
        model, (plan,), problem = asking.model, asking.plans, asking.problem
        if not model.capabilities.scores:
            raise UsageError(f"model {model.name!r} gives no log-probabilities of texts; use readout 'labels'")
        words = [label.verbalizer for label in problem.labels]
        word_of = {label.name: label.verbalizer for label in problem.labels}
        support = {example.id: example for example in problem.support}
        requests = []
        for planned, query in zip(plan.queries, problem.queries, strict=True):
            if planned.prompt is not None:
                shown = "".join(_shown(support[ident], word_of) for ident in planned.demonstrations)
                pairs = [channel_text(word, _line(query)) for word in words]
                requests += [ScoreRequest(Prompt(shown + given), (text,)) for given, text in pairs]
        results = iter(model.score(requests))
        fresh = shared = 0
        answers: list[Answer] = []
        for planned in plan.queries:
            if planned.prompt is None:
                answers.append(not_asked(planned))
                continue
            found = [next(results) for _ in words]
            fresh += sum(result.tokens_fresh for result in found)
            shared += sum(result.tokens_shared for result in found)
            totals = [math.fsum(result.scores[0].logprobs) for result in found]
            answers.append(decided(problem.labels, np.array(totals)))
        usage = Usage(requests=len(requests), tokens_in=fresh, tokens_cached=shared)
        return Read(tuple(answers), usage)


def _shown(example: Example, words: dict[str, str]) -> str:
    return "".join(channel_text(words[str(example.label)], _line(example))) + "\n"


def _line(row: Example | Query) -> str:
    """The text and its fields on one line: a text of several lines could pass for demonstrations."""
    return on_one_line(whole_text(row))
