"""`fewshot recommend`, `predict` and `power`, with learners that need no model."""

from __future__ import annotations

import json
import random
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

KOREAN = {
    "배송": [
        "배송이 언제 오나요",
        "택배 배송 조회",
        "배송지 변경 부탁",
        "배송 출발했나요",
        "배송 기사님 번호",
        "배송 지연",
    ],
    "환불": ["환불은 언제 되나요", "카드 환불 요청", "환불 금액 이상", "반품 환불 부탁", "환불 계좌 변경", "환불 취소"],
}
FILES = Path(__file__).parents[1] / "evals" / "recommend" / "files"
QUICK = ("--learner", "tfidf", "--budget", "1")


@pytest.fixture
def korean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"문장": text, "분류": label} for label, texts in KOREAN.items() for text in texts]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_recommend_then_predict(fewshot: Callable, korean: Path, tmp_path: Path) -> None:
    done = fewshot("recommend", korean, *QUICK)
    assert done.code == 0, done.stderr
    assert "guessed columns: texts in '문장', labels in '분류'" in done.stderr
    assert "Use " in done.stdout
    assert "권합니다" in done.stdout
    new = tmp_path / "new.csv"
    new.write_text("id,문장\n1,환불 부탁해요\n2,배송 조회해 주세요\n", encoding="utf-8")
    told = fewshot("predict", "--from", tmp_path / "mine-predictor", new)
    assert told.code == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(line["label"], line["status"]) for line in lines] == [("환불", "ok"), ("배송", "ok")]


@pytest.mark.models
@pytest.mark.promise(92)
@pytest.mark.parametrize(
    ("name", "encoding", "asked"),
    [
        ("ko", "cp949", {"짐이 도착하지 않았습니다": "배송", "접속 암호가 생각나지 않아요": "계정"}),
        ("ja", "utf-8", {"小包がまだ来ません": "配送", "暗証番号がわかりません": "アカウント"}),
        ("en", "utf-16", {"where is my package": "shipping", "reset my login": "account"}),
    ],
)
def test_fifteen_texts_told_apart_by_meaning_end_with_a_predictor_that_works(
    fewshot: Callable, tmp_path: Path, name: str, encoding: str, asked: dict[str, str]
) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_bytes((FILES / f"{name}.csv").read_text(encoding="utf-8").encode(encoding))
    learners = ("-l", "prototypes", "-l", "probe", "-l", "probe:encoder=lexical")
    done = fewshot("recommend", path, *learners, "--budget", "20", "--out", tmp_path / "o", "--json")
    assert done.code == 0, done.stderr
    advice = json.loads(done.stdout)["recommendation"]
    assert advice["beats_majority"]
    assert advice["accuracy"]["mean"] > 0.8
    assert advice["learner"] in ("prototypes", "probe")
    told = fewshot("predict", "--from", tmp_path / "o", "-", stdin="\n".join(asked) + "\n")
    assert [json.loads(line)["label"] for line in told.stdout.splitlines()] == list(asked.values())


