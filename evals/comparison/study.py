"""A study: which learners meet which episodes. The file, the command line and Python say the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from evals.balance import EQUAL, written
from evals.loading import READING
from fewshot.core.errors import TaskError, UsageError
from fewshot.core.hashing import digest
from fewshot.core.spec import parse_spec
from fewshot.core.strict_yaml import parse_yaml, validated


def _listed(value: Any) -> Any:
    """One value stands for a list of one; `1,2,4` for a list of three."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values or "" in values:
        raise ValueError("is empty")
    if doubled := {value for value in values if values.count(value) > 1}:
        raise ValueError(f"is given twice: {', '.join(map(str, sorted(doubled)))}")
    return values


def _specs(value: Any) -> Any:
    """Specs in one line each, whichever form they are written in."""
    items = [value] if isinstance(value, (str, Mapping)) else value
    # Written out and parsed again: YAML leaves every value a string, and the one-line form knows numbers.
    return [str(parse_spec(str(parse_spec(item)))) for item in items]


_Count = Annotated[int, Field(ge=1)]
_Shots = Annotated[tuple[Annotated[int, Field(ge=0)], ...], BeforeValidator(_listed), AfterValidator(_distinct)]
_Seeds = Annotated[tuple[int, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
_Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
_Learners = Annotated[tuple[str, ...], BeforeValidator(_specs), AfterValidator(_distinct)]


class Study(BaseModel):
    """What is compared.

    Attributes:
        task: names, cards or files.
        learner: specs; learners that the registry flags as baselines take part in any case.
        way: classes per episode; None takes all, at most 5.
        shot: labelled texts per class, or 0 for none; results at different shots are paired.
        query: texts to label per class.
        episodes: per class split and seed.
        seed: of episodes and learners; three or more are a factor of their own, and never independent samples of texts.
        class_split: names of class splits; None takes the first one a task has, "all" every class.
        part: which classes or rows the queries come from.
        query_balance: "equal", or "dirichlet:ALPHA" for as many queries in proportions drawn per episode.
        text_column, label_column, encoding, sheet, kind, separator: of tasks that are files, as in `load_task`.
        drop: classes to leave out of every task.
        until_ci: stop a learner's episodes when its 95 % interval is this many points to either side, or narrower.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: _Names
    learner: _Learners = ()
    way: _Count | None = None
    shot: _Shots = (5,)
    query: _Count = 5
    episodes: _Count = 100
    seed: _Seeds = (0,)
    class_split: _Names | None = None
    part: str = "test"
    query_balance: Annotated[str, AfterValidator(written)] = EQUAL
    until_ci: Annotated[float, Field(gt=0)] | None = None
    text_column: str | None = None
    label_column: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    kind: str | None = None
    separator: str | None = None
    drop: _Names | None = None

    @property
    def reading(self) -> dict[str, Any]:
        """How tasks are read, as far as it is said."""
        named = {name: getattr(self, name) for name in READING}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def sha256(self) -> str:
        """Hash of the whole study."""
        return digest(self.model_dump(mode="json"))


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        TaskError: unreadable or invalid, with file and line; an unknown key with the nearest ones.
        UsageError: a learner's spec cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TaskError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from error
    document = parse_yaml(text, str(path))
    if not isinstance(document.data, dict):
        raise TaskError(f"{path}:1: a study is a mapping with the keys {', '.join(Study.model_fields)}")
    return validated(Study, document, document.data)


def make_study(**options: Any) -> Study:
    """A study from options; None stands for the default.

    Raises:
        UsageError: a value is wrong; the message names the option.
    """
    from pydantic import ValidationError

    try:
        return Study.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        option = "--" + str(first["loc"][0]).replace("_", "-") if first["loc"] else "the study"
        raise UsageError(f"{option}: {message[:1].lower()}{message[1:]}") from error
