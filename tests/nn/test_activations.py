"""Activations against their formulas in extended precision, at every size of argument, compiled and differentiated."""

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given

import functrans as ft
import functrans.numpy as fnp
from functrans.testing import arrays, check_grads

nn = ft.nn
L = np.longdouble
ALPHA, SCALE = 1.6732632423543772848, 1.0507009873554804934


def logistic(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


FORMULAS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": logistic,
    "tanh": np.tanh,
    "softplus": softplus,
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "soft_sign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * logistic(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "log_sigmoid": lambda x: -softplus(-x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "celu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "selu": lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * logistic(np.sqrt(8 / L(np.pi)) * (x + L(0.044715) * x**3)),
    "leaky_relu": lambda x: np.where(x >= 0, x, L(0.01) * x),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_silu": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x >= 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
}
#: Where a first or second derivative jumps.
KINKS = {
    "relu": (0,), "relu6": (0, 6), "elu": (0,), "celu": (0,), "selu": (0,), "leaky_relu": (0,), "hard_tanh": (-1, 1),
    "hard_sigmoid": (-3, 3), "hard_silu": (-3, 3), "soft_sign": (0,), "sparse_plus": (-1, 1),
    "sparse_sigmoid": (-1, 1),
}  # fmt: skip
X = np.concatenate([np.linspace(-12, 12, 97), [-700.0, -80.0, 80.0, 700.0, 1e-8, -1e-8]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", FORMULAS)
def test_values(name, dtype):
    x = X.astype(dtype)
    with np.errstate(all="ignore"):
        want = FORMULAS[name](x.astype(L)).astype(np.float64)
        # a relative error of some units in the last place; where exp goes below the normal numbers, no more than those
        tolerance = {"rtol": 400 * np.finfo(dtype).eps, "atol": 10 * float(np.finfo(dtype).tiny)}
        if name == "squareplus":  # by definition a difference of large numbers
            tolerance["atol"] = 700 * float(np.finfo(dtype).eps)
        for f in (getattr(nn, name), ft.jit(getattr(nn, name))):
            got = f(x)
            assert got.dtype == dtype
            np.testing.assert_allclose(got, want, **tolerance)


@pytest.mark.parametrize("name", FORMULAS)
def test_infinities_and_nan(name):
    f, limits = getattr(nn, name), [math.inf, -math.inf, math.nan]
    with np.errstate(all="ignore"):
        got = np.asarray(f(np.array(limits)))
    assert np.isnan(got[2])
    if name in ("soft_sign", "silu", "gelu", "mish", "hard_silu", "squareplus"):
        return  # inf / inf, or 0 times inf: NaN is right by IEEE's rules
    np.testing.assert_array_equal(got[:2], FORMULAS[name](np.array(limits[:2], L)).astype(float))


@pytest.mark.parametrize("name", FORMULAS)
@given(x=arrays(shape=(4,), domain=(-5, 5), exclude=(-3, -1, 0, 1, 3, 6)))
def test_derivatives(name, x):
    f = getattr(nn, name)
    check_grads(f, (x,), order=2)
    np.testing.assert_allclose(ft.jit(ft.vmap(ft.grad(f)))(x), ft.vmap(ft.grad(f))(x), rtol=1e-12, atol=1e-14)


def test_derivatives_at_kinks_are_finite():
    for name, places in KINKS.items():
        for place in places:
            assert np.isfinite(ft.grad(getattr(nn, name))(float(place))), name
    assert ft.grad(nn.relu)(0.0) == 0.0


def test_gelu_by_the_error_function():
    want = X * scipy.special.ndtr(X)
    np.testing.assert_allclose(nn.gelu(X, approximate=False), want, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(ft.jit(lambda x: nn.gelu(x, approximate=False))(X), want, rtol=1e-13, atol=1e-300)


def test_log1mexp():
    x = np.concatenate([np.logspace(-300, 2.8, 60), [np.log(2), 0.5, 1.0]])
    with np.errstate(all="ignore"):
        want = np.where(x < 1, np.log(-np.expm1(-x.astype(L))), np.log1p(-np.exp(-x.astype(L)))).astype(float)
    with np.errstate(under="ignore"):
        for f in (nn.log1mexp, ft.jit(nn.log1mexp)):
            np.testing.assert_allclose(f(x), want, rtol=4e-16, atol=1e-300)
        slopes = ft.vmap(ft.grad(nn.log1mexp))(x)
        np.testing.assert_allclose(slopes, np.exp(-x) / -np.expm1(-x), rtol=1e-14)
    assert nn.log1mexp(np.float32([1.0])).dtype == np.float32


def test_sums_of_exponentials_of_some_elements():
    rng = np.random.default_rng(3)
    x, where = 500 * rng.normal(size=(3, 4)), rng.random((3, 4)) < 0.7
    where[:, 0] = True
    for f in (nn.logmeanexp, nn.logsumexp):
        for g in (f, ft.jit(lambda *args, f=f: f(*args[:1], 1, where=args[1]))):
            got = g(x, where) if g is not f else f(x, 1, where=where)
            for row, mask, y in zip(x, where, got):
                total = scipy.special.logsumexp(row[mask])
                np.testing.assert_allclose(y, total - np.log(mask.sum()) * (f is nn.logmeanexp), rtol=1e-14)
        check_grads(lambda x, f=f: f(x, 0, where=where, keepdims=True), (x / 500,), order=2)
        assert f(x, keepdims=True).shape == (1, 1)
    np.testing.assert_allclose(nn.logmeanexp(x), scipy.special.logsumexp(x) - np.log(12), rtol=1e-14)


def test_stable_standardize():
    x = 1e8 + np.random.default_rng(4).normal(size=(2, 50))
    for where in (None, np.arange(50) % 3 > 0):
        got = nn.standardize(x, where=where, epsilon=0.0, algorithm="stable")
        chosen = got if where is None else got[:, where]
        np.testing.assert_allclose(chosen.std(1), 1, rtol=1e-7)
    with pytest.raises(ft.errors.ArgumentError, match="algorithm is 'fast' or 'stable', got 'exact'"):
        nn.standardize(x, algorithm="exact")


def test_glu_standardize_and_one_hot():
    x = np.random.default_rng(0).normal(size=(3, 8))
    np.testing.assert_allclose(nn.glu(x), x[:, :4] * scipy.special.expit(x[:, 4:]), rtol=1e-14)
    rows = nn.standardize(x, axis=1)
    np.testing.assert_allclose(rows.mean(1), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(1), 1, rtol=1e-4)
    np.testing.assert_array_equal(nn.one_hot(np.array([0, 2, 5]), 3), [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert nn.one_hot(fnp.asarray([1]), 2, dtype=np.float32).dtype == np.float32
