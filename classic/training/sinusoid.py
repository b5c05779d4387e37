"""The sinusoid experiment: MAML, FOMAML and Reptile beside joint training, and what each makes of a new wave.

The network is 1-40-40-1 with ReLU; 25 tasks per meta-step; one inner step in training, rate 0.01 (Reptile: see
`METHODS`). A method is tested on 600 waves by the error on 100 even points after 0, 1, 5 and 10 steps on K points. A
wave diverges when its error is not finite or exceeds 100 times max(1, error before adapting).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from classic.algorithms.maml import MAML
from classic.algorithms.reptile import Reptile
from classic.functional.executors import build_executor
from classic.functional.inner import EXPLOSION
from classic.functional.sinusoid import Sinusoids
from classic.networks import MLP, Headed

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask
    from classic.functional.executors import Executor

META_BATCH, TEST_TASKS, GRID, STEPS = 25, 600, 100, (0, 1, 5, 10)
#: What the paper takes: meta-steps, and the step size of Adam.
PAPER_ITERATIONS, PAPER_LR = 70_000, 1e-3

NETWORK = Headed(MLP(1, (40, 40), activate_last=True, std=0.01), "learned", 1, std=0.01)

#: Reptile takes plain gradient steps on minibatches and moves a tenth of the way, less and less.
METHODS: dict[str, MAML | Reptile] = {
    "pretrained": MAML(NETWORK, 0.01, inner_steps=0, loss="mse"),
    "maml": MAML(NETWORK, 0.01, inner_steps=1, loss="mse"),
    "fomaml": MAML(NETWORK, 0.01, inner_steps=1, first_order=True, loss="mse"),
    "reptile": Reptile(
        replace(NETWORK, backbone=MLP(1, (40, 40), activate_last=True), std=None),
        0.02,
        inner_steps=10,
        batch_size=10,
        loss="mse",
    ),
}


def train(
    method: MAML | Reptile, shot: int, seed: int, iterations: int, executor: Executor, lr: float = PAPER_LR
) -> Params:
    """Meta-train from a fresh start.

    Args:
        lr: step size of Adam; Reptile has none.
    """
    import torch

    params = method.init(torch.Generator().manual_seed(seed))
    tasks = Sinusoids(shot, shot, seed)
    optimiser = torch.optim.Adam(list(params.values()), lr=lr)
    for step in range(iterations):
        batch = tasks.batch(step * META_BATCH, (step + 1) * META_BATCH)
        direction, _ = executor.meta_gradient(method, params, batch)
        if isinstance(method, Reptile):
            rate = 0.1 * (1 - step / iterations)
            params = {name: value - rate * direction[name] for name, value in params.items()}
            continue
        for name, value in params.items():
            value.grad = direction[name]
        optimiser.step()
    return params


def held_out(shot: int) -> TensorTask:
    """The waves of the test, the same for all methods and training seeds; queries are even points."""
    return Sinusoids(shot, GRID, seed=-1, grid=True).batch(0, TEST_TASKS)


def predictions(method: MAML | Reptile, params: Params, waves: TensorTask) -> dict[int, Tensor]:
    """(n_waves, GRID, 1) predictions after each number of `STEPS`."""
    executor = build_executor("vmap")
    return {steps: executor.predict(replace(method, test_steps=steps), params, waves) for steps in STEPS}


def errors(predicted: dict[int, Tensor], waves: TensorTask) -> dict[int, tuple[Tensor, Tensor]]:
    """For each number of steps the (n_waves,) squared errors, and which waves diverged."""
    squared = {steps: (each - waves.query_y).square().mean(dim=(1, 2)) for steps, each in predicted.items()}
    limit = EXPLOSION * squared[0].clamp(min=1)
    return {steps: (each, ~each.isfinite() | (each > limit)) for steps, each in squared.items()}
