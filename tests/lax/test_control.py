"""`cond` and `switch`: the branch that Python would have taken, under every transformation."""

import numpy as np
import pytest
from helpers import abstract, assert_same, check_jaxprs, check_rules, programs, staged
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.core.trace import stage
from functrans.transforms.jvp import linearize_jaxpr

X = np.array([0.3, -1.2])


@given(st.data())
@pytest.mark.parametrize("count", [1, 2, 3])
def test_random_branches(count, data):
    """Branches that read and ignore operands as they like, some with results that have no tangent."""
    branches = [data.draw(programs(2, 3)) for _ in range(count)]
    index = data.draw(st.integers(-1, count))
    fun = lambda i, x, y: lax.switch(i, branches, x, y)
    x, y = X, np.array([0.7, 1.1])
    wanted = branches[min(max(index, 0), count - 1)](x, y)
    for run in (fun, staged(fun)):
        for got, w in zip(run(np.int64(index), x, y), wanted, strict=True):
            assert_same(got, w, 1e-13)
    check_rules(staged(fun), np.int64(index), x, y, order=1 if count == 3 else 2)
    check_jaxprs(fun, np.int64(index), x, y)


@pytest.mark.parametrize("p", [True, False])
def test_captured_values_and_pytrees(p):
    w = np.array([2.0, 3.0])

    def fun(p, w, x):
        tree = {"x": x, "n": 3}
        return lax.cond(
            p, lambda t: (t["x"] * w, {"s": x.sum()}), lambda t: (t["x"] ** t["n"], {"s": w.sum() * 2}), tree
        )

    def flat(p, w, x):
        a, b = fun(p, w, x)
        return a, b["s"]

    wanted = (X * w, X.sum()) if p else (X**3, w.sum() * 2)
    for run in (flat, staged(flat)):
        for got, v in zip(run(np.bool_(p), w, X), wanted, strict=True):
            assert_same(got, v, 1e-14)
    check_rules(staged(flat), np.bool_(p), w, X)
    check_jaxprs(flat, np.bool_(p), w, X)


def test_values_captured_from_every_transformation_around():
    """A branch may read what grad, vmap and jit trace outside of it, each in its own way."""

    def f(w, xs, p):
        def one(x):
            return ft.jvp(lambda t: lax.cond(p, lambda: w * x * t * t, lambda: x + t), (x,), (1.0,))[1]

        return ft.numpy.sum(ft.vmap(one)(xs))

    for p in (True, False):
        wanted = 2 * (X * X).sum() if p else 0.0  # d/dw of sum(2 w x t) at t = x, or of sum(1)
        assert_same(ft.grad(f)(3.0, X, p), wanted, 1e-14)
        assert_same(ft.jit(ft.grad(f))(3.0, X, p), wanted, 1e-14)
        each = ft.jit(ft.vmap(ft.grad(f), in_axes=(None, None, 0)))(3.0, X, np.array([p, not p]))
        assert_same(each[0], wanted, 1e-14)


def test_only_the_chosen_branch_runs():
    ran = []

    def branch(name):
        return lambda x: ran.append(name) or x

    lax.cond(True, branch("true"), branch("false"), 1.0)
    lax.switch(5, [branch("a"), branch("b")], 1.0)
    ft.grad(lambda x: lax.cond(x > 0, branch("positive"), branch("negative"), x))(2.0)
    assert ran == ["true", "b", "positive"]
    log = ft.jit(lambda p, x: lax.cond(p, lambda x: x, lambda x: lax.while_loop(lambda v: v >= 0, abs, x), x))
    assert log(True, 1.0) == 1.0  # the loop of the other branch would never end


def test_predicates_are_truth_values():
    for p in (True, 1, 2.5, np.float32(-1), np.array(3)):
        assert lax.cond(p, lambda: 1, lambda: 0) == 1
        assert ft.jit(lambda p: lax.cond(p, lambda: 1, lambda: 0))(p) == 1
    for p in (False, 0, 0.0, np.array(0)):
        assert lax.cond(p, lambda: 1, lambda: 0) == 0
        assert ft.jit(lambda p: lax.cond(p, lambda: 1, lambda: 0))(p) == 0


def test_python_numbers_take_the_dtype_of_the_other_branch():
    x = np.float32(2)
    out = ft.jit(lambda p: lax.cond(p, lambda: 1, lambda: x))(True)
    assert_same(out, np.float32(1))
    out = ft.jit(lambda p: lax.cond(p, lambda: 1, lambda: 2.5))(True)
    assert_same(out, np.float64(1))


def test_branches_share_places_of_residuals():
    """What the backward pass keeps is as large as the largest branch needs, not as all of them together."""
    branches = [lambda x, k=k: lax.sin(lax.cos(x) * k) for k in range(4)]
    (jaxpr, _) = stage(
        lambda i, x: [lax.switch(i, branches, x)], abstract(lambda i, x: (i, x), ((), int), ((3,), float))
    )
    one, _ = stage(lambda x: [branches[1](x)], abstract(lambda x: x, ((3,), float)))
    alone = len(linearize_jaxpr(one, [True]).forward.outvars)
    assert len(linearize_jaxpr(jaxpr, [False, True]).forward.outvars) == alone


