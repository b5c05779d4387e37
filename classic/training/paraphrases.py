"""Paraphrases by rules over words, for training on unlabelled texts, and the tasks that bring them along.

No model writes them, so a paraphrase holds no word that its text does not: Wei and Zou, EMNLP 2019, arXiv 1901.11196
(dropping and swapping words), and Dopierre et al., ACL 2021, arXiv 2105.12995 (no bigram of the text may stay).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import numpy as np

from classic.functional.unlabelled import UnlabelledTask
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.seeds import random_state

if TYPE_CHECKING:
    from classic.functional.base import TensorTask
    from classic.training.data import TaskSource, TextTable

Rule = Literal["diverse", "dropout", "swap", "bigram"]
#: Share of the words that are dropped, each by itself.
_DROPPED = 0.3
#: Words of a text, begun, for every two that change places.
_PER_SWAP = 5
#: Orders of the words that are drawn in search of one that keeps no bigram; a third of all keep none.
_TRIES = 30


def paraphrase(text: str, number: int, rule: Rule = "diverse") -> str:
    """One paraphrase of a text, a function of the text, the number and the rule. Of a single word there is none.

    Args:
        number: tells the paraphrases of a text apart.
        rule: "dropout" leaves words out; "swap" lets two words change places, for every five words begun;
            "bigram" orders all words anew so that none follows the one that it followed; "diverse" takes these in turn.

    >>> paraphrase("where is my new card", 1, "bigram")
    'new is where my card'
    """
    words, random = text.split(), random_state("paraphrase", text, number, rule)
    if len(words) < 2:
        return text
    chosen = get_args(Rule)[1:][number % 3] if rule == "diverse" else rule
    return " ".join(_RULES[chosen](words, random))


def _dropped(words: list[str], random: np.random.RandomState) -> list[str]:
    kept = random.random_sample(len(words)) >= _DROPPED
    # Something is left out, and something stays.
    if kept.all() or not kept.any():
        at = random.randint(len(words))
        kept[at] = not kept[at]
    return [word for word, stays in zip(words, kept, strict=True) if stays]


def _swapped(words: list[str], random: np.random.RandomState) -> list[str]:
    order = random.permutation(len(words))[: 2 * -(-len(words) // _PER_SWAP)]
    words = words.copy()
    for one, other in order.reshape(-1, 2):
        words[one], words[other] = words[other], words[one]
    return words


def _without_bigrams(words: list[str], random: np.random.RandomState) -> list[str]:
    """The order that keeps the fewest bigrams, none if one that was drawn keeps none."""
    bigrams = set(pairwise(words))
    orders = ([words[at] for at in random.permutation(len(words))] for _ in range(_TRIES))
    best, fewest = words, len(words)
    for order in orders:
        kept = sum(pair in bigrams for pair in pairwise(order))
        if kept < fewest:
            best, fewest = order, kept
        if kept == 0:
            break
    return best


_RULES: dict[str, Callable[[list[str], np.random.RandomState], list[str]]] = {
    "dropout": _dropped,
    "swap": _swapped,
    "bigram": _without_bigrams,
}


class FromUnlabelled(Protocol):
    """What an algorithm that learns from unlabelled texts says of them; its own arguments.

    Attributes:
        unlabelled: unlabelled texts of one training task; 0 trains on labels alone.
        paraphrases: of each of them.
        rule: how they are made.
        anneal: the share of the labelled loss at progress t is 1 - t ** anneal.
    """

    @property
    def unlabelled(self) -> int: ...

    @property
    def paraphrases(self) -> int: ...

    @property
    def rule(self) -> Rule: ...

    @property
    def anneal(self) -> float: ...


def check_unlabelled(how: FromUnlabelled) -> None:
    """Refuse arguments with which nothing could be learned from unlabelled texts. Raises UsageError."""
    if how.rule not in get_args(Rule):
        raise unknown_name("rule", how.rule, get_args(Rule))
    if how.unlabelled < 0 or how.unlabelled == 1:
        raise UsageError(f"unlabelled={how.unlabelled}: a text is told from others; give at least 2, or 0 for none")
    if how.paraphrases < 1:
        raise UsageError(f"paraphrases={how.paraphrases} is too small: give at least 1; unlabelled=0 does without")
    if not how.anneal > 0:
        raise UsageError(
            f"anneal={how.anneal} must be above 0: the share of the labelled loss is 1 - progress ** anneal"
        )


class ParaphrasedTasks:
    """A task source with unlabelled texts and their paraphrases beside each task.

    Args:
        tasks: the labelled part. table: where texts are rows.
        texts: to choose from; those of a single word are passed over.
        how: how many texts and paraphrases.
        n_tasks: after how many tasks training ends: the share of the labelled loss falls to 0 until then.
        seed: of the choice.

    Raises:
        UsageError: fewer texts of two words or more than a task needs.
    """

    def __init__(
        self, tasks: TaskSource, table: TextTable, texts: Sequence[str], how: FromUnlabelled, n_tasks: int, seed: int
    ) -> None:
        self.tasks = tasks
        self.table = table
        self.texts = [text for text in dict.fromkeys(texts) if len(text.split()) > 1]
        self.how = how
        self.n_tasks = n_tasks
        self.seed = seed
        self._known: dict[int, np.ndarray] = {}
        if len(self.texts) < how.unlabelled:
            raise UsageError(
                f"training has {len(self.texts)} texts of two words or more, and unlabelled={how.unlabelled} asks for "
                "more in every task; give a smaller number, or unlabelled=0 to train on labels alone"
            )

    def batch(self, start: int, stop: int) -> TensorTask:
        """Tasks start, ..., stop - 1: an `UnlabelledTask`, which is a `TensorTask` in all but its type."""
        import torch

        labelled = self.tasks.batch(start, stop)
        rows = np.stack([self._rows(at) for at in range(start, stop)])
        progress = np.minimum(np.arange(start, stop) / self.n_tasks, 1)
        share = torch.from_numpy(1 - progress**self.how.anneal).to(labelled.support_mask)
        return cast("Any", UnlabelledTask(*labelled, unlabelled_x=self.table.gather(rows), supervised_share=share))

    def _rows(self, at: int) -> np.ndarray:
        """(unlabelled, 1 + paraphrases) positions in the table of the texts of one task."""
        random = random_state(self.seed, "unlabelled", at)
        chosen = random.choice(len(self.texts), self.how.unlabelled, replace=False).tolist()
        for row in chosen:
            if row not in self._known:
                text = self.texts[row]
                views = [text, *(paraphrase(text, k, self.how.rule) for k in range(self.how.paraphrases))]
                self._known[row] = self.table.indices(views)
        return np.stack([self._known[row] for row in chosen])
