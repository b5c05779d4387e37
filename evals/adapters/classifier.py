"""Any learner as a scikit-learn classifier of texts."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, Self, TypeVar

import numpy as np

from evals.adapters.inputs import InputError, in_order, known_labels, known_texts, names_of, plain_array
from evals.language import NONE, UNKNOWN
from evals.learner import Background, Context, Learner, for_task
from evals.rounds import in_rounds
from evals.types import Answer, Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import FewshotError, UsageError, unknown_name
from fewshot.core.hashing import digest
from fewshot.core.images import Image
from fewshot.core.wording import in_python, speaking_python

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
#: Set for work that is awaited: tells it to begin nothing further.
_CANCEL: ContextVar[threading.Event | None] = ContextVar("cancel", default=None)


class EpisodeClassifier:
    """Any learner as a scikit-learn classifier of texts: `fit` takes the support, `predict` asks the queries.

    It can be cloned, cross-validated and searched over, and works without scikit-learn.

    Args:
        learner: a learner, or the spec of one ("tfidf"). A learner object is used as it is, not copied.
        task: instruction, language and template for learners that use words; plain defaults where None.
        verbalizers: how labels are written in a prompt, {label: words}; their own text where missing.
        batch_size: queries per problem; None asks all at once. A transductive learner sees one batch at a time.
        on_failure: "raise", or "none" to predict None (and NaN probabilities) where the learner gave no answer.
        seed: for learners that draw at random.
        device: a torch device name, or "auto".
        trust: whether a trained learner that the spec loads may do more than compute; see SECURITY.md.

    Attributes:
        classes_: (n_classes,) the labels, sorted.
        learner_: the learner in use.

    Subclasses with another constructor store `task`, `verbalizers`, `batch_size`, `on_failure`, `seed` and `device`
    and override `_build_learner`.
    """

    _estimator_type = "classifier"

    def __init__(
        self,
        learner: Learner | str = "tfidf",
        *,
        task: TaskInfo | None = None,
        verbalizers: Mapping[Hashable, str] | None = None,
        batch_size: int | None = None,
        on_failure: Literal["raise", "none"] = "raise",
        seed: int = 0,
        device: str = "auto",
        trust: bool = False,
    ) -> None:
        self.learner = learner
        self.task = task
        self.verbalizers = verbalizers
        self.batch_size = batch_size
        self.on_failure = on_failure
        self.seed = seed
        self.device = device
        self.trust = trust

    def fit(self, texts: Iterable[str], labels: Iterable[Hashable]) -> Self:
        """Take labelled texts as the support.

        Args:
            texts: (n,) strings.
            labels: (n,) hashable labels, at least two different ones.

        Raises:
            InputError: other shapes or types, missing labels, a single class.
            UsageError: a task that is not a classification, an unknown learner or option.
        """
        if self.task is not None and self.task.kind != "classification":
            raise UsageError(f"an estimator classifies; task {self.task.name!r} is of kind {self.task.kind!r}")
        if self.on_failure not in ("raise", "none"):
            raise unknown_name("value of on_failure:", self.on_failure, ("raise", "none"))
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"batch_size {self.batch_size} is too small: give at least 1, or None for no batches")
        shown, golds = known_texts(texts), known_labels(labels)
        if len(shown) != len(golds):
            raise InputError(f"{len(shown)} texts, but {len(golds)} labels: give one label per text")
        classes = in_order(set(golds))
        if len(classes) < 2:
            raise InputError(
                f"a classifier needs at least 2 classes; the {len(golds)} labels given name {len(classes)} class"
            )
        names = dict(zip(classes, names_of(classes), strict=True))
        self.classes_ = plain_array(classes)
        self.labels_ = tuple(Label(name, (self.verbalizers or {}).get(label, name)) for label, name in names.items())
        self.support_ = in_rounds(
            Example(f"s{at}", text, names[label]) for at, (text, label) in enumerate(zip(shown, golds, strict=True))
        )
        with speaking_python():
            self.learner_ = for_task(self._build_learner(), self._info, self.labels_)
            self.learner_.prepare(Background(), self._context())
        return self

    def predict(self, texts: Iterable[str]) -> np.ndarray:
        """The most probable label of each text, (n,).

        Raises:
            FewshotError: the learner left texts unanswered and `on_failure` is "raise"; `predict_detailed` tells more.
        """
        answers = self._answers(texts)
        label_of = {label.name: value for label, value in zip(self.labels_, self.classes_.tolist(), strict=True)}
        decisions = [label_of[str(answer.decision)] if answer.status is Status.OK else None for answer in answers]
        return plain_array(decisions) if decisions else self.classes_[:0]

    def predict_proba(self, texts: Iterable[str]) -> np.ndarray:
        """(n, n_classes) probabilities in the order of `classes_`.

        Raises:
            UsageError: the learner gives no scores.
            FewshotError: as `predict`.
        """
        answers = self._answers(texts)
        unknown = (np.nan,) * len(self.labels_)
        if any(answer.status is Status.OK and answer.scores is None for answer in answers):
            raise UsageError(f"learner {self.learner_.name!r} gives decisions without scores; use predict")
        rows = [answer.scores if answer.status is Status.OK else unknown for answer in answers]
        return np.exp(np.array(rows, dtype=np.float64).reshape(len(answers), len(self.labels_)))

    def predict_detailed(self, texts: Iterable[str]) -> list[Answer]:
        """The learner's own answer to each text, failures included. Decisions are label names, as text."""
        if not self.__sklearn_is_fitted__():
            raise _not_fitted(f"this {type(self).__name__} is not fitted yet; call fit(texts, labels) first")
        asked = known_texts(texts)
        size = self.batch_size or max(len(asked), 1)
        problems = [self._problem(asked[start : start + size], start) for start in range(0, len(asked), size)]
        with speaking_python():
            done = self.learner_.predict(problems, self._context())
            answers = {prediction.problem_id: prediction.answers for prediction in done}
        if len(answers) < len(problems):
            raise FewshotError(f"learner {self.learner_.name!r} answered {len(answers)} of {len(problems)} batches")
        return [answer for problem in problems for answer in answers[problem.id]]

    async def predict_async(self, texts: Iterable[str]) -> np.ndarray:
        """As `predict`, awaited: the event loop goes on while a model, hosted ones above all, is waited for.

        The work is done in a thread. What is awaited at the same time shares the model with its limits and its cache.
        An await that is cancelled begins no further batch; requests on their way are finished, and kept in the cache.
        """
        return await _awaited(self.predict, texts)

    async def predict_proba_async(self, texts: Iterable[str]) -> np.ndarray:
        """As `predict_proba`, awaited like `predict_async`."""
        return await _awaited(self.predict_proba, texts)

    async def predict_detailed_async(self, texts: Iterable[str]) -> list[Answer]:
        """As `predict_detailed`, awaited like `predict_async`."""
        return await _awaited(self.predict_detailed, texts)

    def score(self, texts: Iterable[str], labels: Iterable[Hashable]) -> float:
        """Accuracy on labelled texts, 0 to 1."""
        predicted, gold = self.predict(texts).tolist(), known_labels(labels)
        if len(predicted) != len(gold):
            raise InputError(f"{len(predicted)} texts, but {len(gold)} labels: give one label per text")
        return sum(one == other for one, other in zip(predicted, gold, strict=True)) / len(gold)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments, by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Change constructor arguments; takes effect at the next `fit`."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise InputError(str(unknown_name(f"parameter of {type(self).__name__}:", name, known)))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({arguments})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "support_")

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )

    def _build_learner(self) -> Learner:
        """The learner that `fit` puts in `learner_`."""
        if isinstance(self.learner, str):
            return LEARNERS.build(self.learner, device=self.device, seed=self.seed, trust=self.trust)
        return self.learner

    @property
    def _info(self) -> TaskInfo:
        if self.task is None and any(isinstance(example.text, Image) for example in self.support_):
            return TaskInfo(name="images", language=NONE, kind="classification", modality="image")
        return self.task or TaskInfo(name="texts", language=UNKNOWN, kind="classification")

    def _context(self) -> Context:
        cancel = _CANCEL.get() or threading.Event()
        return Context(self.device, self.seed, cancel=cancel, notify=lambda message: _LOG.warning(in_python(message)))

    def _problem(self, texts: Sequence[str], start: int) -> Problem:
        support = [[example.text, example.label] for example in self.support_]
        return Problem(
            id=digest([support, list(texts), start]),
            task=self._info,
            labels=self.labels_,
            support=self.support_,
            queries=tuple(Query(f"q{start + at}", text) for at, text in enumerate(texts)),
        )

    def _answers(self, texts: Iterable[str]) -> list[Answer]:
        """Answers, of which only those that `on_failure` allows have failed."""
        answers = self.predict_detailed(texts)
        failed = [answer for answer in answers if answer.status is not Status.OK]
        if failed and self.on_failure == "raise":
            detail = in_python(failed[0].detail) or "no detail"
            raise FewshotError(
                f"{len(failed)} of {len(answers)} texts were not answered; the first: {failed[0].status}, {detail}. "
                'Set on_failure="none" to get None there, or call predict_detailed'
            )
        return answers


async def _awaited(work: Callable[[Iterable[str]], _T], texts: Iterable[str]) -> _T:
    """The result of blocking work, which is told to end where it is no longer waited for."""
    cancel = threading.Event()
    token = _CANCEL.set(cancel)
    try:
        # The thread takes this context along.
        return await asyncio.to_thread(work, texts)
    except asyncio.CancelledError:
        cancel.set()
        raise
    finally:
        _CANCEL.reset(token)


def _not_fitted(message: str) -> Exception:
    """scikit-learn's own error where it is installed, since its tools catch that one."""
    try:
        from sklearn.exceptions import NotFittedError
    except ImportError:
        return InputError(message)
    return NotFittedError(message)
