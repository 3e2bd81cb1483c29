"""Loops over lanes that do not look at each other: against the eager evaluation, which takes one turn after another."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import config, lax


def is_by_lane(f, *args):
    return " lanes, " in ft.jit(f).lower(*args).as_text("plan")


def check(f, *args, by_lane=True):
    assert is_by_lane(f, *args) is by_lane
    for threads in (1, 3):
        with config.threads(threads):
            for got, want in zip(ft.tree.leaves(ft.jit(f)(*args)), ft.tree.leaves(f(*args)), strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12, strict=True)


STEPS = {
    "scalars": (lambda c, x: (fnp.sin(c) + x, c * x), ()),
    "rows": (lambda c, x: (0.5 * c + fnp.sum(c) * x, c), (5,)),
    "shuffled rows": (lambda c, x: (fnp.stack([c[1], c[2], x - c[0]]), fnp.max(c)), (3,)),
    "matrices": (lambda c, x: (fnp.tanh(c.T + x), fnp.sum(c, axis=1)), (2, 2)),
    "no results": (lambda c, x: (c * 0.9 + x, None), (20,)),
    "the carry as result": (lambda c, x: 2 * (fnp.cos(c + x),), ()),
}


@pytest.mark.parametrize("name", STEPS)
@given(
    lanes=st.sampled_from([64, 65, 300]),
    length=st.integers(2, 5),
    reverse=st.booleans(),
    each_its_own=st.booleans(),
    seed=st.integers(0, 100),
)
def test_scans(name, lanes, length, reverse, each_its_own, seed):
    step, shape = STEPS[name]
    rng = np.random.default_rng(seed)
    carry = rng.normal(size=(lanes, *shape))
    xs = rng.normal(size=(lanes, length) if each_its_own else (length,))

    def f(carry, xs):
        return ft.vmap(lambda c, x: lax.scan(step, c, x, reverse=reverse), (0, 0 if each_its_own else None))(carry, xs)

    check(f, carry, xs)


@given(lanes=st.sampled_from([64, 129, 1000]), seed=st.integers(0, 100))
def test_whiles_in_which_each_lane_has_its_own_number_of_turns(lanes, seed):
    rng = np.random.default_rng(seed)

    def collatz(n):
        start = (n, 0)
        return lax.while_loop(
            lambda c: c[0] > 1, lambda c: (fnp.where(c[0] % 2, 3 * c[0] + 1, c[0] // 2), c[1] + 1), start
        )

    check(ft.vmap(collatz), rng.integers(1, 1000, lanes))


def test_lanes_of_matrices_with_constants_of_their_own():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(100, 3, 3)), rng.uniform(1, 2, (100, 3))

    def one(a, b):
        def body(c):
            x, n = c
            return 0.5 * x + 0.1 * fnp.sum(a * x, axis=1) + b, n + fnp.max(b)

        return lax.while_loop(lambda c: c[1] < 10.0, body, (b, fnp.sum(b)))

    check(ft.vmap(one), a, b)


def test_two_mapped_axes():
    x = np.random.default_rng(0).uniform(1, 50, (70, 3))

    def root(a):
        body = lambda c: 0.5 * (c + a / c)
        return lax.while_loop(lambda c: fnp.abs(c * c - a) > 1e-9, body, a)

    check(ft.vmap(ft.vmap(root)), x)


def test_derivatives_of_mapped_scans():
    x = np.random.default_rng(0).normal(size=(80, 3))

    def last(c):
        return fnp.sum(lax.scan(lambda c, _: (fnp.sin(c) + 0.1 * fnp.sum(c), None), c, None, length=7)[0])

    check(lambda x: ft.vmap(ft.grad(last))(x), x, by_lane=is_by_lane(ft.vmap(ft.grad(last)), x))
    check(lambda x: ft.jvp(ft.vmap(last), (x,), (x,))[1], x)


MIXING = {
    "roll": lambda c: fnp.roll(c, 1) + 0.1,
    "mean": lambda c: c - fnp.mean(c),
    "reversal": lambda c: c[::-1] * 0.5,
    "gather": lambda c: c[fnp.argsort(c)] + 1.0,
    "running sum": lambda c: fnp.cumsum(c) * 0.01,
}


@pytest.mark.parametrize("name", MIXING)
def test_rows_that_look_at_each_other_go_on_together(name):
    x = np.random.default_rng(0).normal(size=100)
    check(lambda x: lax.scan(lambda c, _: (MIXING[name](c), None), x, None, length=3)[0], x, by_lane=False)


def test_a_loop_that_stops_as_a_whole():
    x = np.random.default_rng(0).uniform(1, 2, 100)
    check(lambda x: lax.while_loop(lambda c: fnp.sum(c) < 1e4, lambda c: c * 1.5, x), x, by_lane=False)


def test_a_loop_over_lanes_within_a_loop():
    x = np.random.default_rng(0).normal(size=(90, 4))

    def f(x):
        def outer(c, _):
            inner = ft.vmap(lambda r: lax.scan(lambda c, _: (fnp.sin(c) * 1.1, None), r, None, length=4)[0])
            return inner(c) + fnp.mean(c), None

        return lax.scan(outer, x, None, length=3)[0]

    check(f, x)


def test_values_for_all_lanes_that_are_read_across_them():
    rng = np.random.default_rng(0)
    carry, xs = rng.normal(size=70), rng.normal(size=(4, 70))

    def body(c, x):
        weights = fnp.exp(-x)  # in memory, since it is summed and read backwards
        return fnp.sin(c) + weights[::-1] / fnp.sum(weights), c

    f = lambda carry, xs: lax.scan(body, carry, xs)
    check(f, carry, xs, by_lane=is_by_lane(f, carry, xs))


# ---------------------------------------------------------------- loops and branches inside


def wave(n):
    return lambda x: lax.fori_loop(0, n, lambda i, y: fnp.sin(y) + 0.1, x)


def root(a):
    return lax.while_loop(lambda x: fnp.abs(x * x - a) > 1e-9 * a, lambda x: 0.5 * (x + a / x), a)


def roots_of_roots(x):
    turn = lambda c: (root(c[0]) + 0.5 * x, c[1] + 1)
    return lax.while_loop(lambda c: (c[1] < 6) & (c[0] > 0.3), turn, (x, 0))


def rows_of_rows(x):
    def outer(c, t):
        inner, ys = lax.scan(lambda c, u: (fnp.cos(c) + u * t, fnp.sum(c) * c), c, np.arange(3.0))
        return inner, (c, ys)

    return lax.scan(outer, x * np.ones(2), np.linspace(0, 1, 4))


def a_branch_in_a_loop(x):
    turn = lambda c, _: (lax.cond(c > 0.8, wave(120), lambda c: c + 0.1, c), None)
    return lax.scan(turn, x, None, length=5)[0]


def a_loop_in_a_branch_in_a_branch(x):
    return lax.cond(x > 0.2, lambda x: lax.cond(x < 0.5, wave(200), root, x), lambda x: -x, x)


INSIDE = {f.__name__: f for f in (roots_of_roots, rows_of_rows, a_branch_in_a_loop, a_loop_in_a_branch_in_a_branch)}


@pytest.mark.parametrize("name", INSIDE)
@pytest.mark.parametrize("lanes", [64, 333])
def test_loops_and_branches_inside(name, lanes):
    x = np.random.default_rng(lanes).uniform(0.01, 2, lanes)
    check(ft.vmap(INSIDE[name]), x)


@pytest.mark.parametrize("name", ["rows_of_rows", "a_branch_in_a_loop", "a_loop_in_a_branch_in_a_branch"])
def test_derivatives_of_loops_and_branches_inside(name):
    x = np.random.default_rng(1).uniform(0.01, 2, 70)
    f = lambda x: sum(fnp.sum(y) for y in ft.tree.leaves(INSIDE[name](x)))
    for g in (ft.vmap(ft.grad(f)), ft.grad(lambda x: fnp.sum(ft.vmap(f)(x)))):
        check(g, x, by_lane=is_by_lane(g, x))


@pytest.mark.parametrize("taken", [0.0, 0.02, 0.5, 1.0])
def test_each_block_takes_its_own_branch(taken):
    x = np.where(np.random.default_rng(0).uniform(size=1000) < taken, 1.0, -1.0) * np.linspace(0.1, 2, 1000)
    check(ft.vmap(lambda x: lax.cond(x > 0, wave(300), lambda x: x * 2, x)), x)
    shared = np.linspace(0, 1, 5)
    dear = lambda x: fnp.sum(fnp.exp(-wave(50)(x) * shared)) * shared
    check(ft.vmap(lambda x: lax.cond(x > 0, dear, lambda x: x * shared, x)), x)


def test_branches_that_look_at_other_lanes_are_taken_as_a_whole():
    x = np.linspace(-1, 2, 100)

    def f(x):
        mixed = lambda c: ft.vmap(lambda r: lax.cond(r > 0, wave(100), lambda r: r, r))(c) - fnp.mean(c)
        return lax.scan(lambda c, _: (mixed(c), None), x, None, length=3)[0]

    check(f, x, by_lane=is_by_lane(f, x))


def test_a_branch_on_whether_any_is_the_users_own():
    x = np.linspace(-1, 2, 1000)
    f = lambda x: lax.cond(fnp.any(x > 1.9), wave(100), lambda x: x * 0, x)
    check(f, x, by_lane=is_by_lane(f, x))
