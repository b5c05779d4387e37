"""Meta-training: texts as tensors, one trainer for every algorithm, checkpoints that resume bit by bit."""

from classic.training.data import EpisodeTasks, TaskSource, TextTable
from classic.training.inputs import FrozenFeatures, Inputs
from classic.training.options import TrainingOptions
from classic.training.trainer import Trained, Trainer

__all__ = [
    "EpisodeTasks",
    "FrozenFeatures",
    "Inputs",
    "TaskSource",
    "TextTable",
    "Trained",
    "Trainer",
    "TrainingOptions",
]
