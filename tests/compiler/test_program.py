"""Programs against the evaluation of their jaxprs: results, aliasing, errors, threads, and the text of each stage."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from llvmlite import binding

import functrans as ft
import functrans.numpy as fnp
from functrans import lax
from functrans.compiler import contractions, program
from functrans.compiler.text import distinct_kernels
from functrans.core.array import Array
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import evaluate
from functrans.core.primitive import Primitive, lookup
from functrans.core.trace import stage
from functrans.errors import IndexOutOfBoundsError
from functrans.lax import broadcast_to, elementwise as e, indexing, reductions, structural

TOLERANCE = {"f": 1e-12, "c": 1e-12}


def staged(fun, *args):
    return stage(fun, [ShapedArray(np.shape(a), np.asarray(a).dtype) for a in args])


def check(fun, *args):
    """Compile, run twice, compare with the evaluation of the jaxpr."""
    jaxpr, consts = staged(fun, *args)
    compiled = program.compile(jaxpr, consts)
    arrays = [np.asarray(a) for a in args]
    with np.errstate(all="ignore"):
        expected = evaluate(jaxpr, consts, args)
    first = compiled(*arrays)
    second = compiled(*arrays)
    for outs in (first, second):
        for got, want in zip(outs, expected, strict=True):
            assert type(got) is Array
            assert got.dtype == np.asarray(want).dtype
            assert got.flags.writeable
            assert got.flags.c_contiguous
            np.testing.assert_allclose(got, want, rtol=TOLERANCE.get(got.dtype.kind, 0), atol=1e-300)
    everything = [*first, *second, *arrays, *[np.asarray(c) for c in consts]]
    for i, a in enumerate(first):
        for j, b in enumerate(everything):
            assert i == j or not np.shares_memory(a, b)
    return compiled


def row(x, i):
    """Row (or element) `i` of a traced array."""
    shape = aval_of(x).shape
    part = structural.slice(x, (i, *[0] * (len(shape) - 1)), (i + 1, *shape[1:]))
    return structural.reshape(part, shape[1:])


X = np.linspace(0.1, 1.0, 12).reshape(4, 3)
W = np.linspace(-1.0, 1.0, 3)


def test_fused_elementwise():
    compiled = check(lambda x, w: [e.add(e.sin(x), e.mul(w, 2.0)), e.exp(x)], X, W)
    assert "NumPy" not in compiled.as_text()


def test_results_are_new_arrays():
    c = np.arange(3.0)

    def fun(x):
        y = e.neg(x)
        return [x, x, y, y, structural.reshape(y, (3, 1)), c, c, 2.5, structural.reshape(x, (1, 3))]

    check(fun, W)


def test_captured_arrays_are_the_programs_own():
    c = np.arange(3.0)
    jaxpr, consts = staged(lambda x: [e.add(x, c)], W)
    compiled = program.compile(jaxpr, consts)
    c[:] = 100.0
    np.testing.assert_array_equal(compiled(W)[0], W + np.arange(3.0))


@pytest.mark.parametrize("x", [X.T, X[::2], X[:, ::-1], np.broadcast_to(W, (4, 3)), np.asfortranarray(X)])
def test_arguments_in_any_layout(x):
    check(lambda x: [e.add(x, 1.0), x], x)


def test_arguments_at_odd_addresses():
    raw = np.zeros(8 * 5 + 1, np.uint8)[1:].view(np.float64)
    raw[:] = np.arange(5.0)
    check(lambda x: [e.add(x, 1.0)], raw)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0, 2)])
def test_empty_arrays(shape):
    def fun(x):
        total = lax.reduce_sum(x, axes=tuple(range(len(shape))))
        return [e.sin(x), total, structural.reshape(x, (0,)), structural.transpose(x, tuple(range(len(shape)))[::-1])]

    check(fun, np.zeros(shape))


def test_scalars():
    check(lambda x: [e.mul(x, 2.0), e.lt(x, 1.0)], np.float64(0.5))
    check(lambda: [1.0, np.int32(3), True])


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i4", "i8", "u1", "?", "f2"])
@pytest.mark.parametrize("size", [3, 40])
def test_matrix_products(dtype, size):
    rng = np.random.default_rng(0)
    a, b = ((rng.integers(0, 5, (size, size))).astype(dtype) for _ in range(2))
    rtol = 1e-3 if dtype == "f2" else 1e-5
    jaxpr, consts = staged(lambda a, b: [lax.dot(a, b), lax.dot(structural.transpose(a, (1, 0)), b)], a, b)
    for got, want in zip(program.compile(jaxpr, consts)(a, b), evaluate(jaxpr, consts, [a, b])):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=rtol)


@pytest.mark.parametrize("blas", [False, True])
def test_random_contractions(blas, monkeypatch):
    if blas:
        monkeypatch.setattr(contractions, "SMALL", -1)
    rng = np.random.default_rng(1)
    for trial in range(40):
        nb, nl, nr, nk = rng.integers(0, 3, 4)
        size = {g + str(i): int(rng.integers(1, 4)) for g, n in zip("blrk", (nb, nl, nr, nk)) for i in range(n)}
        if trial % 8 == 0 and size:
            size[next(iter(size))] = 0
        dims = [
            [d for d in rng.permutation([k for k in size if k[0] in groups] or ["none"]) if d != "none"]
            for groups in ("blk", "brk")
        ]
        a, b = (rng.normal(size=[size[d] for d in group]) for group in dims)
        contract = tuple(tuple(group.index(f"k{i}") for i in range(nk)) for group in dims)
        batch = tuple(tuple(group.index(f"b{i}") for i in range(nb)) for group in dims)
        order = rng.permutation(np.ndim(a))

        def fun(a, b, order=order, numbers=(contract, batch)):
            back = tuple(map(int, np.argsort(order)))
            a = structural.transpose(structural.transpose(a, tuple(map(int, order))), back)
            return [lax.dot_general(a, b, dimension_numbers=numbers)]

        check(fun, np.asarray(a), np.asarray(b))


def test_attention_needs_no_copies():
    q, k, v = np.random.default_rng(0).normal(size=(3, 2, 20, 3, 16))

    def fun(q, k, v):
        scores = lax.dot_general(q, k, (((3,), (3,)), ((0, 2), (0, 2))))
        return [lax.dot_general(e.exp(scores), v, (((3,), (1,)), ((0, 1), (0, 2))))]

    text = check(fun, q, k, v).lowered.as_text("loops")
    assert text.count("kernel") == 1
    assert text.count("gemm") == 2


def test_sums_of_products_are_products_that_add():
    def fun(a, b, c):
        total, _ = lax.scan(lambda t, x: (e.add(t, lax.dot(x, b)), None), c, structural.reshape(a, (4, 10, 40)))
        x = e.add(lax.dot(a, b), lax.dot(a, e.sin(b)))
        return [total, e.tanh(x), e.add(c, lax.dot(c, b))]

    a, b, c = (np.linspace(-1, 1, n * 40).reshape(n, 40) for n in (40, 40, 10))
    text = check(fun, a, b, c).lowered.as_text("loops")
    assert text.count("+= BLAS gemm") == 3

    def steps(a, b, c):
        half = e.mul(lax.dot(a, b), 0.5)
        return [e.sub(c, e.neg(e.mul(0.1, lax.dot(c, b)))), e.sub(b, half), e.sub(e.mul(lax.dot(b, a), 2.0), a)]

    text = check(steps, a, b, c).lowered.as_text("loops")
    assert text.count("+= 0.1 * BLAS gemm") == text.count("+= -0.5 * BLAS gemm") == 1
    assert text.count("BLAS gemm") == 3


def nested(x, n):
    """Loops and branches in each other, with carries that change places, and results stacked."""

    def outer(carry, row):
        a, b = carry
        _, r = lax.while_loop(lambda c: e.lt(c[0], n), lambda c: (e.add(c[0], 1), e.add(e.sin(c[1]), row)), (0, a))
        z, ys = lax.scan(lambda c, v: (e.add(c, e.mul(v, r)), c), r, x, reverse=True)
        q = lax.cond(e.gt(n, 1), lambda a, b: a, lambda a, b: e.add(a, b), z, r)
        return (b, q), (structural.reshape(ys, (aval_of(x).size,)), q)

    w = e.sin(row(x, 0))
    carry, ys = lax.scan(outer, (w, e.neg(w)), x)
    return [*carry, *ys]


WIDE = np.linspace(0.1, 1.0, 4 * 30).reshape(4, 30)  # too wide for a loop over scalars


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("x", [X, WIDE])
def test_nested_loops(n, x):
    check(nested, x, np.int64(n))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("width", [3, 30])
def test_scans(reverse, length, width):
    def fun(x, w):
        def body(c, row):
            a = e.add(e.mul(c[0], row), w)
            return (c[1], a, c[2], a, e.cos(c[3])), (c[0], e.sin(row), 1.5, a, a, c[4])

        carry, ys = lax.scan(body, (w, e.neg(w), 3, w, e.neg(w)), x, reverse=reverse)
        return [*carry, *ys, e.add(carry[3], ys[4])]

    check(fun, np.linspace(0, 1, width * length).reshape(length, width), np.linspace(-1.0, 1.0, width))


@pytest.mark.parametrize("width", [2, 20])
def test_loops_of_loops_that_update_in_place(width):
    add = lookup("scatter_add").bind

    def fun(x):
        def outer(c, _):
            def inner(c, _):
                i, a, b = c
                a = add(a, e.sin(row(b, 0)), e.rem(i, width), axes=(0,), mode="clip")
                return (e.add(i, 1), a, add(b, row(a, 1), i, axes=(0,), mode="drop")), None

            (i, a, b), _ = lax.scan(inner, (np.int64(0), c, c), None, length=3)
            return add(b, 1.0, i, axes=(0,), mode="wrap"), (a, b)

        c, ys = lax.scan(outer, x, None, length=4)
        return [c, *ys, x]

    check(fun, np.linspace(0, 1, width))


@pytest.mark.parametrize("i", [-3, 0, 1, 2, 9])
def test_branches(i):
    def fun(i, x):
        branches = [lambda x: (x, e.sin(x), 1.0), lambda x: (e.neg(x), x, 2.0), lambda x: (e.exp(x), x, 3.0)]
        return [*lax.switch(i, branches, x)]

    check(fun, np.int64(i), W)


def loop(draw, x, y):
    """A scan over the rows of `x` and `y` whose carry, stacked results and constants are drawn."""

    def body(carry, rows):
        values = [*carry, *rows, row(y, 0)]
        for _ in range(draw(st.integers(0, 3))):
            a, b = (values[draw(st.integers(0, len(values) - 1))] for _ in range(2))
            values.append(e.sin(e.add(a, b)))
        pick = lambda n: tuple(values[draw(st.integers(0, len(values) - 1))] for _ in range(n))
        return pick(2), pick(2)

    carry, ys = lax.scan(body, (row(x, 0), row(y, 1)), (x, y), reverse=draw(st.booleans()))
    return e.add(e.add(ys[0], carry[0]), e.add(e.cos(ys[1]), carry[1]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_programs(data):
    draw = data.draw

    def fun(x, y):
        values = [x, y]
        pick = lambda: values[draw(st.integers(0, len(values) - 1))]
        for _ in range(draw(st.integers(1, 8))):
            op = draw(st.sampled_from(["add", "mul", "max", "sin", "reshape", "dot", "sum", "scan", "cond"]))
            a, b = pick(), pick()
            if op == "dot":
                out = lax.dot(a, structural.transpose(b, (1, 0)))
            elif op == "sum":
                out = e.add(row(lax.reduce_sum(a, axes=(draw(st.integers(0, 1)),)), 0), b)
            elif op == "scan":
                out = loop(draw, a, b)
            elif op == "cond":
                out = lax.cond(e.gt(row(row(a, 0), 0), 0.5), lambda a, b: e.neg(b), lambda a, b: e.add(a, b), a, b)
            elif op == "reshape":
                out = structural.reshape(structural.reshape(a, (aval_of(a).size,)), aval_of(a).shape)
            else:
                out = e.sin(a) if op == "sin" else getattr(e, op)(a, b)
            values.append(out)
        return [pick() for _ in range(draw(st.integers(1, 3)))]

    n = 3 * draw(st.sampled_from([1, 8]))
    check(fun, np.linspace(0, 1, n * n).reshape(n, n), np.linspace(1, 0, n * n).reshape(n, n) ** 2)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?", "c16", "f2"])
def test_cumulative_reductions(name, dtype, reverse):
    if (dtype in ("i4", "u1", "?", "c16") and name == "cumlogsumexp") or (dtype == "c16" and name[:4] == "cumm"):
        return  # not defined
    x = (np.random.default_rng(0).normal(size=(3, 5, 2)) * 3).astype(dtype)
    for axis in range(3):
        fun = lambda x, axis=axis: [lookup(name).bind(x, axis=axis, reverse=reverse)]
        jaxpr, consts = staged(fun, x)
        compiled = program.compile(jaxpr, consts)
        (got,), (want,) = compiled(x), evaluate(jaxpr, consts, [x])
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-5)
        assert ("NumPy" in compiled.as_text()) == (dtype == "f2")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?"])
def test_places_of_extrema(dtype):
    x = np.random.default_rng(0).integers(0, 3, (4, 5, 3)).astype(dtype)
    if dtype[0] == "f":
        x[1, 2, 1] = x[1, 3, 1] = x[0, 0, 0] = np.nan
    for axis in range(3):
        compiled = check(lambda x, axis=axis: [reductions.argmax(x, axis), reductions.argmin(x, axis, np.int32)], x)
        assert "NumPy" not in compiled.as_text()


@pytest.mark.parametrize("mode", ["raise", "clip", "wrap", "drop", "promise_in_bounds"])
@pytest.mark.parametrize("kind", ["scatter", "scatter_add", "scatter_mul", "scatter_max", "scatter_min"])
def test_scatters(kind, mode):
    rng = np.random.default_rng(hash((kind, mode)) % 1000)
    for _ in range(6):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)))
        axes = tuple(map(int, rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]))
        batch = [(), (4,), (2, 3), (0,)][rng.integers(0, 4)]
        far = 0 if mode in ("raise", "promise_in_bounds") else 6
        indices = [rng.integers(-shape[a] - far, shape[a] + far, batch) for a in axes]
        dtype = rng.choice(["f8", "f4", "i4", "?"])
        x = rng.integers(0, 9, shape).astype(dtype)
        updates = rng.integers(0, 9, (*batch, *(n for d, n in enumerate(shape) if d not in axes))).astype(dtype)
        fun = lambda x, u, *i, axes=axes: [lookup(kind).bind(x, u, *i, axes=axes, mode=mode), x]
        compiled = check(fun, x, updates, *indices)
        assert "NumPy" not in compiled.as_text()


def test_a_write_out_of_bounds_changes_nothing_outside():
    fun = lambda x, i: [lookup("scatter").bind(x, e.exp(W), i, axes=(0,), mode="raise")]
    compiled = check(fun, np.zeros(100), np.array([0, 99, -100]))
    for bad in (100, -101, 2**62):
        with pytest.raises(IndexOutOfBoundsError, match=r"axis 0 with size 100, at .*test_program.py"):
            compiled(np.zeros(100), np.array([0, bad, 1]))


def test_arrays_are_updated_in_place_in_loops():
    def fun(x, w):
        def body(c):
            i, a, w = c  # w is too wide for a loop over scalars
            a = indexing.dynamic_update_slice(a, structural.reshape(row(w, 0), (1, 1)), (i, 0))
            w = e.add(w, row(row(a, 0), 0))
            return e.add(i, 1), lookup("scatter_add").bind(a, row(w, 1), i, i, axes=(0, 1), mode="clip"), w

        return [*lax.while_loop(lambda c: e.lt(c[0], 5), body, (np.int64(0), x, w))]

    plan = check(fun, np.ones((40, 3)), np.linspace(0, 1, 100)).lowered.as_text("plan")
    inside = plan.partition("L0:")[2].partition("jump L0")[0]
    assert "scatter_add" in inside
    assert "copy" not in inside


@pytest.mark.parametrize("mode", ["clip", "wrap", "drop", "promise_in_bounds", "raise"])
@pytest.mark.parametrize("kind", ["scatter", "scatter_add", "scatter_max"])
def test_recurrences_over_an_array_are_one_kernel(kind, mode):
    far = 3 if mode in ("clip", "wrap", "drop") else 0

    def fun(x, i):
        def body(c, i):
            x, last = c
            value = e.add(e.mul(last, 0.5), row(row(x, 1), 2))
            x = lookup(kind).bind(x, value, e.sub(i, 5), e.rem(i, 4), axes=(1, 0), mode=mode)
            x = indexing.dynamic_update_slice(x, structural.reshape(e.neg(value), (1, 1)), (e.rem(i, 3), i))
            block = indexing.dynamic_slice(x, (1, i), (2, 2))
            return (x, lax.reduce_sum(block, (0, 1))), (value, i)

        (x, last), ys = lax.scan(body, (x, np.float64(1.0)), i)
        return [x, last, *ys]

    x = np.linspace(0, 1, 4 * 30).reshape(4, 30)
    compiled = check(fun, x, np.arange(-far, 30 + far))
    assert compiled.lowered.as_text("plan").count("kernel") == 1
    if mode == "raise":
        with pytest.raises(IndexOutOfBoundsError, match=r"axis 1 with size 30, at .*test_program.py"):
            compiled(x, np.arange(10, 40))


def test_arrays_in_loops_in_loops_are_updated_in_place():
    def distance(a, b):
        """Levenshtein's distance, by a table of the distances of prefixes."""
        n, m = aval_of(a).shape[0], aval_of(b).shape[0]
        at = lambda t, i, j: indexing.gather(t, [i, j], (0, 1), mode="promise_in_bounds")

        def line(i, t):
            def cell(j, t):
                step = lax.convert_element_type(e.ne(at_1(a, e.sub(i, 1)), at_1(b, e.sub(j, 1))), np.int64)
                best = e.min(at(t, e.sub(i, 1), j), at(t, i, e.sub(j, 1)))
                best = e.min(e.add(best, 1), e.add(at(t, e.sub(i, 1), e.sub(j, 1)), step))
                return lookup("scatter").bind(t, best, i, j, axes=(0, 1), mode="promise_in_bounds")

            return lax.fori_loop(np.int64(1), np.int64(m + 1), cell, t)

        at_1 = lambda x, i: indexing.gather(x, [i], (0,), mode="promise_in_bounds")
        table = np.zeros((n + 1, m + 1), np.int64)
        table[0], table[:, 0] = np.arange(m + 1), np.arange(n + 1)
        return [at(lax.fori_loop(np.int64(1), np.int64(n + 1), line, table), np.int64(n), np.int64(m))]

    a, b = (np.frombuffer(text, np.uint8) for text in (b"functional transformations", b"fictional translations"))
    compiled = check(distance, a, b)
    assert "1 iterations" in compiled.lowered.as_text("loops")
    assert compiled.lowered.as_text("plan").count("= kernel") <= 2


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "c8"])
def test_triangular_systems(dtype):
    rng = np.random.default_rng(0)
    for number in range(32):
        flags = [bool(number >> i & 1) for i in range(5)]
        names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
        batches = [((), ()), ((3,), (3,)), ((), (2, 3)), ((3,), ()), ((2, 1), (3,))][number % 5]
        a = (rng.normal(size=(*batches[0], 5, 5)) + 4 * np.eye(5)).astype(dtype)
        b = rng.normal(size=(*batches[1], *((5, 2) if flags[0] else (2, 5)))).astype(dtype)
        if dtype[0] == "c":
            a, b = a + 1j * rng.normal(size=a.shape), b + 1j
        fun = lambda a, b: [lax.linalg.triangular_solve(a, b, **dict(zip(names, flags)))]  # noqa: B023
        jaxpr, consts = staged(fun, a.astype(dtype), b.astype(dtype))
        a, b = a.astype(dtype), b.astype(dtype)
        (got,), (want,) = program.compile(jaxpr, consts)(a, b), evaluate(jaxpr, consts, [a, b])
        np.testing.assert_allclose(got, want, rtol=1e-3 if dtype in ("f4", "c8") else 1e-9)


