"""Pickled data without pickle's powers: dicts, lists, text, bytes, numbers and arrays of numbers, and nothing else.

An unpickler calls what a file names. Here a file can name a few stand-ins only, which take numbers and bytes and never
NumPy's own loaders; everything else is refused before it is called.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fewshot.core.errors import TaskError

#: Numbers and bytes; no objects, no records.
_KINDS = "biufS"
_TOO_DEEP = 50


def load_plain(path: Path) -> Any:
    """What a pickle file of plain data holds; strings of Python 2 as text.

    Raises:
        TaskError: it names anything else, is damaged, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _plain(_Unpickler(file, encoding="latin1").load())
    except _Refused as error:
        raise TaskError(
            f"{path}: refused: the pickle names {error}, and pickles here may hold arrays, dicts, lists, text and "
            "bytes only; save the arrays as .npz: numpy.savez(FILE, images=..., labels=...)"
        ) from error
    except Exception as error:  # a damaged pickle fails in as many ways as there are opcodes
        why = "it is larger than the memory" if isinstance(error, MemoryError) else str(error) or type(error).__name__
        raise TaskError(f"{path}: not a readable pickle: {why}") from error


class _Refused(pickle.UnpicklingError):
    """The name of what a pickle wanted to call."""


class _DType:
    """Stands in for `numpy.dtype`."""

    def __init__(self, code: str | bytes, *_: Any) -> None:
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if code[:1] not in _KINDS or not code[1:].isdigit():
            raise _Refused(f"numpy.dtype({code!r})")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order: Any = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for `numpy.ndarray`."""

    array = np.zeros(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *_, shape, dtype, fortran, raw = state
        self.array = _shaped(raw, dtype, shape, "F" if fortran else "C")


def _shaped(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _DType):
        raise _Refused("an array of objects")
    raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
    return np.frombuffer(raw, dtype.dtype).reshape(tuple(shape), order="F" if order == "F" else "C")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    found = _Array()
    found.array = _shaped(raw, dtype, shape, order)
    return found


def _scalar(dtype: Any, raw: Any) -> Any:
    return _shaped(raw, dtype, (), "C").item()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How protocol 2 writes bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"_codecs.encode(..., {encoding!r})")
    return text.encode("latin1")


class _Type:
    """Stands in for `numpy.ndarray` where it is only named."""


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _Type,
    ("numpy", "dtype"): _DType,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _frombuffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        found = _ALLOWED.get((module_name, global_name))
        if found is None:
            raise _Refused(f"{module_name}.{global_name}")
        return found


def _plain(value: Any, known: dict[int, Any] | None = None, depth: int = 0) -> Any:
    """The value with arrays in the place of their stand-ins.

    Args:
        known: what was made of each container, since a small file can name one of them very often.
    """
    known = {} if known is None else known
    if isinstance(value, _Array):
        return value.array
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return value
    if not isinstance(value, dict | list | tuple):
        raise _Refused(type(value).__name__)
    if depth > _TOO_DEEP:
        raise ValueError("nested too deeply")
    if id(value) not in known:
        known[id(value)] = (
            {_plain(key, known, depth + 1): _plain(each, known, depth + 1) for key, each in value.items()}
            if isinstance(value, dict)
            else [_plain(each, known, depth + 1) for each in value]
        )
    return known[id(value)]
