"""Numba's compiler with what kernels need of it.

The text of a kernel is simple: it has no closures, no generators, no array expressions, no literals to unroll. The
passes for those are left out, and so is LLVM's first round of optimization, of each function before the whole module's:
on kernels it changes nothing but takes a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from llvmlite.ir import instructions
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
                if _is_long_body(block, function.blocks):
                    block.terminator.set_metadata("llvm.loop", _TwoAtATime(ir_module))
        super().add_ir_module(ir_module)


#: From so many operations on floats on the body of a loop is long.
_LONG = 16


def _is_long_body(block: Any, blocks: Sequence[Any]) -> bool:
    """Whether a block is all of a loop's body, a long formula for each element by itself.

    A loop with sums is left to LLVM, which makes several of them.
    """
    if type(block.terminator) is not instructions.Branch or blocks.index(block.terminator.operands[0]) > blocks.index(block):
        return False
    count = 0
    for instruction in block.instructions:
        if isinstance(instruction, instructions.CallInstr):
            if not instruction.callee.name.startswith("llvm."):
                return False
        elif "reassoc" in instruction.flags:
            return False
        count += isinstance(instruction.type, (ir.FloatType, ir.DoubleType)) and instruction.opname not in ("load", "select")
    return count >= _LONG


class _TwoAtATime(ir.MDValue):
    """Tells LLVM to work on two vectors at a time in a loop ("llvm.loop.interleave.count" of its LangRef).

    The operations of a long formula wait for each other; those of the next vector's can be done meanwhile. The CPU looks
    ahead for them, but not over a whole formula.
    """

    def __init__(self, module: Any):
        super().__init__(module, (), str(len(module.metadata)))
        count = ir.Constant(ir.IntType(32), 2)
        self.operands = (self, module.add_metadata([ir.MetaDataString(module, "llvm.loop.interleave.count"), count]))

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
