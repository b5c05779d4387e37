"""scikit-learn's verbs around a language model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from fewshot.core.errors import UsageError
from icl import ICLClassifier
from tests.icl.fakes import OverlapModel

TEXTS = ["a black espresso", "green leaves in a pot", "espresso with milk", "leaves of mint, hot"]
LABELS = ["coffee", "tea", "coffee", "tea"]


def test_fit_and_predict() -> None:
    classifier = ICLClassifier(OverlapModel(), template="named").fit(TEXTS, LABELS)
    assert classifier.classes_.tolist() == ["coffee", "tea"]
    assert classifier.predict(["double espresso", "green leaves"]).tolist() == ["coffee", "tea"]
    assert classifier.predict_proba(["espresso"]).sum(axis=1) == pytest.approx(np.ones(1))
    assert classifier.score(["my espresso"], ["coffee"]) == 1.0


def test_batches_change_nothing() -> None:
    asked = ["double espresso", "green leaves", "milk"]
    whole = ICLClassifier(OverlapModel(), template="named").fit(TEXTS, LABELS).predict_proba(asked)
    assert ICLClassifier(OverlapModel(), template="named", batch_size=1).fit(TEXTS, LABELS).predict_proba(
        asked
    ) == pytest.approx(whole)


def test_order_of_labels_and_rows_of_one_class_first() -> None:
    order = np.argsort(LABELS, kind="stable")
    classifier = ICLClassifier(OverlapModel(), template="named", selector="balanced", demos=2)
    classifier.fit([TEXTS[at] for at in order], [LABELS[at] for at in order])
    assert set(classifier.predict(["espresso", "leaves"])) <= {"coffee", "tea"}


def test_clone_and_parameters() -> None:
    base = pytest.importorskip("sklearn.base")
    classifier = ICLClassifier(OverlapModel(), template="named", demos=2, selector="knn", seed=3)
    twin = base.clone(classifier)
    assert (twin.demos, twin.selector, twin.seed) == (2, "knn", 3)
    assert twin.set_params(calibrate="none").get_params()["calibrate"] == "none"
    with pytest.raises(ValueError, match="calibrate"):
        twin.set_params(calibrat="none")


def test_wrong_parts_are_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'knn'"):
        ICLClassifier(OverlapModel(), template="named", selector="kn").fit(TEXTS, LABELS).predict(["x"])


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, icl, icl.learner, icl.classifier; print([m for m in ('torch', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
