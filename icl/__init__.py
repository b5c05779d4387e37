"""In-context learning: prompts, selectors, orderings, language models, label scoring and calibration.

The public names are here and are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icl.classifier import ICLClassifier
    from icl.learner import ICLLearner
    from icl.preview import Preview
    from icl.prompt import PromptBuilder
    from icl.template import Template

__all__ = ["ICLClassifier", "ICLLearner", "Preview", "PromptBuilder", "Template"]

_HOME = {
    "ICLClassifier": "icl.classifier",
    "ICLLearner": "icl.learner",
    "Preview": "icl.preview",
    "PromptBuilder": "icl.prompt",
    "Template": "icl.template",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
