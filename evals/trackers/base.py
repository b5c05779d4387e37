"""What a tracker is, and several of them as one that cannot fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from evals.trackers.numbers import numbers
from fewshot.core.catalog import TRACKERS
from fewshot.core.spec import Spec


class Tracker(Protocol):
    """Receives the figures of one run, comparison or training. What it raises is shown as a warning."""

    def start(self, name: str, config: Mapping[str, Any]) -> None:
        """Begin.

        Args:
            name: of the run, a file name.
            config: what decides the result, JSON-ready.
        """
        ...

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take figures by name, such as `valid_loss`, at a step of training."""
        ...

    def finish(self, result: Mapping[str, float] | None) -> None:
        """End.

        Args:
            result: the figures of the result document, such as `accuracy/mean`; None where it was broken off.
        """
        ...


class Trackers:
    """Several trackers as one. One that raises is named in a warning and left out from there on.

    Args:
        trackers: by name.
        warn: takes one-line messages for the user.
    """

    def __init__(self, trackers: Mapping[str, Tracker], warn: Callable[[str], None]) -> None:
        self._trackers = dict(trackers)
        self._warn = warn

    def start(self, name: str, config: Mapping[str, Any]) -> None:
        """Begin."""
        self._each(lambda tracker: tracker.start(name, config))

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Pass on the numbers of a document, of a point of a learning curve for example."""
        found = numbers(metrics)
        self._each(lambda tracker: tracker.log(found, step))

    def finish(self, result: Mapping[str, Any] | None) -> None:
        """Pass on the numbers of the result document, and end. Once; later calls do nothing."""
        found = None if result is None else numbers(result)
        self._each(lambda tracker: tracker.finish(found))
        self._trackers.clear()

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            try:
                call(tracker)
            except Exception as error:  # noqa: BLE001 - foreign code fails in its own ways, and the run matters more
                del self._trackers[name]
                self._warn(_warning(name, error))


@contextmanager
def track(
    sources: Iterable[str | Spec], name: str, config: Mapping[str, Any], warn: Callable[[str], None]
) -> Iterator[Trackers]:
    """Trackers for the time of a `with` block. Give them the result with `finish`; without it, it was broken off.

    Args:
        sources: specs of trackers; none is fine.
        name, config: see `Tracker.start`.
        warn: takes one-line messages for the user.

    Raises:
        UsageError: a name that no tracker has.
    """
    names = [str(source) for source in sources]
    for each in names:
        TRACKERS.check(each)
    trackers: dict[str, Tracker] = {}
    for each in names:
        try:
            trackers[each] = TRACKERS.build(each)
        except Exception as error:  # noqa: BLE001 - as above: importing it runs foreign code already
            warn(_warning(each, error))
    tracking = Trackers(trackers, warn)
    tracking.start(name, config)
    try:
        yield tracking
    finally:
        tracking.finish(None)


def _warning(name: str, error: Exception) -> str:
    return f"tracker {name!r} fails and is left out: {error or type(error).__name__}"
