from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewshot.core.errors import UsageError
from fewshot.core.spec import Spec, parse_spec

CASES = {
    "name alone": ("tfidf", Spec("tfidf")),
    "parameters": ("mmr:lambda=0.7,encoder=minilm", Spec("mmr", {"lambda": 0.7, "encoder": "minilm"})),
    "bare value": ("openai:some-model", Spec("openai", {}, "some-model")),
    "bare value, then parameters": ("hf:org/model,dtype=float32", Spec("hf", {"dtype": "float32"}, "org/model")),
    "nested": (
        "icl:model=(openai:m,base_url=http://h:1/v1),selector=(mmr:lambda=0.7)",
        Spec(
            "icl",
            {"model": Spec("openai", {"base_url": "http://h:1/v1"}, "m"), "selector": Spec("mmr", {"lambda": 0.7})},
        ),
    ),
    "numbers and words": (
        "x:a=1,b=1e-3,c=true,d=none,e=-2",
        Spec("x", {"a": 1, "b": 1e-3, "c": True, "d": None, "e": -2}),
    ),
    "dashes in keys": ("x:per-query=true", Spec("x", {"per_query": True})),
    "a user's file": ("my dir/mine.py:Mine:alpha=2", Spec("my dir/mine.py:Mine", {"alpha": 2})),
    "parentheses around": ("(mmr:lambda=1)", Spec("mmr", {"lambda": 1})),
}


@pytest.mark.parametrize(("text", "spec"), CASES.values(), ids=CASES)
def test_grammar(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


def test_long_form_equals_short_form() -> None:
    long = {"name": "icl", "model": {"name": "openai", "base_url": "u"}, "demos": 4}
    assert parse_spec(long) == Spec("icl", {"model": Spec("openai", {"base_url": "u"}), "demos": 4})


@pytest.mark.parametrize("text", ["", ":a=1", "x:a=(b", "x:a=b)", "x:a=1,a=2", "x:a=1,b"], ids=repr)
def test_errors(text: str) -> None:
    with pytest.raises(UsageError):
        parse_spec(text)


names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda n: n not in ("true", "false", "none", "null")
)
scalars = st.one_of(st.integers(-999, 999), st.booleans(), st.none(), names)
specs = st.recursive(
    st.builds(Spec, names, st.dictionaries(names, scalars, max_size=3)),
    lambda inner: st.builds(Spec, names, st.dictionaries(names, st.one_of(scalars, inner), max_size=3)),
    max_leaves=5,
)


@given(specs)
def test_what_is_written_is_read_back(spec: Spec) -> None:
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize("text", ["(" * 100_000 + "x" + ")" * 100_000, "a:x=(" * 5_000 + "b" + ")" * 5_000, "(" * 60])
def test_a_spec_that_is_nested_too_deeply_is_refused_at_once(text: str) -> None:
    with pytest.raises(UsageError, match="nested at most 50 deep"):
        parse_spec(text)
