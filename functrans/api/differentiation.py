"""Derivatives: `grad`, `jvp`, `vjp`, `linearize`, Jacobians, Hessians and their products with vectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans.api.flattening import (
    Flat,
    argument_names,
    check_leaf,
    name_of,
    no_reduce_axes,
    select_arguments,
    with_arguments,
)
from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, float0, is_inexact, kind_of, tangent_dtype
from functrans.core.primitive import Axis, zeros
from functrans.core.pytree import PyTreeDef, flatten, register_pytree_node, structure_error, unflatten
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, IntegerGradError, NonScalarGradError, ShapeError
from functrans.lax.broadcasting import broadcasted_iota
from functrans.lax.conversion import convert_element_type
from functrans.lax.elementwise import eq
from functrans.lax.structural import reshape, slice_in_dim
from functrans.transforms import jvp as forward
from functrans.transforms.batching import batch_evaluate, batch_first, move_axis
from functrans.transforms.transpose import Linear, backward_pass, pull_back, transpose_linear
from functrans.tree_util import Partial

Fun = Callable[..., Any]

# ---------------------------------------------------------------- grad


def grad(
    fun: Fun,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Hashable] = (),
) -> Fun:
    """The gradient of a scalar function, by reverse mode.

    Args:
        fun: a function whose result is a scalar (shape `()`, real; complex with `holomorphic`).
        argnums: which positional argument, or arguments, to differentiate with respect to.
        has_aux: `fun` returns a pair `(value, aux)`; `aux` is passed on.
        holomorphic: `fun` is holomorphic; arguments and result are complex.
        allow_int: integer arguments are allowed; their gradients have dtype `float0`.
        reduce_axes: `()`; sum over axes of `vmap` by `lax.psum`.

    Returns:
        A function of the same arguments that returns the gradient: a pytree with the structure, shapes and dtypes of
        the argument (a tuple of such for several `argnums`), or a pair of it and `aux`.

    Raises:
        NonScalarGradError, IntegerGradError: see `docs/errors.md`.

    >>> import functrans as ft, numpy as np
    >>> ft.grad(lambda x: np.sum(np.sin(x) ** 2))(np.array([0.0, 1.0]))
    Array([0.        , 0.90929743])
    """
    value_and_grad_fun = value_and_grad(fun, argnums, has_aux, holomorphic, allow_int, reduce_axes)

    @_named(fun, "grad")
    def grad_fun(*args: Any, **kwargs: Any) -> Any:
        value, gradient = value_and_grad_fun(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return grad_fun


def value_and_grad(
    fun: Fun,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
    reduce_axes: Sequence[Hashable] = (),
) -> Fun:
    """A function that returns both the value of `fun` and its gradient, for the cost of the gradient.

    Arguments are those of `grad`. With `has_aux` the result is `((value, aux), gradient)`.

    >>> import functrans as ft
    >>> ft.value_and_grad(lambda x: x**2)(3.0)
    (Array(9.), Array(6.))
    """
    _check_callable(fun, "grad")
    no_reduce_axes("grad", reduce_axes)

    @_named(fun, "value_and_grad")
    @api_boundary
    def value_and_grad_fun(*args: Any, **kwargs: Any) -> Any:
        positions, chosen = select_arguments(fun, args, argnums, "grad")
        leaves, tree = flatten(chosen)
        nonzero = [_check_grad_input(fun, chosen, i, x, holomorphic, allow_int) for i, x in enumerate(leaves)]
        flat = Flat(with_arguments(fun, args, kwargs, positions, tree), name_of(fun), has_aux)
        outs, recorded = forward.record(flat, leaves, nonzero, flat.strip_aux)
        value = _check_scalar(fun, outs, flat, holomorphic)
        cts = pull_back(recorded, [_one(value)], consume=True)
        gradient = unflatten(tree, [_as_gradient(ct, x) for ct, x in zip(cts, leaves)])
        if isinstance(argnums, int):
            (gradient,) = gradient
        value = flat.unflatten([_as_result(value)])
        return ((value, flat.aux) if has_aux else value), gradient

    return value_and_grad_fun


def _check_callable(fun: Any, what: str) -> None:
    if not callable(fun):
        raise ArgumentError(f"{what} takes a function, got {fun!r:.60} of type {type(fun).__name__}")


def _named(fun: Fun, prefix: str) -> Callable[[Fun], Fun]:
    """Give a transformed function the name and documentation of the function."""

    def rename(new: Fun) -> Fun:
        new.__wrapped__ = fun  # type: ignore[attr-defined]
        new.__name__ = new.__qualname__ = f"{prefix}_of_{name_of(fun)}"
        new.__doc__ = f"{prefix} of {name_of(fun)}.\n\n{getattr(fun, '__doc__', None) or ''}"
        return new

    return rename


def _check_grad_input(fun: Fun, args: Any, i: int, x: Any, holomorphic: bool, allow_int: bool) -> bool:
    aval = check_leaf(x, f"an argument of grad({name_of(fun)})")
    kind = kind_of(aval.dtype)
    if kind in "biu" and not allow_int:
        name = argument_names(fun, args)[i] if len(args) == 1 else f"number {i}"
        raise IntegerGradError(
            f"grad of {name_of(fun)} with respect to {name}, which is {aval}: derivatives are taken with respect to "
            "real or complex numbers. Convert it (x.astype(float), or write 3.0 for 3), or choose other arguments by "
            "argnums; with allow_int=True its gradient is an array of dtype float0."
        )
    if holomorphic and kind != "c":
        raise DTypeError(
            f"grad with holomorphic=True takes complex arguments, got {aval}; convert it by .astype(complex)"
        )
    if kind not in "fcbiu":
        raise DTypeError(f"grad with respect to {aval}: arrays of numbers are needed")
    return kind in "fc"


def _check_scalar(fun: Fun, outs: list[Any], flat: Flat, holomorphic: bool) -> Any:
    name = name_of(fun)
    if len(outs) != 1:
        raise NonScalarGradError(
            f"grad of {name}, which returned a pytree of {len(outs)} arrays ({flat.out_tree}); grad takes functions "
            "that return one scalar. Use has_aux=True for a pair (value, extra data), or jacobian for arrays."
        )
    aval = aval_of(outs[0])
    if aval.shape != ():
        raise NonScalarGradError(
            f"grad of {name}, which returned an array of shape {aval.shape}; grad takes functions that return a "
            "scalar. "
            "Sum it (.sum()), or use jacobian, jacrev or jacfwd for the derivatives of all its elements."
        )
    if aval.dtype.kind == "c" and not holomorphic:
        raise NonScalarGradError(
            f"grad of {name}, which returned a complex number; take its real part or its absolute value, or say "
            "holomorphic=True if the function is holomorphic"
        )
    if aval.dtype.kind in "biu":
        raise IntegerGradError(f"grad of {name}, which returned {aval}: an integer result has no derivative")
    return outs[0]


def _one(value: Any) -> Any:
    return aval_of(value).dtype.type(1)


def _as_result(value: Any) -> Any:
    return value if isinstance(value, Tracer) else wrap(value)


def _as_gradient(ct: Any, x: Any) -> Any:
    """A cotangent in the shape and dtype of the argument; `float0` for integers."""
    aval = aval_of(x)
    if tangent_dtype(aval.dtype) == float0:
        return np.zeros(aval.shape, float0)
    if ct is None:
        out = zeros(aval.strong())
        return wrap(np.array(out)) if isinstance(out, np.ndarray) else out
    if isinstance(ct, Tracer):
        return ct
    if isinstance(ct, np.ndarray) and not (ct.flags.writeable and ct.flags.owndata):
        ct = np.array(ct)  # never a view of an argument or of a constant
    return wrap(ct)


# ---------------------------------------------------------------- jvp, vjp, linearize


@api_boundary
def jvp(fun: Fun, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value of `fun` at `primals` and its derivative in the direction `tangents`, by forward mode.

    Args:
        fun: a function of arrays or pytrees of them.
        primals: the arguments, a tuple or list.
        tangents: the direction: the same structure, shapes and dtypes.
        has_aux: `fun` returns a pair `(out, aux)`.

    Returns:
        `(out, tangent of out)`, and `aux` third with `has_aux`.

    >>> import functrans as ft, numpy as np
    >>> ft.jvp(np.sin, (0.0,), (2.0,))
    (Array(0.), Array(2.))
    """
    _check_callable(fun, "jvp")
    leaves, tree, directions = _primals_and_tangents("jvp", fun, primals, tangents)
    flat = Flat(lambda xs: fun(*unflatten(tree, xs)), name_of(fun), has_aux)
    outs, out_tangents = forward.jvp(flat, leaves, directions, flat.strip_aux)
    out = flat.unflatten([_as_result(o) for o in outs])
    tangent = flat.unflatten([_as_tangent(t, o) for t, o in zip(out_tangents, outs)])
    return (out, tangent, flat.aux) if has_aux else (out, tangent)


