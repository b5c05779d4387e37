"""Prototype arithmetic as pure functions: vectors, class means, distances, log-probabilities.

Vectors are NumPy arrays or SciPy CSR arrays of shape (n, d); results with one column per class are dense.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from fewshot.encoders.base import Vectors


@overload
def normalized(vectors: np.ndarray) -> np.ndarray: ...
@overload
def normalized(vectors: csr_array) -> csr_array: ...
def normalized(vectors: Any) -> Any:
    """Rows scaled to length 1; zero rows stay zero.

    Args:
        vectors: (n, d).

    Returns:
        (n, d), float32.
    """
    lengths = np.sqrt(squared_lengths(vectors))
    scales = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    if isinstance(vectors, np.ndarray):
        return (vectors * scales[:, None]).astype(np.float32)
    scaled = vectors.astype(np.float32)
    scaled.data = (vectors.data * np.repeat(scales, np.diff(vectors.indptr))).astype(np.float32)
    return scaled


def squared_lengths(vectors: Vectors) -> np.ndarray:
    """(n,) squared L2 norms of the rows, float64."""
    if isinstance(vectors, np.ndarray):
        return np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)
    n = len(vectors.indptr) - 1
    rows = np.repeat(np.arange(n), np.diff(vectors.indptr))
    return np.bincount(rows, weights=np.square(vectors.data, dtype=np.float64), minlength=n)


def class_means(vectors: Vectors, classes: np.ndarray, n_way: int) -> Vectors:
    """The prototype of every class: the mean of its support vectors (Snell et al. 2017, eq. 1).

    Args:
        vectors: (n_support, d).
        classes: (n_support,) integers in [0, n_way).
        n_way: number of classes. A class without support has a zero prototype.

    Returns:
        (n_way, d), dense or CSR like `vectors`; not normalised.
    """
    counts = np.bincount(classes, minlength=n_way)
    if isinstance(vectors, np.ndarray):
        order = classes.argsort(kind="stable")
        present, starts = np.unique(classes[order], return_index=True)
        means = np.zeros((n_way, vectors.shape[1]), vectors.dtype)
        means[present] = np.add.reduceat(vectors[order], starts) / counts[present, None]
        return means
    from scipy.sparse import csr_array

    weights = (1.0 / counts[classes]).astype(np.float32)
    average = csr_array((weights, (classes, np.arange(len(classes)))), shape=(n_way, len(classes)))
    return cast("Vectors", average @ vectors)


def on_shared_columns(support: Vectors, queries: Vectors) -> tuple[Vectors, Vectors]:
    """Leave out the columns in which every support vector is zero: no dot product with the support changes.

    A hashed space has a million columns, an episode a few thousand that count; products cost in columns.

    Args:
        support: (n_support, d). queries: (n_query, d). Dense vectors are returned as they are.

    Returns:
        (n_support, m) and (n_query, m), with m at least 1.
    """
    if isinstance(support, np.ndarray) or isinstance(queries, np.ndarray):
        return support, queries
    from scipy.sparse import csr_array

    columns = np.union1d(support.indices, [0]).astype(np.int32)
    known = np.searchsorted(columns, support.indices)
    asked = np.minimum(np.searchsorted(columns, queries.indices), len(columns) - 1)
    values = np.where(columns[asked] == queries.indices, queries.data, np.float32(0))
    return (
        csr_array((support.data, known, support.indptr), shape=(len(support.indptr) - 1, len(columns))),
        csr_array((values, asked, queries.indptr), shape=(len(queries.indptr) - 1, len(columns))),
    )


def similarities(queries: Vectors, others: Vectors) -> np.ndarray:
    """(n_query, n_other) dot products, dense float32: cosines where the rows are normalised."""
    product = queries @ others.T
    return np.asarray(product if isinstance(product, np.ndarray) else product.toarray(), dtype=np.float32)


def cosine_logits(queries: Vectors, prototypes: Vectors) -> np.ndarray:
    """Cosine similarity of every query with every prototype.

    Args:
        queries: (n_query, d), normalised.
        prototypes: (n_way, d), of any length.

    Returns:
        (n_query, n_way) in [-1, 1]; 0 where a vector is zero.
    """
    return similarities(queries, normalized(prototypes))


def euclidean_logits(queries: Vectors, prototypes: Vectors) -> np.ndarray:
    """Negative squared Euclidean distances, as in prototypical networks (Snell et al. 2017, eq. 2).

    Args:
        queries: (n_query, d).
        prototypes: (n_way, d).

    Returns:
        (n_query, n_way), at most 0.
    """
    squares = squared_lengths(queries)[:, None] + squared_lengths(prototypes)[None, :]
    return -np.maximum(squares - 2 * similarities(queries, prototypes), 0).astype(np.float32)


def log_softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities over the last axis.

    Args:
        logits: (..., n_way).
        temperature: logits are divided by it; below 1 sharpens.

    Returns:
        (..., n_way), float64.
    """
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
