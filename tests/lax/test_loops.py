"""`scan`, `while_loop` and what stands on them: Python's loop, under every transformation."""

import itertools

import numpy as np
import pytest
from helpers import (
    abstract,
    assert_same,
    check_batching,
    check_jaxprs,
    check_rules,
    check_staged,
    programs,
    random_like,
    staged,
)
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.core.trace import stage
from functrans.transforms.jvp import jvp, linearize_jaxpr

RNG = np.random.default_rng(0)
X = np.array([0.3, -1.2])


def python_scan(f, carry, xs, length, reverse=False):
    """What scan means; `xs` and results are tuples of arrays."""
    ys = [None] * length
    for i in reversed(range(length)) if reverse else range(length):
        carry, ys[i] = f(carry, tuple(x[i] for x in xs))
    return carry, tuple(np.stack(y) for y in zip(*ys))


# ---------------------------------------------------------------- scan


@given(st.data())
def test_random_scans(data):
    """Bodies that pass carries around as they like: some unchanged, some without tangents until a later turn."""
    n_consts, n_carry, n_xs, n_ys = (data.draw(st.integers(low, 2)) for low in (0, 0, 0, 0))
    length, reverse = data.draw(st.integers(0, 3)), data.draw(st.booleans())
    if n_consts + n_carry + n_xs == 0:
        n_carry = 1
    body = data.draw(programs(n_consts + n_carry + n_xs, n_carry + n_ys))
    rng = np.random.default_rng(data.draw(st.integers(0, 10)))
    consts = [rng.standard_normal(2) for _ in range(n_consts)]
    carry = [rng.standard_normal(2) for _ in range(n_carry)]
    xs = [rng.standard_normal((length, 2)) for _ in range(n_xs)]

    def split_body(consts, carry, x):
        outs = body(*consts, *carry, *x)
        return tuple(outs[:n_carry]), tuple(outs[n_carry:])

    def fun(*args):
        w, c, x = args[:n_consts], args[n_consts : n_consts + n_carry], args[n_consts + n_carry :]
        c, ys = lax.scan(lambda c, x: split_body(w, c, x), c, x, length, reverse)
        return [*c, *ys]

    args = [*consts, *carry, *xs]
    wanted_carry, wanted_ys = python_scan(lambda c, x: split_body(consts, c, x), carry, xs, length, reverse)
    for run in (fun, staged(fun)):
        outs = run(*args)
        for got, wanted in zip(outs, [*wanted_carry, *wanted_ys]):
            assert_same(got, wanted, 1e-13)
        assert all(np.shape(y) == (length, 2) for y in outs[n_carry:])
    check_rules(fun, *args, order=1)
    check_jaxprs(fun, *args)


def rnn(w, h, xs):
    def cell(h, x):
        h = lax.tanh(w @ h + x)
        return h, h * x

    h, ys = lax.scan(cell, h, xs)
    return h, ys


@pytest.mark.parametrize("length", [0, 1, 3])
def test_rules_of_scan_to_second_order(length):
    args = RNG.standard_normal((2, 2)), X, RNG.standard_normal((length, 2))
    check_rules(rnn, *args)
    check_rules(staged(rnn), *args, batch=False)
    check_jaxprs(rnn, *args)


def test_loops_in_loops():
    def fun(w, x):
        def outer(c, v):
            def inner(d, u):
                return lax.sin(d * u + w), d * c

            d, ys = lax.scan(inner, c, fnp.stack([v, v * w]))
            return lax.fori_loop(0, 2, lambda i, e: e * w + v * i, d), ys[0]

        return lax.scan(outer, x, x * np.arange(1.0, 3.0)[:, None])

    check_rules(fun, np.array([0.4, 0.9]), X)
    check_jaxprs(fun, np.array([0.4, 0.9]), X)