def _primals_and_tangents(what: str, fun: Fun, primals: Any, tangents: Any) -> tuple[list[Any], PyTreeDef, list[Any]]:
    for name, value in (("primals", primals), ("tangents", tangents)):
        if not isinstance(value, (tuple, list)):
            raise ArgumentError(
                f"{what} takes {name} as a tuple or list with one entry for each argument of {name_of(fun)}, got "
                f"{type(value).__name__}; write ({name},)"
            )
    leaves, tree = flatten(tuple(primals))
    directions, tangent_tree = flatten(tuple(tangents))
    if tree != tangent_tree:
        error = structure_error(f"primals and tangents of {what}", tree, tangent_tree, ("primals", "tangents"))
        raise error or ArgumentError(f"primals and tangents of {what} have different structures")
    checked = [
        _check_tangent(what, check_leaf(x, f"an argument of {name_of(fun)}"), t) for x, t in zip(leaves, directions)
    ]
    return leaves, tree, checked


def _check_tangent(what: str, aval: ShapedArray, t: Any) -> Any:
    given = aval_of(t)
    wanted = tangent_dtype(aval.dtype)
    if given.shape != aval.shape:
        raise ShapeError(f"{what}: a tangent of shape {given.shape} for an argument of shape {aval.shape}")
    if wanted == float0:
        if given.dtype == float0 or given.dtype.kind in "biu":
            return None
        raise DTypeError(
            f"{what}: a tangent of dtype {given.dtype} for an argument of dtype {aval.dtype}; integers and "
            "booleans have "
            "no tangents: pass zeros of dtype functrans.float0, or make the argument a float"
        )
    if given.dtype != wanted:
        if not given.weak or np.result_type(given.dtype, wanted).kind != wanted.kind:
            raise DTypeError(
                f"{what}: a tangent of dtype {given.dtype} for an argument of dtype {aval.dtype}; they must be equal"
            )
        return convert_element_type(t, wanted)
    return t


