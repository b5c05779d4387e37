from __future__ import annotations

from pathlib import Path

import pytest

from fewshot.core.errors import UsageError
from fewshot.core.paths import safe_name, write_atomically


@pytest.mark.promise(34)
@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "a..b",
        "CON",
        "nul\0",
        "x" * 65,
        "аdmin",
        "a\n",
        ".x",
        "-rf",
    ],
    ids=repr,
)
def test_names_that_could_leave_their_folder_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not usable"):
        safe_name(name, "task name")


@pytest.mark.parametrize("name", ["a", "sentiment-ko", "0", "my_task.v2", "x" * 64])
def test_plain_names_are_taken(name: str) -> None:
    assert safe_name(name, "task name") == name


@pytest.mark.promise(17)
def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "result.json"
    write_atomically(target, "old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(Exception, match="No space left"):
        write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
