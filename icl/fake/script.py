"""Scripts: which requests are not answered as usual, and what they get instead.

A script is a list of steps, written in YAML or JSON. The first step that fits a request answers it; what no step fits
is answered as usual. A step without `match` answers once; one with `match` answers whenever it fits, unless `repeat`
says how often. `call` and `every` count the requests that fit the step's `path` and `prompt`.

    - status: 429                                # the first request
      headers: {retry-after: "1"}
    - match: {every: 10, path: /v1/messages}     # every tenth message
      delay_s: 5
    - match: {prompt: "hello.*->$"}
      raw: "<html>no JSON here</html>"
    - stream: [{choices: []}, "not json", "[DONE]"]
      cut_after_bytes: 20

What a step leaves out is supplied: the vendor's error where `status` is 400 or more, else the usual answer.
`{authorization}`, or the name of any other header that the client sent, is replaced by its value in `headers`, `body`,
`raw` and `stream`. In YAML, plain numbers, true, false and null within `body` and `stream` mean what they do in JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fewshot.core.errors import UsageError, unknown_name
from fewshot.core.strict_yaml import Document, parse_yaml
from icl.fake.http import Reply, Request, event_stream, json_reply

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9-]*)\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Match(_Strict):
    """Conditions that must all hold.

    Attributes:
        call: the request's number, from 1.
        every: each so many requests.
        path: may have wildcards, as in `/v1/batches/*`.
        prompt: a regular expression that is found somewhere in the prompt.
    """

    call: int | None = Field(default=None, ge=1)
    every: int | None = Field(default=None, ge=1)
    path: str = "*"
    prompt: str | None = None

    @field_validator("prompt")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    def counts(self, path: str, prompt: str) -> bool:
        """Whether `call` and `every` count a request."""
        return fnmatchcase(path, self.path) and (self.prompt is None or bool(re.search(self.prompt, prompt)))

    def holds(self, number: int) -> bool:
        """Whether the step answers the request that is the `number`-th it counts."""
        return self.call in (None, number) and (self.every is None or number % self.every == 0)


class Step(_Strict):
    """What happens to the requests that fit. At most one of `body`, `raw` and `stream`.

    Attributes:
        match: which requests; None: the next one.
        status: of the reply; None: 200, or that of the usual answer.
        headers: of the reply, added to the usual ones.
        body: JSON.
        raw: sent as it is.
        stream: events: JSON objects, or strings that are sent as they are.
        delay_s: seconds before the reply.
        cut_after_bytes: of the body, after which the connection is closed.
        repeat: how many requests are answered.
    """

    match: Match | None = None
    status: int | None = Field(default=None, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    raw: str | bytes | None = None
    stream: list[Any] | None = None
    delay_s: float = Field(default=0.0, ge=0)
    cut_after_bytes: int | None = Field(default=None, ge=0)
    repeat: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_body(self) -> Step:
        if len(self.model_fields_set & {"body", "raw", "stream"}) > 1:
            raise ValueError("give one of body, raw and stream")
        return self

    @property
    def has_content(self) -> bool:
        """Whether the step says what is sent."""
        return bool(self.model_fields_set & {"body", "raw", "stream"})

    def content(self, request: Request) -> Reply:
        """The content that the step gives, with the client's headers in their places."""
        given = request.headers
        if self.stream is not None:
            return event_stream(_echo(self.stream, given), named=True)
        if self.raw is not None:
            raw = _echo(self.raw, given)
            content = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass")
            return Reply(200, content, {"content-type": "application/json"})
        return json_reply(200, _echo(self.body, given))

    def dress(self, reply: Reply, request: Request) -> Reply:
        """A reply with the step's status, headers and cut."""
        headers = {name.lower(): _echo(value, request.headers) for name, value in self.headers.items()}
        return replace(
            reply, status=self.status or reply.status, headers={**reply.headers, **headers}, keep=self.cut_after_bytes
        )


class Script:
    """The steps, and how often each was met and has answered."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self._steps = tuple(steps)
        self._met = [0] * len(self._steps)
        self._left = [step.repeat or (1 if step.match is None else float("inf")) for step in self._steps]

    def take(self, path: str, prompt: str) -> Step | None:
        """The step that answers a request. Every step counts the request, whichever answers."""
        taken = None
        for at, step in enumerate(self._steps):
            match = step.match or Match()
            if not match.counts(path, prompt):
                continue
            self._met[at] += 1
            if taken is None and self._left[at] and match.holds(self._met[at]):
                self._left[at] -= 1
                taken = step
        return taken


def read_script(path: Path) -> tuple[Step, ...]:
    """Read a script file: JSON where it is called so, else YAML.

    Raises:
        UsageError: unreadable or invalid, naming the file and the step.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    if path.suffix != ".json":
        return _steps(_typed(parse_yaml(text, str(path))))
    try:
        return _steps(Document(json.loads(text), str(path), {}))
    except ValueError as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from error


def parse_script(steps: Sequence[Mapping[str, Any] | Step]) -> tuple[Step, ...]:
    """Steps given as plain data.

    Raises:
        UsageError: invalid, naming the step.
    """
    return _steps(Document(list(steps), "script", {}))


def _steps(document: Document) -> tuple[Step, ...]:
    if not isinstance(document.data, list):
        raise UsageError(f"{document.origin}: a script is a list of steps, each beginning with `- `")
    return tuple(_step(document, at, data) for at, data in enumerate(document.data))


def _step(document: Document, at: int, data: Any) -> Step:
    try:
        return Step.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = first["loc"]
        where = document.where((at, *path)) if document.lines else document.origin
        name = ".".join(map(str, path)) or "the step"
        problem = f"{name}: {first['msg'].removeprefix('Value error, ')}"
        if first["type"] == "extra_forbidden":
            known = Match.model_fields if path[0] == "match" else Step.model_fields
            problem = str(unknown_name("key", str(path[-1]), known))
        raise UsageError(f"{where}: step {at + 1}: {problem}") from error


def _typed(document: Document) -> Document:
    """The document with plain numbers, true, false and null where JSON has them."""
    if isinstance(document.data, list):
        for step in document.data:
            for name in {"body", "stream"} & set(step if isinstance(step, dict) else ()):
                step[name] = _json_value(step[name])
    return document


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json_value(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_json_value(part) for part in value]
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return value if isinstance(read, str | list | dict) else read


def _echo(value: Any, headers: Mapping[str, str]) -> Any:
    """`value` with `{name}` replaced by the client's header of that name, where it sent one."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: headers.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {name: _echo(part, headers) for name, part in value.items()}
    if isinstance(value, list):
        return [_echo(part, headers) for part in value]
    return value