def test_loops_in_branches_in_loops():
    def fun(p, x):
        def body(c, _):
            c = lax.cond(c[0] + p > 0, lambda: lax.fori_loop(0, 2, lambda i, d: d * 0.5 - 0.3, c), lambda: lax.sin(c))
            return c, c

        return lax.scan(body, x, length=3)

    for p in (0.0, 10.0, -10.0):
        check_rules(staged(fun), np.array(p), X)
    check_jaxprs(fun, np.array(0.0), X)


def test_values_captured_from_every_transformation_around():
    xs = RNG.standard_normal((3, 2))

    def loop(w, t, xs):
        return lax.scan(lambda c, x: (c * w + t * x, None), xs[0] * 0, xs)[0]

    def plain(w, t, xs):
        c = xs[0] * 0
        for x in xs:
            c = c * w + t * x
        return c

    def nest(f):
        def one(w, x):
            return ft.jvp(lambda t: f(w, t, fnp.stack([x, x * 2, x - w])), (0.5,), (1.0,))[1]

        return ft.grad(lambda w: fnp.sum(ft.vmap(one, in_axes=(None, 0))(w, xs)))

    assert_same(nest(loop)(0.7), nest(plain)(0.7), 1e-12)
    assert_same(ft.jit(nest(loop))(0.7), nest(plain)(0.7), 1e-12)
    hessian = ft.jacfwd(nest(loop))(0.7)
    assert_same(hessian, ft.jacfwd(nest(plain))(0.7), 1e-12)


def test_what_a_derivative_rule_creates_stays_outside_of_the_body():
    """The body computes on captured values alone, whose derivative rule makes zeros."""

    def fun(w, x):
        return lax.scan(lambda c, _: (c * lax.select(lax.gt(w, 0.1), lax.cos(w), w), None), x, length=2)[0]

    check_rules(fun, X, X + 1)


def test_pytrees_and_no_results():
    init = {"a": np.ones(2), "b": (np.zeros(()), None)}
    out, ys = lax.scan(lambda c, x: ({"a": c["a"] * x["u"], "b": (c["b"][0] + 1, None)}, None), init, {"u": np.ones(4)})
    assert ys is None
    assert_same(out["b"][0], np.float64(4))
    out, ys = lax.scan(lambda c, _: (c, [c, {"c": c * 2}]), X, length=2)
    assert_same(ys[1]["c"], np.stack([X * 2, X * 2]))


def test_dtypes_of_results():
    carry, ys = lax.scan(
        lambda c, x: (c + 1, (x > 1, x.astype(np.int8), 1j * x)), np.int32(0), np.arange(3, dtype="f4")
    )
    assert_same(carry, np.int32(3))
    assert [y.dtype for y in ys] == [np.bool_, np.int8, np.complex64]


def test_python_numbers_take_the_dtype_of_the_body():
    assert_same(lax.scan(lambda c, x: (c + x, None), 0, np.ones(2, np.float32))[0], np.float32(2))
    assert_same(lax.scan(lambda c, _: (c + 0.5, None), 0, length=3)[0], np.float64(1.5))
    assert_same(lax.scan(lambda c, _: (c + 1, None), 0, length=3)[0], np.int64(3))
    assert_same(lax.while_loop(lambda c: c < 3, lambda c: c + np.float32(1), 0), np.float32(3))
    assert_same(lax.fori_loop(0, 3, lambda i, c: c * i + 1, np.float32(1)), np.float32(5))
    (a, b), _ = lax.scan(lambda c, x: ((c[1], c[0] + x), None), (0, 0), np.ones(3, np.float32))
    assert a.dtype == b.dtype == np.float32


def test_a_carry_that_starts_without_tangent():
    """The tangent reaches the second carry in the first turn, the third in the second."""

    def fun(x):
        return lax.scan(lambda c, _: ((c[0], c[0] * c[1], c[1] + c[2]), None), (x, 1.0, 0.0), length=3)[0]

    check_rules(fun, np.array(0.7))


