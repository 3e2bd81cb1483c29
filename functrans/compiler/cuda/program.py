"""Programs on a GPU: a plan whose instructions are launched one after another, without waiting for any.

Slots hold addresses on the device. Temporary values lie in one arena, by the plan's liveness; results are new arrays.
Branches and `while` loops wait for the value that decides. So does a call with checks, at its end: each kernel that
checks has a status word of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.compiler import plan as p
from functrans.compiler.contractions import with_accumulation, with_loops
from functrans.compiler.convolution import with_expansions
from functrans.compiler.cuda import schedule as grid
from functrans.compiler.cuda.calls import CallDevice
from functrans.compiler.cuda.families import is_for_tiles
from functrans.compiler.cuda.library import emit_equation
from functrans.compiler.cuda.runtime import Runtime, runtime
from functrans.compiler.program import Compiled, Lowered, simplified_with_constants
from functrans.compiler.rewriting import Variant, with_effects_marked, with_updates_apart
from functrans.compiler.steps import Kernel, Step
from functrans.core.jaxpr import Jaxpr

_WORD = np.dtype(np.int64)
_ALIGNMENT = 256


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


_REWRITES = (
    with_expansions, with_accumulation, with_loops, with_updates_apart, with_effects_marked, with_transposes_apart,
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
    """The memory of one run: arena, constants, status words. Streams have states of their own."""

    def __init__(self, program: DeviceProgram):
        plan, runtime = program.plan, program.runtime
        self.lock = threading.Lock()
        self.slots = [0] * len(plan.slots)
        self.arena = runtime.empty((plan.arena + _ALIGNMENT,), np.dtype(np.uint8))
        base = -(-runtime.address(self.arena) // _ALIGNMENT) * _ALIGNMENT
        self.status = runtime.upload(np.zeros(max(len(program.checks), 1), _WORD))
        self.status_address = runtime.address(self.status)
        for buffer in plan.slots:
            if buffer is not None and buffer.kind == "arena":
                self.slots[buffer.slot] = base + buffer.offset
            elif buffer is not None and buffer.kind == "constant":
                self.slots[buffer.slot] = runtime.address(program.constants[buffer.index])


#: What an instruction does: with slots, counters and the address of the status words; the label to go on at, if any.
Action = Callable[[list[int], list[int], int], "int | None"]


class DeviceProgram:
    """A program that can be called with device arrays of the types it was made for."""

    def __init__(self, plan: p.Plan, runtime: Runtime):
        self.plan = plan
        self.runtime = runtime
        self.constants = [runtime.upload(np.asarray(c)) for c in plan.constants]
        self.checks: list[Kernel] = []
        self.labels = {i.label: n for n, i in enumerate(plan.instructions) if isinstance(i, p.Mark)}
        self.actions = [self.action(i) for i in plan.instructions]
        self._makers = [(b.aval.shape, b.aval.dtype) for b in plan.outputs]  # type: ignore[union-attr]
        self._states: dict[int, State] = {}

    def __call__(self, *arrays: Any) -> list[Any]:
        runtime = self.runtime
        arrays = tuple(map(runtime.contiguous, arrays))
        outs = [runtime.empty(shape, dtype) for shape, dtype in self._makers]
        stream = runtime.stream()
        state = self._states.get(stream)
        if state is None:
            state = self._states[stream] = State(self)
        if state.lock.acquire(blocking=False):
            try:
                self.run(state, arrays, outs)
            finally:
                state.lock.release()
        else:  # it is running in another thread on this stream, or in a callback of its own
            self.run(State(self), arrays, outs)
            runtime.synchronize()  # before the state's memory goes
        return outs

    def run(self, state: State, arrays: Sequence[Any], outs: Sequence[Any]) -> None:
        slots, counters, status = list(state.slots), [0] * max(self.plan.counters, 1), state.status_address
        for buffer, array in zip((*self.plan.inputs, *self.plan.outputs), (*arrays, *outs)):
            slots[buffer.slot] = self.runtime.address(array)
        actions, n, position = self.actions, len(self.actions), 0
        while position < n:
            label = actions[position](slots, counters, status)
            position = position + 1 if label is None else self.labels[label]
        if self.checks:
            words = self.runtime.download(state.status)
            for kernel, word in zip(self.checks, words):
                if word:
                    self.runtime.zero(status, state.status.nbytes)
                    raise kernel.error(kernel.checks[int(word) - 1])

    # ---------------------------------------------------------------- instructions

    def action(self, i: p.Instruction) -> Action:
        runtime = self.runtime
        match i:
            case p.CallKernel():
                return self.kernel(i)
            case p.Gemm():
                return lambda slots, counters, status: self.gemm(i, slots)
            case p.Copy(target, source, size):
                return lambda slots, counters, status: runtime.copy(slots[target], slots[source], size)
            case p.Zero(target, size):
                return lambda slots, counters, status: runtime.zero(slots[target], size)
            case p.MoveSlot(target, source, offset):

                def move(slots: list[int], counters: list[int], status: int) -> None:
                    slots[target] = slots[source] + offset

                return move
            case p.SetCounter(counter, value):
                return lambda slots, counters, status: counters.__setitem__(counter, value)
            case p.AddCounter(counter, value):
                return lambda slots, counters, status: counters.__setitem__(counter, counters[counter] + value)
            case p.ReadCounter(counter, slot, dtype):
                return lambda slots, counters, status: counters.__setitem__(
                    counter, int(runtime.read(slots[slot], dtype))
                )
            case p.Mark():
                return lambda slots, counters, status: None
            case p.Jump(label):
                return lambda slots, counters, status: label
            case p.JumpIfFalse(slot, label):
                return lambda slots, counters, status: None if runtime.read(slots[slot], np.dtype(np.uint8)) else label
            case p.JumpIfLess(counter, limit, label):
                return lambda slots, counters, status: label if counters[counter] < limit else None
            case p.CallPython():
                return lambda slots, counters, status: self.on_host(i, slots)
            case CallDevice():
                return lambda slots, counters, status: self.on_device(i, slots)
        raise NotImplementedError(f"{type(i).__name__} on a GPU")

    def kernel(self, i: p.CallKernel) -> Action:
        kernel = i.kernel
        assert isinstance(kernel, grid.GridKernel)
        launch, sizes, places = self.runtime.load(kernel), kernel.sizes, i.slots
        offset = 0
        if kernel.checks:
            offset = len(self.checks) * _WORD.itemsize
            self.checks.append(kernel)
        aligned = [places[n] for n in sorted(kernel.vectors)]
        plain: list[Any] = []

        def run(slots: list[int], counters: list[int], status: int) -> None:
            addresses = [slots[s] for s in places]
            for s in aligned:
                if slots[s] % 16:
                    if not plain:
                        assert kernel.plain is not None
                        other = kernel.plain
                        order = [kernel.buffers.index(v) for v in other.buffers]
                        plain.extend((self.runtime.load(other), order, other.sizes))
                    again, order, own = plain
                    again([addresses[n] for n in order], own, status + offset)
                    return
            launch(addresses, sizes, status + offset)

        return run

    def gemm(self, i: p.Gemm, slots: Sequence[int]) -> None:
        runtime, size = self.runtime, i.dtype.itemsize

        def matrices(slot: int, rows: int, columns: int, leading: int, stride: int, transposed: bool) -> Any:
            steps = (size, leading * size) if transposed else (leading * size, size)
            if i.batch == 1:
                return runtime.view(slots[slot], (rows, columns), i.dtype, steps)
            return runtime.view(slots[slot], (i.batch, rows, columns), i.dtype, (stride * size, *steps))

        a = matrices(i.a, i.m, i.k, i.lda, i.stride_a, i.transpose_a)
        b = matrices(i.b, i.k, i.n, i.ldb, i.stride_b, i.transpose_b)
        c = matrices(i.c, i.m, i.n, i.ldc, i.stride_c, False)
        if i.accumulate:
            product = runtime.xp.matmul(a, b)
            c += product if i.scale == 1 else i.dtype.type(i.scale) * product
        else:
            runtime.xp.matmul(a, b, out=c)

    def on_device(self, i: CallDevice, slots: Sequence[int]) -> None:
        runtime = self.runtime
        ins = [runtime.view(slots[o.slot], o.shape, o.dtype) for o in i.ins]
        for o, value in zip(i.outs, i.function(runtime.xp, *ins)):
            runtime.view(slots[o.slot], o.shape, o.dtype)[...] = value

    def on_host(self, i: p.CallPython, slots: Sequence[int]) -> None:
        runtime = self.runtime
        ins = [runtime.download(runtime.view(slots[o.slot], o.shape, o.dtype)) for o in i.ins]
        for o, value in zip(i.outs, i.function(*ins)):
            array = runtime.upload(np.array(np.broadcast_to(value, o.shape), o.dtype))
            if array.nbytes:
                runtime.copy(slots[o.slot], runtime.address(array), array.nbytes)
