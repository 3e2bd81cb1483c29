"""Reductions that leave NaN out (NumPy's reference: Statistics). Quantiles that do stand in `quantiles.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

from functrans import lax
from functrans.core.avals import is_inexact
from functrans.errors import ArgumentError
from functrans.lax import elementwise as ew
from functrans.lax.conversion import as_inexact
from functrans.numpy.dispatch import dtype_of, implements, operand, unsupported
from functrans.numpy.reductions import _documented, all, argmax, argmin, cumprod, cumsum, max, mean, min, prod, sum, var
from functrans.numpy.ufuncs import where as _where


def _without_nan(a: Any, neutral: Any) -> Any:
    return _where(lax.ne(a, a), dtype_of(a).type(neutral), a) if is_inexact(dtype_of(a)) else a


def _present(a: Any, where: Any) -> Any:
    """The mask of the elements that count."""
    there = lax.eq(a, a)
    return there if where is None or where is True else ew.logical_and(there, where)


@implements(np.nansum)
def nansum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nansum([2.0, fnp.nan, 3.0])
    Array(5.)
    """
    return sum(_without_nan(operand("nansum", a), 0), axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanprod([2.0, fnp.nan, 3.0])
    Array(6.)
    """
    return prod(_without_nan(operand("nanprod", a), 1), axis, dtype, out, keepdims, initial, where)


def _nan_extremum(name: str, reduce: Any, neutral: float, *example: str) -> Any:
    def function(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = None
    ) -> Any:
        unsupported(name, out=out)
        a = operand(name, a)
        if where is not None and where is not True and initial is None:
            raise ArgumentError(f"{name} with where= needs initial=, the value of an empty selection")
        if not is_inexact(dtype_of(a)):
            return reduce(a, axis, keepdims=keepdims, initial=initial, where=where)
        missing = lax.ne(a, a)
        neutral_value = dtype_of(a).type(complex(neutral, neutral) if dtype_of(a).kind == "c" else neutral)
        value = reduce(_where(missing, neutral_value, a), axis, keepdims=keepdims, initial=initial, where=where)
        if initial is not None:
            return value
        return _where(all(missing, axis, keepdims=keepdims), dtype_of(a).type(np.nan), value)

    return _documented(function, name, *example)


nanmax = implements(np.nanmax)(
    _nan_extremum("nanmax", max, -np.inf, "fnp.nanmax([2.0, fnp.nan, 3.0])", "Array(3.)"),
)
nanmin = implements(np.nanmin)(
    _nan_extremum("nanmin", min, np.inf, "fnp.nanmin([2.0, fnp.nan, 3.0])", "Array(2.)"),
)


def _nan_arg(name: str, find: Any, neutral: float, call: str, result: str) -> Any:
    def function(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Any:
        unsupported(name, out=out)
        return find(_without_nan(operand(name, a), neutral), axis, keepdims=keepdims)

    summary = "A traced slice of nothing but NaN gives 0, where NumPy raises."
    return _documented(function, name, call, result, summary)


nanargmax = implements(np.nanargmax)(
    _nan_arg("nanargmax", argmax, -np.inf, "fnp.nanargmax([2.0, fnp.nan, 3.0])", "Array(2)"),
)
nanargmin = implements(np.nanargmin)(
    _nan_arg("nanargmin", argmin, np.inf, "fnp.nanargmin([fnp.nan, 2.0, 3.0])", "Array(1)"),
)


@implements(np.nanmean)
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = None
) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanmean([2.0, fnp.nan, 3.0])
    Array(2.5)
    """
    unsupported("nanmean", out=out)
    a = as_inexact(operand("nanmean", a), dtype)
    return mean(_without_nan(a, 0), axis, keepdims=keepdims, where=_present(a, where))


@implements(np.nanvar)
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanvar([2.0, fnp.nan, 3.0])
    Array(0.25)
    """
    unsupported("nanvar", out=out)
    a = as_inexact(operand("nanvar", a), dtype)
    there = _present(a, where)
    ddof = ddof if correction is None else correction
    value = var(_without_nan(a, 0), axis, ddof=ddof, keepdims=keepdims, where=there, mean=mean)
    n = sum(there, axis, keepdims=keepdims)
    return _where(n <= ddof, dtype_of(value).type(np.nan), value)


@implements(np.nanstd)
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, *,
    where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nanstd([2.0, fnp.nan, 3.0])
    Array(0.5)
    """
    return ew.sqrt(nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


@implements(np.nancumsum)
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nancumsum([2.0, fnp.nan, 3.0])
    Array([2., 2., 5.])
    """
    return cumsum(_without_nan(operand("nancumsum", a), 0), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """
    >>> import functrans.numpy as fnp
    >>> fnp.nancumprod([2.0, fnp.nan, 3.0])
    Array([2., 2., 6.])
    """
    return cumprod(_without_nan(operand("nancumprod", a), 1), axis, dtype, out)
