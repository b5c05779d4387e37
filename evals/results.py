"""The result document of a run: one JSON object, computed from the store alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from evals.balance import EQUAL
from evals.kinds import Kind, Scored, kind_named
from evals.metrics import mean
from evals.records import EpisodeRecord
from evals.rundir import MAIN, read_config
from evals.stats import narrow_enough, score_interval
from evals.store import Store
from evals.types import Answer, Status, Usage
from fewshot.core.hashing import digest

SCHEMA_VERSION = 1


def summarise(store: Store) -> dict[str, Any]:
    """The result document of a finished or interrupted run.

    Returns:
        The run (task, learner, model, way, shot, `n_episodes` and `n_queries` answered by the learner, `complete`), its
        figures as `_figures` gives them, `chance`, the same figures for each of `baselines`, `manifest_sha256` (a hash
        of the episodes' hashes), `run_dir` and `notes`. Never NaN.

    Raises:
        StorageError: the store is damaged.
    """
    config = read_config(store)
    kind = kind_named(config["task"]["kind"])
    episodes = list(store.episodes())
    answered = {name: _answered(store, name, episodes) for name in config["learners"]}
    main = answered[MAIN]
    planned, described = config["episodes"], config["learners"][MAIN]
    return {
        "schema_version": SCHEMA_VERSION,
        "task": config["task"]["name"],
        "kind": kind.name,
        "language": config["task"]["language"],
        "class_split": planned["class_split"],
        "part": planned["part"],
        "learner": described.get("name"),
        "model": _model_name(described),
        "way": planned["way"],
        "shot": planned["shot"],
        "query_balance": planned.get("query_balance", EQUAL),
        "seed": planned["seed"],
        "n_episodes": len(main.scored),
        "n_queries": sum(len(episode.gold) for episode in main.scored),
        "complete": all(
            len(found.scored) == planned["count"] or _narrow_enough(found, kind, config["settings"].get("until_ci"))
            for found in answered.values()
        ),
        **_figures(main, kind, config["transductive"][MAIN]),
        "chance": mean(episode.chance for episode in episodes),
        "baselines": {
            name: _figures(found, kind, config["transductive"][name])
            for name, found in answered.items()
            if name != MAIN
        },
        "manifest_sha256": digest([episode.problem_id for episode in episodes]),
        "run_dir": str(store.folder),
        "notes": store.notes(),
    }


def is_narrow(store: Store, learner: str, until_ci: float) -> bool:
    """Whether a learner's 95 % interval is `until_ci` points to either side, or narrower."""
    kind = kind_named(store.config["task"]["kind"])
    return _narrow_enough(_answered(store, learner, store.episodes()), kind, until_ci)


def _narrow_enough(answered: _Answered, kind: Kind, until_ci: float | None) -> bool:
    return until_ci is not None and narrow_enough(_episode_means(_scores(answered, kind)), until_ci)


@dataclass(frozen=True)
class _Answered:
    """What one learner answered, in the order of the episodes, and what it took."""

    scored: list[Scored]
    usage: Mapping[str, Usage]
    seconds: float


def _answered(store: Store, learner: str, episodes: Iterable[EpisodeRecord]) -> _Answered:
    answers: dict[str, tuple[Answer, ...]] = {}
    usage: dict[str, Usage] = {}
    seconds = 0.0
    for prediction, took in store.predictions(learner):
        # Raw scores and texts are most of the bytes, and no metric reads them.
        answers[prediction.problem_id] = tuple(map(_scored, prediction.answers))
        seconds += took
        for phase, used in prediction.usage.items():
            usage[phase] = usage.get(phase, Usage()) + used
    scored = [
        Scored(episode.labels, episode.gold, answers[episode.problem_id])
        for episode in episodes
        if episode.problem_id in answers
    ]
    return _Answered(scored, usage, seconds)


def _scored(answer: Answer) -> Answer:
    return answer if answer.raw is None and not answer.detail else replace(answer, raw=None, detail="")


def _figures(answered: _Answered, kind: Kind, transductive: bool) -> dict[str, Any]:
    """What is said of every learner.

    `accuracy` (`score` for kinds with another metric) counts answers that are not ok as wrong; `accuracy_ok` leaves
    them out. Then the kind's own metrics, `non_ok_rate`, `statuses`, wall-clock `seconds` and `usage` by phase.
    """
    per_episode = _scores(answered, kind)
    scores = [score for scored in per_episode for score in scored]
    answers = [answer for episode in answered.scored for answer in episode.answers]
    key = "accuracy" if kind.metric == "accuracy" else "score"
    return {
        key: _interval(_episode_means(per_episode), kind.metric),
        f"{key}_ok": mean(s for answer, s in zip(answers, scores, strict=True) if answer.status is Status.OK),
        **kind.metrics(answered.scored),
        "non_ok_rate": mean(float(answer.status is not Status.OK) for answer in answers),
        "statuses": dict(sorted(Counter(answer.status.value for answer in answers).items())),
        "transductive": transductive,
        "seconds": answered.seconds,
        "usage": {phase: asdict(used) for phase, used in sorted(answered.usage.items())},
    }


def _scores(answered: _Answered, kind: Kind) -> list[list[float]]:
    """Per episode, the score of every query."""
    return [
        [kind.score(answer, gold) for gold, answer in zip(episode.gold, episode.answers, strict=True)]
        for episode in answered.scored
    ]


def _episode_means(scores: Iterable[Sequence[float]]) -> list[float]:
    return [found for each in scores if (found := mean(each)) is not None]


def _interval(means: list[float], metric: str) -> dict[str, Any] | None:
    if not means:
        return None
    found = score_interval(means)
    return {
        "metric": metric,
        "mean": found.mean,
        "ci95": [found.low, found.high],
        "n": found.n,
        "interval": found.method,
    }


def _model_name(described: Mapping[str, Any]) -> str | None:
    """The model in a learner's description: a name, or a description with a name."""
    model = described.get("model")
    return model.get("name") if isinstance(model, Mapping) else model
