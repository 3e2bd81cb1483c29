"""Programs on a GPU: a plan whose instructions are launched one after another, without waiting for any.

Slots hold addresses on the device. Temporary values lie in one arena, by the plan's liveness, which comes from the
pool for each run and goes back to it; results are new arrays. Launches, copies and the jumps of loops are done by
native code (`launches.py`), which comes back here for what needs Python. Branches and `while` loops wait for the value
that decides. So does a call with checks, at its end: each kernel that checks has a status word of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.compiler import plan as p
from functrans.compiler.contractions import with_accumulation, with_loops
from functrans.compiler.convolution import with_expansions
from functrans.compiler.cuda import launches, schedule as grid
from functrans.compiler.cuda.calls import CallDevice
from functrans.compiler.cuda.families import is_for_tiles
from functrans.compiler.cuda.launches import Assembler
from functrans.compiler.cuda.library import CUBLAS_DTYPES, emit_equation
from functrans.compiler.cuda.runtime import Runtime, runtime
from functrans.compiler.program import Compiled, Lowered, simplified_with_constants
from functrans.compiler.rewriting import Variant, with_effects_marked, with_updates_apart
from functrans.compiler.steps import Step
from functrans.core.jaxpr import Jaxpr

_WORD, _BYTE = np.dtype(np.int64), np.dtype(np.uint8)
_ALIGNMENT = 256

#: What an instruction does with slots and counters; it may say at which label to go on.
Action = Callable[[np.ndarray, np.ndarray], "int | None"]


def schedule_block(jaxpr: Jaxpr, apart: bool = False) -> Sequence[Step]:
    """The steps of a program, or of the body of a loop or branch in it."""
    for rewrite in _REWRITES:
        jaxpr = rewrite(jaxpr)
    return grid.schedule(jaxpr, apart)


def lower(jaxpr: Jaxpr, consts: Sequence[Any]) -> DeviceLowered:
    """All stages before machine code."""
    simplified, values = simplified_with_constants(jaxpr, consts)
    return DeviceLowered(
        jaxpr, simplified, p.make_plan(simplified, values, schedule_block, emit_equation=emit_equation)
    )


def with_transposes_apart(jaxpr: Jaxpr) -> Jaxpr:
    """The program with large transposes as equations that no kernel takes in: they go through shared memory."""
    if not any(map(is_for_tiles, jaxpr.eqns)):
        return jaxpr
    eqns = [e.replace(primitive=Variant(e.primitive, lower=None)) if is_for_tiles(e) else e for e in jaxpr.eqns]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


#: Bytes of a matrix of windows, from which on convolutions are done in parts.
_WINDOWS = 1 << 28

_REWRITES = (
    lambda jaxpr: with_expansions(jaxpr, _WINDOWS), with_accumulation,
    lambda jaxpr: with_loops(jaxpr, CUBLAS_DTYPES), with_updates_apart, with_effects_marked, with_transposes_apart,
)  # fmt: skip


class DeviceLowered(Lowered):
    """A program for a GPU before its kernels are compiled."""

    def compile(self) -> DeviceCompiled:
        """The program, ready to run."""
        return DeviceCompiled(self)


class DeviceCompiled(Compiled):
    """A program for a GPU: call it with arrays on it, or with others, which are copied."""

    def __init__(self, lowered: Lowered):
        self.lowered = lowered
        self.program = DeviceProgram(lowered.plan, runtime())

    def __call__(self, *arrays: Any) -> list[Any]:
        from functrans.compiler.cuda.arrays import call

        return call(self.program, [b.aval for b in self.lowered.plan.inputs], arrays)  # type: ignore[misc]


class State:
    """What one run at a time has: slots, counters, status words, and the arguments of launches, which point at them."""

    def __init__(self, program: DeviceProgram):
        runtime, code = program.runtime, program.assembled
        self.slots = np.zeros(len(program.plan.slots), np.int64)
        self.counters = np.zeros(program.plan.counters + 1, np.int64)
        self.status = runtime.upload(np.zeros(len(code.checks), _WORD)) if code.checks else None
        first = runtime.address(self.status) if code.checks else 0
        self._words = first + _WORD.itemsize * np.arange(len(code.checks), dtype=np.int64)
        cells = {"slot": self.slots, "size": program.sizes, "status": self._words}
        self.table = np.array([cells[kind].ctypes.data + 8 * n for kind, n in code.table], np.int64)
        for buffer, array in zip(program.constant_buffers, program.constants):
            self.slots[buffer.slot] = runtime.address(array)


class DeviceProgram:
    """A program that can be called with device arrays of the types it was made for."""

    def __init__(self, plan: p.Plan, runtime: Runtime):
        self.plan = plan
        self.runtime = runtime
        runtime.ready()
        self.assembled = Assembler(plan, runtime.load, runtime.limits)
        self.sizes = np.array(self.assembled.sizes, np.int64)
        self.actions = {position: self.action(i) for position, i in self.assembled.python.items()}
        self.constants = [runtime.upload(np.asarray(c)) for c in plan.constants]
        buffers = [b for b in plan.slots if b is not None]
        self.constant_buffers = sorted((b for b in buffers if b.kind == "constant"), key=lambda b: b.index)
        temporary = [b for b in buffers if b.kind == "arena"]
        self._temporary = np.array([b.slot for b in temporary], np.intp)
        self._offsets = np.array([b.offset for b in temporary], np.int64)
        self._given = np.array([b.slot for b in (*plan.inputs, *plan.outputs)], np.intp)
        self._results = [(b.aval.shape, b.aval.dtype) for b in plan.outputs]  # type: ignore[union-attr]
        self._states: list[State] = []  # those that no run has at the moment

    def __call__(self, *arrays: Any) -> list[Any]:
        runtime = self.runtime
        runtime.ready()
        try:
            arrays = tuple(map(runtime.contiguous, arrays))
            outs = [runtime.empty(shape, dtype) for shape, dtype in self._results]
            try:
                state = self._states.pop()
            except IndexError:
                state = State(self)
            state.slots[self._given] = [*map(runtime.address, arrays), *map(runtime.address, outs)]
            if len(self._temporary):  # in one piece of memory, which goes back to the pool at the end
                arena = runtime.empty((self.plan.arena + _ALIGNMENT,), _BYTE)
                state.slots[self._temporary] = self._offsets + -(-runtime.address(arena) // _ALIGNMENT) * _ALIGNMENT
            self.run(state)
        except runtime.memory_errors as error:
            raise runtime.out_of_memory(error) from error
        self._states.append(state)  # after an error it is not used again: its words may say anything
        return outs

    def run(self, state: State) -> None:
        code, runtime = self.assembled, self.runtime
        position, stream = 0, runtime.stream()
        while True:
            position = launches.run(
                code.code, state.slots, state.counters, state.table, runtime.driver, position, stream
            )
            if position == launches.FINISHED:
                break
            if position < 0:
                raise runtime.failed(int(state.counters[-1]))
            action = self.actions.get(position)
            if action is None:
                code.load_plain(position)
                continue
            label = action(state.slots, state.counters)
            position = position + 1 if label is None else code.labels[label]
        if state.status is not None:
            for kernel, word in zip(code.checks, runtime.download(state.status)):
                if word:
                    raise kernel.error(kernel.checks[int(word) - 1])

    # ---------------------------------------------------------------- what needs Python

    def action(self, i: p.Instruction) -> Action:
        runtime = self.runtime
        match i:
            case p.Gemm():
                product = runtime.product(i)
                return lambda slots, counters: product(int(slots[i.a]), int(slots[i.b]), int(slots[i.c]))
            case p.ReadCounter(counter, slot, dtype):
                return lambda slots, counters: counters.__setitem__(counter, int(runtime.read(int(slots[slot]), dtype)))
            case p.JumpIfFalse(slot, label):
                return lambda slots, counters: None if runtime.read(int(slots[slot]), _BYTE) else label
            case p.CallPython():
                return lambda slots, counters: self.on_host(i, slots)
            case CallDevice():
                return lambda slots, counters: self.on_device(i, slots)
        raise NotImplementedError(f"{type(i).__name__} on a GPU")

    def on_device(self, i: CallDevice, slots: np.ndarray) -> None:
        runtime = self.runtime
        ins = [runtime.view(int(slots[o.slot]), o.shape, o.dtype) for o in i.ins]
        for o, value in zip(i.outs, i.function(runtime.xp, *ins)):
            runtime.view(int(slots[o.slot]), o.shape, o.dtype)[...] = value

    def on_host(self, i: p.CallPython, slots: np.ndarray) -> None:
        runtime = self.runtime
        ins = [runtime.download(runtime.view(int(slots[o.slot]), o.shape, o.dtype)) for o in i.ins]
        for o, value in zip(i.outs, i.function(*ins)):
            array = runtime.upload(np.array(np.broadcast_to(value, o.shape), o.dtype))
            if array.nbytes:
                runtime.copy(int(slots[o.slot]), runtime.address(array), array.nbytes)
