"""What kernel text needs beyond Python: pointers from a table, bit casts, halves, calls by address, atomics.

Each is a few LLVM instructions. `pointer` takes an address from a kernel's table. Nothing that a kernel writes through
one entry may be read or written through another: LLVM is told so, and vectorises without checks at run time, which it
gives up on when there are many buffers. An entry without that promise is read by `pointer_aliased`.

LLVM learns it from `alias.scope` and `noalias` metadata (LangRef, "Scoped noalias"). The scopes of an entry are the
bits of its number, each bit in a domain of its own: two entries differ in some bit, and there each is in the scope that
the other excludes. So an entry's facts do not depend on what other entries the kernel has.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, register_model

_I64 = ir.IntType(64)
_ENTRY_BITS = 7  # entries that agree in these bits may overlap as far as LLVM knows


def _pointer_to(builder: Any, address: Any, pointee: Any) -> Any:
    return builder.inttoptr(address, pointee.as_pointer())


class _Entry(types.CPointer):
    """A pointer that came from one entry of a kernel's table."""

    def __init__(self, dtype: Any, entry: int):
        super().__init__(dtype)
        self.entry = entry
        self.name = f"entry {entry} of {dtype}"

    @property
    def key(self) -> tuple[Any, int]:
        return self.dtype, self.entry


register_model(_Entry)(models.PointerModel)


def _state_facts(builder: Any, since: int, entry: int) -> None:
    """Attach an entry's scopes to the loads and stores that were added to the block."""
    module = builder.module

    def scopes(flipped: int) -> Any:
        nodes = []
        for bit in range(_ENTRY_BITS):
            domain = module.add_metadata([ir.MetaDataString(module, f"functrans bit {bit}")])
            name = f"functrans bit {bit} is {(entry >> bit & 1) ^ flipped}"
            nodes.append(module.add_metadata([ir.MetaDataString(module, name), domain]))
        return module.add_metadata(nodes)

    own, others = scopes(0), scopes(1)
    for instruction in builder.block.instructions[since:]:
        if instruction.opname in ("load", "store"):
            instruction.set_metadata("alias.scope", own)
            instruction.set_metadata("noalias", others)


# Typed as for any `CPointer`: the index is an intp, the value has the element type.


