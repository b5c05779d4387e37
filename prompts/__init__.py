"""The prompt templates that are shipped. They are Jinja files; `icl.template` reads, checks and renders them."""

from __future__ import annotations

from importlib.resources import files

from fewshot.core.errors import unknown_name


def names() -> list[str]:
    """Names of the shipped templates, sorted."""
    return sorted(entry.name.removesuffix(".j2") for entry in files(__name__).iterdir() if entry.name.endswith(".j2"))


def source(name: str) -> str:
    """The Jinja source of one shipped template.

    Raises:
        UsageError: no template of that name is shipped.
    """
    if name not in names():
        raise unknown_name("template", name, names())
    return files(__name__).joinpath(f"{name}.j2").read_text(encoding="utf-8")
