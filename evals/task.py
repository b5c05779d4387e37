"""A task: its card (words) and its data (rows), with a fingerprint of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from evals.content import declared
from evals.kinds import Pool, Pools, kind_named
from evals.types import Example, Label, TaskInfo
from fewshot.core.errors import TaskError, UsageError, unknown_name
from fewshot.core.hashing import digest

#: The parts of a class split, and of a task whose rows are split.
PARTS = ("train", "valid", "test")

ClassSplit = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Task:
    """Labelled rows and the words around them. Build one with `load_task`.

    Attributes:
        info: what a learner may know.
        labels: every class, in the order of the card.
        rows: rows by part ("train", "valid", "test"), or all under "all" where no split is published. Cleaned: no text
            twice, no text under two labels.
        class_splits: class split name -> part -> label names.
        notes: what loading dropped, and why; shown once per run.
        files: what was read for it on this machine: card, rows, class splits, template.
    """

    info: TaskInfo
    labels: tuple[Label, ...]
    rows: Mapping[str, tuple[Example, ...]]
    class_splits: Mapping[str, ClassSplit] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = field(default=(), compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.info.name

    def _repr_html_(self) -> str:
        from fewshot.core.notebook import html_table

        counts = Counter(str(row.label) for rows in self.rows.values() for row in rows)
        rows = [[label.name, label.verbalizer, counts[label.name]] for label in self.labels]
        return html_table(self.name, ["class", "in prompts", "rows"], rows, self.notes)

    @cached_property
    def data_fingerprint(self) -> str:
        """Hash of rows, label names and class splits: what episodes depend on."""
        rows = {
            part: [[row.id, row.text, row.label, dict(row.fields)] for row in rows] for part, rows in self.rows.items()
        }
        names = [label.name for label in self.labels]
        return digest({"rows": rows, "labels": names, "class_splits": self.class_splits})

    @cached_property
    def card_fingerprint(self) -> str:
        """Hash of the words: instruction, verbalizers, descriptions, template. Episodes do not depend on it."""
        words = [[label.name, label.verbalizer, label.description] for label in self.labels]
        info = self.info
        return digest(
            [info.instruction, info.template, info.input_name, info.output_name, list(info.fields), info.kind, words]
        )

    def visible(self, row: Example) -> Example:
        """The row as a learner sees it: with only those extra fields that the task declares."""
        if not row.fields:
            return row
        return replace(row, fields=declared(row, self.info.fields))

    def visible_rows(self) -> Iterator[Example]:
        """All rows, as a learner sees them."""
        return (self.visible(row) for rows in self.rows.values() for row in rows)

    def to_be_shown(self) -> list[Example]:
        """Labelled rows that may be shown to label new texts: none that are held out for tests."""
        free = [part for part in self.rows if part != "test"]
        parts = [part for part in free if part != "valid"] or free
        return [self.visible(row) for part in parts for row in self.rows[part] if row.label is not None]

    def default_class_split(self) -> str | None:
        """The first class split, or None where the task has none."""
        return min(self.class_splits, default=None)

    def labels_in(self, class_split: str | None, part: str) -> tuple[Label, ...]:
        """The classes of one part of a class split; all classes where `class_split` is None."""
        if class_split is None:
            return self.labels
        names = set(self._split(class_split)[_known_part(part)])
        return tuple(label for label in self.labels if label.name in names)

    def pools(self, class_split: str | None, part: str) -> Pools:
        """Where support and queries of one part come from.

        With a class split, all rows are pooled and the classes differ by part. Without, support comes from train rows
        and queries from the rows of `part`, or both from the only file (and for `part="train"`, both from train rows).

        Raises:
            UsageError: unknown class split or part.
            TaskError: the rows are split, but none are of the train part.
        """
        _known_part(part)
        if class_split is not None:
            self._split(class_split)
            return self._pooled
        if len(self.rows) == 1:
            return self._pooled
        if part == "train":
            train = self._pool_of("train")
            return Pools(train, train)
        if part not in self.rows:
            raise UsageError(f"task {self.name!r} has no {part} rows; it has {', '.join(self.rows)}")
        return Pools(self._pool_of("train"), self._pool_of(part))

    def _split(self, class_split: str) -> ClassSplit:
        if not self.class_splits:
            raise UsageError(f"task {self.name!r} has no class splits; leave --class-split out")
        if class_split not in self.class_splits:
            raise unknown_name(f"class split of task {self.name!r}:", class_split, self.class_splits)
        return self.class_splits[class_split]

    @cached_property
    def _pooled(self) -> Pools:
        pool = Pool([row for rows in self.rows.values() for row in rows], kind_named(self.info.kind))
        return Pools(pool, pool)

    @cached_property
    def _pool_cache(self) -> dict[str, Pool]:
        return {}

    def _pool_of(self, part: str) -> Pool:
        if part not in self.rows:
            raise TaskError(f"task {self.name!r} has no {part} rows; it has {', '.join(self.rows)}")
        return self._pool_cache.setdefault(part, Pool(self.rows[part], kind_named(self.info.kind)))


def _known_part(part: str) -> str:
    if part not in PARTS:
        raise unknown_name("part", part, PARTS)
    return part
