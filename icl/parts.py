"""What the exchangeable parts of prompting have in common: a name, parameters, and being built from a spec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from evals.learner import described
from fewshot.core.registry import Registry
from fewshot.core.spec import Spec

#: How a part may be given: one-line spec, long form, parsed spec, or the part itself.
PartLike = str | Mapping[str, Any] | Spec | Any


class Part:
    """Base of selectors, orderings, scorers and calibrators: frozen dataclasses whose fields are their parameters.

    Fields that do not decide a result (where a model runs) are declared with `compare=False`.
    """

    name: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """Name and parameters, JSON-ready."""
        params = [part.name for part in fields(self) if part.compare]  # pyright: ignore[reportArgumentType]
        return {"name": self.name, **{name: described(getattr(self, name)) for name in params}}


def between(value: object, lowest: float, highest: float = math.inf) -> bool:
    """Whether a parameter, which a spec may spell as it likes, is a number in a range."""
    return isinstance(value, int | float) and not isinstance(value, bool) and lowest <= value <= highest


def resolve(registry: Registry, part: PartLike, **context: Any) -> Any:
    """Build the part that a spec names; a part that is already built is returned as it is."""
    return registry.build(part, **context) if isinstance(part, (str, Mapping, Spec)) else part
