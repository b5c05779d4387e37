"""One trainer for every algorithm: outer optimiser, schedule, clipping, early stopping, bit-exact resume.

Nothing is drawn at random during training: parameters come from the seed, task i is a function of i, and step n uses
the tasks from n * meta_batch on. The state of a training is therefore its step, its tensors and a few sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classic.functional.base import Staged
from classic.training.data import TaskSource
from classic.training.options import TrainingOptions
from classic.training.scores import task_scores
from evals.learner import Context
from evals.stats import t_interval
from fewshot.core.devices import resolve_device
from fewshot.core.errors import FewshotError
from fewshot.core.seeds import seed_of
from fewshot.training import checkpoint
from fewshot.training.curves import Point, write_curve
from fewshot.training.distributed import join
from fewshot.training.progress import Progress
from fewshot.training.schedule import rate

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Algorithm, Params
    from classic.functional.executors import Executor

_NAME = "training"
_DIVERGED = "share of tasks that diverged"
#: Steps in a row in which every task diverged, after which a training is given up.
_MAX_SKIPPED = 20
#: Validation tasks that are answered together.
_VALID_CHUNK = 50


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Attributes:
        params: those of the best evaluation.
        step: when it was. steps: how far training went.
        curve: one point per evaluation.
        diverged: training tasks whose inner loop diverged.
    """

    params: Params
    step: int
    steps: int
    curve: tuple[Point, ...]

    @property
    def best(self) -> Point:
        """The point at which `params` were evaluated."""
        return next(point for point in self.curve if point.step == self.step)

    @property
    def diverged(self) -> int:
        """How many training tasks diverged."""
        return sum(point.diverged for point in self.curve)


