"""What tests of primitives share.

`check_rules` holds all rules of the primitives that a function uses against each other and against finite differences.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

import functrans.numpy.methods  # noqa: F401 - operators of traced arrays
from functrans import lax
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import evaluate
from functrans.core.primitive import Axis
from functrans.core.trace import stage
from functrans.transforms.batching import batch_evaluate, batch_jaxpr
from functrans.transforms.jvp import close_over, jvp, jvp_jaxpr, linearize, linearize_jaxpr
from functrans.transforms.transpose import transpose_jaxpr, transpose_linear

Flat = Callable[..., Sequence[Any]]


def flat(fun: Callable[..., Any]) -> Flat:
    """The function with its results as a list."""

    def flat_fun(*args: Any) -> list[Any]:
        out = fun(*args)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return flat_fun


def random_like(rng: np.random.Generator, x: Any) -> np.ndarray:
    """Standard normal values of the shape and (inexact) dtype of `x`."""
    shape, dtype = aval_of(x).shape, aval_of(x).dtype
    values = rng.standard_normal(shape)
    return np.asarray(values + 1j * rng.standard_normal(shape) if dtype.kind == "c" else values).astype(dtype)


def pairing(xs: Sequence[Any], ys: Sequence[Any]) -> float:
    """The real bilinear pairing of cotangents with tangents; `None` is zero."""
    products = (np.sum(np.asarray(x) * np.asarray(y)) for x, y in zip(xs, ys) if x is not None and y is not None)
    return float(np.real(sum(products)))


def assert_same(got: Any, wanted: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Equal in shape, dtype and (NaN included) elements."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol)


def check_staged(fun: Callable[..., Any], *args: Any, rtol: float = 1e-13) -> None:
    """The staged function is well typed and gives what the eager one does, of the types it promises."""
    fun = flat(fun)
    jaxpr, consts = stage(fun, [aval_of(np.asarray(a)) for a in args])
    check_jaxpr(jaxpr)
    for var, got, wanted in zip(jaxpr.outvars, evaluate(jaxpr, consts, args), fun(*args), strict=True):
        assert (var.aval.shape, var.aval.dtype) == (np.shape(wanted), np.asarray(wanted).dtype)
        assert_same(got, wanted, rtol, rtol)


def check_batching(fun: Callable[..., Any], *args: Any, rtol: float = 1e-12) -> None:
    """Batched along any axes of any of the arguments, the function gives what it gives for each example."""
    fun = flat(fun)
    args = tuple(np.asarray(a) for a in args)
    jaxpr, consts = stage(fun, [aval_of(a) for a in args])
    choices = [sorted({None, 0, a.ndim}, key=lambda d: -1 if d is None else d) for a in args]
    size = 2
    for dims in itertools.islice(itertools.product(*choices), 27):
        if all(d is None for d in dims):
            continue
        batched = [a if d is None else np.stack([a, _varied(a)], d) for a, d in zip(args, dims)]
        outs, out_dims = batch_evaluate(jaxpr, consts, Axis(size), batched, dims)
        for i in range(size):
            example = [a if d is None else a.take(i, d) for a, d in zip(batched, dims)]
            for out, d, wanted in zip(outs, out_dims, fun(*example), strict=True):
                assert_same(out if d is None else np.asarray(out).take(i, d), wanted, rtol, rtol)


def _varied(a: np.ndarray) -> np.ndarray:
    """Another example of the same kind: floats move a little, so that matrices stay as definite as they were."""
    if a.dtype.kind not in "fc":
        return a[::-1].copy() if a.ndim else a.copy()
    with np.errstate(all="ignore"):
        return a * a.dtype.type(0.875)


def _differences(fun: Callable[..., Any], args: Any, ts: Any, eps: float, smooth: bool) -> list[Any]:
    """Central differences; of a smooth function extrapolated from two steps that rounding does not disturb."""

    def central(h: float) -> list[Any]:
        ahead, behind = (fun(*[a if t is None else a + s * h * t for a, t in zip(args, ts)]) for s in (1.0, -1.0))
        kinds = [np.asarray(o).dtype.kind for o in ahead]
        return [
            (np.asarray(x) - np.asarray(y)) / (2 * h) if kind in "fc" else None
            for x, y, kind in zip(ahead, behind, kinds, strict=True)
        ]

    if not smooth:
        return central(eps)
    h = 1e3 * eps
    return [None if near is None else (4 * near - far) / 3 for near, far in zip(central(h / 2), central(h))]


def check_derivatives(
    fun: Callable[..., Any],
    *args: Any,
    order: int = 2,
    rtol: float = 1e-5,
    eps: float = 1e-6,
    smooth: bool = False,
) -> None:
    """Tangents against finite differences, cotangents against tangents; then the same of both, up to `order`.

    Rounding, magnified by the function and divided by `eps`, limits central differences; of a function that is `smooth`
    within `1e3 * eps` of its arguments they are taken a thousand times wider and extrapolated (Richardson).
    """
    fun = flat(fun)
    rng = np.random.default_rng(0)
    args = tuple(np.asarray(a) for a in args)
    ts = [random_like(rng, a) if a.dtype.kind in "fc" else None for a in args]
    outs, out_ts = jvp(fun, args, ts)
    for out, t, wanted in zip(outs, out_ts, _differences(fun, args, ts, eps, smooth), strict=True):
        if wanted is not None:
            assert t is None or (aval_of(t).shape, aval_of(t).dtype) == (aval_of(out).shape, aval_of(out).dtype)
            scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
            np.testing.assert_allclose(0.0 * wanted if t is None else t, wanted, rtol=rtol, atol=rtol * scale)
    values, linear = linearize(fun, args)
    check_jaxpr(linear.jaxpr)
    for value, out in zip(values, outs, strict=True):
        assert_same(value, out, 1e-13, 1e-13)
    pushed = linear(*[t for t in ts if t is not None])
    for got, wanted in zip(pushed, out_ts, strict=True):
        if got is not None and wanted is not None:
            assert_same(got, wanted, 1e-9, 1e-9)
    cts = [random_like(rng, o) if aval_of(o).dtype.kind in "fc" else None for o in outs]
    in_cts = transpose_linear(linear, cts)
    for a, ct in zip(args, in_cts):
        assert ct is None or (aval_of(ct).shape, aval_of(ct).dtype) == (a.shape, a.dtype)
    forward, backward = pairing(cts, pushed), pairing(in_cts, ts)
    np.testing.assert_allclose(backward, forward, rtol=1e-8, atol=1e-8 * max(1.0, abs(forward)))
    if order > 1:
        live = [i for i, t in enumerate(ts) if t is not None]

        def tangents(*xs: Any) -> list[Any]:
            return [t for t in jvp(fun, xs, ts)[1] if t is not None]

        def cotangents(*xs: Any) -> list[Any]:
            found = transpose_linear(linearize(fun, xs, [i in live for i in range(len(xs))])[1], cts)
            return [ct for ct in found if ct is not None]

        for derivative in (tangents, cotangents):
            check_derivatives(derivative, *args, order=order - 1, rtol=rtol, eps=eps, smooth=smooth)


def check_rules(
    fun: Callable[..., Any],
    *args: Any,
    order: int = 2,
    batch: bool = True,
    rtol: float = 1e-5,
    eps: float = 1e-6,
    smooth: bool = False,
) -> None:
    """Everything that holds of a function: staged as eager, batched as one by one, derivatives to `order`."""
    check_staged(fun, *args)
    if batch:
        check_batching(fun, *args)
    if order:
        check_derivatives(fun, *args, order=order, rtol=rtol, eps=eps, smooth=smooth)


def abstract(fun: Callable[..., Any], *shapes_and_dtypes: tuple[tuple[int, ...], Any]) -> list[ShapedArray]:
    """The types of a function's results for operands of these types; raises what staging raises."""
    return stage(flat(fun), [ShapedArray(s, np.dtype(d)) for s, d in shapes_and_dtypes])[0].out_avals


