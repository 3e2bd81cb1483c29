"""The names of `jax.tree_util`: pytree node types and key paths, and `functrans.tree` under its longer names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import optree

from functrans.core import pytree
from functrans.core.pytree import (
    DictKey,
    FlattenedIndexKey,
    GetAttrKey,
    IsLeaf,
    KeyEntry,
    KeyPath,
    PyTreeDef,
    SequenceKey,
    keystr,
    register_dataclass,
    register_pytree_node,
    register_pytree_node_class,
    register_pytree_with_keys,
    register_pytree_with_keys_class,
    register_static,
)
from functrans.errors import DTypeError
from functrans.tree import (
    all as tree_all,
    broadcast as tree_broadcast,
    flatten as tree_flatten,
    flatten_with_path as tree_flatten_with_path,
    leaves as tree_leaves,
    leaves_with_path as tree_leaves_with_path,
    map as tree_map,
    map_with_path as tree_map_with_path,
    reduce as tree_reduce,
    reduce_associative as tree_reduce_associative,
    structure as tree_structure,
    transpose as tree_transpose,
    unflatten as tree_unflatten,
)

__all__ = [
    "register_dataclass",
    "register_pytree_node",
    "register_pytree_node_class",
    "register_pytree_with_keys",
    "register_pytree_with_keys_class",
    "register_static",
    "Partial",
    "KeyEntry",
    "KeyPath",
    "DictKey",
    "SequenceKey",
    "GetAttrKey",
    "FlattenedIndexKey",
    "keystr",
    "PyTreeDef",
    "all_leaves",
    "build_tree",
    "flatten_one_level",
    "flatten_one_level_with_keys",
    "is_tree_node",
    "treedef_children",
    "treedef_is_leaf",
    "treedef_tuple",
    "tree_all",
    "tree_broadcast",
    "tree_flatten",
    "tree_flatten_with_path",
    "tree_leaves",
    "tree_leaves_with_path",
    "tree_map",
    "tree_map_with_path",
    "tree_reduce",
    "tree_reduce_associative",
    "tree_structure",
    "tree_transpose",
    "tree_unflatten",
]


class Partial(functools.partial[Any]):
    """`functools.partial` that is a pytree: the bound arguments are its children, the function is structure.

    So a function with arrays bound to it can be passed through `jit`, `scan` and the rest as an argument.

    >>> import functrans as ft
    >>> scaled = ft.tree_util.Partial(lambda factor, x: factor * x, 3.0)
    >>> ft.tree.leaves(scaled)
    [3.0]
    >>> ft.tree.map(lambda leaf: 2 * leaf, scaled)(10.0)
    60.0
    """

    def __new__(cls, func: Any, /, *args: Any, **kwargs: Any) -> Partial:
        if isinstance(func, Partial):
            func, args, kwargs = func.func, (*func.args, *args), {**func.keywords, **kwargs}
        elif isinstance(func, functools.partial):
            func = _Opaque(func)  # else functools.partial would merge with it, and its arguments become children
        return super().__new__(cls, func, *args, **kwargs)


class _Opaque:
    """A `functools.partial` that no other may merge with."""

    def __init__(self, func: Callable[..., Any]):
        self.func = func

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opaque) and self.func == other.func

    def __hash__(self) -> int:
        return hash(self.func)

    def __repr__(self) -> str:
        return repr(self.func)


register_pytree_with_keys(
    Partial,
    lambda p: (((GetAttrKey("args"), p.args), (GetAttrKey("keywords"), p.keywords)), p.func),
    lambda func, children: Partial(func, *children[0], **children[1]),
)


def all_leaves(iterable: Iterable[Any], is_leaf: IsLeaf | None = None) -> bool:
    """Whether every element is a leaf.

    >>> import functrans as ft
    >>> ft.tree_util.all_leaves([1, 2.0]), ft.tree_util.all_leaves([1, (2.0,)])
    (True, False)
    """
    return optree.all_leaves(iterable, is_leaf, namespace=pytree.NAMESPACE)


def is_tree_node(typ: type) -> bool:
    """Whether values of a type are containers.

    >>> import functrans as ft
    >>> ft.tree_util.is_tree_node(dict), ft.tree_util.is_tree_node(str)
    (True, False)
    """
    return optree.register_pytree_node.get(typ, namespace=pytree.NAMESPACE) is not None


def flatten_one_level(tree: Any) -> tuple[tuple[Any, ...], Any]:
    """The children of the topmost container, and what else it consists of.

    Raises:
        DTypeError: `tree` is a leaf.

    >>> import functrans as ft
    >>> ft.tree_util.flatten_one_level({"b": 1, "a": [2, 3]})
    (([2, 3], 1), ('a', 'b'))
    """
    if all_leaves([tree]):
        raise DTypeError(
            f"flatten_one_level takes a container, got the leaf {tree!r:.60} of type {type(tree).__name__}"
        )
    children, metadata, _, _ = optree.tree_flatten_one_level(tree, namespace=pytree.NAMESPACE)
    return tuple(children), tuple(metadata) if isinstance(metadata, list) else metadata


def flatten_one_level_with_keys(tree: Any) -> tuple[tuple[tuple[KeyEntry, Any], ...], Any]:
    """As `flatten_one_level`, with pairs of key and child.

    >>> import functrans as ft
    >>> ft.tree_util.flatten_one_level_with_keys([5, 6])[0]
    ((SequenceKey(idx=0), 5), (SequenceKey(idx=1), 6))
    """
    children, metadata = flatten_one_level(tree)
    keys = (path[-1] for path in pytree.key_paths(pytree.structure(tree, lambda x: x is not tree)))
    return tuple(zip(keys, children)), metadata


def treedef_is_leaf(treedef: PyTreeDef) -> bool:
    """Whether a structure is a single node: a leaf, or a container without children.

    >>> import functrans as ft
    >>> ft.tree_util.treedef_is_leaf(ft.tree.structure(1.0)), ft.tree_util.treedef_is_leaf(ft.tree.structure([1.0]))
    (True, False)
    """
    return treedef.num_nodes == 1


def treedef_children(treedef: PyTreeDef) -> list[PyTreeDef]:
    """The structures of the children of the topmost node.

    >>> import functrans as ft
    >>> first, second = ft.tree_util.treedef_children(ft.tree.structure((1, [2, 3])))
    >>> second == ft.tree.structure([0, 0])
    True
    """
    return treedef.children()


def treedef_tuple(treedefs: Iterable[PyTreeDef]) -> PyTreeDef:
    """The structure of a tuple whose elements have the given structures.

    >>> import functrans as ft
    >>> parts = [ft.tree.structure(1), ft.tree.structure([2, 3])]
    >>> ft.tree_util.treedef_tuple(parts) == ft.tree.structure((1, [2, 3]))
    True
    """
    return optree.treespec_tuple(treedefs, namespace=pytree.NAMESPACE)


def build_tree(treedef: PyTreeDef, xs: Any) -> Any:
    """The tree with the given structure whose children are the elements of nested iterables, level by level.

    >>> import functrans as ft
    >>> ft.tree_util.build_tree(ft.tree.structure({"a": 0, "b": [0, 0]}), (1, (2, 3)))
    {'a': 1, 'b': [2, 3]}
    """
    node = treedef.one_level()
    if node is None:
        return xs
    return node.unflatten([build_tree(child, x) for child, x in zip(treedef.children(), xs, strict=True)])
