"""Calls of Fortran routines by address, for kernel text: scalars by reference, arrays by their addresses.

And what brings matrices into Fortran's order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from functrans.core.forking import COMPILING

_I64 = ir.IntType(64)


def _cell(builder: Any, value: Any, bits: int) -> Any:
    """The address of a stack slot that holds an integer."""
    kind = ir.IntType(bits)
    with builder.goto_entry_block():
        cell = builder.alloca(kind)
    builder.store(builder.trunc(value, kind), cell)
    return builder.ptrtoint(cell, _I64)


@intrinsic
def call_potrf(typingctx: Any, address: Any, uplo: Any, n: Any, a: Any, lda: Any) -> Any:
    """Call a LAPACK `?potrf`: 0, or the order of the first leading minor that is not positive."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        passed = [_cell(builder, v, n) if n else v for v, n in zip(args[1:], (8, 32, 0, 32))]
        info = _cell(builder, ir.Constant(_I64, 0), 32)
        function = ir.FunctionType(ir.VoidType(), [_I64] * 5)
        builder.call(builder.inttoptr(args[0], function.as_pointer()), [*passed, info])
        result = builder.load(builder.inttoptr(info, ir.IntType(32).as_pointer()))
        return builder.sext(result, _I64)

    return types.int64(*[types.intp] * 5), codegen


@intrinsic
def call_trsm(
    typingctx: Any, address: Any, side: Any, uplo: Any, trans: Any, diag: Any, m: Any, n: Any, alpha: Any, a: Any,
    lda: Any, b: Any, ldb: Any,
) -> Any:  # fmt: skip
    """Call a BLAS `?trsm`; `alpha` is the address of the factor, the first four are codes of characters."""
    bits = [8, 8, 8, 8, 32, 32, 0, 0, 32, 0, 32]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        passed = [_cell(builder, v, n) if n else v for v, n in zip(args[1:], bits)]
        function = ir.FunctionType(ir.VoidType(), [_I64] * len(passed))
        builder.call(builder.inttoptr(args[0], function.as_pointer()), passed)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 12), codegen


@intrinsic(prefer_literal=True)
def call_lapack(typingctx: Any, address: Any, kinds: Any, values: Any) -> Any:
    """Call a LAPACK routine: what it says by its last argument, `info`.

    `kinds` has a letter for each of the other arguments: `c` for the code of a character and `i` for an integer, which
    are passed by reference, and `a` for an address.
    """
    bits = {"c": 8, "i": 32, "a": 0}
    widths = [bits[kind] for kind in kinds.literal_value]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given = zip(cgutils.unpack_tuple(builder, args[2]), signature.args[2].types, widths)
        numbers = [(context.cast(builder, value, kind, types.int64), width) for value, kind, width in given]
        passed = [_cell(builder, value, width) if width else value for value, width in numbers]
        info = _cell(builder, ir.Constant(_I64, 0), 32)
        function = ir.FunctionType(ir.VoidType(), [_I64] * (len(passed) + 1))
        builder.call(builder.inttoptr(args[0], function.as_pointer()), [*passed, info])
        return builder.sext(builder.load(builder.inttoptr(info, ir.IntType(32).as_pointer())), _I64)

    return types.int64(types.intp, kinds, values), codegen


def _at(typingctx: Any, address: Any, token: Any) -> Any:
    """An address as a pointer to elements of the type that `token` names."""
    result = types.CPointer(token.instance_type)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(result))

    return result(types.intp, token), codegen


at: Any = intrinsic(_at)


@intrinsic
def call_function(typingctx: Any, address: Any, values: Any) -> Any:
    """Call a C function of int64s at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        given = zip(cgutils.unpack_tuple(builder, args[1]), signature.args[1].types)
        passed = [context.cast(builder, value, kind, types.int64) for value, kind in given]
        function = ir.FunctionType(ir.VoidType(), [_I64] * len(passed))
        builder.call(builder.inttoptr(args[0], function.as_pointer()), passed)
        return context.get_dummy_value()

    return types.void(types.intp, values), codegen


# ------------------------------------------------------------------ order


@cache
def _address(function: Callable[..., None], arguments: int) -> int:
    """The address of a function of int64s, which Numba compiles when it is first wanted on this machine."""
    with COMPILING:
        compiled = cfunc(types.void(*[types.int64] * arguments), cache=True)(function)
    _keep.append(compiled)
    return int(compiled.address or 0)


_keep: list[Any] = []  # native code lives as long as the process
_TILE = 16  # rows and columns that are transposed at a time, so that both lie in cache


@register_jitable
def _transposed(to: Any, of: Any, cast: Any, rows: int, columns: int, stride: int, words: int) -> None:
    for row0 in range(0, rows, _TILE):
        for column0 in range(0, columns, _TILE):
            for column in range(column0, min(column0 + _TILE, columns)):
                for row in range(row0, min(row0 + _TILE, rows)):
                    for k in range(words):
                        to[(column * rows + row) * words + k] = cast(of[(row * stride + column) * words + k])


def _transpose32(target: int, source: int, rows: int, columns: int, stride: int, words: int) -> None:
    _transposed(at(target, types.int32), at(source, types.int32), types.int32, rows, columns, stride, words)


def _transpose64(target: int, source: int, rows: int, columns: int, stride: int, words: int) -> None:
    if words == 1:
        _transposed(at(target, types.int64), at(source, types.int64), types.int64, rows, columns, stride, 1)
    else:
        _transposed(at(target, types.int64), at(source, types.int64), types.int64, rows, columns, stride, 2)


def _widen(target: int, source: int, rows: int, columns: int, stride: int, words: int) -> None:
    _transposed(at(target, types.float64), at(source, types.float32), types.float64, rows, columns, stride, words)


def _narrow(target: int, source: int, rows: int, columns: int, stride: int, words: int) -> None:
    _transposed(at(target, types.float32), at(source, types.float64), types.float32, rows, columns, stride, words)


def transposer(source: np.dtype, target: np.dtype) -> tuple[int, int]:
    """The address of `transpose(target, source, rows, columns, stride, words)` for these dtypes, and its `words`.

    Rows of the source lie `stride` elements apart, rows of the target (columns of the source) beside each other. The
    dtypes differ in nothing but the precision.
    """
    parts = 2 if source.kind == "c" else 1
    if source != target:
        return _address(_widen if source.itemsize < target.itemsize else _narrow, 6), parts
    return _address(_transpose32 if source.itemsize // parts == 4 else _transpose64, 6), parts


def _permute(order: int, pivots: int, rows: int, steps: int) -> None:
    permutation, swaps = at(order, types.int32), at(pivots, types.int32)
    for j in range(rows):
        permutation[j] = j
    for j in range(steps):
        other = swaps[j] - 1
        swaps[j] = other
        row = permutation[j]
        permutation[j] = permutation[other]
        permutation[other] = row


def permuter() -> int:
    """The address of `permute(order, pivots, rows, steps)`: the order of rows (int32) that LAPACK's pivots make.

    The pivots are counted from zero afterwards.
    """
    return _address(_permute, 4)
