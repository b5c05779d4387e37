"""`fewshot serve-fake`: a local server that speaks the wire formats of hosted models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fewshot.cli.output import show


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
