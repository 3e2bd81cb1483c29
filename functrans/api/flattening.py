"""From functions of pytrees to functions of flat lists of leaves, which is what the transformations act on."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of, bfloat16, float0, is_array_like
from functrans.core.pytree import PyTreeDef, flatten, key_paths, keystr, unflatten
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError


def name_of(fun: Any) -> str:
    """A function's name for messages and jaxprs."""
    inner = getattr(fun, "func", fun)
    return getattr(fun, "__name__", None) or getattr(inner, "__name__", None) or type(fun).__name__


class Flat:
    """A function of pytrees as a function of leaves; after a call it holds the structure of the result.

    With `has_aux` the function returns a pair `(out, aux)`: `out` is flattened, `aux` kept beside.
    """

    def __init__(self, call: Callable[[list[Any]], Any], name: str, has_aux: bool = False):
        self.call = call
        self.name = name
        self.has_aux = has_aux
        self.out_tree: PyTreeDef | None = None
        self.aux: Any = None

    def __call__(self, *leaves: Any) -> list[Any]:
        out = self.call(list(leaves))
        if self.has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise ArgumentError(
                    f"with has_aux=True, {self.name} must return a pair (output, auxiliary data), got {out!r:.80}"
                )
            out, self.aux = out
        outs, self.out_tree = flatten(out)
        for i, o in enumerate(outs):
            if not is_array_like(o):
                path = keystr(key_paths(self.out_tree)[i])
                raise DTypeError(
                    f"{self.name} returned {o!r:.60} of type {type(o).__name__}{' at ' + path if path else ''}; under "
                    "a transformation a function returns arrays, numbers and pytrees of them"
                    + ("" if self.has_aux else " (return other data with has_aux=True)")
                )
        return outs

    def strip_aux(self, strip: Callable[[Any], Any]) -> None:
        """Map the leaves of `aux`: a trace takes its tracers out of it."""
        if self.has_aux:
            leaves, tree = flatten(self.aux)
            self.aux = unflatten(tree, [strip(x) for x in leaves])

    @property
    def tree(self) -> PyTreeDef:
        """The structure of the result."""
        assert self.out_tree is not None
        return self.out_tree

    def unflatten(self, outs: Sequence[Any]) -> Any:
        return unflatten(self.tree, outs)


def argument_names(fun: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None) -> list[str]:
    """The names of all leaves of the arguments, as the user would write them: `params['w']`, `x`."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    names: list[str] = []
    for i, arg in enumerate(args):
        if i < len(parameters) and parameters[i].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            base = parameters[i].name
        elif parameters and parameters[-1].kind is inspect.Parameter.VAR_POSITIONAL:
            base = f"{parameters[-1].name}[{i - len(parameters) + 1}]"
        else:
            base = f"args[{i}]"
        names += _leaf_names(base, arg)
    for key in sorted(kwargs or {}):
        names += _leaf_names(key, (kwargs or {})[key])
    return names


def _leaf_names(base: str, tree: Any) -> list[str]:
    if is_array_like(tree):
        return [base]
    _, treedef = flatten(tree)
    return [base + keystr(path) for path in key_paths(treedef)]


def select_arguments(
    fun: Any, args: tuple[Any, ...], argnums: int | Sequence[int], what: str
) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """The positions that `argnums` names, counted from the front, and the arguments there."""
    wanted = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    positions = []
    for n in wanted:
        n = operator.index(n)
        if not -len(args) <= n < len(args):
            raise ArgumentError(
                f"{what} of {name_of(fun)} with respect to argument {n} (argnums), but it was called with "
                f"{len(args)} positional argument{'s' if len(args) != 1 else ''}; pass it by position"
            )
        positions.append(n % len(args))
    return tuple(positions), tuple(args[i] for i in positions)


def with_arguments(
    fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], positions: Sequence[int], tree: PyTreeDef
) -> Callable[[list[Any]], Any]:
    """`fun` as a function of the leaves of the arguments at `positions`, the others fixed."""

    def call(leaves: list[Any]) -> Any:
        full = list(args)
        for i, value in zip(positions, unflatten(tree, leaves)):
            full[i] = value
        return fun(*full, **kwargs)

    return call


def static_arguments(fun: Any, what: str, kind: str, nums: Any, names: Any) -> tuple[tuple[int, ...], frozenset[str]]:
    """Positions and names of arguments of a kind, each inferred from the other where the signature allows."""
    given_nums = () if nums is None else (nums,) if isinstance(nums, int) else tuple(nums)
    given_names = () if names is None else (names,) if isinstance(names, str) else tuple(names)
    try:
        parameters = inspect.signature(fun).parameters
    except (ValueError, TypeError):
        return given_nums, frozenset(given_names)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [n for n, p in parameters.items() if p.kind in kinds]
    variadic = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    for n in given_nums:
        if not variadic and not -len(positional) <= n < len(positional):
            raise ArgumentError(
                f"{kind}_argnums of {what}({name_of(fun)}) names argument {n}, but it has {len(positional)} "
                "positional ones"
            )
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        for name in given_names:
            if name not in parameters:
                raise ArgumentError(
                    f"{kind}_argnames of {what}({name_of(fun)}) names {name!r}, which is no argument of it"
                )
    all_names = {*given_names, *(positional[n] for n in given_nums if -len(positional) <= n < len(positional))}
    all_nums = {*given_nums, *(positional.index(n) for n in given_names if n in positional)}
    return tuple(sorted(all_nums)), frozenset(all_names)


def check_leaf(value: Any, what: str | Callable[[], str]) -> ShapedArray:
    """The aval of a leaf of the arguments, or an error that says which leaf is none."""
    if not is_array_like(value) and not hasattr(value, "shape"):
        raise DTypeError(
            f"{what if isinstance(what, str) else what()} is {value!r:.60} of type {type(value).__name__}, which is "
            "no array or number. Pass arrays, numbers and pytrees of them; mark other arguments as static, or close "
            "over them."
        )
    aval = aval_of(value)
    if aval.dtype.kind not in "biufc" and aval.dtype not in (bfloat16, float0):
        raise DTypeError(
            f"{what if isinstance(what, str) else what()} has the dtype {aval.dtype}, but arrays hold numbers and "
            "booleans here. Convert it (x.astype(float), or df.to_numpy(float) for a table of pandas); strings, dates, "
            "records and objects stay outside, or are closed over."
        )
    return aval


def any_tracer(values: Sequence[Any]) -> bool:
    """Whether any of the values is traced, and has no value yet."""
    return any(isinstance(v, Tracer) and not v.has_value for v in values)


def no_reduce_axes(what: str, reduce_axes: Any) -> None:
    """Refuse the axes over which JAX would sum derivatives."""
    if reduce_axes:
        raise ArgumentError(
            f"{what} does not take reduce_axes={reduce_axes!r:.40}: write lax.psum of the result over these axes"
        )
