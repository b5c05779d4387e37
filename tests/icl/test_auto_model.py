"""The model that is taken where none is named: by language and labels of the task, and by what is on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evals.engines import Recipe
from evals.engines.cluster import RayEngine, RayLearner
from evals.episode import EpisodeSampler
from evals.learner import Context, TaskDependent, for_task
from evals.rundir import describe_run
from evals.runner import run
from evals.types import Label, Prediction, Problem, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from icl import ICLClassifier
from icl.learner import ICLLearner
from tests.evals.fakes import classification_task
from tests.icl.fakes import TASK, OverlapModel, problem

REASON = (
    "model ko-mini: made for ko, the language of the task; it tells praise from blame in short reviews, and little else"
)

KOREAN = replace(TASK, language="ko")
WORDS = ("긍정", "부정")
LABELS = tuple(Label(name, name) for name in WORDS)
KOREAN_SUPPORT = (("진한 커피라 좋았어요", "긍정"), ("미지근한 녹차", "부정"))
SHIPPED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "weights.json")

#: Model -> how many demonstrations it was measured with.
MEASURED = {"ko-mini": 4, "smollm2": None}

Built = list[str]


@pytest.fixture(autouse=True)
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    """Embedded models that can be followed by eye, the Korean one not here; the names of those that are built."""
    names: Built = []

    def factory(name: str, language: str) -> Callable[..., OverlapModel]:
        def build(*, dtype: str = "auto") -> OverlapModel:
            names.append(name if dtype == "auto" else f"{name} in {dtype}")
            return OverlapModel(name=name, languages=(language,), measured_demos=MEASURED[name])

        return build

    monkeypatch.setattr("fewshot.core.embedded.SHIPPED_FOLDER", tmp_path)
    monkeypatch.setattr("icl.models.local.smollm2", factory("smollm2", "en"))
    monkeypatch.setattr("icl.models.local.ko_mini", factory("ko-mini", "ko"))
    return names


@pytest.fixture
def ko_mini(tmp_path: Path) -> None:
    """A machine that has the Korean model."""
    (tmp_path / "ko-mini").mkdir()
    for name in SHIPPED:
        (tmp_path / "ko-mini" / name).touch()


def sampler(language: str) -> EpisodeSampler:
    task = classification_task(2)
    labels = tuple(replace(label, verbalizer=words) for label, words in zip(task.labels, WORDS, strict=True))
    info = replace(task.info, language=language)
    return EpisodeSampler(replace(task, info=info, labels=labels), way=2, shot=1, query=1, seed=0)


def reviews(support: Any = KOREAN_SUPPORT, task: TaskInfo = KOREAN) -> Problem:
    """A problem whose labels are praise and blame."""
    return problem(support, labels=WORDS, task=task)


def told_by(prediction: Prediction) -> tuple[str, ...]:
    return prediction.trace.notes


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize(
    ("language", "model"), [("ko", "ko-mini"), ("ko-KR", "ko-mini"), ("en", "smollm2"), ("fr", "smollm2")]
)
def test_the_model_follows_the_language(language: str, model: str, built: Built) -> None:
    asked = reviews(task=replace(TASK, language=language))
    (prediction,) = ICLLearner().predict([asked], Context())
    assert built == [model]
    assert any(note.startswith(f"model {model}: ") and language in note for note in told_by(prediction))


def test_without_the_korean_model_the_english_one_is_taken_and_says_so(built: Built) -> None:
    told: list[str] = []
    (prediction,) = ICLLearner().predict([reviews()], Context(notify=told.append))
    assert built == ["smollm2"]
    (line,) = told
    assert line.startswith(
        "model smollm2: ko-mini is made for ko, but its weights are not here. It was made for en, so"
    )
    assert told_by(prediction) == (line,)


@pytest.mark.promise(89)
@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize("labels", [("배송", "환불"), ("coffee", "tea"), ("긍정", "부정", "배송"), ("0", "1")], ids=str)
def test_other_korean_tasks_are_told_what_they_need_and_what_training_reaches(
    labels: tuple[str, ...], built: Built
) -> None:
    told: list[str] = []
    asked = problem(tuple((f"글 {name}", name) for name in labels), labels=labels, task=KOREAN)
    (prediction,) = ICLLearner().predict([asked], Context(notify=told.append))
    assert built == ["smollm2"]
    (line,) = told
    for part in ("ko-mini", "near chance", "--model hf:", "fewshot classic run -a prototypes"):
        assert part in line
    assert ("if they do, words for them" in line) is (labels == ("0", "1"))
    assert told_by(prediction) == (line,)


@pytest.mark.usefixtures("ko_mini")
def test_one_task_with_praise_and_one_without_get_a_model_each_and_load_it_once(built: Built) -> None:
    learner, told = ICLLearner(), []
    other = problem((("배송 조회", "coffee"), ("환불", "tea")), task=replace(KOREAN, name="requests"))
    list(learner.predict([reviews(), other, reviews(), other], Context(notify=told.append)))
    assert built == ["ko-mini", "smollm2"]
    assert [line.split(":")[0] for line in told] == ["model ko-mini", "model smollm2"]


@pytest.mark.parametrize(
    "texts", [("配送が遅い", "返金して"), ("доставка", "возврат"), ("توصيل", "استرداد")], ids=["ja", "ru", "ar"]
)
def test_a_language_that_its_script_does_not_tell_is_answered_too(texts: tuple[str, str], built: Built) -> None:
    assert len(ICLClassifier().fit(texts, ["a", "b"]).predict(texts)) == 2
    assert built == ["smollm2"]


@pytest.mark.usefixtures("ko_mini")
def test_every_prediction_has_the_reason_and_the_user_is_told_once() -> None:
    told: list[str] = []
    asked = [replace(reviews(), id=str(at) * 64) for at in range(3)]
    found = list(ICLLearner().predict(asked, Context(notify=told.append)))
    assert told == [REASON]
    assert all(told_by(prediction) == tuple(told) for prediction in found)


@pytest.mark.usefixtures("ko_mini")
def test_problems_of_several_languages_are_answered_in_their_order(built: Built) -> None:
    languages = ["en", "en", "ko", "en", "ko", "fr"]
    asked = [replace(reviews(task=replace(TASK, language=lang)), id=f"{at:064}") for at, lang in enumerate(languages)]
    found = list(ICLLearner().predict(asked, Context()))
    assert [prediction.problem_id for prediction in found] == [each.id for each in asked]
    taken = [told_by(prediction)[0].split(":")[0].removeprefix("model ") for prediction in found]
    assert taken == ["smollm2", "smollm2", "ko-mini", "smollm2", "ko-mini", "smollm2"]
    assert sorted(built) == ["ko-mini", "smollm2"]


def test_it_stops_when_told_and_draws_no_more_problems() -> None:
    ctx, drawn = Context(), []
    found = ICLLearner().predict((drawn.append(at) or problem() for at in range(9)), ctx)
    next(found)
    ctx.cancel.set()
    assert list(found) == []
    assert len(drawn) == 2


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize(
    ("support", "model"),
    [(KOREAN_SUPPORT, "ko-mini"), ((), "smollm2"), ((("it was fine", "긍정"), ("it was not", "부정")), "smollm2")],
    ids=["Korean", "none", "English"],
)
def test_an_unknown_language_is_read_off_the_support(support: Any, model: str, built: Built) -> None:
    asked = reviews(support, task=replace(TASK, language="und"))
    learner = ICLLearner()
    assert learner.for_task(asked.task, asked.labels) is learner
    list(learner.predict([asked], Context()))
    assert built == [model]


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize(("support", "model"), [(KOREAN_SUPPORT, "ko-mini"), (problem().support, "smollm2")])
def test_the_classifier_needs_no_task(support: Any, model: str, built: Built) -> None:
    texts, labels = zip(*((x.text, x.label) if hasattr(x, "text") else x for x in support), strict=True)
    assert len(ICLClassifier().fit(texts, labels).predict(["?"])) == 1
    assert built == [model]


@pytest.mark.usefixtures("ko_mini")
def test_for_task_changes_the_model_alone(built: Built) -> None:
    given = {"selector": "balanced", "demos": 1, "calibrate": "none", "format": "chat", "dtype": "float32"}
    learner = ICLLearner(**given)
    settled = learner.for_task(KOREAN, LABELS)
    assert {name: getattr(settled, name) for name in given} == given
    assert settled is learner.for_task(KOREAN, LABELS) is settled.for_task(TASK, LABELS)
    assert settled is not learner.for_task(TASK, LABELS)
    assert learner.for_task(KOREAN) is learner
    list(settled.predict([reviews()], Context()))
    assert built == ["ko-mini in float32"]


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize(("language", "shown"), [("ko", 4), ("en", 20), ("und", 4)])
def test_how_many_are_shown_is_of_the_model_that_was_chosen(language: str, shown: int) -> None:
    asked = reviews(KOREAN_SUPPORT * 10, task=replace(TASK, language=language))
    (prediction,) = ICLLearner().predict([asked], Context())
    assert len(prediction.trace.demonstrations[0]) == shown
    assert any("4 of 20 are shown" in note for note in told_by(prediction)) is (shown == 4)


@pytest.mark.parametrize("spec", ["icl:model=auto", "icl:model=(auto:dtype=float32)", "icl"])
@pytest.mark.usefixtures("ko_mini")
def test_auto_is_a_name_in_specs(spec: str, built: Built) -> None:
    list(LEARNERS.build(spec).predict([reviews()], Context()))
    assert built == ["ko-mini in float32" if "float32" in spec else "ko-mini"]


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize("model", ["smollm2", OverlapModel(name="mine")], ids=["spec", "object"])
def test_a_model_that_is_named_is_left_alone(model: Any, built: Built) -> None:
    learner = ICLLearner(model)
    assert learner.for_task(KOREAN, LABELS) is learner
    (prediction,) = learner.predict([reviews()], Context())
    assert "ko-mini" not in built
    assert not any(note.startswith("model ") for note in told_by(prediction))


@pytest.mark.usefixtures("ko_mini")
def test_every_other_verb_takes_the_same_model() -> None:
    learner, settled = ICLLearner(), ICLLearner("ko-mini")
    for language in ("ko", "und"):
        asked, ctx = reviews(task=replace(TASK, language=language)), Context(seed=3)
        preview = learner.preview(asked, 0, ctx)
        assert preview.query == settled.preview(asked, 0, ctx).query
        assert preview.notes == (REASON,)
        assert learner.prompt_for(asked, 0, ctx) == settled.prompt_for(asked, 0, ctx)
        assert learner.label_tokens(asked, 0, ctx) == settled.label_tokens(asked, 0, ctx)
        assert learner.estimate([asked], 9, ctx).tokens == settled.estimate([asked], 9, ctx).tokens


@pytest.mark.parametrize(
    ("calibrate", "transductive"), [("auto", False), ("contextual", False), ("batch", True)], ids=str
)
def test_what_is_known_before_the_language(calibrate: str, transductive: bool, built: Built) -> None:
    learner = ICLLearner(calibrate=calibrate)
    assert learner.transductive is transductive
    assert learner.describe()["model"] == "auto"
    assert built == []


def test_other_parts_are_checked_before_a_model_is_built(built: Built) -> None:
    with pytest.raises(UsageError, match="Did you mean 'knn'"):
        list(ICLLearner(selector="knnn").predict([problem()], Context()))
    assert built == []


@pytest.mark.usefixtures("ko_mini")
@pytest.mark.parametrize(("language", "model"), [("ko", "ko-mini"), ("en", "smollm2")])
def test_a_run_records_the_model_that_was_chosen(language: str, model: str, tmp_path: Path) -> None:
    told: list[str] = []
    finished = run(
        ICLLearner(template="minimal"), sampler(language), 2, run_dir=tmp_path / "run", ctx=Context(notify=told.append)
    )
    assert finished.config["learners"]["main"]["model"] == {"name": model}
    assert finished.result["model"] == model
    assert [note for note in told if note.startswith(f"model {model}: ")] == told


@pytest.mark.usefixtures("ko_mini")
def test_workers_answer_for_the_model_on_record() -> None:
    learner, drawn = ICLLearner(), sampler("ko")
    spread_out = for_task(RayLearner(learner, Recipe.of(ICLLearner), RayEngine()), drawn.task.info, drawn.task.labels)
    assert isinstance(spread_out, TaskDependent)
    described = describe_run({"main": spread_out}, drawn, 1, 0, {})
    assert described["learners"]["main"]["model"] == {"name": "ko-mini"}


@pytest.mark.usefixtures("ko_mini")
def test_a_worker_settles_by_the_labels_of_the_task_and_not_by_those_of_an_episode() -> None:
    labels = (*LABELS, Label("보통", "보통"))
    made = Recipe.of(ICLLearner).for_task(KOREAN, labels).make()
    assert made.describe()["model"] == {"name": "ko-mini"}
