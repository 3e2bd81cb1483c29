"""Pytrees: properties on random trees, each kind of node, key paths, and the text of errors."""

import collections
import dataclasses
import functools
import operator
import pickle
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from functrans import errors, tree, tree_util
from functrans.core import pytree
from functrans.tree_util import DictKey, FlattenedIndexKey, GetAttrKey, Partial, SequenceKey, keystr


class Point(NamedTuple):
    x: object
    y: object


@tree_util.register_pytree_node_class
class Box:
    def __init__(self, *children, label=None):
        self.children, self.label = children, label

    def tree_flatten(self):
        return self.children, self.label

    @classmethod
    def tree_unflatten(cls, label, children):
        return cls(*children, label=label)

    def __eq__(self, other):
        return isinstance(other, Box) and (self.children, self.label) == (other.children, other.label)

    __hash__ = None


@tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object
    activation: str = tree.static(default="tanh")


@tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Options:
    depth: int


NODES = [
    lambda child: st.lists(child, max_size=3),
    lambda child: st.lists(child, max_size=3).map(tuple),
    lambda child: st.dictionaries(st.text("abc", min_size=1, max_size=2), child, max_size=3),
    lambda child: st.dictionaries(st.integers(0, 5), child, max_size=3).map(collections.OrderedDict),
    lambda child: st.dictionaries(st.text("xy", max_size=1), child, max_size=2).map(
        lambda d: collections.defaultdict(list, d)
    ),
    lambda child: st.builds(Point, child, child),
    lambda child: st.builds(Layer, child, child, st.sampled_from(["tanh", "relu"])),
    lambda child: st.lists(child, max_size=3).map(lambda c: Box(*c, label="box")),
]
trees = st.recursive(
    st.integers() | st.none() | st.builds(Options, st.integers(0, 2)),
    lambda child: st.one_of([node(child) for node in NODES]),
    max_leaves=12,
)


# Properties ----------------------------------------------------------------------------------------------------------


@given(trees)
def test_unflatten_inverts_flatten(t):
    leaves, treedef = tree.flatten(t)
    assert tree.unflatten(treedef, leaves) == t
    assert treedef == tree.structure(t)
    assert hash(treedef) == hash(tree.structure(t))
    assert leaves == tree.leaves(t)
    assert len(leaves) == treedef.num_leaves
    assert None not in leaves


@given(trees)
def test_map_is_a_functor(t):
    assert tree.map(lambda x: x, t) == t
    assert tree.map(str, tree.map(lambda x: x + 1, t)) == tree.map(lambda x: str(x + 1), t)
    assert tree.structure(tree.map(str, t)) == tree.structure(t)


@given(trees)
def test_map_of_two_trees_sees_the_same_leaves(t):
    assert tree.all(tree.map(lambda x, y, z: x == y and z == [x], t, t, tree.map(lambda x: [x], t)))


@given(trees)
def test_key_paths_lead_to_the_leaves(t):
    def follow(node, key):
        match key:
            case SequenceKey(i):
                return node[i]
            case DictKey(k):
                return node[k]
            case GetAttrKey(name):
                return getattr(node, name)
            case FlattenedIndexKey(i):
                return node.children[i]

    pairs, treedef = tree.flatten_with_path(t)
    assert [leaf for _, leaf in pairs] == tree.leaves(t)
    assert treedef == tree.structure(t)
    assert len({keystr(path) for path, _ in pairs}) == len(pairs)
    for path, leaf in pairs:
        assert functools.reduce(follow, path, t) is leaf
    seen = []
    tree.map_with_path(lambda *args: seen.append(args), t, t)
    assert seen == [(path, leaf, leaf) for path, leaf in pairs]


@given(trees, trees)
def test_transposing_twice_gives_the_tree_back(a, b):
    outer, inner = tree.structure(a), tree.structure(b)
    numbers = iter(range(outer.num_leaves * inner.num_leaves))
    t = tree.map(lambda _: tree.map(lambda _: next(numbers), b), a)
    if outer.num_leaves and inner.num_leaves:
        swapped = tree.transpose(outer, inner, t)
        assert tree.structure(swapped) == inner.compose(outer)
        assert tree.transpose(inner, outer, swapped) == t
        assert tree.transpose(outer, None, t) == swapped


@given(trees, st.integers())
def test_a_leaf_broadcasts_over_any_tree(t, x):
    assert tree.broadcast(x, t) == tree.map(lambda _: x, t)
    assert pytree.broadcast_prefix(None, t, "axes") == [None] * len(tree.leaves(t))
    assert tree.broadcast(t, tree.map(lambda x: (x, x), t)) == tree.map(lambda x: (x, x), t)


@given(trees, trees)
def test_a_difference_is_reported_exactly_when_there_is_one(a, b):
    x, y = tree.structure(a), tree.structure(b)
    assert (pytree.first_difference(x, y) is None) == (x == y)
    assert pytree.first_difference(x, x, prefix=True) is None


