"""Functions over pytrees: nested tuples, lists, dicts and registered classes with leaves in them.

The names and their meaning are those of `jax.tree`. `None` is a container without children, so it has no leaves;
dicts are read in the order of their sorted keys. To make a class a container, see `functrans.tree_util`.

Each function takes `is_leaf`, a predicate: where it holds for a subtree, that subtree is a leaf as it is.
"""

from __future__ import annotations

import builtins
import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from functrans import errors
from functrans.core import pytree
from functrans.core.pytree import IsLeaf, KeyPath, PyTreeDef

__all__ = [
    "all",
    "broadcast",
    "flatten",
    "flatten_with_path",
    "leaves",
    "leaves_with_path",
    "map",
    "map_with_path",
    "reduce",
    "reduce_associative",
    "static",
    "structure",
    "transpose",
    "unflatten",
]

T = TypeVar("T")
_UNSET: Any = object()


def flatten(tree: Any, is_leaf: IsLeaf | None = None) -> tuple[list[Any], PyTreeDef]:
    """The leaves of a tree, in order, and its structure.

    Also called `tree_util.tree_flatten`.

    >>> import functrans as ft
    >>> leaves, treedef = ft.tree.flatten({"b": [1, 2], "a": (3, None)})
    >>> leaves
    [3, 1, 2]
    >>> ft.tree.unflatten(treedef, [30, 10, 20])
    {'b': [10, 20], 'a': (30, None)}
    """
    return pytree.flatten(tree, is_leaf)


def unflatten(treedef: PyTreeDef, leaves: Iterable[Any]) -> Any:
    """The tree with the given structure and leaves; the inverse of `flatten`.

    Raises:
        TreeStructureError: not as many leaves as the structure has.

    Also called `tree_util.tree_unflatten`.

    >>> import functrans as ft
    >>> ft.tree.unflatten(ft.tree.structure(("x", ["y", "z"])), [1, 2, 3])
    (1, [2, 3])
    """
    leaves = list(leaves)
    if len(leaves) != treedef.num_leaves:
        raise errors.TreeStructureError(
            f"tree.unflatten: the structure has {treedef.num_leaves} leaves, but {len(leaves)} were given"
            f"\n  structure: {treedef}"
        )
    return treedef.unflatten(leaves)


def leaves(tree: Any, is_leaf: IsLeaf | None = None) -> list[Any]:
    """The leaves of a tree, in order.

    Also called `tree_util.tree_leaves`.

    >>> import functrans as ft
    >>> ft.tree.leaves({"w": 1, "b": (2, None)})
    [2, 1]
    >>> ft.tree.leaves([(1, 2), (3, 4)], is_leaf=lambda x: isinstance(x, tuple))
    [(1, 2), (3, 4)]
    """
    return pytree.leaves(tree, is_leaf)


def structure(tree: Any, is_leaf: IsLeaf | None = None) -> PyTreeDef:
    """The structure of a tree: what remains without the values of its leaves.

    Also called `tree_util.tree_structure`.

    >>> import functrans as ft
    >>> ft.tree.structure([1, (2, 3)]) == ft.tree.structure(["a", ("b", "c")])
    True
    """
    return pytree.structure(tree, is_leaf)


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: IsLeaf | None = None) -> Any:
    """The tree of `f(leaf, ...)`, with a leaf of `tree` and what stands in its place in each tree of `rest`.

    Args:
        f: takes one argument for each tree.
        tree: gives the structure.
        *rest: trees of which `tree` is a prefix: they have the same containers, and anything at its leaves.
        is_leaf: which subtrees of `tree` are leaves.

    Raises:
        TreeStructureError: a tree of `rest` has other containers than `tree`; the message says where.

    Also called `tree_util.tree_map`.

    >>> import functrans as ft
    >>> ft.tree.map(lambda x: x + 1, {"a": 1, "b": [2, 3]})
    {'a': 2, 'b': [3, 4]}
    >>> ft.tree.map(lambda p, g: p - 0.5 * g, {"a": 1.0}, {"a": 4.0})
    {'a': -1.0}
    """
    leaves, treedef = pytree.flatten(tree, is_leaf)
    return treedef.unflatten(builtins.map(f, leaves, *_rest("tree.map", treedef, rest)))


