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
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, Literal, Var, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import PyTreeDef, describe_node, flatten, structure_error, unflatten
from functrans.core.trace import stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.carry import (
    carry_tangents,
    check_structure,
    fixed_point,
    forward_rules,
    leaf_names,
    reordered,
    stage_carry,
)
from functrans.lax.flat import function_name, live_values, split_list, spread, stage_function
from functrans.lax.structural import canonical_axis, concatenate, reshape, rev, slice_in_dim
from functrans.transforms.batching import batch_evaluate, batch_first, batch_jaxpr, move_axis
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import LinearizedJaxpr, close_over, linearize_jaxpr
from functrans.transforms.simplify import free_of_failure, has_effect, remove_dead
from functrans.transforms.taylor import flattened, grouped
from functrans.transforms.transpose import Linear, backward_pass, is_linear


@api_boundary
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
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
    if not callable(f):
        raise ArgumentError(f"scan takes a function as its body, got {f!r:.60}")
    return _scan(f, init, xs, length, reverse, unroll, f"the body of scan, {function_name(f)},")


def _scan(
    f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int | None, reverse: bool, unroll: Any,
    what: str,
) -> tuple[Any, Any]:  # fmt: skip
    x_leaves, x_tree = flatten(xs)
    n = _length(x_leaves, x_tree, length)
    carry, carry_tree = flatten(init)
    slices = [aval_of(x).with_shape(aval_of(x).shape[1:]) for x in x_leaves]
    tree = flatten((init, xs))[1]
    y_tree: Any = None

    def stage_body(avals: list[ShapedArray]) -> tuple[Jaxpr, list[Any]]:
        nonlocal y_tree
        jaxpr, consts, out_tree = stage_function(f, [*avals, *slices], tree, what)
        if (out_tree.type is not tuple and out_tree.type is not list) or out_tree.num_children != 2:
            raise ArgumentError(
                f"{what} must return a pair (carry, y), it returned {describe_node(out_tree)}; write "
                "`return carry, None` for no y"
            )
        new_tree, y_tree = out_tree.children()
        check_structure(what, carry_tree, new_tree)
        return jaxpr, consts

    jaxpr, consts, carry = stage_carry(what, leaf_names("carry", carry_tree), carry, stage_body)
    results = scan_p.bind(
        *consts, *carry, *x_leaves, num_consts=len(consts), num_carry=len(carry), jaxpr=jaxpr, length=n,
        reverse=bool(reverse), unroll=unroll,
    )  # fmt: skip
    return unflatten(carry_tree, results[: len(carry)]), unflatten(y_tree, results[len(carry) :])


def _length(leaves: Sequence[Any], tree: PyTreeDef, length: int | None) -> int:
    sizes = {}
    for x, name in zip(leaves, leaf_names("xs", tree)):
        shape = aval_of(x).shape
        if not shape:
            raise ShapeError(f"scan over {name}, which is a scalar: it has no axis to go along")
        sizes[name] = shape[0]
    if length is not None:
        sizes["length"] = operator.index(length)
    if not sizes:
        raise ArgumentError("scan without xs needs a length")
    n = next(iter(sizes.values()))
    if any(size != n for size in sizes.values()):
        given = ", ".join(f"{size} ({name})" for name, size in sizes.items())
        raise ShapeError(f"scan: the first axes of xs{' and length' if length is not None else ''} differ: {given}")
    if n < 0:
        raise ArgumentError(f"scan: the length must not be negative, got {n}")
    return n


# ---------------------------------------------------------------- rules


def _impl(*args: Any, num_consts: int, num_carry: int, jaxpr: Jaxpr, length: int, reverse: bool, unroll: Any) -> Any:
    consts, carry, xs = split_list(args, num_consts, num_carry)
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


