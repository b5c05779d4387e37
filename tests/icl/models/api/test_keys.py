"""Keys: found, and kept out of everything that is written."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.learner import Context
from fewshot.core.errors import FewshotError, MissingExtra, ModelUnavailable, OfflineError, UsageError
from icl.models.api.keys import HIDDEN, Redactor, find_key
from icl.models.api.model import AnthropicModel, OpenAIModel

from .conftest import ASK, KEY, chat

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])


def test_where_keys_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_key("SOME_KEY") is None
    monkeypatch.setenv("SOME_KEY", f" {KEY}\n")
    assert find_key("SOME_KEY") == KEY
    (tmp_path / "key").write_text("from-file\n")
    assert find_key("SOME_KEY", tmp_path / "key") == "from-file"
    assert find_key("SOME_KEY", None, f"{sys.executable} -c 'print(\"from-cmd\")'") == "from-cmd"


@pytest.mark.promise(39)
@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"key_file": "/nowhere/key"}, "cannot be read"),
        ({"key_cmd": "/nowhere/cmd"}, "cannot be run"),
        ({"key_cmd": "false"}, "exit code 1"),
        ({"key_cmd": "echo two words"}, "no key"),
        ({"key_cmd": "echo"}, "no key"),
        ({"key_cmd": "echo 'unclosed"}, "cannot be run"),
        ({"key_file": "a", "key_cmd": "b"}, "choose one"),
    ],
    ids=str,
)
def test_sources_without_a_key(source: dict[str, Any], says: str) -> None:
    with pytest.raises(FewshotError, match=says) as caught:
        find_key("SOME_KEY", **source)
    assert "words" not in str(caught.value)


FORMS = {
    "raw": KEY,
    "upper": KEY.upper(),
    "percent": quote(KEY, safe=""),
    "every-byte": "".join(f"%{byte:02X}" for byte in KEY.encode()),
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64-of-header": base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    "base64-offset": base64.urlsafe_b64encode(f"x:{KEY}:y".encode()).decode(),
    "another": "sk-proj-abcdefghijklmnopqrstuvwx",
    "bearer": "Bearer abcdefghijklmnopqrstuvwxyz",
}


def leaks(text: str, key: str = KEY) -> bool:
    """Whether a key can be read out of a text: as it is, percent-encoded, in base64 at any offset."""
    from urllib.parse import unquote

    found = [text, unquote(text)]
    for start in range(min(8, len(text))):
        for alphabet in (base64.b64decode, base64.urlsafe_b64decode):
            piece = text[start : start + (len(text) - start) // 4 * 4]
            try:
                found.append(alphabet(piece).decode("latin-1"))
            except ValueError:
                continue
    return any(key.lower() in form.lower() for form in found)


@pytest.mark.promise(37)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_keys_are_taken_out(form: str) -> None:
    redact = Redactor([KEY])
    clean = redact({"message": f"wrong key {form}!", form: [form, 3, None]})
    assert form not in str(clean)
    assert HIDDEN in clean["message"]
    assert not leaks(redact.text(form))


@pytest.mark.promise(37)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), st.integers(0, 5))
def test_any_key_is_taken_out(key: str, offset: int) -> None:
    redact = Redactor([key])
    for text in (key, quote(key), base64.b64encode(b"x" * offset + key.encode() + b"y").decode()):
        assert not leaks(redact.text(text), key)


def test_ordinary_words_stay() -> None:
    redact = Redactor([KEY, "none"])
    for text in ("positive", "none of them", "the key was lost", "risk-averse people", "sk-1"):
        assert redact.text(text) == text


@pytest.mark.promise(37)
@pytest.mark.parametrize("status", [200, 400, 401, 429])
def test_a_key_that_the_server_echoes_goes_nowhere(scripted, model, tmp_path: Path, status: int) -> None:
    (tmp_path / "key").write_text(KEY)
    echo = " ".join(FORMS.values())
    body = chat(echo) if status == 200 else {"error": {"message": echo, "code": echo, "type": echo}}
    scripted((status, body, {"x-echo": KEY}))
    told: list[str] = []
    kept: dict[str, Any] = {}

    class Ledger:
        get = staticmethod(kept.get)
        put = staticmethod(kept.__setitem__)

    asked = model(key_file=tmp_path / "key", cache=True)
    asked.attend(Context(notify=told.append, ledger=Ledger()))
    try:
        result: Any = asked.generate([ASK])
    except FewshotError as error:
        result = [error, error.__cause__, error.__dict__]
        assert error.__cause__ is None
    (tmp_path / "key").unlink()
    files = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    written = f"{result!r} {told} {kept} {asked.describe()} {asked.notes} {files.decode('latin-1')}"
    for form in FORMS.values():
        assert form not in written


@pytest.mark.promise(39)
@pytest.mark.parametrize(("kind", "variable"), [(OpenAIModel, "OPENAI_API_KEY"), (AnthropicModel, "ANTHROPIC_API_KEY")])
def test_a_missing_key_is_told_before_anything_is_sent(kind: Any, variable: str) -> None:
    with pytest.raises(ModelUnavailable, match=f"set {variable}"):
        kind("some-model").attend(Context())


@pytest.mark.promise(39)
@pytest.mark.parametrize("kind", [OpenAIModel, AnthropicModel])
def test_a_missing_package_is_told_with_its_extra(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=rf'pip install "fewshot\[{kind.provider}\]"'):
        kind("some-model")


@pytest.mark.promise(40)
@pytest.mark.parametrize("kind", [OpenAIModel, AnthropicModel])
def test_offline_asks_nobody_else(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ({"offline": True}, {"offline": True, "base_url": "https://example.org/v1"}):
        with pytest.raises(OfflineError, match="--offline forbids"):
            kind("some-model", **options)
    monkeypatch.setenv("FEWSHOT_OFFLINE", "1")
    with pytest.raises(OfflineError):
        kind("some-model")
    assert kind("some-model", base_url="http://127.0.0.1:9/v1").base_url


@pytest.mark.promise(38)
def test_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    asked = OpenAIModel("m", base_url="http://example.org/v1/", notify=told.append)
    assert asked.base_url == "http://example.org/v1"
    assert "without encryption" in told[0]
    assert OpenAIModel("m", base_url="https://example.org/v1").notes == ()
    assert AnthropicModel("m", base_url="http://localhost:1/v1").base_url == "http://localhost:1"
    for url, says in (("example.org", "no URL"), ("file:///etc", "no URL"), ("https://a:b@c/v1", "user or password")):
        with pytest.raises(UsageError, match=says):
            OpenAIModel("m", base_url=url)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:7/v1")
    assert OpenAIModel("m").base_url == "http://127.0.0.1:7/v1"
