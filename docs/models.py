"""The page of the models that were trained by this project, and the curve of the embedded one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from by_language import difference, share

#: Tasks whose curves are drawn.
_DRAWN = ("nsmc", "sentiment-ko")
_COLOURS = {"canonical": "#1f6feb", "swapped": "#cf222e", "letters": "#1a7f37"}
_MEANING = {
    "canonical": "the task's own label words",
    "swapped": "the same words, exchanged",
    "letters": "letters that never stood together in training",
}
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 380, 260, 48, 30, 44


def models(
    record: Mapping[str, Any] | None, trained: Sequence[Mapping[str, Any]], praise: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """The page.

    Args:
        record: `record.json` of the embedded model. trained: lines of `benchmarks/metaicl.py`. praise: lines of
            `benchmarks/praise.py`.
    """
    yield "# Models trained here\n"
    if record is not None:
        yield from _embedded(record)
    if praise:
        yield from _prompted_or_trained(praise)
    if trained:
        yield from _before_and_after(trained)


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of a packed model, or None where it is not packed."""
    path = folder / "record.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _embedded(record: Mapping[str, Any]) -> Iterator[str]:
    name = record["name"]
    yield f"\n## {name}\n\nThe model for Korean tasks, {record['bytes'] / 1e6:.1f} MB inside the package. Its "
    yield f"[card](../fewshot/models/{name}/README.md) says what it was trained on, how, and what it cannot do; "
    yield f"`make {name}` trains one by the same recipe. "
    yield "Accuracy by texts per class, with 95 % intervals over episodes:\n\n"
    yield f"![accuracy of {name} by texts per class and label words]({name}.svg)\n\n"
    yield "; ".join(f"{words}: {meaning}" for words, meaning in _MEANING.items()) + ".\n\n"
    shots = sorted({row["shot"] for row in record["results"]})
    yield f"| task | way | learner | words | {' | '.join(f'{shot}-shot' for shot in shots)} |\n"
    yield f"|---|---|---|---|{'---|' * len(shots)}\n"
    for (task, way, learner, words), found in _series(record["results"]).items():
        cells = [_cell(found[shot]) if shot in found else "" for shot in shots]
        yield f"| {task} | {way} | {learner} | {words} | {' | '.join(cells)} |\n"


def _series(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int, str, str], dict[int, Mapping[str, Any]]]:
    found: dict[tuple[str, int, str, str], dict[int, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["task"], row["way"], row["learner"], row["words"]), {})[row["shot"]] = row
    return found


def _cell(row: Mapping[str, Any]) -> str:
    low, high = row["ci95"]
    return f"{row['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def _prompted_or_trained(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    prompted, *learners = (name for name in lines[0]["learners"] if name != "tfidf")
    yield "\n### Prompted, or trained on an encoder?\n\n"
    yield f"`{prompted}` beside learners on the multilingual encoder, on the same {lines[0]['episodes']} episodes of "
    yield "test rows (`benchmarks/praise.py`): accuracy and paired differences, with 95 % intervals for new texts. "
    yield "With 0 texts per class the model has its instruction and label words alone, and the learners have the names "
    yield "of the labels: what the texts add is what a row says beyond that one. The model is shown 10 texts at most, "
    yield "the number it was measured with, and the learners read all.\n\n"
    for task in dict.fromkeys(line["task"] for line in lines):
        yield _leads([line for line in lines if line["task"] == task], prompted, learners)
    names = " | ".join(f"`{name}` | over the model" for name in learners)
    yield f"\n| task | shot | `{prompted}` | {names} |\n|---|---|---|{'---|---|' * len(learners)}\n"
    for line in lines:
        accuracy, over = line["learners"], line["over"]
        cells = " | ".join(f"{share(accuracy[name])} | {difference(over[name])}" for name in learners)
        yield f"| {line['task']} | {line['shot']} | {share(accuracy[prompted])} | {cells} |\n"


def _leads(lines: Sequence[Mapping[str, Any]], prompted: str, learners: Sequence[str]) -> str:
    """Who wins a task at which numbers of texts: sure where no interval of a difference holds 0."""
    behind = [line["shot"] for line in lines if all(line["over"][name][2] < 0 for name in learners)]
    ahead = [line["shot"] for line in lines if any(line["over"][name][1] > 0 for name in learners)]
    unsure = [line["shot"] for line in lines if line["shot"] not in (*behind, *ahead)]
    found = ((f"`{prompted}` is best", behind), ("a trained learner is best", ahead), ("nothing is sure", unsure))
    said = [f"{what} at {', '.join(map(str, shots))} texts per class" for what, shots in found if shots]
    first, *_, last = (line["learners"][prompted][0] for line in lines)
    ends = f"from {first:.3f} at {lines[0]['shot']} texts to {last:.3f} at {lines[-1]['shot']}"
    return f"- **{lines[0]['task']}**: {'; '.join(said)}. The model goes {ends}.\n"


