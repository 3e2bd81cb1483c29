"""Taylor-mode differentiation with the names of `jax.experimental.jet`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from functrans.api.flattening import check_leaf, name_of
from functrans.core.array import wrap
from functrans.core.avals import aval_of, is_inexact
from functrans.core.primitive import zeros
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError, TreeStructureError
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import check_results
from functrans.transforms.taylor import scaled, taylor

__all__ = ["jet"]


@api_boundary
def jet(
    fun: Callable[..., Any],
    primals: Sequence[Any],
    series: Sequence[Sequence[Any]],
    factorial_scaled: bool = True,
    **_: Any,
) -> tuple[Any, Any]:
    """The Taylor polynomial of `fun` along a curve, by Taylor mode: for derivatives of high order.

    Args:
        fun: a function of as many arguments as `primals` has.
        primals: where the curve starts: arrays, or pytrees of them.
        series: for each argument the coefficients of the curve from the first on, as many for each. A coefficient has
            the structure and shapes of the argument.
        factorial_scaled: coefficients are derivatives; otherwise derivatives divided by factorials, as those of a
            polynomial are.

    Returns:
        `(out, out_series)`: what `fun` returns, and in the place of each of its arrays the list of its coefficients.

    Raises:
        ArgumentError, TreeStructureError, ShapeError, DTypeError: `series` does not fit `primals`.
        NotDifferentiableError: an operation has no derivative.

    For order `K` it takes about `K**2` operations for each of the function's, `K` nested derivatives about `2**K`.
    Every function with a derivative can be used, control flow and `custom_jvp` rules included.

    >>> import numpy as np
    >>> from functrans.experimental.jet import jet
    >>> sine, derivatives = jet(np.sin, (0.0,), ((1.0, 0.0, 0.0, 0.0, 0.0),))
    >>> [float(d) for d in derivatives]
    [1.0, 0.0, -1.0, 0.0, 1.0]
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(series, (tuple, list)):
        raise ArgumentError(
            "jet takes primals and series as tuples or lists, one entry for each argument of the function"
        )
    if len(primals) != len(series):
        raise ArgumentError(f"jet: {len(primals)} primals, but series for {len(series)} arguments")
    orders = sorted({len(terms) for terms in series})
    if len(orders) > 1:
        raise ArgumentError(f"jet: the series of all arguments must have one length, they have {orders}")
    order = orders[0] if orders else 0
    leaves, tree = flatten(tuple(primals))
    for x in leaves:
        check_leaf(x, f"a primal of jet({name_of(fun)})")
    columns = [_coefficients(i, p, terms) for i, (p, terms) in enumerate(zip(primals, series))]
    rows = [row for column in columns for row in column]
    factorials = [math.factorial(k) for k in range(1, order + 1)] if factorial_scaled else [1] * order
    rows = [[scaled(t, 1 / f) for t, f in zip(row, factorials)] for row in rows]
    out_tree: Any = None

    def flat(*args: Any) -> list[Any]:
        nonlocal out_tree
        outs, out_tree = flatten(fun(*unflatten(tree, args)))
        check_results(f"{name_of(fun)}, given to jet,", outs, out_tree)
        return outs

    outs, found = taylor(flat, order, leaves, rows)
    out_series = []
    for out, terms in zip(outs, found):
        terms = [None] * order if terms is None else terms
        terms = [zeros(aval_of(out).strong()) if t is None else scaled(t, f) for t, f in zip(terms, factorials)]
        out_series.append([t if isinstance(t, Tracer) else wrap(t) for t in terms])
    outs = [o if isinstance(o, Tracer) else wrap(o) for o in outs]
    return unflatten(out_tree, outs), unflatten(out_tree, out_series)


def _coefficients(position: int, primal: Any, terms: Sequence[Any]) -> list[list[Any]]:
    """For each leaf of an argument its coefficients."""
    leaves, tree = flatten(primal)
    rows: list[list[Any]] = [[] for _ in leaves]
    for number, term in enumerate(terms, 1):
        parts, structure = flatten(term)
        if structure != tree:
            raise TreeStructureError(
                f"jet: coefficient {number} of argument {position} has the structure {structure}, the argument {tree}"
            )
        for row, part, leaf in zip(rows, parts, leaves):
            aval, given = aval_of(leaf), aval_of(part)
            if given.shape != aval.shape:
                raise ShapeError(
                    f"jet: coefficient {number} of argument {position} is {given}, the argument is {aval}; shapes must "
                    "be equal"
                )
            row.append(convert_element_type(part, aval.dtype))
    for leaf in leaves:
        if terms and not is_inexact(aval_of(leaf).dtype):
            raise DTypeError(
                f"jet: argument {position} is {aval_of(leaf)}; series are of real or complex numbers: convert it, or "
                "close over it"
            )
    return rows
