"""Functions that equations define: `custom_linear_solve` and `custom_root`.

The user says how to solve; derivatives come from the equation, not from the solver's steps, by the implicit function
theorem. Both are primitives whose jaxprs share their leading operands, the values that the user's functions captured.

Source: M. Blondel et al., "Efficient and modular implicit differentiation", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import PyTreeDef, flatten, key_paths, keystr, structure_error, unflatten
from functrans.core.trace import stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, NotDifferentiableError, ShapeError
from functrans.lax import elementwise as ew
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import common_consts, live_values, spread, stage_function, takes_weak
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, linearize_jaxpr, tangent_aval
from functrans.transforms.simplify import remove_dead
from functrans.transforms.transpose import is_linear, transpose_jaxpr_full

# ---------------------------------------------------------------- users' functions as jaxprs


def _strong_leaves(value: Any) -> tuple[list[Any], list[ShapedArray], PyTreeDef]:
    leaves, tree = flatten(value)
    leaves = [convert_element_type(x, aval_of(x).dtype) for x in leaves]
    return leaves, [aval_of(x).strong() for x in leaves], tree


def _staged(
    what: str,
    name: str,
    fun: Callable[..., Any],
    avals: Sequence[ShapedArray],
    tree: PyTreeDef,
    has_aux: bool = False,
    solver: bool = False,
) -> tuple[Jaxpr, list[Any], PyTreeDef | None]:
    """The jaxpr of a function whose result is of the type of its argument, and the structure of what it adds to it.

    What a `solver` does is not differentiated.
    """
    (wanted,) = tree.children()
    jaxpr, consts, out_tree = stage_function(fun, avals, tree, f"{name} of {what}", absorbs=solver)
    aux_tree = None
    if has_aux:
        if out_tree.num_children != 2 or out_tree.type not in (tuple, list):
            raise ArgumentError(f"with has_aux=True, {name} of {what} must return a pair (solution, auxiliary data)")
        out_tree, aux_tree = out_tree.children()
    if out_tree != wanted:
        given = "the right-hand side" if what == "custom_linear_solve" else "the initial guess"
        raise structure_error(f"{given} and the result of {name} of {what}", wanted, out_tree, (given, name)) or (
            ArgumentError(f"{name} of {what} must return the structure {wanted}, it returned {out_tree}")
        )
    for path, a, out in zip(key_paths(wanted), avals, jaxpr.out_avals):
        if a.shape != out.shape or (a.dtype != out.dtype and not takes_weak(a.dtype, out)):
            raise (ShapeError if a.shape != out.shape else DTypeError)(
                f"{name} of {what} must return what has the type of its argument, {a}, but it returned {out}"
                + (f" at {keystr(path)}" if path else "")
            )
    return _with_results(jaxpr, avals), consts, aux_tree


def _with_results(jaxpr: Jaxpr, avals: Sequence[ShapedArray]) -> Jaxpr:
    """The jaxpr with its first results of exactly these types."""
    if all(o.aval == a for o, a in zip(jaxpr.outvars, avals)):
        return jaxpr

    def fun(*args: Any) -> list[Any]:
        outs = evaluate(jaxpr, (), args, sources=True)
        return [*(convert_element_type(o, a.dtype) for o, a in zip(outs, avals)), *outs[len(avals) :]]

    return close_over(*stage(fun, jaxpr.in_avals))


def _pushed(jaxpr: Jaxpr, args: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """The tangents of a jaxpr's results at these arguments, `None` for zero."""
    split = linearize_jaxpr(jaxpr, [t is not None for t in tangents])
    if not any(split.nonzero_outs):
        return [None] * len(jaxpr.outvars)
    residuals = _residuals(jaxpr, split, args)
    return spread(evaluate(split.linear, (), [*residuals, *live_values(tangents)]), split.nonzero_outs)


def _residuals(jaxpr: Jaxpr, split: Any, args: Sequence[Any]) -> list[Any]:
    forward = split.forward
    saving = split.forward.memoize(
        "residuals", lambda: remove_dead(Jaxpr((), forward.invars, forward.eqns, forward.outvars[len(jaxpr.outvars) :]))
    )
    return split.residuals(args, evaluate(saving, (), args))


# ---------------------------------------------------------------- linear systems


