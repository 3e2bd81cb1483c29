"""Keyword arguments of SciPy's and of JAX's functions: taken, or refused with a text that says what to write."""

import importlib
import inspect

import numpy as np
import pytest
import scipy

import functrans as ft
import functrans.numpy as fnp
from functrans.scipy import fft, integrate, optimize, signal, special
from functrans.testing import check_grads

D = ft.errors
X = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
B = np.array([[True, False, True], [True, True, False]])

MODULES = "special stats signal ndimage interpolate integrate optimize fft cluster.vq spatial.transform".split()
#: Parameters of SciPy's that ours do not have, and why.
ABSENT = {
    "RootResults": "a record of traced values",
    "gaussian_kde": "resample takes a key",
    "sph_harm_y": "SciPy's signature names nothing",
    "polygamma": "a ufunc here",
}
#: Parameters that SciPy took away after 1.14.
GONE = ("permutations", "random_state")


@pytest.mark.parametrize("module", MODULES)
def test_parameters_are_scipys(module):
    theirs, ours = (importlib.import_module(f"{p}.{module}") for p in ("scipy", "functrans.scipy"))
    wrong = []
    for name in getattr(ours, "__all__", dir(ours)):
        f, g = getattr(theirs, name, None), getattr(ours, name)
        if name.startswith("_") or not callable(f) or not callable(g) or f is g or name in ABSENT:
            continue
        if isinstance(f, type) or isinstance(inspect.unwrap(f), np.ufunc):  # whose operands have no names
            continue
        try:
            wanted, found = (inspect.signature(v).parameters for v in (f, g))
        except (TypeError, ValueError):
            continue
        rest = any(p.kind is p.VAR_KEYWORD for p in found.values())
        for p in wanted.values():
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in (*found, *GONE) and not rest:
                wrong.append(f"{name}: {p.name}")
    assert not wrong


@pytest.mark.parametrize("axis", [None, 0, -1])
def test_where_of_logsumexp(axis):
    f = lambda x: special.logsumexp(x, axis=axis, where=B)
    with np.errstate(divide="ignore"):
        wanted = np.log(np.sum(np.exp(X), axis=axis, where=B))
    for found in (f(X), ft.jit(f)(X)):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
    check_grads(f, (X,), 2)
    signed = special.logsumexp(X, b=X, return_sign=True, where=B)
    total = np.sum(X * np.exp(X), where=B)
    np.testing.assert_allclose(signed[1] * np.exp(signed[0]), total)
    assert special.logsumexp(X, where=np.zeros_like(B)) == -np.inf
    with pytest.raises(D.DTypeError, match="where= takes booleans"):
        special.logsumexp(X, where=X)


def test_interpolation_that_goes_on():
    x, xp, yp = np.array([-1.0, 0.5, 3.0]), np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 3.0])
    f = lambda x: fnp.interp(x, xp, yp, left="extrapolate", right="extrapolate")
    for found in (f(x), ft.jit(f)(x)):
        np.testing.assert_array_equal(found, [-2.0, 1.0, 4.0])
    g = lambda x: fnp.interp(x, xp, yp, left="extrapolate")
    for found in (g(x), ft.jit(g)(x)):
        np.testing.assert_array_equal(found, [-2.0, 1.0, 3.0])
    call = lambda x: fnp.interp(x, xp, yp, right="on")
    for run in (call, ft.jit(call)):
        with pytest.raises(D.ArgumentError, match="is 'extrapolate'"):
            run(x)


def test_keywords_without_effect():
    two = np.ones((2, 2))
    for name in ("convolve", "correlate", "convolve2d", "correlate2d"):
        f = getattr(signal, name)
        for found in (f(X, two, precision="highest"), ft.jit(lambda x, f=f: f(x, two, precision="highest"))(X)):
            np.testing.assert_allclose(found, getattr(scipy.signal, name)(X, two), atol=1e-14)
    np.testing.assert_array_equal(fft.fftfreq(4, 0.5, xp=np, device="cpu"), np.fft.fftfreq(4, 0.5))
    np.testing.assert_array_equal(fft.rfftfreq(4, 0.5, xp=np, dtype="f4"), np.fft.rfftfreq(4, 0.5).astype("f4"))
    np.testing.assert_array_equal(signal.get_window("hann", 5, xp=np, device="cpu"), scipy.signal.get_window("hann", 5))
    np.testing.assert_array_equal(signal.savgol_coeffs(5, 2, xp=np), scipy.signal.savgol_coeffs(5, 2))
    with pytest.raises(D.ArgumentError, match="device_put"):
        signal.get_window("hann", 5, device="cuda")


def test_quadrature_between_points():
    """At the jumps of the function it has nothing to search for."""
    steps = lambda x, c: fnp.where(x < 0.3, c, fnp.where(x < 1.7, 2 * c, x))
    for a, b in ((0.0, 2.0), (2.0, 0.0), (-np.inf, np.inf)):
        f = lambda c, a=a, b=b: integrate.quad_vec(
            lambda x: steps(x, c) * np.exp(-(x**2)), a, b, points=[1.7, 0.3, 9.0], limit=9
        )[0]
        wanted = scipy.integrate.quad_vec(
            lambda x: np.where(x < 0.3, 1.5, np.where(x < 1.7, 3.0, x)) * np.exp(-(x**2)), a, b, points=[0.3, 1.7]
        )[0]
        np.testing.assert_allclose(f(1.5), wanted, rtol=1e-9)
    np.testing.assert_allclose(ft.grad(f)(1.5), (f(2.5) - f(1.5)), rtol=1e-9)  # it is linear in c
    traced = ft.jit(lambda c: integrate.quad(steps, 0.0, 2.0, args=(c,), points=[0.3, 1.7])[0])(1.5)
    np.testing.assert_allclose(traced, 0.45 + 4.2 + (4 - 1.7**2) / 2)
    with pytest.raises(D.ArgumentError, match="write a weight into the function"):
        ft.jit(lambda c: integrate.quad(lambda x: c * x, 0.0, 1.0, weight="cos", wvar=1.0))(1.0)
    for options, text in (({"quadrature": "trapezoid"}, "gk21"), ({"full_output": True}, "no full_output")):
        with pytest.raises(D.ArgumentError, match=text):
            integrate.quad_vec(np.exp, 0.0, 1.0, **options)


def test_bounds_of_traced_minimisers():
    square = lambda x, c: ((x - c) ** 2).sum()
    x0 = np.zeros(2)
    for f in (
        lambda c: optimize.minimize(square, x0, (c,), bounds=[(0, 1)] * 2).x.sum(),
        lambda c: optimize.minimize(square, x0, (c,), constraints={"type": "eq", "fun": lambda x: x.sum()}).x.sum(),
        lambda c: optimize.minimize(square, x0, (1.0,), bounds=[(0, c)] * 2).x.sum(),
        lambda c: optimize.minimize(lambda x: square(x, c), x0, bounds=scipy.optimize.Bounds(0, 1)).x.sum(),
    ):
        with pytest.raises(D.ArgumentError, match=r"x = low \+ \(high - low\) \* expit\(u\)"):
            ft.grad(f)(0.5)
