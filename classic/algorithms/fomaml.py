"""First-order MAML. Finn, Abbeel and Levine, ICML 2017, arXiv 1703.03400, section 5.2.

MAML whose inner gradients count as constants: the memory and time of second derivatives are saved.

Trap: with a head that starts at zero the first inner step gives the body no gradient, so the body learns from the later
steps alone.
"""

from __future__ import annotations

from classic.algorithms.maml import MAML
from classic.learners.meta import meta_learner

Learner = meta_learner(MAML, name="fomaml", head="zero", without=("loss",), first_order=True, learn_inner_lr=True)
