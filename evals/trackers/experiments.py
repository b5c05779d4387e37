"""Figures as a run of MLflow, at the server that MLFLOW_TRACKING_URI names, or in a local folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from fewshot.core.errors import MissingExtra
from fewshot.core.network import refuse_elsewhere

#: What MLflow accepts per call, and per value of a parameter.
_BATCH, _MAX_VALUE = 100, 500
_FORBIDDEN = re.compile(r"[^\w.\-/ ]")


class MLflow:
    """Writes one MLflow run.

    Args:
        experiment: under which experiment it is listed.
    """

    def __init__(self, experiment: str = "fewshot") -> None:
        self.experiment = experiment

    def start(self, name: str, config: Mapping[str, Any]) -> None:
        """Begin the run; the configuration becomes its parameters."""
        try:
            import mlflow  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise MissingExtra("tracker 'mlflow'", "mlflow") from error
        server = os.environ.get("MLFLOW_TRACKING_URI", "")
        if ("://" in server or server.startswith("databricks")) and not server.startswith(("file:", "sqlite:")):
            refuse_elsewhere(server, "MLFLOW_TRACKING_URI")
        self._mlflow = mlflow
        mlflow.set_experiment(self.experiment)
        mlflow.start_run(run_name=name)
        params = [(_name(path), str(value)[:_MAX_VALUE]) for path, value in _leaves(config)]
        for at in range(0, len(params), _BATCH):
            mlflow.log_params(dict(params[at : at + _BATCH]))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to each curve."""
        self._mlflow.log_metrics({_name(path): value for path, value in metrics.items()}, step=step)

    def finish(self, result: Mapping[str, float] | None) -> None:
        """Write the result as metrics, and end the run."""
        if result:
            self.log(result, 0)
        self._mlflow.end_run(status="FINISHED" if result is not None else "KILLED")


def _leaves(value: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """The values of a nested mapping, by the path to them."""
    found = []
    for key, item in value.items():
        found += _leaves(item, f"{path}{key}/") if isinstance(item, Mapping) else [(f"{path}{key}", item)]
    return found


def _name(path: str) -> str:
    """A name that MLflow takes: specs hold characters that it does not."""
    return _FORBIDDEN.sub("_", path)
