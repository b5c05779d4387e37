"""A predictor: what is saved is what is loaded, nothing is unpickled, and damage or strangers are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.learner import BaseLearner, Context, MetaLearner
from evals.predictor import NAME, Predictor
from evals.types import Answer, Example, Label, Problem, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import FewshotError, StorageError, UsageError
from fewshot.core.hashing import digest
from fewshot.core.spec import parse_spec

INFO = TaskInfo("mine", "ko", "classification", instruction="무엇에 대한 글인가?")
LABELS = (Label("배송", "배송"), Label("환불", "환불 요청", "돈을 돌려받고 싶은 글"))
SUPPORT = (
    Example("1", "배송이 언제 오나요", "배송"),
    Example("2", "환불해 주세요\u2028부탁해요", "환불"),
    Example("3", "택배 배송 조회", "배송", {"from": "mail"}),
    Example("4", "카드 환불 요청", "환불"),
)
TEXTS = ["배송 조회 부탁", "카드 환불"]


class Own(BaseLearner):
    """Somebody's own learner."""

    name = "own"

    def solve(self, problem: Problem, ctx: Context) -> list[Answer]:
        return [Answer(problem.labels[-1].name) for _ in problem.queries]


def predictor(spec: str = "tfidf") -> Predictor:
    return Predictor(spec, INFO, LABELS, SUPPORT, seed=3, expected={"texts": 4}, text_column="문장")


def test_what_is_loaded_is_what_was_saved(tmp_path: Path) -> None:
    predictor().save(tmp_path / "kept")
    loaded = Predictor.load(tmp_path / "kept")
    assert loaded == predictor()
    assert loaded.predict(TEXTS) == predictor().predict(TEXTS)
    assert [answer.decision for answer in loaded.predict(TEXTS)] == ["배송", "환불"]
    assert loaded.changed_versions == []


@pytest.mark.parametrize(
    ("spec", "stored"),
    [
        ("prototypes:encoder=auto", "prototypes:encoder=use-m3"),
        ("probe", "probe:encoder=use-m3"),
        ("probe:c=3", "probe:encoder=use-m3,c=3"),
        ("prototypes:encoder=(auto:batch_size=8)", "prototypes:encoder=(use-m3:batch_size=8)"),
        ("icl:selector=(mmr:encoder=auto)", "icl:selector=(mmr:encoder=use-m3)"),
        ("prototypes:encoder=lexical", "prototypes:encoder=lexical"),
        ("tfidf", "tfidf"),
    ],
)
def test_the_encoder_is_kept_that_was_taken_when_it_was_made(
    spec: str, stored: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.predictor.encoder_for", lambda language: ("use-m3", f"for {language}"))
    predictor(spec).save(tmp_path)
    kept = json.loads((tmp_path / NAME).read_text(encoding="utf-8"))["spec"]
    assert parse_spec(kept).params.items() >= parse_spec(stored).params.items()


def test_the_folder_holds_text_alone(tmp_path: Path) -> None:
    predictor().save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, "support.jsonl"]
    for path in tmp_path.iterdir():
        path.read_text(encoding="utf-8")


def test_a_meta_learner_is_kept_with_what_it_was_trained_to(tmp_path: Path) -> None:
    from evals.episode import EpisodeSampler
    from evals.loading import load_task
    from evals.metatrain import ensure_trained

    pytest.importorskip("torch")
    spec = "protonet:encoder=lexical,steps=2,eval_every=1,meta_batch=1,n_valid=2,train_way=2,train=sentiment-en"
    learner = LEARNERS.build(spec, seed=0)
    assert isinstance(learner, MetaLearner)
    sampler = EpisodeSampler.of(load_task("sentiment-ko"), 2, 1, 1)
    ensure_trained(learner, sampler, Context(), load_task)
    made = Predictor(spec, INFO, LABELS, SUPPORT, learner=learner)
    made.save(tmp_path / "kept")
    assert Predictor.load(tmp_path / "kept").predict(TEXTS) == made.predict(TEXTS)
    for path in (tmp_path / "kept" / "learner").iterdir():
        path.unlink()
    (tmp_path / "kept" / "learner").rmdir()
    with pytest.raises(StorageError, match="what 'protonet' was trained to is missing"):
        Predictor.load(tmp_path / "kept")


