"""Numba's compiler with what kernels need of it.

The text of a kernel is simple: it has no closures, no generators, no array expressions, no literals to unroll, and it
raises nothing. The passes for those are left out, and so is LLVM's first round of optimization, of each function before
the whole module's: on kernels it changes nothing but takes a sixth of the time. What an operator or a function gives
for operands of some types is looked up once a process, not in each kernel. The garbage collector waits until a kernel
is done: it would look through all of Numba's objects again and again.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from llvmlite.ir.instructions import Branch
from numba import cfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.lowering import Lower
from numba.core.registry import cpu_target
from numba.core.typed_passes import (
    AnnotateTypes,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
    NopythonTypeInference,
    PreLowerStripPhis,
)
from numba.core.types import Function
from numba.core.untyped_passes import FixupArgs, IRProcessing, ReconstructSSA, TranslateByteCode


class _Lower(Lower):
    def create_cfunc_wrapper(self) -> None:
        """The kernel as C calls it; Numba's own wrapper would also report what the kernel raised."""
        context, description = self.context, self.fndesc
        module = context.create_module("cfunc_wrapper")
        kind = context.call_conv.get_function_type(description.restype, description.argtypes)
        kernel = ir.Function(module, kind, description.llvm_func_name)
        types = [context.get_value_type(t) for t in (description.restype, *description.argtypes)]
        wrapper = ir.Function(module, ir.FunctionType(types[0], types[1:]), description.llvm_cfunc_wrapper_name)
        builder = ir.IRBuilder(wrapper.append_basic_block("entry"))
        call = context.call_conv.call_function
        _, out = call(builder, kernel, description.restype, description.argtypes, wrapper.args, attrs=("noinline",))
        builder.ret(out)
        self.library.add_ir_module(module)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(NativeLowering):
    _name = "functrans_lowering"

    @property
    def lowering_class(self) -> type[Lower]:
        return _Lower


_PASSES = (
    TranslateByteCode, FixupArgs, IRProcessing, ReconstructSSA, NopythonTypeInference, PreLowerStripPhis,
    IRLegalization, AnnotateTypes, _Lowering, NoPythonBackend,
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


#: Signatures by function and types of operands, with what is called then; and the functions, whose ids stay theirs so.
_signatures: dict[Any, tuple[Any, Any, Any]] = {}


@contextmanager
def _signatures_kept(context: Any) -> Iterator[None]:
    """A typing context looks up each call once.

    Numba notes what is called in the function's type, which compilers for other targets share: it is put back there.
    """
    resolve = context.resolve_function_type

    def kept(function: Any, args: Any, kws: Any) -> Any:
        if kws:
            return resolve(function, args, kws)
        key = id(function), args
        known = _signatures.get(key)
        if known is None:
            signature = resolve(function, args, kws)
            if signature is None:
                return None
            meant = function.get_impl_key(signature) if isinstance(function, Function) else None
            known = _signatures[key] = signature, meant, function
        elif known[1] is not None:
            function._impl_keys[known[0].args] = known[1]
        return known[0]

    context.resolve_function_type = kept
    try:
        yield
    finally:
        del context.resolve_function_type


@contextmanager
def _collector_waiting() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@global_compiler_lock
def compiled(function: Callable[..., Any], signature: Any) -> Any:
    """A function as a C callback, as `numba.cfunc` makes it."""
    codegen = cpu_target.target_context.codegen()
    codegen._library_class = _Library
    try:
        with _collector_waiting(), _signatures_kept(cpu_target.typing_context):
            return cfunc(signature, pipeline_class=_Compiler)(function)
    finally:
        del codegen._library_class
