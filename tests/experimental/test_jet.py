"""Taylor mode against nested forward mode and closed forms, for every primitive that has a derivative."""

import functools
import math
import re

import numpy as np
import pytest
from samples import samples

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.core.jaxpr import Jaxpr, inner_jaxprs
from functrans.core.primitive import registry
from functrans.experimental.jet import jet
from functrans.experimental.ode import odeint
from functrans.transforms.taylor import taylor

CURVE = (0.3, 0.7, -0.4, 0.2, 0.5, -0.1)  # a value and derivatives


def nested(f, order):
    """The derivatives of a function of a number, by forward mode of forward mode."""
    out = [f]
    for _ in range(order):
        out.append(lambda t, g=out[-1]: ft.jvp(g, (t,), (1.0,))[1])
    return [g(0.0) for g in out]


def polynomial(coefficients):
    return lambda t: sum(c * t**k / math.factorial(k) for k, c in enumerate(coefficients))


def check(f, order=5, rtol=1e-10, compiled=True):
    curve = polynomial(CURVE[: order + 1])
    wanted = nested(lambda t: f(curve(t)), order)
    series = CURVE[1 : order + 1]
    for how in (jet, ft.jit(jet, static_argnums=0)) if compiled else (jet,):
        out, terms = how(f, (CURVE[0],), (series,))
        for got, w in zip([out, *terms], wanted, strict=True):
            np.testing.assert_allclose(got, w, rtol=rtol, atol=rtol)


FUNCTIONS = [
    "sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh", "asin", "acos", "atan", "asinh", "atanh", "erf",
    "lgamma", "digamma", "logistic", "square", "reciprocal", "cbrt", "expm1", "log1p", "exp2", "erf_inv", "abs",
    "floor",
]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_a_number(name):
    check(getattr(lax, name), compiled=False)


@ft.custom_jvp
def with_rule(x):
    return np.floor(x)  # the rule says otherwise


with_rule.defjvp(lambda primals, tangents: (with_rule(primals[0]), np.cos(primals[0]) * tangents[0]))

PROGRAMS = {
    "powers": lambda t: t**3.5 + t**3 + 2.0**t + t**-2 + t**2 + t**0,
    "of two": lambda t: np.logaddexp(t, t * t) + np.hypot(t, 1 - t) + np.arctan2(t, 1 + t) + np.maximum(t, t * t),
    "quotient": lambda t: (1 + t) / (2 - t * t) + 3 / t + t / 4,
    "network": lambda t: np.sum(np.tanh(np.tanh(np.outer([1.0, 2.0], [0.3, 0.4]) @ np.stack([t, t * t])))),
    "softmax": lambda t: (ft.nn.softmax(np.stack([t, t * t, 1 - t])) * np.arange(3.0)).sum(),
    "sorted": lambda t: np.max(np.sort(np.stack([t, t * t, np.cos(t)])) * np.array([1.0, 2.0, 3.0])),
    "indexed": lambda t: (fnp.zeros(3).at[1].set(t * t).at[0].add(t))[:2].prod(),
    "control flow in Python": lambda t: np.sin(t) if t > 0 else t,
    "scan": lambda t: lax.scan(lambda c, x: (np.sin(c) * x, c * t), t, np.array([1.0, 2.0, 0.5]))[1].sum(),
    "scan of constants first": lambda t: lax.scan(lambda c, x: (c + t * x, c), 0.0, np.arange(4.0))[1][-1],
    "while": lambda t: lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, np.sin(c[1]) * t + c[1]), (0, t))[1],
    "cond": lambda t: lax.cond(t > 0, lambda x: np.sin(x * t), lambda x: x, t),
    "cond, one branch of which is constant": lambda t: lax.cond(t > 0, lambda x: 1.0, lambda x: x * x, t),
    "jit": lambda t: ft.jit(lambda x: np.tanh(x) * x)(t),
    "checkpoint": lambda t: ft.checkpoint(lambda x: np.tanh(x) * x)(t),
    "grad": lambda t: ft.grad(lambda x: np.sin(x * t) * x)(t),
    "vmap": lambda t: np.sum(ft.vmap(lambda x: np.sin(x * t))(np.arange(3.0))),
    "solve": lambda t: np.linalg.solve(np.stack([np.stack([t, 1 + t]), np.stack([t * t - 3, t])]), np.ones(2)).sum(),
    "cholesky": lambda t: np.linalg.cholesky(np.eye(2) * (2 + t) + t * 0.3)[1].sum(),
    "det": lambda t: np.linalg.det(np.eye(2) * (2 + t) + t * 0.3),
    "stop_gradient": lambda t: t * ft.stop_gradient(t),
    "custom_jvp": lambda t: with_rule(t) * t,
    "complex": lambda t: np.abs(np.exp((1 + 2j) * t) + t) + np.sin(1j * t).imag,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    if name == "control flow in Python":
        f = PROGRAMS[name]
        out, terms = jet(f, (CURVE[0],), (CURVE[1:],))
        np.testing.assert_allclose([out, *terms], nested(lambda t: f(polynomial(CURVE)(t)), 5), rtol=1e-12)
    else:
        check(PROGRAMS[name])