def _as_tangent(t: Any, out: Any) -> Any:
    aval = aval_of(out)
    if tangent_dtype(aval.dtype) == float0:
        return np.zeros(aval.shape, float0)
    return _as_gradient(t, out)


@api_boundary
def linearize(fun: Fun, *primals: Any, has_aux: bool = False) -> Any:
    """The value of `fun` at `primals` and its derivative there as a linear function, for many directions.

    Returns:
        `(out, fun_jvp)`, where `fun_jvp(*tangents)` is the derivative in that direction; `aux` third with `has_aux`.
        `fun_jvp` does not evaluate `fun` again.

    >>> import functrans as ft, numpy as np
    >>> y, f_jvp = ft.linearize(np.sin, 0.0)
    >>> f_jvp(3.0)
    Array(3.)
    """
    _check_callable(fun, "linearize")
    leaves, tree = flatten(primals)
    for x in leaves:
        check_leaf(x, f"an argument of {name_of(fun)}")
    flat = Flat(lambda xs: fun(*unflatten(tree, xs)), name_of(fun), has_aux)
    outs, lin = forward.linearize(flat, leaves, None, flat.strip_aux)
    out_avals = [aval_of(o) for o in outs]
    push = functools.partial(
        _pushforward, name_of(fun), lin.jaxpr, lin.nonzero_outs, [aval_of(x) for x in leaves], tree, out_avals,
        flat.tree,
    )  # fmt: skip
    result = flat.unflatten([_as_result(o) for o in outs]), Partial(push, lin.consts)
    return (*result, flat.aux) if has_aux else result


