"""Plans and kernels as text, for people: `jit(f).lower(*args).as_text()`."""

from __future__ import annotations

import re

from functrans.compiler.kernels import assembly
from functrans.compiler.plan import (
    AddCounter,
    Buffer,
    CallKernel,
    CallLibrary,
    CallPython,
    Copy,
    CopyRows,
    Gemm,
    HoldBlas,
    Instruction,
    Jump,
    JumpIfFalse,
    JumpIfLess,
    JumpIfNone,
    Lanes,
    LanesEnd,
    Mark,
    MoveSlot,
    Plan,
    ReadCounter,
    ReleaseBlas,
    SetCounter,
    Zero,
)
from functrans.compiler.steps import Kernel


def format_plan(plan: Plan) -> str:
    """The buffers of a plan and its instructions; a `%` is a slot, a `#` a counter."""
    lines = [f"arena of {plan.arena} bytes ({plan.unshared} without sharing)"]
    lines += [f"  {_buffer(b)}" for b in plan.slots if b is not None and _is_used(b)]
    numbers = {source: i for i, source in enumerate(distinct_kernels(plan))}
    lines += [f"{i:4d}  {_instruction(ins, numbers)}" for i, ins in enumerate(plan.instructions)]
    return "\n".join(lines)


def format_kernels(plan: Plan) -> str:
    """The text of each distinct kernel, with the lines of the user's program that one call of it computes."""
    parts = []
    for i, (_, kernel) in enumerate(distinct_kernels(plan).items()):
        sources = sorted({str(e.source) for e in kernel.eqns if e.source})
        at = "".join(f"\n#   at {s}" for s in sources)
        parts.append(f"# kernel {i}: {kernel.note}{at}\n{kernel.source}")
    return "\n\n".join(parts)


def format_loops(plan: Plan) -> str:
    """The fused loop nests in the order in which they are called, and what is called between them.

    Under each nest stand the values that it stores, with the reason why they are not computed where they are read.
    """
    numbers = {source: i for i, source in enumerate(distinct_kernels(plan))}
    shown = (CallKernel, CallLibrary, CallPython, Gemm)
    lines = []
    for ins in plan.instructions:
        if isinstance(ins, shown):
            lines.append(_instruction(ins, numbers))
        if isinstance(ins, CallKernel):
            slots, why = dict(zip(ins.kernel.buffers, ins.slots)), dict(ins.kernel.why)
            lines += [f"    %{slots[v]} {v.aval} stored: {reason}" for v, reason in why.items() if reason != "a result"]
    return "\n".join(lines)


#: Packed arithmetic in the assembly of x86-64 and of ARM64, and how many bits its registers have.
_PACKED = {
    512: re.compile(r"^\s+v\w+.*%zmm", re.MULTILINE),
    256: re.compile(r"^\s+v\w+.*%ymm", re.MULTILINE),
    128: re.compile(r"^\s+(v?(add|sub|mul|div|min|max|sqrt|fn?m(add|sub)\w*)p[sd]|v?p(add|sub|mull|mulu)\w*)\s+.*%xmm"
                    r"|^\s+f?(add|sub|mul|mla|div)\s+(v\d+\.(2d|4s)|z\d+\.[ds])", re.MULTILINE),
}  # fmt: skip


def format_native(plan: Plan) -> str:
    """What became of each distinct kernel: whether its loops are vectorised, and how long its code is."""
    lines = []
    for i, (source, kernel) in enumerate(distinct_kernels(plan).items()):
        code = assembly(source)
        width = next((bits for bits, pattern in _PACKED.items() if pattern.search(code)), 0)
        how = f"vectorised, {width} bits wide" if width else "not vectorised"
        length = sum(line.startswith("\t") and not line.startswith("\t.") for line in code.splitlines())
        lines.append(f"kernel {i}: {how}; {length} instructions  # {kernel.note}")
    return "\n".join(lines)


