"""The learners that are trained: on the support of an episode, or on other classes first."""
