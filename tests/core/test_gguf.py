from __future__ import annotations

from pathlib import Path

import pytest

from fewshot.core.errors import ModelUnavailable, StorageError
from fewshot.core.gguf import converted


@pytest.mark.parametrize("content", [b"", b"\x00" * 2000, b"GGUF"], ids=["empty", "foreign", "cut off"])
def test_a_broken_file_is_one_clear_error(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"broken\.gguf cannot be read as a GGUF model"):
        converted(broken)


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors = pytest.importorskip("safetensors")
    pytest.importorskip("transformers")

    class Large:
        def save_pretrained(self, folder: Path) -> None:
            raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("fewshot.core.gguf.load_tokenizer", lambda *_, **__: None)
    monkeypatch.setattr("fewshot.core.gguf.load_language_model", lambda *_, **__: Large())
    (tmp_path / "x.gguf").write_bytes(b"x")
    with pytest.raises(StorageError, match=r"No space left on device.*Make room.*FEWSHOT_CACHE"):
        converted(tmp_path / "x.gguf")
    assert not [path for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()]