def distinct_kernels(plan: Plan) -> dict[str, Kernel]:
    """The kernels of a plan, one for each text, in order of first use."""
    first: dict[str, Kernel] = {}
    for kernel in plan.kernels:
        first.setdefault(kernel.source, kernel)
    return first


def _is_used(buffer: Buffer) -> bool:
    return buffer.kind in ("input", "output") or buffer.first >= 0


def _buffer(b: Buffer) -> str:
    aval = "" if b.aval is None else f" {b.aval}"
    if b.kind == "arena":
        return f"%{b.slot} arena[{b.offset}:{b.offset + b.nbytes}]{aval}"
    if b.kind == "lent":
        return f"%{b.slot} in a result[{b.offset}:{b.offset + b.nbytes}]{aval}"
    return f"%{b.slot} {b.kind} {b.index}{aval}"


def _instruction(ins: Instruction, numbers: dict[str, int]) -> str:
    match ins:
        case CallKernel(kernel, slots, by_lane):
            outs = [f"%{s}" for s, v in zip(slots, kernel.buffers) if v in kernel.writes]
            reads = [f"%{s}" for s, v in zip(slots, kernel.buffers) if v not in kernel.writes]
            names = " ".join(dict.fromkeys(e.primitive.name for e in kernel.eqns))
            how = f"{kernel.extent // kernel.rows} for each lane" if by_lane else kernel.spread()
            return f"{', '.join(outs)} = kernel {numbers[kernel.source]} ({', '.join(reads)})  # {how}: {names}"
        case Gemm():
            batch = f" x {ins.batch}" if ins.batch != 1 else ""
            a, b = (f"%{s}{'.T' if t else ''}" for s, t in ((ins.a, ins.transpose_a), (ins.b, ins.transpose_b)))
            sign = "+=" if ins.accumulate else "="
            sign += f" {ins.scale:.6g} *" if ins.scale != 1 else ""
            return f"%{ins.c} {sign} BLAS gemm {a} @ {b}  # {ins.dtype} ({ins.m}, {ins.k}) @ ({ins.k}, {ins.n}){batch}"
        case Copy(target, source, n):
            return f"%{target} = copy %{source}  # {n} bytes"
        case Zero(target, n):
            return f"%{target} = zero  # {n} bytes"
        case MoveSlot(target, source, offset):
            return f"slot %{target} = %{source}" + (f" + {offset}" if offset else "")
        case SetCounter(c, value):
            return f"#{c} = {value}"
        case AddCounter(c, value):
            return f"#{c} += {value}"
        case ReadCounter(c, slot, dtype):
            return f"#{c} = {dtype} at %{slot}"
        case Mark(label):
            return f"L{label}:"
        case Jump(label):
            return f"jump L{label}"
        case JumpIfFalse(slot, label):
            return f"jump L{label} unless %{slot}"
        case JumpIfLess(c, limit, label):
            return f"jump L{label} if #{c} < {limit}"
        case Lanes(lanes, block, parallel, end):
            threads = ", on all threads" if parallel else ""
            return f"for {lanes} lanes, {block} at a time{threads}, to L{end}:"
        case LanesEnd():
            return "end of lanes"
        case CopyRows(target, source, n):
            return f"%{target} = copy %{source}  # {n} bytes for each lane"
        case JumpIfNone(slot, _, label):
            return f"jump L{label} unless any of %{slot}"
        case HoldBlas() | ReleaseBlas():
            return "BLAS on one thread" if isinstance(ins, HoldBlas) else "BLAS on its threads"
        case CallPython():
            left, right = (", ".join(f"%{o.slot}" for o in group) for group in (ins.outs, ins.ins))
            return f"{left} = NumPy {ins.name}({right})" + (f"  # at {ins.source}" if ins.source else "")
        case CallLibrary(routine, slots, integers):
            return f"{routine}({', '.join(f'%{s}' for s in slots)}; {', '.join(map(str, integers))})"
    return str(ins)
