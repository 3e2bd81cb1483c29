"""Examples that do not take a branch, or are done with a loop: they raise nothing, and change nothing."""

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import given, settings, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import checking, errors, lax

TABLE = fnp.asarray(np.arange(5.0) ** 2 + 1)
MATRIX = fnp.asarray(np.random.default_rng(0).normal(size=(3, 3)))


def whole(x):
    return lax.convert_element_type(x, np.int64)


def newton(a):
    """The square root; goes on for ever below zero."""
    return lax.while_loop(lambda x: abs(x * x - a) > 1e-12 * a, lambda x: 0.5 * (x + a / x), a)


def walk(i):
    """The sum of the table from `i` on; reads beyond it when it is asked to go on."""
    return lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] + TABLE[c[0]]), (i, 0.0))[1]


def factor(a):
    """A matrix that can be factorized where `a` is positive."""
    return fnp.sum(fnp.linalg.cholesky(a * fnp.eye(3) + 0.1)) + fnp.sum(fnp.linalg.solve(a * MATRIX, MATRIX[0]))


@ft.custom_jvp
def looked_up(x):
    return TABLE[whole(x)] * x


looked_up.defjvps(lambda t, out, x: t * TABLE[whole(x)])


@ft.custom_vjp
def looked_back(x):
    return TABLE[whole(x)] * x


looked_back.defvjp(lambda x: (looked_back(x), x), lambda x, ct: (ct * TABLE[whole(x)],))

#: A function of a number that may be called where the number is in the interval, and another one for elsewhere.
BRANCHES = {
    "index": (lambda x: TABLE[whole(x)] * x, 0, 4),
    "indices": (lambda x: fnp.sum(TABLE[whole(x) + np.arange(2)] * x), 0, 3),
    "update": (lambda x: fnp.sum(TABLE.at[whole(x)].add(x) ** 2), 0, 4),
    "a loop that ends": (newton, 0.1, 9),
    "reads in a loop": (lambda x: x * walk(whole(x)), 0, 4),
    "a scan": (lambda x: lax.scan(lambda c, i: (c + TABLE[whole(x)] * i, c), x, np.arange(3.0))[0], 0, 4),
    "within another branch": (lambda x: lax.cond(x > 2, lambda x: TABLE[whole(x)], newton, x), 0.1, 4),
    "jit": (ft.jit(lambda x: TABLE[whole(x)] * x), 0, 4),
    "checkpoint": (ft.checkpoint(lambda x: TABLE[whole(x)] * fnp.sin(x)), 0, 4),
    "a rule of its own": (looked_up, 0, 4),
    "a backward rule of its own": (looked_back, 0, 4),
    "a loop over it": (lambda x: lax.fori_loop(0, 100, lambda i, y: fnp.sin(y) + TABLE[whole(x)], x), 0, 4),
    "a factorization": (factor, 0.5, 9),
}  # fmt: skip
VALUES = st.lists(st.sampled_from([-7.5, -1.0, 0.5, 1.5, 2.5, 3.25, 6.0, 99.0]), min_size=1, max_size=5)


def chosen(name):
    fun, low, high = BRANCHES[name]
    return lambda x: lax.cond((x >= low) & (x <= high), fun, lambda x: -2.0 * x, x)


@pytest.mark.parametrize("name", BRANCHES)
@settings(deadline=None, max_examples=3)
@given(VALUES)
def test_branches(name, values):
    f, x = chosen(name), np.array(values)
    wanted = np.stack([f(v) for v in x])
    assert_same(ft.vmap(f)(x), wanted, 1e-12, 1e-12)
    assert_same(ft.jit(ft.vmap(f))(x), wanted, 1e-12, 1e-12)
    assert_same(ft.vmap(ft.vmap(f))(x[:, None])[:, 0], wanted, 1e-12, 1e-12)
    grads = np.stack([ft.grad(f)(v) for v in x])
    assert_same(ft.vmap(ft.grad(f))(x), grads, 1e-9, 1e-9)
    assert_same(ft.jit(ft.grad(lambda x: fnp.sum(ft.vmap(f)(x))))(x), grads, 1e-9, 1e-9)
    tangents = [ft.jvp(f, (v,), (1.0,))[1] for v in x]
    assert_same(ft.jvp(ft.vmap(f), (x,), (np.ones_like(x),))[1], np.stack(tangents), 1e-9, 1e-9)


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(-3, 10), min_size=1, max_size=6))
def test_switches(indices):
    branches = [lambda i: TABLE[i + 3], lambda i: TABLE[i], lambda i: -1.0, lambda i: TABLE[i - 6]]
    f = lambda i: lax.switch(fnp.clip(i // 3 + 1, 0, 3), branches, i)
    i = np.array([k for k in indices if k not in (2, 9)] + [0])  # those read at 5 and at 3 beyond their table
    wanted = np.stack([f(int(k)) for k in i])
    assert_same(ft.vmap(f)(i), wanted)
    assert_same(ft.jit(ft.vmap(f))(i), wanted)


@pytest.mark.parametrize("starts", [[0, 3, 4], [5, 5], [4, 9, -2]], ids=str)
def test_loops_that_are_done(starts):
    i = np.array(starts)
    wanted = np.stack([walk(int(k)) for k in i])
    assert_same(ft.vmap(walk)(i), wanted)
    assert_same(ft.jit(ft.vmap(walk))(i), wanted)


def test_reverse_mode_of_loops_that_are_done():
    def f(x, i):
        return lax.while_loop(lambda c: c[0] < 5, lambda c: (c[0] + 1, c[1] * TABLE[c[0]] + fnp.sin(c[1])), (i, x))[1]

    x, i = np.array([0.1, 0.2, 0.3]), np.array([0, 3, 4])
    wanted = np.stack([ft.grad(f)(a, int(b)) for a, b in zip(x, i)])
    assert_same(ft.vmap(ft.grad(f))(x, i), wanted, 1e-12)
    assert_same(ft.jit(ft.vmap(ft.grad(f)))(x, i), wanted, 1e-12)


def test_checks_of_examples_that_do_not_make_them():
    def f(x):
        def checked(x):
            checking.check(x > 0, "{x} is not positive", x=x)
            return x * 2

        return lax.cond(x > -1, checked, lambda x: x, x)

    error, out = checking.checkify(ft.vmap(f))(np.array([1.0, -3.0]))
    assert_same(out, np.array([2.0, -3.0]))
    error.throw()
    error, _ = checking.checkify(ft.vmap(f))(np.array([1.0, -0.5]))
    with pytest.raises(errors.CheckError, match="-0.5 is not positive"):
        error.throw()


def test_examples_that_take_a_branch_still_raise():
    f = lambda i: lax.cond(i < 7, lambda i: TABLE[i], lambda i: 0.0, i)
    for run in (ft.vmap(f), ft.jit(ft.vmap(f))):
        assert_same(run(np.array([1, 8])), np.array([2.0, 0.0]))
        with pytest.raises(errors.IndexOutOfBoundsError):
            run(np.array([1, 6]))


def test_a_dear_branch_runs_only_if_somebody_takes_it():
    calls = []

    def seen(x):
        calls.append(x)
        return x

    def dear(x):
        x = ft.pure_callback(seen, ft.ShapeDtypeStruct((), np.float64), x, vmap_method="broadcast_all")
        return lax.fori_loop(0, 1000, lambda i, y: fnp.sin(y), x)

    f = ft.jit(ft.vmap(lambda x: lax.cond(x > 0, dear, lambda x: -x, x)))
    f(np.array([-1.0, -2.0]))
    assert not calls
    f(np.array([-1.0, 2.0]))
    assert calls
