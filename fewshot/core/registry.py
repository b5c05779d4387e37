"""How parts are found by name: built-ins, entry points of other packages, and `file.py:Class` of the user's own.

A registry holds strings, not classes: nothing is imported until it is built.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from fewshot.core.errors import MissingExtra, UsageError, unknown_name
from fewshot.core.spec import Spec, parse_spec

#: Python keywords that are the field's names of parameters: `mmr:lambda=0.7` sets `lambda_`.
_KEYWORDS = {"lambda": "lambda_", "class": "class_", "from": "from_"}


@dataclass(frozen=True)
class Entry:
    """One registered part and what the harness must know before it is imported.

    Attributes:
        target: `module:attribute`, imported on first use.
        kinds: the task kinds it can answer.
        extra: the install extra it needs, or None.
        positional: the parameter that a bare value sets (`openai:NAME`), or None.
        hosted: whether it asks a provider, who is sent the texts and is paid.
    """

    name: str
    target: str
    summary: str
    kinds: tuple[str, ...] = ("classification",)
    extra: str | None = None
    needs_meta_training: bool = False
    transductive: bool = False
    baseline: bool = False
    positional: str | None = None
    hosted: bool = False

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the properties that set it apart, those that hold."""
        return tuple(name for name in ("baseline", "transductive", "needs_meta_training") if getattr(self, name))


class Registry:
    """The parts of one family (learners, selectors, ...), by name.

    Args:
        family: singular name of the family; entry points are read from the group `fewshot.<family>s`.
        entries: the built-ins, in the order in which they are listed.
        paths: the entry that a bare path or `ORG/NAME` stands for: `./folder` is read as `hf:./folder`.
    """

    def __init__(self, family: str, entries: Iterable[Entry], paths: str | None = None) -> None:
        self.family = family
        self._paths = paths
        self._builtin = {entry.name: entry for entry in entries}

    def entries(self) -> dict[str, Entry]:
        """Built-ins first, then entry points; an entry point cannot replace a built-in."""
        found = dict(self._builtin)
        for point in entry_points(group=f"fewshot.{self.family}s"):
            found.setdefault(point.name, Entry(point.name, point.value, f"from {point.value}"))
        return found

    def is_builtin(self, name: str) -> bool:
        """Whether a part of this name is ours."""
        return name in self._builtin

    def entry(self, name: str) -> Entry:
        """Look up one entry. Raises UsageError with the nearest names."""
        if ".py:" in name:
            return Entry(name, name, f"from {name}")
        known = self.entries()
        if name not in known:
            raise unknown_name(self.family, name, known)
        return known[name]

    def check(self, source: str | Mapping[str, Any] | Spec) -> Entry:
        """The entry that a spec names, without importing it. Raises UsageError with the nearest names."""
        return self.entry(self._parse(source).name)

    def _parse(self, source: str | Mapping[str, Any] | Spec) -> Spec:
        spec = parse_spec(source)
        if self._paths is None or ".py:" in spec.name or not _is_path(spec.name):
            return spec
        return Spec(self._paths, spec.params, spec.name)

    def build(self, source: str | Mapping[str, Any] | Spec, **context: Any) -> Any:
        """Build the part that a spec names.

        Args:
            source: the spec.
            context: arguments from the surroundings (device, seed, ...); passed only where the part takes them,
                and the spec's own values win.

        Raises:
            UsageError: unknown name or parameter, or a missing one.
            MissingExtra: the part's packages are not installed.
        """
        spec = self._parse(source)
        entry = self.entry(spec.name)
        factory = self._load(entry)
        params = {_KEYWORDS.get(key, key): value for key, value in spec.params.items()}
        if spec.positional is not None:
            if entry.positional is None:
                raise UsageError(f"{self.family} {spec.name!r} takes no bare value: write key={spec.positional}")
            params[entry.positional] = spec.positional
        accepted = inspect.signature(factory).parameters
        for key in params:
            if key not in accepted:
                raise unknown_name(f"parameter of {self.family} {spec.name!r}:", key, accepted)
        surroundings = {key: value for key, value in context.items() if key in accepted}
        missing = [
            key
            for key, parameter in accepted.items()
            if parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and key not in params
            and key not in surroundings
        ]
        if missing == [entry.positional]:
            raise UsageError(f"{self.family} {spec.name!r} needs a name: write {spec.name}:NAME")
        if missing:
            raise UsageError(f"{self.family} {spec.name!r} needs {', '.join(f'{key}=...' for key in missing)}")
        return factory(**{**surroundings, **params})

    def _load(self, entry: Entry) -> Any:
        module_name, _, attribute = entry.target.rpartition(":")
        if module_name.endswith(".py"):
            return _load_file(Path(module_name), attribute)
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except Exception as error:
            if isinstance(error, ImportError) and entry.extra:
                raise MissingExtra(f"{self.family} {entry.name!r}", entry.extra) from error
            if entry.name in self._builtin:
                raise
            told = f"{type(error).__name__}: {error}"
            raise UsageError(f"the plugin behind {self.family} {entry.name!r} does not load: {told}") from error


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".gguf")


def _load_file(path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    module_name = f"fewshot_user_{path.stem}"
    described = importlib.util.spec_from_file_location(module_name, path)
    if described is None or described.loader is None:
        raise UsageError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(described)
    sys.modules[module_name] = module
    try:
        described.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path} does not load: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        raise UsageError(f"{path} defines no {attribute!r}")
    return getattr(module, attribute)
