"""What a lower precision of the multilingual encoder saves, and what it costs. Prints one JSON line per precision.

Time is CPU time of one thread, for 10 short texts at once, the least of several. Accuracy is that of frozen prototypes
on the same episodes. int8, with linear layers quantized dynamically by torch, is no option of the product: its line
says why.
"""

from __future__ import annotations

import json
import time
import warnings

import numpy as np

from evals.episode import EpisodeSampler
from evals.loading import load_task
from evals.task import Task
from fewshot.encoders.prototypes import class_means, cosine_logits
from fewshot.encoders.transformer import E5Small

_TEXTS, _REPEATS, _EPISODES = 10, 20, 200
_TASK, _SHOTS = "intents-ko", (1, 5)


def encoder(precision: str) -> E5Small:
    """The embedded encoder, loaded, in float32, bfloat16 or int8."""
    if precision != "int8":
        found = E5Small(device="cpu", precision=precision)  # type: ignore[arg-type]
        found.encode(["warm"])
        return found
    import torch
    from torch.ao.quantization import quantize_dynamic

    found = encoder("float32")
    pooled = found._forward
    pooled._model = quantize_dynamic(pooled._model, {torch.nn.Linear}, dtype=torch.qint8)  # type: ignore[union-attr]
    return found


def milliseconds(encoder: E5Small, texts: list[str]) -> float:
    """CPU time of one call, the least of several."""
    times = []
    for _ in range(_REPEATS):
        started = time.process_time()
        encoder.encode(texts)
        times.append(time.process_time() - started)
    return 1000 * min(times)


def accuracy(task: Task, vectors: dict[str, np.ndarray], shot: int) -> float:
    """Of frozen prototypes on 5-way episodes of class split 01."""
    sampler = EpisodeSampler(task, way=5, shot=shot, query=5, class_split="01")
    right = []
    for episode in (sampler[at] for at in range(_EPISODES)):
        names = [label.name for label in episode.problem.labels]
        classes = np.array([names.index(str(row.label)) for row in episode.problem.support])
        prototypes = class_means(np.stack([vectors[row.id] for row in episode.problem.support]), classes, len(names))
        logits = cosine_logits(np.stack([vectors[at] for at in episode.query_ids]), prototypes)
        right += [names[at] == gold for at, gold in zip(logits.argmax(axis=1), episode.gold, strict=True)]
    return float(np.mean(right))


def main() -> None:
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    task = load_task(_TASK)
    rows = list(task.visible_rows())
    exact = None
    for precision in ("float32", "bfloat16", "int8"):
        found = encoder(precision)
        vectors = found.encode([row.text for row in rows])
        exact = vectors if exact is None else exact
        cosines = (vectors * exact).sum(axis=1)
        by_row = {row.id: vector for row, vector in zip(rows, vectors, strict=True)}
        record = {
            "benchmark": "encoder precision",
            "encoder": found.name,
            "precision": precision,
            "cpu_ms_per_10_texts": round(milliseconds(found, [row.text for row in rows[:_TEXTS]]), 1),
            "cosine_to_float32": {"mean": round(float(cosines.mean()), 5), "least": round(float(cosines.min()), 5)},
            "accuracy": {f"{_TASK} 5-way {shot}-shot": round(accuracy(task, by_row, shot), 4) for shot in _SHOTS},
        }
        print(json.dumps(record))


if __name__ == "__main__":
    main()
