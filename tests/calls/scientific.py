"""Calls of the functions of `functrans.scipy` but those of `special`, `linalg` and `stats`."""

import numpy as np
import scipy.signal
from numpy_samples import SPD, SQUARE, P, V, X, Y, Z

import functrans.numpy as fnp
from calls.measure import Call
from functrans.scipy import fft, integrate, interpolate, ndimage, optimize, signal
from functrans.scipy.cluster import vq
from functrans.scipy.sparse import linalg as sparse
from functrans.scipy.spatial import distance, transform

A, S = SQUARE[0], SPD[0]
LONG = np.concatenate([X.ravel(), Y.ravel(), P.ravel()])
SOS = scipy.signal.butter(4, 0.3, output="sos")
TIMES = np.array([0.0, 1.0, 2.5, 3.0, 4.0])

PLAIN: dict[str, dict[str, str]] = {
    "fft": {"whole numbers alone": "next_fast_len"},
    "signal": {
        "whole numbers and names alone": "correlation_lags get_window savgol_coeffs unit_impulse",
        "the design of filters, of plain numbers": " ".join(sorted(signal.design.__all__)),
    },
}

# ---------------------------------------------------------------- fft

FFT = {name: Call(getattr(fft, name), (X,)) for name in "rfft rfft2 rfftn ihfft fftshift ifftshift".split()}
FFT |= {name: Call(getattr(fft, name), (Z,)) for name in
        "fft ifft fft2 ifft2 fftn ifftn hfft irfft irfft2 irfftn".split()}  # fmt: skip
FFT |= {name: Call(getattr(fft, name), (X,)) for name in "dct idct dst idst dctn idctn dstn idstn".split()}
FFT |= {name: Call(getattr(fft, name), (5,)) for name in ("fftfreq", "rfftfreq")}

# ---------------------------------------------------------------- integrate

INTEGRATE = {
    name: Call(getattr(integrate, name), (LONG[:9],))
    for name in "cumulative_simpson cumulative_trapezoid romb simpson trapezoid".split()
}
INTEGRATE |= {
    "fixed_quad": Call(lambda p: integrate.fixed_quad(lambda x: fnp.sin(p * x), 0.0, p)[0], (P[0, 0] * np.ones(()),)),
    "quad": Call(lambda p: integrate.quad(lambda x: fnp.sin(p * x), 0.0, p)[0], (P[0, 0] * np.ones(()),)),
    "quad_vec": Call(lambda p: integrate.quad_vec(lambda x: fnp.sin(p * x), 0.0, 1.0)[0], (P[0],)),
}

# ---------------------------------------------------------------- signal


def _section(b: object, a: object) -> object:
    """A filter of one section; its fourth coefficient is one."""
    return fnp.concatenate([b, fnp.ones(1), a])[None]


