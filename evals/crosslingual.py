"""Cross-lingual episodes: support in one language, queries in another, drawn from aligned tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from evals.card import packaged_cards, read_card
from evals.content import content_key
from evals.episode import EpisodeSampler
from evals.kinds import Draw
from evals.task import Task
from evals.types import Example
from fewshot.core.errors import TaskError, UsageError, unknown_name
from fewshot.core.hashing import digest

#: Part and id of a row.
_Key = tuple[str, str]


@dataclass(frozen=True)
class CrossLingualTask(Task):
    """A task that is shown in one language and asked in another. Build one with `pair`.

    Rows, labels, verbalizers and instruction are those of the source; `info.language` is that of the queries.

    Attributes:
        asked: the rows of the target, by id.
    """

    asked: Mapping[str, Example] = field(default_factory=dict)

    @cached_property
    def shown(self) -> dict[str, Example]:
        """The rows of the source, by id."""
        return {row.id: row for rows in self.rows.values() for row in rows}

    @cached_property
    def data_fingerprint(self) -> str:
        """Hash of the rows in both languages, label names and class splits."""
        asked = [[row.id, row.text, row.label, dict(row.fields)] for row in self.asked.values()]
        return digest([super().data_fingerprint, asked])

    @cached_property
    def outline(self) -> Task:
        """Ids and gold alone, in sorted order: equal for every pair of languages over the same rows."""
        bare = {
            part: tuple(Example(row.id, "", row.label) for row in sorted(rows, key=lambda row: row.id))
            for part, rows in self.rows.items()
        }
        labels = tuple(sorted(self.labels, key=lambda label: label.name))
        return Task(self.info, labels, bare, self.class_splits)


@dataclass(frozen=True)
class CrossLingualSampler(EpisodeSampler):
    """Episodes with support in one language and queries in another.

    What `EpisodeSampler` promises holds here too. The draw depends on ids and gold alone: over the same rows, every
    pair of languages gets the same sentences, so results across languages are paired. Support and queries share
    neither a row, in whichever language, nor a text.
    """

    task: CrossLingualTask

    @cached_property
    def _outline(self) -> EpisodeSampler:
        return EpisodeSampler(
            self.task.outline,
            self.way,
            self.shot,
            self.query,
            self.seed,
            self.class_split,
            self.part,
            self.query_balance,
        )

    def _draw(self, index: int) -> Draw:
        drawn = self._outline._draw(index)
        return Draw(drawn.labels, _written(drawn.support, self.task.shown), _written(drawn.queries, self.task.asked))


def _written(rows: Sequence[Example], texts: Mapping[str, Example]) -> tuple[Example, ...]:
    """The rows in a language, with the gold as it was drawn (some kinds narrow it down to the labels of an episode)."""
    return tuple(replace(texts[row.id], label=row.label) for row in rows)


def pair(source: Task, target: Task) -> CrossLingualTask:
    """The task whose support comes from `source` and whose queries come from `target`.

    Raises:
        TaskError: as `align`.
    """
    shown, asked = align([source, target])
    info = replace(source.info, name=f"{source.name}->{target.name}", language=target.info.language)
    return CrossLingualTask(
        info,
        shown.labels,
        shown.rows,
        shown.class_splits,
        shown.notes,
        (*shown.files, *asked.files),
        {row.id: row for rows in asked.rows.values() for row in rows},
    )


def align(tasks: Sequence[Task]) -> list[Task]:
    """The same tasks with the rows that all of them have.

    Rows correspond by part and id. A row whose text occurs under another id, in any of the languages, is left out: it
    could be shown in one language and asked in another. The notes of the tasks say how many rows were left out.

    Raises:
        TaskError: kinds, label names or gold differ, or no row is common to all.
    """
    first = tasks[0]
    tables = [{(part, row.id): row for part, rows in task.rows.items() for row in rows} for task in tasks]
    common = set.intersection(*map(set, tables))
    for other, table in zip(tasks[1:], tables[1:], strict=True):
        _require_same_labels(first, other)
        _require_same_gold(first.name, other.name, [(tables[0][key], table[key]) for key in sorted(common)])
    if not common:
        parts = "; ".join(f"{task.name}: {', '.join(task.rows)}" for task in tasks)
        raise TaskError(f"no row is common to all tasks. Rows correspond by id and part; the parts are: {parts}")
    common -= _ambiguous({key: [content_key(first.visible(table[key])) for table in tables] for key in common})
    return [_restricted(task, common) for task in tasks]


def _ambiguous(texts: Mapping[_Key, Sequence[str]]) -> set[_Key]:
    """The rows that share a text with another row."""
    rows_with: dict[str, set[_Key]] = {}
    for key, versions in texts.items():
        for text in versions:
            rows_with.setdefault(text, set()).add(key)
    return {key for keys in rows_with.values() if len(keys) > 1 for key in keys}


def _restricted(task: Task, keys: set[_Key]) -> Task:
    rows = {part: tuple(row for row in rows if (part, row.id) in keys) for part, rows in task.rows.items()}
    n_left_out = sum(map(len, task.rows.values())) - len(keys)
    note = f"left out {n_left_out} rows that another language lacks or whose text is also that of another row"
    return replace(task, rows=rows, notes=(note,) if n_left_out else ())


def _require_same_labels(first: Task, other: Task) -> None:
    if first.info.kind != other.info.kind:
        raise TaskError(
            f"{first.name} is of kind {first.info.kind!r}, but {other.name} of kind {other.info.kind!r}: no pair"
        )
    names, others = ({label.name for label in task.labels} for task in (first, other))
    lacks = [
        f"{task.name} lacks {', '.join(sorted(missing))}"
        for task, missing in ((other, names - others), (first, others - names))
        if missing
    ]
    if lacks:
        raise TaskError(f"the labels of {first.name} and {other.name} differ: {'; '.join(lacks)}")


def _require_same_gold(first: str, other: str, rows: Sequence[tuple[Example, Example]]) -> None:
    for one, another in rows:
        if one.label != another.label:
            raise TaskError(
                f"row {one.id!r} is {one.label!r} in {first}, but {another.label!r} in {other}: "
                "the ids of these tasks do not name the same texts"
            )


def task_in(task: str, language: str) -> str:
    """What a task is called in one language.

    Args:
        task: a shipped task with variants ("sib200" -> "sib200[ko]") or the common beginning of shipped tasks
            ("intents" -> "intents-ko"); or a path with a gap for the language ("news-{lang}.yaml" -> "news-ko.yaml").
        language: as in the name.

    Raises:
        UsageError: an unknown task, or one that is not there in this language.
    """
    if "{lang}" in task:
        return task.replace("{lang}", language)
    cards = packaged_cards()
    siblings = {name.removeprefix(f"{task}-"): name for name in cards if name.startswith(f"{task}-")}
    variants = read_card(cards[task]).variants if task in cards else ()
    names = {**siblings, **{variant: f"{task}[{variant}]" for variant in variants}}
    if task in cards and not names:
        raise UsageError(f"task {task!r} is in one language only")
    if not names:
        raise unknown_name("task", task, cards)
    if language not in names:
        raise unknown_name(f"language of task {task!r}:", language, names)
    return names[language]
