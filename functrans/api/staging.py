"""What tracing alone gives: the jaxpr of a function, and the shapes and dtypes of its results."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from functrans.api.flattening import Flat, argument_names, check_leaf, name_of, static_arguments
from functrans.core.avals import ShapedArray, ShapeDtypeStruct
from functrans.core.axes import bind_axis
from functrans.core.jaxpr import ClosedJaxpr, convert_constvars
from functrans.core.pytree import flatten, unflatten
from functrans.core.source import scope
from functrans.core.trace import StagedTracer, Tracer, stage, staging_into
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError
from functrans.lax.calls import checkpoint_p, jit_p

Fun = Callable[..., Any]


def make_jaxpr(
    fun: Fun,
    static_argnums: int | Sequence[int] = (),
    axis_env: Sequence[tuple[Hashable, int]] | None = None,
    return_shape: bool = False,
) -> Fun:
    """A function of the same arguments that returns the jaxpr of `fun` for their shapes and dtypes.

    Args:
        fun: a function of pytrees of arrays.
        static_argnums: arguments that are ordinary Python values.
        axis_env: pairs of name and size: axes that collectives in `fun` may name, as within `vmap`.
        return_shape: whether to return a pair of the jaxpr and the shapes and dtypes of the results.

    >>> import functrans as ft, numpy as np
    >>> ft.make_jaxpr(lambda x: np.sin(x) * 2)(np.ones(3))
    { lambda ; a:f64[3]. let
        b:f64[3] = sin a
        c:f64[3] = mul b 2.0:f64[]
      in (c,) }
    """
    static = {static_argnums} if isinstance(static_argnums, int) else set(static_argnums)

    @api_boundary
    def maker(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args) for i in static} if args else set()
        dynamic = tuple(a for i, a in enumerate(args) if i not in fixed)

        def call(*rest: Any, **own: Any) -> Any:
            free = iter(rest)
            return fun(*[a if i in fixed else next(free) for i, a in enumerate(args)], **own)

        with ExitStack() as bound:
            for axis, size in axis_env or ():
                bound.enter_context(bind_axis(axis, operator.index(size)))
            flat, closed = _stage(call, dynamic, kwargs, name_of(fun))
        if not return_shape:
            return closed
        return closed, flat.unflatten([ShapeDtypeStruct(a.shape, a.dtype, a.weak) for a in closed.out_avals])

    return maker


def _stage(fun: Fun, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> tuple[Flat, ClosedJaxpr]:
    leaves, tree = flatten((args, kwargs))
    avals = [check_leaf(x, f"an argument of {name}") for x in leaves]

    def call(xs: list[Any]) -> Any:
        own_args, own_kwargs = unflatten(tree, xs)
        return fun(*own_args, **own_kwargs)

    flat = Flat(call, name)
    jaxpr, consts = stage(flat, avals, name, argument_names(fun, args, kwargs))
    return flat, ClosedJaxpr(jaxpr, consts)


@api_boundary
def eval_shape(fun: Fun, *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of the results of `fun`, without computing them: a pytree of `ShapeDtypeStruct`.

    >>> import functrans as ft, numpy as np
    >>> ft.eval_shape(np.dot, ft.ShapeDtypeStruct((2, 3), np.float32), ft.ShapeDtypeStruct((3,), np.float32))
    ShapeDtypeStruct(shape=(2,), dtype=float32)
    """
    flat, closed = _stage(fun, args, kwargs, name_of(fun))
    return flat.unflatten([ShapeDtypeStruct(a.shape, a.dtype, a.weak) for a in closed.out_avals])


@contextmanager
def ensure_compile_time_eval() -> Iterator[None]:
    """Inside the block, arrays made from nothing (`zeros`, `arange`, ...) have values even in a traced function.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> @ft.jit
    ... def f(x):
    ...     with ft.ensure_compile_time_eval():
    ...         n = int(fnp.arange(4).sum())
    ...     return x * n
    >>> f(1.0)
    Array(6.)
    """
    with staging_into(None):
        yield


