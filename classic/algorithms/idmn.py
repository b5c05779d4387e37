"""Image deformation meta-networks. Chen, Fu, Wang, Ma, Liu and Hebert, CVPR 2019, arXiv 1905.11641.

Every support image (the probe) is fused with others (its gallery), patch by patch: W * probe + (1 - W) * gallery. A
small network chooses the weights W of the patches from the embeddings of both, and is trained end to end through the
prototypes that the deformed images help to make: they need not look real, they have to mean their class.

Traps: a deformed image has the class of its probe. The paper takes its gallery from the base classes and chooses it at
random in training; here it is the nearest support images of OTHER classes, so that a task holds all that it needs. The
paper has an embedding of its own for each of both images; here one network embeds everything. Weights start at 0.88 for
the probe, so that training starts near prototypical networks. With one class in the support nothing is deformed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from classic.algorithms.protonet import ProtoNet, Prototypes
from classic.functional.base import OWN, network_params
from classic.functional.losses import ABSENT, one_hot
from classic.learners.meta import meta_learner
from fewshot.core.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from classic.functional.base import Params, TensorTask

#: Logit of the weight of a probe before training.
_FIRST = 2.0


@dataclass(frozen=True)
class IDMN(ProtoNet):
    """Prototypes of support images and of deformed ones. Other arguments are those of `ProtoNet`.

    Args:
        deformed: images that are made of each support image; fewer where fewer images of other classes are shown.
        patches: rows and columns of patches, each with a weight.
    """

    deformed: int = 4
    patches: int = 3

    name = "idmn"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.deformed < 1 or self.patches < 1:
            raise UsageError(f"deformed={self.deformed} and patches={self.patches} must be 1 or more")

    def init(self, generator: torch.Generator) -> Params:
        """As `ProtoNet`, with `meta.deform.weight` (patches ** 2, 2 d) and `meta.deform.bias`."""
        import torch

        width = 2 * self.network.features
        weight = torch.randn(self.patches**2, width, generator=generator) / width**0.5
        own = {"deform.weight": weight, "deform.bias": torch.full((self.patches**2,), _FIRST)}
        return super().init(generator) | {OWN + name: value for name, value in own.items()}

    def adapt(self, params: Params, task: TensorTask) -> Prototypes:
        """Class means of embedded support images and of their deformations.

        Raises:
            UsageError: the support are no images.
        """
        import torch

        if task.support_x.ndim != 4:
            raise UsageError("idmn fuses pixels, and reads images: take conv4, resnet12 or resnet18 as its encoder")
        weights = network_params(params)
        embedded = self.network.apply(weights, task.support_x)
        gallery, exists = self._gallery(embedded, task)
        made = self._deformed(params, embedded, task.support_x, gallery)
        all_embedded = torch.cat([embedded, self.network.apply(weights, made.flatten(0, 1))])
        members = one_hot(task.support_y, len(task.class_mask), task.support_mask)
        # A deformed image is of the class of its probe; one without gallery does not count.
        of_made = (members[:, None] * exists[..., None]).flatten(0, 1)
        members = torch.cat([members, of_made])
        means = members.mT @ all_embedded / members.sum(dim=0).clamp(min=1)[:, None]
        return Prototypes(means, task.class_mask, self._temperature(params, means), weights)

    def _gallery(self, embedded: Tensor, task: TensorTask) -> tuple[Tensor, Tensor]:
        """(n_support, deformed) positions of the nearest images of other classes, and whether they exist."""
        from torch.nn.functional import normalize

        directions = normalize(embedded.detach(), dim=-1)
        other = (task.support_y[:, None] != task.support_y[None]) & (task.support_mask > 0)
        near = (directions @ directions.mT).where(other, ABSENT)
        values, positions = near.topk(min(self.deformed, near.shape[-1]), dim=-1)
        return positions, (values > ABSENT).to(task.support_mask.dtype)

    def _deformed(self, params: Params, embedded: Tensor, images: Tensor, gallery: Tensor) -> Tensor:
        """(n_support, deformed, channels, size, size): probes and galleries, fused patch by patch."""
        import torch
        from torch.nn.functional import interpolate, linear

        probes = embedded[:, None].expand(-1, gallery.shape[1], -1)
        both = torch.cat([probes, embedded[gallery]], dim=-1)
        chosen = linear(both, params[OWN + "deform.weight"], params[OWN + "deform.bias"]).sigmoid()
        patches = chosen.unflatten(-1, (self.patches, self.patches))
        weights = interpolate(patches, size=images.shape[-2:], mode="nearest")[:, :, None]
        pixels = images.to(embedded.dtype)
        return weights * pixels[:, None] + (1 - weights) * pixels[gallery]


Learner = meta_learner(IDMN, distance="cosine", learn_temperature=True)
cast(Any, Learner).modalities = ("image",)
