"""Real SDK clients that refuse any reply which does not fit their own schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from icl.fake import FakeServer


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeServer]]:
    """Starts servers that end with the test."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(FakeServer(*args, **options))


@pytest.fixture
def openai_client() -> Iterator[Callable[[FakeServer], Any]]:
    """OpenAI's client for a server."""
    openai = pytest.importorskip("openai")
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(
            openai.OpenAI(
                base_url=server.openai_url, api_key="sk-sentinel", max_retries=0, _strict_response_validation=True
            )
        )


@pytest.fixture
def anthropic_client() -> Iterator[Callable[[FakeServer], Any]]:
    """Anthropic's client for a server."""
    anthropic = pytest.importorskip("anthropic")
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(
            anthropic.Anthropic(
                base_url=server.url, api_key="sk-sentinel", max_retries=0, _strict_response_validation=True
            )
        )
