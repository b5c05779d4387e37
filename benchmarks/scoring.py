"""Label scoring: one pass over a token trie against one forward pass per query and label.

Prints one JSON line. The naive way is measured on a few queries of the same run; the log-probabilities
of those queries are held against the trie's. The floor is what the trie's tokens take in plain forward passes.
Demonstrations that differ per query are measured at their worst, all of them in an order of the query's own, and as the
knn selector chooses them, in each ordering; the naive way then shows the same prompts.

    FEWSHOT_DATA=... python benchmarks/scoring.py [--device cuda] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evals.episode import EpisodeSampler
from evals.loading import load_task
from evals.types import Problem, Query
from fewshot.core.catalog import MODELS, ORDERINGS, SELECTORS
from fewshot.core.seeds import random_state
from icl.models.base import ScoreRequest, ScoreResult
from icl.models.local import LocalModel
from icl.planning import Planner
from icl.prompt import Demonstration, PromptBuilder
from icl.scoring.direct import Direct
from icl.selectors.base import Pool

PLAIN_TOKENS = 512
ORDERS = ("nearest-last", "shuffled", "shared")


def main() -> None:
    args = _arguments()
    sampler = EpisodeSampler(
        load_task(args.task), args.way, args.shot, args.query, class_split=args.class_split or None
    )
    problem = sampler[0].problem
    same, own = _requests(problem, shuffle=False), _requests(problem, shuffle=True)[: args.sample]
    model: LocalModel = MODELS.build(args.model, dtype=args.dtype, device=args.device, notify=_tell)
    model.score(same[:1])  # loads the model

    seconds, results = _best(lambda: model.score(same), args.repeats)
    own_seconds, own_results = _best(lambda: model.score(own), 1)
    model.execution = "reference"
    model.score(same[:1])
    naive_seconds, expected = _best(lambda: model.score(same[: args.sample]), 1)
    chosen = {order: _own_choice(model, problem, order, args) for order in ORDERS}
    naive_ms = naive_seconds / args.sample * 1e3
    ms = seconds / len(same) * 1e3
    nodes = sum(result.tokens_fresh for result in results)
    plain = _plain_tokens_per_second(model)
    record = {
        "benchmark": "scoring",
        **{key: model.describe()[key] for key in ("name", "dtype", "device", "torch", "transformers")},
        "threads": _threads(),
        "task": args.task,
        "way": args.way,
        "shot": args.shot,
        "n_queries": len(same),
        "speedup": round(naive_ms / ms, 1),
        "ms_per_query": round(ms, 1),
        "naive_ms_per_query": round(naive_ms, 1),
        "naive_queries_measured": args.sample,
        "trie_nodes": nodes,
        "naive_tokens": sum(result.tokens_fresh + result.tokens_shared for result in results),
        "plain_tokens_per_second": round(plain),
        "floor_ms_per_query": round(nodes / plain / len(same) * 1e3, 1),
        "max_abs_diff": float(np.abs(_logprobs(results[: args.sample]) - _logprobs(expected)).max()),
        "demonstrations_per_query": {
            "ms_per_query": round(own_seconds / len(own) * 1e3, 1),
            "trie_nodes_per_query": round(sum(result.tokens_fresh for result in own_results) / len(own)),
            "speedup": round(naive_ms / (own_seconds / len(own) * 1e3), 1),
            "queries_measured": len(own),
        },
        **{f"knn, {args.demos} each, {order}": figures for order, figures in chosen.items()},
    }
    print(json.dumps(record))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--task", default="banking77")
    parser.add_argument("--class-split", default="01", help="empty for tasks that have none")
    parser.add_argument("--way", type=int, default=5)
    parser.add_argument("--shot", type=int, default=5)
    parser.add_argument("--query", type=int, default=15, help="queries per class")
    parser.add_argument("--demos", type=int, default=5, help="demonstrations that knn chooses per query")
    parser.add_argument("--sample", type=int, default=4, help="queries on which the slow ways are measured")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many passes over the trie counts")
    return parser.parse_args()


def _requests(problem: Problem, *, shuffle: bool) -> list[ScoreRequest]:
    """One request per query. Shuffled demonstrations differ per query, so that only the instruction is shared."""
    words = {label.name: label.verbalizer for label in problem.labels}
    builder = PromptBuilder(problem.task.template, problem.task, tuple(words.values()))
    shown = [
        Demonstration(Query(example.id, example.text, example.fields), words[str(example.label)])
        for example in problem.support
    ]
    continuations = tuple(builder.continuation(word) for word in words.values())
    requests = []
    for i, query in enumerate(problem.queries):
        order = random_state("scoring benchmark", i).permutation(len(shown)) if shuffle else range(len(shown))
        prompt = builder.showing(shown[j] for j in order).build(query)
        requests.append(ScoreRequest(prompt, continuations))
    return requests


def _own_choice(model: Any, problem: Problem, order: str, args: argparse.Namespace) -> dict[str, float]:
    """Milliseconds per query and tokens where knn chooses for each query, with the speed-up over the naive way."""
    selector = SELECTORS.build("knn", encoder="lexical", device="cpu", offline=True)
    planner = Planner(selector, ORDERINGS.build(order), args.demos, None, "completion", lambda problem, drawn_by: ())
    plan = planner.plan(problem, Pool(problem.support, problem.task.language), model, Direct(), seed=0)
    asked = plan.score_requests
    model.execution = "trie"
    seconds, results = _best(lambda: model.score(asked), 1)
    model.execution = "reference"
    naive, expected = _best(lambda: model.score(asked[: args.sample]), 1)
    ms, naive_ms = seconds / len(asked) * 1e3, naive / args.sample * 1e3
    return {
        "ms_per_query": round(ms, 1),
        "trie_nodes_per_query": round(sum(result.tokens_fresh for result in results) / len(asked)),
        "naive_ms_per_query": round(naive_ms, 1),
        "speedup": round(naive_ms / ms, 1),
        "max_abs_diff": float(np.abs(_logprobs(results[: args.sample]) - _logprobs(expected)).max()),
    }


def _best(work: Callable[[], list[ScoreResult]], repeats: int) -> tuple[float, list[ScoreResult]]:
    """The shortest of some runs in seconds, and what came out."""
    best, results = float("inf"), []
    for _ in range(repeats):
        started = time.perf_counter()
        results = work()
        best = min(best, time.perf_counter() - started)
    return best, results


def _plain_tokens_per_second(model: LocalModel) -> float:
    import torch

    weights = model.weights
    ids = torch.arange(5, 5 + PLAIN_TOKENS, device=weights.device)[None]
    seconds = []
    with torch.inference_mode():
        for _ in range(3):
            started = time.perf_counter()
            float(weights(input_ids=ids, logits_to_keep=1).logits[0, 0, 0])  # waits for a GPU
            seconds.append(time.perf_counter() - started)
    return PLAIN_TOKENS / min(seconds)


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


def _logprobs(results: Sequence[ScoreResult]) -> np.ndarray:
    return np.concatenate([score.logprobs for result in results for score in result.scores])


def _threads() -> int:
    import torch

    return torch.get_num_threads()


if __name__ == "__main__":
    main()
