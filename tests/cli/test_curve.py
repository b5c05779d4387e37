"""`fewshot icl run` at several numbers of texts per class."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fewshot.core.catalog import LEARNERS
from fewshot.core.spec import Spec, parse_spec
from icl.learner import ICLLearner

SMALL = ("-t", "sentiment-ko", "--query", "1", "-n", "2")


@pytest.mark.models
def test_several_shots_are_one_comparison_and_a_curve(fewshot: Callable, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    done = fewshot("icl", "run", *SMALL, "--shot", "1,2,4", "--run-dir", tmp_path / "runs", "-o", report)
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:3] for line in lines if "learner" in line] == [["learner", "1-shot", "2-shot"]]
    assert [line.split()[0] for line in lines if "●" in line] == ["1-shot", "2-shot", "4-shot"]
    document = json.loads(report.read_text(encoding="utf-8"))
    found = {(row["name"], row["shot"]) for row in document["learners"] if not row["baseline"]}
    assert found == {("icl", 1), ("icl", 2), ("icl", 4)}
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads(fewshot("compare", "--resume", folder, "--json").stdout) == document
    refused = fewshot("icl", "run", "--resume", folder)
    assert (refused.code, f"fewshot compare --resume {folder}" in refused.stderr.replace("\n", "")) == (2, True)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--shot", "1,x"), "1,2,4,8"),
        (("--shot", "one"), "1,2,4,8"),
        (("--shot", "1,,2"), "1,2,4,8"),
        (("--shot", "-1,2"), "1,2,4,8"),
        (("--shot", "2,2"), "given twice"),
        (("--shot", "1,2", "--resume", "somewhere"), "leave the option out"),
        (("--shot", "1,2", "--selector", "knnn"), "Did you mean"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_no_curve_is_refused(fewshot: Callable, tmp_path: Path, given: tuple[str, ...], said: str) -> None:
    done = fewshot("icl", "run", *SMALL, *given, "--run-dir", tmp_path / "runs")
    assert done.code == 2
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({}, "icl"),
        ({"model": "smollm2", "demos": "auto", "calibrate": "auto"}, "icl:model=smollm2"),
        ({"selector": "knn", "demos": 4}, "icl:selector=knn,demos=4"),
        ({"selector": "mmr:lambda=0.5"}, "icl:selector=(mmr:lambda=0.5)"),
        ({"calibrate": "domain-context:texts=3"}, "icl:calibrate=(domain-context:texts=3)"),
        ({"model": Spec("openai", {"base_url": "http://h:1/v1"}, "m")}, "icl:model=(openai:m,base_url=http://h:1/v1)"),
    ],
    ids=str,
)
def test_the_learner_is_named_by_what_is_not_the_default(given: dict, name: str) -> None:
    short = str(LEARNERS.shortened(Spec("icl", given)))
    assert short == name
    built = LEARNERS.build(parse_spec(short))
    expected = {**vars(ICLLearner()), **given}
    assert {key: str(value) for key, value in vars(built).items() if key in given} == {
        key: str(parse_spec(expected[key]) if isinstance(expected[key], str) else expected[key]) for key in given
    }
