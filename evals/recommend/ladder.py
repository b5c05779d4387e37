"""Which learners to try: from cheap to costly, those that can run on this machine and were made for the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evals.card import find_card, read_card
from evals.language import UNKNOWN
from fewshot.core.catalog import LADDER, LARGER_ENCODERS, LEARNERS, MULTILINGUAL_ENCODER, MULTILINGUAL_MODEL
from fewshot.core.embedded import EMBEDDED, encoder_for, how_to_get, is_offline, locate
from fewshot.core.errors import MissingExtra
from fewshot.core.spec import AUTO, Spec, parse_spec


@dataclass(frozen=True)
class LeftOut:
    """A learner without a result, and why.

    Attributes:
        limit: the option that would have to give more, `--budget` or `--max-cost`; empty where more would not help.
        seconds: that it would still take, where that is known.
    """

    learner: str
    why: str
    limit: str = ""
    seconds: float | None = None


def ladder(language: str) -> tuple[list[str], list[LeftOut]]:
    """The rungs that can be climbed, and those that cannot.

    Args:
        language: of the texts, BCP 47.
    """
    reasons = {spec: why_not(spec, language) or _why_untrained(spec, language) for spec in LADDER}
    usable = [spec for spec, why in reasons.items() if why is None]
    return usable, [LeftOut(spec, why) for spec, why in reasons.items() if why is not None]


def larger(language: str, prompts: bool) -> list[str]:
    """Options of `recommend` that try larger models of the Hugging Face hub.

    Args:
        language: of the texts, BCP 47.
        prompts: whether a language model is among them.
    """
    encoder = LARGER_ENCODERS.get(language.split("-")[0], MULTILINGUAL_ENCODER)
    options = [part for name in ("prototypes", "probe") for part in ("-l", f"{name}:encoder=({encoder})")]
    return [*options, *(("-m", MULTILINGUAL_MODEL) if prompts else ())]


def why_not(spec: str, language: str) -> str | None:
    """Why a rung is left out, as far as its packages and embedded models tell; None where nothing speaks against it.

    An encoder that is chosen for the language is fetched where it is not here; models that are named have to be here.
    """
    try:
        LEARNERS.require(spec)
    except MissingExtra as error:
        return error.remedy
    parsed = parse_spec(spec)
    for name in _embedded_models(parsed):
        languages = EMBEDDED[name].languages
        if languages and language == UNKNOWN:
            return f"{name} was made for {' and '.join(languages)}, and the texts are in no language that is known here"
        if languages and language.split("-")[0] not in languages:
            return f"{name} was made for {' and '.join(languages)}, and the texts are in {language}"
        if locate(name) is None:
            return f"{name} is not on this machine; {how_to_get(name)}"
    chosen = encoder_for(language)[0]
    if parsed.params.get("encoder") == AUTO and locate(chosen) is None and is_offline(False):
        return f"{chosen} is not on this machine, and downloads are off; with a network, {how_to_get(chosen)}"
    return None


def _why_untrained(spec: str, language: str) -> str | None:
    """Why a rung that is trained is left to another one: that in English serves where a language has none."""
    taught = {rung: _language_of_training(rung) for rung in LADDER}
    wanted = language.split("-")[0] if language.split("-")[0] in taught.values() else "en"
    return None if taught[spec] in (None, wanted) else f"it is trained in {taught[spec]}; the one in {wanted} is taken"


def _language_of_training(spec: str) -> str | None:
    train = parse_spec(spec).params.get("train")
    return read_card(find_card(train)[0]).language if isinstance(train, str) else None


def _embedded_models(spec: Spec) -> Iterator[str]:
    for value in (spec.positional, *spec.params.values()):
        if isinstance(value, Spec):
            yield from _embedded_models(value)
            value = value.name
        if isinstance(value, str) and value in EMBEDDED:
            yield value