@api_boundary
def custom_linear_solve(
    matvec: Callable[[Any], Any],
    b: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    transpose_solve: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    symmetric: bool = False,
    has_aux: bool = False,
) -> Any:
    """The solution `x` of `matvec(x) = b`, found by `solve`, with the derivatives of a solution.

    Differentiation does not look into `solve`: it solves further systems with it. Reverse mode solves transposed ones.

    Args:
        matvec: a linear function from and to pytrees of the structure, shapes and dtypes of `b`. It may capture
            values; derivatives with respect to these are found too.
        b: the right-hand side, a pytree of arrays.
        solve: `solve(matvec, b)` gives the solution.
        transpose_solve: `transpose_solve(vecmat, b)`, for systems with the transpose of `matvec`; reverse mode needs it
            unless `symmetric`.
        symmetric: `matvec` is its own transpose, and `solve` serves for both.
        has_aux: `solve` (and `transpose_solve`) return a pair `(solution, aux)`.

    Returns:
        The solution, or a pair of it and `aux`, which has no derivative.

    >>> import functrans as ft, numpy as np
    >>> def solve(A, b):
    ...     return ft.lax.custom_linear_solve(
    ...         lambda x: A @ x,
    ...         b,
    ...         solve=lambda _, b: np.linalg.solve(A, b),
    ...         transpose_solve=lambda _, b: np.linalg.solve(A.T, b),
    ...     )
    >>> A, b = np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([3.0, 4.0])
    >>> solve(A, b)
    Array([1., 1.])
    >>> ft.grad(lambda b: solve(A, b)[0])(b)
    Array([ 0.5  , -0.125])
    """
    what = "custom_linear_solve"
    for f, name in ((matvec, "matvec"), (solve, "solve")):
        if not callable(f):
            raise ArgumentError(f"{what} takes a function as {name}, got {f!r:.60}")
    leaves, avals, tree = _strong_leaves(b)
    one = flatten((b,))[1]
    n = len(leaves)
    product, product_consts, _ = _staged(what, "matvec", matvec, avals, one)
    solving, solve_consts, aux_tree = _staged(what, "solve", lambda b: solve(matvec, b), avals, one, has_aux, True)
    parts: list[tuple[Jaxpr, Sequence[Any]]] = [(product, product_consts), (solving, solve_consts)]
    if transpose_solve is not None and not symmetric:
        transposed = transpose_jaxpr_full(product, [*[False] * len(product_consts), *[True] * n])

        def vecmat(x: Any) -> Any:
            return unflatten(tree, evaluate(transposed, (), [*product_consts, *flatten(x)[0]], sources=True))

        back, back_consts, _ = _staged(
            what, "transpose_solve", lambda b: transpose_solve(vecmat, b), avals, one, has_aux, True
        )
        parts += [(transposed, product_consts), (back, back_consts)]
    jaxprs, consts = common_consts(parts)
    outs = custom_linear_solve_p.bind(
        *consts, *leaves, num_consts=len(consts), jaxpr=jaxprs[1], matvec=jaxprs[0],
        vecmat=jaxprs[0] if symmetric else jaxprs[2] if len(jaxprs) > 2 else None,
        transpose_solve=jaxprs[1] if symmetric else jaxprs[3] if len(jaxprs) > 2 else None,
    )  # fmt: skip
    x = unflatten(tree, outs[:n])
    return x if aux_tree is None else (x, unflatten(aux_tree, outs[n:]))


def _linear_solve_jvp(primals: Any, tangents: Any, *, num_consts: int, **params: Any) -> Any:
    """`A dx = db - dA x`, solved as the system itself is."""
    outs = custom_linear_solve_p.bind(*primals, num_consts=num_consts, **params)
    n = len(primals) - num_consts
    consts, b = primals[:num_consts], primals[num_consts:]
    x = outs[:n]
    changes = _pushed(params["matvec"], [*consts, *x], [*tangents[:num_consts], *[None] * n])
    rhs = [_difference(t, c) for t, c in zip(tangents[num_consts:], changes)]
    if all(r is None for r in rhs):
        return outs, [None] * len(outs)
    filled = [zeros(tangent_aval(v)) if r is None else r for r, v in zip(rhs, b)]
    out_tangents = custom_linear_solve_p.bind(*consts, *filled, num_consts=num_consts, **params)[:n]
    return outs, [*out_tangents, *[None] * (len(outs) - n)]


def _difference(x: Any, y: Any) -> Any:
    if y is None:
        return x
    return ew.neg(y) if x is None else ew.sub(x, y)


