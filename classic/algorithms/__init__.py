"""Meta-learning algorithms, one file each: the paper, its traps, the pure functions, and its learner on texts."""
