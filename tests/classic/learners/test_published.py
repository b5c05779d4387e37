"""Learners by the heads of published models, on tiny models with random weights, against plain forward passes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classic.learners.entailment import Entailment
from classic.learners.pet import PET, fill_surest_first
from evals.types import Example, Label, Problem, Query, Status, TaskInfo
from fewshot.core.errors import ModelUnavailable, UsageError
from tests.classic.networks.test_text import tiny_model
from tests.classic.toys import context

__all__ = ["tiny_model"]

WORDS = (
    *("my", "card", "is", "lost", "배송", "배송이", "늦어요", "Label", ":", "."),
    *("This", "text", "about", "delivery", "이", "글은", "에", "관한", "것이다"),
)


def tiny(folder: Path, kind: Any, **config: Any) -> Path:
    """A BERT of one layer with random weights, a head, and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, PreTrainedTokenizerFast

    marks: Any = {f"{each}_token": f"[{each.upper()}]" for each in ("pad", "unk", "cls", "sep", "mask")}
    vocabulary = {token: at for at, token in enumerate(dict.fromkeys([*marks.values(), *WORDS]))}
    tokenizer: Any = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    torch.manual_seed(0)
    kind(BertConfig(vocab_size=len(vocabulary), initializer_range=0.5, **sizes, **config)).save_pretrained(folder)
    return folder


def loaded(folder: Path) -> tuple[Any, Any]:
    """Tokenizer and model of a folder, as anyone would load them."""
    import transformers

    kind = json.loads((folder / "config.json").read_text())["architectures"][0]
    model = getattr(transformers, kind).from_pretrained(folder).eval()
    return transformers.AutoTokenizer.from_pretrained(folder), model


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertForMaskedLM

    return tiny(tmp_path_factory.mktemp("masked"), BertForMaskedLM)


@pytest.fixture(scope="module")
def inference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertForSequenceClassification

    names = {0: "CONTRADICTION", 1: "neutral", 2: "Entailment"}
    return tiny(tmp_path_factory.mktemp("nli"), BertForSequenceClassification, id2label=names)


LABELS = (Label("c", "card"), Label("d", "delivery"))
INFO = TaskInfo("toy", "en", "classification")


def problem(*texts: str, labels: tuple[Label, ...] = LABELS, support: bool = True, language: str = "en") -> Problem:
    shown = ("my card is lost", "배송이 늦어요", "card lost", "늦어요")
    examples = tuple(Example(f"s{at}", text, labels[at % 2].name) for at, text in enumerate(shown))
    queries = tuple(Query(f"q{at}", text) for at, text in enumerate(texts))
    return Problem("p", replace(INFO, language=language), labels, examples if support else (), queries)


def probabilities(learner: Any, asked: Problem) -> np.ndarray:
    (done,) = learner.predict([asked], context())
    assert {answer.status for answer in done.answers} <= {Status.OK}
    found = np.exp([answer.scores for answer in done.answers])
    names = [label.name for label in asked.labels]
    assert [answer.decision for answer in done.answers] == [names[at] for at in found.argmax(axis=1)]
    return found


