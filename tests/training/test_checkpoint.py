from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from fewshot.core.errors import StorageError, UsageError
from fewshot.training import checkpoint

TENSORS = {"a": torch.arange(3.0), "b.c": torch.tensor([[1, 2]])}


def test_what_is_written_is_read_and_only_the_last_version_stays(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, "thing", {"a": torch.zeros(1)}, {"step": 1})
    checkpoint.write(tmp_path, "thing", TENSORS, {"step": 2})
    tensors, content = checkpoint.read(tmp_path, "thing")
    assert content["step"] == 2
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".json", ".safetensors"]


@pytest.mark.promise(33)
def test_nothing_is_pickled(tmp_path: Path) -> None:
    checkpoint.write(tmp_path, "thing", TENSORS, {})
    assert not any(b"torch" in file.read_bytes() for file in tmp_path.iterdir())


def _flip_a_byte(folder: Path) -> None:
    file = next(folder.glob("*.safetensors"))
    raw = bytearray(file.read_bytes())
    raw[-1] ^= 1
    file.write_bytes(raw)


def _drop_tensors(folder: Path) -> None:
    next(folder.glob("*.safetensors")).unlink()


def _half_json(folder: Path) -> None:
    file = folder / "thing.json"
    file.write_text(file.read_text()[:20])


@pytest.mark.parametrize(
    ("harm", "message"),
    [(_flip_a_byte, "is damaged"), (_drop_tensors, "is incomplete"), (_half_json, "is damaged")],
    ids=["flipped byte", "tensors gone", "half a file"],
)
def test_damage_is_told(tmp_path: Path, harm, message: str) -> None:
    checkpoint.write(tmp_path, "thing", TENSORS, {})
    harm(tmp_path)
    with pytest.raises(StorageError, match=message):
        checkpoint.read(tmp_path, "thing")


def test_another_version_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no thing"):
        checkpoint.read(tmp_path, "thing")
    checkpoint.write(tmp_path, "thing", TENSORS, {})
    path = tmp_path / "thing.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(UsageError, match="has format 99, this program reads format 1"):
        checkpoint.read(tmp_path, "thing")
