"""What a layer is: an immutable object that is a pytree, so that models are ordinary arguments of transformations.

The idea is Equinox's (Kidger and Garcia, "Equinox: neural networks in JAX via callable PyTrees and filtered
transformations", 2021): a model is a dataclass whose arrays are leaves and whose methods are plain functions. Nothing
here knows of layers, and no transformation knows of modules.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

import numpy as np

from functrans.api.differentiation import value_and_grad
from functrans.api.flattening import name_of
from functrans.core.array import Array
from functrans.core.avals import ShapeDtypeStruct, aval_of, is_array_like, is_inexact
from functrans.core.pytree import GetAttrKey, broadcast_prefix, flatten, register_keyed, unflatten
from functrans.errors import ArgumentError, FrozenModuleError, NoSuchAttributeError, StaticArgumentError
from functrans.tree import static

__all__ = [
    "Lambda", "Module", "combine", "field", "filter", "filter_grad", "filter_value_and_grad", "inference_mode",
    "is_array", "is_inexact_array", "partition", "static", "tree_at",
]  # fmt: skip

M = TypeVar("M", bound="Module")
Tree = TypeVar("Tree")


def field(*, static: bool = False, **kwargs: Any) -> Any:
    """A field of a module: `dataclasses.field`, with `static=True` for one that belongs to the model's structure.

    Args:
        static: the value is no data: `jit` compiles anew when it changes, and derivatives ignore it. It must be
            hashable. Most such fields need no mark: see `Module`.
        kwargs: those of `dataclasses.field`.

    >>> import functrans as ft, numpy as np
    >>> class Units(ft.nn.Module):
    ...     weight: ft.Array
    ...     names: tuple = ft.nn.field(static=True)
    >>> ft.tree.leaves(Units(np.ones(2), ("m", "s")))
    [array([1., 1.])]
    """
    return dataclasses.field(**{**kwargs, "metadata": {**(kwargs.get("metadata") or {}), "static": static}})


class _Layout:
    """The names of the fields of an instance: which are children, and which belong to the structure."""

    __slots__ = ("children", "keys", "names", "static", "types")

    def __init__(self, names: tuple[str, ...], types: tuple[type | None, ...]):
        self.names, self.types = names, types
        self.children = tuple(name for name, cls in zip(names, types) if cls is None)
        self.static = tuple(name for name, cls in zip(names, types) if cls is not None)
        self.keys = tuple(map(GetAttrKey, self.children))

    def __repr__(self) -> str:
        return f"<children: {', '.join(self.children)}; static: {', '.join(self.static)}>"


@functools.cache
def _layout(names: tuple[str, ...], types: tuple[type | None, ...]) -> _Layout:
    """The layout of fields with these names, and the types of those that are static: they tell 1, 1.0 and True apart.

    There is one object for equal layouts, so that they compare by identity.
    """
    return _Layout(names, types)


@dataclass_transform(field_specifiers=(field, static), eq_default=False)
class _ModuleType(abc.ABCMeta):
    """Makes each subclass of `Module` a dataclass and a pytree, and seals each instance after its `__init__`."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace, **kwargs)
        own_init = "__init__" in namespace or any(vars(base).get("_own_init", False) for base in cls.__mro__[1:])
        cls._own_init = own_init
        doc = cls.__doc__
        dataclasses.dataclass(init=not own_init, repr=False, eq=False)(cls)
        cls.__doc__ = doc  # dataclasses would make one of the signature
        register_keyed(cls, _parts, functools.partial(_make, cls))
        return cls

    if not TYPE_CHECKING:  # type checkers see `__init__` alone, and so does inspect.signature

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            self = super().__call__(*args, **kwargs)
            self._seal()
            return self

        @property
        def __signature__(cls) -> inspect.Signature:
            signature = inspect.signature(cls.__init__)
            return signature.replace(parameters=list(signature.parameters.values())[1:])


def _parts(module: Module) -> Any:
    layout, values = module._layout, module.__dict__
    fixed = tuple([values[name] for name in layout.static])
    return tuple([values[name] for name in layout.children]), (layout, fixed), layout.keys


