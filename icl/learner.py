"""In-context learning: the support goes into a prompt, and a language model labels the queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from evals.learner import BaseLearner, Context, Estimate, require_kind
from evals.types import Answer, Label, Prediction, Problem, Trace, Usage
from fewshot.core.catalog import CALIBRATORS, ENCODERS, MODELS, ORDERINGS, SCORERS, SELECTORS
from fewshot.core.errors import UsageError
from fewshot.core.hashing import digest
from fewshot.core.spec import Spec
from icl.calibration import CONTENT_FREE, Calibrator, calibrated
from icl.models.base import LanguageModel, Prompt, ScoreRequest, ShowsTokens
from icl.orderings import Ordering
from icl.parts import PartLike, resolve
from icl.planning import Format, Plan, PlannedQuery, Planner
from icl.scoring.base import Reading, Scorer
from icl.scoring.direct import Normalization
from icl.selectors.base import Pool, Selector
from icl.template import Template


@dataclass(frozen=True)
class Preview:
    """What would be sent for one query.

    Attributes:
        shown: the prompt as text, chat turns as the model's own template writes them.
        query: the planned prompt, demonstrations and dropped demonstrations.
        continuations: (n_way,) the labels as they are scored after it.
        boundaries: (n_way,) per label, the (id, text) of the tokens around the place where it begins.
        n_tokens: length of the prompt.
        trie_size: tokens that all queries of the problem take together; boundaries and trie size are empty and None
            for models that do not show their tokens.
        notes: what a reader should know.
    """

    shown: str
    query: PlannedQuery
    continuations: tuple[str, ...]
    boundaries: tuple[tuple[tuple[int, str], ...], ...]
    n_tokens: int
    trie_size: int | None
    notes: tuple[str, ...]


class ICLLearner(BaseLearner):
    """Labels texts with a language model that is shown the support.

    Every part is a spec or an object, and is built on first use.

    Args:
        model: language model.
        selector: which support examples are shown.
        order: in which order.
        demos: how many per prompt, or "all".
        method: "direct" scores every label; "generate" lets the model write and parses strictly.
        calibrate: what is done with the scores; generated answers have none.
        template: name of a shipped template or path of a `.j2` file; None takes the one that the task names.
        format: "completion" or "chat".
        encoder: for selectors that compare texts.
        normalize: "sum", "mean" or "bytes", for the scores of labels of several tokens.
        device: where models run; "auto" follows the context.
        dtype: of the language model; None leaves it to the model.
        offline: whether downloads are forbidden.
    """

    name = "icl"
    _listener: Callable[[str], None] | None = None

    def __init__(
        self,
        model: PartLike = "smollm2",
        selector: PartLike = "all",
        order: PartLike = "shuffled",
        demos: int | Literal["all"] = "all",
        method: PartLike = "direct",
        calibrate: PartLike = "contextual",
        template: str | Path | Template | None = None,
        format: Format = "completion",
        encoder: PartLike = "lexical",
        normalize: Normalization = "sum",
        device: str = "auto",
        dtype: str | None = None,
        offline: bool = False,
    ) -> None:
        self.model = model
        self.selector = selector
        self.order = order
        self.demos: int | Literal["all"] = demos
        self.method = method
        self.calibrate = calibrate
        self.template = template
        self.format: Format = format
        self.encoder = encoder
        self.normalize: Normalization = normalize
        self.device = device
        self.dtype = dtype
        self.offline = offline

    @property
    def transductive(self) -> bool:
        """Whether calibration looks at all queries together."""
        return self._scorer.gives_scores and self._calibrator.transductive

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems one by one; the queries of one are asked together, so that they share the prompt.

        Raises:
            UsageError: the parts, the template or the labels do not fit each other or the task.
        """
        for problem in problems:
            if ctx.stopping:
                return
            yield self._predict(problem, ctx)

    def describe(self) -> dict[str, Any]:
        """The parts as they are built, with models and templates by their content."""
        return {
            "name": self.name,
            "model": self._model(self.device).describe(),
            "selector": self._selector.describe(),
            "order": self._ordering.describe(),
            "demos": self.demos,
            "method": self._scorer.describe(),
            "calibrate": self._calibrator.describe(),
            "template": self._template.describe() if self._template else None,
            "format": self.format,
        }

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        """Count the tokens of a sample, and time one prompt of it. Unknown for models that cannot count ahead."""
        model = self._model_for(ctx)
        if not problems or not self._scorer.gives_scores or not isinstance(model, ShowsTokens):
            return Estimate()
        planned = [_requests(self._plan(problem, ctx)) for problem in problems]
        tokens = sum(model.trie_size(requests) for requests in planned if requests)
        total = round(tokens / len(problems) * n_problems)
        sample = next((requests[:1] for requests in planned if requests), None)
        if sample is None:
            return Estimate(tokens=total)
        model.score(sample)  # loads the model, which is not to be timed
        started = time.perf_counter()
        timed = sum(result.tokens_fresh for result in model.score(sample))
        seconds = time.perf_counter() - started
        return Estimate(seconds * total / timed if timed else None, total)

    def preview(self, problem: Problem, query_index: int = 0, ctx: Context | None = None) -> Preview:
        """The exact prompt of one query. Sends nothing.

        Raises:
            UsageError: the query cannot be asked, because instruction and text alone do not fit.
        """
        ctx = ctx or Context()
        plan = self._plan(problem, ctx)
        query, model = plan.queries[query_index], self._model_for(ctx)
        if query.prompt is None:
            raise UsageError(f"query {query_index} cannot be asked: {query.detail}")
        prompt, labels = query.prompt, plan.choices.continuations
        shown, boundaries, trie_size = prompt.text, (), None
        if isinstance(model, ShowsTokens):
            shown = model.render(prompt)
            boundaries = tuple(tuple(model.boundary(prompt, label)) for label in labels)
            trie_size = model.trie_size(_requests(plan)) if self._scorer.gives_scores else None
        notes = (*plan.notes, *self._language_notes(problem, ctx))
        return Preview(shown, query, labels, boundaries, model.count_tokens(prompt), trie_size, notes)

    def prompt_for(self, problem: Problem, query_index: int, ctx: Context) -> Prompt | None:
        """The prompt of a query of a prediction on record, rendered again; None where none could be asked."""
        return self._plan(problem, ctx).queries[query_index].prompt

    def _predict(self, problem: Problem, ctx: Context) -> Prediction:
        started = time.perf_counter()
        plan = self._plan(problem, ctx)
        read = self._scorer.read(self._model_for(ctx), plan.prompts, plan.choices)
        answers, content_free = _answers(plan, read.readings, problem.labels)
        notes = (
            *plan.notes,
            *read.notes,
            *self._model_for(ctx).notes,
            *self._language_notes(problem, ctx),
            *self._calibration_notes(plan),
        )
        for note in notes:
            self._tell(note, ctx)
        prediction = Prediction(problem.id, answers, trace=_trace(plan, content_free, notes))
        if self._scorer.gives_scores:
            prediction = calibrated(prediction, problem.labels, self._calibrator)
        usage = Usage(seconds=time.perf_counter() - started) + read.usage
        return Prediction(problem.id, prediction.answers, {"predict": usage}, prediction.trace)

    def _plan(self, problem: Problem, ctx: Context) -> Plan:
        require_kind(problem, "classification", self.name)
        return self._planner.plan(problem, self._pool_of(problem), self._model_for(ctx), self._scorer, ctx.seed)

    def _pool_of(self, problem: Problem) -> Pool:
        """The support, indexed and encoded once for problems that share it."""
        if self._pool.examples is not problem.support:
            self._pool = Pool(problem.support)
        return self._pool

    def _language_notes(self, problem: Problem, ctx: Context) -> list[str]:
        model, language = self._model_for(ctx), problem.task.language
        known = model.capabilities.languages
        if not known or language == "und" or language.split("-")[0] in {name.split("-")[0] for name in known}:
            return []
        return [
            f"{model.name} was made for {', '.join(known)}, and this task is in {language}: expect answers near chance"
        ]

    def _calibration_notes(self, plan: Plan) -> list[str]:
        if not self._scorer.gives_scores:
            return ["generated answers have no scores, so nothing is calibrated"]
        if self._calibrator.transductive and len(plan.asked) == 1:
            return ["one query alone cannot be calibrated by its batch: its scores are left as they are"]
        return []

    def _tell(self, note: str, ctx: Context) -> None:
        """Notify the user once of what is noted with every prediction."""
        if note not in self._told:
            self._told.add(note)
            ctx.notify(note)

    def _model_for(self, ctx: Context) -> LanguageModel:
        self._listener = ctx.notify
        return self._model(ctx.device if self.device == "auto" else self.device)

    def _model(self, device: str) -> LanguageModel:
        if device not in self._models:
            # Models are the slowest part to load: a misspelt name of another part is found before.
            _ = self._planner, self._calibrator
            context: dict[str, Any] = {"device": device, "offline": self.offline, "notify": self._relay}
            dtype = {} if self.dtype is None else {"dtype": self.dtype}
            self._models[device] = resolve(MODELS, self.model, **context, **dtype)
        return self._models[device]

    def _relay(self, message: str) -> None:
        """Pass on what a model says to whoever listens now: the model outlives the context it was built in."""
        if self._listener is not None:
            self._listener(message)

    @cached_property
    def _models(self) -> dict[str, LanguageModel]:
        return {}

    @cached_property
    def _told(self) -> set[str]:
        return set()

    @cached_property
    def _pool(self) -> Pool:
        return Pool(())

    @cached_property
    def _planner(self) -> Planner:
        content_free = CONTENT_FREE if self._scorer.gives_scores else ()
        return Planner(self._selector, self._ordering, self.demos, self._template, self.format, content_free)

    @cached_property
    def _template(self) -> Template | None:
        return None if self.template is None else Template.load(self.template)

    @cached_property
    def _selector(self) -> Selector:
        if isinstance(self.encoder, (str, Mapping, Spec)):
            ENCODERS.check(self.encoder)  # a misspelt name is an error even where no selector compares texts
        return resolve(SELECTORS, self.selector, encoder=self.encoder, device=self.device, offline=self.offline)

    @cached_property
    def _ordering(self) -> Ordering:
        return resolve(ORDERINGS, self.order)

    @cached_property
    def _scorer(self) -> Scorer:
        return resolve(SCORERS, self.method, normalize=self.normalize)

    @cached_property
    def _calibrator(self) -> Calibrator:
        return resolve(CALIBRATORS, self.calibrate)


