"""A model that is not what its folder says is refused in one line; one that cannot be cached is run by plain passes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fewshot.core.errors import ModelUnavailable, UsageError
from fewshot.core.hub import with_revision
from icl.models.base import GenerateRequest, Prompt, ScoreRequest
from icl.models.local import LocalModel
from icl.models.probing import attention_window, steady_length
from tests.icl.models.conftest import fast_tokenizer, save_tiny

ASKED = [ScoreRequest(Prompt(f"Review: {text} film\nSentiment:"), (" positive", " negative")) for text in ("a", "b")]
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def tensors(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    held = load_file(path)
    change(held)
    save_file(held, path, metadata={"format": "pt"})


def settings(folder: Path, name: str = "config.json", **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def added_token(folder: Path) -> None:
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text())
    token = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    data["added_tokens"].append({"id": len(fast_tokenizer()), "content": " film", **token})
    path.write_text(json.dumps(data))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no head": (lambda f: tensors(f, lambda t: t.pop("lm_head.weight")), r"the weights lack lm_head\.weight"),
    "no layer": (
        lambda f: tensors(f, lambda t: [t.pop(n) for n in [*t] if ".layers.1." in n]),
        r"lack model\.layers\.1\.\S+ and \d+ more",
    ),
    "more layers than configured": (lambda f: settings(f, num_hidden_layers=1), r"no place for model\.layers\.1\."),
    "a tensor of something else": (
        lambda f: tensors(f, lambda t: t.update({"score.weight": torch.zeros(2, 32)})),
        r"LlamaForCausalLM.* has no place for score\.weight",
    ),
    "another vocabulary": (
        lambda f: settings(f, vocab_size=600),
        r"disagree: .*600 x 32 by config\.json \(vocab_size\)",
    ),
    "another width": (lambda f: settings(f, intermediate_size=64), r"disagree: .*\(intermediate_size\)"),
    "weights cut short": (lambda f: cut(f / "model.safetensors", 5000), r"model\.safetensors are damaged"),
    "weights of nothing": (lambda f: cut(f / "model.safetensors", 0), r"model\.safetensors are damaged"),
    "a pointer in place of weights": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1"),
        r"model\.safetensors are damaged",
    ),
    "a part is missing": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-2.safetensors"}}'),
        r"lacks model-2\.safetensors",
    ),
    "configuration cut short": (lambda f: cut(f / "config.json", 20), r"config\.json is damaged"),
    "no configuration": (lambda f: (f / "config.json").unlink(), r"has no config\.json"),
    "an unknown architecture": (
        lambda f: settings(f, model_type="nonesuch"),
        r"config\.json cannot be read: .*nonesuch",
    ),
    "no tokenizer": (
        lambda f: [path.unlink() for path in f.glob("tokenizer*")],
        r"has no tokenizer files \(tokenizer\.json\)",
    ),
    "tokenizer cut short": (lambda f: cut(f / "tokenizer.json", 500), r"tokenizer\.json is damaged"),
    "tokenizer of nothing": (lambda f: (f / "tokenizer.json").write_text("{}"), "the tokenizer in .* cannot be built"),
    "a token without embedding": (added_token, r"only \d+ embeddings: the token '[^']*film' cannot be read"),
    "an adapter beside": (lambda f: (f / "adapter_config.json").write_text("{}"), "holds an adapter"),
    "an adapter instead": (
        lambda f: [(f / "config.json").unlink(), (f / "model.safetensors").rename(f / "adapter_model.safetensors")],
        "holds an adapter",
    ),
}


@pytest.mark.promise(56)
@pytest.mark.parametrize("damage", DAMAGES)
def test_half_a_model_is_refused_in_one_line(damage: str, tiny: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny["llama"], folder)
    change, message = DAMAGES[damage]
    change(folder)
    with pytest.raises(ModelUnavailable, match=message) as refused:
        LocalModel(str(folder), dtype="float32", device="cpu", offline=True).score(ASKED)
    assert "\n" not in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.promise(56)
def test_a_tied_head_and_computed_buffers_are_not_missed(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "gpt2", "gpt2")
    tensors(folder, lambda t: t.update({"rotary_emb.inv_freq": torch.zeros(4), "h.0.attn.bias": torch.ones(1)}))
    LocalModel(str(folder), dtype="float32", device="cpu").score(ASKED)


def built(name: str, vocabulary: int) -> Any:
    import transformers as library

    ids = {"vocab_size": vocabulary, "pad_token_id": 2, "bos_token_id": 0, "eos_token_id": 2}
    if name in ("bert", "roberta", "electra"):
        kind = {"bert": "Bert", "roberta": "Roberta", "electra": "Electra"}[name]
        config = getattr(library, f"{kind}Config")(**SIZES, **ids, max_position_embeddings=300)
        heads = {"bert": "BertForMaskedLM", "roberta": "RobertaForMaskedLM", "electra": "ElectraForPreTraining"}
        return getattr(library, heads[name])(config)
    if name == "decoder":
        config = library.BertConfig(**SIZES, **ids, max_position_embeddings=300, is_decoder=True)
        return library.BertLMHeadModel(config)
    if name == "mamba":
        return library.MambaForCausalLM(library.MambaConfig(hidden_size=32, num_hidden_layers=2, state_size=4, **ids))
    if name == "rwkv":
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32, "intermediate_size": 48}
        return library.RwkvForCausalLM(library.RwkvConfig(context_length=256, **sizes, **ids))
    if name == "bart":
        sizes = {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48}
        return library.BartForCausalLM(library.BartConfig(max_position_embeddings=300, **sizes, **ids))
    if name == "bloom":
        return library.BloomForCausalLM(library.BloomConfig(hidden_size=32, n_layer=2, n_head=4, **ids))
    if name == "gpt":
        sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
        return library.OpenAIGPTLMHeadModel(library.OpenAIGPTConfig(**sizes, vocab_size=vocabulary))
    rope = {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}
    grouped = SIZES | {"num_key_value_heads": 2, "max_position_embeddings": 256}
    return library.LlamaForCausalLM(library.LlamaConfig(**grouped, **ids, rope_parameters=rope))


def save(name: str, folder: Path) -> Path:
    tokenizer = fast_tokenizer()
    torch.manual_seed(0)
    model = built(name, len(tokenizer))
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.15)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.promise(57)
@pytest.mark.parametrize("name", ["bert", "roberta", "electra"])
def test_an_encoder_is_no_language_model(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"is no causal language model: \w+ sees the words"):
        LocalModel(str(save(name, tmp_path / name)), dtype="float32", device="cpu").score(ASKED)


@pytest.mark.promise(58)
@pytest.mark.parametrize("execution", ["trie", "prefix"])
@pytest.mark.parametrize("name", ["mamba", "rwkv", "bart", "bloom", "gpt", "decoder", "dynamic"])
def test_every_causal_model_scores_as_in_plain_passes(name: str, execution: Any, tmp_path: Path) -> None:
    folder = save(name, tmp_path / name)
    told: list[str] = []
    model = LocalModel(str(folder), dtype="float32", device="cpu", execution=execution, notify=told.append)
    oracle = LocalModel(str(folder), dtype="float32", device="cpu", execution="reference")
    # Long enough for the positions of a dynamic embedding to change.
    asked = [ScoreRequest(Prompt("film " * 60 + request.prompt.text), request.continuations) for request in ASKED]
    found, expected = (
        np.concatenate([score.logprobs for result in each.score(asked) for score in result.scores])
        for each in (model, oracle)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)
    written = model.generate([GenerateRequest(Prompt("Review: a"), max_tokens=3)])
    assert written[0].tokens_out >= 1
    assert ("run from its start" in "".join(told)) == (name in ("mamba", "rwkv", "gpt", "dynamic"))
    assert len(told) == len(set(told))


def test_positions_that_change_with_the_length_are_known() -> None:
    assert steady_length(built("dynamic", 400).config) == 64
    assert steady_length(built("decoder", 400).config) == float("inf")


def test_windows_are_found_by_any_name() -> None:
    import transformers as library

    assert attention_window(library.GPTNeoConfig(window_size=16)) == 16
    assert attention_window(library.LlamaConfig()) == float("inf")


@pytest.mark.parametrize(
    ("given", "revision", "read"),
    [
        ("org/name@abc", None, ("org/name", "abc")),
        ("org/name@refs/pr/1", None, ("org/name", "refs/pr/1")),
        ("name@v1.0", "v1.0", ("name", "v1.0")),
        ("org/name", "abc", ("org/name", "abc")),
        ("./fol@der", None, ("./fol@der", None)),
        ("~/fol@der", None, ("~/fol@der", None)),
    ],
)
def test_a_revision_stands_behind_an_at(given: str, revision: str | None, read: tuple[str, str | None]) -> None:
    assert with_revision(given, revision) == read


@pytest.mark.parametrize(("given", "revision"), [("org/name@", None), ("@abc", None), ("org/name@a", "b")])
def test_a_revision_that_says_nothing_is_refused(given: str, revision: str | None) -> None:
    with pytest.raises(UsageError):
        with_revision(given, revision)


def test_a_folder_may_hold_an_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny(tmp_path / "mod@el")
    monkeypatch.chdir(tmp_path)
    assert LocalModel("mod@el", offline=True).count_tokens("a") == 1


def test_a_revision_of_the_hub_is_read_and_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "models--org--name"
    commits = {"main": "a" * 40, "abc": "b" * 40}
    for name, commit in commits.items():
        save_tiny(home / "snapshots" / commit, "gpt2" if name == "abc" else "llama")
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / name).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, given in (("main", "org/name"), ("abc", "org/name@abc")):
        model = LocalModel(given, offline=True, dtype="float32", device="cpu")
        assert model.score(ASKED)
        assert model.describe()["revision"] == commits[name]
    with pytest.raises(ModelUnavailable, match=re.escape("'org/name@none' is not on this machine")):
        LocalModel("org/name@none", offline=True).count_tokens("a")


def test_a_model_with_several_end_tokens_is_tried_like_any_other(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    settings(folder, eos_token_id=[1, 2])
    model = LocalModel(str(folder), dtype="float32", device="cpu")
    assert model.score(ASKED)
    assert model.notes == ()
