"""The model that the package ships: its record is of this recipe, its card of its record."""

from __future__ import annotations

import json

from fewshot.core.embedded import EMBEDDED, ShippedModel
from ko_mini.export import card
from ko_mini.recipe import read_recipe


def test_its_record_is_of_the_recipe_and_its_card_is_of_the_record() -> None:
    model = EMBEDDED["ko-mini"]
    assert isinstance(model, ShippedModel)
    record = json.loads((model.folder / "record.json").read_text("utf-8"))
    assert record["fingerprint"] == read_recipe().fingerprint
    assert (model.folder / "README.md").read_text("utf-8") == card(record)
    assert record["parameters"] == model.parameters
    licences = {source["licence"] for source in record["recipe"]["sources"].values()}
    assert licences <= {"CC0-1.0", "CC-BY-4.0", "Apache-2.0"}
