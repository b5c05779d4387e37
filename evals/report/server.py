"""Reports in the browser: a server for this machine alone, which lists a folder of runs and shows each one's report."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from evals.comparison import Comparison
from evals.report.listing import find_run, list_runs
from evals.report.page import assets, render, template
from fewshot.core.errors import FewshotError

_HTML, _JSON, _TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
_NOTHING = "default-src 'none'"


class ReportServer(ThreadingHTTPServer):
    """Serves a folder of runs on 127.0.0.1. Start it with `serve_forever`, end it with `shutdown`.

    Args:
        root: folder of the runs.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, root: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.root = root
        self._rendering = threading.Lock()

    @property
    def address(self) -> str:
        """Where the list is."""
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def hosts(self) -> set[str]:
        """The names by which a browser on this machine calls it. Another one is somebody else's page, rebound."""
        return {f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")}

    def report(self, folder: Path) -> str:
        """The report of a run or comparison as it stands now. One is drawn at a time."""
        with self._rendering:
            return render(Comparison.read([folder]))


class _Handler(BaseHTTPRequestHandler):
    #: Seconds after which a connection that sends nothing is closed; the library gives it to the socket.
    timeout = 30.0
    server: ReportServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        if self.headers.get("Host") not in self.server.hosts:
            self._send(HTTPStatus.MISDIRECTED_REQUEST, "unknown host\n", _TEXT)
            return
        path = urlsplit(self.path).path
        if path == "/":
            self._index()
        elif path == "/runs.json":
            runs = [asdict(run) for run in list_runs(self.server.root)]
            self._send(HTTPStatus.OK, json.dumps(runs), _JSON)
        elif path.startswith("/runs/"):
            self._report(unquote(path.removeprefix("/runs/"), errors="surrogateescape"))
        else:
            self._send(HTTPStatus.NOT_FOUND, "not found\n", _TEXT)

    do_HEAD = do_GET  # noqa: N815 - the name is the library's

    def _index(self) -> None:
        parts = assets("index.js")
        page = template("index.html.j2").render(folder=self.server.root, runs=list_runs(self.server.root), **parts)
        self._send(HTTPStatus.OK, page, _HTML, f"{parts['policy']}; connect-src 'self'")

    def _report(self, name: str) -> None:
        folder = find_run(self.server.root, name)
        if folder is None:
            self._send(HTTPStatus.NOT_FOUND, "no such run\n", _TEXT)
            return
        try:
            page = self.server.report(folder)
        except FewshotError as error:
            self._send(HTTPStatus.CONFLICT, f"{error}\n", _TEXT)
            return
        except Exception as error:  # noqa: BLE001 - one odd run must not look like a broken server
            told = f"{name} cannot be shown: {type(error).__name__}: {error}\n"
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, told, _TEXT)
            return
        self._send(HTTPStatus.OK, page, _HTML, assets("report.js")["policy"])

    def _send(self, status: HTTPStatus, text: str, kind: str, policy: str = _NOTHING) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Content-Security-Policy": f"{policy}; frame-ancestors 'none'",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not news."""
