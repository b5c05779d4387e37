"""The tokenizer: byte-level BPE, trained on the texts of the model and on the words that stand for labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

#: Token 0 begins a text, token 1 ends it and fills up.
_BEGIN, _END = "<s>", "</s>"
#: How often each label word is shown to the trainer, per million texts: often enough to become one token.
_WORDS_PER_MILLION = 20_000
_LEAST = 50


def train_tokenizer(texts: Sequence[str], words: Iterable[str], vocabulary: int, context: int) -> Any:
    """A fast tokenizer of transformers. Any text can be written with it: what it does not know it spells in bytes.

    Args:
        texts: what the merges are learned from.
        words: label words; each becomes a single token after a blank, as far as the vocabulary has room.
        vocabulary: entries at most.
        context: tokens that the model reads at most.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    often = max(_LEAST, len(texts) * _WORDS_PER_MILLION // 1_000_000)

    def shown() -> Iterator[str]:
        yield from texts
        for word in words:
            for _ in range(often):
                yield f" {word}"

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[_BEGIN, _END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(shown(), trainer)
    adding = processors.TemplateProcessing(single=f"{_BEGIN} $A", special_tokens=[(_BEGIN, 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=True), adding])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=_BEGIN, eos_token=_END, pad_token=_END, model_max_length=context
    )
