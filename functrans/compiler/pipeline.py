"""Numba's compiler with what kernels need of it.

The text of a kernel is simple: it has no closures, no generators, no array expressions, no literals to unroll. The
passes for those are left out, and so is LLVM's first round of optimization, of each function before the whole module's:
on kernels it changes nothing but takes a sixth of the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


@global_compiler_lock
def compiled(function: Callable[..., Any], signature: Any) -> Any:
    """A function as a C callback, as `numba.cfunc` makes it."""
    codegen = cpu_target.target_context.codegen()
    codegen._library_class = _Library
    try:
        return cfunc(signature, pipeline_class=_Compiler)(function)
    finally:
        del codegen._library_class
