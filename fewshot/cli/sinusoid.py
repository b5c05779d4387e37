"""`fewshot classic sinusoid`: the smallest meta-learning problem, trained here and now, with its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewshot.cli.options import AsJson
from fewshot.cli.output import say, show_json, show_table
from fewshot.core.errors import MissingExtra, UsageError, unknown_name

if TYPE_CHECKING:
    from classic.functional.base import TensorTask
    from evals.stats import Interval

#: Ten times the step of the paper: a thousand steps then do what tens of thousands do there.
_LR = 0.01
#: A test wave of some height.
_SHOWN = 1
_TRUE, _COLOURS = "#24292f", {0: "#9aa5b1", 1: "#f0883e", 5: "#8957e5", 10: "#1f6feb"}


def _svg_file(path: Path | None) -> Path | None:
    """Refuse another format before work starts, not after it."""
    if path is not None and path.suffix.lower() != ".svg":
        raise UsageError(f"--plot {path}: the picture is written as .svg")
    return path


def sinusoid(
    algorithm: Annotated[
        str, typer.Option("--algorithm", "-a", help="Which, by commas: maml, fomaml, reptile, pretrained.")
    ] = "maml,reptile,pretrained",
    steps: Annotated[
        int, typer.Option("--steps", help="Meta-steps of 25 tasks; the paper takes 70,000.", min=1)
    ] = 1000,
    shot: Annotated[int, typer.Option("--shot", min=1, max=1000, help="Points of a wave that are shown.")] = 10,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of parameters and training tasks.")] = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw one wave, before and after adapting (.svg).", callback=_svg_file)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Meta-train on sine waves and adapt to new ones: error after 0, 1, 5 and 10 gradient steps (Finn et al. 2017).

    Training is short: a minute, not the hours of the paper. benchmarks/sinusoid.py follows the published protocol.
    """
    try:
        from classic.functional.executors import build_executor
        from classic.training.sinusoid import META_BATCH, METHODS, PAPER_ITERATIONS, PAPER_LR, held_out
        from classic.training.sinusoid import predictions as predict
        from classic.training.sinusoid import train as meta_train

        waves = held_out(shot)
    except ImportError as error:
        raise MissingExtra("fewshot classic sinusoid", "local") from error
    names = list(dict.fromkeys(name.strip() for name in algorithm.split(",") if name.strip()))
    for name in names or [algorithm]:
        if name not in METHODS:
            raise unknown_name("algorithm", name, METHODS)
    predicted = {}
    for name in names:
        say(f"{name}: training on {META_BATCH} waves per step, {shot} points of each")
        params = meta_train(METHODS[name], shot, seed, steps, build_executor(), _LR)
        predicted[name] = predict(METHODS[name], params, waves)
    found = {name: _scores(each, waves) for name, each in predicted.items()}
    if as_json:
        show_json(_document(found, shot, steps, seed))
    else:
        _show(found, shot, len(waves.query_y))
    say(
        f"one training each, of {steps:,} meta-steps by Adam with rate {_LR:g} (Reptile has its own); the paper takes "
        f"{PAPER_ITERATIONS:,} with {PAPER_LR:g}, so these are not the figures of its table. Intervals are over the "
        "test waves, not over trainings"
    )
    if plot is not None:
        _draw(plot, predicted, waves)
        say(f"picture: {plot} (test wave {_SHOWN})")


def _scores(predicted: dict[int, Any], waves: TensorTask) -> dict[int, tuple[Interval | None, int]]:
    """For each number of steps: mean squared error of the waves that converged (None if none did), and the others."""
    from classic.training.sinusoid import errors
    from evals.stats import t_interval

    found = {}
    for steps, (squared, diverged) in errors(predicted, waves).items():
        kept = squared[~diverged].tolist()
        found[steps] = (t_interval(kept) if kept else None, int(diverged.sum()))
    return found


def _show(found: dict[str, dict[int, tuple[Interval | None, int]]], shot: int, n: int) -> None:
    columns = {steps: f"{steps} step{'s' * (steps != 1)}" for each in found.values() for steps in each}
    rows = [
        [name, *(_cell(interval) for interval, _ in each.values()), str(max(lost for _, lost in each.values()))]
        for name, each in found.items()
    ]
    title = f"Mean squared error on {n} new waves after gradient steps on {shot} points, with 95 % intervals"
    right = [*columns.values(), "diverged"]
    show_table(["algorithm", *right], rows, title=title, right=right)


def _cell(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _document(
    found: dict[str, dict[int, tuple[Interval | None, int]]], shot: int, steps: int, seed: int
) -> dict[str, Any]:
    def figures(interval: Interval | None, diverged: int) -> dict[str, Any]:
        if interval is None:
            return {"mean": None, "low": None, "high": None, "n": 0, "diverged": diverged}
        return {
            **{key: round(getattr(interval, key), 6) for key in ("mean", "low", "high")},
            "n": interval.n,
            "diverged": diverged,
        }

    return {
        "experiment": "sinusoid",
        "shot": shot,
        "steps": steps,
        "outer_lr": _LR,
        "seed": seed,
        "mse": {name: {str(count): figures(*scores) for count, scores in each.items()} for name, each in found.items()},
    }


def _draw(path: Path, predicted: dict[str, dict[int, Any]], waves: TensorTask) -> None:
    """One panel per algorithm: the wave, its points, and the prediction before and after adapting."""
    from math import isfinite

    from fewshot.core.paths import write_atomically
    from fewshot.core.svg import Line, Panel, picture

    def curve(name: str, colour: str, x: Any, y: Any, *, dots: bool = False) -> Line:
        points = [(a, b) for a, b in zip(x.flatten().tolist(), y.flatten().tolist(), strict=True) if isfinite(b)]
        return Line(name, colour, points, dots)

    x = waves.query_x[_SHOWN]
    wave = curve("true", _TRUE, x, waves.query_y[_SHOWN])
    shown = curve("points", _TRUE, waves.support_x[_SHOWN], waves.support_y[_SHOWN], dots=True)
    named = {0: "before", 1: "1 step", 5: "5 steps", 10: "10 steps"}
    top = 1.5 * max(abs(y) for _, y in wave.points)
    panels = []
    for name, each in predicted.items():
        lines = [curve(named[count], _COLOURS[count], x, y[_SHOWN].clamp(-top, top)) for count, y in each.items()]
        panels.append(Panel(name, [wave, *lines, shown], (f"{x.min():g}", f"{x.max():g}"), (-top, top)))
    write_atomically(path, picture(panels, height=300))
