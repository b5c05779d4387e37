"""GGUF files, which transformers reads slowly, as folders of safetensors, which it reads fast."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from fewshot.core.errors import ModelUnavailable
from fewshot.core.model_cache import complete, file_sha256, locked, model_home, publish, staging, weights_written
from fewshot.core.pretrained import load_language_model, load_tokenizer, quiet, transformers

Notify = Callable[[str], None]


def silent(message: str) -> None:
    """Tells nobody."""


def converted(gguf: Path, *, notify: Notify = silent) -> Path:
    """A folder with the weights of any GGUF file as float32 safetensors, converted once and kept in the cache.

    Raises:
        MissingExtra: torch or transformers are not installed.
        StorageError: the cache cannot be written.
    """
    sha256 = file_sha256(gguf)
    home = model_home("gguf", sha256)
    with locked(home):
        if (found := complete(home)) is not None:
            return found
        with staging(home) as work:
            source = convert(gguf, work / "converted", notify)
            return publish(source, home, {"name": gguf.name, "sha256": sha256})


def convert(gguf: Path, target: Path, notify: Notify) -> Path:
    """Write a GGUF file's weights and tokenizer as a folder of safetensors, and return that folder.

    Raises:
        MissingExtra: torch or transformers are not installed.
        ModelUnavailable: the file is no model that transformers can read.
    """
    library = transformers("a GGUF model")
    import torch

    notify(f"converting {gguf.name} to safetensors, once (about 15 seconds per 100 MB)")
    with quiet(), tempfile.TemporaryDirectory(dir=target.parent) as alone:
        # Only what the file itself says decides the result: no file of another model beside it is read.
        (Path(alone) / gguf.name).symlink_to(gguf.resolve())
        source = Path(alone)
        try:
            tokenizer = load_tokenizer(source, gguf_file=gguf.name)
            model = load_language_model(
                source,
                gguf_file=gguf.name,
                quantization_config=library.GgufConfig(dequantize=True),
                dtype=torch.float32,
            )
        except ModelUnavailable as error:  # an empty, cut off or foreign file
            reason = str(error).replace(str(source / gguf.name), gguf.name).replace(f"{source}", str(gguf.parent))
            raise ModelUnavailable(f"{gguf} cannot be read as a GGUF model ({reason}). Download it again") from error
        with weights_written():
            model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target
