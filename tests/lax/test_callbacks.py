"""Calls back into Python: what they give, and that those with effects run once each time, in the program's order."""

import threading
import traceback

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax

X = np.array([0.3, -1.2, 2.0])
F64 = ft.ShapeDtypeStruct((), np.float64)


class Log:
    """What callbacks were given, in order."""

    def __init__(self):
        self.seen = []

    def show(self, *values):
        """Note values, for the effect alone."""
        ft.debug.callback(lambda *v: self.seen.append(np.asarray(v).tolist()), *values)

    def count(self, x):
        """`x`, and how many calls there were: by a callback with a result."""

        def callback(x):
            self.seen.append(float(x))
            return x, np.int64(len(self.seen))

        return ft.io_callback(callback, (F64, ft.ShapeDtypeStruct((), np.int64)), x)

    def of(self, fun, *args):
        """What a call of `fun` adds to the log."""
        self.seen.clear()
        fun(*args)
        return list(self.seen)


# ---------------------------------------------------------------- effects: once, and in order

#: Programs of one number, as nested tuples of what they do.
PROGRAMS = st.recursive(
    st.sampled_from(["show", "show constant", "sin", "half"]).map(lambda kind: (kind,)),
    lambda inner: st.tuples(
        st.sampled_from(["scan", "fori", "while", "bounded while", "cond", "checkpoint", "jit", "custom_jvp", "map"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def run(program, x, log):
    """Run a program, in which `log` shows numbers."""
    kind, *parts = program
    body = lambda x: run_all(parts[0], x, log)
    match kind:
        case "show":
            log.show(x)
        case "show constant":
            log.show(7.0)
        case "sin":
            x = fnp.sin(x)
        case "half":
            x = x / 2
        case "scan":
            x, _ = lax.scan(lambda c, i: (body(c) + i, c), x, np.arange(2.0))
        case "fori":
            x = lax.fori_loop(0, 2, lambda i, c: body(c), x)
        case "while" | "bounded while":
            bound = {} if kind == "while" else {"max_steps": 3}
            x = lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, body(s[1])), (0, x), **bound)[1]
        case "cond":
            x = lax.cond(x > 0.1, body, lambda x: 2 * x, x)
        case "checkpoint":
            x = ft.checkpoint(body)(x)
        case "jit":
            x = ft.jit(body)(x)
        case "custom_jvp":
            fun = ft.custom_jvp(body)
            fun.defjvp(lambda p, t: (body(p[0]), t[0] * p[0]))
            x = fun(x)
        case "map":
            x = x + fnp.sum(lax.map(body, np.arange(2.0)))
    return x


def run_all(programs, x, log):
    for p in programs:
        x = run(p, x, log)
    return x


@given(st.lists(PROGRAMS, max_size=3))
def test_once_and_in_order(programs):
    """Whatever the transformation, the log is that of the function itself."""
    log = Log()
    fun = lambda x: run_all(programs, x, log)
    wanted = log.of(fun, 0.7)
    value = fun(0.7)
    for transformed in (
        ft.jit(fun),
        ft.grad(fun),
        ft.jit(ft.grad(fun)),
        ft.grad(ft.jit(fun)),
        lambda x: ft.jvp(fun, (x,), (1.0,)),
        ft.jit(lambda x: ft.linearize(fun, x)[0]),
        ft.jit(ft.jacfwd(ft.jacrev(fun))),
        lambda x: ft.vmap(fun)(x[None]),
    ):
        x = np.asarray(0.7)
        assert log.of(transformed, x) == wanted
    np.testing.assert_allclose(ft.jit(fun)(0.7), value, rtol=1e-13)
    assert log.of(lambda: ft.make_jaxpr(fun)(0.7)) == []  # tracing alone runs nothing


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_examples_take_their_own_branches_and_turns(transform):
    log = Log()

    def fun(x, y):
        x = lax.cond(x > 0, lambda x: (log.show(x), x + y)[1], lambda x: (log.show(0.0), x)[1], x)
        return lax.while_loop(lambda v: v < 2, lambda v: (log.show(v), v + 1)[1], x)

    log.show()
    got = transform(ft.vmap(fun, (0, None)))(X, 0.5)
    seen = log.seen[1:]
    assert_same(got, np.stack([fun(x, 0.5) for x in X]), 1e-15)
    singly = [log.of(fun, x, 0.5) for x in X]
    branches, turns = [s[0] for s in singly], [v for s in singly for v in s[1:]]
    assert seen == [*branches, *turns]


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_io_callbacks_in_loops(transform):
    log = Log()

    def fun(x):
        def body(c, _):
            y, n = log.count(c)
            return y * 2 + n, n

        return lax.scan(body, x, None, length=3)

    carry, counts = transform(fun)(1.0)
    assert log.seen == [1.0, 3.0, 8.0]
    assert_same(carry, 19.0)
    assert_same(counts, np.array([1, 2, 3]))


@pytest.mark.parametrize("policy", [None, ft.checkpoint_policies.everything_saveable])
@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_what_io_callbacks_gave_is_not_asked_for_again_by_a_checkpoint(transform, policy):
    log = Log()

    @ft.checkpoint
    def inner(x, s):
        y, n = ft.jit(lambda s: log.count(ft.stop_gradient(s)))(s)
        return fnp.sin(x * y) * n

    assert_same(transform(ft.grad(lambda x: inner(x, 2.0)))(0.3), 2 * np.cos(0.6), 1e-14)
    assert log.seen == [2.0]


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_reverse_mode_of_while_shows_once_what_a_derivative_rule_shows(transform):
    log = Log()
    program = ("while", [("custom_jvp", [("show",)])])
    assert log.of(transform(ft.grad(lambda x: run(program, x, log))), 0.7) == [[0.7], [0.7]]


def test_effects_are_not_dropped_merged_or_moved():
    log = Log()

    @ft.jit
    def fun(x):
        ft.io_callback(lambda x: log.seen.append(float(x)), None, x)  # a result that nothing reads: it has none
        log.count(x)
        log.count(x)  # the same again

        def body(c, _):
            log.show(x)  # the same at each turn
            return c, None

        lax.scan(body, 0.0, None, length=2)
        lax.cond(x > 0, lambda: log.show(5.0), lambda: log.show(6.0))
        return 1.0

    assert log.of(fun, 3.0) == [3.0, 3.0, 3.0, [3.0], [3.0], [5.0]]


def test_functions_without_arguments_and_inner_jits_of_constants():
    log = Log()
    inner = ft.jit(lambda x: log.show(x))
    outer = ft.jit(lambda: (inner(2.0), log.show("text", 1.0), None)[-1])
    assert log.of(outer) == log.of(outer) == [[2.0], ["text", "1.0"]]
    assert log.of(inner, np.array(2.0)) == log.of(inner, np.array(2.0)) == [[2.0]]
    outer = ft.jit(lambda: inner(np.array(2.0)))
    assert log.of(outer) == log.of(outer) == [[2.0]]


def test_fusion_goes_around_effects():
    """Kernels on both sides of a callback must not become one that needs itself."""
    log = Log()

    def fun(x):
        a = fnp.sum(x)
        log.show(a)
        b = fnp.sum(x * a)
        log.show(b)
        return fnp.sum(x * b) + a

    assert log.of(ft.jit(fun), X) == log.of(fun, X)


def test_a_callback_may_keep_what_it_was_given():
    kept = []

    @ft.jit
    def fun(x):
        def body(c, _):
            ft.debug.callback(kept.append, c)
            return c + 1, None

        return lax.scan(body, x, None, length=4)[0]

    fun(X)
    for i, x in enumerate(kept):
        assert_same(x, X + i)


def test_a_callback_may_call_the_program_that_calls_it():
    @ft.jit
    def fun(n):
        return n + lax.cond(n > 0, lambda n: ft.pure_callback(fun, np.array(0), n - 1), lambda n: n, n)

    assert fun(np.array(4)) == 10


def test_threads_have_their_own_runs():
    fun = ft.jit(lambda x: ft.pure_callback(lambda x: x * 2, X, x) + 1)
    results = {}

    def work(i):
        for _ in range(20):
            results[i] = fun(X + i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(4):
        assert_same(results[i], (X + i) * 2 + 1)


# ---------------------------------------------------------------- pure callbacks


def test_pytrees_in_and_out():
    def callback(d, *, k):
        return {"sum": d["a"] + k, "pair": (d["a"] > 0, np.int32(4))}

    shapes = {"sum": X, "pair": (ft.ShapeDtypeStruct((3,), bool), ft.ShapeDtypeStruct((), np.int32))}
    fun = lambda x: ft.pure_callback(callback, shapes, {"a": x}, k=2.0)
    for out in (fun(X), ft.jit(fun)(X)):
        assert_same(out["sum"], X + 2)
        assert_same(out["pair"][0], X > 0)
        assert_same(out["pair"][1], np.int32(4))


@pytest.mark.parametrize("method", ["sequential", "sequential_unrolled", "expand_dims", "broadcast_all"])
@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@given(data=st.data())
def test_vmap(method, transform, data):
    """One call or many: the results are those of a loop."""
    shapes = []

    def callback(x, y):
        shapes.append((x.shape, y.shape))
        return x + 2 * y

    fun = lambda x, y: ft.pure_callback(callback, X, x, y, vmap_method=method)
    x_axis, y_axis = data.draw(st.sampled_from([(0, None), (None, 1), (1, 0), (0, 0)]))
    batch = np.random.default_rng(0).normal(size=(3, 3))
    got = transform(ft.vmap(fun, (x_axis, y_axis)))(
        batch if x_axis is not None else X, batch if y_axis is not None else X
    )
    take = lambda axis, i: X if axis is None else np.take(batch, i, axis)
    assert_same(got, np.stack([take(x_axis, i) + 2 * take(y_axis, i) for i in range(3)]))
    shared = {"expand_dims": (1, 3), "broadcast_all": (3, 3)}.get(method)
    if shared is None:
        assert shapes == [((3,), (3,))] * 3
    else:
        assert shapes == [tuple(shared if axis is None else (3, 3) for axis in (x_axis, y_axis))]


def test_legacy_vectorized_leaves_shared_operands_alone():
    fun = lambda x, y: ft.pure_callback(lambda x, y: x[:, None] * y, X, x, y, vmap_method="legacy_vectorized")
    assert_same(ft.vmap(fun, (0, None))(X[:2], X), X[:2, None] * X)


@pytest.mark.parametrize("method", ["sequential", "expand_dims", "broadcast_all"])
def test_vmap_twice(method):
    fun = lambda x, y: ft.pure_callback(lambda x, y: x * y, F64, x, y, vmap_method=method)
    outer = ft.vmap(ft.vmap(fun, (None, 0)), (0, None))
    assert_same(ft.jit(outer)(X, X), np.outer(X, X))


def test_vmap_of_io_callback_runs_one_example_after_another():
    log = Log()
    y, n = ft.vmap(log.count)(X)
    assert log.seen == X.tolist()
    assert_same(y, X)
    assert_same(n, np.array([1, 2, 3]))


def test_custom_jvp_gives_a_derivative():
    @ft.custom_jvp
    def sine(x):
        return ft.pure_callback(np.sin, x, x, vmap_method="broadcast_all")

    sine.defjvp(lambda p, t: (sine(p[0]), t[0] * fnp.cos(p[0])))
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.grad(sine)))(X), np.cos(X), rtol=1e-15)