def test_solutions_of_differential_equations():
    check(lambda t: odeint(lambda y, s: -y * t, 1.0, np.array([0.0, 1.0]))[-1], order=2)


NAMES = sorted(name for name in registry if any(sample.order > 1 for sample in samples(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_primitive_to_second_order(name):
    """What Taylor mode makes of the registry's samples, against forward mode of forward mode along the same curve."""
    for sample in samples(name):
        if sample.order < 2:
            continue
        rng = np.random.default_rng(0)
        args = [np.asarray(a) for a in sample.args]
        rows = [
            [(0.1 * rng.normal(size=a.shape)).astype(a.dtype) for _ in range(2)] if a.dtype.kind in "fc" else None
            for a in args
        ]
        fun = lambda *xs, sample=sample: ft.tree.leaves(sample.fun(*xs))

        def along(t, args=args, rows=rows, fun=fun):
            return fun(*[a if r is None else (a + t * r[0] + t * t * r[1]).astype(a.dtype) for a, r in zip(args, rows)])

        first = lambda t, along=along: ft.jvp(along, (t,), (1.0,))[1]
        wanted = zip(first(0.0), ft.jvp(first, (0.0,), (1.0,))[1])
        for terms, derivatives in zip(taylor(fun, 2, args, rows)[1], wanted, strict=True):
            for k, derivative in enumerate(derivatives):
                if derivative.dtype != ft.float0:
                    got = np.zeros(()) if terms is None or terms[k] is None else terms[k] * (k + 1)
                    scale = np.max(np.abs(derivative), initial=1.0)
                    np.testing.assert_allclose(got, derivative, rtol=1e-8, atol=1e-8 * scale)


# ---------------------------------------------------------------- how it is used


def test_conventions():
    """Coefficients are derivatives by default, those of a polynomial otherwise; results have `fun`'s structure."""
    f = lambda x, p: {"sum": np.sin(x) + p["a"], "product": (x * p["a"], 2)}
    primals, series = (0.5, {"a": np.ones(2)}), ((1.0, 0.4), ({"a": np.zeros(2)}, {"a": np.full(2, 6.0)}))
    out, terms = jet(f, primals, series)
    np.testing.assert_allclose(terms["sum"][0], [np.cos(0.5)] * 2)
    np.testing.assert_allclose(terms["sum"][1], [-np.sin(0.5) + 0.4 * np.cos(0.5) + 6] * 2)
    np.testing.assert_allclose(terms["product"][0], ([1.0, 1.0], [0.4 + 0.5 * 6] * 2))
    assert [int(t) for t in terms["product"][1]] == [0, 0]
    assert out["product"][1] == 2
    halved = ((1.0, 0.2), ({"a": np.zeros(2)}, {"a": np.full(2, 3.0)}))
    _, plain = jet(f, primals, halved, factorial_scaled=False)
    np.testing.assert_allclose(plain["sum"], [terms["sum"][0], terms["sum"][1] / 2])
    assert jet(np.sin, (0.5,), ((),)) == (np.sin(0.5), [])


def test_dtypes():
    out, terms = jet(lambda x: np.exp(x) / 3 + x**2, (np.float32(0.5),), ((1.0, 0.0, 0.0),))
    assert {t.dtype for t in (out, *terms)} == {np.dtype(np.float32)}


def test_inside_and_outside_of_other_transformations():
    third = lambda x: jet(np.sin, (x,), ((1.0, 0.0, 0.0),))[1][2]
    x = np.linspace(0.0, 1.0, 4)
    np.testing.assert_allclose(ft.vmap(third)(x), -np.cos(x))
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.grad(third)))(x), np.sin(x))
    np.testing.assert_allclose(ft.jvp(third, (0.3,), (1.0,))[1], np.sin(0.3))
    of_grad = jet(ft.grad(lambda x: np.sin(x) * x), (0.3,), ((1.0, 0.0),))[1]
    np.testing.assert_allclose(of_grad[1], -3 * np.sin(0.3) - 0.3 * np.cos(0.3))
    of_jet = jet(lambda x: jet(np.exp, (x * x,), ((1.0, 0.0),))[1][1], (0.3,), ((1.0, 0.0),))[1]
    np.testing.assert_allclose(of_jet, [0.6 * np.exp(0.09), 2.36 * np.exp(0.09)])