def checkpoint(
    fun: Fun,
    *,
    prevent_cse: bool | Sequence[bool] = True,
    policy: Callable[..., bool] | None = None,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Fun:
    """`fun`, whose intermediate values reverse mode recomputes instead of keeping: less memory, more work.

    Args:
        fun: a function of pytrees of arrays.
        prevent_cse: accepted; what is recomputed is never merged with what was computed before.
        policy: which values to keep after all, one of `functrans.checkpoint_policies`; by default the arguments alone.
        static_argnums, static_argnames: arguments that are ordinary Python values.

    Also called `remat`.

    >>> import functrans as ft, numpy as np
    >>> ft.grad(ft.checkpoint(lambda x: np.sin(np.sin(x))))(1.0)
    Array(0.36003949)
    """
    if not callable(fun):
        raise ArgumentError(f"checkpoint takes a function, got {fun!r:.60} of type {type(fun).__name__}")
    static, static_names = static_arguments(fun, "checkpoint", "static", static_argnums, static_argnames)
    name = name_of(fun)

    @api_boundary
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        fixed = {i % len(args) for i in static if -len(args) <= i < len(args)}
        named = {k: v for k, v in kwargs.items() if k in static_names}

        def call(*rest: Any, **own: Any) -> Any:
            free = iter(rest)
            return fun(*[a if i in fixed else next(free) for i, a in enumerate(args)], **own, **named)

        dynamic = tuple(a for i, a in enumerate(args) if i not in fixed)
        kwargs = {k: v for k, v in kwargs.items() if k not in named}
        flat, closed = _stage(call, dynamic, kwargs, name)
        leaves = flatten((dynamic, kwargs))[0]
        params = {} if policy is None else {"policy": policy}
        outs = checkpoint_p.bind(*closed.consts, *leaves, jaxpr=convert_constvars(closed.jaxpr), **params)
        return flat.unflatten(outs)

    checkpointed.__wrapped__ = fun  # type: ignore[attr-defined]
    checkpointed.__name__ = checkpointed.__qualname__ = f"checkpoint_of_{name}"
    return checkpointed


remat = checkpoint


def named_call(fun: Fun, *, name: str | None = None) -> Fun:
    """`fun` as an equation of its own, with a name, in the jaxprs of functions that call it.

    >>> import functrans as ft, numpy as np
    >>> ft.make_jaxpr(ft.named_call(np.sin, name="wave"))(1.0)
    { lambda ; a:f64[]. let
        b:f64[] = jit[
          jaxpr={ lambda ; a:f64[]. let
              b:f64[] = sin a
            in (b,) }
          name=wave
        ] a
      in (b,) }
    """
    name = name or name_of(fun)

    @api_boundary
    def named(*args: Any, **kwargs: Any) -> Any:
        leaves = flatten((args, kwargs))[0]
        if not any(isinstance(x, StagedTracer) for x in leaves):
            return fun(*args, **kwargs)
        flat, closed = _stage(fun, args, kwargs, name)
        outs = jit_p.bind(*closed.consts, *leaves, jaxpr=convert_constvars(closed.jaxpr), name=name)
        return flat.unflatten(outs)

    return named


def named_scope(name: str) -> AbstractContextManager[None]:
    """A name for the operations of a block, or of a function that it decorates: errors, profiles and programs show it.

    >>> import functrans as ft, numpy as np
    >>> @ft.jit
    ... @ft.named_scope("layer")
    ... def layer(w, x):
    ...     with ft.named_scope("product"):
    ...         y = w @ x
    ...     return np.tanh(y)
    >>> for eqn in layer.trace(np.eye(2), np.ones(2)).jaxpr.eqns:
    ...     print(eqn.primitive, eqn.source.scope)
    dot_general layer/product
    tanh layer
    """
    if not isinstance(name, str):
        raise DTypeError(f"named_scope takes a string, got {name!r:.60}")
    return scope(name)


def typeof(x: Any) -> ShapedArray:
    """The type of an array, a tracer or a number: shape and dtype, as they stand in jaxprs.

    Raises:
        DTypeError: `x` is none of these.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> print(ft.typeof(fnp.zeros((2, 3))))
    f64[2,3]
    """
    return check_leaf(x, "the argument of typeof")


def block_until_ready(x: Any) -> Any:
    """`x`, once it is computed: arrays on the CPU are when they are returned, those on a GPU may not be yet.

    >>> import functrans as ft, numpy as np
    >>> ft.block_until_ready(ft.numpy.ones(2))
    Array([1., 1.])
    """
    for leaf in flatten(x)[0]:
        if isinstance(leaf, Tracer) and leaf.has_value:
            leaf.block_until_ready()  # type: ignore[attr-defined]
            break  # all are computed in one order
    return x


def effects_barrier() -> None:
    """Nothing: what `debug.print` and callbacks do is done when a function returns.

    >>> import functrans as ft
    >>> ft.effects_barrier()
    """
