"""Language models on this machine: hub ids, model folders, GGUF files and the embedded models, all by transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from evals.learner import ignore
from evals.types import Status
from fewshot.core.devices import resolve_device, resolve_dtype
from fewshot.core.errors import ModelUnavailable, UsageError, unknown_name
from fewshot.core.hub import with_revision
from icl.models.base import (
    Capabilities,
    GenerateRequest,
    Generation,
    Prompt,
    ScoreRequest,
    ScoreResult,
    States,
)
from icl.models.checkpoint import Checkpoint
from icl.models.continuations import Gather, result_of, trie_of
from icl.models.execution import (
    Ask,
    Execution,
    HiddenStates,
    LogprobsAndStates,
    Reader,
    TrieRunner,
    next_token_logprobs,
    run_plain,
    run_prefix,
    run_reference,
)
from icl.models.generation import greedy
from icl.models.masks import TreeMasks
from icl.models.probing import (
    attention_window,
    continues_from_cache,
    masks_of_windows,
    steady_length,
    takes_tree_mask,
)
from icl.models.tokens import PromptTokenizer
from icl.models.trie import TokenTrie

_EXECUTIONS: tuple[Execution, ...] = get_args(Execution)


class LocalModel:
    """A causal language model of transformers.

    Nothing is loaded before it is needed: sizes and boundaries need the tokenizer alone. Code that comes with a model
    is never run, and weights are read from safetensors or GGUF only, never from pickles.

    Args:
        model: a Hugging Face id (with `@revision`, if need be), a folder, a GGUF file, or an embedded model's name.
        revision: branch, tag or commit of a Hugging Face id.
        dtype: "auto" (see `resolve_dtype`), "float32", "bfloat16" or "float16".
        device: "auto", or a torch device name.
        offline: load only what is on this machine. Models in the cache are never asked for again in any case.
        execution: how sequences that share beginnings are run. "trie" falls back to "prefix" where a model takes no
            tree mask, and both to plain passes where its cache does not hold, with a notice. A short probe decides.
        chunk_tokens: most tokens in one forward pass, which bounds the memory (see `TrieRunner`). By default 512 on a
            CPU, where more is no faster, and 4096 elsewhere.
        measured_demos, reads_labels: what was measured of these weights (see `Capabilities`).
        notify: told in one line about downloads, conversions and fallbacks.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        dtype: str = "auto",
        device: str = "auto",
        offline: bool = False,
        execution: Execution = "trie",
        chunk_tokens: int | None = None,
        measured_demos: int | None = None,
        reads_labels: bool = False,
        notify: Callable[[str], None] = ignore,
    ) -> None:
        if execution not in _EXECUTIONS:
            raise unknown_name("execution", execution, _EXECUTIONS)
        if chunk_tokens is not None and chunk_tokens < 1:
            raise UsageError(f"chunk_tokens is {chunk_tokens}, but at least one token must fit in a forward pass")
        self.name = str(model)
        self.model, self.revision = with_revision(self.name, revision)
        self.dtype = dtype
        self.device = device
        self.offline = offline
        self.execution: Execution = execution
        self.chunk_tokens = chunk_tokens
        self.measured_demos = measured_demos
        self.reads_labels = reads_labels
        self.notify = notify
        self.notes: tuple[str, ...] = ()
        self._checkpoint = Checkpoint(self.model, self.revision, dtype, device, offline, notify)

    @cached_property
    def capabilities(self) -> Capabilities:
        config = self._checkpoint.config.get_text_config()
        length = getattr(config, "max_position_embeddings", None) or self._checkpoint.tokenizer.model_max_length
        template, embedded = self._tokenizer.template, self._checkpoint.embedded
        return Capabilities(
            context_length=int(length),
            scores=True,
            chat=template is not None,
            system_role=template is not None and template.system_role,
            languages=embedded.languages if embedded else (),
            measured_demos=self.measured_demos,
            reads_labels=self.reads_labels,
        )

    @property
    def weights(self) -> Any:
        """The model of transformers itself, loaded."""
        return self._checkpoint.weights

    @property
    def tokenizer(self) -> PromptTokenizer:
        """What puts prompts into tokens."""
        return self._tokenizer

    def fresh_tokenizer(self) -> Any:
        """The tokenizer of transformers as it was published; the one that prompts go through is changed."""
        return replace(self._checkpoint).tokenizer

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """Exact log-probabilities; every token that prompts and continuations share is computed once.

        Values that are not finite are the model's own (float16 overflows in some): they are returned as they are.

        Raises:
            UsageError: an empty continuation, nothing before it, or a sequence longer than the context.
        """
        return self.read(requests, (), ())[0]

    def next_token(self, prompts: Sequence[Prompt], top_k: int = 20) -> list[dict[str, float]]:
        """The `top_k` most probable next tokens of each prompt with their log-probabilities, best first."""
        import torch

        sequences = [self._nonempty(prompt) for prompt in prompts]
        if not sequences:
            return []
        trie = TokenTrie.build(sequences, [len(sequence) - 1 for sequence in sequences])
        best: dict[int, dict[str, float]] = {}

        def read(nodes: np.ndarray, logprobs: Any) -> None:
            values, ids = torch.topk(logprobs, min(top_k, logprobs.shape[-1]))
            for node, row, tokens in zip(nodes.tolist(), values.tolist(), ids.tolist(), strict=True):
                best[node] = {}
                for value, token in zip(row, tokens, strict=True):
                    # Parts of characters share one text: the most probable of them stands for it.
                    best[node].setdefault(self._tokenizer.text_of([token]), value)

        self._run(trie, sequences, np.array([len(sequence) for sequence in sequences]), read)
        return [best[int(nodes[-1])] for nodes in trie.tails]

    def states(self, prompts: Sequence[Prompt], layers: Sequence[int] = (-1,)) -> States:
        """The hidden states after the last token of each prompt; every token that prompts share is computed once.

        Args:
            layers: from 0, the token embedding, to `n_layers`, which the vocabulary is read from; negative ones count
                from there.

        Raises:
            UsageError: an empty prompt, one that is longer than the context, or a layer that the model does not have.
        """
        return self.read((), prompts, layers)[1]

    def read(
        self, requests: Sequence[ScoreRequest], prompts: Sequence[Prompt], layers: Sequence[int]
    ) -> tuple[list[ScoreResult], States]:
        """What `score` and `states` give, by one trie: what requests and prompts share is computed once, too.

        A token that a request and a prompt share is counted for one of them.
        """
        wrong = [layer for layer in layers if not -self.n_layers - 1 <= layer <= self.n_layers]
        if wrong:
            raise UsageError(f"{self.name} has layers 0 to {self.n_layers}, and -1 for the last, but not {wrong[0]}")
        tokenized = [self._tokenizer.encode(request.prompt, request.continuations) for request in requests]
        flat = [sequence for group in tokenized for sequence in group]
        ids = [self._nonempty(prompt) for prompt in prompts]
        sequences = [*(sequence.ids[:-1] for sequence in flat), *ids]
        if not sequences:
            return [ScoreResult(()) for _ in requests], States(np.empty((0, len(layers), 0), np.float32))
        trie = trie_of(flat, ids)
        scored, last = trie.tails[: len(flat)], [int(nodes[-1]) for nodes in trie.tails[len(flat) :]]
        found = Gather(scored, [sequence.ids[sequence.boundary :] for sequence in flat])
        states: dict[int, np.ndarray] = {}

        def keep(nodes: np.ndarray, values: Any) -> None:
            states.update(zip(nodes.tolist(), values.cpu().numpy(), strict=True))

        def keep_both(nodes: np.ndarray, values: Any) -> None:
            found.read(nodes, values[0])
            keep(nodes, values[1])

        ask: Ask = LogprobsAndStates(tuple(layers)) if flat else HiddenStates(tuple(layers))
        reader = keep_both if flat else keep
        lengths = np.array([len(sequence) for sequence in sequences])
        fresh = self._run(trie, sequences, lengths, *((reader, ask) if ids else (found.read, next_token_logprobs)))
        values, counts = iter(found.by_sequence), iter(zip(fresh, lengths, strict=True))
        results = [result_of(r, g, values, counts) for r, g in zip(requests, tokenized, strict=True)]
        rows = np.stack([states[node] for node in last]) if last else np.empty((0, len(layers), 0), np.float32)
        own = slice(len(flat), None)
        return results, States(rows, int(fresh[own].sum()), int((lengths[own] - fresh[own]).sum()))

    @property
    def n_layers(self) -> int:
        """How many layers the model has. Needs no weights."""
        return int(self._checkpoint.config.get_text_config().num_hidden_layers)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generation]:
        """Greedy continuations. What all prompts share is computed once."""
        prompts = [self._nonempty(request.prompt) for request in requests]
        limit = self.capabilities.context_length
        written = [Generation("", Status.CONTEXT_EXCEEDED, tokens_in=len(ids)) for ids in prompts]
        fitting = [i for i, ids in enumerate(prompts) if len(ids) + requests[i].max_tokens <= limit]
        if not fitting:
            return written
        jobs = [(prompts[i], requests[i]) for i in fitting]
        with self._computing():
            longest = max(len(ids) + request.max_tokens for ids, request in jobs)
            found = greedy(self.weights, self._tokenizer, jobs, self._chunk, cached=self._can_continue(longest))
            for i, generation in zip(fitting, found, strict=True):
                written[i] = generation
        return written

    def count_tokens(self, prompt: Prompt | str) -> int:
        return self._tokenizer.count(prompt)

    def render(self, prompt: Prompt) -> str:
        """The exact text that the model reads. Needs no weights."""
        return self._tokenizer.text(prompt)

    def trie_size(self, requests: Sequence[ScoreRequest]) -> int:
        """Tokens that `score` will run for these requests. Needs no weights."""
        flat = [s for request in requests for s in self._tokenizer.encode(request.prompt, request.continuations)]
        return len(trie_of(flat)) if flat else 0

    def boundary(self, prompt: Prompt, continuation: str, before: int = 3) -> list[tuple[int, str]]:
        """The last `before` tokens of the prompt and all of the continuation, as (id, text). Needs no weights."""
        (sequence,) = self._tokenizer.encode(prompt, [continuation])
        shown = sequence.ids[max(0, sequence.boundary - before) :].tolist()
        return [(token, self._tokenizer.text_of([token])) for token in shown]

    def describe(self) -> dict[str, Any]:
        import torch
        import transformers

        device = resolve_device(self.device)
        return {
            "name": self.name,
            **self._checkpoint.identity,
            "dtype": resolve_dtype(self.dtype, device),
            "device": device,
            "execution": self.execution,
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        }

    def _nonempty(self, prompt: Prompt) -> np.ndarray:
        ids = self._tokenizer.ids(prompt)
        if not len(ids):
            raise UsageError("the prompt is empty, and this model has no token that begins a text")
        return ids

    def _run(
        self,
        trie: TokenTrie,
        sequences: list[np.ndarray],
        lengths: np.ndarray,
        read: Reader,
        ask: Ask = next_token_logprobs,
    ) -> np.ndarray:
        """Run the sequences and return how many tokens were computed for each."""
        longest, limit = int(lengths.max()), self.capabilities.context_length
        if longest > limit:
            raise UsageError(f"a prompt with its label takes {longest} tokens, but {self.name} reads at most {limit}")
        with self._computing():
            if self.execution == "reference":
                run_reference(self.weights, sequences, trie.tails, read, ask)
                return lengths
            wanted = np.unique(np.concatenate(trie.tails))
            if self.execution == "trie" and (masks := self._masks(longest)) is not None:
                TrieRunner(self.weights, trie, wanted, read, self._chunk, ask, masks).run()
            elif self._can_continue(longest):
                run_prefix(self.weights, trie, wanted, read, self._chunk, ask)
            else:
                return run_plain(self.weights, sequences, trie, read, ask)
            return trie.fresh

    def _masks(self, longest: int) -> TreeMasks | None:
        """The masks for packed branches of texts of this length, or None where the model takes none."""
        config = self._checkpoint.config
        if longest <= steady_length(config):
            if longest <= attention_window(config) and self._takes_tree_mask:
                return TreeMasks()
            if longest > attention_window(config) and self._masks_of_windows is not None:
                return self._masks_of_windows
        if self._can_continue(longest):
            self._note(f"{self.name} takes no tree mask at this length: branches are run one by one on a cached prefix")
        return None

    def _can_continue(self, longest: int) -> bool:
        if longest <= steady_length(self._checkpoint.config) and self._continues_from_cache:
            return True
        self._note(f"{self.name} reads pieces otherwise than the whole: each text is run from its start, which is slow")
        return False

    @cached_property
    def _takes_tree_mask(self) -> bool:
        return takes_tree_mask(self.weights)

    @cached_property
    def _masks_of_windows(self) -> TreeMasks | None:
        return masks_of_windows(self.weights)

    @cached_property
    def _continues_from_cache(self) -> bool:
        return continues_from_cache(self.weights)

    def _note(self, note: str) -> None:
        """Keep a note for the record and tell the user, once."""
        if note not in self.notes:
            self.notes += (note,)
            self.notify(note)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        import torch

        try:
            with torch.inference_mode():
                yield
        except torch.OutOfMemoryError as error:
            raise ModelUnavailable(
                f"{self.name} does not fit in the memory of {self.weights.device}. "
                f"Use a smaller chunk_tokens than {self._chunk}, --dtype bfloat16 or --device cpu"
            ) from error

    @property
    def _chunk(self) -> int:
        return self.chunk_tokens or (512 if resolve_device(self.device) == "cpu" else 4096)

    @cached_property
    def _tokenizer(self) -> PromptTokenizer:
        vocabulary = getattr(self._checkpoint.config.get_text_config(), "vocab_size", None)
        tokenizer = PromptTokenizer(self._checkpoint.tokenizer, vocabulary)
        if tokenizer.template is not None and not tokenizer.template.system_role:
            self._note(f"{self.name} has no system role: system messages begin the first user turn")
        return tokenizer


