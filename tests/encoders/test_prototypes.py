"""Prototype arithmetic against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array
from scipy.special import log_softmax as scipy_log_softmax

from fewshot.encoders.prototypes import (
    class_means,
    cosine_logits,
    euclidean_logits,
    log_softmax,
    normalized,
    on_shared_columns,
    similarities,
    squared_lengths,
)

RANDOM = np.random.RandomState(0)
SUPPORT = RANDOM.randn(12, 7).astype(np.float32)
QUERIES = RANDOM.randn(5, 7).astype(np.float32)
CLASSES = np.array([0, 1, 2, 2, 1, 0, 0, 0, 2, 1, 1, 2])

matrices = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-9, 9, width=32))


def dense(vectors):
    return vectors if isinstance(vectors, np.ndarray) else vectors.toarray()


both = pytest.mark.parametrize("form", [np.asarray, csr_array], ids=["dense", "csr"])


@both
def test_class_means_are_means_of_the_rows(form):
    expected = np.stack([SUPPORT[c == CLASSES].mean(axis=0) for c in range(3)])
    means = class_means(form(SUPPORT), CLASSES, 3)
    assert isinstance(means, type(form(SUPPORT)))
    np.testing.assert_allclose(dense(means), expected, atol=1e-6)


@both
def test_a_class_without_support_has_a_zero_prototype(form):
    means = class_means(form(SUPPORT), CLASSES, 4)
    assert not dense(means)[3].any()
    assert np.isfinite(cosine_logits(form(normalized(QUERIES)), means)).all()


@given(matrices, st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_columns_without_support_are_left_out_and_products_stay(support, seed):
    queries = np.random.RandomState(seed).randn(4, support.shape[1]).astype(np.float32)
    queries[:, ::2] = 0
    one, other = on_shared_columns(csr_array(support), csr_array(queries))
    assert one.shape[1] == other.shape[1] <= support.shape[1]
    np.testing.assert_allclose(similarities(other, one), queries @ support.T, atol=1e-4)


@both
def test_euclidean_logits_are_negative_squared_distances(form):
    expected = -((QUERIES[:, None, :] - SUPPORT[None, :, :]) ** 2).sum(axis=2)
    np.testing.assert_allclose(euclidean_logits(form(QUERIES), form(SUPPORT)), expected, atol=1e-5)


@both
def test_cosine_logits_do_not_depend_on_the_length_of_prototypes(form):
    queries = normalized(QUERIES)
    expected = queries @ (SUPPORT / np.linalg.norm(SUPPORT, axis=1, keepdims=True)).T
    np.testing.assert_allclose(cosine_logits(form(queries), form(SUPPORT * 3)), expected, atol=1e-6)
    assert similarities(form(queries), form(SUPPORT)).shape == (5, 12)


@given(matrices)
@settings(max_examples=50, deadline=None)
def test_dense_and_sparse_rows_are_normalised_alike(matrix):
    unit, sparse = normalized(matrix), normalized(csr_array(matrix))
    np.testing.assert_allclose(unit, sparse.toarray(), atol=1e-6)
    lengths = squared_lengths(unit)
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))


@given(matrices, st.floats(0.01, 10))
@settings(max_examples=50, deadline=None)
def test_log_softmax_is_normalised_and_is_that_of_scipy(logits, temperature):
    scores = log_softmax(logits, temperature)
    np.testing.assert_allclose(np.exp(scores).sum(axis=-1), 1)
    np.testing.assert_allclose(scores, scipy_log_softmax(logits.astype(np.float64) / temperature, axis=-1), atol=1e-9)


@given(st.permutations(range(12)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_the_support_does_not_matter(order):
    np.testing.assert_allclose(
        class_means(SUPPORT[order], CLASSES[order], 3), class_means(SUPPORT, CLASSES, 3), atol=1e-6
    )
