"""Calls of Fortran routines by address, for kernel text: scalars by reference, arrays by their addresses."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

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
