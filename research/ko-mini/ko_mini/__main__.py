"""Train, test and pack the embedded model: `python -m ko_mini --data DIR --out DIR`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.learner import Context
from evals.runner import interruptible
from fewshot.core.devices import describe_devices, resolve_device
from fewshot.core.errors import FewshotError, UsageError
from fewshot.core.paths import data_dir, write_atomically
from ko_mini.evaluation import evaluate
from ko_mini.export import export
from ko_mini.recipe import Recipe, read_recipe
from ko_mini.stages import curriculum, train
from ko_mini.texts import Texts, read_texts

_TIME = "time.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow a recipe from texts to a packed model. What is done already is not done again."""
    options = _parser().parse_args(arguments)
    try:
        return _follow(options)
    except FewshotError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted; the same command goes on")
        return 130


def _follow(options: argparse.Namespace) -> int:
    data = options.data or data_dir()
    if data is None:
        raise UsageError("name the folder of the data sets with --data, or set FEWSHOT_DATA")
    os.environ["FEWSHOT_DATA"] = str(data)  # where task cards look for their rows
    recipe = read_recipe(options.recipe)
    texts = read_texts(recipe, data)
    context = Context(device=resolve_device(options.device), seed=recipe.seed, notify=_say)
    with interruptible(context):
        started = time.perf_counter()
        try:
            model = train(recipe, texts, options.out, context, options.minutes)
        finally:
            _add_time(options.out, time.perf_counter() - started)
        results = evaluate(recipe.test, model, options.out / "test", context)
    complete = export(model, options.out / recipe.name, _record(recipe, texts, options.out, results))
    packed = options.out / recipe.name
    _say(f"{packed}: {complete['bytes'] / 1e6:.1f} MB; try it: fewshot icl run -m {packed}")
    return 0


def _record(recipe: Recipe, texts: Texts, out: Path, results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "languages": list(recipe.languages),
        "licence": recipe.licence,
        "fingerprint": recipe.fingerprint,
        "recipe": recipe.model_dump(mode="json"),
        "left_out": texts.left_out,
        "curriculum": curriculum(recipe, out),
        **_time(out),
        "results": results,
    }


def _time(out: Path) -> dict[str, Any]:
    """Hours of training so far, and the machine that it began on."""
    path = out / _TIME
    return json.loads(path.read_text("utf-8")) if path.is_file() else {"hours": 0.0, "machine": describe_devices()}


def _add_time(out: Path, seconds: float) -> None:
    found = _time(out)
    write_atomically(out / _TIME, json.dumps({**found, "hours": found["hours"] + seconds / 3600}) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ko_mini", description=main.__doc__)
    parser.add_argument("--recipe", type=Path, help="recipe (.yaml); default: that of the embedded model")
    parser.add_argument("--data", type=Path, help="folder of the data sets; default: $FEWSHOT_DATA")
    parser.add_argument("--out", type=Path, required=True, help="folder of stages, tests and the packed model")
    parser.add_argument("--minutes", type=float, help="for every stage, instead of what the recipe says")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    return parser


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")


if __name__ == "__main__":
    sys.exit(main())
