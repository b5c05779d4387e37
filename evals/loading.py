"""From a name or a path to a Task: find the card, find the rows, clean them, and say what was dropped."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources
from itertools import chain, combinations
from pathlib import Path
from typing import Any

from evals.card import Card, SourceCard, find_card, normal_label, packaged_cards, read_card, verbalizer_of
from evals.cleaning import clean
from evals.content import TOKENS
from evals.frames import parts_of
from evals.hub import hub_rows
from evals.images import holds_images, read_images
from evals.images.arrays import ARRAYS
from evals.images.sources import ARCHIVE
from evals.kinds import Kind, kind_named
from evals.kinds.multilabel import split_labels
from evals.language import NONE, UNKNOWN, guess_language
from evals.parts import by_split_column
from evals.series import SUFFIXES as SERIES
from evals.series import holds_series, read_series, split_of_series
from evals.series.waves import wave_rows
from evals.shape import shaped
from evals.sources import Row, find_files, missing_column, read_rows, suffix_of, text_of, unknown_kind
from evals.tagged import with_tokens
from evals.task import PARTS, ClassSplit, Task
from evals.types import Example, Label, Modality, TaskInfo, plural
from fewshot.core.errors import OfflineError, TaskError, UsageError, unknown_name
from fewshot.core.hashing import text_key, without_invisible
from fewshot.core.paths import data_dir

#: File beside the rows of a task that divides its classes.
_SPLITS = "classes.json"
#: Settings of a run that say how its files were read.
READING = ("text_column", "label_column", "encoding", "sheet", "kind", "separator", "drop")
#: Labels of which it is remembered how they are written.
_MANY = 1000
#: The end of a whole number that was written as a decimal one.
_WHOLE = re.compile(r"(?<=\d)\.0+$")


def load_task(
    source: str | Path | Any,
    *,
    offline: bool = False,
    name: str | None = None,
    text: str | None = None,
    label: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
    kind: str | None = None,
    separator: str | None = None,
    drop: Collection[str] = (),
) -> Task:
    """Load a task with its rows.

    Args:
        source: name of a shipped card (`sentiment-ko`, `sib200[ko]`), path of a card (.yaml), of a data file, or of a
            folder with train/test files; a data frame of pandas or polars, a `Dataset` or a `DatasetDict`.
        name: of a task that is a table in memory; "data" where None.
        offline: never look on the Hugging Face hub.
        text, label: columns; those that the card names, else `text` and `label`, where None.
        encoding: of files of text, found out where None. sheet: of workbooks, as in `read_rows`.
        kind: of a task without a card; None goes by its columns, as `shaped` does. separator: between the labels of
            one cell.
        drop: classes to leave out, with their texts.

    Raises:
        UsageError: unknown task name or class, with the nearest ones; columns, encoding or sheet of a task that is
            shipped.
        TaskError: an unusable card or file; the message names file and line.
    """
    named = {"text": text, "label": label, "encoding": encoding, "sheet": sheet, "separator": separator}
    reading = {key: value for key, value in named.items() if value is not None}
    if kind is not None:
        kind_named(kind)
    shape = partial(shaped, kind=kind, label=label)
    if not isinstance(source, (str, Path)):
        card = Card.model_validate({"name": name or "data", "source": reading})
        return _build(card, None, offline, drop, parts_of(source), shape)
    name = str(source)
    path = Path(name)
    is_card = name.lower().endswith((".yaml", ".yml"))
    if is_own(name) and not is_card and (modality := _modality_of(path)):
        _refuse_reading_of_no_texts(name, reading, kind, modality)
        card = Card(name=_stem(path), modality=modality, source=SourceCard(path=str(path.absolute())))
        return _build(card, None, offline, drop)
    if kind is not None and (is_card or not is_own(name)):
        raise UsageError(f"--kind says what a file without a card holds, and {name} has a card, which says it")
    if is_card:
        return _build(_read_so(read_card(path), reading), path.parent, offline, drop)
    if is_own(name):
        if not path.exists():
            raise TaskError(f"{path}: no such file or folder")
        if path.is_file() and not suffix_of(name):
            raise unknown_kind(path)
        rows = {"path": str(path.absolute()), **reading}
        return _build(Card.model_validate({"name": _stem(path), "source": rows}), None, offline, drop, shape=shape)
    other = f"./{name} is what lies in the working folder" if path.exists() else ""
    if reading:
        options = " and ".join(f"--{key}" for key in reading)
        raise UsageError(
            f"{options} say how a file is read, and {name} is a task that is shipped{f'; {other}' if other else ''}"
        )
    card_path, variant = find_card(name)
    task = _build(read_card(card_path, variant), None, offline, drop)
    return replace(task, notes=(f"{name} is the task that is shipped; {other}", *task.notes)) if other else task


def _modality_of(path: Path) -> Modality | None:
    """What a file or folder holds, where that is no texts."""
    if holds_series(path):
        return "series"
    return "image" if holds_images(path) else None


def _refuse_reading_of_no_texts(name: str, reading: Mapping[str, str], kind: str | None, modality: Modality) -> None:
    if options := " and ".join(f"--{key}" for key in (*reading, *(["kind"] if kind else []))):
        raise UsageError(f"{options} say how texts are read, and {name} holds {plural(modality)}; leave them out")


def is_own(source: str) -> bool:
    """Whether a source is a card, a file or a folder of the user, rather than the name of a task that is shipped.

    What lies in the working folder does not change what a task's name means: `./sst2` is the folder, `sst2` the task.
    """
    if (
        suffix_of(source)
        or source.lower().endswith((".yaml", ".yml", *ARRAYS, *SERIES, ARCHIVE))
        or "/" in source
        or os.sep in source
    ):
        return True
    return Path(source).exists() and source.partition("[")[0] not in packaged_cards()


def _read_so(card: Card, reading: Mapping[str, str]) -> Card:
    """The card, with other columns, encoding or sheet."""
    return card.model_copy(update={"source": card.source.model_copy(update=dict(reading))})


def _stem(path: Path) -> str:
    """The name of a task by that of its file or folder, in whatever script."""
    name = unicodedata.normalize("NFC", path.absolute().name).lower()
    ends = (suffix_of(name) or "", *ARRAYS, *SERIES, ARCHIVE)
    name = name.removesuffix(next((end for end in ends if end and name.endswith(end)), ""))
    return "".join(char if char.isalnum() or char in "._-" else "-" for char in name).strip("-._") or "data"


def _build(
    card: Card,
    beside: Path | None,
    offline: bool,
    drop: Collection[str],
    given: Mapping[str, Iterable[Row]] | None = None,
    shape: Callable[[Card, Collection[str]], tuple[Card, list[str]]] | None = None,
) -> Task:
    """The task of a card.

    Args:
        beside: the card's folder. drop: classes to leave out. given: rows by part that need not be looked for.
        shape: completes the card of a table that has none, by the columns of its first row.
    """
    odd: list[str] = []
    if given is not None:
        columns, parts, splits = _columns_of(card), given, {}
    else:
        columns, parts, splits = _locate(card, beside, offline, odd.append)
    if shape is not None:
        first, parts = _first(parts)
        card, told = shape(card, first.values if first is not None else ())
        columns, odd = replace(columns, label=card.source.label), [*odd, *told]
    kind = kind_named(card.kind)
    used = {columns.text, columns.label, columns.id, *card.fields}
    parts = by_split_column(parts, used, odd.append) if not splits else parts
    names = {normal_label(v): name for name, label in card.labels.items() for v in (name, *label.aliases)}
    _refuse_separator_in_labels(card, names)
    written: defaultdict[str, set[str]] = defaultdict(set)
    rows = {part: tuple(_examples(card, kind, part, source, columns, names, written)) for part, source in parts.items()}
    rows, left_out = _without(rows, drop, card)
    rows, renumbered = _with_unique_ids(rows)
    cleaned, notes = clean(rows)
    notes = [*odd, *_merged(written), *left_out, *renumbered, *notes]
    labels = _labels(card, kind, cleaned)
    if kind.name in ("classification", "multilabel"):
        _refuse_alike(labels, card.name)
    _require_some(card.name, kind, labels, cleaned, notes)
    info = TaskInfo(
        name=card.name,
        language=_language(card, cleaned),
        kind=card.kind,
        instruction=card.instruction,
        template=_template(card.template, beside),
        input_name=card.input_name,
        output_name=card.output_name,
        fields=_fields(card),
        modality=card.modality,
    )
    splits = _checked_splits(splits, labels, card.name)
    files = _files_read(card, beside, info.template) if given is None else ()
    return Task(info, labels, cleaned, splits, tuple(notes), files)


def _language(card: Card, rows: Mapping[str, Sequence[Example]]) -> str:
    """That of the card, or that of the texts."""
    if card.modality != "text":
        return NONE
    return (
        card.language
        if card.language != UNKNOWN
        else guess_language(row.text for part in rows.values() for row in part[:200])
    )


def _files_read(card: Card, beside: Path | None, template: str) -> tuple[Path, ...]:
    """The files of this machine that a task was made of, but for its card."""
    place, _ = _find_rows(card, beside)
    rows = place.files.values() if place else ()
    named = [place.folder / _SPLITS] if place and place.folder else []
    return (*rows, *named, *([Path(template)] if template.endswith(".j2") else []))


@dataclass(frozen=True)
class _Columns:
    """What the columns are called.

    Attributes:
        fields: by what the card calls them, where the data call them something else.
    """

    text: str
    label: str
    id: str
    fields: Mapping[str, str] = field(default_factory=dict)


def _columns_of(card: Card) -> _Columns:
    return _Columns(card.source.text, card.source.label, card.source.id)


def _first(parts: Mapping[str, Iterable[Row]]) -> tuple[Row | None, dict[str, Iterable[Row]]]:
    """The first row there is, and all rows as they were."""
    streams = {part: iter(rows) for part, rows in parts.items()}
    for part, rows in streams.items():
        if (row := next(rows, None)) is not None:
            return row, {**streams, part: chain((row,), rows)}
    return None, dict(streams)


@dataclass(frozen=True)
class _Place:
    """Files of a task by part, and the folder that may hold its class splits."""

    files: Mapping[str, Path]
    folder: Path | None = None


def has_local_rows(card: Card) -> bool:
    """Whether the rows of a shipped card can be read without a download."""
    return card.source.generated is not None or _find_rows(card, None)[0] is not None


def _find_rows(card: Card, beside: Path | None) -> tuple[_Place | None, list[Path]]:
    """The first place that has rows: $FEWSHOT_DATA, beside the card, the package. And the places looked at."""
    wanted = card.source.path or card.name.partition("[")[0]
    tried: list[Path] = []
    for root in (data_dir(), beside, Path(str(resources.files("evals") / "cards" / "data"))):
        for name in dict.fromkeys((wanted, wanted.replace("-", "_"))):
            if root is None:
                continue
            place = root / name
            tried.append(place)
            if place.is_file():
                return _Place({"all": place}), tried
            if card.modality == "series" and holds_series(place):
                return _Place({}, place), tried
            if card.modality == "image" and (held := _archives(card, place)) is not None:
                return _Place(held, place), tried
            if files := find_files(place, card.source.prefix):
                return _Place(files, place), tried
    return None, tried


def _archives(card: Card, folder: Path) -> dict[str, Path] | None:
    """The files by name that images are read from; None where they are not all in the folder."""
    found = {name: folder / name for name in card.source.archives}
    return found if folder.is_dir() and all(path.is_file() for path in found.values()) else None


def _locate(
    card: Card, beside: Path | None, offline: bool, notify: Callable[[str], None]
) -> tuple[_Columns, dict[str, Iterable[Row]], dict[str, ClassSplit]]:
    """Columns, rows by part and class splits, from this machine or from the hub."""
    columns = _columns_of(card)
    if card.source.generated:
        return columns, {"all": wave_rows()}, _splits_of(card)
    place, tried = _find_rows(card, beside)
    if place is not None:
        splits = _read_splits(place.folder) if place.folder else {}
        if outside := _outside(beside, place):
            notify(f"the card reads {outside}, which lies outside of its own folder")
        if card.modality == "series":
            parts = read_series(place.folder or place.files["all"])
            return columns, {**parts}, _splits_of(card) | splits or split_of_series(parts)
        if card.modality == "image":
            images = read_images(
                place.folder or next(iter(place.files.values())),
                notify,
                archives=card.source.archives,
                class_splits=card.class_splits,
                turned=card.source.turned,
            )
            return columns, dict(images.parts), {**images.class_splits, **splits}
        read = partial(
            read_rows,
            notify=notify,
            encoding=card.source.encoding,
            sheet=card.source.sheet,
            columns=(columns.text, columns.label),
        )
        return columns, {part: read(path) for part, path in place.files.items()}, splits
    held = " and ".join(card.source.archives) or "train and test (or all) files"
    where = f"set FEWSHOT_DATA to the folder that holds a folder {tried[0].name!r} with {held}"
    hub = card.source.hub
    if hub is None:
        raise TaskError(
            f"the rows of task {card.name!r} are not here: {where}. Looked at: {', '.join(map(str, tried))}"
        )
    if offline:
        raise OfflineError(
            f"--offline forbids fetching task {card.name!r} from the Hugging Face hub ({hub.id}); {where}"
        )
    columns = _Columns(hub.text or columns.text, hub.label or columns.label, columns.id, hub.fields)
    return columns, {part: hub_rows(hub, split) for part, split in hub.splits.items()}, {}


def _examples(
    card: Card,
    kind: Kind,
    part: str,
    rows: Iterable[Row],
    columns: _Columns,
    names: Mapping[str, str],
    written: defaultdict[str, set[str]],
) -> Iterable[Example]:
    for number, found in enumerate(rows):
        try:
            row = replace(found, values=_in_form(found.values, card, columns, names))
            text = text_of(row, columns.text)
            gold = kind.read_gold(row.values, columns.label)
        except ValueError as error:
            if columns.label not in found.values:
                raise missing_column(found, columns.label) from error
            raise TaskError(f"{found.where}: {error}") from error
        if isinstance(gold, str) and kind.name == "classification" and len(written) <= _MANY:
            written[gold].add(str(row.values[columns.label]))
        if gold in card.drop:
            continue
        if kind.name in ("classification", "multilabel"):
            gold = _named(gold, names, row, card)
        fields = {name: row.values[name] for name in _fields(card) if name in row.values}
        for name in card.fields:
            if name not in row.values:
                raise TaskError(f"{row.where}: the card declares the field {name!r}, but there is no such column")
        yield Example(str(row.values.get(columns.id, f"{part}-{number}")), text, gold, fields)


def _in_form(values: Mapping[str, Any], card: Card, columns: _Columns, names: Mapping[str, str]) -> Mapping[str, Any]:
    """The columns of a row as the task's kind reads them.

    Raises:
        ValueError: with what is wrong.
    """
    named = {**values, **{name: values[column] for name, column in columns.fields.items() if column in values}}
    label = named.get(columns.label)
    if card.kind == "tagging":
        return with_tokens(named, columns.text, columns.label)
    if card.kind == "multilabel" and isinstance(label, str):
        one = normal_label(label) in names  # a label of the card, whatever signs stand in it
        found = [label] if one else split_labels(label, columns.label, card.source.separator)
        return {**named, columns.label: found}
    return named


def _refuse_separator_in_labels(card: Card, names: Iterable[str]) -> None:
    separator = card.source.separator
    if separator is not None and (inside := [name for name in names if separator in name]):
        raise TaskError(
            f"task {card.name!r}: the separator {separator!r} stands in the label {inside[0]!r}; separate labels by "
            "another sign (--separator), or write them as lists in a .jsonl file"
        )


def _require_some(
    task: str, kind: Kind, labels: Sequence[Label], rows: Mapping[str, Sequence[Example]], notes: Sequence[str]
) -> None:
    """Refuse a task without rows, or without a choice, and say what was left out of it."""
    if not any(rows.values()):
        found = "no labelled rows"
    elif kind.name == "classification" and len(labels) < 2:
        found = f"only the class {labels[0].name!r}; at least two are needed"
    else:
        return
    raise TaskError(f"task {task!r} has {found}" + "".join(f"; {note}" for note in notes))


def _merged(written: Mapping[str, set[str]]) -> list[str]:
    """One sentence per label that the data write in several ways, as 1 and 1.0."""
    several = {name: forms for name, forms in written.items() if len(forms) > 1}
    return [f"the label {name!r} is written as {' and '.join(sorted(forms))}" for name, forms in several.items()]


def _without(
    rows: Mapping[str, tuple[Example, ...]], drop: Collection[str], card: Card
) -> tuple[dict[str, tuple[Example, ...]], list[str]]:
    """Rows without those of some classes, and one sentence per class with its count.

    Raises:
        UsageError: no row is of such a class; a task whose texts carry several classes, or none.
    """
    if drop and card.kind != "classification":
        raise UsageError(f"classes are left out of a classification only, and task {card.name!r} is a {card.kind} task")
    counts = Counter(row.label for part in rows.values() for row in part)
    names = dict.fromkeys(map(normal_label, drop))
    for name in names:
        if name not in counts:
            raise unknown_name(f"class of task {card.name!r}:", name, map(str, counts))
    kept = {part: tuple(row for row in part_rows if row.label not in names) for part, part_rows in rows.items()}
    return kept, [f"left out {counts[name]} rows of the class {name!r}, as was asked for" for name in names]


def _with_unique_ids(rows: Mapping[str, tuple[Example, ...]]) -> tuple[dict[str, tuple[Example, ...]], list[str]]:
    """Rows whose ids tell them apart: those of the data if they do, else their positions."""
    ids = [row.id for part in rows.values() for row in part]
    if len(set(ids)) == len(ids):
        return dict(rows), []
    numbered = {
        part: tuple(replace(row, id=f"{part}-{number}") for number, row in enumerate(part_rows))
        for part, part_rows in rows.items()
    }
    return numbered, ["the ids in the data are not unique, so rows are numbered instead"]


def _fields(card: Card) -> tuple[str, ...]:
    """What a learner sees of a row beside its text: the declared fields, and the tokens that tags belong to."""
    return tuple(dict.fromkeys((*card.fields, *((TOKENS,) if card.kind == "tagging" else ()))))


def _named(gold: Any, names: Mapping[str, str], row: Row, card: Card) -> Any:
    """Map values in the data to label names; where the card lists labels, others are errors."""
    if isinstance(gold, tuple):
        return tuple(sorted(_named(value, names, row, card) for value in gold))
    value = normal_label(gold)
    if not text_key(value):
        raise TaskError(f"{row.where}: the label is empty: it holds nothing that can be seen")
    if not names:
        return value
    if value not in names:
        raise TaskError(f"{row.where}: the label {value!r} is not on the card; known: {', '.join(card.labels)}")
    return names[value]


def _labels(card: Card, kind: Kind, rows: Mapping[str, tuple[Example, ...]]) -> tuple[Label, ...]:
    present = {
        name for part in rows.values() for row in part if row.label is not None for name in kind.names(row.label)
    }
    if not card.labels:
        return tuple(Label(name, verbalizer_of(name)) for name in sorted(present))
    return tuple(
        Label(name, label.verbalizer or verbalizer_of(name), label.description)
        for name, label in card.labels.items()
        if name in present
    )


def _refuse_alike(labels: tuple[Label, ...], task: str) -> None:
    """Labels that differ in what cannot be seen only, or that a prompt would write alike, are one class in two ways.

    They are refused whatever learner is asked: all of them are compared on the same task, and one line of a card says
    which of the two it is, one class or two.
    """
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[_seen(label.verbalizer)].append(label.name)
    if groups := [names for names in alike.values() if len(names) > 1]:
        named = "; ".join(" and ".join(map(_shown, names)) for names in groups)
        several = any(len(set(map(_seen, names))) > 1 for names in groups)
        otherwise = "; where they are different classes, give each a verbalizer of its own there" if several else ""
        raise TaskError(
            f"task {task!r}: labels that read alike: {named}. Write each class in one way in the data, or name one as "
            f"an alias of the other in a task card (fewshot tasks new){otherwise}"
        )


def _seen(words: str) -> str:
    """What can be seen of a label's words; 1.0 is 1."""
    return _WHOLE.sub("", text_key(words))


