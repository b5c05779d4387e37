"""GGUF files, which transformers reads slowly, as folders of safetensors, which it reads fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fewshot.core.errors import MissingExtra, ModelUnavailable
from fewshot.core.model_cache import complete, file_sha256, locked, model_home, publish, staging

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
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
    except ImportError as error:
        raise MissingExtra("a GGUF model", "local") from error
    notify(f"converting {gguf.name} to safetensors, once (about 15 seconds per 100 MB)")
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                local_files_only=True,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.float32,
            )
        except Exception as error:  # an empty, cut off or foreign file fails in many ways
            raise ModelUnavailable(f"{gguf} cannot be read as a GGUF model ({error}). Download it again") from error
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    return target


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars of transformers within."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
