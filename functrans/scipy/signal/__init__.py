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
from functrans.scipy.signal.design import (
    bessel,
    butter,
    buttord,
    cheb1ord,
    cheb2ord,
    cheby1,
    cheby2,
    ellip,
    ellipord,
    firls,
    firwin,
    firwin2,
    iirdesign,
    iirfilter,
    iirnotch,
    iirpeak,
    kaiser_atten,
    kaiser_beta,
    kaiserord,
    remez,
    sos2tf,
    sos2zpk,
    tf2sos,
    tf2zpk,
    unit_impulse,
    zpk2sos,
    zpk2tf,
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
from functrans.scipy.signal.responses import (
    freqz,
    sosfreqz,
)
from functrans.scipy.signal.smoothing import (
    decimate,
    deconvolve,
    medfilt,
    medfilt2d,
    wiener,
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
from functrans.scipy.signal.waveforms import (
    chirp,
    gausspulse,
    sawtooth,
    square,
)
from functrans.scipy.signal.windows import get_window

__all__ = [
    "bessel", "butter", "buttord", "cheb1ord", "cheb2ord", "cheby1", "cheby2", "chirp", "coherence", "convolve",
    "convolve2d", "correlate", "correlate2d", "correlation_lags", "csd", "decimate", "deconvolve", "detrend",
    "ellip", "ellipord", "fftconvolve", "filtfilt", "firls", "firwin", "firwin2", "freqz", "gausspulse",
    "get_window", "hilbert", "iirdesign", "iirfilter", "iirnotch", "iirpeak", "istft", "kaiser_atten",
    "kaiser_beta", "kaiserord", "lfilter", "lfilter_zi", "medfilt", "medfilt2d", "oaconvolve", "periodogram",
    "remez", "resample", "resample_poly", "savgol_coeffs", "savgol_filter", "sawtooth", "sos2tf", "sos2zpk",
    "sosfilt", "sosfilt_zi", "sosfiltfilt", "sosfreqz", "spectrogram", "square", "stft", "tf2sos", "tf2zpk",
    "unit_impulse", "upfirdn", "welch", "wiener", "windows", "zpk2sos", "zpk2tf",
]  # fmt: skip