def _make(cls: type[Module], metadata: tuple[_Layout, tuple[Any, ...]], children: Sequence[Any]) -> Any:
    layout, fixed = metadata
    self = object.__new__(cls)
    values = vars(self)
    values.update(zip(layout.static, fixed))
    values.update(zip(layout.children, children))
    object.__setattr__(self, "_layout", layout)
    return self


def _restore(cls: type[Module], values: dict[str, Any], names: tuple[str, ...], static: frozenset[str]) -> Any:
    """A module from its parts, for `pickle` and `copy`."""
    layout = _layout(names, tuple([type(values[name]) if name in static else None for name in names]))
    fixed, children = ([values[name] for name in part] for part in (layout.static, layout.children))
    return _make(cls, (layout, tuple(fixed)), children)


_LEAVES = "the parameters are functrans.tree.leaves(model), with their paths functrans.tree.leaves_with_path(model)"
_DTYPES = "in another dtype it is functrans.tree.map(lambda p: p.astype(dtype), model)"
_DEVICES = 'on a GPU it is functrans.device_put(model, "cuda")'

#: What models of other libraries have, and where it is here.
_ELSEWHERE = {
    "forward": "its call is __call__: write model(x)",
    "apply": "call it: model(x)",
    "init": "it has its parameters from the start, drawn from the `key` of its layers",
    "compile": "functrans.jit compiles functions, and functrans.train.fit takes the loss and the optimizer",
    "fit": "write functrans.train.fit(model, (x, y), loss, optimizer)",
    "evaluate": "write functrans.train.evaluate(model, (x, y), loss, metrics)",
    "predict": "write functrans.train.predict(model, x)",
    "summary": "write functrans.nn.summary(model, shape)",
    "eval": "for predictions write functrans.nn.inference_mode(model), a copy",
    "train": "for training write functrans.nn.inference_mode(model, False), a copy",
    "state_dict": f"functrans.save(path, model) writes it to a file; {_LEAVES}",
    "save": "write functrans.save(path, model)",
    "save_weights": "write functrans.save(path, model)",
    "load_state_dict": "write functrans.load(path, like=model)",
    "load_weights": "write functrans.load(path, like=model)",
    "zero_grad": "gradients are results of functrans.grad, and nothing accumulates",
    "requires_grad_": "what is trained is told by functrans.nn.partition, or by optim.masked",
    "to": f"{_DTYPES}, and {_DEVICES}",
    **dict.fromkeys(("parameters", "named_parameters", "variables", "trainable_variables"), _LEAVES),
    **dict.fromkeys(("half", "float", "double", "bfloat16"), _DTYPES),
    **dict.fromkeys(("cuda", "cpu"), _DEVICES),
}


