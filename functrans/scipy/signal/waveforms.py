"""Waves, as in `scipy.signal`: functions of time whose frequencies and widths may be traced too."""

from __future__ import annotations

from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.errors import ArgumentError
from functrans.scipy.dispatch import implements, inexact

_implements = implements("scipy.signal")


@_implements
def sawtooth(t: Any, width: Any = 1) -> Any:
    """A wave of period 2 pi that rises from -1 to 1 within `width` of it, then falls, as `scipy.signal.sawtooth`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.sawtooth(np.array([0.0, 1.5, 3.0]))
    Array([-1.        , -0.52253517, -0.04507034])
    """
    t, width = inexact(t), inexact(width)
    phase = fnp.mod(t, 2 * np.pi)
    rising = phase < width * 2 * np.pi
    up = phase / (np.pi * fnp.where(width == 0, 1, width)) - 1
    down = (np.pi * (width + 1) - phase) / (np.pi * fnp.where(width == 1, 1, 1 - width))
    return fnp.where((width < 0) | (width > 1), np.nan, fnp.where(rising, up, down))


@_implements
def square(t: Any, duty: Any = 0.5) -> Any:
    """A wave of period 2 pi that is 1 within `duty` of it, and -1 then, as `scipy.signal.square`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.square(np.array([0.0, 1.5, 4.0]))
    Array([ 1.,  1., -1.])
    """
    t, duty = inexact(t), inexact(duty)
    wave = fnp.where(fnp.mod(t, 2 * np.pi) < duty * 2 * np.pi, 1.0, -1.0)
    return fnp.where((duty < 0) | (duty > 1), np.nan, wave)


@_implements
def gausspulse(
    t: Any, fc: Any = 1000, bw: Any = 0.5, bwr: Any = -6, tpr: Any = -60, retquad: bool = False, retenv: bool = False
) -> Any:
    """A sine wave of frequency `fc` within a Gaussian, as `scipy.signal.gausspulse`.

    Args:
        t: times.
        fc: the frequency of the wave.
        bw: the bandwidth as a part of `fc`, at the level of `bwr` decibels.
        bwr: that level.
        tpr: of `t="cutoff"`, which gives the time at which the envelope has this level.
        retquad, retenv: whether to return the wave a quarter period later, and the envelope.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.gausspulse(np.array([0.0, 0.1]), fc=5)
    Array([ 1.       , -0.7999184])
    """
    a = -((np.pi * fc * bw) ** 2) / (4.0 * fnp.log(10.0 ** (bwr / 20.0)))
    if isinstance(t, str):
        return fnp.sqrt(-fnp.log(10.0 ** (tpr / 20.0)) / a)
    t = inexact(t)
    envelope = fnp.exp(-a * t * t)
    out = [envelope * fnp.cos(2 * np.pi * fc * t)]
    out += [envelope * fnp.sin(2 * np.pi * fc * t)] if retquad else []
    out += [envelope] if retenv else []
    return out[0] if len(out) == 1 else tuple(out)


@_implements
def chirp(
    t: Any, f0: Any, t1: Any, f1: Any, method: str = "linear", phi: Any = 0, vertex_zero: bool = True, *,
    complex: bool = False,
) -> Any:  # fmt: skip
    """A cosine whose frequency goes from `f0` at time 0 to `f1` at time `t1`, as `scipy.signal.chirp`.

    Args:
        t: times.
        f0, t1, f1: frequencies, and the time of the second.
        method: how the frequency goes: `"linear"`, `"quadratic"`, `"logarithmic"` or `"hyperbolic"`.
        phi: the phase at time 0, in degrees.
        vertex_zero: of `"quadratic"`: whether the parabola's vertex is at time 0, or at `t1`.
        complex: for `exp(i phase)` in place of the cosine.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.signal.chirp(np.array([0.0, 0.25]), 1.0, 1.0, 2.0)
    Array([ 1.        , -0.19509032])
    """
    t = inexact(t)
    if method in ("linear", "lin", "li"):
        phase = f0 * t + (f1 - f0) / t1 * t * t / 2
    elif method in ("quadratic", "quad", "q"):
        beta = (f1 - f0) / t1**2
        phase = f0 * t + beta * t**3 / 3 if vertex_zero else f1 * t + beta * ((t1 - t) ** 3 - t1**3) / 3
    elif method in ("logarithmic", "log", "lo"):
        ratio = fnp.log(f1 / f0)  # near 0 the wave is f0 t
        same = ratio == 0
        rate = fnp.where(same, 1.0, ratio) / t1
        phase = f0 * fnp.where(same, t, fnp.expm1(rate * t) / rate)
    elif method in ("hyperbolic", "hyp"):
        same = f0 == f1
        pole = -f1 * t1 / fnp.where(same, 1.0, f0 - f1)
        phase = fnp.where(same, f0 * t, -pole * f0 * fnp.log(fnp.abs(1 - t / pole)))
    else:
        raise ArgumentError(f"chirp takes method='linear', 'quadratic', 'logarithmic' or 'hyperbolic', got {method!r}")
    angle = 2 * np.pi * phase + fnp.deg2rad(phi)
    return fnp.exp(1j * angle) if complex else fnp.cos(angle)
