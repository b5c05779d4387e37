"""Validity: few-shot intents by prototypes and meta-learners, beside published and independent figures.

    python benchmarks/text.py                                     every set, five class splits, 1 and 5 shots
    python benchmarks/text.py --sets banking77 --splits 01 --learners tfidf prototypes protonet
    python benchmarks/text.py --transfer                          meta-training on other tasks and labels, in Korean

Prints one JSON line per set and shot: every learner on the same 5-way episodes (5 queries per class), the mean over
class splits with an interval over all episodes, and the paired difference of each meta-learner to frozen prototypes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evals.episode import EpisodeSampler
from evals.kinds import kind_named
from evals.learner import Context, Learner
from evals.loading import load_task
from evals.metatrain import ensure_trained
from evals.runner import run
from evals.stats import score_interval, t_interval
from evals.store import Store
from fewshot.core.catalog import LEARNERS

#: Accuracy of TF-IDF prototypes (words and character 4-grams, IDF of the training classes) by an independent
#: implementation, and of MiniLM prototypes on class split 01, at 1 and 5 shots.
REFERENCE = {
    "banking77": {"tfidf": {1: 0.732, 5: 0.909}, "prototypes (split 01)": {1: 0.853, 5: 0.952}},
    "hwu64": {"tfidf": {1: 0.649, 5: 0.844}, "prototypes (split 01)": {1: 0.819, 5: 0.939}},
    "liu54": {"tfidf": {1: 0.643, 5: 0.848}, "prototypes (split 01)": {1: 0.801, 5: 0.924}},
}
#: Without the names of the labels, as published figures are.
SPECS = {
    "tfidf": "tfidf",
    "prototypes": "prototypes:encoder=minilm,names=none",
    "protonet": "protonet:encoder=minilm,names=none",
    "maml": "maml:encoder=minilm,names=none",
    "reptile": "reptile:encoder=minilm,names=none",
}
#: Korean, other labels than those tested: what crosses over to sentiment?
TRANSFER_TRAIN, TRANSFER_TESTS = "ynat+parakqc", ("sentiment-ko", "nsmc")
TRANSFER_SPECS = {
    "tfidf": "tfidf",
    "prototypes, lexical": "prototypes:encoder=lexical,names=none",
    "protonet, trained n-grams": f"protonet:encoder=ngrams,names=none,train={TRANSFER_TRAIN}",
}


def main() -> None:
    """Run what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=list(REFERENCE), choices=REFERENCE)
    parser.add_argument("--splits", nargs="+", default=["01", "02", "03", "04", "05"])
    parser.add_argument("--shots", nargs="+", type=int, default=[1, 5])
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--learners", nargs="+", default=["tfidf", "prototypes", "protonet", "maml"], choices=SPECS)
    parser.add_argument("--transfer", action="store_true", help="the Korean cross-task runs instead")
    wanted = parser.parse_args()
    if wanted.transfer:
        for name in TRANSFER_TESTS:
            sampler = EpisodeSampler(load_task(name), 2, 5, 5)
            _print(name, {"transfer": TRANSFER_TRAIN, "shot": 5, "way": 2}, [sampler], TRANSFER_SPECS, wanted.episodes)
        return
    for name in wanted.sets:
        task = load_task(name)
        for shot in wanted.shots:
            samplers = [EpisodeSampler(task, 5, shot, 5, class_split=split) for split in wanted.splits]
            facts = {"splits": wanted.splits, "shot": shot, "way": 5, "reference": _reference(name, shot)}
            _print(name, facts, samplers, {key: SPECS[key] for key in wanted.learners}, wanted.episodes)


def _reference(name: str, shot: int) -> dict[str, float]:
    return {learner: figures[shot] for learner, figures in REFERENCE[name].items() if shot in figures}


def _print(
    name: str, facts: dict[str, Any], samplers: list[EpisodeSampler], specs: dict[str, str], n_episodes: int
) -> None:
    found: dict[str, list[float]] = {learner: [] for learner in specs}
    by_split: dict[str, list[float]] = {learner: [] for learner in specs}
    for sampler in samplers:
        for learner, scores in accuracies(sampler, specs, n_episodes).items():
            found[learner] += scores
            by_split[learner].append(round(sum(scores) / len(scores), 4))
    base = next((found[key] for key in found if key.startswith("prototypes")), None)
    learners = {}
    for learner, scores in found.items():
        interval = score_interval(scores)
        learners[learner] = {"mean": round(interval.mean, 4), "ci95": [round(interval.low, 4), round(interval.high, 4)]}
        learners[learner]["by_split"] = by_split[learner]
        if base is not None and scores is not base and learner != "tfidf":
            paired = t_interval([one - other for one, other in zip(scores, base, strict=True)])
            learners[learner]["over_prototypes"] = [round(v, 4) for v in (paired.mean, paired.low, paired.high)]
    line = {"benchmark": "text", "set": name, **facts, "episodes_per_split": n_episodes, "learners": learners}
    print(json.dumps(line), flush=True)


def accuracies(sampler: EpisodeSampler, specs: dict[str, str], n_episodes: int) -> dict[str, list[float]]:
    """Per learner, the accuracy of every episode, in order."""
    ctx = Context(notify=lambda message: print(message, file=sys.stderr))
    learners: dict[str, Learner] = {name: LEARNERS.build(spec) for name, spec in specs.items()}
    learners = {name: ensure_trained(learner, sampler, ctx, load_task) for name, learner in learners.items()}
    first, *others = learners
    with tempfile.TemporaryDirectory() as folder:
        run(
            learners[first],
            sampler,
            n_episodes,
            run_dir=Path(folder) / "run",
            ctx=ctx,
            baselines={name: learners[name] for name in others},
        )
        with Store.read(Path(folder) / "run") as store:
            return {
                name: list(_per_episode(store, "main" if name == first else name, sampler.task.info.kind))
                for name in learners
            }


def _per_episode(store: Store, learner: str, kind_name: str) -> Iterator[float]:
    kind = kind_named(kind_name)
    answers = {prediction.problem_id: prediction.answers for prediction, _ in store.predictions(learner)}
    for episode in store.episodes():
        pairs = zip(answers[episode.problem_id], episode.gold, strict=True)
        yield sum(kind.score(answer, gold) for answer, gold in pairs) / len(episode.gold)


if __name__ == "__main__":
    main()
