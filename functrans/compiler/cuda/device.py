"""What the text of GPU kernels needs beyond that of CPU kernels: vectors of memory, exchange between threads, atomics.

Imported by the text of kernels that are compiled for a GPU; in the simulator `simulation.py` stands in its place.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from functrans.compiler.scalars import emit_maximum, emit_minimum

_I32 = ir.IntType(32)
_EVERY_LANE = 0xFFFFFFFF

# ---------------------------------------------------------------- vectors of memory


def _vector_pointer(builder: Any, pointer: Any, index: Any, width: int) -> Any:
    element = pointer.type.pointee
    address = builder.gep(pointer, [index])
    return builder.bitcast(address, ir.VectorType(element, width).as_pointer())


def _bytes(context: Any, element: Any) -> int:
    return context.get_abi_sizeof(context.get_data_type(element))


def _loads(width: int) -> Any:
    def load(typingctx: Any, pointer: Any, index: Any) -> Any:
        element = pointer.dtype

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = context.cast(builder, args[1], signature.args[1], types.int64)
            address = _vector_pointer(builder, args[0], place, width)
            vector = builder.load(address, align=_alignment(width * _bytes(context, element)))
            parts = [builder.extract_element(vector, _I32(i)) for i in range(width)]
            return context.make_tuple(builder, signature.return_type, parts)

        return types.UniTuple(element, width)(pointer, index), codegen

    load.__name__ = load.__qualname__ = f"load{width}"
    load.__doc__ = f"{width} elements from an index that is a multiple of {width}, as one access."
    return intrinsic(load)


def _stores(width: int) -> Any:
    def store(typingctx: Any, pointer: Any, index: Any, values: Any) -> Any:
        element = pointer.dtype
        wanted = types.UniTuple(element, width)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = context.cast(builder, args[1], signature.args[1], types.int64)
            address = _vector_pointer(builder, args[0], place, width)
            vector = ir.Constant(address.type.pointee, ir.Undefined)
            for i in range(width):
                vector = builder.insert_element(vector, builder.extract_value(args[2], i), _I32(i))
            builder.store(vector, address, align=_alignment(width * _bytes(context, element)))
            return context.get_dummy_value()

        return types.void(pointer, index, wanted), codegen

    store.__name__ = store.__qualname__ = f"store{width}"
    store.__doc__ = f"Write {width} elements at an index that is a multiple of {width}, as one access."
    return intrinsic(store)


def _alignment(size: int) -> int:
    return min(size, 16)


load2, load4 = _loads(2), _loads(4)
store2, store4 = _stores(2), _stores(4)

# ---------------------------------------------------------------- index arithmetic


@intrinsic
def quotient32(typingctx: Any, x: Any, y: Any) -> Any:
    """`x // y` for 0 <= x < 2^31 and 0 < y < 2^31: division of 64 bits takes a GPU several times as long."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (builder.trunc(context.cast(builder, v, t, types.int64), _I32) for v, t in zip(args, signature.args))
        return builder.zext(builder.udiv(a, b), ir.IntType(64))

    return types.int64(x, y), codegen


# ---------------------------------------------------------------- exchange between the threads of a warp


