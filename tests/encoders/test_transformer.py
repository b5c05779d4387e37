"""Transformer encoders on a tiny BERT made from a config, and the embedded MiniLM where it is present."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from fewshot.core.errors import MissingExtra, ModelUnavailable, OfflineError, UsageError
from fewshot.encoders import CachedEncoder, MiniLM, TransformerEncoder, build_encoder

TEXTS = ["the card is lost", "", "card " * 40, "한국어", "the", "\ud800 lost"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "card", "is", "lost", "한국어"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A BERT of two layers with random weights, and no modules.json."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **sizes)).save_pretrained(folder)
    BertTokenizerFast(vocab={word: at for at, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny_sentence(tiny, tmp_path_factory):
    """The same with a modules.json that asks for the first token."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = tmp_path_factory.mktemp("sentence")
    words = Transformer(str(tiny))
    SentenceTransformer(modules=[words, Pooling(16, pooling_mode="cls")], device="cpu").save(
        str(folder), create_model_card=False
    )
    return folder


def by_hand(folder, text, pooling):
    """One text at a time, no padding."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = model(**tokenizer(text, truncation=True, max_length=32, return_tensors="pt")).last_hidden_state[0]
    vector = hidden.mean(dim=0) if pooling == "mean" else hidden[0]
    return (vector / vector.norm()).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_vectors_are_those_of_one_text_at_a_time(tiny, pooling, batch_size):
    vectors = TransformerEncoder(tiny, pooling=pooling, batch_size=batch_size, device="cpu").encode(TEXTS)
    expected = [by_hand(tiny, text.encode("utf-8", "replace").decode(), pooling) for text in TEXTS]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_auto_pooling_is_the_mean_without_modules(tiny):
    encode = {
        pooling: TransformerEncoder(tiny, pooling=pooling, device="cpu").encode(TEXTS) for pooling in ("auto", "mean")
    }
    np.testing.assert_allclose(encode["auto"], encode["mean"], atol=1e-5)


def test_auto_pooling_follows_the_modules(tiny, tiny_sentence):
    ours = TransformerEncoder(tiny_sentence, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(ours, TransformerEncoder(tiny, pooling="cls", device="cpu").encode(TEXTS), atol=1e-5)


@pytest.mark.parametrize("model", ["tiny", "tiny_sentence"])
def test_max_length_cuts_texts(request, model):
    encoder = TransformerEncoder(request.getfixturevalue(model), max_length=4, device="cpu")
    one, other = encoder.encode(["the card is lost", "the card the the the"])
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("model", ["tiny", "tiny_sentence"])
def test_no_texts_give_no_rows(request, model):
    assert TransformerEncoder(request.getfixturevalue(model), device="cpu").encode([]).shape == (0, 16)


def test_the_prefix_stands_before_every_text(tiny):
    with_prefix = TransformerEncoder(tiny, prefix="the ", device="cpu").encode(["card"])
    np.testing.assert_allclose(with_prefix, TransformerEncoder(tiny, device="cpu").encode(["the card"]), atol=1e-6)


def test_fingerprints_hold_weights_and_parameters(tiny, tiny_sentence):
    encoders = [
        TransformerEncoder(tiny),
        TransformerEncoder(tiny, pooling="cls"),
        TransformerEncoder(tiny, max_length=8),
        TransformerEncoder(tiny, prefix="query: "),
        TransformerEncoder(tiny_sentence),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)
    assert TransformerEncoder(tiny, batch_size=1, device="cpu").fingerprint == encoders[0].fingerprint


@pytest.mark.promise(100)
@pytest.mark.parametrize(("able", "lines"), [(True, 0), (False, 1)], ids=["hardware", "no hardware"])
def test_bfloat16_is_computed_where_the_hardware_multiplies_it_and_told_where_not(tiny, monkeypatch, able, lines):
    monkeypatch.setattr("fewshot.encoders.transformer.multiplies_bfloat16", lambda device: able)
    said = []
    exact = TransformerEncoder(tiny, device="cpu")
    asked = TransformerEncoder(tiny, device="cpu", precision="bfloat16", notify=said.append)
    vectors, expected = asked.encode(TEXTS), exact.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert (vectors * expected).sum(axis=1).min() > 0.999
    assert np.array_equal(vectors, expected) == (not able)
    assert (asked.fingerprint == exact.fingerprint) == (not able)
    assert len([line for line in said if "does not multiply bfloat16" in line]) == lines
    assert asked.describe()["precision"] == "bfloat16"


def test_a_precision_for_modules_of_a_models_own_is_refused(tiny_sentence):
    with pytest.raises(UsageError, match="precision=bfloat16 needs a pooling of yours"):
        TransformerEncoder(tiny_sentence, device="cpu", precision="bfloat16").encode(["the card"])


@pytest.mark.parametrize("wrong", ["int8", "float16", "bf16", ""])
def test_an_unknown_precision_is_refused(wrong):
    with pytest.raises(UsageError, match="precision"):
        build_encoder(f"e5-small:precision={wrong}", device="cpu", seed=0)


def test_a_warm_cache_does_not_load_the_model(tiny, tmp_path):
    first = CachedEncoder(TransformerEncoder(tiny, device="cpu"), tmp_path).encode(TEXTS)
    unused = TransformerEncoder(tiny, device="cpu")
    np.testing.assert_array_equal(CachedEncoder(unused, tmp_path).encode(TEXTS), first)
    assert "_forward" not in vars(unused)


def test_build_encoder_caches_what_is_expensive(tiny):
    encoder = build_encoder(f"hf:{tiny},pooling=cls", device="cpu", seed=3)
    assert isinstance(encoder, CachedEncoder)
    assert encoder.describe()["pooling"] == "cls"
    assert json.dumps(encoder.describe())
    assert build_encoder(encoder) is encoder
    assert not isinstance(build_encoder("lexical:max_chars=3"), CachedEncoder)


def folder_without(tmp_path, tiny, *absent):
    for file in tiny.iterdir():
        if file.name not in absent:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("absent", "message"),
    [(["config.json"], "is not a model"), (["model.safetensors"], "no safetensors weights")],
    ids=["no config", "no weights"],
)
def test_a_folder_that_is_no_model_is_refused(tmp_path, tiny, absent, message):
    with pytest.raises(ModelUnavailable, match=message):
        TransformerEncoder(folder_without(tmp_path, tiny, *absent)).encode(["text"])


def test_damaged_weights_are_named(tmp_path, tiny):
    folder = folder_without(tmp_path, tiny)
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelUnavailable, match=r"model\.safetensors are damaged"):
        TransformerEncoder(folder, device="cpu").encode(["text"])


@pytest.mark.parametrize("path", ["/no/such/model", "./missing", "~/missing"])
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(path):
    with pytest.raises(ModelUnavailable, match="there is no model folder"):
        TransformerEncoder(path).encode(["text"])


@pytest.fixture
def empty_hub(monkeypatch):
    """No model in the hub's cache, and a hub that cannot be reached."""
    import huggingface_hub

    def snapshot_download(model, *, local_files_only, **options):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("nothing here")
        raise OSError("the network is down\nmore of it")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)


