"""What users of an estimator may hand in: texts and labels of any Python or NumPy type, checked and made plain."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from evals.sources import LONE_SURROGATE
from fewshot.core.errors import UsageError
from fewshot.core.images import Image


class InputError(UsageError, ValueError):
    """Texts or labels that an estimator cannot use. A ValueError too, as scikit-learn's users expect."""


def known_texts(texts: Iterable[str]) -> list[str]:
    """Texts as a list of plain strings, or images as they are.

    Raises:
        InputError: one string alone, something that is no string, a lone surrogate, or texts among images.
    """
    if isinstance(texts, str):
        raise InputError("one string was given where a list of texts is expected; write [text]")
    known = list(texts)
    for at, text in enumerate(known):
        if not isinstance(text, str):
            raise InputError(f"texts[{at}] is of type {type(text).__name__}; texts are strings")
        if LONE_SURROGATE.search(text):
            raise InputError(f"texts[{at}] holds half a character (a lone surrogate); remove or repair it")
    images = [isinstance(text, Image) for text in known]
    if any(images) and not all(images):
        raise InputError(f"texts[{images.index(False)}] is a text, and others are images; give one or the other")
    return known if any(images) else [str(text) for text in known]


def known_labels(labels: Iterable[Hashable]) -> list[Hashable]:
    """Labels as Python values: those of an array or a column come out of their NumPy types.

    Raises:
        InputError: a label that is missing or cannot be hashed.
    """
    known = labels.tolist() if hasattr(labels, "tolist") else list(labels)  # pyright: ignore[reportAttributeAccessIssue]
    for at, label in enumerate(known):
        if not isinstance(label, Hashable):
            raise InputError(
                f"labels[{at}] is of type {type(label).__name__}; labels are strings, numbers or other hashable values"
            )
        if label is None or label != label:
            raise InputError(f"labels[{at}] is missing ({label}); drop the text or name a class for it")
    return known


def in_order(labels: Iterable[Hashable]) -> list[Any]:
    """Natural order, or by type and text where labels do not compare."""
    try:
        return sorted(labels)  # pyright: ignore[reportArgumentType, reportCallIssue]
    except TypeError:
        return sorted(labels, key=lambda label: (type(label).__name__, repr(label)))


def names_of(classes: Sequence[Hashable]) -> list[str]:
    """A text for each class: its own, or its repr where two classes would read the same (1 and "1").

    Raises:
        InputError: two classes have the same repr, too.
    """
    for write in (str, repr):
        names = [write(label) for label in classes]
        if len(set(names)) == len(names):
            return names
    raise InputError(f"different labels are written alike: {', '.join(sorted(names))}")


def plain_array(values: Sequence[Any]) -> np.ndarray:
    """A 1-D array of the values as they are: typed where all are of one plain type, of objects otherwise."""
    types = {type(value) for value in values}
    if len(types) == 1 and types <= {str, int, float, bool}:
        return np.array(values)
    array = np.empty(len(values), dtype=object)
    for at, value in enumerate(values):
        array[at] = value
    return array
