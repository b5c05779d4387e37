"""From prompts to token ids: where the continuation begins, which tokens control the model, and who adds the BOS.

Three rules, each the answer to an error seen elsewhere:

- The prompt and its continuation are tokenised as one string, and the boundary is found by character offsets. A merge
  across it would make the halves, tokenised apart, a sequence the model never saw.
- A token that would control the model counts only where a template wrote it. In data it is spelled out.
- The BOS is added once, by us, to completion prompts. A chat template writes its own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fewshot.core.errors import ModelUnavailable, UsageError
from icl.models.base import Prompt
from icl.models.chat import ChatTemplate

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

#: Continuations tokenised at a time: their offsets are bulky, their ids are not.
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A prompt with one continuation.

    Attributes:
        ids: (length,) int32.
        boundary: index of the continuation's first token.
        straddles: whether that token also covers the end of the prompt.
    """

    ids: np.ndarray
    boundary: int
    straddles: bool


class PromptTokenizer:
    """Tokenises prompts for one model.

    Args:
        tokenizer: a fast tokenizer of transformers, for our use alone: its post-processor is taken over.
        vocabulary: how many tokens the model has embeddings for, if that is known.

    Raises:
        ModelUnavailable: the tokenizer knows no character offsets, or a text has a token that the model does not.
    """

    def __init__(self, tokenizer: Any, vocabulary: int | None = None) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelUnavailable(
                f"the tokenizer of {tokenizer.name_or_path} gives no character offsets. "
                "Use a model whose folder has a tokenizer.json"
            )
        self.template = ChatTemplate.of(tokenizer)
        self._folder, self._vocabulary = tokenizer.name_or_path, vocabulary
        self._tokenizer: Tokenizer = tokenizer.backend_tokenizer
        self.bos_ids = _added_before(self._tokenizer)
        self.controls = _controls(self._tokenizer, self.template.source if self.template else "")
        _take_over(self._tokenizer)

    def encode(self, prompt: Prompt, continuations: Sequence[str]) -> list[Tokenized]:
        """Tokenise a prompt with each of its continuations.

        Raises:
            UsageError: a continuation is empty, or nothing stands before it.
        """
        if not all(continuations):
            raise UsageError("a continuation is empty: there is nothing to score. Give every label a verbalizer")
        spelled = any(map(self._has_control, [*_contents(prompt), *continuations]))
        text = self._render(prompt, spelled)
        found: list[Tokenized] = []
        for first in range(0, len(continuations), _BATCH):
            batch = [text + continuation for continuation in continuations[first : first + _BATCH]]
            for whole, encoding in zip(batch, self._encode_all(batch, spelled), strict=True):
                found.append(self._split(encoding, prompt, range(len(text), len(whole)), spelled))
        return found

    def locate(self, text: str, spans: Sequence[range]) -> tuple[np.ndarray, list[range]]:
        """The ids of a text with its BOS, and for spans of its characters the tokens that cover each of them."""
        spelled = self._has_control(text)
        (encoding,) = self._encode_all([text], spelled)
        ids = self._ids(encoding, Prompt(text), spelled)
        added = len(ids) - len(encoding)
        found = []
        for span in spans:
            tokens = [token for char in span if (token := encoding.char_to_token(char)) is not None]
            found.append(range(added + tokens[0], added + tokens[-1] + 1) if tokens else range(0))
        return ids, found

    def coverage(self, texts: Sequence[str]) -> tuple[float, float]:
        """How well texts are known: the share of unknown tokens, and tokens per character."""
        encodings = self._encode_all(list(texts), spelled=False)
        name = getattr(self._tokenizer.model, "unk_token", None)
        tokens = [token for encoding in encodings for token in encoding.tokens]
        return tokens.count(str(name)) / max(1, len(tokens)), len(tokens) / max(1, sum(map(len, texts)))

    def text(self, prompt: Prompt) -> str:
        """What the model reads, chat turns as the template writes them."""
        return self._render(prompt, spelled=False)

    def ids(self, prompt: Prompt) -> np.ndarray:
        """(length,) int32 token ids of a prompt without a continuation."""
        spelled = any(map(self._has_control, _contents(prompt)))
        (encoding,) = self._encode_all([self._render(prompt, spelled)], spelled)
        return self._ids(encoding, prompt, spelled)

    def count(self, prompt: Prompt | str) -> int:
        """Length in tokens; special tokens count for a Prompt and not for a bare string."""
        if isinstance(prompt, Prompt):
            return len(self.ids(prompt))
        (encoding,) = self._encode_all([prompt], spelled=self._has_control(prompt))
        return len(encoding)

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text of some tokens. Bytes that are no whole character come out as U+FFFD."""
        return self._tokenizer.decode(list(token_ids), skip_special_tokens=False)

    def _has_control(self, data: str) -> bool:
        return any(control in data for control in self.controls)

    def _render(self, prompt: Prompt, spelled: bool) -> str:
        if not prompt.messages:
            return prompt.text
        if self.template is None:
            raise UsageError("this model has no chat template, so it takes no messages. Use a completion template")
        if not spelled:
            return self.template.render(prompt.messages)
        return self.template.render_marked(prompt.messages, self._spelling.mark)

    def _encode_all(self, texts: list[str], spelled: bool) -> list[Encoding]:
        tokenizer = self._spelling.tokenizer if spelled else self._tokenizer
        try:
            return tokenizer.encode_batch(texts, add_special_tokens=False)
        except (UnicodeError, TypeError) as error:
            raise UsageError("a text holds lone surrogates, which are not Unicode. Repair its encoding") from error

    def _ids(self, encoding: Encoding, prompt: Prompt, spelled: bool) -> np.ndarray:
        ids = np.array(encoding.ids, np.int32)
        if spelled:
            ids = self._spelling.restore(ids)
        if self._vocabulary is not None and len(ids) and ids.max() >= self._vocabulary:
            token = self._tokenizer.id_to_token(int(ids.max()))
            raise ModelUnavailable(
                f"the tokenizer in {self._folder} has ids up to {max(self._tokenizer.get_vocab().values())}, and the "
                f"model only {self._vocabulary} embeddings: the token {token!r} cannot be read. They do not belong "
                "together, or the embeddings were not enlarged when tokens were added"
            )
        return ids if prompt.messages else np.concatenate([self.bos_ids, ids])

    def _split(self, encoding: Encoding, prompt: Prompt, continuation: range, spelled: bool) -> Tokenized:
        # Characters that a tokenizer drops belong to no token.
        tokens = (encoding.char_to_token(char) for char in continuation)
        first = next((token for token in tokens if token is not None), None)
        if first is None:
            raise UsageError("the tokenizer drops a whole continuation. Give the label another verbalizer")
        ids = self._ids(encoding, prompt, spelled)
        boundary = first + len(ids) - len(encoding)
        if boundary == 0:
            raise UsageError("nothing stands before the continuation, so its first token has no probability")
        span = encoding.token_to_chars(first)
        return Tokenized(ids, boundary, span is not None and span[0] < continuation.start)

    @cached_property
    def _spelling(self) -> _Spelling:
        return _Spelling(self._tokenizer, self.controls)


class _Spelling:
    """A twin of a tokenizer that knows its control tokens under secret names only.

    Templates are rendered with the secret names; what stands in the data under the public names is then plain text.
    The names are random, so that no data can hold one; they never reach the token ids.
    """

    def __init__(self, tokenizer: Tokenizer, controls: dict[str, int]) -> None:
        from tokenizers import Tokenizer

        key = secrets.token_hex(8)
        self._secret = {content: f"\ue000{key}-{token_id}\ue001" for content, token_id in controls.items()}
        description = json.loads(tokenizer.to_str())
        if description["model"]["type"] == "Unigram":
            # Its best segmentation may use any piece, so the public names leave the vocabulary too.
            for piece in description["model"]["vocab"]:
                piece[0] = self._secret.get(piece[0], piece[0])
        for token in description["added_tokens"]:
            if token["content"] in self._secret:
                token.update(content=self._secret[token["content"]], normalized=False)
        self.tokenizer: Tokenizer = Tokenizer.from_str(json.dumps(description))
        # Names that are new to the vocabulary, and those after them, may have got other ids than they had.
        self._original = {self.tokenizer.token_to_id(t["content"]): t["id"] for t in description["added_tokens"]}

    def mark(self, template_text: str) -> str:
        """Put the secret names in the place of the control tokens that a template wrote."""
        for content in sorted(self._secret, key=len, reverse=True):
            template_text = template_text.replace(content, self._secret[content])
        return template_text

    def restore(self, ids: np.ndarray) -> np.ndarray:
        return np.array([self._original.get(token, token) for token in ids.tolist()], np.int32)


def _contents(prompt: Prompt) -> list[str]:
    return [message.content for message in prompt.messages] or [prompt.text]


def _added_before(tokenizer: Tokenizer) -> np.ndarray:
    """The ids that the tokenizer itself puts before a text: one BOS, or nothing. What it adds after is left out."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    start = next((i for i in range(len(full)) if full[i : i + len(plain)] == plain), 0)
    return np.array(full[:start], np.int32)


def _controls(tokenizer: Tokenizer, chat_template: str) -> dict[str, int]:
    """Tokens that control the model: those marked special, and any added token that the chat template writes.

    Added runs of blanks are ordinary text for some vocabularies, though templates write them too.
    """
    return {
        token.content: token_id
        for token_id, token in tokenizer.get_added_tokens_decoder().items()
        if token.special or (token.content in chat_template and token.content.strip(" \t\r\n▁"))
    }


def _take_over(tokenizer: Tokenizer) -> None:
    """Turn off what would change ids or offsets unasked: special tokens, trimmed offsets, truncation, padding."""
    from tokenizers.processors import TemplateProcessing

    tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    tokenizer.no_truncation()
    tokenizer.no_padding()
