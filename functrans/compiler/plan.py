"""Plans: a jaxpr's steps as a list of instructions over slots of memory.

A slot holds the address of a buffer. Buffers are inputs, outputs, constants, or pieces of one arena that are assigned
by liveness (`arena.py`). Loops and branches are part of the same flat list,
as labels and jumps (`controlflow.py`); library calls and calls of NumPy are instructions (`contractions.py`,
`library.py`). `program.py` turns the list into the code of the native machine.

A variable's *place* is the slot that holds its address, and the buffers that address may lie in: the carry of a loop
alternates between two, so its slot changes while the program runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from functrans.compiler.arena import aligned, assign_offsets, lend_results
from functrans.compiler.steps import Kernel, Opaque, Step
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.transforms.simplify import has_effect

#: Equations that change some elements of their first operand.
UPDATES = frozenset({"scatter", "scatter_add", "scatter_mul", "scatter_max", "scatter_min", "dynamic_update_slice"}) | {
    "dot_general_add"
}

#: Equations without a loop form whose result can take the memory of an operand, and the number of that.
IN_PLACE = {**dict.fromkeys(UPDATES, 0), "cholesky": 0, "triangular_solve": 1}

#: From so many bytes on a kernel's result takes the memory of an operand: the kernel is another one then.
WORTH_REPLACING = 4096

#: Equations whose result has the elements of their operand in the same order: no instruction, the same memory.
ALIASES = frozenset({"reshape", "optimization_barrier", "copy", "stop_gradient", "name"})


# ------------------------------------------------------------------ memory


class Buffer:
    """A piece of memory. `kind` is `input`, `output`, `constant`, `arena`, or `lent`: in an output not written yet.

    `first` and `last` bound its life.
    """

    __slots__ = ("aval", "first", "index", "kind", "last", "loops", "nbytes", "offset", "slot")

    def __init__(self, slot: int, kind: str, index: int, nbytes: int, aval: ShapedArray | None):
        self.slot = slot
        self.kind = kind
        self.index = index
        self.nbytes = nbytes
        self.aval = aval
        self.first = -1
        self.last = -1
        self.loops: tuple[Loop, ...] = ()
        self.offset = 0

    @property
    def start(self) -> int:
        """The first instruction that uses it, or the beginning of the loops around that."""
        return min([self.first, *(loop.start for loop in self.loops)])

    def __repr__(self) -> str:
        return f"%{self.slot}"


class Loop:
    """A stretch of instructions that repeats; what it uses from outside lives to its end."""

    __slots__ = ("start", "used")

    def __init__(self, start: int) -> None:
        self.start = start
        self.used: set[Buffer] = set()


@dataclass(frozen=True)
class Place:
    """Where a value is: a slot, and the buffers its address may lie in."""

    slot: int
    buffers: tuple[Buffer, ...]


def nbytes(aval: ShapedArray) -> int:
    return aval.size * aval.dtype.itemsize


# ------------------------------------------------------------------ instructions


@dataclass(frozen=True)
class Instruction:
    """One step of a plan; operands are slots."""


@dataclass(frozen=True)
class CallKernel(Instruction):
    """A kernel over all it has to do, or, among instructions for lanes, over the rows of the lanes at hand."""

    kernel: Kernel
    slots: tuple[int, ...]
    by_lane: bool = False


@dataclass(frozen=True)
class Gemm(Instruction):
    """`c[b] = scale op(a[b]) @ op(b[b])` (or `+=`) for row-major matrices, over a batch with strides in elements."""

    dtype: np.dtype
    a: int
    b: int
    c: int
    m: int
    n: int
    k: int
    transpose_a: bool
    transpose_b: bool
    lda: int
    ldb: int
    ldc: int
    batch: int
    stride_a: int
    stride_b: int
    stride_c: int
    accumulate: bool = False
    scale: float = 1.0


@dataclass(frozen=True)
class Copy(Instruction):
    target: int
    source: int
    nbytes: int


@dataclass(frozen=True)
class Zero(Instruction):
    target: int
    nbytes: int


@dataclass(frozen=True)
class MoveSlot(Instruction):
    """`slot[target] = slot[source] + offset`."""

    target: int
    source: int
    offset: int


@dataclass(frozen=True)
class SetCounter(Instruction):
    counter: int
    value: int


@dataclass(frozen=True)
class AddCounter(Instruction):
    counter: int
    value: int


@dataclass(frozen=True)
class ReadCounter(Instruction):
    """`counter = the integer at slot`."""

    counter: int
    slot: int
    dtype: np.dtype


@dataclass(frozen=True)
class Mark(Instruction):
    label: int


@dataclass(frozen=True)
class Jump(Instruction):
    label: int


@dataclass(frozen=True)
class JumpIfFalse(Instruction):
    slot: int
    label: int


@dataclass(frozen=True)
class JumpIfLess(Instruction):
    counter: int
    limit: int
    label: int


@dataclass(frozen=True)
class Lanes(Instruction):
    """What follows, up to a `LanesEnd`, for all lanes: a block at a time, each with slots and counters of its own."""

    lanes: int
    block: int
    parallel: bool
    end: int  # a label


@dataclass(frozen=True)
class LanesEnd(Instruction):
    """The end of what is done for a block of lanes."""


@dataclass(frozen=True)
class CopyRows(Instruction):
    """`Copy` for the lanes at hand."""

    target: int
    source: int
    row: int  # bytes of a lane


@dataclass(frozen=True)
class JumpIfNone(Instruction):
    """Jump if all bytes of the lanes at hand are zero."""

    slot: int
    row: int
    label: int


@dataclass(frozen=True)
class HoldBlas(Instruction):
    """From here BLAS uses one thread, because kernels that call it run on all of ours."""

    counter: int


@dataclass(frozen=True)
class ReleaseBlas(Instruction):
    """BLAS may use its threads again."""

    counter: int


@dataclass(frozen=True)
class Operand:
    """An operand of a call: a slot with the type of what it points to, or a literal's value."""

    slot: int
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class CallPython(Instruction):
    """`outs = function(*ins)` by NumPy, on views of the slots."""

    function: Callable[..., Any]
    ins: tuple[Operand, ...]
    outs: tuple[Operand, ...]
    name: str
    source: Any = None


