"""Fourier transforms against numpy.fft: eagerly, compiled, mapped; derivatives; errors."""

import numpy as np
import pytest
from helpers import check_rules
from hypothesis import given, settings, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax
from functrans.testing import check_grads

ONE = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"]
MANY = ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]
REAL = {"rfft", "ihfft", "rfft2", "rfftn"}
NORMS = [None, "backward", "ortho", "forward"]


def array(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = 3 * rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def assert_close(got, want, tolerance=64):
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    eps = np.finfo(want.dtype).eps
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * eps * np.max(np.abs(want), initial=1e-30))


def check_values(function, numpys, x):
    want = numpys(x)
    assert_close(function(x), want, 0)
    assert isinstance(function(x), ft.Array)
    assert_close(ft.jit(function)(x), want)
    assert_close(ft.jit(numpys)(x), want)  # NumPy's function, traced


@settings(deadline=None)
@given(
    st.sampled_from(ONE), st.sampled_from("?bHiQefdFD"), st.lists(st.integers(2, 5), min_size=1, max_size=3),
    st.none() | st.integers(1, 8), st.sampled_from(NORMS), st.data(),
)  # fmt: skip
def test_along_one_axis(name, dtype, shape, n, norm, data):
    dtype = "f" if dtype == "F" and name in REAL else "d" if dtype == "D" and name in REAL else dtype
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = array(shape, dtype)
    if dtype == "e":
        norm = "backward" if name in ("fft", "rfft", "hfft") else "forward"  # NumPy's other factors are float16
    check_values(
        lambda x: getattr(fnp.fft, name)(x, n, axis, norm), lambda x: getattr(np.fft, name)(x, n, axis, norm), x
    )


@settings(deadline=None)
@given(st.sampled_from(MANY), st.sampled_from("iefdFD"), st.sampled_from(NORMS), st.data())
def test_along_many_axes(name, dtype, norm, data):
    dtype = dtype.lower() if name in REAL else dtype
    shape = data.draw(st.lists(st.integers(2, 4), min_size=2, max_size=3))
    x = array(shape, dtype)
    axes = data.draw(st.permutations(range(-len(shape), 0)))[: data.draw(st.integers(1, len(shape)))]
    s = data.draw(st.none() | st.tuples(*[st.sampled_from([-1, 2, 3, 5])] * len(axes)))
    if dtype == "e":
        norm = "backward" if name in ("fft2", "rfft2", "fftn", "rfftn") else "forward"
    check_values(
        lambda x: getattr(fnp.fft, name)(x, s, axes, norm), lambda x: getattr(np.fft, name)(x, s, axes, norm), x
    )
    if s is None:
        check_values(getattr(fnp.fft, name), getattr(np.fft, name), x)


