"""A predictor behind an HTTP address."""