class TestPET:
    @pytest.mark.parametrize("text", ["my card is lost", "", "늦어요"])
    def test_a_label_is_as_probable_as_its_verbalizer_at_the_mask(self, text: str, masked: Path) -> None:
        tokenizer, model = loaded(masked)
        ids = tokenizer(f"{text} Label: [MASK].", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model(ids).logits[0, ids[0] == tokenizer.mask_token_id][0]
        expected = logits[tokenizer.convert_tokens_to_ids(["card", "delivery"])].softmax(0).numpy()
        np.testing.assert_allclose(
            probabilities(PET(model=str(masked), steps=0), problem(text))[0], expected, atol=1e-5
        )

    @pytest.mark.parametrize("normalize", ["sum", "mean"])
    def test_verbalizers_of_several_tokens_are_filled_in_surest_first(self, normalize: Any, masked: Path) -> None:
        from transformers import BertForMaskedLM, PreTrainedTokenizerFast

        tokenizer, model = (
            PreTrainedTokenizerFast.from_pretrained(masked),
            BertForMaskedLM.from_pretrained(masked).eval(),
        )

        def probable(ids: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                return model(ids).logits[0].log_softmax(-1)

        def score(words: str) -> float:
            pieces = tokenizer(words, add_special_tokens=False)["input_ids"]
            ids = tokenizer(f"lost Label: {'[MASK]' * len(pieces)}.", return_tensors="pt")["input_ids"]
            places = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()
            waiting, total = dict(zip(places, pieces, strict=True)), 0.0
            while waiting:
                found = probable(ids)
                place = max(waiting, key=lambda at: found[at, waiting[at]].item())
                total += found[place, waiting[place]].item()
                ids[0, place] = waiting.pop(place)
            return total / (len(pieces) if normalize == "mean" else 1)

        names = ("card", "text about", "my card is", "about delivery")
        scores = np.array([score(each) for each in names])
        asked = problem("lost", labels=tuple(Label(each, each) for each in names), support=False)
        found = probabilities(PET(model=str(masked), normalize=normalize), asked)[0]
        np.testing.assert_allclose(found, np.exp(scores) / np.exp(scores).sum(), atol=1e-5)

    def test_the_surest_token_first_by_hand(self) -> None:
        """The second place is surer; with it filled in, the first one is certain."""

        def predict(rows: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
            found = torch.full((len(rows), 2, 9), 0.1)
            found[:, 0, 7], found[:, 1, 8] = 0.2, 0.5
            found[rows[:, 2] == 8, 0, 7] = 1.0
            return found.log()

        total = fill_surest_first(predict, torch.tensor([[5, 0, 0]]), torch.tensor([[1, 2]]), [[7, 8], [7, 6]])
        assert total.exp().tolist() == pytest.approx([0.5 * 1.0, 0.2 * 0.1])

    def test_the_support_trains_it_and_is_forgotten(self, masked: Path) -> None:
        learner, asked = PET(model=str(masked), steps=20, lr=1e-2), problem("my card", "배송이")
        trained = probabilities(learner, asked)
        assert trained[0, 0] > 0.9
        assert trained[1, 1] > 0.9
        bare = probabilities(learner, replace(asked, support=()))
        np.testing.assert_allclose(bare, probabilities(PET(model=str(masked), steps=0), asked), atol=1e-5)
        np.testing.assert_allclose(probabilities(learner, asked), trained, atol=1e-4)

    @pytest.mark.promise(151)
    @pytest.mark.parametrize(
        "text",
        ["card [MASK] lost", "[MASK]" * 3, "card [SEP] [PAD] lost", "lost {mask} {text}", "card lost " * 300, "\ud800"],
    )
    def test_no_text_changes_the_question(self, text: str, masked: Path) -> None:
        asked = problem(text, text[::-1])
        assert np.isfinite(probabilities(PET(model=str(masked), steps=1, max_length=20), asked)).all()

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("{text}", "must hold {text} and {mask} once each"),
            ("{mask}", "must hold"),
            ("{text} {mask} {mask}", "must hold"),
            ("{text} {mask} {label}", "must hold"),
            ("{text} {mask", "cannot be read"),
        ],
    )
    def test_patterns_that_cannot_be_asked_are_refused(self, pattern: str, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            PET(pattern=pattern)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ((Label("a", "unheard"), LABELS[1]), "cannot write the verbalizer 'unheard'"),
            ((Label("a", " "), LABELS[1]), "cannot write the verbalizer ' '"),
            ((Label("a", "delivery "), LABELS[1]), "are the same tokens"),
        ],
    )
    def test_verbalizers_that_the_model_cannot_tell_are_refused(self, labels: Any, message: str, masked: Path) -> None:
        with pytest.raises(UsageError, match=message):
            list(PET(model=str(masked)).predict([problem("lost", labels=labels)], context()))

    def test_a_pattern_that_fills_everything_is_told(self, masked: Path) -> None:
        with pytest.raises(UsageError, match="max_length=5 leaves no room"):
            list(PET(model=str(masked), max_length=5).predict([problem("lost")], context()))


