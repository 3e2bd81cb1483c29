"""How long each instruction of a program takes.

The instructions run with a call of Python behind each that does work, which reads the clock. Among instructions for
lanes nothing may call Python: a block of lanes is timed as one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from functrans.compiler import plan as p, text
from functrans.compiler.cost import cost

_TIMED = (p.CallKernel, p.CallLibrary, p.CallPython, p.Copy, p.Gemm, p.Zero)


@dataclass(frozen=True)
class Measured:
    """What one instruction did in one run of a program; flops and bytes are those of all its calls."""

    operation: str
    source: str
    calls: int
    seconds: float
    flops: float
    bytes: float


class _Clock:
    """Reads the clock when an instruction ends; the time since the last reading is that instruction's."""

    def __init__(self, size: int):
        self.times = np.zeros((size, 2))
        self.last = 0.0

    def lap(self, number: int | None) -> p.CallPython:
        """The instruction that ends the one of that number; `None` begins a run."""

        def read() -> list[Any]:
            if number is not None:
                self.times[number, 0] += time.perf_counter() - self.last
                self.times[number, 1] += 1
            self.last = time.perf_counter()
            return []

        return p.CallPython(read, (), (), "clock")


def profile(plan: p.Plan, arrays: Sequence[np.ndarray], runs: int) -> tuple[list[Measured], float]:
    """Each instruction of a plan in the median of some runs, and the seconds of a run without the clock."""
    from functrans.compiler.native import Native

    plain = Native(plan)
    instructions, timed = _units(plan)
    clock = _Clock(len(timed) + 1)
    marked = Native(replace(plan, instructions=_with_laps(instructions, timed, clock)))
    plain(*arrays), marked(*arrays)
    laps, whole = [], []
    for _ in range(runs):
        clock.times[:] = 0
        start = time.perf_counter()
        plain(*arrays)
        whole.append(time.perf_counter() - start)
        marked(*arrays)
        laps.append(clock.times.copy())
    seconds = np.median([t[:, 0] for t in laps], axis=0)
    calls = laps[-1][:, 1]
    overhead = seconds[-1]  # of reading the clock: nothing happened before the last reading
    numbers = {source: i for i, source in enumerate(text.distinct_kernels(plan))}
    out = []
    for i, group in enumerate(timed):
        lines, flops, moved = zip(*[_described(instructions[j], numbers) for j in group])
        operations = list(dict.fromkeys(operation for operation, _ in lines if operation))
        operation = operations[0] if len(group) == 1 else f"lanes: {'; '.join(operations)}"
        source = next((s for _, s in lines if s), "")
        measured = max(seconds[i] - overhead * calls[i], 0.0)
        out.append(Measured(operation, source, int(calls[i]), measured, sum(flops) * calls[i], sum(moved) * calls[i]))
    return out, float(np.median(whole))


def _units(plan: p.Plan) -> tuple[list[p.Instruction], list[list[int]]]:
    """The instructions, and the positions of those that are timed together, in order."""
    timed: list[list[int]] = []
    lanes: list[int] | None = None
    for i, instruction in enumerate(plan.instructions):
        if isinstance(instruction, p.Lanes):
            lanes = []
        elif isinstance(instruction, p.LanesEnd):
            assert lanes is not None
            timed.append([*lanes, i])
            lanes = None
        elif isinstance(instruction, _TIMED):
            if lanes is None:
                timed.append([i])
            else:
                lanes.append(i)
    return plan.instructions, timed


def _with_laps(instructions: Sequence[p.Instruction], timed: list[list[int]], clock: _Clock) -> list[p.Instruction]:
    """The instructions with a lap behind each unit; behind lanes it stands after the label where they end."""
    last = {group[-1]: number for number, group in enumerate(timed)}
    out: list[p.Instruction] = [clock.lap(None)]
    pending: int | None = None
    for i, instruction in enumerate(instructions):
        out.append(instruction)
        if i in last:
            if isinstance(instruction, p.LanesEnd):
                pending = last[i]
            else:
                out.append(clock.lap(last[i]))
        elif pending is not None and isinstance(instruction, p.Mark):
            out.append(clock.lap(pending))
            pending = None
    return [*out, clock.lap(len(timed))]


def _described(instruction: p.Instruction, numbers: dict[str, int]) -> tuple[tuple[str, str], float, int]:
    """What an instruction does and the user's line it comes from; its operations and bytes for one call."""
    match instruction:
        case p.CallKernel(kernel, _, _):
            names = " ".join(dict.fromkeys(e.primitive.name for e in kernel.eqns))
            source = next((str(e.source) for e in kernel.eqns if e.source), "")
            flops = sum(cost(e).flops for e in kernel.eqns)
            moved = sum(p.nbytes(v.aval) for v in kernel.buffers)
            return (f"kernel {numbers[kernel.source]}: {names}", source), flops, moved
        case p.Gemm():
            i, size = instruction, instruction.dtype.itemsize
            line = f"gemm {i.dtype} ({i.m}, {i.k}) @ ({i.k}, {i.n})" + (f" x {i.batch}" if i.batch != 1 else "")
            return (line, ""), 2.0 * i.batch * i.m * i.n * i.k, i.batch * (i.m * i.k + i.k * i.n + i.m * i.n) * size
        case p.Copy() | p.Zero():
            name = "copy" if isinstance(instruction, p.Copy) else "zero"
            return (f"{name} of {instruction.nbytes} bytes", ""), 0.0, instruction.nbytes
        case p.CallPython():
            operands = (*instruction.ins, *instruction.outs)
            moved = sum(int(np.prod(o.shape)) * o.dtype.itemsize for o in operands)
            return (f"NumPy {instruction.name}", str(instruction.source or "")), 0.0, moved
        case p.CallLibrary():
            return (instruction.routine, ""), 0.0, 0
    return ("", ""), 0.0, 0