class Module(metaclass=_ModuleType):
    """Base class of layers and models: immutable, a dataclass, and a pytree.

    A subclass lists its fields as a dataclass does, or has an `__init__` of its own, which may assign attributes until
    it returns. Its methods are plain functions of `self`, so models go through `jit`, `grad` and `vmap` as any other
    argument does: `grad(lambda model: loss(model(x), y))(model)` is a model of gradients.

    What is a leaf is decided once, when `__init__` has returned, for each field by its value: one that holds arrays or
    modules, by itself or in lists, tuples and dicts, is a subtree of the model; one that holds anything else (a number,
    a string, a function, a dtype, or a tuple of such) is static, part of the model's structure, and must be hashable.
    So hyperparameters are not trained, and a number that is to be trained, or to change without compiling anew, is an
    array: `np.array(0.5)`. `field(static=True)` makes any field static. Functions in a list, tuple or dict beside
    modules or arrays become `Lambda`, which is a module; numbers beside arrays are leaves. An array in two places of a
    model becomes two, each with a gradient of its own.

    Modules compare by identity. Changed copies are made by `replace` and `tree_at`.

    Raises:
        FrozenModuleError: an attribute is assigned after `__init__`.
        ArgumentError: `__init__` did not set a field.
        StaticArgumentError: a static field cannot be hashed.

    >>> import functrans as ft, numpy as np
    >>> class Affine(ft.nn.Module):
    ...     weight: ft.Array
    ...     bias: ft.Array
    ...     activation: object = np.tanh
    ...     gain: float = 1.0
    ...
    ...     def __call__(self, x):
    ...         return self.gain * self.activation(x @ self.weight + self.bias)
    >>> model = Affine(np.ones((3, 2), np.float32), np.array(0.5))
    >>> model
    Affine(weight=f32[3,2], bias=f64[], activation=tanh, gain=1.0)
    >>> ft.grad(lambda model: model(np.ones(3)).sum())(model).bias
    Array(0.00728177)
    >>> model.bias = 1.0
    Traceback (most recent call last):
        ...
    functrans.errors.FrozenModuleError: Affine is immutable: its field 'bias' cannot be assigned. ...
    """

    __slots__ = ("_layout",)
    _layout: ClassVar[Any]

    def _seal(self, arrays: Sequence[str] = ()) -> None:
        """Decide which fields are children, given those that held arrays; from now on the instance is immutable."""
        values, declared = vars(self), {f.name: f for f in dataclasses.fields(self)}
        for name, f in declared.items():
            if name in values:
                continue
            if f.default is not dataclasses.MISSING:
                values[name] = f.default
            elif f.default_factory is not dataclasses.MISSING:
                values[name] = f.default_factory()
            else:
                raise ArgumentError(f"{type(self).__name__}.__init__ returned without setting the field {name!r}")
        names = (*declared, *(name for name in values if name not in declared))
        types: list[type | None] = []
        for name in names:
            marked = name in declared and declared[name].metadata.get("static", False)
            if marked or _is_static(values[name], name in arrays):
                types.append(type(values[name]))
                self._check_hashable(name)
            else:
                types.append(None)
                values[name] = _with_lambdas(values[name])
        object.__setattr__(self, "_layout", _layout(names, tuple(types)))

    def _check_hashable(self, name: str) -> None:
        value = vars(self)[name]
        try:
            hash(value)
        except TypeError:
            raise StaticArgumentError(
                f"the field {name!r} of {type(self).__name__} is {value!r:.60} of type {type(value).__name__}, which "
                "cannot be hashed; fields without arrays, and those with static=True, are part of the model's "
                "structure. Use a tuple for a list, a frozen dataclass for a dict."
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, "_layout"):
            raise self._frozen(name, "assigned")
        object.__setattr__(self, name, value)

    if not TYPE_CHECKING:  # type checkers know which attributes there are

        def __getattr__(self, name: str) -> Any:
            if hasattr(type(self), name):  # a property, whose own error is the one to see
                return object.__getattribute__(self, name)
            advice = f"; {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
            raise NoSuchAttributeError(f"{type(self).__name__} has no attribute {name!r}{advice}")

    def __delattr__(self, name: str) -> None:
        if hasattr(self, "_layout"):
            raise self._frozen(name, "deleted")
        object.__delattr__(self, name)

    def _frozen(self, name: str, what: str) -> FrozenModuleError:
        return FrozenModuleError(
            f"{type(self).__name__} is immutable: its field {name!r} cannot be {what}. Make a changed copy by "
            f"model.replace({name}=...), or by nn.tree_at(lambda model: model.layer.{name}, model, ...) for a field of "
            "a layer inside a model; a layer that learns from what passes through it returns a new state."
        )

    def replace(self: M, **changes: Any) -> M:
        """A copy with other values of some fields, of which arrays may give way to numbers.

        Raises:
            ArgumentError: there is no such field.

        >>> import functrans as ft
        >>> dropout = ft.nn.Dropout(0.5)
        >>> dropout.replace(p=0.1)
        Dropout(p=0.1, inference=False)
        """
        values = vars(self)
        if unknown := [name for name in changes if name not in values]:
            raise ArgumentError(f"{type(self).__name__} has no field {unknown[0]!r}; it has {', '.join(values)}")
        new = object.__new__(type(self))
        vars(new).update({**values, **changes})
        new._seal([name for name in self._layout.children if flatten(values[name])[0]])
        return new

    def __reduce__(self) -> Any:
        return _restore, (type(self), dict(vars(self)), self._layout.names, frozenset(self._layout.static))

    def __repr__(self) -> str:
        return _text(self)