def _requests(plan: Plan) -> list[ScoreRequest]:
    return [ScoreRequest(prompt, plan.choices.continuations) for prompt in plan.prompts]


def _answers(
    plan: Plan, readings: Sequence[Reading], labels: Sequence[Label]
) -> tuple[tuple[Answer, ...], tuple[tuple[float, ...], ...]]:
    """Answers, not yet calibrated, and the content-free scores that belong to those with raw scores."""
    n = len(plan.asked)
    blank = readings[n:]
    size = len(blank) // n if n else 0
    groups = [blank if plan.shared else blank[at * size : (at + 1) * size] for at in range(n)]
    # Without its content-free scores a query cannot be calibrated: their failure is its own.
    judged = [
        next((failed for failed in group if failed.raw is None), reading)
        for reading, group in zip(readings[:n], groups, strict=True)
    ]
    found = iter(judged)
    answers = tuple(
        Answer(None, query.status, detail=query.detail) if query.prompt is None else _answer(next(found), labels)
        for query in plan.queries
    )
    scored = [group for reading, group in zip(judged, groups, strict=True) if reading.raw is not None]
    kept = scored[:1] if plan.shared else scored
    return answers, tuple(reading.raw for group in kept for reading in group if reading.raw is not None)


def _answer(reading: Reading, labels: Sequence[Label]) -> Answer:
    decision = None if reading.choice is None else labels[reading.choice].name
    return Answer(decision, reading.status, raw=reading.raw, detail=reading.detail)


def _trace(plan: Plan, content_free: tuple[tuple[float, ...], ...], notes: tuple[str, ...]) -> Trace:
    shown = tuple(query.demonstrations for query in plan.queries)
    dropped = tuple(query.n_dropped for query in plan.queries)
    return Trace(
        demonstrations=tuple(query.demonstrations for query in plan.asked[:1]) if plan.shared else shown,
        prompt_hashes=tuple("" if query.prompt is None else _prompt_hash(query.prompt) for query in plan.queries),
        content_free=content_free,
        n_dropped=dropped[:1] if len(set(dropped)) == 1 else dropped,
        notes=notes,
    )


def _prompt_hash(prompt: Prompt) -> str:
    return digest([prompt.text, [[message.role, message.content] for message in prompt.messages]])