@dataclass(frozen=True)
class CallLibrary(Instruction):
    """A routine of `blas.py` by name, with its slots and integers."""

    routine: str
    slots: tuple[int, ...]
    integers: tuple[int, ...]


# ------------------------------------------------------------------ the plan


@dataclass
class Plan:
    """Instructions, the slots they use, and the memory behind the slots.

    Slot 0 is the machine's; inputs have the next slots, outputs those after them.
    """

    instructions: list[Instruction]
    slots: list[Buffer | None]  # None: the machine's own, or an address computed by the program
    constants: list[np.ndarray]
    inputs: list[Buffer]
    outputs: list[Buffer]
    counters: int
    labels: int
    arena: int = 0
    unshared: int = 0  # bytes the arena would take without sharing
    kernels: list[Kernel] = field(default_factory=list)
    donated: dict[int, int] = field(default_factory=dict)  # for a result the argument whose memory it takes
    traffic: float = 0.0  # bytes read and written by one run, estimated: a `while` loop counts as one turn


#: How a native form adds the instructions of an equation to a plan; false: it has none for these operands.
Emitter = Callable[["Planner", Eqn], bool]

#: Adds the instructions of an equation that is not a kernel, whatever it is.
EquationEmitter = Callable[["Planner", Eqn], None]

#: The steps of a jaxpr; the flag asks for a kernel for each loop nest.
Scheduler = Callable[[Jaxpr, bool], Sequence[Step]]


def _emit_for_cpu(p: Planner, eqn: Eqn) -> None:
    from functrans.compiler.library import emit_equation

    emit_equation(p, eqn)


def make_plan(
    jaxpr: Jaxpr,
    constants: Sequence[np.ndarray],
    schedule: Scheduler,
    donated: Sequence[int] = (),
    emit_equation: EquationEmitter | None = None,
) -> Plan:
    """The plan of a program (closed: no constvars but those for `constants`).

    Results may take the memory of the arguments that are donated, given by their numbers.
    """
    from functrans.compiler.donation import assign_donations

    planner = Planner(schedule, emit_equation)
    env: dict[Var, Place] = {}
    inputs = []
    for i, var in enumerate(jaxpr.invars):
        buffer = planner.buffer("input", i, nbytes(var.aval), var.aval)
        inputs.append(buffer)
        env[var] = Place(buffer.slot, (buffer,))
    outputs = [planner.buffer("output", i, nbytes(a.aval), a.aval) for i, a in enumerate(jaxpr.outvars)]
    for var, value in zip(jaxpr.constvars, constants):
        env[var] = planner.constant(value)
    taken, changed = assign_donations(planner, jaxpr, donated) if donated else ({}, [])
    targets = [inputs[taken[j]] if j in taken else b for j, b in enumerate(outputs)]
    planner.block(jaxpr, env, [Place(b.slot, (b,)) for b in targets], changed)
    plan = Plan(
        planner.instructions, planner.slots, planner.constants, inputs, outputs, planner.counters, planner.labels,
        kernels=planner.kernels, donated=taken, traffic=planner.traffic,
    )  # fmt: skip
    arena = [b for b in planner.slots if b is not None and b.kind == "arena" and b.first >= 0]
    plan.unshared = sum(aligned(b.nbytes) for b in arena)
    if emit_equation is None:
        for buffer, result in lend_results([b for j, b in enumerate(outputs) if j not in taken], arena):
            buffer.kind = "lent"
            plan.instructions.insert(0, MoveSlot(buffer.slot, result.slot, buffer.offset))
    plan.arena = assign_offsets([b for b in arena if b.kind == "arena"])
    return plan


