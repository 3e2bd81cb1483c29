"""What a plan gives to the GPU, as code for one native loop: no Python between launches.

An instruction is an operation code and its operands in one int64 array, as in `machine.py`. A launch's arguments are
prepared once: CUDA takes a table of pointers to them, and these point at the slots, sizes and status words themselves.
So a call writes the addresses of its arrays into slots, and this loop does the rest until an instruction needs Python
(a library of CuPy's, a value that decides). It calls CUDA's driver by the addresses of its functions: `cuLaunchKernel`,
`cuMemcpyDtoDAsync`, `cuMemsetD8Async`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from functrans.compiler import plan as p
from functrans.compiler.cuda.schedule import GridKernel, Limits, fitting

RETURN, LAUNCH, COPY, ZERO, MOVE, SET, ADD, JUMP, JUMP_IF_LESS, PYTHON = range(10)

#: What `run` returns: FINISHED, or the position of an instruction for Python, or FAILED - position of one that failed.
FINISHED, FAILED = -1, -2

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


def _driver_function(kinds: Sequence[Any], arguments: Callable[[Any, Sequence[Any]], Sequence[Any]]) -> Any:
    """The body of an intrinsic that calls a function of the driver's, `int f(kinds)`, by its address."""
    kind = ir.FunctionType(_I32, kinds)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[0], kind.as_pointer())
        return builder.sext(builder.call(function, arguments(builder, args[1:])), _I64)

    return codegen


@intrinsic
def _launch(
    typingctx: Any, address: Any, function: Any, gx: Any, gy: Any, bx: Any, by: Any, stream: Any, arguments: Any
) -> Any:
    """`cuLaunchKernel` of a grid and blocks in two dimensions, without dynamic shared memory."""
    kinds = [_I64, *[_I32] * 7, _I64, _I64, _I64]

    def passed(builder: Any, args: Any) -> Any:
        function, *sizes, stream, arguments = args
        gx, gy, bx, by = (builder.trunc(v, _I32) for v in sizes)
        return [function, gx, gy, _I32(1), bx, by, _I32(1), _I32(0), stream, arguments, _I64(0)]

    return types.int64(*[types.int64] * 8), _driver_function(kinds, passed)


@intrinsic
def _copy(typingctx: Any, address: Any, target: Any, source: Any, nbytes: Any, stream: Any) -> Any:
    """`cuMemcpyDtoDAsync`."""
    return types.int64(*[types.int64] * 5), _driver_function([_I64] * 4, lambda builder, args: args)


@intrinsic
def _zero(typingctx: Any, address: Any, target: Any, nbytes: Any, stream: Any) -> Any:
    """`cuMemsetD8Async` with zero."""
    passed = lambda builder, args: [args[0], _I8(0), args[1], args[2]]
    return types.int64(*[types.int64] * 4), _driver_function([_I64, _I8, _I64, _I64], passed)


_intp_array = types.Array(types.int64, 1, "C")


@njit(types.int64(*[_intp_array] * 5, types.int64, types.int64), cache=True, nogil=True)
def run(code, slots, counters, table, driver, pc, stream):
    """Execute from `pc`; what the driver says of an error goes into the last counter."""
    pointers = table.ctypes.data
    while True:
        op, error = code[pc], 0
        if op == LAUNCH:
            at = pc + 2
            for i in range(pc + 10, code[pc + 8]):
                if slots[code[i]] & 15 != 0:
                    at = code[pc + 9]
            if code[at] == 0:
                return pc
            error = _launch(
                driver[0], code[at], code[at + 1], code[at + 2], code[at + 3], code[at + 4], stream,
                pointers + 8 * code[at + 5],
            )  # fmt: skip
            if error == 0:
                pc = code[pc + 1]
        elif op == MOVE:
            slots[code[pc + 1]] = slots[code[pc + 2]] + code[pc + 3]
            pc += 4
        elif op == ADD:
            counters[code[pc + 1]] += code[pc + 2]
            pc += 3
        elif op == SET:
            counters[code[pc + 1]] = code[pc + 2]
            pc += 3
        elif op == JUMP:
            pc = code[pc + 1]
        elif op == JUMP_IF_LESS:
            pc = code[pc + 3] if counters[code[pc + 1]] < code[pc + 2] else pc + 4
        elif op == COPY:
            error = _copy(driver[1], slots[code[pc + 1]], slots[code[pc + 2]], code[pc + 3], stream)
            if error == 0:
                pc += 4
        elif op == ZERO:
            error = _zero(driver[2], slots[code[pc + 1]], code[pc + 2], stream)
            if error == 0:
                pc += 3
        elif op == PYTHON:
            return pc
        else:
            return FINISHED
        if error != 0:
            counters[counters.size - 1] = error
            return FAILED - pc


