"""Which model answers where none is named: the Korean one for Korean, the English one else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evals.language import UNKNOWN
from fewshot.core.embedded import locate

#: The model for languages that no other one on this machine was made for.
FALLBACK = "smollm2"
#: Embedded models that are preferred for their languages, the most preferred first.
PREFERRED: Mapping[str, tuple[str, ...]] = {"ko-mini": ("ko",)}

#: What a user should know of them.
LIMITS: Mapping[str, str] = {"ko-mini": "it tells praise from blame in short reviews, and little else"}


@dataclass(frozen=True)
class Choice:
    """A model, and why it was taken, in one line for the user."""

    model: str
    reason: str


def is_here(name: str) -> bool:
    """Whether the weights of an embedded model are on this machine."""
    return locate(name) is not None


def choose_model(
    language: str,
    is_present: Callable[[str], bool] = is_here,
    preferred: Mapping[str, tuple[str, ...]] = PREFERRED,
    fallback: str = FALLBACK,
) -> Choice:
    """The model for texts of a language.

    Args:
        language: BCP 47; "und" for unknown.
        is_present: whether a model's weights are on this machine.
        preferred: model -> languages it is preferred for.
        fallback: the model for everything else; it may still have to be downloaded.
    """
    spoken = language.split("-")[0].lower()
    suited = [name for name, languages in preferred.items() if spoken in languages]
    found = next((name for name in suited if is_present(name)), None)
    if found is not None:
        limits = f"; {LIMITS[found]}" if found in LIMITS else ""
        return Choice(found, f"model {found}: made for {language}, the language of the task{limits}")
    if suited:
        return Choice(fallback, f"model {fallback}: {suited[0]} is made for {language}, but its weights are not here")
    asked = "a language that is not known" if language == UNKNOWN else language
    return Choice(fallback, f"model {fallback}: no other model here is made for {asked}")