def _push_forward(
    order: int, derive: Callable[..., tuple[Jaxpr, list[bool]]], primals: Any, series: Any, *, num_consts: int,
    num_carry: int, jaxpr: Jaxpr, **params: Any,
) -> Any:  # fmt: skip
    """The scan of the body that `derive` gives, which takes `order` tangents or coefficients for each live argument."""
    nz_consts, nz_carry, nz_xs = split_list([s is not None for s in series], num_consts, num_carry)
    nz_carry = fixed_point(nz_carry, lambda m: derive(jaxpr, [*nz_consts, *m, *nz_xs])[1][:num_carry])
    n_ys = len(jaxpr.outvars) - num_carry
    inner, nonzero_outs = derive(jaxpr, [*nz_consts, *nz_carry, *nz_xs], [*nz_carry, *[False] * n_ys])
    live_ys = nonzero_outs[num_carry:]
    consts, carry, xs = split_list(primals, num_consts, num_carry)
    s_consts, s_carry, s_xs = split_list(series, num_consts, num_carry)
    s_carry = [[None] * order if nz and s is None else s for s, nz in zip(s_carry, nz_carry)]
    n_in, n_out = len(jaxpr.invars), len(jaxpr.outvars)
    tc, tr, tx = split_list(range(n_in, len(inner.invars)), order * sum(nz_consts), order * sum(nz_carry))
    tro, tyo = split_list(range(n_out, len(inner.outvars)), order * sum(nz_carry))
    c, r, x = split_list(range(n_in), num_consts, num_carry)
    body = reordered(inner, [*c, *tc, *r, *tr, *x, *tx], [*range(num_carry), *tro, *range(num_carry, n_out), *tyo])
    outs = scan_p.bind(
        *consts, *flattened(s_consts, consts), *carry, *flattened(s_carry, carry), *xs, *flattened(s_xs, xs),
        jaxpr=body, num_consts=num_consts + len(tc), num_carry=num_carry + len(tr), **params,
    )  # fmt: skip
    carry_out, s_carry_out, ys, s_ys = split_list(outs, num_carry, len(tr), n_ys)
    return [*carry_out, *ys], [*grouped(s_carry_out, order, nz_carry), *grouped(s_ys, order, live_ys)]


def _linearize(primals: Any, tangents: Any, *, num_consts: int, num_carry: int, jaxpr: Jaxpr, **params: Any) -> Any:
    """A scan that stacks what the linear part reads, and the linear scan; what does not vary is not stacked."""
    nz_consts, nz_carry, nz_xs = split_list([t is not None for t in tangents], num_consts, num_carry)
    nz_carry = fixed_point(
        nz_carry, lambda m: linearize_jaxpr(jaxpr, [*nz_consts, *m, *nz_xs]).nonzero_outs[:num_carry]
    )
    nonzero = [*nz_consts, *nz_carry, *nz_xs]
    split = linearize_jaxpr(jaxpr, nonzero)
    n_outs = len(jaxpr.outvars)
    _, carry, xs = split_list(primals, num_consts, num_carry)
    # what is the same at every turn is no result of the forward scan, and not stacked
    forward = split.forward
    unchanged = [
        i for i, v in enumerate(forward.invars[: num_consts + num_carry])
        if i < num_consts or forward.outvars[i - num_consts] is v
    ]  # fmt: skip
    same = {i: primals[i] for i in unchanged}
    hoisted = _hoisted(forward, n_outs, same, params["length"] > 0)
    varying = [v for v in forward.outvars[n_outs:] if v not in hoisted]
    # a residual that is a carry is saved as a result of the forward body
    carried = sorted(
        {i for i in split.forwarded if i is not None and num_consts <= i < num_consts + num_carry} - {*same}
    )
    forward = Jaxpr(
        (), forward.invars, forward.eqns,
        [*forward.outvars[:n_outs], *varying, *(forward.invars[i] for i in carried)],
    )  # fmt: skip
    results = scan_p.bind(*primals, num_consts=num_consts, num_carry=num_carry, jaxpr=forward, **params)
    outs, own, stacked_carry = split_list(results, n_outs, len(varying))
    saved = {**dict(zip(varying, own)), **hoisted}
    carry_at = dict(zip(carried, stacked_carry))
    invariant: list[Any] = []
    stacked: list[Any] = []
    order: list[str] = []  # for each residual whether it is invariant ("const") or stacked ("x")
    rest = iter(split.forward.outvars[n_outs:])
    for i in split.forwarded:
        if i is None:
            var = next(rest)
            is_same, value = var in hoisted, saved[var]
        elif i in same:
            is_same, value = True, same[i]
        else:
            is_same, value = False, carry_at[i] if i in carry_at else xs[i - num_consts - num_carry]
        order.append("const" if is_same else "x")
        (invariant if is_same else stacked).append(value)
    body = _linear_body(split, order, nz_consts, nz_carry, num_carry)
    t_consts, t_carry, t_xs = split_list(tangents, num_consts, num_carry)
    t_carry = carry_tangents(t_carry, carry, nz_carry)
    live_ys = split.nonzero_outs[num_carry:]
    t_outs = scan_p.bind(
        *invariant, *live_values(t_consts), *t_carry, *stacked, *live_values(t_xs), jaxpr=body,
        num_consts=len(invariant) + sum(nz_consts), num_carry=sum(nz_carry), **params,
    )  # fmt: skip
    t_carry_out, t_ys = split_list(t_outs, sum(nz_carry))
    return outs, [*spread(t_carry_out, nz_carry), *spread(t_ys, live_ys)]


