"""Systems and determinants of small matrices: Gaussian elimination of one matrix after the other, in registers.

A call of LAPACK costs more than the elimination of a matrix of three rows. The text has a line for each operation;
rows are exchanged as soon as one with a larger element is met, so that the largest becomes the pivot.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from functrans.compiler.contractions import BLAS_DTYPES
from functrans.compiler.plan import Planner
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Eqn, Var

#: The most rows of a matrix, and columns of right-hand sides, of real and of complex numbers: to keep texts short.
SMALL_MATRIX = {"f": 4, "c": 3}
#: Operations from which on threads share the matrices.
PARALLEL_WORK = 1 << 17

SINGULAR = "Singular matrix"


def is_small(eqn: Eqn) -> bool:
    """Whether a system or a determinant is done here."""
    avals = [x.aval for x in eqn.inputs]
    dtype = avals[0].dtype
    known = all(type(x) is Var for x in eqn.inputs) and dtype in BLAS_DTYPES
    return known and all(a.size and max(a.shape[-2:]) <= SMALL_MATRIX[dtype.kind] for a in avals)


def _wide(dtype: np.dtype) -> str:
    """NumPy computes in float64 and rounds."""
    return "complex128" if dtype.kind == "c" else "float64"


def _eliminate(n: int, dtype: np.dtype, columns: int, on_exchange: str = "") -> list[list[str]]:
    """For each column: the lines that bring a pivot to its place, and those that make zeros beneath it.

    Elements are named `a00`, ...; those of right-hand sides `b00`, ...
    """
    size = (lambda x: f"abs({x}.real) + abs({x}.imag)") if dtype.kind == "c" else (lambda x: f"abs({x})")
    steps = []
    for c in range(n):
        lines = []
        for r in range(c + 1, n):
            lines.append(f"if {size(f'a{r}{c}')} > {size(f'a{c}{c}')}:")
            names = [(f"a{c}{j}", f"a{r}{j}") for j in range(c, n)] + [(f"b{c}{j}", f"b{r}{j}") for j in range(columns)]
            for x, y in names:
                lines += [f"    t = {x}", f"    {x} = {y}", f"    {y} = t"]
            lines += [f"    {on_exchange}"] if on_exchange else []
        steps.append(lines)
        lines = []
        for r in range(c + 1, n):
            lines.append(f"t = a{r}{c} / a{c}{c}")
            lines += [f"a{r}{j} -= t * a{c}{j}" for j in range(c + 1, n)]
            lines += [f"b{r}{j} -= t * b{c}{j}" for j in range(columns)]
        steps.append(lines)
    return steps


def _kernel(
    eqn: Eqn, lines: list[str], sizes: tuple[int, ...], names: dict[str, Var], writes: frozenset[Var], flops: int,
    functions: tuple[str, ...] = (), error: str = "",
) -> tuple[Kernel, list[Var]]:  # fmt: skip
    """A kernel that runs these lines for each matrix number `i`."""
    (out, *_) = eqn.outvars
    count = math.prod(out.aval.shape[:-2]) if eqn.primitive.name == "solve" else out.aval.size
    tokens = {str(v.aval.dtype) for v in names.values()} | {_wide(eqn.inputs[0].aval.dtype), "int64"}
    body = [
        *(f"{name} = pointer(buffers, {k}, {v.aval.dtype})" for k, (name, v) in enumerate(names.items())),
        *([f"status = pointer(buffers, {len(names)}, int64)"] if error else []),
        *(f"step{k} = size(sizes, {k})" for k in range(len(sizes))),
        "for i in range(lo, hi):",
        *(f"    {line}" for line in lines),
    ]
    text = "\n".join(
        [
            f"# {eqn.primitive.name} of small matrices",
            "from functrans.compiler.intrinsics import pointer, size",
            *([f"from math import {', '.join(functions)}"] if functions else []),
            f"from numba.types import {', '.join(sorted(tokens))}",
            "",
            "",
            "def kernel(buffers, sizes, lo, hi):",
            *(f"    {line}" for line in body),
            "",
        ]
    )
    where = f", at {eqn.source}" if eqn.source else ""
    kernel = Kernel(
        text, tuple(names.values()), writes, sizes, count, count > 1 and count * flops > PARALLEL_WORK, count * flops,
        (error + where,) if error else (), (eqn,), f"{count} small matrices", error=np.linalg.LinAlgError,
    )  # fmt: skip
    return kernel, list(names.values())


def emit_small_solve(p: Planner, eqn: Eqn) -> bool:
    """By elimination and substitution; an operand that is one for all is read anew for each."""
    a, b = (x for x in eqn.inputs if type(x) is Var)
    (out,) = eqn.outvars
    (*batch, n, k), dtype = out.aval.shape, a.aval.dtype
    if any(math.prod(x.aval.shape[:-2]) not in (1, math.prod(batch)) for x in (a, b)):
        return False
    of = lambda x: 0 if math.prod(x.aval.shape[:-2]) == 1 else math.prod(x.aval.shape[-2:])
    wide = _wide(dtype)
    lines = ["at = i * step0"]
    lines += [f"a{r}{c} = {wide}(matrix[at + {r * n + c}])" for r in range(n) for c in range(n)]
    lines += ["at = i * step1"]
    lines += [f"b{r}{c} = {wide}(given[at + {r * k + c}])" for r in range(n) for c in range(k)]
    steps = _eliminate(n, dtype, k)
    for c in range(n):
        lines += steps[2 * c]
        lines += [f"if a{c}{c} == 0:", "    status[0] = 1", "    continue"]
        lines += steps[2 * c + 1]
    for j in range(k):
        for r in reversed(range(n)):
            rest = "".join(f" - a{r}{c} * b{c}{j}" for c in range(r + 1, n))
            lines.append(f"b{r}{j} = (b{r}{j}{rest}) / a{r}{r}")
    lines += [f"at = i * {n * k}"]
    lines += [f"found[at + {r * k + c}] = {dtype}(b{r}{c})" for r in range(n) for c in range(k)]
    names = {"matrix": a, "given": b, "found": out}
    kernel, _ = _kernel(
        eqn, lines, (of(a), of(b)), names, frozenset({out}), 2 * n * n * (n + k), error=SINGULAR
    )  # fmt: skip
    p.call_at(kernel, [p.read(a), p.read(b), p.write(out)])
    return True


def emit_small_determinant(p: Planner, eqn: Eqn) -> bool:
    """The product of the pivots; by logarithms, as NumPy has it, where the product leaves the range of floats."""
    (a,) = eqn.inputs
    assert type(a) is Var
    sign, *logarithm = eqn.outvars
    n, dtype = a.aval.shape[-1], a.aval.dtype
    wide = _wide(dtype)
    lines = [f"at = i * {n * n}", "phase = 1.0"]
    lines += [f"a{r}{c} = {wide}(matrix[at + {r * n + c}])" for r in range(n) for c in range(n)]
    lines += [line for step in _guarded(_eliminate(n, dtype, 0, "phase = -phase"), n) for line in step]
    pivots = [f"a{c}{c}" for c in range(n)]
    by_logarithms = [f"size{c} = abs(a{c}{c})" for c in range(n)]
    zero = " or ".join(f"size{c} == 0" for c in range(n))
    total = " + ".join(f"log(size{c})" for c in range(n))
    signs = [f"(a{c}{c} / size{c})" if dtype.kind == "c" else f"(-1.0 if a{c}{c} < 0 else 1.0)" for c in range(n)]
    turned = " * ".join(["phase", *signs])
    if logarithm:
        real = logarithm[0].aval.dtype
        lines += [
            *by_logarithms,
            f"if {zero}:",
            f"    found[i] = {dtype}(0)",
            f"    modulus[i] = {real}(-inf)",
            "else:",
            f"    found[i] = {dtype}({turned})",
            f"    modulus[i] = {real}({total})",
        ]
        names, functions = {"matrix": a, "found": sign, "modulus": logarithm[0]}, ("inf", "log")
    else:
        lines += [
            f"product = phase * {' * '.join(pivots)}",
            "length = abs(product)",
            "if length < 1e-290 or not length < 1e290:",
            *(f"    {line}" for line in by_logarithms),
            f"    if not ({zero}):",
            f"        product = {turned} * exp({total})",
            f"found[i] = {dtype}(product)",
        ]
        names, functions = {"matrix": a, "found": sign}, ("exp", "log")
    kernel, _ = _kernel(eqn, lines, (), names, frozenset(eqn.outvars), 2 * n**3, functions)
    p.call_at(kernel, [p.read(a), *(p.write(v) for v in eqn.outvars)])
    return True


def _guarded(steps: list[list[str]], n: int) -> Any:
    """Elimination that goes on behind a pivot of zero, beneath which all is zero already."""
    for c in range(n):
        yield steps[2 * c]
        if steps[2 * c + 1]:
            yield [f"if a{c}{c} != 0:", *(f"    {line}" for line in steps[2 * c + 1])]
