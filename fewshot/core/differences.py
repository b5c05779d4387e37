"""What differs between two configurations, said in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fewshot.core.hashing import canonical_json


def differences(before: Mapping[str, Any], after: Mapping[str, Any], shown: int = 12) -> str:
    """One line per differing value, by its dotted path; empty where the configurations agree.

    Args:
        before, after: JSON values.
        shown: how many lines are written out; the rest is counted.
    """
    one, other = dict(_leaves(before)), dict(_leaves(after))
    changed = [key for key in sorted({*one, *other}) if one.get(key, "absent") != other.get(key, "absent")]
    lines = [f"  {key}: {one.get(key, 'absent')} -> {other.get(key, 'absent')}" for key in changed[:shown]]
    if len(changed) > shown:
        lines.append(f"  and {len(changed) - shown} more")
    return "\n".join(lines)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(dotted path, JSON) of every leaf."""
    if isinstance(value, Mapping) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    else:
        yield path, canonical_json(value)