def test_unused_pure_callbacks_are_left_out():
    calls = []
    fun = ft.jit(lambda x: (ft.pure_callback(lambda x: calls.append(x) or x, F64, x), x)[1])
    fun(1.0)
    assert calls == []


# ---------------------------------------------------------------- errors

BAD = {
    "shape": (lambda x: ft.pure_callback(lambda x: x[:2], x, x), errors.ShapeError,
              r"the callback <lambda> promised f64\[3\] for result 0, and returned f64\[2\]"),
    "dtype": (lambda x: ft.pure_callback(lambda x: x.astype(np.float32), x, x), errors.DTypeError,
              r"promised f64\[3\] .* returned f32\[3\]; convert it in the callback \(x.astype\(float64\)\)"),
    "structure": (lambda x: ft.pure_callback(lambda x: (x, x), x, x), errors.TreeStructureError,
                  "the callback <lambda> of pure_callback must return the structure of result_shape_dtypes"),
    "promise": (lambda x: ft.pure_callback(lambda x: x, 3, x), errors.DTypeError, "ShapeDtypeStruct"),
    "not a function": (lambda x: ft.io_callback(3, x, x), errors.ArgumentError, "takes a function first, got 3"),
    "not an array": (lambda x: ft.pure_callback(lambda x: x, x, "text"), errors.DTypeError, "expected an array"),
    "vmap_method": (lambda x: ft.pure_callback(lambda x: x, x, x, vmap_method="all"), errors.ArgumentError,
                    "vmap_method .*'all'"),
}  # fmt: skip


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", BAD)
def test_mistakes(name, transform):
    fun, error, message = BAD[name]
    with pytest.raises(error, match=message):
        transform(fun)(X)


