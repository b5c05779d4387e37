"""Texts of many requests, answered together: one thread asks the learner, with what waits by then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from fewshot.core.errors import FewshotError

if TYPE_CHECKING:
    from evals.labeller import Labeller
    from evals.types import Answer, Query

Result = TypeVar("Result")

#: Texts that are answered together.
BATCH = 64


class Busy(FewshotError):
    """Too many texts wait already."""


@dataclass(frozen=True)
class _Request:
    queries: Sequence[Query]
    answers: asyncio.Future[list[Answer]]


class Batches:
    """Answers queries in the order in which requests came. Learners are not made for several threads: there is one.

    Args:
        labeller: the learner with its labelled texts.
        alone: whether a request is answered by itself: the answers of a transductive learner depend on each other, and
            strangers' texts must not move them.
        most: texts that may wait.
    """

    def __init__(self, labeller: Labeller, alone: bool, most: int) -> None:
        self.labeller = labeller
        self.waiting = 0
        self._alone, self._most = alone, most
        self._thread = ThreadPoolExecutor(1, "learner")
        self._queue: asyncio.Queue[_Request] = asyncio.Queue()

    async def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """The answer to each query, failures included.

        Raises:
            Busy: too many texts wait.
            FewshotError: the learner failed.
        """
        if self.waiting and self.waiting + len(queries) > self._most:
            raise Busy(f"{self.waiting} texts are waiting already; try again later")
        request = _Request(queries, asyncio.get_running_loop().create_future())
        self.waiting += len(queries)
        try:
            await self._queue.put(request)
            return await request.answers
        finally:
            self.waiting -= len(queries)

    async def run(self) -> None:
        """Answer what comes, until it is cancelled."""
        left: _Request | None = None
        while True:
            batch = [left or await self._queue.get()]
            left = None
            while not self._alone and not self._queue.empty():
                following = self._queue.get_nowait()
                if sum(len(each.queries) for each in (*batch, following)) > BATCH:
                    left = following
                    break
                batch.append(following)
            # Those that hung up meanwhile are not worth the work.
            await self._ask([each for each in batch if not each.answers.done()])

    async def call(self, function: Callable[[], Result]) -> Result:
        """The result of a function that is run in the learner's thread, after the batch at hand."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, batch: Sequence[_Request]) -> None:
        queries = [query for each in batch for query in each.queries]
        if not queries:
            return
        try:
            found = await self.call(lambda: self.labeller.answer(queries))
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to those who asked, and the service goes on
            for each in batch:
                _fail(each.answers, error)
            return
        answers = iter(found)
        for each in batch:
            own = [next(answers) for _ in each.queries]
            if not each.answers.done():
                each.answers.set_result(own)


def _fail(future: asyncio.Future[list[Answer]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
