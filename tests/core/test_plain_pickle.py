"""Pickles that hold plain data are read; those that would do anything are refused before they do."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewshot.core.errors import TaskError
from fewshot.core.plain_pickle import load_plain

ROWS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
PLAIN: dict[str, Any] = {
    "a dict": {"a": [1, 2.5, None, True], "b": "text", "c": b"bytes"},
    "an ordered dict": collections.OrderedDict(a=1),
    "an array": ROWS,
    "a transposed array": ROWS.T,
    "floats of the other byte order": ROWS.astype(">f8"),
    "a number of an array": {"x": ROWS[0, 0, 1], "y": np.float64(2.5)},
    "bytes in an array": np.array([b"a", b"bc"]),
    "miniImageNet": {"image_data": ROWS, "class_dict": {"n01": [0], "n02": [1]}},
}


def same(found: Any, meant: Any) -> bool:
    if isinstance(meant, dict):
        return found.keys() == meant.keys() and all(same(found[key], meant[key]) for key in meant)
    return bool(np.array_equal(np.asarray(found), np.asarray(meant)))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_plain_data_is_read(value: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    assert same(load_plain(path), value)


def test_arrays_of_python_2_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n"
        b"(S'u1'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'\\x07\\xff'\ntb."
    )
    assert load_plain(path).tolist() == [7, 255]


class _Calls:
    """Something that, unpickled, would call a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


HOSTILE: dict[str, Any] = {
    "a command": _Calls(os.system, "touch done"),
    "python": _Calls(eval, "open('done', 'w')"),
    "an import": _Calls(__import__, "os"),
    "a file": _Calls(open, "done", "w"),
    "deep inside": {"data": [1, {"labels": (_Calls(os.mkdir, "done"),)}]},
    "as a key": {_Calls(os.mkdir, "done"): 1},
    "an attribute of what is allowed": _Calls(getattr, np.ndarray, "tofile"),
    "numpy's own loader": _Calls(np.load, "done"),
    "an array of objects": np.array([_Calls(os.mkdir, "done")], dtype=object),
    "an array of anything": np.array([1, "a", None], dtype=object),
    "records": np.zeros(2, dtype=[("a", "i4")]),
    "a codec": _Calls(__import__("_codecs").encode, "x", "rot13"),
    "a set": {1, 2},
    "a class": Path("x"),
}


@pytest.mark.promise(143)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_anything_else_is_refused_in_one_line_and_not_done(
    value: Any, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    with pytest.raises(TaskError, match=r"x\.pkl: refused: the pickle names .*numpy\.savez") as caught:
        load_plain(path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def _lists_of_lists() -> bytes:
    """A few hundred bytes that are 2 ** 60 items where each is looked at."""
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return pickle.dumps(value)


def _itself() -> bytes:
    value: list[Any] = []
    value.append(value)
    return pickle.dumps(value)


DAMAGED = {
    "empty": b"",
    "no pickle": b"hello world",
    "cut short": pickle.dumps(ROWS)[:-20],
    "too few bytes for its shape": pickle.dumps(ROWS).replace(b"K\x02K\x03K\x04", b"K\x02K\x03K\x05"),
    "a list in itself": _itself(),
    "lists of lists": _lists_of_lists(),
    "a length beyond the memory": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "a memo beyond the memory": b"\x80\x04]r\xff\xff\xff\xff.",
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_pickle_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(TaskError, match="not a readable pickle") as caught:
        load_plain(path)
    assert "\n" not in str(caught.value)
