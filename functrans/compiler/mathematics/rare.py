"""The C library for the few arguments that straight-line code does not serve, without a branch in the loop.

A loop that calls a function does not vectorise, unless LLVM knows forms of the function for whole vectors: the
attribute `vector-function-abi-variant` names them (LLVM LangRef; its names are those of the Vector Function ABI). The
forms written here look whether any lane needs the C library at all, and then call it lane by lane. So the price on
ordinary arguments is a call and a test for each vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from functrans.compiler.llvm import call, is_gpu
from functrans.compiler.mathematics.values import Operand, where

_I32 = ir.IntType(32)
_VECTOR_BITS = (128, 256, 512)


def rarely(condition: Any, name: str, x: Any, otherwise: Any) -> Any:
    """The C library's function `name` of `x` where the condition holds, else `otherwise`; it does not hold for 0."""
    if not isinstance(x, Operand):
        return where(condition, getattr(np, name)(x), otherwise)
    if is_gpu(x.builder):
        return _in_a_branch(condition, name, x, otherwise)
    wanted = where(condition, x, 0.0)
    result = x.like(x.builder.call(_function(x.builder.module, name, x.llvm.type), [wanted.llvm]))
    return where(condition, result, otherwise)


def _in_a_branch(condition: Any, name: str, x: Any, otherwise: Any) -> Any:
    """On a GPU threads branch together, and seldom."""
    builder, before = x.builder, x.builder.block
    with builder.if_then(condition.llvm, likely=False):
        value, rare = call(builder, f"llvm.{name}", x.llvm.type, x.llvm), builder.block
    result = builder.phi(x.llvm.type)
    result.add_incoming(x.of(otherwise), before)
    result.add_incoming(value, rare)
    return x.like(result)


def _function(module: Any, name: str, scalar: Any) -> Any:
    """The function that maps 0 to 0 and all else to the C library's `name`, with its forms for vectors."""
    bits = 64 if scalar == ir.DoubleType() else 32
    symbol = f"functrans_rare_{name}_f{bits}"
    if symbol in module.globals:
        return module.globals[symbol]
    function = _define(module, symbol, scalar)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    (x,) = function.args
    needed, other = function.append_basic_block("needed"), function.append_basic_block("other")
    builder.cbranch(builder.fcmp_unordered("!=", x, ir.Constant(scalar, 0.0)), needed, other)
    builder.position_at_end(needed)
    library = _library(module, name, scalar)
    builder.ret(builder.call(library, [x]))
    builder.position_at_end(other)
    builder.ret(x)
    forms = [_vector_form(module, function, scalar, width // bits) for width in _VECTOR_BITS]
    names = ",".join(f"_ZGV_LLVM_N{f.args[0].type.count}v_{symbol}({f.name})" for f in forms)
    set.add(function.attributes, f'"vector-function-abi-variant"="{names}"')
    _keep(module, forms)
    return function


def _library(module: Any, name: str, scalar: Any) -> Any:
    signature = ir.FunctionType(scalar, [scalar])
    if name == "tan":  # LLVM has an intrinsic function for it since version 19 only
        return cgutils.get_or_insert_function(module, signature, "tan" if scalar == ir.DoubleType() else "tanf")
    return module.declare_intrinsic(f"llvm.{name}", (scalar,), signature)


def _define(module: Any, symbol: str, type_: Any) -> Any:
    function = ir.Function(module, ir.FunctionType(type_, [type_]), symbol)
    function.linkage = "internal"
    for attribute in ("noinline", "nounwind", "readnone"):
        function.attributes.add(attribute)
    set.add(function.attributes, "willreturn")  # llvmlite does not know it
    return function


def _vector_form(module: Any, function: Any, scalar: Any, lanes: int) -> Any:
    """A function on whole vectors that calls `function` for each lane if any is not 0."""
    vector = ir.VectorType(scalar, lanes)
    form = _define(module, f"{function.name}_x{lanes}", vector)
    (x,) = form.args
    entry, each, done = (form.append_basic_block(name) for name in ("entry", "each", "done"))

    builder = ir.IRBuilder(entry)
    mask = ir.IntType(lanes)
    needed = builder.bitcast(builder.fcmp_unordered("!=", x, ir.Constant(vector, [0.0] * lanes)), mask)
    builder.cbranch(builder.icmp_unsigned("==", needed, ir.Constant(mask, 0)), done, each)

    builder.position_at_end(each)
    lane, result = builder.phi(_I32), builder.phi(vector)
    value = builder.call(function, [builder.extract_element(x, lane)])
    following = builder.insert_element(result, value, lane)
    after = builder.add(lane, ir.Constant(_I32, 1))
    builder.cbranch(builder.icmp_unsigned("<", after, ir.Constant(_I32, lanes)), each, done)
    for phi, first, later in ((lane, ir.Constant(_I32, 0), after), (result, x, following)):
        phi.add_incoming(first, entry)
        phi.add_incoming(later, each)

    builder.position_at_end(done)
    output = builder.phi(vector)
    output.add_incoming(x, entry)
    output.add_incoming(following, each)
    builder.ret(output)
    return form


def _keep(module: Any, functions: Any) -> None:
    """Keep functions that nothing calls yet until loops are vectorised."""
    byte = ir.IntType(8).as_pointer()
    symbol = "llvm.compiler.used"
    variable = module.globals.get(symbol)
    if variable is None:
        variable = ir.GlobalVariable(module, ir.ArrayType(byte, 0), symbol)
        variable.linkage, variable.section = "appending", "llvm.metadata"
        variable.initializer = ir.Constant(variable.value_type, [])
    kept = [*variable.initializer.constant, *(f.bitcast(byte) for f in functions)]
    variable.value_type = ir.ArrayType(byte, len(kept))
    variable.type = variable.value_type.as_pointer()
    variable.initializer = ir.Constant(variable.value_type, kept)