@api_boundary
def _pushforward(
    name: str,
    jaxpr: Any,
    nonzero_outs: list[bool],
    avals: list[ShapedArray],
    tree: PyTreeDef,
    out_avals: list[ShapedArray],
    out_tree: PyTreeDef,
    consts: list[Any],
    *tangents: Any,
) -> Any:
    directions, tangent_tree = flatten(tangents)
    if tangent_tree != tree:
        error = structure_error(
            f"arguments and tangents of the linearized {name}", tree, tangent_tree, ("arguments", "tangents")
        )
        raise error or ArgumentError(f"tangents of the linearized {name} have another structure than its arguments")
    checked = [_check_tangent(f"the linearized {name}", a, t) for a, t in zip(avals, directions)]
    lin = forward.LinearFunction(jaxpr, consts, [], nonzero_outs)
    outs = lin(*(t for t, a in zip(checked, avals) if is_inexact(a.dtype)))
    return unflatten(out_tree, [_as_tangent(t, _Typed(a)) for t, a in zip(outs, out_avals)])


class _Typed:
    """Something that has only a type."""

    __slots__ = ("aval",)

    def __init__(self, aval: ShapedArray):
        self.aval = aval


@api_boundary
def vjp(fun: Fun, *primals: Any, has_aux: bool = False, reduce_axes: Sequence[Hashable] = ()) -> Any:
    """The value of `fun` at `primals` and a function that pulls cotangents of it back to the arguments.

    Returns:
        `(out, fun_vjp)`: `fun_vjp(ct)`, with `ct` of the structure, shapes and dtypes of `out`, returns a tuple of the
        arguments' cotangents. It may be called often. `aux` comes third with `has_aux`.

    >>> import functrans as ft, numpy as np
    >>> y, f_vjp = ft.vjp(lambda a, b: a * b, 2.0, 3.0)
    >>> f_vjp(1.0)
    (Array(3.), Array(2.))
    """
    _check_callable(fun, "vjp")
    no_reduce_axes("vjp", reduce_axes)
    leaves, tree = flatten(primals)
    avals = [check_leaf(x, f"an argument of {name_of(fun)}") for x in leaves]
    flat = Flat(lambda xs: fun(*unflatten(tree, xs)), name_of(fun), has_aux)
    outs, recorded = forward.record(flat, leaves, None, flat.strip_aux)
    pull = _Pullback(_Ends(name_of(fun), avals, tree, [aval_of(o) for o in outs], flat.tree), recorded)
    result = flat.unflatten([_as_result(o) for o in outs]), pull
    return (*result, flat.aux) if has_aux else result


class _Ends(NamedTuple):
    """Types and structures of the arguments and the results of a function, which its pullback gives and takes."""

    name: str
    avals: list[ShapedArray]
    tree: PyTreeDef
    out_avals: list[ShapedArray]
    out_tree: PyTreeDef

    def check(self, ct: Any) -> list[Any]:
        """The leaves of a cotangent of the results."""
        cts, ct_tree = flatten(ct)
        if ct_tree != self.out_tree:
            error = structure_error(
                f"the result of {self.name} and its cotangent", self.out_tree, ct_tree, ("result", "cotangent")
            )
            raise error or ArgumentError(f"the cotangent has another structure than the result of {self.name}")
        what = f"the vjp of {self.name} (cotangent)"
        return [_check_tangent(what, a, c) for a, c in zip(self.out_avals, cts)]

    def gradients(self, found: list[Any]) -> Any:
        """Cotangents of the arguments in their structure."""
        return unflatten(self.tree, [_as_gradient(c, _Typed(a)) for c, a in zip(found, self.avals)])