def _shown(name: str) -> str:
    """The label in quotes; with escapes where something in it cannot be seen."""
    return repr(name) if without_invisible(name) == name else ascii(name)


def _outside(beside: Path | None, place: _Place) -> Path | None:
    """The place of the rows of a user's card, if it is neither in the card's folder nor in $FEWSHOT_DATA."""
    if beside is None:
        return None
    found = (place.folder or next(iter(place.files.values()))).resolve()
    homes = [home.resolve() for home in (beside, data_dir(), Path(str(resources.files("evals")))) if home is not None]
    return None if any(found.is_relative_to(home) for home in homes) else found


def _splits_of(card: Card) -> dict[str, ClassSplit]:
    """The class splits that the card itself names."""
    return {name: {part: split.get(part, ()) for part in PARTS} for name, split in card.class_splits.items()}


def _read_splits(folder: Path) -> dict[str, ClassSplit]:
    path = folder / _SPLITS
    if not path.is_file():
        return {}
    try:
        splits = json.loads(path.read_text(encoding="utf-8"))["splits"]
        return {str(name): {part: tuple(map(str, split[part])) for part in PARTS} for name, split in splits.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise TaskError(
            f'{path}: expected {{"splits": {{NAME: {{"train": [...], "valid": [...], "test": [...]}}}}}}'
        ) from error


def _checked_splits(splits: Mapping[str, ClassSplit], labels: tuple[Label, ...], task: str) -> dict[str, ClassSplit]:
    """Class splits with parts that share no class, restricted to the classes that have rows."""
    known = {label.name for label in labels}
    for name, split in splits.items():
        for first, second in combinations(PARTS, 2):
            if shared := set(split[first]) & set(split[second]):
                raise TaskError(f"task {task!r}, class split {name!r}: {min(shared)!r} is in {first} and {second}")
    return {
        name: {part: tuple(label for label in names if label in known) for part, names in split.items()}
        for name, split in splits.items()
    }


def _template(name: str, beside: Path | None) -> str:
    """A template file named by a card lies beside it."""
    return str((beside / name).absolute()) if beside and name.endswith(".j2") else name
