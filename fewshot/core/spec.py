"""The spec grammar: how a part with its parameters is written on one line.

    name                                     tfidf
    name:key=value,key=value                 mmr:lambda=0.7,encoder=minilm
    name:value                               openai:NAME          (the entry's positional parameter)
    nested specs in parentheses              icl:model=(openai:NAME,base_url=http://h/v1),selector=(mmr:lambda=0.7)
    file.py:Class[:key=value,...]            my_learner.py:Mine:alpha=2

YAML and JSON use the long form: `{name: mmr, lambda: 0.7}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from fewshot.core.errors import UsageError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WORDS: dict[str, Any] = {"true": True, "false": False, "none": None, "null": None}
_DEEPEST = 50
_FILE = re.compile(r"^(?P<name>[^()=,]*\.py:[A-Za-z_]\w*)(?::(?P<rest>.*))?$", re.DOTALL)


@dataclass(frozen=True)
class Spec:
    """A parsed spec. `positional` is the bare value, if one was given; `params` maps keys to scalars or Specs."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    positional: Any = None

    def __str__(self) -> str:
        parts = [] if self.positional is None else [_write(self.positional)]
        parts += [f"{key}={_write(value)}" for key, value in self.params.items()]
        return f"{self.name}:{','.join(parts)}" if parts else self.name


def parse_spec(source: str | Mapping[str, Any] | Spec) -> Spec:
    """Parse one spec.

    Args:
        source: the one-line form, the long form (a mapping with a `name`), or a Spec, returned as it is.

    Raises:
        UsageError: unbalanced or too many parentheses, a missing name or a key given twice.
    """
    if isinstance(source, Spec):
        return source
    if isinstance(source, Mapping):
        return _from_mapping(source)
    text = source.strip()
    if _depth(text) > _DEEPEST:
        raise UsageError(f"a spec is nested at most {_DEEPEST} deep, but {text[:40]!r}... is deeper")
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    if matched := _FILE.match(text):
        name, rest = matched["name"], matched["rest"] or ""
    else:
        name, _, rest = text.partition(":")
    name = name.strip()
    if not name:
        raise UsageError(f"a spec begins with a name, but {source!r} does not")
    return Spec(name, *_arguments(rest, text))


def _arguments(rest: str, whole: str) -> tuple[dict[str, Any], Any]:
    params: dict[str, Any] = {}
    positional = None
    for part in _split(rest, whole):
        key, equals, value = part.partition("=")
        key = key.strip()
        if equals and re.fullmatch(r"[A-Za-z_][\w-]*", key):
            key = key.replace("-", "_")
            if key in params:
                raise UsageError(f"{key!r} is given twice in {whole!r}")
            params[key] = _read(value.strip())
        elif positional is None and not params:
            positional = _read(part.strip())
        else:
            raise UsageError(f"{part.strip()!r} in {whole!r} is not of the form key=value")
    return params, positional


def _split(text: str, whole: str) -> list[str]:
    """Split at the commas that stand outside of parentheses."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    if depth != 0:
        raise UsageError(f"the parentheses in {whole!r} do not match")
    return [part for part in [*parts, text[start:]] if part.strip()]


def _depth(text: str) -> int:
    """How many parentheses are open at once, at most."""
    return max(accumulate((char == "(") - (char == ")") for char in text), default=0) if "(" in text else 0


def _closing(text: str) -> int:
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at
    return -1


def _read(text: str) -> Any:
    if text.startswith("(") and text.endswith(")"):
        return parse_spec(text)
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)
    return text


def _write(value: Any) -> str:
    if isinstance(value, Spec):
        return f"({value})"
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_mapping(source: Mapping[str, Any]) -> Spec:
    params = dict(source)
    name = params.pop("name", None)
    if not isinstance(name, str) or not name:
        raise UsageError(f"a spec in the long form has a `name`, but {dict(source)!r} has none")
    nested = {k: parse_spec(v) if isinstance(v, Mapping) else v for k, v in params.items()}
    return Spec(name, nested)


#: Name of a part that is chosen by the language of the texts.
AUTO = "auto"


def auto_spec(part: object) -> Spec | None:
    """The spec of a part that is to be chosen, with the parameters of whichever is taken; None for any other part."""
    if not isinstance(part, str | Mapping | Spec):
        return None
    spec = parse_spec(part)
    return spec if spec.name == AUTO else None
