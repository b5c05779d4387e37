"""Domain-conditional pointwise mutual information (Holtzman et al., EMNLP 2021, "Surface Form Competition",
arXiv 2104.08315).

Cost: none beside contextual calibration, whose empty input it uses alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from icl.calibration.base import CONTENT_FREE
from icl.calibration.contextual import Contextual

_EMPTY = CONTENT_FREE.index("")


@dataclass(frozen=True)
class PMI(Contextual):
    """Divides P(label | prompt) by P(label | domain premise).

    The premise is the same prompt with nothing for a text: what is left are the words of the template that lead to a
    label. Labels that a model would write anyway lose that advantage.
    """

    name = "pmi"
    content_free: ClassVar[slice] = slice(_EMPTY, _EMPTY + 1)
