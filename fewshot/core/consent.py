"""What a stored spec would do beyond computing, and the question whether it may.

A spec on the command line or in somebody's code is what they want. A spec that is read from a folder may be a
stranger's, and is data until someone consents. Consent is `--trust` (`trust=True`), the same option given anew, or
having begun the work in that very folder with that very spec, which is remembered outside of it.

Computing is not asked about: built-in parts, tasks, and models that are fetched from the Hugging Face hub by name,
without code and without sending anything. SECURITY.md gives the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fewshot.core.catalog import FAMILIES
from fewshot.core.errors import NotTrusted, UsageError
from fewshot.core.hashing import digest
from fewshot.core.paths import cache_dir, write_atomically
from fewshot.core.spec import Spec, parse_spec

#: Parameters that reach outside whatever their value, in whichever part they stand.
REACHES = {
    "key_cmd": "run the command {!r}",
    "key_file": "read the key in {!r}",
    "base_url": "send texts and a key to {!r}",
    "from": "read the trained learner in {!r}",
    "source": "read the trained learner in {!r}",
    "trust": "consent in your name (trust={})",
}
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FILES = (".gguf", ".j2")
_LONGEST = 160


def acts(stored: Any) -> list[str]:
    """What a spec would do beyond computing, in words, each once.

    Args:
        stored: a spec in whatever spelling, or a list or mapping of specs and values, nested in whatever way.

    Raises:
        UsageError: it is nested too deeply to be read.
    """
    try:
        found = dict.fromkeys(_Reader().of_value("", stored))
    except RecursionError as error:
        raise UsageError("a stored spec is nested too deeply to be read") from error
    return list(found)


def require_consent(stored: Any, owner: str | Path, *, trust: bool, place: Path | None = None) -> None:
    """Refuse what would do more than compute, unless somebody consented.

    Args:
        stored: as for `acts`.
        owner: what it was read from, for the message.
        trust: whether the user consents now.
        place: the folder whose work it is; what `remember` noted there needs no second consent.

    Raises:
        NotTrusted: naming each thing.
    """
    if trust:
        return
    asked = [act for act in acts(stored) if place is None or not _mark(act, place).is_file()]
    if asked:
        told = "; ".join(act if len(act) <= _LONGEST else f"{act[:_LONGEST]}..." for act in asked)
        raise NotTrusted(
            f"{owner} is not trusted, and would: {told}. Nothing of that was done. If you trust whoever made it: "
            "--trust (trust=True in Python)"
        )


def remember(stored: Any, place: Path) -> None:
    """Note that the user wants this carried out in this folder, so that going on with it asks nothing.

    Raises:
        StorageError: the note cannot be written.
    """
    for act in acts(stored):
        write_atomically(_mark(act, place), f"{place}: {act}\n")


def _mark(act: str, place: Path) -> Path:
    """The file that stands for a consent. A copy of the folder, or one put in its place, is another folder."""
    folder = place.stat()
    return cache_dir("consent") / digest([act, str(place.resolve()), folder.st_dev, folder.st_ino])


class _Reader:
    """Walks through a stored value. Every text is looked at as what it may become: a path, a URL or a spec."""

    def __init__(self) -> None:
        entries = [(family, entry) for family in FAMILIES.values() for entry in family.entries().values()]
        self._plugins = {entry.name for family, entry in entries if not family.is_builtin(entry.name)}
        self._hosted = {entry.name for _, entry in entries if entry.hosted}
        self._by_model = {entry.name for _, entry in entries if entry.positional == "model"} - self._hosted

    def of_value(self, key: str, value: Any) -> Iterator[str]:
        """What the value of a parameter would do."""
        key = key.strip().lower().replace("-", "_").rstrip("_")
        if key in REACHES:
            if value is not None and value is not False:
                yield REACHES[key].format(str(value))
        elif isinstance(value, Spec):
            yield from self._of_spec(value)
        elif isinstance(value, Mapping):
            yield from self._of_mapping(value)
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from self.of_value("", item)
        elif isinstance(value, (str, Path)):
            yield from self._of_text(str(value).strip())

    def _of_mapping(self, value: Mapping[Any, Any]) -> Iterator[str]:
        if isinstance(name := value.get("name"), str):
            yield from self._of_spec(Spec(name, {key: item for key, item in value.items() if key != "name"}))
            return
        for key, item in value.items():
            yield from self.of_value(str(key), item)

    def _of_text(self, text: str) -> Iterator[str]:
        if _URL.match(text):
            yield f"ask {text!r}"
        elif _is_path(text):
            yield f"read {text!r}"
        else:
            try:
                spec = parse_spec(text)
            except UsageError:
                return  # nothing can be built from it
            yield from self._of_spec(spec)

    def _of_spec(self, spec: Spec) -> Iterator[str]:
        name, model = spec.name.strip(), spec.positional or spec.params.get("model")
        if ".py:" in name.lower():
            yield f"run the Python file {name.rpartition(':')[0]!r}"
        elif name in self._hosted:
            yield f"ask the hosted model {name}:{model}, which can cost money"
        elif name in self._plugins:
            yield f"run the plugin {name!r}"
        elif name in self._by_model and isinstance(model, str) and _exists(model):
            yield f"read {model!r}"
        elif _is_path(name):
            yield f"read {name!r}"
        elif ":" in name:  # the name of a mapping that is a whole spec
            yield from self._of_text(name)
        yield from self.of_value("", spec.positional)
        for key, item in spec.params.items():
            yield from self.of_value(str(key), item)


def _is_path(text: str) -> bool:
    """Whether a text names something on this machine, rather than a part, a word, or `ORG/NAME` on the hub."""
    if text.startswith(("/", "~", ".")) or ("/" in text and _exists(text)):
        return ".py:" not in text
    return not set("(=:").intersection(text) and ("\\" in text or text.count("/") > 1 or text.endswith(_FILES))


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False
