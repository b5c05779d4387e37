"""The files of transformer encoders: fetched from the Hugging Face hub, checked and hashed, without loading a model."""

from __future__ import annotations

from pathlib import Path

from fewshot.core.embedded import is_offline
from fewshot.core.errors import MissingExtra, ModelUnavailable, OfflineError
from fewshot.core.hashing import digest
from fewshot.core.model_cache import RECORD, file_sha256

#: Everything that decides a vector. Weights in other formats (pickles, ONNX) are neither fetched nor read.
_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")
_IGNORED = ("onnx/*", "openvino/*")


def fetch(model: str, offline: bool) -> Path:
    """The folder of a hub model: from the hub's cache, else from the network.

    Args:
        model: an id on the Hugging Face hub.
        offline: whether downloads are forbidden.

    Raises:
        ModelUnavailable: no such model, or no network.
        OfflineError: a download is needed and forbidden.
        MissingExtra: the hub's client is not installed.
    """
    if Path(model).is_absolute() or model.startswith(("./", "../", "~")):
        raise ModelUnavailable(f"no such directory: {model}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(f"encoder {model!r}", "local") from error

    def snapshot(local: bool) -> Path:
        return Path(
            snapshot_download(
                model, local_files_only=local, allow_patterns=list(_FILES), ignore_patterns=list(_IGNORED)
            )
        )

    try:
        # Another program may have fetched a part of the model only.
        if (cached := snapshot(local=True)) and any(cached.glob("*.safetensors")):
            return cached
    except ValueError as error:
        raise ModelUnavailable(
            f"{model!r} is neither a directory nor an id on the Hugging Face hub: {error}"
        ) from error
    except OSError:
        pass
    if is_offline(offline):
        raise OfflineError(
            f"encoder {model!r} is not on this machine and downloads are off. "
            "Run once without --offline, or give a directory"
        )
    try:
        return snapshot(local=False)
    except OSError as error:
        raise ModelUnavailable(
            f"encoder {model!r} cannot be fetched: {str(error).splitlines()[0]}. "
            "Check the name and the network, or give a directory"
        ) from error


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
