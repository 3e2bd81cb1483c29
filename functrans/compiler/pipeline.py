"""Numba's compiler with what kernels need of it.

The text of a kernel is simple: it has no closures, no generators, no array expressions, no literals to unroll. The
passes for those are left out, and so is LLVM's first round of optimization, of each function before the whole module's:
on kernels it changes nothing but takes a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from llvmlite.ir.instructions import Branch
from numba import cfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode

_PASSES = (
    TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA, NopythonTypeInference, PreLowerStripPhis,
    IRLegalization, AnnotateTypes, NativeLowering, NoPythonBackend,
)  # fmt: skip


class _Compiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        manager = PassManager("functrans kernel")
        for step in _PASSES:
            manager.add_pass(step, step.__name__)
        manager.finalize()
        return [manager]


class _Library(JITCodeLibrary):
    def _optimize_functions(self, ll_module: Any) -> None:
        """Leave all to the optimization of the module."""

    def add_ir_module(self, ir_module: Any) -> None:
        for function in ir_module.functions:
            for block in function.blocks:
                vectors, end = getattr(block, "vectors", None), block.terminator
                if vectors and type(end) is Branch:  # back to the head of the loop, whose whole body this block is
                    end.set_metadata("llvm.loop", _Interleave(ir_module, vectors))
        super().add_ir_module(ir_module)


class _Interleave(ir.MDValue):
    """Tells LLVM how many vectors to work on at a time in a loop (LangRef, "llvm.loop.interleave.count")."""

    def __init__(self, module: Any, vectors: int):
        super().__init__(module, (), str(len(module.metadata)))
        name, count = ir.MetaDataString(module, "llvm.loop.interleave.count"), ir.Constant(ir.IntType(32), vectors)
        self.operands = (self, module.add_metadata([name, count]))

    def descr(self, buf: Any) -> None:
        """Loops are told apart by their node, which is its own first operand."""
        buf += (f"distinct !{{ {', '.join(x.get_reference() for x in self.operands)} }}", "\n")

    __hash__ = object.__hash__


@global_compiler_lock
def compiled(function: Callable[..., Any], signature: Any) -> Any:
    """A function as a C callback, as `numba.cfunc` makes it."""
    codegen = cpu_target.target_context.codegen()
    codegen._library_class = _Library
    try:
        return cfunc(signature, pipeline_class=_Compiler)(function)
    finally:
        del codegen._library_class
