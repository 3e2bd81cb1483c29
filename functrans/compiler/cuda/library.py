"""Equations without a loop form on a GPU: kernels of their own, CuPy's libraries, or, named in the text, the host."""

from __future__ import annotations

from functrans.compiler.contractions import BLAS_DTYPES, emit_accumulation, emit_contraction
from functrans.compiler.controlflow import emit_cond, emit_scan, emit_while
from functrans.compiler.cuda import families, libraries
from functrans.compiler.cuda.lanes import emit_lanes
from functrans.compiler.library import call_numpy, emit_concatenation, emit_constant
from functrans.compiler.plan import Emitter, Planner
from functrans.core.avals import SMALL_FLOATS
from functrans.core.jaxpr import Eqn

#: Types of matrices that cuBLAS multiplies; halves on tensor cores, added up in float32.
CUBLAS_DTYPES = BLAS_DTYPES | set(SMALL_FLOATS)


def emit_equation(p: Planner, eqn: Eqn) -> None:
    """Add the instructions of an equation that is not a kernel."""
    native = NATIVE.get(eqn.primitive.name)
    if native is None or not native(p, eqn):
        call_numpy(p, eqn)


NATIVE: dict[str, Emitter] = {
    "scan": lambda p, eqn: emit_lanes(p, eqn) or emit_scan(p, eqn, as_kernel=False),
    "while": lambda p, eqn: emit_lanes(p, eqn) or emit_while(p, eqn, as_kernel=False),
    "cond": emit_cond,
    "dot_general": lambda p, eqn: emit_contraction(p, eqn, CUBLAS_DTYPES),
    "dot_general_add": emit_accumulation,
    "constant": emit_constant,
    **families.EMITTERS,
    **libraries.EMITTERS,
    "concatenate": emit_concatenation,
}
