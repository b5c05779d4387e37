"""Fine-tuning with low-rank adapters: the encoder stays as it is, and small matrices beside it are trained.

Hu et al., ICLR 2022, arXiv 2106.09685. Shapes: beside a weight (out, in) stand A (rank, in) and B (out, rank), B at
zero, and the layer computes W x + (alpha / rank) B A x.

Trap: adapters need step sizes ten to a hundred times those of full fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from classic.learners.finetune import FineTune
from fewshot.core.errors import MissingExtra


@dataclass(eq=False, kw_only=True)
class LoRA(FineTune):
    """Low-rank adapters on all linear layers of an encoder, trained on the support.

    Attributes:
        rank: of the adapters. alpha: their scale, alpha / rank.
    """

    name = "lora"
    extra = "peft"
    lr: float = 2e-3
    rank: int = 8
    alpha: float = 16.0

    def _prepared(self, module: Any) -> Any:
        try:
            from peft import LoraConfig, get_peft_model  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtra("learner 'lora'", "peft") from error
        import torch

        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=0.0, target_modules="all-linear")
        # The matrices A are drawn at random, and are part of what every problem starts from.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return get_peft_model(module, config)
