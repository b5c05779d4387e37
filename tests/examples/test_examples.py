"""The scripts in examples/ do what they say, at small settings."""

from __future__ import annotations

from examples import maml_on_your_module


def test_maml_on_a_module_of_ones_own_learns_to_learn() -> None:
    before, after = maml_on_your_module.main(steps=30)
    assert before < 0.7
    assert after > before + 0.1
