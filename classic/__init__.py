"""Meta-learning: algorithms on networks of one's own, and the learners that are made of them.

    from classic import MAML, Network, TensorTask, meta_gradient

    maml = MAML(Network.of(model), inner_lr=0.1)     # pure functions; or, as in learn2learn:
    learner = MAML(model, lr=0.1).clone()            # learner.adapt(loss); learner(x)

The public names are here and are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fewshot.core.lazy import imported_on_use

if TYPE_CHECKING:
    from classic.adapters.modules import ModuleMAML
    from classic.adapters.tasksets import TasksetTasks
    from classic.algorithms.anil import ANIL
    from classic.algorithms.boil import BOIL
    from classic.algorithms.cavia import CAVIA
    from classic.algorithms.contrastnet import ContrastNet
    from classic.algorithms.idmn import IDMN
    from classic.algorithms.imaml import IMAML
    from classic.algorithms.maml import MAML
    from classic.algorithms.mamlpp import MAMLPlusPlus
    from classic.algorithms.mann import MANN
    from classic.algorithms.matching import Matching
    from classic.algorithms.metabaseline import MetaBaseline
    from classic.algorithms.metanet import MetaNet
    from classic.algorithms.metaoptnet import MetaOptNet
    from classic.algorithms.metasgd import MetaSGD
    from classic.algorithms.multitask import Multitask
    from classic.algorithms.protaugment import ProtAugment
    from classic.algorithms.protonet import ProtoNet
    from classic.algorithms.r2d2 import R2D2
    from classic.algorithms.relation import Relation
    from classic.algorithms.reptile import Reptile
    from classic.algorithms.siamese import Siamese
    from classic.algorithms.snail import SNAIL
    from classic.algorithms.tapnet import TapNet
    from classic.functional.base import Network, TensorTask
    from classic.functional.calls import adapt, meta_gradient, predict
    from classic.functional.executors import CapturedExecutor, LoopExecutor, VmapExecutor, build_executor
    from classic.functional.sinusoid import Sinusoids
    from classic.networks.conv4 import Conv4
    from classic.networks.head import Headed
    from classic.networks.mlp import MLP
    from classic.networks.resnet import ResNet12, ResNet18
    from classic.training.options import TrainingOptions
    from classic.training.tensors import TensorEpisodes, evaluate
    from classic.training.trainer import Trainer

_HOME = {
    "ANIL": "classic.algorithms.anil",
    "BOIL": "classic.algorithms.boil",
    "CAVIA": "classic.algorithms.cavia",
    "IDMN": "classic.algorithms.idmn",
    "IMAML": "classic.algorithms.imaml",
    "MAML": "classic.algorithms.maml",
    "MANN": "classic.algorithms.mann",
    "MLP": "classic.networks.mlp",
    "R2D2": "classic.algorithms.r2d2",
    "SNAIL": "classic.algorithms.snail",
    "CapturedExecutor": "classic.functional.executors",
    "ContrastNet": "classic.algorithms.contrastnet",
    "Conv4": "classic.networks.conv4",
    "Headed": "classic.networks.head",
    "LoopExecutor": "classic.functional.executors",
    "MAMLPlusPlus": "classic.algorithms.mamlpp",
    "Matching": "classic.algorithms.matching",
    "MetaBaseline": "classic.algorithms.metabaseline",
    "MetaNet": "classic.algorithms.metanet",
    "MetaOptNet": "classic.algorithms.metaoptnet",
    "MetaSGD": "classic.algorithms.metasgd",
    "ModuleMAML": "classic.adapters.modules",
    "Multitask": "classic.algorithms.multitask",
    "Network": "classic.functional.base",
    "ProtAugment": "classic.algorithms.protaugment",
    "ProtoNet": "classic.algorithms.protonet",
    "Relation": "classic.algorithms.relation",
    "Reptile": "classic.algorithms.reptile",
    "ResNet12": "classic.networks.resnet",
    "ResNet18": "classic.networks.resnet",
    "Siamese": "classic.algorithms.siamese",
    "Sinusoids": "classic.functional.sinusoid",
    "TapNet": "classic.algorithms.tapnet",
    "TasksetTasks": "classic.adapters.tasksets",
    "TensorEpisodes": "classic.training.tensors",
    "TensorTask": "classic.functional.base",
    "Trainer": "classic.training.trainer",
    "TrainingOptions": "classic.training.options",
    "VmapExecutor": "classic.functional.executors",
    "adapt": "classic.functional.calls",
    "build_executor": "classic.functional.executors",
    "evaluate": "classic.training.tensors",
    "meta_gradient": "classic.functional.calls",
    "predict": "classic.functional.calls",
}

__all__ = [
    "ANIL",
    "BOIL",
    "CAVIA",
    "IDMN",
    "IMAML",
    "MAML",
    "MANN",
    "MLP",
    "R2D2",
    "SNAIL",
    "CapturedExecutor",
    "ContrastNet",
    "Conv4",
    "Headed",
    "LoopExecutor",
    "MAMLPlusPlus",
    "Matching",
    "MetaBaseline",
    "MetaNet",
    "MetaOptNet",
    "MetaSGD",
    "ModuleMAML",
    "Multitask",
    "Network",
    "ProtAugment",
    "ProtoNet",
    "Relation",
    "Reptile",
    "ResNet12",
    "ResNet18",
    "Siamese",
    "Sinusoids",
    "TapNet",
    "TasksetTasks",
    "TensorEpisodes",
    "TensorTask",
    "Trainer",
    "TrainingOptions",
    "VmapExecutor",
    "adapt",
    "build_executor",
    "evaluate",
    "meta_gradient",
    "predict",
]

__getattr__ = imported_on_use(__name__, _HOME)
