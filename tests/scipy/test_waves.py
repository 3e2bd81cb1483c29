"""scipy.signal: waves, responses, medians and the design of filters against SciPy's; derivatives; errors."""

import numpy as np
import pytest
import scipy.signal

import functrans as ft
from functrans import errors
from functrans.scipy import signal
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
T = np.linspace(-2.0, 3.0, 41)
X, IMAGE = RNG.standard_normal(60), RNG.standard_normal((5, 7))
B, A = scipy.signal.butter(3, 0.3)
SOS = scipy.signal.butter(4, 0.3, output="sos")

CALLS = [
    ("sawtooth", (T,), {}), ("sawtooth", (T, 0.3), {}), ("sawtooth", (T, 0), {}), ("sawtooth", (T, 1.5), {}),
    ("square", (T,), {}), ("square", (T, 0.2), {}), ("square", (T, -1.0), {}),
    ("gausspulse", (T,), {"fc": 5}), ("gausspulse", (T,), {"fc": 2.0, "bw": 0.3, "retquad": True, "retenv": True}),
    *[("chirp", (T[9:], 1.5, 4.0, 3.5), {"method": m, "phi": 30}) for m in ("linear", "quadratic", "log", "hyp")],
    *[("chirp", (T[9:], 2.0, 4.0, 2.0), {"method": m}) for m in ("logarithmic", "hyperbolic")],
    ("chirp", (T, 1.5, 4.0, 3.5), {"method": "quad", "vertex_zero": False}),
    ("freqz", (B, A), {"worN": 9}), ("freqz", (B, A, T), {"fs": 20.0}), ("freqz", (B,), {"worN": 8, "whole": True}),
    ("freqz", (B, A), {"worN": 9, "include_nyquist": True}), ("sosfreqz", (SOS,), {"worN": 9}),
    ("medfilt", (X,), {}), ("medfilt", (X, 5), {}), ("medfilt", (IMAGE, (3, 1)), {}), ("medfilt2d", (IMAGE, 3), {}),
    ("wiener", (X,), {}), ("wiener", (IMAGE, (3, 2)), {}), ("wiener", (IMAGE, 3, 0.7), {}),
    ("deconvolve", (X[:9], A), {}), ("deconvolve", (A[:2], A), {}),
    ("decimate", (X, 3), {}), ("decimate", (X, 2), {"n": 4, "zero_phase": False}),
    ("decimate", (X.reshape(20, 3), 2), {"ftype": "fir", "n": 6, "axis": 0}),
    ("decimate", (X, 3), {"ftype": "fir", "zero_phase": False}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "options"), CALLS, ids=range(len(CALLS)))
def test_values(name, args, options):
    function = lambda *arrays: getattr(signal, name)(*arrays, *args[len(arrays) :], **options)
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    want = getattr(scipy.signal, name)(*args, **options)
    got = ft.jit(function)(*arrays)
    for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, want)), strict=True):
        assert (np.shape(g), np.asarray(g).dtype) == (np.shape(w), np.asarray(w).dtype)
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-11)


def test_derivatives():
    check_grads(lambda t, f: signal.chirp(t, f, 4.0, 3.5, method="logarithmic"), (T[9:12], 1.5), 2)
    check_grads(lambda t, f, w: signal.gausspulse(t, f, w), (T[:3] / 9, 2.0, 0.5), 2)
    check_grads(lambda b, a: abs(signal.freqz(b, a, 5)[1]), (B, A), 1)
    check_grads(lambda x: signal.wiener(x, 3, 0.5), (X[:8],), 1)
    assert np.isfinite(ft.grad(lambda f: signal.chirp(T, f, 4.0, 2.0, method="log").sum())(2.0))


def test_design_is_scipys():
    for name in signal.design.__all__:
        assert callable(getattr(scipy.signal, name))
    np.testing.assert_array_equal(signal.butter(4, 0.3, output="sos"), SOS)
    assert isinstance(signal.firwin(5, 0.3), ft.Array)
    filtered = ft.jit(lambda x: signal.lfilter(*signal.butter(3, 0.3), x))(X)
    np.testing.assert_allclose(filtered, scipy.signal.lfilter(B, A, X), rtol=1e-10)
    np.testing.assert_array_equal(signal.unit_impulse(4, 1), [0, 1, 0, 0])


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: signal.butter(2, x[0]), errors.ArgumentError, "butter takes plain numbers"),
        (lambda x: signal.chirp(x, 1, 1, 2, method="no"), errors.ArgumentError, "chirp takes method='linear'"),
        (lambda x: signal.medfilt(x, 4), errors.ArgumentError, r"medfilt takes odd sizes, got \(4,\)"),
        (lambda x: signal.medfilt(x, (3, 3)), errors.ShapeError, "a size for each of 1 axes"),
        (lambda x: signal.medfilt2d(x), errors.ShapeError, "two axes"),
        (lambda x: signal.freqz(x[None]), errors.ShapeError, "coefficients of one dimension"),
        (lambda x: signal.sosfreqz(x), errors.ShapeError, r"sections of shape \(n, 6\)"),
        (lambda x: signal.deconvolve(x[None], x), errors.ShapeError, "deconvolve takes vectors"),
        (lambda x: signal.decimate(x, 2, ftype="no"), errors.ArgumentError, "ftype='iir' or 'fir', got 'no'"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(X)
