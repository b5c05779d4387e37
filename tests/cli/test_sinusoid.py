"""`fewshot classic sinusoid`, trained for a few steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

_SVG = "{http://www.w3.org/2000/svg}"


def test_it_trains_tests_and_draws_every_algorithm(fewshot: Callable, tmp_path: Path) -> None:
    plot = tmp_path / "pictures" / "sine.svg"
    command = ("classic", "sinusoid", "--algorithm", "maml, pretrained", "--steps", 30, "--shot", 7, "--plot", plot)
    done = fewshot(*command, "--json")
    assert done.code == 0, done.stderr
    assert "of 30 meta-steps" in done.stderr
    assert "the paper takes 70,000" in done.stderr
    document = json.loads(done.stdout)
    assert list(document["mse"]) == ["maml", "pretrained"]
    for scores in document["mse"].values():
        assert list(scores) == ["0", "1", "5", "10"]
        assert all(each["low"] < each["mean"] < each["high"] and each["n"] == 600 for each in scores.values())
    panels = ElementTree.parse(plot).getroot().findall(f"{_SVG}g")
    assert len(panels) == 2
    for panel in panels:
        assert len(panel.findall(f"{_SVG}polyline")) == 5  # the wave, and predictions after 0, 1, 5 and 10 steps
        assert len(panel.findall(f"{_SVG}circle")) == 7


def test_the_table_is_a_function_of_the_seed(fewshot: Callable) -> None:
    tables = [fewshot("classic", "sinusoid", "-a", "fomaml", "--steps", 3, "--seed", seed).stdout for seed in (0, 0, 1)]
    assert "fomaml" in tables[0]
    assert tables[0] == tables[1] != tables[2]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--algorithm", "mamml"), "unknown algorithm 'mamml'. Did you mean 'maml'"),
        (("--algorithm", ","), "unknown algorithm ','"),
        (("--plot", "sine.png"), "--plot sine.png: the picture is written as .svg"),
        (("--plot", "folder.svg"), "--plot folder.svg is a folder"),
        (("--steps", "0"), "--steps"),
        (("--shot", "0"), "--shot"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_what_cannot_be_done_is_refused_before_training(
    fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    done = fewshot("classic", "sinusoid", *options)
    assert done.code == 2
    assert told in done.stderr
    assert "training on 25 waves" not in done.stderr