_NUMBERS = (bool, int, float, complex, np.generic)


def _is_data(leaf: Any) -> bool:
    """Whether a leaf is an array, a tracer, or what stands for one."""
    return isinstance(leaf, ShapeDtypeStruct) or (is_array_like(leaf) and not isinstance(leaf, (type, *_NUMBERS)))


def _is_static(value: Any, was_array: bool) -> bool:
    """Whether a field of this value is static; numbers that take the place of arrays are not."""
    leaves = flatten(value)[0]
    if not leaves or any(map(_is_data, leaves)):
        return False
    return not (was_array and all(isinstance(leaf, _NUMBERS) for leaf in leaves))


def _with_lambdas(value: Any) -> Any:
    """A subtree with its functions made modules."""
    leaves, treedef = flatten(value)
    if not any(map(_is_function, leaves)):
        return value
    return unflatten(treedef, [Lambda(leaf) if _is_function(leaf) else leaf for leaf in leaves])


def _is_function(leaf: Any) -> bool:
    return callable(leaf) and not isinstance(leaf, type) and not is_array_like(leaf)


class Lambda(Module):
    """A function as a layer, as for an activation in `Sequential`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.Lambda(np.tanh)(0.0)
    np.float64(0.0)
    """

    fn: Callable[..., Any] = static()

    def __call__(self, x: Any) -> Any:
        """`fn(x)`."""
        return self.fn(x)


# What repr shows ------------------------------------------------------------------------------------------------------

_WIDTH = 100


def _text(value: Any, indent: int = 0) -> str:
    """A value as text: on one line if it fits, else with a line for each part."""
    match value:
        case Module():
            names = value._layout.names if hasattr(value, "_layout") else tuple(vars(value))
            parts = [f"{name}={{}}" for name in names]
            return _join(f"{type(value).__name__}(", ")", parts, [vars(value)[name] for name in names], indent)
        case list():
            return _join("[", "]", ["{}"] * len(value), value, indent)
        case tuple() if not hasattr(value, "_fields"):
            return _join("(", ",)" if len(value) == 1 else ")", ["{}"] * len(value), list(value), indent)
        case dict():
            return _join("{", "}", [f"{key!r}: {{}}" for key in value], list(value.values()), indent)
        case Array() | np.ndarray() | ShapeDtypeStruct():
            return str(aval_of(value))
        case np.dtype():
            return value.name
        case _ if callable(value):
            return name_of(value)
    return repr(value)


def _join(start: str, end: str, forms: list[str], values: list[Any], indent: int) -> str:
    texts = [form.replace("{}", _text(value, indent + 2), 1) for form, value in zip(forms, values)]
    line = start + ", ".join(texts) + end
    if "\n" not in line and indent + len(line) <= _WIDTH:
        return line
    margin = "\n" + " " * (indent + 2)
    return start + ",".join(margin + text for text in texts) + ("," if len(texts) > 1 else "") + margin[:-2] + end


# Parts of trees -------------------------------------------------------------------------------------------------------


def is_array(x: Any) -> bool:
    """Whether a leaf is an array (of NumPy, of functrans, or traced).

    >>> import functrans as ft, numpy as np
    >>> ft.nn.is_array(np.ones(2)), ft.nn.is_array(1.0)
    (True, False)
    """
    return isinstance(x, (np.ndarray, Array))


def is_inexact_array(x: Any) -> bool:
    """Whether a leaf is an array of floats or complex numbers: one that has derivatives.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.is_inexact_array(np.ones(2)), ft.nn.is_inexact_array(np.arange(2))
    (True, False)
    """
    return is_array(x) and is_inexact(aval_of(x).dtype)


