"""A backbone with a linear head of one output per class, whose starting point is part of the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from classic.functional.base import Described, Network
from classic.functional.prototypes import class_means
from classic.networks.mlp import linear_params
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

BODY, HEAD = "body.", "head."


@dataclass(frozen=True)
class Headed(Described):
    """`head(backbone(x))`: what the gradient-based algorithms adapt.

    Class numbers are drawn anew in every episode, so a head that is meta-learned per class has no class to mean: all it
    can learn is an arbitrary order. Three starting points treat classes alike, and serve any number of them:

        "zero"        every row is zero; the first inner step turns it towards the class means.
        "shared"      one meta-learned row, copied to every class (UNICORN-MAML; Ye and Chao, ICLR 2022).
        "prototypes"  the classifier by the nearest class mean of the support (Proto-MAML; Triantafillou et al., ICLR
                      2020): row 2c and bias -|c|^2 of a class with mean c, differentiated through.
        "learned"     one meta-learned row per output, as in MAML's own code; needs a fixed `outputs`. For regression.

    Args:
        backbone: gives the features.
        start: where the head starts in every task.
        outputs: number of outputs for "learned"; None for the others, which follow the way of the task.
        std: of a "learned" head; see `linear_params`.
    """

    backbone: Network
    start: Literal["zero", "shared", "prototypes", "learned"] = "zero"
    outputs: int | None = None
    std: float | None = None

    def __post_init__(self) -> None:
        if (self.start == "learned") != (self.outputs is not None):
            raise UsageError(f"a head that starts {self.start!r} takes outputs only, and always, where it is 'learned'")

    @property
    def features(self) -> int:
        """Columns of the backbone's output, which the head reads."""
        return self.backbone.features

    def init(self, generator: torch.Generator) -> Params:
        """Fresh meta-parameters: `body.*` and, where the start of the head is learned, `head.*`."""
        params = {BODY + name: value for name, value in self.backbone.init(generator).items()}
        if self.start not in ("shared", "learned"):
            return params
        head = linear_params(self.features, self.outputs or 1, generator, self.std)
        return params | {HEAD + name: value for name, value in head.items()}

    @property
    def head_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of what may be learned about the head: one row for all classes, or one per "learned" output."""
        rows = self.outputs or 1
        return {HEAD + "weight": (rows, self.features), HEAD + "bias": (rows,)}

    def begin(self, params: Params, task: TensorTask) -> Params:
        """The parameters from which the inner loop starts: `params` with one head row per class.

        Args:
            params: as `init` gives them.
            task: its class mask decides the way, dtype and device of the head; "prototypes" reads its support.

        Raises:
            UsageError: a "learned" head has another number of outputs.
        """
        way = len(task.class_mask)
        if self.start == "learned":
            if self.outputs != way:
                raise UsageError(
                    f"the head has {self.outputs} outputs and the task {way} classes. Pad the task with a class mask, "
                    "or let the head start 'zero' or 'shared'"
                )
            return params
        weight, bias = self._rows(params, task, way)
        return params | {HEAD + "weight": weight, HEAD + "bias": bias}

    def _rows(self, params: Params, task: TensorTask, way: int) -> tuple[Tensor, Tensor]:
        """(way, features) and (way,) of a head that is not learned per class."""
        nothing = task.class_mask.new_zeros(way)
        if self.start == "shared":
            return params[HEAD + "weight"].expand(way, -1), params[HEAD + "bias"].expand(way)
        if self.start == "prototypes":
            means = class_means(self.embed(params, task.support_x), task)
            return 2 * means, -means.square().sum(dim=-1)
        return nothing[:, None].expand(way, self.features), nothing

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, ...) -> (n, outputs)."""
        return self.classify(params, self.embed(params, x))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """(n, ...) -> (n, features)."""
        return self.backbone.apply(self.body(params), x)

    def body(self, params: Params) -> Params:
        """The parameters of the backbone, by its own names."""
        return {name.removeprefix(BODY): value for name, value in params.items() if name.startswith(BODY)}

    def classify(self, params: Params, features: Tensor) -> Tensor:
        """(n, features) -> (n, outputs)."""
        from torch.nn.functional import linear

        return linear(features, params[HEAD + "weight"], params[HEAD + "bias"])
