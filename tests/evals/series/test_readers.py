"""Files of time series: what is read, and what is refused with its line."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from evals.series import holds_series, read_series
from evals.series.waves import CLASSES, wave
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.series import Series

HEADER = "# made here\n@problemName Waves\n@timeStamps false\n@univariate false\n@dimensions 2\n"
EQUAL = HEADER + "@equalLength true\n@seriesLength 3\n@classLabel true up down\n@data\n"
UNEQUAL = HEADER + "@equalLength false\n@classLabel true up down\n@data\n"
STAMPED = "@timeStamps true\n@univariate true\n@classLabel true up down\n@data\n"
RELATIONAL = (
    "@relation Waves\n@attribute waves relational\n  @attribute att0 numeric\n  @attribute att1 numeric\n"
    "  @attribute att2 numeric\n"
    "@end waves\n@attribute activity {up,'down'}\n@data\n"
)
FLAT = "%made here\n@RELATION Waves\n@ATTRIBUTE att0 NUMERIC\n@ATTRIBUTE att1 REAL\n@ATTRIBUTE target {1,2}\n@DATA\n"
NAN = float("nan")
FIRST, HOLED = [[1, 2, 3], [4, 5, 6]], [[1, 2, NAN], [4, 5, 6]]

Rows = list[tuple[list[list[float]], str]]


def read(folder: Path, name: str, content: str | bytes) -> Rows:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(row.values["text"].values.tolist(), row.values["label"]) for row in read_series(path)["all"]]


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **{name: np.asarray(array) for name, array in arrays.items()})
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.ts", EQUAL + "1,2,3:4,5,6:up\n\n7,8,9:0,0,1e3:down", [(FIRST, "up"), ([[7, 8, 9], [0, 0, 1000]], "down")]),
        ("a.ts", UNEQUAL + "1,2,3:4,?:up", [([[1, 2, 3], [4, NAN, NAN]], "up")]),
        ("a.ts", STAMPED + "(0,1.5),(1,NaN),(9,2):up", [([[1.5, NAN, 2]], "up")]),
        ("a.ts", STAMPED + "(2020-01-01 00:00:00,4),(2020-01-01 01:30:00,5):down", [([[4, 5]], "down")]),
        ("a.TS", "\ufeff" + UNEQUAL + "1: 2 :up", [([[1], [2]], "up")]),
        ("a.arff", RELATIONAL + "\"1,2,3\\n4,5,6\",up\n'1,2,?\\n4,5,6','down'", [(FIRST, "up"), (HOLED, "down")]),
        ("a.arff", FLAT + "1.5, ?, 2\n0,1,1", [([[1.5, NAN]], "2"), ([[0, 1]], "1")]),
        ("a.npz", npz(x=[[[1.0, NAN], [3, 4]]], y=["up"]), [([[1, NAN], [3, 4]], "up")]),
        ("a.npz", npz(x=[[1.0, 2], [3, 4]], y=[0, 1]), [([[1, 2]], "0"), ([[3, 4]], "1")]),
    ],
    ids=["ts", "unequal", "stamped", "dates", "one value", "relational", "flat", "npz", "npz of one dimension"],
)  # fmt: skip
def test_what_is_read(tmp_path: Path, name: str, content: str | bytes, expected: Rows) -> None:
    found = read(tmp_path, name, content)
    assert [label for _, label in found] == [label for _, label in expected]
    for (values, _), (wanted, _) in zip(found, expected, strict=True):
        np.testing.assert_array_equal(values, wanted)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("unpickled",))


@pytest.mark.promise(140)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ts", "1,2,3:up", r"a\.ts:1: a series before @data"),
        ("a.ts", HEADER + "@classLabel true up down\n", "no @data in it"),
        ("a.ts", HEADER + "@data\n1:2:up", "no classes: @classLabel true"),
        ("a.ts", HEADER + "@classLabel false\n@data\n1:2:3", "no classes: @classLabel true"),
        ("a.ts", UNEQUAL, "no series in it"),
        ("a.ts", "", "no @data in it"),
        ("a.ts", EQUAL + "1,2,3:up", r"a\.ts:10: 1 dimensions, and the header says 2"),
        ("a.ts", EQUAL + "1,2,3:4,5:up", r"a\.ts:10: dimension 2 has 2 values, and the header says 3"),
        ("a.ts", EQUAL + "1,2,3:4,5,6:sideways", "label 'sideways' is not among those of @classLabel: down, up"),
        ("a.ts", EQUAL + "1,2,3:4,five,6:up", "'five' is no number; write [?] for a missing value"),
        ("a.ts", EQUAL + "1,2,3:4,,6:up", "'' is no number"),
        ("a.ts", UNEQUAL + "1,2,3::up", "'' is no number"),
        ("a.ts", EQUAL + "1,2,3:4,inf,6:up", r"a\.ts:10: a value of the series is infinite"),
        ("a.ts", EQUAL + "?,?,?:?,?,?:up", r"a\.ts:10: all values of the series are missing"),
        ("a.ts", EQUAL + "1,2,3:4,5,6:", "a series is its dimensions and its label"),
        ("a.ts", UNEQUAL + "(0,1),(1,2):(0,3):up", "the header does not say @timeStamps true"),
        ("a.ts", "@univariate true\n@dimensions 2\n@classLabel true up\n@data\n1:up", "one of them is wrong"),
        ("a.ts", "@dimensions two\n@classLabel true up\n@data\n1:up", "@dimensions is 'two' in the header"),
        ("a.ts", "@equalLength maybe\n@classLabel true up\n@data\n1:up", "@equallength is 'maybe'"),
        ("a.ts", "@classLabel true up\n@data\n1:2:up\n1:up", r"a\.ts:4: 1 dimensions, where the first series has 2"),
        ("a.ts", b"\x00\xff\xfe video", "not a file of text in UTF-8"),
        ("a.arff", RELATIONAL + '"1,2,3\\n4",up', "a dimension has 1 values, and the header says 3"),
        ("a.arff", RELATIONAL + "1,2,up", "stands in quotes"),
        ("a.arff", FLAT + "1,2,3", "label '3' is not among those of the header: 1, 2"),
        ("a.arff", FLAT + "1,2", "1 values, and the header says 2"),
        ("a.arff", FLAT + "{0 1, 2 1}", "a sparse row"),
        ("a.arff", "@relation x\n@attribute a string\n@data\n", "neither numeric, relational nor a set"),
        ("a.arff", "@relation x\n@attribute a numeric\n@data\n1", "no classes: the last attribute is a set"),
        ("a.npz", npz(x=[[1.0, 2]], y=[0, 1]), "one label per series"),
        ("a.npz", npz(x=[[1.0, 2]]), "no labels under y"),
        ("a.npz", npz(y=[1]), "no series under x"),
        ("a.npz", npz(x=[1.0, 2], y=[0, 1]), "x is .n, dimensions, length"),
        ("a.npz", npz(x=["up"], y=[0]), "x is .n, dimensions, length"),
        ("a.npz", npz(x=np.array([_Evil()], dtype=object), y=[0]), "allow_pickle=False"),
        ("a.npz", pickle.dumps(_Evil()), "not a readable .npz file"),
        ("a.npz", b"PK\x03\x04 torn", "not a readable .npz file"),
    ],
)  # fmt: skip
def test_what_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TaskError, match=message):
        read(tmp_path, name, content)
    assert "unpickled" not in capsys.readouterr().out


def test_a_folder_has_parts(tmp_path: Path) -> None:
    (tmp_path / "Waves_TRAIN.ts").write_text(EQUAL + "1,2,3:4,5,6:up")
    (tmp_path / "Waves_TEST.ts").write_text(EQUAL + "1,2,4:4,5,6:down")
    (tmp_path / "Waves_TRAIN.arff").write_text("the same again")
    (tmp_path / "Waves.txt").write_text("what it is about")
    assert holds_series(tmp_path)
    assert {part: len(rows) for part, rows in read_series(tmp_path).items()} == {"train": 1, "test": 1}


def test_parts_of_other_dimensions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Waves_TRAIN.ts").write_text("@classLabel true up\n@data\n1:2:up")
    (tmp_path / "Waves_TEST.ts").write_text("@classLabel true up\n@data\n1:up")
    with pytest.raises(TaskError, match=r"different numbers of dimensions: 1 in Waves_TEST\.ts and 2 in Waves_TRAIN"):
        read_series(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.npz", npz(x=[[1.0, 2]], y=[0]), True),
        ("a.npz", npz(x=np.zeros((2, 4, 4), np.uint8), y=[0, 1]), False),
        ("a.npz", npz(images=np.zeros((2, 4, 4))), False),
        ("a.npz", b"no archive", False),
        ("a.arff", b"", True),
        ("a.csv", b"text,label", False),
    ],
)
def test_arrays_of_floats_are_series_and_those_of_bytes_are_images(
    tmp_path: Path, name: str, content: bytes, expected: bool
) -> None:
    (tmp_path / name).write_bytes(content)
    assert holds_series(tmp_path / name) == expected


class TestSeries:
    def test_a_name_follows_the_values(self) -> None:
        first, again, other = Series.of([[1, NAN]]), Series.of([1, NAN]), Series.of([[1], [NAN]])
        assert first == again != other
        assert copy.deepcopy(first).values.shape == (1, 2)
        with pytest.raises(ValueError, match="read-only"):
            first.values[0, 0] = 2

    @pytest.mark.parametrize("values", [[], [[]], [[[1.0]]], 1.0, [1e300], [NAN]])
    def test_what_is_no_series_is_refused(self, values: object) -> None:
        with pytest.raises(UsageError):
            Series.of(values)

    def test_waves_are_the_same_again_and_differ_in_all_else(self) -> None:
        assert len(CLASSES) == 24
        assert wave(CLASSES[0], 3) == wave(CLASSES[0], 3)
        assert len({wave(name, at) for name in CLASSES for at in (0, 1)}) == 48
        assert len({wave(name, 0).values.shape[1] for name in CLASSES}) > 5
