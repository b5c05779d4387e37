"""What is trained on: materials as they say they are, and nothing that is tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.loading import load_task
from fewshot.core.errors import TaskError
from fewshot.core.hashing import text_key
from fewshot.core.seeds import random_state
from icl.metatrain.words import lexicon
from icl.pretraining.materials import Corpus, Ratings, Variants
from icl.pretraining.recipe import Recipe, read_recipe
from icl.pretraining.texts import Texts, read_texts
from icl.pretraining.tokenizer import train_tokenizer
from tests.icl.pretraining.conftest import a_tested_text


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
    found = Ratings(texts.positive, texts.negative).classes(0, random_state(0), 2, 5)
    sides = {"positive": texts.positive.texts, "negative": texts.negative.texts}
    for label, column in zip(found.labels, found.texts, strict=True):
        assert all(query.text in sides[label.name] for query in column)


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
    assert {source.licence for source in recipe.sources.values()} <= {"CC0-1.0", "CC-BY-4.0"}
    assert not {source.path for source in recipe.sources.values()} & {*recipe.test.tasks, *recipe.test.others}
    assert any(stage.words.get("permuted") for stage in recipe.stages)
    # What is fitted to demonstrations must not find a word in the mood of its text.
    assert not [stage.name for stage in recipe.stages if stage.deepen and stage.words.get("canonical")]


def test_a_misspelt_recipe_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nlanguages: [ko]\nlicence: MIT\nstagess: []\n")
    with pytest.raises(TaskError, match=r"bad.yaml:4: stagess: is not a known key; did you mean stages"):
        read_recipe(path)
