"""A Universal Sentence Encoder of a few pieces and channels, as its wheel would hold it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

PIECES = {"<unk>": 0.0, "<s>": 0.0, "</s>": 0.0, "▁": -2.0, "a": -3.0, "b": -3.5, "ab": -4.0, "▁a": -3.0, "bb": -9.0}
DIMENSION, CHANNELS, HIDDEN = 4, 3, 5


def model_file(folder: Path, pieces: dict[str, float] = PIECES) -> Path:
    """A model of SentencePiece as a message of protocol buffers, with a field behind the pieces that is passed over."""
    written = b""
    for piece, score in pieces.items():
        text = piece.encode()
        body = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score) + b"\x18\x01"
        written += b"\x0a" + bytes([len(body)]) + body
    path = folder / "sp.model"
    path.write_bytes(written + b"\x12\x82\x01" + bytes(130))
    return path


def tiny_weights() -> dict[str, np.ndarray]:
    """Random weights of every shape that the network has, only smaller."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape).astype(np.float32)

    features = DIMENSION + 3 * CHANNELS
    found = {f"q{at}": random.integers(0, 64, (1, DIMENSION), dtype=np.uint8) for at in range(1, 18)}
    found |= {"scale": normal(17), "lo": normal(17), "eps": np.array(1e-6)}
    for length in (2, 3, 5):
        found |= {f"proj{length}": normal(DIMENSION, CHANNELS), f"proj_b{length}": normal(CHANNELS)}
        found |= {f"ln_g{length}": normal(CHANNELS), f"ln_b{length}": normal(CHANNELS)}
        for layer in "12":
            found[f"w{layer}_{length}"] = normal(length * CHANNELS, CHANNELS)
            found[f"b{layer}_{length}"] = normal(CHANNELS)
    found |= {"ln_g": normal(features), "ln_b": normal(features), "cnn_W": normal(features, DIMENSION)}
    found |= {"cnn_b": normal(DIMENSION), "d0": normal(DIMENSION, HIDDEN), "d1": normal(HIDDEN, HIDDEN)}
    return found | {
        "p1": normal(DIMENSION, HIDDEN),
        "d2": normal(HIDDEN, HIDDEN),
        "d3": normal(HIDDEN, 512),
        "p3": normal(HIDDEN, 512),
    }


def write_tiny_use(folder: Path) -> None:
    """Both files of the encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    model_file(folder)
    np.savez(folder / "weights.npz", **tiny_weights())  # type: ignore[arg-type]