class _Pullback(Partial):
    """What `vjp` returns. As a pytree it has the residuals for its leaves: asked for them, it becomes a jaxpr."""

    def __new__(cls, ends: _Ends, recorded: forward.Recorded) -> _Pullback:
        return super().__new__(cls, _pull_recorded, ends, recorded)  # type: ignore[return-value]

    def flat(self) -> tuple[tuple[list[Any]], Any]:
        ends, recorded = self.args
        lin = recorded.linear_function()
        return (lin.consts,), functools.partial(_pull_linear, ends, lin.jaxpr, lin.nonzero_ins, lin.nonzero_outs)


register_pytree_node(_Pullback, _Pullback.flat, lambda pull, children: Partial(pull, *children))


@api_boundary
def _pull_recorded(ends: _Ends, recorded: forward.Recorded, ct: Any) -> Any:
    return ends.gradients(pull_back(recorded, ends.check(ct)))


@api_boundary
def _pull_linear(
    ends: _Ends, jaxpr: Any, nonzero_ins: list[bool], nonzero_outs: list[bool], consts: list[Any], ct: Any
) -> Any:
    lin = forward.LinearFunction(jaxpr, consts, nonzero_ins, nonzero_outs)
    return ends.gradients(transpose_linear(lin, ends.check(ct)))


def fwd_and_bwd(fun: Fun, argnums: int | Sequence[int], has_aux: bool = False, jitted: bool = True) -> tuple[Fun, Fun]:
    """The forward and the backward pass of a function, as two functions to be called one after the other.

    As `vjp`, but that the backward pass is compiled once.

    Args:
        fun: a function of pytrees of arrays.
        argnums: with respect to which positional argument, or arguments.
        has_aux: `fun` returns a pair `(value, aux)`.
        jitted: whether both are under `jit`.

    Returns:
        `fwd` and `bwd`: `fwd(*args)` returns `(out, residuals)`, or `(out, residuals, aux)`, and `bwd(residuals, ct)` a
        tuple with a cotangent for each of these arguments.

    >>> import functrans as ft, numpy as np
    >>> fwd, bwd = ft.fwd_and_bwd(lambda x, w: np.sin(x) * w, argnums=(0, 1))
    >>> out, residuals = fwd(0.0, 2.0)
    >>> bwd(residuals, 1.0)
    (Array(2.), Array(0.))
    """
    from functrans.api.compilation import jit

    _check_callable(fun, "fwd_and_bwd")

    def forward_pass(*args: Any) -> Any:
        positions, chosen = select_arguments(fun, args, argnums, "fwd_and_bwd")

        def of(*chosen: Any) -> Any:
            full = list(args)
            for i, value in zip(positions, chosen):
                full[i] = value
            return fun(*full)

        return vjp(of, *chosen, has_aux=has_aux)

    def backward_pass(residuals: Any, ct: Any) -> Any:
        return residuals(ct)

    return (jit(forward_pass), jit(backward_pass)) if jitted else (forward_pass, backward_pass)


