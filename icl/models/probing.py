"""What a model can be trusted with, asked and not known by name: a short text is run in every way and compared.

The plain pass, one text from its start without a cache, is what all else is held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from icl.models.execution import TrieRunner, run_prefix, run_reference
from icl.models.masks import FULL, WINDOWS, TreeMasks, windowed_masks
from icl.models.trie import TokenTrie

#: Tokens of the probe: a stem, and two branches that leave it.
_STEM, _BRANCH = 20, 4
#: Windows that the probe fills several times.
_SMALL_WINDOW = 5
#: How foreign code says that it does not know our inputs, or a cache.
_INCAPABLE = (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError, NotImplementedError)


def is_causal(model: Any) -> bool:
    """Whether no token is seen by those before it. In an encoder all see each other, the label to be scored too."""
    one, other = _branches(model)
    found = _plain(model, [one, other])
    early, same = (rows[:_STEM] for rows in found)
    # Of values that are not finite nothing can be told; scoring says so when it meets them.
    return not early.isfinite().all() or _agree(model, early, same)


def continues_from_cache(model: Any) -> bool:
    """Whether a text that is read in pieces, each on the cache of those before, comes out as it does in one."""
    return _reproduces(model, [lambda trie, read: run_prefix(model, trie, np.arange(len(trie)), read, 7)])


def takes_tree_mask(model: Any, masks: TreeMasks | None = None) -> bool:
    """Whether a packed tree comes out as its branches do one by one.

    An attention that ignores the masks, or positions, would see one branch from the other. Windows that the probe does
    not fill are not noticed: see `masks_of_windows`.
    """
    given = masks or TreeMasks()

    def packed(chunk: int) -> Any:
        return lambda trie, read: TrieRunner(model, trie, np.arange(len(trie)), read, chunk, masks=given).run()

    # With nothing cached, with the stem in the cache, and with the stem in pieces.
    return _reproduces(model, [packed(_STEM + 2 * _BRANCH), packed(2 * _BRANCH), packed(_BRANCH)])


def masks_of_windows(model: Any) -> TreeMasks | None:
    """The masks with which a packed tree comes out right in texts that outgrow the model's windows; None if none do.

    The model is tried with windows so small that the probe fills them: what it makes of masks does not depend on size.
    """
    for at, masks in enumerate(windowed_masks(model.config)):
        with _small_windows(model.config):
            if takes_tree_mask(model, windowed_masks(model.config)[at]):
                return masks
    return None


@contextmanager
def _small_windows(config: Any) -> Iterator[None]:
    """The windows of a configuration made small for a while. Models read them whenever they build a mask."""
    text = config.get_text_config()
    kept = {name: size for name in WINDOWS.values() if isinstance(size := getattr(text, name, None), int)}
    for name in kept:
        setattr(text, name, _SMALL_WINDOW)
    try:
        yield
    finally:
        for name, size in kept.items():
            setattr(text, name, size)


def attention_window(config: Any) -> float:
    """The tokens that the narrowest attention layer looks back on; infinity where all look back to the start."""
    text = config.get_text_config()
    layers = getattr(text, "layer_types", None)
    if layers is not None and set(layers) <= {FULL, *WINDOWS}:
        sizes = [getattr(text, name, None) for layer, name in WINDOWS.items() if layer in layers]
    else:
        named = text.to_dict()
        about = [name for name in named if "window" in name.split("_") or name == "attention_chunk_size"]
        sizes = [named[name] for name in about if name != "max_window_layers"]
    return min((size for size in sizes if type(size) is int and size > 0), default=float("inf"))


def steady_length(config: Any) -> float:
    """The tokens up to which positions are encoded in one way; beyond, what is cached of a shorter text is not right.

    Rotary embeddings that are scaled by the length of the text (dynamic NTK, LongRoPE) change all positions at once.
    """
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = [rope, *(kind for kind in rope.values() if isinstance(kind, dict))]
    if not any(kind.get("rope_type", kind.get("type")) in ("dynamic", "longrope") for kind in kinds):
        return float("inf")
    known = [kind.get("original_max_position_embeddings") for kind in kinds]
    own = getattr(text, "original_max_position_embeddings", None) or getattr(text, "max_position_embeddings", None)
    return min((length for length in [*known, own] if length), default=0)


def _branches(model: Any) -> list[np.ndarray]:
    """Two texts of common tokens, equal up to the stem."""
    text = model.config.get_text_config()
    ids = [getattr(text, name, None) for name in ("pad_token_id", "bos_token_id", "eos_token_id")]
    special = {token for each in ids for token in (each if isinstance(each, list | tuple) else [each])}
    allowed = np.array([token for token in range(min(int(text.vocab_size), 1000)) if token not in special])
    drawn = np.random.default_rng(0).permutation(np.resize(allowed, max(len(allowed), _STEM + 2 * _BRANCH)))
    stem, left, right = np.split(drawn[: _STEM + 2 * _BRANCH].astype(np.int32), [_STEM, _STEM + _BRANCH])
    return [np.concatenate([stem, left]), np.concatenate([stem, right])]


def _plain(model: Any, sequences: list[np.ndarray]) -> list[Any]:
    """Per sequence, (length, vocabulary) log-probabilities."""
    import torch

    found: list[Any] = []
    with torch.inference_mode():
        run_reference(model, sequences, sequences, lambda _, rows: found.append(rows))
    return found


def _reproduces(model: Any, ways: list[Any]) -> bool:
    """Whether each way to run the probe gives what plain passes give."""
    import torch

    branches = _branches(model)
    trie, expected = TokenTrie.build(branches, [0, 0]), _plain(model, branches)
    for run in ways:
        rows: dict[int, Any] = {}
        try:
            with torch.inference_mode():
                run(trie, lambda nodes, values, rows=rows: rows.update(zip(nodes.tolist(), values, strict=True)))
            found = [torch.stack([rows[node] for node in tail.tolist()]) for tail in trie.tails]
        except _INCAPABLE:
            return False
        if not all(_agree(model, *pair) for pair in zip(found, expected, strict=True)):
            return False
    return True


def _agree(model: Any, found: Any, expected: Any) -> bool:
    """Whether two (length, vocabulary) log-probabilities differ by no more than rounding does.

    The measure is how much the next token's probabilities change from one place of the text to the next. Half
    precision rounds by some hundredths of that.
    """
    import torch

    tolerance = 1e-3 if torch.finfo(model.dtype).eps < 1e-5 else 0.15
    change = torch.linalg.vector_norm(expected - expected.mean(dim=0))
    return bool(torch.linalg.vector_norm(found - expected) <= tolerance * change + 1e-4)