def test_what_does_not_vary_is_not_stacked():
    """Residuals of weights are kept once, however long the loop: constants, unchanged carries, and what derives."""

    def fun(w, v, xs):
        def body(c, x):
            h, v = c
            return (lax.sin(x) * (lax.exp(w) @ h) + v, v), None

        return lax.scan(body, (v, v), xs)[0][0]

    avals = abstract(lambda *xs: xs, ((2, 2), float), ((2,), float), ((5, 2), float))
    jaxpr, _ = stage(lambda *args: [fun(*args)], avals)
    split = linearize_jaxpr(jaxpr, [True, True, False])
    stacked = [v.aval.shape for v in split.forward.outvars if v.aval.shape[:1] == (5,)]
    assert sorted(stacked) == [(5, 2), (5, 2)]  # the carry, and sin(x)
    assert (5, 2, 2) not in stacked
    check_rules(fun, RNG.standard_normal((2, 2)), X, RNG.standard_normal((3, 2)))


def test_numbers_of_turns():
    body = lambda c, x: (c + 1, c)
    assert_same(lax.scan(body, np.int64(0), None, 3)[1], np.arange(3))
    assert_same(lax.scan(body, np.int64(0), np.ones(3), 3, reverse=True, unroll=2)[1], np.arange(3)[::-1])
    assert_same(lax.scan(body, np.int64(0), np.ones((0, 2)))[1], np.zeros(0, np.int64))


# ---------------------------------------------------------------- fori_loop


@pytest.mark.parametrize(("lower", "upper"), [(0, 3), (-2, 1), (3, 3), (5, 2), (np.int32(0), np.int32(3))])
def test_fori_loop(lower, upper):
    def python(w, x):
        for i in range(lower, upper):
            x = np.sin(x) * w + i
        return x

    def fun(w, x):
        return lax.fori_loop(lower, upper, lambda i, x: lax.sin(x) * w + i, x)

    w = np.array(0.8)
    assert_same(fun(w, X), python(w, X), 1e-14)
    check_rules(fun, w, X)
    bounded = lambda lo, hi, w, x: lax.fori_loop(lo, hi, lambda i, x: lax.sin(x) * w + i, x)
    args = np.asarray(lower), np.asarray(upper), w, X
    assert_same(staged(bounded)(*args)[0], python(w, X), 1e-14)
    check_batching(bounded, *args)
    check_jaxprs(bounded, *args, reverse=False)


def test_counters_have_the_dtype_of_the_bounds():
    assert_same(lax.fori_loop(np.int16(0), np.int16(3), lambda i, c: c + i, np.int16(0)), np.int16(3))
    f = ft.jit(lambda n: lax.fori_loop(np.int8(0), n, lambda i, c: c + i, np.int32(0)))
    assert_same(f(np.int32(4)), np.int32(6))
    assert_same(ft.jit(lambda n: lax.fori_loop(0, n, lambda i, c: c * i, np.float32(1)))(2), np.float32(0))


# ---------------------------------------------------------------- while_loop


@given(st.data())
def test_random_while_loops(data):
    """The number of turns, the constants of condition and body and the carries differ from lane to lane, or do not."""
    n_consts, n_carry = data.draw(st.integers(0, 2)), data.draw(st.integers(1, 2))
    body = data.draw(programs(n_consts + n_carry, n_carry))
    turns = data.draw(st.integers(0, 3))
    rng = np.random.default_rng(data.draw(st.integers(0, 10)))
    args = [rng.standard_normal(2) for _ in range(n_consts + n_carry)]

    def fun(n, *args):
        consts, carry = args[:n_consts], args[n_consts:]
        turn = lambda c: (c[0] + 1, tuple(body(*consts, *c[1])))
        return lax.while_loop(lambda c: c[0] < n, turn, (0, carry))[1]

    def python(n, *args):
        consts, carry = args[:n_consts], args[n_consts:]
        for _ in range(n):
            carry = body(*consts, *carry)
        return carry

    n = np.int64(turns)
    for run in (fun, staged(fun)):
        for got, wanted in zip(run(n, *args), python(turns, *args), strict=True):
            assert_same(got, wanted, 1e-13)
    check_batching(fun, n, *args)
    check_staged(fun, n, *args)
    check_jaxprs(fun, n, *args, reverse=False)
    tangents = [None, *(random_like(rng, a) for a in args)]
    of_loop = lambda *xs: jvp(fun, xs, tangents)[1]
    of_python = lambda *xs: jvp(lambda n, *ys: python(turns, *ys), xs, tangents)[1]
    compare_tangents(of_loop, of_python, [n, *args])
    of_loop, of_python = (
        (lambda *xs, f=f: jvp(lambda *ys: dense(f(*ys)), xs, tangents)[1]) for f in (of_loop, of_python)
    )
    compare_tangents(of_loop, of_python, [n, *args])
    check_batching(lambda *xs: dense(jvp(fun, xs, tangents)[1]), n, *args)


