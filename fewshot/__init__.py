"""Few-shot text classification, by prompting and by training, measured on the same episodes.

    from fewshot import ICLClassifier, compare, load_task

Names are imported on first use, so that `import fewshot` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.core.lazy import imported_on_use

if TYPE_CHECKING:
    from classic.registry import PrototypeRegistry as PrototypeRegistry
    from evals.adapters import EpisodeClassifier as EpisodeClassifier
    from evals.adapters import SklearnLearner as SklearnLearner
    from evals.comparison import Comparison as Comparison
    from evals.comparison import compare as compare
    from evals.episode import EpisodeSampler as EpisodeSampler
    from evals.learner import BaseLearner as BaseLearner
    from evals.learner import Context as Context
    from evals.loading import load_task as load_task
    from evals.rundir import new_run_dir as new_run_dir
    from evals.runner import run as run
    from evals.types import Answer as Answer
    from evals.types import Problem as Problem
    from icl.classifier import ICLClassifier as ICLClassifier
    from icl.learner import ICLLearner as ICLLearner
    from icl.prompt import PromptBuilder as PromptBuilder
    from icl.template import Template as Template

_HOMES = {
    "Answer": "evals.types",
    "BaseLearner": "evals.learner",
    "Comparison": "evals.comparison",
    "Context": "evals.learner",
    "EpisodeClassifier": "evals.adapters",
    "EpisodeSampler": "evals.episode",
    "ICLClassifier": "icl.classifier",
    "ICLLearner": "icl.learner",
    "Problem": "evals.types",
    "PromptBuilder": "icl.prompt",
    "PrototypeRegistry": "classic.registry",
    "SklearnLearner": "evals.adapters",
    "Template": "icl.template",
    "compare": "evals.comparison",
    "load_task": "evals.loading",
    "new_run_dir": "evals.rundir",
    "run": "evals.runner",
}

__all__ = sorted(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__ = imported_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
