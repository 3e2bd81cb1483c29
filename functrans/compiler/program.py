"""Programs: what `jit` calls. A jaxpr becomes a simplified one, a schedule, a plan, and native code."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans.compiler.contractions import with_accumulation, with_loops
from functrans.compiler.convolution import with_expansions
from functrans.compiler.cost import jaxpr_cost
from functrans.compiler.imagetiles import with_tiled_convolutions
from functrans.compiler.lanes import with_lane_branches
from functrans.compiler.loops import schedule
from functrans.compiler.plan import Plan, make_plan, nbytes
from functrans.compiler.rewriting import with_effects_marked, with_updates_apart
from functrans.compiler.steps import Step
from functrans.compiler.text import format_kernels, format_loops, format_native, format_plan
from functrans.core.avals import aval_of
from functrans.core.jaxpr import Jaxpr
from functrans.core.printing import format_jaxpr
from functrans.transforms.jvp import close_over
from functrans.transforms.simplify import simplify

#: The stages of `Lowered.as_text`, in order.
STAGES = ("traced", "simplified", "loops", "kernels", "plan")


def compile(jaxpr: Jaxpr, consts: Sequence[Any], donated: Sequence[int] = ()) -> Compiled:
    """The native program of a jaxpr with the values of its constvars."""
    return lower(jaxpr, consts, donated).compile()


def lower(jaxpr: Jaxpr, consts: Sequence[Any], donated: Sequence[int] = ()) -> Lowered:
    """All stages before native code; results may take the memory of donated arguments, given by their numbers."""
    simplified, constants = simplified_with_constants(jaxpr, consts)
    return Lowered(jaxpr, simplified, make_plan(simplified, constants, schedule_block, donated))


def simplified_with_constants(jaxpr: Jaxpr, consts: Sequence[Any]) -> tuple[Jaxpr, list[np.ndarray]]:
    """A simplified jaxpr and the values of its constvars."""
    return _with_constants_apart(simplify(close_over(jaxpr, [_own(c) for c in consts])))


def _own(value: Any) -> np.ndarray:
    """A captured array as the program's own: later changes by its owner do not reach it."""
    array = np.asarray(value)
    dtype = aval_of(array).dtype
    return np.array(array, dtype) if array.flags.writeable else np.asarray(array, dtype)


def _with_constants_apart(jaxpr: Jaxpr) -> tuple[Jaxpr, list[np.ndarray]]:
    """A closed jaxpr with its `constant` equations as constvars, and their values."""
    constants = [e for e in jaxpr.eqns if e.primitive.name == "constant"]
    rest = [e for e in jaxpr.eqns if e.primitive.name != "constant"]
    values = [np.asarray(e.params["value"].value) for e in constants]
    return Jaxpr([e.outvars[0] for e in constants], jaxpr.invars, rest, jaxpr.outvars), values


def schedule_block(jaxpr: Jaxpr, apart: bool = False) -> Sequence[Step]:
    """The steps of a program, or of the body of a loop or branch in it; `apart`: with a kernel for each loop nest."""
    for rewrite in (
        with_tiled_convolutions, with_expansions, with_accumulation, with_loops, with_updates_apart,
        with_effects_marked,
    ):  # fmt: skip
        jaxpr = rewrite(jaxpr)
    return schedule(with_lane_branches(jaxpr, schedule_block), apart)


@dataclass(frozen=True)
class MemoryAnalysis:
    """Bytes that one call of a program uses."""

    argument_size_in_bytes: int
    output_size_in_bytes: int
    alias_size_in_bytes: int  #: results that take the memory of donated arguments
    constant_size_in_bytes: int
    temp_size_in_bytes: int  #: the arena
    temp_size_without_sharing: int  #: what the arena would take if no two values shared memory


class Lowered:
    """A program before native compilation."""

    def __init__(self, jaxpr: Jaxpr, simplified: Jaxpr, plan: Plan):
        self.jaxpr = jaxpr
        self.simplified = simplified
        self.plan = plan

    def as_text(self, stage: str | None = None) -> str:
        """One stage (of `traced`, `simplified`, `loops`, `kernels`, `plan`), or all from `simplified` on."""
        if stage is None:
            return "\n\n".join(f"# {s}\n{self.as_text(s)}" for s in STAGES[1:])
        makers = {
            "traced": lambda: format_jaxpr(self.jaxpr, sources=True),
            "simplified": lambda: format_jaxpr(self.simplified, sources=True),
            "loops": lambda: format_loops(self.plan),
            "kernels": lambda: format_kernels(self.plan),
            "plan": lambda: format_plan(self.plan),
        }
        if stage not in makers:
            raise ValueError(f"no stage {stage!r}; there are {', '.join(STAGES)}")
        return makers[stage]()

    def memory_analysis(self) -> MemoryAnalysis:
        """Bytes of arguments, results, constants and temporaries."""
        plan = self.plan
        return MemoryAnalysis(
            sum(b.nbytes for b in plan.inputs),
            sum(b.nbytes for b in plan.outputs),
            sum(plan.outputs[j].nbytes for j in plan.donated),
            sum(c.nbytes for c in plan.constants),
            plan.arena,
            plan.unshared,
        )

    def cost_analysis(self) -> dict[str, float]:
        """Scalar operations (`cost.py`) and bytes that kernels and library calls read and write in one call.

        A `while` loop counts as one turn.
        """
        return {"flops": jaxpr_cost(self.simplified).flops, "bytes accessed": self.plan.traffic}

    def compile(self) -> Compiled:
        """The native program."""
        return Compiled(self)


class Compiled:
    """A native program: call it with arrays of the types it was made for."""

    def __init__(self, lowered: Lowered):
        from functrans.compiler.native import Native  # imports Numba

        self.lowered = lowered
        self.native = Native(lowered.plan)

    def __call__(self, *arrays: np.ndarray) -> list[Any]:
        return self.native(*arrays)

    def as_text(self) -> str:
        """The stages from the simplified jaxpr to the plan, and what is known of the native code.

        Kernels are compiled once more for it: their assembly is not kept.
        """
        return f"{self.lowered.as_text()}\n\n# native\n{format_native(self.lowered.plan)}"

    def memory_analysis(self) -> MemoryAnalysis:
        return self.lowered.memory_analysis()

    def cost_analysis(self) -> dict[str, float]:
        return self.lowered.cost_analysis()


# ------------------------------------------------------------------ counts

_lock = threading.Lock()
_traces = 0


def count_trace() -> None:
    """Count one trace of a function by `jit`."""
    global _traces
    with _lock:
        _traces += 1


@dataclass(frozen=True)
class CacheInfo:
    """Counts since the process started, and where kernels are kept."""

    traces: int
    kernels_compiled: int
    kernels_loaded: int  #: from the folder
    kernels_reused: int  #: from memory
    folder: str | None  #: none where kernels are kept in memory only


def cache_info() -> CacheInfo:
    """What `jit` has traced and which kernels were compiled, loaded or reused."""
    from functrans import config
    from functrans.compiler import kernels

    stats, folder = kernels.stats(), config.cache_folder()
    return CacheInfo(_traces, stats.compiled, stats.loaded, stats.reused, None if folder is None else str(folder))


__all__ = [
    "CacheInfo", "Compiled", "Lowered", "MemoryAnalysis", "cache_info", "compile", "count_trace", "lower", "nbytes",
]  # fmt: skip
