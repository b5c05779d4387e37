"""A study file says what is meant, or is refused with the line and the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.comparison.study import Study, make_study, read_study
from fewshot.core.errors import TaskError, UsageError

WHOLE = """\
task: [intents-en, banking77]
learner:
  - icl
  - protonet:encoder=minilm
  - name: probe
    encoder: lexical
    C: 0.5
way: 5
shot: [1, 5]
query: 5
episodes: 600
seed: [0, 1]
class_split: ["01", "02"]
until_ci: 1.0
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_study(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, WHOLE))
    assert study.task == ("intents-en", "banking77")
    assert study.learner == ("icl", "protonet:encoder=minilm", "probe:encoder=lexical,C=0.5")
    assert (study.shot, study.seed, study.class_split) == ((1, 5), (0, 1), ("01", "02"))
    assert study.until_ci == 1.0


def test_file_and_options_are_the_same_study(tmp_path: Path) -> None:
    written = read_study(write(tmp_path, "task: intents-en\nlearner: icl\nshot: 1,5\n"))
    said = make_study(task="intents-en", learner=["icl"], shot="1,5", way=None)
    assert written == said
    assert written.sha256 == said.sha256 != make_study(task="intents-en", learner=["icl"], shot=[1]).sha256


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tasks: a\n", r"study.yaml:1: .*tasks.*did you mean task"),
        ("task: a\nshots: 1\n", r"study.yaml:2: shots: .*did you mean shot"),
        ("task: a\nshot: -1\n", r"study.yaml:2: shot.*greater than or equal to 0"),
        ("task: a\nshot: [1, 1]\n", r"study.yaml:2: shot: .*given twice: 1"),
        ("task: a\nepisodes: many\n", r"study.yaml:2: episodes: .*integer"),
        ("task: a\nuntil_ci: 0\n", r"study.yaml:2: until_ci: .*greater than 0"),
        ("task: []\n", r"study.yaml:1: task: .*is empty"),
        ("- a\n", r"study.yaml:1: a study is a mapping"),
        ("task: a\ntask: b\n", r"study.yaml:2: .*given twice"),
    ],
    ids=["task", "unknown key", "no shot", "twice", "not a number", "no width", "no task", "a list", "double key"],
)
def test_bad_files(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=said):
        read_study(write(tmp_path, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="cannot be read"):
        read_study(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"task: \xff")
    with pytest.raises(TaskError, match="not UTF-8"):
        read_study(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"task": ["a"], "shot": "1,x"}, "--shot"),
        ({"task": ["a"], "episodes": 0}, "--episodes"),
        ({"task": ["a"], "class_split": ""}, "--class-split"),
        ({"task": ["a", "a"]}, "--task: .*twice"),
        ({"task": ["a"], "learner": ["icl:(("]}, "icl"),
    ],
)
def test_bad_options_name_the_option(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_study(**options)


def test_a_study_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Study(task=("a",)).way = 3  # type: ignore[misc]
