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

        types = (type(v) if type(v) in (int, float) else np.asarray(v).dtype for v in (n, x))
        return np.asarray(polygamma(n, x)).astype(self.resolve_dtypes((*types, None))[-1])[()]

    def resolve_dtypes(self, types: tuple[Any, ...]) -> tuple[np.dtype, ...]:
        from scipy.special import beta  # a ufunc of two arguments with loops for float32 and float64

        if all(isinstance(t, type) for t in types[:2]):
            types = (np.dtype(float), np.dtype(float), None)
        return beta.resolve_dtypes(types)


polygamma_ufunc = _Polygamma()
