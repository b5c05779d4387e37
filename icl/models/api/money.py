"""What requests cost. An unknown price is None, which is not zero."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from fewshot.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one answer, as the provider counts them.

    Attributes:
        input: of the whole prompt, cached ones included.
        cached: those of them that were read from the provider's prompt cache.
        cache_writes: those of them that were written to it.
        output: written by the model, its hidden reasoning included.
    """

    input: int = 0
    cached: int = 0
    cache_writes: int = 0
    output: int = 0


@dataclass(frozen=True)
class Prices:
    """Prices of one model.

    Args:
        provider: as the price list calls it, or None for a server that no price list knows.
        model: name at the provider.
        input_price, output_price: USD per million tokens, from whoever knows better than the list; both or neither.
        factor: what of the list's price is to be paid.
    """

    provider: str | None
    model: str
    input_price: float | None = None
    output_price: float | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        if (self.input_price is None) != (self.output_price is None):
            raise UsageError("input_price and output_price are given together, in USD per million tokens")

    def usd(self, tokens: Tokens) -> float | None:
        """What these tokens cost, or None where no price is known."""
        if self.input_price is not None and self.output_price is not None:
            return (tokens.input * self.input_price + tokens.output * self.output_price) / 1e6
        listed = None if self.provider is None else _listed(self.provider, self.model, tokens)
        return None if listed is None else listed * self.factor

    @property
    def known(self) -> bool:
        """Whether there is a price."""
        return self.usd(Tokens(input=1, output=1)) is not None


@lru_cache(maxsize=1024)
def _listed(provider: str, model: str, tokens: Tokens) -> float | None:
    """The price by the list of genai-prices, which is part of the package and needs no network."""
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    usage = Usage(
        input_tokens=tokens.input,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.cache_writes,
        output_tokens=tokens.output,
    )
    try:
        return float(calc_price(usage, model, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None
