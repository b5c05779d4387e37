"""Pages of HTML: templates that escape what they are given, one style, and a policy that lets no data become code."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache, partial
from importlib import resources
from typing import Any

from evals import wording
from evals.report.svg import cleaned

#: With `{script}` and `{style}` hashes: nothing is fetched, and no other script or style runs.
_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
)
_HOME = "evals.report"


def assets(script: str, package: str = _HOME) -> dict[str, str]:
    """What a page is made of: the `style` of all, its `script`, and the `policy` that allows these two alone.

    Args:
        script: a file of the package.
    """
    style, code = _read("style.css", _HOME), _read(script, package)
    return {"style": style, "script": code, "policy": _POLICY.format(script=_hash(code), style=_hash(style))}


@cache
def template(name: str, package: str = _HOME) -> Any:
    """A template of a package: what it is given is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= {
        "percent": percent,
        "points": partial(wording.points, signed=True),
        "lead": partial(wording.lead, signed=True),
        "p": wording.p_number,
        "cost": cost,
        "usd": lambda value: "unknown" if value is None else f"{value:.4g}",
    }
    return environment.get_template(name)


def percent(value: float | None) -> str:
    """A share in percent, with one decimal; a dash for none."""
    return "–" if value is None or math.isnan(value) else wording.percent(value)


def cost(seconds: float) -> str:
    """Seconds in a readable unit."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _finalized(value: Any) -> Any:
    """Control characters of data do not reach the page; what is markup already is left alone."""
    from markupsafe import Markup

    return cleaned(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


@cache
def _read(name: str, package: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
