"""Which learners to try: from cheap to costly, those that can run on this machine and were made for the language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fewshot.core.catalog import LADDER, LEARNERS
from fewshot.core.embedded import EMBEDDED, encoder_for, how_to_get, is_offline, locate
from fewshot.core.errors import MissingExtra
from fewshot.core.spec import AUTO, Spec, parse_spec


@dataclass(frozen=True)
class LeftOut:
    """A learner without a result, and why.

    Attributes:
        limit: the option that would have to give more, `--budget` or `--max-cost`; empty where more would not help.
    """

    learner: str
    why: str
    limit: str = ""


def ladder(language: str) -> tuple[list[str], list[LeftOut]]:
    """The rungs that can be climbed, and those that cannot.

    Args:
        language: of the texts, BCP 47.
    """
    reasons = {spec: why_not(spec, language) for spec in LADDER}
    usable = [spec for spec, why in reasons.items() if why is None]
    return usable, [LeftOut(spec, why) for spec, why in reasons.items() if why is not None]


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
        if languages and language.split("-")[0] not in (*languages, "und"):
            return f"{name} was made for {' and '.join(languages)}, and the texts are in {language}"
        if locate(name) is None:
            return f"{name} is not on this machine; {how_to_get(name)}"
    chosen = encoder_for(language)[0]
    if parsed.params.get("encoder") == AUTO and locate(chosen) is None and is_offline(False):
        return f"{chosen} is not on this machine, and downloads are off; with a network, {how_to_get(chosen)}"
    return None


def _embedded_models(spec: Spec) -> Iterator[str]:
    for value in (spec.positional, *spec.params.values()):
        if isinstance(value, Spec):
            yield from _embedded_models(value)
            value = value.name
        if isinstance(value, str) and value in EMBEDDED:
            yield value