@given(st.lists(st.integers(), min_size=1))
def test_reductions(values):
    nested = [values[:1], {"rest": tuple(values[1:])}]
    assert tree.reduce(operator.add, nested) == tree.reduce_associative(operator.add, nested) == sum(values)
    assert tree.reduce_associative(operator.add, [str(v) for v in values]) == "".join(map(str, values))
    assert tree.all(nested) == all(values)


@given(trees)
def test_structures_can_be_pickled(t):
    treedef = tree.structure(t)
    assert pickle.loads(pickle.dumps(treedef)) == treedef


@given(trees)
def test_build_tree_and_the_parts_of_a_structure(t):
    treedef = tree.structure(t)

    def nest(treedef, leaves):
        if treedef.type is None:
            return next(leaves)
        return [nest(child, leaves) for child in tree_util.treedef_children(treedef)]

    assert tree_util.build_tree(treedef, nest(treedef, iter(tree.leaves(t)))) == t
    assert tree_util.treedef_tuple([treedef, treedef]) == tree.structure((t, t))
    assert tree_util.treedef_is_leaf(treedef) == (treedef.num_nodes == 1)


# Kinds of nodes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("t", "leaves", "paths"),
    [
        (1, [1], [""]),
        (None, [], []),
        ((), [], []),
        ([1, None, (2,)], [1, 2], ["[0]", "[2][0]"]),
        ({"b": 1, "a": 2}, [2, 1], ["['a']", "['b']"]),
        (collections.OrderedDict(b=1, a=2), [1, 2], ["['b']", "['a']"]),
        (collections.defaultdict(int, b=1, a=2), [2, 1], ["['a']", "['b']"]),
        (collections.deque([1, 2]), [1, 2], ["[0]", "[1]"]),
        (Point(1, [2]), [1, 2], [".x", ".y[0]"]),
        (Layer({"k": 1}, 2), [1, 2], [".w['k']", ".b"]),
        (Box(1, Box(2)), [1, 2], ["[<flat index 0>]", "[<flat index 1>][<flat index 0>]"]),
        (Options(3), [], []),
        (Partial(max, 1, key=2), [1, 2], [".args[0]", ".keywords['key']"]),
        ({1, 2}, [{1, 2}], [""]),
        ("text", ["text"], [""]),
    ],
)
def test_leaves_and_paths_of_each_kind(t, leaves, paths):
    assert tree.leaves(t) == leaves
    assert [keystr(path) for path, _ in tree.leaves_with_path(t)] == paths


def test_dicts_are_equal_in_structure_whatever_their_order():
    a, b = {"x": 1, "y": 2}, {"y": 2, "x": 1}
    assert tree.structure(a) == tree.structure(b)
    assert tree.leaves(a) == tree.leaves(b)
    assert tree.map(operator.sub, a, b) == {"x": 0, "y": 0}
    assert tree.structure(collections.OrderedDict(a)) != tree.structure(collections.OrderedDict(b))


def test_static_parts_belong_to_the_structure():
    assert tree.structure(Layer(1, 2, "tanh")) == tree.structure(Layer(3, 4, "tanh"))
    assert tree.structure(Layer(1, 2, "tanh")) != tree.structure(Layer(1, 2, "relu"))
    assert tree.structure(Options(1)) != tree.structure(Options(2))
    assert tree.structure(Box(1, label="a")) != tree.structure(Box(1, label="b"))


def test_is_leaf_stops_the_descent():
    t = [(1, 2), {"a": None}]
    assert tree.leaves(t, is_leaf=lambda x: x is None) == [1, 2, None]
    assert tree.map(len, t, is_leaf=lambda x: isinstance(x, tuple | dict)) == [2, 1]
    assert tree.leaves_with_path(t, is_leaf=lambda x: isinstance(x, list)) == [((), t)]
    assert tree.reduce(operator.add, t, is_leaf=lambda x: isinstance(x, tuple)) == (1, 2)
    assert tree.structure(t, is_leaf=lambda x: True).num_leaves == 1
    assert tree.broadcast((1, None), ((2, 3), None), is_leaf=None) == ((1, 1), None)


