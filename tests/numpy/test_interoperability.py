"""Arrays and tracers in the hands of libraries that know the array API, and what those make in ours.

einops, array-api-compat, array-api-extra and pandas are no dependencies of functrans: where one is not installed, its
tests are left out.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp

X = np.random.default_rng(0).normal(size=(5, 3))


def every_way(function, want, *args):
    """The function eagerly, under `jit` and `vmap`; and its gradient, which is that of NumPy's form."""
    np.testing.assert_allclose(function(*map(fnp.asarray, args)), want(*args))
    np.testing.assert_allclose(ft.jit(function)(*args), want(*args))
    stacked = [np.stack([a, 2 * a]) for a in args]
    np.testing.assert_allclose(ft.vmap(function)(*stacked)[1], want(*[2 * a for a in args]))
    gradient = ft.grad(lambda *xs: fnp.sum(fnp.sin(function(*xs))))(*args)
    np.testing.assert_allclose(gradient, ft.grad(lambda *xs: fnp.sum(fnp.sin(want(*xs))))(*args))
    np.testing.assert_allclose(ft.jit(ft.grad(lambda *xs: fnp.sum(fnp.sin(function(*xs)))))(*args), gradient)


class OnlyDLPack:
    """An array of a library that has DLPack alone."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


class WithMethods:
    """An array of a library whose methods NumPy would call, if it were given one."""

    def __array__(self, dtype=None, copy=None):
        return np.array(X, dtype)

    def sum(self):
        raise AssertionError("NumPy's functions call it, ours do not")

    mean = max = sum


@pytest.mark.parametrize(
    "make", [lambda: X.tolist(), lambda: OnlyDLPack(X), WithMethods], ids=["list", "dlpack", "array"]
)
def test_array_likes(make):
    x = fnp.asarray(make())
    assert isinstance(x, fnp.ndarray)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(ft.jit(lambda s: s * fnp.asarray(make()))(2.0), 2 * X)
    if not isinstance(make(), OnlyDLPack):
        for name in ("sum", "mean", "max", "sin"):
            got = getattr(fnp, name)(make())
            assert isinstance(got, fnp.ndarray)
            np.testing.assert_array_equal(got, getattr(np, name)(X))


def test_arrays_of_others_as_arguments():
    for transformed in (ft.jit(fnp.sum), ft.grad(fnp.sum), ft.vmap(fnp.sum)):
        out = transformed(WithMethods())
        assert isinstance(out, fnp.ndarray)
        np.testing.assert_array_equal(out, transformed(X))


def test_columns_of_pandas():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    for x in (frame, frame["a"], frame["b"].astype("Float64")):
        for name in ("sum", "sin", "mean"):
            got = getattr(fnp, name)(x)
            assert isinstance(got, fnp.ndarray)
            np.testing.assert_array_equal(got, getattr(np, name)(np.asarray(x)))
        np.testing.assert_array_equal(ft.grad(lambda v: fnp.sum(v**2))(x), 2 * np.asarray(x))


def test_elements_of_arrays_in_sets():
    assert set(fnp.array([1, 2, 2])) == {1, 2}
    assert {fnp.array(1.5): "a"}[1.5] == "a"
    with pytest.raises(TypeError, match="unhashable"):
        hash(fnp.array([1]))


# ---------------------------------------------------------------- libraries


def test_einops():
    einops = pytest.importorskip("einops")
    every_way(lambda x: einops.rearrange(x, "a b -> b a"), np.transpose, X)
    every_way(lambda x: einops.reduce(x, "a b -> b", "mean"), lambda x: np.mean(x, 0), X)
    every_way(lambda x: einops.repeat(x, "a b -> a b c", c=2), lambda x: np.stack([x, x], -1), X)
    every_way(lambda x, y: einops.einsum(x, y, "a b, c b -> a c"), lambda x, y: x @ y.T, X, X[:2])
    every_way(lambda x: einops.pack([x, x], "* b")[0], lambda x: np.concatenate([x, x]), X)


def test_array_api_compat():
    compat = pytest.importorskip("array_api_compat")

    def standardized(x):
        xp = compat.array_namespace(x)
        assert compat.is_array_api_obj(x)
        assert compat.device(x) == "cpu"
        assert compat.size(x) == 15
        return (x - xp.mean(x, axis=0)) / xp.std(compat.to_device(x, "cpu"), axis=0, correction=1)

    every_way(standardized, lambda x: (x - np.mean(x, 0)) / np.std(x, 0, ddof=1), X)
    assert ft.jit(lambda x: fnp.asarray(compat.array_namespace(x) is fnp))(X)


def test_array_api_extra():
    extra = pytest.importorskip("array_api_extra")
    every_way(extra.sinc, np.sinc, X)
    every_way(lambda x: extra.atleast_nd(x, ndim=3), lambda x: x[None], X)
    every_way(extra.cov, np.cov, X)
    every_way(lambda x: extra.kron(x, x[:2]), lambda x: np.kron(x, x[:2]), X)
    chosen = lambda x: extra.apply_where(x > 0, x, fnp.sqrt, fill_value=0.0)
    want = np.sqrt(np.where(X > 0, X, 0.0))
    np.testing.assert_allclose(chosen(fnp.asarray(X)), want)
    with np.errstate(invalid="ignore"):  # where masks are no indices, the root is taken of all elements
        np.testing.assert_allclose(ft.jit(chosen)(X), want)
        np.testing.assert_allclose(ft.vmap(chosen)(X), want)


SCIPY = """
import warnings
import numpy as np, functrans as ft, functrans.numpy as fnp, scipy.special, scipy.stats, scipy.integrate, scipy.signal
p = np.random.default_rng(0).uniform(0.2, 0.8, (6, 3))
special = scipy.special
for f in (special.erf, special.gammaln, special.expit, special.entr, special.i0,
          lambda x: special.gammainc(2.0 + 0 * x, x), lambda x: special.softmax(x, axis=0),
          lambda x: scipy.stats.skew(x), lambda x: scipy.stats.gmean(x),
          lambda x: scipy.stats.sem(x), lambda x: scipy.integrate.trapezoid(x, axis=0),
          lambda x: scipy.signal.fftconvolve(x, x)):
    want = f(p)
    np.testing.assert_allclose(f(fnp.asarray(p)), want)
    np.testing.assert_allclose(ft.jit(f)(p), want)
    loss = lambda x: fnp.sum(fnp.asarray(f(x)) ** 2)
    ft.testing.check_grads(loss, (p,), 1)
    np.testing.assert_allclose(ft.jit(ft.grad(loss))(p), ft.grad(loss)(p), rtol=1e-10)
print("done")
"""


def test_scipy_with_its_array_api():
    """SciPy reads SCIPY_ARRAY_API when it is imported, so this is a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", SCIPY],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "done", done.stderr[-2000:]


def test_capabilities_say_what_holds_where_they_are_asked():
    inside = []
    ask = lambda x: inside.append(fnp.__array_namespace_info__().capabilities()) or x
    ft.jit(ask)(X)
    ft.grad(lambda x: fnp.sum(ask(x)))(X)
    assert [c["boolean indexing"] for c in inside] == [False, True]


def test_scikit_learn():
    sklearn = pytest.importorskip("sklearn")
    metrics = pytest.importorskip("sklearn.metrics")
    y, z = np.array([0.5, 1.5, 2.0]), np.array([1.0, 1.0, 2.5])
    assert metrics.accuracy_score(fnp.array([0, 1, 1]), fnp.array([0, 1, 0])) == pytest.approx(2 / 3)
    with sklearn.config_context(assume_finite=True):
        assert metrics.mean_squared_error(fnp.asarray(y), fnp.asarray(z)) == np.mean((y - z) ** 2)
