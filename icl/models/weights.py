"""Folders of weights that were trained here: written whole, and checked by their hashes when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.core.errors import StorageError
from fewshot.core.model_cache import file_sha256, weights_written
from fewshot.core.paths import write_atomically
from fewshot.core.pretrained import quiet

if TYPE_CHECKING:
    from icl.models.local import LocalModel

#: File with the SHA-256 of the weight files beside it.
HASHES = "weights.json"


def save_model(model: LocalModel, folder: Path) -> dict[str, str]:
    """Write a model with its tokenizer, as `from_pretrained` reads them, and the hashes of its weights.

    Returns:
        file name -> SHA-256.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with quiet(), weights_written():
            model.weights.save_pretrained(folder)
        model.fresh_tokenizer().save_pretrained(folder)
        return write_hashes(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from error


def write_hashes(folder: Path) -> dict[str, str]:
    """Write down the hashes of a folder's weight files."""
    hashes = {path.name: file_sha256(path) for path in sorted(folder.glob("model*.safetensors"))}
    write_atomically(folder / HASHES, json.dumps(hashes, indent=2) + "\n")
    return hashes


def check_hashes(folder: Path) -> None:
    """Refuse weight files that are not those that were written. Folders without hashes are taken as they are.

    Raises:
        StorageError: a file is damaged or missing.
    """
    path = folder / HASHES
    if not path.is_file():
        return
    try:
        hashes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        damaged = [name for name, sha256 in hashes.items() if file_sha256(folder / Path(name).name) != sha256]
    except (OSError, ValueError, AttributeError) as error:
        raise StorageError(f"{folder} is damaged: {error}") from error
    if damaged:
        raise StorageError(
            f"{folder / damaged[0]} is damaged: its SHA-256 is not the one in {HASHES}; copy or train it again"
        )
