"""Filter design, as in `scipy.signal`: SciPy's own functions of plain numbers.

Orders, frequencies and ripples are static; coefficients that are to be learned are arrays of the user's own. Results
are plain arrays, which the filters of traced signals take.

>>> import functrans as ft
>>> ft.scipy.signal.kaiser_beta(60.0)
5.65326
"""

from __future__ import annotations

from typing import Any

from functrans.core.documentation import with_example
from functrans.scipy.dispatch import of_plain_numbers

__all__ = [
    "bessel", "butter", "buttord", "cheb1ord", "cheb2ord", "cheby1", "cheby2", "ellip", "ellipord", "firls", "firwin",
    "firwin2", "iirdesign", "iirfilter", "iirnotch", "iirpeak", "kaiser_atten", "kaiser_beta", "kaiserord", "remez",
    "sos2tf", "sos2zpk", "tf2sos", "tf2zpk", "zpk2sos", "zpk2tf",
]  # fmt: skip


def _plain(name: str, what: str, call: str, result: str) -> Any:
    doc = with_example(f"{what}, as `scipy.signal.{name}`.", f"ft.scipy.signal.{name}{call}", result)
    return of_plain_numbers("scipy.signal", name, doc, ": filters are designed outside of traced functions")


butter = _plain("butter", "A Butterworth filter", "(1, 0.4)[0]", "Array([0.42080778, 0.42080778])")
buttord = _plain("buttord", "The order of a Butterworth filter", "(0.2, 0.5, 1, 20)", "(3, Array(0.24606302))")
cheby1 = _plain("cheby1", "A Chebyshev filter of type I", "(1, 1, 0.4)[0]", "Array([0.58810798, 0.58810798])")
cheb1ord = _plain("cheb1ord", "The order of a Chebyshev filter of type I", "(0.2, 0.5, 1, 20)", "(3, Array(0.2))")
cheby2 = _plain("cheby2", "A Chebyshev filter of type II", "(1, 20, 0.4)[0]", "Array([0.06805116, 0.06805116])")
cheb2ord = _plain(
    "cheb2ord", "The order of a Chebyshev filter of type II", "(0.2, 0.5, 1, 20)", "(3, Array(0.34366425))"
)
ellip = _plain("ellip", "An elliptic filter", "(1, 1, 20, 0.4)[0]", "Array([0.58810798, 0.58810798])")
ellipord = _plain("ellipord", "The order of an elliptic filter", "(0.2, 0.5, 1, 20)", "(2, Array(0.2))")
bessel = _plain("bessel", "A Bessel filter", "(1, 0.4)[0]", "Array([0.42080778, 0.42080778])")
iirfilter = _plain(
    "iirfilter", "A recursive filter of a given kind", '(1, 0.4, btype="low")[0]', "Array([0.42080778, 0.42080778])"
)
iirdesign = _plain(
    "iirdesign", "A recursive filter with given bands", '(0.2, 0.5, 1, 20, ftype="butter")[0].shape', "(4,)"
)
iirnotch = _plain("iirnotch", "A filter that takes out one frequency", "(0.25, 30)[0].shape", "(3,)")
iirpeak = _plain("iirpeak", "A filter that lets one frequency pass", "(0.25, 30)[0].shape", "(3,)")
firwin = _plain(
    "firwin", "A finite filter by the window method", "(3, 0.5)", "Array([0.0462215, 0.907557 , 0.0462215])"
)
firwin2 = _plain(
    "firwin2", "A finite filter of given gains by the window method", "(3, [0, 0.5, 1], [1, 1, 0]).shape", "(3,)"
)
firls = _plain("firls", "A finite filter of least squares", "(3, [0, 0.4, 0.6, 1], [1, 1, 0, 0]).shape", "(3,)")
remez = _plain("remez", "A finite filter of least largest error", "(3, [0, 0.2, 0.3, 0.5], [1, 0]).shape", "(3,)")
kaiserord = _plain("kaiserord", "The length and parameter of a Kaiser window for a filter", "(60.0, 0.1)[0]", "74")
kaiser_beta = _plain("kaiser_beta", "The parameter of a Kaiser window for an attenuation", "(60.0)", "5.65326")
kaiser_atten = _plain(
    "kaiser_atten", "The attenuation of a filter by a Kaiser window", "(11, 0.5)", "43.84269606726339"
)
tf2sos = _plain("tf2sos", "Second-order sections of a transfer function", "([1.0, 1.0], [1.0, 0.5]).shape", "(1, 6)")
zpk2sos = _plain("zpk2sos", "Second-order sections of zeros, poles and a gain", "([], [0.5], 1.0).shape", "(1, 6)")
zpk2tf = _plain(
    "zpk2tf", "The transfer function of zeros, poles and a gain", "([], [0.5], 2.0)[1]", "Array([ 1. , -0.5])"
)
tf2zpk = _plain("tf2zpk", "Zeros, poles and the gain of a transfer function", "([2.0], [1.0, -0.5])[2]", "Array(2.)")
sos2tf = _plain(
    "sos2tf",
    "The transfer function of second-order sections",
    "([[1.0, 0.0, 0.0, 1.0, -0.5, 0.0]])[1]",
    "Array([ 1. , -0.5,  0. ])",
)
sos2zpk = _plain(
    "sos2zpk",
    "Zeros, poles and the gain of second-order sections",
    "([[2.0, 0.0, 0.0, 1.0, -0.5, 0.0]])[2]",
    "Array(2.)",
)
unit_impulse = _plain("unit_impulse", "A signal that is one at one place", "(4, 1)", "Array([0., 1., 0., 0.])")