@api_boundary
def linear_transpose(fun: Fun, *primals: Any, reduce_axes: Sequence[Hashable] = ()) -> Fun:
    """The transpose of a linear function, which need not be evaluated: `primals` give shapes and dtypes only.

    >>> import functrans as ft, numpy as np
    >>> transposed = ft.linear_transpose(lambda x: 2.0 * x.sum(), np.zeros(3))
    >>> transposed(1.0)
    (Array([2., 2., 2.]),)
    """
    _check_callable(fun, "linear_transpose")
    no_reduce_axes("linear_transpose", reduce_axes)
    leaves, tree = flatten(primals)
    avals = [check_leaf(x, f"an argument of {name_of(fun)}").strong() for x in leaves]
    flat = Flat(lambda xs: fun(*unflatten(tree, xs)), name_of(fun))
    jaxpr, consts = stage(flat, avals, name_of(fun), argument_names(fun, primals))

    @api_boundary
    def transposed(ct: Any) -> tuple[Any, ...]:
        cts, ct_tree = flatten(ct)
        if ct_tree != flat.out_tree:
            raise ArgumentError(f"the cotangent has structure {ct_tree}, the result of {name_of(fun)} {flat.out_tree}")
        checked = [_check_tangent("linear_transpose (cotangent)", a.strong(), c) for a, c in zip(jaxpr.out_avals, cts)]
        found = backward_pass(jaxpr, list(consts), [Linear(a) for a in avals], checked)
        return unflatten(tree, [_as_gradient(c, _Typed(a)) for c, a in zip(found, avals)])

    return transposed


# ---------------------------------------------------------------- Jacobians


