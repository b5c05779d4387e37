"""No public function or class of the product is there for tests and benchmarks alone."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ("fewshot", "evals", "icl", "classic", "prompts")

#: What only others use, and for whom it is there.
FOR_OTHERS = {
    "TextNetwork": "the contract of networks on token ids, for those of users",
    "false_positive_rates": "the simulation that a benchmark publishes",
    "CrossLingualPrototypeClassifier": "an estimator for those who have scikit-learn and no episodes",
}


def unused(folder: Path, names: tuple[str, ...] = PRODUCT) -> set[str]:
    """Public functions and classes whose name stands nowhere else; decorators register the others."""
    texts = [path.read_text(encoding="utf-8") for name in names for path in (folder / name).rglob("*.py")]
    found = Counter(word for text in texts for word in re.findall(r"\w+", text))
    defined = (node for text in texts for node in ast.parse(text).body)
    return {
        node.name
        for node in defined
        if (isinstance(node, ast.ClassDef) or (isinstance(node, ast.FunctionDef) and not node.decorator_list))
        and not node.name.startswith("_")
        and found[node.name] == 1
    }


@pytest.mark.promise(134)
def test_every_public_name_is_used_by_the_product_or_is_there_for_others() -> None:
    assert unused(ROOT) == set(FOR_OTHERS)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def alone(): ...", {"alone"}),
        ("class Alone: ...", {"Alone"}),
        ("def used(): ...\nused()", set()),
        ("def _private(): ...", set()),
        ("@register\ndef command(): ...", set()),
    ],
)
def test_what_counts_as_unused(code: str, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "file.py").write_text(code, encoding="utf-8")
    assert unused(tmp_path, ("room",)) == expected
