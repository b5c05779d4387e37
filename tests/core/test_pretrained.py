"""One door to transformers: nobody else loads anything, and it runs nothing that a folder brings along."""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fewshot.core.errors import ModelUnavailable
from fewshot.core.gguf import converted
from fewshot.core.pretrained import load_config, load_encoder, load_language_model, load_sentence_model, load_tokenizer
from tests.icl.models.conftest import save_tiny

ROOT = Path(__file__).parents[2]
DOOR = "fewshot/core/pretrained.py"
AUTO_CLASS = re.compile(r"Auto[A-Z]")
LOADERS = {"SentenceTransformer", "SetFitModel", "CrossEncoder", "pipeline"}


def loaders(source: str) -> Iterator[int]:
    """The lines of a program that load a model by a foreign library: a call, or the name of a class that loads."""
    for node in ast.walk(ast.parse(source)):
        name = getattr(node, "attr", None) if isinstance(node, ast.Attribute) else getattr(node, "id", None)
        called = node.func if isinstance(node, ast.Call) else None
        call = getattr(called, "attr", None) or getattr(called, "id", None)
        if name == "from_pretrained" or AUTO_CLASS.match(name or "") or call in LOADERS:
            yield node.lineno


@pytest.mark.promise(55)
def test_models_are_loaded_in_one_place_alone() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for package in ("fewshot", "evals", "icl", "classic", "prompts")
        for path in (ROOT / package).rglob("*.py")
        for line in loaders(path.read_text(encoding="utf-8"))
    }
    # SetFit's own class is given an encoder that was loaded here, and no folder.
    assert {place.partition(":")[0] for place in found} == {DOOR, "classic/learners/setfit.py"}
    setfit = [place for place in found if not place.startswith(DOOR)]
    assert len(setfit) == 1


@pytest.mark.parametrize(
    "source",
    [
        "AutoTokenizer.from_pretrained(x)",
        "transformers.AutoModel.from_config(x)",
        "load = LlamaForCausalLM.from_pretrained",
        "SentenceTransformer(x)",
        "library.pipeline('text-generation')",
    ],
)
def test_the_search_finds_every_way_to_load(source: str) -> None:
    assert list(loaders(source))


EVIL = "from pathlib import Path\nPath({marker!r}).write_text('ran')\nclass Evil: pass\n"
MAPPED = ("AutoConfig", "AutoTokenizer", "AutoModel", "AutoModelForCausalLM")


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose every configuration names code beside it; the terminal would say yes to everything."""
    folder = save_tiny(tmp_path / "evil")
    (folder / "evil.py").write_text(EVIL.format(marker=str(tmp_path / "ran")))
    for name in ("config.json", "tokenizer_config.json"):
        settings = json.loads((folder / name).read_text())
        mapped: dict[str, Any] = dict.fromkeys(MAPPED, "evil.Evil") | {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
        settings |= {"auto_map": mapped, "model_type": "evil", "tokenizer_class": "Evil", "architectures": ["Evil"]}
        (folder / name).write_text(json.dumps(settings))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    return folder


@pytest.mark.promise(33)
@pytest.mark.parametrize("load", [load_config, load_tokenizer, load_language_model, load_encoder])
def test_code_beside_a_model_is_not_run(load: Any, evil: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="evil"):
        load(evil)
    assert not (tmp_path / "ran").exists()


@pytest.mark.promise(33)
@pytest.mark.parametrize(
    ("module", "message"),
    [
        ({"type": "evil.Evil", "path": ""}, "names evil.Evil, which is code of its own"),
        ({"type": "joblib.numpy_pickle", "path": ""}, "names joblib.numpy_pickle"),
        ({"type": "sentence_transformers.models.Dense", "path": "../.."}, "leads out of its folder"),
        ({"type": "sentence_transformers.models.Dense", "path": "1_Dense"}, "has pickled weights"),
        ({"path": ""}, "modules.json is damaged"),
    ],
)
def test_modules_of_a_sentence_encoder_run_no_code_of_their_own(
    module: dict[str, str], message: str, evil: Path, tmp_path: Path
) -> None:
    pytest.importorskip("sentence_transformers")
    (evil / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", **module}]))
    (evil / "1_Dense").mkdir()
    (evil / "1_Dense" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ModelUnavailable, match=message):
        load_sentence_model(evil, "cpu")
    assert not (tmp_path / "ran").exists()


@pytest.mark.promise(33)
def test_files_beside_a_gguf_file_are_not_read(evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    (evil / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelUnavailable, match=r"model\.gguf cannot be read as a GGUF model"):
        converted(evil / "model.gguf")
    assert not (tmp_path / "ran").exists()
    assert [path for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []
