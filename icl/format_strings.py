"""Templates from format strings: `{input} => {output}` says how one example looks."""

from __future__ import annotations

from string import Formatter

from fewshot.core.errors import TemplateError
from icl.template import Template

#: Placeholder -> the variable of a template that it stands for. All others are fields of the examples.
_NAMES = {"input": "text", "text": "text", "output": "label", "label": "label"}
_INSTRUCTION = ("instruction", "{{ task.instruction }}")
_WRITE = 'write for instance "{input} => {output}"'


def template_of(format: str, separator: str | None = None) -> tuple[Template, tuple[str, ...]]:
    r"""The template of a format string, and the fields that it shows beside the input.

    Args:
        format: with `{input}` (or `{text}`), `{output}` (or `{label}`) at its end, and any other fields; braces that
            are meant are doubled.
        separator: stands between examples; by default a line end, or an empty line where an example has several lines.

    >>> template_of("{input} => {output}")[0].render("output", {"label": "fromage"})
    ' fromage'

    Raises:
        TemplateError: it does not show the input and then the output, or asks for more than values.
    """
    before, after, fields = _halves(format)
    between = ("\n\n" if "\n" in format.strip() else "\n") if separator is None else separator
    blocks = (("input", before), ("output", after), ("separator", _constant(between)))
    source = "".join(f"{{% block {name} %}}{content}{{% endblock %}}\n" for name, content in (_INSTRUCTION, *blocks))
    return Template(repr(format), source), fields


def _halves(format: str) -> tuple[str, str, tuple[str, ...]]:
    """The sources of the blocks `input` and `output`, and the fields."""
    halves, at, shown, fields = ["", ""], 0, [], {}
    for words, name, spec, conversion in _parsed(format):
        if name is None:
            halves[at] += _constant(words)
            continue
        variable = _variable(format, name, spec, conversion)
        if at and variable != "label":
            raise TemplateError(f"{format!r}: {{{name}}} stands behind the output, which the model writes last")
        if variable == "label" and not at:
            # A model is asked behind the last word: the blank before the output belongs to the output.
            kept = words.rstrip()
            halves[0] += _constant(kept)
            at, words = 1, words[len(kept) :]
        halves[at] += f"{_constant(words)}{{{{ {variable} }}}}"
        shown.append(variable)
        if variable not in ("text", "label"):
            fields[variable] = None
    for variable, placeholder in (("text", "input"), ("label", "output")):
        if variable not in shown:
            raise TemplateError(f"{format!r} does not show the {placeholder}; {_WRITE}")
    return halves[0], halves[1], tuple(fields)


def _parsed(format: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(format))
    except ValueError as error:
        raise TemplateError(f"{format!r} is no format: {error}. Braces that are meant are doubled: {{{{ }}}}") from None


def _variable(format: str, name: str, spec: str | None, conversion: str | None) -> str:
    if spec or conversion or not name.isidentifier():
        shown = f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
        raise TemplateError(f"{format!r}: {shown} is not the name of a value; {_WRITE}")
    if name in ("instruction", "task", "labels"):
        raise TemplateError(
            f"{format!r}: a format says how one example looks, and {{{name}}} is no part of one; give words that stand "
            "above all examples as instruction=..."
        )
    return _NAMES.get(name, name)


def _constant(words: str) -> str:
    """Jinja that prints these words, whatever they are."""
    for meant, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        words = words.replace(meant, written)
    return f'{{{{ "{words}" }}}}' if words else ""
