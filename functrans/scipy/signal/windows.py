"""Windows, as `scipy.signal.windows`: SciPy's own functions.

Lengths and parameters are static.

>>> import functrans as ft
>>> ft.scipy.signal.windows.hann(5)
Array([0. , 0.5, 1. , 0.5, 0. ])
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

from functrans.core.trace import Tracer
from functrans.errors import ArgumentError
from functrans.numpy.dispatch import has_tracer, on_cpu, wrap_result

_NAMES = (
    "barthann", "bartlett", "blackman", "blackmanharris", "bohman", "boxcar", "chebwin", "cosine", "dpss",
    "exponential", "flattop", "gaussian", "general_cosine", "general_gaussian", "general_hamming", "get_window",
    "hamming", "hann", "kaiser", "kaiser_bessel_derived", "lanczos", "nuttall", "parzen", "taylor", "triang", "tukey",
)  # fmt: skip

__all__ = [*_NAMES]


@functools.cache
def _window(name: str) -> Any:
    function = getattr(importlib.import_module("scipy.signal.windows"), name)

    @functools.wraps(function)
    def window(*args: Any, **kwargs: Any) -> Any:
        if has_tracer((*args, *kwargs.values())):
            raise ArgumentError(f"{name} takes plain numbers: the length and the parameters of a window are static")
        return wrap_result(function(*args, **kwargs))

    window.__doc__ = f"As `scipy.signal.windows.{name}`.\n"
    return window


def __getattr__(name: str) -> Any:
    if name in __all__:
        return _window(name)
    raise AttributeError(f"module 'functrans.scipy.signal.windows' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def get_window(window: Any, Nx: int, fftbins: bool = True, *, xp: Any = None, device: Any = None) -> Any:
    """A window by its name, as `scipy.signal.get_window`.

    Args:
        window: a name, a tuple of a name and parameters, or a number, the parameter of a Kaiser window.
        Nx: the number of samples.
        fftbins: periodic, for transforms; `False` for symmetric.
        xp, device: SciPy's; the array is one of functrans, on the CPU.

    >>> import functrans as ft
    >>> ft.scipy.signal.get_window(("tukey", 0.5), 4)
    Array([0., 1., 1., 1.])
    """
    from scipy import signal

    on_cpu(device)
    if has_tracer((window, Nx)) or isinstance(fftbins, Tracer):
        raise ArgumentError("get_window takes plain numbers: the length and the parameters of a window are static")
    return wrap_result(signal.get_window(window, Nx, fftbins))
