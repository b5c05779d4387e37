"""In-context learning: prompts, selectors, orderings, language models, label scoring and calibration.

The public names are here and are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.core.lazy import imported_on_use

if TYPE_CHECKING:
    from icl.classifier import ICLClassifier
    from icl.learner import ICLLearner
    from icl.preview import Preview
    from icl.prompt import Demonstration, PromptBuilder
    from icl.selectors import Pick, Pool, Selector
    from icl.selectors.balanced import Balanced
    from icl.selectors.bm25 import BM25
    from icl.selectors.dpp import DPP
    from icl.selectors.facility import Facility
    from icl.selectors.farthest import Farthest
    from icl.selectors.knn import KNN
    from icl.selectors.mmr import MMR
    from icl.selectors.random import Random
    from icl.selectors.vote_k import VoteK
    from icl.template import Template

_HOME = {
    "BM25": "icl.selectors.bm25",
    "DPP": "icl.selectors.dpp",
    "KNN": "icl.selectors.knn",
    "MMR": "icl.selectors.mmr",
    "Balanced": "icl.selectors.balanced",
    "Demonstration": "icl.prompt",
    "Facility": "icl.selectors.facility",
    "Farthest": "icl.selectors.farthest",
    "ICLClassifier": "icl.classifier",
    "ICLLearner": "icl.learner",
    "Pick": "icl.selectors",
    "Pool": "icl.selectors",
    "Preview": "icl.preview",
    "PromptBuilder": "icl.prompt",
    "Random": "icl.selectors.random",
    "Selector": "icl.selectors",
    "Template": "icl.template",
    "VoteK": "icl.selectors.vote_k",
}

__all__ = [
    "BM25",
    "DPP",
    "KNN",
    "MMR",
    "Balanced",
    "Demonstration",
    "Facility",
    "Farthest",
    "ICLClassifier",
    "ICLLearner",
    "Pick",
    "Pool",
    "Preview",
    "PromptBuilder",
    "Random",
    "Selector",
    "Template",
    "VoteK",
]

__getattr__ = imported_on_use(__name__, _HOME)
