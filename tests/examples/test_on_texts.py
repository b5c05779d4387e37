"""The examples on the shipped texts say what they promise, at small settings."""

from __future__ import annotations

import numpy as np
import pytest

from examples import continual, personalisation


def test_what_is_forgotten_is_lost_to_drift_and_an_update_that_suits_it_keeps_it() -> None:
    found = continual.main("lexical")
    kept = {key: accuracy[-1].mean() for key, accuracy in found.items()}
    lost = {key: continual.forgetting(accuracy) for key, accuracy in found.items()}
    assert kept["staying", "mean"] > kept["staying", "none"] + 0.05
    assert lost["staying", "mean"] < lost["staying", "none"]
    assert kept["drifting", "ema"] > kept["drifting", "mean"] > kept["drifting", "none"] + 0.1
    assert lost["drifting", "ema"] < lost["drifting", "mean"] < lost["drifting", "none"]
    accuracy = found["staying", "none"]
    assert np.isnan(accuracy[0, continual.NEW :]).all(), "a class has no accuracy before it came"
    assert np.isfinite(accuracy[-1]).all()


@pytest.mark.models
def test_a_user_is_met_after_a_few_ratings_by_what_was_trained_for_that() -> None:
    found = {name: right.mean() for name, right in personalisation.main(steps=60, n_test=100).items()}
    assert abs(found["global"] - 0.5) < 0.05, "users disagree: what people like on average says nothing"
    assert min(found["MAML"], found["prototypical network"]) > found["global, fine-tuned"] + 0.03