def _linear_solve_transpose(
    cts: Sequence[Any], *operands: Any, num_consts: int, jaxpr: Jaxpr, matvec: Jaxpr, vecmat: Jaxpr | None,
    transpose_solve: Jaxpr | None,
) -> list[Any]:  # fmt: skip
    consts, b = operands[:num_consts], operands[num_consts:]
    if any(map(is_linear, consts)):
        raise NotDifferentiableError(
            "the transpose of custom_linear_solve with respect to a value that matvec captured: the solution is no "
            "linear function of it"
        )
    if transpose_solve is None:
        raise NotDifferentiableError(
            "reverse mode through custom_linear_solve solves a transposed system, and needs to know how: give it "
            "transpose_solve, or symmetric=True if matvec is its own transpose"
        )
    rhs = [zeros(tangent_aval(v)) if ct is None else ct for v, ct in zip(b, cts)]
    outs = custom_linear_solve_p.bind(
        *consts, *rhs, num_consts=num_consts, jaxpr=transpose_solve, matvec=vecmat, vecmat=matvec, transpose_solve=jaxpr
    )
    return [*[None] * num_consts, *(ct if is_linear(x) else None for ct, x in zip(outs, b))]


def _linear_solve_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, num_consts: int, jaxpr: Jaxpr, **params: Jaxpr | None
) -> Any:
    batched, operands, n = _batched_operands(axis, args, dims, num_consts)
    force = [True] * n
    inner, out_batched = batch_jaxpr(jaxpr, axis, batched, [*force, *[False] * (len(jaxpr.outvars) - n)])
    others = {
        name: None if j is None else batch_jaxpr(j, axis, batched, [*force, *[True] * (len(j.outvars) - n)])[0]
        for name, j in params.items()
    }
    outs = custom_linear_solve_p.bind(*operands, num_consts=num_consts, jaxpr=inner, **others)
    return outs, [0 if b else None for b in out_batched]


def _batched_operands(
    axis: Axis, args: Sequence[Any], dims: Sequence[Any], num_consts: int
) -> tuple[list[bool], list[Any], int]:
    """Captured values as they are, batch first; solutions and right-hand sides all batched."""
    n = len(args) - num_consts
    batched = [*(d is not None for d in dims[:num_consts]), *[True] * n]
    return batched, [batch_first(axis, x, d) if b else x for x, d, b in zip(args, dims, batched)], n