def test_threads_share_a_program():
    jaxpr, consts = staged(nested, WIDE, np.int64(3))
    compiled = program.compile(jaxpr, consts)
    inputs = [WIDE * (i + 1) for i in range(4)]
    expected = [compiled(x, np.int64(3)) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(200):
            if not all(np.array_equal(a, b) for a, b in zip(compiled(inputs[i], np.int64(3)), expected[i])):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_an_index_out_of_bounds_names_the_line():
    def fun(x, i):
        return [indexing.gather(e.sin(x), [i], (0,))]

    compiled = check(fun, W, np.array([0, 2, -1]))
    with pytest.raises(IndexOutOfBoundsError, match="test_program.py"):
        compiled(W, np.array([0, 3, 1]))
    np.testing.assert_allclose(compiled(W, np.array([1, 1, 1]))[0], np.sin(W[[1, 1, 1]]))


def failing_primitive():
    p = Primitive("test_failing")

    def impl(x):
        if x[0] < 0:
            raise ZeroDivisionError("negative")
        return x * 2

    p.impl = impl
    p.abstract_eval = lambda x: x
    return p


def test_exceptions_of_numpy_calls_arrive_and_leave_the_program_usable():
    p = failing_primitive()

    def fun(x):
        c, _ = lax.scan(lambda c, row: (e.add(p.bind(row), c), None), e.sin(W), x)
        return [c]

    compiled = check(fun, X)
    with pytest.raises(ZeroDivisionError, match="negative"):
        compiled(-X)
    check(fun, X)
    assert "NumPy test_failing" in compiled.as_text()


def test_effects_keep_their_order():
    seen = []
    p = Primitive("test_effect", multiple_results=True)
    p.impl = lambda x: seen.append(float(x)) or []
    p.abstract_eval = lambda x: []
    p.effect = True

    def fun(x):
        y = x
        for _ in range(5):
            y = lax.reduce_max(e.sin(broadcast_to(y, (40,))), (0,))
        p.bind(e.add(e.mul(y, 0.0), 1.0))
        p.bind(x)
        lax.scan(lambda c, _: (p.bind(c), e.add(c, 1.0))[1:] * 2, e.add(x, 10.0), None, length=3)
        return [x]

    jaxpr, consts = staged(fun, np.float64(0.0))
    program.compile(jaxpr, consts)(np.float64(0.0).reshape(()))
    assert seen == [1.0, 0.0, 10.0, 11.0, 12.0]


def test_text_and_analyses():
    jaxpr, consts = staged(nested, X, np.int64(3))
    lowered = program.lower(jaxpr, consts)
    for name in program.STAGES:
        assert lowered.as_text(name)
    assert "scan" in lowered.as_text("simplified")
    with pytest.raises(ValueError, match="no stage"):
        lowered.as_text("hlo")
    memory = lowered.memory_analysis()
    assert memory.argument_size_in_bytes == X.nbytes + 8
    assert memory.temp_size_in_bytes <= memory.temp_size_without_sharing
    big, _ = staged(lambda a: [lax.dot(a, a)], np.ones((100, 100)))
    assert program.lower(big, []).cost_analysis()["flops"] == 2 * 100**3


def test_why_values_are_stored_and_whether_kernels_vectorised():
    def function(x):
        y = lax.tanh(x)
        return [lax.div(y, lax.reduce_sum(y, (0,))), lax.sort(lax.exp(x))]

    lowered = program.lower(*staged(function, np.ones((500, 200))))
    loops = lowered.as_text("loops")
    for reason in ("several kernels read it", "a reduction, not read in rows of its reader's loops", "sort reads it"):
        assert f"stored: {reason}" in loops
    native = lowered.compile().as_text().split("# native\n")[1].splitlines()
    assert len(native) == len(distinct_kernels(lowered.plan))
    vector = any(binding.get_host_cpu_features().get(name) for name in ("sse2", "neon"))
    assert (": vectorised, " in native[0]) is vector
    scalar = program.lower(*staged(lambda x: [x + 1], np.ones(()))).compile().as_text()
    assert "kernel 0: not vectorised" in scalar


def test_counts():
    before = program.cache_info()
    program.count_trace()
    jaxpr, consts = staged(lambda x: [e.sin(e.cos(e.sin(x)))], W)
    program.compile(jaxpr, consts)(W)
    program.compile(*staged(lambda x: [e.sin(e.cos(e.sin(x)))], X))(X)
    after = program.cache_info()
    assert after.traces == before.traces + 1
    assert after.kernels_compiled + after.kernels_loaded <= before.kernels_compiled + before.kernels_loaded + 2
    assert after.folder


def test_import_does_not_import_numba():
    code = (
        "import functrans.compiler.program as program, sys; from functrans.core.jaxpr import Jaxpr; "
        "program.lower(Jaxpr((), (), (), ()), []).as_text(); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_avals_of_results():
    (out,) = check(lambda x: [e.lt(x, 0.0)], W)(W)
    assert aval_of(out) == ShapedArray((3,), np.dtype(bool))


@pytest.mark.parametrize("shape", [(2, 3), (40, 30)])
def test_checked_reads_wait_for_every_padding_around_them(shape):
    x = np.random.default_rng(0).normal(size=shape)
    rows, columns = np.arange(shape[0] + 1) % shape[0], np.arange(shape[1])

    def f(x, rows, columns):
        return fnp.pad(x[rows[:, None], columns], 1)

    np.testing.assert_array_equal(ft.jit(f)(x, rows, columns), f(x, rows, columns))
    with pytest.raises(IndexError, match="index out of bounds for axis 0"):
        ft.jit(f)(x, rows + 1, columns)


def test_a_loop_over_empty_arrays():
    def f(x):
        return ft.lax.scan(lambda c, _: (fnp.sin(c), c), x, None, length=3)

    last, all_ = ft.jit(f)(np.zeros((0, 3)))
    assert (last.shape, all_.shape) == ((0, 3), (3, 0, 3))


def test_a_reduction_that_is_read_in_and_across_its_rows():
    x = np.random.default_rng(0).normal(size=(3, 3))

    def f(x):
        return fnp.sum(ft.scipy.special.logsumexp(x @ x, axis=-1))

    np.testing.assert_allclose(ft.jit(ft.grad(f))(x), ft.grad(f)(x), rtol=1e-13)


def test_an_empty_axis_beside_axes_that_are_written_out():
    def f(x, y):
        rows = fnp.outer(x, y)[:4, :4]
        return fnp.sum(ft.lax.map(lambda row: fnp.sin(row) + fnp.sum(row), rows))

    x, y = np.zeros((0, 3)), np.ones((20, 3))
    grads = ft.jit(ft.grad(ft.checkpoint(f), (0, 1)))(x, y)
    assert [g.shape for g in grads] == [(0, 3), (20, 3)]
