"""Model-agnostic meta-learning. Finn, Abbeel and Levine, ICML 2017, arXiv 1703.03400.

Start from meta-learned parameters, take a few gradient steps on the support, and minimise the loss on the queries
through those steps. With `first_order` the inner gradients count as constants (FOMAML, section 5.2 of the paper).

Traps: the loss is a mean (see `losses.py`: the paper's inner rate 0.4 is 2.0 here); the number of steps at test time
differs from that in training in most published tables; a head per class has nothing to learn (see `Headed`); one more
inner step costs as much memory again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from classic.functional.base import OWN, Described, network_params
from classic.functional.inner import descend, has_diverged, outcome, restricted
from classic.functional.losses import Loss, task_loss
from classic.learners.meta import meta_learner
from classic.networks.head import Headed
from classic.networks.module import ModuleNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    import torch
    from torch import Tensor, nn

    from classic.adapters.modules import ModuleMAML
    from classic.functional.base import Params, TensorTask


class Adapted(NamedTuple):
    """The network of one task after its inner loop, and (way,) which classes exist."""

    params: Params
    class_mask: Tensor


@dataclass(frozen=True)
class MAML(Described):
    """MAML, and FOMAML with `first_order=True`.

    Of a torch module, `MAML(module, lr=0.1)` is learn2learn's: `clone()`, `adapt(loss)`; see `ModuleMAML`.

    Args:
        network: backbone and head, or a module with its own (`Network.of`); every parameter is adapted.
        inner_lr: step size of the inner loop, for a mean loss.
        inner_steps: inner steps in training. 0 is training on all tasks at once.
        test_steps: inner steps at test time; None takes `inner_steps`.
        first_order: leave out second derivatives.
        learn_inner_lr: meta-learn the step size, as its logarithm, from `inner_lr`.
        loss: "cross_entropy", or "mse" for regression.
    """

    network: Headed | ModuleNetwork
    inner_lr: float = 0.1
    inner_steps: int = 5
    test_steps: int | None = None
    first_order: bool = False
    learn_inner_lr: bool = False
    loss: Loss = "cross_entropy"

    name = "maml"

    @overload
    def __new__(cls, network: nn.Module, lr: float | Tensor, *args: Any, **kwargs: Any) -> ModuleMAML: ...

    @overload
    def __new__(cls, network: Headed | ModuleNetwork | None = None, *args: Any, **kwargs: Any) -> Self: ...

    def __new__(cls, network: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The algorithm; of a torch module, a `ModuleMAML`."""
        if cls is not MAML or not hasattr(network, "named_parameters") or not (args or "lr" in kwargs):
            return super().__new__(cls, network)
        from classic.adapters.modules import ModuleMAML

        return ModuleMAML(network, *args, **kwargs)

    @property
    def second_order(self) -> bool:
        """Whether the meta-gradient differentiates through a gradient."""
        return not self.first_order

    def init(self, generator: torch.Generator) -> Params:
        """Parameters of the network, and `meta.log_inner_lr` () where it is learned."""
        import torch

        params = self.network.init(generator)
        if self.learn_inner_lr:
            params[OWN + "log_inner_lr"] = torch.tensor(self.inner_lr).log()
        return params

    def adapt(self, params: Params, task: TensorTask) -> Adapted:
        """The network after `test_steps` steps on the support."""
        steps = self.inner_steps if self.test_steps is None else self.test_steps
        return self._descend(params, task, steps)

    def logits(self, fast: Adapted, query_x: Tensor) -> Tensor:
        """(n_query, way) logits, or (n_query, d) predictions."""
        return restricted(self.network.apply(fast.params, query_x), fast.class_mask, self.loss)

    def meta_gradient(self, params: Params, task: TensorTask) -> tuple[Params, dict[str, Tensor]]:
        """Gradient of the query loss after `inner_steps` steps."""
        from torch.func import grad_and_value

        gradient, (loss, metrics) = grad_and_value(self._query_loss, has_aux=True)(params, task)
        before = self._support_loss(self._begin(params, task), task)
        return gradient, metrics | {"diverged": has_diverged(before, loss, gradient)}

    def _query_loss(self, params: Params, task: TensorTask) -> tuple[Tensor, dict[str, Tensor]]:
        """What training minimises, and the metrics of the queries."""
        fast = self._descend(params, task, self.inner_steps)
        return outcome(self.logits(fast, task.query_x), task, self.loss)

    def _begin(self, params: Params, task: TensorTask) -> Params:
        return self.network.begin(network_params(params), task)

    def _rate(self, params: Params) -> float | Tensor | Mapping[str, Tensor]:
        return params[OWN + "log_inner_lr"].exp() if self.learn_inner_lr else self.inner_lr

    def _descend(self, params: Params, task: TensorTask, steps: int) -> Adapted:
        def loss(fast: Params) -> Tensor:
            return self._support_loss(fast, task)

        fast = descend(loss, self._begin(params, task), self._rate(params), steps, self.first_order)
        return Adapted(fast, task.class_mask)

    def _support_loss(self, fast: Params, task: TensorTask) -> Tensor:
        outputs = restricted(self.network.apply(fast, task.support_x), task.class_mask, self.loss)
        return task_loss(outputs, task.support_y, task.support_mask, self.loss)


# On a frozen encoder, before training, this is a few steps of logistic regression.
Learner = meta_learner(MAML, head="zero", without=("loss",), learn_inner_lr=True)
