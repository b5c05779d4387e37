"""How the golds of a kind are written in a prompt, and how what a model wrote is read: strictly, never guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from evals.content import TOKENS
from evals.kinds import brackets
from evals.tagged import entities_of, tags_of
from evals.types import Example, Gold, Problem, Query, Status
from fewshot.core.errors import UsageError
from fewshot.core.hashing import text_key
from icl.prompt import on_one_line
from icl.scoring.parse import parse_label

#: What is written where no label holds, by language; the second one where the first is the word of a label.
_NONE = {"ko": ("없음", "해당 없음"), "en": ("none", "none of them")}
#: What is said where the card says nothing, by kind and language.
_ASKED = {
    "multilabel": {"ko": "해당하는 라벨을 모두 쓰세요.", "en": "Write all labels that hold."},
    "tagging": {
        "ko": "글을 그대로 다시 쓰고, 개체마다 뒤에 태그를 붙이세요.",
        "en": "Write the text again, each entity followed by its tag.",
    },
}
#: Signs between labels: the first that stands in none of them.
_BETWEEN = (",", ";", "|", "/")
#: Entities that a text of so many characters has at most, as far as the room for an answer goes.
_PER_ENTITY = 8


class Form(Protocol):
    """How the answers of one problem are written."""

    def instruction(self) -> str:
        """What is said of the task."""
        ...

    def write(self, example: Example) -> str:
        """The gold of a support example, on one line."""
        ...

    def longest(self) -> list[str]:
        """Answers of which none of the queries should need a longer one."""
        ...

    def read(self, text: str, query: Query) -> tuple[Gold | None, Status]:
        """The decision that a model wrote; None with the reason why it is none."""
        ...


def form_of(problem: Problem) -> Form:
    """The form for the kind of a problem's task. Raises UsageError where its labels cannot be written."""
    forms = {"multilabel": Labels, "tagging": Brackets, "generation": Words}
    return forms[problem.task.kind](problem)


@dataclass(frozen=True)
class Labels:
    """Labels in the order of the problem, with a sign between them."""

    problem: Problem

    def instruction(self) -> str:
        """The task's, with the labels that there are."""
        return f"{_instruction(self.problem)} ({self._joined([*self._words, self._none])})"

    def write(self, example: Example) -> str:
        held = [label.verbalizer for label in self.problem.labels if label.name in (example.label or ())]
        return self._joined(held) if held else self._none

    def longest(self) -> list[str]:
        return [self._joined([*self._words, self._none])]

    def read(self, text: str, query: Query) -> tuple[Gold | None, Status]:
        """Each item is exactly one of the labels; a JSON list is one too."""
        if not text.strip():
            return None, Status.UNPARSED
        if parse_label(text, [self._none])[0] is not None:
            return (), Status.OK
        held = set[str]()
        for item in _listed(text) or text.split(self._sign):
            choice, status = parse_label(item, self._words)
            if choice is None:
                return None, status
            held.add(self.problem.labels[choice].name)
        return tuple(sorted(held)), Status.OK

    @cached_property
    def _words(self) -> list[str]:
        return [label.verbalizer for label in self.problem.labels]

    @cached_property
    def _none(self) -> str:
        first, second = _NONE[_language(self.problem)]
        return second if text_key(first) in map(text_key, self._words) else first

    @cached_property
    def _sign(self) -> str:
        found = next((sign for sign in _BETWEEN if not any(sign in word for word in self._words)), None)
        if found is None:
            raise UsageError(
                f"the labels of {self.problem.task.name} hold each of the signs {' '.join(_BETWEEN)}, so that no list "
                "of them can be written; give them verbalizers without these signs, or use --method direct"
            )
        return found

    def _joined(self, words: Sequence[str]) -> str:
        return f"{'' if self._sign in ',;' else ' '}{self._sign} ".join(words)


@dataclass(frozen=True)
class Brackets:
    """The text again, with its entities in brackets."""

    problem: Problem

    def instruction(self) -> str:
        """The task's, with the tags that there are."""
        tags = ", ".join(f"[{label.verbalizer}]" for label in self.problem.labels)
        return f"{_instruction(self.problem)} ({tags})"

    def write(self, example: Example) -> str:
        words = {label.name: label.verbalizer for label in self.problem.labels}
        text, entities = entities_of(example.text, example.fields[TOKENS], example.label or ())
        named = [brackets.Entity(words[entity.type], entity.start, entity.end) for entity in entities]
        return on_one_line(brackets.written(text, named))

    def longest(self) -> list[str]:
        tag = max((f"{{}}[{label.verbalizer}]" for label in self.problem.labels), key=len, default="")
        return [query.text + tag * (2 + len(query.text) // _PER_ENTITY) for query in self.problem.queries]

    def read(self, text: str, query: Query) -> tuple[Gold | None, Status]:
        """The query's text, character by character but for white space, with tags of known types."""
        if not text.strip():
            return None, Status.UNPARSED
        known = {text_key(word): label.name for label in self.problem.labels for word in (label.name, label.verbalizer)}
        try:
            entities = brackets.read_in(text, query.text, lambda word: known.get(text_key(word)))
        except brackets.WrongBrackets:
            return None, Status.NOT_IN_LABELS if _is_marked(text, query.text) else Status.UNPARSED
        return tags_of(query.text, query.fields[TOKENS], entities), Status.OK


@dataclass(frozen=True)
class Words:
    """The expected text itself."""

    problem: Problem

    def instruction(self) -> str:
        return self.problem.task.instruction

    def write(self, example: Example) -> str:
        return on_one_line(str(example.label))

    def longest(self) -> list[str]:
        """Twice the longest of the support, or of the queries where nothing is shown."""
        shown = [self.write(row) for row in self.problem.support] or [row.text for row in self.problem.queries]
        return [2 * text for text in shown]

    def read(self, text: str, query: Query) -> tuple[Gold | None, Status]:
        return (text.strip(), Status.OK) if text.strip() else (None, Status.UNPARSED)


def _language(problem: Problem) -> str:
    return "ko" if problem.task.language.split("-")[0] == "ko" else "en"


def _instruction(problem: Problem) -> str:
    return problem.task.instruction or _ASKED[problem.task.kind][_language(problem)]


def _listed(text: str) -> list[str] | None:
    """The strings of a JSON list; None where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and found and all(isinstance(item, str) for item in found) else None


def _is_marked(sentence: str, text: str) -> bool:
    """Whether a sentence marks entities of whatever types in a text."""
    try:
        brackets.read_in(sentence, text)
    except brackets.WrongBrackets:
        return False
    return True
