"""What is trained on: materials as they say they are, and nothing that is tested."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import BAD, GOOD, WORDS, a_tested_text
from sklearn.feature_extraction.text import HashingVectorizer

from evals.loading import load_task
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.hashing import text_key
from fewshot.core.seeds import random_state
from icl.calibration import CONTENT_FREE
from icl.metatrain.words import lexicon
from ko_mini.materials import Corpus, Ratings, Sides, Variants
from ko_mini.recipe import Recipe, read_recipe
from ko_mini.teacher import Predictions, soft_targets, teacher_predictions
from ko_mini.texts import Texts, read_texts
from ko_mini.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def texts(recipe: Recipe, data: Path) -> Texts:
    return read_texts(recipe, data)


def test_no_text_of_a_test_is_trained_on(texts: Texts) -> None:
    used = {text_key(text) for text in (*texts.reviews.texts, *texts.english.texts)}
    for name in ("sentiment-ko", "sentiment-en"):
        assert not used & {text_key(row.text) for rows in load_task(name).rows.values() for row in rows}
    assert text_key(a_tested_text()) not in used
    assert texts.left_out["reviews"] == 1


def test_classes_that_are_tested_are_not_trained_on(texts: Texts) -> None:
    task = load_task("intents-en")
    split = task.default_class_split()
    assert {label.name for label in texts.labelled[0].labels} == {x.name for x in task.labels_in(split, "train")}


def test_validation_reviews_are_apart(texts: Texts) -> None:
    valid = {row.text for row in texts.valid.rows["all"]}
    assert valid
    assert not valid & set(texts.reviews.texts)


def test_a_variant_has_some_of_the_words_of_its_text(texts: Texts) -> None:
    whole = Variants(texts.reviews, kept=1.0, moved=0.0).classes(0, random_state(1), 3, 4)
    assert len({column[0].text for column in whole.texts}) == 3
    varied = Variants(texts.reviews, kept=0.6, moved=0.3).classes(0, random_state(1), 3, 4)
    for one, column in zip(whole.texts, varied.texts, strict=True):
        assert len({query.text for query in column}) > 1
        assert all(set(query.text.split()) <= set(one[0].text.split()) for query in column)


def test_ratings_give_praise_and_blame(texts: Texts) -> None:
    found = Ratings(texts.films).classes(0, random_state(0), 2, 5)
    sides = {"positive": texts.films.praise.texts, "negative": texts.films.blame.texts}
    for label, column in zip(found.labels, found.texts, strict=True):
        assert all(query.text in sides[label.name] for query in column)


def test_written_reviews_are_of_both_sides_and_unlike_tested_ones(texts: Texts) -> None:
    written = [*texts.written.praise.texts, *texts.written.blame.texts]
    assert len({text_key(text) for text in written}) == len(written) > 9000
    assert 0.9 < len(texts.written.praise.texts) / len(texts.written.blame.texts) < 1.1
    assert texts.left_out["written"] == 0
    tested = [row.text for rows in load_task("sentiment-ko").rows.values() for row in rows]
    pairs = HashingVectorizer(
        analyzer="char", ngram_range=(2, 2), alternate_sign=False, norm=None, binary=True, preprocessor=letters
    )
    one, other = pairs.transform(written), pairs.transform(tested)
    fewer = np.minimum(np.asarray(one.sum(axis=1)), np.asarray(other.sum(axis=1)).T)
    shared = (one @ other.T).toarray() / fewer
    assert [written[at] for at in np.flatnonzero(shared.max(axis=1) >= 0.5)] == []


def letters(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


@pytest.mark.parametrize("line", ["praise", "prais\tgood", "praise\t", "praise\ta\tb", "\tgood", ""])
def test_a_malformed_written_review_names_its_line(recipe: Recipe, data: Path, tmp_path: Path, line: str) -> None:
    copy = shutil.copytree(data, tmp_path / "data")
    (copy / "written.tsv").write_text(f"praise\t좋아요\n{line}\nblame\t별로\n", encoding="utf-8")
    with pytest.raises(TaskError, match=r"written.tsv:2: a line is praise or blame"):
        read_texts(recipe, copy)


def test_a_missing_or_damaged_source_is_named(recipe: Recipe, data: Path, tmp_path: Path) -> None:
    (tmp_path / "reviews.jsonl.gz").write_bytes((data / "reviews.jsonl.gz").read_bytes()[:-300])
    with pytest.raises(TaskError, match=r"reviews.jsonl.gz: cannot read reviews"):
        read_texts(recipe, tmp_path)
    nowhere = recipe.sources["written"].model_copy(update={"path": "nowhere.tsv"})
    with pytest.raises(TaskError, match=r"nowhere.tsv: cannot read the reviews written"):
        read_texts(recipe.model_copy(update={"sources": {**recipe.sources, "written": nowhere}}), data)


def test_reviews_are_joined_and_blanked_as_often_as_asked() -> None:
    sides = Sides(Corpus(tuple(f"good{n}" for n in range(200))), Corpus(tuple(f"bad{n}" for n in range(200))))
    material = Ratings(sides, joined=0.3, blank=0.1)
    found = [
        q.text for at in range(50) for column in material.classes(at, random_state(at), 2, 10).texts for q in column
    ]
    blank = [text for text in found if text in CONTENT_FREE]
    assert 0.07 < len(blank) / len(found) < 0.13
    joined = [text.split() for text in found if " " in text]
    assert 0.22 < len(joined) / len(found) < 0.32
    assert all(one[:3] == other[:3] for one, other in joined)
    assert all(query.text not in CONTENT_FREE for query in Ratings(sides).classes(0, random_state(0), 2, 100).texts[0])


def test_blanks_are_of_either_side_by_half_and_others_as_certain_as_they_are_known_to_be() -> None:
    sides = Sides(Corpus(("good",)), Corpus(("bad",)), {"good": 0.9})
    found = Ratings(sides).classes(0, random_state(0), 2, 1)
    certainty = {label.name: column[0] for label, column in zip(found.labels, found.certainty, strict=True)}
    assert certainty == {"positive": 0.9, "negative": 1.0}
    blank = Ratings(sides, blank=0.999999).classes(0, random_state(0), 2, 1)
    assert blank.certainty == ((0.5,), (0.5,))


def test_the_teacher_contradicts_wrong_ratings_of_reviews_that_it_was_not_fitted_to() -> None:
    random = random_state(0)

    def reviews(words: list[str], n: int) -> tuple[str, ...]:
        return tuple(" ".join(random.choice([*words, *WORDS], 6)) + f" {words[at % len(words)]}" for at in range(n))

    sides = Sides(Corpus((*reviews(GOOD, 300), *reviews(BAD, 8))), Corpus((*reviews(BAD, 200), *reviews(GOOD, 4))))
    found = teacher_predictions(sides, Corpus((*reviews(GOOD, 5), *reviews(BAD, 5))))
    assert (found.praise[:300] > 0.5).mean() > 0.95 > 0.2 > (found.praise[300:] > 0.5).mean()
    assert (found.blame[:200] < 0.5).mean() > 0.95 > 0.3 > (found.blame[200:] < 0.5).mean()
    assert ((found.between > 0.5) == np.repeat([True, False], 5)).mean() >= 0.9
    assert teacher_predictions(sides, Corpus(())).between.shape == (0,)
    with pytest.raises(UsageError, match="3 reviews that praise and 3 that blame are too few for a teacher"):
        teacher_predictions(Sides(Corpus(("a", "b", "c")), Corpus(("d", "e", "f"))), Corpus(()))


def test_the_teacher_has_its_share_of_a_target_and_puts_unrated_reviews_on_a_side() -> None:
    sides = Sides(Corpus(("loved", "hated")), Corpus(("awful",)))
    found = Predictions(np.array([0.9, 0.2]), np.array([0.1]), np.array([0.7, 0.4]))
    both = soft_targets(sides, Corpus(("nice", "meh")), found, 0.5)
    assert both.praise.texts == ("loved", "hated", "nice")
    assert both.blame.texts == ("awful", "meh")
    assert both.certainty == pytest.approx({"loved": 0.95, "hated": 0.6, "awful": 0.95, "nice": 0.7, "meh": 0.6})


def test_without_a_share_of_the_teacher_films_stay_as_they_were_rated(texts: Texts) -> None:
    assert texts.distilled_films(0.0) is texts.films
    distilled = texts.distilled_films(0.5)
    everything = [*texts.films.praise.texts, *texts.films.blame.texts, *texts.between.texts]
    assert sorted([*distilled.praise.texts, *distilled.blame.texts]) == sorted(everything)
    assert distilled.certainty.keys() == set(everything)
    assert all(0 <= each <= 1 for each in distilled.certainty.values())


def test_corpora_draw_different_texts_from_the_shortest() -> None:
    corpus = Corpus(tuple("a" * n for n in range(1, 101)))
    assert sorted(corpus.draw(random_state(0), 10, 0.1)) == ["a" * n for n in range(1, 11)]


def test_label_words_are_single_tokens_and_any_text_can_be_written(texts: Texts) -> None:
    words = lexicon().words[:60]
    tokenizer = train_tokenizer(texts.reviews.texts, words, 1500, 512)
    assert len(tokenizer) <= 1500
    assert [word for word in words if len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) > 1] == []
    text = "처음 보는 글 😀 naïve\n"
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids[1:]) == text


def test_the_shipped_recipe_trains_on_free_licences_and_tests_on_other_texts() -> None:
    recipe = read_recipe()
    assert {source.licence for source in recipe.sources.values()} <= {"CC0-1.0", "CC-BY-4.0", "Apache-2.0"}
    assert not {source.path for source in recipe.sources.values()} & {*recipe.test.tasks, *recipe.test.others}
    assert any(stage.words.get("permuted") for stage in recipe.stages)
    # What is fitted to demonstrations must not find a word in the mood of its text.
    assert not [stage.name for stage in recipe.stages if stage.deepen and stage.words.get("canonical")]


@pytest.mark.parametrize(
    ("found", "instead", "said"),
    [
        ("materials: {ratings: 1}", "materials: {}", "materials"),
        ("materials: {ratings: 1}", "materials: {ratings: 0}", "materials.ratings"),
        ("evaluations: 1", "evaluations: 0", "evaluations"),
        ("batch: 4", "batch: 5", "batch"),
        ("examples: 2", "examples: 0", "examples"),
        ("blank: 0.1", "blank: 1.1", "blank"),
        ("steps: 3", "steps: -5", "steps"),
        ("  written: {path", "  spoken: {path", "no source is called 'written'"),
        ("  reviews: {path", "  ratings: {path", "no source is called 'reviews'"),
        ("name: mixed", "name: reviews", "two stages have the same name"),
        ("distilled: 0.5", "distilled: 1.5", "distilled"),
        ("ratings: 1, written: 1", "ratings: 1", "joined is for written reviews"),
        ("heads: 4", "heads: 1", "an even number of heads"),
        ("variants: 1, ratings: 1, written", "variants: 1, written", "distilled is for ratings"),
        ("examples: 2", "examples: 2\n    instruction: 2", "instruction"),
        ("examples: 2", "examples: 2\n    lr: 0", "lr"),
        ("words: {canonical: 1}", "words: {canonical: -1}", "stages.0: .*the shares of label words"),
        ("examples: 2", "examples: 2\n    templates: [clasify]", "stages.0: .*clasify"),
        ("examples: 2", "examples: 2\n    precision: int3", "stages.0: .*int3"),
    ],
)
def test_impossible_values_of_a_recipe_are_told_before_anything_is_trained(
    recipe_file: Path, tmp_path: Path, found: str, instead: str, said: str
) -> None:
    path = tmp_path / "bad.yaml"
    text = recipe_file.read_text("utf-8")
    assert found in text
    path.write_text(text.replace(found, instead, 1), encoding="utf-8")
    with pytest.raises(TaskError, match=said):
        read_recipe(path)


def test_a_misspelt_recipe_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nlanguages: [ko]\nlicence: MIT\nstagess: []\n")
    with pytest.raises(TaskError, match=r"bad.yaml:4: stagess: is not a known key; did you mean stages"):
        read_recipe(path)
