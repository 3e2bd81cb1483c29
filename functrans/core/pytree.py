"""Pytrees: nested containers of leaves, taken apart into a flat list and a structure, and put together again.

Tuples, lists, dicts (by sorted keys), named tuples, `OrderedDict`, `defaultdict`, `deque` and `None` (a node without
children) are containers, and so is every type that is registered here; anything else is a leaf. The work is done in
C++ by optree, in a registry namespace of our own, so that registering a type here concerns no other library. This file
adds what JAX's users know: its key paths, its ways to register a type, and errors that say where two trees differ.

The public faces are `functrans.tree` and `functrans.tree_util`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import optree

from functrans import errors

NAMESPACE = "functrans"

PyTreeDef = optree.PyTreeSpec
"""The structure of a pytree: hashable, comparable, printable."""

IsLeaf = Callable[[Any], bool]
KeyEntry = Hashable
KeyPath = tuple[KeyEntry, ...]

Cls = TypeVar("Cls", bound=type)

# These four are on the path of every call of a transformed function, hence no wrappers of our own around them.
flatten: Callable[..., tuple[list[Any], PyTreeDef]] = partial(optree.tree_flatten, namespace=NAMESPACE)
unflatten: Callable[[PyTreeDef, Iterable[Any]], Any] = PyTreeDef.unflatten
leaves: Callable[..., list[Any]] = partial(optree.tree_leaves, namespace=NAMESPACE)
structure: Callable[..., PyTreeDef] = partial(optree.tree_structure, namespace=NAMESPACE)


# Key paths -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class SequenceKey:
    """The key of an element of a tuple, a list or a deque.

    >>> import functrans as ft, numpy as np
    >>> str(ft.tree_util.SequenceKey(0))
    '[0]'
    """

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclasses.dataclass(frozen=True, slots=True)
class DictKey:
    """The key of a value in a dict of any kind.

    >>> import functrans as ft, numpy as np
    >>> str(ft.tree_util.DictKey("w"))
    "['w']"
    """

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclasses.dataclass(frozen=True, slots=True)
class GetAttrKey:
    """The key of a field of a named tuple, a dataclass, or any type registered with such keys.

    >>> import functrans as ft, numpy as np
    >>> str(ft.tree_util.GetAttrKey("weight"))
    '.weight'
    """

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class FlattenedIndexKey:
    """The key of a child of a registered type that does not name its children.

    >>> import functrans as ft, numpy as np
    >>> str(ft.tree_util.FlattenedIndexKey(1))
    '[<flat index 1>]'
    """

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


class _OwnKey(optree.PyTreeEntry):
    """Marks nodes whose entries are key objects already, as `register_pytree_with_keys` stores them."""


def _key(entry: optree.PyTreeEntry) -> KeyEntry:
    match entry:
        case _OwnKey():
            return entry.entry
        case optree.NamedTupleEntry():
            return GetAttrKey(entry.field)
        case optree.SequenceEntry():
            return SequenceKey(entry.entry)
        case optree.MappingEntry():
            return DictKey(entry.entry)
        case optree.GetAttrEntry():
            return GetAttrKey(entry.entry)
        case _:
            return FlattenedIndexKey(entry.entry)


def key_paths(treedef: PyTreeDef) -> list[KeyPath]:
    """The key path of each leaf, in the order of the leaves."""
    return [tuple(_key(entry) for entry in accessor) for accessor in treedef.accessors()]


def by_path(is_leaf: Callable[[KeyPath, Any], bool]) -> IsLeaf:
    """A predicate of key paths and subtrees as one of subtrees alone, for one flattening, which goes depth first."""
    waiting: list[KeyPath] = [()]

    def here(node: Any) -> bool:
        path = waiting.pop()
        if is_leaf(path, node):
            return True
        level = structure(node, lambda x: x is not node)
        if not level.is_leaf():
            waiting.extend((*path, *key) for key in reversed(key_paths(level)))
        return False

    return here


def keystr(keys: KeyPath, *, simple: bool = False, separator: str = "") -> str:
    """A key path as text, as one would write the access in Python.

    Args:
        keys: a key path, as `functrans.tree.flatten_with_path` gives them.
        simple: write the bare keys, without brackets, quotes and dots.
        separator: what stands between two keys.

    >>> from functrans.tree_util import DictKey, SequenceKey, keystr
    >>> path = (DictKey("layers"), SequenceKey(0), DictKey("w"))
    >>> keystr(path)
    "['layers'][0]['w']"
    >>> keystr(path, simple=True, separator="/")
    'layers/0/w'
    """
    return separator.join(_bare(key) if simple else str(key) for key in keys)


def _bare(key: KeyEntry) -> str:
    match key:
        case SequenceKey(inner) | DictKey(inner) | GetAttrKey(inner) | FlattenedIndexKey(inner):
            return str(inner)
        case _:
            return str(key)


# Where two structures differ -----------------------------------------------------------------------------------------


def describe_node(treedef: PyTreeDef, with_metadata: bool = True) -> str:
    """The topmost node of a structure in words: "a list of length 2", "a leaf"."""
    if treedef.type is None:
        return "a leaf"
    name, size = treedef.type.__name__, treedef.num_children
    match treedef.kind:
        case optree.PyTreeKind.NONE:
            return "None"
        case optree.PyTreeKind.DICT | optree.PyTreeKind.ORDEREDDICT | optree.PyTreeKind.DEFAULTDICT:
            return f"{_article(name)} with the keys {treedef.entries()}"
        case optree.PyTreeKind.TUPLE | optree.PyTreeKind.LIST | optree.PyTreeKind.DEQUE:
            return f"{_article(name)} of length {size}"
        case optree.PyTreeKind.CUSTOM if with_metadata:
            metadata = _shorten(repr(_metadata(treedef)), 200)
            return f"{_article(name)} with {size} {'child' if size == 1 else 'children'} and the metadata {metadata}"
        case _:
            return _article(name)


def _article(name: str) -> str:
    return f"an {name}" if name[:1] in "aeiouAEIO" else f"a {name}"


def _metadata(treedef: PyTreeDef) -> Any:
    return _one_level(treedef).walk([None] * treedef.num_children, lambda _type, metadata, _children: metadata, None)


def _one_level(treedef: PyTreeDef) -> PyTreeDef:
    node = treedef.one_level()
    assert node is not None, "a leaf has no level"
    return node


def same_node(a: PyTreeDef, b: PyTreeDef) -> bool:
    """Whether the topmost nodes of two structures agree: type, number of children, keys, metadata."""
    return a.type is b.type and a.num_children == b.num_children and bool(a.one_level() == b.one_level())


def keyed_children(treedef: PyTreeDef) -> list[tuple[KeyEntry, PyTreeDef]]:
    """The children of the topmost node with their keys."""
    paths = _one_level(treedef).accessors() if treedef.num_children else []
    return [(_key(path[0]), child) for path, child in zip(paths, treedef.children(), strict=True)]


def first_difference(a: PyTreeDef, b: PyTreeDef, *, prefix: bool = False) -> tuple[KeyPath, str, str] | None:
    """The first place where two structures differ, as a key path and what either has there; None if nowhere.

    With `prefix`, a leaf of `a` stands for anything in `b`.
    """
    return next(differences(a, b, prefix=prefix), None)


def differences(a: PyTreeDef, b: PyTreeDef, *, prefix: bool = False) -> Iterator[tuple[KeyPath, str, str]]:
    """All such places."""
    if a.type is None and (prefix or b.type is None):
        return
    if not same_node(a, b):
        fields = _differing_fields(a, b)
        yield from fields
        if not fields:
            of_one_class = a.type is b.type
            yield (), describe_node(a, of_one_class), describe_node(b, of_one_class)
            return
    for (key, x), (_, y) in zip(keyed_children(a), keyed_children(b), strict=True):
        for path, here, there in differences(x, y, prefix=prefix):
            yield (key, *path), here, there


class _Subtree:
    """What stands for a child where a node is made to look at its fields."""

    def __repr__(self) -> str:
        return "a subtree"


_SUBTREE = _Subtree()


def _differing_fields(a: PyTreeDef, b: PyTreeDef) -> list[tuple[KeyPath, str, str]]:
    """The fields that two nodes of one class have with different values, such as the activation of a layer."""
    if a.type is not b.type or a.kind is not optree.PyTreeKind.CUSTOM or a.num_children != b.num_children:
        return []
    try:
        ours, theirs = (vars(_one_level(node).unflatten([_SUBTREE] * node.num_children)) for node in (a, b))
        pairs = [(name, value, theirs.get(name, _SUBTREE)) for name, value in ours.items()]
        different = [(n, x, y) for n, x, y in pairs if type(x) is not type(y) or x != y]
    except Exception:  # a class that cannot be made so, or without fields that compare
        return []
    return [((GetAttrKey(name),), _shorten(repr(x), 100), _shorten(repr(y), 100)) for name, x, y in different]


def structure_error(
    what: str, a: PyTreeDef, b: PyTreeDef, names: tuple[str, str], *, prefix: bool = False
) -> errors.TreeStructureError | None:
    """The error for two structures that must agree, or None if they do.

    Args:
        what: the function at fault, as the user called it: "tree.map".
        a: one structure.
        b: the other.
        names: what the user knows the two by: ("the first tree", "tree 2").
        prefix: a leaf of `a` stands for anything in `b`.
    """
    found = first_difference(a, b, prefix=prefix)
    if found is None:
        return None
    path, here, there = found
    return errors.TreeStructureError(
        f"{what}: the structures differ {_place(path)}: {names[0]} has {here}, {names[1]} has {there}."
        f"\n  {names[0]}: {_shorten(str(a))}\n  {names[1]}: {_shorten(str(b))}"
    )


def _place(path: KeyPath) -> str:
    return f"at {keystr(path)}" if path else "at the root"


def _shorten(text: str, limit: int = 1000) -> str:
    return text if len(text) <= limit else f"{text[: limit // 2]} ... {text[-limit // 2 :]}"


def flatten_up_to(treedef: PyTreeDef, tree: Any, what: str, names: tuple[str, str]) -> list[Any]:
    """The subtrees of `tree` at the places of the leaves of `treedef`, which must be a prefix of it."""
    try:
        return treedef.flatten_up_to(tree)
    except ValueError as failure:
        if error := structure_error(what, treedef, structure(tree), names, prefix=True):
            raise error from None
        raise failure


def _is_none(x: Any) -> bool:
    return x is None


def broadcast_prefix(
    prefix_tree: Any,
    full: Any,
    what: str,
    *,
    is_leaf: IsLeaf | None = _is_none,
    error: type[Exception] = errors.TreeStructureError,
) -> list[Any]:
    """For each leaf of `full` the leaf of `prefix_tree` that stands above it, as a flat list.

    Args:
        prefix_tree: say the `in_axes` of `vmap`; `None` is a leaf here (unless `is_leaf` says otherwise).
        full: a pytree or its structure; the prefix must have the same nodes down to its leaves.
        what: the prefix as the user knows it, for the error: "in_axes of vmap".
        is_leaf: what else is a leaf of the prefix.
        error: the class of the error.
    """
    values, prefix = flatten(prefix_tree, is_leaf)
    treedef = full if isinstance(full, PyTreeDef) else structure(full)
    sizes = _leaf_counts(prefix, treedef)
    if sizes is not None:
        return [value for value, size in zip(values, sizes) for _ in range(size)]
    path, here, there = first_difference(prefix, treedef, prefix=True) or ((), "", "")
    raise error(
        f"{what} does not fit the tree that it is for: {_place(path)} it has {here}, where the tree has {there}. "
        "One value may stand for a whole subtree; above it the containers must be the same."
        f"\n  {what}: {_shorten(str(prefix))}\n  the tree: {_shorten(str(treedef))}"
    )


def _leaf_counts(prefix: PyTreeDef, treedef: PyTreeDef) -> list[int] | None:
    """How many leaves of `treedef` are under each leaf of `prefix`; None if it is no prefix."""
    if prefix.type is None:
        return [treedef.num_leaves]
    if not same_node(prefix, treedef):
        return None
    counts: list[int] = []
    for upper, lower in zip(prefix.children(), treedef.children()):
        below = _leaf_counts(upper, lower)
        if below is None:
            return None
        counts += below
    return counts


# Registering types ---------------------------------------------------------------------------------------------------


def _register(nodetype: type, flatten_func: Any, unflatten_func: Any, entry_type: type = optree.FlattenedEntry) -> None:
    if not isinstance(nodetype, type):
        raise errors.ArgumentError(f"a pytree node type must be a class, not {nodetype!r}")
    try:
        optree.register_pytree_node(
            nodetype, flatten_func, unflatten_func, path_entry_type=entry_type, namespace=NAMESPACE
        )
    except ValueError as failure:
        raise errors.ArgumentError(
            f"{nodetype.__qualname__} is a pytree node already; a type is registered once"
        ) from failure


def register_pytree_node(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, tuple[Any, ...]], Any],
    flatten_with_keys_func: Callable[[Any], tuple[Iterable[tuple[KeyEntry, Any]], Any]] | None = None,
) -> None:
    """Make instances of a type containers of pytrees.

    Args:
        nodetype: the type; its subclasses are not included.
        flatten_func: gives the children and the metadata (hashable and comparable: it becomes part of the structure).
        unflatten_func: from the metadata and the tuple of children, whatever they are now, makes an instance. It must
            not look into the children: during transformations they may be tracers, `None`, or plain objects.
        flatten_with_keys_func: like `flatten_func`, with (key, child) pairs instead of children.

    Raises:
        ArgumentError: the type is registered already.

    >>> import functrans as ft
    >>> class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> ft.tree_util.register_pytree_node(Pair, lambda p: ((p.x, p.y), None), lambda _, xy: Pair(*xy))
    >>> ft.tree.leaves({"a": Pair(1, 2), "b": 3})
    [1, 2, 3]
    """
    if flatten_with_keys_func is not None:
        register_pytree_with_keys(nodetype, flatten_with_keys_func, unflatten_func)
    else:
        _register(nodetype, flatten_func, unflatten_func)


def register_pytree_with_keys(
    nodetype: type,
    flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[KeyEntry, Any]], Any]],
    unflatten_func: Callable[[Any, tuple[Any, ...]], Any],
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None,
) -> None:
    """Like `register_pytree_node`, with children that have names in key paths.

    Args:
        nodetype: the type; its subclasses are not included.
        flatten_with_keys: gives (key, child) pairs and the metadata. Keys are `DictKey`, `SequenceKey`, `GetAttrKey`,
            or any hashable object; `str` of it is what error messages show.
        unflatten_func: from the metadata and the tuple of children makes an instance.
        flatten_func: taken for the sake of JAX's signature; the keys are always asked for.

    Raises:
        ArgumentError: the type is registered already.

    >>> import functrans as ft
    >>> from functrans.tree_util import GetAttrKey
    >>> class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> ft.tree_util.register_pytree_with_keys(
    ...     Pair,
    ...     lambda p: (((GetAttrKey("x"), p.x), (GetAttrKey("y"), p.y)), None),
    ...     lambda _, xy: Pair(*xy),
    ... )
    >>> [ft.tree_util.keystr(path) for path, leaf in ft.tree.leaves_with_path([Pair(1, 2)])]
    ['[0].x', '[0].y']
    """

    def flatten_keyed(node: Any) -> tuple[tuple[Any, ...], Any, tuple[KeyEntry, ...]]:
        keyed, metadata = flatten_with_keys(node)
        keyed = tuple(keyed)
        return tuple(child for _, child in keyed), metadata, tuple(key for key, _ in keyed)

    register_keyed(nodetype, flatten_keyed, unflatten_func)


def register_keyed(
    nodetype: type,
    flatten_func: Callable[[Any], tuple[tuple[Any, ...], Any, tuple[KeyEntry, ...]]],
    unflatten_func: Callable[[Any, tuple[Any, ...]], Any],
) -> None:
    """`register_pytree_with_keys` by a function that gives children, metadata and keys, each in one piece."""
    _register(nodetype, flatten_func, unflatten_func, _OwnKey)


def register_pytree_node_class(cls: Cls) -> Cls:
    """`register_pytree_node` as a class decorator, for a class with `tree_flatten` and `tree_unflatten`.

    >>> import functrans as ft
    >>> @ft.tree_util.register_pytree_node_class
    ... class Pair:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    ...
    ...     def tree_flatten(self):
    ...         return (self.x, self.y), None
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, metadata, children):
    ...         return cls(*children)
    >>> ft.tree.leaves(Pair(1, [2, 3]))
    [1, 2, 3]
    """
    register_pytree_node(cls, lambda node: node.tree_flatten(), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: Cls) -> Cls:
    """`register_pytree_with_keys` as a class decorator: `tree_flatten_with_keys` and `tree_unflatten`.

    >>> import functrans as ft
    >>> from functrans.tree_util import GetAttrKey
    >>> @ft.tree_util.register_pytree_with_keys_class
    ... class Scaled:
    ...     def __init__(self, x, factor):
    ...         self.x, self.factor = x, factor
    ...
    ...     def tree_flatten_with_keys(self):
    ...         return [(GetAttrKey("x"), self.x)], self.factor
    ...
    ...     @classmethod
    ...     def tree_unflatten(cls, factor, children):
    ...         return cls(*children, factor)
    >>> ft.tree.leaves_with_path(Scaled(1.0, 2))
    [((GetAttrKey(name='x'),), 1.0)]
    """
    unflatten_class = cls.tree_unflatten  # type: ignore[attr-defined]
    register_pytree_with_keys(cls, lambda node: node.tree_flatten_with_keys(), unflatten_class)
    return cls


def register_dataclass(
    nodetype: Cls,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] | None = None,
    drop_fields: Sequence[str] = (),
) -> Cls:
    """Make a dataclass a container of pytrees; also a decorator.

    Args:
        nodetype: a dataclass, or any class whose constructor takes the fields by name (then name them).
        data_fields: the fields that are children. Left out: every field, less those marked with
            `dataclasses.field(metadata={"static": True})`, for which `functrans.tree.static()` is short.
        meta_fields: the fields that belong to the structure; hashable and comparable.
        drop_fields: fields that flattening forgets; they need defaults.

    Returns:
        The class itself.

    Raises:
        ArgumentError: the names are not the fields that the constructor takes.

    >>> import dataclasses
    >>> import functrans as ft
    >>> @ft.tree_util.register_dataclass
    ... @dataclasses.dataclass
    ... class Layer:
    ...     w: float
    ...     b: float
    ...     activation: str = ft.tree.static(default="tanh")
    >>> ft.tree.map(lambda x: 2 * x, Layer(1.0, 2.0))
    Layer(w=2.0, b=4.0, activation='tanh')
    """
    if not isinstance(nodetype, type):
        raise errors.ArgumentError(f"register_dataclass needs a class, not {nodetype!r}")
    if (data_fields is None) != (meta_fields is None):
        raise errors.ArgumentError("register_dataclass: data_fields and meta_fields are given both or not at all")
    if dataclasses.is_dataclass(nodetype):
        init_fields = [field for field in dataclasses.fields(nodetype) if field.init]
        if data_fields is None or meta_fields is None:
            static = {field.name for field in init_fields if field.metadata.get("static", False)}
            data_fields = [f.name for f in init_fields if f.name not in static and f.name not in drop_fields]
            meta_fields = [f.name for f in init_fields if f.name in static and f.name not in drop_fields]
        _check_fields(nodetype, [field.name for field in init_fields], data_fields, meta_fields, drop_fields)
    elif data_fields is None or meta_fields is None:
        raise errors.ArgumentError(
            f"register_dataclass: {nodetype.__qualname__} is not a dataclass, so data_fields and meta_fields must be "
            "given. As a decorator, @register_dataclass goes above @dataclass."
        )

    data, meta = tuple(data_fields), tuple(meta_fields)
    keys = tuple(GetAttrKey(name) for name in data)

    def flatten_fields(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[GetAttrKey, ...]]:
        return tuple([getattr(node, name) for name in data]), tuple([getattr(node, name) for name in meta]), keys

    def unflatten_fields(metadata: tuple[Any, ...], children: tuple[Any, ...]) -> Any:
        return nodetype(**dict(zip(data, children)), **dict(zip(meta, metadata)))

    register_keyed(nodetype, flatten_fields, unflatten_fields)
    return nodetype


def _check_fields(cls: type, init: list[str], data: Sequence[str], meta: Sequence[str], drop: Sequence[str]) -> None:
    named = [*data, *meta, *drop]
    if missing := [name for name in init if name not in named]:
        raise errors.ArgumentError(
            f"register_dataclass: {cls.__qualname__} has fields {missing} that are neither in data_fields nor in "
            "meta_fields nor in drop_fields"
        )
    if unknown := [name for name in named if name not in init]:
        raise errors.ArgumentError(
            f"register_dataclass: the constructor of {cls.__qualname__} takes no {unknown}; it takes {init}"
        )
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise errors.ArgumentError(f"register_dataclass: {twice} of {cls.__qualname__} are named twice")


def register_static(cls: Cls) -> Cls:
    """Make instances of a class part of the structure: nodes without leaves. Also a decorator.

    The class must be hashable and comparable; `jit` compiles anew when such a value changes.

    >>> import dataclasses
    >>> import functrans as ft
    >>> @ft.tree_util.register_static
    ... @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...     depth: int
    >>> ft.tree.leaves([Options(3), 1.0])
    [1.0]
    """
    _register(cls, lambda node: ((), node), lambda node, _: node)
    return cls
