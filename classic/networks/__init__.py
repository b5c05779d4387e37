"""Networks in functional form: named parameters in, a pure function out."""

from classic.networks.head import Headed
from classic.networks.mlp import MLP, Identity, Residual

__all__ = ["MLP", "Headed", "Identity", "Residual"]