def _before_and_after(trained: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    training = trained[0]["training"]
    yield f"\n## MetaICL: {trained[0]['model']} before and after\n\n"
    yield "The embedded English model, meta-trained by `make metaicl` and tested by `benchmarks/metaicl.py`: accuracy "
    yield "with 95 % intervals over episodes, and paired differences. No tested class and no text of a test set is "
    yield f"trained on. Best at step {training['best_step']} of {training['steps']}.\n\n"
    yield "| set | way | shot | episodes | calibration | before | after | after - before | tfidf |\n"
    yield "|---|---|---|---|---|---|---|---|---|\n"
    for line in trained:
        for calibrate, (mean, low, high) in line["after_minus_before"].items():
            before, after, tfidf = (
                _interval(line["learners"][name]) for name in (f"before, {calibrate}", f"after, {calibrate}", "tfidf")
            )
            yield f"| {line['set']} | {line['way']} | {line['shot']} | {line['episodes']} | {calibrate} | {before} "
            yield f"| {after} | {mean:+.3f} ({low:+.3f} to {high:+.3f}) | {tfidf} |\n"


def _interval(found: Mapping[str, float]) -> str:
    return f"{found['accuracy']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def curve(record: Mapping[str, Any]) -> str:
    """The picture: one panel per task, one line per choice of words, with bands of 95 %; TF-IDF dashed."""
    series = _series(record["results"])
    panels = [_panel(task, series, at * _WIDTH) for at, task in enumerate(_DRAWN)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * _WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#57606a">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(panels)}</svg>\n'
    )


def _panel(task: str, series: Mapping[tuple[str, int, str, str], Mapping[int, Mapping[str, Any]]], x: int) -> str:
    mine = {key[2:]: found for key, found in series.items() if key[0] == task}
    shots = sorted({shot for found in mine.values() for shot in found})
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - 76
    low, high = 0.4, 1.0

    def across(shot: int) -> float:
        return _LEFT + (right - _LEFT) * shots.index(shot) / (len(shots) - 1)

    def up(value: float) -> float:
        return bottom - (bottom - _TOP) * (value - low) / (high - low)

    drawn = [f'<text x="{_LEFT}" y="16" font-weight="bold">{task}</text>\n']
    for tick in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        drawn.append(f'<path d="M{_LEFT} {up(tick):.1f}H{right}" stroke="#eaeef2"/>\n')
        drawn.append(f'<text x="{_LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>\n')
    for shot in shots:
        drawn.append(f'<text x="{across(shot):.1f}" y="{bottom + 16}" text-anchor="middle">{shot}</text>\n')
    drawn.append(f'<text x="{(_LEFT + right) / 2}" y="{bottom + 34}" text-anchor="middle">texts per class</text>\n')
    for (learner, words), found in mine.items():
        colour, dash = (_COLOURS[words], "") if learner == "icl" else ("#9aa5b1", ' stroke-dasharray="4 3"')
        path = " ".join(f"{across(shot):.1f},{up(found[shot]['accuracy']):.1f}" for shot in sorted(found))
        above = [f"{across(shot):.1f},{up(found[shot]['ci95'][1]):.1f}" for shot in sorted(found)]
        below = [f"{across(shot):.1f},{up(found[shot]['ci95'][0]):.1f}" for shot in sorted(found, reverse=True)]
        drawn.append(f'<polygon points="{" ".join([*above, *below])}" fill="{colour}" opacity="0.13"/>\n')
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>\n')
    drawn += _names(mine, right + 6, up)
    return f'<g transform="translate({x} 0)">\n{"".join(drawn)}</g>\n'


def _names(mine: Mapping[tuple[str, str], Mapping[int, Mapping[str, Any]]], x: int, up: Any) -> Iterator[str]:
    """The name of every line at its end, none over another."""
    ends = sorted((up(found[max(found)]["accuracy"]), key) for key, found in mine.items())
    last = 0.0
    for y, (learner, words) in ends:
        last = max(y, last + 12)
        name, colour = (words, _COLOURS[words]) if learner == "icl" else (learner, "#9aa5b1")
        yield f'<text x="{x}" y="{last + 4:.1f}" fill="{colour}">{name}</text>\n'
