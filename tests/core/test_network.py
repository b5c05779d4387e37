"""What leads to this machine, and what is refused where others are forbidden."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from evals.engines.cluster import _connected
from evals.trackers.experiments import MLflow
from fewshot.core.errors import OfflineError
from fewshot.core.network import is_local

HERE = ("127.0.0.1", "127.0.0.2", "127.255.255.254", "localhost", "LocalHost", "localhost.", "127.1", "2130706433")
ELSEWHERE = (
    "127.evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil",
    "10.0.0.1",
    "128.0.0.1",
    "[::2]",
    "xlocalhost",
)


@pytest.mark.promise(62)
@pytest.mark.parametrize(
    "host", [*HERE, "0.0.0.0", "0x7f.0.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::FFFF:7f00:1]"]
)
def test_this_machine_however_it_is_written(host: str) -> None:
    assert is_local(f"http://{host}:8000/v1")
    assert is_local(f"https://{host}")


@pytest.mark.promise(62)
@pytest.mark.parametrize("host", [*ELSEWHERE, "[::ffff:10.0.0.1]", "api.openai.com"])
def test_another_machine(host: str) -> None:
    assert not is_local(f"http://{host}:8000/v1")


@pytest.mark.promise(40)
@pytest.mark.parametrize(
    "server", ["http://tracking.example:5000", "https://10.0.0.1", "databricks", "postgresql://db/x"]
)
def test_no_tracker_elsewhere_is_asked_offline(monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace())
    with pytest.raises(OfflineError, match="MLFLOW_TRACKING_URI"):
        MLflow().start("run", {})


@pytest.mark.promise(40)
@pytest.mark.parametrize("address", ["10.0.0.1:6379", "ray://head.example:10001", "auto"])
def test_no_cluster_elsewhere_is_asked_offline(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1")
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr("evals.engines.cluster._ray", lambda: SimpleNamespace(is_initialized=lambda: False))
    with pytest.raises(OfflineError, match="RAY_ADDRESS"):
        _connected()