@pytest.mark.parametrize(
    "spec",
    [
        f"{__file__}:Own",
        "icl:model=(openai:any,key_cmd=rm)",
        "icl:model=(openai:any,base_url=http://elsewhere/v1)",
        "icl:selector=(evil.py:Selector)",
    ],
    ids=["file", "command", "server", "nested file"],
)
def test_code_commands_and_servers_are_not_reached_unasked(tmp_path: Path, spec: str) -> None:
    predictor(spec).save(tmp_path / "kept")
    with pytest.raises(UsageError, match="--trust"):
        Predictor.load(tmp_path / "kept")


def test_own_code_that_is_trusted_runs(tmp_path: Path) -> None:
    predictor(f"{__file__}:Own").save(tmp_path / "kept")
    assert len(Predictor.load(tmp_path / "kept", trust=True).predict(TEXTS)) == 2


def test_nothing_is_written_over(tmp_path: Path) -> None:
    predictor().save(tmp_path / "kept")
    with pytest.raises(UsageError, match="exists already"):
        predictor().save(tmp_path / "kept")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="exists already"):
        predictor().save(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot write to"):
        predictor().save(tmp_path / "file" / "below")


def _edit(folder: Path, **changes: object) -> None:
    """Change the record, its hash included."""
    content = json.loads((folder / NAME).read_text()) | changes
    del content["sha256"]
    (folder / NAME).write_text(json.dumps({**content, "sha256": digest(content)}))


def _replace(folder: Path, old: str, new: str) -> None:
    """Change the record as an editor would."""
    text = (folder / NAME).read_text(encoding="utf-8")
    assert old in text
    (folder / NAME).write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / NAME).unlink(), "holds no predictor"),
        (lambda f: (f / NAME).write_text("{"), "is damaged"),
        (lambda f: (f / NAME).write_text("[1]"), "a JSON object is expected"),
        (lambda f: (f / NAME).write_bytes(b"\xff"), "is damaged"),
        (lambda f: (f / NAME).write_text('{"format": 2}'), "not what was saved: its hash differs"),
        (lambda f: _replace(f, "환불", "반품"), "not what was saved: its hash differs from its checksum"),
        (lambda f: _replace(f, '"seed": 3', '"seed": 4'), "not what was saved: its hash differs from its checksum"),
        (lambda f: _edit(f, format=9), "format 9"),
        (lambda f: _edit(f, labels=[{"nome": "x"}]), "is damaged: labels.0.name: field required"),
        (lambda f: _edit(f, task=3), "is damaged: task: "),
        (lambda f: _edit(f, task={"name": "x"}), "is damaged: task.language: field required"),
        (lambda f: _edit(f, seed="x"), "is damaged: seed: input should be a valid integer"),
        (lambda f: _edit(f, more=1), "is damaged: more: extra inputs"),
        (lambda f: (f / NAME).write_text("[" * 100_000), "is damaged: it is nested too deeply"),
        (lambda f: _edit(f, spec="tfidff"), "Did you mean 'tfidf'"),
        (lambda f: (f / "support.jsonl").unlink(), "cannot be read"),
        (lambda f: (f / "support.jsonl").write_text("{}\n"), "not what was saved"),
    ],
    ids=[
        *(
            "no file",
            "cut",
            "a list",
            "not text",
            "empty",
            "renamed label",
            "other seed",
            "format",
            "labels",
            "task",
            "half a task",
            "seed",
            "more than is known",
            "deep",
            "learner",
        ),
        *("no support", "other support"),
    ],
)
def test_damaged_and_foreign_folders_are_told(tmp_path: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    predictor().save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(FewshotError, match=message):
        Predictor.load(tmp_path)


def test_other_versions_are_named(tmp_path: Path) -> None:
    predictor().save(tmp_path)
    _edit(tmp_path, versions={"numpy": "0.1", "nothing": None})
    assert [line.split(" -> ")[0] for line in Predictor.load(tmp_path).changed_versions] == ["numpy 0.1"]
