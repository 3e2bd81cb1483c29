"""`scan`: a loop with a carry over the leading axis of arrays; `map`, `associative_scan`.

`scan(*consts, *carry, *xs)` runs its body `(consts, carry, x) -> (carry, y)` once for each slice of `xs`. Its
transforms are scans again: jvp and batching find by iteration which carries have tangents or are batched; reverse mode
is a scan that stacks residuals and a linear scan that reads them, transposed into a scan from the end.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of, is_array_like
from functrans.core.jaxpr import Jaxpr, Var, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import flatten, key_paths, keystr, structure_error, unflatten
from functrans.core.trace import stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import function_name, stage_function
from functrans.lax.structural import concatenate, reshape, rev, slice_in_dim
from functrans.transforms.batching import batch_evaluate, batch_first, batch_jaxpr, move_axis
from functrans.transforms.jvp import LinearizedJaxpr, close_over, jvp_jaxpr, linearize_jaxpr, tangent_aval
from functrans.transforms.transpose import Linear, backward_pass, is_linear


@api_boundary
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` over the slices `x` of `xs` along their first axis.

    Args:
        f: the body; it returns a carry of the same structure, shapes and dtypes, and any pytree `y`.
        init: the first carry.
        xs: a pytree of arrays with one length, or `None`.
        length: the number of turns, needed where `xs` has no leaves.
        reverse: go from the last slice to the first.
        unroll: accepted; how loops are unrolled is the compiler's choice.

    Returns:
        The last carry, and all `y` stacked along a new first axis.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (Array(6.), Array([0., 1., 3.]))
    """
    name = function_name(f)
    what = f"the body of scan, {name},"
    if not callable(f):
        raise ArgumentError(f"scan takes a function as its body, got {f!r:.60}")
    x_leaves = flatten(xs)[0]
    n = _length(name, x_leaves, xs, length)
    carry, carry_tree = flatten(init)
    slices = [aval_of(x) for x in x_leaves]
    slices = [ShapedArray(a.shape[1:], a.dtype, a.weak) for a in slices]
    tree = _pair_tree(init, xs)
    carry = [x if is_array_like(x) else np.asarray(x) for x in carry]
    while True:  # a weak carry takes the dtype that the body gives it
        avals = [aval_of(x) for x in carry]
        jaxpr, consts, out_tree = stage_function(f, [*avals, *slices], tree, what)
        _check_pair(what, out_tree)
        new_tree, y_tree = out_tree.children()
        if new_tree != carry_tree:
            raise structure_error(
                f"the carry of scan with body {name}", carry_tree, new_tree, ("given to it", "returned by it")
            ) or ArgumentError(f"{what} returned a carry of another structure than it was given")
        outs = [a.aval for a in jaxpr.outvars[: len(carry)]]
        promoted = [_promoted(a, o) for a, o in zip(avals, outs)]
        if all(p == a for p, a in zip(promoted, avals)):
            break
        carry = [convert_element_type(x, p.dtype, p.weak) for x, p in zip(carry, promoted)]
    check_carry(what, init, avals, outs)
    jaxpr = with_carry_types(jaxpr, avals)
    results = scan_p.bind(
        *consts, *carry, *x_leaves, num_consts=len(consts), num_carry=len(carry), jaxpr=jaxpr, length=n,
        reverse=bool(reverse), unroll=unroll,
    )  # fmt: skip
    return unflatten(carry_tree, results[: len(carry)]), unflatten(y_tree, results[len(carry) :])


def _pair_tree(init: Any, xs: Any) -> Any:
    return flatten((init, xs))[1]


def _check_pair(what: str, tree: Any) -> None:
    if (tree.type is not tuple and tree.type is not list) or tree.num_children != 2:
        raise ArgumentError(
            f"{what} must return a pair (carry, y), it returned {tree}; write `return carry, None` for no y"
        )


