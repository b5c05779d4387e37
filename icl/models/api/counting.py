"""Lengths in tokens of models whose tokenizers are not here: estimates, on the high side."""

from __future__ import annotations

from icl.models.base import Prompt

#: English takes four UTF-8 bytes or more per token, Hangul about two or three (a syllable has three).
_BYTES_PER_TOKEN = 3
#: What a turn takes beside its text.
_PER_TURN = 5


def text_tokens(text: str) -> int:
    """Tokens of a text."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES_PER_TOKEN)


def prompt_tokens(prompt: Prompt) -> int:
    """Tokens of a prompt, its turns included."""
    contents = [prompt.text] if prompt.text else [message.content for message in prompt.messages]
    return sum(text_tokens(content) + _PER_TURN for content in contents)
