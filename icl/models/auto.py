"""Which model answers where none is named: the Korean one for Korean praise and blame, the English one else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evals.label_names import says_something
from evals.language import UNKNOWN
from evals.types import Label
from fewshot.core.catalog import MULTILINGUAL_MODEL
from fewshot.core.embedded import EMBEDDED, locate
from icl.models.polarity import praise_and_blame

#: The model for tasks that no other one on this machine was made for.
FALLBACK = "smollm2"


@dataclass(frozen=True)
class Specialty:
    """What a model was made for, and what it does not know beyond.

    Attributes:
        languages: BCP 47.
        suits: whether it can tell labels apart, by their words.
        limits: what a user should know of it, after its name.
    """

    languages: tuple[str, ...]
    suits: Callable[[Sequence[Label]], bool]
    limits: str


#: Embedded models that are preferred for what they were made for, the most preferred first.
PREFERRED: Mapping[str, Specialty] = {
    "ko-mini": Specialty(("ko",), praise_and_blame, "tells praise from blame in short reviews, and little else")
}
#: What training reaches in languages that no embedded language model was made for: prototypes, as in the README.
_ENCODER = "e5-small"
_TRAINED = "0.89 on intents-ko, 5-way 5-shot"


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
    labels: Sequence[Label] = (),
    is_present: Callable[[str], bool] = is_here,
    preferred: Mapping[str, Specialty] = PREFERRED,
    fallback: str = FALLBACK,
) -> Choice:
    """The model for texts of a language that carry these labels.

    Args:
        language: BCP 47; "und" for unknown.
        labels: of the task.
        is_present: whether a model's weights are on this machine.
        preferred: models, and what they are preferred for.
        fallback: the model for everything else; it may still have to be downloaded.
    """
    fluent = [name for name, special in preferred.items() if _spoken(language) in special.languages]
    suited = [name for name in fluent if preferred[name].suits(labels)]
    found = next((name for name in suited if is_present(name)), None)
    if found is not None:
        return Choice(
            found, f"model {found}: made for {language}, the language of the task; it {preferred[found].limits}"
        )
    if suited:
        why = f"{suited[0]} is made for {language}, but its weights are not here"
    elif fluent:
        why = f"{fluent[0]} {preferred[fluent[0]].limits}; the labels here {_what_they_mean(labels)}"
    else:
        asked = "a language that is not known" if language == UNKNOWN else language
        why = f"no other model here is made for {asked}"
    return Choice(fallback, f"model {fallback}: {why}{_way_out(fallback, language)}")


def why_unsuited(model: str, language: str, labels: Sequence[Label]) -> str | None:
    """Why an embedded model is not to be expected to label such texts; None where it may, or where that is not known.

    Args:
        model: its name. language: BCP 47 of the texts. labels: of the task.
    """
    if model in PREFERRED and not PREFERRED[model].suits(labels):
        return f"{model} {PREFERRED[model].limits}; the labels here {_what_they_mean(labels)}"
    if not _reads(model, language):
        made_for = " and ".join(EMBEDDED[model].languages)
        return f"{model} was made for {made_for}, and the texts are in {language}"
    return None


def _what_they_mean(labels: Sequence[Label]) -> str:
    if labels and not any(says_something(label.verbalizer) for label in labels):
        return "do not say that they mean that (if they do, words for them in a task card will: fewshot tasks new NAME)"
    return "mean something else"


def _way_out(model: str, language: str) -> str:
    """What to do where a model does not read a language; nothing where it does."""
    if language != UNKNOWN and _reads(model, language):
        return ""
    texts = "these texts" if language == UNKNOWN else language
    training = f"; training reads {texts}: fewshot classic run -a prototypes ({_TRAINED})"
    return (
        f". It was made for {' and '.join(EMBEDDED[model].languages)}, so expect answers near chance. A model that "
        f"reads {texts} is needed, --model {MULTILINGUAL_MODEL} for instance{training * _reads(_ENCODER, language)}"
    )


def _reads(model: str, language: str) -> bool:
    """Whether an embedded model was made for a language, as far as that is known."""
    known = EMBEDDED[model].languages if model in EMBEDDED else ()
    return not known or language == UNKNOWN or _spoken(language) in known


def _spoken(language: str) -> str:
    return language.split("-")[0].lower()