def test_the_last_line_names_what_is_larger_with_the_command_that_tries_it(
    fewshot: Callable, korean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evals.recommend.ladder.LADDER", ("tfidf",))
    spaced = korean.rename(tmp_path / "고객 문의.jsonl")
    given = ("--text", "문장", "--label", "분류")
    last = fewshot("recommend", spaced, *given, "--out", tmp_path / "o").stderr.splitlines()[-1]
    command = shlex.split(last.split(": ", 1)[1])
    assert command[:3] == ["fewshot", "recommend", str(spaced)]
    assert command[3:7] == list(given)
    assert "-m" in command
    named = fewshot("recommend", spaced, *given, *QUICK, "--out", tmp_path / "p")
    assert named.stderr.splitlines()[-1].startswith("next: fewshot predict")


def test_a_second_recommendation_gets_a_folder_of_its_own(fewshot: Callable, korean: Path, tmp_path: Path) -> None:
    for _ in range(2):
        assert fewshot("recommend", korean, *QUICK).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine.jsonl", "mine-predictor", "mine-predictor-2"}


def test_json_is_one_document(fewshot: Callable, korean: Path, tmp_path: Path) -> None:
    done = fewshot("recommend", korean, "--text", "문장", "--label", "분류", *QUICK, "--out", tmp_path / "o", "--json")
    document = json.loads(done.stdout)
    assert document["data"]["rows"] == 12
    assert document["predictor"] == str(tmp_path / "o")
    assert {"en", "ko", "learner", "sure", "texts_needed"} <= document["recommendation"].keys()
    assert "guessed" not in done.stderr


def test_predict_reads_lines_and_keeps_the_output_when_input_is_bad(
    fewshot: Callable, korean: Path, tmp_path: Path
) -> None:
    fewshot("recommend", korean, *QUICK, "--out", tmp_path / "o")
    done = fewshot("predict", "--from", tmp_path / "o", "-", stdin="환불 부탁\n")
    assert json.loads(done.stdout)["label"] == "환불"
    other = tmp_path / "other.csv"
    other.write_text("body\nhello\n")
    done = fewshot("predict", "--from", tmp_path / "o", other, "-o", tmp_path / "labels.jsonl")
    assert done.code == 2
    assert "the columns are body" in done.stderr
    assert not (tmp_path / "labels.jsonl").exists()


def test_labels_from_data_cannot_reach_the_terminal(fewshot: Callable, tmp_path: Path) -> None:
    path = tmp_path / "hostile.csv"
    rows = [f"text {word} {at},\x1b[31m{word}" for word in ("red", "blue") for at in "abcdefgh"]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    done = fewshot("recommend", path, *QUICK, "--out", tmp_path / "o")
    assert done.code == 0, done.stderr
    assert "\x1b[31m" not in done.stdout + done.stderr


def test_twenty_thousand_rows_are_sampled_and_said(fewshot: Callable, tmp_path: Path) -> None:
    draw = random.Random(0)
    words = {"a": ["red", "blue", "green"], "b": ["cat", "dog", "bird"]}
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("text,label\n")
        for at in range(20_000):
            label = draw.choice("ab")
            file.write(f"{draw.choice(words[label])} {draw.choice('uvwxyz')} {at},{label}\n")
    done = fewshot("recommend", path, *QUICK, "--rows", "500", "--out", tmp_path / "o")
    assert done.code == 0, done.stderr
    assert "500 of 20,000 texts" in done.stdout
    assert len((tmp_path / "o" / "support.jsonl").read_text().splitlines()) == 500


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("text,label\na b,x\nc d,x\n", (), "at least two are needed"),
        ("", (), "holds no rows"),
        ("text,label\n" + "".join(f"t {n},l{n}\n" for n in range(9)), (), "9 different labels for 9 texts"),
        ("body,tag\na b,x\nb c,y\n", ("--text", "txet"), "unknown column"),
        ("text,label\na b,x\nc d,\n", (), ":3: column 'label' is empty"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--learner", "tfdif"), "Did you mean 'tfidf'"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--budget", "0"), "more than 0 minutes"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--max-cost", "-1"), "0 or more"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--rows", "3"), "error: --rows 3 is too few"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--model", "opena:x"), "unknown model"),
        ("text,label\na b,x\nc d,y\ne f,x\ng h,y\n", ("--out", "."), "exists already"),
    ],
    ids=[
        *(
            "one class",
            "empty",
            "labels are texts",
            "column",
            "label missing",
            "learner",
            "no time",
            "money",
            "rows",
            "model",
        ),
        "out exists",
    ],
)
def test_bad_requests_are_told(
    fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, options: tuple, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text(content)
    done = fewshot("recommend", "mine.csv", *options)
    assert done.code == 2
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_a_file_without_a_column_of_texts_names_the_ways_out(fewshot: Callable, korean: Path, tmp_path: Path) -> None:
    fewshot("recommend", korean, *QUICK, "--out", tmp_path / "o")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("body,topic\na b,x\nc d,y\n")
    for command in (("compare", "-t", wrong), ("predict", "--from", tmp_path / "o", wrong)):
        done = fewshot(*command)
        assert done.code == 2
        for told in ("the columns are body, topic", "Rename", "fewshot tasks new", "--text"):
            assert told in " ".join(done.stderr.split())


def test_the_choice_among_several_is_told_and_corrected_for(fewshot: Callable, korean: Path, tmp_path: Path) -> None:
    done = fewshot("recommend", korean, *QUICK, "--out", tmp_path / "o", "--json")
    document = json.loads(done.stdout)
    advice = document["recommendation"]
    raw = next(row for row in document["learners"] if row["learner"] == advice["learner"])["accuracy"]["mean"]
    assert advice["optimism"] >= 0
    assert advice["accuracy"]["mean"] == pytest.approx(raw - advice["optimism"])
    assert f"chosen among {advice['candidates']} on the same splits" in advice["en"]
    assert f"같은 분할에서 {advice['candidates']}개 가운데" in advice["ko"]
    kept = json.loads((tmp_path / "o" / "predictor.json").read_text(encoding="utf-8"))
    assert kept["expected"]["accuracy"] == advice["accuracy"]


def test_predict_from_a_foreign_folder(fewshot: Callable, tmp_path: Path) -> None:
    done = fewshot("predict", "--from", tmp_path, "-", stdin="hello\n")
    assert done.code == 2
    assert "holds no predictor" in done.stderr


def test_power_of_a_pilot_and_of_stored_runs(fewshot: Callable, tmp_path: Path) -> None:
    learners = ("--learner", "tfidf", "--learner", "nn")
    done = fewshot("power", "-t", "intents-en", *learners, "--pilot", "10", "--way", "3", "--delta", "0.05", "--json")
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    assert {"episodes", "detectable", "at_best", "enough_texts"} <= document.keys()
    assert document["n_texts"] > 0
    study = ("compare", "-t", "intents-en", "--way", "3", "--shot", "5", "-n", "10", "--run-dir", tmp_path)
    assert fewshot(*study, "--learner", "tfidf").code == 0
    stored = fewshot("power", "--from", next(tmp_path.iterdir()), *learners, "--delta", "0.05")
    assert stored.code == 0, stored.stderr
    assert f"{document['episodes']:,} episodes" in stored.stdout
    assert "more episodes do not replace more texts" in stored.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--learner", "tfidf"), "give --learner twice"),
        (("--learner", "tfidf", "--learner", "maml:encoder=lexical", "-t", "sentiment-en"), "no training classes"),
        (("--learner", "tfidf", "--learner", "nm"), "'nn'"),
        (("--delta", "3"), "error: --delta 3: give a difference between 0 and 1"),
        (("--delta", "0"), "error: --delta 0: give a difference between 0 and 1"),
        (("--episodes", "1"), "error: --episodes 1 is too small; use 2 or more"),
        (("--pilot", "1"), "error: --pilot 1 is too small; use 2 or more"),
    ],
    ids=["one learner", "cannot be tried", "unknown", "delta", "no delta", "episodes", "pilot"],
)
def test_power_that_cannot_be_told(fewshot: Callable, options: tuple, message: str) -> None:
    done = fewshot("power", *options)
    assert done.code == 2
    assert message in done.stderr
