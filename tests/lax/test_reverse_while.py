"""Reverse mode of loops whose number of turns is known only when they run, against scans of as many turns."""

import itertools

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans.errors import ArgumentError
from functrans.testing import check_grads

lax = ft.lax


def loop(turns, step, value):
    """`step` so many times, as a loop that the number is only an argument of."""
    return lax.while_loop(lambda c: c[1] < turns, lambda c: (step(c[0]), c[1] + 1), (value, 0))[0]


def unrolled(turns, step, value):
    for _ in range(turns):
        value = step(value)
    return value


BODIES = {
    "scalar": (lambda a: lambda c: fnp.sin(c) * a + 0.3 * c, ()),
    "vector": (lambda a: lambda c: fnp.tanh(fnp.roll(c, 1) * a) + 0.1 * fnp.sum(c), (3,)),
    "matrix": (lambda a: lambda c: 0.5 * fnp.cos(c @ c.T) + a * c, (2, 2)),
    "no constant": (lambda a: lambda c: fnp.sin(c) + 1.0, (2,)),
}


@pytest.mark.parametrize("name", BODIES)
@given(turns=st.integers(0, 6), seed=st.integers(0, 50))
def test_gradients(name, turns, seed):
    step, shape = BODIES[name]
    rng = np.random.default_rng(seed)
    x, a = rng.normal(size=shape), rng.normal()
    f = lambda x, a: fnp.sum(fnp.sin(loop(turns, step(a), x)))
    wanted = ft.grad(lambda x, a: fnp.sum(fnp.sin(unrolled(turns, step(a), x))), (0, 1))(x, a)
    for gradient in (ft.grad(f, (0, 1)), ft.jit(ft.grad(f, (0, 1))), ft.grad(ft.jit(f), (0, 1))):
        for got, want in zip(gradient(x, a), wanted):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("turns", [0, 1, 1023, 1024, 1025, 2048, 3000])
def test_the_tape_grows_by_chunks(turns):
    f = lambda x, n: lax.while_loop(lambda c: c[1] < n, lambda c: (c[0] * 1.001, c[1] + 1), (x, 0))[0]
    np.testing.assert_allclose(ft.jit(ft.grad(f))(2.0, turns), 1.001**turns, rtol=1e-10)


def test_values_of_any_structure_and_dtype():
    def f(x):
        state = {"x": x, "n": 0, "seen": fnp.zeros(2, bool), "single": x.astype(np.float32)}

        def body(s):
            return {"x": s["x"] ** 2 / 2, "n": s["n"] + 1, "seen": s["seen"] | (s["x"] > 1), "single": s["single"] * 2}

        out = lax.while_loop(lambda s: (s["n"] < 3) & ~fnp.all(s["seen"]), body, state)
        return fnp.sum(out["x"]) + fnp.sum(out["single"])

    x = np.array([0.5, 1.5])
    np.testing.assert_allclose(ft.jit(ft.grad(f))(x), ft.grad(f)(x), rtol=1e-6)
    assert ft.jit(ft.grad(f))(x).dtype == np.float64


def grown(x):
    return lax.while_loop(lambda c: fnp.sum(c) < 50.0, lambda c: 1.2 * c + 0.1 * fnp.sin(c), x)


def test_lanes_with_numbers_of_turns_of_their_own():
    x = np.array([0.5, 3.0, 20.0, 90.0])
    each = np.array([ft.grad(grown)(v) for v in x])
    np.testing.assert_allclose(ft.vmap(ft.grad(grown))(x), each, rtol=1e-12)
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.grad(grown)))(x), each, rtol=1e-12)
    np.testing.assert_allclose(ft.grad(lambda x: fnp.sum(ft.vmap(grown)(x)))(x), each, rtol=1e-12)
    rows = np.stack([x, x[::-1]])
    twice = ft.jit(ft.vmap(ft.vmap(ft.grad(grown))))(rows)
    np.testing.assert_allclose(twice, np.stack([each, each[::-1]]), rtol=1e-12)


def test_second_derivatives():
    f = lambda x: fnp.sum(fnp.sin(grown(x)))
    x = np.array([0.5, 1.0, 2.0])
    check_grads(f, (x,), order=2)
    wanted = ft.jacfwd(ft.jacfwd(f))(x)
    for hessian in (ft.hessian(f), ft.jit(ft.hessian(f)), ft.jacrev(ft.grad(f)), ft.jit(ft.jacrev(ft.jacfwd(f)))):
        np.testing.assert_allclose(hessian(x), wanted, rtol=1e-9, atol=1e-9)
    for hessian in (ft.jit(ft.jacrev(ft.jacrev(f))), ft.jacrev(ft.jit(ft.grad(f))), ft.jit(ft.jacfwd(ft.jacrev(f)))):
        np.testing.assert_allclose(hessian(x), wanted, rtol=1e-9, atol=1e-9)


def orders(f, order):
    """All ways to take derivatives of a scalar function of a scalar, by reverse and forward mode in turn."""
    for modes in itertools.product([ft.grad, ft.jacfwd], repeat=order):
        g = f
        for mode in modes:
            g = mode(g)
        yield g


def slow(a, x):
    """Turns whose number depends on the value, with a constant that is differentiated and a nested loop."""
    inner = lambda v: lax.while_loop(lambda c: c[1] < 2, lambda c: (fnp.sin(c[0]) * a + c[0], c[1] + 1), (v, 0))[0]
    return lax.while_loop(lambda c: c < 20.0, lambda c: 1.5 * inner(c) + a * a, x)


