"""Learners that read the head of a published Hugging Face model: which model, and its tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from evals.learner import BaseLearner, Context
from evals.types import Label, TaskInfo
from fewshot.core.catalog import MODELS
from fewshot.core.devices import resolve_device
from fewshot.core.errors import UsageError
from fewshot.core.pretrained import load_tokenizer
from fewshot.core.spec import Spec, parse_spec
from fewshot.encoders import TransformerEncoder


@dataclass(eq=False, kw_only=True)
class PublishedModelLearner(BaseLearner):
    """A learner by a model whose head is read. Subclasses say what kind of model, and load it.

    Attributes:
        model: `hf:NAME` for a model of the Hugging Face hub, or a directory. None is embedded, so one must be named.
        max_length: tokens per text, what is put around it included.
        wanted: the kind of model, and names of some, for messages.
    """

    kinds = ("classification",)
    extra = "local"
    wanted: ClassVar[str]
    model: str | Spec | None = None
    max_length: int = 128
    _loaded: tuple[Any, Any] | None = field(default=None, init=False, repr=False)

    def for_task(self, task: TaskInfo, labels: Sequence[Label] = ()) -> Self:
        """Itself; a model that is not named is told before anything runs."""
        self._named()
        return self

    def _named(self) -> str:
        """The id or directory of the model. Raises UsageError where there is none, or it is of another kind."""
        if self.model is None:
            raise UsageError(
                f"{self.name} needs {self.wanted}, and none is embedded: write model=hf:NAME or a directory"
            )
        if isinstance(self.model, str) and Path(self.model).expanduser().is_dir():
            return self.model
        spec = parse_spec(self.model)
        if spec.name == "hf" and set(spec.params) <= {"model"}:
            named = spec.params.get("model", spec.positional)
            if named is not None:
                return str(named)
        if "/" in spec.name and not spec.params and spec.positional is None:
            return spec.name
        known = f"{spec.name} is none" if MODELS.knows(spec) else f"{str(self.model)!r} is no directory"
        raise UsageError(f"{self.name} needs {self.wanted}, and {known}: write model=hf:NAME or a directory")

    def _ready(self, ctx: Context) -> tuple[Any, Any]:
        """The tokenizer, and the module on the device as it was published."""
        if self._loaded is None:
            folder = TransformerEncoder(self._named(), notify=ctx.notify).folder
            module = self._load(folder).eval().to(resolve_device(ctx.device))
            self._loaded = load_tokenizer(folder), module
        return self._loaded

    def _load(self, folder: Path) -> Any:
        """The module in a folder."""
        raise NotImplementedError


def without_marks(text: str, tokenizer: Any) -> str:
    """The text with marks of the tokenizer (`[MASK]`, `</s>`) taken apart, so that they are read as letters."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    for mark in tokenizer.all_special_tokens:
        clean = clean.replace(mark, f"{mark[0]} {mark[1:]}")
    return clean