def _rest(what: str, treedef: PyTreeDef, rest: tuple[Any, ...]) -> list[list[Any]]:
    return [
        pytree.flatten_up_to(treedef, other, what, ("the first tree", f"tree {number}"))
        for number, other in enumerate(rest, 2)
    ]


def reduce(function: Callable[[T, Any], T], tree: Any, initializer: T = _UNSET, is_leaf: IsLeaf | None = None) -> T:
    """`functools.reduce` over the leaves.

    Raises:
        TypeError: the tree has no leaves and there is no `initializer`.

    Also called `tree_util.tree_reduce`.

    >>> import functrans as ft
    >>> ft.tree.reduce(lambda x, y: x + y, {"a": 1, "b": [2, 3]})
    6
    >>> ft.tree.reduce(max, [], 0)
    0
    """
    start = () if initializer is _UNSET else (initializer,)
    return functools.reduce(function, leaves(tree, is_leaf), *start)


def reduce_associative(
    operation: Callable[[T, T], T], tree: Any, *, identity: T = _UNSET, is_leaf: IsLeaf | None = None
) -> T:
    """The leaves joined by an associative operation in pairs, then pairs of pairs: depth log(n), not n.

    Sums of floating-point numbers are more accurate this way than by `reduce`.

    Args:
        operation: takes two values and gives one.
        tree: whose leaves to join.
        identity: the result for a tree without leaves.
        is_leaf: which subtrees are leaves.

    Raises:
        ArgumentError: the tree has no leaves and there is no `identity`.

    Also called `tree_util.tree_reduce_associative`.

    >>> import functrans as ft
    >>> ft.tree.reduce_associative(lambda x, y: x + y, [1, (2, 3), [4, 5, 6]])
    21
    """
    values = leaves(tree, is_leaf)
    if not values:
        if identity is _UNSET:
            raise errors.ArgumentError("tree.reduce_associative: a tree without leaves needs identity=")
        return identity
    while len(values) > 1:
        odd = values[len(values) - len(values) % 2 :]
        values = [operation(x, y) for x, y in zip(values[::2], values[1::2])] + odd
    return values[0]


def all(tree: Any, *, is_leaf: IsLeaf | None = None) -> bool:
    """Whether every leaf is true.

    Also called `tree_util.tree_all`.

    >>> import functrans as ft
    >>> ft.tree.all({"a": True, "b": [True, 1]})
    True
    """
    return builtins.all(leaves(tree, is_leaf))


def transpose(outer_treedef: PyTreeDef, inner_treedef: PyTreeDef | None, pytree_to_transpose: Any) -> Any:
    """From a tree of trees, outer structure first, the tree of trees with the inner structure first.

    Args:
        outer_treedef: the structure at the top.
        inner_treedef: the structure at each leaf of the outer one; `None`: as it is at the first.
        pytree_to_transpose: the tree with these structures.

    Raises:
        TreeStructureError: the tree does not have these structures; the message says where.

    Also called `tree_util.tree_transpose`.

    >>> import functrans as ft
    >>> outer, inner = ft.tree.structure(["*", "*"]), ft.tree.structure({"x": "*", "y": "*"})
    >>> ft.tree.transpose(outer, inner, [{"x": 1, "y": 2}, {"x": 3, "y": 4}])
    {'x': [1, 3], 'y': [2, 4]}
    """
    names = ("the outer and inner structures", "the tree")
    if inner_treedef is None:
        subtrees = pytree.flatten_up_to(outer_treedef, pytree_to_transpose, "tree.transpose", names)
        if not subtrees:
            raise errors.ArgumentError("tree.transpose: an outer structure without leaves needs inner_treedef")
        inner_treedef = pytree.structure(subtrees[0])
    values, treedef = pytree.flatten(pytree_to_transpose)
    if error := pytree.structure_error("tree.transpose", outer_treedef.compose(inner_treedef), treedef, names):
        raise error
    size = inner_treedef.num_leaves
    return inner_treedef.unflatten([outer_treedef.unflatten(values[i::size]) for i in range(size)])


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: IsLeaf | None = None) -> Any:
    """The tree with the structure of `full_tree` in which each leaf of the prefix fills all that it stands for.

    Args:
        prefix_tree: has the containers of `full_tree` down to its leaves.
        full_tree: gives the structure.
        is_leaf: which subtrees of `prefix_tree` are leaves.

    Raises:
        TreeStructureError: `prefix_tree` is not a prefix of `full_tree`; the message says where.

    Also called `tree_util.tree_broadcast`.

    >>> import functrans as ft
    >>> ft.tree.broadcast({"w": 0.1, "b": 0.2}, {"w": [1, 2], "b": 3})
    {'w': [0.1, 0.1], 'b': 0.2}
    """
    treedef = pytree.structure(full_tree)
    return treedef.unflatten(pytree.broadcast_prefix(prefix_tree, treedef, "the prefix tree", is_leaf=is_leaf))