class TestEntailment:
    @pytest.mark.parametrize(
        ("language", "template"),
        [("en", "This text is about {}."), ("ko", "이 글은 {}에 관한 것이다."), ("und", "This text is about {}.")],
    )
    def test_a_label_is_as_probable_as_the_entailment_of_its_hypothesis(
        self, language: str, template: str, inference: Path
    ) -> None:
        tokenizer, model = loaded(inference)
        found = []
        for label in LABELS:
            batch = tokenizer("my card is lost", template.format(label.verbalizer), return_tensors="pt")
            with torch.no_grad():
                found.append(model(**batch).logits[0].softmax(-1)[2].item())
        asked = problem("my card is lost", "lost", support=False, language=language)
        expected = np.array(found) / sum(found)
        np.testing.assert_allclose(probabilities(Entailment(model=str(inference)), asked)[0], expected, atol=1e-5)

    def test_the_support_is_not_read(self, inference: Path) -> None:
        learner = Entailment(model=str(inference))
        texts = ("my card is lost", "card " * 500, "")
        np.testing.assert_allclose(
            probabilities(learner, problem(*texts)), probabilities(learner, problem(*texts, support=False)), atol=1e-6
        )

    def test_descriptions_and_hypotheses_of_ones_own(self, inference: Path) -> None:
        described = tuple(Label(each.name, "x", each.verbalizer) for each in LABELS)
        given: Any = {"model": str(inference), "hypothesis": "This is {label}"}
        one = problem("lost")
        plain = probabilities(Entailment(**given), one)
        own = probabilities(Entailment(**given, names="description"), replace(one, labels=described))
        np.testing.assert_allclose(own, plain, atol=1e-6)
        assert not np.allclose(plain, probabilities(Entailment(model=str(inference)), one))

    def test_numbers_are_no_hypothesis(self, inference: Path) -> None:
        numbered = tuple(Label(str(at), str(at)) for at in range(2))
        (done,) = Entailment(model=str(inference)).predict([problem("lost", labels=numbered)], context())
        assert "names=verbalizer" in done.answers[0].detail
        probabilities(Entailment(model=str(inference), names="verbalizer"), problem("lost", labels=numbered))

    @pytest.mark.parametrize(
        ("names", "given", "message"),
        [
            ({0: "LABEL_0", 1: "LABEL_1"}, None, r"\(0 LABEL_0, 1 LABEL_1\): entailment=NUMBER does"),
            ({0: "entailment", 1: "entailed"}, None, "does not say"),
            ({0: "entailment", 1: "not_entailment"}, 2, "outputs of the model are 0 to 1"),
            ({0: "score"}, None, "has 1 output"),
        ],
    )
    def test_outputs_that_cannot_be_told_apart(self, names: Any, given: int | None, message: str) -> None:
        from types import SimpleNamespace

        from classic.learners.entailment import _output_of_entailment  # pyright: ignore[reportPrivateUsage]

        with pytest.raises(UsageError, match=message):
            _output_of_entailment(SimpleNamespace(id2label=names), given)
        assert _output_of_entailment(SimpleNamespace(id2label={0: "not_entailment", 1: "entailment"}), None) == 1

    def test_a_hypothesis_needs_a_place_for_the_label(self) -> None:
        with pytest.raises(UsageError, match=r"lacks \{label\}"):
            Entailment(hypothesis="This text is about it.")


@pytest.mark.parametrize("learner", [PET, Entailment])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "none is embedded: write model=hf:NAME"),
        ("smollm2", "smollm2 is none"),
        ("openai:gpt-9", "openai is none"),
        ("nowhere", "'nowhere' is no directory"),
    ],
)
def test_a_model_is_named_before_anything_runs(learner: Any, model: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        learner(model=model).for_task(INFO)


@pytest.mark.parametrize("model", ["hf:org/name", "org/name"])
def test_a_model_of_the_hub_is_taken_by_its_name(model: str) -> None:
    assert PET(model=model)._named() == "org/name"


@pytest.mark.parametrize(("learner", "kind"), [(PET, "masked language model"), (Entailment, "classifier of texts")])
def test_an_encoder_without_the_head_is_refused(learner: Any, kind: str, tiny_model: Path) -> None:
    """Its head would be random."""
    with pytest.raises(ModelUnavailable, match=f"is no {kind}.*its weights lack"):
        list(learner(model=str(tiny_model)).predict([problem("lost")], context()))
