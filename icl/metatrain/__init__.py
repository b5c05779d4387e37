"""Training a language model to learn in context: sequences of examples, objectives, one trainer."""
