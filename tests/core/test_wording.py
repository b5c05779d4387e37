"""Options of the command line, as arguments of Python."""

from __future__ import annotations

import doctest

import pytest

import fewshot.core.wording
from fewshot.core.errors import MissingExtra, UsageError
from fewshot.core.wording import in_python, speaking_python

SAID = {
    "use --method generate": 'use method="generate"',
    "use --method direct or generate.": 'use method="direct" or "generate".',
    "use --selector knn, bm25 or mmr, or --order shuffled": 'use selector="knn", "bm25" or "mmr", or order="shuffled"',
    "--dtype bfloat16 or --device cpu": 'dtype="bfloat16" or device="cpu"',
    "--demos -1 is negative": "demos=-1 is negative",
    "--demos 'few' is neither": "demos='few' is neither",
    "(--model openai:any)": '(model="openai:any")',
    "are --base-url and the name right?": "are base_url and the name right?",
    "--max-cost cannot be kept": "max_cost cannot be kept",
    "run: fewshot models pull gemma3 --accept-terms": "run: fewshot models pull gemma3 --accept-terms",
    "pip install --no-deps thing; then --method direct": 'pip install --no-deps thing; then method="direct"',
    "a dash -- and a range 1--2": "a dash -- and a range 1--2",
}


@pytest.mark.parametrize(("said", "meant"), SAID.items(), ids=SAID)
def test_options_become_arguments(said: str, meant: str) -> None:
    assert in_python(said) == meant
    assert in_python(meant) == meant


@pytest.mark.parametrize("error", [UsageError("use --method generate"), MissingExtra("--max-cost", "prices")])
def test_an_error_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, speaking_python():
        raise error
    assert raised.value is error
    assert "--" not in str(error)


def test_other_errors_pass() -> None:
    with pytest.raises(ValueError, match="--method"), speaking_python():
        raise ValueError("--method")


def test_the_docstring_runs() -> None:
    assert doctest.testmod(fewshot.core.wording).failed == 0
