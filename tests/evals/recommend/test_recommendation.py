"""From rows to a recommendation, with learners that need no model: budgets, failures, and what is kept."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from evals.learner import BaseLearner, Budget, Context, Estimate
from evals.predictor import Predictor
from evals.recommend import Recommendation, recommend
from evals.recommend.ladder import LeftOut, ladder, larger, why_not
from evals.recommend.recommendation import _nothing_tried
from evals.recommend.trial import Trial
from evals.types import Answer, Label, Prediction, Problem, Status, TaskInfo, Usage
from fewshot.core.catalog import LADDER, LEARNERS, MODELS
from fewshot.core.errors import BudgetReached, FewshotError, MissingExtra, UsageError
from tests.evals.recommend.data import task_of

TASK = task_of({"yes": 15, "no": 15})
HERE = Path(__file__)


class Slow(BaseLearner):
    """Takes a while for every split."""

    name = "slow"

    def __init__(self, seconds: float = 0.2, name: str = "slow") -> None:
        self.seconds = seconds

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        time.sleep(self.seconds)
        return [Answer(problem.labels[0].name) for _ in problem.queries]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes where it is slept, and nowhere else; nobody waits."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.append(now.pop() + seconds))


class Paid(BaseLearner):
    """Costs a dollar per split, as it foresees or not."""

    name = "paid"

    def __init__(self, foresees: bool = True) -> None:
        self.foresees = foresees

    def predict(self, problems: Any, ctx: Context) -> Iterator[Prediction]:
        for problem in problems:
            usage = Usage(requests=1, usd=1.0)
            ctx.budget.charge(usage)
            answers = tuple(Answer(query.text.split()[-1]) for query in problem.queries)
            yield Prediction(problem.id, answers, {"predict": usage})

    def estimate(self, problems: Any, n_problems: int, ctx: Context) -> Estimate:
        return Estimate(usd=float(n_problems) if self.foresees else None)


class Broken(BaseLearner):
    """Raises."""

    name = "broken"

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        raise ValueError("out of order")


class Mute(BaseLearner):
    """Never has an answer."""

    name = "mute"

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(None, Status.AUTH, detail="no key") for _ in problem.queries]


class Absent(BaseLearner):
    """Needs a package that nobody has."""

    name = "absent"

    def __init__(self) -> None:
        raise MissingExtra("learner 'absent'", "local")


class Endless(Slow):
    """Trains for as long as it may."""

    name = "endless"
    train = "sentiment-en"
    trained = False

    def meta_fit(self, train: Any, valid: Any, ctx: Context, folder: Path | None = None) -> None:
        while not ctx.stopping:
            time.sleep(1.0)
        raise BudgetReached("the training was cut")

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


class Unsuited(BaseLearner):
    """Knows beforehand that it is not made for a task."""

    name = "unsuited"

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(problem.labels[0].name) for _ in problem.queries]

    def why_unsuited(self, task: TaskInfo, labels: Sequence[Label]) -> str | None:
        return f"it knows other labels than {', '.join(sorted(label.name for label in labels))}"


class Interrupted(BaseLearner):
    """Meets Ctrl-C in its first split."""

    name = "interrupted"

    def predict(self, problems: Any, ctx: Context) -> Iterator[Prediction]:
        ctx.cancel.set()
        return iter(())


def spec(learner: type[BaseLearner], arguments: str = "") -> str:
    return f"{HERE}:{learner.__name__}{':' if arguments else ''}{arguments}"


def reasons(found: Recommendation) -> dict[str, str]:
    return {missing.learner: missing.why for missing in found.left_out}


@pytest.fixture(scope="module")
def found() -> Recommendation:
    return recommend(TASK, ["nn", spec(Broken), spec(Mute), spec(Absent), "protonet:encoder=lexical"])


def test_baselines_are_always_in_and_nobody_is_dropped_in_silence(found: Recommendation) -> None:
    baselines = {name for name, entry in LEARNERS.entries().items() if entry.baseline}
    assert {score.learner for score in found.findings.scores} == baselines
    assert "ValueError: out of order" in reasons(found)[spec(Broken)]
    assert "pip install" in reasons(found)[spec(Absent)]
    assert "auth, no key" in reasons(found)[spec(Mute)]
    assert "train=TASK+TASK" in reasons(found)["protonet:encoder=lexical"]


def test_the_document_is_json_and_says_everything(found: Recommendation) -> None:
    document = json.loads(json.dumps(found.document, allow_nan=False))
    assert document["recommendation"]["learner"] == found.learner
    assert document["recommendation"]["en"] == found.sentence("en")
    assert {"accuracy", "behind", "p", "seconds", "usd"} <= document["learners"][0].keys()
    assert document["splits"]["n_train"] + document["splits"]["n_test"] == document["data"]["rows_used"]


def test_the_same_seed_gives_the_same_result(found: Recommendation) -> None:
    again = recommend(TASK, ["nn"])
    assert [s.accuracy for s in again.findings.scores] == [s.accuracy for s in found.findings.scores]


def test_what_is_recommended_can_be_kept_and_used(found: Recommendation, tmp_path: Path) -> None:
    found.save(tmp_path / "kept")
    loaded = Predictor.load(tmp_path / "kept")
    assert loaded.spec == found.learner
    assert [answer.decision for answer in loaded.predict(["text a is yes", "text b is no"])] == ["yes", "no"]
    assert json.loads((tmp_path / "kept" / "recommendation.json").read_text())["recommendation"]["learner"]


@pytest.mark.usefixtures("clock")
def test_what_does_not_fit_into_the_time_is_left_out_and_named() -> None:
    steps: list[Trial | LeftOut] = []
    found = recommend(TASK, [spec(Slow, "seconds=2")], minutes=0.5, on_step=steps.append)
    assert "it would take about 36 s more, and 26 s are left" in reasons(found)[spec(Slow, "seconds=2")]
    assert sum(isinstance(step, Trial) for step in steps) == len(found.findings.scores)


@pytest.mark.promise(91)
@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("slow", "quick", "tried"),
    [(2.0, 1.2, False), (1.7, 0.5, True), (10.0, 1.0, False), (0.5, 0.5, True)],
    ids=["it would take the time of the next", "it waits for what the next leaves", "far too slow", "both fit"],
)
def test_a_slow_rung_takes_no_more_than_its_share(slow: float, quick: float, tried: bool) -> None:
    first, second = spec(Slow, f"seconds={slow}"), spec(Slow, f"seconds={quick},name=quick")
    found = recommend(TASK, [first, second], minutes=1)
    scored = {score.learner for score in found.findings.scores}
    assert second in scored
    assert (first in scored) is tried
    assert tried or {missing.learner: missing.limit for missing in found.left_out} == {first: "--budget"}


@pytest.mark.promise(91)
@pytest.mark.usefixtures("clock")
def test_training_takes_no_more_than_its_share_either() -> None:
    found = recommend(TASK, [spec(Endless), spec(Slow, "seconds=1.2")], minutes=1)
    (missing,) = found.left_out
    assert (missing.learner, missing.why, missing.limit) == (spec(Endless), "its time was over", "--budget")


@pytest.mark.usefixtures("clock")
def test_a_first_split_after_which_nothing_else_would_fit_is_the_last() -> None:
    found = recommend(TASK, [spec(Slow, "seconds=40")], minutes=1)
    assert "it would take about 40 s more, and 20 s are left" in reasons(found)[spec(Slow, "seconds=40")]


@pytest.mark.promise(92)
def test_a_rung_that_says_nothing_is_to_be_expected_of_it_is_climbed_only_if_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evals.recommend.ladder.LADDER", ("tfidf", spec(Unsuited)))
    assert reasons(recommend(TASK))[spec(Unsuited)] == "it knows other labels than no, yes"
    assert not reasons(recommend(TASK, also=[spec(Unsuited)]))
    assert not reasons(recommend(TASK, [spec(Unsuited)]))


@pytest.mark.usefixtures("clock")
def test_a_broken_learner_is_told_from_one_that_ran_out_of_time() -> None:
    found = recommend(TASK, [spec(Broken), spec(Slow, "seconds=2")], minutes=0.5)
    limits = {missing.learner: missing.limit for missing in found.left_out}
    assert limits == {spec(Broken): "", spec(Slow, "seconds=2"): "--budget"}


@pytest.mark.parametrize(
    ("left_out", "error", "message"),
    [
        ([LeftOut("a", "it failed"), LeftOut("b", "the time was over", "--budget")], BudgetReached, "with --budget"),
        ([LeftOut("a", "it would cost 3 USD", "--max-cost")], BudgetReached, "give more with --max-cost"),
        ([LeftOut("a", "it failed")], FewshotError, "a: it failed.*name others with --learner"),
    ],
    ids=["time", "money", "broken"],
)
def test_what_would_help_is_named_where_nothing_worked(
    left_out: list[LeftOut], error: type[FewshotError], message: str
) -> None:
    found = _nothing_tried(left_out)
    assert type(found) is error
    assert re.search(message, str(found))


def test_without_time_there_is_no_recommendation() -> None:
    with pytest.raises(BudgetReached, match="give more with --budget"):
        recommend(TASK, ["nn"], minutes=1e-9)


@pytest.mark.parametrize(
    ("foresees", "limit", "why"),
    [(True, 5.0, "it would cost about 20.00 USD, and 5.00 USD are left"), (False, 5.0, "reached --max-cost 5.0 USD")],
    ids=["foreseen", "met"],
)
def test_money_is_a_hard_limit(foresees: bool, limit: float, why: str) -> None:
    name = spec(Paid, f"foresees={str(foresees).lower()}")
    ctx = Context(budget=Budget(max_usd=limit))
    assert why in reasons(recommend(TASK, [name], ctx=ctx))[name]
    assert (ctx.budget.spent.usd or 0.0) <= limit


def test_a_meta_learner_is_trained_on_the_tasks_that_it_names() -> None:
    pytest.importorskip("torch")
    trained = "protonet:encoder=lexical,steps=2,eval_every=1,meta_batch=1,n_valid=2,train=sentiment-en"
    assert trained in {score.learner for score in recommend(TASK, [trained]).findings.scores}


def test_money_that_was_spent_is_told() -> None:
    found = recommend(TASK, [spec(Paid)], ctx=Context(budget=Budget(max_usd=50.0)))
    assert found.findings.score(spec(Paid)).usd == 20.0
    assert found.document["usd"] == 20.0


def test_an_interrupt_ends_the_work() -> None:
    with pytest.raises(KeyboardInterrupt):
        recommend(TASK, [spec(Interrupted)], ctx=Context(cancel=threading.Event()))


@pytest.mark.parametrize(
    ("learners", "minutes", "message"),
    [
        (["protonett"], 1.0, "protonet"),
        (["tfidf:temprature=1"], 1.0, "temperature"),
        (["nn"], 0.0, "more than 0 minutes"),
        (["nn"], float("nan"), "more than 0 minutes"),
    ],
    ids=["learner", "parameter", "no time", "not a number"],
)
def test_bad_requests_are_refused_before_any_work(learners: list[str], minutes: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        recommend(TASK, learners, minutes=minutes)


@pytest.mark.parametrize("rung", LADDER)
def test_every_rung_of_the_ladder_can_be_named(rung: str) -> None:
    LEARNERS.check(rung)


def test_the_ladder_leaves_out_models_of_another_language() -> None:
    usable, left_out = ladder("ko")
    assert set(usable) | {missing.learner for missing in left_out} == set(LADDER)
    assert "tfidf" in usable
    (foreign,) = (missing for missing in left_out if "smollm2" in missing.learner)
    assert "made for en, and the texts are in ko" in foreign.why
    assert any("made for ko, and the texts are in en" in missing.why for missing in ladder("en")[1])


@pytest.mark.promise(92)
@pytest.mark.parametrize("language", ["ko", "en", "ja", "de", "und"])
def test_every_language_has_rungs_that_read_it_and_none_that_does_not(language: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("evals.recommend.ladder.locate", lambda name: HERE)
    usable, _ = ladder(language)
    assert {"tfidf", "probe:encoder=lexical", "prototypes:encoder=auto", "probe:encoder=auto"} <= set(usable)
    trained = [rung for rung in usable if rung.startswith("protonet")]
    assert [f"train=intents-{'ko' if language == 'ko' else 'en'}" in rung for rung in trained] == [True]
    assert any("smollm2" in rung for rung in usable) is (language == "en")
    assert any("ko-mini" in rung for rung in usable) is (language == "ko")


@pytest.mark.promise(92)
@pytest.mark.parametrize(
    ("labels", "climbed"), [(("긍정", "부정"), True), (("배송", "환불"), False), (("0", "1"), False)], ids=str
)
def test_the_korean_model_is_tried_on_praise_and_blame_alone(labels: tuple[str, ...], climbed: bool) -> None:
    rung = LEARNERS.build("icl:model=ko-mini,selector=knn,encoder=auto,demos=8,order=nearest-last")
    task = task_of(dict.fromkeys(labels, 3), language="ko")
    assert (rung.why_unsuited(task.info, task.labels) is None) is climbed


@pytest.mark.parametrize(
    ("language", "encoder"), [("en", "mpnet"), ("en-GB", "mpnet"), ("ko", "bge-m3"), ("und", "bge-m3")]
)
def test_larger_models_are_named_by_options_that_are_understood(language: str, encoder: str) -> None:
    options = larger(language, prompts=True)
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.keys() == {"-l", "-m"}
    assert encoder in given["-l"]
    LEARNERS.check(given["-l"])
    MODELS.check(given["-m"])
    assert "-m" not in larger(language, prompts=False)


def test_the_ladder_leaves_out_models_that_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evals.recommend.ladder.locate", lambda name: None)
    assert why_not("icl:model=smollm2", "en") == "smollm2 is not on this machine; run: fewshot models pull smollm2"
    assert (
        why_not("icl:model=ko-mini", "ko")
        == "ko-mini is not on this machine; it comes with fewshot: install fewshot again"
    )
    assert why_not("icl:selector=(mmr:encoder=minilm)", "en") is not None
    assert why_not("tfidf", "en") is None


def test_the_card_says_what_it_is_made_of_and_what_it_is_worth(tmp_path: Path) -> None:
    task = task_of({"a|b": 40, "<i>no</i>": 40})
    found = recommend(task, ["tfidf"], minutes=5)
    found.save(tmp_path / "kept")
    card = (tmp_path / "kept" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: fewshot\n")
    assert "| a\\|b | 40 |" in card
    assert "<i>" not in card
    for part in (found.sentence("en"), found.sentence("ko"), "80 labelled texts, 2 classes", "## Limits", "`tfidf`"):
        assert part in card
    assert "fewshot predict --from kept" in card
    assert ("unsure below" in card) == (found.predictor.confidence is not None)
    assert Predictor.load(tmp_path / "kept").confidence == found.predictor.confidence
    assert found.predictor.confidence is not None
