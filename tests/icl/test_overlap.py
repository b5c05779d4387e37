"""Work on several problems at the same time."""

from __future__ import annotations

import threading
import time

import pytest

from fewshot.core.errors import BudgetReached
from icl.overlap import overlapped


class Work:
    """Squares a number, and counts how many are squared at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.abandoned = False
        self.guard = threading.Lock()

    def __call__(self, job: int) -> int:
        with self.guard:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.002)
        with self.guard:
            self.now -= 1
        if job == 13:
            raise BudgetReached("enough")
        return job * job

    def abandon(self) -> None:
        self.abandoned = True


def squares(work: Work, jobs: range, room: int):
    return overlapped(jobs, work, size=lambda job: 2, room=room, abandon=work.abandon)


@pytest.mark.parametrize(("room", "most"), [(1, 1), (2, 1), (7, 4), (1000, 10)])
def test_results_keep_their_order_within_the_room(room: int, most: int) -> None:
    work = Work()
    assert list(squares(work, range(10), room)) == [(at, at * at) for at in range(10)]
    assert 1 <= work.most <= most
    assert not work.abandoned


def test_what_one_raises_comes_after_those_before_it() -> None:
    work, seen = Work(), []
    with pytest.raises(BudgetReached):
        for job, _ in squares(work, range(40), 20):
            seen.append(job)
    assert seen == list(range(13))
    assert (work.now, work.abandoned) == (0, False)


def test_who_leaves_gives_the_rest_up() -> None:
    work = Work()
    results = squares(work, range(10), 6)
    next(results)
    results.close()
    assert (work.now, work.abandoned) == (0, True)
