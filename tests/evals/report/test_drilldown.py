"""Looking inside: what is shown is what happened, or the page says why it cannot be shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evals.comparison import Comparison, compare
from evals.prompting import ShowsPrompts
from evals.report.drilldown import N_PROMPTS, Drilldown, _reading
from evals.report.shown import ShownEpisode, ShownLearner
from fewshot.core.errors import StorageError
from tests.evals.comparison.toys import riddles
from tests.evals.report.hostile import PROMPTER, write_rows
from tests.evals.report.prompter import Prompter

OPENING = "Say which label fits. " * 10


def conducted(folder: Path, learner: str = f"{PROMPTER}:opening={OPENING.strip()}") -> Comparison:
    rows = write_rows(folder / "rows.csv")
    return compare(str(rows), [learner], way=3, shot=2, query=2, episodes=8, folder=folder / "c")


def shown(comparison: Comparison, *, trust: bool = False) -> list[ShownEpisode]:
    return list(Drilldown(comparison.study.get("task", ()), trust=trust).episodes(comparison.analyses[0]))


def prompters(episodes: list[ShownEpisode]) -> Iterator[ShownLearner]:
    return (learner for episode in episodes for learner in episode.learners if not learner.baseline)


def test_episodes_are_spread_evenly_and_have_their_texts(tmp_path: Path) -> None:
    episodes = shown(conducted(tmp_path))
    assert [episode.index for episode in episodes] == [0, 2, 4, 5, 7]
    for episode in episodes:
        assert len(episode.support) == len(episode.queries) == 6
        assert all(gold in text for _, gold, text in (*episode.support, *episode.queries))
        assert {gold for _, gold, _ in episode.queries} == set(episode.labels)


def test_prompts_are_rendered_again_and_verified(tmp_path: Path) -> None:
    for learner in prompters(shown(conducted(tmp_path))):
        assert isinstance(Prompter(), ShowsPrompts)
        assert learner.note == ""
        assert learner.notes == ("a note",)
        assert [prompt.verified for prompt in learner.prompts] == [True] * N_PROMPTS
        assert learner.shared.startswith(OPENING.strip())
        assert all(prompt.rest.endswith(" => ") for prompt in learner.prompts)


def test_answers_are_those_on_record(tmp_path: Path) -> None:
    for learner in prompters(shown(conducted(tmp_path))):
        for answer in learner.answers:
            assert answer.right == (answer.status == "ok" and answer.decision in answer.detail)
            assert sum(answer.scores) == pytest.approx(1)
            assert len(answer.raw) == 3
            assert len(answer.demonstrations) == 6


def test_tokens_are_scored_only_where_they_are_asked_for(tmp_path: Path) -> None:
    comparison = conducted(tmp_path)
    assert not any(prompt.tokens for learner in prompters(shown(comparison)) for prompt in learner.prompts)
    looked = Drilldown(comparison.study["task"], token_scores=True).episodes(comparison.analyses[0])
    for episode in looked:
        (learner,) = prompters([episode])
        first, *others = learner.prompts
        assert ["".join(text for text, _ in tokens) for tokens in first.tokens] == list(episode.labels)
        assert not any(prompt.tokens for prompt in others)


def test_a_prompt_that_differs_is_shown_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = conducted(tmp_path, PROMPTER)
    code = (Path(__file__).with_name("prompter.py")).read_text(encoding="utf-8")
    (tmp_path / "prompter.py").write_text(code.replace("Label the text.", "Label this."), encoding="utf-8")
    monkeypatch.setattr("evals.report.drilldown._spec_of", lambda config: f"{tmp_path}/prompter.py:Prompter")
    assert all("is not trusted" in learner.note and not learner.prompts for learner in prompters(shown(comparison)))
    for learner in prompters(shown(comparison, trust=True)):
        assert [prompt.verified for prompt in learner.prompts] == [False] * N_PROMPTS


@pytest.mark.parametrize(
    ("change", "reason"),
    [("gone", "no such file"), ("other rows", "have changed since")],
)
def test_texts_that_cannot_be_had_are_missed_politely(tmp_path: Path, change: str, reason: str) -> None:
    comparison = conducted(tmp_path)
    rows = tmp_path / "rows.csv"
    if change == "gone":
        rows.unlink()
    else:
        rows.write_text("text,label\n" + "".join(f"t{at},l{at % 3}\n" for at in range(60)), encoding="utf-8")
    for episode in shown(comparison):
        assert reason in episode.note
        assert {text for _, _, text in episode.queries} == {""}
        assert all(learner.note and not learner.prompts for learner in episode.learners if not learner.baseline)


def test_a_learner_that_is_gone_is_missed_politely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comparison = conducted(tmp_path)
    monkeypatch.setattr("evals.report.drilldown._spec_of", lambda config: "gone.py:Learner")
    assert {learner.note for learner in prompters(shown(comparison, trust=True))} == {
        f"{comparison.analyses[0].verdict.winner} cannot be built again: no such file: gone.py"
    }


def test_prompts_of_a_learner_by_a_name_of_its_own(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.csv")
    found = compare(str(rows), {"mine": Prompter()}, way=3, shot=1, query=1, episodes=2, folder=tmp_path / "c")
    for learner in prompters(shown(found)):
        assert "cannot be built again" in learner.note


def test_learners_without_prompts_say_nothing_of_them(comparison: Comparison) -> None:
    for learner in prompters(shown(comparison)):
        assert (learner.note, learner.prompts, learner.is_detailed) == ("", (), False)


def test_a_task_of_ones_own_is_asked_for_by_its_name(tmp_path: Path) -> None:
    found = compare(riddles(), {"mine": Prompter()}, way=2, shot=1, query=1, episodes=2, folder=tmp_path / "c")
    assert all("texts are not shown" in episode.note for episode in shown(replace(found, study={})))


@pytest.mark.promise(51)
@pytest.mark.parametrize("settings", [{"text_column": 5}, {"drop": 5}, {"drop": [5]}, {"drop": "a"}, {"sheet": ["a"]}])
def test_how_a_file_was_read_is_taken_in_its_own_type_alone(settings: dict[str, object]) -> None:
    with pytest.raises(StorageError, match="settings of the run"):
        _reading(settings, "rows.csv")