def test_leaves_by_their_paths():
    """The predicate sees every subtree with its own path; what it calls a leaf stays whole."""
    t = {"b": [1, (2, 3)], "a": {"x": (4, None), "y": []}, "c": (Partial(print, 5, z=6),)}
    part, seen = {k: t[k] for k in "ab"}, []

    def at_depth_two(path, x):
        here = part
        for key in path:
            here = here[getattr(key, "key", getattr(key, "idx", None))]
        seen.append((path, here is x))
        return len(path) == 2

    pairs, treedef = tree.flatten_with_path(part, at_depth_two, is_leaf_takes_path=True)
    assert all(same for _, same in seen)
    assert [keystr(path) for path, _ in pairs] == ["['a']['x']", "['a']['y']", "['b'][0]", "['b'][1]"]
    assert tree.unflatten(treedef, [leaf for _, leaf in pairs]) == part
    kept = tree.leaves_with_path(t, lambda path, x: False, True)
    assert kept == tree.leaves_with_path(t)
    sizes = tree.map_with_path(lambda p, x: len(x), t, is_leaf=lambda p, x: len(p) == 1, is_leaf_takes_path=True)
    assert sizes["b"] == sizes["a"] == 2


def test_one_level():
    for t in ([1, (2, 3)], {"b": 1, "a": [2]}, (None, 1), None, Partial(print, [2])):
        children, _ = tree_util.flatten_one_level(t)
        assert [child for _, child in tree_util.flatten_one_level_with_keys(t)[0]] == list(children)
        assert tree_util.is_tree_node(type(t))
    assert tree_util.flatten_one_level({"b": 1, "a": [2]}) == (([2], 1), ("a", "b"))
    assert not tree_util.is_tree_node(int)
    with pytest.raises(errors.DTypeError, match="takes a container, got the leaf 3 of type int"):
        tree_util.flatten_one_level(3)


def test_keys_are_values():
    assert {DictKey("a"): 1}[DictKey("a")] == 1
    assert SequenceKey(0) != FlattenedIndexKey(0)
    path = (DictKey("a"), SequenceKey(1), GetAttrKey("w"), FlattenedIndexKey(2))
    assert keystr(path) == "['a'][1].w[<flat index 2>]"
    assert keystr(path, simple=True, separator="/") == "a/1/w/2"
    assert keystr(("own",), simple=True) == keystr(("own",)) == "own"


def test_registration_with_keys_of_ones_own():
    class Pair:
        def __init__(self, x, y):
            self.x, self.y = x, y

    tree_util.register_pytree_node(
        Pair,
        lambda p: ((p.x, p.y), None),
        lambda _, c: Pair(*c),
        flatten_with_keys_func=lambda p: ([("left", p.x), (GetAttrKey("y"), p.y)], None),
    )
    assert [path for path, _ in tree.leaves_with_path(Pair(1, 2))] == [("left",), (GetAttrKey("y"),)]


def test_dataclass_fields_by_name():
    @functools.partial(tree_util.register_dataclass, data_fields=["x"], meta_fields=["n"], drop_fields=["cache"])
    @dataclasses.dataclass
    class State:
        x: float
        n: int
        cache: object = None
        derived: int = dataclasses.field(init=False, default=7)

    assert tree.leaves(State(1.0, 2, "c")) == [1.0]
    assert tree.map(lambda x: x, State(1.0, 2, "c")) == State(1.0, 2)


def test_partial_keeps_what_is_bound():
    inner = functools.partial(operator.sub, 10)
    assert tree.leaves(Partial(inner, 3)) == [3]
    assert Partial(inner, 3)() == 7
    assert tree.map(lambda x: x + 1, Partial(inner, 3))() == 6
    nested = Partial(Partial(operator.sub, 10), 3)
    assert tree.leaves(nested) == [10, 3]
    assert nested() == 7
    assert tree.structure(Partial(inner, 1)) == tree.structure(Partial(inner, 2))
    assert tree.structure(Partial(max, 1)) != tree.structure(Partial(min, 1))


def test_the_long_names_are_the_short_ones():
    for name in tree.__all__:
        if name != "static":
            assert getattr(tree_util, f"tree_{name}") is getattr(tree, name)


# Prefixes ------------------------------------------------------------------------------------------------------------


def test_prefixes_spread_over_what_they_stand_for():
    args = ({"w": 1, "b": (2, 3)}, None, [4])
    assert pytree.broadcast_prefix(0, args, "axes") == [0, 0, 0, 0]
    assert pytree.broadcast_prefix((0, None, None), args, "axes") == [0, 0, 0, None]
    assert pytree.broadcast_prefix(({"w": None, "b": 1}, 0, [2]), args, "axes") == [1, 1, None, 2]
    assert pytree.broadcast_prefix((1, 2, 3), tree.structure(args), "axes") == [1, 1, 1, 3]


def test_a_prefix_that_does_not_fit():
    with pytest.raises(errors.AxesError) as caught:
        pytree.broadcast_prefix(({"w": 0}, 1), ({"w": 1, "b": 2}, 3), "in_axes of vmap", error=errors.AxesError)
    assert str(caught.value) == (
        "in_axes of vmap does not fit the tree that it is for: at [0] it has a dict with the keys ['w'], where the "
        "tree has a dict with the keys ['b', 'w']. One value may stand for a whole subtree; above it the containers "
        "must be the same.\n"
        "  in_axes of vmap: PyTreeSpec(({'w': *}, *))\n"
        "  the tree: PyTreeSpec(({'b': *, 'w': *}, *))"
    )
    with pytest.raises(errors.TreeStructureError, match=r"at the root it has a tuple of length 1, where .* length 2"):
        pytree.broadcast_prefix((0,), (1, 2), "in_axes")


