"""What kind of task a table without a card holds, by the names of its columns."""

from __future__ import annotations

from collections.abc import Collection

from evals.card import Card

#: Columns that hold the answers, and the kind of task that their name says.
ANSWERS = {"label": "classification", "labels": "multilabel", "tags": "tagging", "tagged": "tagging"}
#: The second text of a pair.
_PAIR = "text_pair"


def shaped(
    card: Card, columns: Collection[str], *, kind: str | None = None, label: str | None = None
) -> tuple[Card, list[str]]:
    """The card of a table, completed, and a sentence on each thing that nobody said.

    A column `label` holds one label per text, `labels` several, `tags` one tag per word or token, and `tagged` the text
    with its entities in brackets. Beside a column `text_pair` the text is one of a pair.

    Args:
        columns: of the table.
        kind, label: what the user said.
    """
    known = [name for name, meant in ANSWERS.items() if name in columns and kind in (None, meant)]
    column = label or next(iter(known), card.source.label)
    found = kind or ANSWERS.get(column, card.kind)
    told = []
    if kind is None and found != card.kind:
        told.append(f"the column {column!r} makes it a {found} task; --kind says otherwise")
    changes: dict[str, object] = {"kind": found, "source": card.source.model_copy(update={"label": column})}
    if _PAIR in columns and found != "tagging":
        told.append(f"the column {_PAIR!r} holds the second text of each pair")
        changes |= {"fields": (_PAIR,), "template": "pair"}
    return card.model_copy(update=changes), told
