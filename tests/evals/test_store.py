"""The run store: equal round trips, one writer, and damage that never goes unnoticed."""

from __future__ import annotations

import random
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.records import EpisodeRecord, read_episode, read_prediction, write_episode, write_prediction
from evals.store import FILE_NAME, Store
from evals.types import Answer, Prediction, Status, Trace, Usage
from fewshot.core.errors import StorageError, UsageError
from tests.evals.fakes import KINDS, learner_of, sampler_of

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_number = st.floats(allow_nan=False, allow_infinity=False)
_numbers = st.lists(_number, max_size=3).map(tuple)
_answer = st.builds(
    Answer,
    decision=st.none() | _text | st.lists(_text, max_size=3).map(tuple),
    status=st.sampled_from(Status),
    scores=st.none() | _numbers,
    score_kind=st.sampled_from(["logprob", "bound", "none"]),
    raw=st.none() | _numbers,
    detail=_text,
)
_usage = st.builds(Usage, _number, st.integers(), st.integers(), st.integers(), st.integers(), st.none() | _number)
_trace = st.builds(
    Trace,
    demonstrations=st.lists(st.lists(_text, max_size=2).map(tuple), max_size=2).map(tuple),
    prompt_hashes=st.lists(_text, max_size=2).map(tuple),
    content_free=st.lists(_numbers, max_size=2).map(tuple),
    n_dropped=st.lists(st.integers(), max_size=2).map(tuple),
    notes=st.lists(_text, max_size=2).map(tuple),
)
_prediction = st.builds(
    Prediction,
    problem_id=_text,
    answers=st.lists(_answer, max_size=3).map(tuple),
    usage=st.dictionaries(st.sampled_from(["prepare", "adapt", "predict"]), _usage),
    trace=_trace,
)


@given(_prediction)
def test_predictions_come_back_equal(prediction: Prediction) -> None:
    assert read_prediction(write_prediction(prediction)) == prediction


@pytest.mark.parametrize("kind", KINDS)
def test_episodes_and_predictions_come_back_equal_from_the_file(kind: str, tmp_path: Path) -> None:
    episodes = list(sampler_of(kind).take(5))
    records = [EpisodeRecord.of(episode) for episode in episodes]
    predictions = list(learner_of(kind).predict((episode.problem for episode in episodes), _context()))
    with Store.create(tmp_path / "run", {"a": 1}) as store:
        for record, prediction in zip(records, predictions, strict=True):
            store.add_episode(record)
            store.add_prediction("main", prediction, 0.25)
        store.add_note("첫 번째")
    with Store.read(tmp_path / "run") as store:
        assert store.config == {"a": 1}
        assert list(store.episodes()) == records == [read_episode(write_episode(record)) for record in records]
        by_id = sorted(predictions, key=lambda prediction: prediction.problem_id)
        assert list(store.predictions("main")) == [(prediction, 0.25) for prediction in by_id]
        assert store.answered("main") == {prediction.problem_id for prediction in predictions}
        assert store.answered("other") == set()
        assert store.notes() == ["첫 번째"]


def test_the_ledger_remembers_requests_from_any_thread(tmp_path: Path) -> None:
    with Store.create(tmp_path / "run", {}) as store:
        ledger = store.ledger
        threads = [threading.Thread(target=ledger.put, args=(f"k{at}", {"usd": at})) for at in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ledger.put("k3", {"usd": 33})
    with Store.resume(tmp_path / "run") as store:
        assert [store.ledger.get(f"k{at}") for at in (0, 3, 19)] == [{"usd": 0}, {"usd": 33}, {"usd": 19}]
        assert store.ledger.get("never sent") is None


@pytest.mark.promise(37)
def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Store.create(folder, {}) as store:
        store.add_note("so that the write-ahead log exists")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert (folder / f"{FILE_NAME}-wal").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["run.lock", FILE_NAME]


@pytest.mark.promise(19)
def test_one_writer_many_readers(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}) as store:
        with pytest.raises(UsageError, match=r"being written by process \d+"):
            Store.resume(tmp_path)
        with Store.read(tmp_path) as first, Store.read(tmp_path) as second:
            store.add_note("seen while writing")
            assert first.notes() == second.notes() == ["seen while writing"]
    Store.resume(tmp_path).close()


