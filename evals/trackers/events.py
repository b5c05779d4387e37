"""Figures as event files for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewshot.core.errors import MissingExtra


class TensorBoard:
    """Writes event files; `tensorboard --logdir FOLDER` shows them.

    Args:
        folder: each run gets a folder of its name below.
    """

    def __init__(self, folder: str = "runs/tensorboard") -> None:
        self.folder = folder

    def start(self, name: str, config: Mapping[str, Any]) -> None:
        """Open the event file; the configuration is kept as text."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra("tracker 'tensorboard'", "tensorboard") from error
        self._writer = SummaryWriter(str(Path(self.folder) / name))
        shown = json.dumps(config, ensure_ascii=False, indent=2)
        self._writer.add_text("config", "\n".join("    " + line for line in shown.splitlines()))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add a point to each curve, and show it at once."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, result: Mapping[str, float] | None) -> None:
        """Write the result as scalars, and close the file."""
        self.log(result or {}, 0)
        self._writer.close()