def _hoisted(jaxpr: Jaxpr, n_outs: int, same: dict[int, Any], runs: bool) -> dict[Any, Any]:
    """The results after the first `n_outs` that depend only on arguments with values in `same`, computed from those.

    `runs` says that the body is known to run, so that what may raise an error may be computed too.
    """
    found: set[Any] = {jaxpr.invars[i] for i in same}
    eqns = []
    for eqn in jaxpr.eqns:
        if all(type(a) is Literal or a in found for a in eqn.inputs):
            if free_of_failure(eqn) or (runs and not has_effect(eqn)):
                found.update(eqn.outvars)
                eqns.append(eqn)
    outs = [v for v in jaxpr.outvars[n_outs:] if type(v) is Literal or v in found]
    if not outs:
        return {}
    known = remove_dead(Jaxpr((), [jaxpr.invars[i] for i in same], eqns, outs))
    return dict(zip(outs, evaluate(known, (), list(same.values()))))


def _linear_body(
    split: LinearizedJaxpr,
    order: Sequence[str],
    nz_consts: Sequence[bool],
    nz_carry: Sequence[bool],
    num_carry: int,
) -> Jaxpr:
    """`invariant residuals, const tangents, carry tangents, stacked residuals, x tangents -> carry, y tangents`."""
    linear = split.linear
    n_res = len(order)
    residuals, tangents = linear.invars[:n_res], linear.invars[n_res:]
    t_consts, t_carry, t_xs = split_list(tangents, sum(nz_consts), sum(nz_carry))
    invariant = [v for v, kind in zip(residuals, order) if kind == "const"]
    stacked = [v for v, kind in zip(residuals, order) if kind == "x"]
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
    consts, carry, xs = split_list(operands, num_consts, num_carry)
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
        c, r, _, x = split_list(inner_cts, num_consts, sum(lin_carry), len(known))
        return [*c, *spread(r, lin_carry), *x]
    ct_carry, ct_ys = split_list(cts, num_carry)
    ct_carry = [zeros(a.strong()) if ct is None else ct for ct, a in zip(ct_carry, jaxpr.out_avals)]
    live_ys = [ct is not None for ct in ct_ys]
    known_consts = [x for x, lin in zip(consts, lin_consts) if not lin]
    known_xs = [x for x, lin in zip(xs, lin_xs) if not lin]
    const_avals = [x.aval.strong() for x in consts if is_linear(x)]
    key = ("transposed body", num_consts, num_carry, *lin_consts, *lin_xs, *live_ys)
    inner = jaxpr.memoize(key, lambda: _transposed_body(jaxpr, num_consts, num_carry, lin_consts, lin_xs, live_ys))
    outs = scan_p.bind(
        *known_consts, *(zeros(a) for a in const_avals), *ct_carry, *known_xs, *live_values(ct_ys), jaxpr=inner,
        num_consts=len(known_consts), num_carry=len(const_avals) + num_carry, length=length, reverse=not reverse,
        unroll=unroll,
    )  # fmt: skip
    sums, carry_cts, x_cts = split_list(outs, len(const_avals), num_carry)
    carry_cts = [ct if lin else None for ct, lin in zip(carry_cts, lin_init)]
    return [*spread(sums, lin_consts), *carry_cts, *spread(x_cts, lin_xs)]