def equations(jaxpr: Jaxpr) -> int:
    return sum(1 + sum(equations(j) for _, j in inner_jaxprs(eqn.params)) for eqn in jaxpr.eqns)


def test_cheaper_than_nested_derivatives():
    """The number of operations grows with the square of the order at most, that of nested derivatives exponentially."""
    f = lambda x: np.tanh(np.sin(x) * np.exp(x))

    def by_nesting(order):
        g = f
        for _ in range(order):
            g = lambda t, g=g: ft.jvp(g, (t,), (1.0,))[1]
        return equations(ft.make_jaxpr(g)(0.5).jaxpr)

    def by_series(order):
        series = ((1.0, *[0.0] * (order - 1)),)
        return equations(ft.make_jaxpr(lambda x: jet(f, (x,), series))(0.5).jaxpr)

    assert 4 * by_series(6) < by_nesting(6)
    counts = [by_series(order) for order in (4, 8, 16)]
    assert counts[2] - counts[1] < 5 * (counts[1] - counts[0])  # four times for a square, and linear parts


def test_long_programs():
    """Coefficients are computed as the program goes: its length is no depth of calls."""
    _, terms = jet(
        lambda x: functools.reduce(lambda y, _: y * 1.0001 + 1e-4 * x, range(2000), x), (1.0,), ((1.0, 0.0),)
    )
    assert np.isfinite(terms[0])


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((np.sin, 0.5, (1.0,)), errors.ArgumentError, "takes primals and series as tuples or lists"),
        ((np.sin, (0.5,), ((1.0,), (1.0,))), errors.ArgumentError, "1 primals, but series for 2 arguments"),
        ((np.add, (0.5, 1.0), ((1.0,), (1.0, 2.0))), errors.ArgumentError, "must have one length, they have [1, 2]"),
        ((np.sin, (np.ones(2),), ((1.0,),)), errors.ShapeError, "coefficient 1 of argument 0 is f64[]"),
        ((np.sin, (3,), ((1.0,),)), errors.DTypeError, "argument 0 is i64[]; series are of real or complex numbers"),
        ((np.sin, ("x",), ((1.0,),)), errors.DTypeError, "a primal of jet"),
        ((np.sin, ((0.5,),), ((1.0,),)), errors.TreeStructureError, "coefficient 1 of argument 0 has the structure"),
        ((lambda x: "y", (0.5,), ((1.0,),)), errors.DTypeError, "given to jet, returned 'y'"),
    ],
)
def test_errors(arguments, error, says):
    with pytest.raises(error, match=re.escape(says)):
        jet(*arguments)


def test_no_derivative():
    shape = ft.ShapeDtypeStruct((), np.float64)
    with pytest.raises(errors.NotDifferentiableError, match="callback"):
        jet(lambda x: ft.pure_callback(np.sin, shape, x), (0.5,), ((1.0,),))

    def closure(x):
        g = ft.custom_jvp(lambda y: y * x)
        g.defjvp(lambda primals, tangents: (g(primals[0]), tangents[0]))
        return g(x)

    with pytest.raises(errors.NotDifferentiableError, match="captures a value"):
        jet(closure, (0.5,), ((1.0,),))
