"""Signal processing, as `scipy.signal`: SciPy's own functions on plain arrays, and their traced forms.

Traced arrays keep float32. What is not an array of samples (lengths, modes, names of windows, an order) is static;
windows, filter coefficients and sampling rates may be traced and differentiated too.
"""

from functrans.scipy.signal import windows
from functrans.scipy.signal.convolution import (
    convolve,
    convolve2d,
    correlate,
    correlate2d,
    correlation_lags,
    fftconvolve,
    oaconvolve,
    resample_poly,
    upfirdn,
)
from functrans.scipy.signal.filters import (
    detrend,
    filtfilt,
    hilbert,
    lfilter,
    lfilter_zi,
    resample,
    savgol_coeffs,
    savgol_filter,
    sosfilt,
    sosfilt_zi,
    sosfiltfilt,
)
from functrans.scipy.signal.spectra import (
    coherence,
    csd,
    istft,
    periodogram,
    spectrogram,
    stft,
    welch,
)
from functrans.scipy.signal.windows import get_window

__all__ = [
    "coherence", "convolve", "convolve2d", "correlate", "correlate2d", "correlation_lags", "csd", "detrend",
    "fftconvolve", "filtfilt", "get_window", "hilbert", "istft", "lfilter", "lfilter_zi", "oaconvolve", "periodogram",
    "resample", "resample_poly", "savgol_coeffs", "savgol_filter", "sosfilt", "sosfilt_zi", "sosfiltfilt",
    "spectrogram", "stft", "upfirdn", "welch", "windows",
]  # fmt: skip