def _transposed_body(
    jaxpr: Jaxpr, num_consts: int, num_carry: int, lin_consts: Sequence[bool], lin_xs: Sequence[bool],
    live_ys: Sequence[bool],
) -> Jaxpr:  # fmt: skip
    """`known consts, sums, carry cotangents, known xs, y cotangents -> sums, carry cotangents, x cotangents`."""
    c_in, r_in, x_in = split_list(jaxpr.in_avals, num_consts, num_carry)
    known_consts, known_xs = ([a for a, lin in zip(*part) if not lin] for part in ((c_in, lin_consts), (x_in, lin_xs)))
    sum_avals = [a.strong() for a, lin in zip(c_in, lin_consts) if lin]
    y_avals = [a.strong() for a, lv in zip(jaxpr.out_avals[num_carry:], live_ys) if lv]

    def body(*args: Any) -> list[Any]:
        kc, sums, ct_c, kx, ct_y = split_list(args, len(known_consts), len(sum_avals), num_carry, len(known_xs))
        free_c, free_x = iter(kc), iter(kx)
        values = [Linear(a) if lin else next(free_c) for a, lin in zip(c_in, lin_consts)]
        values += [Linear(a) for a in r_in]
        values += [Linear(a) if lin else next(free_x) for a, lin in zip(x_in, lin_xs)]
        found = backward_pass(jaxpr, [], values, [*ct_c, *spread(ct_y, live_ys)])
        fc, fr, fx = split_list(found, num_consts, num_carry)
        new_sums = [s if ct is None else s + ct for s, ct in zip(sums, [c for c, lin in zip(fc, lin_consts) if lin])]
        new_carry = [zeros(a.strong()) if ct is None else ct for ct, a in zip(fr, r_in)]
        x_cts = [zeros(a.strong()) if ct is None else ct for ct, a, lin in zip(fx, x_in, lin_xs) if lin]
        return [*new_sums, *new_carry, *x_cts]

    return close_over(*stage(body, [*known_consts, *sum_avals, *(a.strong() for a in r_in), *known_xs, *y_avals]))


def depends_on(jaxpr: Jaxpr, mask: Sequence[bool]) -> list[bool]:
    """Which results depend on the arguments in the mask."""
    found = {v for v, m in zip(jaxpr.invars, mask) if m}
    for eqn in jaxpr.eqns:
        if any(a in found for a in eqn.inputs if isinstance(a, Var)):
            found.update(eqn.outvars)
    return [a in found for a in jaxpr.outvars]


def known_part(jaxpr: Jaxpr, linear: Sequence[bool], results: Sequence[int]) -> Jaxpr:
    """What depends on no linear argument: a jaxpr of the other arguments, with the results of these numbers."""
    found = {v for v, lin in zip(jaxpr.invars, linear) if lin}
    eqns = []
    for eqn in jaxpr.eqns:
        if any(a in found for a in eqn.inputs if isinstance(a, Var)):
            found.update(eqn.outvars)
        else:
            eqns.append(eqn)
    known = [v for v, lin in zip(jaxpr.invars, linear) if not lin]
    return Jaxpr((), known, eqns, [jaxpr.outvars[i] for i in results])


def _values_of_known_carries(
    operands: Sequence[Any], linear: Sequence[bool], num_consts: int, num_carry: int, jaxpr: Jaxpr, length: int,
    reverse: bool, unroll: Any,
) -> list[Any]:  # fmt: skip
    """What the carries that depend on nothing linear are at the start of each turn, stacked: by a scan of their own."""
    keep = [i for i in range(num_consts, num_consts + num_carry) if not linear[i]]
    known = [i for i, lin in enumerate(linear) if not lin]
    body = known_part(jaxpr, linear, [i - num_consts for i in keep])
    body = Jaxpr((), body.invars, body.eqns, [*body.outvars, *(jaxpr.invars[i] for i in keep)])
    outs = scan_p.bind(
        *(operands[i] for i in known), num_consts=sum(i < num_consts for i in known), num_carry=len(keep), jaxpr=body,
        length=length, reverse=reverse, unroll=unroll,
    )  # fmt: skip
    return outs[len(keep) :]