def flatten_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> tuple[list[tuple[KeyPath, Any]], PyTreeDef]:
    """Like `flatten`, with pairs of key path and leaf.

    Args:
        tree: whose leaves to take.
        is_leaf: which subtrees are leaves.
        is_leaf_takes_path: whether `is_leaf` takes the key path of the subtree first.

    Also called `tree_util.tree_flatten_with_path`.

    >>> import functrans as ft
    >>> pairs, treedef = ft.tree.flatten_with_path({"a": [10, 20]})
    >>> pairs[1]
    ((DictKey(key='a'), SequenceKey(idx=1)), 20)
    """
    values, treedef = pytree.flatten(tree, _predicate(is_leaf, is_leaf_takes_path))
    return list(zip(pytree.key_paths(treedef), values)), treedef


def _predicate(is_leaf: Callable[..., bool] | None, takes_path: bool) -> IsLeaf | None:
    return is_leaf if is_leaf is None or not takes_path else pytree.by_path(is_leaf)


def leaves_with_path(
    tree: Any, is_leaf: Callable[..., bool] | None = None, is_leaf_takes_path: bool = False
) -> list[tuple[KeyPath, Any]]:
    """The leaves of a tree, each with its key path before it; arguments are those of `flatten_with_path`.

    Also called `tree_util.tree_leaves_with_path`.

    >>> import functrans as ft
    >>> for path, leaf in ft.tree.leaves_with_path({"a": [10, 20], "b": 30}):
    ...     print(ft.tree_util.keystr(path), leaf)
    ['a'][0] 10
    ['a'][1] 20
    ['b'] 30
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[..., bool] | None = None,
    is_leaf_takes_path: bool = False,
) -> Any:  # fmt: skip
    """Like `map`, with the key path of the leaf as the first argument of `f`.

    With `is_leaf_takes_path`, `is_leaf` takes the key path of the subtree first.

    Also called `tree_util.tree_map_with_path`.

    >>> import functrans as ft
    >>> decay = lambda path, x: 0.0 if ft.tree_util.keystr(path).endswith("['b']") else 0.1 * x
    >>> ft.tree.map_with_path(decay, {"layer": {"w": 10.0, "b": 10.0}})
    {'layer': {'w': 1.0, 'b': 0.0}}
    """
    values, treedef = pytree.flatten(tree, _predicate(is_leaf, is_leaf_takes_path))
    others = _rest("tree.map_with_path", treedef, rest)
    return treedef.unflatten(builtins.map(f, pytree.key_paths(treedef), values, *others))


def static(**kwargs: Any) -> Any:
    """A dataclass field that belongs to the structure: `dataclasses.field` with `metadata={"static": True}`.

    For `functrans.tree_util.register_dataclass`. The arguments are those of `dataclasses.field`.

    >>> import dataclasses
    >>> import functrans as ft
    >>> @ft.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Sum:
    ...     terms: list
    ...     axis: int = ft.tree.static(default=0)
    >>> ft.tree.leaves(Sum([1.0, 2.0], axis=1))
    [1.0, 2.0]
    """
    return dataclasses.field(**{**kwargs, "metadata": {**(kwargs.get("metadata") or {}), "static": True}})
