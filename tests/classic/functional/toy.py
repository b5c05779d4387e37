"""Tasks small enough to reason about, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from classic.algorithms.anil import ANIL
from classic.algorithms.boil import BOIL
from classic.algorithms.cavia import CAVIA
from classic.algorithms.contrastnet import ContrastNet
from classic.algorithms.imaml import IMAML
from classic.algorithms.maml import MAML
from classic.algorithms.mamlpp import MAMLPlusPlus
from classic.algorithms.mann import MANN
from classic.algorithms.matching import Matching
from classic.algorithms.metabaseline import MetaBaseline
from classic.algorithms.metanet import MetaNet
from classic.algorithms.metaoptnet import MetaOptNet
from classic.algorithms.metasgd import MetaSGD
from classic.algorithms.protaugment import ProtAugment
from classic.algorithms.protonet import ProtoNet
from classic.algorithms.r2d2 import R2D2
from classic.algorithms.relation import Relation
from classic.algorithms.reptile import Reptile
from classic.algorithms.siamese import Siamese
from classic.algorithms.snail import SNAIL
from classic.algorithms.tapnet import TapNet
from classic.functional.base import TensorTask
from classic.networks import MLP, Headed

if TYPE_CHECKING:
    from classic.functional.base import Algorithm, Params

WAY, SHOT, QUERY, INPUTS = 3, 2, 4, 6


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def headed(start: str = "shared", hidden: int = 8) -> Headed:
    return Headed(MLP(INPUTS, (hidden,), activate_last=True), start, WAY if start == "learned" else None)  # type: ignore[arg-type]


def algorithms() -> dict[str, Algorithm]:
    """One of every kind, on networks of 6 inputs."""
    embed = MLP(INPUTS, (8, 5))
    return {
        "maml": MAML(headed(), inner_lr=0.5, inner_steps=3),
        "maml learned head": MAML(headed("learned"), inner_lr=0.5, inner_steps=2, learn_inner_lr=True),
        "fomaml": MAML(headed(), inner_lr=0.5, inner_steps=3, first_order=True),
        "anil": ANIL(headed("zero"), inner_lr=0.5, inner_steps=3),
        "metasgd": MetaSGD(headed(), inner_lr=0.5),
        "protomaml": MAML(headed("prototypes"), inner_lr=0.1, inner_steps=2),
        "boil": BOIL(headed("prototypes"), inner_lr=0.5, inner_steps=2),
        "cavia": CAVIA(headed("prototypes"), inner_lr=0.1, n_context=4),
        "mamlpp": MAMLPlusPlus(headed(), inner_lr=0.5, inner_steps=2, early=0.5),
        "imaml": IMAML(headed(), inner_lr=0.3, inner_steps=3, strength=0.5, cg_steps=2),
        "reptile": Reptile(headed("zero"), inner_lr=0.5, inner_steps=4, batch_size=WAY),
        "protonet": ProtoNet(embed),
        "protonet cosine": ProtoNet(embed, distance="cosine", learn_temperature=True),
        "protaugment": ProtAugment(embed),
        "contrastnet": ContrastNet(embed),
        "matching": Matching(embed),
        "matching centres": Matching(embed, centres=True),
        "matching full context": Matching(embed, full_context=True, reads=2),
        "relation": Relation(embed, relation_width=8),
        "relation cross-entropy": Relation(embed, relation_width=8, loss="cross_entropy"),
        "siamese": Siamese(embed),
        "siamese max": Siamese(embed, aggregate="max"),
        "siamese centre": Siamese(embed, aggregate="centre"),
        "metaoptnet": MetaOptNet(embed),
        "metabaseline": MetaBaseline(embed, base_classes=WAY),
        "r2d2": R2D2(embed),
        "r2d2 more rows than features": R2D2(MLP(INPUTS, (4,))),
        "mann": MANN(embed, slots=5, hidden_state=16, cells=8, width=6, reads=2, temperature=0.1),
        "snail": SNAIL(embed, slots=5, filters=4, length=2),
        "metanet": MetaNet(embed, generator_width=4),
        "tapnet": TapNet(embed, attention_width=6),
    }


def parameters(algorithm: Algorithm, dtype: torch.dtype = torch.float64, seed: int = 0) -> Params:
    return {name: value.to(dtype) for name, value in algorithm.init(generator(seed)).items()}


def tasks(
    n: int, seed: int = 0, *, way: int = WAY, shot: int = SHOT, query: int = QUERY, dtype: torch.dtype = torch.float64
) -> TensorTask:
    """A batch of tasks whose classes are Gaussian clouds, drawn anew in every task."""
    rng = generator(seed)
    centres = 3 * torch.randn(n, way, INPUTS, generator=rng, dtype=dtype)

    def draw(per_class: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(way).repeat(per_class).expand(n, -1)
        x = centres.gather(1, y[:, :, None].expand(-1, -1, INPUTS))
        return x + torch.randn(x.shape, generator=rng, dtype=dtype), y

    (support_x, support_y), (query_x, query_y) = draw(shot), draw(query)
    return TensorTask(
        support_x,
        support_y,
        torch.ones(n, way * shot, dtype=dtype),
        query_x,
        query_y,
        torch.ones(n, way * query, dtype=dtype),
        torch.ones(n, way, dtype=dtype),
    )


def task(seed: int = 0, **shape: int) -> TensorTask:
    """One task, without the leading dimension."""
    return TensorTask(*(field[0] for field in tasks(1, seed, **shape)))  # type: ignore[arg-type]


def padded(batch: TensorTask, *, classes: int = 2, rows: int = 3) -> TensorTask:
    """The same tasks with classes and rows that do not exist, full of numbers that must not matter."""
    n = len(batch.class_mask)

    def more(values: torch.Tensor, count: int, fill: float) -> torch.Tensor:
        return torch.cat([values, values.new_full((n, count, *values.shape[2:]), fill)], dim=1)

    return TensorTask(
        more(batch.support_x, rows, 7.0),
        more(batch.support_y, rows, 1),
        more(batch.support_mask, rows, 0),
        more(batch.query_x, rows, -7.0),
        more(batch.query_y, rows, 2),
        more(batch.query_mask, rows, 0),
        more(batch.class_mask, classes, 0),
    )
