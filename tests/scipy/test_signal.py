"""scipy.signal: compiled forms against SciPy's own; derivatives; errors."""

import numpy as np
import pytest
import scipy.signal

import functrans as ft
from functrans import errors
from functrans.scipy import signal
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
X = RNG.standard_normal(23)
Z = X + 1j * RNG.standard_normal(23)
ROWS = RNG.standard_normal((2, 40))
MODES = ["full", "same", "valid"]


def leaves(value):
    return [np.asarray(v) for v in (value if isinstance(value, tuple) else (value,))]


def agree(name, *args, jit=False, tolerance=1e-12, dtypes=True, **options):
    """Mapped over (or compiled with) its arrays the function gives SciPy's results."""
    want = leaves(getattr(scipy.signal, name)(*args, **options))
    ours = lambda *args: getattr(signal, name)(*args, **options)
    for w, e in zip(want, leaves(ours(*args)), strict=True):
        np.testing.assert_array_equal(e, w)
    got = (
        leaves(ft.jit(ours)(*args))
        if jit
        else [g[0] for g in leaves(ft.vmap(ours)(*[np.asarray(a)[None] for a in args]))]
    )
    for w, g in zip(want, got, strict=True):
        assert g.shape == w.shape
        assert g.dtype == w.dtype or not dtypes
        single = 1e-5 / tolerance * 1e-12 if w.dtype.itemsize == 4 * (1 + (w.dtype.kind == "c")) else tolerance
        if w.dtype.kind in "fc":
            np.testing.assert_allclose(g, w, rtol=0, atol=single * max(1, np.max(np.abs(w), initial=0)))
        else:
            np.testing.assert_array_equal(g, w)


def test_every_name_is_scipys():
    assert all(hasattr(scipy.signal, name) for name in signal.__all__)
    assert all(callable(getattr(scipy.signal.windows, name)) for name in signal.windows.__all__)


# ---------------------------------------------------------------- convolutions


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve", "correlate"])
def test_convolutions(name, mode):
    for method in ("auto", "direct", "fft"):
        for a, b in ((X, X[:4]), (X[:5], X), (X, Z[:6]), (X.astype("f"), X[:3].astype("f")), (ROWS, ROWS[:, 3:7])):
            agree(name, a, b, mode=mode, method=method)
        agree(name, (9 * X).astype(int), np.array([1, -2, 3]), mode=mode, method=method)
    agree(name, ROWS[:, :9], ROWS[:, :4].T[:2], mode=mode, jit=True)
    check_grads(lambda a, b: getattr(signal, name)(a, b, mode), (X, X[:4]), 2)
    check_grads(lambda a, b: getattr(signal, name)(a, b, mode, "fft"), (X, X[:4]), 2)


