"""Options of hosted models, and how they reach the model: as parameters of its spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from fewshot.cli.groups import names
from fewshot.core.spec import Spec, parse_spec


@dataclass(frozen=True)
class Server:
    """Which server is asked: this decides what comes out."""

    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Server that speaks the model's protocol: vLLM, Ollama, SGLang ...")
    ] = None


@dataclass(frozen=True)
class Connection:
    """How a hosted model is asked: this decides what a run takes, not what comes out."""

    concurrency: Annotated[int | None, typer.Option(min=1, help="Hosted models: requests at a time.  [default: 8]")] = (
        None
    )
    rpm: Annotated[float | None, typer.Option(help="Hosted models: most requests per minute.")] = None
    tpm: Annotated[float | None, typer.Option(help="Hosted models: most tokens per minute.")] = None
    timeout: Annotated[float | None, typer.Option(help="Hosted models: seconds per attempt.  [default: 60]")] = None
    deadline: Annotated[
        float | None, typer.Option(help="Hosted models: seconds per request with its retries.  [default: 300]")
    ] = None
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop before this invocation has spent more USD.")] = (
        None
    )
    max_requests: Annotated[
        int | None, typer.Option(min=1, help="Stop before this invocation has sent more requests.")
    ] = None
    key_file: Annotated[Path | None, typer.Option(help="File that holds the key; default: the environment.")] = None
    key_cmd: Annotated[str | None, typer.Option(help="Command that prints the key.")] = None
    cache: Annotated[
        bool | None, typer.Option("--cache/--no-cache", help="Read and keep answers on disk.  [default: cache]")
    ] = None
    batch: Annotated[
        bool | None, typer.Option("--batch", help="Use the provider's batch API: cheaper, hours slower.")
    ] = None


def model_spec(options: Mapping[str, Any]) -> str | Spec:
    """The spec of `--model`, with those options of hosted models that were given."""
    wanted = (*names(Server), *names(Connection))
    given = {name: value for name in wanted if (value := options.get(name)) is not None}
    if not given:
        return options["model"]
    spec = parse_spec(options["model"])
    return replace(spec, params={**spec.params, **given})
