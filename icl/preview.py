"""What would be sent for one query, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from fewshot.core.errors import UsageError
from icl.models.base import LanguageModel, ShowsTokens
from icl.planning import Plan, PlannedQuery


@dataclass(frozen=True)
class Preview:
    """What would be sent for one query.

    Attributes:
        shown: the prompt as text, chat turns as the model's own template writes them.
        query: the planned prompt, demonstrations and dropped demonstrations.
        continuations: (n_way,) the labels as they are scored after it.
        boundaries: (n_way,) per label, the (id, text) of the tokens around the place where it begins.
        n_tokens: length of the prompt.
        trie_size: tokens that all queries of the problem take together; boundaries and trie size are empty and None
            for models that do not show their tokens.
        notes: what a reader should know.
    """

    shown: str
    query: PlannedQuery
    continuations: tuple[str, ...]
    boundaries: tuple[tuple[tuple[int, str], ...], ...]
    n_tokens: int
    trie_size: int | None
    notes: tuple[str, ...]


def preview_of(plan: Plan, at: int, model: LanguageModel, notes: tuple[str, ...], scored: bool) -> Preview:
    """The preview of a planned query. Sends nothing.

    Args:
        plan: of the problem.
        at: index of the query.
        model: that would be asked.
        notes: what a reader should know.
        scored: whether labels would be scored, rather than written.

    Raises:
        UsageError: the query cannot be asked.
    """
    query, labels = plan.queries[at], plan.choices.continuations
    if query.prompt is None:
        raise UsageError(f"query {at} cannot be asked: {query.detail}")
    n_tokens = model.count_tokens(query.prompt)
    if not isinstance(model, ShowsTokens):
        turns = [f"[{message.role}]\n{message.content}" for message in query.prompt.messages]
        return Preview(query.prompt.text or "\n\n".join(turns), query, labels, (), n_tokens, None, notes)
    boundaries = tuple(tuple(model.boundary(query.prompt, label)) for label in labels)
    size = model.trie_size(plan.score_requests) if scored else None
    return Preview(model.render(query.prompt), query, labels, boundaries, n_tokens, size, notes)