@pytest.mark.promise(19)
def test_a_writer_in_another_process_is_named(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from evals.store import Store; "
        f"store = Store.create(Path({str(tmp_path)!r}), {{}}); print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UsageError, match=f"process {process.pid};"):
            Store.resume(tmp_path)
        process.kill()
    Store.resume(tmp_path).close()


def test_readers_cannot_write(tmp_path: Path) -> None:
    Store.create(tmp_path, {}).close()
    with Store.read(tmp_path) as store, pytest.raises(StorageError, match="read-only"):
        store.add_note("no")


@pytest.mark.parametrize("opened", [Store.read, Store.resume], ids=["read", "resume"])
def test_a_folder_without_a_run(opened: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        opened(tmp_path)  # type: ignore[operator]


def test_a_folder_with_a_run_is_not_overwritten(tmp_path: Path) -> None:
    Store.create(tmp_path, {"first": True}).close()
    with pytest.raises(UsageError, match="--resume"):
        Store.create(tmp_path, {"second": True})
    with Store.read(tmp_path) as store:
        assert store.config == {"first": True}


def test_an_episode_that_changed_is_refused(tmp_path: Path) -> None:
    sampler = sampler_of("classification")
    with Store.create(tmp_path, {}) as store:
        store.add_episode(EpisodeRecord.of(sampler[0]))
        store.add_episode(EpisodeRecord.of(sampler[0]))
        other = EpisodeRecord.of(sampler_of("classification", seed=1)[0])
        with pytest.raises(StorageError, match="another episode 0"):
            store.add_episode(other)


def test_a_problem_is_answered_once(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}) as store:
        store.add_prediction("main", Prediction("p", (Answer("a"),)))
        with pytest.raises(StorageError):
            store.add_prediction("main", Prediction("p", (Answer("b"),)))
        assert [prediction.answers[0].decision for prediction, _ in store.predictions("main")] == ["a"]


@pytest.mark.promise(17)
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with Store.create(tmp_path, {}) as store:
        store.add_prediction("main", Prediction("p0", (Answer("a"),)))
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(StorageError, match=r"full.*What was stored is safe"):
            store.add_prediction("main", Prediction("p1", (Answer("a", detail="x" * 100_000),)))
    with Store.resume(tmp_path) as store:
        assert store.answered("main") == {"p0"}
        store.add_prediction("main", Prediction("p1", (Answer("a"),)))


@pytest.mark.promise(17)
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Store.create(tmp_path / "file" / "run", {})


@pytest.mark.promise(18)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(lambda raw: b"", "schema version 0", id="empty"),
        pytest.param(lambda raw: b"not a database" * 99, "is damaged", id="other file"),
        pytest.param(lambda raw: raw[: len(raw) // 2], "is damaged", id="cut in half"),
        pytest.param(lambda raw: raw.replace(b'"decision":"c1"', b'"decision":"c2"'), "checksum", id="changed answer"),
    ],
)
def test_damage_is_told_and_located(damage: object, message: str, tmp_path: Path) -> None:
    _stored_run(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(StorageError, match=message) as caught:
        _read_all(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.promise(18)
def test_flipped_bytes_never_change_what_is_read(tmp_path: Path) -> None:
    """Whatever byte is changed: either the run reads as before, or it is refused."""
    _stored_run(tmp_path)
    path = tmp_path / FILE_NAME
    sound, expected = path.read_bytes(), _read_all(tmp_path)
    dice = random.Random(0)
    refused = 0
    for _ in range(600):
        at = dice.randrange(len(sound))
        path.write_bytes(sound[:at] + bytes([sound[at] ^ (1 << dice.randrange(8))]) + sound[at + 1 :])
        try:
            assert _read_all(tmp_path) == expected
        except StorageError:
            refused += 1
    assert refused > 100


def test_the_file_is_plain_sqlite_with_json(tmp_path: Path) -> None:
    _stored_run(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    query = "SELECT json_array_length(content, '$.answers') FROM predictions WHERE learner = 'main' LIMIT 1"
    assert connection.execute(query).fetchone() == (6,)
    connection.close()


def _context() -> object:
    from evals.learner import Context

    return Context()


def _stored_run(folder: Path) -> None:
    learner = learner_of("classification")
    with Store.create(folder, {"way": 3}) as store:
        for episode in sampler_of("classification").take(8):
            store.add_episode(EpisodeRecord.of(episode))
            (prediction,) = learner.predict([episode.problem], _context())  # type: ignore[arg-type]
            store.add_prediction("main", prediction)


def _read_all(folder: Path) -> object:
    with Store.read(folder) as store:
        return store.config, list(store.episodes()), list(store.predictions("main"))