def _embedded(
    model: str, *, measured_demos: int, reads_labels: bool = False, dtype: str = "auto"
) -> Callable[..., LocalModel]:
    """What builds an embedded model: the options of a language model on this machine that are no facts about weights.

    Args:
        dtype: its default.
    """
    default = dtype

    def build(
        *,
        dtype: str = default,
        device: str = "auto",
        offline: bool = False,
        execution: Execution = "trie",
        chunk_tokens: int | None = None,
        notify: Callable[[str], None] = ignore,
    ) -> LocalModel:
        return LocalModel(
            model,
            dtype=dtype,
            device=device,
            offline=offline,
            execution=execution,
            chunk_tokens=chunk_tokens,
            measured_demos=measured_demos,
            reads_labels=reads_labels,
            notify=notify,
        )

    build.__dict__["documented_by"] = (LocalModel,)
    return build


#: SmolLM2-135M-Instruct, English, 135 million parameters (Allal et al. 2025).
smollm2 = _embedded("smollm2", measured_demos=5)
#: Gemma 3 270M, a base model for many languages (Gemma Team 2025), never taken unless it is named. Its weights are
#: under the Gemma Terms of Use: `fewshot models pull gemma3 --accept-terms` fetches them.
gemma3 = _embedded("gemma3", measured_demos=10)
#: The model for Korean, 9 million parameters: so small that float32 costs nothing anywhere.
ko_mini = _embedded("ko-mini", measured_demos=10, reads_labels=True, dtype="float32")