SIGNAL = {name: Call(getattr(signal, name), (LONG, V)) for name in "convolve correlate fftconvolve oaconvolve".split()}
SIGNAL |= {name: Call(getattr(signal, name), (X, Y[:2, :2])) for name in "convolve2d correlate2d".split()}
SIGNAL |= {
    "chirp": Call(signal.chirp, (LONG, 1.0, 3.0, 2.0)),
    "coherence": Call(lambda x, y: signal.coherence(x, y, nperseg=8)[1], (LONG, LONG[::-1] ** 2)),
    "decimate": Call(signal.decimate, (LONG, 2)),
    "deconvolve": Call(signal.deconvolve, (V, V[:2])),
    "freqz": Call(signal.freqz, (V, P[0], 7)),
    "gausspulse": Call(signal.gausspulse, (P,), {"fc": 2.0}),
    "medfilt": Call(signal.medfilt, (X,)),
    "medfilt2d": Call(signal.medfilt2d, (X,)),
    "sawtooth": Call(signal.sawtooth, (X, 0.7)),
    "sosfreqz": Call(lambda b, a: signal.sosfreqz(_section(b, a), 7), (V[:3], P[0, :2])),
    "square": Call(signal.square, (X,)),
    "wiener": Call(signal.wiener, (X,)),
    "csd": Call(signal.csd, (LONG, LONG[::-1] ** 2), {"nperseg": 8}),
    "detrend": Call(signal.detrend, (LONG,)),
    "filtfilt": Call(signal.filtfilt, ([0.2, 0.3], [1.0, -0.4], LONG)),
    "hilbert": Call(signal.hilbert, (LONG,)),
    "istft": Call(lambda z: signal.istft(z, nperseg=8), (scipy.signal.stft(LONG, nperseg=8)[2],)),
    "lfilter": Call(signal.lfilter, (V[:2], np.array([1.5, -0.4]), LONG)),
    "lfilter_zi": Call(signal.lfilter_zi, (V[:2], np.array([1.5, -0.4]))),
    "periodogram": Call(signal.periodogram, (LONG,)),
    "resample": Call(signal.resample, (LONG, 20)),
    "resample_poly": Call(signal.resample_poly, (LONG, 3, 2)),
    "savgol_filter": Call(signal.savgol_filter, (LONG, 7, 2)),
    "sosfilt": Call(lambda b, a, x: signal.sosfilt(_section(b, a), x), (V[:3], P[0, :2], LONG)),
    "sosfilt_zi": Call(lambda b, a: signal.sosfilt_zi(_section(b, a)), (V[:3], P[0, :2])),
    "sosfiltfilt": Call(lambda x: signal.sosfiltfilt(SOS, x), (LONG,)),
    "spectrogram": Call(signal.spectrogram, (LONG,), {"nperseg": 8}),
    "stft": Call(signal.stft, (LONG,), {"nperseg": 8}),
    "upfirdn": Call(signal.upfirdn, (V, LONG, 3, 2)),
    "welch": Call(signal.welch, (LONG,), {"nperseg": 8}),
}

# ---------------------------------------------------------------- ndimage

NDIMAGE = {
    name: Call(getattr(ndimage, name), (X, *args))
    for name, args in {
        "affine_transform": (np.array([[0.6, 0.1], [0.1, 0.7]]), 0.3), "convolve": (Y[:2, :2],),
        "convolve1d": (V[:3],), "correlate": (Y[:2, :2],), "correlate1d": (V[:3],), "gaussian_filter": (1.2,),
        "gaussian_filter1d": (1.2,), "gaussian_gradient_magnitude": (1.2,), "gaussian_laplace": (1.2,), "laplace": (),
        "map_coordinates": (1 + P[:2],), "maximum_filter": (2,), "maximum_filter1d": (2,), "median_filter": (3,),
        "black_tophat": (3,), "grey_closing": (3,), "grey_dilation": (3,), "grey_erosion": (3,), "grey_opening": (3,),
        "morphological_gradient": (3,), "morphological_laplace": (3,), "white_tophat": (3,),
        "minimum_filter": (2,), "minimum_filter1d": (2,), "percentile_filter": (30, 3), "prewitt": (),
        "rank_filter": (2, 3), "rotate": (20.0,), "shift": (0.3,), "sobel": (), "spline_filter": (),
        "spline_filter1d": (), "uniform_filter": (2,), "uniform_filter1d": (2,), "zoom": (1.5,),
    }.items()
}  # fmt: skip

# ---------------------------------------------------------------- optimize

HALF = np.array(0.7)
CURVE = lambda x, p: x**3 + p * x - 2.0


def _root(name: str) -> Call:
    return Call(lambda p: getattr(optimize, name)(lambda x: CURVE(x, p), 0.0, 2.0), (HALF,))


