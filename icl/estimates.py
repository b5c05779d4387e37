"""What asking a language model is expected to take: counted and timed for local models, foreseen for paid ones."""

from __future__ import annotations

import time
from collections.abc import Sequence

from evals.learner import Estimate
from icl.models.base import GenerateRequest, LanguageModel, Metered, ShowsTokens
from icl.planning import Plan
from icl.scoring.base import Scorer


def estimate_time(model: LanguageModel, plans: Sequence[Sequence[Plan]], n_problems: int) -> Estimate:
    """Count the tokens of a sample, and time one prompt of it.

    Args:
        plans: of every problem of the sample.
    """
    assert isinstance(model, ShowsTokens)
    planned = [[request for plan in asked for request in plan.score_requests] for asked in plans]
    tokens = sum(model.trie_size(requests) for requests in planned if requests)
    total = round(tokens / len(plans) * n_problems)
    sample = next((requests[:1] for requests in planned if requests), None)
    if sample is None:
        return Estimate(tokens=total)
    model.score(sample)  # loads the model, which is not to be timed
    started = time.perf_counter()
    timed = sum(result.tokens_fresh for result in model.score(sample))
    seconds = time.perf_counter() - started
    return Estimate(seconds * total / timed if timed else None, total)


def estimate_cost(model: LanguageModel, plans: Sequence[Sequence[Plan]], scorer: Scorer, n_problems: int) -> Estimate:
    """Tokens and money of a sample, for all problems. Sends nothing, and refuses what could not be asked."""
    assert isinstance(model, Metered)
    scorer.read(model, (), plans[0][0].choices)
    requests = [
        GenerateRequest(prompt, scorer.reserve(model, plan.choices))
        for asked in plans
        for plan in asked
        for prompt in plan.prompts
    ]
    tokens, usd = model.foresee(requests)
    share = n_problems / len(plans)
    return Estimate(tokens=round(tokens * share), usd=None if usd is None else usd * share)
