"""The service: `POST /predict`, health, metrics, an OpenAPI description, and a page on which texts can be tried."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from evals.answer_rows import answer_row
from evals.types import Query, Status
from fewshot.core.errors import FewshotError, TaskError
from fewshot.core.hashing import text_key
from fewshot.serving.batches import Batches, Busy
from fewshot.serving.limits import Limits
from fewshot.serving.metrics import Counted, Metrics
from fewshot.serving.nearest import Near, NearestTexts
from fewshot.serving.playground import playground

if TYPE_CHECKING:
    from evals.predictor import Predictor

_LOG = logging.getLogger(__name__)
#: Texts of one request, and characters of one text.
MAX_TEXTS, MAX_CHARACTERS = 1000, 20_000

Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class Row(BaseModel):
    """A text with the other fields that the task asks for, as the second text of a pair."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: dict[str, Text]  # pyright: ignore[reportIncompatibleVariableOverride]

    text: Text


class Asked(BaseModel):
    """Texts to be labelled, as they are or as objects with more fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: Annotated[list[Text | Row], Field(min_length=1, max_length=MAX_TEXTS)]
    explain: bool = False


class NearText(BaseModel):
    """A labelled text that is like the one that was asked about, and how much: the cosine."""

    text: str
    label: str
    similarity: float


class Predicted(BaseModel):
    """The answer to one text."""

    label: str | list[str] | None
    status: str
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    detail: str | None = None
    tags: list[str] | None = None
    entities: list[dict[str, Any]] | None = None
    nearest: list[NearText] | None = None


class Answered(BaseModel):
    """One prediction per text, in their order."""

    predictions: list[Predicted]


class Refused(BaseModel):
    """Why a request was not answered."""

    error: str


@dataclass(frozen=True)
class Settings:
    """How a service guards itself.

    Attributes:
        key: what requests must bring as `Authorization: Bearer`; None asks for none.
        per_second: requests of one address per second; None is no limit.
        most_bytes: of the body of a request. most_waiting: texts that may wait.
        hosts: names by which it may be called, so that no page of a stranger reaches it under another; ("*",) is any.
    """

    key: str | None = None
    per_second: float | None = None
    most_bytes: int = 2_000_000
    most_waiting: int = 5000
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")


class Service:
    """A predictor as an ASGI application (`app`).

    Args:
        predictor: what answers. settings: how the service guards itself.
        device: a torch device name, or "auto".
        abstain: probability below which an answer is "unsure".
    """

    #: There while the application runs: it belongs to one event loop.
    _batches: Batches

    def __init__(
        self,
        predictor: Predictor,
        settings: Settings | None = None,
        device: str = "auto",
        abstain: float | None = None,
    ) -> None:
        self.predictor = predictor
        self.settings = settings or Settings()
        self._device = device
        self._labeller = predictor.labeller(device, abstain=abstain)
        self._is_ready = False
        self._metrics = Metrics(lambda: self._batches.waiting)

    @cached_property
    def app(self) -> FastAPI:
        """The application."""
        app = FastAPI(
            title=self.predictor.task.name,
            description=f"Labels texts by {len(self._labeller.support)} labelled ones, with {self.predictor.spec}.",
            version="1",
            lifespan=self._running,
            docs_url=None,
            redoc_url=None,
        )
        told: dict[int | str, dict[str, Any]] = {
            status: {"model": Refused} for status in (400, 401, 413, 422, 429, 500, 503)
        }
        app.post("/predict", response_model=Answered, response_model_exclude_unset=True, responses=told)(self.predict)
        app.get("/about", responses={401: told[401], 429: told[429]})(self.about)
        app.get("/health")(self.health)
        app.get("/ready", responses={503: told[503]})(self.ready)
        app.get("/metrics", response_class=Response, responses={401: told[401], 429: told[429]})(self.metrics)
        app.get("/", response_class=HTMLResponse, include_in_schema=False)(self.page)
        app.exception_handler(RequestValidationError)(_invalid)
        app.exception_handler(FewshotError)(_failed)
        app.exception_handler(HTTPException)(_refused)
        limits = self.settings
        app.add_middleware(Limits, most_bytes=limits.most_bytes, key=limits.key, per_second=limits.per_second)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(limits.hosts))
        app.add_middleware(Counted, requests=self._metrics.requests)
        return app

    async def predict(self, asked: Asked) -> dict[str, Any]:
        """Label texts. With `explain`, each comes with the labelled texts that are most like it."""
        queries = [self._query(text, at) for at, text in enumerate(asked.texts)]
        known = [query for query in queries if query is not None]
        with self._metrics.seconds.time():
            answers = iter(zip(known, await self._batches.answer(known) if known else [], strict=True))
            nearest = iter(await self._nearest(known) if asked.explain else [])
        rows = []
        for query in queries:
            row: dict[str, Any] = {"label": None, "status": "empty"}
            if query is not None:
                row = answer_row(*next(answers), self._labeller)
                self._count(row)
                row |= {"nearest": [near._asdict() for near in next(nearest)]} if asked.explain else {}
            rows.append(row)
        return {"predictions": rows}

    async def about(self) -> dict[str, Any]:
        """What answers: the learner, its labels, and the accuracy that it was measured at."""
        return {
            "task": self.predictor.task.name,
            "learner": self.predictor.spec,
            "labels": [label.name for label in self._labeller.labels],
            "labelled_texts": len(self._labeller.support),
            "expected": dict(self.predictor.expected),
        }

    async def health(self) -> dict[str, str]:
        """Whether the process lives."""
        return {"status": "ok"}

    async def ready(self) -> Response:
        """Whether the learner is loaded and answers."""
        if self._is_ready:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"error": "the learner is being loaded"}, 503)

    async def metrics(self) -> Response:
        """Counts and times, as Prometheus reads them."""
        return Response(self._metrics.page(), media_type=self._metrics.content_type)

    async def page(self) -> HTMLResponse:
        """A page on which texts can be tried."""
        content, policy = playground(self.predictor)
        return HTMLResponse(content, headers={"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"})

    @contextlib.asynccontextmanager
    async def _running(self, _: FastAPI) -> AsyncIterator[None]:
        self._batches = Batches(self._labeller, self._labeller.transductive, self.settings.most_waiting)
        tasks = [asyncio.create_task(self._batches.run()), asyncio.create_task(self._warm())]
        yield
        for task in tasks:
            task.cancel()
        self._batches.close()

    async def _warm(self) -> None:
        """Load what the learner needs by asking it about a text whose label is known."""
        example = self._labeller.support[0]
        await self._batches.answer([Query("", example.text, example.fields)])
        self._is_ready = True

    def _query(self, row: str | Row, at: int) -> Query | None:
        """A text as it is asked; None where there is nothing to read."""
        text, fields = (row, {}) if isinstance(row, str) else (row.text, row.__pydantic_extra__)
        return self._labeller.query(text, fields, f"text {at}") if text_key(text) else None

    async def _nearest(self, queries: list[Query]) -> list[list[Near]]:
        """Found in the thread of the learner, which encodes with the same model."""
        return await self._batches.call(lambda: self._searched.of([query.text for query in queries]))

    @cached_property
    def _searched(self) -> NearestTexts:
        return NearestTexts(self.predictor, self._device)

    def _count(self, row: dict[str, Any]) -> None:
        # Free text would be one counter per answer.
        if row["status"] == Status.OK and row["label"] in {label.name for label in self._labeller.labels}:
            self._metrics.labels.labels(row["label"]).inc()


async def _invalid(_: Request, error: Any) -> JSONResponse:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:3]) or "the body"
    return JSONResponse({"error": f"{where}: {first['msg'].lower()}"}, 422)


async def _failed(_: Request, error: Any) -> JSONResponse:
    status = 503 if isinstance(error, Busy) else 422 if isinstance(error, TaskError) else 500
    if status == 500:
        _LOG.error("%s", error)
    return JSONResponse({"error": str(error)}, status, headers={"Retry-After": "1"} if status == 503 else None)


async def _refused(_: Request, error: Any) -> JSONResponse:
    return JSONResponse({"error": str(error.detail).lower()}, error.status_code, headers=error.headers)