def dense(tangents):
    return [np.zeros(2) if t is None else t for t in tangents]


def compare_tangents(of_loop, of_python, args):
    for got, wanted in zip(dense(of_loop(*args)), dense(of_python(*args)), strict=True):
        assert_same(got, wanted, 1e-12, 1e-12)


def test_conditions_on_values():
    newton = lambda a: lax.while_loop(lambda x: lax.abs(x * x - a) > 1e-12, lambda x: 0.5 * (x + a / x), a)
    assert_same(newton(2.0), np.sqrt(2.0), 1e-12)
    a = np.array([2.0, 9.0, 1e6])
    assert_same(ft.vmap(newton)(a), np.sqrt(a), 1e-12)
    assert_same(ft.jit(ft.vmap(newton))(a), np.sqrt(a), 1e-12)
    _, t = ft.jvp(newton, (2.0,), (1.0,))
    assert_same(t, 0.5 / np.sqrt(2.0), 1e-6)
    assert_same(ft.jacfwd(lambda a: ft.vmap(newton)(a))(a), np.diag(0.5 / np.sqrt(a)), 1e-5, 1e-12)


def test_lanes_that_are_done_keep_their_values():
    """A lane that is done must not be touched by turns that the others still make, not even by NaN."""
    f = lambda x: lax.while_loop(lambda x: x > 0.5, lambda x: lax.log(x), x)
    x = np.array([0.3, 2.0, 10.0])
    with np.errstate(all="ignore"):
        got = ft.vmap(f)(x)
        assert_same(got, np.array([float(f(v)) for v in x]), 1e-14)


def test_linearize_passes_through_while_loops():
    f = lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, lax.sin(c[1]) * x), (0, x))[1]
    value, push = ft.linearize(f, 0.7)
    wanted = ft.jvp(f, (0.7,), (1.0,))
    assert_same(value, wanted[0])
    assert_same(push(1.0), wanted[1], 1e-14)
    assert_same(ft.jit(f)(0.7), value, 1e-14)
    # the derivative does not pass through the counter
    assert_same(ft.grad(lambda x: x * lax.while_loop(lambda i: i < x, lambda i: i + 1, 0))(2.5), np.float64(3))


@pytest.mark.parametrize("wrap", [ft.checkpoint, ft.jit])
def test_reverse_mode_of_while_loops(wrap):
    f = wrap(lambda x: lax.while_loop(lambda v: v < 10, lambda v: v * x, x))  # x, x^2, ... up to x^4 here
    assert_same(ft.grad(f)(2.0), np.float64(4 * 2.0**3), 1e-14)
    g = wrap(lambda x, n: lax.fori_loop(0, n, lambda i, v: v * x, x))
    assert_same(ft.jit(ft.grad(g))(2.0, 3), np.float64(4 * 2.0**3), 1e-14)


# ---------------------------------------------------------------- map


