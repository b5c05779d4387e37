"""In-context learning with scikit-learn's verbs."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Literal

from evals.adapters import EpisodeClassifier
from evals.learner import Learner
from evals.types import TaskInfo
from icl.amount import Demos
from icl.learner import ICLLearner
from icl.parts import PartLike
from icl.planning import Format
from icl.scoring.direct import Normalization
from icl.template import Template


class ICLClassifier(EpisodeClassifier):
    """A language model as a classifier of texts: `fit` takes the demonstrations, nothing is trained.

    Args:
        model, selector, order, demos, readout, method, calibrate, template, format, encoder, normalize, dtype,
            offline: as in `ICLLearner`.
        task, verbalizers, batch_size, on_failure, seed, device: as in `EpisodeClassifier`.
    """

    def __init__(
        self,
        model: PartLike = "auto",
        selector: PartLike = "auto",
        order: PartLike = "shuffled",
        demos: Demos = "auto",
        readout: PartLike = "auto",
        method: PartLike = "auto",
        calibrate: PartLike = "auto",
        template: str | Path | Template | None = None,
        format: Format | Literal["auto"] = "auto",
        encoder: PartLike = "auto",
        normalize: Normalization = "sum",
        dtype: str | None = None,
        *,
        task: TaskInfo | None = None,
        verbalizers: Mapping[Hashable, str] | None = None,
        batch_size: int | None = None,
        on_failure: Literal["raise", "none"] = "raise",
        seed: int = 0,
        device: str = "auto",
        offline: bool = False,
    ) -> None:
        self.model = model
        self.selector = selector
        self.order = order
        self.demos: Demos = demos
        self.readout = readout
        self.method = method
        self.calibrate = calibrate
        self.template = template
        self.format: Format | Literal["auto"] = format
        self.encoder = encoder
        self.normalize: Normalization = normalize
        self.dtype = dtype
        self.task = task
        self.verbalizers = verbalizers
        self.batch_size = batch_size
        self.on_failure: Literal["raise", "none"] = on_failure
        self.seed = seed
        self.device = device
        self.offline = offline

    def _build_learner(self) -> Learner:
        return ICLLearner(
            model=self.model,
            selector=self.selector,
            order=self.order,
            demos=self.demos,
            readout=self.readout,
            method=self.method,
            calibrate=self.calibrate,
            template=self.template,
            format=self.format,
            encoder=self.encoder,
            normalize=self.normalize,
            device=self.device,
            dtype=self.dtype,
            offline=self.offline,
        )
