"""Greedy decoding, with no setting that a model's generation config could change behind our back."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evals.types import Status
from icl.models.base import GenerateRequest, Generation
from icl.models.tokens import PromptTokenizer
from icl.models.trie import common_prefix


def greedy(
    model: Any,
    tokenizer: PromptTokenizer,
    jobs: Sequence[tuple[np.ndarray, GenerateRequest]],
    chunk_tokens: int,
    *,
    cached: bool = True,
) -> Iterator[Generation]:
    """Continue prompts with the most probable token at every step.

    Args:
        jobs: token ids of a prompt (length,), none empty, with its request.
        cached: whether the model can be continued from its cache; else every token is a pass over the whole text.
    """
    if not jobs:
        return
    first = jobs[0][0]
    # One token is left to every prompt, so that there is something to run when all are equal.
    shared = min(min(common_prefix(first, ids), len(ids) - 1) for ids, _ in jobs) if cached else 0
    _, cache = _extend(model, first[:shared], None, chunk_tokens)
    ends = _end_tokens(model)
    for ids, request in jobs:
        text, n_written, status = _continue(
            model, tokenizer, ids[shared:], copy.deepcopy(cache), request, ends, chunk_tokens if cached else None
        )
        yield Generation(text, status, tokens_in=len(ids), tokens_out=n_written)


def _continue(
    model: Any,
    tokenizer: PromptTokenizer,
    rest: np.ndarray,
    cache: Any,
    request: GenerateRequest,
    ends: set[int],
    chunk_tokens: int | None,
) -> tuple[str, int, Status]:
    written: list[int] = []
    text = ""
    while len(written) < request.max_tokens:
        if chunk_tokens is None:
            token = _best(model(input_ids=_row(rest, model), use_cache=False))
        else:
            token, cache = _extend(model, rest, cache, chunk_tokens)
        if token in ends:
            return text, len(written) + 1, Status.OK
        written.append(token)
        text = tokenizer.text_of(written)
        stops = [at for stop in request.stop if (at := text.find(stop)) >= 0]
        if stops:
            return text[: min(stops)], len(written), Status.OK
        rest = np.append(rest, token) if chunk_tokens is None else np.array([token])
    return text, len(written), Status.TRUNCATED


def _extend(model: Any, ids: np.ndarray, cache: Any, chunk_tokens: int) -> tuple[int, Any]:
    """Run tokens and return the most probable next one, with the grown cache."""
    token = -1
    last = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    for start in range(0, len(ids), chunk_tokens):
        piece = _row(ids[start : start + chunk_tokens], model)
        out = model(input_ids=piece, past_key_values=cache, use_cache=True, **last)
        token, cache = _best(out), out.past_key_values
    return token, cache


def _best(out: Any) -> int:
    return int(out.logits[0, -1].float().argmax())


def _row(ids: np.ndarray, model: Any) -> Any:
    import torch

    return torch.from_numpy(ids.astype(np.int64))[None].to(model.device)


def _end_tokens(model: Any) -> set[int]:
    ends = model.generation_config.eos_token_id
    return {ends} if isinstance(ends, int) else set(ends or ())
