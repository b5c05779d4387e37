"""A word-level model of two layers, tasks that it can learn, and episodes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evals.episode import EpisodeSampler
from evals.metatrain import Episodes
from evals.task import Task
from evals.types import Example, Label, Query, TaskInfo
from icl.metatrain.sequences import Classes

WORDS = tuple(f"w{at}" for at in range(24))
LETTERS = tuple("ABCDEFGHIJ")
VOCABULARY = ("<s>", "\n", "->", ":", ".", "Text", "Label", *WORDS, *LETTERS, "yes", "no", "maybe")


def save_model(folder: Path, model: Any = None) -> Path:
    """A Llama of two layers whose tokens are words; a model that is given must have as many tokens."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    ids = {word: at for at, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<s>"))
    split = [
        pre_tokenizers.Split("\n", "isolated"),
        pre_tokenizers.Split(":", "isolated"),
        pre_tokenizers.Split(" ", "removed"),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>").save_pretrained(folder)
    if model is not None:
        model.save_pretrained(folder)
        return folder
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


class Texts:
    """Material whose classes are single words of their own."""

    def classes(self, index: int, random: np.random.RandomState, way: int, n: int) -> Classes:
        chosen = random.permutation(WORDS)[:way].tolist()
        labels = tuple(Label(word, word) for word in chosen)
        texts = tuple(tuple(Query("", word) for _ in range(n)) for word in chosen)
        return Classes(TaskInfo("words", "en", "classification"), labels, texts)


def task(n_rows: int = 120) -> Task:
    """Texts of four words; the first of them tells whether the label is yes or no."""
    random = np.random.RandomState(0)
    rows = []
    for at in range(n_rows):
        label = ("yes", "no")[at % 2]
        first = WORDS[random.randint(3) + 3 * (at % 2)]
        rest = [WORDS[i] for i in random.randint(6, len(WORDS), size=3)]
        rows.append(Example(f"r{at}", " ".join([first, *rest]), label))
    labels = (Label("yes", "yes"), Label("no", "no"))
    info = TaskInfo("toy", "en", "classification", template="minimal")
    return Task(info, labels, {"train": tuple(rows[: n_rows // 2]), "valid": tuple(rows[n_rows // 2 :])})


def episodes(part: str = "train", shot: int = 4, query: int = 4, n: int = 50) -> Episodes:
    """Episodes of the toy task; those to validate on show and ask its valid rows alone."""
    whole = task()
    rows = {"all": whole.rows[part]}
    sampler = EpisodeSampler(Task(whole.info, whole.labels, rows), 2, shot, query)
    return Episodes([sampler], n)
