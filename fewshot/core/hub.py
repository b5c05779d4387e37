"""Models of the Hugging Face hub: their names, and their files on this machine."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from fewshot.core.errors import MissingExtra, ModelUnavailable, OfflineError, UsageError
from fewshot.core.pretrained import TOKENIZERS

#: Seconds in which the hub has to answer.
_PATIENCE = 10.0
_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
#: What describes a model, and its weights; other formats (pickles, ONNX) are neither fetched nor read.
_DESCRIPTION = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken")
_WEIGHTS = "*.safetensors"
_IGNORED = ("onnx/*", "openvino/*", "original/*", "consolidated*", "checkpoint-*")
_MEND = "Check the name and the network, or name a folder with a model"


def is_path(model: str) -> bool:
    """Whether a model is given by where it lies, there or not, and not by its name on the hub."""
    return Path(model).expanduser().exists() or Path(model).is_absolute() or model.startswith((".", "~"))


def with_revision(model: str, revision: str | None = None) -> tuple[str, str | None]:
    """The name and the revision of `org/name@revision`; a path may hold an @ of its own.

    >>> with_revision("org/name@v1.0")
    ('org/name', 'v1.0')

    Raises:
        UsageError: two revisions.
    """
    name, at, given = model.rpartition("@")
    if not at or is_path(model):
        return model, revision
    if not name or not given:
        raise UsageError(f"{model!r} is no model: a revision stands after the name and an @ (org/name@revision)")
    if revision not in (None, given):
        raise UsageError(f"{model!r} names the revision {given!r}, and revision={revision} another: name one")
    return name, given


def hub_folder(
    model: str, revision: str | None, *, weights: bool, offline: bool, notify: Callable[[str], None]
) -> Path:
    """The folder of a hub model: from the hub's cache if it is whole there, else from the network.

    Args:
        model: an id on the hub. revision: branch, tag or commit; None is the main branch.
        weights: whether the weights are wanted as well, or only what describes the model.
        offline: whether downloads are forbidden. notify: told before the network is used.

    Raises:
        ModelUnavailable: no such model, or no network. OfflineError: a download is needed and forbidden.
        MissingExtra: the hub's client is not installed.
    """
    if is_path(model):
        raise ModelUnavailable(f"there is no model folder {Path(model).expanduser()}")
    if not _ID.fullmatch(model):
        raise ModelUnavailable(f"{model!r} is neither a folder on this machine nor a name on the Hugging Face hub")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MissingExtra(f"the model {model!r}", "local") from error
    wanted = [*_DESCRIPTION, _WEIGHTS] if weights else [*_DESCRIPTION]
    options = {"revision": revision, "allow_patterns": wanted, "ignore_patterns": list(_IGNORED)}
    named = f"{model}@{revision}" if revision else model
    try:
        folder = Path(snapshot_download(model, local_files_only=True, **options))
        # Offline, the loader names what is missing of half a model.
        if offline or _is_whole(folder, weights):
            return folder
    except ValueError as error:
        raise ModelUnavailable(
            f"{named!r} is no name on the Hugging Face hub: {_first_line(error)}. {_MEND}"
        ) from error
    except OSError:
        pass  # not here, or not all of it
    if offline:
        raise OfflineError(
            f"the model {named!r} is not on this machine, and --offline forbids the download. "
            "Run once without it, or name a folder with a model"
        )
    notify(f"looking for {named} on the Hugging Face hub")
    require_hub(f"the model {named!r}", _MEND)
    try:
        return Path(snapshot_download(model, local_files_only=False, **options))
    except OSError as error:
        raise ModelUnavailable(f"the model {named!r} cannot be fetched: {_first_line(error)}. {_MEND}") from error


def require_hub(wanted: str, mend: str) -> None:
    """Ask the hub once whether anybody answers: its own client asks five times over, for most of a minute.

    The question goes through the client's own session (proxies, mirrors).

    Args:
        wanted: what is to be downloaded, for the message.
        mend: what to do instead.

    Raises:
        ModelUnavailable: nobody answers.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    session = get_session()
    # The client's library has had two names (httpx, httpx2); its errors live where its session does.
    library = sys.modules[type(session).__module__.partition(".")[0]]
    transport_error: type[Exception] = library.TransportError
    try:
        session.head(constants.ENDPOINT, timeout=_PATIENCE)
    except transport_error as error:
        raise ModelUnavailable(
            f"{wanted} is not on this machine, and {constants.ENDPOINT} cannot be reached ({error}). {mend}"
        ) from error


def _is_whole(folder: Path, weights: bool) -> bool:
    """Whether another program fetched all of a model, and not a part of it only."""
    described = any((folder / name).is_file() for name in ("config.json", "modules.json"))
    if not described or not any(path for pattern in TOKENIZERS for path in folder.rglob(pattern)):
        return False
    index = folder / "model.safetensors.index.json"
    if not weights or not index.is_file():
        return not weights or any(folder.rglob(_WEIGHTS))
    return all((folder / name).is_file() for name in json.loads(index.read_bytes())["weight_map"].values())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
