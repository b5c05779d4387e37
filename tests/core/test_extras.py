"""Extras: what is declared in one place, and found missing without an import."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from fewshot.core.catalog import ENGINES, FAMILIES, LEARNERS, SELECTORS
from fewshot.core.errors import MissingExtra
from fewshot.core.extras import EXTRAS, missing_modules
from fewshot.core.registry import Registry

#: Names of distributions that are not those of their modules.
_MODULES = {"pillow": "PIL", "pot": "ot", "scikit_learn": "sklearn", "vl_convert_python": "vl_convert"}


@pytest.fixture(autouse=True)
def no_light_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that cannot have the encoder that needs no extra."""
    monkeypatch.setattr("fewshot.encoders.auto.light_encoder_is_taken", lambda: False)


def test_every_extra_of_the_package_is_known_with_its_modules() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        extra: {re.split(r"[\[<>=]", each)[0].replace("-", "_") for each in needed if not each.startswith("fewshot")}
        for extra, needed in project["optional-dependencies"].items()
    }
    for extra, names in declared.items():
        assert {_MODULES.get(name, name) for name in names} <= set(EXTRAS[extra]), extra
    assert EXTRAS.keys() == declared.keys()


def test_no_built_in_needs_an_extra_that_there_is_not() -> None:
    needed = {entry.extra for family in FAMILIES.values() for entry in family.entries().values()}
    assert needed <= {None, *EXTRAS}


@pytest.mark.promise(68)
@pytest.mark.parametrize(
    ("family", "spec", "absent", "extra"),
    [
        pytest.param(LEARNERS, "icl", "torch", "local", id="of a default part"),
        pytest.param(LEARNERS, "prototypes", "sentence_transformers", "local", id="of a default encoder"),
        pytest.param(LEARNERS, "icl:model=openai:gpt-5", "openai", "openai", id="of a named part"),
        pytest.param(
            LEARNERS, "icl:model=(anthropic:x,temperature=0)", "anthropic", "anthropic", id="of a nested spec"
        ),
        pytest.param(LEARNERS, "nn:encoder=minilm", "torch", "local", id="of a baseline's encoder"),
        pytest.param(LEARNERS, "tfidf:encoder=BAAI/bge-m3", "transformers", "local", id="of an encoder by its path"),
        pytest.param(LEARNERS, "icl:model=openai:x,selector=(knn:encoder=minilm)", "torch", "local", id="twice nested"),
        pytest.param(SELECTORS, "mmr:encoder=minilm", "torch", "local", id="of a selector's encoder"),
        pytest.param(SELECTORS, "knn", "torch", "local", id="of a selector's default encoder"),
        pytest.param(LEARNERS, "icl:model=openai:x,selector=knn", "torch", "local", id="of a default handed on"),
        pytest.param(
            LEARNERS, {"name": "probe", "encoder": {"name": "hf", "model": "x/y"}}, "gguf", "local", id="long"
        ),
        pytest.param(LEARNERS, "protonet:encoder=lexical", "torch", "local", id="of the learner itself"),
        pytest.param(LEARNERS, "lora", "peft", "peft", id="of an extra that holds another"),
        pytest.param(ENGINES, "ray:4", "ray", "ray", id="of an engine"),
    ],
)
def test_a_missing_package_is_told_before_anything_is_built(
    family: object, spec: object, absent: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {name for names in EXTRAS.values() for name in names} - {absent}:
        monkeypatch.setitem(sys.modules, name, sys)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingExtra, match=rf'pip install "fewshot\[{extra}\]"') as told:
        family.require(spec)  # type: ignore[attr-defined]
    assert told.value.exit_code == 2
    with pytest.raises(MissingExtra):
        family.build(spec)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "spec",
    ["tfidf", "nn", "probe:encoder=lexical", "prototypes:encoder=lexical", "chance", "crosslingual:encoder=lexical"],
)
def test_what_needs_no_extra_is_built_without_any(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in {name for names in EXTRAS.values() for name in names}:
        monkeypatch.setitem(sys.modules, name, None)
    assert LEARNERS.build(spec).name == spec.partition(":")[0]


@pytest.mark.promise(94)
@pytest.mark.parametrize(
    ("family", "spec"),
    [
        (LEARNERS, "icl:model=openai:x"),
        (LEARNERS, "icl:model=openai:x,selector=balanced,encoder=minilm"),
        (LEARNERS, "icl:model=openai:x,selector=knn,encoder=lexical"),
        (LEARNERS, "icl:model=openai:x,selector=(mmr:encoder=lexical)"),
        (SELECTORS, "knn:encoder=lexical"),
        (SELECTORS, "balanced"),
    ],
)
def test_an_encoder_that_nothing_asks_is_not_missed(
    family: Registry, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewshot.core.registry.is_installed", lambda extra: extra == "openai")
    assert family.build(spec).name == spec.partition(":")[0]


def test_an_encoder_that_is_handed_to_a_selector_counts_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fewshot.core.registry.is_installed", lambda _: False)
    assert SELECTORS.build("knn", encoder="lexical").encoder == "lexical"
    with pytest.raises(MissingExtra):
        SELECTORS.build("knn", encoder="minilm")


@pytest.mark.parametrize(
    ("family", "spec", "instead"),
    [
        (SELECTORS, "knn", True),
        (SELECTORS, "mmr:lambda=0.3", True),
        (LEARNERS, "prototypes", True),
        (LEARNERS, "icl:model=openai:x,selector=knn", True),
        (LEARNERS, "icl:selector=knn", False),
        (LEARNERS, "protonet", False),
        (LEARNERS, "finetune", False),
    ],
)
def test_an_encoder_that_needs_nothing_is_told_where_it_would_do(
    family: Registry, spec: str, instead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewshot.core.registry.is_installed", lambda extra: extra == "openai")
    with pytest.raises(MissingExtra) as told:
        family.require(spec)
    assert ("or take encoder=lexical" in str(told.value)) is instead


@pytest.mark.parametrize("family", [LEARNERS, SELECTORS], ids=["learners", "selectors"])
def test_where_the_light_encoder_can_be_had_no_default_misses_an_extra(
    family: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fewshot.encoders.auto.light_encoder_is_taken", lambda: True)
    monkeypatch.setattr("fewshot.core.registry.is_installed", lambda _: False)
    for name in ("prototypes", "probe", "crosslingual") if family is LEARNERS else family.entries():
        family.require(name)


def test_modules_of_another_ones_extra_are_not_judged() -> None:
    assert missing_modules("of-a-plugin") == []