def _exchanged(builder: Any, value: Any, mode: int, lane: Any) -> Any:
    """The value that another lane has: in pieces of 32 bits."""
    type_ = value.type
    if isinstance(type_, ir.LiteralStructType):  # a complex number
        for i in range(len(type_.elements)):
            value = builder.insert_value(value, _exchanged(builder, builder.extract_value(value, i), mode, lane), i)
        return value
    if isinstance(type_, (ir.FloatType, ir.DoubleType)):
        bits = ir.IntType(32 if isinstance(type_, ir.FloatType) else 64)
        return builder.bitcast(_exchanged(builder, builder.bitcast(value, bits), mode, lane), type_)
    if type_.width == 64:
        low = builder.trunc(value, _I32)
        high = builder.trunc(builder.lshr(value, type_(32)), _I32)
        low, high = (builder.zext(_exchanged(builder, half, mode, lane), type_) for half in (low, high))
        return builder.or_(builder.shl(high, type_(32)), low)
    if type_.width < 32:
        return builder.trunc(_exchanged(builder, builder.zext(value, _I32), mode, lane), type_)
    kind = ir.FunctionType(ir.LiteralStructType([_I32, ir.IntType(1)]), [_I32] * 5)
    function = builder.module.globals.get("llvm.nvvm.shfl.sync.i32")
    if function is None:
        function = ir.Function(builder.module, kind, "llvm.nvvm.shfl.sync.i32")
    args = [_I32(_EVERY_LANE), _I32(mode), value, lane, _I32(31 if mode != 1 else 0)]
    return builder.extract_value(builder.call(function, args), 0)


