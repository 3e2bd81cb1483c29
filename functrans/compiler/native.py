"""A plan as a native program: its instructions as code of the machine, its memory, and the path of a call."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.compiler import blas, kernels, machine, plan as p
from functrans.compiler.memory import LEAST, empty
from functrans.compiler.steps import Kernel
from functrans.compiler.threads import pool_address
from functrans.core.array import Array
from functrans.errors import ArgumentError

_ALIGNMENT = 64


class Assembler:
    """Turns instructions into code; labels become positions at the end."""

    def __init__(self, plan: p.Plan):
        self.code: list[int] = []
        self.calls: dict[int, p.CallPython] = {}  # by position
        self.checks: dict[int, Kernel] = {}  # those that may report an error, by position
        self.keep: list[np.ndarray] = []
        self.pointers = machine.LEAST_TABLE
        self._labels: dict[int, int] = {}
        self._jumps: list[tuple[int, int]] = []
        self._constants: dict[tuple[np.dtype, float], int] = {}
        for instruction in plan.instructions:
            self._add(instruction)
        self.code.append(machine.RETURN)
        for position, label in self._jumps:
            self.code[position] = self._labels[label]

    def _add(self, i: p.Instruction) -> None:
        code = self.code
        match i:
            case p.CallKernel():
                self._kernel(i)
            case p.Gemm():
                self._gemm(i)
            case p.MoveSlot():
                code += [machine.MOVE, i.target, i.source, i.offset]
            case p.Copy():
                code += [machine.COPY, i.target, i.source, i.nbytes, machine.copy_runner()]
            case p.Zero():
                code += [machine.ZERO, i.target, i.nbytes]
            case p.SetCounter():
                code += [machine.SET, i.counter, i.value]
            case p.AddCounter():
                code += [machine.ADD, i.counter, i.value]
            case p.ReadCounter():
                code += [machine.READ, i.counter, i.slot, machine.READERS[i.dtype]]
            case p.Mark():
                self._labels[i.label] = len(code)
            case p.Jump():
                self._jump([machine.JUMP], i.label)
            case p.JumpIfFalse():
                self._jump([machine.JUMP_IF_FALSE, i.slot], i.label)
            case p.JumpIfLess():
                self._jump([machine.JUMP_IF_LESS, i.counter, i.limit], i.label)
            case p.Lanes():
                code += [machine.LANES, machine.lane_runner(), i.lanes, i.block, int(i.parallel)]
                self._jump([], i.end)
            case p.LanesEnd():
                code += [machine.RETURN]
            case p.CopyRows():
                code += [machine.COPY_ROWS, i.target, i.source, i.row]
            case p.JumpIfNone():
                self._jump([machine.JUMP_IF_NONE, i.slot, i.row], i.label)
            case p.HoldBlas():
                code += [machine.HOLD_BLAS, i.counter, *blas.thread_count()]
            case p.ReleaseBlas():
                code += [machine.RELEASE_BLAS, i.counter, *blas.thread_count()]
            case p.CallPython():
                self.calls[len(code)] = i
                code += [machine.PYTHON]
            case _:
                raise NotImplementedError(f"no code for {type(i).__name__}")

    def _jump(self, head: list[int], label: int) -> None:
        self.code += head
        self._jumps.append((len(self.code), label))
        self.code.append(0)

    def _kernel(self, i: p.CallKernel) -> None:
        kernel = i.kernel
        slots = [*i.slots, 0] if kernel.checks else list(i.slots)
        if kernel.checks:
            self.checks[len(self.code)] = kernel
        self.pointers = max(self.pointers, len(slots))
        self.code += [
            machine.KERNEL, kernels.load(kernel.source), len(slots), kernel.extent, int(bool(kernel.checks)),
            int(kernel.parallel), kernel.extent // kernel.rows if i.by_lane else 0, len(kernel.sizes),
            *slots, *kernel.sizes,
        ]  # fmt: skip

    def _gemm(self, i: p.Gemm) -> None:
        beta, alpha = self._constant(i.dtype, float(i.accumulate)), self._constant(i.dtype, i.scale)
        size = i.dtype.itemsize
        letter = {False: ord("N"), True: ord("T")}
        self.code += [
            machine.GEMM, blas.routine("gemm", i.dtype), i.a, i.b, i.c, i.m, i.n, i.k, letter[i.transpose_a],
            letter[i.transpose_b], max(i.lda, 1), max(i.ldb, 1), max(i.ldc, 1), i.batch, i.stride_a * size,
            i.stride_b * size, i.stride_c * size, alpha, beta, size, machine.product_runner(),
            *blas.thread_count(),
        ]  # fmt: skip

    def _constant(self, dtype: np.dtype, value: float) -> int:
        """The address of a number that stays."""
        if (dtype, value) not in self._constants:
            array = np.array([value], dtype)
            self.keep.append(array)
            self._constants[dtype, value] = array.ctypes.data
        return self._constants[dtype, value]


class State:
    """The memory of one run: slots, counters, arena. Runs at the same time have states of their own."""

    def __init__(self, program: Native):
        plan = program.plan
        self.slots = np.zeros(len(plan.slots), np.int64)
        self.counters = np.zeros(max(plan.counters, 1), np.int64)
        self.table = np.zeros(program.pointers, np.int64)
        self.objects = np.zeros(len(plan.inputs) + len(plan.outputs), np.int64)
        self.status = np.zeros(1, np.int64)
        self.arena = np.empty(plan.arena + _ALIGNMENT, np.uint8)
        base = -(-self.arena.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        self.slots[0] = self.status.ctypes.data
        for buffer in plan.slots:
            if buffer is not None and buffer.kind == "arena":
                self.slots[buffer.slot] = base + buffer.offset
            elif buffer is not None and buffer.kind == "constant":
                self.slots[buffer.slot] = plan.constants[buffer.index].ctypes.data


class Native:
    """A program that can be called with arrays of the shapes and dtypes it was made for."""

    def __init__(self, plan: p.Plan):
        assembler = Assembler(plan)
        self.plan = plan
        self.pointers = assembler.pointers
        self._code = np.array(assembler.code, np.int64)
        self._calls = assembler.calls
        self._checks = assembler.checks
        self._keep = assembler.keep
        self._donated = tuple(plan.donated.items())
        self._sizes = np.array([b.nbytes for b in plan.inputs], np.int64)
        self._given = np.array([i for _, i in self._donated], np.int64)
        self._makers = [(b.aval.shape, b.aval.dtype, b.nbytes) for b in plan.outputs]  # type: ignore[union-attr]
        assert [b.slot for b in (*plan.inputs, *plan.outputs)] == list(
            range(1, 1 + len(plan.inputs) + len(plan.outputs))
        ), "inputs and outputs stand first among the slots"
        self._state = State(self)
        self._lock = threading.Lock()

    def __call__(self, *arrays: np.ndarray) -> list[Any]:
        if self._donated:
            outs, arrays = self._with_donations(arrays)
        else:
            outs = [
                Array(shape, dtype) if nbytes < LEAST else empty(shape, dtype, nbytes)
                for shape, dtype, nbytes in self._makers
            ]
        if self._lock.acquire(blocking=False):
            try:
                self._run(self._state, arrays, outs)
            finally:
                self._lock.release()
        else:  # this program is running in another thread (or in a callback of its own)
            self._run(State(self), arrays, outs)
        return outs

    def _with_donations(self, arrays: Sequence[np.ndarray]) -> tuple[list[Any], Any]:
        """Results, some of them in arguments' memory, and the arguments, copied where they cannot be written to."""
        given = list(arrays)
        for i in self._given:
            given[i] = np.require(given[i], requirements=("C", "A", "W"))
        clash = machine.overlapping(np.array([id(a) for a in given], np.int64), self._sizes, self._given)
        if clash >= 0:
            raise ArgumentError(
                "an argument that is donated (donate_argnums, donate_argnames) shares memory with another argument; "
                "its memory will be written to, so pass a copy of one of them, or do not donate it"
            )
        taken = dict(self._donated)
        outs = [
            given[taken[j]].reshape(shape).view(Array) if j in taken else empty(shape, dtype, nbytes)
            for j, (shape, dtype, nbytes) in enumerate(self._makers)
        ]
        return outs, given

    def _run(self, state: State, arrays: Sequence[np.ndarray], outs: list[Any]) -> None:
        objects = state.objects
        i = 0
        for a in arrays:
            objects[i] = id(a)
            i += 1
        for a in outs:
            objects[i] = id(a)
            i += 1
        pool = pool_address()
        pc = machine.enter(self._code, state.slots, state.counters, state.table, objects, pool)
        if pc == machine.NOT_CONTIGUOUS:
            arrays = [np.require(a, requirements=("C", "A")) for a in arrays]
            for i, a in enumerate(arrays):
                objects[i] = id(a)
            pc = machine.enter(self._code, state.slots, state.counters, state.table, objects, pool)
        while pc != machine.FINISHED:
            if pc <= machine.FAILED:
                kernel = self._checks[machine.FAILED - pc]
                raise kernel.error(kernel.checks[int(state.status[0]) - 1])
            self._call_python(self._calls[pc], state)
            pc = machine.run(self._code, state.slots, state.counters, state.table, pc + 1, pool, 0, 0)

    def _call_python(self, call: p.CallPython, state: State) -> None:
        ins = [_view(state.slots[o.slot], o) for o in call.ins]
        results = call.function(*ins)
        for operand, value in zip(call.outs, results):
            _view(state.slots[operand.slot], operand)[...] = value


def _view(address: int, operand: p.Operand) -> np.ndarray:
    """The array at an address."""
    size = operand.dtype.itemsize
    for n in operand.shape:
        size *= n
    if size == 0:
        return np.empty(operand.shape, operand.dtype)
    memory: Any = (ctypes.c_char * size).from_address(int(address))
    return np.frombuffer(memory, operand.dtype).reshape(operand.shape)
