"""How a language model is optimised: the arguments, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fewshot.core.devices import DTYPES
from fewshot.core.errors import UsageError, unknown_name
from fewshot.training.schedule import Schedule, rate

Keep = Literal["best", "last"]


@dataclass(frozen=True)
class Optimization:
    """How the weights are optimised, by AdamW (Loshchilov and Hutter 2019).

    Attributes:
        steps: at most.
        batch: sequences per step; an even number, since they come in pairs.
        max_tokens: in one forward pass; a step takes as many passes as it needs.
        lr: step size, after a rise over the first `warmup` steps. schedule: how it changes then.
        weight_decay: of matrices. clip: largest norm of the gradient.
        text_weight: of the mean loss over tokens that are no answers, beside that over answers.
        among_words: whether answers are told apart from the words of their sequence alone, and not from all tokens.
        eval_every: steps between two evaluations; each is a checkpoint.
        patience: evaluations without a better one after which training stops; None trains to the end.
        goal: share of right answers in training after which there is nothing more to learn.
        keep: the weights of the best evaluation, or the last.
        precision: of the forward pass: "auto" is bfloat16 where the hardware multiplies it.
        seed: of everything that is drawn.
    """

    steps: int = 300
    batch: int = 8
    max_tokens: int = 4096
    lr: float = 1e-5
    warmup: int = 20
    schedule: Schedule = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    text_weight: float = 0.0
    among_words: bool = False
    eval_every: int = 50
    patience: int | None = None
    goal: float | None = None
    keep: Keep = "best"
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "max_tokens", "eval_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is too small: at least 1 is needed")
        if self.batch % 2:
            raise UsageError(f"batch {self.batch} is odd: training sequences come in pairs")
        if self.keep not in get_args(Keep):
            raise unknown_name("weights to keep", self.keep, get_args(Keep))
        if self.precision not in ("auto", *DTYPES):
            raise unknown_name("precision", self.precision, ("auto", *DTYPES))
        rate(0, 1, self.schedule)
