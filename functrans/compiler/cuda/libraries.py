"""What CuPy's libraries do: factorizations and solvers (cuSOLVER, cuBLAS), Fourier transforms (cuFFT), sorting (CUB).

So do its special functions, which are ports of SciPy's: each is a kernel of CuPy's own. Each function takes the library
of arrays, `cupy` or in the simulator `numpy`, which have the same names. Where NumPy would raise `LinAlgError`, so does
CuPy, which has to wait for the result for it.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from functrans.compiler.cuda.calls import call_device
from functrans.compiler.plan import Planner
from functrans.core.jaxpr import Eqn

Function = Callable[..., Sequence[Any]]


def _scipy(xp: Any, name: str) -> Any:
    """A module of SciPy's, or CuPy's of the same functions."""
    return importlib.import_module(f"cupyx.scipy.{name}" if xp.__name__ == "cupy" else f"scipy.{name}")


def _to_host(xp: Any, x: Any) -> np.ndarray:
    return np.asarray(xp.asnumpy(x) if xp.__name__ == "cupy" else x)


def _checked(xp: Any) -> AbstractContextManager[Any]:
    """Inside the block a factorization that fails raises an error."""
    return importlib.import_module("cupyx").errstate(linalg="raise") if xp.__name__ == "cupy" else nullcontext()


def _matrices(function: Callable[..., Any]) -> Callable[[Planner, Eqn], bool]:
    """A function `(xp, *operands, **params)` of matrices, none of which is empty."""

    def emit(p: Planner, eqn: Eqn) -> bool:
        if any(a.aval.size == 0 for a in eqn.inputs):
            return False

        def call(xp: Any, *operands: Any) -> Sequence[Any]:
            with _checked(xp):
                out = function(xp, *operands, **eqn.params)
            return out if eqn.primitive.multiple_results else (out,)

        return call_device(p, eqn, call)

    return emit


def _solve(xp: Any, a: Any, b: Any) -> Any:
    batch = xp.broadcast_shapes(a.shape[:-2], b.shape[:-2]) if hasattr(xp, "broadcast_shapes") else a.shape[:-2]
    return xp.linalg.solve(xp.broadcast_to(a, (*batch, *a.shape[-2:])), xp.broadcast_to(b, (*batch, *b.shape[-2:])))


def _triangular_solve(
    xp: Any, a: Any, b: Any, *, left_side: bool, lower: bool, transpose_a: bool, conjugate_a: bool, unit_diagonal: bool
) -> Any:
    if conjugate_a:
        a = a.conj()
    if not left_side:  # x a = b is a^T x^T = b^T
        b, transpose_a = xp.swapaxes(b, -1, -2), not transpose_a
    batch = a.shape[:-2] if a.ndim >= b.ndim else b.shape[:-2]
    n = a.shape[-1]
    a, b = xp.broadcast_to(a, (*batch, n, n)), xp.broadcast_to(b, (*batch, *b.shape[-2:]))

    def solve(a: Any, b: Any) -> Any:
        return _scipy(xp, "linalg").solve_triangular(
            a, b, trans=int(transpose_a), lower=lower, unit_diagonal=unit_diagonal
        )

    if xp.__name__ == "cupy" or not batch:
        out = solve(a, b)
    else:  # SciPy takes batches since 1.15
        out = xp.stack([solve(x, y) for x, y in zip(a.reshape(-1, n, n), b.reshape(-1, *b.shape[-2:]))]).reshape(
            b.shape
        )
    return out if left_side else xp.swapaxes(out, -1, -2)


def _svd(xp: Any, a: Any, *, full_matrices: bool, compute_uv: bool) -> Sequence[Any]:
    if not compute_uv:
        return (xp.linalg.svd(a, compute_uv=False),)
    return xp.linalg.svd(a, full_matrices=full_matrices)


def _qr(xp: Any, a: Any, *, full_matrices: bool) -> Sequence[Any]:
    return xp.linalg.qr(a, "complete" if full_matrices else "reduced")


def _lu(xp: Any, a: Any) -> Sequence[Any]:
    """The factors, the row that each was swapped with, and the permutation, which is found on the host."""
    *batch, m, n = a.shape
    factors, pivots = xp.empty_like(a), xp.empty((*batch, min(m, n)), np.int32)
    permutation = np.empty((*batch, m), np.int32)
    with warnings.catch_warnings(action="ignore"):  # that a matrix is singular
        for i in np.ndindex(*batch):
            factors[i], pivots[i] = _scipy(xp, "linalg").lu_factor(a[i], check_finite=False)
    swaps = _to_host(xp, pivots)
    for i in np.ndindex(*batch):
        rows = list(range(m))
        for j, k in enumerate(swaps[i]):
            rows[j], rows[k] = rows[k], rows[j]
        permutation[i] = rows
    return factors, pivots, xp.asarray(permutation)


def _eig(xp: Any, a: Any) -> Sequence[Any]:
    """By cuSOLVER, if it has it (CUDA 12.6) and CuPy too (14); else on the host."""
    if xp.__name__ == "cupy":
        if not hasattr(xp.linalg, "eig") or not importlib.import_module("cupyx.cusolver").check_availability("geev"):
            return [xp.asarray(v) for v in np.linalg.eig(_to_host(xp, a))]
    return xp.linalg.eig(a)


def _expm(xp: Any, a: Any) -> Any:
    return xp.stack([_scipy(xp, "linalg").expm(x) for x in a.reshape(-1, *a.shape[-2:])]).reshape(a.shape)


def _expm_frechet(xp: Any, a: Any, e: Any) -> Any:
    """In the corner of the exponential of a matrix of blocks (`lax/linalg/functions.py`)."""
    shape = np.broadcast_shapes(a.shape, e.shape)
    a, e = xp.broadcast_to(a, shape), xp.broadcast_to(e, shape)
    above = xp.concatenate([a, e], -1)
    whole = xp.concatenate([above, xp.concatenate([xp.zeros_like(a), a], -1)], -2)
    return _expm(xp, whole)[..., : a.shape[-1], a.shape[-1] :]


def _fft(xp: Any, x: Any, *, fft_type: Any, fft_lengths: Any, axes: Any, norm: str) -> Any:
    function = getattr(xp.fft, {"FFT": "fftn", "IFFT": "ifftn", "RFFT": "rfftn", "IRFFT": "irfftn"}[fft_type.name])
    return function(x, fft_lengths, axes, norm)


def _emit_fft(p: Planner, eqn: Eqn) -> bool:
    return call_device(p, eqn, lambda xp, x: (_fft(xp, x, **eqn.params),))


def _emit_sort(p: Planner, eqn: Eqn) -> bool:
    """One array by itself; several by a stable sort for each key, the last key first."""
    if any(a.aval.dtype.kind in "bV" or a.aval.size == 0 for a in eqn.inputs):  # V: bfloat16
        return False
    axis, keys = eqn.params["dimension"], eqn.params["num_keys"]

    def call(xp: Any, *operands: Any) -> Sequence[Any]:
        if len(operands) == 1:
            return (xp.sort(operands[0], axis, kind="stable"),)
        order = xp.argsort(operands[keys - 1], axis, kind="stable")
        for key in operands[keys - 2 :: -1] if keys > 1 else ():
            again = xp.argsort(xp.take_along_axis(key, order, axis), axis, kind="stable")
            order = xp.take_along_axis(order, again, axis)
        return [xp.take_along_axis(x, order, axis) for x in operands]

    return call_device(p, eqn, call)


# ---------------------------------------------------------------- special functions

#: CuPy's functions by primitive; they have the operands of SciPy's.
_SPECIAL = {
    **{f"bessel_{name}": name for name in ("i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1")},
    **{name: name for name in (
        "beta", "betaincinv", "betaln", "binom", "boxcox", "boxcox1p", "cosm1", "ellipk", "erfcinv", "erfcx", "exp1",
        "expi", "expn", "exprel", "gamma", "gammainccinv", "gammaincinv", "gammasgn", "huber", "kl_div", "log_ndtr",
        "ndtri", "poch", "pseudo_huber", "rgamma", "zeta",
    )},
    "igamma": "gammainc", "igammac": "gammaincc", "regularized_incomplete_beta": "betainc",
}  # fmt: skip


def _emit_special(p: Planner, eqn: Eqn) -> bool:
    if any(a.aval.dtype not in (np.float32, np.float64) for a in (*eqn.inputs, *eqn.outvars)):
        return False
    name, dtype = _SPECIAL[eqn.primitive.name], eqn.outvars[0].aval.dtype
    return call_device(
        p, eqn, lambda xp, *operands: (getattr(_scipy(xp, "special"), name)(*operands).astype(dtype, copy=False),)
    )


EMITTERS: dict[str, Callable[[Planner, Eqn], bool]] = {
    "cholesky": _matrices(lambda xp, a: xp.linalg.cholesky(a)),
    "solve": _matrices(_solve),
    "triangular_solve": _matrices(_triangular_solve),
    "det": _matrices(lambda xp, a: xp.linalg.det(a)),
    "slogdet": _matrices(lambda xp, a: xp.linalg.slogdet(a)),
    "eigh": _matrices(lambda xp, a: xp.linalg.eigh(a)),
    "svd": _matrices(_svd),
    "qr": _matrices(_qr),
    "lu": _matrices(_lu),
    "eig": _matrices(_eig),
    "expm": _matrices(_expm),
    "expm_frechet": _matrices(_expm_frechet),
    "fft": _emit_fft,
    "sort": _emit_sort,
    **dict.fromkeys(_SPECIAL, _emit_special),
}
