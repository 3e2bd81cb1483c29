"""Ufuncs for primitives that neither NumPy nor SciPy has as a ufunc."""

from __future__ import annotations

from typing import Any

import numpy as np


class _Polygamma:
    """`polygamma(n, x)` with the interface of a ufunc that the elementwise rows use."""

    __name__ = "polygamma"
    nin, nout = 2, 1

    def __call__(self, n: Any, x: Any) -> Any:
        from scipy.special import polygamma

        dtype = np.result_type(n, x)
        out = np.asarray(polygamma(n, x))
        return out.astype(dtype if dtype.kind == "f" else np.float64)[()]

    def resolve_dtypes(self, types: tuple[Any, ...]) -> tuple[np.dtype, ...]:
        return np.hypot.resolve_dtypes(types)


polygamma_ufunc = _Polygamma()
