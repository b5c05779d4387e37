"""Cross-lingual prototypes: the arithmetic against NumPy, a tiny XLM-R, and synthetic languages with known answers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import pytest

from evals.crosslingual import CrossLingualSampler, pair
from evals.learner import Context
from evals.loading import load_task
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.catalog import LEARNERS
from fewshot.core.errors import UsageError
from fewshot.encoders import TransformerEncoder
from icl.crosslingual import CrossLingualPrototypeClassifier, CrossLingualPrototypes, Whitening, isotropic

CLASSES = ("travel", "sports", "health")
SUPPORT = [f"en {at} {name}" for at in range(4) for name in CLASSES]
LABELS = [text.split()[-1] for text in SUPPORT]
QUERIES = [f"ko {at} {name}" for name in CLASSES for at in range(5)]
GOLD = [text.split()[-1] for text in QUERIES]


def gaussian(seed: str, n: int) -> np.ndarray:
    return np.random.default_rng(zlib.crc32(seed.encode())).standard_normal(n)


class Regions:
    """Vectors of texts "LANGUAGE NUMBER CLASS": the region of the language, the direction of the class, and noise."""

    name = "regions"
    expensive = False
    fingerprint = "regions"

    def __init__(self, distance: float = 0.0, dimension: int = 40) -> None:
        self.distance = distance
        self.dimension = dimension

    def fit(self, texts: Sequence[str]) -> Regions:
        return self

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(len(texts), self.dimension)

    def describe(self) -> dict[str, object]:
        return {"name": self.name, "distance": self.distance, "dimension": self.dimension}

    def _vector(self, text: str) -> np.ndarray:
        language, _, meaning = text.split()
        region = self.distance * gaussian(language, self.dimension)
        return region + gaussian(meaning, self.dimension) + 0.3 * gaussian(text, self.dimension)


@pytest.mark.promise(90)
@pytest.mark.parametrize(("words", "told"), [(("0", "1"), 1), (("travel", "sports"), 0)], ids=["numbers", "words"])
def test_labels_that_are_numbers_are_told_once(words: tuple[str, ...], told: int) -> None:
    labels = tuple(Label(word, word) for word in words)
    support = tuple(Example(f"s{word}", f"en 1 {word}", word) for word in words)
    task = TaskInfo("t", "en", "classification")
    asked = Problem("p", task, labels, support, (Query("q", f"ko 1 {words[0]}"),))
    lines: list[str] = []
    list(CrossLingualPrototypes("lexical", centre="none").predict([asked, asked], Context(notify=lines.append)))
    assert len(lines) == told


# Centring and whitening


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    mix = random.standard_normal((6, 6))
    return random.standard_normal((9, 6)) @ mix + 5, random.standard_normal((7, 6)) @ mix - 5


@pytest.mark.parametrize("centre", ["none", "support", "language"])
def test_centring_takes_the_means_away(clouds, centre):
    support, queries = clouds
    means = {
        "none": (0, 0),
        "support": (support.mean(axis=0), support.mean(axis=0)),
        "language": (support.mean(axis=0), queries.mean(axis=0)),
    }
    found = isotropic(support, queries, centre, None)
    for vectors, mean, given in zip(found, means[centre], clouds, strict=True):
        np.testing.assert_allclose(vectors, unit(given - mean), atol=1e-6)


@pytest.mark.parametrize("n", [3, 9, 50], ids=["fewer than dimensions", "some more", "many"])
@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_whitening_is_the_inverse_root_of_the_shrunk_covariance(n, shrinkage):
    vectors = np.random.default_rng(n).standard_normal((n, 6)) @ np.diag([5, 3, 1, 1, 0.5, 0.1])
    covariance = np.cov(vectors.T, bias=True)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 6 * np.eye(6)
    values, axes = np.linalg.eigh(shrunk)
    expected = np.eye(6) @ axes @ np.diag(values**-0.5) @ axes.T
    np.testing.assert_allclose(Whitening.fit(vectors, shrinkage)(np.eye(6)), expected, rtol=1e-8, atol=1e-10)


def test_whitened_vectors_vary_alike_in_every_direction(clouds):
    support, _ = clouds
    whitened = Whitening.fit(support, 1e-9)(support)
    np.testing.assert_allclose(np.cov(whitened.T, bias=True), np.eye(6), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 4), (3, 4)], ids=["one vector", "equal vectors"])
def test_whitening_without_any_variance_changes_nothing(shape):
    vectors = np.ones(shape)
    np.testing.assert_allclose(Whitening.fit(vectors, 0.5)(vectors), vectors)


def test_whitening_is_fitted_on_the_support_alone(clouds):
    support, queries = clouds
    one, other = (isotropic(support, asked, "support", 0.3) for asked in (queries, queries[:2]))
    np.testing.assert_allclose(one[0], other[0])
    np.testing.assert_allclose(one[1][:2], other[1], atol=1e-6)


# The encoder: a tiny XLM-R


PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581", *"abcdefgh가나다라", "\u2581ab", "\u2581가나"]
TEXTS = ["ab cd", "가나 다라 가", "h", "abc " * 30]


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory):
    """An XLM-R of three layers with random weights, 32 tokens long, and a tokenizer that does not know its limit."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    folder = tmp_path_factory.mktemp("xlmr")
    tokenizer = Tokenizer(models.Unigram([(piece, -float(at)) for at, piece in enumerate(PIECES)], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(PIECES),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        initializer_range=0.5,
    )
    XLMRobertaModel(config).save_pretrained(folder)
    return folder


def by_hand(folder, text: str, pooling: str, layer: int) -> np.ndarray:
    """One text, no padding, nothing of ours."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(folder)(text, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        output = AutoModel.from_pretrained(folder).eval()(**tokens, output_hidden_states=True)
    hidden = output.hidden_states[layer][0].numpy()
    pooled = hidden.mean(axis=0) if pooling == "mean" else hidden[0]
    return pooled / np.linalg.norm(pooled)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("layer", [0, 1, 3, -1, -2])
def test_pooling_and_layer(xlmr, pooling, layer):
    vectors = TransformerEncoder(xlmr, pooling=pooling, layer=layer, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(vectors, [by_hand(xlmr, text, pooling, layer) for text in TEXTS], atol=1e-5)


def test_the_last_layer_is_the_default(xlmr):
    named, default = (TransformerEncoder(xlmr, layer=layer, device="cpu") for layer in (3, None))
    np.testing.assert_allclose(named.encode(TEXTS), default.encode(TEXTS), atol=1e-5)
    assert named.fingerprint != default.fingerprint


@pytest.mark.parametrize("layer", [4, -5])
def test_layers_that_the_model_has_not_are_refused(xlmr, layer):
    with pytest.raises(UsageError, match="the layers of this model are 0 to 3"):
        TransformerEncoder(xlmr, layer=layer, device="cpu").encode(TEXTS)


def test_the_classifier_passes_pooling_and_layer_on(xlmr, monkeypatch, tmp_path):
    monkeypatch.setenv("FEWSHOT_CACHE", str(tmp_path))
    texts, labels = ["ab cd", "가나 다라"], ["x", "y"]
    encoders = [{"encoder": TransformerEncoder(xlmr, pooling="cls", layer=layer, device="cpu")} for layer in (1, 2)]
    asked = (*encoders, {"encoder": f"hf:{xlmr}", "pooling": "cls", "layer": 1, "device": "cpu"})
    built, other, given = (
        CrossLingualPrototypeClassifier(**params, temperature=1.0).fit(texts, labels) for params in asked
    )
    # What comes from the cache was computed in batches of other shapes, and so not bit by bit alike.
    np.testing.assert_allclose(given.predict_proba(TEXTS), built.predict_proba(TEXTS), atol=1e-4)
    assert not np.allclose(given.predict_proba(TEXTS), other.predict_proba(TEXTS), atol=1e-2)


# The classifier


def classifier(distance: float = 0.0, **params) -> CrossLingualPrototypeClassifier:
    return CrossLingualPrototypeClassifier(Regions(distance), names="none", **params)


@pytest.mark.parametrize("whiten", [None, 0.5])
@pytest.mark.parametrize("centre", ["none", "support", "language"])
def test_fitted_in_one_language_it_labels_another(centre, whiten):
    fitted = classifier(centre=centre, whiten=whiten).fit(SUPPORT, LABELS)
    assert fitted.score(QUERIES, GOLD) > 0.9
    probabilities = fitted.predict_proba(QUERIES)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert fitted.classes_[probabilities.argmax(axis=1)].tolist() == fitted.predict(QUERIES).tolist()


def test_the_mean_of_each_language_undoes_the_distance_between_them():
    scores = {
        centre: classifier(30.0, centre=centre).fit(SUPPORT, LABELS).score(QUERIES, GOLD)
        for centre in ("none", "support", "language")
    }
    assert scores == {"none": pytest.approx(1 / 3), "support": pytest.approx(1 / 3), "language": 1}


def test_probabilities_are_those_of_the_formula():
    vectors, queries = Regions().encode(SUPPORT), Regions().encode(QUERIES)
    support, asked = unit(vectors - vectors.mean(axis=0)), unit(queries - vectors.mean(axis=0))
    prototypes = unit(np.array([support[[label == name for label in LABELS]].mean(axis=0) for name in sorted(CLASSES)]))
    weights = np.exp(asked @ prototypes.T / 0.2)
    found = classifier(temperature=0.2).fit(SUPPORT, LABELS).predict_proba(QUERIES)
    np.testing.assert_allclose(found, weights / weights.sum(axis=1, keepdims=True), rtol=1e-4)


def test_only_the_centre_of_a_language_depends_on_the_other_queries():
    for centre, depends in (("none", False), ("support", False), ("language", True)):
        fitted = classifier(centre=centre).fit(SUPPORT, LABELS)
        same = np.allclose(fitted.predict_proba(QUERIES)[:4], fitted.predict_proba(QUERIES[:4]), atol=1e-6)
        assert same is not depends
        assert CrossLingualPrototypes(centre=centre).transductive is depends


def test_zero_shot_goes_by_descriptions_and_leaves_the_fit_alone():
    fitted = classifier(centre="none").fit(SUPPORT[:6], LABELS[:6])
    before = fitted.predict_proba(QUERIES)
    descriptions = {7: "en 0 travel", 8: "en 0 sports", 9: "en 0 health"}
    expected = [{"travel": 7, "sports": 8, "health": 9}[gold] for gold in GOLD]
    assert fitted.zero_shot(QUERIES, descriptions).tolist() == expected
    assert classifier(centre="none").zero_shot(QUERIES, descriptions).tolist() == expected
    np.testing.assert_allclose(fitted.predict_proba(QUERIES), before)


def test_a_loaded_model_is_kept_as_long_as_the_parameters_are():
    estimator = classifier().fit(SUPPORT, LABELS)
    first = estimator.learner_
    estimator.zero_shot(QUERIES, {"a": "en 0 travel", "b": "en 0 sports"})
    assert estimator.fit(SUPPORT, LABELS).learner_ is first
    assert estimator.set_params(whiten=0.5).fit(SUPPORT, LABELS).learner_ is not first


def test_scikit_learn_can_clone_and_validate_it():
    from sklearn.base import clone
    from sklearn.model_selection import cross_val_score

    estimator = classifier(centre="none", whiten=0.2)
    copied = clone(estimator)
    assert {k: v for k, v in copied.get_params().items() if k != "encoder"} == {
        k: v for k, v in estimator.get_params().items() if k != "encoder"
    }
    assert min(cross_val_score(estimator, SUPPORT, LABELS, cv=2)) > 0.8


# The learner


def problem(support: Sequence[str] = (), queries: Sequence[str] = QUERIES, kind: str = "classification") -> Problem:
    return Problem(
        id="p",
        task=TaskInfo("toy", "ko", kind),
        labels=tuple(Label(name, name, f"en 0 {name}") for name in CLASSES),
        support=tuple(Example(text, text, text.split()[-1]) for text in support),
        queries=tuple(Query(text, text) for text in queries),
    )


def decisions(learner: CrossLingualPrototypes, asked: Problem) -> list[object]:
    return [answer.decision for answer in next(learner.predict([asked], Context())).answers]


def test_without_support_the_descriptions_of_the_labels_stand_in():
    assert decisions(CrossLingualPrototypes(Regions(), centre="none", names="none"), problem()) == GOLD


def test_a_sparse_encoder_works_uncentred():
    asked = problem(SUPPORT, QUERIES)
    assert decisions(CrossLingualPrototypes("lexical", centre="none"), asked) == GOLD


@pytest.mark.parametrize(
    ("params", "asked", "message"),
    [
        ({"encoder": "lexical"}, problem(SUPPORT), "sparse vectors"),
        (
            {"encoder": Regions(), "centre": "language", "names": "none"},
            problem(SUPPORT, QUERIES[:1]),
            "several queries at once",
        ),
        ({"encoder": Regions()}, problem(SUPPORT, kind="tagging"), "is of kind 'tagging'"),
        ({"encoder": Regions(), "layer": 3}, problem(SUPPORT), "layer is not for an encoder that is built already"),
        (
            {"encoder": "lexical", "pooling": "cls"},
            problem(SUPPORT),
            "unknown parameter of encoder 'lexical': 'pooling'",
        ),
    ],
    ids=["sparse", "one query", "kind", "built encoder", "encoder without pooling"],
)
def test_requests_that_cannot_be_served_are_refused(params, asked, message):
    with pytest.raises(UsageError, match=message):
        decisions(CrossLingualPrototypes(**params), asked)


@pytest.mark.parametrize(
    "params",
    [
        {"centre": "middle"},
        {"whiten": 0},
        {"whiten": 1.5},
        {"whiten": True},
        {"whiten": float("nan")},
        {"temperature": 0},
    ],
    ids=str,
)
def test_parameters_that_make_no_sense_are_refused(params):
    with pytest.raises(UsageError):
        CrossLingualPrototypes(**params)


def test_the_registry_builds_it_and_its_description_is_complete():
    learner = LEARNERS.build("crosslingual:encoder=(hf:some/model,prefix=query),layer=8,centre=language,whiten=0.5")
    assert learner.describe() == {
        "name": "crosslingual",
        "encoder": "hf:some/model,prefix=query",
        "pooling": None,
        "layer": 8,
        "centre": "language",
        "whiten": 0.5,
        "temperature": 0.1,
        "names": "auto",
    }


def test_a_name_is_one_more_text_of_its_class():
    words = {"travel": "en 9 travel", "sports": "en 9 sports", "health": "en 9 health"}
    named = CrossLingualPrototypeClassifier(Regions(), centre="none", temperature=1.0)
    named.verbalizers = words
    plain = classifier(centre="none", temperature=1.0)
    expected = plain.fit([*words.values(), *SUPPORT], [*words, *LABELS]).predict_proba(QUERIES)
    np.testing.assert_allclose(named.fit(SUPPORT, LABELS).predict_proba(QUERIES), expected, atol=1e-6)


@pytest.mark.models
def test_minilm_transfers_within_its_language_and_hardly_to_korean(no_data):
    learner = CrossLingualPrototypes("minilm")
    english, korean = load_task("intents-en"), load_task("intents-ko")
    accuracy = []
    for target in (english, korean):
        episodes = list(CrossLingualSampler(pair(english, target), 5, 3, 2).take(4))
        predictions = learner.predict((episode.problem for episode in episodes), Context(device="cpu"))
        correct = [
            answer.decision == gold
            for prediction, episode in zip(predictions, episodes, strict=True)
            for answer, gold in zip(prediction.answers, episode.gold, strict=True)
        ]
        accuracy.append(sum(correct) / len(correct))
    assert accuracy[0] > 0.65 > 0.45 > accuracy[1]
