"""Calls of LLVM's intrinsics, for every machine that kernels are compiled for.

NVVM, which compiles for NVIDIA's GPUs, knows few of them; the rest are functions of its library libdevice (CUDA,
"libdevice User's Guide"). There `llvm.maximum` and `llvm.minimum`, which pass NaN on, are written out; so they are for
LLVM 15, that of Numba 0.61, which has no instructions for them on x86.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from llvmlite.binding import llvm_version_info

_LIBDEVICE = {
    "llvm.fabs": "fabs", "llvm.copysign": "copysign", "llvm.sqrt": "sqrt", "llvm.floor": "floor", "llvm.ceil": "ceil",
    "llvm.trunc": "trunc", "llvm.rint": "rint", "llvm.sin": "sin", "llvm.cos": "cos", "llvm.tan": "tan",
}  # fmt: skip
_EXTREMA = {"llvm.maximum": "fmax", "llvm.minimum": "fmin"}


def is_gpu(builder: Any) -> bool:
    """Whether code is being written for a GPU."""
    return str(builder.module.triple).startswith("nvptx")


def call(builder: Any, name: str, type_: Any, *args: Any) -> Any:
    """Call an intrinsic that is overloaded on the type of its result."""
    if is_gpu(builder):
        if name in _LIBDEVICE:
            return _libdevice(builder, _LIBDEVICE[name], type_, args)
        if name in _EXTREMA:
            larger = _libdevice(builder, _EXTREMA[name], type_, args)
            return builder.select(builder.fcmp_unordered("uno", *args), builder.fadd(*args), larger)
    if name in _EXTREMA and llvm_version_info[0] < 17:
        larger = builder.fcmp_ordered(">" if name == "llvm.maximum" else "<", *args)
        return builder.select(builder.fcmp_unordered("uno", *args), builder.fadd(*args), builder.select(larger, *args))
    function = builder.module.declare_intrinsic(name, (type_,), ir.FunctionType(type_, [a.type for a in args]))
    return builder.call(function, args)


def negative(builder: Any, x: Any) -> Any:
    """Minus a float; NVVM knows no `fneg`."""
    return builder.fsub(ir.Constant(x.type, -0.0), x) if is_gpu(builder) else builder.fneg(x)


def remainder_of(builder: Any, x: Any, y: Any) -> Any:
    """C's `fmod`; NVVM makes an inexact formula of `frem`."""
    return _libdevice(builder, "fmod", x.type, (x, y)) if is_gpu(builder) else builder.frem(x, y)


def _libdevice(builder: Any, name: str, type_: Any, args: Any) -> Any:
    symbol = f"__nv_{name}{'f' if isinstance(type_, ir.FloatType) else ''}"
    function = builder.module.globals.get(symbol)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(type_, [a.type for a in args]), symbol)
    return builder.call(function, args)
