"""Where a model of transformers comes from, and how its parts are loaded: no foreign code, no pickles."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fewshot.core.devices import resolve_device, resolve_dtype
from fewshot.core.embedded import EMBEDDED, EmbeddedModel, ShippedModel, ensure, is_offline
from fewshot.core.errors import MissingExtra, ModelUnavailable
from fewshot.core.gguf import converted, quiet
from fewshot.core.hub import require_hub
from fewshot.core.model_cache import file_sha256
from icl.models.weights import check_hashes

_MEND = "Check the name and the network, or name a folder with a transformers model or a .gguf file"


@dataclass(frozen=True)
class Checkpoint:
    """A model by name; each part is loaded when it is first asked for.

    Attributes:
        model: a Hugging Face id, a folder, a GGUF file, or the name of an embedded model.
        revision: branch, tag or commit of a Hugging Face id; None is its main branch.
        dtype, device: as for `resolve_dtype` and `resolve_device`.
        offline: load only what is on this machine.
    """

    model: str
    revision: str | None
    dtype: str
    device: str
    offline: bool
    notify: Callable[[str], None]

    @property
    def embedded(self) -> EmbeddedModel | ShippedModel | None:
        return EMBEDDED.get(self.model)

    @cached_property
    def config(self) -> Any:
        return self._load("AutoConfig")

    @cached_property
    def tokenizer(self) -> Any:
        return self._load("AutoTokenizer")

    @cached_property
    def weights(self) -> Any:
        """The model itself, on its device."""
        import torch

        device = resolve_device(self.device)
        dtype = getattr(torch, resolve_dtype(self.dtype, device))
        with quiet():
            return self._load("AutoModelForCausalLM", dtype=dtype, use_safetensors=True).to(device)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What pins the weights: hashes of the files, or the commit on the hub."""
        if isinstance(self.embedded, EmbeddedModel):
            return {"sha256": self.embedded.sha256}
        path = self.embedded.folder if self.embedded else Path(self.model).expanduser()
        if path.is_file():
            return {"sha256": file_sha256(path)}
        if path.is_dir():
            return {f"sha256 {file.name}": file_sha256(file) for file in sorted(path.glob("*.safetensors"))}
        return {"revision": str(self.config._commit_hash)}

    @cached_property
    def _source(self) -> str:
        """What `from_pretrained` is given: a folder, or a hub id."""
        if self.embedded:
            folder = ensure(self.model, offline=self.offline, notify=self.notify)
            check_hashes(folder)
            return str(folder)
        path = Path(self.model).expanduser()
        if path.suffix == ".gguf":
            if not path.is_file():
                raise ModelUnavailable(f"there is no GGUF file {path}")
            return str(converted(path, notify=self.notify))
        if not path.is_dir():
            if path.is_absolute() or self.model.startswith((".", "~")):
                raise ModelUnavailable(f"there is no model folder {path}")
            return self.model
        if not any(path.glob("*.safetensors")):
            raise ModelUnavailable(f"{path} has no safetensors weights. Pickled weights can run code and are not read")
        check_hashes(path)
        return str(path)

    def _load(self, auto: str, **options: Any) -> Any:
        """Load a part from this machine, or from the hub if it is not here. A cached model is not asked for again."""
        factory = getattr(_transformers(), auto)
        options |= {"trust_remote_code": False, "revision": self.revision or "main"}
        try:
            return factory.from_pretrained(self._source, local_files_only=True, **options)
        except (OSError, ValueError) as error:
            if is_offline(self.offline) or Path(self._source).is_dir():
                raise self._unavailable(error) from error
        self.notify(f"looking for {self.model} on the Hugging Face hub")
        require_hub(f"the model {self.model!r}", _MEND)
        try:
            return factory.from_pretrained(self._source, **options)
        except (OSError, ValueError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> ModelUnavailable:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = "It is not on this machine, and --offline forbids the download. " if is_offline(self.offline) else ""
        return ModelUnavailable(f"cannot load the model {self.model!r}: {reason} {hint}{_MEND}")


def _transformers() -> Any:
    # Otherwise the first look into the hub's cache asks a server which program is calling, network or not.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise MissingExtra("a local model", "local") from error
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    if version < (5, 3):
        raise ModelUnavailable(
            f"transformers {transformers.__version__} can be made to run code by a model's configuration. "
            'Run: pip install "fewshot[local]"'
        )
    return transformers
