from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot.core.catalog import FAMILIES
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.registry import Entry, Registry
from fewshot.core.spec import parse_spec

THINGS = Registry(
    "thing",
    [
        Entry("counter", "collections:Counter", "counts"),
        Entry("fraction", "fractions:Fraction", "a number", positional="numerator"),
        Entry("absent", "no_such_module_anywhere:X", "needs an extra", extra="local"),
    ],
)


def test_builds_by_name_with_parameters() -> None:
    assert THINGS.build("fraction:3,denominator=4") == 3 / 4


def test_context_is_passed_only_where_it_is_taken_and_the_spec_wins() -> None:
    assert THINGS.build("fraction:numerator=1", denominator=2, device="cpu") == 1 / 2
    assert THINGS.build("fraction:numerator=1,denominator=4", denominator=2) == 1 / 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("countr", "counter"),
        ("fraction:nominator=1", "numerator"),
        ("counter:5", "bare value"),
    ],
)
def test_errors_name_the_way_out(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        THINGS.build(spec)


@pytest.mark.promise(39)
def test_missing_extra_names_the_command() -> None:
    with pytest.raises(MissingExtra, match=r'pip install "fewshot\[local\]"'):
        THINGS.build("absent")


def test_a_class_in_a_users_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("class Mine:\n    def __init__(self, alpha=1):\n        self.alpha = alpha\n")
    assert THINGS.build(f"{file}:Mine:alpha=2").alpha == 2
    with pytest.raises(UsageError, match="defines no 'Other'"):
        THINGS.build(f"{file}:Other")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_built_in_exists(family: str) -> None:
    for entry in FAMILIES[family].entries().values():
        module, _, attribute = entry.target.partition(":")
        assert hasattr(importlib.import_module(module), attribute), entry.target


def test_listing_imports_no_heavy_package() -> None:
    code = (
        "import sys; from fewshot.core.catalog import FAMILIES; [f.entries() for f in FAMILIES.values()];"
        "assert not {'torch', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_spec_object_builds_like_its_text() -> None:
    assert THINGS.build(parse_spec("fraction:3")) == 3


@pytest.mark.parametrize("path", ["./folder", "folder/model.gguf", "model.gguf", "~/models/mine", "Qwen/Qwen3-0.6B"])
def test_a_bare_path_names_the_entry_that_takes_paths(path: str) -> None:
    family = Registry("thing", [Entry("any", "pathlib:PurePosixPath", "a path", positional="args")], paths="any")
    assert family.check(f"{path}:key=value").name == "any"
    with pytest.raises(UsageError, match="unknown thing"):
        THINGS.check(path)
