"""Which encoder reads the texts where none is named: MiniLM for English, multilingual E5 for everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fewshot.core.spec import Spec, parse_spec
from fewshot.encoders.base import Encoder

#: Name of an encoder that is to be chosen by the language of the texts.
AUTO = "auto"
ENGLISH = "minilm"
MULTILINGUAL = "e5-small"


class Choice(NamedTuple):
    """An encoder, and why it was taken, in one line for the user."""

    encoder: str
    reason: str


def choose_encoder(language: str, other: str | None = None) -> Choice:
    """The encoder for texts of a language.

    Measured on frozen prototypes, 5-way 5-shot: MiniLM leads on English by 1 to 4 points, E5 on Korean by 30 to 50.

    Args:
        language: BCP 47; "und" for unknown.
        other: language of the texts to be labelled, where it is another one.
    """
    one, another = (each.split("-")[0].lower() for each in (language, other or language))
    if one != another:
        return Choice(MULTILINGUAL, f"encoder {MULTILINGUAL}: it reads {one} and {another} in one space")
    if one == "en":
        return Choice(ENGLISH, f"encoder {ENGLISH}: made for English, the language of the task")
    if one == "und":
        return Choice(MULTILINGUAL, f"encoder {MULTILINGUAL}: the language of the texts is not known, and it reads 94")
    return Choice(MULTILINGUAL, f"encoder {MULTILINGUAL}: it reads {one}, the language of the task")


def auto_spec(encoder: str | Mapping[str, object] | Spec | Encoder) -> Spec | None:
    """The spec of an encoder that is to be chosen, with the parameters of whichever is taken; else None."""
    if not isinstance(encoder, str | Mapping | Spec):
        return None
    spec = parse_spec(encoder)
    return spec if spec.name == AUTO else None
