from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl.models.trie import TokenTrie, common_prefix

sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=12)


def build(rows: list[list[int]], start: int = 0) -> TokenTrie:
    return TokenTrie.build([np.array(row, np.int32) for row in rows], [start] * len(rows))


@given(sequences)
def test_has_one_node_per_distinct_beginning(rows: list[list[int]]) -> None:
    beginnings = {tuple(row[: i + 1]) for row in rows for i in range(len(row))}
    trie = build(rows)
    assert len(trie) == len(beginnings) == trie.fresh.sum()


@given(sequences)
def test_paths_spell_the_sequences(rows: list[list[int]]) -> None:
    trie = build(rows)
    for row, path in zip(rows, trie.tails, strict=True):
        assert trie.tokens[path].tolist() == row
        assert trie.depth[path].tolist() == list(range(len(row)))


@given(sequences)
def test_a_node_sees_its_ancestors_and_itself(rows: list[list[int]]) -> None:
    trie = build(rows)
    visible = trie.visible(0, len(trie))
    for path in trie.tails:
        assert np.flatnonzero(visible[path[-1]]).tolist() == path.tolist()


@given(sequences)
def test_roots_fill_a_range_with_whole_subtrees(rows: list[list[int]]) -> None:
    trie = build(rows)
    roots = list(trie.roots(0, len(trie)))
    assert trie.depth[roots].tolist() == [0] * len(roots)
    assert sorted({row[0] for row in rows}) == trie.tokens[roots].tolist()


@pytest.mark.parametrize(
    ("rows", "end"),
    [
        pytest.param([[1, 2, 3]], 3, id="one sequence is a chain"),
        pytest.param([[1, 2, 3], [1, 2, 4]], 2, id="a chain ends at a branch"),
        pytest.param([[1, 2], [1, 2, 3]], 3, id="a shorter sequence does not end a chain"),
        pytest.param([[1], [1]], 1, id="equal sequences are one"),
    ],
)
def test_chain_end(rows: list[list[int]], end: int) -> None:
    assert build(rows).chain_end(0) == end


@pytest.mark.parametrize(("a", "b", "length"), [([], [1], 0), ([1, 2], [1, 3], 1), ([1], [1, 2], 1), ([2], [1], 0)])
def test_common_prefix(a: list[int], b: list[int], length: int) -> None:
    assert common_prefix(np.array(a), np.array(b)) == length
