"""Kernels along one axis that fusion has no form for: cumulative reductions, and the place of an extremum.

An array is seen as `(before, n, after)`, all axes before and all after the one at hand as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from functrans.compiler.plan import Planner
from functrans.compiler.source import storage_token
from functrans.compiler.steps import Kernel
from functrans.compiler.templates import resolve
from functrans.core.jaxpr import Eqn, Var

_COMBINE = {
    "cumsum": "{0} + {1}",
    "cumprod": "{0} * {1}",
    "cummax": "maximum({0}, {1})",
    "cummin": "minimum({0}, {1})",
    "cumlogsumexp": "logaddexp({0}, {1})",
}
_COMBINE_BOOL = {"cumsum": "{0} | {1}", "cumprod": "{0} & {1}", "cummax": "{0} | {1}", "cummin": "{0} & {1}"}
COMPLEX_CUMULATIVE = ("cumsum", "cumprod")

#: Elements from which on more threads are worth their start.
PARALLEL = 1 << 15


def cumulative_template(name: str, dtype: np.dtype) -> str | None:
    """How a cumulative operation combines the total with the next element."""
    return (_COMBINE_BOOL if dtype.kind == "b" else _COMBINE).get(name)


def emit_cumulative(p: Planner, eqn: Eqn) -> bool:
    """A running sum, product, maximum, minimum or log-sum-exp."""
    (x,), (out,) = eqn.inputs, eqn.outvars
    name, dtype = eqn.primitive.name, x.aval.dtype
    combine = cumulative_template(name, dtype)
    complex_too = dtype.kind == "c" and name in COMPLEX_CUMULATIVE
    known = dtype.kind in "biu" or dtype in (np.float32, np.float64) or complex_too
    if type(x) is not Var or combine is None or not known or dtype.itemsize > 16:
        return False
    axis, shape = eqn.params["axis"], x.aval.shape
    before, n, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    reverse = bool(eqn.params.get("reverse", False))
    resolved = resolve(combine, dtype, dtype)
    lines = _cumulative_lines(resolved.text, storage_token(dtype), reverse, after == 1)
    kernel = _kernel(eqn, lines, (n, after), before, resolved.imports)
    places = [p.read(x), p.write(out)]
    if out.aval.size:
        p.call_at(kernel, places)
    return True


def _cumulative_lines(combine: str, token: str, reverse: bool, last: bool) -> list[str]:
    at = "n - 1 - k" if reverse else "k"
    previous = "y[i + m + j]" if reverse else "y[i - m + j]"
    if last:
        return [
            "n = size(sizes, 0)",
            "for o in range(lo, hi):",
            f"    total = x[o * n + {'n - 1' if reverse else '0'}]",
            f"    y[o * n + {'n - 1' if reverse else '0'}] = total",
            "    for k in range(1, n):",
            f"        i = o * n + {at}",
            f"        total = {token}({combine.format('total', 'x[i]')})",
            "        y[i] = total",
        ]
    return [
        "n = size(sizes, 0)",
        "m = size(sizes, 1)",
        "for o in range(lo, hi):",
        "    for k in range(n):",
        f"        i = (o * n + {at}) * m",
        "        if k == 0:",
        "            for j in range(m):",
        "                y[i + j] = x[i + j]",
        "        else:",
        "            for j in range(m):",
        f"                y[i + j] = {token}({combine.format(previous, 'x[i + j]')})",
    ]


def emit_argument(p: Planner, eqn: Eqn) -> bool:
    """The first place of the maximum or minimum along an axis; of the first NaN where there is one."""
    (x,), (out,) = eqn.inputs, eqn.outvars
    dtype = x.aval.dtype
    if type(x) is not Var or not (dtype.kind in "biu" or dtype in (np.float32, np.float64)):
        return False
    (axis,), shape = eqn.params["axes"], x.aval.shape
    before, n, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    better = ">" if eqn.primitive.name == "argmax" else "<"
    nan = " or (v != v and best == best)" if dtype.kind == "f" else ""
    lines = [
        "n = size(sizes, 0)",
        "m = size(sizes, 1)",
        "for q in range(lo, hi):",
        "    start = q // m * n * m + q % m",
        "    best = x[start]",
        "    place = 0",
        "    for k in range(1, n):",
        "        v = x[start + k * m]",
        f"        if v {better} best{nan}:",
        "            best = v",
        "            place = k",
        "    y[q] = place",
    ]
    places = [p.read(x), p.write(out)]
    if out.aval.size:
        p.call_at(_kernel(eqn, lines, (n, after), before * after), places)
    return True


def _import(module: str, name: str) -> str:
    own = f" as {module}_{name}" if module in ("math", "cmath") else ""
    return f"from {module} import {name}{own}\n"


def _kernel(
    eqn: Eqn,
    lines: Sequence[str],
    sizes: tuple[int, ...],
    extent: int,
    imports: Iterable[tuple[str, str]] = (),
) -> Kernel:
    (x,), (out,) = eqn.inputs, eqn.outvars
    assert type(x) is Var
    tokens = [storage_token(v.aval.dtype) for v in (x, out)]
    source = (
        f"# {eqn.primitive.name}\n"
        "from functrans.compiler.intrinsics import pointer, size\n"
        + "".join(_import(module, name) for module, name in sorted(imports))
        + f"from numba.types import {', '.join(sorted(set(tokens)))}\n\n\n"
        "def kernel(buffers, sizes, lo, hi):\n"
        f"    x = pointer(buffers, 0, {tokens[0]})\n    y = pointer(buffers, 1, {tokens[1]})\n"
        + "".join(f"    {line}\n" for line in lines)
    )
    parallel = extent > 1 and x.aval.size > PARALLEL
    return Kernel(
        source, (x, out), frozenset({out}), sizes, extent, parallel, x.aval.size, (), (eqn,),
        f"a loop along one axis, {extent} times",
    )  # fmt: skip