def _chosen(tree: Any, filter_spec: Any) -> tuple[list[Any], Any, list[bool]]:
    leaves, treedef = flatten(tree)
    if callable(filter_spec) and not isinstance(filter_spec, Module):
        return leaves, treedef, [bool(filter_spec(leaf)) for leaf in leaves]
    spec = broadcast_prefix(filter_spec, treedef, "the filter")
    return leaves, treedef, [bool(s(leaf) if callable(s) else s) for s, leaf in zip(spec, leaves)]


def partition(tree: Tree, filter_spec: Any) -> tuple[Tree, Tree]:
    """A tree as two of the same shape: the leaves that a filter chooses, and the others; `None` in the other's place.

    Args:
        tree: a pytree, such as a model.
        filter_spec: a function from leaves to booleans, or a tree of booleans with the structure of `tree`, in which
            one boolean may stand for a subtree.

    Raises:
        TreeStructureError: the tree of booleans does not fit.

    >>> import functrans as ft, numpy as np
    >>> arrays, others = ft.nn.partition({"w": np.zeros(2), "n": 3}, ft.nn.is_array)
    >>> arrays, others
    ({'w': array([0., 0.]), 'n': None}, {'w': None, 'n': 3})
    >>> ft.nn.combine(arrays, others)
    {'w': array([0., 0.]), 'n': 3}
    """
    leaves, treedef, chosen = _chosen(tree, filter_spec)
    return (
        unflatten(treedef, [leaf if c else None for leaf, c in zip(leaves, chosen)]),
        unflatten(treedef, [None if c else leaf for leaf, c in zip(leaves, chosen)]),
    )


def filter(tree: Tree, filter_spec: Any) -> Tree:
    """The leaves that a filter chooses, and `None` in place of the others: the first half of `partition`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.filter([np.zeros(2), 3], ft.nn.is_array)
    [array([0., 0.]), None]
    """
    return partition(tree, filter_spec)[0]


def combine(*trees: Any) -> Any:
    """The tree that has, at each place, the first leaf of the given ones that is not `None`: undoes `partition`.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.combine({"w": 1.0, "name": None}, {"w": None, "name": "layer"})
    {'w': 1.0, 'name': 'layer'}
    """
    is_none = lambda x: x is None
    columns = [flatten(tree, is_none) for tree in trees]
    for i, (_, treedef) in enumerate(columns):
        if treedef != columns[0][1]:
            raise ArgumentError(f"combine: tree {i} has another structure than the first: {treedef}, {columns[0][1]}")
    rows = zip(*(leaves for leaves, _ in columns))
    return unflatten(columns[0][1], [next((x for x in row if x is not None), None) for row in rows])


