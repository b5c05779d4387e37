"""What a trained model can do: every task, shot and choice of words, beside baselines, in one JSON record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from evals.episode import EpisodeSampler
from evals.learner import Context, Learner
from evals.loading import load_task
from evals.rundir import MAIN
from evals.runner import run
from evals.task import Task
from evals.types import Problem
from fewshot.core.catalog import LEARNERS
from icl.learner import ICLLearner
from icl.metatrain.words import TestWords, lexicon, reworded
from icl.models.local import LocalModel
from ko_mini.recipe import TestRecipe


def evaluate(test: TestRecipe, model: Path, folder: Path, ctx: Context) -> list[dict[str, Any]]:
    """Test a model.

    Args:
        folder: where the runs go, one folder each; those that are complete are read, not repeated.

    Returns:
        one entry per learner, task, shot, words and calibration.
    """
    local = LocalModel(str(model), dtype="float32", device=ctx.device, offline=True)
    results: list[dict[str, Any]] = []
    for name, way, shot, kinds in test.cells:
        task = unseen(load_task(name))
        for words in kinds:
            sampler = EpisodeSampler(renamed_task(task, words), way, shot, test.query)
            for calibrate in test.calibrate:
                place = folder / f"{name}-{shot}-{words}-{calibrate}"
                finished = run(
                    ICLLearner(model=local, calibrate=calibrate),
                    sampler,
                    test.episodes,
                    run_dir=place,
                    ctx=ctx,
                    baselines=_baselines(test, words, calibrate),
                    config={"task": name, "words": words},
                    resume=place.is_dir(),
                )
                about = {"task": name, "way": way, "shot": shot, "words": words, "calibrate": calibrate}
                results += [{**about, **entry} for entry in _entries(finished.result)]
                ctx.notify(f"{name} {shot}-shot, {words}, {calibrate}: {results[-1]['accuracy']:.3f}")
    return results


def unseen(task: Task) -> Task:
    """Only the rows that are published for testing, support included, where there are such."""
    return replace(task, rows={"all": task.rows["test"]}) if "test" in task.rows else task


def renamed_task(task: Task, words: TestWords) -> Task:
    """The task with other words for its labels, the same in all episodes."""
    problem = Problem(task.name, task.info, task.labels, (), ())
    return replace(task, labels=reworded(problem, words, lexicon()).labels)


def _baselines(test: TestRecipe, words: TestWords, calibrate: str) -> dict[str, Learner]:
    """Baselines read no label words and know no calibration: they are run once per task and shot."""
    if (words, calibrate) != (test.words[0], test.calibrate[0]):
        return {}
    return {name: LEARNERS.build(name) for name in test.baselines}


def _entries(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    found = {**result["baselines"], MAIN: result}
    for name, entry in found.items():
        yield {
            "learner": result["learner"] if name == MAIN else name,
            "accuracy": entry["accuracy"]["mean"],
            "ci95": list(entry["accuracy"]["ci95"]),
            "chance": result["chance"],
            "episodes": result["n_episodes"],
        }