class Planner:
    """A plan under construction: emits instructions and records when each buffer is alive."""

    def __init__(self, schedule: Scheduler, emit_equation: EquationEmitter | None = None):
        self.schedule = schedule
        self.emit_equation = emit_equation or _emit_for_cpu
        self.lanes = 0  # how many lanes the instructions are for that are being added; 0: for all at once
        self.instructions: list[Instruction] = []
        self.slots: list[Buffer | None] = [None]  # slot 0 is the machine's status word
        self.constants: list[np.ndarray] = []
        self.counters = 0
        self.labels = 0
        self.kernels: list[Kernel] = []
        self.traffic = 0.0
        self._turns = [1]
        self._loops: tuple[Loop, ...] = ()
        self._env: dict[Var, Place] = {}
        self._wanted: dict[Var, Place] = {}
        self._literals: dict[Any, Place] = {}
        self._block = Block((), Jaxpr((), (), (), ()))
        self._owned: set[Var] = set()  # values whose memory may be overwritten once nothing reads them
        self._lent: set[Var] = set()  # those of them that are in the place of what overwrites them
        self._now = 0
        self._steps: dict[Jaxpr, Block] = {}

    # -- memory

    def slot(self) -> int:
        """A slot of its own: an address that the program computes."""
        self.slots.append(None)
        return len(self.slots) - 1

    def buffer(self, kind: str, index: int, size: int, aval: ShapedArray | None = None) -> Buffer:
        buffer = Buffer(len(self.slots), kind, index, size, aval)
        self.slots.append(buffer)
        return buffer

    def temporary(self, size: int, aval: ShapedArray | None = None) -> Place:
        buffer = self.buffer("arena", 0, size, aval)
        return Place(buffer.slot, (buffer,))

    def constant(self, value: np.ndarray) -> Place:
        value = np.asarray(value, order="C")
        buffer = self.buffer("constant", len(self.constants), value.nbytes, ShapedArray(value.shape, value.dtype))
        self.constants.append(value)
        return Place(buffer.slot, (buffer,))

    def counter(self) -> int:
        self.counters += 1
        return self.counters - 1

    def label(self) -> int:
        self.labels += 1
        return self.labels - 1

    # -- values

    def read(self, atom: Atom) -> Place:
        """Where a value is; one without elements, which no step writes, is anywhere."""
        if type(atom) is not Literal:
            place = self._env.get(atom)  # type: ignore[arg-type]
            return self.write(atom) if place is None and atom.aval.size == 0 else self._env[atom]  # type: ignore[arg-type, index]
        value = np.asarray(atom.value, atom.aval.dtype)
        key = (value.dtype, value.tobytes())
        if key not in self._literals:
            self._literals[key] = self.constant(value)
        return self._literals[key]

    def write(self, var: Var) -> Place:
        """Where a value is to be put: in the place that wants it, or in a buffer of its own."""
        place = self._wanted.get(var)
        if place is None:
            place = self.temporary(nbytes(var.aval), var.aval)
            self._owned.add(var)
        elif var in self._lent:
            self._owned.add(var)
        self._env[var] = place
        return place

    def updated(self, operand: Atom, out: Var) -> Place:
        """A place for a result that holds the operand: its own, if nothing reads it any more, or one with a copy."""
        target = self.overwrite(operand, out)
        if target is None:
            before = self.read(operand)
            target = self.write(out)
            self.copy(target, before, nbytes(operand.aval))
        return target

    def share(self, var: Var) -> Place:
        """Where a value is, another part of which gets a name of its own: its memory must not be overwritten."""
        self._owned.discard(var)
        return self._env[var]

    def wanted(self, var: Var) -> Place | None:
        """The place that wants a value, if there is one."""
        return self._wanted.get(var)

    def is_read(self, var: Var) -> bool:
        """Whether any step reads a value, or it is a result."""
        return self._block.last_read(var) >= 0

    def define(self, var: Var, place: Place) -> None:
        """Say where a value is that no instruction here writes."""
        self._env[var] = place

    # -- instructions

    def emit(self, instruction: Instruction, *places: Place) -> None:
        """Add an instruction that uses these places."""
        position = len(self.instructions)
        self.instructions.append(instruction)
        for place in places:
            for buffer in place.buffers:
                self._touch(buffer, position)

    def _touch(self, buffer: Buffer, position: int) -> None:
        if buffer.first < 0:
            buffer.first = position
            buffer.loops = self._loops
        buffer.last = max(buffer.last, position)
        if len(self._loops) > len(buffer.loops):
            self._loops[len(buffer.loops)].used.add(buffer)

    def count(self, *avals: ShapedArray) -> None:
        """Add to the estimate what an instruction reads and writes."""
        self.traffic += sum(map(nbytes, avals)) * self._turns[-1]

    def enter_loop(self, turns: int = 1) -> None:
        self._loops = (*self._loops, Loop(len(self.instructions)))
        self._turns.append(self._turns[-1] * turns)

    def leave_loop(self) -> None:
        """End a loop with the last instruction: what it used from outside lives until here."""
        loop, self._loops = self._loops[-1], self._loops[:-1]
        self._turns.pop()
        for buffer in loop.used:
            buffer.last = max(buffer.last, len(self.instructions) - 1)
            if len(self._loops) > len(buffer.loops):
                self._loops[len(buffer.loops)].used.add(buffer)

    # -- programs

    def analysis(self, jaxpr: Jaxpr, apart: bool = False) -> Block:
        """The steps of a jaxpr, and who reads what."""
        if jaxpr not in self._steps:
            self._steps[jaxpr] = Block(self.schedule(jaxpr, apart), jaxpr)
        return self._steps[jaxpr]

    def know(self, blocks: Iterable[tuple[Jaxpr, Block]]) -> None:
        """Take over the analysis of jaxprs."""
        self._steps.update(blocks)

    def block(
        self,
        jaxpr: Jaxpr,
        env: dict[Var, Place],
        targets: Sequence[Place | None],
        owned: Iterable[Var] = (),
    ) -> list[Place]:
        """Add the instructions of a jaxpr: where its results are, which is the target where there is one.

        The memory of arguments in `owned` may be overwritten once nothing reads it.
        """
        block = self.analysis(jaxpr)
        outer = self._env, self._wanted, self._block, self._owned
        self._env, self._wanted, self._block, self._owned = dict(env), {}, block, set(owned)
        late: list[tuple[Place, Atom]] = []
        for atom, target in zip(jaxpr.outvars, targets):
            origin = block.root(atom)
            if target is None:
                continue
            if type(origin) is Var and origin in block.writer and origin not in self._wanted:
                self._wanted[origin] = target
            else:
                late.append((target, atom))
        self._want_operands(block, {place.slot for place in env.values()})
        for number, step in enumerate(block.steps):
            self._now = number
            self._step(step)
        for target, atom in late:
            self.copy(target, self.read(atom), nbytes(atom.aval))
        places = [self.read(a) if t is None else t for a, t in zip(jaxpr.outvars, targets)]
        self._env, self._wanted, self._block, self._owned = outer
        return places

    def _want_operands(self, block: Block, taken: set[int]) -> None:
        """Let operands whose memory a result can take be made in the place that wants the result.

        Not where an argument lies: others may read that until the result is made.
        """
        for number in range(len(block.steps) - 1, -1, -1):
            made: set[Var] = set()
            for out, operand in block.replaceable(number):
                place, root = self._wanted.get(out), block.root(operand)
                if type(root) is not Var or root in self._wanted or out in made or place is None:
                    continue
                writer = block.steps[block.writer[root]] if root in block.writer else None
                if place.slot in taken or writer is None or (isinstance(writer, Opaque) and _shares(writer)):
                    continue
                made.add(out)
                self._wanted[root] = place
                self._lent.add(root)

    def overwrite(self, operand: Atom, out: Var) -> Place | None:
        """Put a result where an operand is that nothing reads any more, if there is such a place; else `None`."""
        if not self._block.is_last_read(operand, self._now):
            return None
        root = self._block.root(operand)
        place = self._env.get(root)  # type: ignore[arg-type]
        wanted = self._wanted.get(out)
        if root not in self._owned or place is None or (wanted is not None and wanted.slot != place.slot):
            return None
        self._env[out] = place
        self._owned.add(out)
        return place

    def _step(self, step: Step) -> None:
        alias = _alias(step)
        if alias is not None:
            self.define(alias[0], self.read(alias[1]))
        elif isinstance(step, Opaque):
            self.emit_equation(self, step.eqn)
        else:
            self.call(step)

    def call(self, kernel: Kernel) -> None:
        """Call a kernel, unless all it writes is empty. Results take the memory of operands where they can."""
        pairs: dict[Var, Var] = {}
        aims = {place.slot for place in self._wanted.values()}
        for out, operand in self._block.replaceable(self._now):
            place = self._env.get(self._block.root(operand))  # type: ignore[arg-type]
            if out in pairs or operand in pairs.values() or place is None:
                continue
            if out not in self._wanted and place.slot in aims:  # where another result is wanted
                continue
            if self.overwrite(operand, out) is not None:
                pairs[out] = operand  # type: ignore[assignment]
        if pairs:
            kernel = kernel.in_place(tuple(pairs.items()))
        places = [self.write(v) if v in kernel.writes and v not in pairs else self.read(v) for v in kernel.buffers]
        written = [p.slot for v, p in zip(kernel.buffers, places) if v in kernel.writes and v not in pairs]
        assert not any(p.slot in written for v, p in zip(kernel.buffers, places) if v not in kernel.writes)
        if any(v.aval.size for v in kernel.writes):
            self.call_at(kernel, places)

    def call_at(self, kernel: Kernel, places: Sequence[Place]) -> None:
        """Call a kernel with its buffers in these places."""
        if kernel.checks:
            kernel = replace(kernel, checks=tuple(_with_line(c, kernel.eqns) for c in kernel.checks))
        self.kernels.append(kernel)
        self.count(*(v.aval for v in kernel.buffers))
        self.emit(CallKernel(kernel, tuple(p.slot for p in places), self.lanes > 0), *places)

    def call_blas_at(self, kernel: Kernel, places: Sequence[Place]) -> None:
        """Call a kernel that calls BLAS, which then keeps to one thread; for large work, to be split over ours."""
        counter = self.counter()
        self.emit(HoldBlas(counter))
        self.call_at(kernel, places)
        self.emit(ReleaseBlas(counter))

    def copy(self, target: Place, source: Place, size: int) -> None:
        if not size or target.slot == source.slot:
            return
        if self.lanes:
            self.emit(CopyRows(target.slot, source.slot, size // self.lanes), target, source)
        else:
            self.emit(Copy(target.slot, source.slot, size), target, source)

    def enter_lanes(self, lanes: int, block: int, parallel: bool) -> tuple[int, int]:
        """Begin instructions for a block of lanes; what is returned is for `leave_lanes`."""
        self.lanes, start, end = lanes, len(self.instructions), self.label()
        self.emit(Lanes(lanes, block, parallel, end))
        return start, end

    def leave_lanes(self, entered: tuple[int, int]) -> None:
        """End them. Blocks are at different places at one time, so all they use lives from the beginning to the end."""
        start, end = entered
        self.lanes, last = 0, len(self.instructions)
        self.emit(LanesEnd())
        self.emit(Mark(end))
        for buffer in self.slots:
            if buffer is not None and buffer.last >= start:
                buffer.first, buffer.last = min(buffer.first, start), last

    def operand(self, place: Place, aval: ShapedArray) -> Operand:
        return Operand(place.slot, aval.shape, aval.dtype)


def _with_line(check: str, eqns: Sequence[Eqn]) -> str:
    """The message of a check with the line of the user's program that reads or writes there."""
    for eqn in eqns:
        if eqn.params.get("mode") == "raise" and eqn.source:
            shape = eqn.inputs[0].aval.shape
            if any(check.endswith(f"axis {a} with size {shape[a]}") for a in eqn.params["axes"]):
                return f"{check}, at {eqn.source}"
    return check


def _alias(step: Step) -> tuple[Var, Var] | None:
    """The result and the operand of a step that only gives the operand another shape."""
    eqns = (step.eqn,) if isinstance(step, Opaque) else step.eqns
    if len(eqns) != 1 or eqns[0].primitive.multiple_results or not eqns[0].inputs:
        return None
    (x, *_), (out,) = eqns[0].inputs, eqns[0].outvars
    if type(x) is not Var or x.aval.dtype != out.aval.dtype or x.aval.size != out.aval.size:
        return None
    if eqns[0].primitive.name in ALIASES or eqns[0].primitive.name == "broadcast_in_dim":
        return out, x
    return None


def _shares(step: Opaque) -> bool:
    """Whether parts of what a step makes may get names of their own."""
    return step.eqn.primitive.name == "scan"


def _reads(step: Step) -> Iterable[Atom]:
    return (v for v in step.buffers if v not in step.writes) if isinstance(step, Kernel) else step.eqn.inputs


def _writes(step: Step) -> Iterable[Var]:
    return step.writes if isinstance(step, Kernel) else step.eqn.outvars


def readers_first(steps: Sequence[Step]) -> Sequence[Step]:
    """The steps with what reads an array before what changes it, where nothing forbids: it can change in place then."""
    order = list(steps)
    for update in [s for s in steps if isinstance(s, Opaque) and s.eqn.primitive.name in UPDATES]:
        start = order.index(update)
        late = [i for i in range(start + 1, len(order)) if update.eqn.inputs[0] in _reads(order[i])]
        if not late:
            continue
        needed = {late[-1], *late}
        wanted: set[Atom] = {a for i in late for a in _reads(order[i])}
        for i in range(late[-1], start, -1):
            if i in needed or not wanted.isdisjoint(_writes(order[i])):
                needed.add(i)
                wanted.update(_reads(order[i]))
        moved = [order[i] for i in sorted(needed)]
        if wanted.isdisjoint(_writes(update)) and not any(isinstance(s, Opaque) and has_effect(s.eqn) for s in moved):
            rest = [s for i, s in enumerate(order) if i > start and i not in needed]
            order[start:] = [*moved, update, *rest]
    return order


class Block:
    """The steps of a jaxpr, with the step that writes each value, and the last one that reads its memory."""

    def __init__(self, steps: Sequence[Step], jaxpr: Jaxpr):
        self.steps = steps = readers_first(steps)
        self.writer: dict[Var, int] = {}
        self.working_steps: list[Step] = []  # those that do more than give a value another shape
        self.roots: dict[Var, Var] = {}
        self._last_read: dict[Var, int] = {}
        for number, step in enumerate(steps):
            alias = _alias(step)
            if alias is not None:
                self.roots[alias[0]] = self.roots.get(alias[1], alias[1])
                continue
            self.working_steps.append(step)
            self.writer.update((v, number) for v in _writes(step))
            for atom in _reads(step):
                if type(atom) is Var:
                    self._last_read[self.roots.get(atom, atom)] = number
        for atom in jaxpr.outvars:
            if type(atom) is Var:
                self._last_read[self.roots.get(atom, atom)] = len(steps)

    def root(self, atom: Atom) -> Atom:
        """The value whose memory a value is: it itself, unless it is only another shape of one."""
        return self.roots.get(atom, atom) if type(atom) is Var else atom

    def last_read(self, var: Var) -> int:
        """The number of the last step that reads a value's memory; -1 if none does."""
        return self._last_read.get(var, -1)

    def is_last_read(self, atom: Atom, number: int) -> bool:
        """Whether a step reads a value's memory once, and nothing reads it later."""
        root = self.root(atom)
        if type(root) is not Var or self._last_read.get(root, -1) > number:
            return False
        return sum(self.root(a) is root for a in _reads(self.steps[number])) == 1

    def replaceable(self, number: int) -> list[tuple[Var, Atom]]:
        """For results of a step operands that nothing reads later, and whose memory the results can take."""
        step = self.steps[number]
        pairs: Iterable[tuple[Var, Atom]] = ()
        if isinstance(step, Kernel):
            pairs = (pair for pair in step.replaces if nbytes(pair[0].aval) >= WORTH_REPLACING)
        elif step.eqn.primitive.name in IN_PLACE:
            out, operand = step.eqn.outvars[0], step.eqn.inputs[IN_PLACE[step.eqn.primitive.name]]
            pairs = ((out, operand),) if out.aval.size == operand.aval.size else ()
        return [(out, operand) for out, operand in pairs if self.is_last_read(operand, number)]
