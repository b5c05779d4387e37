"""Layers that look back on a window: a packed tree scores as separate passes do, in texts that outgrow the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from icl.models.base import Prompt, ScoreRequest
from icl.models.execution import TrieRunner, run_reference
from icl.models.local import LocalModel
from icl.models.masks import TreeMasks
from icl.models.probing import masks_of_windows, takes_tree_mask
from icl.models.trie import TokenTrie

from .conftest import fast_tokenizer

WINDOW = 13
SIZES: dict[str, Any] = {
    "vocab_size": 420,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 2,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
ALTERNATING = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention"] * 2}
LATER = {"sliding_window": WINDOW, "use_sliding_window": True, "max_window_layers": 2}
CHUNKS = {"attention_chunk_size": WINDOW, "layer_types": ["chunked_attention", "full_attention"] * 2}
EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "mistral": ("Mistral", {"sliding_window": WINDOW}),
    "phi3": ("Phi3", {"sliding_window": WINDOW}),
    "starcoder2": ("Starcoder2", {"sliding_window": WINDOW}),
    "gemma2": ("Gemma2", {**ALTERNATING, "head_dim": 8}),
    "gemma3": ("Gemma3Text", {**ALTERNATING, "head_dim": 8}),
    "qwen2": ("Qwen2", LATER),
    "qwen3": ("Qwen3", {**LATER, "head_dim": 8}),
    "cohere2": ("Cohere2", ALTERNATING),
    "olmo3": ("Olmo3", ALTERNATING),
    "exaone4": ("Exaone4", ALTERNATING),
    "llama4": ("Llama4Text", {**CHUNKS, **EXPERTS, "head_dim": 8, "intermediate_size_mlp": 48}),
}


def build(name: str) -> Any:
    kind, more = MODELS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SIZES, **more)
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def episode() -> list[np.ndarray]:
    """Texts of three windows and more that share beginnings, with three labels each."""
    drawn = np.random.default_rng(0)
    stem = drawn.integers(5, 400, 40)
    queries = [np.concatenate([stem[: 25 + 5 * at], drawn.integers(5, 400, 9 + at)]) for at in range(4)]
    labels = [drawn.integers(5, 400, 1 + at) for at in range(3)]
    return [np.concatenate([query, label]).astype(np.int32) for query in queries for label in labels]


SEQUENCES = episode()
TRIE = TokenTrie.build(SEQUENCES, [len(sequence) - 3 for sequence in SEQUENCES])


def collected(run: Callable[[Any], object]) -> torch.Tensor:
    rows: dict[int, Any] = {}
    with torch.inference_mode():
        run(lambda nodes, values: rows.update(zip(nodes.tolist(), values, strict=True)))
    return torch.stack([rows[node] for node in sorted(rows)])


def packed(model: Any, masks: TreeMasks, chunk: int = 512) -> torch.Tensor:
    wanted = np.unique(np.concatenate(TRIE.tails))
    return collected(lambda read: TrieRunner(model, TRIE, wanted, read, chunk, masks=masks).run())


@pytest.mark.promise(126)
@pytest.mark.parametrize("name", MODELS)
def test_a_tree_scores_as_separate_passes_do_beyond_the_window(name: str) -> None:
    model = build(name)
    masks = masks_of_windows(model)
    assert masks is not None
    assert WINDOW in masks.windows.values(), "the probe left the windows as they were"
    expected = collected(lambda read: run_reference(model, SEQUENCES, TRIE.tails, read))
    for chunk in (512, 30, 7, 1):
        torch.testing.assert_close(packed(model, masks, chunk), expected, atol=1e-4, rtol=0)
    assert not torch.allclose(packed(model, TreeMasks()), expected, atol=0.05), "one mask for all layers is wrong"


@pytest.mark.promise(126)
@pytest.mark.parametrize("name", ["mistral", "gemma3"])
def test_no_model_with_windows_is_run_branch_by_branch(name: str, tmp_path: Path) -> None:
    build(name).save_pretrained(tmp_path)
    fast_tokenizer().save_pretrained(tmp_path)
    models = [LocalModel(str(tmp_path), dtype="float32", device="cpu", execution=way) for way in ("trie", "reference")]
    asked = [ScoreRequest(Prompt(f"a lovely film, {text}\n" * 6), (" positive", " negative")) for text in ("a", "dull")]
    found, expected = (
        np.concatenate([score.logprobs for result in model.score(asked) for score in result.scores]) for model in models
    )
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=0)
    assert models[0].notes == ()


@pytest.mark.promise(126)
def test_a_window_that_does_not_follow_the_mask_is_found_out(tmp_path: Path) -> None:
    """GPT-Neo counts its window in places of the row, whatever the mask says."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "max_position_embeddings": 256}
    ids = {"vocab_size": 420, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2}
    config = transformers.GPTNeoConfig(**sizes, **ids, attention_types=[[["global", "local"], 1]], window_size=WINDOW)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    assert masks_of_windows(model) is None
    model.save_pretrained(tmp_path)
    fast_tokenizer().save_pretrained(tmp_path)
    local = LocalModel(str(tmp_path), dtype="float32", device="cpu")
    local.score([ScoreRequest(Prompt("a lovely film, warm and funny\n" * 3), (" positive", " negative"))])
    assert "no tree mask at this length" in "".join(local.notes)


def test_windows_that_are_not_filled_need_no_masks_of_their_own() -> None:
    assert takes_tree_mask(build("gemma3")) is False, "the probe is longer than this window"
    wide = transformers.MistralConfig(**SIZES, sliding_window=64)
    assert takes_tree_mask(transformers.AutoModelForCausalLM.from_config(wide).eval())
