"""Which columns hold texts and labels: named, plain, or the only ones that look like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.recommend.columns import Columns, find_columns
from fewshot.core.errors import TaskError, UsageError

SENTENCES = [f"a sentence about thing {at}" for at in range(8)]


def table(folder: Path, columns: dict[str, list[str]]) -> Path:
    path = folder / "mine.csv"
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("columns", "named", "expected"),
    [
        ({"text": SENTENCES, "label": list("aabbaabb")}, {}, Columns("text", "label")),
        ({"label": list("aabbaabb"), "문장": SENTENCES}, {}, Columns("문장", "label", guessed=True)),
        ({"id": list("12345678"), "said": SENTENCES, "topic": list("aabbaabb")}, {}, Columns("said", "topic", True)),
        ({"q": SENTENCES, "x": list("aabbaabb"), "y": list("ababbaba")}, {"label": "y"}, Columns("q", "y", True)),
        ({"q": SENTENCES, "x": list("aabbaabb")}, {"text": "q", "label": "x"}, Columns("q", "x")),
        ({"label": SENTENCES, "text": list("aabbaabb")}, {"text": "label", "label": "text"}, Columns("label", "text")),
    ],
    ids=["plain", "one guessed", "id is neither", "label named", "both named", "crossed on purpose"],
)
def test_columns_are_found(tmp_path: Path, columns: dict, named: dict, expected: Columns) -> None:
    assert find_columns(table(tmp_path, columns), **named) == expected


@pytest.mark.parametrize(
    ("columns", "named", "error", "message"),
    [
        ({"q": SENTENCES, "x": list("aabbaabb"), "y": list("abababab")}, {}, TaskError, "could be x or y"),
        ({"q": SENTENCES, "r": SENTENCES[::-1], "label": list("aabbaabb")}, {}, TaskError, "could be q or r"),
        ({"q": list("abcdefgh"), "label": list("aabbaabb")}, {}, TaskError, "The columns are q, label"),
        ({"text": SENTENCES, "x": list("abcdefgh")}, {}, TaskError, "label column cannot be told"),
        ({"text": SENTENCES, "x": list("aaaaaaaa")}, {}, TaskError, "label column cannot be told"),
        ({"text": SENTENCES, "label": list("aabbaabb")}, {"text": "txt"}, UsageError, "Did you mean 'text'"),
    ],
    ids=["two labels", "two texts", "no texts", "distinct labels", "one class", "misspelt"],
)
def test_what_cannot_be_told_is_asked_for(
    tmp_path: Path, columns: dict, named: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        find_columns(table(tmp_path, columns), **named)
