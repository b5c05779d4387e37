"""Prompt templates: four Jinja blocks, read once, checked once, rendered many times.

A template says how one example looks; it computes nothing. Data reach it as values and are never compiled, so
`{{ 7*7 }}` in a review is printed as it stands. What a template may do is a short list of Jinja nodes (print, branch,
one level of loop): without calls, arithmetic and assignment its work is bounded by its size and its data.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

import prompts
from evals.types import TaskInfo
from fewshot.core.errors import TemplateError
from fewshot.core.hashing import digest

#: Characters of a template's source.
MAX_SOURCE = 64 * 1024
#: Characters of one rendered block.
MAX_RENDERED = 32 * 1024 * 1024

#: What each block may use beside the fields that the task declares (those: `input` only).
_VARIABLES = {
    "instruction": {"task", "labels"},
    "input": {"task", "labels", "text"},
    "output": {"task", "labels", "label"},
    "separator": set[str](),
}
_NODES = (
    *(nodes.Template, nodes.Block, nodes.Output, nodes.TemplateData, nodes.If, nodes.For),
    *(nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Keyword),
    *(nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.CondExpr),
)
_FILTERS = ("trim", "upper", "lower", "capitalize", "title", "length", "default", "first", "last", "truncate")


class _TooLong(Exception):
    """A block grows beyond `MAX_RENDERED`."""


def _join(items: Iterable[Any], between: str = "") -> str:
    """Jinja's `join`, which looks at the size of its result first: it is the only filter whose result multiplies."""
    words = [str(item) for item in items]
    if sum(map(len, words)) + len(words) * len(between) > MAX_RENDERED:
        raise _TooLong
    return between.join(words)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False, loader=None)
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS} | {"join": _join}
    return environment


_ENVIRONMENT = _environment()


