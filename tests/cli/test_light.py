"""Commands that need no model: they are fast, import nothing heavy, and answer bad input politely."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "sentence_transformers", "sklearn", "scipy.stats", "openai", "anthropic", "datasets"}


@pytest.mark.parametrize(
    "args",
    [["--help"], ["icl", "run", "--help"], ["tasks", "ls"], ["learners", "ls"], ["models", "ls"], ["--version"]],
    ids=" ".join,
)
def test_light_commands_import_nothing_heavy(args: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['fewshot', *{args!r}]\n"
        "from fewshot.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"loaded = {HEAVY!r} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, fewshot, evals, icl, classic, prompts; assert not {HEAVY!r} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


class TestTasks:
    def test_ls_names_every_card(self, fewshot: Callable) -> None:
        from evals.card import packaged_cards

        listed = json.loads(fewshot("tasks", "ls", "--json").stdout)
        assert [row["name"] for row in listed] == list(packaged_cards())

    def test_show(self, fewshot: Callable) -> None:
        shown = json.loads(fewshot("tasks", "show", "intents-ko", "--json").stdout)
        assert len(shown["labels"]) == 30
        assert shown["class_splits"]["01"] == {"train": 10, "valid": 10, "test": 10}

    def test_new_then_check(self, fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert fewshot("tasks", "new", "mine").code == 0
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "all.csv").write_text(
            "text,label\n좋다,positive\n싫다,0\n괜찮다,긍정?\n", encoding="utf-8"
        )
        refused = fewshot("tasks", "check", "mine.yaml")
        assert refused.code == 2
        assert "all.csv:4: the label '긍정?' is not on the card" in refused.stderr
        rows = "text,label\n좋다,positive\n재미있다,positive\n싫다,0\n지루하다,neg\n"
        (tmp_path / "mine" / "all.csv").write_text(rows, encoding="utf-8")
        checked = fewshot("tasks", "check", "mine.yaml")
        assert (checked.code, "4 rows, 2 labels, usable" in checked.stdout) == (0, True)
        assert fewshot("tasks", "new", "mine").code == 2

    @pytest.mark.promise(28)
    def test_check_tells_near_copies(self, fewshot: Callable, tmp_path: Path) -> None:
        story = "It was a long and winding story about two friends who lost and found each other in the mountains"
        rows = [(story, "a"), (f"{story}.", "b"), ("short", "a"), ("brief", "b")]
        (tmp_path / "x.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
        outcome = fewshot("tasks", "check", tmp_path / "x.csv")
        assert outcome.code == 0, outcome.stderr
        assert "2 rows are nearly the same as another one" in outcome.stdout

    @pytest.mark.promise(99)
    def test_check_shows_near_copies_and_drops_none(self, fewshot: Callable, tmp_path: Path) -> None:
        texts = ["정말 재밌어요ㅠㅠ", "정말재밌어요ㅠㅠㅠ", "정말 재밌어요ㅠㅠ!!", "배송이 늦어요", "또 다른 글"]
        rows = "".join(f"{text},{label}\n" for text, label in zip(texts, "abaab", strict=True))
        (tmp_path / "x.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
        outcome = fewshot("tasks", "check", tmp_path / "x.csv")
        assert (outcome.code, "5 rows, 2 labels" in outcome.stdout) == (0, True)
        assert "3 rows are nearly the same as another one" in outcome.stdout
        assert "'정말 재밌어요ㅠㅠ' and '정말재밌어요ㅠㅠㅠ'" in outcome.stdout

    @pytest.mark.promise(34)
    @pytest.mark.parametrize("name", ["../x", "CON/..", "a" * 99, "", "Ünï"])
    def test_new_refuses_names_that_leave_the_folder(self, fewshot: Callable, name: str) -> None:
        assert fewshot("tasks", "new", name).code == 2


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["icl", "run", "-t", "sentimnt-ko"], 2, "Did you mean 'sentiment-ko'"),
        (["icl", "run", "-t", "sentiment-ko", "-m", "smollm3"], 2, "Did you mean 'smollm2'"),
        (["icl", "run", "--selector", "knnn"], 2, "Did you mean 'knn'"),
        (["icl", "run", "--selector", "mmr:lamda=1"], 2, "lambda"),
        (["icl", "run", "--calibrate", "contextal"], 2, "contextual"),
        (["icl", "run", "--way", "3"], 2, "--way 3 is larger than the 2 classes"),
        (["icl", "run", "--way", "1"], 2, "--way 1 leaves nothing to choose from"),
        (["icl", "run", "--shot", "500"], 2, "lower --shot"),
        (["icl", "run", "--shot", "-1"], 2, "--shot -1: give a number"),
        (["icl", "run", "--episodes", "0"], 2, "--episodes 0 is too small"),
        (["icl", "run", "--demos", "many"], 2, "--demos many"),
        (["icl", "run", "-t", "intents-ko", "--split", "7"], 2, "class split"),
        (["icl", "run", "--resume", "nowhere"], 2, "holds no run"),
        (["icl", "run", "-t", "nothing.csv"], 2, "no such file"),
        (["runs", "show", "nowhere"], 2, "holds no run"),
        (["models", "pull", "smolm2"], 2, "Did you mean 'smollm2'"),
        (["models", "show", "gpt"], 2, "embedded model"),
        (["learners", "ls", "--family", "selectr"], 2, "selector"),
        (["icl", "predict", "nothing.txt", "--support", "nothing.csv"], 2, "no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_clear_line(fewshot: Callable, args: list[str], code: int, message: str) -> None:
    outcome = fewshot(*args)
    assert outcome.code == code, outcome.stderr
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not outcome.stdout


@pytest.mark.promise(36)
def test_terminal_escapes_in_data_are_disarmed(fewshot: Callable, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\n\x1b]0;owned\x07 hi [bold]x[/foo],a\nthere,b\n", encoding="utf-8")
    outcome = fewshot("icl", "select", "-t", path, "--text", "hi there", "--selector", "knn:encoder=lexical")
    assert outcome.code == 0, outcome.stderr
    assert "\x1b" not in outcome.stdout
    assert "[bold]x[/foo]" in outcome.stdout


def test_a_model_of_the_package_is_not_pulled(
    fewshot: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewshot.core.embedded.SHIPPED_FOLDER", tmp_path)
    missing = fewshot("models", "pull", "ko-mini")
    assert missing.code == 5
    assert "comes with fewshot" in missing.stderr
    assert "Traceback" not in missing.stderr
    (tmp_path / "ko-mini").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "weights.json"):
        (tmp_path / "ko-mini" / name).touch()
    assert fewshot("models", "pull", "ko-mini").stdout == "ko-mini: shipped with the package, nothing to pull\n"
    assert "shipped with the package" in fewshot("models", "ls").stdout
    listed = {row["name"]: row for row in json.loads(fewshot("models", "ls", "--json").stdout)}
    assert (listed["ko-mini"]["path"], listed["smollm2"]["shipped"]) == (str(tmp_path / "ko-mini"), False)


def test_doctor_reports_every_room(fewshot: Callable) -> None:
    found = {row["check"]: row["ok"] for row in json.loads(fewshot("doctor", "--json").stdout)}
    assert all(found[f"package {name}"] for name in ("fewshot", "evals", "icl", "classic", "prompts"))
