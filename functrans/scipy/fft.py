"""Fourier, cosine and sine transforms, as `scipy.fft`.

SciPy's own on plain arrays. Fourier transforms of traced arrays are those of `functrans.numpy.fft`; cosine and sine
transforms are made of them, by even and odd extensions or by turning the phase (W. Press et al., "Numerical Recipes",
section 12.4). They take no `overwrite_x`, `workers` and `plan`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.promotion import common_dtype
from functrans.numpy import fft as numpy_fft
from functrans.numpy.dispatch import normalize_axis, unsupported
from functrans.numpy.fft import _fitted, fftshift, ifftshift
from functrans.scipy.dispatch import implements

__all__ = [
    "dct", "dctn", "dst", "dstn", "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "idct", "idctn", "idst",
    "idstn", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft", "irfft2", "irfftn", "next_fast_len", "rfft",
    "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip


def fftfreq(n: int, d: float = 1.0, *, xp: Any = None, device: Any = None, dtype: Any = None) -> Any:
    """The frequencies of a transform's results, as `scipy.fft.fftfreq`; `xp` is without effect.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.fftfreq(4, 0.5)
    Array([ 0. ,  0.5, -1. , -0.5])
    """
    return numpy_fft.fftfreq(n, d, device, dtype=dtype)


def rfftfreq(n: int, d: float = 1.0, *, xp: Any = None, device: Any = None, dtype: Any = None) -> Any:
    """Those of real data, as `scipy.fft.rfftfreq`; `xp` is without effect.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.rfftfreq(4, 0.5)
    Array([0. , 0.5, 1. ])
    """
    return numpy_fft.rfftfreq(n, d, device, dtype=dtype)


def next_fast_len(target: int, real: bool = False) -> int:
    """A length of `target` or more for which transforms are fast, as `scipy.fft.next_fast_len`.

    >>> import functrans as ft
    >>> ft.scipy.fft.next_fast_len(1021, real=True)
    1024
    """
    from scipy import fft

    return fft.next_fast_len(operator.index(target), real)


# ---------------------------------------------------------------- Fourier transforms


def _along_one_axis(name: str, doc: str) -> Any:
    numpys = getattr(fnp.fft, name)

    def transform(
        x: Any, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
        workers: int | None = None, *, plan: None = None,
    ) -> Any:  # fmt: skip
        unsupported(name, plan=plan)
        return numpys(x, n, axis, norm)

    return _named(transform, name, doc)


def _along_axes(name: str, doc: str, default: Any = None) -> Any:
    numpys = getattr(fnp.fft, name)

    def transform(
        x: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = default, norm: str | None = None,
        overwrite_x: bool = False, workers: int | None = None, *, plan: None = None,
    ) -> Any:  # fmt: skip
        unsupported(name, plan=plan)
        if s is not None and axes is None:
            axes = tuple(range(-len(s), 0))
        return numpys(x, s, axes, norm)

    return _named(transform, name, doc)


def _named(transform: Callable[..., Any], name: str, doc: str) -> Any:
    transform.__name__ = transform.__qualname__ = name
    transform.__doc__ = doc
    return implements("scipy.fft")(transform)


fft = _along_one_axis("fft", """The Fourier transform along an axis, as `scipy.fft.fft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.fft(np.array([1.0, 0.0, -1.0, 0.0]))
    Array([0.-0.j, 2.+0.j, 0.-0.j, 2.-0.j])
    """)  # fmt: skip
ifft = _along_one_axis("ifft", """The inverse Fourier transform along an axis, as `scipy.fft.ifft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.ifft(np.array([0.0, 2.0, 0.0, 2.0]))
    Array([ 1.-0.j,  0.-0.j, -1.-0.j,  0.+0.j])
    """)  # fmt: skip
rfft = _along_one_axis("rfft", """The Fourier transform of a real array along an axis, as `scipy.fft.rfft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.rfft(np.array([1.0, 0.0, -1.0, 0.0]))
    Array([0.+0.j, 2.+0.j, 0.+0.j])
    """)  # fmt: skip
irfft = _along_one_axis("irfft", """The inverse of `rfft`, as `scipy.fft.irfft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.irfft(np.array([0.0, 2.0, 0.0]))
    Array([ 1.,  0., -1.,  0.])
    """)  # fmt: skip
hfft = _along_one_axis("hfft", """The real Fourier transform of a Hermitian array along an axis, as `scipy.fft.hfft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.hfft(np.array([1.0, 2.0, 1.0]))
    Array([ 6.,  0., -2.,  0.])
    """)  # fmt: skip
ihfft = _along_one_axis("ihfft", """The inverse of `hfft`, as `scipy.fft.ihfft`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.ihfft(np.array([6.0, 0.0, -2.0, 0.0]))
    Array([1.+0.j, 2.-0.j, 1.+0.j])
    """)  # fmt: skip
fft2 = _along_axes("fft2", """The Fourier transform along two axes, as `scipy.fft.fft2`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.fft2(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[10.-0.j, -2.-0.j],
           [-4.-0.j,  0.-0.j]])
    """, (-2, -1))  # fmt: skip
ifft2 = _along_axes("ifft2", """The inverse Fourier transform along two axes, as `scipy.fft.ifft2`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.ifft2(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    Array([[1.-0.j, 2.-0.j],
           [3.-0.j, 4.-0.j]])
    """, (-2, -1))  # fmt: skip
rfft2 = _along_axes("rfft2", """The Fourier transform of a real array along two axes, as `scipy.fft.rfft2`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.rfft2(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """, (-2, -1))  # fmt: skip
irfft2 = _along_axes("irfft2", """The inverse of `rfft2`, as `scipy.fft.irfft2`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.irfft2(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    Array([[1., 2.],
           [3., 4.]])
    """, (-2, -1))  # fmt: skip
fftn = _along_axes("fftn", """The Fourier transform along axes, as `scipy.fft.fftn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.fftn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[10.-0.j, -2.-0.j],
           [-4.-0.j,  0.-0.j]])
    """)  # fmt: skip
ifftn = _along_axes("ifftn", """The inverse Fourier transform along axes, as `scipy.fft.ifftn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.ifftn(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    Array([[1.-0.j, 2.-0.j],
           [3.-0.j, 4.-0.j]])
    """)  # fmt: skip
rfftn = _along_axes("rfftn", """The Fourier transform of a real array along axes, as `scipy.fft.rfftn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.rfftn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[10.+0.j, -2.+0.j],
           [-4.+0.j,  0.+0.j]])
    """)  # fmt: skip
irfftn = _along_axes("irfftn", """The inverse of `rfftn`, as `scipy.fft.irfftn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.irfftn(np.array([[10.0, -2.0], [-4.0, 0.0]]))
    Array([[1., 2.],
           [3., 4.]])
    """)  # fmt: skip

# ---------------------------------------------------------------- cosine and sine transforms

#: The type of the inverse of each type, without its factor.
_INVERSE = {1: 1, 2: 3, 3: 2, 4: 4}
#: The norm of a transform whose direction is the other one.
_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}
_ROOT = 2**0.5


def _turned(x: Any, steps: Any, denominator: int) -> Any:
    """`x` times `exp(-i pi steps / denominator)`, in its precision."""
    return x * np.exp(-1j * np.pi * steps / denominator).astype(common_dtype(aval_of(x).dtype, np.complex64))


def _cosine(x: Any, kind: int) -> Any:
    """The cosine transform along the last axis, without a factor."""
    n = aval_of(x).shape[-1]
    k = np.arange(n)
    match kind:
        case 1:
            if n < 2:
                raise ArgumentError("the cosine transform of type 1 takes at least 2 points")
            return fnp.real(fnp.fft.rfft(fnp.concatenate([x, fnp.flip(x[..., 1:-1], -1)], axis=-1)))
        case 2:
            whole = fnp.fft.rfft(fnp.concatenate([x, fnp.flip(x, -1)], axis=-1))
            return fnp.real(_turned(whole[..., :n], k, 2 * n))
        case 3:
            return fnp.fft.irfft(_turned(x, -k, 2 * n), 2 * n, norm="forward")[..., :n]
        case _:
            return 2 * fnp.real(_turned(fnp.fft.fft(_turned(x, k, 2 * n), 2 * n)[..., :n], 2 * k + 1, 4 * n))


def _sine(x: Any, kind: int) -> Any:
    """The sine transform along the last axis, without a factor; but for type 1 a cosine transform, back to front."""
    n = aval_of(x).shape[-1]
    signs = np.where(np.arange(n) % 2, -1, 1).astype(aval_of(x).dtype)
    if kind == 1:
        edge = fnp.zeros_like(x[..., :1])
        return -fnp.imag(fnp.fft.rfft(fnp.concatenate([edge, x, edge, -fnp.flip(x, -1)], axis=-1)))[..., 1 : n + 1]
    if kind == 2:
        return fnp.flip(_cosine(signs * x, 2), -1)
    return signs * _cosine(fnp.flip(x, -1), kind)


def _scaled_ends(x: Any, factor: float, *, first: bool, last: bool) -> Any:
    factors = np.ones(aval_of(x).shape[-1], aval_of(x).dtype)
    if first:
        factors[0] = factor
    if last:
        factors[-1] = factor
    return x * factors


def _along(name: str, x: Any, axis: int, n: int | None, kind: int, norm: str | None, orthogonalize: Any) -> Any:
    """One transform along one axis of a real array."""
    sine = "dst" in name
    x = fnp.moveaxis(x if n is None else _fitted(x, [n], [axis]), axis, -1)
    size = aval_of(x).shape[-1]
    if size < 1:
        raise ShapeError(f"{name} takes transforms of at least one point, got {size} along axis {axis}")
    orthogonalize = norm == "ortho" if orthogonalize is None else orthogonalize
    if orthogonalize and (kind == 3 or (kind == 1 and not sine)):
        x = _scaled_ends(x, _ROOT, first=not sine, last=sine or kind == 1)
    out = (_sine if sine else _cosine)(x, kind)
    if orthogonalize and (kind == 2 or (kind == 1 and not sine)):
        out = _scaled_ends(out, 1 / _ROOT, first=not sine, last=sine or kind == 1)
    points = 2 * (size + (0 if kind > 1 else 1 if sine else -1))
    if norm in ("forward", "ortho"):
        out = out * (1 / points if norm == "forward" else points**-0.5)
    return fnp.moveaxis(out, -1, axis)


def _transform(name: str, x: Any, kind: int, s: Any, axes: Any, norm: Any, orthogonalize: Any) -> Any:
    x = fnp.asarray(x)
    if kind not in _INVERSE:
        raise ArgumentError(f"{name} takes type=1, 2, 3 or 4, got {kind!r:.60}")
    if norm not in _SWAPPED:
        raise ArgumentError(f"{name} takes norm='backward', 'ortho' or 'forward', got {norm!r:.60}")
    dtype = aval_of(x).dtype
    if dtype.kind == "c":
        parts = (_transform(name, part, kind, s, axes, norm, orthogonalize) for part in (fnp.real(x), fnp.imag(x)))
        real, imag = parts
        return real + imag * aval_of(x).dtype.type(1j)
    if kind_of(dtype) not in "biuf":
        raise DTypeError(f"{name} takes numbers, got {dtype}")
    x = x if dtype in (np.float32, np.float64) else x.astype(np.float32 if dtype in SMALL_FLOATS else np.float64)
    if axes is None and s is not None:
        axes = tuple(range(-len(s), 0))
    ndim = aval_of(x).ndim
    axes = range(ndim) if axes is None else [normalize_axis(a, ndim) for a in np.atleast_1d(axes).tolist()]
    sizes = [None] * len(axes) if s is None else [operator.index(n) if n is not None else None for n in s]
    if len(sizes) != len(axes):
        raise ShapeError(f"{name}: s={tuple(sizes)} and axes={tuple(axes)} have different lengths")
    if name.startswith("i"):
        kind, norm, orthogonalize = _INVERSE[kind], _SWAPPED[norm], norm == "ortho" if orthogonalize is None else (
            orthogonalize
        )  # fmt: skip
    for axis, n in zip(axes, sizes):
        x = _along(name, x, axis, n, kind, norm, orthogonalize)
    return x


@implements("scipy.fft")
def dct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The cosine transform of type 1, 2, 3 or 4 along an axis, as `scipy.fft.dct`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.dct(np.array([1.0, 2.0, 4.0]))
    Array([14.        , -5.19615242,  1.        ])
    """
    return _transform("dct", x, type, None if n is None else (n,), (axis,), norm, orthogonalize)


@implements("scipy.fft")
def idct(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The inverse of `dct`, as `scipy.fft.idct`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.idct(ft.scipy.fft.dct(np.array([1.0, 2.0, 3.0])))
    Array([1., 2., 3.])
    """
    return _transform("idct", x, type, None if n is None else (n,), (axis,), norm, orthogonalize)


@implements("scipy.fft")
def dctn(
    x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, *, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The cosine transform along axes, by default along all, as `scipy.fft.dctn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.dctn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[ 40.        ,  -5.65685425],
           [-11.3137085 ,   0.        ]])
    """
    return _transform("dctn", x, type, s, axes, norm, orthogonalize)


@implements("scipy.fft")
def idctn(
    x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The inverse of `dctn`, as `scipy.fft.idctn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.idctn(ft.scipy.fft.dctn(np.array([[1.0, 2.0], [3.0, 4.0]])))
    Array([[1., 2.],
           [3., 4.]])
    """
    return _transform("idctn", x, type, s, axes, norm, orthogonalize)


