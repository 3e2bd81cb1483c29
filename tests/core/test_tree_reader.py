"""Readers of one structure give what flattening gives, of trees of that structure and of no others."""

from collections import OrderedDict, namedtuple

import numpy as np
from hypothesis import given, strategies as st

import functrans as ft
from functrans.core.pytree import flatten, structure
from functrans.core.tree_reader import reader

Pair = namedtuple("Pair", ["x", "y"])

LEAVES = st.integers(0, 9)
TREES = st.recursive(
    LEAVES | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("abc") | st.integers(0, 2).map(str), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES, TREES)
def test_reads_trees_of_its_structure(tree, other):
    leaves, treedef = flatten(tree)
    read = reader(treedef)
    assert read(tree) == leaves
    if structure(other) == treedef:
        assert read(other) == flatten(other)[0]
    else:
        found = read(other)
        # what it takes for a leaf may be a container: callers look at the types of leaves
        assert found is None or any(isinstance(x, (list, tuple, dict, type(None))) for x in found)


def test_no_reader_for_other_containers():
    for tree in (Pair(1, 2), [OrderedDict(a=1)], {"a": ft.tree_util.Partial(max, 1)}):
        assert reader(structure(tree)) is None
    assert reader(structure((1, 2)))(Pair(1, 2)) is None
    assert reader(structure({"a": 1}))(OrderedDict(a=1)) is None


def test_compiled_functions_tell_structures_apart():
    """Trees of the same types, in turns: also in one position what is a container elsewhere."""
    f = ft.jit(lambda tree: ft.tree.map(lambda x: x + 1, tree))
    one, two = np.zeros(2), np.ones(2)
    trees = [
        [one, two], (one, two), {"a": one, "b": two}, {"b": one, "a": two}, [one, [two]], [[one], two],
        [one, None, two], Pair(one, two), [one, 3.0], [one, two, {}],
    ]  # fmt: skip
    for _ in range(3):
        for tree in trees:
            for _ in range(2):
                out = f(tree)
                assert structure(out) == structure(tree)
                np.testing.assert_equal(flatten(out)[0], [x + 1 for x in flatten(tree)[0]])


def test_keywords_and_cleared_caches():
    f = ft.jit(lambda tree, scale=None: tree["x"] * (2.0 if scale is None else scale))
    x = {"x": np.ones(2)}
    for _ in range(3):
        np.testing.assert_equal(f(x), [2.0, 2.0])
        np.testing.assert_equal(f(x, scale=np.full(2, 5.0)), [5.0, 5.0])
        np.testing.assert_equal(f(x, np.full(2, 7.0)), [7.0, 7.0])
    f.clear_cache()
    np.testing.assert_equal(f(x), [2.0, 2.0])
