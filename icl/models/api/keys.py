"""Keys: where they come from, and how they are kept out of everything that is written."""

from __future__ import annotations

import base64
import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fewshot.core.errors import ModelUnavailable, UsageError

#: Stands where a key was.
HIDDEN = "[key]"
#: Looks like a key, whoever's it is.
_LOOKS_LIKE_A_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{16,}|(?<=Bearer )[A-Za-z0-9._~+/=-]{16,}")
#: Shorter ones (`none`, for servers that ask for no key) are words of the language.
_SHORTEST = 8
_COMMAND_TIMEOUT = 30.0


def find_key(variable: str, key_file: str | Path | None = None, key_cmd: str | None = None) -> str | None:
    """The key from a file, from what a command prints, or from the environment, in this order; else None.

    Args:
        variable: of the environment.
        key_file: holds the key alone.
        key_cmd: prints the key alone; run without a shell.

    Raises:
        UsageError: both a file and a command are given.
        ModelUnavailable: the file cannot be read, the command fails, or there is no key in either.
    """
    if key_file is not None and key_cmd is not None:
        raise UsageError("--key-file and --key-cmd cannot be used together; choose one")
    if key_file is not None:
        return _checked(_read(Path(key_file)), f"key file {key_file}")
    if key_cmd is not None:
        return _checked(_printed(key_cmd), "what --key-cmd prints")
    key = os.environ.get(variable, "").strip()
    return _checked(key, variable) if key else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelUnavailable(f"the key file {path} cannot be read ({type(error).__name__})") from None


def _printed(command: str) -> str:
    # Neither the command nor its output is repeated in a message: both may hold the key.
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_TIMEOUT, check=False
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ModelUnavailable(f"--key-cmd cannot be run ({type(error).__name__})") from None
    if done.returncode:
        raise ModelUnavailable(f"--key-cmd failed with exit code {done.returncode}")
    return done.stdout


def _checked(text: str, source: str) -> str:
    key = text.strip()
    if not key or not key.isascii() or any(character.isspace() for character in key):
        raise ModelUnavailable(f"{source}: this is no key; a key is one word of ASCII characters")
    return key


class Redactor:
    """Takes keys out of text: as they are, percent-encoded, in base64 at any offset, and what looks like a key.

    Args:
        keys: secrets, by their value.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        forms = [form for key in keys if len(key) >= _SHORTEST for form in (_spelled(key), *_encoded(key))]
        self._known = re.compile("|".join(forms), re.IGNORECASE) if forms else None

    def text(self, text: str) -> str:
        """The text without keys."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _LOOKS_LIKE_A_KEY.sub(HIDDEN, text)

    def __call__(self, value: Any) -> Any:
        """A JSON value without keys in any of its strings, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self(name): self(inner) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(inner) for inner in value]
        return value


def _spelled(key: str) -> str:
    """A pattern of the key whose characters are themselves, percent-encoded or escaped as in JSON, in any mixture."""
    return "".join(rf"(?:\\?{re.escape(c)}|%{ord(c):02x}|\\u00{ord(c):02x})" for c in key)


def _encoded(key: str) -> Iterator[str]:
    """Patterns of the key in hexadecimal and in base64, within a longer text too."""
    yield key.encode().hex()
    for offset in range(3):
        # Characters at the edges also depend on what stands before and after the key.
        characters = base64.b64encode(b"\0" * offset + key.encode()).decode()
        inner = characters[-(-offset * 8 // 6) : (offset + len(key)) * 8 // 6]
        yield re.escape(inner)
        yield re.escape(inner.translate(str.maketrans("+/", "-_")))
