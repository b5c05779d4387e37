"""SimpleShot: nearest class mean after centring. Wang, Chao, Weinberger and van der Maaten 2019, arXiv 1911.04623.

Take the mean of the base classes from every vector, scale to length 1 ("CL2N"), and answer with the nearest class mean
by Euclidean distance. No episode is ever trained on.

Trap: the mean is that of the TRAINING classes. That of the support is noise at one shot, and that of the queries would
make the learner transductive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from classic.learners.prototypes import Centre, Prototypes

if TYPE_CHECKING:
    from classic.functional.distances import Distance


@dataclass(eq=False, kw_only=True)
class SimpleShot(Prototypes):
    """`prototypes` with other defaults. Attributes are those of `Prototypes`."""

    name = "simpleshot"
    distance: Distance = "euclidean"
    centre: Centre = "base"
