"""Checkpoints: tensors as safetensors, everything else as JSON. Nothing is pickled, so nothing is executed on loading.

A checkpoint `NAME` is `NAME.json` and `NAME-<hash>.safetensors`. The JSON file names the tensors' file and its SHA-256
and is written last and at once, so a crash at any moment leaves the old checkpoint or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from fewshot.core.differences import differences
from fewshot.core.errors import ResumeMismatch, StorageError, UsageError
from fewshot.core.paths import write_atomically
from fewshot.core.stored import checked, read_object

if TYPE_CHECKING:
    from torch import Tensor

#: Raised whenever an older program could misread a newer checkpoint, or the other way round.
FORMAT = 1


class _Head(BaseModel):
    """What every checkpoint says of its tensors."""

    tensors: str
    sha256: str


def exists(folder: Path, name: str) -> bool:
    """Whether the folder holds this checkpoint."""
    return (folder / f"{name}.json").is_file()


def write(folder: Path, name: str, tensors: Mapping[str, Tensor], content: Mapping[str, Any]) -> str:
    """Write a checkpoint, in place of the one of this name.

    Args:
        content: JSON-ready; NaN is refused.

    Returns:
        the SHA-256 of the tensors' file.

    Raises:
        StorageError: the folder cannot be written.
    """
    raw = _serialised(tensors)
    sha256 = hashlib.sha256(raw).hexdigest()
    file = f"{name}-{sha256[:16]}.safetensors"
    write_atomically(folder / file, raw)
    document = {"format": FORMAT, "tensors": file, "sha256": sha256, **content}
    write_atomically(
        folder / f"{name}.json", json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    )
    for old in folder.glob(f"{name}-*.safetensors"):
        if old.name != file:
            old.unlink(missing_ok=True)
    return sha256


def read(folder: Path, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the content of a checkpoint.

    Raises:
        UsageError: there is none, or one of another version.
        StorageError: it is damaged.
    """
    from safetensors.torch import load

    path = folder / f"{name}.json"
    if not path.is_file():
        raise UsageError(
            f"{folder} holds no {name} ({path.name} is missing); train one: fewshot classic train --out DIR, or "
            "fewshot icl metatrain --out DIR"
        )
    content = read_object(path)
    if (version := content.get("format")) != FORMAT:
        raise UsageError(
            f"{path} has format {version}, this program reads format {FORMAT}; "
            "train anew, or use the version of fewshot that wrote it"
        )
    checked(_Head, content, path)
    try:
        raw = (folder / Path(content["tensors"]).name).read_bytes()
    except OSError as error:
        raise StorageError(f"{folder} is incomplete: {content['tensors']} cannot be read: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != content["sha256"]:
        raise StorageError(f"{folder / content['tensors']} is damaged: its content does not match {path.name}")
    return load(raw), content


def unfinished(
    folder: Path | None, name: str, identity: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The checkpoint of a training that was begun with the same `identity`, or None where there is none.

    Args:
        identity: everything that decides the result; it is stored under that name.

    Raises:
        ResumeMismatch: the training was begun with another identity.
    """
    if folder is None or not exists(folder, name):
        return None
    tensors, content = read(folder, name)
    if changed := differences(content["identity"], identity):
        raise ResumeMismatch(
            f"{folder} holds an unfinished training of another kind:\n{changed}\n"
            "Repeat the command that began it, or choose another folder"
        )
    return tensors, content


def remove(folder: Path, name: str) -> None:
    """Delete a checkpoint; nothing happens where there is none."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    for file in folder.glob(f"{name}-*.safetensors"):
        file.unlink(missing_ok=True)


def fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of named tensors."""
    return hashlib.sha256(_serialised(tensors)).hexdigest()


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under `prefix.name`."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def unprefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that stand under `prefix.`, by their own names."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _serialised(tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
