"""In-context learning: the support goes into a prompt, and a language model labels the queries."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, Self

from evals.language import UNKNOWN, with_language
from evals.learner import BaseLearner, Context, Estimate, Learner, require_kind
from evals.types import Label, Prediction, Problem, TaskInfo, Usage
from fewshot.core.catalog import CALIBRATORS, ENCODERS, MODELS, ORDERINGS, READOUTS, SCORERS, SELECTORS
from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.spec import Spec, auto_spec, parse_spec
from icl.amount import Demos
from icl.answers import trace_of
from icl.calibration import CONTENT_FREE, NO_ROWS, Calibrator, Contextual, NoCalibration, calibrated
from icl.estimates import estimate_cost, estimate_time
from icl.models.auto import choose_model, why_unsuited
from icl.models.base import LanguageModel, Metered, Prompt, ScoreRequest, ShowsTokens
from icl.orderings import Ordering
from icl.overlap import overlapped
from icl.parts import PartLike, resolve
from icl.planning import FORMATS, Format, Plan, Planner
from icl.preview import Preview, preview_of
from icl.readouts.auto import readout_for
from icl.readouts.base import Asking, Read, Readout
from icl.readouts.labels import Labels
from icl.scoring.base import Scorer
from icl.scoring.direct import Direct, Normalization
from icl.selectors.base import Pool, Selector
from icl.selectors.shown import Shown
from icl.template import Template

#: Held where a model on this machine works or is loaded: predictions that are awaited together come from threads.
_LOCAL = threading.RLock()


class ICLLearner(BaseLearner):
    """Labels texts with a language model that is shown the support.

    Every part is a spec or an object, and is built on first use.

    Args:
        model: language model; "auto" takes the embedded one that is made for the language of the task and its labels.
        selector: which support examples are shown; "auto" draws them balanced where not all are.
        order: in which order.
        demos: how many per prompt, or "all"; "auto" is no more than the model was measured with, and all where that
            is not known.
        readout: how the scores of the labels are got out of the model; see `icl.readouts`. "auto" is "hidden" for local
            models, and "labels" for others, without support, and wherever the demonstrations or the scores of labels
            are said how to be: by a selector, a number of demos, a method, a calibration or a normalisation.
        method: "direct" scores every label; "generate" lets the model write and parses strictly. "auto" is direct for
            models that score whole labels exactly, and generate for others.
        calibrate: what is done with the scores; generated answers have none. "auto" is contextual for direct scores
            and none for others.
        template: name of a shipped template or path of a `.j2` file; None takes the one that the task names.
        format: "completion" or "chat". "auto" is completion for models that score whole labels, and chat for others.
        encoder: for selectors that compare texts; "auto" takes the embedded one that suits the language of the task.
        normalize: "sum", "mean" or "bytes", for the scores of labels of several tokens.
        device: where models run; "auto" follows the context.
        dtype: of the language model; None leaves it to the model.
        offline: whether downloads are forbidden.
    """

    name = "icl"
    kinds = ("classification", "multilabel", "tagging", "generation")
    _listener: Callable[[str], None] | None = None

    def __init__(
        self,
        model: PartLike = "auto",
        selector: PartLike = "auto",
        order: PartLike = "shuffled",
        demos: Demos = "auto",
        readout: PartLike = "auto",
        method: PartLike = "auto",
        calibrate: PartLike = "auto",
        template: str | Path | Template | None = None,
        format: Format | Literal["auto"] = "auto",
        encoder: PartLike = "auto",
        normalize: Normalization = "sum",
        device: str = "auto",
        dtype: str | None = None,
        offline: bool = False,
    ) -> None:
        self.model = model
        self.selector = selector
        self.order = order
        self.demos: Demos = demos
        self.readout = readout
        self.method = method
        self.calibrate = calibrate
        self.template = template
        self.format: Format | Literal["auto"] = format
        self.encoder = encoder
        self.normalize: Normalization = normalize
        self.device = device
        self.dtype = dtype
        self.offline = offline

    @property
    def transductive(self) -> bool:
        """Whether calibration looks at all queries together."""
        return self.calibrate != "auto" and self._calibrator.transductive and self._scorer.gives_scores

    @property
    def scorer(self) -> Scorer:
        """How the model is asked."""
        return self._scorer

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Learner:
        """With the model for the task and its labels where the model is "auto" and both are known; else this one.

        Answers that are no single label are decided label by label, or written.
        """
        from icl.writing.learner import for_kind

        settled = self._settled_by(task, labels)
        return settled if task.kind == "classification" else for_kind(settled, task)

    def _settled_by(self, task: TaskInfo, labels: Sequence[Label]) -> Self:
        known = task.language != UNKNOWN and labels
        return self if self._auto is None or not known else self._settle(self._auto, task, labels)

    def why_unsuited(self, task: TaskInfo, labels: Sequence[Label]) -> str | None:
        """Why an embedded model is not to be expected to label such texts; None of any other model."""
        learner = self._settled_by(task, labels)
        if not isinstance(learner.model, str | Mapping | Spec):
            return None
        return why_unsuited(parse_spec(learner.model).name, task.language, labels)

    def _settle(self, auto: Spec, task: TaskInfo, labels: Sequence[Label]) -> Self:
        choice = choose_model(task.language, labels)
        if choice.model not in self._settled:
            given = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
            self._settled[choice.model] = type(self)(**{**given, "model": replace(auto, name=choice.model)})
        settled = self._settled[choice.model]
        settled._reasons[task] = choice.reason
        return settled

    def _settled_for(self, problem: Problem) -> tuple[Self, Problem]:
        """This learner with the model for a problem, and the problem with its language, where the model is "auto"."""
        if self._auto is None:
            return self, problem
        known = with_language(problem)
        return self._settle(self._auto, known.task, known.labels), known

    def predict(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        """Answer the problems in their order; the queries of one are asked together, so that they share the prompt.

        Models that answer many requests at the same time are asked about the next problems meanwhile.

        Raises:
            UsageError: the parts, the template or the labels do not fit each other or the task.
        """
        if self._auto is not None:
            yield from self._predict_by_language(problems, ctx)
            return
        model = self._attended(ctx)

        def askings() -> Iterator[Asking]:
            for problem in problems:
                if ctx.stopping:
                    return
                plans = self._plans(problem, ctx)
                yield Asking(problem, plans, model, self._scorer, self._calibrator)

        def read(asking: Asking) -> Read:
            started = time.perf_counter()
            found = self._readout_for(asking.problem, model).read(asking)
            return replace(found, usage=found.usage + Usage(seconds=time.perf_counter() - started))

        if isinstance(model, Metered) and model.capabilities.concurrency > 1:
            room = 2 * model.capabilities.concurrency
            done = overlapped(askings(), read, size=lambda asking: asking.size, room=room, abandon=model.abandon)
        else:
            done = _one_by_one(askings(), read)
        for asking, found in done:
            yield self._prediction(asking, found, ctx)

    def _predict_by_language(self, problems: Iterable[Problem], ctx: Context) -> Iterator[Prediction]:
        for settled, alike in groupby(map(self._settled_for, problems), key=itemgetter(0)):
            yield from settled.predict((problem for _, problem in alike), ctx)
            if ctx.stopping:
                return

    def describe(self) -> dict[str, Any]:
        """The parts as they are built, with models and templates by their content."""
        return {
            "name": self.name,
            "model": self._model(self.device).describe() if self._auto is None else str(self._auto),
            "selector": self._selector.describe(),
            "order": self._ordering.describe(),
            "demos": self.demos,
            **self._measured,
            "readout": self.readout if auto_spec(self.readout) else self._named_readout.describe(),
            "method": self._scorer.describe(),
            "calibrate": self._calibrator.describe(),
            "template": self._template.describe() if self._template else None,
            "format": self._format,
        }

    def estimate(self, problems: Sequence[Problem], n_problems: int, ctx: Context) -> Estimate:
        """Foresee the tokens, with the seconds of local models or the money of paid ones. Unknown for all others."""
        if not problems:
            return Estimate()
        learner, _ = self._settled_for(problems[0])
        model, scorer = learner._attended(ctx), learner._scorer
        plans = [learner._plans(self._settled_for(problem)[1], ctx) for problem in problems]
        if isinstance(model, Metered):
            return estimate_cost(model, plans, scorer, n_problems)
        if isinstance(model, ShowsTokens) and scorer.gives_scores:
            return estimate_time(model, plans, n_problems)
        return Estimate()

    def preview(self, problem: Problem, query_index: int = 0, ctx: Context | None = None) -> Preview:
        """The exact prompt of one query. Sends nothing.

        Raises:
            UsageError: the query cannot be asked, because instruction and text alone do not fit.
        """
        ctx = ctx or Context()
        learner, problem = self._settled_for(problem)
        plan, *_ = learner._plans(problem, ctx)
        told = learner._readout_for(problem, learner._model_for(ctx)).about_prompt
        notes = (
            *plan.notes,
            *learner._choice_notes(problem),
            *learner._language_notes(problem, ctx),
            *filter(None, [told]),
        )
        return preview_of(plan, query_index, learner._model_for(ctx), notes, learner._scorer.gives_scores)

    def prompt_for(self, problem: Problem, query_index: int, ctx: Context) -> Prompt | None:
        """The prompt of a query of a prediction on record, rendered again; None where none could be asked."""
        learner, problem = self._settled_for(problem)
        plan, *_ = learner._plans(problem, ctx)
        return plan.queries[query_index].prompt

    def label_tokens(
        self, problem: Problem, query_index: int, ctx: Context
    ) -> tuple[tuple[tuple[str, float], ...], ...] | None:
        """Per label, its tokens with their log-probabilities after the prompt of a query. Runs a local model."""
        learner, problem = self._settled_for(problem)
        (plan, *_), model = learner._plans(problem, ctx), learner._model_for(ctx)
        prompt, labels = plan.queries[query_index].prompt, plan.choices.continuations
        if prompt is None or not model.capabilities.scores or not isinstance(model, ShowsTokens):
            return None
        (found,) = model.score([ScoreRequest(prompt, labels)])
        pairs = []
        for label, score in zip(labels, found.scores, strict=True):
            tokens = model.boundary(prompt, label)[-len(score.logprobs) :]
            pairs.append(tuple((text, logprob) for (_, text), logprob in zip(tokens, score.logprobs, strict=True)))
        return tuple(pairs)

    def _prediction(self, asking: Asking, found: Read, ctx: Context) -> Prediction:
        problem, plan = asking.problem, asking.asked
        notes = (
            *plan.notes,
            *found.notes,
            *self._model_for(ctx).notes,
            *self._choice_notes(problem),
            *self._default_notes(ctx),
            *self._language_notes(problem, ctx),
            *self._calibration_notes(plan),
        )
        for note in notes:
            self._tell(note, ctx)
        trace = trace_of(plan, found.content_free, notes)
        prediction = Prediction(problem.id, found.answers, {"predict": found.usage}, trace)
        return calibrated(prediction, problem.labels, self._calibrator) if self._scorer.gives_scores else prediction

    def _plans(self, problem: Problem, ctx: Context) -> tuple[Plan, ...]:
        """The prompts of every problem that the readout makes of this one."""
        require_kind(problem, "classification", self.name)
        model = self._model_for(ctx)
        readout = self._readout_for(problem, model)
        planner = self._planner if readout.selects else replace(self._planner, selector=Shown(), demos="all")
        return tuple(
            planner.plan(asked, self._pool_of(asked), model, self._scorer, ctx.seed) for asked in readout.asked(problem)
        )

    def _pool_of(self, problem: Problem) -> Pool:
        """The support, indexed and encoded once for problems that share it."""
        if self._pool.examples is not problem.support:
            self._pool = Pool(problem.support, problem.task.language)
        return self._pool

    def _choice_notes(self, problem: Problem) -> list[str]:
        """Why the model was taken, where it was not named."""
        reason = self._reasons.get(problem.task)
        return [] if reason is None else [reason]

    def _language_notes(self, problem: Problem, ctx: Context) -> list[str]:
        if problem.task in self._reasons:
            return []  # the reason tells it
        model, language = self._model_for(ctx), problem.task.language
        known = model.capabilities.languages
        if not known or language == "und" or language.split("-")[0] in {name.split("-")[0] for name in known}:
            return []
        return [
            f"{model.name} was made for {', '.join(known)}, and this task is in {language}: expect answers near chance"
        ]

    def _default_notes(self, ctx: Context) -> list[str]:
        if self.method != "auto" or self._scores_exactly:
            return []
        return [
            f"{self._model_for(ctx).name} gives no exact scores of labels: it writes its answers (--method generate)"
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

    def _attended(self, ctx: Context) -> LanguageModel:
        """The model, which from now on spends by this context."""
        model = self._model_for(ctx)
        if isinstance(model, Metered):
            model.attend(ctx)
        return model

    def _model(self, device: str) -> LanguageModel:
        with _LOCAL:
            return self._loaded(device)

    def _loaded(self, device: str) -> LanguageModel:
        if device not in self._models:
            self._check_parts()
            context: dict[str, Any] = {"device": device, "offline": self.offline, "notify": self._relay}
            dtype = {} if self.dtype is None else {"dtype": self.dtype}
            self._models[device] = resolve(MODELS, self.model, **context, **dtype)
        return self._models[device]

    def _check_parts(self) -> None:
        """Models are the slowest part to load: a misspelt name of another part is found before."""
        _ = self._selector, self._ordering, self._template, self._named_readout
        if self.method != "auto":
            _ = self._scorer
        if self.calibrate != "auto":
            _ = self._calibrator
        if self.format not in (*FORMATS, "auto"):
            raise unknown_name("prompt format", self.format, FORMATS)

    def _relay(self, message: str) -> None:
        """Pass on what a model says to whoever listens now: the model outlives the context it was built in."""
        if self._listener is not None:
            self._told.add(message)
            self._listener(message)

    @property
    def _auto(self) -> Spec | None:
        return auto_spec(self.model)

    @cached_property
    def _settled(self) -> dict[str, Self]:
        """This learner with each of the models that were chosen so far, so that none is loaded twice."""
        return {}

    @cached_property
    def _reasons(self) -> dict[TaskInfo, str]:
        """Task -> why this learner has its model, where it was chosen."""
        return {}

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
        return Planner(self._selector, self._ordering, self.demos, self._template, self._format, self._content_free)

    def _content_free(self, problem: Problem, drawn_by: Sequence[Any]) -> tuple[str, ...]:
        # Those of direct scores are nearly free, and let a stored run be calibrated afterwards.
        wanted = isinstance(self._scorer, Direct) or self._calibrator.content_free != NO_ROWS
        if not wanted or not self._scorer.gives_scores:
            return ()
        return (*CONTENT_FREE, *self._calibrator.inputs(problem, drawn_by))

    @cached_property
    def _template(self) -> Template | None:
        return None if self.template is None else Template.load(self.template)

    @cached_property
    def _selector(self) -> Selector:
        if isinstance(self.encoder, (str, Mapping, Spec)):
            ENCODERS.check(self.encoder)  # a misspelt name is an error even where no selector compares texts
        return resolve(SELECTORS, self.selector, encoder=self.encoder, device=self.device, offline=self.offline)

    def _readout_for(self, problem: Problem, model: LanguageModel) -> Readout:
        if auto_spec(self.readout) is None:
            return self._named_readout
        said = (self.selector, self.demos, self.method, self.calibrate)
        free = all(part == "auto" for part in said) and self.normalize == "sum"
        return readout_for(model) if free and problem.support else Labels()

    @cached_property
    def _named_readout(self) -> Readout:
        """The readout that was named; that of labels stands for "auto".

        Raises:
            UsageError: it shows demonstrations of its own, and others were asked for.
        """
        if auto_spec(self.readout):
            return Labels()
        readout: Readout = resolve(READOUTS, self.readout)
        if not readout.selects and (self.selector != "auto" or self.demos != "auto"):
            raise UsageError(
                f"readout {readout.name!r} shows one example per class of its own choice; leave out selector and "
                "demos, or use readout 'labels'"
            )
        return readout

    @cached_property
    def _ordering(self) -> Ordering:
        return resolve(ORDERINGS, self.order)

    @property
    def _measured(self) -> dict[str, Any]:
        """How many demonstrations "auto" stands for, where the model is known."""
        if self.demos != "auto" or self._auto is not None:
            return {}
        return {"measured_demos": self._model(self.device).capabilities.measured_demos}

    @cached_property
    def _scores_exactly(self) -> bool:
        # Whichever model is chosen by the language is a local one.
        return self._auto is not None or self._model(self.device).capabilities.scores

    @cached_property
    def _format(self) -> Format:
        if self.format != "auto":
            return self.format
        return "completion" if self._scores_exactly else "chat"

    @cached_property
    def _scorer(self) -> Scorer:
        method = ("direct" if self._scores_exactly else "generate") if self.method == "auto" else self.method
        return resolve(SCORERS, method, normalize=self.normalize)

    @cached_property
    def _calibrator(self) -> Calibrator:
        if self.calibrate == "auto":
            return Contextual() if isinstance(self._scorer, Direct) else NoCalibration()
        # The spec grammar reads `calibrate=none` as no value at all.
        return resolve(CALIBRATORS, "none" if self.calibrate is None else self.calibrate)


def _one_by_one(askings: Iterator[Asking], read: Callable[[Asking], Read]) -> Iterator[tuple[Asking, Read]]:
    while True:
        with _LOCAL:
            if (asking := next(askings, None)) is None:
                return
            found = read(asking)
        yield asking, found