def _run(*args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    return evaluate(jaxpr, (), args)


def _out_avals(*avals: ShapedArray, jaxpr: Jaxpr, **params: Any) -> list[ShapedArray]:
    return jaxpr.out_avals


def _linear_solve_guard(active: Any, *operands: Any, num_consts: int, **params: Jaxpr | None) -> list[Any]:
    inner = {name: None if j is None else guarded(j) for name, j in params.items()}
    return custom_linear_solve_p.bind(active, *operands, num_consts=num_consts + 1, **inner)


custom_linear_solve_p = Primitive("custom_linear_solve", multiple_results=True)
custom_linear_solve_p.impl = _run
custom_linear_solve_p.abstract_eval = _out_avals
custom_linear_solve_p.jvp = _linear_solve_jvp
custom_linear_solve_p.transpose = _linear_solve_transpose
custom_linear_solve_p.batch = _linear_solve_batch
custom_linear_solve_p.guard = _linear_solve_guard

# ---------------------------------------------------------------- roots


@api_boundary
def custom_root(
    f: Callable[[Any], Any],
    initial_guess: Any,
    solve: Callable[[Callable[[Any], Any], Any], Any],
    tangent_solve: Callable[[Callable[[Any], Any], Any], Any],
    has_aux: bool = False,
) -> Any:
    """A root of `f`, found by `solve`, with the derivatives of a root.

    Differentiation does not look into `solve`: where `f(x, a) = 0`, the derivative of `x` by what `f` captured, `a`, is
    `dx = -(df/dx)^-1 (df/da) da`.

    Args:
        f: a function from and to pytrees of the structure, shapes and dtypes of `initial_guess`. It may capture
            values; the root is differentiated with respect to these.
        initial_guess: where `solve` starts. The root has no derivative with respect to it.
        solve: `solve(f, initial_guess)` gives the root.
        tangent_solve: `tangent_solve(g, y)` gives the solution of `g(x) = y` for a linear function `g`. For scalars,
            `lambda g, y: y / g(1.0)`; for vectors `lambda g, y: np.linalg.solve(ft.jacobian(g)(y), y)`, or an
            iterative solver built on `custom_linear_solve`.
        has_aux: `solve` returns a pair `(root, aux)`.

    Returns:
        The root, or a pair of it and `aux`, which has no derivative.

    >>> import functrans as ft
    >>> def newton(f, x):
    ...     return ft.lax.fori_loop(0, 20, lambda _, x: x - f(x) / ft.grad(f)(x), x)
    >>> def cube_root(a):
    ...     return ft.lax.custom_root(lambda x: x**3 - a, a, newton, lambda g, y: y / g(1.0))
    >>> ft.jit(ft.value_and_grad(cube_root))(8.0)
    (Array(2.), Array(0.08333333))
    """
    what = "custom_root"
    for fun, name in ((f, "f"), (solve, "solve"), (tangent_solve, "tangent_solve")):
        if not callable(fun):
            raise ArgumentError(f"{what} takes a function as {name}, got {fun!r:.60}")
    leaves, avals, tree = _strong_leaves(initial_guess)
    one, two = flatten((initial_guess,))[1], flatten((initial_guess, initial_guess))[1]
    n = len(leaves)
    fun_jaxpr, f_consts, _ = _staged(what, "f", f, avals, one)
    solving, solve_consts, aux_tree = _staged(what, "solve", lambda guess: solve(f, guess), avals, one, has_aux, True)

    def tangent(x: Any, y: Any) -> Any:
        args = [*f_consts, *flatten(x)[0]]
        split = linearize_jaxpr(fun_jaxpr, [*[False] * len(f_consts), *[True] * n])
        residuals = _residuals(fun_jaxpr, split, args)

        def g(v: Any) -> Any:
            tangents = [convert_element_type(t, a.dtype) for t, a in zip(flatten(v)[0], avals)]
            found = spread(evaluate(split.linear, (), [*residuals, *tangents], sources=True), split.nonzero_outs)
            return unflatten(tree, [zeros(a) if t is None else t for t, a in zip(found, avals)])

        return tangent_solve(g, y)

    pairs, tangent_consts, tangent_tree = stage_function(tangent, [*avals, *avals], two, f"tangent_solve of {what}")
    if tangent_tree != tree or [(a.shape, a.dtype) for a in pairs.out_avals] != [(a.shape, a.dtype) for a in avals]:
        raise ShapeError(
            f"tangent_solve of {what} must return the structure and types of the root, "
            f"{', '.join(map(str, avals))}; it returned {', '.join(map(str, pairs.out_avals))}"
        )
    (fun_jaxpr, solving, pairs), consts = common_consts(
        [(fun_jaxpr, f_consts), (solving, solve_consts), (remove_dead(pairs), tangent_consts)]
    )
    outs = custom_root_p.bind(
        *consts, *leaves, num_consts=len(consts), jaxpr=solving, fun=fun_jaxpr, tangent_solve=pairs
    )
    root = unflatten(tree, outs[:n])
    return root if aux_tree is None else (root, unflatten(aux_tree, outs[n:]))


def _root_jvp(primals: Any, tangents: Any, *, num_consts: int, jaxpr: Jaxpr, fun: Jaxpr, tangent_solve: Jaxpr) -> Any:
    outs = custom_root_p.bind(*primals, num_consts=num_consts, jaxpr=jaxpr, fun=fun, tangent_solve=tangent_solve)
    n = len(primals) - num_consts
    consts, root = primals[:num_consts], outs[:n]
    changes = _pushed(fun, [*consts, *root], [*tangents[:num_consts], *[None] * n])
    if all(c is None for c in changes):
        return outs, [None] * len(outs)
    rhs = [zeros(tangent_aval(x)) if c is None else ew.neg(c) for c, x in zip(changes, root)]
    out_tangents = evaluate(tangent_solve, (), [*consts, *root, *rhs], sources=True)
    return outs, [*out_tangents, *[None] * (len(outs) - n)]


def _root_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, num_consts: int, jaxpr: Jaxpr, fun: Jaxpr, tangent_solve: Jaxpr
) -> Any:
    batched, operands, n = _batched_operands(axis, args, dims, num_consts)
    force = [True] * n
    inner, out_batched = batch_jaxpr(jaxpr, axis, batched, [*force, *[False] * (len(jaxpr.outvars) - n)])
    outs = custom_root_p.bind(
        *operands, num_consts=num_consts, jaxpr=inner, fun=batch_jaxpr(fun, axis, batched, force)[0],
        tangent_solve=batch_jaxpr(tangent_solve, axis, [*batched, *force], force)[0],
    )  # fmt: skip
    return outs, [0 if b else None for b in out_batched]


def _root_guard(active: Any, *operands: Any, num_consts: int, **params: Jaxpr) -> list[Any]:
    return custom_root_p.bind(
        active, *operands, num_consts=num_consts + 1, **{name: guarded(j) for name, j in params.items()}
    )


custom_root_p = Primitive("custom_root", multiple_results=True)
custom_root_p.impl = _run
custom_root_p.abstract_eval = _out_avals
custom_root_p.jvp = _root_jvp
custom_root_p.batch = _root_batch
custom_root_p.guard = _root_guard
