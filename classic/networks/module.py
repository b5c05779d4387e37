"""Any torch module as a network in functional form: the way in, and out again, for a model of one's own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from classic.functional.inner import descend
from classic.functional.safety import PURE, require_pure, second_order
from classic.networks.head import BODY
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from torch import Tensor, nn

    from classic.functional.base import Params, TensorTask

#: Length of a side, or of a sequence, where a layer leaves it open.
_SIDE = 32
_GIVE = "Give a few rows that it takes: Network.of(module, example=x)"


@dataclass(frozen=True, eq=False)
class ModuleNetwork:
    """x: (n, ...) -> (n, features), by a module. Made by `Network.of`.

    Parameters that require a gradient are trained; the others, and buffers, stay as they are. The module is copied:
    what happens to the original later changes nothing here, and training changes nothing there, until the weights
    are taken out with `state_dict`.

    Attributes:
        module: the copy.
        features: columns of the result.
        vectorizes: whether many tasks can be run at once (torch.func.vmap). If not, "auto" takes the loop.
    """

    module: nn.Module
    features: int
    vectorizes: bool
    #: Frozen parameters and buffers.
    _constants: dict[str, Tensor] = field(init=False, repr=False)
    name = "module"

    def __post_init__(self) -> None:
        frozen = {name: value.detach() for name, value in self.module.named_parameters() if not value.requires_grad}
        object.__setattr__(self, "_constants", frozen | dict(self.module.named_buffers()))

    @property
    def outputs(self) -> int:
        """Columns of the result: a module that is adapted without a head of ours has as many as there are classes."""
        return self.features

    def init(self, generator: torch.Generator) -> Params:
        """The weights that the module came with; nothing is drawn."""
        return self.params(dict(self.module.named_parameters()))

    @property
    def head_shapes(self) -> dict[str, tuple[int, ...]]:
        """There is no head beside the module's own."""
        return {}

    def begin(self, params: Params, task: TensorTask) -> Params:
        """`params` themselves: the module has its head already.

        Raises:
            UsageError: its outputs are not as many as the classes of the task.
        """
        way = len(task.class_mask)
        if self.features != way:
            raise UsageError(
                f"the module has {self.features} outputs and the task {way} classes. Give it as many, or put "
                "a head on it that follows the task: Headed(Network.of(module))"
            )
        return params

    def apply(self, params: Params, x: Tensor) -> Tensor:
        """(n, ...) -> (n, features)."""
        from torch.func import functional_call

        constants = {name: value.to(x.device) for name, value in self._constants.items()}
        return functional_call(self.module, {**constants, **params}, (x,))

    def params(self, state_dict: Mapping[str, Tensor]) -> Params:
        """The parameters that are trained, from a state dict of such a module.

        Raises:
            UsageError: one is missing there, or has another shape.
        """
        trained = {name: value for name, value in self.module.named_parameters() if value.requires_grad}
        for name, value in trained.items():
            found = state_dict.get(name)
            if found is None or found.shape != value.shape:
                here = "it is missing" if found is None else f"its shape is {tuple(found.shape)}"
                hint = "; those under a head are headed.body(params)" if BODY + name in state_dict else ""
                raise UsageError(f"weights of another module: {name!r} should be {tuple(value.shape)}, {here}{hint}")
        return {name: state_dict[name].detach().clone() for name in trained}

    def state_dict(self, params: Params) -> dict[str, Tensor]:
        """All that the module's own `load_state_dict` takes, with these parameters.

        Raises:
            UsageError: they are those of another module, or of `Headed` around this one: give `Headed.body(params)`.
        """
        filled = deepcopy(self.module)
        filled.load_state_dict(self.params(params), strict=False)
        return dict(filled.state_dict())

    def describe(self) -> dict[str, Any]:
        """The class of the module, and hashes of its layers and of the weights it came with."""
        from fewshot.core.hashing import digest
        from fewshot.training.checkpoint import fingerprint

        return {
            "name": self.name,
            "module": type(self.module).__qualname__,
            "layers": digest(repr(self.module)),
            "weights": fingerprint({**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}),
        }