class _Place:
    """Stands for one leaf while `tree_at` asks where it is."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


def tree_at(
    where: Callable[[Any], Any], tree: Tree, replace: Any = None, replace_fn: Callable[[Any], Any] | None = None
) -> Tree:
    """A copy of a tree with other values in some places.

    Args:
        where: a function from the tree to one of its nodes, or to a tuple or list of several. It is called with
            stand-ins for the leaves, so it must not compute.
        tree: a pytree, such as a model. A field that is `None` is a place too.
        replace: the new node, or as many as `where` gives.
        replace_fn: instead, a function from the old node to the new one.

    Returns:
        The changed copy. What is replaced may change its type and its structure.

    Raises:
        ArgumentError: `where` gives what is no node of the tree (a static field, say: use `replace` of its module), or
            the number of new nodes is another.

    >>> import functrans as ft, numpy as np
    >>> model = ft.nn.Linear(2, 3, key=ft.random.key(0))
    >>> ft.nn.tree_at(lambda m: m.weight, model, np.zeros((3, 2))).weight.dtype
    dtype('float64')
    >>> ft.nn.tree_at(lambda m: (m.weight, m.bias), model, replace_fn=lambda w: 2 * w).bias / model.bias
    Array([2., 2., 2.], dtype=float32)
    """
    leaves, treedef = flatten(tree, lambda x: x is None)
    places = unflatten(treedef, list(map(_Place, leaves)))
    found = where(places)
    nodes = {id(node) for node in _nodes(places)}
    several = id(found) not in nodes and isinstance(found, (tuple, list))
    wanted = list(found) if several else [found]
    for node in wanted:
        if id(node) not in nodes:
            raise ArgumentError(
                f"tree_at: where gave {node!r:.80}, which is no node of the tree. It must give leaves or containers of "
                "the tree itself; static fields are changed by model.replace(field=...)."
            )
    if replace_fn is not None:
        values = [replace_fn(_filled(node)) for node in wanted]
    elif several and (not isinstance(replace, (tuple, list)) or len(replace) != len(wanted)):
        raise ArgumentError(f"tree_at: where gave {len(wanted)} nodes, so replace must be a tuple or list of as many")
    else:
        values = list(replace) if several else [replace]
    new = {id(node): _with_lambdas(value) for node, value in zip(wanted, values)}
    if len(new) < len(wanted):
        raise ArgumentError("tree_at: where gave one node twice")
    parts, treedef = flatten(places, lambda node: id(node) in new)
    return unflatten(treedef, [new[id(part)] if id(part) in new else part.value for part in parts])


def _filled(places: Any) -> Any:
    leaves, treedef = flatten(places)
    return unflatten(treedef, [place.value for place in leaves])


def _nodes(tree: Any) -> Iterator[Any]:
    """All nodes of a tree, containers and leaves."""
    yield tree
    for child in flatten(tree, lambda x: x is not tree)[0]:
        if child is not tree:
            yield from _nodes(child)


def inference_mode(tree: Tree, value: bool = True) -> Tree:
    """A copy of a model whose layers behave as for predictions (or, with `value=False`, as in training).

    It sets the field `inference` of every module that has one: those of `Dropout`, `BatchNorm` and your own.

    >>> import functrans as ft
    >>> ft.nn.inference_mode(ft.nn.Sequential(ft.nn.Dropout(0.5), ft.nn.Flatten()))[0]
    Dropout(p=0.5, inference=True)
    """
    leaves, treedef = flatten(tree, lambda x: isinstance(x, Module) and x is not tree)
    tree = unflatten(treedef, [inference_mode(x, value) if isinstance(x, Module) else x for x in leaves])
    if isinstance(tree, Module) and "inference" in vars(tree):
        return tree.replace(inference=value)
    return tree


# Derivatives with respect to a model's floating arrays ----------------------------------------------------------------


def filter_value_and_grad(fun: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
    """`value_and_grad` with respect to the floating (and complex) arrays of the first argument, whatever else it holds.

    Models whose leaves are all floating need no more than `functrans.value_and_grad`; this is for those that also hold
    arrays of integers, such as counters or tables of indices.

    Returns:
        A function of the same arguments that gives the value and the gradient, a tree like the first argument with
        `None` for what is no floating array.

    >>> import functrans as ft, numpy as np
    >>> model = {"w": np.ones(2), "steps": np.array(3)}
    >>> ft.nn.filter_value_and_grad(lambda m, x: m["w"] @ x)(model, np.array([2.0, 3.0]))
    (Array(5.), {'w': Array([2., 3.]), 'steps': None})
    """

    @functools.wraps(fun)
    def of_parts(tree: Any, *args: Any, **kwargs: Any) -> Any:
        chosen, rest = partition(tree, is_inexact_array)
        inner = lambda chosen, *args, **kwargs: fun(combine(chosen, rest), *args, **kwargs)
        return value_and_grad(functools.wraps(fun)(inner), has_aux=has_aux)(chosen, *args, **kwargs)

    return of_parts


def filter_grad(fun: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., Any]:
    """`grad` with respect to the floating arrays of the first argument: `filter_value_and_grad` without the value.

    >>> import functrans as ft, numpy as np
    >>> ft.nn.filter_grad(lambda m: m["w"].sum())({"w": np.ones(2), "steps": np.array(3)})
    {'w': Array([1., 1.]), 'steps': None}
    """
    both = filter_value_and_grad(fun, has_aux=has_aux)

    @functools.wraps(fun)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return gradient