def test_the_method_is_chosen_by_size():
    text = lambda n, k: str(ft.make_jaxpr(signal.convolve)(np.ones(n), np.ones(k)))
    assert "fft" in text(5000, 4000)
    assert "conv_general_dilated" in text(5000, 10)
    assert "fft" not in str(ft.make_jaxpr(signal.convolve)(np.ones(5000, int), np.ones(4000, int)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
def test_convolutions_by_transforms(name, mode):
    agree(name, X, X[:4], mode=mode)
    agree(name, X, (9 * X[:4]).astype(int), mode=mode)
    agree(name, ROWS, ROWS[:1, :5], mode=mode, axes=1)
    agree(name, ROWS.astype("f"), ROWS[:, :5].astype("f"), mode=mode, axes=(0, 1))


@pytest.mark.parametrize("boundary", ["fill", "wrap", "symm"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
def test_convolutions_of_planes(name, mode, boundary):
    a, z = RNG.standard_normal((5, 6)), RNG.standard_normal((5, 6)) + 1j
    for k in ((2, 3), (3, 4), (1, 1)):
        b = RNG.standard_normal(k)
        agree(name, a, b, mode=mode, boundary=boundary)
        agree(name, z, b * 1j, mode=mode, boundary=boundary)
    agree(name, a, b, mode=mode, boundary=boundary, fillvalue=1.5)
    agree(name, (9 * a).astype(int), np.array([[1, 2]]), mode=mode, boundary=boundary)


def test_upfirdn_and_lags():
    agree("upfirdn", X[:5], X, up=3, down=2)
    agree("upfirdn", X[:5], ROWS.T, up=1, down=4, axis=0)
    for up, down in ((2, 3), (3, 2), (4, 6), (7, 1), (1, 5), (2, 2)):
        agree("resample_poly", X, up=up, down=down)
        agree("resample_poly", ROWS.astype("f"), up=up, down=down, axis=1, window=np.hanning(9) / 4)
    check_grads(lambda h, x: signal.upfirdn(h, x, 3, 2), (X[:3], X[:5]), 2)
    np.testing.assert_array_equal(signal.correlation_lags(4, 3, "same"), scipy.signal.correlation_lags(4, 3, "same"))


# ---------------------------------------------------------------- filters

B, A = scipy.signal.butter(3, 0.3)
SOS = scipy.signal.butter(4, 0.3, output="sos")


def test_lfilter():
    for b, a in ((B, A), (B[:2], A), (B, A[:1]), (2 * B, 3 * A[:2]), (np.array([2.0]), np.array([4.0]))):
        agree("lfilter", b, a, X)
        agree("lfilter", b, a, ROWS.T, axis=0)
    agree("lfilter", B.astype("f"), A.astype("f"), X.astype("f"))
    agree("lfilter", B, A, Z, jit=True)
    for b in (B, B[:2]):
        got = ft.jit(lambda x, z, b=b: signal.lfilter(b, A, x, zi=z))(ROWS, ROWS[:, :3])
        want = scipy.signal.lfilter(b, A, ROWS, zi=ROWS[:, :3])
        np.testing.assert_allclose(got[0], want[0], atol=1e-13)
        np.testing.assert_allclose(got[1], want[1], atol=1e-13)
    agree("lfilter_zi", B, A)
    check_grads(signal.lfilter, (B, A, X[:7]), 2)
    check_grads(lambda z: signal.lfilter(B[:2], A[:1], X[:7], zi=z), (X[:1],), 2)


def test_a_filter_is_one_loop_and_a_finite_one_a_convolution():
    kernels = lambda b, a: ft.jit(lambda x: signal.lfilter(b, a, x)).lower(X).as_text("kernels")
    assert "a loop over scalars" in kernels(B, A)
    assert "a loop over scalars" not in kernels(B, [1.0])


def test_sections():
    agree("sosfilt", SOS, X)
    agree("sosfilt", SOS, ROWS.T, axis=0, jit=True)
    agree("sosfilt_zi", SOS)
    z = RNG.standard_normal((2, 2, 2))
    got = ft.jit(lambda x, z: signal.sosfilt(SOS, x, zi=z))(ROWS, z)
    want = scipy.signal.sosfilt(SOS, ROWS, zi=z)
    np.testing.assert_allclose(got[0], want[0], atol=1e-13)
    np.testing.assert_allclose(got[1], want[1], atol=1e-13)
    check_grads(lambda s, x: ft.jit(signal.sosfilt)(s, x), (SOS, X[:5]), 1)


def test_forward_and_backward():
    for padtype in ("odd", "even", "constant", None):
        np.testing.assert_allclose(
            ft.vmap(lambda x, p=padtype: signal.filtfilt(B, A, x, padtype=p))(ROWS),
            scipy.signal.filtfilt(B, A, ROWS, padtype=padtype),
            atol=1e-12,
        )
    agree("filtfilt", B, A, ROWS.T, axis=0, padlen=5)
    got = ft.vmap(lambda x: signal.sosfiltfilt(SOS, x))(ROWS)
    np.testing.assert_allclose(got, scipy.signal.sosfiltfilt(SOS, ROWS), atol=1e-12)
    check_grads(lambda x: signal.filtfilt(B, A, x, padlen=4), (X[:8],), 1)


@pytest.mark.parametrize("mode", ["mirror", "constant", "nearest", "wrap", "interp"])
def test_savgol(mode):
    agree("savgol_filter", X, window_length=7, polyorder=3, mode=mode)
    agree("savgol_filter", ROWS.T, window_length=6, polyorder=2, deriv=1, delta=0.5, axis=0, mode=mode)
    agree("savgol_filter", X.astype("f"), window_length=5, polyorder=2, mode=mode)
    np.testing.assert_array_equal(signal.savgol_coeffs(7, 2, 1), scipy.signal.savgol_coeffs(7, 2, 1))


def test_detrend():
    agree("detrend", X)
    agree("detrend", X.astype("f"), tolerance=1e-11)
    agree("detrend", Z, bp=[5, 9])
    agree("detrend", ROWS.T, axis=0, type="constant")
    agree("detrend", np.arange(5) ** 2)
    agree("detrend", X, bp=1)
    check_grads(signal.detrend, (X,), 2)


def test_hilbert_and_resample():
    for n in (None, 10, 31):
        agree("hilbert", X, N=n)
    agree("hilbert", ROWS.T.astype("f"), axis=0)
    for num in (5, 10, 11, 22, 23, 24, 46, 60):
        agree("resample", X, num=num)
        agree("resample", Z[:22], num=num)
    agree("resample", ROWS, num=9, axis=1, window="hann")
    agree("resample", X.astype("f"), num=9, window=("kaiser", 2.0))
    agree("resample", np.fft.fft(X), num=30, domain="freq")
    agree("resample", Z, num=8, window=lambda f: np.exp(-np.abs(f)))
    _, t = ft.jit(lambda x, t: signal.resample(x, 7, t))(X, np.arange(23.0))
    np.testing.assert_allclose(t, scipy.signal.resample(X, 7, np.arange(23.0))[1])
    check_grads(lambda x: (signal.hilbert(x), signal.resample(x, 9)), (X[:6],), 2)


# ---------------------------------------------------------------- spectra


def test_short_time_transforms():
    for options in (
        {"nperseg": 8}, {"nperseg": 9, "noverlap": 6, "nfft": 12, "boundary": None}, {"window": "boxcar", "nperseg": 6},
        {"nperseg": 8, "boundary": "even", "detrend": "linear", "padded": False}, {"nperseg": 7, "scaling": "psd"},
        {"nperseg": 8, "return_onesided": False, "boundary": "odd", "fs": 20.0},
        {"nperseg": 8, "boundary": "constant", "detrend": lambda x: x - 1},
    ):  # fmt: skip
        agree("stft", ROWS, **options)
    agree("stft", ROWS.T.astype("f"), axis=0, nperseg=8)
    agree("stft", Z, nperseg=8, return_onesided=False)


def test_inverse_short_time_transforms():
    for options in ({"nperseg": 8}, {"nperseg": 9, "noverlap": 7}, {"nperseg": 8, "noverlap": 6, "nfft": 10}):
        z = scipy.signal.stft(ROWS, **options)[2]
        agree("istft", z, **options)
        agree("istft", z, boundary=False, window="boxcar", **options)
        agree("istft", z.astype("F"), **options)
    z = scipy.signal.stft(Z, nperseg=8, return_onesided=False, scaling="psd", fs=3.0)[2]
    agree("istft", z, nperseg=8, input_onesided=False, scaling="psd", fs=3.0)
    z = scipy.signal.stft(ROWS, nperseg=20, noverlap=19)[2]
    agree("istft", np.moveaxis(z, 1, 2), nperseg=20, noverlap=19, time_axis=1, freq_axis=2)
    back = lambda x: signal.istft(signal.stft(x, nperseg=8)[2], nperseg=8)[1]
    np.testing.assert_allclose(ft.jit(back)(X[:16]), X[:16], atol=1e-14)
    np.testing.assert_allclose(ft.jacobian(back)(X[:16]), np.eye(16), atol=1e-14)


@pytest.mark.parametrize("mode", ["psd", "complex", "magnitude", "angle", "phase"])
def test_spectrogram(mode):
    agree("spectrogram", ROWS, nperseg=10, mode=mode)
    agree("spectrogram", ROWS.T, nperseg=9, mode=mode, axis=0, window="hann", scaling="spectrum", noverlap=3)


def test_densities():
    for options in (
        {"nperseg": 10}, {"nperseg": 9, "noverlap": 2, "average": "median"}, {"nperseg": 8, "nfft": 11, "fs": 5.0},
        {"nperseg": 8, "detrend": False, "scaling": "spectrum"}, {"nperseg": 8, "return_onesided": False},
        {"window": ("kaiser", 4.0), "nperseg": 8, "detrend": "linear"},
    ):  # fmt: skip
        agree("welch", ROWS, **options)
        agree("csd", ROWS, ROWS[::-1], **options)
    agree("welch", ROWS.T.astype("f"), axis=0, nperseg=8, tolerance=1e-11)
    agree("welch", Z, nperseg=8, return_onesided=False)
    agree("csd", X, ROWS[0], nperseg=8)
    agree("coherence", ROWS[0], ROWS[1], nperseg=8)
    agree("periodogram", X, window="hann", jit=True)
    agree("periodogram", ROWS, nfft=64, scaling="spectrum")
    agree("periodogram", ROWS, nfft=30, window=None)
    check_grads(lambda x: signal.welch(x, nperseg=8)[1], (X,), 2)
    check_grads(lambda x, w: signal.welch(x, window=w)[1], (X, X[:6] + 3), 2)
    check_grads(lambda x: signal.coherence(x[0], x[1], nperseg=8)[1], (ROWS,), 1)
    with pytest.warns(UserWarning, match="nperseg=256 is more than the signal has"):
        ft.jit(signal.welch)(X)


def test_windows():
    for window in ("hann", ("tukey", 0.3), 5.0):
        np.testing.assert_array_equal(signal.get_window(window, 9), scipy.signal.get_window(window, 9))
    assert isinstance(signal.windows.kaiser(7, beta=3.0), ft.Array)
    assert "hann" in dir(signal.windows)
    with pytest.raises(AttributeError, match="no attribute 'round'"):
        signal.windows.round(5)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda x: signal.convolve(x, x[None]), errors.ShapeError, "convolve takes arrays with one number"),
        (lambda x: signal.convolve(x, x, "half"), errors.ArgumentError, "convolve takes mode='full'"),
        (lambda x: signal.correlate(x, x, method="slow"), errors.ArgumentError, "correlate takes method='auto'"),
        (lambda x: signal.convolve(x, x[:0]), errors.ShapeError, "arrays that are not empty"),
        (lambda x: signal.convolve(x[:1, None] * x, x[:5, None], "valid"), errors.ShapeError, "as large as the other"),
        (lambda x: signal.convolve2d(x, x), errors.ShapeError, "convolve2d takes two-dimensional arrays"),
        (lambda x: signal.convolve2d(x[None], x[None], boundary="no"), errors.ArgumentError, "boundary='fill'"),
        (lambda x: signal.fftconvolve(x[None], x[None, :2], axes=0), errors.ShapeError, "not broadcast along axis 1"),
        (lambda x: signal.upfirdn([1.0], x, mode="wrap"), errors.ArgumentError, "mode='constant'"),
        (lambda x: signal.resample_poly(x, 0, 1), errors.ArgumentError, "up and down of 1 or more"),
        (lambda x: signal.lfilter(x[None], x, x), errors.ShapeError, "takes b of one dimension"),
        (lambda x: signal.lfilter(x, [0.0], x), errors.ArgumentError, "a\\[0\\] other than 0"),
        (lambda x: signal.lfilter(x[:3], x[:2], x, zi=x[:3]), errors.ShapeError, r"zi of shape \(2,\), got \(3,\)"),
        (lambda x: signal.sosfilt(x[None], x), errors.ShapeError, r"sections of shape \(n, 6\)"),
        (lambda x: signal.sosfilt(2 * SOS, x), errors.ArgumentError, "1 as fourth coefficient"),
        (lambda x: signal.filtfilt(B, A, x[:5]), errors.ArgumentError, "longer than padlen=12 samples, got 5"),
        (lambda x: signal.sosfiltfilt(SOS * x[0], x), errors.ArgumentError, "takes padlen"),
        (lambda x: signal.savgol_filter(x, 3, 5), errors.ArgumentError, "polyorder must be less than window_length"),
        (lambda x: signal.detrend(x, type="cubic"), errors.ArgumentError, "type='linear' or 'constant'"),
        (lambda x: signal.detrend(x, bp=99), errors.ArgumentError, "break points within the 23 samples"),
        (lambda x: signal.hilbert(x * 1j), errors.DTypeError, "a real signal"),
        (lambda x: signal.resample(x, 0), errors.ArgumentError, "num of 1 or more"),
        (lambda x: signal.resample(x, 5, window=x[:3]), errors.ShapeError, "a window of 23 frequencies"),
        (lambda x: signal.stft(x, nperseg=8, noverlap=8), errors.ArgumentError, "noverlap below nperseg=8, got 8"),
        (lambda x: signal.stft(x, nperseg=8, nfft=4), errors.ArgumentError, "nfft of nperseg=8 or more"),
        (lambda x: signal.stft(x, nperseg=0), errors.ArgumentError, "segments of 1 or more"),
        (lambda x: signal.stft(x, nperseg=8, boundary="no"), errors.ArgumentError, "'odd', 'even'"),
        (lambda x: signal.welch(x, window=np.ones(30)), errors.ArgumentError, "longer than the signal"),
        (lambda x: signal.welch(x, nperseg=8, average="max"), errors.ArgumentError, "average='mean' or 'median'"),
        (lambda x: signal.csd(x, x, nperseg=8, scaling="no"), errors.ArgumentError, "scaling='density' or 'spectrum'"),
        (lambda x: signal.spectrogram(x, nperseg=8, mode="no"), errors.ArgumentError, "mode='psd'"),
        (lambda x: signal.istft(x), errors.ShapeError, "two dimensions or more"),
        (lambda x: signal.get_window(("kaiser", x[0]), 5), errors.ArgumentError, "plain numbers"),
        (lambda x: signal.windows.kaiser(5, x[0]), errors.ArgumentError, "kaiser takes plain numbers"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(X)
