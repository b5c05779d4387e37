"""The language of texts of which no card tells it."""

from __future__ import annotations

from collections.abc import Iterable

#: BCP 47 for a language that is not known.
UNKNOWN = "und"
#: Share of Hangul among the letters from which texts count as Korean.
_HANGUL_SHARE = 0.2


def guess_language(texts: Iterable[str]) -> str:
    """Korean or English, by script."""
    letters = [char for text in texts for char in text if char.isalpha()]
    hangul = sum("\uac00" <= char <= "\ud7a3" or "\u1100" <= char <= "\u11ff" for char in letters)
    return "ko" if letters and hangul / len(letters) > _HANGUL_SHARE else "en"
