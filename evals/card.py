"""The task card: a YAML file that says what the classes are called, how to ask, and where the rows are."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from evals.types import Modality
from fewshot.core.errors import TaskError, unknown_name
from fewshot.core.hashing import text_key
from fewshot.core.strict_yaml import Document, parse_yaml, validated


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelCard(_Strict):
    """One class.

    Attributes:
        verbalizer: the word that stands for it in a prompt; the name in plain words where it is left out.
        aliases: other values that mean this class in the data.
    """

    verbalizer: str | None = None
    description: str = ""
    aliases: tuple[str, ...] = ()


def _label_card(value: Any) -> Any:
    """A bare word is the verbalizer: `positive: 긍정`."""
    return {"verbalizer": value} if isinstance(value, str) else value


class HubCard(_Strict):
    """A Hugging Face data set that holds the rows, where no local copy is found.

    Attributes:
        text, label, fields: its columns; fields by what the card calls them: `text_pair: hypothesis`.
    """

    id: str
    config: str | None = None
    revision: str | None = None
    splits: dict[str, str] = Field(default_factory=lambda: {"train": "train", "test": "test"})
    text: str | None = None
    label: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)


class SourceCard(_Strict):
    """Where the rows are.

    Attributes:
        path: folder or file, in $FEWSHOT_DATA, beside the card or in the package. Default: the task's name.
        prefix: files are called `<prefix>.<part>.<suffix>`.
        text, label, id: column names.
        encoding: of files of text, found out where it is left out. sheet: of workbooks.
        separator: between the labels of one cell; | or ; where it is left out.
        archives: of images: zip files of the folder, of which the task consists.
        turned: of images: whether training classes, turned by 90, 180 and 270 degrees, are further training classes.
        generated: of time series: those that are made, see `evals.series.waves`.
    """

    path: str | None = None
    prefix: str = ""
    text: str = "text"
    label: str = "label"
    id: str = "id"
    encoding: str | None = None
    sheet: str | None = None
    separator: str | None = None
    archives: tuple[str, ...] = ()
    turned: bool = False
    generated: Literal["waves"] | None = None
    hub: HubCard | None = None


class Card(_Strict):
    """Everything about a task but its rows. See `fewshot tasks new` for a commented example.

    Attributes:
        modality: what the examples are; of images, `source` is a folder, a zip file or a file of arrays.
        class_splits: of images: classes by part, each by its name or by that of a folder of classes.
        fields: further columns that the template uses.
        drop: values of the label column whose rows are left out ("out of scope", ...).
        variants: named changes to the card (`sib200[ko]`), of which `default_variant` holds where none is asked for.
    """

    name: str
    language: str = "und"
    kind: Literal["classification", "multilabel", "tagging", "generation"] = "classification"
    modality: Modality = "text"
    title: str = ""
    instruction: str = ""
    input_name: str = "Text"
    output_name: str = "Label"
    template: str = "classify"
    drop: tuple[str, ...] = ()
    labels: dict[str, Annotated[LabelCard, BeforeValidator(_label_card)]] = Field(default_factory=dict)
    fields: tuple[str, ...] = ()
    source: SourceCard = SourceCard()
    class_splits: dict[str, dict[Literal["train", "valid", "test"], tuple[str, ...]]] = Field(default_factory=dict)
    licence: str = ""
    citation: str = ""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    default_variant: str | None = None


def packaged_cards() -> dict[str, Path]:
    """The cards that are shipped, by name."""
    folder = Path(str(resources.files("evals") / "cards"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


@cache
def _known_names() -> tuple[str, ...]:
    return tuple(packaged_cards())


def find_card(name: str) -> tuple[Path, str | None]:
    """The file of a shipped card and the variant asked for: `sib200[ko]` -> (.../sib200.yaml, "ko").

    Raises:
        UsageError: unknown task, with the nearest names.
    """
    base, bracket, rest = name.partition("[")
    variant = rest.removesuffix("]") if bracket and rest.endswith("]") else None
    cards = packaged_cards()
    if base not in cards or (bracket and variant is None):
        raise unknown_name("task", name, _known_names())
    return cards[base], variant


def read_card(path: Path, variant: str | None = None) -> Card:
    """Read and validate a card file.

    Args:
        variant: which of the card's variants to apply; its default where None.

    Raises:
        TaskError: unreadable or invalid, naming file and line.
    """
    if path.exists() and not path.is_file():
        raise TaskError(f"{path}: not a file that holds a card")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaskError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskError(f"{path}: not UTF-8") from error
    document = parse_yaml(text, str(path))
    if not isinstance(document.data, dict):
        raise TaskError(f"{path}:1: a card is a mapping that begins with `name:`")
    card = _validate(document, document.data)
    variant = variant or card.default_variant
    if variant is None:
        return card
    if variant not in card.variants:
        raise unknown_name(f"variant of task {card.name!r}:", variant, card.variants)
    merged = _merge(document.data, document.data["variants"][variant])
    merged["name"] = f"{card.name}[{variant}]"
    return _validate(document, merged, ("variants", variant))


def _validate(document: Document, data: Mapping[str, Any], prefix: tuple[str | int, ...] = ()) -> Card:
    card = validated(Card, document, data, prefix)
    _refuse_equal_labels(card, document)
    return card


def _refuse_equal_labels(card: Card, document: Document) -> None:
    seen: dict[str, str] = {}
    for name, label in card.labels.items():
        for value in {name, *label.aliases}:
            key = text_key(value)
            if key in seen and seen[key] != name:
                where = document.where(("labels", name))
                raise TaskError(f"{where}: the labels {seen[key]!r} and {name!r} are the same after normalisation")
            seen[key] = name


def normal_label(value: str) -> str:
    """Labels are compared in NFC without surrounding space, so that 긍정 typed on two systems is one label."""
    return unicodedata.normalize("NFC", value).strip()


def verbalizer_of(name: str) -> str:
    """A label name in plain words: `card_payment_fee_charged` -> `card payment fee charged`."""
    return " ".join(name.replace("_", " ").replace("/", " ").replace("-", " ").split()) or name


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, mappings merged key by key, but `labels` replaced whole."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key != "labels"
        merged[key] = _merge(merged[key], value) if both else value
    return merged
