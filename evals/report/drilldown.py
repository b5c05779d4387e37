"""A look inside: for a few episodes, what was shown, what was asked, and what every learner answered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evals.balance import EQUAL
from evals.comparison.analysis import Analysis
from evals.comparison.tables import Source
from evals.episode import Episode, EpisodeSampler
from evals.learner import Context, TaskDependent
from evals.loading import READING, is_own, load_task
from evals.prompting import ShowsLabelTokens, ShowsPrompts, prompt_hash
from evals.records import EpisodeRecord
from evals.report.shown import (
    ShownEpisode,
    ShownLearner,
    ShownPrompt,
    answer_of,
    queries_of,
    shared_beginning,
    support_of,
    text_of,
)
from evals.rundir import MAIN, read_config
from evals.store import Store
from evals.task import Task
from evals.types import Prediction
from fewshot.core.catalog import LEARNERS
from fewshot.core.consent import require_consent
from fewshot.core.errors import FewshotError
from fewshot.core.spec import Spec
from fewshot.core.stored import known_arguments

#: How many episodes of a table are looked into, evenly spaced, and how many prompts of each are rendered again.
N_EPISODES, N_PROMPTS = 5, 5


class Drilldown:
    """Reads episodes back from stored runs. Tasks and learners are loaded once, when they are needed.

    Args:
        sources: names or files that the tasks of a study were loaded from.
        token_scores: whether to run models for the first prompt of each episode.
        trust: whether learners are built again that may do more than compute.
    """

    def __init__(self, sources: Sequence[str] = (), *, token_scores: bool = False, trust: bool = False) -> None:
        self._sources = tuple(sources)
        self._token_scores = token_scores
        self._trust = trust
        self._tasks: dict[str, Task | str] = {}
        self._learners: dict[str, ShowsPrompts | str | None] = {}

    def episodes(self, analysis: Analysis) -> Iterator[ShownEpisode]:
        """A sample of a table's episodes, evenly spaced."""
        table = analysis.table
        chosen = np.unique(np.linspace(0, table.n_episodes - 1, N_EPISODES).round().astype(int)).tolist()
        baselines = {standing.learner: standing.baseline for standing in analysis.standings}
        with ExitStack() as stack:
            stores: dict[Path, Store] = {}
            records: dict[Path, dict[str, EpisodeRecord]] = {}
            for at in chosen:
                cell, problem_id = int(table.cell[at]), table.problem_ids[at]
                sources = {name: table.outcome(name).sources.get(cell) for name in baselines}
                present = {name: source for name, source in sources.items() if source is not None}
                for source in present.values():
                    if source.folder not in stores:
                        stores[source.folder] = stack.enter_context(Store.read(source.folder))
                for folder in dict.fromkeys(source.folder for source in present.values()):
                    if folder not in records:
                        records[folder] = {record.problem_id: record for record in stores[folder].episodes()}
                    if problem_id in records[folder]:
                        record = records[folder][problem_id]
                        yield self._episode(record, read_config(stores[folder]), present, stores, baselines)
                        break

    def _episode(
        self,
        record: EpisodeRecord,
        config: Mapping[str, Any],
        present: Mapping[str, Source],
        stores: Mapping[Path, Store],
        baselines: Mapping[str, bool],
    ) -> ShownEpisode:
        episode = self._drawn_again(config, record)
        learners = []
        for name, source in present.items():
            store = stores[source.folder]
            prediction = store.prediction(source.learner, record.problem_id)
            if prediction is not None:
                learners.append(self._learner(name, baselines[name], store, record, prediction, episode))
        drawn = config["episodes"]
        split = [f"class split {drawn['class_split']}"] if drawn["class_split"] else []
        return ShownEpisode(
            index=record.index,
            place=", ".join([*split, f"seed {drawn['seed']}"]),
            labels=record.labels,
            support=support_of(record, episode),
            queries=queries_of(record, episode),
            learners=tuple(learners),
            note=episode if isinstance(episode, str) else "",
        )

    def _learner(
        self,
        name: str,
        baseline: bool,
        store: Store,
        record: EpisodeRecord,
        prediction: Prediction,
        episode: Episode | str,
    ) -> ShownLearner:
        trace = prediction.trace
        shown = trace.demonstrations
        answers = tuple(
            answer_of(answer, gold, shown[at] if len(shown) > 1 else shown[0] if shown else ())
            for at, (answer, gold) in enumerate(zip(prediction.answers, record.gold, strict=True))
        )
        shared, prompts, note = "", (), ""
        if trace.prompt_hashes:
            shared, prompts, note = self._prompts(name, store, trace.prompt_hashes, episode)
        return ShownLearner(name, baseline, answers, prompts, shared, note, trace.notes)

    def _prompts(
        self, name: str, store: Store, hashes: Sequence[str], episode: Episode | str
    ) -> tuple[str, tuple[ShownPrompt, ...], str]:
        """Beginning shared by the prompts, the prompts, and why there are none."""
        if isinstance(episode, str):
            return "", (), "prompts cannot be rendered again without the task"
        config = read_config(store)
        learner, task = self._prompter(name, config, store.folder), self._task(config)
        if isinstance(learner, TaskDependent) and isinstance(task, Task):
            settled = learner.for_task(task.info, task.labels)
            learner = settled if isinstance(settled, ShowsPrompts) else learner
        if learner is None or isinstance(learner, str):
            return "", (), learner or "this learner does not render prompts again"
        ctx = Context(device="cpu", seed=config["seed"])
        rendered: list[ShownPrompt] = []
        try:
            for query, recorded in [(at, found) for at, found in enumerate(hashes) if found][:N_PROMPTS]:
                prompt = learner.prompt_for(episode.problem, query, ctx)
                if prompt is not None:
                    tokens = () if rendered else self._tokens(learner, episode, query, ctx)
                    rendered.append(ShownPrompt(query, text_of(prompt), prompt_hash(prompt) == recorded, tokens))
        except Exception as error:  # noqa: BLE001 - a learner or model may fail in any way; the report goes on
            return "", (), f"prompts cannot be rendered again: {error}"
        shared = shared_beginning([prompt.rest for prompt in rendered])
        return shared, tuple(replace(prompt, rest=prompt.rest[len(shared) :]) for prompt in rendered), ""

    def _tokens(
        self, learner: ShowsPrompts, episode: Episode, query: int, ctx: Context
    ) -> tuple[tuple[tuple[str, float], ...], ...]:
        if not self._token_scores or not isinstance(learner, ShowsLabelTokens):
            return ()
        found = learner.label_tokens(episode.problem, query, ctx) or ()
        return tuple(tuple(tokens) for tokens in found)

    def _prompter(self, name: str, config: Mapping[str, Any], folder: Path) -> ShowsPrompts | str | None:
        """The learner, built again if it only computes or is trusted; or why it cannot be."""
        spec = _spec_of(config)
        begun = folder.parent if "contestant" in config["settings"] else folder
        if spec not in self._learners:
            try:
                require_consent(spec, name, trust=self._trust, place=begun)
                built = LEARNERS.build(spec, device="cpu", offline=True)
                self._learners[spec] = built if isinstance(built, ShowsPrompts) else None
            except Exception as error:  # noqa: BLE001 - the same
                self._learners[spec] = f"{name} cannot be built again: {error}"
        return self._learners[spec]

    def _drawn_again(self, config: Mapping[str, Any], record: EpisodeRecord) -> Episode | str:
        """The episode with its texts, or why they cannot be shown."""
        task = self._task(config)
        if isinstance(task, str):
            return task
        drawn = config["episodes"]
        names = ("way", "shot", "query", "seed", "class_split", "part")
        balance = drawn.get("query_balance", EQUAL)
        try:
            sampler = EpisodeSampler(task, **{name: drawn[name] for name in names}, query_balance=balance)
            episode = sampler[record.index]
        except FewshotError as error:
            return f"the episode cannot be drawn again: {error}"
        return episode if episode.id == record.problem_id else "sampling has changed since; texts are not shown"

    def _task(self, config: Mapping[str, Any]) -> Task | str:
        wanted = config["task"]
        fingerprint = wanted["data_fingerprint"]
        if fingerprint not in self._tasks:
            self._tasks[fingerprint] = self._load(wanted["name"], fingerprint, config["settings"])
        return self._tasks[fingerprint]

    def _load(self, name: str, fingerprint: str, settings: Mapping[str, Any]) -> Task | str:
        """The task with these rows, from wherever it may have come; or why there is none."""
        reason = ""
        named = [source for source in self._sources if source == name]
        for source in dict.fromkeys(filter(None, (settings.get("task"), *named, *self._sources, name))):
            try:
                task = load_task(source, offline=True, **_reading(settings, source))
            except FewshotError as error:
                reason = reason or f"texts are not shown: {error}"
                continue
            if task.data_fingerprint == fingerprint:
                return task
            if task.name == name:
                reason = f"texts are not shown: the rows of task {name!r} have changed since"
        return reason


def _reading(settings: Mapping[str, Any], source: str) -> dict[str, Any]:
    """How a run read this source, as arguments of `load_task`.

    Raises:
        StorageError: what is stored is of another type.
    """
    hints = {**dict.fromkeys(READING, str | None), "drop": list[str] | None}
    stored = {name: settings.get(name) for name in (READING if is_own(source) else ("drop",))}
    named = known_arguments(hints, stored, "the settings of the run")
    return {name.removesuffix("_column"): value for name, value in named.items() if value is not None}


def _spec_of(config: Mapping[str, Any]) -> str:
    """The spec of a run's learner: as it took part in a comparison, or from the options of its command."""
    settings = config["settings"]
    if "contestant" in settings:
        return settings["contestant"]
    described = config["learners"][MAIN]
    options = {key: value for key, value in settings.items() if key in described or key in ("encoder", "normalize")}
    return str(Spec(str(described.get("name", "")), options))
