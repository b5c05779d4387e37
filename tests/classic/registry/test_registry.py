"""A registry of prototypes: its verbs, what it refuses, and that nothing is lost or half done."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classic.registry import PrototypeRegistry, storage
from classic.registry.threshold import tuned
from fewshot.core.errors import NotTrusted, StorageError, UsageError
from fewshot.encoders import Lexical

REFUNDS = ["환불해 주세요", "돈을 돌려받고 싶어요", "결제를 취소하고 환불 받을래요"]
DELIVERY = ["배송이 언제 오나요", "택배가 안 와요", "배송 조회하고 싶어요"]


class Letters:
    """A dense encoder: how often a, b and c occur in a text, and an amount that tells versions apart."""

    name = "letters"
    expensive = False

    def __init__(self, version: int = 1) -> None:
        self.fingerprint = f"letters-{version}"

    def fit(self, texts: Sequence[str]) -> Letters:
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.count(letter) for letter in "abc"] for text in texts], dtype=np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)

    def describe(self) -> dict[str, Any]:
        return {"name": self.name}


@pytest.fixture
def letters(tmp_path: Path) -> Iterator[PrototypeRegistry]:
    with PrototypeRegistry.create(tmp_path / "letters.sqlite", Letters()) as registry:
        registry.add({"a": ["a", "aa"], "b": ["b"]})
        yield registry


def _prototype(registry: PrototypeRegistry, name: str) -> np.ndarray:
    """Of length 1, by similarities alone."""
    return np.array([dict(_nearest(registry, axis))[name] for axis in "abc"])


def _nearest(registry: PrototypeRegistry, text: str) -> list[tuple[str, float]]:
    (found,) = registry.query([text], k=100)
    return [(match.name, match.similarity) for match in found.nearest]


def _unit(*values: float) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


@pytest.mark.parametrize("encoder", ["lexical", Lexical(words=False)], ids=["spec", "object"])
def test_classes_are_found_by_what_they_were_made_of(tmp_path: Path, encoder: Any) -> None:
    given = None if isinstance(encoder, str) else encoder
    with PrototypeRegistry.create(tmp_path / "r", encoder) as registry:
        registry.add({"환불": REFUNDS, "배송": DELIVERY})
    with PrototypeRegistry.open(tmp_path / "r", encoder=given) as registry:
        assert [(each.name, each.items) for each in registry.classes()] == [("환불", 3), ("배송", 3)]
        found = registry.query(["환불 되나요", "택배 조회", "!?"], k=9)
        assert [each.label for each in found] == ["환불", "배송", None]
        assert [len(each.nearest) for each in found] == [2, 2, 0]


def test_the_mean_is_exact_in_whatever_order_items_come(letters: PrototypeRegistry) -> None:
    letters.update({"b": ["a", "ab"]})
    letters.update({"b": ["c"]})
    expected = _unit(*np.mean([_unit(0, 1, 0), _unit(1, 0, 0), _unit(1, 1, 0), _unit(0, 0, 1)], axis=0))
    assert _prototype(letters, "b") == pytest.approx(expected, abs=1e-6)
    letters.add({"B2": ["c", "ab", "a", "b"]})
    assert _prototype(letters, "B2") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_a_moving_average_is_one_step_however_many_items(letters: PrototypeRegistry, rate: float) -> None:
    letters.update({"b": ["c", "c", "c"]}, "ema", rate)
    assert _prototype(letters, "b") == pytest.approx(_unit(0, 1 - rate, rate), abs=1e-6)


def test_merging_weighs_classes_by_their_items(letters: PrototypeRegistry) -> None:
    letters.merge("b", "a")
    assert [(each.name, each.items) for each in letters.classes()] == [("b", 3)]
    assert _prototype(letters, "b") == pytest.approx(_unit(2, 1, 0), abs=1e-6)


def test_a_class_that_is_removed_is_found_no_more_and_can_come_back(letters: PrototypeRegistry) -> None:
    assert len(_nearest(letters, "a")) == 2
    letters.remove("a")
    assert [name for name, _ in _nearest(letters, "a")] == ["b"]
    letters.add({"a": ["abc"]})
    assert _prototype(letters, "a") == pytest.approx(_unit(1, 1, 1), abs=1e-6)


def test_history_tells_what_was_done(letters: PrototypeRegistry) -> None:
    letters.update({"a": ["ab"]}, "ema", 0.2)
    letters.add({"c": ["c"]})
    letters.merge("a", "c")
    letters.remove("a")
    told = [(event.verb, event.name, event.items, event.detail) for event in letters.history()]
    assert told == [
        ("add", "a", 2, ""),
        ("add", "b", 1, ""),
        ("update", "a", 1, "ema, rate 0.2"),
        ("add", "c", 1, ""),
        ("merge", "a", 1, "with c"),
        ("remove", "c", 1, "merged into a"),
        ("remove", "a", 4, ""),
    ]
    assert [event.verb for event in letters.history("a")] == ["add", "update", "merge", "remove"]
    assert all(event.at.endswith("+00:00") for event in letters.history())


@pytest.mark.parametrize(("threshold", "label"), [(None, "a"), (-1, "a"), (0.7, "a"), (0.72, None), (1, None)], ids=str)
def test_a_query_below_the_threshold_is_rejected_and_still_told_what_is_near(
    letters: PrototypeRegistry, threshold: float | None, label: str | None
) -> None:
    (found,) = letters.query(["ab"], threshold=threshold)
    assert found.label == label
    assert [match.name for match in found.nearest] == ["a", "b"]


def test_the_threshold_of_the_registry_holds_where_a_query_names_none(tmp_path: Path) -> None:
    with PrototypeRegistry.create(tmp_path / "r", Letters(), threshold=0.9) as registry:
        registry.add({"a": ["a"]})
        assert [registry.query(["ab"], threshold=least)[0].label for least in (None, 0.5)] == [None, "a"]


@pytest.mark.parametrize(
    ("known", "wrong", "others", "expected"),
    [
        ([0.9, 0.8], [], [0.2, 0.1], (0.5, 2, 2)),
        ([0.9, 0.8], [0.7], [0.75, 0.1], (0.775, 2, 2)),
        ([0.2, 0.1], [], [0.9, 0.8], (0.901, 0, 2)),
        ([0.9, 0.5, 0.5], [], [0.6, 0.1], (0.3, 3, 1)),
    ],
    ids=["apart", "what is taken for another class need not be accepted", "upside down", "overlapping"],
)
def test_the_threshold_that_tells_best(known: list, wrong: list, others: list, expected: tuple) -> None:
    found = tuned([*known, *wrong, *others], [True] * len(known) + [False] * len(wrong) + [None] * len(others))
    assert (found.threshold, found.right, found.rejected) == (pytest.approx(expected[0]), *expected[1:])
    assert (found.known, found.others) == (len(known) + len(wrong), len(others))


def test_vectors_are_taken_as_items_without_the_encoder(tmp_path: Path) -> None:
    with PrototypeRegistry.create(tmp_path / "r", Letters()) as registry:
        registry.add({"x": np.array([[3.0, 0, 0]]), "y": np.eye(3)[1:]})
    with PrototypeRegistry.open(tmp_path / "r") as registry:
        (found,) = registry.query(np.array([[0, 1.0, 1.0]]))
        assert (found.label, found.nearest[0].similarity) == ("y", pytest.approx(1))


NAN, ZERO = np.array([[np.nan, 1, 1]]), np.zeros((1, 3))
REFUSED: dict[str, tuple[Callable[[PrototypeRegistry], object], str]] = {
    "name taken": (lambda r: r.add({"new": ["a"], "a": ["a"]}), "registered already: 'a'"),
    "name that reads like another": (lambda r: r.add({" Ａ\u200b": ["a"]}), "registered already"),
    "two names that read alike": (lambda r: r.add({"x": ["a"], "X": ["a"]}), "read alike"),
    "empty name": (lambda r: r.add({" ": ["a"]}), "nothing of it can be seen"),
    "invisible name": (lambda r: r.add({"\u200b": ["a"]}), "nothing of it can be seen"),
    "name of two lines": (lambda r: r.add({"a\nb": ["a"]}), "line break"),
    "name that moves the cursor": (lambda r: r.add({"a\x1b[2J": ["a"]}), "control character"),
    "half a character": (lambda r: r.add({"a\ud800": ["a"]}), "half a character"),
    "long name": (lambda r: r.add({"x" * 501: ["a"]}), "longer than 500"),
    "no items": (lambda r: r.add({"x": []}), "'x': there are no items"),
    "a text for a list": (lambda r: r.add({"x": "abc"}), "not one text"),
    "nothing to read": (lambda r: r.add({"x": ["a"], "y": ["b", "!!"]}), "'y'.*item 2 .'!!'"),
    "NaN": (lambda r: r.add({"x": NAN}), "item 1 is not finite"),
    "infinity": (lambda r: r.query(np.array([[1, np.inf, 0]])), "item 1 is not finite"),
    "zero": (lambda r: r.add({"x": ZERO}), "its vector is zero"),
    "vectors that cancel out": (lambda r: r.add({"x": np.array([[1.0, 0, 0], [-1, 0, 0]])}), "cancel out"),
    "an update that cancels out": (lambda r: r.update({"b": np.array([[0, -1.0, 0]])}), "'b'.*cancel out"),
    "other dimensions": (lambda r: r.add({"x": np.ones((1, 4))}), "dense 4-dimensional.*dense 3-dimensional"),
    "query of other dimensions": (lambda r: r.query(np.ones((1, 4))), "dense 4-dimensional"),
    "vectors of integers": (lambda r: r.add({"x": np.ones((1, 3), int)}), "matrix .n, d. of floats"),
    "vectors beside texts": (lambda r: r.add({"x": np.ones((1, 3)), "y": ["a"]}), "vectors of every class"),
    "update of none": (lambda r: r.update({"a": ["a"], "refund": ["a"]}), "unknown class 'refund'"),
    "rule": (lambda r: r.update({"a": ["a"]}, "median"), "unknown rule 'median'"),  # type: ignore[arg-type]
    "rate of 0": (lambda r: r.update({"a": ["a"]}, "ema", 0), "rate 0"),
    "rate of NaN": (lambda r: r.update({"a": ["a"]}, "ema", float("nan")), "rate nan"),
    "rate above 1": (lambda r: r.update({"a": ["a"]}, "ema", 1.5), "rate 1.5"),
    "remove none": (lambda r: r.remove("a", "z"), "unknown class 'z'"),
    "merge with itself": (lambda r: r.merge("a", "A"), "each once"),
    "merge with nothing": (lambda r: r.merge("a"), "one other or more"),
    "merge with none": (lambda r: r.merge("a", "z"), "unknown class 'z'"),
    "k of 0": (lambda r: r.query(["a"], k=0), "k 0"),
    "threshold above 1": (lambda r: r.query(["a"], threshold=1.1), "threshold 1.1"),
    "threshold of NaN": (lambda r: r.query(["a"], threshold=float("nan")), "threshold nan"),
    "history of none": (lambda r: r.history("z"), "unknown class 'z'"),
    "nothing to ask": (lambda r: r.query([]), "there are no items"),
}


@pytest.mark.promise(145)
@pytest.mark.parametrize(("refused", "told"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(
    letters: PrototypeRegistry, refused: Callable[[PrototypeRegistry], object], told: str
) -> None:
    before = (letters.classes(), letters.history(), _nearest(letters, "abbc"))
    with pytest.raises(UsageError, match=told) as error:
        refused(letters)
    assert "\n" not in str(error.value)
    assert (letters.classes(), letters.history(), _nearest(letters, "abbc")) == before


def test_a_blank_text_is_nothing_even_to_an_encoder_with_a_prefix(tmp_path: Path) -> None:
    class Prefixed(Letters):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            return super().encode([f"c: {text}" for text in texts])

    with PrototypeRegistry.create(tmp_path / "r", Prefixed()) as registry:
        registry.add({"a": ["a"]})
        assert [len(found.nearest) for found in registry.query(["a", " ", "\u200b"])] == [1, 0, 0]
        with pytest.raises(UsageError, match="item 2"):
            registry.add({"b": ["b", " "]})


def test_composed_and_decomposed_hangul_are_one_name(letters: PrototypeRegistry) -> None:
    letters.add({"\u1112\u116a\u11ab\u1107\u116e\u11af": ["a"]})
    letters.update({"환불": ["a"]})
    assert letters.classes()[-1].name == "환불"


@pytest.mark.promise(145)
def test_another_encoder_is_refused_in_one_line_and_the_rest_goes_on(letters: PrototypeRegistry) -> None:
    with PrototypeRegistry.open(letters.path, encoder=Letters(2)) as changed:
        for verb in (
            changed.query,
            lambda items: changed.add({"x": items}),
            lambda items: changed.update({"a": items}),
        ):
            with pytest.raises(UsageError, match=r"letters-1.*letters-2.*cannot be compared. Nothing was changed"):
                verb(["a"])
        changed.remove("b")
        assert [each.name for each in changed.classes()] == ["a"]
    with PrototypeRegistry.open(letters.path) as unknown, pytest.raises(UsageError, match=r"encoder=\.\.\."):
        unknown.query(["a"])
    assert letters.query(["a"])[0].label == "a"


def test_an_encoder_that_would_run_a_file_is_not_built_unasked(tmp_path: Path) -> None:
    path = tmp_path / "r"
    PrototypeRegistry.create(path, "lexical").close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE facts SET value = 'mine.py:Mine' WHERE name = 'encoder'")
    with PrototypeRegistry.open(path) as registry, pytest.raises(NotTrusted, match=r"mine\.py"):
        registry.add({"a": ["a"]})


@pytest.mark.parametrize("what", ["text", "nothing", "database", "newer"])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "r"
    path.write_bytes(b"" if what == "nothing" else b"text,label\n" * 500)
    if what in ("database", "newer"):
        path.unlink()
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE classes (name)")
            if what == "newer":
                database.execute(f"PRAGMA application_id = {storage._APPLICATION}")
                database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="version 99" if what == "newer" else "no registry of prototypes"):
        PrototypeRegistry.open(path)
    with pytest.raises(UsageError, match="is there already"):
        PrototypeRegistry.create(path, Letters())
    assert path.read_bytes() == before


def test_a_damaged_vector_is_told_by_its_class(letters: PrototypeRegistry) -> None:
    with closing(sqlite3.connect(letters.path)) as database, database:
        database.execute("UPDATE classes SET vector = zeroblob(12) WHERE name = 'b'")
    with PrototypeRegistry.open(letters.path, encoder=Letters()) as registry:
        with pytest.raises(StorageError, match="vector of class 'b'"):
            registry.query(["a"])
        registry.remove("b")
        assert registry.query(["a"])[0].label == "a"


@pytest.mark.parametrize("how", ["read only", "locked"])
def test_a_file_that_cannot_be_written_is_one_line(
    letters: PrototypeRegistry, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(storage, "_PATIENCE", 0.01)
    with (
        PrototypeRegistry.open(letters.path, encoder=Letters(), read_only=how == "read only") as other,
        closing(sqlite3.connect(letters.path, isolation_level=None)) as database,
    ):
        database.execute("BEGIN IMMEDIATE" if how == "locked" else "BEGIN")
        with pytest.raises(StorageError, match="read-only" if how == "read only" else "another process"):
            other.add({"x": ["a"]})
        assert other.query(["a"])[0].label == "a", "reading goes on"
    assert [each.name for each in letters.classes()] == ["a", "b"]


_KILLED = """
import os, signal, sys
import numpy as np
from classic.registry import PrototypeRegistry
registry = PrototypeRegistry.open(sys.argv[1])
left = int(sys.argv[2])
def step(statement):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
registry._file._database.execute("PRAGMA cache_size = 1")
registry._file._database.set_trace_callback(step)
names = [f"class {at}" for at in range(300)]
registry.update({name: np.eye(64, dtype=np.float32)[1:2] for name in names}, "ema", 1.0)
"""


@pytest.mark.promise(144)
@pytest.mark.parametrize("statements", [3, 400, 901, 10_000], ids=["begun", "half", "near the end", "done"])
def test_a_writer_killed_at_any_moment_leaves_the_old_state_or_the_new(tmp_path: Path, statements: int) -> None:
    path = tmp_path / "r"
    with PrototypeRegistry.create(path, Letters()) as registry:
        registry.add({f"class {at}": np.eye(64, dtype=np.float32)[:1] for at in range(300)})
    done = subprocess.run([sys.executable, "-c", _KILLED, path, str(statements)], check=False, cwd=Path.cwd())
    assert done.returncode == (0 if statements == 10_000 else -signal.SIGKILL)
    assert path.with_name("r-journal").exists() == (statements in (400, 901)), "some of the change had been written"
    with PrototypeRegistry.open(path, read_only=True) as registry:
        (old, new) = registry.query(np.eye(64)[:2], k=300)
        assert {match.similarity for match in old.nearest} == ({0.0} if statements == 10_000 else {1.0})
        assert {match.similarity for match in new.nearest} == ({1.0} if statements == 10_000 else {0.0})
    with PrototypeRegistry.open(path) as registry:
        registry.update({"class 0": np.eye(64)[2:3]})
    assert not path.with_name("r-journal").exists()


@pytest.mark.promise(144)
def test_writers_and_readers_at_once_lose_nothing(letters: PrototypeRegistry) -> None:
    def write(name: str) -> None:
        with PrototypeRegistry.open(letters.path, encoder=Letters()) as own:
            own.add({name: ["a"]})
            for _ in range(5):
                own.update({name: ["b"], "a": ["a"]})
                assert own.query(["b"], k=9)[0].nearest

    threads = [threading.Thread(target=write, args=(f"writer {at}",)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {each.name: each.items for each in letters.classes()}
    assert counts == {"a": 22, "b": 1, **{f"writer {at}": 6 for at in range(4)}}
    assert _prototype(letters, "writer 3") == pytest.approx(_unit(1, 5, 0), abs=1e-6)


@pytest.mark.promise(144)
def test_a_registry_is_one_file(letters: PrototypeRegistry) -> None:
    assert list(letters.path.parent.iterdir()) == [letters.path]
