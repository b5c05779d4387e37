"""The files of transformer encoders: fetched from the Hugging Face hub, checked and hashed, without loading a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fewshot.core.embedded import is_offline
from fewshot.core.errors import ModelUnavailable
from fewshot.core.hashing import digest
from fewshot.core.hub import hub_folder, with_revision
from fewshot.core.model_cache import RECORD, file_sha256

#: Everything that decides a vector. Weights in other formats (pickles, ONNX) are not read.
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


def fetch(model: str, offline: bool, notify: Callable[[str], None]) -> Path:
    """The folder of a hub model: from the hub's cache, else from the network.

    Args:
        model: an id on the Hugging Face hub, with `@revision` where it is not the main branch.
        offline: whether downloads are forbidden. notify: told about a download.

    Raises:
        ModelUnavailable: no such model, or no network.
        OfflineError: a download is needed and forbidden.
        MissingExtra: the hub's client is not installed.
    """
    name, revision = with_revision(model)
    return hub_folder(name, revision, weights=True, offline=is_offline(offline), notify=notify)


def checked(folder: Path) -> Path:
    """The folder itself, if it holds a model: found out before anything heavy is imported.

    Raises:
        ModelUnavailable: no configuration, or no safetensors weights.
    """
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ModelUnavailable(f"{folder} is not a model: it has neither config.json nor modules.json")
    if not any(folder.rglob("*.safetensors")):
        raise ModelUnavailable(
            f"{folder} holds no safetensors weights, the only format that is read; "
            "load it with transformers and write it with save_pretrained(folder)"
        )
    return folder


def hash_files(folder: Path) -> str:
    """Hash of names and contents of the files that decide a vector."""
    hashes: dict[str, str] = {}
    for pattern in _FILES:
        for file in folder.rglob(pattern):
            name = file.relative_to(folder).as_posix()
            if name != RECORD and not name.startswith(("onnx/", "openvino/")):
                hashes[name] = file_sha256(file)
    return digest(hashes)
