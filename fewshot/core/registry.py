"""How parts are found by name: built-ins, entry points of other packages, and `file.py:Class` of the user's own.

A registry holds strings, not classes: nothing is imported until it is built.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from fewshot.core.errors import MissingExtra, UsageError, unknown_name
from fewshot.core.extras import is_installed
from fewshot.core.spec import Spec, parse_spec

#: Python keywords that are the field's names of parameters: `mmr:lambda=0.7` sets `lambda_`.
_KEYWORDS = {"lambda": "lambda_", "class": "class_", "from": "from_"}


class Entry:
    """One registered part. What it is good for is declared on its class, and read there: that imports the class.

    A class may declare `kinds` (of tasks that it answers), `modalities` (of examples; an encoder its one `modality`),
    `extra` (the install extra that it needs), `baseline` and `transductive`. One that has a method `meta_fit` is
    trained on other classes first.

    Args:
        target: `module:attribute` or `file.py:attribute`.
        positional: the parameter that a bare value sets (`openai:NAME`), or None.
        hosted: whether it asks a provider, who is sent the texts and is paid.
        extra: for a target that declares none, because it is a function or a class that others use, too.
    """

    def __init__(
        self,
        name: str,
        target: str,
        summary: str,
        *,
        positional: str | None = None,
        hosted: bool = False,
        extra: str | None = None,
    ) -> None:
        self.name = name
        self.target = target
        self.summary = summary
        self.positional = positional
        self.hosted = hosted
        self._extra = extra

    @property
    def kinds(self) -> tuple[str, ...] | None:
        """The task kinds that it answers; None where it does not say."""
        declared = self._declared("kinds")
        return tuple(declared) if isinstance(declared, tuple | list) else None

    @property
    def modalities(self) -> tuple[str, ...] | None:
        """What examples it reads; None where it does not say."""
        declared = self._declared("modalities")
        return tuple(declared) if isinstance(declared, tuple | list) else None

    @property
    def modality(self) -> str:
        """What an encoder or a network reads."""
        declared = self._declared("modality")
        return declared if isinstance(declared, str) else "text"

    @property
    def extra(self) -> str | None:
        """The install extra that it needs, or None."""
        declared = self._extra or self._declared("extra")
        return declared if isinstance(declared, str) else None

    @property
    def baseline(self) -> bool:
        """Whether it stands beside every result."""
        return self._declared("baseline") is True

    @property
    def transductive(self) -> bool:
        """Whether, with any parameters, the answer to one query depends on the other queries."""
        return self._declared("transductive") is True

    @property
    def needs_meta_training(self) -> bool:
        """Whether it is trained on other classes or tasks first."""
        return callable(self._declared("meta_fit"))

    @property
    def flags(self) -> tuple[str, ...]:
        """Names of the properties that set it apart, those that hold."""
        return tuple(name for name in ("baseline", "transductive", "needs_meta_training") if getattr(self, name))

    def load(self) -> Any:
        """The class or function.

        Raises:
            UsageError: the user's file does not load.
            MissingExtra: its module is not here.
        """
        module_name, _, attribute = self.target.rpartition(":")
        if module_name.endswith(".py"):
            return _load_file(Path(module_name), attribute)
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except ImportError as error:
            if self._extra is None:
                raise
            raise MissingExtra(repr(self.name), self._extra) from error

    def _declared(self, name: str) -> Any:
        return getattr(self.load(), name, None)


class Plugin(Entry):
    """A part of another package. One that does not load declares nothing, and says so when it is built.

    Args:
        family: for messages.
    """

    def __init__(self, family: str, name: str, target: str) -> None:
        super().__init__(name, target, f"from {target}")
        self._family = family

    def load(self) -> Any:
        """The class or function. Raises UsageError where it does not load."""
        try:
            return super().load()
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise UsageError(f"the plugin behind {self._family} {self.name!r} does not load: {told}") from error

    def _declared(self, name: str) -> Any:
        try:
            return super()._declared(name)
        except UsageError:
            return None


class Registry:
    """The parts of one family (learners, selectors, ...), by name.

    Args:
        family: singular name of the family; entry points are read from the group `fewshot.<family>s`.
        entries: the built-ins, in the order in which they are listed.
        paths: the entry that a bare path or `ORG/NAME` stands for: `./folder` is read as `hf:./folder`.
        option: of the command line that takes such a part, for messages.
        parts: parameters that name parts of other families, and these families: `encoder=minilm`.
        light: the entry that needs no extra, for messages about one that is missing.
    """

    def __init__(
        self,
        family: str,
        entries: Iterable[Entry],
        paths: str | None = None,
        option: str | None = None,
        parts: Mapping[str, Sequence[Registry]] | None = None,
        light: str | None = None,
    ) -> None:
        self.family = family
        self._paths = paths
        self._option = option
        self._builtin = {entry.name: entry for entry in entries}
        self._parts = parts or {}
        self._light = light

    def entries(self) -> dict[str, Entry]:
        """Built-ins first, then entry points; an entry point cannot replace a built-in."""
        found = dict(self._builtin)
        for point in entry_points(group=f"fewshot.{self.family}s"):
            found.setdefault(point.name, Plugin(self.family, point.name, point.value))
        return found

    def is_builtin(self, name: str) -> bool:
        """Whether a part of this name is ours."""
        return name in self._builtin

    def entry(self, name: str) -> Entry:
        """Look up one entry. Raises UsageError with the nearest names."""
        if ".py:" in name:
            return Entry(name, name, f"from {name}")
        if name in self._builtin:
            return self._builtin[name]  # entry points are read from files: only where they are needed
        known = self.entries()
        if name not in known:
            raise unknown_name(self.family, name, known)
        return known[name]

    def check(self, source: str | Mapping[str, Any] | Spec) -> Entry:
        """The entry that a spec names, without importing it. Raises UsageError with the nearest names."""
        return self.entry(self._parse(source).name)

    def shortened(self, spec: Spec) -> Spec:
        """A spec without what it says of the defaults, and with its parts so that it can be written on one line."""
        defaults = {name: each.default for name, each in _parameters(self.entry(self._parse(spec).name).load()).items()}
        said = {name: value for name, value in spec.params.items() if name not in defaults or value != defaults[name]}
        parts = {name: parse_spec(said[name]) for name in said if name in self._parts and isinstance(said[name], str)}
        written = {name: part.name if part == Spec(part.name) else part for name, part in parts.items()}
        return replace(spec, params={**said, **written})

    def require(self, source: str | Mapping[str, Any] | Spec, **context: Any) -> None:
        """Make sure that the packages are here which a spec needs, and the parts that it names or defaults to.

        Args:
            context: as for `build`.

        Raises:
            UsageError: an unknown name, with the nearest ones.
            MissingExtra: with the command that installs what is missing.
        """
        if missing := self._missing(source, context):
            spec = parse_spec(source)
            named = (
                f"{self._option} {self.shortened(spec)}"
                if self._option
                else f"{self.family} {str(self.shortened(spec))!r}"
            )
            raise MissingExtra(named, *missing, instead=self._lighter(spec, context))

    def _missing(self, source: str | Mapping[str, Any] | Spec, context: Mapping[str, Any]) -> list[str]:
        """The install extras that a spec needs and that are not here."""
        return [extra for extra in dict.fromkeys(self._extras(source, context)) if not is_installed(extra)]

    def _lighter(self, spec: Spec, context: Mapping[str, Any]) -> str | None:
        """An argument with which nothing would be missing, if there is one."""
        for name, families in self._parts.items():
            for light in (family._light for family in families if family._light is not None):
                if not self._missing(replace(spec, params={**spec.params, name: light}), context):
                    return f"{name}={light}"
        return None

    def _extras(self, source: str | Mapping[str, Any] | Spec, context: Mapping[str, Any]) -> Iterator[str]:
        """The install extras of the part that a spec names, and of the parts within it.

        A part that is handed on to one within (the encoder of `icl`, to its selector) counts where that one takes it.
        """
        spec = self._parse(source)
        entry = self.entry(spec.name)
        if entry.extra is not None:
            yield entry.extra
        accepted = _parameters(entry.load())
        taken = {**{name: context.get(name, each.default) for name, each in accepted.items()}, **spec.params}
        own = {name: families for name, families in self._parts.items() if name in taken}
        handed_on = {name for families in own.values() for family in families for name in family._parts}
        for name, families in own.items():
            value = taken[name]
            if isinstance(value, str | Mapping | Spec) and name not in handed_on:
                family = next((each for each in families if each.knows(value)), None)
                yield from family._extras(value, taken) if family is not None else ()

    def knows(self, source: str | Mapping[str, Any] | Spec) -> bool:
        """Whether a spec names a part of this family."""
        name = self._parse(source).name
        return ".py:" in name or self.is_builtin(name) or name in self.entries()

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
            MissingExtra: packages of the part, or of a part within it, are not installed.
        """
        spec = self._parse(source)
        entry = self.entry(spec.name)
        factory = entry.load()
        params = {_KEYWORDS.get(key, key): value for key, value in spec.params.items()}
        if spec.positional is not None:
            if entry.positional is None:
                raise UsageError(f"{self.family} {spec.name!r} takes no bare value: write key={spec.positional}")
            params[entry.positional] = spec.positional
        accepted = _parameters(factory)
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
        self.require(spec, **surroundings)
        return factory(**{**surroundings, **params})


def _parameters(factory: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(factory).parameters


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".gguf")


def _load_file(path: Path, attribute: str) -> Any:
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    module = _module_of(path.resolve(), path.stat().st_mtime_ns)
    if not hasattr(module, attribute):
        raise UsageError(f"{path} defines no {attribute!r}")
    return getattr(module, attribute)


@cache
def _module_of(path: Path, changed: int) -> ModuleType:
    """The module in a file, run once per version of it, so that its classes stay the same ones.

    Args:
        changed: when the file was changed, in nanoseconds.
    """
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
    return module