def jacfwd(fun: Fun, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Fun:
    """The Jacobian of `fun` by forward mode, one column for each element of the arguments, all at once.

    Cheaper than `jacrev` when the result has more elements than the arguments.

    Returns:
        A function of the same arguments: for each leaf of the result a pytree of the argument's structure, with arrays
        of shape `result.shape + argument.shape`.

    >>> import functrans as ft, numpy as np
    >>> ft.jacfwd(lambda x: x**2)(np.array([1.0, 2.0]))
    Array([[2., 0.],
           [0., 4.]])
    """
    _check_callable(fun, "jacfwd")

    @_named(fun, "jacfwd")
    @api_boundary
    def jacobian_fun(*args: Any, **kwargs: Any) -> Any:
        positions, chosen = select_arguments(fun, args, argnums, "jacfwd")
        leaves, tree = flatten(chosen)
        for i, x in enumerate(leaves):
            _check_grad_input(fun, chosen, i, x, holomorphic, False)
        flat = Flat(with_arguments(fun, args, kwargs, positions, tree), name_of(fun), has_aux)
        avals = [aval_of(x) for x in leaves]
        tangent_avals = [ShapedArray(a.shape, a.dtype) for a in avals]

        def push(*tangents: Any) -> list[Any]:
            outs, out_tangents = forward.jvp(flat, leaves, tangents, flat.strip_aux)
            return [*outs, *(forward.instantiate(t, o) for t, o in zip(out_tangents, outs))]

        jaxpr, consts = stage(push, tangent_avals, f"jacfwd of {name_of(fun)}")
        size = sum(a.size for a in avals)
        axis = Axis(size)
        found, dims = batch_evaluate(jaxpr, consts, axis, _basis(avals), [0] * len(avals))
        n = len(found) // 2
        columns = [
            move_axis(batch_first(axis, c, d), 0, aval_of(c).ndim - (d is not None))
            for c, d in zip(found[n:], dims[n:])
        ]
        blocks = [_split_last(c, avals) for c in columns]
        outs = flat.unflatten([_select(unflatten(tree, b), argnums) for b in blocks])
        return (outs, flat.aux) if has_aux else outs

    return jacobian_fun


def jacrev(fun: Fun, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False,
           allow_int: bool = False) -> Fun:  # fmt: skip
    """The Jacobian of `fun` by reverse mode, one row for each element of the result, all at once.

    Cheaper than `jacfwd` when the arguments have more elements than the result. Returns what `jacfwd` returns.

    Also called `jacobian`.

    >>> import functrans as ft, numpy as np
    >>> ft.jacrev(lambda x: x**2)(np.array([1.0, 2.0]))
    Array([[2., 0.],
           [0., 4.]])
    """
    _check_callable(fun, "jacrev")

    @_named(fun, "jacrev")
    @api_boundary
    def jacobian_fun(*args: Any, **kwargs: Any) -> Any:
        positions, chosen = select_arguments(fun, args, argnums, "jacrev")
        leaves, tree = flatten(chosen)
        nonzero = [_check_grad_input(fun, chosen, i, x, holomorphic, allow_int) for i, x in enumerate(leaves)]
        flat = Flat(with_arguments(fun, args, kwargs, positions, tree), name_of(fun), has_aux)
        outs, lin = forward.linearize(flat, leaves, nonzero, flat.strip_aux)
        out_avals = [aval_of(o).strong() for o in outs]
        for a in out_avals:
            if a.dtype.kind == "c" and not holomorphic:
                raise DTypeError(
                    f"jacrev of {name_of(fun)}, which returned {a}; say holomorphic=True if it is holomorphic"
                )
            if not is_inexact(a.dtype):
                raise IntegerGradError(f"jacrev of {name_of(fun)}, which returned {a}: integers have no derivative")

        def pull(*cts: Any) -> list[Any]:
            return [_as_gradient(ct, x) for ct, x in zip(transpose_linear(lin, cts), leaves)]

        jaxpr, consts = stage(pull, out_avals, f"jacrev of {name_of(fun)}")
        axis = Axis(sum(a.size for a in out_avals))
        found, dims = batch_evaluate(jaxpr, consts, axis, _basis(out_avals), [0] * len(out_avals))
        rows = [batch_first(axis, r, d) for r, d in zip(found, dims)]
        split = [_split_first(r, out_avals) for r in rows]  # for each argument, a block for each result
        blocks = [_select(unflatten(tree, [s[i] for s in split]), argnums) for i in range(len(out_avals))]
        result = flat.unflatten(blocks)
        return (result, flat.aux) if has_aux else result

    return jacobian_fun


def _basis(avals: Sequence[ShapedArray]) -> list[Any]:
    """The standard basis of the space of all leaves together, as one batch for each leaf."""
    size = sum(a.size for a in avals)
    out, position = [], 0
    for a in avals:
        row, column = (broadcasted_iota(np.int64, (size, a.size), d) for d in (0, 1))
        out.append(reshape(convert_element_type(eq(row, column + position), a.dtype), (size, *a.shape)))
        position += a.size
    return out


def _split_last(x: Any, avals: Sequence[ShapedArray]) -> list[Any]:
    shape = aval_of(x).shape[:-1]
    return [reshape(p, (*shape, *a.shape)) for p, a in zip(_pieces(x, avals, len(shape)), avals)]


def _split_first(x: Any, avals: Sequence[ShapedArray]) -> list[Any]:
    shape = aval_of(x).shape[1:]
    return [reshape(p, (*a.shape, *shape)) for p, a in zip(_pieces(x, avals, 0), avals)]


def _pieces(x: Any, avals: Sequence[ShapedArray], axis: int) -> list[Any]:
    out, position = [], 0
    for a in avals:
        out.append(x if len(avals) == 1 else slice_in_dim(x, position, position + a.size, axis=axis))
        position += a.size
    return out


def _select(tree: Any, argnums: int | Sequence[int]) -> Any:
    return tree[0] if isinstance(argnums, int) else tree


jacobian = jacrev


def hessian(fun: Fun, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False) -> Fun:
    """The Hessian of a scalar function: forward mode over reverse mode.

    >>> import functrans as ft, numpy as np
    >>> ft.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    Array([[ 6.,  0.],
           [ 0., 12.]])
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


@api_boundary
def hvp(fun: Fun, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The product of the Hessian of a scalar function with a vector, without the Hessian: forward over reverse.

    Args:
        fun: a scalar function.
        primals: its arguments, a tuple.
        tangents: the vector: the same structure and shapes.

    Returns:
        The product, with the structure of the first argument (of a tuple of all arguments if there are several).

    Source: B. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1994).

    >>> import functrans as ft, numpy as np
    >>> ft.hvp(lambda x: np.sum(x**3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    Array([ 6., 12.])
    """
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), primals, tangents)[1]
