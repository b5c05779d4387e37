from __future__ import annotations

from pathlib import Path

import pytest

from fewshot.core.errors import StorageError, UsageError
from fewshot.core.paths import opened_atomically, safe_name, write_atomically


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


@pytest.mark.parametrize("name", ["a", "sentiment-ko", "0", "my_task.v2", "x" * 64, "사본", "감정-분석.v2", "感情"])
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


@pytest.mark.promise(17)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, OSError(28, "No space left on device")])
def test_an_interrupted_stream_leaves_the_old_file(tmp_path: Path, error: type[BaseException] | BaseException) -> None:
    target = tmp_path / "labels.jsonl"
    target.write_text("old")
    with pytest.raises((KeyboardInterrupt, SystemExit, MemoryError, StorageError)), opened_atomically(target) as file:
        file.write(b"half")
        file.flush()
        raise error
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_of_whoever_fills_the_file_is_not_one_of_writing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), opened_atomically(tmp_path / "labels.jsonl"):
        (tmp_path / "other").read_text()


def test_links_stay_links_and_permissions_stay_as_they_are(tmp_path: Path) -> None:
    target, link = tmp_path / "labels.jsonl", tmp_path / "link.jsonl"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target.name)
    with opened_atomically(link) as file:
        file.write(b"new")
    assert (link.is_symlink(), target.read_text(), target.stat().st_mode & 0o777) == (True, "new", 0o640)


@pytest.mark.parametrize("name", ["감상문" * 27 + ".jsonl", "x" * 255, ".hidden"], ids=["korean", "longest", "hidden"])
def test_any_name_that_a_file_can_have_can_be_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, "new")
    assert (tmp_path / name).read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_device_is_written_to_and_stays_one() -> None:
    with opened_atomically(Path("/dev/null")) as file:
        file.write(b"gone")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("path", [".", "file/labels.jsonl", "x" * 256], ids=["folder", "below-a-file", "too-long"])
def test_a_path_that_cannot_be_written_is_one_error(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"), opened_atomically(tmp_path / path):
        pass
