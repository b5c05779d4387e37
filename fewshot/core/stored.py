"""Reading JSON that this program has written, or somebody else: an object of the expected shape, or one clear error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fewshot.core.errors import StorageError
from fewshot.core.spec import Spec

_PLAIN = (str, int, float, bool, NoneType)


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


def checked(schema: Any, value: Any, origin: str | Path) -> Any:
    """The value as it was given, if it is of this type, or what a model of pydantic describes.

    Raises:
        StorageError: it is not; the message names the place in the value.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(schema).validate_python(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the content"
        raise StorageError(f"{origin} is damaged: {place}: {first['msg'][:1].lower()}{first['msg'][1:]}") from error
    return value


def known_arguments(cls: type, stored: Any, names: Iterable[str], origin: str | Path) -> dict[str, Any]:
    """The stored arguments of a class, if it knows each of them and each is of its type. Nothing else is ever set.

    Args:
        cls: a dataclass.
        names: of the arguments that are stored.

    Raises:
        StorageError: another argument, or a value of another type.
    """
    stored, known = checked(dict[str, Any], stored, origin), set(names)
    if unknown := sorted(stored.keys() - known):
        raise StorageError(
            f"{origin} sets {unknown[0]!r}, which {cls.__name__} does not know: it is damaged, or another version's"
        )
    hints = get_type_hints(cls)
    for name, value in stored.items():
        checked(_plain(hints[name]), value, f"{origin} ({name})")
    return stored


def _plain(hint: Any) -> Any:
    """What of a type can be stored as JSON; specs are texts or mappings."""
    options = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = [option for option in options if option in _PLAIN or get_origin(option) is Literal]
    return Union[(*plain, Mapping[str, Any])] if Spec in options else Union[tuple(plain)]  # noqa: UP007 - built here
