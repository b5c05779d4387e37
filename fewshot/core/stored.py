"""Reading JSON that this program has written, or somebody else: an object of the expected shape, or one clear error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from fewshot.core.errors import StorageError
from fewshot.core.spec import Spec

_PLAIN = (str, int, float, bool, NoneType, list[str])


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        StorageError: it cannot be read, or holds something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is damaged: it is not UTF-8") from error
    return parse_object(text, path)


def parse_object(text: str, origin: str | Path) -> dict[str, Any]:
    """The JSON object in a text.

    Args:
        origin: where the text is from, for the message.

    Raises:
        StorageError: it is no JSON, too deep, or no object.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise StorageError(f"{origin} is damaged: it is nested too deeply") from error
    except ValueError as error:
        raise StorageError(f"{origin} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise StorageError(f"{origin} is damaged: a JSON object is expected")
    return content


def parsed(schema: Any, value: Any, origin: str | Path, *, strict: bool = False) -> Any:
    """The value as an instance of a type that pydantic knows.

    Args:
        origin: where it is from, for the message.
        strict: whether nothing is converted, not even "1" to 1.

    Raises:
        StorageError: it is of another shape; the message names the place in the value.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(schema).validate_python(value, strict=strict)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the content"
        raise StorageError(f"{origin} is damaged: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error


def checked(schema: Any, value: Any, origin: str | Path) -> Any:
    """The value as it was given, if it is of this type to the letter. Raises as `parsed`."""
    parsed(schema, value, origin, strict=True)
    return value


def known_arguments(hints: Mapping[str, Any], stored: Any, origin: str | Path) -> dict[str, Any]:
    """Stored arguments, if each of them is known and of its type: nothing else is ever taken.

    Args:
        hints: the types of the arguments that may be stored, by name.

    Raises:
        StorageError: another argument, or a value of another type.
    """
    checked(dict[str, Any], stored, origin)
    if unknown := sorted(stored.keys() - hints.keys()):
        raise StorageError(f"{origin} sets {unknown[0]!r}, which is not known: it is damaged, or another version's")
    for name, value in stored.items():
        checked(_plain(hints[name]), value, f"{origin} ({name})")
    return stored


def _plain(hint: Any) -> Any:
    """What of a type can be stored as JSON: specs are texts or mappings, paths are texts."""
    if get_origin(hint) is Annotated:
        return _plain(get_args(hint)[0])
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = {str if option is Path else option for option in options if option in (*_PLAIN, Path) or _is_choice(option)}
    return Union[(*plain, Mapping[str, Any])] if Spec in options else Union[tuple(plain)]  # noqa: UP007 - built here


def _is_choice(option: Any) -> bool:
    return get_origin(option) is Literal
