"""One writer per folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fewshot.core.errors import UsageError
from fewshot.core.locks import FolderLock

_WORDS = {"doing": "written", "advice": "wait"}


@pytest.mark.promise(76)
@pytest.mark.parametrize("keep", [False, True])
def test_the_second_is_told_who_owns_the_folder(tmp_path: Path, keep: bool) -> None:
    folder = tmp_path / "new" / "folder"
    with FolderLock(folder, "lock", **_WORDS, keep=keep):
        for _ in range(2):
            with pytest.raises(UsageError, match=f"folder is being written by process {os.getpid()}; wait"):
                FolderLock(folder, "lock", **_WORDS, keep=keep)
    assert (folder / "lock").exists() == keep
    FolderLock(folder, "lock", **_WORDS).release()


def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from fewshot.core.locks import FolderLock; "
        "lock = FolderLock(Path(sys.argv[1]), 'lock', doing='', advice=''); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 9
    assert (tmp_path / "lock").exists()
    FolderLock(tmp_path, "lock", **_WORDS).release()