def staged(fun: Callable[..., Any]) -> Flat:
    """The function run through its jaxpr, so that its values are traced even where Python could choose by them."""

    def run(*args: Any) -> list[Any]:
        jaxpr, consts = stage(flat(fun), [aval_of(a) for a in args])
        return evaluate(jaxpr, consts, args)

    return run


def check_jaxprs(fun: Callable[..., Any], *args: Any, reverse: bool = True) -> None:
    """Every transformation of the staged function gives a well-typed jaxpr, whichever arguments take part."""
    jaxpr, consts = stage(flat(fun), [aval_of(a) for a in args])
    jaxpr = close_over(jaxpr, consts)
    check_jaxpr(jaxpr)
    floats = [a.dtype.kind in "fc" for a in jaxpr.in_avals]
    for chosen in itertools.islice(itertools.product([True, False], repeat=len(args)), 8):
        check_jaxpr(batch_jaxpr(jaxpr, Axis(2), chosen)[0])
        nonzero = [a and b for a, b in zip(chosen, floats)]
        tangent, _ = jvp_jaxpr(jaxpr, nonzero)
        check_jaxpr(tangent)
        check_jaxpr(batch_jaxpr(tangent, Axis(2), [True] * len(tangent.invars))[0])
        split = linearize_jaxpr(jaxpr, nonzero)
        check_jaxpr(split.forward)
        check_jaxpr(split.linear)
        if reverse:
            linear = [False] * len(split.forwarded) + [True] * sum(nonzero)
            backward, _ = transpose_jaxpr(split.linear, linear, [True] * len(split.linear.outvars))
            check_jaxpr(backward)
            check_jaxpr(batch_jaxpr(backward, Axis(2), [True] * len(backward.invars))[0])


@st.composite
def programs(draw: st.DrawFn, inputs: int, outputs: int, max_size: int = 5) -> Callable[..., list[Any]]:
    """Smooth functions of so many arrays of one shape: random compositions, some of whose results have no tangent."""
    steps = draw(st.lists(st.tuples(st.sampled_from(list(_STEPS)), *[st.integers(0, 20)] * 2), max_size=max_size))
    chosen = draw(st.lists(st.integers(0, 20), min_size=outputs, max_size=outputs))

    def program(*args: Any) -> list[Any]:
        values = list(args)
        for step, i, j in steps:
            values.append(_STEPS[step](values[i % len(values)], values[j % len(values)]))
        return [values[-1 - k % len(values)] for k in chosen]

    assert inputs
    return program


_STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "product": lambda x, y: lax.sin(lax.mul(x, y)),
    "difference": lambda x, y: lax.sub(x, lax.mul(y, 0.5)),
    "sine": lambda x, y: lax.sin(x),
    "half": lambda x, y: lax.mul(x, 0.5),
    "jump": lambda x, y: lax.convert_element_type(lax.gt(x, 0.2), np.float64),
    "constant": lambda x, y: lax.full(np.shape(x), 0.75),
    "branch": lambda x, y: lax.select(lax.gt(x, 0.1), lax.cos(x), y),
}
