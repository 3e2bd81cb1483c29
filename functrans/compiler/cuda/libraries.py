"""What CuPy's libraries do: factorizations and solvers (cuSOLVER, cuBLAS), Fourier transforms (cuFFT), sorting (CUB).

Each function takes the library of arrays, `cupy` or in the simulator `numpy`, which have the same names. Where NumPy
would raise `LinAlgError`, so does CuPy, which has to wait for the result for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from functrans.compiler.cuda.calls import call_device
from functrans.compiler.plan import Planner
from functrans.core.jaxpr import Eqn

Function = Callable[..., Sequence[Any]]


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
    solve = importlib.import_module("cupyx.scipy.linalg" if xp.__name__ == "cupy" else "scipy.linalg").solve_triangular
    if conjugate_a:
        a = a.conj()
    if not left_side:  # x a = b is a^T x^T = b^T
        b, transpose_a = xp.swapaxes(b, -1, -2), not transpose_a
    batch = a.shape[:-2] if a.ndim >= b.ndim else b.shape[:-2]
    n = a.shape[-1]
    flat_a = xp.broadcast_to(a, (*batch, n, n)).reshape(-1, n, n)
    flat_b = xp.broadcast_to(b, (*batch, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
    outs = [
        solve(x, y, trans=int(transpose_a), lower=lower, unit_diagonal=unit_diagonal) for x, y in zip(flat_a, flat_b)
    ]
    out = xp.stack(outs).reshape(*batch, *b.shape[-2:])
    return out if left_side else xp.swapaxes(out, -1, -2)


def _svd(xp: Any, a: Any, *, full_matrices: bool, compute_uv: bool) -> Sequence[Any]:
    if not compute_uv:
        return (xp.linalg.svd(a, compute_uv=False),)
    return xp.linalg.svd(a, full_matrices=full_matrices)


def _qr(xp: Any, a: Any, *, full_matrices: bool) -> Sequence[Any]:
    return xp.linalg.qr(a, "complete" if full_matrices else "reduced")


def _fft(xp: Any, x: Any, *, fft_type: Any, fft_lengths: Any, axes: Any, norm: str) -> Any:
    function = getattr(xp.fft, {"FFT": "fftn", "IFFT": "ifftn", "RFFT": "rfftn", "IRFFT": "irfftn"}[fft_type.name])
    return function(x, fft_lengths, axes, norm)


def _emit_fft(p: Planner, eqn: Eqn) -> bool:
    return call_device(p, eqn, lambda xp, x: (_fft(xp, x, **eqn.params),))


def _emit_sort(p: Planner, eqn: Eqn) -> bool:
    """One array by itself; several by a stable sort for each key, the last key first."""
    if any(a.aval.dtype.kind == "b" for a in eqn.inputs):
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


EMITTERS: dict[str, Callable[[Planner, Eqn], bool]] = {
    "cholesky": _matrices(lambda xp, a: xp.linalg.cholesky(a)),
    "solve": _matrices(_solve),
    "triangular_solve": _matrices(_triangular_solve),
    "det": _matrices(lambda xp, a: xp.linalg.det(a)),
    "slogdet": _matrices(lambda xp, a: xp.linalg.slogdet(a)),
    "eigh": _matrices(lambda xp, a: xp.linalg.eigh(a)),
    "svd": _matrices(_svd),
    "qr": _matrices(_qr),
    "fft": _emit_fft,
    "sort": _emit_sort,
}
