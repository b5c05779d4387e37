"""The functional core of meta-learning: what algorithms share, and executors that run many tasks at once."""
