"""Classes registered by name from a few items each, and found again by the similarity of their prototypes.

A prototype is the mean of the vectors of a class (Snell et al. 2017, arXiv 1703.05175, eq. 1), similarity the cosine.
Nothing is trained: a class is added, changed or removed at any time without a word to the others. `update` moves a
prototype to the exact mean of all items so far, which no order of arrival changes, or by an exponential moving average,
p <- (1 - rate) p + rate * (mean of the new items), which forgets the old ones and follows a class that drifts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from classic.registry.names import checked_name, key_of
from classic.registry.records import Class, Event, Found, Match
from classic.registry.search import Index
from classic.registry.storage import RegistryFile, Stored, Transaction
from classic.registry.threshold import Tuned, tuned
from classic.registry.vectors import Items, Space, embed, is_blank, means_of, modality_of, require_direction, shape_of
from fewshot.core.consent import require_consent
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.spec import AUTO, Spec, parse_spec
from fewshot.encoders import build_encoder
from fewshot.encoders.prototypes import squared_lengths

if TYPE_CHECKING:
    from fewshot.encoders.base import Encoder, Vectors

Rule = Literal["mean", "ema"]
#: Names that are listed in a message.
_SHOWN = 5


class PrototypeRegistry:
    """An open registry. Make one with `create`, or `open` one; both close with `with`.

    Any number of processes and threads may read it while one writes: a query sees the last change that was completed.
    Prototypes are held in memory from the first query on; later ones read what has changed since.
    """

    def __init__(self, file: RegistryFile, encoder: Encoder | None, build: Callable[[str], Encoder]) -> None:
        """Use `create` or `open`."""
        self.path = file.path
        self._file, self._given, self._build = file, encoder, build
        self._checked: Encoder | None = None
        self._index, self._names, self._revision = Index(), dict[int, str](), 0
        self._loading = threading.RLock()

    @classmethod
    def create(
        cls, path: str | Path, encoder: str | Spec | Encoder = AUTO, *, threshold: float | None = None, **context: Any
    ) -> Self:
        """Make a registry without classes, and open it.

        Args:
            path: of a new file.
            encoder: a spec, which is noted in the file, or an object, which is given to `open` each time.
            threshold: similarity below which a query is rejected if it names no other; None rejects nothing.
            context: device, offline, notify: passed to encoders that take them.

        Raises:
            UsageError: there is such a file, an unknown encoder, a threshold outside of [-1, 1].
            StorageError: the file cannot be written.
        """
        noted = None if threshold is None else repr(_similarity(threshold))
        RegistryFile.require_new(Path(path))
        built = build_encoder(encoder, **context)
        spec = parse_spec(encoder) if isinstance(encoder, str | Spec) else None
        if spec is not None and spec.name == AUTO:
            spec = replace(spec, name=built.name)
        facts = {"encoder": None if spec is None else str(spec), "encoder_name": built.name}
        RegistryFile.create(Path(path), {**facts, "fingerprint": built.fingerprint, "threshold": noted, "space": None})
        return cls.open(path, encoder=built, **context)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: str | Spec | Encoder | None = None,
        read_only: bool = False,
        trust: bool = False,
        **context: Any,
    ) -> Self:
        """Open a registry.

        Args:
            encoder: instead of the one that is noted in the file; it must have the same fingerprint.
            read_only: refuse to write.
            trust: whether an encoder that is noted in the file may do more than compute.
            context: as in `create`.

        Raises:
            UsageError: no such file, or one of something else.
            StorageError: it cannot be opened, or is damaged.
        """

        def build(noted: str) -> Encoder:
            require_consent(noted, path, trust=trust)
            return build_encoder(noted, **context)

        given = None if encoder is None else build_encoder(encoder, **context)
        return cls(RegistryFile(Path(path), read_only=read_only), given, build)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, classes: Mapping[str, Items]) -> None:
        """Register new classes, by name, from items each: all of them or none.

        Raises:
            UsageError: a name that is taken or cannot be one, no items, an item without anything to read.
        """
        names = {key_of(name): checked_name(name) for name in classes}
        if len(names) < len(classes):
            raise UsageError(f"{_listed(classes)}: some of these names read alike; give each class one name")
        means, counts = means_of(classes, self._encoder)
        with self._file.writing() as change:
            if taken := [name for key, name in names.items() if change.find(key, whole=False)]:
                raise UsageError(f"registered already: {_listed(taken)}. Update or remove what is there")
            space = self._settled(change, means)
            change.add(
                (key, name, n, space.write(means[[at]]))
                for at, ((key, name), n) in enumerate(zip(names.items(), counts, strict=True))
            )
            change.note("add", ((key, name, n, "") for (key, name), n in zip(names.items(), counts, strict=True)))

    def update(self, classes: Mapping[str, Items], rule: Rule = "mean", rate: float = 0.1) -> None:
        """Move the prototypes of registered classes by new items of each: all of them or none.

        Args:
            rule: "mean" for the exact mean of all items so far, "ema" for an exponential moving average.
            rate: weight of the mean of the new items under "ema", in (0, 1]; however many items there are, an update
                is one step.

        Raises:
            UsageError: an unknown class or rule, no items, an item without anything to read, a rate outside of (0, 1].
        """
        if rule not in get_args(Rule):
            raise unknown_name("rule", rule, get_args(Rule))
        if not 0 < rate <= 1:
            raise UsageError(f"rate {rate:g}: the weight of new items is above 0 and at most 1")
        means, counts = means_of(classes, self._encoder)
        with self._file.writing() as change:
            space = self._settled(change, means)
            for at, (name, n) in enumerate(zip(classes, counts, strict=True)):
                old = _registered(change, name)
                weight = np.float32(rate if rule == "ema" else n / (old.items + n))
                moved = space.read([old.vector]) * (1 - weight) + means[[at]] * weight
                require_direction(moved, [old.name])
                change.replace(old.id, old.items + n, space.write(moved))
                detail = "mean" if rule == "mean" else f"ema, rate {rate:g}"
                change.note("update", [(key_of(name), old.name, n, detail)])

    def remove(self, *names: str) -> None:
        """Take classes away: all of them or none. What was done to them stays in the history.

        Raises:
            UsageError: an unknown class.
        """
        with self._file.writing() as change:
            for name in names:
                old = _registered(change, name, whole=False)
                change.remove(old.id)
                change.note("remove", [(key_of(name), old.name, old.items, "")])

    def merge(self, into: str, *others: str) -> None:
        """Make one class of several. Its prototype is the mean of theirs, weighted by their items.

        Args:
            into: the one that remains. others: they are removed.

        Raises:
            UsageError: an unknown class, none to be merged, or one that is named twice.
        """
        if not others or len({key_of(name) for name in (into, *others)}) <= len(others):
            raise UsageError("name the class that remains and one other or more, each once")
        with self._file.writing() as change:
            kept, *gone = [_registered(change, name) for name in (into, *others)]
            space = Space.parse(str(change.fact("space")))
            total = sum(each.items for each in (kept, *gone))
            mean: Any = sum(space.read([each.vector]) * np.float32(each.items / total) for each in (kept, *gone))
            require_direction(mean, [kept.name])
            change.replace(kept.id, total, space.write(mean))
            named = ", ".join(each.name for each in gone)
            change.note("merge", [(key_of(into), kept.name, total - kept.items, f"with {named}")])
            for each in gone:
                change.remove(each.id)
                change.note("remove", [(key_of(each.name), each.name, each.items, f"merged into {kept.name}")])

    def query(self, items: Items, k: int = 5, threshold: float | None = None) -> list[Found]:
        """The nearest classes of each item.

        Args:
            k: how many classes; all, where there are not as many.
            threshold: similarity below which a query is rejected; that of the registry where None.

        Raises:
            UsageError: no class is registered, k below 1, a threshold outside of [-1, 1].
        """
        if k < 1:
            raise UsageError(f"k {k}: at least one class is shown")
        least = self.threshold if threshold is None else _similarity(threshold)
        if isinstance(items, np.ndarray | str) or not len(items):
            return self._nearest(embed(items, self._encoder, "query"), k, least)
        found = [Found(None, ())] * len(items)
        if asked := [at for at, item in enumerate(items) if not is_blank(item)]:
            vectors = embed([items[at] for at in asked], self._encoder, "query")
            for at, each in zip(asked, self._nearest(vectors, k, least), strict=True):
                found[at] = each
        return found

    def _nearest(self, vectors: Vectors, k: int, least: float | None) -> list[Found]:
        """What is found for vectors (n, d); nothing for one that is zero."""
        found = [Found(None, ())] * shape_of(vectors)[0]
        with self._loading:
            self.load()
            if not self._names:
                raise UsageError(f"{self.path} holds no class. Add one with: fewshot registry add {self.path}")
            _require_same(Space.of(vectors), self._space)
            read = np.flatnonzero(squared_lengths(vectors) > 0)
            nearest = self._index.nearest(vectors[read], min(k, len(self._names)))
            for at, (places, similarities) in zip(read, nearest, strict=True):
                matches = tuple(
                    Match(self._names[place], min(1.0, max(-1.0, similarity)))
                    for place, similarity in zip(places.tolist(), similarities.tolist(), strict=True)
                )
                accepted = least is None or matches[0].similarity >= least
                found[at] = Found(matches[0].name if accepted else None, matches)
        return found

    def tune(self, items: Items, labels: Sequence[str | None]) -> Tuned:
        """The threshold that best tells items of registered classes from others. It is not set.

        Args:
            labels: the class of each item; None, or a name that is not registered, where it is of no class here.

        Raises:
            UsageError: no class is registered, or no items of either kind.
        """
        nearest = [found.nearest for found in self.query(items, k=1)]
        registered = {key_of(name) for name in self._names.values()}
        keys = [None if label is None else key_of(label) for label in labels]
        right = [
            key_of(matches[0].name) == key if key in registered else None
            for matches, key in zip(nearest, keys, strict=True)
            if matches
        ]
        return tuned([matches[0].similarity for matches in nearest if matches], right)

    def set_threshold(self, threshold: float | None) -> None:
        """The similarity below which a query is rejected from now on if it names no other; None rejects nothing.

        Raises:
            UsageError: it is outside of [-1, 1].
        """
        with self._file.writing() as change:
            change.set_fact("threshold", None if threshold is None else repr(_similarity(threshold)))

    def load(self) -> int:
        """Read into memory what has changed, as a query does. Returns the number of classes."""
        with self._loading:
            revision = self._revision
            for newest, rows in self._file.changes_since(self._revision):
                places = np.array([row.id - 1 for row in rows])
                live = np.array([bool(row.vector) for row in rows])
                kept = [row.vector for row in rows if row.vector]
                if kept:
                    self._index.put(places[live], self._space.read(kept))
                self._index.drop(places[~live])
                for row in rows:
                    self._names.pop(row.id - 1, None)
                self._names.update((row.id - 1, row.name) for row in rows if row.vector)
                revision = max(revision, newest)
            self._revision = revision
            return len(self._names)

    def classes(self) -> list[Class]:
        """All classes, the oldest first."""
        return [Class(*row) for row in self._file.classes()]

    def history(self, name: str | None = None) -> list[Event]:
        """What was done to a class, or to all, in order.

        Raises:
            UsageError: there never was such a class.
        """
        found = [Event(*row) for row in self._file.history(None if name is None else key_of(name))]
        if name is not None and not found:
            raise unknown_name("class", name, {event.name for event in self.history()})
        return found

    @property
    def encoder(self) -> str:
        """The spec of the encoder; its name where it was given as an object."""
        facts = self._file.facts()
        return str(facts["encoder"] or facts["encoder_name"])

    @property
    def threshold(self) -> float | None:
        """Similarity below which a query is rejected if it names no other; None rejects nothing."""
        noted = self._file.facts()["threshold"]
        return None if noted is None else float(noted)

    @property
    def modality(self) -> str:
        """What the encoder reads: "text", "image" or "series"."""
        return modality_of(self._encoder())

    @property
    def _space(self) -> Space:
        """That of the stored vectors; there are some."""
        return Space.parse(str(self._file.facts()["space"]))

    def _encoder(self) -> Encoder:
        """The encoder.

        Raises:
            UsageError: it is not the one that the registry was made with, or cannot be known.
        """
        if self._checked is not None:
            return self._checked
        facts = self._file.facts()
        noted, made_by = facts["encoder"], str(facts["fingerprint"])
        if self._given is None and noted is None:
            raise UsageError(
                f"{self.path} was made with an encoder of somebody's own, {facts['encoder_name']}: give it to "
                "PrototypeRegistry.open(path, encoder=...) in Python"
            )
        encoder = self._given or self._build(str(noted))
        if encoder.fingerprint != made_by:
            raise UsageError(
                f"{self.path} was made with encoder {self.encoder} ({made_by[:12]}), and {encoder.name} is another one "
                f"here ({encoder.fingerprint[:12]}): their vectors cannot be compared. Nothing was changed. Use the "
                "encoder as it was, or make another registry and add the items to it"
            )
        self._checked = encoder
        return encoder

    def _settled(self, change: Transaction, vectors: Vectors) -> Space:
        """The space of the registry, which the first vectors decide."""
        space, noted = Space.of(vectors), change.fact("space")
        if noted is None:
            change.set_fact("space", str(space))
        else:
            _require_same(space, Space.parse(noted))
        return space


def _registered(change: Transaction, name: str, *, whole: bool = True) -> Stored:
    """The class of this name, whose vector is sound if it must be `whole`.

    Raises:
        UsageError: there is none; the nearest names are told.
    """
    found = change.find(key_of(name), whole=whole)
    if found is None:
        raise unknown_name("class", name, change.names())
    return found


def _require_same(space: Space, stored: Space) -> None:
    if space != stored:
        raise UsageError(f"the vectors are {space}-dimensional, and those of the registry {stored}-dimensional")


def _similarity(threshold: float) -> float:
    """A threshold that a similarity can reach.

    Raises:
        UsageError: it is outside of [-1, 1].
    """
    if not -1 <= threshold <= 1:
        raise UsageError(f"threshold {threshold:g}: similarities are cosines, from -1 to 1")
    return float(threshold)


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(map(repr, shown[:_SHOWN])) + more