def _carries_as_xs(jaxpr: Jaxpr, lin_carry: Sequence[bool], num_consts: int, num_carry: int) -> Jaxpr:
    """The body with its known carries among the scanned operands, in front, and no longer among the results."""
    consts, carry, xs = split_list(jaxpr.invars, num_consts, num_carry)
    kept = [v for v, lin in zip(carry, lin_carry) if lin]
    known = [v for v, lin in zip(carry, lin_carry) if not lin]
    outs = [a for i, a in enumerate(jaxpr.outvars) if i >= num_carry or lin_carry[i]]
    return Jaxpr((), [*consts, *kept, *known, *xs], jaxpr.eqns, outs)


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, num_consts: int, num_carry: int, jaxpr: Jaxpr, **params: Any
) -> Any:
    b_consts, b_carry, b_xs = split_list([d is not None for d in dims], num_consts, num_carry)
    n_ys = len(jaxpr.outvars) - num_carry
    b_carry = fixed_point(b_carry, lambda m: batch_jaxpr(jaxpr, axis, [*b_consts, *m, *b_xs])[1][:num_carry])
    inner, out_batched = batch_jaxpr(jaxpr, axis, [*b_consts, *b_carry, *b_xs], [*b_carry, *[False] * n_ys])
    consts, carry, xs = split_list(list(zip(args, dims)), num_consts, num_carry)
    operands = [
        *(x if d is None else batch_first(axis, x, d) for x, d in consts),
        *(batch_first(axis, x, d) if b else x for (x, d), b in zip(carry, b_carry)),
        *(x if d is None else move_axis(x, d, 1) for x, d in xs),
    ]
    outs = scan_p.bind(*operands, num_consts=num_consts, num_carry=num_carry, jaxpr=inner, **params)
    out_dims = [0 if b else None for b in out_batched[:num_carry]] + [1 if b else None for b in out_batched[num_carry:]]
    return outs, out_dims


def one_by_one(primitive: Primitive, axis: Axis, args: Sequence[Any], dims: Sequence[Any], **params: Any) -> Any:
    """A batching rule that applies a primitive to one example after another: so do branches and loops with effects."""
    shared = [a for a, d in zip(args, dims) if d is None]
    own = [move_axis(a, d, 0) for a, d in zip(args, dims) if d is not None]

    def example(*values: Any) -> list[Any]:
        rest, mapped = iter(values[: len(shared)]), iter(values[len(shared) :])
        return primitive.bind(*(next(rest if d is None else mapped) for d in dims), **params)

    avals = [*(aval_of(a) for a in shared), *(aval_of(a).with_shape(aval_of(a).shape[1:]) for a in own)]
    outs = scan_p.bind(
        *shared, *own, num_consts=len(shared), num_carry=0, jaxpr=close_over(*stage(example, avals)), length=axis.size,
        reverse=False, unroll=1,
    )  # fmt: skip
    return outs, [0] * len(outs)


def _guard(active: Any, *operands: Any, num_consts: int, jaxpr: Jaxpr, **params: Any) -> Any:
    return scan_p.bind(active, *operands, num_consts=num_consts + 1, jaxpr=guarded(jaxpr), **params)


scan_p = Primitive("scan", multiple_results=True)
scan_p.impl = _impl
scan_p.abstract_eval = _abstract
scan_p.jvp, scan_p.taylor = forward_rules(_push_forward)
scan_p.linearize = _linearize
scan_p.transpose = _transpose
scan_p.batch = _batch
scan_p.guard = _guard

# ---------------------------------------------------------------- map, associative_scan


