"""The service of a predictor: what it answers, what it refuses in one line, and that nothing is left behind."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2
import hypothesis
import pytest
import schemathesis
from uvicorn import Config, Server

from evals.learner import BaseLearner, Context
from evals.predictor import Predictor
from evals.types import Answer, Example, Label, Problem, TaskInfo
from fewshot.core.errors import FewshotError
from fewshot.serving.service import MAX_TEXTS, Service, Settings

LABELS = (Label("배송", "배송"), Label("환불", "환불"))
SUPPORT = (
    Example("1", "배송이 언제 오나요", "배송"),
    Example("2", "환불해 주세요", "환불"),
    Example("3", "택배 배송 조회", "배송"),
    Example("4", "카드 환불 요청", "환불"),
)
KEY = "a secret"

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def predictor(learner: Any = None, kind: str = "classification", fields: tuple[str, ...] = ()) -> Predictor:
    info = TaskInfo("고객 문의", "ko", kind, fields=fields)
    return Predictor("prototypes:encoder=lexical", info, LABELS, SUPPORT, learner=learner)


@contextmanager
def served(made: Predictor, settings: Settings | None = None) -> Iterator[httpx2.Client]:
    server = Server(Config(Service(made, settings).app, port=0, log_level="critical", timeout_graceful_shutdown=5))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as client:
                while client.get("/ready").status_code != 200:
                    pass
                yield client
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def service() -> Iterator[httpx2.Client]:
    with served(predictor()) as client:
        yield client


def test_answers_are_those_of_the_predictor_in_order(service: httpx2.Client) -> None:
    texts = ["배송 조회", "환불 부탁", "  ", "배송 환불"]
    reply = service.post("/predict", json={"texts": texts})
    found = reply.json()["predictions"]
    expected = predictor().predict([text for text in texts if text.strip()])
    assert [each["label"] for each in found if each["status"] == "ok"] == [answer.decision for answer in expected]
    assert found[2] == {"label": None, "status": "empty"}
    assert found[0]["probability"] == found[0]["probabilities"]["배송"]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_an_explanation_is_the_most_similar_labelled_texts(service: httpx2.Client) -> None:
    (found,) = service.post("/predict", json={"texts": ["택배 배송 조회"], "explain": True}).json()["predictions"]
    first, *others = found["nearest"]
    assert first == {"text": "택배 배송 조회", "label": "배송", "similarity": 1.0}
    assert [each["similarity"] for each in others] == sorted((each["similarity"] for each in others), reverse=True)


def test_requests_at_once_get_their_own_answers(service: httpx2.Client) -> None:
    def ask(at: int) -> bool:
        words = "배송 조회" if at % 2 else "환불 부탁"
        found = service.post("/predict", json={"texts": [words] * (1 + at % 3)}).json()["predictions"]
        return {each["label"] for each in found} == {words[:2]} and len(found) == 1 + at % 3

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(40)))


@pytest.mark.promise(154)
@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"{bad", 422, "the body|json"),
        (b"", 422, "the body"),
        (b"[]", 422, "the body"),
        (b'{"texts": []}', 422, "texts: list should have at least 1 item"),
        (b'{"texts": "one"}', 422, "texts: input should be a valid list"),
        (b'{"texts": [1]}', 422, "texts.0"),
        (b'{"texts": ["a"], "text": 1}', 422, "text: extra inputs"),
        (b'{"texts": [{"words": "a"}]}', 422, "texts.0"),
        (json.dumps({"texts": ["a"] * (MAX_TEXTS + 1)}).encode(), 422, "at most 1000"),
        (json.dumps({"texts": ["a" * 20_001]}).encode(), 422, "at most 20000"),
        (json.dumps({"texts": ["a" * 10_000_000]}).encode(), 413, "a body may have 2,000,000 bytes"),
        (b"\xff\xfe", 422, "the body|json|decod"),
    ],
    ids=["no JSON", "nothing", "a list", "no texts", "a text alone", "a number", "another field", "no text in it",
         "too many", "too long", "10 MB", "no UTF-8"],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_one_line(service: httpx2.Client, body: bytes, status: int, why: str) -> None:
    reply = service.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]
    assert "\n" not in reply.json()["error"]
    assert any(each in reply.json()["error"] for each in why.split("|"))


def test_a_body_that_hides_its_size_is_cut_off(service: httpx2.Client) -> None:
    chunks = (b" " * 100_000 for _ in range(100))
    assert service.post("/predict", content=chunks).status_code == 413


@pytest.mark.parametrize("path", ["/predict", "/about", "/metrics", "/"])
def test_a_key_is_asked_for_everywhere_but_where_health_is_asked(path: str) -> None:
    with served(predictor(), Settings(key=KEY)) as client:
        method = client.post if path == "/predict" else client.get
        wrong = [
            {},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {KEY}"},
            {"Authorization": f"Bearer {KEY}x"},
        ]
        for headers in wrong:
            reply = method(path, headers=headers)
            assert (reply.status_code, reply.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert method(path, headers={"Authorization": f"Bearer {KEY}"}).status_code in (200, 422)
        assert client.get("/health").status_code == 200


def test_more_requests_than_allowed_are_told_to_come_later() -> None:
    with served(predictor(), Settings(per_second=0.001)) as client:
        codes = [client.get("/about").status_code for _ in range(3)]
        assert codes == [200, 429, 429]
        assert client.get("/about").headers["Retry-After"] == "1"


def test_it_answers_only_to_its_own_name(service: httpx2.Client) -> None:
    """A page of a stranger, whose name was made to point here, is not served."""
    assert service.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_pages_run_no_script_but_their_own(service: httpx2.Client) -> None:
    page = service.get("/")
    assert "default-src 'none'; script-src 'sha256-" in page.headers["Content-Security-Policy"]
    assert "고객 문의" in page.text
    assert 'lang="ko"' in page.text


class Failing(BaseLearner):
    """Fails at every text but those of its support."""

    name = "failing"

    def solve(self, problem: Problem, ctx: Context) -> Sequence[Answer]:
        if problem.queries[0].text == "boom":
            raise FewshotError("the model is gone")
        return [Answer("배송") for _ in problem.queries]


def test_a_failure_is_the_reply_of_those_who_asked_and_of_nobody_else() -> None:
    with served(predictor(Failing())) as client:
        reply = client.post("/predict", json={"texts": ["boom"]})
        assert reply.status_code == 500 or reply.json()["predictions"][0]["status"] == "error"
        assert client.post("/predict", json={"texts": ["배송"]}).json()["predictions"][0]["label"] == "배송"


@pytest.mark.promise(155)
def test_faults_leave_nothing_behind(service: httpx2.Client) -> None:
    address = (service.base_url.host, service.base_url.port)
    assert address[1] is not None
    service.post("/predict", json={"texts": ["배송"]})
    threads = threading.active_count()
    for at in range(60):
        with socket.create_connection((address[0], address[1])) as raw:
            head = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\nContent-Type: application/json\r\n"
            whole = json.dumps({"texts": ["배송"] * 20}).encode()
            length = f"Content-Length: {len(whole)}\r\n\r\n"
            raw.sendall([head.encode(), (head + length).encode() + whole[:9], (head + length).encode() + whole][at % 3])
    assert service.post("/predict", json={"texts": ["환불"]}).json()["predictions"][0]["label"] == "환불"
    while "fewshot_waiting_texts 0.0" not in service.get("/metrics").text:  # what broke off last may be answered still
        pass
    assert threading.active_count() <= threads + 1


def test_metrics_count_labels_and_statuses(service: httpx2.Client) -> None:
    def count(name: str) -> float:
        lines = [line for line in service.get("/metrics").text.splitlines() if line.startswith(name)]
        return float(lines[0].rpartition(" ")[2]) if lines else 0.0

    labels, refused = 'fewshot_labels_total{label="환불"}', 'fewshot_requests_total{path="/predict",status="422"}'
    before = count(labels), count(refused)
    service.post("/predict", json={"texts": ["환불", "환불 요청"]})
    service.post("/predict", json={})
    assert (count(labels), count(refused)) == (before[0] + 2, before[1] + 1)


_API = schemathesis.openapi.from_asgi(
    "/openapi.json", Service(predictor(), Settings(hosts=("*",), most_bytes=10**9)).app
)


@_API.parametrize()
@hypothesis.settings(max_examples=10, deadline=None, derandomize=True, database=None)
def test_the_service_is_what_its_description_says(case: Any) -> None:
    case.call_and_validate()
