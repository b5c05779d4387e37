from __future__ import annotations

from pathlib import Path

import pytest

from fewshot.core.errors import ModelUnavailable
from fewshot.core.gguf import converted


@pytest.mark.parametrize("content", [b"", b"\x00" * 2000, b"GGUF"], ids=["empty", "foreign", "cut off"])
def test_a_broken_file_is_one_clear_error(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"broken\.gguf cannot be read as a GGUF model"):
        converted(broken)
