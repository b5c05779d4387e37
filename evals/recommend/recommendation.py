"""From someone's labelled texts to a learner that can be trusted as far as the texts allow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evals.comparison.contestants import Contestant, contestants, lacks_training
from evals.confidence import Confidence
from evals.learner import Context, KnowsLimits, Learner, require_modality, without_repeats
from evals.loading import load_task
from evals.predictor import Predictor
from evals.recommend.alarms import Doubt, alarms, doubts
from evals.recommend.findings import Findings, weigh
from evals.recommend.ladder import LeftOut, ladder, why_not
from evals.recommend.model_card import model_card
from evals.recommend.sentences import recommendation_sentence
from evals.recommend.splits import MAX_ROWS, Splits, held_names, make_splits
from evals.recommend.trial import Trial, attempt
from evals.runner import interruptible
from evals.stats import Interval
from evals.task import Task
from evals.types import Answer
from fewshot.core.errors import BudgetReached, FewshotError, ModelUnavailable, UsageError
from fewshot.core.paths import write_atomically

SCHEMA_VERSION = 1
#: Files beside the predictor.
_NAME, _CARD = "recommendation.json", "README.md"
#: What is tried on tagged texts beside the baselines.
_TAGGER = "token-nn:encoder=auto"
#: Kinds whose answers are written, word by word.
_WRITTEN = ("tagging", "generation")
_SLOW = "it would write an answer to every text, which takes long on this machine; name it with --learner to try it"


@dataclass(frozen=True)
class Recommendation:
    """Which learner to take for a task, and why.

    Attributes:
        left_out: learners without a result, and why.
        alarms: what puts the result in question.
        doubts: rows that may carry the wrong label.
        predictor: the recommended learner with all the texts used.
        usd: money spent, that of learners without a result included; None is unknown.
    """

    task: Task
    splits: Splits
    findings: Findings
    left_out: tuple[LeftOut, ...]
    alarms: tuple[str, ...]
    doubts: tuple[Doubt, ...]
    predictor: Predictor
    usd: float | None = 0.0

    @property
    def learner(self) -> str:
        """Spec of the recommended learner."""
        return self.findings.advice.learner

    def sentence(self, language: str = "en") -> str:
        """The recommendation in words.

        Args:
            language: "en" or "ko".
        """
        return recommendation_sentence(self.findings, self.splits, language)

    def _repr_html_(self) -> str:
        from fewshot.core.notebook import html_table

        rows = [
            [score.learner, score.accuracy.mean, score.accuracy.low, score.accuracy.high, score.seconds]
            for score in self.findings.scores
        ]
        columns = ["learner", self.findings.metric, "low", "high", "seconds"]
        return html_table(self.task.name, columns, rows, [self.sentence("en"), self.sentence("ko")])

    @property
    def document(self) -> dict[str, Any]:
        """Everything that was found, JSON-ready."""
        splits = self.splits
        return {
            "schema_version": SCHEMA_VERSION,
            "data": {
                "name": self.task.name,
                "language": self.task.info.language,
                "fingerprint": self.task.data_fingerprint,
                "rows": splits.n_available,
                "rows_used": len(splits.rows),
                "classes": len(self.predictor.labels),
                "majority": {"label": self.findings.majority, "share": self.findings.majority_share},
                "notes": list(self.task.notes),
            },
            "kind": splits.kind,
            "metric": self.findings.metric,
            "splits": {
                "repeats": splits.repeats,
                "folds": splits.folds,
                "n_train": splits.n_train,
                "n_test": splits.n_test,
                "untested": list(splits.untested),
            },
            "learners": [
                {
                    **asdict(score),
                    "accuracy": _interval(score.accuracy),
                    "behind": _interval(score.behind) if score.behind else None,
                }
                for score in self.findings.scores
            ],
            "usd": self.usd,
            "left_out": [asdict(missing) for missing in self.left_out],
            "recommendation": {
                **asdict(self.findings.advice),
                "accuracy": _interval(self.findings.advice.accuracy),
                "en": self.sentence("en"),
                "ko": self.sentence("ko"),
            },
            "alarms": list(self.alarms),
            "doubts": [asdict(doubt) for doubt in self.doubts],
        }

    def save(self, folder: Path) -> None:
        """Write the predictor and, beside it, the document and a model card.

        Raises:
            UsageError: the folder holds something already.
            StorageError: it cannot be written.
        """
        self.predictor.save(folder)
        write_atomically(folder / _CARD, model_card(self, folder.name))
        write_atomically(folder / _NAME, json.dumps(self.document, ensure_ascii=False, indent=2) + "\n")


def recommend(
    task: Task | Any,
    learners: Sequence[str] | None = None,
    *,
    also: Sequence[str] = (),
    minutes: float | None = 10.0,
    max_rows: int = MAX_ROWS,
    text_column: str = "text",
    ctx: Context | None = None,
    load: Callable[[str], Task] = load_task,
    on_step: Callable[[Trial | LeftOut], None] = lambda step: None,
) -> Recommendation:
    """Try learners on repeated splits of a task's own rows, cheap ones first, and recommend one.

    The learners that the registry flags as baselines are always among them.

    Args:
        task: a task, or what `load_task` makes one of; its train rows are used, or all where they are
            not split.
        learners: specs; None takes those that can run on this machine.
        also: specs to be tried as well, after the others.
        minutes: for all learners together; each may take an equal share of what is left, and what does not fit is left
            out. None for no limit.
        max_rows: rows used at most.
        text_column: kept with the predictor.
        ctx: device, seed, messages, limits on money.
        load: gives the tasks that a meta-learner is trained on.
        on_step: called after each learner.

    Raises:
        UsageError: an unknown learner or parameter, no time at all.
        TaskError: rows that cannot be split.
        BudgetReached: not even one learner fits into the budget.
        FewshotError: every learner failed.
        KeyboardInterrupt: the context was cancelled.
    """
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--budget {minutes:g}: give more than 0 minutes")
    task = task if isinstance(task, Task) else load_task(task, text=None if text_column == "text" else text_column)
    require_modality("recommend", ("text",), task.info)
    ctx = ctx or Context()
    splits = make_splits(task, max_rows=max_rows, seed=ctx.seed)
    specs, left_out = (list(learners), []) if learners is not None else ladder(task.info.language)
    kind = task.info.kind
    if learners is None and kind in _WRITTEN:
        slow = [spec for spec in specs if spec.startswith("icl")]
        specs = [spec for spec in specs if spec not in slow]
        left_out += [LeftOut(spec, _SLOW) for spec in slow]
        if kind == "tagging" and why_not(_TAGGER, task.info.language) is None:
            specs.append(_TAGGER)
    everyone = contestants(list(dict.fromkeys([*specs, *also])))
    named = (*(learners or ()), *also)
    chosen = [each for each in everyone if each.answers(kind) or each.name in named]
    built = [(contestant, _build(contestant, ctx.seed, kind)) for contestant in chosen]
    if learners is None:
        built = [(contestant, _unless_unsuited(learner, contestant, task, also)) for contestant, learner in built]
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    ctx = replace(ctx, deadline=deadline, notify=without_repeats(ctx.notify))
    trials: list[Trial] = []
    with interruptible(ctx):
        for step in _climb(built, task, splits, ctx, load):
            if isinstance(step, Trial):
                trials.append(step)
            else:
                left_out.append(step)
            on_step(step)
    if all(trial.transductive for trial in trials):
        raise _nothing_tried(left_out)
    findings = weigh(trials, splits)
    best = next(trial for trial in trials if trial.spec == findings.advice.learner)
    return Recommendation(
        task=task,
        splits=splits,
        findings=findings,
        left_out=tuple(left_out),
        alarms=tuple(alarms(findings, splits)),
        doubts=tuple(doubts(trials, findings, splits)),
        predictor=_predictor(task, splits, findings, best, ctx.seed, text_column),
        usd=ctx.budget.spent.usd,
    )


def _climb(
    built: Sequence[tuple[Contestant, Learner | LeftOut]],
    task: Task,
    splits: Splits,
    ctx: Context,
    load: Callable[[str], Task],
) -> Iterator[Trial | LeftOut]:
    """Try the learners, each with an equal share of what is left, so that a slow one takes no time from the others.

    What would take more than its share waits until the others are done, and is tried again if what they left suffices.
    """
    yield from (missing for _, missing in built if isinstance(missing, LeftOut))
    able = [(contestant, learner) for contestant, learner in built if not isinstance(learner, LeftOut)]
    waiting: list[tuple[Contestant, Learner, LeftOut]] = []
    for number, (contestant, learner) in enumerate(able):
        step = attempt(contestant, learner, task, splits.splits, ctx, load, _share(ctx, len(able) - number))
        if isinstance(step, LeftOut) and step.seconds is not None:
            waiting.append((contestant, learner, step))
        else:
            yield step
    for number, (contestant, learner, step) in enumerate(sorted(waiting, key=lambda late: late[2].seconds or 0.0)):
        share = _share(ctx, len(waiting) - number)
        suffices = share is not None and (step.seconds or 0.0) <= share
        yield attempt(contestant, learner, task, splits.splits, ctx, load, share) if suffices else step


def _share(ctx: Context, n_learners: int) -> float | None:
    return None if ctx.deadline is None else max(0.0, ctx.deadline - time.monotonic()) / n_learners


def _unless_unsuited(
    learner: Learner | LeftOut, contestant: Contestant, task: Task, named: Sequence[str]
) -> Learner | LeftOut:
    """The learner, unless it was not asked for by name and says itself that nothing is to be expected of it."""
    if not isinstance(learner, KnowsLimits) or contestant.name in named:
        return learner
    why = learner.why_unsuited(task.info, task.labels)
    return learner if why is None else LeftOut(contestant.name, why)


def _predictor(task: Task, splits: Splits, findings: Findings, best: Trial, seed: int, text_column: str) -> Predictor:
    advice = findings.advice
    shown = held_names(task, splits.rows)
    return Predictor(
        spec=advice.learner,
        task=task.info,
        labels=tuple(label for label in task.labels if label.name in shown),
        support=splits.rows,
        seed=seed,
        expected={"accuracy": _interval(advice.accuracy), "texts": len(splits.rows)},
        data_fingerprint=task.data_fingerprint,
        text_column=text_column,
        learner=best.learner,
        confidence=_confidence(best, splits) if task.info.kind == "classification" else None,
    )


def _confidence(best: Trial, splits: Splits) -> Confidence | None:
    """What the probabilities of the best learner are worth, by the rows that it was not shown."""
    told: list[tuple[str, Answer, int]] = []
    for split, answers in zip(splits.splits, best.answers, strict=True):
        names = [label.name for label in split.problem.labels]
        told += [(row.id, answer, names.index(str(row.label))) for row, answer in zip(split.rows, answers, strict=True)]
    return Confidence.measure(told)


def _build(contestant: Contestant, seed: int, kind: str) -> Learner | LeftOut:
    """The learner, or why there is none. What is named wrongly is an error, before any work begins."""
    if not contestant.answers(kind):
        return LeftOut(contestant.name, f"it answers no {kind} tasks")
    try:
        learner = contestant.build(seed)
    except ModelUnavailable as error:
        return LeftOut(contestant.name, str(error))
    if lacks_training(learner):
        why = (
            "it has to be trained on other classes first, and every class here is asked about; name tasks that have "
            "some (train=TASK+TASK), or a trained one (from=FOLDER)"
        )
        return LeftOut(contestant.name, why)
    return learner


def _nothing_tried(left_out: Sequence[LeftOut]) -> FewshotError:
    """What to do about it depends on why: more time or money helps those that ran out of it, and no one else."""
    missing = next((each for each in left_out if each.limit), left_out[0])
    told = f"no learner could answer every split ({missing.learner}: {missing.why})"
    if missing.limit:
        return BudgetReached(f"{told}; give more with {missing.limit}")
    return FewshotError(f"{told}; name others with --learner")


def _interval(found: Interval) -> dict[str, Any]:
    return {"mean": found.mean, "ci95": [found.low, found.high], "method": found.method}
