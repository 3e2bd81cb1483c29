"""Loops whose bodies are scalars: one kernel with the loop inside and the carry in local variables.

The kernels of such a body are straight lines of text over elements at literal indices. Here they become the body of a
`for` or `while`: elements of the carry and of what the body computes are local variables, so LLVM keeps them in
registers; scanned operands and stacked results are read and written at the position of the turn. Arrays that a body
updates in place are changed where they lie. Branches and loops inside are written the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np

from functrans.compiler.scatter import combining, strides_of
from functrans.compiler.source import storage_token
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var

if TYPE_CHECKING:
    from functrans.compiler.plan import Block

#: Longer texts stay apart from their loop, and values of more elements stay in memory.
MOST_LINES = 1200
MOST_ELEMENTS = 64

_POINTER = re.compile(r"(\w+) = pointer\(buffers, (\d+), \w+\)$")
_SIZE = re.compile(r"(\w+) = size\(sizes, (\d+)\)$")
_STATUS = re.compile(r"(\s*)status\[0\] = (\d+)$")
_STORE = re.compile(r"(\s*)(\w+) = (.*)$")
_ACCESS = re.compile(r"\b([A-Za-z_]\w*)\[")
_WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*\b(?!\()")
_BINDING = re.compile(r"^\s*(?:for (\w+) in |(\w+) [-+*|&]?= )", re.MULTILINE)
_BOUNDS = re.compile(r"\b(lo|hi)\b")


class NotScalar(Exception):
    """A body that cannot be written with local variables."""


def loop_kernel(
    eqn: Eqn, analysis: Callable[[Jaxpr], Block], in_place: Callable[[Eqn], Sequence[bool]]
) -> Kernel | None:
    """A `scan` or `while` as one kernel over `(*operands, *results, *scratch)`; `None` if its body is no scalars.

    Results of carries that are updated in place must hold the initial values before the kernel is called.
    """
    try:
        return Writer(eqn, analysis, in_place).kernel()
    except NotScalar:
        return None


class Writer:
    """Writes the text of one loop.

    `memory` names what lies in buffers, with the position from which it is read (`shifted`); `local` has the stems of
    local variables; `alias` says of a variable that it is another one, in another shape or as an argument.
    """

    def __init__(self, eqn: Eqn, analysis: Callable[[Jaxpr], Block], in_place: Callable[[Eqn], Sequence[bool]]):
        self.eqn = eqn
        self.analysis = analysis
        self.in_place = in_place
        self.buffers = [*(a if type(a) is Var else Var(a.aval) for a in eqn.inputs), *eqn.outvars]
        self.memory: dict[Var, str] = {}
        self.shifted: dict[Var, str] = {}
        self.scratch: list[Var] = []
        self.writable: set[Var] = set()  # what lies in memory of results, and is updated there
        self.local: dict[Var, str] = {}
        self.tokens: dict[str, str] = {}  # the type of local variables, by stem
        self.alias: dict[Var, Atom] = {}
        self.sizes: list[int] = []
        self.checks: list[str] = []
        self.imports: dict[str, None] = {"from functrans.compiler.intrinsics import pointer, size": None}
        self.comments: list[str] = []
        self.eqns: list[Eqn] = []
        self.lines = 0
        self.count = 0

    def kernel(self) -> Kernel:
        head = []
        for i, var in enumerate(self.buffers):
            if var not in self.memory:
                self.memory[var] = f"p{i}"
                head.append(f"p{i} = pointer(buffers, {i}, {storage_token(var.aval.dtype)})")
        operands = self.buffers[: len(self.eqn.inputs)]
        loop = self.scan if self.eqn.primitive.name == "scan" else self.while_
        lines, carry = loop(self.eqn, operands, self.eqn.outvars)
        tail = [
            f"{self.memory[out]}[{k}] = {stem}_{k}"
            for stem, out in zip(carry, self.eqn.outvars)
            for k in range(out.aval.size if stem else 0)
        ]
        for i, var in enumerate(self.scratch):
            head.append(f"w{i} = pointer(buffers, {len(self.buffers) + i}, {storage_token(var.aval.dtype)})")
        buffers = (*self.buffers, *self.scratch)
        if self.checks:
            head.append(f"status = pointer(buffers, {len(buffers)}, int64)")
        tokens = sorted({storage_token(v.aval.dtype) for v in buffers} | set(self.tokens.values()) | {"int64"})
        self.imports[f"from numba.types import {', '.join(tokens)}"] = None
        source = "\n".join([*self.comments, *self.imports, "", "", "def kernel(buffers, sizes, lo, hi):"])
        source += "\n" + "".join(f"    {line}\n" for line in (*head, *lines, *tail))
        turns = self.eqn.params.get("length", 1)
        return Kernel(
            source, buffers, frozenset((*self.eqn.outvars, *self.scratch)), tuple(self.sizes), 1, False,
            turns * len(lines), tuple(self.checks), tuple(self.eqns), "a loop over scalars",
        )  # fmt: skip

    # ---------------------------------------------------------------- values

    def resolve(self, atom: Atom) -> Atom:
        while type(atom) is Var and atom in self.alias:
            atom = self.alias[atom]
        return atom

    def forget(self, var: Var) -> None:
        """A body that is written a second time: its variables mean other things now."""
        for table in (self.memory, self.shifted, self.local, self.alias):
            table.pop(var, None)

    def let(self, var: Var, atom: Atom) -> None:
        atom = self.resolve(atom)
        self.forget(var)
        self.alias[var] = atom

    def stem(self, prefix: str, var: Var) -> str:
        """A name for the local variables of a value's elements."""
        if var.aval.size > MOST_ELEMENTS:
            raise NotScalar
        self.count += 1
        name = f"{prefix}{self.count}"
        self.forget(var)
        self.local[var] = name
        self.tokens[name] = storage_token(var.aval.dtype)
        return name

    def in_scratch(self, var: Var) -> None:
        """Keep a value in memory: its elements are written in a loop."""
        if var.aval.size > MOST_ELEMENTS:
            raise NotScalar
        self.forget(var)
        if var not in self.scratch:
            self.scratch.append(var)
        self.memory[var] = f"w{self.scratch.index(var)}"

    def element(self, atom: Atom, index: str) -> str:
        """An element of a value as it is stored."""
        atom = self.resolve(atom)
        if type(atom) is Literal:
            return self.literal(atom)
        if atom in self.local:
            if not index.isdigit():
                raise NotScalar
            return f"{self.local[atom]}_{index}"
        if atom not in self.memory:
            raise NotScalar
        start = self.shifted.get(atom)
        return f"{self.memory[atom]}[{index}]" if start is None else f"{self.memory[atom]}[{start} + ({index})]"

    def elements(self, atom: Atom) -> list[str]:
        if atom.aval.size > MOST_ELEMENTS:
            raise NotScalar
        return [self.element(atom, str(k)) for k in range(atom.aval.size)]

    def literal(self, atom: Literal) -> str:
        value = np.asarray(atom.value, atom.aval.dtype)
        if value.dtype.kind not in "biu" and value.dtype not in (np.float64, np.float32):
            raise NotScalar
        if not np.isfinite(value):
            self.imports["from math import inf, nan"] = None
        token = storage_token(value.dtype)
        self.tokens[f"literal {token}"] = token
        return f"{token}({value.item()!r})"

    def size(self, value: int) -> str:
        """A size as a run-time argument, or as itself where it decides the text anyway."""
        if value <= 16:
            return str(value)
        self.sizes.append(value)
        return f"size(sizes, {len(self.sizes) - 1})"

    # ---------------------------------------------------------------- loops and branches

    def carry(
        self, eqn: Eqn, variables: Sequence[Var], init: Sequence[Atom], outs: Sequence[Var]
    ) -> tuple[list[str], list[str]]:
        """Local variables for a carry, with their first values: the lines, and the stems, empty for arrays in place."""
        in_place = self.in_place(eqn)
        values = [[] if flag else self.elements(a) for a, flag in zip(init, in_place)]
        stems = []
        for var, operand, out, flag in zip(variables, init, outs, in_place):
            if not flag:
                stems.append(self.stem("c", var))
                continue
            home = out if eqn is self.eqn else self.resolve(operand)
            if home not in self.writable and eqn is not self.eqn:
                raise NotScalar
            self.writable.add(home)  # type: ignore[arg-type]
            self.let(var, home)
            stems.append("")
        return [f"{s}_{k} = {v}" for s, group in zip(stems, values) for k, v in enumerate(group)], stems

    def assign(self, stems: Sequence[str], atoms: Sequence[Atom]) -> list[str]:
        """Give local variables new values, all at once."""
        values = [self.elements(a) if s else [] for s, a in zip(stems, atoms)]
        fresh = [f"n_{s}_{k} = {v}" for s, group in zip(stems, values) for k, v in enumerate(group)]
        return [*fresh, *(f"{s}_{k} = n_{s}_{k}" for s, group in zip(stems, values) for k in range(len(group)))]

    def scan(self, eqn: Eqn, operands: Sequence[Atom], outs: Sequence[Var]) -> tuple[list[str], list[str]]:
        p = eqn.params
        body: Jaxpr = p["jaxpr"]
        consts, init, xs = _split(operands, p["num_consts"], p["num_carry"])
        const_vars, carry_vars, x_vars = _split(body.invars, p["num_consts"], p["num_carry"])
        for var, operand in zip(const_vars, consts):
            self.let(var, operand)  # type: ignore[arg-type]
        lines, stems = self.carry(eqn, carry_vars, init, outs)  # type: ignore[arg-type]
        self.count += 1
        i, n = f"i{self.count}", f"e{self.count}"
        lines.append(f"{n} = {self.size(p['length'])}")
        position = f"({n} - 1 - {i})" if p.get("reverse", False) else i
        turn = []
        for var, operand in zip(x_vars, xs):
            turn.append(self.along(var, self.resolve(operand), position))  # type: ignore[arg-type]
        turn += self.body(body)
        for atom, out in zip(body.outvars[p["num_carry"] :], outs[p["num_carry"] :]):
            if out not in self.memory:
                raise NotScalar
            self.count += 1
            turn.append(f"y{self.count} = {position} * {self.size(atom.aval.size)}")
            turn += [f"{self.memory[out]}[y{self.count} + {k}] = {v}" for k, v in enumerate(self.elements(atom))]
        turn += self.assign(stems, body.outvars[: p["num_carry"]])
        return [*lines, f"for {i} in range({n}):", *_indented(turn or ["pass"])], stems

    def along(self, var: Var, operand: Atom, position: str) -> str:
        """The line that says where in memory the slice of a scanned operand begins."""
        if type(operand) is Literal or operand not in self.memory:
            raise NotScalar
        start, name = self.shifted.get(operand), self.memory[operand]
        self.forget(var)
        self.count += 1
        self.memory[var], self.shifted[var] = name, f"x{self.count}"
        return f"x{self.count} = {'' if start is None else start + ' + '}{position} * {self.size(var.aval.size)}"

    def while_(self, eqn: Eqn, operands: Sequence[Atom], outs: Sequence[Var]) -> tuple[list[str], list[str]]:
        p = eqn.params
        cond, body = p["cond_jaxpr"], p["body_jaxpr"]
        cond_consts, body_consts, init = _split(operands, p["cond_nconsts"], p["body_nconsts"])
        for var, operand in (*zip(cond.invars, cond_consts), *zip(body.invars, body_consts)):
            self.let(var, operand)
        carry_vars = body.invars[len(body_consts) :]
        lines, stems = self.carry(eqn, carry_vars, init, outs)
        for var, carry in zip(cond.invars[len(cond_consts) :], carry_vars):
            self.let(var, carry)
        test = self.body(cond)
        (holds,) = self.elements(cond.outvars[0])
        turn = [*test, f"if {holds} == 0:", "    break", *self.body(body), *self.assign(stems, body.outvars)]
        return [*lines, "while True:", *_indented(turn)], stems

    def cond(self, eqn: Eqn) -> list[str]:
        index, *operands = eqn.inputs
        (which,) = self.elements(index)
        stems = [self.stem("b", v) for v in eqn.outvars]
        branches: Sequence[Jaxpr] = eqn.params["branches"]
        lines: list[str] = []
        for number, branch in enumerate(branches):
            for var, operand in zip(branch.invars, operands):
                self.let(var, operand)
            inside = [*self.body(branch), *self.assign(stems, branch.outvars)]
            test = f"if {which} < {number + 1}:" if number == 0 else f"elif {which} < {number + 1}:"
            lines += ["else:" if number == len(branches) - 1 else test, *_indented(inside or ["pass"])]
        return lines

    def body(self, jaxpr: Jaxpr) -> list[str]:
        """The lines of a body's steps."""
        block = self.analysis(jaxpr)
        lines: list[str] = []
        for var, origin in block.roots.items():
            self.forget(var)
            self.alias[var] = origin
        for step in block.working_steps:
            if isinstance(step, Kernel):
                new = self.inlined(step)
            elif step.eqn.primitive.name == "cond":
                new = self.cond(step.eqn)
            elif step.eqn.primitive.name in ("scan", "while"):
                loop = self.scan if step.eqn.primitive.name == "scan" else self.while_
                new, stems = loop(step.eqn, step.eqn.inputs, step.eqn.outvars)
                for var, stem, operand in zip(step.eqn.outvars, stems, carried(step.eqn)):
                    if stem:
                        self.forget(var)
                        self.local[var] = stem
                    else:
                        self.let(var, operand)
            elif step.eqn.primitive.name == "dynamic_update_slice":
                new = self.block_update(step.eqn)
            elif step.eqn.primitive.name.startswith("scatter"):
                new = self.scatter(step.eqn)
            else:
                raise NotScalar
            lines += new
            self.lines += len(new)
            if self.lines > MOST_LINES:
                raise NotScalar
        return lines

    # ---------------------------------------------------------------- updates in place

    def target(self, eqn: Eqn) -> str:
        """The memory that an update changes; its result is what lies there from now on."""
        home = self.resolve(eqn.inputs[0])
        if home not in self.writable:
            raise NotScalar
        self.let(eqn.outvars[0], home)
        self.eqns.append(eqn)
        self.count += 1
        return self.memory[home]

    def block_update(self, eqn: Eqn) -> list[str]:
        operand, update, *starts = eqn.inputs
        shape, part = operand.aval.shape, update.aval.shape
        strides = strides_of(shape)
        values, firsts = self.elements(update), [self.elements(s)[0] for s in starts]
        name = self.target(eqn)
        terms = [
            f"min(max(int64({first}), 0), {self.size(n - m)}) * {self.size(stride)}"
            for first, n, m, stride in zip(firsts, shape, part, strides)
            if n != m
        ]
        at = f"u{self.count}"
        places = [sum(i * s for i, s in zip(index, strides)) for index in np.ndindex(*part)]
        token = storage_token(operand.aval.dtype)
        lines = [f"{at} = {' + '.join(terms) or '0'}"]
        return [*lines, *(f"{name}[{at} + {self.size(k)}] = {token}({v})" for k, v in zip(places, values))]

    def scatter(self, eqn: Eqn) -> list[str]:
        operand, update, *indices = eqn.inputs
        dtype, shape, axes, mode = operand.aval.dtype, operand.aval.shape, eqn.params["axes"], eqn.params["mode"]
        combine = combining(eqn)
        if combine is None or indices[0].aval.shape != ():
            raise NotScalar
        strides = strides_of(shape)
        values, wanted = self.elements(update), [self.elements(i)[0] for i in indices]
        name = self.target(eqn)
        lines, terms, inside = [], [], []
        for a, (axis, index) in enumerate(zip(axes, wanted)):
            j, n = f"j{self.count}_{a}", self.size(shape[axis])
            lines += [f"{j} = int64({index})", f"if {j} < 0:", f"    {j} += {n}"]
            if mode == "clip":
                lines.append(f"{j} = min(max({j}, 0), {n} - 1)")
            elif mode == "wrap":
                lines.append(f"{j} = {j} % {n}")
            elif mode in ("raise", "drop", "fill"):
                inside.append(f"({j} >= 0) & ({j} < {n})")
            if mode == "raise":
                self.checks.append(f"index out of bounds for axis {axis} with size {shape[axis]}")
                lines += [f"if ({j} < 0) | ({j} >= {n}):", f"    status[0] = {len(self.checks)}"]
            terms.append(f"{j} * {self.size(strides[axis])}")
        at = f"u{self.count}"
        lines.append(f"{at} = {' + '.join(terms)}")
        others = [d for d in range(len(shape)) if d not in axes]
        token = storage_token(dtype)
        stores = []
        for at_others, value in zip(np.ndindex(*(shape[d] for d in others)), values):
            place = f"{name}[{at} + {self.size(sum(i * strides[d] for i, d in zip(at_others, others)))}]"
            stores.append(f"{place} = {token}({combine.format(old=place, new=value)})")
        if "imum(" in combine:
            self.imports["from functrans.compiler.scalars import maximum, minimum"] = None
        return [*lines, *([f"if {' & '.join(inside)}:", *_indented(stores)] if inside else stores)]

    # ---------------------------------------------------------------- kernels

    def inlined(self, kernel: Kernel) -> list[str]:
        """The lines of a kernel, over local variables and under names of its own."""
        before, _, code = kernel.source.partition("def kernel(buffers, sizes, lo, hi):\n")
        if kernel.extent != 1 or _BOUNDS.search(code):
            raise NotScalar
        self.count += 1
        mark = f"k{self.count}_"
        self.eqns += kernel.eqns
        for line in before.splitlines():
            if line.startswith("#"):
                self.comments.append(line)
            elif line:
                self.imports[line] = None
        pointers: dict[str, Var] = {}
        names = {a or b for a, b in _BINDING.findall(code)}
        checks = len(self.checks)
        self.checks += kernel.checks
        lines: list[str] = []
        for line in code.splitlines():
            line = line.removeprefix("    ")
            if found := _POINTER.match(line):
                names.discard(found[1])
                if int(found[2]) < len(kernel.buffers):
                    var = pointers[found[1]] = kernel.buffers[int(found[2])]
                    if var in kernel.writes and re.search(rf"\b{found[1]}\[(?!\d+\])", code):
                        self.in_scratch(var)
                    elif var in kernel.writes:
                        self.stem("v", var)
            elif found := _SIZE.match(line):
                self.sizes.append(kernel.sizes[int(found[2])])
                lines.append(f"{mark}{found[1]} = size(sizes, {len(self.sizes) - 1})")
            elif found := _STATUS.match(line):
                lines.append(f"{found[1]}status[0] = {int(found[2]) + checks}")
            elif line.strip():
                lines.append(self.rewritten(line, pointers, names, mark))
        return lines

    def rewritten(self, line: str, pointers: dict[str, Var], names: Set[str], mark: str) -> str:
        """A line with marked names, and accesses of memory as accesses of what lies there now."""
        line = _WORD.sub(lambda m: mark + m[0] if m[0] in names else m[0], line)
        out, position = "", 0
        for m in _ACCESS.finditer(line):
            if m[1] not in pointers:
                continue
            if m.start() < position:  # an access within the index of another
                raise NotScalar
            end = line.find("]", m.end())
            index = line[m.end() : end]
            out += line[position : m.start()] + self.element(pointers[m[1]], index)
            position = end + 1
        line = out + line[position:]
        store = _STORE.match(line)
        token = self.tokens.get(store[2].rpartition("_")[0]) if store else None
        return f"{store[1]}{store[2]} = {token}({store[3]})" if store and token else line


def _split(items: Sequence[Atom], *sizes: int) -> list[Sequence[Atom]]:
    out, position = [], 0
    for n in sizes:
        out.append(items[position : position + n])
        position += n
    return [*out, items[position:]]


def carried(eqn: Eqn) -> Sequence[Atom]:
    """The initial values of a loop's carry."""
    p = eqn.params
    if "jaxpr" in p:
        return eqn.inputs[p["num_consts"] : p["num_consts"] + p["num_carry"]]
    return eqn.inputs[p["cond_nconsts"] + p["body_nconsts"] :]


def _indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]
