"""Kernels that fusion has no form for: scatters, cumulative operations, places of extrema, transposes.

Each is written here as lines of text around a grid of threads; what combines two elements is the same text as on the
CPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from functrans.compiler.cuda.schedule import GridKernel
from functrans.compiler.cuda.source import BLOCK_THREADS, DEVICE, THREADS, assemble
from functrans.compiler.plan import Place, Planner, Zero, nbytes
from functrans.compiler.running import COMPLEX_CUMULATIVE, cumulative_template
from functrans.compiler.scatter import combining, strides_of
from functrans.compiler.source import Tables, storage_token
from functrans.compiler.templates import constant_text, resolve
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Var

#: Threads in a block of a scan, elements of a part of a long one, and elements from which on it is done in parts.
SCAN_THREADS, SCAN_PART, SCAN_LONG = 256, 1 << 13, 1 << 14
TILE = 32

THREAD = ("row = int64(cuda.blockIdx.x) * cuda.blockDim.x + cuda.threadIdx.x",
          "rows = int64(cuda.gridDim.x) * cuda.blockDim.x")  # fmt: skip
TEAM = ("row = int64(cuda.blockIdx.x) * cuda.blockDim.y + cuda.threadIdx.y",
        "rows = int64(cuda.gridDim.x) * cuda.blockDim.y",
        "lane = int64(cuda.threadIdx.x)",
        "lanes = int64(cuda.blockDim.x)")  # fmt: skip


def grid_kernel(
    eqn: Eqn,
    lines: Sequence[str],
    buffers: Mapping[str, Var],
    sizes: Mapping[str, int],
    writes: Iterable[str],
    rows: int,
    about: str,
    *,
    mode: str = "thread",
    columns: int = 1,
    imports: Iterable[tuple[str, str]] = (),
    checks: Sequence[str] = (),
    block: tuple[int, int] | None = None,
) -> GridKernel:
    """A kernel from its lines, over buffers and sizes by name."""
    tables = Tables()
    tables.buffers = {v: name for name, v in buffers.items()}
    tables.sizes = {-1 - i: name for i, name in enumerate(sizes)}
    tables.checks = list(checks)
    for module, name in imports:
        tables.imports.setdefault(module, set()).add(name)
    source = assemble(tables, lines, [eqn.primitive.name], BLOCK_THREADS if mode == "block" else THREADS)
    return GridKernel(
        source=source, buffers=tuple(buffers.values()),
        writes=frozenset(buffers[n] for n in writes), sizes=tuple(sizes.values()), extent=rows, parallel=True,
        work=sum(v.aval.size for v in buffers.values()), checks=tuple(checks), eqns=(eqn,), note=about, mode=mode,
        rows_count=rows, columns=columns, block=block,
    )  # fmt: skip


def _var(atom: Atom) -> Var:
    """A variable of its own for a buffer: kernels may have one operand twice."""
    return Var(atom.aval)


# ---------------------------------------------------------------- scatter

_ATOMIC = {"scatter_add": "add", "scatter_mul": "mul", "scatter_max": "max", "scatter_min": "min"}


def emit_scatter(p: Planner, eqn: Eqn) -> bool:
    """Copy the array (unless it may be overwritten), then add the updates to it by atomic operations.

    Of several updates of one place that `scatter` writes the last one stays, as on the CPU: a first kernel finds it.
    """
    operand, updates, *indices = eqn.inputs
    name, dtype = eqn.primitive.name, operand.aval.dtype
    if combining(eqn) is None or (dtype == np.complex128 and name == "scatter_mul"):
        return False
    (out,) = eqn.outvars
    sources = [p.read(a) for a in (updates, *indices)]
    target = p.updated(operand, out)
    count = math.prod(indices[0].aval.shape) if indices else 1
    if not count or (not operand.aval.size and eqn.params.get("mode") != "raise"):
        return True
    owner: Place | None = None
    if name == "scatter" and count > 1:
        shape = tuple(operand.aval.shape[a] for a in eqn.params["axes"])
        owners = Var(ShapedArray((max(math.prod(shape), 1),), np.dtype(np.int64)))
        owner = p.temporary(nbytes(owners.aval), owners.aval)
        p.emit(Zero(owner.slot, nbytes(owners.aval)), owner)
        p.call_at(_scatter_kernel(eqn, "find", owners), [owner, *sources[1:]])
        p.call_at(_scatter_kernel(eqn, "write", owners), [target, owner, *sources])
    else:
        p.call_at(_scatter_kernel(eqn, "combine", None), [target, *sources])
    return True


def _scatter_kernel(eqn: Eqn, task: str, owners: Var | None) -> GridKernel:
    operand, updates, *indices = eqn.inputs
    axes: Sequence[int] = tuple(eqn.params["axes"])
    shape, dtype, mode = operand.aval.shape, operand.aval.dtype, str(eqn.params.get("mode", "raise"))
    strides = strides_of(shape)
    others = [d for d in range(len(shape)) if d not in axes]
    count = math.prod(indices[0].aval.shape) if indices else 1
    window = math.prod(shape[d] for d in others)
    sizes: dict[str, int] = {"count": count}
    buffers: dict[str, Var] = {}
    if task != "find":
        buffers["x"] = _var(operand)
        sizes["window"] = window
    if owners is not None:
        buffers["owner"] = owners
    if task != "find":
        buffers["updates"] = _var(updates)
    buffers |= {f"i{a}": _var(i) for a, i in enumerate(indices)}
    imports: set[tuple[str, str]] = set()
    checks = []
    body = ["inside = True", "at = int64(0)"] + (["x0 = int64(0)"] if task != "find" else [])
    for a, axis in enumerate(axes):
        sizes[f"n{a}"] = shape[axis]
        body += [f"j{a} = int64(i{a}[b])", f"if j{a} < 0:", f"    j{a} += n{a}"]
        outside = f"(j{a} < 0) | (j{a} >= n{a})"
        if mode == "raise":
            checks.append(f"index out of bounds for axis {axis} with size {shape[axis]}")
            body += [f"if {outside}:", f"    bad{len(checks)} = True", "    inside = False"]
        elif mode == "clip":
            body += [f"j{a} = min(max(j{a}, 0), n{a} - 1)", f"if j{a} < 0:", "    inside = False"]
        elif mode == "wrap":
            body += [f"if n{a} == 0:", "    inside = False", "else:", f"    j{a} = j{a} % n{a}"]
        elif mode != "promise_in_bounds":
            body += [f"if {outside}:", "    inside = False"]
        body.append(f"at = at * n{a} + j{a}")
        if task != "find":
            sizes[f"s{a}"] = strides[axis]
            body.append(f"x0 = x0 + j{a} * s{a}")
    if task == "find":
        imports.add((DEVICE, "atomic_max"))
        body += ["if inside:", "    atomic_max(owner, at, b + 1)"]
        lines = [*THREAD, "b = row", "while b < count:", *_indented(body), "    b += rows"]
        return grid_kernel(eqn, lines, buffers, sizes, ["owner"], count, "the last update of each place",
                           imports=imports, checks=checks)  # fmt: skip
    place, rest = "x0", "e"
    for r in range(len(others) - 1, -1, -1):
        d = others[r]
        sizes[f"e{r}"], sizes[f"t{r}"] = shape[d], strides[d]
        if r:
            body += [f"q{r} = {rest} // e{r}", f"x0 = x0 + ({rest} - q{r} * e{r}) * t{r}"]
            rest = f"q{r}"
        else:
            body.append(f"x0 = x0 + {rest} * t{r}")
    if task == "write":
        body += ["if inside and owner[at] == b + 1:", f"    x[{place}] = updates[row]"]
        about = f"the last of the updates at {count} indices"
    elif eqn.primitive.name == "scatter":
        body += ["if inside:", f"    x[{place}] = updates[row]"]
        about = "an update"
    else:
        word = _ATOMIC[eqn.primitive.name]
        if dtype.kind == "b":
            word = {"add": "max", "mul": "min"}.get(word, word)
        imports.add((DEVICE, f"atomic_{word}"))
        half = dtype == np.float16
        assert not half
        body += ["if inside:", f"    atomic_{word}(x, {place}, updates[row])"]
        about = f"atomic updates at {count} indices"
    body = ["b = row // window", "e = row - b * window", *body]
    lines = [*THREAD, "while row < count * window:", *_indented(body), "    row += rows"]
    if not window:
        lines = [*THREAD, "b = row", "while b < count:", *_indented(["e = int64(0)", *body[2:-2]]), "    b += rows"]
    return grid_kernel(eqn, lines, buffers, sizes, ["x"], max(count * window, count), about,
                       imports=imports, checks=checks)  # fmt: skip


# ---------------------------------------------------------------- updates of a slice


def emit_update(p: Planner, eqn: Eqn) -> bool:
    """`dynamic_update_slice`: copy the array (unless it may be overwritten), then write the slice."""
    operand, update, *starts = eqn.inputs
    if any(s.aval.dtype.kind not in "iu" for s in starts):
        return False
    sources = [p.read(a) for a in (update, *starts)]
    target = p.updated(operand, eqn.outvars[0])
    if not update.aval.size:
        return True
    shape, part = operand.aval.shape, update.aval.shape
    strides = strides_of(shape)
    buffers = {"x": _var(operand), "update": _var(update)} | {f"i{d}": _var(s) for d, s in enumerate(starts)}
    sizes = {"count": update.aval.size}
    head, body, rest = ["x0 = int64(0)"], ["at = x0"], "row"
    for d in range(len(shape)):
        sizes |= {f"m{d}": shape[d] - part[d], f"s{d}": strides[d]}
        head.append(f"x0 = x0 + min(max(int64(i{d}[0]), 0), m{d}) * s{d}")
    for d in range(len(shape) - 1, -1, -1):
        if d:
            sizes[f"e{d}"] = part[d]
            body += [f"q{d} = {rest} // e{d}", f"at = at + ({rest} - q{d} * e{d}) * s{d}"]
            rest = f"q{d}"
        else:
            body.append(f"at = at + {rest} * s{d}")
    lines = [*THREAD, *head, "while row < count:", *_indented([*body, "x[at] = update[row]"]), "    row += rows"]
    kernel = grid_kernel(eqn, lines, buffers, sizes, ["x"], update.aval.size, f"a slice of shape {part}")
    p.call_at(kernel, [target, *sources])
    return True


# ---------------------------------------------------------------- cumulative operations


def _identity(name: str, dtype: np.dtype) -> str:
    if name in ("cumsum", "cumprod"):
        return constant_text(name == "cumprod", dtype)
    lowest = name != "cummin"
    if dtype.kind == "f":
        return constant_text(-math.inf if lowest else math.inf, dtype)
    if dtype.kind == "b":
        return constant_text(not lowest, dtype)
    info = np.iinfo(dtype)
    return constant_text(info.min if lowest else info.max, dtype)


def emit_cumulative(p: Planner, eqn: Eqn) -> bool:
    """A running sum, product, maximum, minimum or log-sum-exp.

    Along the last axis a block scans a row, a stretch of it at a time; rows that are long and few in three steps:
    totals of parts, their scan, and the scans of parts (Merrill & Garland, "Single-pass parallel prefix scan with
    decoupled look-back", 2016, section 2). Along other axes a thread goes along each line, beside its neighbours.
    """
    (x,), (out,) = eqn.inputs, eqn.outvars
    name, dtype = eqn.primitive.name, x.aval.dtype
    combine = cumulative_template(name, dtype)
    complex_too = dtype.kind == "c" and name in COMPLEX_CUMULATIVE
    if combine is None or not (dtype.kind in "iu" or dtype in (np.float32, np.float64) or complex_too):
        return False
    axis, shape = eqn.params["axis"], x.aval.shape
    before, n, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    reverse = bool(eqn.params.get("reverse", False))
    source, target = p.read(x), p.write(out)
    if not out.aval.size:
        return True
    scan = _Scan(eqn, dtype, combine, reverse)
    if after > 1:
        p.call_at(scan.along_lines(before, n, after), [source, target])
    elif before >= 128 or n <= SCAN_LONG:
        p.call_at(scan.rows(before, n, n, "whole"), [source, target])
    else:
        parts = -(-n // SCAN_PART)
        totals = ShapedArray((before, parts), dtype)
        sums, sums_before = p.temporary(nbytes(totals), totals), p.temporary(nbytes(totals), totals)
        p.call_at(scan.rows(before, n, SCAN_PART, "totals"), [source, sums])
        p.call_at(_Scan(eqn, dtype, combine, False).rows(before, parts, parts, "whole"), [sums, sums_before])
        p.call_at(scan.rows(before, n, SCAN_PART, "parts"), [source, target, sums_before])
    return True


class _Scan:
    """Kernels of one cumulative operation."""

    def __init__(self, eqn: Eqn, dtype: np.dtype, template: str, reverse: bool):
        resolved = resolve(template, dtype, dtype)
        self.eqn, self.dtype, self.text, self.reverse = eqn, dtype, resolved.text, reverse
        self.imports = {*resolved.imports, (DEVICE, "shuffle_up")}
        self.identity = _identity(eqn.primitive.name, dtype)

    def combine(self, a: str, b: str) -> str:
        return f"{storage_token(self.dtype)}({self.text.format(a, b)})"

    def along_lines(self, before: int, n: int, after: int) -> GridKernel:
        at = "n - 1 - k" if self.reverse else "k"
        lines = [
            *THREAD, "while row < before * after:", "    o = row // after",
            "    start = o * n * after + row - o * after",
            f"    total = x[start + {'(n - 1) * after' if self.reverse else '0'}]",
            f"    y[start + {'(n - 1) * after' if self.reverse else '0'}] = total", "    for k in range(1, n):",
            f"        at = start + ({at}) * after", f"        total = {self.combine('total', 'x[at]')}",
            "        y[at] = total", "    row += rows",
        ]  # fmt: skip
        buffers = {"x": Var(self.eqn.inputs[0].aval), "y": Var(self.eqn.inputs[0].aval)}
        sizes = {"before": before, "n": n, "after": after}
        return grid_kernel(self.eqn, lines, buffers, sizes, ["y"], before * after, "a thread along each line",
                           imports=self.imports - {(DEVICE, "shuffle_up")})  # fmt: skip

    def rows(self, before: int, n: int, part: int, task: str) -> GridKernel:
        """A block for each part of a row: its scan, or (`totals`) its total; `parts` begin with what is before them."""
        parts = -(-n // part)
        aval = ShapedArray((before, n), self.dtype)
        buffers = {"x": Var(aval), "y": Var(ShapedArray((before, parts), self.dtype) if task == "totals" else aval)}
        if task == "parts":
            buffers["earlier"] = Var(ShapedArray((before, parts), self.dtype))
        at = "(o + 1) * n - 1 - k" if self.reverse else "o * n + k"
        body = [
            f"carry = {self.identity}", "o = row // parts", "c = row - o * parts",
            *(["if c > 0:", "    carry = earlier[row - 1]"] if task == "parts" else []),
            "base = c * part", "end = min(base + part, n)", "while base < end:", "    k = base + lane",
            f"    v = {self.identity}", "    if k < end:", f"        v = x[{at}]",
        ]  # fmt: skip
        for distance in (1, 2, 4, 8, 16):
            body += [
                f"    other = shuffle_up(v, {distance})", f"    if lane % 32 >= {distance}:",
                f"        v = {self.combine('other', 'v')}",
            ]  # fmt: skip
        body += [
            "    if lane % 32 == 31 or lane == lanes - 1:", "        shared[lane // 32] = v", "    cuda.syncthreads()",
            "    sum_before = carry", "    for w in range(lane // 32):",
            f"        sum_before = {self.combine('sum_before', 'shared[w]')}",
            f"    v = {self.combine('sum_before', 'v')}",
            *([] if task == "totals" else ["    if k < end:", f"        y[{at}] = v"]), "    cuda.syncthreads()",
            "    if lane == lanes - 1:", "        shared[0] = v", "    cuda.syncthreads()", "    carry = shared[0]",
            "    cuda.syncthreads()", "    base += lanes",
            *(["if lane == 0:", "    y[row] = carry"] if task == "totals" else []), "row += rows",
        ]  # fmt: skip
        token = storage_token(self.dtype)
        lines = [f"shared = cuda.shared.array(32, {token})", *TEAM, "while row < total:", *_indented(body)]
        sizes = {"total": before * parts, "parts": parts, "part": part, "n": n}
        return grid_kernel(
            self.eqn, lines, buffers, sizes, ["y"], before * parts, "a block scans each row", mode="block",
            columns=min(part, n), imports=self.imports, block=(SCAN_THREADS, 1),
        )  # fmt: skip


# ---------------------------------------------------------------- the place of an extremum


def emit_argument(p: Planner, eqn: Eqn) -> bool:
    """The first place of the maximum or minimum along an axis; of the first NaN where there is one."""
    (x,), (out,) = eqn.inputs, eqn.outvars
    dtype = x.aval.dtype
    if not (dtype.kind in "biu" or dtype in (np.float32, np.float64)):
        return False
    (axis,), shape = eqn.params["axes"], x.aval.shape
    before, n, after = math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])
    source, target = p.read(x), p.write(out)
    if out.aval.size:
        p.call_at(_argument_kernel(eqn, before, n, after), [source, target])
    return True


def _argument_kernel(eqn: Eqn, before: int, n: int, after: int) -> GridKernel:
    (x,), (out,) = eqn.inputs, eqn.outvars
    better = ">" if eqn.primitive.name == "argmax" else "<"

    def wins(v: str, i: str) -> str:
        """Whether a value at a place comes before the best one: it is better, or as good and earlier."""
        if x.aval.dtype.kind != "f":
            return f"({v} {better} best) | (({v} == best) & ({i} < place))"
        same = f"(({v} == best) | (({v} != {v}) & (best != best))) & ({i} < place)"
        return f"(({v} {better} best) & (best == best)) | (({v} != {v}) & (best == best)) | ({same})"

    is_team = after == 1 and n > 32
    first, step = ("lane", "lanes") if is_team else ("0", "1")
    body = [
        "o = row // after", "start = o * n * after + row - o * after", "best = x[start]", "place = int64(0)",
        f"k = int64({first})", "while k < n:", "    v = x[start + k * after]", f"    if {wins('v', 'k')}:",
        "        best = v", "        place = k", f"    k += {step}",
    ]  # fmt: skip
    imports = set()
    if is_team:
        imports.add((DEVICE, "shuffle_xor"))
        for distance in (16, 8, 4, 2, 1):
            body += [
                f"v = shuffle_xor(best, {distance})", f"k = shuffle_xor(place, {distance})", f"if {wins('v', 'k')}:",
                "    best = v", "    place = k",
            ]  # fmt: skip
        body += ["if lane == 0:", "    y[row] = place"]
    else:
        body.append("y[row] = place")
    lines = [*(TEAM if is_team else THREAD), "while row < before * after:", *_indented([*body, "row += rows"])]
    buffers = {"x": _var(x), "y": Var(out.aval)}
    return grid_kernel(
        eqn, lines, buffers, {"before": before, "n": n, "after": after}, ["y"], before * after,
        "a warp along each row" if is_team else "a thread along each line", mode="warp" if is_team else "thread",
        columns=n, imports=imports,
    )  # fmt: skip


# ---------------------------------------------------------------- transposes


def is_for_tiles(eqn: Eqn) -> bool:
    """Whether a transpose moves the last axis, and both it and the new last one are long."""
    if eqn.primitive.name != "transpose":
        return False
    shape, order = eqn.inputs[0].aval.shape, eqn.params["permutation"]
    return bool(order) and order[-1] != len(order) - 1 and shape[-1] >= TILE and shape[order[-1]] >= TILE


def emit_transpose(p: Planner, eqn: Eqn) -> bool:
    """A transpose by square tiles through shared memory, so that reading and writing go along memory.

    The tile has one more column, which spreads its columns over the banks of shared memory (Ruetsch & Micikevicius,
    "Optimizing matrix transpose in CUDA", 2009).
    """
    if not is_for_tiles(eqn):
        return False
    (x,), (out,) = eqn.inputs, eqn.outvars
    dtype = x.aval.dtype
    shape, order = x.aval.shape, tuple(eqn.params["permutation"])
    ins, outs = strides_of(shape), strides_of(out.aval.shape)
    where = {d: outs[i] for i, d in enumerate(order)}  # the stride in the result of each axis of the operand
    a, b = order[-1], len(shape) - 1  # the axis that is last in the result, and the one that was
    others = [d for d in range(len(shape)) if d not in (a, b)]
    source, target = p.read(x), p.write(out)
    if not out.aval.size:
        return True
    sizes = {
        "na": shape[a], "nb": shape[b], "ia": ins[a], "ob": where[b],
        "ta": -(-shape[a] // TILE), "tb": -(-shape[b] // TILE),
    }  # fmt: skip
    body = ["rest = tile // tb", "b0 = (tile - rest * tb) * 32", "q = rest // ta", "a0 = (rest - q * ta) * 32",
            "x0 = int64(0)", "y0 = int64(0)"]  # fmt: skip
    for d in reversed(others):
        sizes |= {f"n{d}": shape[d], f"i{d}": ins[d], f"o{d}": where[d]}
        body += [f"r = q // n{d}", f"k = q - r * n{d}", f"x0 = x0 + k * i{d}", f"y0 = y0 + k * o{d}", "q = r"]
    body += [
        "u = int64(cuda.threadIdx.y)", "while u < 32:", "    w = int64(cuda.threadIdx.x)", "    while w < 32:",
        "        if (a0 + u < na) & (b0 + w < nb):", "            square[u, w] = x[x0 + (a0 + u) * ia + b0 + w]",
        "        w += cuda.blockDim.x", "    u += cuda.blockDim.y", "cuda.syncthreads()",
        "u = int64(cuda.threadIdx.y)", "while u < 32:", "    w = int64(cuda.threadIdx.x)", "    while w < 32:",
        "        if (b0 + u < nb) & (a0 + w < na):", "            y[y0 + (b0 + u) * ob + a0 + w] = square[w, u]",
        "        w += cuda.blockDim.x", "    u += cuda.blockDim.y", "cuda.syncthreads()", "tile += cuda.gridDim.x",
    ]  # fmt: skip
    tiles = sizes["ta"] * sizes["tb"] * math.prod(shape[d] for d in others)
    sizes["tiles"] = tiles
    token = storage_token(dtype)
    lines = [f"square = cuda.shared.array((32, 33), {token})", "tile = int64(cuda.blockIdx.x)", "while tile < tiles:",
             *_indented(body)]  # fmt: skip
    buffers = {"x": _var(x), "y": Var(out.aval)}
    kernel = grid_kernel(eqn, lines, buffers, sizes, ["y"], tiles, "tiles through shared memory", mode="block",
                         columns=TILE * TILE, block=(TILE, 8))  # fmt: skip
    p.call_at(kernel, [source, target])
    return True


def _indented(lines: Iterable[str]) -> list[str]:
    return ["    " + line for line in lines]


EMITTERS: dict[str, Any] = {
    "dynamic_update_slice": emit_update,
    "transpose": emit_transpose,
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp"), emit_cumulative),
    **dict.fromkeys(("argmax", "argmin"), emit_argument),
    **dict.fromkeys(("scatter", "scatter_add", "scatter_mul", "scatter_max", "scatter_min"), emit_scatter),
}
