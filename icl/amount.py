"""How many demonstrations a prompt shows: as many as were asked for, or as the model was measured with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from icl.models.base import LanguageModel
from icl.selectors.all import All
from icl.selectors.auto import Auto
from icl.selectors.base import Pool, Selector

#: A number, every example, or no more than the model was measured with.
Demos = int | Literal["all", "auto"]


@dataclass(frozen=True)
class Amount:
    """How many demonstrations to choose.

    Attributes:
        notes: what a reader should know of it.
    """

    demos: int
    notes: tuple[str, ...] = ()


def amount_of(demos: Demos, selector: Selector, pool: Pool, model: LanguageModel) -> Amount:
    """How many of a pool's examples a model is shown.

    With "auto" it is no more than the model was measured with, equally many of each class but at least one, unless the
    selector is the one that shows every example. A model of which no measure is known is shown all.

    Args:
        demos: what was asked for.
        selector: what chooses them.
        pool: where they come from.
        model: whose capabilities say how many it was measured with.
    """
    at_hand, measured = len(pool.examples), model.capabilities.measured_demos
    wanted = min(demos, at_hand) if isinstance(demos, int) else at_hand
    if measured is None:
        return Amount(wanted)
    usual = min(at_hand, _equally(measured, pool))
    said = f"{model.name} was measured with {measured} demonstration{'s' if measured != 1 else ''}"
    if demos == "auto" and not isinstance(selector, All) and usual < at_hand:
        how = ", drawn balanced" if isinstance(selector, Auto) else ""
        return Amount(usual, (f"{said}: {usual} of {at_hand} are shown{how}; --demos all shows every one",))
    if wanted > max(usual, measured):
        return Amount(wanted, (f"{said}, and {wanted} are shown: its answers may be worse",))
    return Amount(wanted)


def _equally(measured: int, pool: Pool) -> int:
    """The most that gives every class of the pool equally many, or one each where there are more classes than that."""
    n_classes = len({example.label for example in pool.examples})
    return n_classes * max(1, measured // max(1, n_classes))
