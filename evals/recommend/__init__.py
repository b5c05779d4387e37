"""Which learner to take for one's own texts, how sure that is, and how many episodes or texts it takes to know."""

from evals.recommend.power import Power, power
from evals.recommend.recommendation import Recommendation, recommend

__all__ = ["Power", "Recommendation", "power", "recommend"]
