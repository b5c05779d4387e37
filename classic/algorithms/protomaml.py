"""Proto-MAML. Triantafillou et al., ICLR 2020, arXiv 1903.03096, section 3.

MAML whose head begins each task as the nearest-class-mean classifier of the support: row 2c and bias -|c|^2 of a class
with mean c, so that logits are negative squared distances up to a number that is the same for all classes. Inner steps
then move head and body from there. The outer gradient goes through the means as well.

Traps: from its start on the head is a parameter of its own, so the INNER gradient of the body does not go through the
means (plain autograd takes that way unless values are copied), and the OUTER one does (unless means are detached);
squared distances grow with the square of `scale`, so that one which suits a head at zero starts this one saturated.
"""

from __future__ import annotations

from classic.algorithms.maml import MAML
from classic.learners.meta import meta_learner

Learner = meta_learner(MAML, name="protomaml", head="prototypes", without=("loss",), learn_inner_lr=True, scale=2.0)
