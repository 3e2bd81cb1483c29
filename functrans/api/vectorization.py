"""`vmap`: a function of one example as a function of a batch of them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from functrans.api.flattening import Flat, argument_names, check_leaf, name_of
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.axes import bind_axis
from functrans.core.placement import refuse_placement
from functrans.core.primitive import Axis
from functrans.core.pytree import broadcast_prefix, flatten, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, AxesError
from functrans.transforms.batching import batch_evaluate, batch_first, move_axis

Fun = Callable[..., Any]


def vmap(
    fun: Fun,
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Hashable | None = None,
    axis_size: int | None = None,
    spmd_axis_name: None = None,
    sum_match: bool = False,
) -> Fun:
    """Map a function over axes of its arguments, all examples at once.

    Args:
        fun: the function of one example.
        in_axes: which axis of each positional argument holds the examples: an integer, `None` for an argument that all
            examples share, or a tuple with one entry (again a pytree of them) for each argument. Keyword arguments are
            mapped over axis 0.
        out_axes: where the axis of examples goes in the results: an integer or a pytree of them; `None` for results
            that do not depend on the mapped arguments.
        axis_name: a name by which `lax.psum` and the other collectives refer to the axis.
        axis_size: the number of examples, needed where no argument is mapped.
        spmd_axis_name, sum_match: `None` and `False`.

    Raises:
        AxesError: `in_axes` or `out_axes` do not fit, or mapped sizes differ.

    >>> import functrans as ft, numpy as np
    >>> ft.vmap(lambda v, m: v @ m, in_axes=(0, None))(np.eye(2), np.ones((2, 3))).shape
    (2, 3)
    """
    if not callable(fun):
        raise ArgumentError(f"vmap takes a function, got {fun!r:.60} of type {type(fun).__name__}")
    refuse_placement("vmap", spmd_axis_name=spmd_axis_name)
    if sum_match:
        raise ArgumentError("vmap does not take sum_match=True: write a sum over the mapped axis, or lax.psum")
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, (int, tuple, type(None))):
        raise AxesError(
            f"in_axes of vmap must be an integer, None or a tuple with one entry for each argument, got {in_axes!r}; a "
            "dict or list for a single argument goes into a tuple: in_axes=({...},)"
        )
    name = name_of(fun)

    @api_boundary
    def vmapped(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise AxesError(
                f"in_axes of vmap({name}) has {len(in_axes)} entries, but {name} was called with {len(args)} "
                "positional "
                f"argument{'s' if len(args) != 1 else ''}"
            )
        leaves, tree = flatten((args, kwargs))
        axes = broadcast_prefix(in_axes, args, f"in_axes of vmap({name})", error=AxesError)
        axes += [0] * (len(leaves) - len(axes))
        size, dims = _mapped_size(fun, args, kwargs, leaves, axes, axis_size)
        mapped = [i for i, d in enumerate(dims) if d is not None]
        avals = []
        for i in mapped:
            a, d = aval_of(leaves[i]), operator.index(dims[i])  # type: ignore[arg-type]
            avals.append(ShapedArray(a.shape[:d] + a.shape[d + 1 :], a.dtype))

        def call(examples: list[Any]) -> Any:
            full = list(leaves)
            for i, x in zip(mapped, examples):
                full[i] = x
            own_args, own_kwargs = unflatten(tree, full)
            return fun(*own_args, **own_kwargs)

        flat = Flat(call, name)
        names = argument_names(fun, args, kwargs)
        with bind_axis(axis_name, size):
            jaxpr, consts = stage(flat, avals, f"{name} under vmap", [names[i] for i in mapped])
        axis = Axis(size, axis_name)
        outs, out_dims = batch_evaluate(jaxpr, consts, axis, [leaves[i] for i in mapped], [dims[i] for i in mapped])
        wanted = broadcast_prefix(out_axes, flat.out_tree, f"out_axes of vmap({name})", error=AxesError)
        return flat.unflatten([_place(name, axis, o, d, w) for o, d, w in zip(outs, out_dims, wanted)])

    vmapped.__wrapped__ = fun  # type: ignore[attr-defined]
    vmapped.__name__ = vmapped.__qualname__ = f"vmap_of_{name}"
    vmapped.__doc__ = f"{name} mapped over a batch by vmap.\n\n{getattr(fun, '__doc__', None) or ''}"
    return vmapped


def _mapped_size(
    fun: Fun, args: Any, kwargs: Any, leaves: list[Any], axes: list[Any], axis_size: int | None
) -> tuple[int, list[int | None]]:
    """The number of examples, and the mapped axis of each leaf counted from the front."""
    name = name_of(fun)
    sizes: dict[int, int] = {}
    dims: list[int | None] = []
    for i, (x, axis) in enumerate(zip(leaves, axes)):
        if axis is None:
            dims.append(None)
            continue
        leaf = argument_names(fun, args, kwargs)[i]
        shape = check_leaf(x, f"the argument {leaf} of vmap({name})").shape
        try:
            axis = operator.index(axis)
        except TypeError:
            raise AxesError(f"in_axes of vmap({name}) must hold integers and None, got {axis!r} for {leaf}") from None
        if not -len(shape) <= axis < len(shape):
            raise AxesError(
                f"vmap({name}) was asked to map axis {axis} of {leaf}, which has shape {shape}"
                + ("; a scalar has no axis to map: use in_axes=None for it" if not shape else "")
            )
        dims.append(axis % len(shape))
        sizes[i] = shape[axis]
    distinct = set(sizes.values()) | ({axis_size} if axis_size is not None else set())
    if len(distinct) > 1:
        names = argument_names(fun, args, kwargs)
        lines = [
            f"  {names[i]}: axis {dims[i]} of shape {aval_of(leaves[i]).shape} has size {n}" for i, n in sizes.items()
        ]
        if axis_size is not None:
            lines.append(f"  axis_size={axis_size}")
        raise AxesError(f"vmap({name}): the mapped axes must have one size, but\n" + "\n".join(lines))
    if not distinct:
        raise AxesError(f"vmap({name}) maps nothing: all in_axes are None; give axis_size, or map an argument")
    return distinct.pop(), dims


def _place(name: str, axis: Axis, value: Any, dim: int | None, wanted: Any) -> Any:
    """A result with its batch axis where `out_axes` wants it."""
    if wanted is None:
        if dim is not None:
            raise AxesError(
                f"out_axes of vmap({name}) is None for a result that differs from example to example; give the "
                "place of "
                "its axis, or reduce it over the axis"
            )
        out = value
    else:
        ndim = aval_of(value).ndim + (dim is None)
        if not -ndim <= wanted < ndim:
            raise AxesError(f"out_axes of vmap({name}) is {wanted} for a result of {ndim} axes with the mapped one")
        out = move_axis(batch_first(axis, value, dim), 0, wanted % ndim)
    if isinstance(out, Tracer):
        return out
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        out = out.copy()
    return wrap(out)
