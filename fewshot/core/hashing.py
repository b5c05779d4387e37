"""Content hashes that agree across processes, machines and PYTHONHASHSEED."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces. NaN and infinity are refused, so that equal data give equal text."""
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


class _WithoutInvisible(dict[int, int | None]):
    """A table for `str.translate` that takes out what cannot be seen; it fills itself."""

    #: Besides format characters (Cf): marks that choose a variant, joiners and fillers, all of them without a glyph.
    OTHERS = frozenset({0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0})

    def __missing__(self, code: int) -> int | None:
        variation = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
        unseen = variation or code in self.OTHERS or unicodedata.category(chr(code)) == "Cf"
        self[code] = None if unseen else code
        return self[code]


_WITHOUT_INVISIBLE = _WithoutInvisible()


def without_invisible(text: str) -> str:
    """The text without format characters (zero-width, soft hyphens, direction marks), variation selectors, fillers."""
    return text if text.isascii() else text.translate(_WITHOUT_INVISIBLE)


def text_key(text: str) -> str:
    """The form under which two texts or labels count as the same: what can be seen of it, whatever its Unicode form.

    NFKC, case-folded, without invisible characters, white space folded. Used for duplicates, labels that read alike
    and leak guards; a text is never changed by it.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    folded = without_invisible(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(unicodedata.normalize("NFKC", folded).casefold().split())
