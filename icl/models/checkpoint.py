"""Where a language model of transformers lies, and what pins it. Its parts are loaded by `pretrained`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fewshot.core.devices import resolve_device, resolve_dtype
from fewshot.core.embedded import EMBEDDED, EmbeddedModel, ShippedModel, ensure, is_offline
from fewshot.core.errors import ModelUnavailable
from fewshot.core.gguf import converted
from fewshot.core.hub import hub_folder
from fewshot.core.model_cache import file_sha256
from fewshot.core.pretrained import load_config, load_language_model, load_tokenizer
from icl.models.probing import is_causal
from icl.models.weights import check_hashes


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

    def _refuse_encoder(self, weights: Any) -> None:
        if not is_causal(weights.eval()):
            raise ModelUnavailable(
                f"{self.model} is no causal language model: {type(weights).__name__} sees the words that it would be "
                "asked for, as encoders do. Name a causal model, or use this one as an encoder"
            )

    @property
    def embedded(self) -> EmbeddedModel | ShippedModel | None:
        return EMBEDDED.get(self.model)

    @cached_property
    def config(self) -> Any:
        return load_config(self._description)

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self._description)

    @cached_property
    def weights(self) -> Any:
        """The model itself, on its device."""
        import torch

        device = resolve_device(self.device)
        dtype = getattr(torch, resolve_dtype(self.dtype, device))
        return load_language_model(self._folder(weights=True), self._refuse_encoder, dtype=dtype).to(device)

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
        # The hub's cache names its folders by the commit.
        return {"revision": self._description.name}

    @cached_property
    def _description(self) -> Path:
        """The folder with configuration and tokenizer."""
        return self._folder(weights=False)

    def _folder(self, weights: bool) -> Path:
        """Where the files lie; fetched if need be."""
        if self.embedded:
            folder = ensure(self.model, offline=self.offline, notify=self.notify)
            check_hashes(folder)
            return folder
        path = Path(self.model).expanduser()
        if path.suffix == ".gguf":
            if not path.is_file():
                raise ModelUnavailable(f"there is no GGUF file {path}")
            return converted(path, notify=self.notify)
        if path.is_file():
            raise ModelUnavailable(f"{path} is neither a model folder nor a .gguf file")
        if path.is_dir():
            check_hashes(path)
            return path
        return hub_folder(
            self.model, self.revision, weights=weights, offline=is_offline(self.offline), notify=self.notify
        )
