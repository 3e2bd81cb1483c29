"""What convolutions and pooling share: arguments for each spatial axis, and the order of axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.errors import ArgumentError, ShapeError
from functrans.lax.windows import padtype_to_pads
from functrans.nn.linear import layer_input

Ints = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]

#: Where features are: the names that Keras uses.
FORMATS = ("channels_first", "channels_last")


def each_axis(what: str, value: int | Sequence[int], n: int, minimum: int = 1) -> Ints:
    """An integer for each spatial axis; one integer stands for all."""
    values = (value,) * n if isinstance(value, int) else tuple(value)
    if len(values) != n or not all(isinstance(v, int) and v >= minimum for v in values):
        raise ArgumentError(f"{what} is an integer of at least {minimum}, or {n} such, got {value!r:.60}")
    return values


def pads(what: str, value: Any, n: int) -> str | Pads:
    """Padding as `"same"`, `"valid"`, or a pair for each spatial axis."""
    if isinstance(value, str):
        if value.lower() in ("same", "valid"):
            return value.lower()
    elif isinstance(value, int):
        value = (value,) * n
    if not isinstance(value, str) and len(value) == n:
        pairs = tuple((v, v) if isinstance(v, int) else tuple(v) for v in value)
        if all(len(pair) == 2 and all(isinstance(v, int) and v >= 0 for v in pair) for pair in pairs):
            return pairs
    raise ArgumentError(
        f"the padding of {what} is 'same', 'valid', an integer, or {n} integers or pairs (low, high), got {value!r:.60}"
    )


def checked_format(what: str, data_format: str) -> str:
    """One of `FORMATS`."""
    if data_format not in FORMATS:
        raise ArgumentError(f"data_format of {what} is 'channels_first' or 'channels_last', got {data_format!r}")
    return data_format


def resolved(padding: str | Pads, sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int]) -> Pads:
    """The pairs that a name stands for; `windows` are meant as dilated."""
    return tuple(padtype_to_pads(sizes, windows, strides, padding)) if isinstance(padding, str) else padding


def check_reach(what: str, sizes: Sequence[int], reach: Sequence[int], padding: Pads) -> None:
    """The error for inputs that are smaller than the window, padding included."""
    padded = tuple(n + lo + hi for n, (lo, hi) in zip(sizes, padding))
    if any(n < r for n, r in zip(padded, reach)):
        raise ShapeError(
            f"{what}: the window reaches over {tuple(reach)}, more than the input of spatial sizes {tuple(sizes)} has, "
            f"with padding {padded}"
        )


def images(name: str, x: Any, n: int, channels_last: bool, channels: int | None = None) -> tuple[Any, Ints]:
    """The input as an operand, and its spatial sizes."""
    x = layer_input(name, x)
    shape = aval_of(x).shape
    form = "(*batch, *spatial, channels)" if channels_last else "(*batch, channels, *spatial)"
    if len(shape) < n + 1:
        raise ShapeError(f"{name} takes inputs {form} with {n} spatial axes, got an input of shape {shape}")
    found = shape[-1] if channels_last else shape[-n - 1]
    if channels is not None and found != channels:
        other = "channels_first" if channels_last else "channels_last"
        fits = shape[-n - 1 if channels_last else -1] == channels
        raise ShapeError(
            f"{name} takes inputs {form} with {channels} channels, got an input of shape {shape}, which has {found}"
            + (f"; for inputs like this make the layer with data_format={other!r}" if fits else "")
        )
    return x, shape[-n - 1 : -1] if channels_last else shape[-n:]


def in_one_batch(apply: Callable[[Any], Any], x: Any, rank: int) -> Any:
    """Apply a function of inputs with one batch axis in front of `rank` others to inputs with any number of them."""
    shape = aval_of(x).shape
    batch = shape[:-rank]
    if len(batch) == 1:
        return apply(x)
    y = apply(fnp.reshape(x, (math.prod(batch), *shape[-rank:])))
    return fnp.reshape(y, (*batch, *aval_of(y).shape[1:]))
