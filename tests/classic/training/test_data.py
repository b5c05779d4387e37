"""Problems as tensors: what stands where, and what is refused."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from classic.training.data import EpisodeTasks, TextTable, index_problem, index_rows, stack
from classic.training.inputs import FrozenFeatures
from evals.content import content
from evals.episode import Episode
from evals.label_names import Names, with_names
from evals.metatrain import Episodes
from evals.task import Task
from fewshot.core.errors import FewshotError, UsageError
from fewshot.encoders.lexical import Lexical
from tests.classic.toys import ToyEncoder, data, sampler, toy_task


def toy_table() -> TextTable:
    return TextTable(FrozenFeatures(ToyEncoder()))


def test_a_text_is_one_row_and_is_encoded_once() -> None:
    seen: list[str] = []

    class Counting(ToyEncoder):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            seen.extend(texts)
            return super().encode(texts)

    table = TextTable(FrozenFeatures(Counting()))
    first = table.indices(["c1 a", "c2 b", "c1 a"])
    again = table.indices(["c2 b", "c3 c"])
    assert first.tolist() == [0, 1, 0]
    assert again.tolist() == [1, 2]
    assert seen == ["c1 a", "c2 b", "c3 c"]
    expected = torch.from_numpy(ToyEncoder().encode(["c1 a", "c2 b", "c1 a"]))
    assert torch.equal(table.gather(first), expected)


def test_stacked_problems_hold_every_row_at_its_place_and_padding_is_masked() -> None:
    table = toy_table()
    small, large = sampler(way=2, shot=1, query=3)[0], sampler(way=3, shot=2, query=4)[0]
    batch = stack(index_rows([small.rows, large.rows], table), table)
    assert batch.support_x.shape == (2, 6, 24)
    assert batch.support_mask.sum(dim=1).tolist() == [2, 6]
    assert batch.query_mask.sum(dim=1).tolist() == [6, 12]
    assert batch.class_mask.tolist() == [[1, 1, 0], [1, 1, 1]]
    for at, episode in enumerate((small, large)):
        texts = [example.text for example in episode.problem.support]
        assert torch.equal(batch.support_x[at, : len(texts)], torch.from_numpy(ToyEncoder().encode(texts)))
        names = [label.name for label in episode.problem.labels]
        assert [names[y] for y in batch.query_y[at][: len(episode.gold)].tolist()] == list(episode.gold)


def test_a_problem_to_be_answered_brings_no_gold() -> None:
    assert index_problem(sampler()[0].problem, toy_table()).query_y.tolist() == [0] * 15


def test_duplicated_text_across_support_and_query_is_refused() -> None:
    episode = sampler()[0]
    shown = episode.problem.support[0].text
    queries = (replace(episode.problem.queries[0], text=shown), *episode.problem.queries[1:])
    leaking = replace(episode, problem=replace(episode.problem, queries=queries))
    with pytest.raises(UsageError, match="both shows and asks"):
        index_rows([leaking.rows], toy_table())


def test_nan_in_features_names_encoder_and_text() -> None:
    table = TextTable(FrozenFeatures(ToyEncoder(faulty="c1 ")))
    with pytest.raises(FewshotError, match=r"encoder 'toy' gave NaN or infinity for 1 of 2 texts, first for 'c1 b'"):
        table.indices(["c0 a", "c1 b"])


def test_sparse_vectors_are_folded_and_keep_their_dot_products() -> None:
    texts = [row.text for row in toy_task().rows["all"]][:60]
    exact = (Lexical().encode(texts) @ Lexical().encode(texts).T).toarray()
    folded = FrozenFeatures(Lexical()).rows(texts)
    assert folded.shape == (60, 2048)
    assert np.abs(np.asarray(folded @ folded.T) - exact).mean() < 0.06


def test_a_fitted_lexical_encoder_is_restored_bit_by_bit() -> None:
    texts = [row.text for row in toy_task().rows["all"]]
    fitted = FrozenFeatures(Lexical())
    fitted.fit(texts)
    restored = FrozenFeatures(Lexical())
    restored.restore(fitted.state())
    assert restored.fingerprint == fitted.fingerprint
    assert torch.equal(restored.rows([*texts, "never seen"]), fitted.rows([*texts, "never seen"]))


class Recorded(Sequence[Episode]):
    """Counts how often each episode is drawn."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = episodes
        self.drawn: list[int] = []

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Episode:  # type: ignore[override]
        self.drawn.append(index)
        return self.episodes[index]


