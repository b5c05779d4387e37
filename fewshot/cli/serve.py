"""`fewshot serve`: a predictor behind an HTTP address. `fewshot serve-fake`: a stand-in for hosted models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot.cli.options import Abstain, Device, Trust
from fewshot.cli.output import say, show
from fewshot.core.errors import UsageError

#: Environment variable of the key: on a command line everyone on the machine could read it.
_KEY = "FEWSHOT_SERVE_KEY"


def serve(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="Predictor, made by fewshot recommend.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = 8000,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Requests per second of one address.  [default: no limit]")
    ] = None,
    max_body: Annotated[float, typer.Option("--max-body", min=0.001, help="Megabytes of one request.")] = 2.0,
    abstain: Abstain = None,
    trust: Trust = False,
    device: Device = "auto",
) -> None:
    """Serve a predictor over HTTP: POST /predict, and a page on which texts can be tried.

    With FEWSHOT_SERVE_KEY set, requests must bring it as "Authorization: Bearer KEY".
    """
    import os
    import socket
    from contextlib import suppress

    from evals.predictor import Predictor
    from fewshot.core.errors import MissingExtra
    from fewshot.core.extras import is_installed

    if not is_installed("serve"):
        raise MissingExtra("fewshot serve", "serve")
    from uvicorn import Config, Server

    from fewshot.serving.service import Service, Settings

    key = os.environ.get(_KEY)
    if key is not None and not key.strip():
        raise UsageError(f"{_KEY} is empty; set it to the key, or unset it")
    local = host in ("127.0.0.1", "localhost", "::1")
    settings = Settings(key, rate, int(max_body * 1e6), hosts=("127.0.0.1", "localhost", "[::1]") if local else ("*",))
    predictor = Predictor.load(source, trust=trust)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}; --port 0 takes a free one") from error
    if not local and key is None:
        say(f"anyone who reaches {host} can ask, without a key; set {_KEY} to have one")
    service = Service(predictor, settings, device, None if abstain is None else predictor.threshold(abstain))
    show(f"http://{host}:{listening.getsockname()[1]}/")
    say("POST /predict, GET /ready, /metrics, /openapi.json; Ctrl-C ends it")
    with suppress(KeyboardInterrupt):  # the server has ended by then: requests at hand were answered
        Server(Config(service.app, log_level="warning", timeout_graceful_shutdown=30)).run([listening])
    say("ended")


def serve_fake(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free port.")] = 0,
    script: Annotated[
        Path | None, typer.Option("--script", help="Steps (.yaml, .json): errors, delays, cut or odd replies.")
    ] = None,
    latency: Annotated[float, typer.Option("--latency", min=0, help="Seconds before every reply.")] = 0.0,
) -> None:
    """Serve a stand-in for OpenAI and Anthropic on this machine, until Ctrl-C.

    It answers with the label of the demonstration that resembles the query most: no key, no network, no cost. Only
    programs on this machine can reach it.
    """
    import sys
    import threading

    from icl.fake import FakeServer

    try:
        with FakeServer(script or (), port=port, latency_s=latency, keep=0) as server:
            show(f"-m openai:any --base-url {server.openai_url}  or  -m anthropic:any --base-url {server.url}")
            sys.stdout.flush()
            threading.Event().wait()
    except KeyboardInterrupt:
        return
