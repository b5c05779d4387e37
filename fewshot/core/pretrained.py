"""The one door to transformers and sentence-transformers: what a folder holds is data, and is read whole or refused.

No code that comes with a model runs, nothing is asked on the terminal, nothing is downloaded (see `hub`), and weights
are read from safetensors alone. Every refusal is one line that names the folder or the file at fault.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from fewshot.core.errors import FewshotError, MissingExtra, ModelUnavailable

Part = Literal[
    "AutoConfig",
    "AutoTokenizer",
    "AutoModelForCausalLM",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForSequenceClassification",
]

#: Any of these makes a tokenizer.
TOKENIZERS = ("tokenizer.json", "*.model", "vocab.*", "*.tiktoken", "tekken.json")
#: Tensors that older files hold and no model needs: they are computed from the configuration.
_COMPUTED = re.compile(r"(^|\.)(rotary_emb\.inv_freq|attn\.(masked_)?bias|attention\.(masked_)?bias|position_ids)$")
#: Parts of an encoder that no vector of ours is read from; files without them are common.
_UNREAD = re.compile(r"(^|\.)pooler\.")
#: The same, and a head for pairs of sentences, beside the head that is read.
_BESIDE = re.compile(r"(^|\.)(pooler|seq_relationship)\.")
_AGAIN = "copy or download the model again"


def transformers(feature: str) -> Any:
    """The package itself, in a version that can be trusted.

    Raises:
        MissingExtra: it is not installed. ModelUnavailable: it is too old.
    """
    # Otherwise the first look into the hub's cache asks a server which program is calling, network or not.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        import torch  # noqa: F401
        import transformers
    except ImportError as error:
        raise MissingExtra(feature, "local") from error
    version = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    if version < (5, 3):
        raise ModelUnavailable(
            f"transformers {transformers.__version__} can be made to run code by a model's configuration. "
            'Run: pip install "fewshot[local]"'
        )
    return transformers


def load_config(folder: Path) -> Any:
    """The configuration of a model in a folder.

    Raises:
        ModelUnavailable: it is missing, damaged, or of an architecture that transformers does not know.
    """
    _refuse_adapter(folder)
    _check_json(folder / "config.json")
    return _load("AutoConfig", folder, f"{folder / 'config.json'} cannot be read")


def load_tokenizer(folder: Path, **options: Any) -> Any:
    """The tokenizer in a folder.

    Args:
        options: of transformers (`gguf_file`).

    Raises:
        ModelUnavailable: there is none, or it cannot be built from what is on this machine.
    """
    if "gguf_file" not in options:
        if not any(path for pattern in TOKENIZERS for path in folder.glob(pattern)):
            raise ModelUnavailable(f"{folder} has no tokenizer files (tokenizer.json): copy them from where it came")
        for name in ("tokenizer.json", "tokenizer_config.json"):
            if (folder / name).exists():
                _check_json(folder / name)
    return _load("AutoTokenizer", folder, f"the tokenizer in {folder} cannot be built", **options)


def load_language_model(folder: Path, first: Callable[[Any], None] = lambda _: None, **options: Any) -> Any:
    """The language model in a folder, with every tensor that it needs and no other.

    Args:
        first: looks at the model before its tensors are counted, and may refuse it.
        options: of transformers (`dtype`, `gguf_file`).

    Raises:
        ModelUnavailable: the folder does not hold all of one model.
    """
    model, report = _load_weights("AutoModelForCausalLM", folder, **options)
    first(model)
    _refuse(folder, report["missing_keys"], "the weights lack")
    _refuse(folder, [name for name in report["unexpected_keys"] if not _COMPUTED.search(name)], _no_place(model))
    return model


def load_encoder(folder: Path, **options: Any) -> Any:
    """The bare encoder in a folder. Heads for other purposes may be there or not: no vector is read from them.

    Args:
        options: of transformers (`dtype`, `attn_implementation`).

    Raises:
        ModelUnavailable: the folder does not hold all of one encoder.
    """
    model, report = _load_weights("AutoModel", folder, **options)
    _refuse(folder, [name for name in report["missing_keys"] if not _UNREAD.search(name)], "the weights lack")
    _refuse(folder, _strange(model, report), _no_place(model))
    return model


def load_masked_model(folder: Path, **options: Any) -> Any:
    """The masked language model in a folder, with its head.

    Raises:
        ModelUnavailable: the folder does not hold all of one masked language model.
    """
    return _load_head("AutoModelForMaskedLM", folder, "masked language model (fill-mask on the hub)", **options)


def load_text_classifier(folder: Path, **options: Any) -> Any:
    """The classifier of texts, or of pairs of texts, in a folder, with its head.

    Raises:
        ModelUnavailable: the folder does not hold all of one classifier.
    """
    return _load_head("AutoModelForSequenceClassification", folder, "classifier of texts", **options)


def _load_head(part: Part, folder: Path, wanted: str, **options: Any) -> Any:
    """A model whose head is read as well. One without a head would get a random one."""
    model, report = _load_weights(part, folder, **options)
    encoder = f"{model.base_model_prefix}."
    if absent := sorted(name for name in report["missing_keys"] if not name.startswith(encoder)):
        raise ModelUnavailable(f"{folder} is no {wanted}: its weights lack {absent[0]}, so name one that was trained")
    _refuse(folder, report["missing_keys"], "the weights lack")
    strange = [name for name in _strange(model, report) if not _BESIDE.search(name)]
    _refuse(folder, strange, _no_place(model))
    return model


def _no_place(model: Any) -> str:
    return f"{type(model).__name__}, the model that config.json names, has no place for"


def _strange(model: Any, report: dict[str, Any]) -> list[str]:
    """Tensors of the file for which the parts of the model that stand under the same names have no place."""
    children = {name for name, _ in model.named_children()}
    own = [name.removeprefix(f"{model.base_model_prefix}.") for name in report["unexpected_keys"]]
    return [name for name in own if name.partition(".")[0] in children and not _COMPUTED.search(name)]


def load_sentence_model(folder: Path, device: str) -> Any:
    """A sentence-transformers model with its own modules.

    Raises:
        MissingExtra: the package is not installed.
        ModelUnavailable: a module is not one of the package's own, or the folder does not hold all of one model.
    """
    transformers(f"the encoder {folder}")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise MissingExtra(f"the encoder {folder}", "local") from error
    for module in _modules(folder):
        settings = module / "config.json"
        if settings.is_file() and "model_type" in _check_json(settings):
            load_encoder(module)  # the package itself fills what is missing at random
    refused = f"{folder} does not load as an encoder"
    return _guarded(
        refused,
        lambda: SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        ),
    )


def _load_weights(part: Part, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    if "gguf_file" not in options:
        _refuse_adapter(folder)
        _check_json(folder / "config.json")
        check_tensors(folder)
    model, report = _load(
        part,
        folder,
        f"{folder} does not load",
        use_safetensors=None if "gguf_file" in options else True,
        output_loading_info=True,
        # Otherwise the first tensor of another size is an error that names no file.
        ignore_mismatched_sizes=True,
        **options,
    )
    for name, stored, expected in sorted(report["mismatched_keys"]):
        raise ModelUnavailable(
            f"{folder}: config.json and the weights disagree: {name} is {_shape(stored)} in the weights and "
            f"{_shape(expected)} by config.json{_by(model.config, stored, expected)}"
        )
    return model, report


def _load(part: Part, folder: Path, refused: str, **options: Any) -> Any:
    factory = getattr(transformers(f"the model {folder}"), part)
    return _guarded(
        refused, lambda: factory.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **options)
    )


def _guarded(refused: str, load: Callable[[], Any]) -> Any:
    """Files of others fail in many ways, none of them ours."""
    try:
        with quiet():
            return load()
    except FewshotError:
        raise
    except MemoryError as error:
        raise ModelUnavailable(f"{refused}: there is not enough memory") from error
    except ImportError as error:
        raise ModelUnavailable(f"{refused} without a package that is not installed: {one_line(error)}") from error
    except Exception as error:
        raise ModelUnavailable(f"{refused}: {one_line(error)}") from error


def check_tensors(folder: Path) -> None:
    """Look at the header of every weight file: it says how long the file must be.

    Raises:
        ModelUnavailable: there are no weights that are read, or a file of them is damaged or missing.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelUnavailable(
            f"{folder} has no safetensors weights. Pickled weights can run code and are not read: load the model with "
            "transformers where you trust it, and write it with save_pretrained(folder)"
        )
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(map(str, _check_json(index).get("weight_map", {}).values()))
        if absent := sorted(named - {file.name for file in files}):
            raise ModelUnavailable(f"{folder} lacks {absent[0]}, which {index.name} names: {_AGAIN}")
    from safetensors import SafetensorError, safe_open

    with ExitStack() as opened:
        for file in files:
            try:
                opened.enter_context(safe_open(file, framework="np"))
            except (OSError, SafetensorError) as error:
                raise ModelUnavailable(f"the weights in {file} are damaged ({one_line(error)}): {_AGAIN}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no tables of transformers within: what matters in them is an error of ours."""
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()


def one_line(error: BaseException) -> str:
    """What an error says, on one line of a sensible length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 300 else f"{words[:300]}..."


def _check_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelUnavailable(f"{path.parent} has no {path.name}: it is not the folder of a model") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{path} is damaged ({one_line(error)}): {_AGAIN}") from error
    if not isinstance(content, dict):
        raise ModelUnavailable(f"{path} is damaged (no JSON object): {_AGAIN}")
    return content


def _refuse(folder: Path, names: Iterable[str], what: str) -> None:
    found = sorted(names)
    if found:
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        raise ModelUnavailable(f"{folder}: {what} {found[0]}{more}: {_AGAIN}")


def _refuse_adapter(folder: Path) -> None:
    """What an adapter changes would be missing from every score, and its base may be any model."""
    found = [path.name for pattern in ("adapter_config.json", "adapter_model.*") for path in folder.glob(pattern)]
    if found:
        raise ModelUnavailable(
            f"{folder} holds an adapter ({found[0]}), and adapters are not applied. Merge it into its base model with "
            "peft (merge_and_unload, then save_pretrained) and name the folder of the result"
        )


def _shape(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


def _by(config: Any, stored: Iterable[int], expected: Iterable[int]) -> str:
    """The settings of a configuration that ask for the size in which two shapes differ."""
    sizes = {size for size, other in zip(expected, stored, strict=False) if size != other}
    names = [name for name, value in config.get_text_config().to_dict().items() if type(value) is int]
    by = [name for name in names if getattr(config.get_text_config(), name, None) in sizes]
    return f" ({', '.join(by)})" if by else ""


def _modules(folder: Path) -> list[Path]:
    """The folders of a sentence-transformers model's modules; a bare transformer is its only one."""
    path = folder / "modules.json"
    if not path.exists():
        return [folder]
    try:
        listed = [(str(entry["type"]), folder / str(entry["path"])) for entry in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelUnavailable(f"{path} is damaged ({one_line(error)}): {_AGAIN}") from error
    for kind, module in listed:
        if not kind.startswith("sentence_transformers."):
            raise ModelUnavailable(f"{path} names {kind}, which is code of its own and is not run")
        if not module.resolve().is_relative_to(folder.resolve()):
            raise ModelUnavailable(f"{path} leads out of its folder")
        if (module / "pytorch_model.bin").is_file() and not any(module.glob("*.safetensors")):
            raise ModelUnavailable(f"{module} has pickled weights, which can run code and are not read")
    return [module for _, module in listed]