@implements("scipy.fft")
def dst(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The sine transform of type 1, 2, 3 or 4 along an axis, as `scipy.fft.dst`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.dst(np.array([1.0, 2.0, 3.0]))
    Array([ 8.        , -3.46410162,  4.        ])
    """
    return _transform("dst", x, type, None if n is None else (n,), (axis,), norm, orthogonalize)


@implements("scipy.fft")
def idst(
    x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The inverse of `dst`, as `scipy.fft.idst`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.idst(ft.scipy.fft.dst(np.array([1.0, 2.0, 3.0])))
    Array([1., 2., 3.])
    """
    return _transform("idst", x, type, None if n is None else (n,), (axis,), norm, orthogonalize)


@implements("scipy.fft")
def dstn(
    x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The sine transform along axes, by default along all, as `scipy.fft.dstn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.dstn(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array([[ 20.        ,  -5.65685425],
           [-11.3137085 ,   0.        ]])
    """
    return _transform("dstn", x, type, s, axes, norm, orthogonalize)


@implements("scipy.fft")
def idstn(
    x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: str | None = None, overwrite_x: bool = False,
    workers: int | None = None, orthogonalize: bool | None = None,
) -> Any:  # fmt: skip
    """The inverse of `dstn`, as `scipy.fft.idstn`.

    >>> import functrans as ft, numpy as np
    >>> ft.scipy.fft.idstn(ft.scipy.fft.dstn(np.array([[1.0, 2.0], [3.0, 4.0]])))
    Array([[1., 2.],
           [3., 4.]])
    """
    return _transform("idstn", x, type, s, axes, norm, orthogonalize)
