"""Small networks on vectors: a multi-layer perceptron, a residual one that begins as the identity, and the identity."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import TYPE_CHECKING

from classic.functional.base import Described

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params


def linear_params(inputs: int, outputs: int, generator: torch.Generator, std: float | None = None) -> Params:
    """Weight (outputs, inputs) and bias (outputs,) of a linear layer.

    Args:
        std: None draws both from U[-1/sqrt(inputs), 1/sqrt(inputs)], as torch.nn.Linear does; a number draws the
            weight from a normal cut at two deviations and sets the bias to 0, as the reference code of MAML does.
    """
    import torch

    weight, bias = torch.empty(outputs, inputs), torch.zeros(outputs)
    if std is not None:
        torch.nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        return {"weight": weight, "bias": bias}
    bound = 1 / sqrt(inputs)
    return {
        "weight": weight.uniform_(-bound, bound, generator=generator),
        "bias": bias.uniform_(-bound, bound, generator=generator),
    }


@dataclass(frozen=True)
class MLP(Described):
    """Linear layers with ReLU between them.

    Args:
        inputs: columns of x.
        sizes: outputs of every layer; the last is the number of features.
        activate_last: ReLU after the last layer too, as the hidden part of a classifier has it.
        std: see `linear_params`.
    """

    inputs: int
    sizes: tuple[int, ...]
    activate_last: bool = False
    std: float | None = None

    @property
    def features(self) -> int:
        """Outputs of the last layer."""
        return self.sizes[-1]

    def init(self, generator: torch.Generator) -> Params:
        """Fresh parameters `0.weight`, `0.bias`, `1.weight`, ..."""
        params: Params = {}
        for at, (inputs, outputs) in enumerate(pairwise((self.inputs, *self.sizes))):
            layer = linear_params(inputs, outputs, generator, self.std)
            params |= {f"{at}.{name}": value for name, value in layer.items()}
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, features)."""
        from torch.nn.functional import linear, relu

        for at in range(len(self.sizes)):
            x = linear(x, params[f"{at}.weight"], params[f"{at}.bias"])
            if self.activate_last or at < len(self.sizes) - 1:
                x = relu(x)
        return x


@dataclass(frozen=True)
class Residual(Described):
    """x + MLP(x), where the last layer starts at zero: training begins at the vectors as they came.

    For frozen encoders: an untrained metric learner on it is exactly the learner without training.

    Args:
        features: columns of x and of the result.
        hidden: width of the hidden layer.
    """

    features: int
    hidden: int = 256

    def init(self, generator: torch.Generator) -> Params:
        """Fresh parameters `in.*` and, zero, `out.*`."""
        import torch

        params = {f"in.{key}": value for key, value in linear_params(self.features, self.hidden, generator).items()}
        zeros = {"out.weight": torch.zeros(self.features, self.hidden), "out.bias": torch.zeros(self.features)}
        return params | zeros

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, features) -> (n, features)."""
        from torch.nn.functional import linear, relu

        hidden = relu(linear(x, params["in.weight"], params["in.bias"]))
        return x + linear(hidden, params["out.weight"], params["out.bias"])


@dataclass(frozen=True)
class Identity(Described):
    """No parameters: the vectors of a frozen encoder, as they came."""

    features: int

    def init(self, generator: torch.Generator) -> Params:
        """Nothing to initialise."""
        return {}

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """x itself."""
        return x
