"""How much of a text an encoder reads, known from its files: counting what is cut needs no weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewshot.core.pretrained import load_tokenizer


def token_limit(folder: Path, own: int | None, own_modules: bool) -> int | None:
    """Tokens of a text that are read, special ones included; None where no file says.

    Args:
        own: the limit that the user set. own_modules: whether sentence-transformers runs the model as it was published.
    """
    config, tokenizer = _settings(folder / "config.json"), _settings(folder / "tokenizer_config.json")
    positions = config.get("max_position_embeddings")
    # RoBERTa and its kin number tokens from padding_idx + 1, so their table is longer than their texts.
    shift = config.get("pad_token_id", 1) + 1 if "roberta" in str(config.get("model_type")) else 0
    known = [own, None if positions is None else positions - shift, tokenizer.get("model_max_length")]
    if own_modules:
        known.append(_settings(folder / "sentence_bert_config.json").get("max_seq_length"))
    limits = [int(limit) for limit in known if isinstance(limit, int | float) and 0 < limit < 1e9]
    return min(limits, default=None)


def longer(folder: Path, texts: Sequence[str], limit: int) -> list[str]:
    """The texts that have more tokens than the limit. The tokenizer is loaded only if one of them may."""
    # Every token stands for one byte at least; special tokens are few.
    long = [text for text in texts if len(text.encode("utf-8", "replace")) > limit - 8]
    if not long:
        return []
    clean = [text.encode("utf-8", "replace").decode("utf-8") for text in long]
    ids = load_tokenizer(folder)(clean, truncation=False, verbose=False)["input_ids"]
    return [text for text, row in zip(long, ids, strict=True) if len(row) > limit]


def _settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}  # whoever loads the model says what is wrong with it
    return found if isinstance(found, dict) else {}