@pytest.mark.parametrize("batch_size", [None, 1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_map(batch_size, n):
    xs = RNG.standard_normal((n, 2))
    fun = lambda w, xs: lax.map(lambda x: (lax.sin(x) * w, x[0]), xs, batch_size=batch_size)
    out = fun(2.0, xs)
    assert_same(out[0], np.sin(xs) * 2.0, 1e-14)
    assert_same(out[1], xs[:, 0])
    check_rules(fun, np.array(1.5), xs, order=1)


# ---------------------------------------------------------------- associative_scan


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", range(10))
def test_associative_scan(n, reverse):
    """Of affine maps, whose composition does not commute."""
    a, b = RNG.standard_normal((2, n, 3))

    def compose(f, g):
        return f[0] * g[0], g[0] * f[1] + g[1]

    wanted = [(a[i], b[i]) for i in range(n)]
    for k in range(1, n):
        i, j = (n - 1 - k, n - k) if reverse else (k, k - 1)
        wanted[i] = compose(wanted[j], wanted[i])
    for axis in (0, -2, 1):
        args = [np.moveaxis(x, 0, axis) for x in (a, b)]
        fun = lambda a, b, axis=axis: lax.associative_scan(compose, (a, b), reverse=reverse, axis=axis)
        for got, want in zip(fun(*args), zip(*wanted)):
            assert_same(got, np.moveaxis(np.stack(want), 0, axis), 1e-12, 1e-14)
        check_rules(fun, *args, order=1 if n < 4 else 0, batch=n < 4)


# ---------------------------------------------------------------- compiled


COMPILED = {
    "scan": lambda x: rnn(np.eye(2) * 0.5, x, np.ones((3, 2)) * x)[1],
    "grad": lambda x: ft.grad(lambda x: fnp.sum(rnn(np.eye(2) * 0.5, x, np.ones((3, 2)) * x)[1] ** 2))(x),
    "fori_loop": lambda x: lax.fori_loop(0, 4, lambda i, c: lax.sin(c) * i, x),
    "while_loop": lambda x: lax.while_loop(lambda c: c[1].sum() < 5, lambda c: (c[0] * 2, c[1] + c[0] ** 2), (x, x))[1],
    "map": lambda x: lax.map(lambda v: v * v, x, batch_size=2),
    "associative_scan": lambda x: lax.associative_scan(lambda a, b: a * b, x),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_as_eager(name):
    fun = COMPILED[name]
    assert_same(ft.jit(fun)(X), fun(X), 1e-13)
    xs = np.stack([X, X * 2])
    assert_same(ft.jit(ft.vmap(fun))(xs), np.stack([fun(x) for x in xs]), 1e-13)


# ---------------------------------------------------------------- errors


def body_of(result):
    return lambda c, x: (result(c, x), None)


MISTAKES = [
    (
        lambda: lax.scan(body_of(lambda c, x: {**c, "w": c["w"][:1]}), {"w": X, "b": X}, np.ones(3)),
        errors.ShapeError, r"carry\['w'\] came in as f64\[2\] and went out as f64\[1\]",
    ),
    (
        lambda: lax.scan(body_of(lambda c, x: c + x), np.float32(0), np.ones(3)),
        errors.DTypeError, r"carry came in as f32\[\] and went out as f64\[\]; convert it \(x.astype\(float32\)\) or",
    ),
    (
        lambda: lax.scan(body_of(lambda c, x: 0.5), np.int32(0), np.ones(3)),
        errors.DTypeError, r"carry came in as i32\[\] and went out as f64\[\]",
    ),
    (
        lambda: lax.scan(body_of(lambda c, x: np.int32(1)), 0.5, np.ones(3)),
        errors.DTypeError, r"carry came in as f64\[\] and went out as i32\[\]",
    ),
    (
        lambda: lax.scan(body_of(lambda c, x: (c, c)), 0.0, np.ones(3)),
        errors.TreeStructureError, "the carry it returned has a tuple of length 2",
    ),
    (lambda: lax.scan(lambda c, x: c, 0.0, np.ones(3)), errors.ArgumentError, r"a pair \(carry, y\), it returned a l"),
    (lambda: lax.scan(lambda c, x: (c, "y"), 0.0, np.ones(3)), errors.DTypeError, r"'y' of type str at \[1\]"),
    (lambda: lax.scan(lambda c, x: (c, c), 0.0), errors.ArgumentError, "without xs needs a length"),
    (lambda: lax.scan(lambda c, x: (c, c), 0.0, length=-1), errors.ArgumentError, "must not be negative"),
    (lambda: lax.scan(lambda c, x: (c, c), 0.0, 1.0), errors.ShapeError, "over xs, which is a scalar"),
    (
        lambda: lax.scan(lambda c, x: (c, c), 0.0, {"a": X, "b": np.ones(3)}),
        errors.ShapeError, r"differ: 2 \(xs\['a'\]\), 3 \(xs\['b'\]\)",
    ),
    (lambda: lax.scan(lambda c, x: (c, c), 0.0, X, 3), errors.ShapeError, r"and length differ: 2 \(xs\), 3 \(length\)"),
    (lambda: lax.scan(3, 0.0, X), errors.ArgumentError, "scan takes a function as its body, got 3"),
    (lambda: lax.while_loop(lambda c: c, lambda c: c, X), errors.DTypeError, r"boolean scalar, it returned f64\[2\]"),
    (lambda: lax.while_loop(lambda c: True, lambda c: (c, c), X), errors.TreeStructureError, "body of while_loop"),
    (
        lambda: lax.while_loop(lambda c: True, lambda c: (c[0], c[0]), (X, 1)),
        errors.ShapeError, r"body of while_loop, <lambda>, must .* but val\[1\] came in as i64\[\]",
    ),
    (lambda: lax.while_loop(1, lambda c: c, X), errors.ArgumentError, "a function as its condition"),
    (lambda: lax.while_loop(lambda c: True, 1, X), errors.ArgumentError, "a function as its body"),
    (lambda: lax.fori_loop(0, 2.5, lambda i, c: c, X), errors.DTypeError, "bounds of fori_loop must be integer"),
    (lambda: lax.fori_loop(0, 2, 1, X), errors.ArgumentError, "fori_loop takes a function"),
    (lambda: lax.fori_loop(0, 2, lambda i, c: (c, c), X), errors.TreeStructureError, "body of fori_loop, <lambda>"),
    (lambda: lax.fori_loop(0, 2, lambda i, c: c[:1], X), errors.ShapeError, r"val came in as f64\[2\] and went"),
    (lambda: lax.map(lambda x: x, X, batch_size=0), errors.ArgumentError, "batch_size must be positive"),
    (lambda: lax.map(lambda x: "y", X), errors.DTypeError, "the function of map, <lambda>, returned 'y'"),
    (lambda: lax.associative_scan(1, X), errors.ArgumentError, "takes a function of two elements"),
    (lambda: lax.associative_scan(lambda a, b: a, 1.0), errors.AxisError, "axis 0 is out of bounds"),
    (lambda: lax.associative_scan(lambda a, b: (a, b), X), errors.TreeStructureError, "the structure of an element"),
    (
        lambda: lax.associative_scan(lambda a, b: a, {"a": X, "b": np.ones(3)}),
        errors.ShapeError, r"elems\['a'\]: \(2,\), elems\['b'\]: \(3,\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_errors(number):
    call, error, message = MISTAKES[number]
    with pytest.raises(error, match=message):
        call()


def test_a_traced_value_in_a_body_is_named():
    def step(state, x):
        return (state if state["h"] > x else {"h": x}), None

    with pytest.raises(errors.TracerBoolConversionError, match=r"gt of state\['h'\], x .* in the body of scan, step,"):
        lax.scan(step, {"h": X[0]}, X)


def test_tracebacks_end_in_the_body():
    def broken(c, x):
        raise KeyError("mine")

    for call, inside in itertools.product(
        (
            lambda: lax.scan(broken, 0.0, X),
            lambda: lax.fori_loop(0, 2, broken, X),
            lambda: lax.while_loop(lambda c: True, lambda c: broken(c, c), 0.0),
            lambda: lax.map(lambda x: broken(x, x), X),
            lambda: lax.associative_scan(broken, X),
        ),
        (lambda f: f(), lambda f: ft.jit(f)()),
    ):
        with pytest.raises(KeyError, match="mine") as caught:
            inside(call)
        assert caught.traceback[-1].name == "broken"
