"""The circle with scikit-learn: any text classifier as a learner, any learner as an estimator."""

from evals.adapters.classifier import EpisodeClassifier
from evals.adapters.inputs import InputError
from evals.adapters.pipeline import SklearnLearner

__all__ = ["EpisodeClassifier", "InputError", "SklearnLearner"]
