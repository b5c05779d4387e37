"""YAML without surprises: every scalar stays the string that was written, and keys cannot be given twice.

Plain YAML turns `no` into False, `012` into 10 and `null` into nothing, and lets a second key replace the first.
Here types come from the schema that reads the result (pydantic), which knows what was meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from fewshot.core.errors import TaskError

Path = tuple[str | int, ...]


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
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise TaskError(f"{origin}:{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    _refuse_anchors(text, origin)
    lines: dict[Path, int] = {}
    return Document(_convert(root, (), lines, origin) if root else {}, origin, lines)


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
