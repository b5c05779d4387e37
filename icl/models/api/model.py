"""Hosted language models: the verbs of the contract, in terms of requests."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from evals.learner import Budget, Context, Ledger, ignore
from evals.types import Status
from fewshot.core.errors import MissingExtra, ModelUnavailable, UsageError, unknown_name
from fewshot.core.network import is_local, proxy_of
from icl.models.api.anthropic import Anthropic
from icl.models.api.batch import BATCH_POLICY, AnthropicBatches, Batches, Batching, OpenAIBatches
from icl.models.api.cache import ResponseCache
from icl.models.api.capabilities import Parameters, capabilities_of, family_of
from icl.models.api.counting import prompt_tokens, text_tokens
from icl.models.api.dialect import Call, Dialect, Settings, cut
from icl.models.api.engine import Answered, Engine, Limits
from icl.models.api.keys import Redactor, find_key
from icl.models.api.loop import LoopThread
from icl.models.api.money import Prices, Tokens
from icl.models.api.openai import OpenAI
from icl.models.api.retry import Clock, Policy, SystemClock
from icl.models.api.thinking import thinks_aloud, without_thinking
from icl.models.api.transport import MOST_MIB, Provider, Reply, Transport, checked_url, require_sdk
from icl.models.base import (
    Capabilities,
    Decision,
    DecisionRequest,
    GenerateRequest,
    Generation,
    Prompt,
    ScoreRequest,
    ScoreResult,
)

_APIS = ("chat", "responses")
#: Tokens granted to models that reason before they answer, beyond the answer.
_REASONING_TOKENS = 2048
#: What batches cost, in terms of the list's prices, at both providers.
_BATCH_FACTOR = 0.5
#: Who the server says it is changes now and then; a record needs no more than this many names.
_MOST_NAMES = 8


class APIModel:
    """A language model behind an HTTP API. Nothing is sent, and no key is looked for, before a run begins.

    Args:
        model: name at the provider.
        base_url: of a server that speaks the same language; None is the provider's own (or its environment variable).
        revision: of the model behind the name, where its user knows one; keeps cached answers apart.
        api: "chat" or "responses", of OpenAI.
        temperature, seed: sent where the model takes them; None leaves them out.
        effort: of reasoning; None asks for the least that the model has.
        strip_thinking: whether `<think>...</think>` is taken out of answers, and 2,048 tokens are granted for it.
        context_length: tokens, where the table of models does not know better.
        concurrency: requests at a time.
        rpm, tpm: most requests and tokens per minute.
        timeout: seconds for one attempt.
        deadline: seconds for a request with all its retries.
        key_file: holds the key; by default it is taken from the environment.
        key_cmd: prints the key.
        max_cost, max_requests: stop before this model object has spent more USD, or sent more requests.
        cache: whether answers are read from and written to the cache on disk.
        batch: whether requests go through the provider's batch API: cheaper, and hours slower.
        input_price, output_price: USD per million tokens, where the price list does not know.
        max_reply_mib: MiB of a reply that are read; a larger one is a bad response.
        offline: whether other machines are forbidden.
        notify: told in one line about waits and fallbacks.
        clock: tells and passes the time.
    """

    provider: ClassVar[Provider]
    default_url: ClassVar[str]
    dialect: ClassVar[Callable[[Settings], Dialect]]
    batches: ClassVar[Callable[[Transport], Batches]]

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        revision: str | None = None,
        api: str = "chat",
        temperature: float | None = 0.0,
        seed: int | None = None,
        effort: str | None = None,
        strip_thinking: bool = False,
        context_length: int | None = None,
        concurrency: int = 8,
        rpm: float | None = None,
        tpm: float | None = None,
        timeout: float = 60.0,
        deadline: float = 300.0,
        key_file: str | Path | None = None,
        key_cmd: str | None = None,
        max_cost: float | None = None,
        max_requests: int | None = None,
        cache: bool = True,
        batch: bool = False,
        input_price: float | None = None,
        output_price: float | None = None,
        max_reply_mib: float = MOST_MIB,
        offline: bool = False,
        notify: Callable[[str], None] = ignore,
        clock: Clock | None = None,
    ) -> None:
        require_sdk(self.provider)
        offline = offline or os.environ.get("FEWSHOT_OFFLINE") == "1"
        if api not in _APIS:
            raise unknown_name("API", api, _APIS)
        if not max_reply_mib > 0:
            raise UsageError(f"max_reply_mib={max_reply_mib} lets no reply through; use a number above 0")
        self.model = str(model)
        self.name = f"{self.provider}:{self.model}"
        self.revision = revision
        self.notify = notify
        self.notes: tuple[str, ...] = ()
        self.base_url = self._url(base_url, offline)
        self.official = urlsplit(self.base_url).hostname == urlsplit(self.default_url).hostname
        family = family_of(self.provider, self.model)
        reasons = self.official and bool(family.effort) and (effort or family.effort) != "none"
        granted = _REASONING_TOKENS if reasons or strip_thinking or effort not in (None, "none") else 0
        self.settings = Settings(self.model, family, self.official, api, temperature, seed, effort, granted)
        self.policy = BATCH_POLICY if batch else Policy(timeout, deadline)
        asked = Limits(concurrency, rpm, tpm)
        self.limits = replace(asked, concurrency=Batching.MOST) if batch else asked
        listed = self.provider if self.official else None
        self.prices = Prices(listed, self.model, input_price, output_price, _BATCH_FACTOR if batch else 1.0)
        self.capabilities: Capabilities = capabilities_of(
            family, official=self.official, context_length=context_length, concurrency=self.limits.concurrency
        )
        if strip_thinking:
            # The first token is one of a thought.
            self.capabilities = replace(self.capabilities, top_logprobs=0)
        self._strips = strip_thinking
        self._concurrency = concurrency
        self._key_source = (key_file, key_cmd)
        self._most_mib = max_reply_mib
        self._budget = Budget(max_cost, max_requests)
        self._cached = cache
        self._batched = batch
        self._clock = clock or SystemClock()
        self._loop = LoopThread()
        self._guard = threading.Lock()
        self._names: set[tuple[str, str]] = set()

    def attend(self, ctx: Context) -> None:
        """Keep to the budget of this context and note what is paid for in its ledger, from now on."""
        limited = any(budget.max_usd is not None for budget in (ctx.budget, self._budget))
        if limited and not self.prices.known:
            if self.official and importlib.util.find_spec("genai_prices") is None:
                raise MissingExtra("--max-cost", "prices")
            raise UsageError(
                f"the price of {self.name} is not known, so --max-cost cannot be kept. Use --max-requests, or give "
                "prices with the model: input_price=..., output_price=... (USD per million tokens)"
            )
        self._engine.attend(ctx)

    def foresee(self, requests: Sequence[GenerateRequest]) -> tuple[int, float | None]:
        """Estimated tokens and USD (None: unknown) of these requests, at most. Sends nothing."""
        calls = self._calls(requests)
        tokens = Tokens(input=sum(call.prompt_tokens for call in calls), output=sum(call.max_tokens for call in calls))
        return tokens.input + tokens.output, self.prices.usd(tokens)

    def abandon(self) -> None:
        """Wait for no answer any longer."""
        self._loop.cancel()

    def score(self, requests: Sequence[ScoreRequest]) -> list[ScoreResult]:
        """Not possible: no hosted API gives the log-probability of a text that it did not write itself."""
        raise UsageError(f"model {self.name!r} gives no log-probabilities of whole labels; use --method generate")

    def next_token(self, prompts: Sequence[Prompt], top_k: int = 20) -> list[dict[str, float]]:
        """The most probable first tokens of each answer; empty where there is no answer or no log-probabilities."""
        wanted = min(top_k, self.capabilities.top_logprobs)
        if not wanted:
            raise UsageError(f"model {self.name!r} gives no log-probabilities")
        written = self.generate([GenerateRequest(prompt, max_tokens=1, top_logprobs=wanted) for prompt in prompts])
        return [dict(generation.alternatives) for generation in written]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generation]:
        """Answers, as deterministic as the provider makes them."""
        written = [_generation(found) for found in self._ask(self._calls(requests))]
        if self._strips:
            return [_spoken(generation, request) for generation, request in zip(written, requests, strict=True)]
        if any(thinks_aloud(generation.text) for generation in written):
            self._note(f"{self.name} writes what it thinks: strip_thinking=true of the model takes <think> blocks out")
        return written

    def count_tokens(self, prompt: Prompt | str) -> int:
        """An estimate on the high side: the tokenizer is the provider's."""
        return text_tokens(prompt) if isinstance(prompt, str) else prompt_tokens(prompt)

    def describe(self) -> dict[str, Any]:
        """Who is asked, and how. Keys, limits and the cache decide nothing, and are left out."""
        settings = self.settings
        return {
            "name": self.name,
            "base_url": self.base_url,
            "revision": self.revision,
            "api": settings.api,
            "temperature": settings.temperature,
            "seed": settings.seed,
            "effort": settings.effort,
            "context_length": self.capabilities.context_length,
            **({"strip_thinking": True} if self._strips else {}),
        }

    def _calls(self, requests: Sequence[GenerateRequest]) -> list[Call]:
        if self._strips:
            # A stop word in a thought would end the answer before it begins.
            requests = [replace(request, stop=()) for request in requests]
        return [self._dialect.generate(request) for request in requests]

    def _ask(self, calls: Sequence[Call]) -> list[Answered]:
        if not calls:
            return []
        with self._guard:
            engine = self._engine
        found = self._loop.run(engine.ask(calls))
        for answered in found:
            self._note_name(answered.outcome.model, answered.outcome.fingerprint)
        return found

    def _note_name(self, model: str, fingerprint: str) -> None:
        name = (model, fingerprint)
        if not model or name in self._names or len(self._names) >= _MOST_NAMES:
            return
        self._names.add(name)
        version = f" (system fingerprint {fingerprint})" if fingerprint else ""
        self.notes += (f"answers by {model}{version}: a hosted model's answers are not reproducible",)

    def _note(self, note: str) -> None:
        """Keep a note for the record and tell the user, once."""
        if note not in self.notes:
            self.notes += (note,)
            self.notify(note)

    def _url(self, given: str | None, offline: bool) -> str:
        variable = f"{self.provider.upper()}_BASE_URL"
        found = given or os.environ.get(variable) or self.default_url
        url = checked_url(found, offline=offline, source="--base-url" if given else variable)
        place = urlsplit(url).netloc
        if not given and found != self.default_url:
            self._note(f"{self.name} is asked at {place}, which {variable} names")
        if (proxy := proxy_of(url)) is not None:
            self._note(f"{place} is asked through the proxy {proxy[1]}, which {proxy[0]} names")
        if urlsplit(url).scheme == "http" and not is_local(url):
            self._note(f"{place} is asked without encryption: key and texts can be read on the way")
        if f"{self.provider.upper()}_CUSTOM_HEADERS" in os.environ:
            self._note(f"{self.provider.upper()}_CUSTOM_HEADERS is not used: only our own headers are sent")
        return url

    @cached_property
    def _dialect(self) -> Dialect:
        return type(self).dialect(self.settings)

    @cached_property
    def _key(self) -> str | None:
        variable = f"{self.provider.upper()}_API_KEY"
        key = find_key(variable, *self._key_source)
        if key is None and self.official:
            raise ModelUnavailable(f"{self.name} needs a key: set {variable}, or use --key-file or --key-cmd")
        return key

    @cached_property
    def _engine(self) -> Engine:
        transport = Transport(
            self.provider,
            self.base_url,
            self._key,
            self._concurrency,
            official=self.official,
            most_mib=self._most_mib,
        )
        redact = Redactor([self._key] if self._key else [])
        identity = {
            "provider": self.provider,
            "base_url": self.base_url,
            "model": self.model,
            "revision": self.revision,
        }

        async def post(key: str, call: Call) -> Reply:
            return await transport.post(call.path, call.body)

        def ledger() -> Ledger:
            return self._engine.context.ledger

        return Engine(
            self.name,
            identity,
            Batching(type(self).batches(transport), ledger, redact, self._clock).send if self._batched else post,
            parameters=Parameters(self.settings.family.lacks if self.official else frozenset()),
            policy=self.policy,
            limits=self.limits,
            prices=self.prices,
            budget=self._budget,
            redact=redact,
            cache=ResponseCache() if self._cached else None,
            clock=self._clock,
            note=self._note,
            first_alone=not self._batched,
        )