@lower_builtin(operator.getitem, _Entry, types.Integer)
def _get(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    entry = signature.args[0]
    since = len(builder.block.instructions)
    value = context.unpack_value(builder, entry.dtype, builder.gep(args[0], [args[1]]))
    _state_facts(builder, since, entry.entry)
    return value


@lower_builtin(operator.setitem, _Entry, types.Integer, types.Any)
def _set(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    entry = signature.args[0]
    since = len(builder.block.instructions)
    context.pack_value(builder, entry.dtype, args[2], builder.gep(args[0], [args[1]]))
    _state_facts(builder, since, entry.entry)
    return context.get_dummy_value()


def _element(token: Any) -> Any:
    return token.instance_type if hasattr(token, "instance_type") else token.dtype


def _load_constant(builder: Any, table: Any, index: Any) -> Any:
    """Read a table that does not change while the kernel runs."""
    value = builder.load(builder.gep(_pointer_to(builder, table, _I64), [index]))
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _use_whole_registers(function: Any) -> None:
    """Let LLVM use 512 bits where the CPU has them: its default for many of them is 256, for the sake of other code."""
    set.add(function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own `add` knows no such attributes


def _from_table(buffers: Any, k: Any, token: Any, result: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _use_whole_registers(builder.function)
        index = context.cast(builder, args[1], signature.args[1], types.int64)
        return builder.inttoptr(_load_constant(builder, args[0], index), context.get_value_type(result))

    return result(buffers, k, token), codegen


@intrinsic(prefer_literal=True)
def pointer(typingctx: Any, buffers: Any, k: Any, token: Any) -> Any:
    """Entry `k` of the table at address `buffers`, as a pointer to elements of the type that `token` names."""
    element = _element(token)
    known = isinstance(k, types.IntegerLiteral)
    return _from_table(buffers, k, token, _Entry(element, k.literal_value) if known else types.CPointer(element))


@intrinsic
def pointer_aliased(typingctx: Any, buffers: Any, k: Any, token: Any) -> Any:
    """`pointer` for an entry whose memory other entries may share."""
    return _from_table(buffers, k, token, types.CPointer(_element(token)))


@intrinsic
def size(typingctx: Any, sizes: Any, k: Any) -> Any:
    """Entry `k` of the int64s at address `sizes`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load_constant(builder, args[0], context.cast(builder, args[1], signature.args[1], types.int64))

    return types.int64(sizes, k), codegen


@intrinsic
def bitcast(typingctx: Any, value: Any, token: Any) -> Any:
    """The same bits as another scalar type of the same width."""
    target = _element(token)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(target))

    return target(value, token), codegen


def _reassociating_add(typingctx: Any, a: Any, b: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(args[0], args[1], flags=["reassoc"])

    return a(a, a), codegen


@intrinsic(prefer_literal=True)
def vectors_at_a_time(typingctx: Any, count: Any) -> Any:
    """Work on so many vectors at a time in the loop that begins with this.

    The operations of a long formula wait for each other. Those for the next vectors can be done meanwhile, but the CPU
    does not see so far ahead. LLVM is told so by `pipeline.py`.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.block.vectors = count.literal_value
        return context.get_dummy_value()

    return types.void(count), codegen


@intrinsic
def add_reassoc_f64(typingctx: Any, a: Any, b: Any) -> Any:
    """A sum whose order LLVM may change, so that it vectorises."""
    return _reassociating_add(typingctx, types.float64, types.float64)


@intrinsic
def add_reassoc_f32(typingctx: Any, a: Any, b: Any) -> Any:
    """A sum whose order LLVM may change, so that it vectorises."""
    return _reassociating_add(typingctx, types.float32, types.float32)


@intrinsic
def half_to_float(typingctx: Any, bits: Any) -> Any:
    """The float32 that the bits of a float16 stand for."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def float_to_half(typingctx: Any, value: Any) -> Any:
    """The bits of the float16 nearest to a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.uint16(types.float32), codegen


@intrinsic
def brain_to_float(typingctx: Any, bits: Any) -> Any:
    """The float32 that the bits of a bfloat16 stand for: they are its upper half."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(32)
        return builder.bitcast(builder.shl(builder.zext(args[0], word), word(16)), ir.FloatType())

    return types.float32(types.uint16), codegen


@intrinsic
def float_to_brain(typingctx: Any, value: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, the even one of two; of a NaN, a quiet NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word, short = ir.IntType(32), ir.IntType(16)
        bits = builder.bitcast(args[0], word)
        upper = builder.lshr(bits, word(16))
        even = builder.add(builder.and_(upper, word(1)), word(0x7FFF))
        nearest = builder.lshr(builder.add(bits, even), word(16))
        nan = builder.fcmp_unordered("uno", args[0], args[0])
        return builder.trunc(builder.select(nan, builder.or_(upper, word(0x40)), nearest), short)

    return types.uint16(types.float32), codegen


# ------------------------------------------------------------------ for the machine


@intrinsic
def call_kernel(typingctx: Any, address: Any, buffers: Any, sizes: Any, lo: Any, hi: Any) -> Any:
    """Call the kernel at an address."""
    function = ir.FunctionType(ir.VoidType(), [_I64] * 4)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), codegen


@intrinsic
def call_address(typingctx: Any, address: Any, argument: Any) -> Any:
    """Call a C function `int f(void *)` at an address."""
    function = ir.FunctionType(ir.IntType(32), [_I64])

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), [args[1]])

    return types.int32(types.intp, types.intp), codegen


@intrinsic
def load_i64(typingctx: Any, address: Any) -> Any:
    """The int64 at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer_to(builder, args[0], _I64))

    return types.int64(types.intp), codegen


@intrinsic
def store_i64(typingctx: Any, address: Any, value: Any) -> Any:
    """Write an int64 at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _pointer_to(builder, args[0], _I64))
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), codegen


def _loader(bits: int, result: Any, signed: bool) -> Any:
    def typer(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_pointer_to(builder, args[0], ir.IntType(bits)))
            return builder.sext(value, _I64) if signed else builder.zext(value, _I64)

        return result(types.intp), codegen

    return intrinsic(typer)


load_i8 = _loader(8, types.int64, True)
load_u8 = _loader(8, types.int64, False)
load_i16 = _loader(16, types.int64, True)
load_u16 = _loader(16, types.int64, False)
load_i32 = _loader(32, types.int64, True)
load_u32 = _loader(32, types.int64, False)


@intrinsic
def atomic_load(typingctx: Any, address: Any) -> Any:
    """The int64 at an address, ordered after what the thread that wrote it did before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_pointer_to(builder, args[0], _I64), "acquire", 8)

    return types.int64(types.intp), codegen


@intrinsic
def atomic_store(typingctx: Any, address: Any, value: Any) -> Any:
    """Write an int64 at an address, ordered after all that this thread did before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _pointer_to(builder, args[0], _I64), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), codegen


@intrinsic
def atomic_add(typingctx: Any, address: Any, value: Any) -> Any:
    """Add to the int64 at an address; what it was before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", _pointer_to(builder, args[0], _I64), args[1], "seq_cst")

    return types.int64(types.intp, types.int64), codegen


@intrinsic
def atomic_exchange(typingctx: Any, address: Any, value: Any) -> Any:
    """Write the int64 at an address; what it was before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("xchg", _pointer_to(builder, args[0], _I64), args[1], "seq_cst")

    return types.int64(types.intp, types.int64), codegen


@intrinsic
def copy_bytes(typingctx: Any, target: Any, source: Any, n: Any) -> Any:
    """Copy bytes; the stretches may overlap."""
    from numba.core import cgutils

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8)
        cgutils.raw_memmove(
            builder, _pointer_to(builder, args[0], byte), _pointer_to(builder, args[1], byte), args[2], 1
        )
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@intrinsic
def zero_bytes(typingctx: Any, target: Any, n: Any) -> Any:
    """Write zeros."""
    from numba.core import cgutils

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        cgutils.memset(builder, _pointer_to(builder, args[0], ir.IntType(8)), args[1], 0)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), codegen


@intrinsic
def call_gemm(
    typingctx: Any, address: Any, ta: Any, tb: Any, m: Any, n: Any, k: Any, alpha: Any, a: Any, lda: Any, b: Any,
    ldb: Any, beta: Any, c: Any, ldc: Any,
) -> Any:  # fmt: skip
    """Call a BLAS `?gemm` by address, with Fortran's conventions; `ta`, `tb` are characters' codes."""
    byte, word = ir.IntType(8), ir.IntType(32)
    kinds = [byte, byte, word, word, word, None, None, word, None, word, None, None, word]
    function = ir.FunctionType(ir.VoidType(), [_I64] * 13)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        passed = []
        for kind, value in zip(kinds, args[1:]):
            if kind is None:
                passed.append(value)
                continue
            with builder.goto_entry_block():
                cell = builder.alloca(kind)
            builder.store(builder.trunc(value, kind), cell)
            passed.append(builder.ptrtoint(cell, _I64))
        builder.call(builder.inttoptr(args[0], function.as_pointer()), passed)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 14), codegen