@dataclass
class _State:
    """Everything a resumed training needs. `sums` are totals since the last point: tasks, diverged, each metric."""

    params: Params
    optimizer: torch.optim.Optimizer
    best: Params
    progress: Progress
    skipped: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Trains the meta-parameters of an algorithm on tasks.

    Args:
        algorithm: what is trained. executor: how a batch of its tasks is run.
        options: how.
        ctx: device, messages, interruption.
        folder: where checkpoints and the learning curve go; a training found there is continued. None keeps nothing.
        identity: what else decides the result (data, encoder), JSON-ready; it guards the resume.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        executor: Executor,
        options: TrainingOptions,
        ctx: Context,
        folder: Path | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.algorithm = algorithm
        self.executor = executor
        self.options = options
        self.ctx = ctx
        self.folder = folder
        self.identity = {"algorithm": algorithm.describe(), "options": asdict(options), **(identity or {})}
        self._workers, self._device = join(resolve_device(ctx.device))

    def fit(self, train: TaskSource, valid: TaskSource) -> Trained:
        """Train until the steps are done or the validation tasks get no better; the best parameters count.

        With `keep_start` those before training count, unless the best are significantly better (paired, one-sided 5 %)
        on as many other validation tasks.

        Raises:
            ResumeMismatch: the folder holds a training of another algorithm, data or options.
            FewshotError: every task of 20 steps in a row diverged.
            KeyboardInterrupt, BudgetReached: the context said stop; the checkpoint is written.
        """
        state = self._resumed() or self._fresh()
        progress = state.progress
        if not progress.curve:
            self._evaluate(state, valid)
        while not progress.is_over:
            if self.ctx.stopping:
                self._save(state)
                progress.interrupt(self.ctx, self.folder)
            self._advance(state, train)
            if progress.is_due:
                self._evaluate(state, valid)
                self._save(state)
        if progress.best_step and self.options.keep_start and not self._gains(state.best, valid):
            progress.best_step, state.best = 0, self._first_params()
        return Trained(state.best, progress.best_step, progress.step, tuple(progress.curve))

    def _fresh(self) -> _State:
        params = self._first_params()
        return _State(params, self._optimizer(params), _copied(params), self._progress())

    def _first_params(self) -> Params:
        import torch

        generator = torch.Generator().manual_seed(seed_of(self.options.seed, "initial parameters"))
        return {name: value.to(self._device) for name, value in self.algorithm.init(generator).items()}

    def _progress(self) -> Progress:
        return Progress(self.options.steps, self.options.eval_every, self.options.patience)

    def _optimizer(self, params: Params) -> torch.optim.Optimizer:
        import torch

        build = torch.optim.Adam if self.options.optimizer == "adam" else torch.optim.SGD
        # An algorithm may have nothing to learn; torch refuses to optimise nothing.
        return build(list(params.values()) or [torch.zeros(0)], lr=self.options.lr)

    def _advance(self, state: _State, train: TaskSource) -> None:
        """One outer step."""
        import torch

        start = state.progress.step * self.options.meta_batch
        batch = train.batch(*self._workers.share(start, start + self.options.meta_batch))
        algorithm = self.algorithm
        if isinstance(algorithm, Staged):
            algorithm = algorithm.at(state.progress.step / self.options.steps)
        gradient, metrics = self.executor.meta_gradient(algorithm, state.params, batch)
        averaged = self._workers.average({**gradient, _DIVERGED: metrics["diverged"].float().mean()})
        self._count(state, metrics)
        state.progress.step += 1
        if averaged.pop(_DIVERGED) == 1:
            self._skip(state)
            return
        state.skipped = 0
        gradient, norm = averaged, _norm(averaged)
        clip = self.options.clip
        scale = clip / norm if clip is not None and norm > clip else 1.0
        for name, value in state.params.items():
            value.grad = gradient[name] * scale
        for group in state.optimizer.param_groups:
            group["lr"] = self.options.lr * rate(state.progress.step - 1, self.options.steps, self.options.schedule)
        with torch.no_grad():
            state.optimizer.step()

    def _skip(self, state: _State) -> None:
        """Leave the parameters alone where every task diverged; give up when it stays so."""
        state.skipped += 1
        if state.skipped >= _MAX_SKIPPED:
            raise FewshotError(
                f"training of {self.algorithm.name!r} diverges: every task of the last {state.skipped} steps did, "
                f"up to step {state.progress.step}; use a smaller lr or inner_lr"
            )

    def _count(self, state: _State, metrics: Mapping[str, Tensor]) -> None:
        """Add the metrics of a batch to the sums, without the tasks that diverged."""
        import torch

        diverged = metrics["diverged"] > 0
        counts = {"tasks": (~diverged).sum(), "diverged": diverged.sum()}
        for name in ("loss", "accuracy"):
            if name in metrics:
                counts[name] = torch.where(diverged, 0.0, metrics[name].double()).sum()
        for name, value in counts.items():
            # Kept on the device: reading it here would stop the GPU at every step.
            state.sums[name] = state.sums.get(name, torch.zeros((), dtype=torch.float64, device=value.device)) + value

    def _evaluate(self, state: _State, valid: TaskSource) -> None:
        """Append a point to the curve, and keep the parameters if they are the best so far."""
        sums = {name: float(value) for name, value in self._workers.average(state.sums).items()} if state.sums else {}
        tasks = sums.get("tasks", 0)
        losses, accuracies = self._validate(state.params, valid, 0)
        finite = losses[losses.isfinite()]
        point = Point(
            step=state.progress.step,
            loss=sums["loss"] / tasks if tasks else None,
            accuracy=sums["accuracy"] / tasks if tasks and "accuracy" in sums else None,
            valid_loss=float(finite.double().mean()) if len(finite) else None,
            valid_accuracy=None if accuracies is None else float(accuracies.double().mean()),
            diverged=round(sums.get("diverged", 0) * self._workers.size),
        )
        if state.progress.add(point):
            state.best = _copied(state.params)
        state.sums = {}
        if self._workers.first:
            self.ctx.notify(state.progress.line())
            self.ctx.track(point.row(), point.step)

    def _gains(self, params: Params, valid: TaskSource) -> bool:
        """Whether training is significantly better than its start, on the same validation tasks that chose nothing."""
        _, after = self._validate(params, valid, self.options.n_valid)
        _, before = self._validate(self._first_params(), valid, self.options.n_valid)
        if after is None or before is None or len(after) < 2:
            return True
        gain = t_interval((after.double() - before.double()).tolist(), 0.9)
        if gain.low <= 0:
            self.ctx.notify(
                f"{self.algorithm.name} keeps its start: on {len(after)} more validation episodes training gained "
                f"{100 * gain.mean:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
            )
        return gain.low > 0

    def _validate(self, params: Params, valid: TaskSource, first: int) -> tuple[Tensor, Tensor | None]:
        """Losses and accuracies of `n_valid` validation tasks. A task without finite outputs counts as failed.

        Args:
            first: number of the first task.
        """
        import torch

        losses, accuracies = [], []
        last = first + self.options.n_valid
        for start in range(first, last, _VALID_CHUNK):
            batch = valid.batch(start, min(start + _VALID_CHUNK, last))
            loss, accuracy = task_scores(self.executor.predict(self.algorithm, params, batch), batch)
            losses.append(loss)
            accuracies.append(accuracy)
        return torch.cat(losses), None if accuracies[0] is None else torch.cat(accuracies)

    def _save(self, state: _State) -> None:
        if self.folder is None or not self._workers.first:
            return
        tensors = checkpoint.prefixed("params", state.params) | checkpoint.prefixed("best", state.best)
        for name, value in state.params.items():
            kept = {key: item for key, item in state.optimizer.state[value].items() if item is not None}
            tensors |= checkpoint.prefixed(f"optimizer.{name}", kept)
        content = {
            **state.progress.record(),
            "skipped": state.skipped,
            "sums": {name: float(value) for name, value in state.sums.items()},
            "identity": self.identity,
        }
        checkpoint.write(self.folder, _NAME, tensors, content)
        write_curve(self.folder, state.progress.curve)

    def _resumed(self) -> _State | None:
        import torch

        found = checkpoint.unfinished(self.folder, _NAME, self.identity)
        if found is None:
            return None
        tensors, content = found
        tensors = {name: value.to(self._device) for name, value in tensors.items()}
        params = checkpoint.unprefixed("params", tensors)
        optimizer = self._optimizer(params)
        for name, value in params.items():
            optimizer.state[value] = checkpoint.unprefixed(f"optimizer.{name}", tensors)
        sums = {
            name: torch.tensor(value, dtype=torch.float64, device=self._device)
            for name, value in content["sums"].items()
        }
        progress = self._progress()
        progress.restore(content)
        self.ctx.notify(f"{self.folder}: going on from step {progress.step}")
        return _State(
            params=params,
            optimizer=optimizer,
            best=checkpoint.unprefixed("best", tensors),
            progress=progress,
            skipped=content["skipped"],
            sums=sums,
        )


def forget(folder: Path) -> None:
    """Delete the state of a training that is finished."""
    checkpoint.remove(folder, _NAME)


def _copied(params: Params) -> Params:
    return {name: value.detach().clone() for name, value in params.items()}


def _norm(gradient: Params) -> float:
    """The Euclidean norm of all gradients together."""
    import torch

    return float(torch.nn.utils.get_total_norm(list(gradient.values()))) if gradient else 0.0
