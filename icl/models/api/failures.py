"""What an error response means: try again, give up on the request, or give up on the run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from evals.types import Status
from icl.models.api.capabilities import ESSENTIAL, SYSTEM_ROLE
from icl.models.api.retry import Failure, retry_after
from icl.models.api.system import has_system
from icl.models.api.transport import Reply

#: Bytes of an unreadable answer that are kept.
KEPT = 2048
_RETRIED = frozenset({408, 409, 425, 429, 529})
_FATAL: Mapping[int, Status] = {401: Status.AUTH, 402: Status.AUTH, 403: Status.AUTH, 404: Status.ERROR}
_NO_MONEY = ("insufficient_quota", "billing_error", "billing_hard_limit_reached")
_CONTEXT = re.compile(
    r"context_length_exceeded|context (length|window)|maximum context|prompt is too long|too many (input )?tokens", re.I
)
_FILTERED = re.compile(r"content_filter|content_policy_violation|ResponsibleAIPolicyViolation", re.I)
_UNSUPPORTED = re.compile(
    r"unsupported|not support|unrecognized|unknown (parameter|field|argument)|unexpected|extra inputs|not permitted"
    r"|extra_forbidden|deprecated|not allowed|only the default",
    re.I,
)
#: How servers say that they know users and assistants only, and how chat templates do.
_NO_SYSTEM = re.compile(
    r"\bsystem\b|\bdeveloper\b|\broles?\b|\b(start|begin|first)\w*\b.{0,40}\buser\b|\buser\b.{0,40}\bfirst\b", re.I
)
_OF_TEMPLATES = re.compile(r"template|jinja|\broles?\b", re.I)


def failure_of(reply: Reply, body: Mapping[str, Any], now: float) -> Failure:
    """The failure that a response with an error status stands for.

    Args:
        reply: its status is not 200.
        body: of the request, whose parameters the message may name.
        now: seconds since 1970.
    """
    code, message, parameter = _described(reply.content)
    about = f"HTTP {reply.status}{f' {code}' if code else ''}: {message or 'no message'}"
    if code in _NO_MONEY:
        return Failure(Status.AUTH, about, fatal=f"{reply.status} {code}")
    if reply.status == 404:
        about += "; are --base-url and the name of the model right?"
    if reply.status in _FATAL:
        return Failure(_FATAL[reply.status], about, fatal=f"{reply.status} {code}")
    if 300 <= reply.status < 400:
        host = urlsplit(reply.headers.get("location", "")).hostname or "another place"
        detail = f"HTTP {reply.status}: the server sends us to {host}, and we follow no redirects; mend --base-url"
        return Failure(Status.ERROR, detail, fatal=f"redirect to {host}")
    said = f"{code} {message} {parameter}"
    refuses_system = has_system(body) and bool(_NO_SYSTEM.search(said))
    if reply.status == 500 and refuses_system and _OF_TEMPLATES.search(said):
        return Failure(Status.ERROR, about, parameter=SYSTEM_ROLE)
    if reply.status in _RETRIED or reply.status >= 500:
        limited = reply.status in (429, 529)
        wait = retry_after(reply.headers, now)
        return Failure(Status.RATE_LIMITED if limited else Status.ERROR, about, retry=True, wait=wait)
    if _CONTEXT.search(f"{code} {message}"):
        return Failure(Status.CONTEXT_EXCEEDED, about)
    if _FILTERED.search(f"{code} {message}"):
        return Failure(Status.FILTERED, about)
    named = _named(parameter, message, body) if _UNSUPPORTED.search(f"{code} {message}") else ""
    if refuses_system and (not named or named in ESSENTIAL):
        named = SYSTEM_ROLE
    return Failure(Status.ERROR, about, parameter=named)


def bad_response(why: str, content: bytes | str, *, passes: bool = False) -> Failure:
    """The failure of an answer that is not what was asked for, with its beginning.

    Args:
        why: what is wrong with it; answers of which the same is said are of the same kind.
        passes: whether another attempt may bring a good one (cut bodies, pages of gateways).
    """
    raw = content if isinstance(content, str) else content[:KEPT].decode("utf-8", "replace")
    detail = f"{why}: {raw[:KEPT]}"
    return Failure(Status.BAD_RESPONSE, detail, retry=True, free=False, malformed=why, passes=passes)


def _described(content: bytes) -> tuple[str, str, str]:
    """Code, message and parameter of an error body, whatever its shape; the code falls back to the type."""
    text = content[:KEPT].decode("utf-8", "replace")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return "", " ".join(text.split()), ""
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return "", str(error)[:KEPT], ""
    code = error.get("code") or error.get("type") or ""
    message = error.get("message") or error.get("detail") or text
    return str(code), str(message)[:KEPT], str(error.get("param") or "")


def _named(parameter: str, message: str, body: Mapping[str, Any]) -> str:
    """Which parameter of the request an error is about: as it says, or the longest that stands in its message."""
    if (top := parameter.split(".")[0]) in body:
        return top
    named = [name for name in body if re.search(rf"\b{re.escape(name)}\b", message)]
    return max(named, key=len, default="")
