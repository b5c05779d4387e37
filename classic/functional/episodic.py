"""What algorithms without an inner loop share: the meta-gradient is the gradient of the query loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from classic.functional.base import Described
from classic.functional.inner import all_finite, outcome
from classic.functional.losses import task_loss

if TYPE_CHECKING:
    from torch import Tensor

    from classic.functional.base import Params, TensorTask


class Episodic(Described):
    """Subclasses define `init`, `adapt` and `logits`; for a loss of their own `objective`, or `forward`."""

    second_order = False

    def adapt(self, params: Params, task: TensorTask) -> Any:
        """Learn from the support."""
        raise NotImplementedError

    def logits(self, fast: Any, query_x: Tensor) -> Tensor:
        """(n_query, way)."""
        raise NotImplementedError

    def objective(self, logits: Tensor, fast: Any, task: TensorTask) -> Tensor:
        """The query loss that training minimises: mean cross-entropy."""
        return task_loss(logits, task.query_y, task.query_mask, "cross_entropy")

    def forward(self, params: Params, task: TensorTask) -> tuple[Tensor, Tensor]:
        """What training minimises, and (n_query, way) logits to tell the accuracy by."""
        fast = self.adapt(params, task)
        logits = self.logits(fast, task.query_x)
        return self.objective(logits, fast, task), logits

    def query_loss(self, params: Params, task: TensorTask) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss that `forward` gives, and the metrics of the task."""
        loss, logits = self.forward(params, task)
        _, metrics = outcome(logits, task, "cross_entropy")
        return loss, metrics | {"loss": loss.detach()}

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """Gradient of `query_loss`. Executors may sum the losses of many tasks before they take it."""
        from torch.func import grad_and_value

        gradient, (loss, metrics) = grad_and_value(self.query_loss, has_aux=True)(params, task)
        return gradient, metrics | {"diverged": (~all_finite(loss, gradient)).to(loss.dtype)}
