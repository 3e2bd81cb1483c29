"""NaN and infinities where they arise: what `config.debug_nans` and `config.debug_infs` do.

Eagerly each result is looked at. A compiled program's results are looked at when it returns; if they are bad, its jaxpr
is evaluated once more, equation by equation, which finds the first equation with a bad result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans import config
from functrans.core.avals import is_inexact
from functrans.core.source import current_source
from functrans.errors import NonFiniteError

_TESTS: dict[str, Callable[[Any], Any]] = {"nan": np.isnan, "inf": np.isinf}


def bad_value(values: Sequence[Any]) -> str | None:
    """Which of the values looked for is among these arrays, `nan` or `inf`, if one is."""
    for value in values:
        if isinstance(value, (np.ndarray, np.generic, float, complex)) and is_inexact(np.asarray(value).dtype):
            for name in sorted(config.watched):
                if np.any(_TESTS[name](value)):
                    return name
    return None


def check_results(name: str, operands: Sequence[Any], results: Sequence[Any]) -> None:
    """Raise `NonFiniteError` for a bad result of an operation."""
    bad = bad_value(results)
    if bad is None:
        return
    source = current_source()
    where = f" at {source}" if source else ""
    before = bad_value(operands)
    given = f" ({before} was among its operands)" if before else ""
    raise NonFiniteError(f"{bad} in a result of {name}{where}{given}")


def check_program(name: str, results: Sequence[Any], again: Callable[[], Any] | None) -> None:
    """Raise `NonFiniteError` for a bad result of a compiled program, from the operation found when it runs again.

    `again` evaluates the program equation by equation, with checks; `None` if it may run once only.
    """
    bad = bad_value(results)
    if bad is None:
        return
    why = "the operation is not known, as the program has an io_callback and may not run again to find it"
    if again is not None:
        with np.errstate(all="ignore"):
            again()
        why = "it does not arise when the function runs without jit"
    raise NonFiniteError(f"{bad} in a result of the compiled {name}; {why}")
