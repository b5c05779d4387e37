"""scikit-learn in both directions: pipelines as learners, learners as estimators."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from math import exp

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils import estimator_checks

from evals.adapters import EpisodeClassifier, SklearnLearner
from evals.adapters.inputs import InputError
from evals.learner import BaseLearner, Context
from evals.types import Answer, Example, Label, Prediction, Problem, Query, Status, TaskInfo
from fewshot.core.errors import FewshotError, UsageError
from fewshot.core.images import as_image
from tests.evals.images.pictures import picture

TEXTS = ["good film", "bad film", "nice food", "awful food", "good and nice", "bad and awful"]
LABELS = ["pos", "neg"] * 3
NEW = ["nice film", "awful film", "good"]


def make_problem(kind="classification", names=("pos", "neg")):
    return Problem(
        id="p" * 64,
        task=TaskInfo("toy", "en", kind),
        labels=tuple(Label(name, name) for name in names),
        support=tuple(Example(f"s{at}", *pair) for at, pair in enumerate(zip(TEXTS, LABELS, strict=True))),
        queries=tuple(Query(f"q{at}", text) for at, text in enumerate(NEW)),
    )


def answers(learner, problem=None, seed=0):
    (prediction,) = learner.predict([problem or make_problem()], Context(seed=seed))
    return prediction.answers


def pipeline(classifier=None):
    return make_pipeline(TfidfVectorizer(), classifier or LogisticRegression())


# --- a pipeline as a learner


def test_answers_are_those_of_the_pipeline():
    fitted = pipeline().fit(TEXTS, LABELS)
    found = answers(SklearnLearner(pipeline()))
    assert [answer.decision for answer in found] == fitted.predict(NEW).tolist()
    # The problem's labels stand in another order than the estimator's.
    np.testing.assert_allclose([[exp(s) for s in a.scores] for a in found], fitted.predict_proba(NEW)[:, ::-1])


def test_a_label_without_support_gets_the_floor():
    for answer in answers(SklearnLearner(pipeline()), make_problem(names=("neg", "none", "pos"))):
        assert -40 < answer.scores[1] < -30


def test_an_estimator_without_probabilities_gives_decisions_alone():
    found = answers(SklearnLearner(pipeline(LinearSVC())))
    assert [(answer.decision, answer.scores, answer.score_kind) for answer in found] == [
        ("pos", None, "none"),
        ("neg", None, "none"),
        ("pos", None, "none"),
    ]


class Failing(ClassifierMixin, BaseEstimator):
    def fit(self, texts, labels):
        raise ZeroDivisionError("no luck")


def test_a_failure_of_the_pipeline_is_an_answer():
    found = answers(SklearnLearner(Failing()))
    assert [(answer.status, answer.decision) for answer in found] == [(Status.ERROR, None)] * len(NEW)
    assert found[0].detail == "ZeroDivisionError: no luck"


def test_the_pipeline_itself_is_never_fitted():
    own = pipeline()
    answers(SklearnLearner(own))
    assert not hasattr(own[0], "vocabulary_")


def test_random_steps_are_seeded_by_the_run():
    learner = SklearnLearner(pipeline(SGDClassifier(loss="log_loss", max_iter=2, tol=None)))
    assert answers(learner, seed=1) == answers(learner, seed=1)
    assert [a.scores for a in answers(learner, seed=1)] != [a.scores for a in answers(learner, seed=2)]


def test_the_record_holds_every_parameter_and_no_address():
    described = json.loads(json.dumps(SklearnLearner(pipeline(LogisticRegression(C=3))).describe()))
    assert described["params"]["logisticregression__C"] == "3"
    with_function = SklearnLearner(make_pipeline(TfidfVectorizer(tokenizer=lambda text: text.split())))
    assert " at 0x" not in json.dumps(with_function.describe())


def test_the_pipeline_refuses_other_kinds():
    with pytest.raises(UsageError, match="kind 'generation'"):
        answers(SklearnLearner(pipeline()), make_problem("generation"))


# --- a learner as an estimator


@pytest.fixture
def estimator():
    return EpisodeClassifier("tfidf")


@pytest.mark.parametrize(
    "labels",
    [
        ["pos", "neg"] * 3,
        [1, 0] * 3,
        [True, False] * 3,
        [1.5, -2.0] * 3,
        np.array([1, 0] * 3),
        [("a", 1), ("b", 2)] * 3,
        [1, "1"] * 3,
        ["부정", "긍정"] * 3,
    ],
    ids=["str", "int", "bool", "float", "array", "tuple", "mixed", "korean"],
)
def test_labels_come_back_as_they_were(estimator, labels):
    predicted = estimator.fit(TEXTS, labels).predict(["good nice", "bad awful"])
    assert predicted.shape == (2,)
    assert predicted.tolist() == list(labels[:2])
    assert set(map(type, predicted.tolist())) == set(map(type, estimator.classes_.tolist()))
    assert estimator.score(TEXTS, labels) == 1.0


def test_classes_are_sorted_and_probabilities_follow_them(estimator):
    estimator.fit(TEXTS, LABELS)
    assert estimator.classes_.tolist() == ["neg", "pos"]
    probabilities = estimator.predict_proba(NEW)
    assert probabilities.shape == (3, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert estimator.classes_[probabilities.argmax(axis=1)].tolist() == estimator.predict(NEW).tolist()


def test_no_texts_give_no_predictions(estimator):
    estimator.fit(TEXTS, LABELS)
    assert estimator.predict([]).shape == (0,)
    assert estimator.predict_proba([]).shape == (0, 2)


def test_there_and_back_is_the_pipeline_again():
    estimator = EpisodeClassifier(SklearnLearner(pipeline())).fit(TEXTS, LABELS)
    oracle = pipeline().fit(TEXTS, LABELS)
    np.testing.assert_allclose(estimator.predict_proba(NEW), oracle.predict_proba(NEW), atol=1e-4)


class Recording(BaseLearner):
    """Answers the first label, or what it is told, and keeps the problems."""

    name = "recording"

    def __init__(self, answer=None):
        self.answer = answer
        self.problems: list[Problem] = []

    def predict(self, problems, ctx) -> Iterator[Prediction]:
        self.problems = list(problems)
        for problem in reversed(self.problems):
            yield Prediction(
                problem.id,
                tuple(self.answer or Answer(problem.labels[-1].name, detail=q.text) for q in problem.queries),
            )


def test_the_support_stands_in_shot_rounds():
    learner = Recording()
    labels = ["b", "b", "b", "a", "a", "c"]
    EpisodeClassifier(learner).fit(TEXTS, labels).predict(["x"])
    (problem,) = learner.problems
    assert [example.label for example in problem.support] == ["a", "b", "c", "a", "b", "b"]
    assert [example.id for example in problem.support] == ["s3", "s0", "s5", "s4", "s1", "s2"]
    assert [query.text for query in problem.queries] == ["x"]


def test_batches_are_put_back_in_order():
    learner = Recording()
    texts = [str(n % 2) for n in range(7)]
    found = EpisodeClassifier(learner, batch_size=2).fit(TEXTS, LABELS).predict_detailed(texts)
    assert [answer.detail for answer in found] == texts
    assert [len(problem.queries) for problem in learner.problems] == [2, 2, 2, 1]
    assert len({problem.id for problem in learner.problems}) == 4


def test_task_and_verbalizers_reach_the_learner():
    learner = Recording()
    task = TaskInfo("reviews", "ko", "classification", instruction="Read.")
    EpisodeClassifier(learner, task=task, verbalizers={1: "긍정"}).fit(TEXTS, [1, 0] * 3).predict(["x"])
    (problem,) = learner.problems
    assert problem.task is task
    assert problem.labels == (Label("0", "0"), Label("1", "긍정"))


FAILED = Answer(None, Status.TIMEOUT, detail="too slow")


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_failed_answers_raise(method):
    estimator = EpisodeClassifier(Recording(FAILED)).fit(TEXTS, LABELS)
    with pytest.raises(FewshotError, match="3 of 3 texts were not answered; the first: timeout, too slow"):
        getattr(estimator, method)(NEW)


def test_failed_answers_are_none_on_request():
    estimator = EpisodeClassifier(Recording(FAILED), on_failure="none").fit(TEXTS, LABELS)
    assert estimator.predict(NEW).tolist() == [None] * 3
    assert np.isnan(estimator.predict_proba(NEW)).all()
    assert estimator.score(TEXTS, LABELS) == 0


def test_decisions_without_scores_have_no_probabilities():
    with pytest.raises(UsageError, match="'recording' gives decisions without scores"):
        EpisodeClassifier(Recording()).fit(TEXTS, LABELS).predict_proba(NEW)


class Stopping(Recording):
    def predict(self, problems, ctx):
        yield from []


def test_a_learner_that_stops_early_is_an_error():
    with pytest.raises(FewshotError, match="answered 0 of 1 batches"):
        EpisodeClassifier(Stopping()).fit(TEXTS, LABELS).predict(NEW)


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (TEXTS, LABELS[:-1], "6 texts, but 5 labels"),
        (TEXTS, ["one"] * 6, "at least 2 classes"),
        ([], [], "at least 2 classes"),
        ("good film", LABELS, r"write \[text\]"),
        ([*TEXTS[:-1], 3], LABELS, r"texts\[5\] is of type int"),
        ([*TEXTS[:-1], "half \ud800"], LABELS, r"texts\[5\] holds half a character"),
        (np.zeros((6, 2)), LABELS, r"texts\[0\] is of type ndarray"),
        (TEXTS, [*LABELS[:-1], None], r"labels\[5\] is missing"),
        (TEXTS, [1.0, float("nan")] * 3, r"labels\[1\] is missing"),
        (TEXTS, [["a"], ["b"]] * 3, r"labels\[0\] is of type list"),
    ],
)
def test_bad_data_is_refused_with_one_clear_line(estimator, texts, labels, message):
    with pytest.raises(ValueError, match=message) as raised:
        estimator.fit(texts, labels)
    assert isinstance(raised.value, UsageError)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"task": TaskInfo("ner", "en", "tagging")}, "of kind 'tagging'"),
        ({"on_failure": "nan"}, "Known: none, raise|Did you mean"),
        ({"batch_size": 0}, "at least 1"),
        ({"learner": "tfdif"}, "tfidf"),
    ],
)
def test_bad_parameters_are_refused_in_fit(params, message):
    with pytest.raises(UsageError, match=message):
        EpisodeClassifier(**params).fit(TEXTS, LABELS)


def test_predict_before_fit_is_the_error_that_scikit_learn_expects(estimator):
    with pytest.raises(NotFittedError, match="fit"):
        estimator.predict(NEW)


def test_unknown_parameters_are_refused(estimator):
    with pytest.raises(ValueError, match="seed"):
        estimator.set_params(sead=1)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_mixin_order",
    ],
)
def test_checks_of_scikit_learn_that_need_no_numbers(estimator, check):
    getattr(estimator_checks, check)("EpisodeClassifier", estimator)


def test_scikit_learn_sees_a_classifier(estimator):
    assert is_classifier(estimator)
    assert not hasattr(clone(estimator.fit(TEXTS, LABELS)), "classes_")


def test_cross_validation_and_search(estimator):
    assert cross_val_score(estimator, TEXTS * 2, LABELS * 2, cv=2).mean() == 1.0
    search = GridSearchCV(estimator, {"learner": ["chance", "tfidf"]}, cv=2).fit(TEXTS * 2, LABELS * 2)
    assert search.best_params_ == {"learner": "tfidf"}


def test_importing_the_adapters_loads_nothing_heavy():
    program = "import sys, evals.adapters; print([m for m in ('torch', 'sklearn', 'scipy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"


def test_images_are_classified_too_and_not_mixed_with_texts() -> None:
    shown = [as_image(picture(kind, n)) for kind in range(3) for n in range(2)]
    labels = ["a", "a", "b", "b", "c", "c"]
    classifier = EpisodeClassifier("prototypes").fit(shown, labels)
    assert classifier.predict([as_image(picture(kind, 9)) for kind in range(3)]).tolist() == ["a", "b", "c"]
    with pytest.raises(UsageError, match="is a text"):
        classifier.predict(["my card is lost"])
    with pytest.raises(InputError, match=r"texts\[1\] is a text, and others are images"):
        EpisodeClassifier("prototypes").fit([shown[0], "text"], ["a", "b"])
    of_texts = EpisodeClassifier("prototypes:encoder=lexical").fit(["good", "bad"], ["a", "b"])
    with pytest.raises(UsageError, match="'lexical' reads texts"):
        of_texts.predict(shown)
