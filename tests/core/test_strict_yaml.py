from __future__ import annotations

import pytest

from fewshot.core.errors import TaskError
from fewshot.core.strict_yaml import parse_yaml


@pytest.mark.promise(26)
@pytest.mark.parametrize("word", ["yes", "no", "on", "012", "NA", "null", "~", "2024-01-01", "1e3", "0x10", "true"])
def test_scalars_stay_what_was_written(word: str) -> None:
    assert parse_yaml(f"labels: [{word}]\n", "card").data == {"labels": [word]}


ERRORS = {
    "duplicate key": ("a: 1\nb: 2\na: 3\n", "card:3: the key 'a' is given twice"),
    "duplicate key below": ("a:\n  b: 1\n  b: 2\n", "card:3"),
    "anchor": ("a: &x [1]\nb: *x\n", "card:1: anchors"),
    "billion laughs": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "anchors"),
    "python tag": ("a: !!python/object:os.system x\n", "card:1: tags"),
    "syntax": ("a: [1\nb: 2\n", "not valid YAML"),
    "a list as key": ("? [a, b]\n: 1\n", "card:1: a key must be plain text"),
}


@pytest.mark.promise(25)
@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(TaskError) as caught:
        parse_yaml(text, "card")
    assert message in str(caught.value)


def test_lines_are_known() -> None:
    document = parse_yaml("a: 1\nb:\n  c:\n    - x\n    - y\n", "card")
    assert document.where(("b", "c", 1)) == "card:5"
    assert document.where(("b", "nothing")) == "card:2"
