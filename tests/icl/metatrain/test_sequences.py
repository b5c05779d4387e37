"""Sequences: nothing but the demonstrations tells the answer, and they are written as prompts are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from evals.types import Label, Query
from fewshot.core.errors import UsageError
from icl.metatrain.sequences import Classes, EpisodeMaterial, Mixture, Objective, draw_sequence
from icl.metatrain.words import lexicon
from icl.prompt import PromptBuilder
from tests.icl.metatrain.toys import Texts, episodes, task

MIXTURE = Mixture({"random": 1.0}, ("minimal",), way=2, examples=8, instruction=0.0)
N = 600


def sequences(mixture: Mixture = MIXTURE, n: int = N):
    return [draw_sequence(Texts(), mixture, lexicon(), 0, at) for at in range(n)]


def test_a_sequence_is_a_function_of_its_number() -> None:
    assert sequences(n=20) == sequences(n=20)
    assert len({each.text for each in sequences(n=20)}) == 20


def test_a_pair_shows_the_same_texts_with_the_words_exchanged() -> None:
    found = sequences()
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert one.classes == other.classes
        assert one.words == other.words[::-1]
        blank = [each.text.replace(each.words[0], "?").replace(each.words[1], "?") for each in (one, other)]
        assert blank[0] == blank[1]


def test_where_classes_keep_their_words_a_pair_shows_different_texts() -> None:
    found = sequences(replace(MIXTURE, words={"canonical": 1.0, "random": 1.0}))
    own = [pair for pair in zip(found[::2], found[1::2], strict=True) if pair[0].kind == "canonical"]
    assert N / 8 < len(own) < N * 3 / 8
    assert all(other.kind == "canonical" for _, other in own)
    assert sum(one.text == other.text for one, other in own) < len(own) / 20


@pytest.mark.parametrize("objective", ["direct", "channel"])
def test_certainty_stays_with_its_text(objective: Objective) -> None:
    certain = {f"text {at}": at / 100 for at in range(100)}

    class Unsure:
        def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
            texts = [[f"text {at}" for at in random.permutation(50)[:n] + 50 * c] for c in range(2)]
            columns = tuple(tuple(Query("", text) for text in column) for column in texts)
            likely = tuple(tuple(certain[text] for text in column) for column in texts)
            return Classes(task().info, (Label("a", "A"), Label("b", "B")), columns, likely)

    for at in range(20):
        found = draw_sequence(Unsure(), replace(MIXTURE, objective=objective), lexicon(), 0, at)
        if objective == "channel":
            assert found.certainty == ()
        else:
            shown = re.findall(r"text \d+", found.text)
            assert [certain[text] for text in shown] == list(found.certainty)


def test_neither_position_nor_what_came_before_tells_the_next_word() -> None:
    """Every rule that looks at words and order alone is right half of the time, exactly."""
    rules = {
        "the last word": lambda words: words[-1],
        "the other word": lambda words: next(word for word in words if word != words[-1]),
        "the rarer word": lambda words: Counter(words).most_common()[-1][0],
        "the more frequent word": lambda words: Counter(words).most_common(1)[0][0],
        "the first in the alphabet": min,
    }
    right, asked = Counter(), 0
    for each in sequences():
        words = [each.words[c] for c in each.classes]
        for at, answerable in enumerate(each.answerable):
            if answerable:
                asked += 1
                right.update(name for name, rule in rules.items() if rule(words[:at]) == words[at])
    assert asked > 1000
    for name in rules:
        assert abs(right[name] / asked - 0.5) < 0.06, name
    assert right["the first in the alphabet"] * 2 == asked


def test_words_are_asked_once_they_were_shown_and_another_one_too() -> None:
    for each in sequences(replace(MIXTURE, way=4, examples=12), 100):
        for at, answerable in enumerate(each.answerable):
            before = each.classes[:at]
            assert answerable == (each.classes[at] in before and len(set(before)) > 1)


def test_canonical_words_are_asked_at_once() -> None:
    assert all(all(each.answerable) for each in sequences(replace(MIXTURE, words={"canonical": 1.0}), 20))


def test_a_sequence_is_what_a_prompt_is() -> None:
    mixture = Mixture({"canonical": 1.0}, ("named",), way=2, examples=4, instruction=1.0)
    info = replace(task().info, instruction="Yes or no?")
    material = EpisodeMaterial([replace(e, problem=replace(e.problem, task=info)) for e in episodes()[:4]])
    found = draw_sequence(material, mixture, lexicon(), 0, 0)
    words = [found.words[c] for c in found.classes]
    texts = [part.split("Text: ")[1].split("\nLabel:")[0] for part in found.text.split("\n\n")[1:-1]]
    builder = PromptBuilder("named", info, tuple(found.words))
    for text, word in zip(texts[:-1], words[:-1], strict=True):
        builder = builder.example(text, word)
    prompt = builder.build(texts[-1]).text
    assert found.text.startswith(prompt + builder.continuation(words[-1]))
    assert [found.text[span.start : span.stop] for span in found.spans] == [f" {word}" for word in words]


def test_the_channel_objective_writes_labels_first_and_targets_texts() -> None:
    found = draw_sequence(Texts(), replace(MIXTURE, objective="channel"), lexicon(), 0, 0)
    lines = found.text.splitlines()
    assert all(line.startswith(f"{found.words[c]}: ") for line, c in zip(lines, found.classes, strict=True))
    assert [found.text[span.start : span.stop] for span in found.spans] == [line.split(":")[1] for line in lines]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"words": {}}, "must not be negative"),
        ({"words": {"loud": 1.0}}, "unknown kind of label words 'loud'"),
        ({"objective": "both"}, "unknown objective 'both'"),
        ({"way": 1}, "at least 2 classes"),
    ],
    ids=["no words", "unknown words", "unknown objective", "one class"],
)
def test_mixtures_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(MIXTURE, **change)