@api_boundary
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` applied to each slice of `xs` along the first axis, one after another (`vmap` does all at once).

    With `batch_size`, that many slices at once.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.map(lambda x: x**2, np.arange(3.0))
    Array([0., 1., 4.])
    """
    what = f"the function of map, {function_name(f)},"
    if batch_size is None:
        return _scan(lambda _, x: ((), f(x)), (), xs, None, False, 1, what)[1]
    if batch_size < 1:
        raise ArgumentError(f"map: batch_size must be positive, got {batch_size}")
    leaves, tree = flatten(xs)
    n = _length(leaves, tree, None)
    whole = n // batch_size * batch_size
    parts = []
    if whole:
        blocks = [
            reshape(slice_in_dim(x, 0, whole), (whole // batch_size, batch_size, *aval_of(x).shape[1:])) for x in leaves
        ]
        turns = _scan(lambda _, x: ((), _at_once(f, x, what)), (), unflatten(tree, blocks), None, False, 1, what)[1]
        out, out_tree = flatten(turns)
        parts.append([reshape(y, (whole, *aval_of(y).shape[2:])) for y in out])
    if whole < n or not n:
        out, out_tree = flatten(_at_once(f, unflatten(tree, [slice_in_dim(x, whole, n) for x in leaves]), what))
        parts.append(out)
    return unflatten(out_tree, [concatenate(p, 0) for p in zip(*parts)])


def _at_once(f: Callable[[Any], Any], xs: Any, what: str) -> Any:
    """`f` on all slices of a block together."""
    leaves, _ = flatten(xs)
    avals = [aval_of(x) for x in leaves]
    examples = [ShapedArray(a.shape[1:], a.dtype, a.weak) for a in avals]
    jaxpr, consts, tree = stage_function(f, examples, flatten((xs,))[1], what)
    axis = Axis(avals[0].shape[0])
    outs, dims = batch_evaluate(jaxpr, (), axis, [*consts, *leaves], [None] * len(consts) + [0] * len(leaves))
    return unflatten(tree, [batch_first(axis, o, d) for o, d in zip(outs, dims)])


@api_boundary
def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes `x0, fn(x0, x1), fn(fn(x0, x1), x2), ...` of an associative function, in logarithmically many steps.

    `fn` is given many elements at once, along `axis`; `vmap` makes such a function of one of two elements.

    Source: G. Blelloch, "Prefix sums and their applications", 1990.

    >>> import functrans as ft, numpy as np
    >>> ft.lax.associative_scan(lambda a, b: a * b, np.array([1.0, 2.0, 3.0]))
    Array([1., 2., 6.])
    """
    leaves, tree = flatten(elems)
    if not callable(fn):
        raise ArgumentError(f"associative_scan takes a function of two elements first, got {fn!r:.60}")
    if not leaves:
        return elems
    shapes = [aval_of(x).shape for x in leaves]
    axis = canonical_axis(axis, len(shapes[0]))
    if any(len(s) <= axis or s[axis] != shapes[0][axis] for s in shapes):
        given = ", ".join(f"{name}: {s}" for name, s in zip(leaf_names("elems", tree), shapes))
        raise ShapeError(f"associative_scan: all of elems must have one size along axis {axis}, got {given}")
    n = shapes[0][axis]

    def along(x: Any, start: int, limit: int, step: int = 1) -> Any:
        return slice_in_dim(x, start, limit, step, axis)

    def combine(a: list[Any], b: list[Any]) -> list[Any]:
        out, out_tree = flatten(fn(unflatten(tree, a), unflatten(tree, b)))
        if out_tree != tree:
            what = f"the function of associative_scan, {function_name(fn)}, must return the structure of an element"
            raise structure_error(what, tree, out_tree, ("an element", "the result")) or ArgumentError(what)
        for i in range(len(out)):
            x, y = aval_of(a[i]), aval_of(out[i])
            if (x.shape, x.dtype) != (y.shape, y.dtype):
                error = ShapeError if x.shape != y.shape else DTypeError
                raise error(
                    f"the function of associative_scan, {function_name(fn)}, is given many elements at once, along "
                    f"axis {axis}, and must return as many of their type: it was given {leaf_names('elem', tree)[i]} "
                    f"as {x} and returned {y}. For a function of one element at a time, give functrans.vmap of it"
                )
        return out

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