TRANSFORMED = {
    "grad": (lambda f: ft.grad(lambda x: fnp.sum(f(x))), errors.NotDifferentiableError, "custom_jvp"),
    "jvp": (lambda f: lambda x: ft.jvp(f, (x,), (x,)), errors.NotDifferentiableError, "stop_gradient"),
}


@pytest.mark.parametrize("callback", [ft.pure_callback, ft.io_callback], ids=["pure", "io"])
@pytest.mark.parametrize("name", TRANSFORMED)
def test_no_derivatives(name, callback):
    transform, error, message = TRANSFORMED[name]
    with pytest.raises(error, match=message):
        transform(lambda x: callback(np.sin, x, x))(X)


def test_vmap_needs_to_be_told_how():
    with pytest.raises(errors.ArgumentError, match="vmap_method='sequential'.*'broadcast_all'"):
        ft.vmap(lambda x: ft.pure_callback(np.sin, x, x))(X)
    with pytest.raises(errors.ArgumentError, match="ordered=True.*lax.map"):
        ft.vmap(lambda x: ft.io_callback(np.sin, x, x, ordered=True))(X)


def test_reverse_mode_of_while_refuses_to_call_twice():
    log = Log()

    def fun(x):
        return lax.while_loop(lambda c: c < 5, lambda c: c * x + log.count(0.0)[0], x)

    with pytest.raises(errors.NotDifferentiableError, match="io_callback.*max_steps"):
        ft.jit(ft.grad(fun))(2.0)
    assert ft.jvp(fun, (2.0,), (1.0,))[1] == 12.0


def test_results_of_python_scalars_take_the_promised_dtype():
    f32 = ft.ShapeDtypeStruct((), np.float32)
    assert_same(ft.pure_callback(lambda: 1, f32), np.float32(1))
    with pytest.raises(errors.DTypeError, match=r"promised i64\[\] for result 0, and returned f64"):
        ft.pure_callback(lambda: 1.5, ft.ShapeDtypeStruct((), np.int64))


@pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("error", [TypeError, ValueError, ZeroDivisionError, KeyboardInterrupt])
def test_exceptions_keep_their_traceback(transform, error):
    def deeper(x):
        raise error("of the callback itself")

    def callback(x):
        deeper(x)

    def body(c, _):
        ft.debug.callback(callback, c)
        return c, None

    fun = transform(lambda x: lax.scan(body, x, None, length=2))
    for _ in range(2):  # the program can be called again
        with pytest.raises(error, match="of the callback itself") as caught:
            fun(X)
        names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["callback", "deeper"]
