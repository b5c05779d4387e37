"""Words that stand for labels: own, synonyms, other languages, letters, unrelated ones, exchanged among the classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict

from evals.types import Label, Problem
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.seeds import random_state
from fewshot.core.strict_yaml import parse_yaml, validated

#: canonical: the classes' own words. permuted: the same, exchanged among the classes in half of the sequences.
#: synonyms, foreign: other words for the same, in the language of the task or in another. random: unrelated words.
WordKind = Literal["canonical", "permuted", "synonyms", "foreign", "letters", "random"]
WORD_KINDS: tuple[WordKind, ...] = get_args(WordKind)

#: What a trained model is tested on: own words, own words exchanged, letters it never saw together.
TestWords = Literal["canonical", "swapped", "letters"]
TEST_WORDS: tuple[TestWords, ...] = get_args(TestWords)


class Family(BaseModel):
    """A set of classes for which other words are known.

    Attributes:
        classes: label names.
        synonyms: language -> rows of one word per class, in the order of `classes`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    classes: tuple[str, ...]
    synonyms: Mapping[str, tuple[tuple[str, ...], ...]]


class Lexicon(BaseModel):
    """The words that classes are called by in training.

    Attributes:
        letters: alphabets, each in two halves; a training sequence takes its letters from one half.
        neutral: words that have nothing to do with any class.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    families: tuple[Family, ...]
    letters: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    neutral: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """Every word once."""
        synonyms = [word for each in self.families for rows in each.synonyms.values() for row in rows for word in row]
        letters = [letter for halves in self.letters for half in halves for letter in half]
        return tuple(dict.fromkeys([*synonyms, *letters, *self.neutral]))

    def rows(self, labels: Sequence[Label], language: str, kind: WordKind) -> list[tuple[str, ...]]:
        """Rows of words for these classes, one word per class; none where the lexicon knows none."""
        names = [label.name for label in labels]
        family = next((each for each in self.families if set(names) <= set(each.classes)), None)
        if kind in ("canonical", "permuted"):
            return [tuple(label.verbalizer for label in labels)]
        if kind in ("synonyms", "foreign") and family is not None:
            at = [family.classes.index(name) for name in names]
            own = language.split("-")[0]
            chosen = [rows for code, rows in family.synonyms.items() if (code == own) == (kind == "synonyms")]
            return [tuple(row[i] for i in at) for rows in chosen for row in rows]
        if kind == "letters":
            return [half for halves in self.letters for half in halves if len(half) >= len(names)]
        if kind == "random" and len(self.neutral) >= len(names):
            return [self.neutral]
        return []


@cache
def lexicon() -> Lexicon:
    """The lexicon that comes with the program."""
    text = (resources.files("icl.metatrain") / "words.yaml").read_text(encoding="utf-8")
    document = parse_yaml(text, "words.yaml")
    return validated(Lexicon, document, document.data)


def check_shares(shares: Mapping[WordKind, float]) -> None:
    """Refuse shares of word kinds that cannot be drawn from.

    Raises:
        UsageError: an unknown kind, a negative share, or nothing at all.
    """
    for kind in shares:
        if kind not in WORD_KINDS:
            raise unknown_name("kind of label words", kind, WORD_KINDS)
    if min(shares.values(), default=0) < 0 or not sum(shares.values()):
        raise UsageError("the shares of label words must not be negative, and one of them must be above 0")


def draw_words(
    labels: Sequence[Label],
    language: str,
    shares: Mapping[WordKind, float],
    known: Lexicon,
    random: np.random.RandomState,
    turn: int,
) -> tuple[WordKind, tuple[str, ...]]:
    """A kind, and one word per class.

    Two turns with the same generator give the same words to other classes: over both, with two classes, every word
    stands for every class exactly once. Only canonical words always stand for their own class.

    Args:
        shares: how often each kind is drawn; a kind that has no words for these classes is left out.
        turn: 0 or 1.
    """
    rows = {kind: known.rows(labels, language, kind) for kind, share in shares.items() if share > 0}
    usable: list[WordKind] = [kind for kind in WORD_KINDS if rows.get(kind)]
    if not usable:
        raise UsageError(f"no label words of the kinds {', '.join(shares)} for {len(labels)} classes; add canonical")
    weights = np.array([shares[kind] for kind in usable])
    kind: WordKind = usable[int(random.choice(len(usable), p=weights / weights.sum()))]
    row = rows[kind][random.randint(len(rows[kind]))]
    if kind in ("letters", "random"):
        row = tuple(row[at] for at in random.permutation(len(row))[: len(labels)].tolist())
    first, step = random.randint(len(labels)), 1 + random.randint(max(1, len(labels) - 1))
    return kind, _rotated(row, 0 if kind == "canonical" else first + turn * step)


def reworded(problem: Problem, kind: TestWords, known: Lexicon, seed: int = 0) -> Problem:
    """The problem with other words for its labels; labels, texts and gold stay as they are."""
    labels = problem.labels
    if kind == "canonical":
        return problem
    if kind == "swapped":
        words = _rotated([label.verbalizer for label in labels], 1)
    elif kind == "letters":
        words = _unseen_letters(len(labels), known, random_state(seed, problem.id, "letters"))
    else:
        raise unknown_name("label words of a test", kind, TEST_WORDS)
    changed = tuple(replace(label, verbalizer=word) for label, word in zip(labels, words, strict=True))
    return replace(problem, labels=changed)


def refuse_collisions(words: Sequence[str], ids: Callable[[str], Sequence[int]]) -> None:
    """Two words that are one and the same to a tokenizer cannot stand for two classes.

    Args:
        ids: the tokens of a word as it is written after a text.

    Raises:
        UsageError: naming the words.
    """
    seen: dict[tuple[int, ...], str] = {}
    for word in words:
        twin = seen.setdefault(tuple(ids(word)), word)
        if twin != word:
            raise UsageError(
                f"the label words {twin!r} and {word!r} are the same tokens to this model, which does not know their "
                "characters; use a model of the language, or other verbalizers in the task card"
            )


def _unseen_letters(n: int, known: Lexicon, random: np.random.RandomState) -> tuple[str, ...]:
    alphabets = [halves for halves in known.letters if 2 * min(map(len, halves)) >= n]
    if not alphabets:
        raise UsageError(f"no alphabet has {n} letters")
    one, other = alphabets[random.randint(len(alphabets))]
    pairs = zip(random.permutation(one).tolist(), random.permutation(other).tolist(), strict=False)
    letters: list[str] = [letter for pair in pairs for letter in pair]
    return _rotated(letters[:n], random.randint(n))


def _rotated(words: Sequence[str], by: int) -> tuple[str, ...]:
    by %= len(words)
    return (*words[by:], *words[:by])
