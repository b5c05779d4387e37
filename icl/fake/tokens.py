"""Toy tokens and a model of prefix caching: enough for plausible usage figures, and the same figures every time."""

from __future__ import annotations

import re
from collections import OrderedDict

_PIECE = re.compile(r" ?[A-Za-z]{1,8}| ?[0-9]{1,3}|[\s\S]")
_BLOCK = 16
_BLOCKS_KEPT = 100_000


def tokenize(text: str) -> list[str]:
    """Pieces that join to `text`: up to 8 Latin letters or 3 digits with the space before them, else one character."""
    return _PIECE.findall(text)


class PrefixCache:
    """Remembers the prompts it has seen; what a prompt shares with an earlier one is cached.

    Prompts are cut in blocks of 16 tokens, of which the last may be shorter. The oldest blocks are forgotten, so that
    memory stays flat.
    """

    def __init__(self) -> None:
        self._blocks: OrderedDict[tuple[str, int], None] = OrderedDict()

    def admit(self, model: str, tokens: list[str]) -> int:
        """How many leading tokens an earlier prompt to this model had already; the prompt is remembered."""
        cached, known, chain = 0, True, 0
        for start in range(0, len(tokens), _BLOCK):
            block = tokens[start : start + _BLOCK]
            chain = hash((chain, *block))
            key = (model, chain)
            known = known and key in self._blocks
            cached += len(block) * known
            self._blocks[key] = None
            self._blocks.move_to_end(key)
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return cached
