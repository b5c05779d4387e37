"""The scripts in examples/ do what they say, at small settings."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from examples import maml_on_your_module, navigation
from examples.navigation import Navigation


def test_maml_on_a_module_of_ones_own_learns_to_learn() -> None:
    before, after = maml_on_your_module.main(steps=30)
    assert before < 0.7
    assert after > before + 0.1


def test_points_walk_at_most_a_step_and_stay_where_they_arrive() -> None:
    world = Navigation(torch.tensor([[0.15, 0.0], [0.1, -0.1]]), episodes=1, horizon=3)
    position, _ = world.reset()
    assert position.tolist() == [[[0, 0]], [[0, 0]]]
    position, reward, arrived, over, _ = world.step(torch.tensor([[[5.0, 0.0]], [[0.1, -7.0]]]))
    assert_close(position, torch.tensor([[[0.1, 0.0]], [[0.1, -0.1]]]))
    assert_close(reward, torch.tensor([[-0.0025], [0.0]]))
    assert (arrived.tolist(), over) == ([[False], [True]], False)
    position, reward, arrived, over, _ = world.step(torch.tensor([[[0.05, 0.0]], [[0.1, 0.1]]]))
    assert_close(position, torch.tensor([[[0.15, 0.0]], [[0.1, -0.1]]]))
    assert (arrived.tolist(), over) == ([[True], [True]], False)
    assert world.step(torch.zeros(2, 1, 2))[3]


def test_one_step_of_policy_gradient_is_worth_more_after_meta_training() -> None:
    untrained, trained = navigation.main(steps=15, tasks=10, horizon=20, hidden=24)
    gain, gain_before = ((each.after - each.before).mean() for each in (trained, untrained))
    assert gain > gain_before + 0.4
    assert trained.after.mean() > trained.before.mean() + 1
