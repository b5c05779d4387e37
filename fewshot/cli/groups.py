"""Groups of options that several commands take: declared once, as a dataclass, and added to a command by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar, get_type_hints

_Command = TypeVar("_Command", bound=Callable[..., Any])


def with_options(*groups: type) -> Callable[[_Command], _Command]:
    """Add the fields of dataclasses to the options of a command, after its own. It finds them in `ctx.params`.

    Args:
        groups: their fields are annotated as options of typer and have defaults; a field that a command declares
            itself is left to it.
    """

    def decorate(command: _Command) -> _Command:
        signature = inspect.signature(command, eval_str=True)
        own = dict(signature.parameters)
        added = {
            field.name: inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for group, hints in ((group, get_type_hints(group, include_extras=True)) for group in groups)
            for field in fields(group)
            if field.name not in own
        }

        @wraps(command)
        def run(**given: Any) -> Any:
            return command(**{name: value for name, value in given.items() if name in own})

        parameters = {**own, **added}
        run.__signature__ = signature.replace(  # pyright: ignore[reportAttributeAccessIssue]
            parameters=[p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters.values()]
        )
        run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        return run  # pyright: ignore[reportReturnType]

    return decorate


def names(group: type) -> tuple[str, ...]:
    """The names of a group's options."""
    return tuple(field.name for field in fields(group))