def test_after_the_last_episode_the_first_comes_again_without_being_drawn_again() -> None:
    episodes = Recorded(data().train)
    tasks = EpisodeTasks(episodes, toy_table())
    first, second = tasks.batch(0, 4), tasks.batch(4, 8)
    assert episodes.drawn == [0, 1, 2, 3]
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


PAIRS = replace(
    toy_task(),
    info=replace(toy_task().info, fields=("second",)),
    rows={"all": tuple(replace(row, fields={"second": row.text[::-1], "unseen": 1}) for row in toy_task().rows["all"])},
)
NAMED = replace(toy_task(), labels=tuple(replace(label, verbalizer=f"say {label.name}") for label in toy_task().labels))


@pytest.mark.promise(133)
@pytest.mark.parametrize("names", ["none", "verbalizer"])
@pytest.mark.parametrize("numbered", [False, True], ids=["by episode", "among all"])
@pytest.mark.parametrize("task", [toy_task(), NAMED, PAIRS], ids=["texts", "names", "pairs"])
def test_training_draws_the_tasks_that_its_episodes_are(task: Task, numbered: bool, names: Names) -> None:
    """Rows that are drawn alone, against whole episodes, and against the texts of a problem."""
    wide, narrow = (data(task, way=way, shot=shot).train.samplers[0] for way, shot in ((4, 1), (2, 3)))
    episodes = Episodes([wide, narrow], 6)
    numbers = {label.name: at for at, label in enumerate(task.labels)} if numbered else None
    tasks = [EpisodeTasks(each, toy_table(), numbers, names).batch(1, 8) for each in (episodes, list(episodes))]
    assert all(torch.equal(one, other) for one, other in zip(*tasks, strict=True))
    shown = FrozenFeatures(ToyEncoder()).rows([content(row) for row in with_names(episodes[1].problem, names).support])
    assert tasks[0].support_mask[0].sum() == len(shown)
    assert torch.equal(tasks[0].support_x[0, : len(shown)], shown)


def test_classes_may_be_numbered_among_all_of_training() -> None:
    numbers: Mapping[str, int] = {f"c{at}": at for at in range(6)}
    (task,) = index_rows([data().train.draw(0)], toy_table(), numbers)
    assert task.way == 6
    assert set(task.support_y.tolist()) == {numbers[label.name] for label in data().train[0].problem.labels}


def _ids(start: int) -> list[str]:
    train = data().train
    return [train[at].id for at in range(start, start + 5)]


def test_b1_forked_workers_draw_different_episodes() -> None:
    """B1: workers that inherit one random state all emit the same stream, and a thousand episodes are a hundred."""
    with multiprocessing.get_context("fork").Pool(2) as pool:
        streams = pool.map(_ids, [0, 5])
    assert streams == [_ids(0), _ids(5)]
    assert len({*streams[0], *streams[1]}) == 10


def test_b9_the_same_classes_come_with_other_texts() -> None:
    """B9: a shuffle seeded by the classes alone shows the same texts whenever the classes meet again."""
    train = data(way=6).train
    supports = [frozenset(row.id for row in train[at].problem.support) for at in range(10)]
    assert len({frozenset(label.name for label in train[at].problem.labels) for at in range(10)}) == 1
    assert len(set(supports)) == 10
