"""Attention masks of a packed tree, one for each kind of layer that a model has.

A node sees its ancestors and itself; in layers that look back on a window, those of them that stand in the window.
Distances are those between positions in the text (depths in the tree), not between places in the packed row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl.models.trie import TokenTrie

#: How configurations name kinds of layers, and where they say how far these look.
WINDOWS = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
FULL = "full_attention"


@dataclass(frozen=True)
class TreeMasks:
    """The masks that a model takes for a packed tree.

    Attributes:
        windows: per kind of layer, how many tokens it looks back on; None is all. Without kinds, one full mask.
        named: whether the model is given its masks by kind. If not, there is one kind, and one mask for all layers.
    """

    windows: Mapping[str, int | None] = field(default_factory=lambda: {FULL: None})
    named: bool = False

    @property
    def windowed(self) -> bool:
        """Whether any layer does not look back to the start."""
        return any(size is not None for size in self.windows.values())

    def of(self, trie: TokenTrie, first: int, stop: int, cached: int, model: Any) -> Any:
        """The masks for the nodes in [first, stop), whose ancestors are the chain of `cached` tokens in the cache.

        Returns:
            (1, 1, stop - first, cached + stop - first) additive masks of the model's dtype, the form that both sdpa and
            eager attention take: one, or one by each kind of layer.
        """
        seen = np.ones((stop - first, cached + stop - first), bool)
        seen[:, cached:] = trie.visible(first, stop)
        own = trie.depth[first:stop].astype(np.int32)
        depths = np.concatenate([np.arange(cached, dtype=np.int32), own])
        masks = {
            kind: _additive(seen if size is None else seen & _near(kind, size, own[:, None], depths), model)
            for kind, size in self.windows.items()
        }
        return masks if self.named else next(iter(masks.values()))


def windowed_masks(config: Any) -> list[TreeMasks]:
    """The forms in which a model of this configuration may take masks for windows; which it takes is to be tried."""
    text = config.get_text_config()
    kinds: set[str] = set(getattr(text, "layer_types", None) or ())
    found = []
    if kinds and kinds <= {FULL, *WINDOWS}:
        windows = {kind: getattr(text, WINDOWS[kind]) if kind in WINDOWS else None for kind in sorted(kinds)}
        found.append(TreeMasks(windows, named=True))
    if isinstance(size := getattr(text, "sliding_window", None), int):
        found.append(TreeMasks({"sliding_attention": size}))
    return found


def _near(kind: str, size: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(n_rows, n_columns) bool: whether the column's position is in the window of the row's."""
    return rows // size == columns // size if kind == "chunked_attention" else rows - columns < size


def _additive(seen: np.ndarray, model: Any) -> Any:
    import torch

    mask = torch.zeros(seen.shape, dtype=model.dtype)
    mask.masked_fill_(~torch.from_numpy(seen), torch.finfo(mask.dtype).min)
    return mask[None, None].to(model.device)
