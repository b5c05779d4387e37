"""What stands in for a language model: it answers with the label of the demonstration that resembles the query most.

It reads prompts as they are sent, completion text as well as chat turns, and knows nothing but what they show. That
makes it accurate where similar texts have equal labels, and reproducible everywhere.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from fewshot.core.hashing import digest, text_key

_SHARPNESS = 8.0
_NO_LABEL = "unknown"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation; completion text is a single user turn."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a prompt says.

    Attributes:
        demonstrations: (text, label) of each.
        query: the text that is asked about.
        labels: those that the instruction lists, if it does.
    """

    demonstrations: tuple[tuple[str, str], ...]
    query: str
    labels: tuple[str, ...] = ()


def turns_of(body: Mapping[str, Any]) -> tuple[Turn, ...]:
    """The conversation in a request body of any endpoint, the system prompt first."""
    said = body.get("messages", body.get("input")) or ()
    if isinstance(said, str):
        said = [{"role": "user", "content": said}]
    system = text_of(body.get("system") or body.get("instructions"))
    head = (Turn("system", system),) if system else ()
    return head + tuple(Turn(str(turn.get("role")), text_of(turn.get("content"))) for turn in said)


def text_of(content: Any) -> str:
    """The text of a message's content, given as a string or as a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for part in content or ())


def prompt_text(turns: Sequence[Turn]) -> str:
    """The whole conversation as one text."""
    return "".join(f"{turn.role}: {turn.text}\n" for turn in turns)


def read(turns: Sequence[Turn]) -> Reading:
    """Find the demonstrations: pairs of user and assistant turns, or else lines in the last user turn."""
    asked = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if not asked:
        return Reading((), "")
    query = turns[asked[-1]].text
    shown = tuple(
        (first.text, _bare_label(second.text))
        for first, second in pairwise(turns[: asked[-1]])
        if (first.role, second.role) == ("user", "assistant")
    )
    system = "".join(turn.text for turn in turns if turn.role in ("system", "developer"))
    listed = _listing(system.rpartition(": ")[2])
    found = Reading(shown, query) if shown else _read_completion(query)
    return replace(found, labels=found.labels or listed)


def _listing(text: str) -> tuple[str, ...]:
    """The labels of `positive, negative`; none where this is no list."""
    names = tuple(text.strip().split(", "))
    return names if len(names) > 1 and "\n" not in text.strip() else ()


def _bare_label(answer: str) -> str:
    """The label of an answer, which may be wrapped in a JSON object of one value."""
    try:
        value = json.loads(answer)
    except ValueError:
        return answer.strip()
    if isinstance(value, dict) and len(value) == 1:
        return str(next(iter(value.values())))
    return answer.strip()


def _read_completion(prompt: str) -> Reading:
    """Demonstrations in running text: whatever ends the prompt (`->`, `Label:`) also stood before every label."""
    *_, last_line = prompt.rstrip().rpartition("\n")
    marker = last_line if last_line.endswith(":") else (last_line.split() or [""])[-1]
    if not marker or marker[-1].isalnum():
        return Reading((), prompt)
    shown: list[tuple[str, str]] = []
    text, lines = prompt, []
    for line in prompt.rstrip().split("\n"):
        before, found, label = line.rpartition(marker)
        lines.append(before if found else line)
        if found and label.strip():
            shown.append(("\n".join(lines), label.strip()))
        if found:
            text, lines = "\n".join(lines), []
    listed = _listing(shown[0][1]) if shown else ()
    if listed and {label for _, label in shown[1:]} <= set(listed):
        return Reading(tuple(shown[1:]), text, listed)
    return Reading(tuple(shown), text)


def judge(reading: Reading, labels: Sequence[str] = ()) -> dict[str, float]:
    """A probability for every label, the most probable first.

    Args:
        reading: the prompt.
        labels: those allowed. Default: those of the demonstrations, or else those that the instruction lists.

    Returns:
        Label -> softmax over the labels of the similarity between the query and the nearest demonstration. Without
        demonstrations one label gets nearly everything, chosen by a hash of the query.
    """
    shown = sorted({label for _, label in reading.demonstrations})
    known = dict.fromkeys(labels or shown or reading.labels or (_NO_LABEL,), 0.0)
    if not reading.demonstrations:
        chosen = int(digest(text_key(reading.query))[:8], 16) % len(known)
        known[list(known)[chosen]] = 1.0
    for label, similarity in _similarities(reading):
        if label in known:
            known[label] = max(known[label], similarity)
    weights = {label: math.exp(_SHARPNESS * score) for label, score in known.items()}
    total = sum(weights.values())
    return {label: weights[label] / total for label in sorted(weights, key=lambda label: -weights[label])}


def _similarities(reading: Reading) -> list[tuple[str, float]]:
    """Cosine between the n-grams of the query and of each demonstration, rare ones counting more.

    Sums are exact (fsum): sets come in an order that differs from process to process.
    """
    grams = [_grams(text) for text, _ in reading.demonstrations]
    frequency = Counter(gram for found in grams for gram in found)
    weight = {gram: math.log((1 + len(grams)) / count) ** 2 for gram, count in frequency.items()}
    unseen = math.log(1 + len(grams)) ** 2
    asked = _grams(reading.query)
    length = math.fsum(weight.get(gram, unseen) for gram in asked)
    return [
        (
            label,
            math.fsum(weight[gram] for gram in found & asked)
            / math.sqrt(max(length, 1e-12) * max(math.fsum(weight[gram] for gram in found), 1e-12)),
        )
        for (_, label), found in zip(reading.demonstrations, grams, strict=True)
    ]


@lru_cache(maxsize=4096)
def _grams(text: str) -> frozenset[str]:
    """Character bigrams and trigrams."""
    padded = f" {text_key(text)} "
    return frozenset(padded[at : at + size] for size in (2, 3) for at in range(len(padded) - size + 1))
