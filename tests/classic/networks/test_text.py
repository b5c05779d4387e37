"""The text encoders that are trained: shapes, padding, seeds, second derivatives, executors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from classic.algorithms.maml import MAML
from classic.algorithms.protonet import ProtoNet
from classic.functional.base import TensorTask
from classic.functional.executors import build_executor
from classic.networks.cnn import TextCNN
from classic.networks.gru import TextGRU
from classic.networks.head import Headed
from classic.networks.hub import HubEncoder
from classic.networks.ngrams import NgramBag
from classic.networks.text import NgramIds, Subwords
from classic.networks.transformer import TextTransformer
from fewshot.core.errors import UsageError

TEXTS = ["my card has not arrived", "my card is lost", "배송이 늦어요", "배송이 안 와요", "", "...", "\ud800 odd"]
SCRATCH: dict[str, Any] = {
    "ngrams": NgramBag(features=16, buckets=400, max_length=40),
    "cnn": TextCNN(dimension=8, filters=4, vocabulary=300, max_length=20),
    "gru": TextGRU(dimension=8, hidden=6, vocabulary=300, max_length=20),
    "transformer": TextTransformer(features=16, layers=1, heads=2, vocabulary=300, max_length=20),
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a tokenizer of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    words = sorted({word for text in TEXTS for word in text.split() if word.isalpha()})
    vocabulary = {token: at for at, token in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(params=[*SCRATCH, "hub"])
def network(request: pytest.FixtureRequest, tiny_model: Path) -> Any:
    if request.param == "hub":
        return HubEncoder(str(tiny_model), max_length=12)
    return SCRATCH[request.param]


def rows(network: Any, texts: list[str] = TEXTS) -> torch.Tensor:
    inputs = network.inputs()
    inputs.fit(TEXTS)
    return inputs.rows(texts)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gives_unit_vectors_and_never_nan(network: Any) -> None:
    vectors = network.apply(network.init(generator()), rows(network))
    assert vectors.shape == (len(TEXTS), network.features)
    lengths = vectors.norm(dim=1)
    assert vectors.isfinite().all()
    assert all(length == pytest.approx(1, abs=1e-4) or length < 1e-3 for length in lengths.tolist())


def test_parameters_depend_on_the_generator_alone(network: Any) -> None:
    one, same = network.init(generator()), network.init(generator())
    assert one.keys() == same.keys()
    assert all(torch.equal(one[name], same[name]) and one[name].dtype == torch.float32 for name in one)
    if not isinstance(network, HubEncoder):
        assert any(not torch.equal(one[name], other) for name, other in network.init(generator(1)).items())


def test_padding_changes_nothing(network: Any) -> None:
    params, ids = network.init(generator()), rows(network, ["my card", "lost"])
    inputs = network.inputs()
    short = ids[:, : int((ids != inputs.pad).any(dim=0).nonzero().max()) + 1]
    assert short.shape[1] < ids.shape[1]
    assert torch.allclose(network.apply(params, ids), network.apply(params, short), atol=1e-5)


def _batch(network: Any) -> TensorTask:
    ids = rows(network, TEXTS[:4])
    x = torch.stack([ids, ids.flip(0)])
    y = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0]])
    ones = torch.ones(2, 4)
    return TensorTask(x, y, ones, x, y, ones, torch.ones(2, 2))


@pytest.mark.parametrize("algorithm", ["protonet", "maml"])
@pytest.mark.parametrize("name", SCRATCH)
def test_loop_and_vmap_agree_to_the_second_order(name: str, algorithm: str) -> None:
    network = SCRATCH[name]
    wrapped: Any = ProtoNet(network) if algorithm == "protonet" else MAML(Headed(network, "shared"), inner_steps=2)
    params = {key: value.double() for key, value in wrapped.init(generator()).items()}
    batch = TensorTask(*(field.double() if field.is_floating_point() else field for field in _batch(network)))
    one, metrics = build_executor("loop").meta_gradient(wrapped, params, batch)
    other, _ = build_executor("vmap").meta_gradient(wrapped, params, batch)
    assert metrics["loss"].isfinite().all()
    assert any(value.abs().max() > 0 for value in one.values())
    assert all(torch.allclose(one[key], other[key], atol=1e-6) for key in one)


def test_a_published_encoder_is_trained_through_all_its_weights(tiny_model: Path) -> None:
    network = HubEncoder(str(tiny_model), max_length=12)
    algorithm = MAML(Headed(network, "shared"), inner_steps=1)
    gradient, _ = build_executor("loop").meta_gradient(algorithm, algorithm.init(generator()), _batch(network))
    reached = [name for name, value in gradient.items() if value.abs().max() > 0]
    assert sum("layer.0" in name for name in reached) > 10
    assert any("word_embeddings" in name for name in reached)


def test_the_gru_is_the_gru_of_torch() -> None:
    network = TextGRU(dimension=5, hidden=4, vocabulary=300, max_length=8)
    params = network.init(generator())
    reference = torch.nn.GRU(5, 4, batch_first=True, bidirectional=True)
    names = {"forward": "", "backward": "_reverse"}
    for way, suffix in names.items():
        for ours, theirs in (
            ("input", "weight_ih"),
            ("state", "weight_hh"),
            ("input_bias", "bias_ih"),
            ("state_bias", "bias_hh"),
        ):
            getattr(reference, f"{theirs}_l0{suffix}").data = params[f"{way}.{ours}"]
    ids = torch.tensor([[3, 4, 5, 6]])
    states, _ = reference(torch.nn.functional.embedding(ids, params["embedding"]))
    expected = torch.nn.functional.normalize(states.mean(dim=1), dim=-1)
    assert torch.allclose(network.apply(params, ids), expected, atol=1e-5)


class TestInputs:
    def test_subwords_are_learned_repeatably_and_restored(self) -> None:
        one, other, restored = (Subwords(300, 10) for _ in range(3))
        one.fit(TEXTS)
        other.fit([*reversed(TEXTS)])
        restored.restore(one.state())
        assert one.fingerprint == other.fingerprint == restored.fingerprint
        torch.testing.assert_close(one.rows(TEXTS), restored.rows(TEXTS))

    def test_no_text_is_unknown(self) -> None:
        subwords = Subwords(300, 40)
        subwords.fit(["only english"])
        ids = subwords.rows(["완전히 새로운 글자", "🦆"])
        assert ((ids != 0).sum(dim=1) > 3).all()

    def test_ngrams_fit_their_table(self) -> None:
        ids = NgramIds(50, 30).rows(TEXTS)
        assert ids.shape == (len(TEXTS), 30)
        assert ids.min() == 0
        assert ids.max() < 50
        assert ids[4].sum() == 0

    def test_what_cannot_be_built_is_told(self) -> None:
        with pytest.raises(UsageError, match="256 bytes"):
            Subwords(100, 10)
        with pytest.raises(UsageError, match="heads=3"):
            TextTransformer(features=16, heads=3)
        with pytest.raises(UsageError, match="not trained yet"):
            Subwords(300, 10).rows(["a"])
        with pytest.raises(UsageError, match="is no transformer"):
            HubEncoder("lexical").inputs()
