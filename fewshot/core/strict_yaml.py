"""YAML without surprises: every scalar stays the string that was written, and keys cannot be given twice.

Plain YAML turns `no` into False, `012` into 10 and `null` into nothing, and lets a second key replace the first.
Here types come from the schema that reads the result (pydantic), which knows what was meant.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from fewshot.core.errors import TaskError

Path = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        data: mappings, lists and strings.
        origin: the file's name, for messages.
        lines: path of a value -> its line number, from 1.
    """

    data: Any
    origin: str
    lines: dict[Path, int]

    def where(self, path: Path) -> str:
        """`file:line` of a value, or of the nearest enclosing one that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.origin}:{self.lines.get(path, 1)}"


def parse_yaml(text: str, origin: str) -> Document:
    """Parse one YAML document.

    Raises:
        TaskError: syntax errors, duplicate keys, anchors and tags, each with its line.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        _refuse_anchors(text, origin)
        lines: dict[Path, int] = {}
        return Document(_convert(root, (), lines, origin) if root else {}, origin, lines)
    except RecursionError as error:
        raise TaskError(f"{origin}: nested too deeply") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise TaskError(f"{origin}:{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error


def validated(model: type[Model], document: Document, data: Mapping[str, Any], prefix: Path = ()) -> Model:
    """Read a mapping of a document as a pydantic model.

    Args:
        data: the document's mapping, or one that was made from it.
        prefix: where in the document to look first for the line of a value.

    Raises:
        TaskError: the first thing that is wrong, with file, line and, for an unknown key, the nearest ones.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # A misspelt key explains the one that is missing.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        # Pydantic puts the name of a validating function among the keys.
        path = tuple(part for part in first["loc"] if not str(part).startswith("function-"))
        where = document.where((*prefix, *path) if (*prefix, *path) in document.lines else path)
        if first["type"] == "extra_forbidden":
            problem = "is not a known key" + (_nearest(str(path[-1]), model) if len(path) == 1 else "")
        else:
            message = first["msg"].removeprefix("Value error, ")
            problem = message[:1].lower() + message[1:]
        name = ".".join(map(str, path)) or "the file"
        raise TaskError(f"{where}: {name}: {problem}") from error


def _nearest(key: str, model: type[BaseModel]) -> str:
    near = difflib.get_close_matches(key, model.model_fields, n=2, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f" (known keys: {', '.join(model.model_fields)})"


def _refuse_anchors(text: str, origin: str) -> None:
    """Anchors make cards hard to read and can blow up to gigabytes."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise TaskError(f"{origin}:{line}: anchors and aliases are not supported; write the value out")
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            raise TaskError(f"{origin}:{line}: tags such as {tag} are not supported")


def _convert(node: yaml.Node, path: Path, lines: dict[Path, int], origin: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        return node.value
    if isinstance(node, yaml.SequenceNode):
        return [_convert(child, (*path, at), lines, origin) for at, child in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise TaskError(f"{origin}:{line}: a key must be plain text")
        key = key_node.value
        if key in mapping:
            raise TaskError(f"{origin}:{line}: the key {key!r} is given twice")
        mapping[key] = _convert(value_node, (*path, key), lines, origin)
        lines[(*path, key)] = line
    return mapping
