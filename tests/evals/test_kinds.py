"""Each kind's gold, sampling rule, answer check and metrics."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.chrf import chrf
from evals.episode import EpisodeSampler
from evals.kinds import Scored, kind_named
from evals.kinds.tagging import spans
from evals.types import Answer, Status
from fewshot.core.errors import TaskError, UsageError
from tests.evals.fakes import KINDS, classification_task, multilabel_task, sampler_of, tagging_task, task_of

TASKS = {kind: task_of(kind) for kind in KINDS}


def draw(kind: str, way: int, shot: int, query: int, index: int) -> Any:
    return EpisodeSampler(TASKS[kind], way, shot, query)[index]


def occurrences(kind: str, golds: list[Any]) -> Counter[str]:
    if kind == "tagging":
        return Counter(name for gold in golds for name, _, _ in spans(gold))
    return Counter(name for gold in golds for name in kind_named(kind).names(gold))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(way=st.integers(2, 4), shot=st.integers(0, 4), query=st.integers(1, 3), index=st.integers(0, 10_000))
def test_episodes(kind: str, way: int, shot: int, query: int, index: int) -> None:
    """Nested shots, queries that do not depend on the shot, no overlap, and every class often enough."""
    episode, larger = draw(kind, way, shot, query, index), draw(kind, way, shot + 1, query, index)
    problem = episode.problem

    assert larger.problem.support[: len(problem.support)] == problem.support
    assert (larger.problem.queries, larger.gold, larger.pairing) == (problem.queries, episode.gold, episode.pairing)

    shown = [example.id for example in larger.problem.support]
    assert len({*shown, *episode.query_ids}) == len(shown) + len(episode.query_ids)

    names = [label.name for label in problem.labels]
    assert len(set(names)) == len(names) == (0 if kind == "generation" else way)
    for golds, times in (([e.label for e in problem.support], shot), (list(episode.gold), query)):
        found = occurrences(kind, golds)
        assert set(found) <= set(names)
        assert all(found[name] >= times for name in names)
        if kind == "classification":
            assert all(found[name] == times for name in names)
        if kind == "generation":
            assert len(golds) == times


@pytest.mark.parametrize("kind", ["classification", "generation"])
def test_more_queries_move_neither_the_support_nor_the_queries_before_them(kind: str) -> None:
    for index in range(5):
        few, more = draw(kind, 3, 2, 1, index), draw(kind, 3, 2, 3, index)
        assert few.problem.support == more.problem.support
        assert set(few.query_ids) < set(more.query_ids)


@pytest.mark.parametrize("kind", ["multilabel", "tagging"])
def test_k_to_2k_sampling_holds_where_the_data_allow_it(kind: str) -> None:
    for index in range(30):
        found = occurrences(kind, [e.label for e in draw(kind, 3, 3, 2, index).problem.support])
        assert max(found.values()) <= 6


@pytest.mark.parametrize("kind", KINDS)
def test_gold_is_a_possible_answer_and_scores_full_marks(kind: str) -> None:
    episode = draw(kind, 3, 1, 2, 0)
    rules = kind_named(kind)
    for at, gold in enumerate(episode.gold):
        assert rules.check(gold, episode.problem, at)
        assert rules.score(Answer(gold), gold) == 1.0
        assert rules.score(Answer(None, Status.REFUSED), gold) == 0.0


@pytest.mark.parametrize(
    ("kind", "decision"),
    [
        ("classification", "nobody"),
        ("classification", "class 1"),
        ("classification", ("c1",)),
        ("multilabel", ("c0", "nobody")),
        ("multilabel", "c0"),
        ("multilabel", ("c1", "c0")),
        ("multilabel", ("c0", "c0")),
        ("tagging", ()),
        ("tagging", "O"),
        ("tagging", ("B-nobody",) * 50),
        ("generation", ("a",)),
    ],
)
def test_impossible_answers(kind: str, decision: Any) -> None:
    problem = sampler_of(kind, way=4)[0].problem
    assert not kind_named(kind).check(decision, problem, 0)


@pytest.mark.parametrize(
    ("kind", "row", "gold"),
    [
        ("classification", {"y": "positive"}, "positive"),
        ("classification", {"y": 0}, "0"),
        ("classification", {"y": False}, "false"),
        ("multilabel", {"y": ["b", "a", "a"]}, ("a", "b")),
        ("multilabel", {"y": "b | a"}, ("a", "b")),
        ("multilabel", {"y": []}, ()),
        ("multilabel", {"y": "b;a"}, ("a", "b")),
        ("multilabel", {"y": "|"}, ()),
        ("tagging", {"y": ["B-X", "I-X", "O"], "tokens": ["a", "b", "c"]}, ("B-X", "I-X", "O")),
        ("tagging", {"y": "O B-X", "tokens": ["a", "b"]}, ("O", "B-X")),
        ("generation", {"y": "some text"}, "some text"),
    ],
)
def test_gold_as_it_is_read(kind: str, row: dict[str, Any], gold: Any) -> None:
    assert kind_named(kind).read_gold(row, "y") == gold


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        ("classification", {}, "'y' is missing"),
        ("classification", {"y": ""}, "'y' is empty"),
        ("classification", {"y": ["a"]}, "one label per row"),
        ("multilabel", {}, "'y' is missing"),
        ("multilabel", {"y": {"a": 1}}, "a list of labels"),
        ("multilabel", {"y": " "}, "is empty"),
        ("multilabel", {"y": "a|b;c"}, "name the one"),
        ("tagging", {"tokens": ["a"]}, "'y' is missing"),
        ("tagging", {"y": ["O"]}, "'tokens' must be a list of 1"),
        ("tagging", {"y": ["O"], "tokens": ["a", "b"]}, "'tokens' must be a list of 1"),
        ("tagging", {"y": ["X"], "tokens": ["a"]}, "tags are O, B-TYPE and I-TYPE"),
        ("tagging", {"y": ["I-X"], "tokens": ["a"]}, "begins with B-"),
        ("tagging", {"y": ["B-X", "I-Y"], "tokens": ["a", "b"]}, "begins with B-"),
        ("generation", {"y": "  "}, "a text is expected"),
    ],
)
def test_gold_that_cannot_be_read(kind: str, row: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind_named(kind).read_gold(row, "y")


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", []),
        ("B-X I-X O", [("X", 0, 2)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        ("O I-X I-X", [("X", 1, 3)]),
        ("B-X", [("X", 0, 1)]),
    ],
)
def test_spans(tags: str, found: list[tuple[str, int, int]]) -> None:
    assert spans(tags.split()) == found


def test_multilabel_metrics_equal_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    gold = (("a", "b"), ("c",), (), ("a",))
    given = (("a",), ("b", "c"), (), ("c",))
    scored = Scored(("a", "b", "c"), gold, tuple(map(Answer, given)))
    found = kind_named("multilabel").metrics([scored])
    matrices = [[[name in names for name in "abc"] for names in side] for side in (gold, given)]
    assert found["micro_f1"] == pytest.approx(f1_score(*matrices, average="micro"))
    assert found["macro_f1"] == pytest.approx(f1_score(*matrices, average="macro", zero_division=0))


def test_tagging_metrics_by_hand() -> None:
    gold = ("B-X", "I-X", "O", "B-Y")
    scored = Scored(("X", "Y"), (gold, gold), (Answer(("B-X", "O", "O", "B-Y")), Answer(None, Status.TIMEOUT)))
    found = kind_named("tagging").metrics([scored])
    assert found["entity_precision"] == 1 / 2
    assert found["entity_recall"] == 1 / 4
    assert found["entity_f1"] == pytest.approx(1 / 3)
    assert found["recall"] == {"X": 0.0, "Y": 0.5}


@pytest.mark.promise(120)
@pytest.mark.parametrize(
    ("gold", "given", "f1", "macro"),
    [
        # The example of seqeval's own documentation.
        (
            ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"],
            ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"],
            0.5,
            0.5,
        ),
        (["B-A I-A O B-B", "O B-A", "B-C I-C"], ["B-A O O B-B", "I-A I-A", "I-C I-C"], 0.5, 2 / 3),
        (["B-A I-A"], ["B-A B-A"], 0.0, 0.0),
        (["B-A I-A"], ["I-A I-A"], 1.0, 1.0),
        (["B-A O"], ["B-B O"], 0.0, 0.0),
    ],
    ids=["documentation", "three types", "a cut entity", "begun by I-", "another type"],
)
def test_entity_f1_is_that_of_seqeval(gold: list[str], given: list[str], f1: float, macro: float) -> None:
    """Values of seqeval 1.2.2, `f1_score` with average micro and macro."""
    answers = tuple(Answer(tuple(tags.split())) for tags in given)
    found = kind_named("tagging").metrics([Scored(("A", "B", "C"), tuple(tuple(t.split()) for t in gold), answers)])
    assert found["entity_f1"] == pytest.approx(f1)
    assert found["macro_f1"] == pytest.approx(macro)


@pytest.mark.promise(120)
@pytest.mark.parametrize(
    ("pairs", "score"),
    [
        ([("the cat", "the hat")], 0.28055555555555556),
        ([("이순신 장군이 이겼다", "이순신 장군은 졌다"), ("비", "비가 온다")], 0.36484027362688454),
        ([("ab", "abc"), ("", "x"), ("x", "")], 0.7675438596491228),
        ([("the cat sat on the mat", "cat mat on sat the"), ("Guten Tag", "Guten Tag!")], 0.49970034320600254),
        ([("a", "b")], 0.0),
        ([("same", "same")], 1.0),
        ([("", "")], 0.0),
        ([], None),
    ],
)
def test_chrf_is_that_of_sacrebleu(pairs: list[tuple[str, str]], score: float | None) -> None:
    """Values of sacreBLEU 2.6, `CHRF().corpus_score`, divided by 100."""
    assert chrf(pairs) == (None if score is None else pytest.approx(score))


@pytest.mark.parametrize("kind", KINDS)
def test_metrics_of_nothing_are_json(kind: str) -> None:
    from fewshot.core.hashing import canonical_json

    canonical_json(kind_named(kind).metrics([]))


@pytest.mark.parametrize(
    ("kind", "way", "shot", "query", "error", "message"),
    [
        ("classification", 9, 1, 1, UsageError, "use --way 6 or less"),
        ("multilabel", 9, 1, 1, UsageError, "use --way 5 or less"),
        ("tagging", 9, 1, 1, UsageError, "use --way 4 or less"),
        ("classification", 3, 10, 5, TaskError, "class 'c0' has 12 usable texts.* 10 to show and 5 to ask"),
        ("multilabel", 3, 100, 5, TaskError, "usable texts.* 100 to show and 15 to ask"),
        ("generation", 1, 30, 20, TaskError, "the task has 40 usable texts"),
        ("classification", 0, 1, 1, UsageError, "--way 0"),
        ("classification", 1, 1, 1, UsageError, "--way 1 leaves nothing to choose from"),
        ("classification", 2, -1, 1, UsageError, "--shot -1"),
        ("classification", 2, 1, 0, UsageError, "--query 0"),
    ],
)
def test_data_that_cannot_fill_an_episode_are_refused_at_once(
    kind: str, way: int, shot: int, query: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        EpisodeSampler(TASKS[kind], way, shot, query)


@pytest.mark.parametrize("build", [multilabel_task, tagging_task], ids=["multilabel", "tagging"])
def test_the_smallest_data_that_are_accepted_fill_every_episode(build: Any) -> None:
    task = build(3, 60)
    pool = task.pools(None, "test").support
    fewest = min(len(rows) for rows in pool.by_label.values())
    sampler = EpisodeSampler(task, way=3, shot=fewest - 3 * 4, query=4)
    for episode in sampler.take(100):
        assert episode.gold


def test_rows_without_gold_are_neither_shown_nor_asked() -> None:
    task = classification_task()
    rows = task.rows["all"]
    half = replace(
        task, rows={"all": tuple(replace(row, label=None) if at % 2 else row for at, row in enumerate(rows))}
    )
    assert half.pools(None, "test").support.rows == rows[::2]


def test_unknown_kind_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="classification"):
        kind_named("clasification")
