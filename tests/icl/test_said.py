"""Whatever a prompt is to say reaches the model, and labels reach it as different tokens; else it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evals.learner import Context
from evals.types import Example, Label, Problem, Query, TaskInfo
from fewshot.core.errors import UsageError
from icl.learner import ICLLearner
from icl.models.base import Message, Prompt
from icl.models.local import LocalModel
from tests.icl.models.conftest import CHATML, save_tiny

PARTS = (
    "{% for m in messages %}<{{ m.role }}>{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}{% endfor %}"
)
TALK = (Message("user", "a warm film"), Message("assistant", "good"), Message("user", "a dull film"))


def chat(folder: Path, template: str) -> LocalModel:
    return LocalModel(str(save_tiny(folder / "model", bos=True, chat_template=template)), dtype="float32", device="cpu")


@pytest.mark.promise(59)
@pytest.mark.parametrize(
    "template",
    [
        PARTS,
        PARTS.replace("m.content", "m['content']").replace("part.type == 'text'", "'text' in part"),
        "{% for m in messages %}{{ m.role }}: {{ m.content[0]['text'] | trim }}\n{% endfor %}",
        "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}!{% endif %}\n{% endfor %}",
        CHATML,
    ],
    ids=["parts", "parts by key", "first part", "both forms", "text"],
)
def test_a_template_is_given_contents_in_the_form_that_it_wants(template: str, tmp_path: Path) -> None:
    shown = chat(tmp_path, template).render(Prompt(messages=TALK))
    assert all(message.content in shown for message in TALK)


@pytest.mark.promise(59)
@pytest.mark.parametrize(
    ("template", "left_out"),
    [
        ("{% for m in messages %}<{{ m.role }}>{% endfor %}", "the user says .'a warm film'"),
        ("{{ messages[-1].content }}", "the user says .'a warm film'"),
        ("{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}", "the assistant says .'good'"),
        ("{% for m in messages %}{{ m.content[:6] }}\n{% endfor %}", "the user says .'a warm film'"),
        ("{% for m in messages | reverse %}{{ m.content }}\n{% endfor %}", "the assistant says .'good'"),
    ],
    ids=["nothing said", "last turn alone", "no answers", "cut", "reversed"],
)
def test_a_template_that_leaves_out_what_was_said_is_refused(template: str, left_out: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=left_out):
        chat(tmp_path, template).render(Prompt(messages=TALK))


def problem(*labels: str) -> Problem:
    named = tuple(Label(name, name) for name in labels)
    support = tuple(Example(str(at), f"text {at}", name) for at, name in enumerate(labels))
    return Problem("p", TaskInfo("toy", "en", "classification"), named, support, (Query("q", "text"),))


def rewritten(folder: Path, **values: Any) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return folder


NORMALIZERS = {
    "nfkc": ({"type": "NFKC"}, ("grade1", "grade１")),
    "lower case": ({"type": "Lowercase"}, ("Γood", "γood")),
    "no accents": (
        {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]},
        ("peche", "pêche"),
    ),
    "replaced": ({"type": "Replace", "pattern": {"String": "-"}, "content": "_"}, ("a-b", "a_b")),
}


@pytest.mark.promise(60)
@pytest.mark.parametrize("case", NORMALIZERS)
def test_labels_of_equal_tokens_are_refused_by_name(case: str, tmp_path: Path) -> None:
    normalizer, labels = NORMALIZERS[case]
    folder = rewritten(save_tiny(tmp_path / "model"), normalizer=normalizer)
    learner = ICLLearner(model=LocalModel(str(folder), dtype="float32", device="cpu"))
    with pytest.raises(UsageError, match=rf"{labels[0]}.*{labels[1]}.*(same tokens|read alike)"):
        next(iter(learner.predict([problem(*labels, "other")], Context())))


@pytest.mark.promise(60)
def test_labels_of_unknown_tokens_are_refused_by_name(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = save_tiny(tmp_path / "model")
    words = {word: at for at, word in enumerate(["[UNK]", "text", ":", "good"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    learner = ICLLearner(model=LocalModel(str(folder), dtype="float32", device="cpu"))
    with pytest.raises(UsageError, match=r"'superb'.*'awful'.*same tokens"):
        next(iter(learner.predict([problem("good", "superb", "awful")], Context())))


def test_labels_of_different_tokens_are_answered(tmp_path: Path) -> None:
    learner = ICLLearner(model=LocalModel(str(save_tiny(tmp_path / "model")), dtype="float32", device="cpu"))
    assert next(iter(learner.predict([problem("grade1", "grade2")], Context()))).answers
