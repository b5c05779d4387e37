"""The result document: its fields, and its figures against oracles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.learner import Context
from evals.results import summarise
from evals.runner import run
from evals.stats import score_interval
from evals.store import Store
from evals.types import Answer, Prediction, Status, Usage
from fewshot.core.hashing import digest
from tests.evals.fakes import KINDS, Classifier, FirstLabel, Wayward, learner_of, sampler_of, with_first_answer

SAMPLER = sampler_of("classification", way=3, shot=2, query=4)
N = 10


def result_of(folder: Path, learner: Any = None, **more: Any) -> dict[str, Any]:
    return run(learner or Classifier(), SAMPLER, N, run_dir=folder, **more).result


def test_the_fields_that_others_rely_on(tmp_path: Path) -> None:
    result = result_of(tmp_path, baselines={"first": FirstLabel()})
    expected = {
        "schema_version": 1,
        "task": "toy",
        "kind": "classification",
        "language": "en",
        "learner": "fake-classifier",
        "model": None,
        "way": 3,
        "shot": 2,
        "n_episodes": N,
        "n_queries": N * 12,
        "chance": pytest.approx(1 / 3),
        "non_ok_rate": 0.0,
        "statuses": {"ok": N * 12},
        "transductive": False,
        "complete": True,
        "run_dir": str(tmp_path),
        "manifest_sha256": digest(SAMPLER.manifest(N)),
    }
    assert {key: result[key] for key in expected} == expected
    assert set(result["accuracy"]) == {"metric", "mean", "ci95", "n", "interval"}
    assert {"macro_f1", "recall", "log_loss", "calibration_error", "constant_predictor"} <= set(result)
    figures = {"accuracy", "accuracy_ok", "macro_f1", "non_ok_rate", "statuses", "seconds", "usage"}
    assert figures <= set(result["baselines"]["first"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_is_json_without_nan(kind: str, tmp_path: Path) -> None:
    for n_episodes in (1, 2):
        done = run(learner_of(kind), sampler_of(kind), n_episodes, run_dir=tmp_path / str(n_episodes))
        assert json.loads(json.dumps(done.result, allow_nan=False)) == done.result


def test_a_run_without_an_answer_has_a_result(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Wayward(change=_interrupt), SAMPLER, N, run_dir=tmp_path)
    with Store.read(tmp_path) as store:
        result = summarise(store)
    assert (result["n_episodes"], result["accuracy"], result["macro_f1"], result["non_ok_rate"]) == (
        0,
        None,
        None,
        None,
    )
    json.dumps(result, allow_nan=False)


def test_figures_equal_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score, f1_score

    result = result_of(tmp_path, Classifier())
    gold, decided, per_episode = [], [], []
    for episode in SAMPLER.take(N):
        (prediction,) = Classifier().predict([episode.problem], Context())
        decisions = [answer.decision for answer in prediction.answers]
        per_episode.append((list(episode.gold), decisions))
        gold += episode.gold
        decided += decisions
    assert result["accuracy"]["mean"] == pytest.approx(accuracy_score(gold, decided))
    expected = [f1_score(*pair, average="macro", zero_division=0) for pair in per_episode]
    assert result["macro_f1"] == pytest.approx(sum(expected) / N)
    interval = score_interval([accuracy_score(*pair) for pair in per_episode])
    assert result["accuracy"]["ci95"] == pytest.approx([interval.low, interval.high])


def test_accuracy_over_all_and_over_ok(tmp_path: Path) -> None:
    """One of the twelve answers of every episode is refused: it counts as wrong, and then not at all."""

    def refuse(found: list[Prediction]) -> list[Prediction]:
        return [with_first_answer(prediction, decision=None, status=Status.REFUSED) for prediction in found]

    result = result_of(tmp_path, Wayward(change=refuse))
    assert result["non_ok_rate"] == pytest.approx(1 / 12)
    assert result["statuses"] == {"ok": 11 * N, "refused": N}
    assert result["accuracy"]["mean"] * 12 == pytest.approx(result["accuracy_ok"] * 11)


def test_a_constant_predictor_raises_the_alarm(tmp_path: Path) -> None:
    result = result_of(tmp_path, FirstLabel())
    assert result["constant_predictor"] == {"flag": True, "share": 1.0, "expected": pytest.approx(1 / 3)}
    assert result["log_loss"] is None
    assert result["calibration_error"] is None


def test_usage_is_added_up_by_phase(tmp_path: Path) -> None:
    def priced(found: list[Prediction]) -> list[Prediction]:
        usage = {"adapt": Usage(seconds=1.0, tokens_in=5), "predict": Usage(requests=2, usd=None)}
        return [Prediction(p.problem_id, p.answers, usage) for p in found]  # type: ignore[arg-type]

    usage = result_of(tmp_path, Wayward(change=priced))["usage"]
    assert (usage["adapt"]["seconds"], usage["adapt"]["tokens_in"], usage["adapt"]["usd"]) == (N, 5 * N, 0.0)
    assert (usage["predict"]["requests"], usage["predict"]["usd"]) == (2 * N, None)


@pytest.mark.parametrize(
    ("described", "model"),
    [({"name": "x"}, None), ({"model": "smollm2"}, "smollm2"), ({"model": {"name": "hf", "dtype": "float32"}}, "hf")],
)
def test_the_model_is_named_where_there_is_one(described: dict[str, Any], model: str | None, tmp_path: Path) -> None:
    class Described(Classifier):
        def describe(self) -> dict[str, Any]:
            return described

    assert result_of(tmp_path, Described())["model"] == model


def test_transductive_learners_are_marked(tmp_path: Path) -> None:
    class Looking(Classifier):
        transductive = True  # type: ignore[assignment]

    result = result_of(tmp_path, Looking(), baselines={"first": FirstLabel()})
    assert result["transductive"] is True
    assert result["baselines"]["first"]["transductive"] is False


def test_the_manifest_tells_whether_two_runs_can_be_compared(tmp_path: Path) -> None:
    one, same = result_of(tmp_path / "a"), result_of(tmp_path / "b", FirstLabel())
    other = run(Classifier(), sampler_of("classification", seed=1), N, run_dir=tmp_path / "c").result
    assert one["manifest_sha256"] == same["manifest_sha256"] != other["manifest_sha256"]


def test_public_names_are_there_and_lazy() -> None:
    import subprocess
    import sys

    import evals

    assert all(getattr(evals, name) is not None for name in evals.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = evals.nonsense
    script = "import sys, evals; print(sorted({'numpy', 'scipy', 'torch', 'sklearn', 'sqlite3'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def _interrupt(found: list[Prediction]) -> list[Answer]:
    raise KeyboardInterrupt