def test_both_branches_run_where_lanes_differ():
    p = np.array([True, False, True])
    got = ft.vmap(lambda p, x: lax.cond(p, lambda: x, lambda: -x))(p, np.arange(3.0))
    assert_same(got, np.array([0.0, -1.0, 2.0]))
    got = ft.vmap(lambda i: lax.switch(i, [lambda: 0, lambda: 10, lambda: 20]))(np.array([-4, 1, 9, 2]))
    assert_same(got, np.array([0, 10, 20, 20]))
    x = np.arange(6.0).reshape(3, 2)
    got = ft.vmap(lambda p, x: lax.cond(p, lambda: (x, 1), lambda: (x * 0, 2)))(p, x)
    assert_same(got[0], np.where(p[:, None], x, 0))
    assert_same(got[1], np.where(p, 1, 2))


def test_nested_branches():
    def inner(x):
        return lax.cond(x[0] > 0, lax.sin, lambda y: y * x[1], x)

    fun = lambda i, x: lax.switch(i, [inner, lambda x: lax.cos(inner(x)), lambda x: x], x)
    for i in range(3):
        check_rules(staged(fun), np.int64(i), X)
        check_rules(staged(fun), np.int64(i), -X, order=1)
    check_jaxprs(fun, np.int64(0), X)


# ---------------------------------------------------------------- errors


def traced(fun, *args):
    return ft.jit(fun)(*args)


@pytest.mark.parametrize(
    ("true", "false", "error", "message"),
    [
        (
            lambda: (X, X),
            lambda: X,
            errors.TreeStructureError,
            "false_fun has a leaf, true_fun has a tuple of length 2",
        ),
        (lambda: X, lambda: X[:1], errors.ShapeError, r"the result is\n  false_fun: f64\[1\]\n  true_fun: f64\[2\]"),
        (lambda: {"a": (X, 1)}, lambda: {"a": (X, X)}, errors.ShapeError, r"the result \['a'\]\[1\] is"),
        (lambda: X, lambda: X.astype(np.float32), errors.DTypeError, r"false_fun: f32\[2\]\n  true_fun: f64\[2\]"),
        (lambda: 0.5, lambda: np.int32(1), errors.DTypeError, r"false_fun: i32\[\]\n  true_fun: f64\[\]"),
        (lambda: "a", lambda: X, errors.DTypeError, "true_fun of cond returned 'a' of type str"),
    ],
)
def test_errors_of_branches(true, false, error, message):
    with pytest.raises(error, match=message):
        traced(lambda p: lax.cond(p, true, false), True)


def test_errors_of_arguments():
    with pytest.raises(errors.ShapeError, match=r"scalar predicate, got bool\[2\]; use functrans.numpy.where"):
        lax.cond(X > 0, lambda: 1, lambda: 2)
    with pytest.raises(errors.DTypeError, match="a boolean or a number as predicate"):
        lax.cond(1j, lambda: 1, lambda: 2)
    with pytest.raises(errors.ArgumentError, match="takes two functions"):
        lax.cond(True, 1, 2)
    with pytest.raises(errors.DTypeError, match="integer scalar as index"):
        lax.switch(0.5, [lambda: 1])
    with pytest.raises(errors.ArgumentError, match="at least one branch"):
        lax.switch(0, [])
    with pytest.raises(errors.DTypeError, match="branch 0 .* of switch returned 'a'"):
        lax.switch(0, [lambda: "a"])


def test_a_traced_value_in_a_branch_is_named():
    def negate(value):
        return -value if value > 0 else value

    with pytest.raises(errors.TracerBoolConversionError, match="the result of gt of value .* in true_fun of cond"):
        traced(lambda p, x: lax.cond(p, negate, lambda v: v, x), True, 1.0)


def test_tracebacks_end_in_the_branch():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        traced(lambda p, x: lax.cond(p, broken, lambda v: v, x), True, 1.0)
    assert caught.traceback[-1].name == "broken"


@pytest.mark.parametrize(
    "wrap",
    [ft.jit, lambda f: ft.grad(ft.jit(f)), lambda f: ft.jit(ft.grad(f))],
    ids=["jit", "grad of jit", "jit of grad"],
)
def test_what_a_branch_computes_from_captured_values_runs_in_it(wrap):
    """Also without operands: the other branch is not evaluated, and raises nothing."""
    seen = []

    def noted(x):
        seen.append(1)
        return x

    def beyond(x):
        return ft.pure_callback(noted, x, ft.lax.stop_gradient(x)) * x

    f = wrap(lambda x: ft.lax.cond(x > 0, lambda: x * x, lambda: beyond(x)))
    f(2.0)
    assert seen == []
    f(-2.0)
    assert seen


def test_second_derivatives_of_mapped_branches_do_not_divide_by_what_was_not_computed():
    f = lambda x: ft.lax.cond(x > 0, lambda x: fnp.sin(x), lambda x: fnp.sin(x) / (2 + x**2), x)
    x = np.array([1.0, -1.0])
    each = [ft.grad(ft.grad(f))(v) for v in x]
    for total in (lambda x: fnp.sum(ft.vmap(ft.grad(f))(x)), ft.jit(lambda x: fnp.sum(ft.vmap(ft.grad(f))(x)))):
        np.testing.assert_allclose(ft.grad(total)(x), each, rtol=1e-12)
