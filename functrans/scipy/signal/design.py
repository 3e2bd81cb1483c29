"""Filter design, as in `scipy.signal`: SciPy's own functions of plain numbers.

Orders, frequencies and ripples are static; coefficients that are to be learned are arrays of the user's own. Results
are plain arrays, which the filters of traced signals take.

>>> import functrans as ft
>>> ft.scipy.signal.kaiser_beta(60.0)
5.65326
"""

from __future__ import annotations

import importlib
from typing import Any

from functrans.errors import ArgumentError
from functrans.numpy.dispatch import has_tracer, wrap_result

__all__ = [
    "bessel", "butter", "buttord", "cheb1ord", "cheb2ord", "cheby1", "cheby2", "ellip", "ellipord", "firls", "firwin",
    "firwin2", "iirdesign", "iirfilter", "iirnotch", "iirpeak", "kaiser_atten", "kaiser_beta", "kaiserord", "remez",
    "sos2tf", "sos2zpk", "tf2sos", "tf2zpk", "zpk2sos", "zpk2tf",
]  # fmt: skip


def _plain(name: str, what: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> Any:
        if has_tracer((*args, *kwargs.values())):
            raise ArgumentError(f"{name} takes plain numbers: filters are designed outside of traced functions")
        return wrap_result(getattr(importlib.import_module("scipy.signal"), name)(*args, **kwargs))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, as `scipy.signal.{name}`."
    return function


butter = _plain("butter", "A Butterworth filter")
buttord = _plain("buttord", "The order of a Butterworth filter")
cheby1 = _plain("cheby1", "A Chebyshev filter of type I")
cheb1ord = _plain("cheb1ord", "The order of a Chebyshev filter of type I")
cheby2 = _plain("cheby2", "A Chebyshev filter of type II")
cheb2ord = _plain("cheb2ord", "The order of a Chebyshev filter of type II")
ellip = _plain("ellip", "An elliptic filter")
ellipord = _plain("ellipord", "The order of an elliptic filter")
bessel = _plain("bessel", "A Bessel filter")
iirfilter = _plain("iirfilter", "A recursive filter of a given kind")
iirdesign = _plain("iirdesign", "A recursive filter with given bands")
iirnotch = _plain("iirnotch", "A filter that takes out one frequency")
iirpeak = _plain("iirpeak", "A filter that lets one frequency pass")
firwin = _plain("firwin", "A finite filter by the window method")
firwin2 = _plain("firwin2", "A finite filter of given gains by the window method")
firls = _plain("firls", "A finite filter of least squares")
remez = _plain("remez", "A finite filter of least largest error")
kaiserord = _plain("kaiserord", "The length and parameter of a Kaiser window for a filter")
kaiser_beta = _plain("kaiser_beta", "The parameter of a Kaiser window for an attenuation")
kaiser_atten = _plain("kaiser_atten", "The attenuation of a filter by a Kaiser window")
tf2sos = _plain("tf2sos", "Second-order sections of a transfer function")
zpk2sos = _plain("zpk2sos", "Second-order sections of zeros, poles and a gain")
zpk2tf = _plain("zpk2tf", "The transfer function of zeros, poles and a gain")
tf2zpk = _plain("tf2zpk", "Zeros, poles and the gain of a transfer function")
sos2tf = _plain("sos2tf", "The transfer function of second-order sections")
sos2zpk = _plain("sos2zpk", "Zeros, poles and the gain of second-order sections")
unit_impulse = _plain("unit_impulse", "A signal that is one at one place")
