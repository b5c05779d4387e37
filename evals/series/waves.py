"""Time series that are made, not measured: a class is the shape and the period of a wave, and which dimension leads.

Every series has its own phase, amplitude, length and noise, so that no single value tells a class; some values are
missing.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from evals.sources import Row
from fewshot.core.seeds import random_state
from fewshot.core.series import Series

DIMENSIONS = 3
SHAPES, PERIODS = ("sine", "square", "sawtooth", "pulse"), (8, 12, 18)
#: Every class: "sine 8 first" is a sine of period 8 whose first dimension runs ahead of the second, and so on.
CLASSES = tuple(" ".join(map(str, each)) for each in product(SHAPES, PERIODS, ("first", "second")))
_NOISE, _MISSING = 0.3, 0.02
_LENGTHS = (40, 65)
_PER_CLASS = 20


def wave_rows() -> list[Row]:
    """All series: 20 of each class."""
    drawn = ((name, number) for name in CLASSES for number in range(_PER_CLASS))
    return [
        Row({"id": f"{name} {number}", "text": wave(name, number), "label": name}, f"wave {name!r}", number)
        for name, number in drawn
    ]


def wave(name: str, number: int, seed: int = 0) -> Series:
    """Series `number` of a class: (3, 40 to 64); the third dimension is noise.

    >>> wave("sine 8 first", 0).values.shape[0]
    3
    """
    shape, period, leads = name.split()
    random = random_state("waves", seed, name, number)
    time = np.arange(random.randint(*_LENGTHS))
    turns = time / float(period) + random.rand()
    lag = 0.25 if leads == "first" else -0.25
    values = random.randn(DIMENSIONS, len(time)) * _NOISE
    for dimension in (0, 1):
        values[dimension] += (0.7 + 0.6 * random.rand()) * _drawn(shape, turns - lag * dimension)
    values[random.rand(*values.shape) < _MISSING] = np.nan
    return Series.of(values)


def _drawn(shape: str, turns: np.ndarray) -> np.ndarray:
    phase = turns % 1
    if shape == "sine":
        return np.sin(2 * np.pi * phase)
    if shape == "square":
        return np.where(phase < 0.5, 1.0, -1.0)
    if shape == "sawtooth":
        return 2 * phase - 1
    return np.where(phase < 0.2, 1.6, -0.4)
