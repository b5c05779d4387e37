from __future__ import annotations

import pytest

from fewshot.core.errors import ModelUnavailable
from fewshot.core.hub import require_hub


class _Session:
    """Stands for the hub client's session: answers, or fails as the network does."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.asked = 0

    def head(self, url: str, *, timeout: float) -> None:
        self.asked += 1
        if self._error:
            raise self._error


def _install(monkeypatch: pytest.MonkeyPatch, *, reachable: bool) -> _Session:
    hub = pytest.importorskip("huggingface_hub.utils")
    library = __import__(type(hub.get_session()).__module__.partition(".")[0])
    kind = type("Fake", (_Session,), {"__module__": library.__name__})
    session = kind(None if reachable else library.ConnectError("no route"))
    monkeypatch.setattr(hub, "get_session", lambda: session)
    return session


def test_no_network_is_told_after_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    session = _install(monkeypatch, reachable=False)
    with pytest.raises(ModelUnavailable, match=r"the model 'a/b' is not on this machine.*no route.*Name a folder"):
        require_hub("the model 'a/b'", "Name a folder")
    assert session.asked == 1


def test_a_hub_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, reachable=True)
    require_hub("the model 'a/b'", "Name a folder")
