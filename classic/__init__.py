"""The training side: zero-training baselines."""
