"""Calls back into Python: functions of NumPy arrays inside functions that are transformed and compiled.

`pure_callback(*operands; callback, out_avals, vmap_method)` may be left out, repeated and moved, as any operation that
only computes its results. `io_callback` and `debug_callback` have an effect: each runs once for each time that the
program comes by, in the order of the program, also where no operand is traced. Compiled programs call back at their
place in the plan. Names and semantics are JAX's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, dtype_name, is_array_like
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import PyTreeDef, flatten, structure_error, unflatten
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, NotDifferentiableError, ShapeError, TreeStructureError
from functrans.lax.flat import function_name
from functrans.transforms.batching import batch_first, move_axis

#: What `vmap` may do with a callback.
VMAP_METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized")


@api_boundary
def pure_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: None = None,
    vmap_method: str | None = None,
    **kwargs: Any,
) -> Any:
    """`callback(*args, **kwargs)` by Python with plain arrays, also in compiled functions.

    The callback must be pure: whether and how often it runs is not defined. To differentiate through it, call it in a
    function with a `custom_jvp` rule.

    Args:
        callback: a function of arrays; it returns arrays of the structure, shapes and dtypes of `result_shape_dtypes`.
        result_shape_dtypes: a pytree of what has a shape and a dtype (`ShapeDtypeStruct`, arrays).
        args, kwargs: pytrees of arrays.
        sharding: `None`.
        vmap_method: what `vmap` does. `"sequential"` (or `"sequential_unrolled"`): a call for each example;
            `"broadcast_all"`: one call, with all operands batched in front; `"expand_dims"`: one call, where operands
            that all examples share have a first axis of size one; `"legacy_vectorized"`: one call, where those are as
            they are. By default, `vmap` raises an error.

    Raises:
        ShapeError, DTypeError, TreeStructureError: the callback returned something else than it had promised.
        NotDifferentiableError: a derivative was asked for.

    >>> import functrans as ft, numpy as np
    >>> def host_sort(x):
    ...     return np.array(sorted(x.tolist()))
    >>> x = np.array([3.0, 1.0, 2.0])
    >>> ft.jit(lambda x: 2 * ft.pure_callback(host_sort, x, x))(x)
    Array([2., 4., 6.])
    """
    refuse_placement("pure_callback", sharding=sharding)
    if vmap_method is not None and vmap_method not in VMAP_METHODS:
        raise ArgumentError(
            f"vmap_method of pure_callback must be None or one of {', '.join(VMAP_METHODS)}, got {vmap_method!r}"
        )
    return _call(pure_callback_p, callback, result_shape_dtypes, args, kwargs, vmap_method=vmap_method)


@api_boundary
def io_callback(
    callback: Callable[..., Any],
    result_shape_dtypes: Any,
    *args: Any,
    sharding: None = None,
    ordered: bool = False,
    **kwargs: Any,
) -> Any:
    """`callback(*args, **kwargs)` by Python, for its effects too: it runs once each time the program comes by.

    Args:
        callback: a function of arrays; it returns arrays of the structure, shapes and dtypes of `result_shape_dtypes`.
        result_shape_dtypes: a pytree of what has a shape and a dtype; `None` for no results.
        args, kwargs: pytrees of arrays.
        sharding: `None`.
        ordered: refuse `vmap`, under which a callback runs for one example after another. Callbacks run in the order
            of the program in any case.

    Raises:
        ShapeError, DTypeError, TreeStructureError: the callback returned something else than it had promised.
        NotDifferentiableError: a derivative with respect to `args` was asked for.

    >>> import functrans as ft, numpy as np
    >>> seen = []
    >>> def count(x):
    ...     seen.append(float(x))
    ...     return np.int64(len(seen))
    >>> f = ft.jit(lambda x: ft.io_callback(count, ft.ShapeDtypeStruct((), np.int64), x))
    >>> f(1.5), f(2.5), seen
    (Array(1), Array(2), [1.5, 2.5])
    """
    refuse_placement("io_callback", sharding=sharding)
    return _call(io_callback_p, callback, result_shape_dtypes, args, kwargs, ordered=bool(ordered))


def debug_callback(callback: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """`callback(*args, **kwargs)` for its effect alone; leaves that are no arrays reach it as they are."""
    leaves, tree = flatten((tuple(args), kwargs))
    dynamic = [is_array_like(x) for x in leaves]
    static = [None if d else x for x, d in zip(leaves, dynamic)]

    def call(*arrays: Any) -> list[Any]:
        rest = iter(arrays)
        own_args, own_kwargs = unflatten(tree, [next(rest) if d else s for s, d in zip(static, dynamic)])
        callback(*own_args, **own_kwargs)
        return []

    debug_callback_p.bind(
        *(x for x, d in zip(leaves, dynamic) if d), callback=call, name=function_name(callback), out_avals=()
    )


def _call(
    primitive: Primitive, callback: Callable[..., Any], promised: Any, args: Any, kwargs: Any, **params: Any
) -> Any:
    if not callable(callback):
        raise ArgumentError(f"{primitive.name} takes a function first, got {callback!r:.60}")
    name = function_name(callback)
    leaves, tree = flatten((args, kwargs))
    for x in leaves:
        aval_of(x)  # the error for what is no array
    structs, out_tree = flatten(promised)
    for s in structs:
        if not hasattr(s, "shape") or not hasattr(s, "dtype"):
            raise DTypeError(
                f"result_shape_dtypes of {primitive.name} must hold what has a shape and a dtype (ShapeDtypeStruct, an "
                f"array), got {s!r:.60}"
            )
    avals = tuple(ShapedArray(tuple(s.shape), np.dtype(s.dtype)) for s in structs)
    what = f"the callback {name} of {primitive.name}"

    def call(*arrays: Any) -> list[Any]:
        own_args, own_kwargs = unflatten(tree, arrays)
        return _flat_results(what, callback(*own_args, **own_kwargs), out_tree, len(avals))

    outs = primitive.bind(*leaves, callback=call, name=name, out_avals=avals, **params)
    return unflatten(out_tree, outs)


def _flat_results(what: str, results: Any, tree: PyTreeDef, count: int) -> list[Any]:
    if count == 0 and results is None:
        return []
    leaves, found = flatten(results)
    if found != tree:
        raise structure_error(
            f"{what} must return the structure of result_shape_dtypes", tree, found, ("promised", "returned")
        ) or TreeStructureError(f"{what} returned another structure than that of result_shape_dtypes")
    return leaves


def _as_promised(name: str, number: int, value: Any, aval: ShapedArray) -> Any:
    """A result of a callback as an array of the type that was promised for it."""
    array = np.array(value)
    what = f"the callback {name} promised {aval} for result {number}, and returned "
    given = f"{dtype_name(array.dtype)}[{','.join(map(str, array.shape))}]"
    if array.shape != aval.shape:
        raise ShapeError(what + given)
    if array.dtype != aval.dtype:
        python_scalar = isinstance(value, (int, float, complex)) and not isinstance(value, np.generic)
        if not python_scalar or not np.can_cast(array.dtype, aval.dtype, "same_kind"):
            raise DTypeError(f"{what}{given}; convert it in the callback (x.astype({aval.dtype}))")
        array = array.astype(aval.dtype)
    return wrap(array)


# ---------------------------------------------------------------- rules


def _impl(*args: Any, callback: Any, name: str, out_avals: Sequence[ShapedArray], **params: Any) -> list[Any]:
    results = callback(*(wrap(np.array(a)) for a in args))  # copies: a program's memory is written again
    return [_as_promised(name, i, r, a) for i, (r, a) in enumerate(zip(results, out_avals))]


def _abstract(*avals: ShapedArray, out_avals: Sequence[ShapedArray], **params: Any) -> list[ShapedArray]:
    return list(out_avals)


def _pure_jvp(primals: Any, tangents: Any, *, name: str, **params: Any) -> Any:
    raise NotDifferentiableError(
        f"pure_callback has no derivative, as nothing is known of {name} but its results. Call it in a function with a "
        "custom_jvp (or custom_vjp) rule; or pass its operands through stop_gradient, if no derivative is meant to flow"
    )


def _io_jvp(primals: Any, tangents: Any, *, name: str, **params: Any) -> Any:
    raise NotDifferentiableError(
        f"io_callback has no derivative, as nothing is known of {name} but its results. Pass its operands through "
        "stop_gradient, if no derivative is meant to flow; or call it in a function with a custom_jvp rule"
    )


def _debug_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    return debug_callback_p.bind(*primals, **params), []


def _one_by_one(
    primitive: Primitive, axis: Axis, args: list[Any], dims: list[Any], *, callback: Any, name: str,
    out_avals: Sequence[ShapedArray], **params: Any,
) -> Any:  # fmt: skip
    """The callback for one example after another."""

    def call(*arrays: Any) -> list[Any]:
        rows = []
        for i in range(axis.size):
            example = (a if d is None else np.take(a, i, axis=d) for a, d in zip(arrays, dims))
            rows.append(_impl(*example, callback=callback, name=name, out_avals=out_avals))
        return [np.array([r[n] for r in rows], a.dtype).reshape(axis.size, *a.shape) for n, a in enumerate(out_avals)]

    outs = primitive.bind(*args, callback=call, name=name, out_avals=_batched(axis, out_avals), **params)
    return outs, [0] * len(outs)


def _batched(axis: Axis, avals: Sequence[ShapedArray]) -> tuple[ShapedArray, ...]:
    return tuple(ShapedArray((axis.size, *a.shape), a.dtype) for a in avals)


def _pure_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, callback: Any, name: str, out_avals: Sequence[ShapedArray],
    vmap_method: str | None,
) -> Any:  # fmt: skip
    if vmap_method is None:
        raise ArgumentError(
            f"vmap of pure_callback without a vmap_method, which says how {name} takes a batch: with "
            "vmap_method='sequential' it is called for each example, with 'broadcast_all' or 'expand_dims' once, with "
            "batched arrays"
        )
    if vmap_method.startswith("sequential"):
        return _one_by_one(
            pure_callback_p,
            axis,
            args,
            dims,
            callback=callback,
            name=name,
            out_avals=out_avals,
            vmap_method=vmap_method,
        )
    if vmap_method == "broadcast_all":
        args = [batch_first(axis, a, d) for a, d in zip(args, dims)]
    else:
        shared = (lambda a: batch_first(Axis(1), a, None)) if vmap_method == "expand_dims" else (lambda a: a)
        args = [shared(a) if d is None else move_axis(a, d, 0) for a, d in zip(args, dims)]
    outs = pure_callback_p.bind(
        *args, callback=callback, name=name, out_avals=_batched(axis, out_avals), vmap_method=vmap_method
    )
    return outs, [0] * len(outs)


def _io_batch(axis: Axis, args: list[Any], dims: list[Any], *, name: str, ordered: bool, **params: Any) -> Any:
    if ordered:
        raise ArgumentError(
            f"vmap of io_callback with ordered=True: {name} would run for one example after another at each operation, "
            "which is no order of the program. Leave ordered=True away if that is meant, or use lax.map"
        )
    return _one_by_one(io_callback_p, axis, args, dims, name=name, ordered=ordered, **params)


def _debug_batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> Any:
    return _one_by_one(debug_callback_p, axis, args, dims, **params)


def _callback_primitive(name: str, jvp: Any, batch: Any, effect: bool) -> Primitive:
    p = Primitive(name, multiple_results=True)
    p.impl = _impl
    p.abstract_eval = _abstract
    p.jvp = jvp
    p.batch = batch
    p.effect = effect
    return p


pure_callback_p = _callback_primitive("pure_callback", _pure_jvp, _pure_batch, effect=False)
io_callback_p = _callback_primitive("io_callback", _io_jvp, _io_batch, effect=True)
debug_callback_p = _callback_primitive("debug_callback", _debug_jvp, _debug_batch, effect=True)