class Assembler:
    """Turns a plan's instructions into code; what needs Python is kept by its position.

    A launch has the position of the next instruction, its kernel (function, grid, block, and where its arguments begin
    in the table), the end of its slots that must be aligned, the position of the same kernel without vectors, those
    slots, and that kernel, whose function is 0 until it is needed.
    """

    def __init__(self, plan: p.Plan, load: Callable[[GridKernel], Sequence[int]], limits: Limits):
        self.load, self.limits = load, limits
        self.python: dict[int, p.Instruction] = {}
        self.plain: dict[int, tuple[int, GridKernel]] = {}  # by the position of a launch: where it stands, and what
        self.labels: dict[int, int] = {}
        self.checks: list[GridKernel] = []
        self.sizes: list[int] = []
        self.table: list[tuple[str, int]] = []  # arguments: `slot`, `size` or `status`, and which
        self._code: list[int] = []
        self._jumps: list[tuple[int, int]] = []
        for instruction in plan.instructions:
            self._add(instruction)
        self._code.append(RETURN)
        for position, label in self._jumps:
            self._code[position] = self.labels[label]
        self.code = np.array(self._code, np.int64)

    def load_plain(self, position: int) -> None:
        """Compile the kernel without vectors of a launch whose memory is not aligned."""
        where, kernel = self.plain[position]
        self.code[where : where + 5] = self.load(kernel)

    def _add(self, i: p.Instruction) -> None:
        code = self._code
        match i:
            case p.CallKernel():
                self._launch(i)
            case p.Copy():
                code += [COPY, i.target, i.source, i.nbytes] if i.nbytes else []
            case p.Zero():
                code += [ZERO, i.target, i.nbytes] if i.nbytes else []
            case p.MoveSlot():
                code += [MOVE, i.target, i.source, i.offset]
            case p.SetCounter():
                code += [SET, i.counter, i.value]
            case p.AddCounter():
                code += [ADD, i.counter, i.value]
            case p.Mark():
                self.labels[i.label] = len(code)
            case p.Jump():
                self._jump([JUMP], i.label)
            case p.JumpIfLess():
                self._jump([JUMP_IF_LESS, i.counter, i.limit], i.label)
            case _:
                self.python[len(code)] = i
                code.append(PYTHON)

    def _jump(self, words: list[int], label: int) -> None:
        self._code += words
        self._jumps.append((len(self._code), label))
        self._code.append(-1)

    def _launch(self, i: p.CallKernel) -> None:
        start = len(self._code)
        assert isinstance(i.kernel, GridKernel)
        kernel = fitting(i.kernel, self.limits)
        aligned = [i.slots[i.kernel.buffers.index(kernel.buffers[n])] for n in sorted(kernel.vectors)]
        end = start + 10 + len(aligned)
        words = [*self.load(kernel), self._arguments(i, kernel), end, end, *aligned]
        if aligned:
            assert kernel.plain is not None
            plain = fitting(kernel.plain, self.limits)
            self.plain[start] = end, plain
            words += [0, 0, 0, 0, 0, self._arguments(i, plain)]
        if kernel.checks:
            self.checks.append(kernel)
        self._code += [LAUNCH, start + 2 + len(words), *words]

    def _arguments(self, i: p.CallKernel, kernel: GridKernel) -> int:
        """Where the arguments of a kernel begin in the table."""
        start = len(self.table)
        self.table += [("slot", i.slots[i.kernel.buffers.index(v)]) for v in kernel.buffers]
        self.table += [("size", len(self.sizes) + n) for n in range(len(kernel.sizes))]
        self.sizes += kernel.sizes
        if kernel.checks:
            self.table.append(("status", len(self.checks)))
        return start


__all__ = ["FAILED", "FINISHED", "Assembler", "run"]
