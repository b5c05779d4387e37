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


@pytest.mark.promise(47)
@pytest.mark.parametrize("code", ["1 / 0", "import no_such_module_anywhere", "this is no Python", ""])
def test_a_plugin_that_does_not_load_is_named_and_hinders_no_other(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_plugin.py").write_text(code)
    (tmp_path / "broken_plugin-1.dist-info").mkdir()
    (tmp_path / "broken_plugin-1.dist-info" / "entry_points.txt").write_text("[fewshot.things]\nx = broken_plugin:X\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(THINGS.entries()) == ["counter", "fraction", "absent", "x"]
    assert THINGS.build("fraction:3") == 3
    with pytest.raises(UsageError, match="the plugin behind thing 'x' does not load"):
        THINGS.build("x")
    sys.modules.pop("broken_plugin", None)


@pytest.mark.promise(47)
def test_a_users_file_that_does_not_load_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("1 / 0")
    with pytest.raises(UsageError, match=r"mine\.py does not load: ZeroDivisionError"):
        THINGS.build(f"{tmp_path / 'mine.py'}:Mine")


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
