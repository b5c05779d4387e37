"""Any Hugging Face encoder as a network that is trained: all of its weights are parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from classic.functional.base import Described
from classic.networks.text import mean_over_tokens, unit, whole
from evals.content import Content, joined
from fewshot.core.catalog import ENCODERS
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.pretrained import load_encoder, load_tokenizer, transformers
from fewshot.core.spec import Spec
from fewshot.encoders import Encoder, TransformerEncoder

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


class ModelIds:
    """The token ids of a model's own tokenizer.

    Args:
        folder: the model's directory. max_length: tokens per text. prefix: put before every text.
    """

    blank = "a"

    def __init__(self, folder: Path, max_length: int, prefix: str = "") -> None:
        self.folder = folder
        self.max_length = max_length
        self.prefix = prefix

    @property
    def pad(self) -> int:
        """The tokenizer's padding id."""
        return int(self._tokenizer.pad_token_id)

    @property
    def fingerprint(self) -> str:
        """Hash of the tokenizer, and of what it is given beside a text."""
        own = [self.prefix] if self.prefix else []
        return digest([self._tokenizer.backend_tokenizer.to_str(), self.max_length, *own])

    def fit(self, texts: Sequence[str]) -> None:
        """Nothing to learn: the tokenizer comes with the model."""

    def rows(self, texts: Sequence[Content]) -> Tensor:
        """(len(texts), max_length) int64."""
        clean = [whole(joined(text)) for text in texts]
        options = {"padding": "max_length", "truncation": True, "max_length": self.max_length}
        return self._tokenizer(clean, **options, return_tensors="pt")["input_ids"]

    def describe(self) -> dict[str, Any]:
        """Name and length limit."""
        return {"name": "model", "max_length": self.max_length}

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take up."""

    @cached_property
    def _tokenizer(self) -> Any:
        tokenizer = load_tokenizer(self.folder)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        # Short rows end in padding, which the table cuts off.
        tokenizer.padding_side = "right"
        return tokenizer


@dataclass(frozen=True)
class HubEncoder(Described):
    """x: (n, length) token ids -> (n, features): the last hidden states pooled, of length 1.

    Dropout is off, in training too, so that a training can be repeated bit by bit.

    Args:
        model: "minilm", a directory, or an id on the Hugging Face hub.
        pooling: "mean" over the tokens, or "cls" for the first.
        max_length: tokens per text.
    """

    model: str = "minilm"
    pooling: Literal["mean", "cls"] = "mean"
    max_length: int = 64
    name = "hub"
    vectorizes = False
    lr = 2e-5

    @property
    def features(self) -> int:
        """Columns of the result."""
        return int(self._module.config.hidden_size)

    def inputs(self) -> ModelIds:
        """The ids of the model's tokenizer."""
        return ModelIds(self._encoder.folder, self.max_length, self._encoder.prefix)

    def init(self, generator: torch.Generator) -> Params:
        """The weights as they were published; nothing is drawn."""
        return {name: value.detach().clone() for name, value in self._module.named_parameters()}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, length) -> (n, features)."""
        from torch.func import functional_call

        mask = (x != self._ids.pad).long()
        buffers = {name: value.to(x.device) for name, value in self._module.named_buffers()}
        arguments = {"input_ids": x, "attention_mask": mask}
        hidden = functional_call(self._module, (params, buffers), (), arguments).last_hidden_state
        if self.pooling == "cls":
            return unit(hidden[..., 0, :])
        return unit(mean_over_tokens(hidden, mask.to(hidden.dtype)))

    @cached_property
    def _encoder(self) -> TransformerEncoder:
        return transformer(self.model)

    @cached_property
    def _ids(self) -> ModelIds:
        return self.inputs()

    @cached_property
    def _module(self) -> Any:
        return load_module(self._encoder.folder)


def transformer(model: str | Spec | Encoder) -> TransformerEncoder:
    """The encoder whose weights can be trained: its files, and what is put before every text.

    Raises:
        UsageError: an encoder that is no transformer.
        ModelUnavailable: it cannot be had here.
    """
    if isinstance(model, str) and not ENCODERS.knows(model):
        model = Spec("hf", {"model": model})
    encoder = ENCODERS.build(model) if isinstance(model, str | Spec) else model
    if not isinstance(encoder, TransformerEncoder):
        raise UsageError(f"encoder {str(model)!r} is no transformer; use minilm, a directory or a Hugging Face id")
    return encoder


def load_module(folder: Path) -> Any:
    """The encoder in a directory as a torch module: float32, no dropout, attention that can be differentiated twice.

    Raises:
        MissingExtra, ModelUnavailable: it does not load.
    """
    transformers("fine-tuning an encoder")
    import torch

    return load_encoder(folder, dtype=torch.float32, attn_implementation="eager").eval()
