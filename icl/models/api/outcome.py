"""What came of one request, in a form that is stored and read back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from evals.types import Status
from icl.models.api.money import Tokens


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, or the provider's word that there will be none.

    Attributes:
        text: what the model wrote.
        status: OK, TRUNCATED, REFUSED, FILTERED, or what ended the attempts.
        detail: why it is not OK.
        tokens: None where the server does not count.
        alternatives: (text, log-probability) of the most probable first tokens, if they were asked for.
        probabilities: (n_choices,) of a decision, or None.
        model, fingerprint: who the server says it is.
        attempts: how often the request was sent.
    """

    text: str = ""
    status: Status = Status.OK
    detail: str = ""
    tokens: Tokens | None = None
    alternatives: tuple[tuple[str, float], ...] = ()
    probabilities: tuple[float, ...] | None = None
    model: str = ""
    fingerprint: str = ""
    attempts: int = 1

    @property
    def worth_keeping(self) -> bool:
        """Whether it may be given to others who ask the same: refusals, truncations and empty answers may not."""
        return self.status is Status.OK and bool(self.text.strip() or self.alternatives or self.probabilities)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Outcome:
        """The outcome that `to_json` wrote."""
        probabilities = record["probabilities"]
        return cls(
            **{
                **record,
                "status": Status(record["status"]),
                "tokens": None if record["tokens"] is None else Tokens(**record["tokens"]),
                "alternatives": tuple((token, logprob) for token, logprob in record["alternatives"]),
                "probabilities": None if probabilities is None else tuple(probabilities),
            }
        )
