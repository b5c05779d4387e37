"""What every room may use and what itself uses none of them: errors, hashing, seeds, specs, registries, paths."""
