r"""The .arff files of the UEA and UCR archive (Weka).

    @relation Waves
    @attribute waves relational         of several dimensions; a series of one has an attribute per value instead
      @attribute att0 numeric
    @end waves
    @attribute class {up,down}
    @data
    "1,2,3\n4,5,?",up                   dimensions between \n

The class is the last attribute. Sparse rows and other kinds of attribute are refused.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evals.series.rows import as_rows, filled, lines_of, number
from evals.sources import Row
from fewshot.core.errors import TaskError


def read_arff(path: Path) -> list[Row]:
    """The series of an .arff file.

    Raises:
        TaskError: no header, no class attribute, or a series that is not as declared, with its line.
    """
    lines = lines_of(path)
    relational, attributes, labels = _header(lines, path)
    read = _relational if relational else _flat

    def series() -> Iterator[tuple[int, np.ndarray, str]]:
        for at, line in lines:
            where = f"{path}:{at}"
            if line.startswith("{"):
                raise TaskError(f"{where}: a sparse row; save the file with all values written out")
            values, label = read(line, attributes, where)
            if label not in labels:
                raise TaskError(f"{where}: label {label!r} is not among those of the header: {', '.join(labels)}")
            yield at, values, label

    return as_rows(series(), path)


def _header(lines: Iterator[tuple[int, str]], path: Path) -> tuple[bool, int, list[str]]:
    """Whether a series is one relational attribute, how many values a dimension has, and the labels."""
    relational, attributes, last = False, 0, ""
    for at, line in lines:
        word, _, rest = line.partition(" ")
        word = word.lower()
        if word == "@data":
            return relational, attributes, _labels(last, path)
        if not word.startswith("@"):
            raise TaskError(f"{path}:{at}: a series before @data; an .arff file begins with @relation, ..., @data")
        if word != "@attribute":
            continue
        kind = rest.rstrip().lower()
        if kind.endswith("relational"):
            relational = True
        elif kind.endswith(("numeric", "real", "integer")):
            attributes += 1
        elif not kind.endswith("}"):
            raise TaskError(f"{path}:{at}: attribute {rest[:60]!r} is neither numeric, relational nor a set of classes")
        last = rest
    raise TaskError(f"{path}: no @data in it; an .arff file is a header that ends in @data, and a series per line")


def _labels(attribute: str, path: Path) -> list[str]:
    if not attribute.rstrip().endswith("}") or "{" not in attribute:
        raise TaskError(f"{path}: no classes: the last attribute is a set of them, as in @attribute class {{up,down}}")
    inside = attribute.rstrip()[attribute.index("{") + 1 : -1]
    return [_bare(label) for label in inside.split(",")]


def _bare(text: str) -> str:
    return text.strip().strip("'\"")


def _relational(line: str, attributes: int, where: str) -> tuple[np.ndarray, str]:
    quote = line[0]
    series, closed, label = line[1:].rpartition(f"{quote},")
    if quote not in "'\"" or not closed:
        raise TaskError(f"{where}: a series of several dimensions stands in quotes, with its label behind them")
    dimensions = [[number(value, where) for value in part.split(",")] for part in series.split("\\n")]
    if wrong := next((each for each in dimensions if len(each) != attributes), None):
        raise TaskError(f"{where}: a dimension has {len(wrong)} values, and the header says {attributes}")
    return filled(dimensions), _bare(label)


def _flat(line: str, attributes: int, where: str) -> tuple[np.ndarray, str]:
    *values, label = next(csv.reader([line], quotechar="'", skipinitialspace=True))
    if len(values) != attributes:
        raise TaskError(f"{where}: {len(values)} values, and the header says {attributes}")
    return np.array([[number(value, where) for value in values]]), _bare(label)
