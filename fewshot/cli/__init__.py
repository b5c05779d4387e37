"""The command line. Thin: it parses, calls and prints; everything it does can be done from Python."""

from __future__ import annotations


def main() -> None:
    """Entry point of the `fewshot` command."""
    from fewshot.cli.app import app

    app()
