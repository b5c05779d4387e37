"""Content hashes that agree across processes, machines and PYTHONHASHSEED."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces. NaN and infinity are refused, so that equal data give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()


def text_key(text: str) -> str:
    """The form under which two texts count as the same one: NFC, case-folded, white space folded.

    Used for duplicates and leak guards only; a text is never changed by it.
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
