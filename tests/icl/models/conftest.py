"""Tiny models, built from configurations with fixed weights, and a tokenizer trained on a few sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

CORPUS = [
    "Review: a lovely film, warm and funny. Sentiment: positive",
    "Review: dull from start to end. Sentiment: negative very positive positively",
    "리뷰: 정말 재미있는 영화였어요. 감정: 긍정",
    "리뷰: 지루하고 돈이 아까웠다. 감정: 부정 긍정적 부정적",
    "card arrival\nlost or stolen card\ntop up failed\n\nassistant user system",
]
CONTROLS = ["<|bos|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}


def fast_tokenizer(*, bos: bool = False, chat_template: str | None = None) -> Any:
    """A byte-level BPE tokenizer of transformers, freshly trained: the same every time."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=CONTROLS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    trimming = processors.ByteLevel(trim_offsets=True)
    adding = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    tokenizer.post_processor = processors.Sequence([trimming, adding]) if bos else trimming
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|bos|>", eos_token="<|im_end|>", model_max_length=256
    )
    wrapped.chat_template = chat_template
    return wrapped


def tiny_config(architecture: str, vocabulary: int) -> Any:
    from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig, Qwen2Config

    ids = {"vocab_size": vocabulary, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2}
    grouped = _SIZES | ids | {"num_key_value_heads": 2}
    if architecture == "llama":
        return LlamaConfig(**grouped)
    if architecture == "qwen2":
        return Qwen2Config(**grouped)
    if architecture == "gpt2":
        return GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256, initializer_range=0.3, **ids)
    if architecture == "gpt_neox":
        return GPTNeoXConfig(**_SIZES, **ids)
    return MistralConfig(**grouped, sliding_window=32)


ARCHITECTURES = ("llama", "qwen2", "gpt2", "gpt_neox", "mistral")


def save_tiny(folder: Path, architecture: str = "llama", **tokenizer_options: Any) -> Path:
    """Write a tiny model with its tokenizer, as `from_pretrained` reads them."""
    from transformers import AutoModelForCausalLM

    tokenizer = fast_tokenizer(**tokenizer_options)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(tiny_config(architecture, len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models lose more by handing work between threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny models: one per architecture, and Llama with a BOS and with two chat formats."""
    root = tmp_path_factory.mktemp("tiny")
    folders = {name: save_tiny(root / name, name) for name in ARCHITECTURES}
    folders["bos"] = save_tiny(root / "bos", bos=True)
    folders["chat"] = save_tiny(root / "chat", bos=True, chat_template=CHATML)
    folders["no-system"] = save_tiny(root / "no-system", bos=True, chat_template=NO_SYSTEM)
    return folders
