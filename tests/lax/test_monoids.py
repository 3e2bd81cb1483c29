"""`reduce` and `reduce_window` by functions of the user's own, against `functools.reduce`."""

import functools
import operator

import numpy as np
import pytest
from helpers import assert_same

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.testing import check_grads

rng = np.random.default_rng(0)
X = rng.normal(size=(3, 5, 2))

#: An associative function, its identity.
MONOIDS = {
    "sum": (lambda x, y: x + y, 0.0),
    "product": (operator.mul, 1.0),
    "maximum": (np.maximum, -np.inf),
    "hypot": (lambda x, y: fnp.sqrt(x * x + y * y), 0.0),
    "logaddexp": (fnp.logaddexp, -np.inf),
    "probability": (lambda x, y: x + y - x * y, 0.0),
    "last": (lambda x, y: y, 0.0),
    "first nonzero": (lambda x, y: lax.cond(x != 0, lambda: x, lambda: y), 0.0),
}


@pytest.mark.parametrize("axes", [(1,), (-1, 0), ()], ids=str)
@pytest.mark.parametrize("name", MONOIDS)
def test_reduce(name, axes):
    f, init = MONOIDS[name]
    kept = [n for i, n in enumerate(X.shape) if i not in {a % 3 for a in axes}]
    rows = np.moveaxis(X, axes, range(-len(axes), 0)).reshape(*kept, -1)
    want = np.apply_along_axis(lambda v: functools.reduce(f, v, np.float64(init)), -1, rows)
    fun = lambda x: lax.reduce(x, init, f, axes)
    np.testing.assert_allclose(fun(X), want, rtol=1e-12)
    if axes == (1,):
        np.testing.assert_allclose(ft.jit(fun)(X), want, rtol=1e-12)


@pytest.mark.parametrize("name", MONOIDS)
def test_derivatives_and_maps(name):
    f, init = MONOIDS[name]
    fun = lambda x: lax.reduce(x, init, f, (0,))
    if name not in ("hypot", "logaddexp"):  # not smooth where they start
        check_grads(fun, (X,), 2)
    np.testing.assert_allclose(ft.vmap(fun, 1)(X), np.stack([fun(X[:, i]) for i in range(5)]), rtol=1e-12)


def test_named_monoids_are_native():
    jaxpr = ft.make_jaxpr(lambda x: lax.reduce(x, 0.0, lambda x, y: x + y, (0, 1)))(X)
    assert [e.primitive.name for e in jaxpr.eqns] == ["reduce_sum"]
    assert_same(lax.reduce(X, 2.0, lax.add, (0,)), X.sum(0) + 2, rtol=1e-14)
    assert_same(lax.reduce(np.array([6, 3]), 7, lax.bitwise_and, (0,)), np.array(2))
    assert_same(lax.reduce(np.zeros((0, 2)), -np.inf, lax.max, (0,)), np.full(2, -np.inf))


def test_several_operands():
    def later_maximum(x, y):
        better = y["value"] >= x["value"]
        return {k: fnp.where(better, y[k], x[k]) for k in x}

    values = np.round(X)
    operands = {"value": values, "place": np.broadcast_to(np.arange(5)[:, None], X.shape)}
    fun = lambda o: lax.reduce(o, {"value": -np.inf, "place": -1}, later_maximum, (1,))
    for found in (fun(operands), ft.jit(fun)(operands), ft.vmap(fun)(ft.tree.map(lambda v: v[:, None], operands))):
        found = ft.tree.map(lambda v: v.reshape(3, 2), found)
        np.testing.assert_array_equal(found["value"], values.max(1))
        np.testing.assert_array_equal(found["place"], 4 - values[:, ::-1].argmax(1))


def test_captured_values():
    """The function may capture values, also differentiated ones."""
    fun = lambda a, x: lax.reduce(x, 0.0, lambda x, y: x + y - a * x * y, (0,))
    want = functools.reduce(lambda x, y: x + y - 0.5 * x * y, X, np.zeros((5, 2)))
    np.testing.assert_allclose(ft.jit(fun)(0.5, X), want, rtol=1e-12)
    check_grads(fun, (0.5, X), 1)


@pytest.mark.parametrize("name", MONOIDS)
@pytest.mark.parametrize("padding", ["VALID", "SAME"])
def test_reduce_window(name, padding):
    f, init = MONOIDS[name]
    x = X[0]
    fun = lambda x: lax.reduce_window(x, init, f, (3, 1), (2, 1), padding)
    padded = x if padding == "VALID" else np.pad(x, ((1, 1), (0, 0)), constant_values=init)
    want = [
        functools.reduce(lambda a, b: np.vectorize(f)(a, b), padded[i : i + 3], np.full(2, init))
        for i in range(0, len(padded) - 2, 2)
    ]
    np.testing.assert_allclose(fun(x), np.stack(want), rtol=1e-12)
    if padding == "SAME":
        np.testing.assert_allclose(ft.jit(ft.vmap(fun))(np.stack([x, x]))[1], np.stack(want), rtol=1e-12)
    if name not in ("hypot", "logaddexp"):
        check_grads(fun, (x,), 1)


def test_reduce_window_of_several_operands():
    def largest(x, y):
        return tuple(fnp.where(y[0] > x[0], b, a) for a, b in zip(x, y))

    x = X[:, :, 0]
    place = np.arange(15).reshape(3, 5)
    values, places = lax.reduce_window((x, place), (-np.inf, -1), largest, (2, 2))
    np.testing.assert_array_equal(values, lax.reduce_window_max(x, (2, 2)))
    np.testing.assert_array_equal(x.ravel()[places], values)


BAD = {
    "init": (lambda: lax.reduce(X, np.zeros(2), lax.add, (0,)), errors.ShapeError, "must be a scalar"),
    "init dtype": (
        lambda: lax.reduce(X, np.float32(0), lax.add, (0,)),
        errors.DTypeError,
        "init_value has dtype float32",
    ),
    "structure": (lambda: lax.reduce((X, X), 0.0, lax.add, (0,)), errors.TreeStructureError, "init_values"),
    "result": (lambda: lax.reduce((X, X), (0.0, 0.0), lambda x, y: x[0], (0,)), errors.TreeStructureError, "element"),
    "dtype": (lambda: lax.reduce(X, 0.0, lambda x, y: x > y, (0,)), errors.DTypeError, "of dtype float64"),
    "shapes": (lambda: lax.reduce((X, X[0]), (0.0, 0.0), lambda x, y: x, (0,)), errors.ShapeError, "one shape"),
    "axis": (lambda: lax.reduce(X, 0.0, lax.add, (3,)), errors.AxisError, "axis 3"),
    "function": (lambda: lax.reduce(X, 0.0, None, (0,)), errors.ArgumentError, "computation"),
    "window": (lambda: lax.reduce_window(X, 0.0, lambda x, y: x > y, (1, 1, 1)), errors.DTypeError, "reduce_window"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
    with pytest.raises(error, match=text):
        ft.jit(lambda: call())()