def _length(name: str, leaves: Sequence[Any], xs: Any, length: int | None) -> int:
    sizes = []
    for i, x in enumerate(leaves):
        shape = aval_of(x).shape
        if not shape:
            path = keystr(key_paths(flatten(xs)[1])[i])
            raise ShapeError(f"scan over xs{path}, which is a scalar: it has no axis to go along")
        sizes.append(shape[0])
    if length is not None:
        sizes.append(operator.index(length))
    if not sizes:
        raise ArgumentError(f"scan of {name} without xs needs a length")
    if len(set(sizes)) > 1:
        raise ShapeError(f"scan: the first axes of xs{' and length' if length is not None else ''} differ: {sizes}")
    return sizes[0]


_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def _promoted(given: ShapedArray, returned: ShapedArray) -> ShapedArray:
    """The type of a carry that starts weak and is given a strong type, of the same kind or a higher one, by the body."""
    higher = _RANK[returned.dtype.kind] - _RANK[given.dtype.kind]
    if not given.weak or given.shape != returned.shape or higher < 0 or (returned.weak and higher == 0):
        return given
    return ShapedArray(given.shape, returned.dtype, returned.weak)


def check_carry(what: str, init: Any, given: Sequence[ShapedArray], returned: Sequence[ShapedArray]) -> None:
    """The error for a carry that changes its type from turn to turn."""
    for path, a, o in zip(key_paths(flatten(init)[1]), given, returned):
        if a.shape != o.shape or (a.dtype != o.dtype and not o.weak):
            error = ShapeError if a.shape != o.shape else DTypeError
            hint = "" if a.shape != o.shape else f"; convert it (x.astype({a.dtype})) or start with {o.dtype}"
            raise error(
                f"{what} must return a carry of the type that it was given, but carry{keystr(path)} came in as {a} and "
                f"went out as {o}{hint}"
            )


def with_carry_types(jaxpr: Jaxpr, wanted: Sequence[ShapedArray]) -> Jaxpr:
    """The body with its first results (the carry) of exactly these types."""
    if all(o.aval == w for o, w in zip(jaxpr.outvars, wanted)):
        return jaxpr

    def fun(*args: Any) -> list[Any]:
        outs = evaluate(jaxpr, (), args)
        carry = [convert_element_type(o, w.dtype, w.weak) for o, w in zip(outs, wanted)]
        return [*carry, *outs[len(wanted) :]]

    return close_over(*stage(fun, jaxpr.in_avals))


# ---------------------------------------------------------------- rules


def _split(values: Sequence[Any], *sizes: int) -> list[list[Any]]:
    out, start = [], 0
    for n in sizes:
        out.append(list(values[start : start + n]))
        start += n
    return [*out, list(values[start:])]


def _live(values: Sequence[Any]) -> list[Any]:
    return [v for v in values if v is not None]


