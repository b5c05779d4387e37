"""Language models: the contract, and models that run on this machine."""
