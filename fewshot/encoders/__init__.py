"""Encoders turn texts into vectors: words and character n-grams, or transformers, with a cache for the slow ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fewshot.core.catalog import ENCODERS
from fewshot.core.spec import Spec
from fewshot.encoders.base import Encoder
from fewshot.encoders.cache import CachedEncoder
from fewshot.encoders.lexical import Lexical
from fewshot.encoders.transformer import MiniLM, TransformerEncoder

__all__ = ["CachedEncoder", "Encoder", "Lexical", "MiniLM", "TransformerEncoder", "build_encoder"]


def build_encoder(spec: str | Mapping[str, Any] | Spec | Encoder, **context: Any) -> Encoder:
    """The encoder that a spec names; an expensive one keeps its vectors on disk.

    Args:
        spec: "lexical", "minilm", "hf:NAME,pooling=cls", a nested spec, or an encoder, returned as it is.
        context: device, offline, notify: passed to encoders that take them.

    Raises:
        UsageError: unknown name or parameter.
        MissingExtra: the encoder's packages are not installed.
    """
    if not isinstance(spec, str | Mapping | Spec):
        return spec
    encoder: Encoder = ENCODERS.build(spec, **context)
    return CachedEncoder(encoder) if encoder.expensive else encoder