@dataclass(frozen=True)
class Template:
    """One template.

    Attributes:
        name: name of a shipped template, or the path of a file; errors begin with it.
        source: Jinja text that defines the blocks `input` and `output`, and may define `instruction` and `separator`.

    Raises:
        TemplateError: on construction, when the source is not usable; the message names the line.
    """

    name: str
    source: str

    def __post_init__(self) -> None:
        if len(self.source) > MAX_SOURCE:
            raise TemplateError(f"{self.name}: {len(self.source)} characters; a template has at most {MAX_SOURCE}")
        try:
            tree = _ENVIRONMENT.parse(self.source, self.name)
            self._check_nodes(tree)
            _ = self._compiled
        except jinja2.TemplateSyntaxError as error:
            raise self._error(error.lineno, str(error.message)) from error
        except RecursionError as error:
            raise TemplateError(f"{self.name}: expressions are nested too deeply") from error
        self._check_blocks(tree)

    @classmethod
    def load(cls, name: str | Path | Template) -> Template:
        """A shipped template by name, or a file of the user's own by its path (ending in `.j2`).

        Raises:
            TemplateError: the file cannot be read, or is not usable.
            UsageError: no template of that name is shipped.
        """
        if isinstance(name, Template):
            return name
        if not str(name).endswith(".j2"):
            return cls(str(name), prompts.source(str(name)))
        try:
            return cls(str(name), Path(name).read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise TemplateError(f"{name}: cannot read the template: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise TemplateError(f"{name}: the template is not UTF-8 (byte {error.start})") from error

    def describe(self) -> dict[str, Any]:
        """Name and content hash."""
        return {"name": self.name, "sha256": digest(self.source)}

    def render(self, block: str, values: dict[str, Any]) -> str:
        """Render one block; a block that is not defined is empty, an undefined separator is an empty line.

        Raises:
            TemplateError: a value is missing, or the result is too long.
        """
        if block not in self._compiled.blocks:
            return "\n\n" if block == "separator" else ""
        try:
            return "".join(_bounded(self._compiled.blocks[block](self._compiled.new_context(values))))
        except _TooLong as error:
            raise TemplateError(
                f"{self.name}: block {block!r} renders to more than {MAX_RENDERED} characters"
            ) from error
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise self._error(self._line_of(error), f"block {block!r}: {error}") from error

    def check(self, task: TaskInfo) -> None:
        """Check that the template fits a task: its variables exist, and the prompt does not end in white space.

        Raises:
            TemplateError: with the line at fault and the way to mend it.
        """
        for name, block in self._blocks.items():
            known = _VARIABLES[name] | (set(task.fields) if name == "input" else set())
            for variable in sorted(self._variables(block) - known):
                declared = ", ".join(task.fields) or "none"
                raise self._error(
                    _line_using(block, variable),
                    f"block {name!r} does not have {variable!r}. It has {', '.join(sorted(known)) or 'no variables'}; "
                    f"fields that task {task.name!r} declares: {declared}",
                )
        probe = dict.fromkeys(task.fields, "text") | {"task": task, "labels": ["label"], "text": "text"}
        shown = self.render("input", probe)
        if shown != shown.rstrip():
            raise self._error(
                self._blocks["input"].lineno,
                "the block 'input' ends in white space, so the model would be asked for a label after a blank that its "
                "tokens contain themselves. Move the white space to the beginning of block 'output'",
            )
        for name in ("instruction", "separator"):
            self.render(name, probe)
        self.render("output", {**probe, "label": "label"})

    def prints_instruction(self, task: TaskInfo) -> bool:
        """Whether an instruction of the task is shown anywhere in a prompt."""

        def shown(instruction: str) -> list[str]:
            told = dataclasses.replace(task, instruction=instruction)
            values = dict.fromkeys(task.fields, "text") | {"task": told, "labels": ["label"], "text": "text"}
            return [self.render(block, {**values, "label": "label"}) for block in _VARIABLES]

        return shown("7 words") != shown("7 signs")

    @cached_property
    def _compiled(self) -> jinja2.Template:
        code = _ENVIRONMENT.compile(self.source, self.name, self.name)
        return jinja2.Template.from_code(_ENVIRONMENT, code, {})

    @cached_property
    def _blocks(self) -> dict[str, nodes.Block]:
        return {block.name: block for block in _ENVIRONMENT.parse(self.source, self.name).find_all(nodes.Block)}

    def _check_nodes(self, tree: nodes.Template) -> None:
        """Refuse everything that computes, calls, assigns or loops in a loop."""
        for node, depth in _walk(tree):
            if not isinstance(node, _NODES):
                raise self._error(
                    node.lineno,
                    f"{type(node).__name__!r} is not possible in a template: print, branch and loop over values",
                )
            if isinstance(node, nodes.For) and depth > 1:
                raise self._error(node.lineno, "a loop inside of a loop is not possible in a template")

    def _check_blocks(self, tree: nodes.Template) -> None:
        for node in tree.body:
            loose = [data for data in node.find_all(nodes.TemplateData) if data.data.strip()]
            if not isinstance(node, nodes.Block) and (loose or not isinstance(node, nodes.Output)):
                raise self._error(node.lineno, "this stands outside of the blocks and would not be shown")
        for name, block in self._blocks.items():
            if name not in _VARIABLES:
                raise self._error(block.lineno, f"unknown block {name!r}; the blocks are {', '.join(_VARIABLES)}")
        for name, variable in (("input", "text"), ("output", "label")):
            if name not in self._blocks:
                raise self._error(1, f"there is no block {name!r}; write {{% block {name} %}}...{{% endblock %}}")
            if variable not in self._variables(self._blocks[name]):
                line = self._blocks[name].lineno
                raise self._error(line, f"block {name!r} does not show the {variable}; write {{{{ {variable} }}}}")

    @staticmethod
    def _variables(block: nodes.Block) -> set[str]:
        body = nodes.Template(block.body, lineno=block.lineno)
        body.set_environment(_ENVIRONMENT)
        return meta.find_undeclared_variables(body)

    def _error(self, line: int | None, message: str) -> TemplateError:
        return TemplateError(f"{self.name}:{line}: {message}" if line else f"{self.name}: {message}")

    def _line_of(self, error: BaseException) -> int | None:
        """The template line of an error that came up while rendering."""
        for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
            if frame.f_code.co_filename == self.name:
                return self._compiled.get_corresponding_lineno(line)
        return None


def _bounded(pieces: Iterator[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MAX_RENDERED:
            raise _TooLong
        yield piece


def _walk(node: nodes.Node, depth: int = 0) -> Iterator[tuple[nodes.Node, int]]:
    """Every node below `node` with the number of loops it stands in, itself included."""
    depth += isinstance(node, nodes.For)
    yield node, depth
    for child in node.iter_child_nodes():
        yield from _walk(child, depth)


def _line_using(block: nodes.Block, variable: str) -> int:
    return next((name.lineno for name in block.find_all(nodes.Name) if name.name == variable), block.lineno)
