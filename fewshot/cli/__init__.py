"""The command line. Thin: it parses, calls and prints; everything it does can be done from Python."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Entry point of the `fewshot` command."""
    _open_what_is_closed()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill takes half-written files away, as Ctrl-C does
    try:
        from fewshot.cli.app import app

        app()
    except KeyboardInterrupt:  # before a command began, or after it: the command itself says how to go on
        sys.stderr.write("error: interrupted\n")
        sys.stderr.flush()
        os._exit(130)  # modules that are half imported need not be taken down


def _open_what_is_closed() -> None:
    """Give closed standard streams the null device: the next file that is opened must not become stdout."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))
