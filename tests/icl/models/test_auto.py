from __future__ import annotations

import pytest

from icl.models.auto import choose_model

REGISTRY = {"haneul": ("ko", "ja"), "nuri": ("ko",)}


@pytest.mark.parametrize(
    ("language", "present", "model", "reason"),
    [
        ("ko", {"haneul", "nuri"}, "haneul", "model haneul: made for ko"),
        ("ko-KR", {"nuri"}, "nuri", "model nuri: made for ko-KR"),
        ("ko", set(), "smollm2", "haneul is made for ko, but its weights are not here"),
        ("en", {"haneul", "nuri"}, "smollm2", "no other model here is made for en"),
        ("und", {"haneul"}, "smollm2", "no other model here is made for a language that is not known"),
    ],
    ids=["the first suited", "the one that is here", "none is here", "another language", "unknown language"],
)
def test_the_model_follows_the_language_and_what_is_here(language, present, model, reason) -> None:
    choice = choose_model(language, present.__contains__, REGISTRY)
    assert choice.model == model
    assert reason in choice.reason