@pytest.mark.parametrize("order", [2, 3])
def test_reverse_mode_again_and_again(order):
    for f, x in ((lambda a: slow(a, 1.5), 0.3), (lambda x: slow(0.3, x), 1.5)):
        wanted = [float(g(x)) for g in orders(f, order)]
        np.testing.assert_allclose(wanted, wanted[0], rtol=1e-9)
        for g in list(orders(f, order)) if order == 2 else [ft.grad(ft.grad(ft.grad(f)))]:
            np.testing.assert_allclose(ft.jit(g)(x), wanted[0], rtol=1e-9)


def test_second_reverse_mode_of_lanes():
    lanes = np.array([1.5, 7.0, 30.0])
    g = ft.grad(ft.grad(lambda v: slow(0.3, v)))
    each = np.array([g(v) for v in lanes])
    np.testing.assert_allclose(ft.jit(ft.vmap(g))(lanes), each, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ft.vmap(ft.jit(g))(lanes), each, rtol=1e-9, atol=1e-12)


def test_second_reverse_mode_of_many_chunks():
    f = lambda x, n: lax.fori_loop(0, n, lambda i, c: c + 1e-3 * fnp.sin(c) * x, x)
    wanted = ft.grad(ft.grad(lambda x: lax.fori_loop(0, 2500, lambda i, c: c + 1e-3 * fnp.sin(c) * x, x)))(0.8)
    np.testing.assert_allclose(ft.jit(ft.grad(ft.grad(f)))(0.8, 2500), wanted, rtol=1e-9)


def test_the_derivative_of_a_pullback_with_respect_to_its_cotangent():
    x = np.array([0.5, 1.0, 2.0])

    def pulled(ct):
        return ft.vjp(grown, x)[1](ct)[0]

    jacobian = ft.jit(ft.jacrev(pulled))(np.ones(3))
    np.testing.assert_allclose(jacobian, ft.jacfwd(grown)(x).T, rtol=1e-10)


def test_loops_in_loops():
    def f(x):
        inner = lambda c: lax.while_loop(lambda v: v[1] < 3, lambda v: (fnp.sin(v[0]) + v[0], v[1] + 1), (c, 0))[0]
        return lax.while_loop(lambda c: c[1] < 4, lambda c: (inner(c[0]) * 0.3, c[1] + 1), (x, 0))[0]

    check_grads(f, (0.7,), order=1)
    np.testing.assert_allclose(ft.jit(ft.grad(f))(0.7), ft.grad(f)(0.7), rtol=1e-12)
    scanned = lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=3)[0]
    np.testing.assert_allclose(ft.jit(ft.grad(scanned))(0.7), ft.grad(scanned)(0.7), rtol=1e-12)
    branched = lambda x: lax.cond(x > 0, f, lambda x: x, x)
    np.testing.assert_allclose(ft.jit(ft.grad(branched))(0.7), ft.grad(f)(0.7), rtol=1e-12)


def test_fori_loop_with_traced_bounds():
    f = lambda n, x: lax.fori_loop(0, n, lambda i, c: c * fnp.sin(c) + i, x)
    wanted = ft.grad(lambda x: lax.fori_loop(0, 5, lambda i, c: c * fnp.sin(c) + i, x))(1.3)
    np.testing.assert_allclose(ft.jit(ft.grad(f, 1))(5, 1.3), wanted, rtol=1e-12)
    np.testing.assert_allclose(ft.grad(f, 1)(5, 1.3), wanted, rtol=1e-12)


@pytest.mark.parametrize("max_steps", [0, 1, 3, 20, 100])
def test_max_steps(max_steps):
    def f(x):
        return lax.while_loop(lambda c: c < 50.0, lambda c: 1.2 * c + 0.1 * fnp.sin(c), x, max_steps=max_steps)

    def plain(x):
        state = lax.while_loop(
            lambda s: (s[0] < 50.0) & (s[1] < max_steps), lambda s: (1.2 * s[0] + 0.1 * fnp.sin(s[0]), s[1] + 1), (x, 0)
        )
        return state[0]

    for x in (0.5, 3.0, 90.0):
        np.testing.assert_allclose(f(x), plain(x), rtol=1e-14)
        np.testing.assert_allclose(ft.jit(ft.grad(f))(x), ft.grad(plain)(x), rtol=1e-12)
        np.testing.assert_allclose(ft.jit(ft.grad(ft.grad(f)))(x), ft.grad(ft.grad(plain))(x), rtol=1e-9, atol=1e-12)
    x = np.array([0.5, 3.0, 90.0])
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.grad(f)))(x), [ft.grad(plain)(v) for v in x], rtol=1e-12)


def test_max_steps_keeps_little():
    def residuals(**limit):
        f = lambda x: fnp.sum(lax.while_loop(lambda c: fnp.sum(c) < 1e6, fnp.sin, x, **limit))
        memory = ft.jit(ft.grad(f)).lower(np.ones(1000)).compile().memory_analysis()
        return memory.temp_size_in_bytes

    assert residuals(max_steps=10_000) < 10_000 * 1000 * 8 / 20  # two hundred of ten thousand values, and some more


def test_errors():
    with pytest.raises(ArgumentError, match="max_steps of while_loop must not be negative, got -1"):
        lax.while_loop(lambda c: c < 1, lambda c: c, 0, max_steps=-1)