def test_offline_forbids_the_download(empty_hub):
    with pytest.raises(OfflineError, match="forbids the download"):
        TransformerEncoder("someone/model", offline=True).encode(["text"])


def test_no_network_is_one_clear_line(empty_hub, monkeypatch):
    monkeypatch.setattr("fewshot.core.hub.require_hub", lambda *_: None)
    with pytest.raises(
        ModelUnavailable, match=r"cannot be fetched: the network is down\. Check the name and the network"
    ):
        TransformerEncoder("someone/model").encode(["text"])


def test_a_name_that_cannot_be_on_the_hub_is_refused():
    with pytest.raises(ModelUnavailable, match="neither a folder on this machine nor a name on the Hugging Face hub"):
        TransformerEncoder("a/b/c d").encode(["text"])


def test_missing_packages_name_the_extra(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"fewshot\[local\]"):
        TransformerEncoder(tiny).encode(["text"])


@pytest.mark.parametrize(
    "params", [{"pooling": "max"}, {"batch_size": 0}, {"max_length": 0}], ids=["pooling", "batch", "length"]
)
def test_parameters_that_make_no_sense_are_refused(params):
    with pytest.raises(UsageError):
        TransformerEncoder("model", **params)


def test_importing_and_building_loads_nothing_heavy():
    program = (
        "import sys; from fewshot.encoders import build_encoder; build_encoder('minilm'); build_encoder('lexical')\n"
        "print([m for m in ('torch', 'transformers', 'sentence_transformers', 'sklearn', 'scipy') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.models
def test_minilm_knows_paraphrases():
    vectors = MiniLM(device="cpu", offline=True).encode(["my card was stolen", "someone took my card", "nice weather"])
    assert vectors.shape == (3, 384)
    similar = vectors @ vectors.T
    assert similar[0, 1] > 0.6 > 0.3 > similar[0, 2]


@pytest.mark.promise(61)
@pytest.mark.parametrize("cached", [False, True], ids=["computed", "from the cache"])
@pytest.mark.parametrize(
    ("options", "texts", "n"),
    [
        ({}, ["card " * 40, "card"], 1),
        ({"max_length": 8}, ["card " * 9, "card " * 7, "card " * 3], 2),
        ({"prefix": "card " * 28}, ["card card card", "card"], 1),
        ({}, ["card " * 30, "card"], 0),
        ({"max_length": 8}, ["card", ""], 0),
    ],
    ids=["the model's limit", "the user's limit", "with a prefix", "just fits", "short"],
)
def test_texts_that_are_cut_are_counted_and_told(tiny, tmp_path, cached, options, texts, n):
    for _ in range(1 + cached):
        said = []
        encoder = TransformerEncoder(tiny, device="cpu", notify=said.append, **options)
        encoder = CachedEncoder(encoder, tmp_path) if cached else encoder
        encoder.encode(texts)
        encoder.encode(texts)
        assert [f"tokens which encoder {tiny} reads: {n}. Their ends" in line for line in said] == [True] * bool(n)


@pytest.mark.promise(61)
def test_the_limit_of_a_sentence_model_is_known(tiny_sentence):
    path = tiny_sentence / "sentence_bert_config.json"
    before = path.read_text() if path.exists() else None
    path.write_text('{"max_seq_length": 6}')
    said = []
    vectors = TransformerEncoder(tiny_sentence, device="cpu", notify=said.append).encode(
        ["card " * 9 + w for w in ("lost", "")]
    )
    if before is not None:
        path.write_text(before)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    assert ["longer than the 6 tokens" in line and "reads: 2." in line for line in said] == [True]