def _spread(values: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    rest = iter(values)
    return [next(rest) if m else None for m in mask]


def _impl(*args: Any, num_consts: int, num_carry: int, jaxpr: Jaxpr, length: int, reverse: bool, unroll: Any) -> Any:
    consts, carry, xs = _split(args, num_consts, num_carry)
    ys = [np.empty((length, *a.shape), a.dtype) for a in jaxpr.out_avals[num_carry:]]
    xs = [np.asarray(x) for x in xs]
    for i in range(length - 1, -1, -1) if reverse else range(length):
        outs = evaluate(jaxpr, (), [*consts, *carry, *(x[i] for x in xs)])
        carry = outs[:num_carry]
        for y, value in zip(ys, outs[num_carry:]):
            y[i] = value
    return [*(wrap(c) for c in carry), *(wrap(y) for y in ys)]


def _abstract(*avals: ShapedArray, num_carry: int, jaxpr: Jaxpr, length: int, **params: Any) -> list[ShapedArray]:
    outs = jaxpr.out_avals
    return [*outs[:num_carry], *(ShapedArray((length, *a.shape), a.dtype) for a in outs[num_carry:])]


def _reordered(jaxpr: Jaxpr, ins: Sequence[int], outs: Sequence[int]) -> Jaxpr:
    """The jaxpr with its arguments and results in another order."""
    return Jaxpr((), [jaxpr.invars[i] for i in ins], jaxpr.eqns, [jaxpr.outvars[i] for i in outs])


def fixed_point(start: Sequence[bool], step: Callable[[list[bool]], Sequence[bool]]) -> list[bool]:
    """The least mask at least `start` that `step` does not enlarge."""
    mask = list(start)
    while True:
        new = [a or b for a, b in zip(mask, step(mask))]
        if new == mask:
            return mask
        mask = new


def _jvp(primals: Any, tangents: Any, *, num_consts: int, num_carry: int, jaxpr: Jaxpr, **params: Any) -> Any:
    nz_consts, nz_carry, nz_xs = _split([t is not None for t in tangents], num_consts, num_carry)
    nz_carry = fixed_point(nz_carry, lambda m: jvp_jaxpr(jaxpr, [*nz_consts, *m, *nz_xs])[1][:num_carry])
    n_ys = len(jaxpr.outvars) - num_carry
    inner, live = jvp_jaxpr(jaxpr, [*nz_consts, *nz_carry, *nz_xs], [*nz_carry, *[False] * n_ys])
    live_ys = live[num_carry:]
    consts, carry, xs = _split(primals, num_consts, num_carry)
    t_consts, t_carry, t_xs = _split(tangents, num_consts, num_carry)
    t_carry = [
        (zeros(tangent_aval(c)) if t is None else t) if nz else None for t, c, nz in zip(t_carry, carry, nz_carry)
    ]
    n_in, n_out = len(jaxpr.invars), len(jaxpr.outvars)
    t_in = [n_in + i for i in range(len(inner.invars) - n_in)]
    t_out = [n_out + i for i in range(len(inner.outvars) - n_out)]
    tc, tr, tx = _split(t_in, sum(nz_consts), sum(nz_carry))
    tro, tyo = _split(t_out, sum(nz_carry))
    body = _reordered(
        inner,
        [
            *range(num_consts),
            *tc,
            *range(num_consts, num_consts + num_carry),
            *tr,
            *range(num_consts + num_carry, n_in),
            *tx,
        ],
        [*range(num_carry), *tro, *range(num_carry, n_out), *tyo],
    )
    outs = scan_p.bind(
        *consts, *_live(t_consts), *carry, *_live(t_carry), *xs, *_live(t_xs), jaxpr=body,
        num_consts=num_consts + sum(nz_consts), num_carry=num_carry + sum(nz_carry), **params,
    )  # fmt: skip
    carry_out, t_carry_out, ys, t_ys = _split(outs, num_carry, sum(nz_carry), n_ys)
    return [*carry_out, *ys], [*_spread(t_carry_out, nz_carry), *_spread(t_ys, live_ys)]


def _linearize(primals: Any, tangents: Any, *, num_consts: int, num_carry: int, jaxpr: Jaxpr, **params: Any) -> Any:
    """A scan that stacks what the linear part reads, and the linear scan; what does not vary is not stacked."""
    nz_consts, nz_carry, nz_xs = _split([t is not None for t in tangents], num_consts, num_carry)
    nz_carry = fixed_point(
        nz_carry, lambda m: linearize_jaxpr(jaxpr, [*nz_consts, *m, *nz_xs]).nonzero_outs[:num_carry]
    )
    nonzero = [*nz_consts, *nz_carry, *nz_xs]
    split = linearize_jaxpr(jaxpr, nonzero)
    n_outs = len(jaxpr.outvars)
    consts, carry, xs = _split(primals, num_consts, num_carry)
    # a residual that is a carry varies from turn to turn: it is saved as a result of the forward body
    forward = split.forward
    carried = sorted({i for i in split.forwarded if i is not None and num_consts <= i < num_consts + num_carry})
    forward = Jaxpr((), forward.invars, forward.eqns, [*forward.outvars, *(forward.invars[i] for i in carried)])
    results = scan_p.bind(*primals, num_consts=num_consts, num_carry=num_carry, jaxpr=forward, **params)
    outs, saved = results[:n_outs], results[n_outs:]
    n_saved = len(saved) - len(carried)
    stacked_carry = dict(zip(carried, saved[n_saved:]))
    own = iter(saved[:n_saved])
    invariant: list[Any] = []
    stacked: list[Any] = []
    order: list[tuple[str, int]] = []  # residuals by kind; `order[i]` says where residual i went
    for i in split.forwarded:
        if i is not None and i < num_consts:
            order.append(("const", len(invariant)))
            invariant.append(consts[i])
            continue
        order.append(("x", len(stacked)))
        if i is None:
            stacked.append(next(own))
        elif i in stacked_carry:
            stacked.append(stacked_carry[i])
        else:
            stacked.append(xs[i - num_consts - num_carry])
    body = _linear_body(split, order, nz_consts, nz_carry, num_carry)
    t_consts, t_carry, t_xs = _split(tangents, num_consts, num_carry)
    t_carry = [
        (zeros(tangent_aval(c)) if t is None else t) if nz else None for t, c, nz in zip(t_carry, carry, nz_carry)
    ]
    live_ys = split.nonzero_outs[num_carry:]
    t_outs = scan_p.bind(
        *invariant, *_live(t_consts), *_live(t_carry), *stacked, *_live(t_xs), jaxpr=body,
        num_consts=len(invariant) + sum(nz_consts), num_carry=sum(nz_carry), **params,
    )  # fmt: skip
    t_carry_out, t_ys = _split(t_outs, sum(nz_carry))
    return outs, [*_spread(t_carry_out, nz_carry), *_spread(t_ys, live_ys)]


def _linear_body(
    split: LinearizedJaxpr,
    order: Sequence[tuple[str, int]],
    nz_consts: Sequence[bool],
    nz_carry: Sequence[bool],
    num_carry: int,
) -> Jaxpr:
    """`invariant residuals, const tangents, carry tangents, stacked residuals, x tangents -> carry, y tangents`."""
    linear = split.linear
    n_res = len(order)
    residuals, tangents = linear.invars[:n_res], linear.invars[n_res:]
    t_consts, t_carry, t_xs = _split(tangents, sum(nz_consts), sum(nz_carry))
    invariant = [v for v, (kind, _) in zip(residuals, order) if kind == "const"]
    stacked = [v for v, (kind, _) in zip(residuals, order) if kind == "x"]
    found = dict(zip([i for i, nz in enumerate(split.nonzero_outs) if nz], linear.outvars))
    ins = [*invariant, *t_consts, *t_carry, *stacked, *t_xs]
    missing = [i for i, nz in enumerate(nz_carry) if nz and i not in found]
    if not missing:
        carry_out = [found[i] for i, nz in enumerate(nz_carry) if nz]
        ys = [found[i] for i in sorted(found) if i >= num_carry]
        return Jaxpr((), ins, linear.eqns, [*carry_out, *ys])

    by_carry = dict(zip([i for i, nz in enumerate(nz_carry) if nz], t_carry))

    def fun(*args: Any) -> list[Any]:
        env = dict(zip(ins, args))
        outs = dict(zip(found, evaluate(linear, (), [env[v] for v in linear.invars])))
        blank = {i: zeros(by_carry[i].aval) for i in missing}
        carry_out = [outs[i] if i in outs else blank[i] for i, nz in enumerate(nz_carry) if nz]
        return [*carry_out, *(outs[i] for i in sorted(outs) if i >= num_carry)]

    return close_over(*stage(fun, [v.aval for v in ins]))


def _transpose(
    cts: Sequence[Any], *operands: Any, num_consts: int, num_carry: int, jaxpr: Jaxpr, length: int, reverse: bool,
    unroll: Any,
) -> list[Any]:  # fmt: skip
    """A scan from the other end: the cotangent of the carry is its carry, those of the constants are summed there."""
    consts, carry, xs = _split(operands, num_consts, num_carry)
    lin_consts, lin_init, lin_xs = ([is_linear(x) for x in part] for part in (consts, carry, xs))
    lin_carry = fixed_point(lin_init, lambda m: depends_on(jaxpr, [*lin_consts, *m, *lin_xs])[:num_carry])
    if not all(lin_carry):
        known = _values_of_known_carries(
            operands, [*lin_consts, *lin_carry, *lin_xs], num_consts, num_carry, jaxpr, length, reverse, unroll
        )
        jaxpr = _carries_as_xs(jaxpr, lin_carry, num_consts, num_carry)
        cts = [ct for i, ct in enumerate(cts) if i >= num_carry or lin_carry[i]]
        inner_cts = _transpose(
            cts, *consts, *(x for x, lin in zip(carry, lin_carry) if lin), *known, *xs, num_consts=num_consts,
            num_carry=sum(lin_carry), jaxpr=jaxpr, length=length, reverse=reverse, unroll=unroll,
        )  # fmt: skip
        c, r, _, x = _split(inner_cts, num_consts, sum(lin_carry), len(known))
        return [*c, *_spread(r, lin_carry), *x]
    ct_carry, ct_ys = _split(cts, num_carry)
    ct_carry = [zeros(a.strong()) if ct is None else ct for ct, a in zip(ct_carry, jaxpr.out_avals)]
    y_avals = jaxpr.out_avals[num_carry:]
    live_ys = [ct is not None for ct in ct_ys]
    known_consts = [x for x, lin in zip(consts, lin_consts) if not lin]
    known_xs = [x for x, lin in zip(xs, lin_xs) if not lin]
    const_avals = [x.aval.strong() for x, lin in zip(consts, lin_consts) if lin]
    c_in, r_in, x_in = _split(jaxpr.in_avals, num_consts, num_carry)

    def body(*args: Any) -> list[Any]:
        kc, sums, ct_c, kx, ct_y = _split(args, len(known_consts), len(const_avals), num_carry, len(known_xs))
        free_c, free_x = iter(kc), iter(kx)
        values = [Linear(a) if lin else next(free_c) for a, lin in zip(c_in, lin_consts)]
        values += [Linear(a) for a in r_in]
        values += [Linear(a) if lin else next(free_x) for a, lin in zip(x_in, lin_xs)]
        found = backward_pass(jaxpr, [], values, [*ct_c, *_spread(ct_y, live_ys)])
        fc, fr, fx = _split(found, num_consts, num_carry)
        new_sums = [s if ct is None else s + ct for s, ct in zip(sums, [c for c, lin in zip(fc, lin_consts) if lin])]
        new_carry = [zeros(a.strong()) if ct is None else ct for ct, a in zip(fr, r_in)]
        x_cts = [zeros(a.strong()) if ct is None else ct for ct, a, lin in zip(fx, x_in, lin_xs) if lin]
        return [*new_sums, *new_carry, *x_cts]

    carry_avals = [a.strong() for a in r_in]
    avals = [
        *(aval_of(x) for x in known_consts), *const_avals, *carry_avals,
        *(a for a, lin in zip(x_in, lin_xs) if not lin), *(a for a, lv in zip(y_avals, live_ys) if lv),
    ]  # fmt: skip
    inner = close_over(*stage(body, avals))
    outs = scan_p.bind(
        *known_consts, *(zeros(a) for a in const_avals), *ct_carry, *known_xs, *_live(ct_ys), jaxpr=inner,
        num_consts=len(known_consts), num_carry=len(const_avals) + num_carry, length=length, reverse=not reverse,
        unroll=unroll,
    )  # fmt: skip
    sums, carry_cts, x_cts = _split(outs, len(const_avals), num_carry)
    carry_cts = [ct if lin else None for ct, lin in zip(carry_cts, lin_init)]
    return [*_spread(sums, lin_consts), *carry_cts, *_spread(x_cts, lin_xs)]


def depends_on(jaxpr: Jaxpr, mask: Sequence[bool]) -> list[bool]:
    """Which results depend on the arguments in the mask."""
    found = {v for v, m in zip(jaxpr.invars, mask) if m}
    for eqn in jaxpr.eqns:
        if any(a in found for a in eqn.inputs if isinstance(a, Var)):
            found.update(eqn.outvars)
    return [a in found for a in jaxpr.outvars]


def _values_of_known_carries(
    operands: Sequence[Any], linear: Sequence[bool], num_consts: int, num_carry: int, jaxpr: Jaxpr, length: int,
    reverse: bool, unroll: Any,
) -> list[Any]:  # fmt: skip
    """What the carries that depend on nothing linear are at the start of each turn, stacked: by a scan of their own."""
    keep = [i for i in range(num_consts, num_consts + num_carry) if not linear[i]]
    found = {v for v, lin in zip(jaxpr.invars, linear) if lin}
    eqns = []
    for eqn in jaxpr.eqns:
        if any(a in found for a in eqn.inputs if isinstance(a, Var)):
            found.update(eqn.outvars)
        else:
            eqns.append(eqn)
    known = [i for i, lin in enumerate(linear) if not lin]
    body = Jaxpr(
        (), [jaxpr.invars[i] for i in known], eqns,
        [*(jaxpr.outvars[i - num_consts] for i in keep), *(jaxpr.invars[i] for i in keep)],
    )  # fmt: skip
    outs = scan_p.bind(
        *(operands[i] for i in known), num_consts=sum(i < num_consts for i in known), num_carry=len(keep), jaxpr=body,
        length=length, reverse=reverse, unroll=unroll,
    )  # fmt: skip
    return outs[len(keep) :]


def _carries_as_xs(jaxpr: Jaxpr, lin_carry: Sequence[bool], num_consts: int, num_carry: int) -> Jaxpr:
    """The body with its known carries among the scanned operands, in front, and no longer among the results."""
    consts, carry, xs = _split(jaxpr.invars, num_consts, num_carry)
    kept = [v for v, lin in zip(carry, lin_carry) if lin]
    known = [v for v, lin in zip(carry, lin_carry) if not lin]
    outs = [a for i, a in enumerate(jaxpr.outvars) if i >= num_carry or lin_carry[i]]
    return Jaxpr((), [*consts, *kept, *known, *xs], jaxpr.eqns, outs)


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, num_consts: int, num_carry: int, jaxpr: Jaxpr, **params: Any
) -> Any:
    b_consts, b_carry, b_xs = _split([d is not None for d in dims], num_consts, num_carry)
    n_ys = len(jaxpr.outvars) - num_carry
    b_carry = fixed_point(b_carry, lambda m: batch_jaxpr(jaxpr, axis, [*b_consts, *m, *b_xs])[1][:num_carry])
    inner, out_batched = batch_jaxpr(jaxpr, axis, [*b_consts, *b_carry, *b_xs], [*b_carry, *[False] * n_ys])
    consts, carry, xs = _split(list(zip(args, dims)), num_consts, num_carry)
    operands = [
        *(x if d is None else batch_first(axis, x, d) for x, d in consts),
        *(batch_first(axis, x, d) if b else x for (x, d), b in zip(carry, b_carry)),
        *(x if d is None else move_axis(x, d, 1) for x, d in xs),
    ]
    outs = scan_p.bind(*operands, num_consts=num_consts, num_carry=num_carry, jaxpr=inner, **params)
    out_dims = [0 if b else None for b in out_batched[:num_carry]] + [1 if b else None for b in out_batched[num_carry:]]
    return outs, out_dims


