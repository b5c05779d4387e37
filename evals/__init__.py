"""The harness that prompting and training share: tasks, episodes, the learner contract, runs and their results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.core.lazy import imported_on_use

if TYPE_CHECKING:
    from evals.episode import Episode, EpisodeSampler
    from evals.learner import Background, BaseLearner, Budget, Context, Learner, MetaLearner
    from evals.loading import load_task
    from evals.results import summarise
    from evals.rundir import new_run_dir
    from evals.runner import Run, run
    from evals.store import Store
    from evals.task import Task
    from evals.types import Answer, Example, Label, Prediction, Problem, Query, Status, TaskInfo, Usage

_HOMES = {
    "evals.episode": ("Episode", "EpisodeSampler"),
    "evals.learner": ("Background", "BaseLearner", "Budget", "Context", "Learner", "MetaLearner"),
    "evals.loading": ("load_task",),
    "evals.results": ("summarise",),
    "evals.rundir": ("new_run_dir",),
    "evals.runner": ("Run", "run"),
    "evals.store": ("Store",),
    "evals.task": ("Task",),
    "evals.types": ("Answer", "Example", "Label", "Prediction", "Problem", "Query", "Status", "TaskInfo", "Usage"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "Background",
    "BaseLearner",
    "Budget",
    "Context",
    "Episode",
    "EpisodeSampler",
    "Example",
    "Label",
    "Learner",
    "MetaLearner",
    "Prediction",
    "Problem",
    "Query",
    "Run",
    "Status",
    "Store",
    "Task",
    "TaskInfo",
    "Usage",
    "load_task",
    "new_run_dir",
    "run",
    "summarise",
]

__getattr__ = imported_on_use(__name__, _HOME_OF)
