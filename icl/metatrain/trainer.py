"""The trainer of language models on sequences: accumulation, clipping, evaluation, checkpoints, bit-exact resume.

Nothing is drawn at random during training: sequence i is a function of i, and step n learns from the sequences from
n * batch on. There is no dropout. The state of a training is therefore its step and its tensors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.learner import Context
from fewshot.core.devices import resolve_dtype
from fewshot.core.errors import FewshotError, UsageError
from fewshot.training import checkpoint
from fewshot.training.curves import Point, write_curve
from fewshot.training.progress import Progress
from fewshot.training.schedule import warmed_up
from icl.metatrain.collation import Encoded, batches
from icl.metatrain.objective import Shares, n_right, token_losses, weighted_loss
from icl.metatrain.options import Optimization
from icl.metatrain.validation import mean

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Parameter

NAME = "training"
#: Steps that are timed, after one that is not, to tell how many fit into a time.
_TIMED = 3


@dataclass
class _Sums:
    """Totals since the last evaluation."""

    loss: float = 0.0
    steps: int = 0
    right: int = 0
    answers: int = 0


@dataclass
class _State:
    optimizer: torch.optim.Optimizer
    best: dict[str, Tensor]
    progress: Progress
    sums: _Sums = field(default_factory=_Sums)


class SequenceTrainer:
    """Trains a causal language model of transformers.

    Args:
        model: the model, on its device. parameters: those that are trained, by name.
        options: how.
        ctx: messages, interruption.
        folder: where checkpoints and the learning curve go; a training found there is continued. None keeps nothing.
        identity: what else decides the result, JSON-ready; it guards the resume.
    """

    def __init__(
        self,
        model: Any,
        parameters: Mapping[str, Parameter],
        options: Optimization,
        ctx: Context,
        folder: Path | None = None,
        identity: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model.eval()
        self.parameters = dict(parameters)
        self.options = options
        self.ctx = ctx
        self.folder = folder
        self.identity = {"options": asdict(options), **(identity or {})}
        self._precision = resolve_dtype(options.precision, model.device.type)

    def fit(self, sequences: Callable[[int], Sequence[Encoded]], validate: Callable[[], dict[str, float]]) -> Progress:
        """Train until the steps are done, the goal is reached or validation gets no better.

        Args:
            sequences: what step n learns from.
            validate: accuracy by condition, of the model as it is.

        Returns:
            how it went; the model holds the weights that are kept.

        Raises:
            ResumeMismatch: the folder holds a training of another kind.
            FewshotError: the loss is not finite.
            KeyboardInterrupt, BudgetReached: the context said stop; the checkpoint is written.
        """
        state = self._resumed() or self._fresh()
        progress = state.progress
        if not progress.curve:
            self._evaluate(state, validate)
        while not progress.is_over:
            if self.ctx.stopping:
                self._save(state)
                progress.interrupt(self.ctx, self.folder)
            self._advance(state, sequences(progress.step))
            if progress.is_due:
                self._evaluate(state, validate)
                self._save(state)
        if self.options.keep == "best":
            self._put(state.best)
        return progress

    def seconds_per_step(self, sequences: Callable[[int], Sequence[Encoded]]) -> float:
        """How long a step takes, without taking one."""
        started = 0.0
        for step in range(1 + _TIMED):
            if step == 1:
                started = time.perf_counter()
            self._accumulate(sequences(step))
            self._clear()
        return (time.perf_counter() - started) / _TIMED

    def _advance(self, state: _State, sequences: Sequence[Encoded]) -> None:
        """One step."""
        import torch

        loss, right, answers = self._accumulate(sequences)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.options.clip)
        step = state.progress.step
        if not bool(torch.isfinite(norm)):
            raise FewshotError(f"training diverges: the gradient of step {step} is not finite; use a smaller lr")
        factor = warmed_up(step, self.options.steps, self.options.warmup, self.options.schedule)
        for group in state.optimizer.param_groups:
            group["lr"] = self.options.lr * factor
        state.optimizer.step()
        self._clear()
        state.progress.step += 1
        sums = state.sums
        state.sums = _Sums(sums.loss + loss, sums.steps + 1, sums.right + right, sums.answers + answers)

    def _accumulate(self, sequences: Sequence[Encoded]) -> tuple[float, int, int]:
        """Add the gradient of a step to the parameters; returns its loss, right answers and answers."""
        n_labels = sum(each.n_targets for each in sequences)
        n_others = sum(int(each.others.sum()) for each in sequences)
        if not n_labels:
            raise UsageError(
                "no example of a training step can be answered: texts are too long for the sequences, or these have "
                "too few examples; use shorter texts, a larger max_length or more examples"
            )
        weight = self.options.text_weight
        shares = Shares(1 / n_labels, weight / n_others if weight and n_others else 0.0)
        total, right = 0.0, 0
        for batch in batches(sequences, self.options.max_tokens, with_text=weight > 0):
            if not len(batch.rows):
                continue
            with self._autocast():
                losses, predicted = token_losses(self.model, batch, among_words=self.options.among_words)
            loss = weighted_loss(losses, batch, shares)
            loss.backward()
            total += float(loss.detach())
            right += n_right(predicted, batch)
        return total, right, sum(len(each.answers) for each in sequences)

    def _autocast(self) -> AbstractContextManager[Any]:
        import torch

        if self._precision == "float32":
            return nullcontext()
        return torch.autocast(self.model.device.type, dtype=getattr(torch, self._precision))

    def _clear(self) -> None:
        for value in self.parameters.values():
            value.grad = None

    def _evaluate(self, state: _State, validate: Callable[[], dict[str, float]]) -> None:
        parts, sums = validate(), state.sums
        point = Point(
            step=state.progress.step,
            loss=sums.loss / sums.steps if sums.steps else None,
            accuracy=sums.right / sums.answers if sums.answers else None,
            valid_loss=None,
            valid_accuracy=mean(parts.values()) if parts else None,
            parts=parts,
        )
        if state.progress.add(point):
            state.best = self._copied()
        state.sums = _Sums()
        self.ctx.notify(state.progress.line())
        self.ctx.track(point.row(), point.step)

    def _fresh(self) -> _State:
        return _State(self._optimizer(), self._copied(), self._progress())

    def _progress(self) -> Progress:
        options = self.options
        return Progress(options.steps, options.eval_every, options.patience, options.goal)

    def _optimizer(self) -> torch.optim.Optimizer:
        import torch

        matrices = [value for value in self.parameters.values() if value.ndim > 1]
        vectors = [value for value in self.parameters.values() if value.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": self.options.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.options.lr, betas=(0.9, 0.95))

    def _copied(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        import torch

        with torch.no_grad():
            for name, value in self.parameters.items():
                value.copy_(tensors[name])

    def _save(self, state: _State) -> None:
        if self.folder is None:
            return
        tensors = checkpoint.prefixed("params", self._copied()) | checkpoint.prefixed("best", state.best)
        for name, value in self.parameters.items():
            tensors |= checkpoint.prefixed(f"optimizer.{name}", state.optimizer.state[value])
        content = {**state.progress.record(), "sums": asdict(state.sums), "identity": self.identity}
        checkpoint.write(self.folder, NAME, tensors, content)
        write_curve(self.folder, state.progress.curve)

    def _resumed(self) -> _State | None:
        found = checkpoint.unfinished(self.folder, NAME, self.identity)
        if found is None:
            return None
        tensors, content = found
        tensors = {name: value.to(self.model.device) for name, value in tensors.items()}
        self._put(checkpoint.unprefixed("params", tensors))
        optimizer, progress = self._optimizer(), self._progress()
        for name, value in self.parameters.items():
            kept = checkpoint.unprefixed(f"optimizer.{name}", tensors)
            # AdamW counts its steps on the CPU.
            optimizer.state[value] = {key: item.cpu() if key == "step" else item for key, item in kept.items()}
        progress.restore(content)
        self.ctx.notify(f"{self.folder}: going on from step {progress.step}")
        return _State(optimizer, checkpoint.unprefixed("best", tensors), progress, _Sums(**content["sums"]))


def forget(folder: Path) -> None:
    """Delete the state of a training that is finished."""
    checkpoint.remove(folder, NAME)