OPTIMIZE = {name: _root(name) for name in "bisect brenth brentq ridder toms748".split()}
OPTIMIZE["fixed_point"] = Call(lambda p: optimize.fixed_point(lambda x: fnp.cos(x) * p, 1.0), (HALF,))
OPTIMIZE["newton"] = Call(lambda p: optimize.newton(lambda x: CURVE(x, p), 1.0), (HALF,))
OPTIMIZE |= {
    "curve_fit": Call(lambda x, y: optimize.curve_fit(lambda x, a, b: a * fnp.exp(b * x), x, y, [1.0, 0.1])[0],
                      (TIMES / 4, P.ravel()[:5]), step=1e-5, rtol=1e-5),
    "least_squares": Call(lambda p: optimize.least_squares(lambda x: fnp.concatenate([x - p, x[:1] * x[1:]]), p[:2]).x,
                          (P[0, :2],), step=1e-5, rtol=1e-5),
    "linear_sum_assignment": Call(optimize.linear_sum_assignment, (X,)),
    "minimize": Call(lambda p: optimize.minimize(lambda x: fnp.sum((x - p) ** 4 + (x - 1) ** 2), p * 0 + 0.5,
                                                 method="BFGS", tol=1e-9).x, (P[0],), step=1e-4, rtol=1e-6),
    "minimize_scalar": Call(lambda p: optimize.minimize_scalar(lambda x: (x - p) ** 4 + (x - 1) ** 2).x, (HALF,),
                            step=1e-4, rtol=1e-6),
    "root": Call(lambda p: optimize.root(lambda x: x**3 + p * x - 2.0, p).x, (P[0],), rtol=1e-7),
    "root_scalar": Call(lambda p: optimize.root_scalar(lambda x: CURVE(x, p), bracket=(0.0, 2.0)).root, (HALF,)),
}  # fmt: skip
#: Classes that hold results.
RESULTS = "LeastSquaresResult OptimizeResults RootResult RootResults ScalarResult".split()

# ---------------------------------------------------------------- interpolate

INTERPOLATE = {
    name: Call(lambda x, y, at, name=name: getattr(interpolate, name)(x, y)(at), (TIMES, V, 4 * P[0]))
    for name in "Akima1DInterpolator CubicSpline PchipInterpolator interp1d make_interp_spline".split()
}
INTERPOLATE |= {
    "BSpline": Call(lambda t, c, at: interpolate.BSpline(t, c, 2)(at), (np.arange(8.0), V, 2 + P[0] * 3)),
    "CubicHermiteSpline": Call(lambda x, y, d, at: interpolate.CubicHermiteSpline(x, y, d)(at),
                               (TIMES, V, V[::-1], 4 * P[0])),
    "PPoly": Call(lambda c, x, at: interpolate.PPoly(c, x)(at), (X[:, :4], TIMES, 4 * P[0])),
    "RegularGridInterpolator": Call(lambda x, y, v, at: interpolate.RegularGridInterpolator((x, y), v)(at),
                                    (TIMES[:3], TIMES[:4], X, P[:2].reshape(4, 2) * 2)),
    "interpn": Call(lambda x, y, v, at: interpolate.interpn((x, y), v, at),
                    (TIMES[:3], TIMES[:4], X, P[:2].reshape(4, 2) * 2)),
}  # fmt: skip

# ---------------------------------------------------------------- sparse, spatial, cluster

SPARSE = {
    name: Call(lambda a, b, name=name: getattr(sparse, name)(a @ a.T if name == "cg" else a, b, rtol=1e-10)[0],
               (A, V[:3])) for name in ("bicgstab", "cg", "gmres")
}  # fmt: skip
TRANSFORM = {
    "Rotation": Call(lambda v, x: transform.Rotation.from_rotvec(v).apply(x), (V[:3], X[:, :3])),
    "Slerp": Call(lambda t, v, at: transform.Slerp(t, transform.Rotation.from_rotvec(v))(at).as_matrix(),
                  (TIMES[:3], X[:, :3], P[0])),
}  # fmt: skip
DISTANCE = {
    name: Call(getattr(distance, name), (X[0], Y[0]))
    for name in "chebyshev cityblock correlation cosine euclidean hamming minkowski sqeuclidean".split()
}
DISTANCE |= {name: Call(getattr(distance, name), (P[0], P[1])) for name in "braycurtis canberra jensenshannon".split()}
DISTANCE |= {
    "cdist": Call(distance.cdist, (X, Y)),
    "mahalanobis": Call(distance.mahalanobis, (X[0, :3], Y[0, :3], SPD[0])),
    "pdist": Call(distance.pdist, (X,)),
    "seuclidean": Call(distance.seuclidean, (X[0], Y[0], P[0])),
    "squareform": Call(distance.squareform, (X.ravel()[:10],)),
}
CLUSTER = {
    "kmeans": Call(vq.kmeans, (X, X[:2])),
    "kmeans2": Call(vq.kmeans2, (X, X[:2]), {"minit": "matrix"}),
    "vq": Call(vq.vq, (X, X[:2])),
    "whiten": Call(vq.whiten, (X,)),
}
