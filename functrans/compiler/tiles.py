"""Tiles of products of matrices, kept in registers: what a convolution is made of that needs no matrix of windows.

A tile is a few rows by one or two vectors of columns. For each step of the sum a vector of `b` is read once and
multiplied by an element of each row of `a`, wherever it lies: rows, steps, and runs of steps have strides of their own,
so windows of an image are read where they are (Georganas et al., "Anatomy of high-performance deep learning
convolutions on SIMD architectures", 2018).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.binding import llvm_version_info
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from functrans.compiler.intrinsics import _use_whole_registers

_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _vector_bytes(context: Any) -> int:
    """How wide the machine's vectors are."""
    features = context.codegen().magic_tuple()[2].split(",")
    return 64 if "+avx512f" in features else 32 if "+avx2" in features else 16


@intrinsic(prefer_literal=True)
def lanes(typingctx: Any, token: Any) -> Any:
    """How many elements a vector has."""
    element = token.dtype if not hasattr(token, "instance_type") else token.instance_type

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(_I64, _vector_bytes(context) // (element.bitwidth // 8))

    return types.int64(token), codegen


@intrinsic(prefer_literal=True)
def multiply_tile(
    typingctx: Any, token: Any, rows: Any, vectors: Any, accumulate: Any, c: Any, c_row: Any, columns: Any, a: Any,
    a_row: Any, a_step: Any, a_run: Any, b: Any, b_step: Any, b_run: Any, steps: Any, runs: Any,
) -> Any:  # fmt: skip
    """`c[row, column] = sum over runs and steps of a[row, run, step] * b[run, step, column]`, or `+=`.

    `c`, `a` and `b` are addresses, strides count bytes. Of the last vector only so many columns are read and written
    as there are.
    """
    element = token.dtype if not hasattr(token, "instance_type") else token.instance_type
    literals = (rows, vectors, accumulate)
    if not all(isinstance(x, types.IntegerLiteral) for x in literals):
        return None
    height, width, adds = (x.literal_value for x in literals)
    signature = types.void(token, rows, vectors, accumulate, *[types.int64] * 12)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _use_whole_registers(builder.function)
        scalar = context.get_value_type(element)
        size = element.bitwidth // 8
        width_in_bytes = _vector_bytes(context)
        count = width_in_bytes // size
        vector = ir.VectorType(scalar, count)
        c, c_row, columns, a, a_row, a_step, a_run, b, b_step, b_run, steps, runs = args[4:]
        number = ir.Constant(ir.VectorType(_I64, count), list(range((width - 1) * count, width * count)))
        limit = _splat(builder, columns, count)
        mask = builder.icmp_signed("<", number, limit)

        def vector_at(address: Any, v: int) -> Any:
            offset = ir.Constant(_I64, v * count * size)
            return builder.inttoptr(builder.add(address, offset), vector.as_pointer())

        def load(address: Any, v: int) -> Any:
            place = vector_at(address, v)
            return builder.load(place, align=size) if v < width - 1 else _masked(builder, vector, place, size, mask)

        def some_rows(first: int, last: int) -> None:
            places = [builder.add(c, builder.mul(c_row, ir.Constant(_I64, r))) for r in range(first, last)]
            start = [[load(row, v) if adds else ir.Constant(vector, None) for v in range(width)] for row in places]
            totals = [[cgutils.alloca_once(builder, vector) for _ in range(width)] for _ in places]
            for row, values in zip(totals, start):
                for total, value in zip(row, values):
                    builder.store(value, total)
            far = [builder.mul(a_row, ir.Constant(_I64, r)) for r in range(first, last, 4)]
            offsets = [builder.mul(a_row, ir.Constant(_I64, r)) for r in range(4)]
            with cgutils.for_range(builder, runs) as run:
                a_now = builder.add(a, builder.mul(run.index, a_run))
                b_now = builder.add(b, builder.mul(run.index, b_run))
                with cgutils.for_range(builder, steps) as step:
                    a_at = builder.add(a_now, builder.mul(step.index, a_step))
                    b_at = builder.add(b_now, builder.mul(step.index, b_step))
                    bases = [builder.add(a_at, fours) for fours in far]
                    factors = [load(b_at, v) for v in range(width)]
                    for r, row in enumerate(totals):
                        place = builder.add(bases[r // 4], offsets[r % 4])
                        value = builder.load(builder.inttoptr(place, scalar.as_pointer()))
                        spread = _splat(builder, value, count)
                        for factor, total in zip(factors, row):
                            operands = spread, factor, builder.load(total)
                            builder.store(_call(builder, f"llvm.fmuladd.{_suffix(vector)}", vector, *operands), total)
            for row, place in zip(totals, places):
                for v, total in enumerate(row):
                    value, target = builder.load(total), vector_at(place, v)
                    if v < width - 1:
                        builder.store(value, target, align=size)
                    else:
                        _masked(builder, vector, target, size, mask, value)

        most = height if width_in_bytes == 64 else max(12 // width, 1)  # what the registers hold
        for first in range(0, height, most):
            some_rows(first, min(first + most, height))
        return context.get_dummy_value()

    return signature, codegen


def _splat(builder: Any, value: Any, count: int) -> Any:
    """A vector of copies of a value."""
    vector = ir.VectorType(value.type, count)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
    order = ir.Constant(ir.VectorType(_I32, count), None)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), order)


def _suffix(vector: Any) -> str:
    return f"v{vector.count}{'f64' if isinstance(vector.element, ir.DoubleType) else 'f32'}"


def _masked(builder: Any, vector: Any, place: Any, align: int, mask: Any, value: Any = None) -> Any:
    """Load, or store a value: the elements for which a mask is true."""
    suffix = f"{_suffix(vector)}.{'p0' if llvm_version_info[0] >= 17 else 'p0' + _suffix(vector)}"
    alignment = ir.Constant(_I32, align)
    if value is None:
        zeros = ir.Constant(vector, None)
        return _call(builder, f"llvm.masked.load.{suffix}", vector, place, alignment, mask, zeros)
    return _call(builder, f"llvm.masked.store.{suffix}", ir.VoidType(), value, place, alignment, mask)


def _call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(result, [x.type for x in args]), name)
    return builder.call(function, args)
