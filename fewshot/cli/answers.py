"""What is said on stderr about answers, whatever the command: that nearly all are alike, and how many failed, and why.

A command some of whose texts were not answered is done (exit code 0): every failure stands in its output. One that got
no answer at all has failed (exit code 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fewshot.cli.output import say
from fewshot.core.errors import FewshotError

if TYPE_CHECKING:
    from evals.types import Answer

#: Characters of a cause that are shown.
_SHOWN = 200
#: Different causes that are told apart.
_CAUSES = 100


@dataclass
class Tally:
    """Answers to texts whose labels nobody knows, counted: nothing is kept that grows with them."""

    statuses: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    blank: int = 0
    unsure: int = 0

    def add(self, answer: Answer | None) -> None:
        """Count one; None is a row without text."""
        if answer is None:
            self.blank += 1
            return
        if answer.status == "unsure":
            self.unsure += 1
            return
        self.statuses[str(answer.status)] += 1
        if answer.decision is not None:
            self.decisions[str(answer.decision)] += 1
        if answer.detail in self.causes or len(self.causes) < _CAUSES:
            self.causes[answer.detail] += 1

    def tell(self, shown: Mapping[str, int]) -> None:
        """Say what puts the answers in question.

        Args:
            shown: how often each label is among the labelled texts.

        Raises:
            FewshotError: no text was answered.
        """
        from evals.alarms import one_label

        if self.blank:
            say(f"rows without text, which were not asked: {self.blank}")
        if self.unsure:
            total = self.unsure + sum(self.statuses.values())
            say(f"unsure about {self.unsure} of {total} texts: they have no label, and the most likely one as detail")
        found = one_label([(self.decisions, Counter(shown))])
        if found is not None and found.implausible:
            tell_alarm(
                f"{found.times} of {found.n} answers are {found.label!r}, the label of {found.expected:.0%} of the "
                "labelled texts. Unless these texts are all alike, the learner hardly reads them, and its labels are "
                "worth little: label some of them by hand, and compare"
            )
        if not self.statuses and not self.unsure:
            require_answers(f"no row has a text (rows: {self.blank})")
        require_answers(tell_failures("the learner", self.statuses, self.causes.elements()))


def tell_alarm(sentence: str) -> None:
    """An alarm that puts answers in question."""
    say(f"ALARM: {sentence}", "bold yellow")


def tell_constant(learner: str, alarm: Mapping[str, Any] | None) -> None:
    """The alarm about one label for nearly all answers, where a result has one that is raised."""
    from evals.alarms import sentence

    if alarm is not None and alarm["flag"]:
        tell_alarm(sentence(learner, alarm))


def tell_failures(learner: str, statuses: Mapping[str, int], causes: Iterable[str] = ()) -> str:
    """Say how many texts were not answered, and why.

    Args:
        learner: whose answers they are.
        statuses: how often each, "ok" among them.
        causes: what was said about each failure.

    Returns:
        The same sentence where nothing at all was answered, to be raised by `require_answers`; else "".
    """
    n, ok = sum(statuses.values()), statuses.get("ok", 0)
    if ok == n:
        return ""
    failed = ", ".join(f"{count} {status}" for status, count in Counter(statuses).most_common() if status != "ok")
    said = Counter(cause for cause in causes if cause).most_common(1)
    why = f"; most often: {said[0][0][:_SHOWN]}" if said else ""
    found = f"{learner} left {n - ok} of {n} texts unanswered: {failed}{why}"
    if not ok:
        return found
    say(found, "yellow")
    return ""


def require_answers(*failures: str) -> None:
    """End with exit code 1 where a learner answered nothing at all.

    Raises:
        FewshotError: with what `tell_failures` returned.
    """
    if found := [failure for failure in failures if failure]:
        raise FewshotError("; ".join(found))


def causes_in(folder: Path) -> list[str]:
    """What was said about the failures of the learner that a stored run is about."""
    from evals.results import MAIN
    from evals.store import Store

    with Store.read(folder) as store:
        return [answer.detail for done, _ in store.predictions(MAIN) for answer in done.answers if answer.detail]