@pytest.mark.parametrize("name", ["fftn", "ifftn"])
def test_no_axes_no_transform(name):
    for x in (np.ones((2, 3)), np.float64(2.0)):
        want = getattr(np.fft, name)(x, axes=())
        assert_close(ft.jit(lambda x, name=name: getattr(fnp.fft, name)(x, axes=()))(x), want)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("n", [None, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("name", ONE)
def test_derivatives_and_batching(name, n, norm):
    for dtype in [np.float64] if name in REAL else [np.float64, np.complex128]:
        for axis in (0, 1):
            check_rules(lambda x, axis=axis: getattr(fnp.fft, name)(x, n, axis, norm), array((5, 2), dtype))


@pytest.mark.parametrize("name", MANY)
def test_derivatives_and_batching_along_many_axes(name):
    for axes in [(0, 1), (2, 0)]:
        x = array((3, 2, 4), np.float64 if name in REAL else np.complex128)
        check_rules(lambda x, axes=axes: getattr(fnp.fft, name)(x, (3, 5), axes, "ortho"), x)
        check_rules(lambda x, axes=axes: getattr(fnp.fft, name)(x, axes=axes), x, order=1)


def test_gradients_of_a_spectrum():
    x = array(9, np.float64)
    power = lambda x: fnp.sum(fnp.abs(np.fft.rfft(x)) ** 2)
    check_grads(power, (x,), 2)
    # Parseval: the zero frequency counts once, all others twice
    np.testing.assert_allclose(ft.grad(power)(x), 9 * x + np.sum(x), rtol=1e-12)
    assert ft.grad(power)(x.astype(np.float32)).dtype == np.float32


@given(st.integers(1, 9), st.floats(0.1, 10))
def test_frequencies(n, d):
    for name in ("fftfreq", "rfftfreq"):
        want = getattr(np.fft, name)(n, d)
        assert_close(getattr(fnp.fft, name)(n, d), want, 0)
        assert_close(ft.jit(lambda d, name=name: getattr(fnp.fft, name)(n, d))(d), want, 4)
        assert_close(ft.jit(lambda name=name: getattr(fnp.fft, name)(n))(), getattr(np.fft, name)(n), 4)
        check_grads(lambda d, name=name: getattr(fnp.fft, name)(n, d), (d,), 1)


@pytest.mark.parametrize("axes", [None, 0, -1, (0, 1)])
@pytest.mark.parametrize("name", ["fftshift", "ifftshift"])
def test_shifts(name, axes):
    x = array((3, 4), np.float64)
    check_values(lambda x: getattr(fnp.fft, name)(x, axes), lambda x: getattr(np.fft, name)(x, axes), x)
    check_rules(lambda x: getattr(fnp.fft, name)(x, axes), x)


def test_lax_fft_takes_the_last_axes():
    x = array((2, 3, 4), np.complex128)
    assert_close(lax.fft(x, "FFT", (3, 4)), np.fft.fftn(x, axes=(1, 2)))
    assert_close(lax.fft(x, lax.FftType.IFFT, (4,)), np.fft.ifft(x))
    assert_close(lax.fft(x.real, 2, [4]), np.fft.rfft(x.real))
    assert_close(lax.fft(x, "IRFFT", (7,)), np.fft.irfft(x, 7))
    assert lax.fft(np.arange(4), "FFT", (4,)).dtype == np.complex128
    assert lax.fft(np.ones(4, np.float32), "FFT", (4,)).dtype == np.complex64
    assert "fft_type=RFFT" in str(ft.make_jaxpr(lambda x: lax.fft(x, "RFFT", (4,)))(x.real))


ERRORS = [
    (lambda x: lax.fft(x, "FFT", (5,)), errors.ShapeError, r"fft of type FFT and lengths \(5,\) takes sizes \(5,\)"),
    (lambda x: lax.fft(x, "IRFFT", (4,)), errors.ShapeError, r"takes sizes \(3,\) along axes \(1,\), got shape"),
    (lambda x: lax.fft(x, "FFT", (2, 3, 4)), errors.ShapeError, "do not fit an array of shape"),
    (lambda x: lax.fft(x * 1j, "RFFT", (4,)), errors.DTypeError, "takes no complex128; use fft"),
    (lambda x: lax.fft(x, "DCT", (4,)), errors.ArgumentError, "fft_type is FFT, IFFT, RFFT or IRFFT, got 'DCT'"),
]  # fmt: skip
TRACED = [
    (lambda x: fnp.fft.fft(x, 0), ValueError, "at least one point"),
    (lambda x: fnp.fft.irfft(x[:, :1]), ValueError, r"at least one point, got lengths .0,"),
    (lambda x: fnp.fft.fft(x, axis=2), errors.AxisError, "axis 2 is out of bounds"),
    (lambda x: fnp.fft.fft(x, norm="none"), errors.ArgumentError, 'norm is "backward", "ortho" or "forward", got'),
    (lambda x: fnp.fft.hfft(x, norm="none"), errors.ArgumentError, "norm is"),
    (lambda x: fnp.fft.rfft(x * 1j), errors.DTypeError, r"\(rfft, ihfft\) takes no complex128; use fft"),
    (lambda x: fnp.fft.fftn(x, (4,), (0, 1)), errors.ShapeError, "have different lengths"),
    (lambda x: fnp.fft.fftn(x, (3, 4)), errors.ArgumentError, "takes axes where it takes s"),
    (lambda x: fnp.fft.fftn(x, axes=(0, 0)), errors.ArgumentError, r"takes each axis once, got \(0, 0\)"),
    (lambda x: fnp.fft.rfftn(x, axes=()), errors.AxisError, "rfftn takes at least one axis"),
    (lambda x: fnp.fft.fft(x, out=x), errors.ArgumentError, "does not take out="),
]  # fmt: skip


@pytest.mark.parametrize(("fun", "error", "text"), ERRORS)
def test_errors_of_lax_are_the_same_eagerly_and_staged(fun, error, text):
    for run in (fun, lambda x: ft.eval_shape(fun, x)):
        with pytest.raises(error, match=text):
            run(np.ones((3, 4)))


@pytest.mark.parametrize(("fun", "error", "text"), TRACED)
def test_errors_of_traced_functions(fun, error, text):
    with pytest.raises(error, match=text):
        ft.eval_shape(fun, np.ones((3, 4)))
