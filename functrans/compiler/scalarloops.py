"""Loops whose bodies are scalars: one kernel with the loop inside and the carry in local variables.

The kernels of such a body are straight lines of text over elements at literal indices. Here they become the body of a
`for` or `while`: elements of the carry and of what the body computes are local variables, so LLVM keeps them in
registers; scanned operands and stacked results are read and written at the position of the turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from functrans.compiler.source import storage_token
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var

#: Longer bodies stay apart from their loop.
MOST_LINES = 1200

_POINTER = re.compile(r"(\w+) = pointer\(buffers, (\d+), \w+\)$")
_ACCESS = re.compile(r"\b([A-Za-z_]\w*)\[")
_NAME = re.compile(r"(?<![\w.])(t\d+|bad\d+)\b")
_SIZE = re.compile(r"(\w+) = size\(sizes, (\d+)\)$")


class NotScalar(Exception):
    """A body that cannot be written with local variables."""


@dataclass
class Text:
    """The kernel under construction: what stands before the loop and in it."""

    operands: list[Var]
    names: dict[Var, str]
    sizes: list[int]
    checks: list[str]
    imports: dict[str, None]
    comments: list[str]
    eqns: list[Eqn]
    head: list[str]
    local: dict[Var, str]  # values whose elements are local variables: the stem of their names
    shifted: dict[Var, str]  # scanned operands: the variable with the position of the turn
    roots: dict[Var, Var]  # values that are only another shape of one


def scan_kernel(eqn: Eqn, body: Jaxpr, steps: Sequence[object], roots: dict[Var, Var]) -> Kernel | None:
    """A scan as one kernel over `(*operands, *results)`; `None` if its body is not made of scalars."""
    p = eqn.params
    n_consts, n_carry, length = p["num_consts"], p["num_carry"], p["length"]
    try:
        text = _start(eqn, roots)
        consts, carry, xs = _split(body.invars, n_consts, n_carry)
        operands = text.operands
        for var, operand in zip(consts, operands):
            text.names[var] = text.names[operand]
        for i, (var, operand) in enumerate(zip(carry, operands[n_consts:])):
            _load_carry(text, f"c{i}", var, operand)
        turn = []
        position = "(e - 1 - i)" if p.get("reverse", False) else "i"
        text.head.append(f"e = {_size(text, length)}")
        stacked = list(zip(body.outvars[n_carry:], eqn.outvars[n_carry:]))
        for j, (var, operand) in enumerate(zip(xs, operands[n_consts + n_carry :])):
            text.names[var] = text.names[operand]
            text.shifted[var] = f"x{j}"
            turn.append(f"x{j} = {position} * {_size(text, var.aval.size)}")
        turn += _body(text, steps)
        for j, (atom, out) in enumerate(stacked):
            turn.append(f"y{j} = {position} * {_size(text, atom.aval.size)}")
            turn += [
                f"{text.names[out]}[y{j} + {k}] = {value}" for k, value in enumerate(_elements(text, atom))
            ]
        turn += _advance(text, body.outvars[:n_carry])
    except NotScalar:
        return None
    loop = ["for i in range(e):", *("    " + line for line in turn)]
    return _finish(text, eqn, loop, carry, length, f"a loop of {length} turns over scalars")


def while_kernel(
    eqn: Eqn, steps: tuple[Sequence[object], Sequence[object]], roots: tuple[dict[Var, Var], dict[Var, Var]]
) -> Kernel | None:
    """A while loop as one kernel over `(*operands, *results)`; `None` if it is not made of scalars."""
    p = eqn.params
    cond, body = p["cond_jaxpr"], p["body_jaxpr"]
    n_cond, n_body = p["cond_nconsts"], p["body_nconsts"]
    try:
        text = _start(eqn, roots[0])
        cond_consts, body_consts, init = _split(text.operands[: len(eqn.inputs)], n_cond, n_body)
        for var, operand in (*zip(cond.invars, cond_consts), *zip(body.invars, body_consts)):
            text.names[var] = text.names[operand]
        for i, (var, operand) in enumerate(zip(body.invars[n_body:], init)):
            _load_carry(text, f"c{i}", var, operand)
        text.local.update(zip(cond.invars[n_cond:], (f"c{i}" for i in range(len(init)))))
        test = [*_body(text, steps[0])]
        (holds,) = _elements(text, cond.outvars[0])
        text.roots = roots[1]
        turn = [*test, f"if {holds} == 0:", "    break", *_body(text, steps[1])]
        turn += _advance(text, body.outvars)
    except NotScalar:
        return None
    loop = ["while True:", *("    " + line for line in turn)]
    return _finish(text, eqn, loop, body.invars[n_body:], 1, "a loop over scalars")


# ------------------------------------------------------------------ the parts


def _start(eqn: Eqn, roots: dict[Var, Var]) -> Text:
    """A text whose buffers are the operands and the results of a loop."""
    operands = [a if type(a) is Var else Var(a.aval) for a in eqn.inputs]
    every = [*operands, *eqn.outvars]
    names: dict[Var, str] = {}
    head = []
    for i, var in enumerate(every):
        name = names.setdefault(var, f"p{i}")
        if name == f"p{i}":
            head.append(f"p{i} = pointer(buffers, {i}, {storage_token(var.aval.dtype)})")
    imports = dict.fromkeys(["from functrans.compiler.intrinsics import pointer, size"])
    tokens = sorted({storage_token(v.aval.dtype) for v in every} | {"int64"})
    imports[f"from numba.types import {', '.join(tokens)}"] = None
    return Text(every, names, [], [], imports, [], [], head, {}, {}, roots)


def _split(items: Sequence[Var], *sizes: int) -> list[Sequence[Var]]:
    out, position = [], 0
    for n in sizes:
        out.append(items[position : position + n])
        position += n
    return [*out, items[position:]]


def _size(text: Text, value: int) -> str:
    """A size as a run-time argument, or as itself where it decides the text anyway."""
    if value <= 16:
        return str(value)
    text.sizes.append(value)
    return f"size(sizes, {len(text.sizes) - 1})"


def _load_carry(text: Text, stem: str, var: Var, operand: Var) -> None:
    if var.aval.size > 64:
        raise NotScalar
    text.local[var] = stem
    text.head += [f"{stem}_{k} = {text.names[operand]}[{k}]" for k in range(var.aval.size)]


def _body(text: Text, steps: Sequence[object]) -> list[str]:
    lines: list[str] = []
    for step in steps:
        if not isinstance(step, Kernel) or step.extent != 1 or "range(" in step.source or "while " in step.source:
            raise NotScalar
        lines += _inlined(text, step)
        if len(lines) > MOST_LINES:
            raise NotScalar
    return lines


def _inlined(text: Text, kernel: Kernel) -> list[str]:
    """The lines of a kernel over local variables, under names of its own."""
    mark = f"k{len(text.eqns)}_"
    text.eqns += kernel.eqns
    before, _, code = kernel.source.partition("def kernel(buffers, sizes, lo, hi):\n")
    for line in before.splitlines():
        if line.startswith("#"):
            text.comments.append(line)
        elif line:
            text.imports[line] = None
    pointers: dict[str, Var | None] = {}
    lines: list[str] = []
    checks = len(text.checks)
    text.checks += kernel.checks
    for line in code.splitlines():
        line = line.removeprefix("    ")
        found = _POINTER.match(line)
        if found:
            number = int(found[2])
            pointers[found[1]] = kernel.buffers[number] if number < len(kernel.buffers) else None
            continue
        found = _SIZE.match(line)
        if found:
            text.sizes.append(kernel.sizes[int(found[2])])
            lines.append(f"{mark}{found[1]} = size(sizes, {len(text.sizes) - 1})")
            pointers[found[1]] = None
            continue
        if line.strip():
            lines.append(_rewritten(text, kernel, line, pointers, mark, checks))
    return lines


def _rewritten(
    text: Text, kernel: Kernel, line: str, pointers: dict[str, Var | None], mark: str, checks: int
) -> str:
    found = re.match(r"(\s*)status\[0\] = (\d+)$", line)
    if found:
        return f"{found[1]}status[0] = {int(found[2]) + checks}"
    line = _NAME.sub(lambda m: mark + m[1], line)
    sizes = [name for name, var in pointers.items() if var is None]
    if sizes:
        line = re.sub(rf"(?<![\w.])({'|'.join(map(re.escape, sizes))})\b(?!\()", lambda m: mark + m[1], line)
    out = ""
    position = 0
    for m in _ACCESS.finditer(line):
        if m.start() < position or m[1] not in pointers:
            continue
        var = pointers[m[1]]
        assert var is not None
        end = _closing(line, m.end())
        index = line[m.end() : end]
        out += line[position : m.start()] + _element(text, kernel, var, index)
        position = end + 1
    line = out + line[position:]
    store = re.match(r"(\s*)(\w+_\d+) = (.*)$", line)
    if store and not store[2].startswith(mark):
        var = next(v for v, stem in text.local.items() if stem == store[2].rsplit("_", 1)[0])
        line = f"{store[1]}{store[2]} = {storage_token(var.aval.dtype)}({store[3]})"
    return line


def _closing(line: str, start: int) -> int:
    depth = 1
    for i in range(start, len(line)):
        depth += {"[": 1, "]": -1}.get(line[i], 0)
        if not depth:
            return i
    raise NotScalar


def _element(text: Text, kernel: Kernel, var: Var, index: str) -> str:
    """An element of a buffer of an inlined kernel."""
    var = text.roots.get(var, var)
    if var in kernel.writes and var not in text.local:
        text.local[var] = f"v{len(text.local)}"
    if var in text.local:
        if not index.isdigit():
            raise NotScalar
        return f"{text.local[var]}_{index}"
    if var not in text.names:
        raise NotScalar
    if var in text.shifted:
        return f"{text.names[var]}[{text.shifted[var]} + ({index})]"
    return f"{text.names[var]}[{index}]"


def _elements(text: Text, atom: Atom) -> list[str]:
    """The elements of a result, as they are stored."""
    if type(atom) is Literal:
        value = np.asarray(atom.value, atom.aval.dtype)
        if value.dtype.kind not in "biu" and not (value.dtype in (np.float64, np.float32) and np.isfinite(value)):
            raise NotScalar
        return [f"{storage_token(value.dtype)}({value.item()!r})"]
    var = text.roots.get(atom, atom)  # type: ignore[arg-type, call-overload]
    if var.aval.size > 64:
        raise NotScalar
    if var in text.local:
        return [f"{text.local[var]}_{k}" for k in range(var.aval.size)]
    if var not in text.names:
        raise NotScalar
    shift = f"{text.shifted[var]} + " if var in text.shifted else ""
    return [f"{text.names[var]}[{shift}{k}]" for k in range(var.aval.size)]


def _advance(text: Text, outs: Sequence[Atom]) -> list[str]:
    """The next carry, all of it at once."""
    values = [_elements(text, a) for a in outs]
    fresh = [f"n{i}_{k} = {v}" for i, group in enumerate(values) for k, v in enumerate(group)]
    return [*fresh, *(f"c{i}_{k} = n{i}_{k}" for i, group in enumerate(values) for k in range(len(group)))]


def _finish(
    text: Text, eqn: Eqn, loop: list[str], carry: Sequence[Var], turns: int, note: str
) -> Kernel:
    tail = [
        f"{text.names[out]}[{k}] = c{i}_{k}"
        for i, (var, out) in enumerate(zip(carry, eqn.outvars))
        for k in range(var.aval.size)
    ]
    if text.checks:
        text.head.append(f"status = pointer(buffers, {len(text.operands)}, int64)")
    lines = [*text.head, *loop, *tail]
    source = "\n".join([*text.comments, *text.imports, "", "", "def kernel(buffers, sizes, lo, hi):"])
    source += "\n" + "".join(f"    {line}\n" for line in lines)
    return Kernel(
        source, tuple(text.operands), frozenset(eqn.outvars), tuple(text.sizes), 1, False, turns * len(loop),
        tuple(text.checks), tuple(text.eqns), note,
    )  # fmt: skip