def of_module(module: nn.Module, example: Tensor | None = None) -> ModuleNetwork:
    """A module as a network; see `Network.of`."""
    from torch import nn

    if not isinstance(module, nn.Module):
        raise UsageError(f"Network.of takes a torch module, and {module!r} is none")
    require_pure(module)
    copied = deepcopy(module)
    if example is not None and len(example) == 0:
        raise UsageError("the example has no rows; give at least one, better two")
    x = _guessed(module) if example is None else example[:2]
    try:
        outputs = _trial(copied, x)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        told = f"what its first layer seems to take, {tuple(x.shape)}" if example is None else "the example"
        first = next(iter(str(error).splitlines()), "")
        raise UsageError(f"{_title(module)} fails on {told}: {first}. {_GIVE}") from error
    network = ModuleNetwork(copied, int(outputs.shape[1]), vectorizes=True)
    return replace(network, vectorizes=_vectorizes(network, x))


def _guessed(module: nn.Module) -> Tensor:
    """Two rows such as the first layer of a module takes, from a generator of their own."""
    import torch
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    like = next(module.parameters(), torch.zeros(()))

    def rows(*shape: int) -> Tensor:
        return torch.randn(2, *shape, generator=generator).to(like)

    for layer in module.modules():
        match layer:
            case nn.Linear():
                return rows(layer.in_features)
            case nn.Embedding():
                return torch.randint(layer.num_embeddings, (2, 8), generator=generator).to(like.device)
            case nn.RNNBase():
                return rows(8, layer.input_size)
            case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
                return rows(layer.in_channels, *[_SIDE] * len(layer.kernel_size))
            case nn.LayerNorm():
                return rows(*layer.normalized_shape)
    raise UsageError(f"{_title(module)} does not tell what it takes. {_GIVE}")


def _trial(module: nn.Module, x: Tensor) -> Tensor:
    """What a module makes of two rows.

    Raises:
        UsageError: it changes, draws at random, mixes rows, or gives something else than one vector per row.
    """
    import torch
    from torch.func import functional_call

    state = {name: value.detach().clone() for name, value in (*module.named_parameters(), *module.named_buffers())}
    before = {name: value.clone() for name, value in state.items()}
    with torch.no_grad(), torch.random.fork_rng():
        outputs, again, alone = (functional_call(module, state, (rows,)) for rows in (x, x, x[:1]))
    if not isinstance(outputs, torch.Tensor):
        kind = type(outputs).__name__
        raise UsageError(f"{_title(module)} gives {kind}, not a tensor (n, features): wrap it in one that does")
    if outputs.ndim != 2 or len(outputs) != len(x):
        raise UsageError(
            f"{_title(module)} makes {tuple(outputs.shape)} of {tuple(x.shape)}; one vector per row is needed, "
            "(n, features): end it with nn.Flatten(), or pool"
        )
    for name, value in state.items():
        if not torch.equal(value, before[name]):
            raise UsageError(f"the forward pass of {_title(module)} changes its {name!r}: {PURE}")
    if not outputs.allclose(again, equal_nan=True):
        raise UsageError(f"two calls of {_title(module)} on the same rows differ: it draws at random. But {PURE}")
    if not outputs[:1].allclose(alone, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise UsageError(f"what {_title(module)} says of a row depends on the other rows of the batch: {PURE}")
    return outputs


def _vectorizes(network: ModuleNetwork, x: Tensor) -> bool:
    """Whether an inner step on two tasks at once, and its derivative, can be computed."""
    import torch
    from torch import nn
    from torch.func import grad, vmap

    # Their kernels are batched for some shapes and number formats, and not for others.
    if any(isinstance(layer, nn.RNNBase) for layer in network.module.modules()):
        return False
    params = network.init(torch.Generator())

    def tested(params: Params, x: Tensor) -> Tensor:
        fast = descend(lambda fast: network.apply(fast, x).square().mean(), params, 0.1, 1) if params else params
        return network.apply(fast, x).square().mean()

    function = grad(tested) if params else tested
    try:
        with second_order():
            vmap(function, in_dims=(None, 0))(params, torch.stack([x, x]))
    except (RuntimeError, ValueError):
        return False
    return True


def _title(module: nn.Module) -> str:
    return f"module {type(module).__name__}"
