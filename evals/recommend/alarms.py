"""What a careful colleague would point out before anyone trusts a number."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evals.content import whole_text
from evals.recommend.findings import Findings
from evals.recommend.splits import Splits
from evals.recommend.trial import Trial
from evals.types import Status
from fewshot.core.hashing import text_key

#: A class with fewer texts is hardly learned, and hardly tested.
_FEW = 5
#: So few texts that nearly equal another one do no harm.
_HARMLESS = 0.01
_SHOWN = 5
#: Learners less accurate than this are not asked about labels: their errors are their own.
_TRUSTED = 0.8
#: Answers that a row must have, and the share of them that must agree on another label, before its own is doubted.
_DOUBT_ANSWERS, _DOUBT_SHARE = 6, 0.9


@dataclass(frozen=True)
class Doubt:
    """A row whose label the learners that work contradict, all with the same other one."""

    row: str
    text: str
    label: str
    answered: str


def alarms(findings: Findings, splits: Splits) -> list[str]:
    """Sentences about data and learners that put the result in question; none where nothing does."""
    classes = _about_classes(splits) if splits.kind == "classification" else ()
    return [*_about_learners(findings), *classes, *_about_texts(splits)]


def doubts(trials: Sequence[Trial], findings: Findings, splits: Splits) -> list[Doubt]:
    """Rows that may carry the wrong label: whenever they were asked, the learners agreed on another one.

    Only learners that are accurate, and clearly better than the most frequent label, are heard.
    """
    if splits.kind != "classification":
        return []
    accuracy = {trial.spec: findings.score(trial.spec).accuracy for trial in trials}
    good = [spec for spec, a in accuracy.items() if a.mean >= _TRUSTED and a.low > findings.majority_share]
    heard = [trial for trial in trials if trial.spec in good]
    said: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for trial in heard:
        for split, answers in zip(splits.splits, trial.answers, strict=True):
            for row, answer in zip(split.rows, answers, strict=True):
                said[row.id][str(answer.decision) if answer.status is Status.OK else ""] += 1
    found = []
    for row in splits.rows:
        (answered, times), total = next(iter(said[row.id].most_common(1)), ("", 0)), said[row.id].total()
        if answered not in ("", row.label) and total >= _DOUBT_ANSWERS and times >= _DOUBT_SHARE * total:
            found.append(Doubt(row.id, row.text, str(row.label), answered))
    return found


def _about_learners(findings: Findings) -> Iterator[str]:
    for score in findings.scores:
        if score.constant and not score.baseline:
            yield f"{score.learner} gives nearly every text the same label: a bias, not a skill"
        if score.non_ok_rate > 0:
            yield f"{score.learner} left {score.non_ok_rate:.1%} of the texts without a usable answer"


def _about_classes(splits: Splits) -> Iterator[str]:
    counts = Counter(str(row.label) for row in splits.rows)
    if splits.untested:
        yield f"a single text: {_some(splits.untested)}; never tested here. Label at least two of a class, better five"
    if few := sorted(name for name, n in counts.items() if 1 < n < _FEW):
        yield f"fewer than {_FEW} texts: {_some(few)}; what is said of these classes rests on next to nothing"
    spellings: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(counts):
        spellings[text_key(name)].append(name)
    for names in spellings.values():
        if len(names) > 1:
            yield f"labels that differ in case or space only: {_some(names)}. One class with two names?"


def _about_texts(splits: Splits) -> Iterator[str]:
    """Texts that are equal but for digits and punctuation: they sit on both sides of a split."""
    letters = Counter("".join(char for char in text_key(whole_text(row)) if char.isalpha()) for row in splits.rows)
    n = sum(count for key, count in letters.items() if key and count > 1)
    if n > _HARMLESS * len(splits.rows):
        yield (
            f"{n} of {len(splits.rows)} texts equal another one but for digits and punctuation: "
            "the accuracies are likely too high for texts that are really new"
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more
