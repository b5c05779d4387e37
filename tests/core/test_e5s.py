"""E5S1 files become folders that transformers and sentence-transformers read: pieces, weights, prefix, pooling."""

from __future__ import annotations

import json
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fewshot.core.e5s import convert
from fewshot.core.errors import ModelUnavailable
from fewshot.encoders.transformer import E5Small, TransformerEncoder

HIDDEN, LAYERS, HEADS, FEED_FORWARD, POSITIONS = 32, 1, 2, 64, 16
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁좋다", "▁good", "a", "b", "query", ":", "<mask>"]
CHECK = Path(__file__).parent / "data" / "e5-small.jsonl"


def quantized(weights: np.ndarray) -> bytes:
    """Q4_0, written by its definition: per 32 weights a scale and, in 16 bytes, two halves of 4-bit integers."""
    blocks = bytearray()
    for block in weights.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7 or 1)
        quants = np.clip(np.round(block / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
        blocks += scale.tobytes() + (quants[:16] | quants[16:] << 4).tobytes()
    return bytes(blocks)


def tensors() -> dict[str, np.ndarray]:
    """The weights of a tiny model, by their names in the file; matrices are those that are stored in 4 bits."""
    rng = np.random.default_rng(0)
    layer = {
        **{f"l0.{name}.w": (HIDDEN, HIDDEN) for name in ("q", "k", "v", "ao")},
        "l0.fi.w": (FEED_FORWARD, HIDDEN),
        "l0.fo.w": (HIDDEN, FEED_FORWARD),
        **{f"l0.{name}.b": (HIDDEN,) for name in ("q", "k", "v", "ao", "fo", "aln", "oln")},
        **{f"l0.{name}.w": (HIDDEN,) for name in ("aln", "oln")},
        "l0.fi.b": (FEED_FORWARD,),
    }
    shapes = {
        "emb.word": (len(PIECES), HIDDEN),
        "emb.pos": (POSITIONS, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
        **layer,
    }
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def written(path: Path, weights: dict[str, np.ndarray]) -> Path:
    """A file in the format, with an empty table of normalisation."""
    blob = "".join(PIECES).encode()
    lengths = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype("<u4")
    scores = -np.arange(len(PIECES), dtype="<f4")
    sizes = (HIDDEN, LAYERS, HEADS, FEED_FORWARD, len(PIECES), POSITIONS, 2)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *sizes, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + lengths.tobytes() + scores.tobytes() + blob
    head += struct.pack("<iI", 0, 0) + struct.pack("<i", len(weights))
    stored = {
        name: (1, quantized(value)) if value.ndim == 2 and name not in ("emb.pos", "emb.type") else (0, value.tobytes())
        for name, value in weights.items()
    }
    at = len(head) + sum(2 + len(name) + 21 for name in stored)
    directory, body = b"", b""
    for name, (kind, raw) in stored.items():
        body += b"\0" * (-(at + len(body)) % 64)
        entry = struct.pack("<BIQQ", kind, weights[name].size, at + len(body), len(raw))
        directory += struct.pack("<H", len(name)) + name.encode() + entry
        body += raw
    path.write_bytes(head + directory + body)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny.bin", tensors())


def test_every_weight_has_its_place(file: Path, tmp_path: Path) -> None:
    """Matrices within half a step of 4 bits, vectors within float16; the pooler, which is not in the file, is zero."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(convert(file, tmp_path / "out", lambda _: None))
    found = {name: value.numpy() for name, value in model.state_dict().items()}
    given = tensors()
    for name, place in (
        ("emb.word", "embeddings.word_embeddings.weight"),
        ("emb.pos", "embeddings.position_embeddings.weight"),
        ("emb.ln.b", "embeddings.LayerNorm.bias"),
        ("l0.k.w", "encoder.layer.0.attention.self.key.weight"),
        ("l0.ao.b", "encoder.layer.0.attention.output.dense.bias"),
        ("l0.aln.w", "encoder.layer.0.attention.output.LayerNorm.weight"),
        ("l0.fi.w", "encoder.layer.0.intermediate.dense.weight"),
        ("l0.fo.w", "encoder.layer.0.output.dense.weight"),
        ("l0.oln.b", "encoder.layer.0.output.LayerNorm.bias"),
    ):
        coarse = given[name].ndim == 2 and name != "emb.pos"
        step = np.abs(given[name]).max() / 7 if coarse else 0.0
        np.testing.assert_allclose(found[place], given[name], atol=step / 2 + 4e-3, err_msg=name)
    assert not found["pooler.dense.weight"].any()


def test_both_libraries_read_the_folder_alike(file: Path, tmp_path: Path) -> None:
    """Prefix and pooling are written where sentence-transformers looks for them."""
    folder = convert(file, tmp_path / "out", lambda _: None)
    texts = ["good a", "좋다", "b"]
    ours = TransformerEncoder(folder, pooling="mean", prefix="query: ").encode(texts)
    np.testing.assert_allclose(ours, TransformerEncoder(folder).encode(texts), atol=1e-5)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        pytest.param(lambda data: b"GGUF" + data[4:], "magic", id="another format"),
        pytest.param(lambda data: data[:4] + b"\2" + data[5:], "version 2", id="another version"),
        pytest.param(lambda data: data[:-40], "cut off", id="weights cut off"),
        pytest.param(lambda data: data[:100], "cannot be read", id="pieces cut off"),
        pytest.param(lambda data: b"", "cannot be read", id="empty"),
        pytest.param(lambda data: data.replace(b"l0.q.w", b"l0.x.w"), "cannot be read", id="unknown tensor"),
    ],
)
def test_what_is_no_such_file_is_refused(file: Path, tmp_path: Path, harm: Callable[[bytes], bytes], told: str) -> None:
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(ModelUnavailable, match=told):
        convert(file, tmp_path / "out", lambda _: None)


@pytest.fixture(scope="module")
def embedded() -> E5Small:
    """Read once for all who ask it."""
    return E5Small()


@pytest.mark.models
def test_the_embedded_encoder_gives_the_published_vectors(embedded: E5Small) -> None:
    """Token counts and vectors of an independent engine that reads the same file."""
    from transformers import AutoTokenizer

    rows = [json.loads(line) for line in CHECK.read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(embedded.folder)
    assert [len(tokenizer(f"query: {row['text']}")["input_ids"]) for row in rows] == [row["tokens"] for row in rows]
    cosines = (embedded.encode([row["text"] for row in rows]) * np.array([row["vector"] for row in rows])).sum(axis=1)
    assert cosines.min() > 0.998


@pytest.mark.models
def test_decomposed_hangul_is_the_same_text(embedded: E5Small) -> None:
    """File names and exports of macOS are decomposed."""
    composed = "오늘 날씨가 참 좋네요"
    one, other = embedded.encode([composed, unicodedata.normalize("NFD", composed)])
    assert float(one @ other) == pytest.approx(1, abs=1e-5)
