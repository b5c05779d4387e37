"""The server of reports: this machine alone, these runs alone."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from evals.comparison import compare
from evals.report.listing import list_runs
from tests.evals.comparison.toys import Knowing, riddles

pytest.importorskip("altair")
pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    compare(riddles(), {"mine": Knowing(80)}, way=2, shot=1, query=1, episodes=4, folder=folder / "study 하나 #1")
    (folder / "notes").mkdir()
    secret = folder.parent / "outside"
    compare(riddles(), {"mine": Knowing(80)}, way=2, shot=1, query=1, episodes=2, folder=secret)
    (folder / "link").symlink_to(secret)
    return folder


@pytest.fixture
def get(root: Path) -> Iterator:
    from evals.report.server import ReportServer

    server = ReportServer(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def request(path: str, host: str | None = None, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
        connection.request(method, path, headers={"Host": host or f"127.0.0.1:{server.server_port}"})
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), dict(answer.getheaders())
        connection.close()
        return found

    yield request
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_list_names_runs_and_nothing_else(root: Path) -> None:
    (listed,) = list_runs(root)
    assert (listed.name, listed.what, listed.learners) == ("study 하나 #1", "riddles: 1 shots", "mine")
    assert listed.state == "5 of 5 runs finished"
    assert listed.link == f"/runs/{quote('study 하나 #1')}"


def test_single_runs_are_listed_newest_first(root: Path) -> None:
    inside = list_runs(root / "study 하나 #1")
    assert {run.what for run in inside} == {"riddles: 2-way 1-shot"}
    assert [run.updated for run in inside] == sorted((run.updated for run in inside), reverse=True)
    assert {run.state for run in inside} == {"finished"}


def test_list_page_and_its_data(get, root: Path) -> None:
    status, page, headers = get("/")
    assert status == 200
    assert "study 하나 #1" in page
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    runs = json.loads(get("/runs.json")[1])
    assert [run["name"] for run in runs] == ["study 하나 #1"]


def test_every_run_has_its_report(get) -> None:
    link = json.loads(get("/runs.json")[1])[0]["link"]
    status, page, headers = get(link)
    assert status == 200
    assert "riddles, 2-way 1-shot" in page
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_head_request_has_no_body(get) -> None:
    status, body, headers = get("/", method="HEAD")
    assert (status, body) == (200, "")
    assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize(
    "path",
    [
        "/runs/../outside",
        "/runs/..%2foutside",
        "/runs/%2e%2e",
        "/runs/.",
        "/runs/",
        "/runs//etc/passwd",
        "/runs/%2Fetc%2Fpasswd",
        "/runs/link",
        "/runs/notes",
        "/runs/study%00",
        "/etc/passwd",
        "//127.0.0.1/",
        "/runs/..%5coutside",
    ],
)
def test_nothing_else_can_be_reached(get, path: str) -> None:
    status, body, _ = get(path)
    assert status == 404 or (path.startswith("//") and status == 200)
    assert "root:" not in body


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:80", "[::1]:80"])
def test_pages_of_others_are_refused(get, host: str) -> None:
    assert get("/", host=host)[0] == 421


def test_it_listens_on_this_machine_alone(root: Path) -> None:
    from evals.report.server import ReportServer

    with ReportServer(root) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_damaged_run_is_an_error_message(get, root: Path) -> None:
    broken = root / "broken"
    broken.mkdir()
    (broken / "run.sqlite").write_bytes(b"not a database, and long enough to be looked at" * 40)
    try:
        status, body, _ = get("/runs/broken")
        assert status == 409
        assert "run.sqlite" in body
    finally:
        (broken / "run.sqlite").unlink()
        broken.rmdir()


_STUDY = {"task": ["a"], "learner": ["tfidf"]}


@pytest.mark.promise(52)
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("comparison.json", '{"study": [1]}'),
        ("comparison.json", "[" * 100_000),
        ("comparison.json", "5"),
        ("comparison.json", ""),
        ("comparison.json", json.dumps({"study": {**_STUDY, "shot": {"a": 1}}, "absent": [], "folders": []})),
        ("comparison.json", json.dumps({"study": _STUDY, "absent": [3], "folders": []})),
        ("comparison.json", json.dumps({"study": {**_STUDY, "learner": ["a:(("]}, "absent": [], "folders": []})),
        ("run.json", '{"config": 5}'),
        ("run.json", '{"config": {"task": {"name": 3}}}'),
        ("run.json", "9" * 5000),
        ("run.json", '{"config": ' * 50_000),
    ],
)
def test_one_odd_folder_does_not_take_the_list_down(root: Path, get, tmp_path: Path, file: str, content: str) -> None:
    odd = root / os.fsdecode(b"odd \xff")
    odd.mkdir()
    try:
        (odd / file).write_text(content, encoding="utf-8")
        (odd / "run.sqlite").touch()
        listed = {run["name"]: run for run in json.loads(get("/runs.json")[1])}
        assert set(listed) == {"study 하나 #1", odd.name}
        assert listed[odd.name]["state"].startswith("cannot be read: ")
        assert listed["study 하나 #1"]["state"] == "5 of 5 runs finished"
        assert get("/")[0] == 200
        assert get(listed[odd.name]["link"])[0] in (409, 500)
    finally:
        shutil.rmtree(odd)


def test_connections_that_say_nothing_are_closed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evals.report import server

    monkeypatch.setattr(server._Handler, "timeout", 0.05)
    with server.ReportServer(root) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        with socket.create_connection(("127.0.0.1", serving.server_port)) as idle:
            assert idle.recv(1) == b""
        serving.shutdown()
        thread.join()