class OpenAIModel(APIModel):
    """A model of OpenAI, or of any server that speaks its language (vLLM, SGLang, Ollama, transformers serve)."""

    provider = "openai"
    default_url = "https://api.openai.com/v1"
    dialect = OpenAI
    batches = OpenAIBatches

    def decide(self, requests: Sequence[DecisionRequest]) -> list[Decision]:
        """How probable each of the choices is."""
        if self._batched:
            raise UsageError("decisions cannot be batched; leave --batch out, or use --method generate")
        dialect = OpenAI(self.settings)
        found = self._ask([dialect.decide(request) for request in requests])
        return [Decision(a.outcome.probabilities, a.outcome.status, a.outcome.detail, a.usage) for a in found]


class AnthropicModel(APIModel):
    """A model of Anthropic."""

    provider = "anthropic"
    default_url = "https://api.anthropic.com"
    dialect = Anthropic
    batches = AnthropicBatches

    def _url(self, given: str | None, offline: bool) -> str:
        # The version is part of the paths of this API; servers of several APIs are often named with it.
        return super()._url(given, offline).removesuffix("/v1")


def _spoken(generation: Generation, request: GenerateRequest) -> Generation:
    """What a model answered, without what it thought."""
    if generation.status is not Status.OK:
        return generation
    return replace(generation, text=cut(without_thinking(generation.text), request.stop))


def _generation(answered: Answered) -> Generation:
    outcome, usage = answered.outcome, answered.usage
    return Generation(
        outcome.text if outcome.status is Status.OK else outcome.detail,
        outcome.status,
        usage.tokens_in,
        usage.tokens_out,
        usage.tokens_cached,
        usage.usd,
        usage.requests,
        outcome.alternatives,
    )