def _shuffle(name: str, mode: int) -> Any:
    def shuffle(typingctx: Any, x: Any, lane: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _exchanged(builder, args[0], mode, context.cast(builder, args[1], signature.args[1], types.int32))

        return x(x, lane), codegen

    shuffle.__name__ = shuffle.__qualname__ = name
    return intrinsic(shuffle)


#: The value of the lane whose number differs in the bits of the second operand; of the lane so many before.
shuffle_xor, shuffle_up = _shuffle("shuffle_xor", 3), _shuffle("shuffle_up", 1)

# ---------------------------------------------------------------- reductions by a warp


def _sum(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
    if isinstance(t, types.Complex):
        for i in (0, 1):
            part = builder.fadd(builder.extract_value(x, i), builder.extract_value(y, i))
            x = builder.insert_value(x, part, i)
        return x
    return (builder.fadd if isinstance(t, types.Float) else builder.add)(x, y)


def _product(context: Any, builder: Any, t: Any, x: Any, y: Any) -> Any:
    if isinstance(t, types.Complex):
        (a, b), (c, d) = ([builder.extract_value(z, i) for i in (0, 1)] for z in (x, y))
        real = builder.fsub(builder.fmul(a, c), builder.fmul(b, d))
        imag = builder.fadd(builder.fmul(a, d), builder.fmul(b, c))
        return builder.insert_value(builder.insert_value(x, real, 0), imag, 1)
    return (builder.fmul if isinstance(t, types.Float) else builder.mul)(x, y)


def _bitwise(instruction: str) -> Any:
    return lambda context, builder, t, x, y: getattr(builder, instruction)(x, y)


_COMBINE = {
    "add": _sum, "mul": _product, "max": emit_maximum, "min": emit_minimum, "and": _bitwise("and_"),
    "or": _bitwise("or_"), "xor": _bitwise("xor"),
}  # fmt: skip


def _over_a_warp(combine: str) -> Any:
    """The combination of the values of a warp's lanes, which all of them get, in an order that is always the same."""

    def reduction(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = args[0]
            for distance in (16, 8, 4, 2, 1):
                other = _exchanged(builder, value, 3, _I32(distance))
                value = _COMBINE[combine](context, builder, signature.args[0], value, other)
            return value

        return x(x), codegen

    reduction.__name__ = reduction.__qualname__ = f"warp_{combine}"
    return intrinsic(reduction)


warp_add, warp_mul, warp_max, warp_min = map(_over_a_warp, ("add", "mul", "max", "min"))
warp_and, warp_or, warp_xor = map(_over_a_warp, ("and", "or", "xor"))


# ---------------------------------------------------------------- atomic updates


def _combined_atomically(builder: Any, address: Any, combine: Any) -> None:
    """`address[0] = combine(address[0])`, tried until no other thread comes between reading and writing.

    Elements of fewer than 32 bits are changed within their word, which is compared and swapped as a whole.
    """
    element = address.type.pointee
    bits = 64 if isinstance(element, (ir.DoubleType, ir.LiteralStructType)) else 32
    if isinstance(element, ir.IntType):
        bits = element.width
    word = ir.IntType(max(bits, 32))
    whole = builder.ptrtoint(address, ir.IntType(64))
    shift: Any = None
    if bits < 32:
        offset = builder.and_(whole, whole.type(3))
        shift = builder.trunc(builder.shl(offset, whole.type(3)), word)
        whole = builder.sub(whole, offset)
    pointer = builder.inttoptr(whole, word.as_pointer())
    before = builder.block
    first = builder.load(pointer)
    again, done = builder.append_basic_block("again"), builder.append_basic_block("done")
    builder.branch(again)
    builder.position_at_end(again)
    old = builder.phi(word)
    old.add_incoming(first, before)
    if shift is None:
        new = _as_word(builder, combine(_from_word(builder, old, element)), word)
    else:
        part = builder.trunc(builder.lshr(old, shift), element)
        changed = builder.shl(builder.zext(combine(part), word), shift)
        mask = builder.shl(word((1 << bits) - 1), shift)
        new = builder.or_(builder.and_(old, builder.not_(mask)), changed)
    swapped = builder.cmpxchg(pointer, old, new, "monotonic", "monotonic")
    old.add_incoming(builder.extract_value(swapped, 0), builder.block)
    builder.cbranch(builder.extract_value(swapped, 1), done, again)
    builder.position_at_end(done)


def _from_word(builder: Any, word: Any, element: Any) -> Any:
    if not isinstance(element, ir.LiteralStructType):
        return builder.bitcast(word, element)
    half, (real, imag) = ir.IntType(32), element.elements
    parts = builder.trunc(word, half), builder.trunc(builder.lshr(word, word.type(32)), half)
    value = ir.Constant(element, ir.Undefined)
    for i, (part, type_) in enumerate(zip(parts, (real, imag))):
        value = builder.insert_value(value, builder.bitcast(part, type_), i)
    return value


def _as_word(builder: Any, value: Any, word: Any) -> Any:
    if not isinstance(value.type, ir.LiteralStructType):
        return builder.bitcast(value, word)
    low, high = (builder.zext(builder.bitcast(builder.extract_value(value, i), ir.IntType(32)), word) for i in (0, 1))
    return builder.or_(low, builder.shl(high, word(32)))


def _atomic(name: str) -> Any:
    def atomic(typingctx: Any, pointer: Any, index: Any, value: Any) -> Any:
        element = pointer.dtype

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            place = context.cast(builder, args[1], signature.args[1], types.int64)
            given = context.cast(builder, args[2], signature.args[2], element)
            address = builder.gep(args[0], [place])
            if isinstance(element, types.Complex) and name == "add":
                for i in (0, 1):
                    part = builder.gep(address, [_I32(0), _I32(i)])
                    _add_float(builder, part, builder.extract_value(given, i))
            elif isinstance(element, types.Float) and name == "add":
                _add_float(builder, address, given)
            else:
                combine = lambda old: _COMBINE[name](context, builder, element, old, given)
                _combined_atomically(builder, address, combine)
            return context.get_dummy_value()

        return types.void(pointer, index, value), codegen

    atomic.__name__ = atomic.__qualname__ = f"atomic_{name}"
    atomic.__doc__ = f"Combine an element with a value by `{name}`, whatever other threads do meanwhile."
    return intrinsic(atomic)


def _add_float(builder: Any, address: Any, value: Any) -> None:
    """One instruction of the GPU."""
    kind = "f32" if isinstance(value.type, ir.FloatType) else "f64"
    symbol = f"llvm.nvvm.atomic.load.add.{kind}.p0{kind}"
    function = builder.module.globals.get(symbol)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(value.type, [address.type, value.type]), symbol)
    builder.call(function, [address, value])


atomic_add, atomic_mul, atomic_max, atomic_min = map(_atomic, ("add", "mul", "max", "min"))
