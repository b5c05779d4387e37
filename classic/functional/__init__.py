"""Meta-learning as pure functions: one algorithm per file, and executors that run many tasks at once."""
