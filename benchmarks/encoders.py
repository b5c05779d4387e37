"""What the encoders cost and what they are worth, frozen. Prints one JSON line per encoder and precision.

Time is CPU time of one thread, for 10 short texts at once, the least of several. Accuracy is that of prototypes on the
same episodes. int8, with linear layers quantized dynamically by torch, is no option of the product: its line says why.
"""

from __future__ import annotations

import json
import time
import warnings
from typing import Any

import numpy as np

from evals.episode import EpisodeSampler
from evals.loading import load_task
from evals.task import Task
from fewshot.core.catalog import ENCODERS
from fewshot.encoders.base import Encoder
from fewshot.encoders.prototypes import class_means, cosine_logits

_TEXTS, _REPEATS, _EPISODES = 10, 20, 200
_TASKS, _SHOTS = ("intents-ko", "intents-en"), (1, 5)
#: Encoder, precision; the first of a name is what the others of it are compared with.
_COMPARED = (
    ("lexical", "float32"),
    ("use-m3", "float32"),
    ("minilm", "float32"),
    ("e5-small", "float32"),
    ("e5-small", "bfloat16"),
    ("e5-small", "int8"),
)


def built(name: str, precision: str) -> Encoder:
    """An encoder, loaded."""
    found = ENCODERS.build(f"{name}:precision=bfloat16" if precision == "bfloat16" else name, device="cpu")
    found.encode(["warm"])
    if precision == "int8":
        import torch
        from torch.ao.quantization import quantize_dynamic

        pooled = found._forward
        pooled._model = quantize_dynamic(pooled._model, {torch.nn.Linear}, dtype=torch.qint8)
    return found


def milliseconds(encoder: Encoder, texts: list[str]) -> float:
    """CPU time of one call, the least of several, each with texts that were not seen before."""
    times = []
    for at in range(_REPEATS):
        started = time.process_time()
        encoder.encode(texts[at * _TEXTS : (at + 1) * _TEXTS])
        times.append(time.process_time() - started)
    return 1000 * min(times)


def accuracy(task: Task, vectors: Any, shot: int) -> float:
    """Of frozen prototypes on 5-way episodes of class split 01. Vectors are in the order of the task's rows."""
    at = {row.id: row_at for row_at, row in enumerate(task.visible_rows())}
    sampler = EpisodeSampler(task, way=5, shot=shot, query=5, class_split="01")
    right: list[bool] = []
    for episode in (sampler[index] for index in range(_EPISODES)):
        names = [label.name for label in episode.problem.labels]
        shown = episode.problem.support
        classes = np.array([names.index(str(row.label)) for row in shown])
        prototypes = class_means(vectors[[at[row.id] for row in shown]], classes, len(names))
        logits = cosine_logits(vectors[[at[query] for query in episode.query_ids]], prototypes)
        right += [names[best] == gold for best, gold in zip(logits.argmax(axis=1), episode.gold, strict=True)]
    return float(np.mean(right))


def main() -> None:
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tasks = {name: load_task(name) for name in _TASKS}
    texts = {name: [row.text for row in task.visible_rows()] for name, task in tasks.items()}
    exact: dict[str, Any] = {}
    for name, precision in _COMPARED:
        encoder = built(name, precision)
        spent = milliseconds(encoder, texts[_TASKS[0]])
        vectors = {task: encoder.fit(texts[task]).encode(texts[task]) for task in _TASKS}
        first = exact.setdefault(name, vectors)[_TASKS[0]]
        cosines = np.asarray((vectors[_TASKS[0]] * first).sum(axis=1))
        record = {
            "benchmark": "encoder",
            "encoder": name,
            "precision": precision,
            "cpu_ms_per_10_texts": round(spent, 1),
            "cosine_to_float32": {"mean": round(float(cosines.mean()), 5), "least": round(float(cosines.min()), 5)},
            "accuracy": {
                f"{task} 5-way {shot}-shot": round(accuracy(tasks[task], vectors[task], shot), 3)
                for task in _TASKS
                for shot in _SHOTS
            },
        }
        print(json.dumps(record))


if __name__ == "__main__":
    main()