scan_p = Primitive("scan", multiple_results=True)
scan_p.impl = _impl
scan_p.abstract_eval = _abstract
scan_p.jvp = _jvp
scan_p.linearize = _linearize
scan_p.transpose = _transpose
scan_p.batch = _batch

# ---------------------------------------------------------------- map, associative_scan


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` applied to each slice of `xs` along the first axis, one after another (`vmap` does all at once).

    With `batch_size`, that many slices at once.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.map(lambda x: x**2, np.arange(3.0))
    Array([0., 1., 4.])
    """
    if batch_size is None:
        return scan(lambda _, x: ((), f(x)), (), xs)[1]
    leaves, tree = flatten(xs)
    n = _length(function_name(f), leaves, xs, None)
    whole = n // batch_size * batch_size
    parts = []
    if whole:
        blocks = [
            reshape(slice_in_dim(x, 0, whole), (whole // batch_size, batch_size, *aval_of(x).shape[1:])) for x in leaves
        ]
        out, out_tree = flatten(scan(lambda _, x: ((), _at_once(f, x)), (), unflatten(tree, blocks))[1])
        parts.append([reshape(y, (whole, *aval_of(y).shape[2:])) for y in out])
    if whole < n or not n:
        out, out_tree = flatten(_at_once(f, unflatten(tree, [slice_in_dim(x, whole, n) for x in leaves])))
        parts.append(out)
    return unflatten(out_tree, [concatenate(p, 0) for p in zip(*parts)])


def _at_once(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` on all slices of a block together."""
    leaves, _ = flatten(xs)
    avals = [aval_of(x) for x in leaves]
    examples = [ShapedArray(a.shape[1:], a.dtype, a.weak) for a in avals]
    jaxpr, consts, tree = stage_function(f, examples, flatten((xs,))[1], f"{function_name(f)} under map")
    axis = Axis(avals[0].shape[0])
    outs, dims = batch_evaluate(jaxpr, (), axis, [*consts, *leaves], [None] * len(consts) + [0] * len(leaves))
    return unflatten(tree, [batch_first(axis, o, d) for o, d in zip(outs, dims)])


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes `x0, fn(x0, x1), fn(fn(x0, x1), x2), ...` of an associative function, in logarithmically many steps.

    Source: G. Blelloch, "Prefix sums and their applications", 1990.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.associative_scan(lambda a, b: a * b, np.array([1.0, 2.0, 3.0]))
    Array([1., 2., 6.])
    """
    leaves, tree = flatten(elems)
    if not leaves:
        return elems
    axis = axis % aval_of(leaves[0]).ndim
    n = aval_of(leaves[0]).shape[axis]

    def along(x: Any, start: int, limit: int, step: int = 1) -> Any:
        return slice_in_dim(x, start, limit, step, axis)

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        return flatten(fn(unflatten(tree, a), unflatten(tree, b)))[0]

    def prefixes(xs: list[Any]) -> list[Any]:
        m = aval_of(xs[0]).shape[axis]
        if m < 2:
            return xs
        pairs = combine([along(x, 0, m - 1, 2) for x in xs], [along(x, 1, m, 2) for x in xs])
        odd = prefixes(pairs)
        if m % 2 == 0:
            even = combine([along(y, 0, m // 2 - 1) for y in odd], [along(x, 2, m, 2) for x in xs])
        else:
            even = combine(odd, [along(x, 2, m, 2) for x in xs])
        even = [concatenate([along(x, 0, 1), e], axis) for x, e in zip(xs, even)]
        return [_interleave(a, b, axis) for a, b in zip(even, odd)]

    if n == 0:
        return elems
    if reverse:
        leaves = [rev(x, (axis,)) for x in leaves]
    out = prefixes(leaves)
    if reverse:
        out = [rev(y, (axis,)) for y in out]
    return unflatten(tree, out)


def _interleave(a: Any, b: Any, axis: int) -> Any:
    """`a0, b0, a1, b1, ...`; `a` may have one more."""
    n, m = aval_of(a).shape[axis], aval_of(b).shape[axis]
    shape = list(aval_of(a).shape)

    def paired(x: Any) -> Any:
        s = list(aval_of(x).shape)
        return reshape(x, (*s[: axis + 1], 1, *s[axis + 1 :]))

    head = concatenate([paired(slice_in_dim(a, 0, m, axis=axis)), paired(b)], axis + 1)
    shape[axis] = 2 * m
    head = reshape(head, shape)
    return head if n == m else concatenate([head, slice_in_dim(a, m, n, axis=axis)], axis)
