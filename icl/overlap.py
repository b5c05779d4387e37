"""Work on the next problems while one is waited for: what keeps a hosted model busy between small problems."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from fewshot.core.errors import FewshotError

_Job = TypeVar("_Job")
_Done = TypeVar("_Done")
#: Jobs at the same time: each has a thread, which does nothing but wait.
_MOST = 256


def overlapped(
    jobs: Iterable[_Job],
    work: Callable[[_Job], _Done],
    *,
    size: Callable[[_Job], int],
    room: int,
    abandon: Callable[[], None],
) -> Iterator[tuple[_Job, _Done]]:
    """Yield every job with its result, in their order, having begun as many more as there is room for.

    What one job raises is raised here, when those already begun have ended.

    Args:
        jobs: taken one by one, as soon as there is room.
        work: done in a thread.
        size: of a job.
        room: sizes of the jobs at work, together; one job is begun in any case.
        abandon: makes the work that has begun end at once; called when nobody waits for it any more.
    """
    pool = ThreadPoolExecutor(_MOST, thread_name_prefix="fewshot-ask")
    begun: deque[tuple[_Job, Future[_Done]]] = deque()
    try:
        for job in jobs:
            begun.append((job, pool.submit(work, job)))
            while len(begun) >= _MOST or sum(size(each) for each, _ in begun) >= room:
                first, done = begun.popleft()
                yield first, done.result()
        while begun:
            first, done = begun.popleft()
            yield first, done.result()
    except FewshotError:
        raise
    except BaseException:
        abandon()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