# Errors --------------------------------------------------------------------------------------------------------------


def test_map_says_where_trees_differ():
    first, second = {"a": [1, (2, 3)]}, {"a": [1, (2, 3, 4)]}
    with pytest.raises(errors.TreeStructureError) as caught:
        tree.map(operator.add, first, second)
    assert str(caught.value) == (
        "tree.map: the structures differ at ['a'][1]: the first tree has a tuple of length 2, tree 2 has a tuple of "
        "length 3.\n"
        "  the first tree: PyTreeSpec({'a': [*, (*, *)]})\n"
        "  tree 2: PyTreeSpec({'a': [*, (*, *, *)]})"
    )


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([1], 1, "at the root: the first tree has a list of length 1, tree 2 has a leaf"),
        ([None], [1], r"at \[0\]: the first tree has None, tree 2 has a leaf"),
        ({"a": 1}, {"b": 1}, r"a dict with the keys \['a'\], tree 2 has a dict with the keys \['b'\]"),
        (Layer([1], 2), Layer((1,), 2), r"at \.w: the first tree has a list of length 1, tree 2 has a tuple of"),
        (Layer(1, 2), Layer(1, 2, "relu"), r"at \.activation: the first tree has 'tanh', tree 2 has 'relu'"),
        (Point(1, 2), (1, 2), "the first tree has a Point, tree 2 has a tuple of length 2"),
        (Box(1), Box(1, 2), "the first tree has a Box with 1 child and"),
        (Options(1), Options(2), r"at \.depth: the first tree has 1, tree 2 has 2\."),
        ([Layer(1, 2)], [Point(1, 2)], r"at \[0\]: the first tree has a Layer, tree 2 has a Point\."),
    ],
)
def test_differences_in_words(first, second, message):
    with pytest.raises(errors.TreeStructureError, match=message):
        tree.map(lambda x, y: x, first, second)


def test_errors_of_the_users_own_nodes_pass_unchanged():
    class Fussy:
        pass

    def refuse(node):
        raise ValueError("not today")

    tree_util.register_pytree_node(Fussy, refuse, lambda _, c: Fussy())
    with pytest.raises(ValueError, match="^not today$"):
        tree.leaves(Fussy())
    with pytest.raises(ValueError, match="^not today$"):
        tree.map(operator.add, [1, [2]], [1, Fussy()])


def test_unflatten_counts_its_leaves():
    treedef = tree.structure([0, 0])
    for leaves in [[1], [1, 2, 3]]:
        with pytest.raises(errors.TreeStructureError, match=f"has 2 leaves, but {len(leaves)} were given"):
            tree.unflatten(treedef, iter(leaves))


def test_transpose_checks_its_tree():
    outer, inner = tree.structure([0, 0]), tree.structure((0, 0))
    with pytest.raises(errors.TreeStructureError, match=r"tree\.transpose: the structures differ at \[1\]"):
        tree.transpose(outer, inner, [(1, 2), (3, 4, 5)])
    with pytest.raises(errors.ArgumentError, match="needs inner_treedef"):
        tree.transpose(tree.structure([]), None, [])


def test_reductions_of_nothing():
    assert tree.reduce_associative(operator.add, [None], identity=0) == 0
    with pytest.raises(errors.ArgumentError, match="needs identity="):
        tree.reduce_associative(operator.add, [])
    with pytest.raises(TypeError):
        tree.reduce(operator.add, ())


def test_a_type_is_registered_once():
    with pytest.raises(errors.ArgumentError, match="Box is a pytree node already"):
        tree_util.register_pytree_node_class(Box)
    with pytest.raises(errors.ArgumentError, match="must be a class"):
        tree_util.register_pytree_node(3, None, None)


def test_register_dataclass_checks_the_fields():
    @dataclasses.dataclass
    class D:
        x: int
        y: int

    for data, meta, message in [
        (["x"], [], r"has fields \['y'\] that are neither"),
        (["x", "y", "z"], [], r"takes no \['z'\]; it takes \['x', 'y'\]"),
        (["x", "y"], ["y"], r"\['y'\] of .* are named twice"),
        (["x", "y"], None, "given both or not at all"),
    ]:
        with pytest.raises(errors.ArgumentError, match=message):
            tree_util.register_dataclass(D, data, meta)
    with pytest.raises(errors.ArgumentError, match="goes above @dataclass"):
        tree_util.register_dataclass(type("Plain", (), {}))
