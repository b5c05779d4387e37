"""The encoder that is taken where neither it nor a language is named: the best multilingual one that can be had."""

from __future__ import annotations

from fewshot.core.embedded import light_encoder_is_taken
from fewshot.encoders.transformer import E5Small
from fewshot.encoders.use import UniversalSentenceEncoder


def __getattr__(name: str) -> type[E5Small | UniversalSentenceEncoder]:
    """`Multilingual` is the class that suits the packages that are installed, found out whenever it is asked for."""
    if name != "Multilingual":
        raise AttributeError(name)
    return UniversalSentenceEncoder if light_encoder_is_taken() else E5Small
