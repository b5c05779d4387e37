"""Meta-training on cached vectors beside the classical loop: episodes per second, one JSON line each.

    python benchmarks/training.py [--hidden 0 64 256] [--meta-batch 8 32] [--episodes 800]

Prototypical networks on x + MLP(x), and on a linear map to 64 columns (hidden 0), of vectors with 384 columns; 5-way
1-shot with 15 queries per class of intents-en. The classical
loop is that of easyfsl 1.5 (which needs torchvision, so it is written out here): a DataLoader with a task sampler that
collates one episode at a time, a module that holds its prototypes, one backward pass and one step of Adam per episode.
Ours is what `fewshot classic train` runs: episodes drawn as rows, a batch of them in one backward pass, one step of
Adam per batch. Both see each episode for the first time. The seconds are of the process's CPU, the best of `--repeats`
turns, in each of which both run: other programs do not count.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from classic.algorithms.protonet import ProtoNet
from classic.functional.executors import build_executor
from classic.networks.mlp import MLP, Residual
from classic.training.data import EpisodeTasks, TextTable
from classic.training.inputs import FrozenFeatures
from classic.training.options import TrainingOptions
from classic.training.trainer import Trainer
from evals.learner import Context
from evals.loading import load_task
from evals.metatrain import Shape, TrainingData, training_data
from fewshot.encoders import build_encoder

WAY, SHOT, QUERY, PROJECTED, RATE = 5, 1, 15, 64, 1e-4


class ClassicalSampler:
    """`TaskSampler` of easyfsl: positions of one episode after the other, and how its rows are put together."""

    def __init__(self, labels: Sequence[int], episodes: int) -> None:
        self.episodes = episodes
        self.items: dict[int, list[int]] = {}
        for at, label in enumerate(labels):
            self.items.setdefault(label, []).append(at)

    def __len__(self) -> int:
        return self.episodes

    def __iter__(self) -> Iterator[list[int]]:
        for _ in range(self.episodes):
            classes = random.sample(sorted(self.items), WAY)
            drawn = [torch.tensor(random.sample(self.items[label], SHOT + QUERY)) for label in classes]
            yield torch.cat(drawn).tolist()

    @staticmethod
    def collate(rows: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Support, its classes, queries, their classes."""
        numbered = [(x, int(y)) for x, y in rows]
        classes = list({y for _, y in numbered})
        x = torch.cat([x.unsqueeze(0) for x, _ in numbered]).reshape(WAY, SHOT + QUERY, -1)
        y = torch.tensor([classes.index(y) for _, y in numbered]).reshape(WAY, SHOT + QUERY)
        return x[:, :SHOT].flatten(0, 1), y[:, :SHOT].flatten(), x[:, SHOT:].flatten(0, 1), y[:, SHOT:].flatten()


class Adapter(nn.Module):
    """x + MLP(x), the last layer at zero."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(features, hidden), nn.Linear(hidden, features)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(torch.relu(self.inner(x)))


class ClassicalProtoNet(nn.Module):
    """`PrototypicalNetworks` of easyfsl: the support is processed first, and held."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.prototypes = torch.tensor(())

    def process_support_set(self, x: Tensor, y: Tensor) -> None:
        embedded = self.backbone(x)
        self.prototypes = torch.cat([embedded[torch.nonzero(y == label)].mean(0) for label in range(len(y.unique()))])

    def forward(self, x: Tensor) -> Tensor:
        return -torch.cdist(self.backbone(x), self.prototypes)


def classical(vectors: Tensor, labels: Sequence[int], hidden: int, episodes: int) -> None:
    """Train on `episodes` episodes, as easyfsl's episodic training does."""
    sampler = ClassicalSampler(labels, episodes)
    data = TensorDataset(vectors, torch.tensor(labels))
    loader: Any = DataLoader(data, batch_sampler=sampler, collate_fn=sampler.collate)  # type: ignore[arg-type]
    width = vectors.shape[1]
    model = ClassicalProtoNet(Adapter(width, hidden) if hidden else nn.Linear(width, PROJECTED))
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    for support_x, support_y, query_x, query_y in loader:
        optimizer.zero_grad()
        model.process_support_set(support_x, support_y)
        loss = nn.functional.cross_entropy(model(query_x), query_y)
        loss.backward()
        optimizer.step()
        loss.item()


def ours(data: TrainingData, table: TextTable, hidden: int, meta_batch: int, episodes: int) -> None:
    """The same by `Trainer`, without validation."""
    steps = episodes // meta_batch
    options = TrainingOptions(steps=steps, meta_batch=meta_batch, lr=RATE, eval_every=steps, patience=None, n_valid=1)
    algorithm = ProtoNet(Residual(table.width, hidden) if hidden else MLP(table.width, (PROJECTED,)))
    trainer = Trainer(algorithm, build_executor("vmap"), options, Context(device="cpu"))
    trainer.fit(EpisodeTasks(data.train, table), EpisodeTasks(data.valid, table))


def cpu_seconds(function: Callable[[], None]) -> float:
    """CPU seconds of this process in one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


def main() -> None:
    """Print one JSON line per width and meta-batch."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", nargs="+", type=int, default=[0, 64, 256], help="widths; 0: a linear map")
    parser.add_argument("--meta-batch", nargs="+", type=int, default=[8, 32], help="episodes per step of ours")
    parser.add_argument("--episodes", type=int, default=800, help="per turn (default: 800)")
    parser.add_argument("--repeats", type=int, default=3, help="turns (default: 3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = load_task("intents-en")
    shape = Shape(WAY, SHOT, QUERY)
    data = training_data(shape, shape, tested=task, class_split=task.default_class_split())
    table = TextTable(FrozenFeatures(build_encoder("minilm", device="cpu")))
    rows = [row for sampler in (*data.train.samplers, *data.valid.samplers) for row in sampler.rows()]
    vectors = table.gather(table.indices([row.text for row in rows]))
    classes = sorted({str(row.label) for row in rows})
    labels = [classes.index(str(row.label)) for row in rows]
    for hidden in options.hidden:
        for meta_batch in options.meta_batch:
            turns = [
                (
                    cpu_seconds(lambda: classical(vectors, labels, hidden, options.episodes)),  # noqa: B023
                    cpu_seconds(lambda: ours(data, table, hidden, meta_batch, options.episodes)),  # noqa: B023
                )
                for _ in range(options.repeats)
            ]
            other, own = (min(turn[at] for turn in turns) for at in (0, 1))
            record = {"benchmark": "training", "hidden": hidden, "meta_batch": meta_batch, "episodes": options.episodes}
            record |= {"way": WAY, "shot": SHOT, "queries_per_class": QUERY, "threads": 1, "torch": torch.__version__}
            record["classical_episodes_per_s"] = round(options.episodes / other)
            record["ours_episodes_per_s"] = round(options.episodes / own)
            print(json.dumps(record | {"ratio": round(other / own, 2), "goal": 5}), flush=True)


if __name__ == "__main__":
    main()
