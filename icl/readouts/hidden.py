"""Hidden states: the class whose texts the model takes most alike, whatever its words for the label.

Cho et al., NAACL 2025, "Token-based Decision Criteria Are Suboptimal in In-context Learning" (arXiv 2406.16535): the
hidden state after the prompt tells the classes apart better than the probabilities of the labels' tokens. Class means
of labelled texts, read under the same prompt as the query, are the centroids.

Two things differ from the paper. The texts that are shown are read as well, since few are to be had; and the scores of
the labels count as one more text per class, as the names of labels do for learners on vectors: with one example per
class they decide as much as it does, with many next to nothing. `words=0` leaves them out.

Cost: the demonstrations, every support text and every query once, and every label once per query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from evals.types import Usage
from fewshot.core.errors import UsageError
from fewshot.encoders.prototypes import class_means, cosine_logits, normalized
from icl.models.base import LanguageModel, Prompt, ScoreRequest, ScoreResult, ShowsStates, States
from icl.readouts.base import Asking, OnePrompt, Read, classes_of, decided, not_asked
from icl.readouts.scores import label_scores

#: Cosine similarities are divided by it: it makes probabilities of them, and decides nothing but the weight of words.
_TEMPERATURE = 0.1


class _AtOnce:
    """A model that reads the states of some prompts along with the first labels that it is asked to score."""

    def __init__(self, model: ShowsStates, prompts: Sequence[Prompt], layers: Sequence[int]) -> None:
        self._model, self._prompts, self._layers = model, prompts, layers
        self._states: States | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        scored, self._states = self._model.read(requests, self._prompts, self._layers)
        return scored

    @property
    def states(self) -> States:
        """Those of the prompts, read now if no labels were scored."""
        return self._states or self._model.states(self._prompts, self._layers)


@dataclass(frozen=True)
class Hidden(OnePrompt):
    """Nearest class mean among the hidden states after the prompt.

    Args:
        layer: 0 is the token embedding; negative ones count from the end, -1 being what the vocabulary is read from.
            The default was best on validation classes.
        centre: whether the mean of the support is taken from every state first.
        words: as how many texts per class the scores of the labels count.
    """

    name = "hidden"
    use: ClassVar[str] = "compares with support texts"
    about_prompt: ClassVar[str] = (
        "readout 'hidden' reads the hidden state after this prompt, and after the same one for every support text"
    )

    layer: int = -3
    centre: bool = True
    words: float = 1.0

    def __post_init__(self) -> None:
        if self.words < 0:
            raise UsageError(f"readout 'hidden': words={self.words} is negative")

    def read(self, asking: Asking) -> Read:
        model, (plan,) = asking.model, asking.plans
        if not isinstance(model, ShowsStates):
            raise UsageError(f"model {model.name!r} shows no hidden states; use readout 'labels'")
        if self.words and not asking.scorer.gives_scores:
            raise UsageError("readout 'hidden' adds scores of labels, and written answers have none; use words=0")
        problem, n = asking.problem, len(asking.problem.queries)
        prompts = [query.prompt for query in plan.queries if query.prompt is not None]
        reading = _AtOnce(model, prompts, (self.layer,))
        words, usage, notes = np.zeros((n, len(problem.labels))), Usage(), ()
        if self.words:
            of_queries = replace(plan, queries=plan.queries[:n])
            words, usage, notes = label_scores(replace(asking, model=cast("LanguageModel", reading)), of_queries)
        found = reading.states
        asked = np.array([query.prompt is not None for query in plan.queries])
        states = np.full((len(asked), found.values.shape[-1]), np.nan)
        states[asked] = found.values[:, 0]
        anchors, classes = states[n:][asked[n:]], classes_of(problem)[asked[n:]]
        logits = self._logits(anchors, classes, states[:n], len(problem.labels))
        logits += words * self.words * len(problem.labels) / len(problem.support)
        usage += Usage(tokens_in=found.tokens_fresh, tokens_cached=found.tokens_shared)
        answers = [
            not_asked(query) if query.prompt is None else decided(problem.labels, row)
            for query, row in zip(plan.queries, logits, strict=False)
        ]
        return Read(tuple(answers), usage, notes=notes)

    def _logits(self, anchors: np.ndarray, classes: np.ndarray, queries: np.ndarray, n_way: int) -> np.ndarray:
        """(n_query, n_way) cosine similarities with the class means, divided by the temperature.

        Args:
            anchors: (n_anchors, d) states of the support texts. classes: (n_anchors,) integers in [0, n_way).
            queries: (n_query, d).
        """
        mean = anchors.mean(axis=0) if self.centre else 0.0
        prototypes = class_means(normalized(anchors - mean), classes, n_way)
        return cosine_logits(normalized(queries - mean), prototypes) / _TEMPERATURE
