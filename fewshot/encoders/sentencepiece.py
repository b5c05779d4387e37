"""A SentencePiece unigram tokenizer in plain Python, for where the `tokenizers` package is not installed.

Kudo and Richardson, EMNLP 2018 (SentencePiece); Kudo, ACL 2018 (the unigram model, section 3.2). Text is normalised by
NFKC and two sets of characters, which is what the rule `nmt_nfkc` of a model says, but that NFKC composes Hangul.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path

_DELETED = re.compile("[\x01-\x08\x0b\x0e-\x1f\x7f\x8f\x9f]")
#: Characters without width are among them.
_SPACES = re.compile(
    "[\t\n\x0c\r \xa0\u1680\u2000-\u200b\u200e\u200f\u2028\u2029\u202f\u205f\u2581\u3000\ufeff\ufffd]+"
)
_SPACE = "▁"
#: By how much a character without a piece is less likely than the least likely piece, as in the library.
_UNKNOWN = 10.0
#: Pieces for what is unknown, begins and ends; no text of a user is read as one of them.
_N_SPECIAL = 3
#: Protocol buffers: the field of pieces in a model; text and score in a piece.
_PIECE, _TEXT, _SCORE = 1, 1, 2


class Unigram:
    """The most probable pieces of a text.

    Args:
        path: a `.model` file of SentencePiece, of the type unigram.
    """

    def __init__(self, path: Path) -> None:
        pieces = list(_pieces(path.read_bytes()))
        self._unknown = min(score for _, score in pieces) - _UNKNOWN
        self._known = {piece: (at, score) for at, (piece, score) in enumerate(pieces) if at >= _N_SPECIAL}
        self._longest = max(len(piece) for piece, _ in pieces)

    def ids(self, text: str) -> list[int]:
        """Ids of the pieces; 0 for a character without one. An empty list where the text has nothing to read."""
        clean = _SPACES.sub(" ", unicodedata.normalize("NFKC", _SPACES.sub(" ", _DELETED.sub("", text)))).strip()
        return self._best(_SPACE + clean.replace(" ", _SPACE)) if clean else []

    def _best(self, text: str) -> list[int]:
        """Viterbi over all ways to cut a text; of equally probable ones, that with the longest last piece."""
        n = len(text)
        scores = [0.0] + [float("-inf")] * n
        back: list[tuple[int, int]] = [(0, 0)] * (n + 1)
        for start in range(n):
            so_far, single = scores[start], False
            for end in range(start + 1, min(start + self._longest, n) + 1):
                found = self._known.get(text[start:end])
                if found is None:
                    continue
                single = single or end == start + 1
                if so_far + found[1] > scores[end]:
                    scores[end], back[end] = so_far + found[1], (start, found[0])
            if not single and so_far + self._unknown > scores[start + 1]:
                scores[start + 1], back[start + 1] = so_far + self._unknown, (start, 0)
        ids = []
        while n:
            n, piece = back[n]
            ids.append(piece)
        return ids[::-1]


def _pieces(data: bytes) -> Iterator[tuple[str, float]]:
    """Pieces with their log-probabilities, by id."""
    for field, value in _fields(data):
        if field == _PIECE:
            piece = dict(_fields(value))
            yield piece[_TEXT].decode("utf-8"), struct.unpack("<f", piece.get(_SCORE, bytes(4)))[0]


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields of a message; numbers of variable length are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(data, at)
            continue
        length, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
