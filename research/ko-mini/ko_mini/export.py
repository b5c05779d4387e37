"""Packing a trained model: half the bytes, the hashes, and a card that is rendered from the record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from fewshot.core.errors import UsageError
from fewshot.core.paths import write_atomically
from icl.models.local import LocalModel
from icl.models.weights import save_model

#: Bytes of weights, configuration and tokenizer of a packed model, at most.
MAX_BYTES = 20_000_000
_DTYPE = "bfloat16"


def export(model: Path, folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write a model as bfloat16 safetensors, with its tokenizer, `record.json` and `README.md`.

    Args:
        record: what is known of its training and tests.

    Returns:
        the record, with parameters, layers, dtype and size.

    Raises:
        UsageError: the files are larger than `MAX_BYTES` together.
    """
    import torch

    local = LocalModel(str(model), dtype="float32", device="cpu", offline=True)
    weights = local.weights
    parameters = sum(value.numel() for value in weights.parameters())
    weights.to(getattr(torch, _DTYPE))
    save_model(local, folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    if size > MAX_BYTES:
        raise UsageError(f"the packed model takes {size:,} bytes, more than {MAX_BYTES:,}: use a smaller size")
    layers = weights.config.num_hidden_layers
    complete = {**record, "parameters": parameters, "layers": layers, "dtype": _DTYPE, "bytes": size}
    write_atomically(folder / "record.json", json.dumps(complete, ensure_ascii=False, indent=2) + "\n")
    write_atomically(folder / "README.md", card(complete))
    return complete


def card(record: Mapping[str, Any]) -> str:
    """The model card: every number in it comes from the record."""
    import jinja2

    source = (resources.files("ko_mini") / "card.md.j2").read_text("utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    return environment.from_string(source).render(record)
