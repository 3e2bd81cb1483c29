"""scipy.fft: compiled transforms against SciPy's own; derivatives; errors."""

import numpy as np
import pytest
import scipy.fft

import functrans as ft
from functrans import errors
from functrans.scipy import fft
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
X = RNG.standard_normal((4, 5))
FOURIER = [name for name in fft.__all__ if name.endswith(("fft", "fft2", "fftn"))]
WAVES = ["dct", "idct", "dst", "idst"]
MANY = ["dctn", "idctn", "dstn", "idstn"]


def assert_close(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(got, want, rtol=0, atol=32 * np.finfo(want.dtype).eps * np.max(np.abs(want)))


def test_every_name_is_scipys():
    assert all(callable(getattr(scipy.fft, name)) for name in fft.__all__)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("name", FOURIER)
def test_fourier(name, dtype):
    x = (4 * X).astype(dtype)
    for options in ({}, {"norm": "ortho"}, {"s": (3, 6)} if name[-1] in "2n" else {"n": 6, "axis": 0}):
        want = getattr(scipy.fft, name)(x, **options)
        np.testing.assert_array_equal(getattr(fft, name)(x, **options), want)
        assert_close(ft.vmap(lambda x, o=options: getattr(fft, name)(x, **o))(x[None])[0], want)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("name", WAVES)
def test_waves(name, kind):
    function = getattr(fft, name)
    for norm in (None, "ortho", "forward"):
        for options in ({}, {"axis": 0, "n": 3}, {"n": 8, "orthogonalize": True}, {"orthogonalize": False}):
            for x in (X, X.astype(np.float32)):
                transform = lambda x, o=options, norm=norm: function(x, kind, norm=norm, **o)
                want = getattr(scipy.fft, name)(x, kind, norm=norm, **options)
                np.testing.assert_array_equal(transform(x), want)
                assert_close(ft.vmap(transform)(x[None])[0], want)
    assert_close(ft.jit(lambda x: function(x, kind))(X), getattr(scipy.fft, name)(X, kind))
    assert_close(ft.vmap(lambda x: function(x, kind))(X + 1j), getattr(scipy.fft, name)(X + 1j, kind))
    check_grads(lambda x: function(x, kind, norm="ortho"), (X,), 2)


@pytest.mark.parametrize("name", MANY)
def test_waves_along_axes(name):
    for options in (
        {},
        {"s": (3, 7)},
        {"s": (3, 7), "axes": (1, 0)},
        {"axes": (1,), "norm": "ortho", "type": 3},
        {"type": 1, "norm": "forward"},
    ):
        want = getattr(scipy.fft, name)(X, **options)
        assert_close(ft.vmap(lambda x, o=options: getattr(fft, name)(x, **o))(X[None])[0], want)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: fft.dct(x, 5), errors.ArgumentError, "dct takes type=1, 2, 3 or 4, got 5"),
        (lambda x: fft.idst(x, norm="unit"), errors.ArgumentError, "idst takes norm='backward', 'ortho' or 'forward'"),
        (lambda x: fft.dct(x, 1, n=1), errors.ArgumentError, "type 1 takes at least 2 points"),
        (lambda x: fft.dctn(x, s=(2, 2), axes=(0,)), errors.ShapeError, "have different lengths"),
        (lambda x: fft.dct(x, axis=2), errors.AxisError, "axis"),
        (lambda x: fft.fft(x, plan=1), errors.ArgumentError, "plan"),
    ],
)
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(X)
