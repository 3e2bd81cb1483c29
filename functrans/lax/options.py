"""Keyword arguments of NumPy's ufuncs, for functions of plain and of traced arrays.

`dtype` chooses the loop, `casting` says which operands it takes. `order` and `subok`, how NumPy lays results out, are
without effect. `where` means the same everywhere: the function is computed where it holds, and elsewhere the
result is zero, which NumPy leaves undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any, NamedTuple

import numpy as np

from functrans.core.avals import aval_of, is_inexact
from functrans.errors import ArgumentError, DTypeError, KeywordError

_KEYWORDS = ("out", "where", "casting", "order", "dtype", "subok", "signature")


def signature(operands: Sequence[str], outs: int = 1) -> Signature:
    """The signature of a ufunc with operands of these names, as NumPy's have it."""
    defaults: dict[str, Any] = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}
    return Signature(
        [
            *[Parameter(name, Parameter.POSITIONAL_ONLY) for name in operands],
            Parameter("out", Parameter.KEYWORD_ONLY, default=None if outs == 1 else (None,) * outs),
            *[Parameter(k, Parameter.KEYWORD_ONLY, default=v) for k, v in defaults.items()],
            Parameter("signature", Parameter.KEYWORD_ONLY, default=None),
        ]
    )


#: Names of operands in JAX, where they are not `x` and `y`.
_OPERANDS = {
    "igamma": ("a", "x"), "igammac": ("a", "x"), "igamma_grad_a": ("a", "x"), "polygamma": ("m", "x"),
    "regularized_incomplete_beta": ("a", "b", "x"), "zeta": ("x", "q"),
}  # fmt: skip


def by_name(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The operands of a call, those among them that are given by their names in JAX, and the other arguments."""
    if "accuracy" in options:
        options = dict(options)
        refuse_accuracy(name, options.pop("accuracy"))
    for operand in _OPERANDS.get(name, ("x", "y"))[len(args) :]:
        if operand not in options:
            break
        args = (*args, options[operand])
        options = {k: v for k, v in options.items() if k != operand}
    return args, options


def refuse_accuracy(name: str, accuracy: Any) -> None:
    if accuracy is not None:
        raise ArgumentError(
            f"{name} does not take accuracy={accuracy!r:.40}: functions have one accuracy here, of few units in the "
            "last place"
        )


def operand_names(count: int) -> list[str]:
    return ["x"] if count == 1 else [f"x{i + 1}" for i in range(count)]


class Loop(NamedTuple):
    """What keyword arguments say of a loop: the dtype of its results, and how operands may be cast."""

    dtype: Any
    casting: str | None


def loop(name: str, options: dict[str, Any]) -> Loop:
    """Read the keyword arguments of a call on traced arrays; the errors for those without a functional form."""
    check_keywords(name, options)
    if not _nothing(options.get("out")):
        masked = options.get("where", True) is not True and options.get("where") is not None
        write = f"y = functrans.numpy.where(condition, {name}(...), y)" if masked else f"y = {name}(...)"
        raise ArgumentError(f"{name} of a traced array does not take out=: results are new arrays; write {write}")
    if options.get("signature") is not None:
        raise ArgumentError(f"{name} of a traced array does not take signature=: give dtype=, or convert the operands")
    dtype, casting = options.get("dtype"), options.get("casting")
    try:
        dtype = dtype if dtype is None else np.dtype(dtype)
    except TypeError as error:
        raise DTypeError(f"{name}: {error}") from None
    if casting not in (None, "no", "equiv", "safe", "same_kind", "unsafe"):
        raise ArgumentError(
            f"{name}: casting must be 'no', 'equiv', 'safe', 'same_kind' or 'unsafe', got {casting!r:.40}"
        )
    return Loop(dtype, casting)


def check_keywords(name: str, options: dict[str, Any], keywords: Sequence[str] = _KEYWORDS) -> None:
    for option in options:
        if option not in keywords:
            raise KeywordError(f"{name} takes no argument {option!r}; keyword arguments are {', '.join(keywords)}")


def wrong_number(name: str, operands: int, given: int) -> DTypeError:
    """The error for too many or too few operands; NumPy would write its results into those that are too many."""
    return DTypeError(f"{name} takes {operands} operand{'s' * (operands > 1)}, got {given}")


def split_mask(options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The mask of a call without `out`, or `None`; and the other keyword arguments."""
    mask = options.get("where", True)
    if mask is None:
        options = {k: v for k, v in options.items() if k != "where"}
    if mask is True or mask is None or not _nothing(options.get("out")):
        return None, options
    return mask, {k: v for k, v in options.items() if k not in ("where", "out")}


def _nothing(out: Any) -> bool:
    return out is None or (isinstance(out, tuple) and all(x is None for x in out))


#: What stands for elements that are not computed: functions and their derivatives are finite there.
_HARMLESS = {"acosh": 2.0, "arccosh": 2.0, "zeta": 2.0}


def masked(name: str, function: Callable[..., Any], args: Sequence[Any], mask: Any) -> Any:
    """The function where the mask holds, and zeros elsewhere."""
    from functrans.lax.elementwise import where
    from functrans.lax.promotion import as_operand

    mask = as_operand(name, mask)
    if aval_of(mask).dtype.kind != "b":
        raise DTypeError(f"{name}: where= takes booleans, got {aval_of(mask)}")

    def harmless(x: Any) -> Any:
        x = as_operand(name, x)
        aval = aval_of(x)
        if aval.weak or aval.dtype.kind == "b":
            return x
        stand_in = _HARMLESS.get(name, 0.5) if is_inexact(aval.dtype) else 1
        return where(mask, x, aval.dtype.type(stand_in))

    out = function(*map(harmless, args))
    blank = lambda y: where(mask, y, np.dtype(aval_of(y).dtype).type(0))
    return tuple(map(blank, out)) if isinstance(out, tuple) else blank(out)
