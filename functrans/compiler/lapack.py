"""Decompositions, systems and determinants in compiled programs: LAPACK, one matrix of a stack after the other.

The texts of kernels are made here. A kernel has its matrices in pieces, which threads share. There is memory to work in
for each piece; a thread that does several, one after the other, uses that of the first. LAPACK reads columns and arrays
here have rows, so each matrix is transposed on its way in and its results on their way out, as NumPy does: errors,
signs and phases are those of eager evaluation then. So is the precision: NumPy computes in float64 and rounds, in all
but `lu`. What `info` tells of, the kernel reports as the exception that NumPy raises.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.compiler import blas
from functrans.compiler.contractions import BLAS_DTYPES
from functrans.compiler.elimination import SINGULAR, emit_small_determinant, emit_small_solve, is_small
from functrans.compiler.factorizations import broadcast
from functrans.compiler.fortran import permuter, transposer
from functrans.compiler.plan import Emitter, Planner
from functrans.compiler.steps import Kernel
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Var

#: The most pieces that the matrices of a stack are divided into; and where memory to work in takes so many bytes.
PIECES = 64
MUCH_MEMORY, FEW_PIECES = 1 << 26, 16
#: Operations from which on threads share the matrices of a stack.
PARALLEL_WORK = 1 << 17
#: A matrix of up to that size is factorized anew by each thread that has right-hand sides for it.
SHARED_MATRIX = 64
#: Fewer matrices than that, of this size and more, are left to LAPACK's own threads, as NumPy does.
FEW, LARGE_MATRIX = 4, 256

_ALIGNMENT = 64

NO_EIGENVALUES = "Eigenvalues did not converge"
NO_SINGULAR_VALUES = "SVD did not converge"
NOT_FINITE = "Array must not contain infs or NaNs"


# ------------------------------------------------------------------ texts


class Text:
    """The text of a kernel under construction: what it is called with, and what it does with matrix number `i`.

    The operand is `a`, with `m` rows and `n` columns; its elements are of `dtype`, and computed with in `wide`.
    """

    def __init__(self, eqn: Eqn, a: Var, wide: bool = True):
        self.eqn = eqn
        self.dtype = self.wide = a.aval.dtype
        if wide:
            self.wide = np.dtype(np.complex128 if self.dtype.kind == "c" else np.float64)
        self.real = np.dtype(f"f{self.wide.itemsize // 2}") if self.wide.kind == "c" else self.wide
        *batch, self.m, self.n = a.aval.shape
        self.count = math.prod(batch)
        self.together = False  # whether there is one matrix for all right-hand sides
        self.arrays: list[tuple[str, Var]] = []
        self.sizes: dict[str, int] = {"m": self.m, "n": self.n}
        self.memories: list[str] = []
        self.before: list[str] = []
        self.after: list[str] = []
        self.lines: list[str] = []
        self.tokens: set[str] = set()
        self.errors: list[str] = []
        self.spread: dict[str, tuple[int, ...]] = {}  # the shapes to which operands are broadcast
        self.work = 0  # bytes of memory for each piece
        self.array("a", a, self.m * self.n)

    @property
    def pieces(self) -> int:
        return 1 if self.together and self.n > SHARED_MATRIX else min(self.count, PIECES)

    def array(self, name: str, atom: Atom, step: int) -> None:
        """Name the address of the part of an operand or a result for a matrix: so many elements for each."""
        assert type(atom) is Var
        self.arrays.append((name, atom))
        self.sizes[f"{name}_step"] = step * atom.aval.dtype.itemsize
        self.lines.append(f"{name} = {name}_all + i * {name}_step")

    def memory(self, name: str, count: int, dtype: Any) -> None:
        """Name the address of memory to work in, of so many elements."""
        self.sizes[f"{name}_at"] = self.work
        self.work += -(-max(count, 1) * np.dtype(dtype).itemsize // _ALIGNMENT) * _ALIGNMENT
        self.memories.append(name)

    def pointer(self, name: str, address: str, dtype: Any) -> None:
        """Name an address as a pointer to elements."""
        token = str(np.dtype(dtype))
        self.tokens.add(token)
        self.lines.append(f"{name} = at({address}, {token})")

    def add(self, *lines: str) -> None:
        self.lines += lines

    def bring(self, target: str, source: str, rows: str, columns: str) -> None:
        """Transpose an operand with so many rows and columns into memory to work in."""
        self.sizes["bring"], self.sizes["words"] = transposer(self.dtype, self.wide)
        self.add(f"call_function(bring, ({target}, {source}, {rows}, {columns}, {columns}, words))")

    def give(self, target: str, source: str, rows: str, columns: str, stride: str = "") -> None:
        """Transpose memory, where rows lie `stride` elements apart, into a result."""
        self.sizes["give"], self.sizes["words"] = transposer(self.wide, self.dtype)
        self.add(f"call_function(give, ({target}, {source}, {rows}, {columns}, {stride or columns}, words))")

    def give_reals(self, target: str, source: str, count: str) -> None:
        """Copy real numbers of memory into a result."""
        small = np.dtype(f"f{self.dtype.itemsize // 2}") if self.dtype.kind == "c" else self.dtype
        self.sizes["give_real"], _ = transposer(self.real, small)
        self.add(f"call_function(give_real, ({target}, {source}, 1, {count}, {count}, 1))")

    def call(self, routine: str, kinds: str, values: str, error: str = "") -> None:
        """Call a routine; where it fails, report the error, if there is one, and go on to the next matrix."""
        self.sizes[routine] = blas.routine(routine, self.wide)
        self.add(f'info = call_lapack({routine}, "{kinds}", ({values}))')
        if error:
            self.fail("info != 0", error)

    def fail(self, condition: str, error: str) -> None:
        """Report an error where a condition holds, and go on to the next matrix."""
        self.errors.append(error)
        self.add(f"if {condition}:", f"    store_i64(status, {len(self.errors)})", "    continue")

    def source(self) -> str:
        names = ["count", "pieces", "scratch", *self.sizes]
        status = 8 * len(self.arrays) + 8
        body = [
            *(f"{name}_all = load_i64(buffers + {8 * k})" for k, (name, _) in enumerate(self.arrays)),
            f"work_all = load_i64(buffers + {8 * len(self.arrays)})",
            *([f"status = load_i64(buffers + {status})"] if self.errors else []),
            *(f"{name} = size(sizes, {k})" for k, name in enumerate(names)),
            "work = work_all + lo * scratch",
            *(f"{name} = work + {name}_at" for name in self.memories),
            "first = lo * count // pieces",
            "last = hi * count // pieces",
            *self.before,
            "for i in range(first, last):",
            *(f"    {line}" for line in self.lines),
            *self.after,
        ]
        text = "\n".join(f"    {line}" for line in body)
        called = lambda *functions: ", ".join(f for f in functions if f"{f}(" in text)
        imports = {
            "functrans.compiler.fortran": called("at", "call_function", "call_lapack"),
            "functrans.compiler.intrinsics": called("load_i64", "size", "store_i64", "zero_bytes"),
            "math": called("exp", "log"),
            "numba.types": ", ".join(sorted(self.tokens)),
        }
        top = [f"from {module} import {names}" for module, names in imports.items() if names]
        return "\n".join(
            [f"# {self.eqn.primitive.name}", *top, "", "", "def kernel(buffers, sizes, lo, hi):", text, ""]
        )

    def emit(self, p: Planner, n: int, flops: float, note: str) -> bool:
        """Add the call of the kernel to a plan; `n` is the size of a matrix, `flops` what is done for each."""
        eqn = self.eqn
        places = [p.read(v) if v in eqn.inputs else p.write(v) for _, v in self.arrays]
        for k, (name, v) in enumerate(self.arrays):
            if name in self.spread:
                places[k] = broadcast(p, v, places[k], self.spread[name])
        pieces = self.pieces
        if pieces * self.work > MUCH_MEMORY and not self.together:
            pieces = min(pieces, max(FEW_PIECES, MUCH_MEMORY // self.work))
        scratch = Var(ShapedArray((pieces * self.work,), np.dtype(np.uint8)))
        places.append(p.temporary(pieces * self.work, scratch.aval))
        writes = frozenset(v for _, v in self.arrays if v in eqn.outvars) | {scratch}
        where = f", at {eqn.source}" if eqn.source else ""
        work = int(self.count * flops)
        alone = n >= LARGE_MATRIX and (self.count < FEW or self.together)
        parallel = not alone and pieces > 1 and work > PARALLEL_WORK
        kernel = Kernel(
            self.source(), (*(v for _, v in self.arrays), scratch), writes,
            (self.count, pieces, self.work, *self.sizes.values()), pieces, parallel, work,
            tuple(e + where for e in self.errors), (eqn,), f"{self.count} {note} by LAPACK",
            error=np.linalg.LinAlgError,
        )  # fmt: skip
        (p.call_at if alone else p.call_blas_at)(kernel, places)
        return True


def _text(eqn: Eqn, wide: bool = True) -> Text | None:
    """The text for an equation; `None` if LAPACK is not for its matrices."""
    (a, *_) = eqn.inputs
    if type(a) is not Var or a.aval.dtype not in BLAS_DTYPES or not a.aval.size:
        return None
    return Text(eqn, a, wide)


def _query(routine: str, dtype: np.dtype, kinds: str, values: Sequence[Any]) -> int:
    """The elements of memory to work in that a routine asks for: `kinds` as in `call_lapack`, with `w` for where."""
    memory = np.zeros(64, dtype)
    cells: list[Any] = []
    for kind, value in zip(kinds, values, strict=True):
        cells.append(
            ctypes.byref(ctypes.c_char(value) if kind == "c" else ctypes.c_int32(value))
            if kind in "ci"
            else ctypes.c_void_p(memory.ctypes.data + (0 if kind == "w" else 16))
        )
    info = ctypes.c_int32(0)
    address = blas.routine(routine, dtype)
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (len(cells) + 1))(address)(*cells, ctypes.byref(info))
    return max(math.ceil(float(memory[0].real) * (1 + 1e-6)), 1)  # float32 may have rounded it


# ------------------------------------------------------------------ systems and triangular factors


def emit_solve(p: Planner, eqn: Eqn) -> bool:
    """`?gesv`; where all systems share a matrix, `?getrf` of it and `?getrs` of all right-hand sides at once."""
    (_, b), (out,) = eqn.inputs, eqn.outvars
    if is_small(eqn) and emit_small_solve(p, eqn):
        return True
    text = _text(eqn)
    if text is None or type(b) is not Var or not out.aval.size:
        return False
    n, k, matrices = text.n, out.aval.shape[-1], text.count
    text.count, systems = math.prod(out.aval.shape[:-2]), math.prod(b.aval.shape[:-2])
    text.sizes["k"] = k
    shared = matrices == 1 and text.count > 1
    if shared:
        text.sizes["a_step"] = 0
    elif matrices != text.count:
        text.spread["a"] = (*out.aval.shape[:-2], n, n)
    if systems not in (1, text.count):
        text.spread["b"] = out.aval.shape
    text.array("b", b, n * k if systems > 1 or text.count == 1 else 0)
    text.array("x", out, n * k)
    text.memory("factors", n * n, text.wide)
    text.memory("pivots", n, np.int32)
    if shared:
        _solve_together(text)
    else:
        text.memory("columns", n * k, text.wide)
        text.bring("columns", "b", "n", "k")
        text.bring("factors", "a", "n", "n")
        text.call("gesv", "iiaiaai", "n, k, factors, n, pivots, columns, n", SINGULAR)
        text.give("x", "columns", "k", "n")
    return text.emit(p, n, n * n * (2 * n / 3 + 2 * k), "systems")


def _solve_together(text: Text) -> None:
    """The right-hand sides of all pieces at hand lie beside each other, to the end of the memory of the last piece."""
    begun, text.lines = text.lines, []
    text.together = True
    each = -(-text.count // text.pieces)
    text.memory("columns", text.n * text.sizes["k"] * each, text.wide)
    text.sizes["system"] = text.n * text.sizes["k"] * text.wide.itemsize
    text.bring("factors", "a_all", "n", "n")
    text.call("getrf", "iiaia", "n, n, factors, n, pivots")
    text.errors.append(SINGULAR)
    text.before = [*text.lines, "if info != 0:", "    store_i64(status, 1)", "    return"]
    text.lines = [*begun]
    text.bring("columns + (i - first) * system", "b", "n", "k")
    inner, text.lines = text.lines, []
    text.call("getrs", "ciiaiaai", f"{ord('N')}, n, k * (last - first), factors, n, pivots, columns, n")
    solve, text.lines = text.lines, []
    text.give("x_all + i * x_step", "columns + (i - first) * system", "k", "n")
    text.after = [*solve, "for i in range(first, last):", *(f"    {line}" for line in text.lines)]
    text.lines = inner


def emit_lu(p: Planner, eqn: Eqn) -> bool:
    """`?getrf`, and the permutation that its pivots make."""
    text = _text(eqn, wide=False)
    if text is None:
        return False
    factors, pivots, permutation = eqn.outvars
    m, n, k = text.m, text.n, min(text.m, text.n)
    text.sizes["k"] = k
    text.array("lu", factors, m * n)
    text.array("pivots", pivots, k)
    text.array("order", permutation, m)
    text.memory("columns", m * n, text.wide)
    text.bring("columns", "a", "m", "n")
    text.call("getrf", "iiaia", "m, n, columns, m, pivots")
    text.give("lu", "columns", "n", "m")
    text.sizes["permute"] = permuter()
    text.add("call_function(permute, (order, pivots, m, k))")
    return text.emit(p, k, m * n * k * 2 / 3, "LU decompositions")


def emit_permutation(p: Planner, eqn: Eqn) -> bool:
    """The order of rows that pivots, counted from zero, make."""
    (pivots,), (out,) = eqn.inputs, eqn.outvars
    if type(pivots) is not Var or pivots.aval.dtype.itemsize > 8 or not out.aval.size:
        return False
    (*batch, n), k = out.aval.shape, pivots.aval.shape[-1]
    text = f"""# lu_pivots_to_permutation
from functrans.compiler.intrinsics import pointer, size
from numba.types import {", ".join(sorted({str(pivots.aval.dtype), "int32", "int64"}))}


def kernel(buffers, sizes, lo, hi):
    pivots = pointer(buffers, 0, {pivots.aval.dtype})
    order = pointer(buffers, 1, int32)
    status = pointer(buffers, 2, int64)
    n = size(sizes, 0)
    k = size(sizes, 1)
    for i in range(lo, hi):
        for j in range(n):
            order[i * n + j] = int32(j)
        for j in range(k):
            other = int64(pivots[i * k + j])
            if other < 0 or other >= n:
                status[0] = 1
                continue
            row = order[i * n + j]
            order[i * n + j] = order[i * n + other]
            order[i * n + other] = row
"""
    error = f"pivots lie in 0 ... {n - 1}" + (f", at {eqn.source}" if eqn.source else "")
    count = math.prod(batch)
    kernel = Kernel(
        text, (pivots, out), frozenset({out}), (n, k), count, count > 1 and out.aval.size > PARALLEL_WORK,
        out.aval.size, (error,), (eqn,), f"{count} permutations",
    )  # fmt: skip
    p.call_at(kernel, [p.read(pivots), p.write(out)])
    return True


def emit_tridiagonal_solve(p: Planner, eqn: Eqn) -> bool:
    """`?gtsv`, in the dtype of the operands, as in eager evaluation."""
    *diagonals, b = eqn.inputs
    (out,) = eqn.outvars
    if type(b) is not Var or b.aval.dtype not in BLAS_DTYPES or not out.aval.size:
        return False
    if not all(type(d) is Var for d in diagonals):
        return False
    text = Text(eqn, b, wide=False)  # its matrix is that of the right-hand sides
    *batch, n, k = out.aval.shape
    text.count = math.prod(batch)
    for name, x in (("a", b), *zip(("below", "middle", "above"), diagonals)):
        own = (n, k) if name == "a" else (n,)
        if name != "a":
            text.array(name, x, n)
        if math.prod(x.aval.shape[: x.aval.ndim - len(own)]) != text.count:
            text.spread[name] = (*batch, *own)
    text.array("x", out, n * k)
    for name in ("lower", "diagonal", "upper"):
        text.memory(name, n, text.wide)
    text.memory("columns", n * k, text.wide)
    text.sizes["width"] = text.wide.itemsize
    for target, source in (("lower", "below"), ("diagonal", "middle"), ("upper", "above")):
        text.bring(target, source, "1", "m")
    text.bring("columns", "a", "m", "n")
    text.call("gtsv", "iiaaaai", "m, n, lower + width, diagonal, upper, columns, m", SINGULAR)
    text.give("x", "columns", "n", "m")
    return text.emit(p, 0, 8 * n * k + 4 * n, "tridiagonal systems")


def emit_determinant(p: Planner, eqn: Eqn) -> bool:
    """From the diagonal of `?getrf`, as NumPy computes them: those of `det` and of `slogdet`."""
    if is_small(eqn):
        return emit_small_determinant(p, eqn)
    text = _text(eqn)
    if text is None:
        return False
    sign, *logarithm = eqn.outvars
    n, one, part, is_complex = text.n, str(text.wide), str(text.real), text.wide.kind == "c"
    text.tokens |= {one, part}
    text.array("sign", sign, 1)
    text.memory("columns", n * n, text.wide)
    text.memory("pivots", n, np.int32)
    text.bring("columns", "a", "n", "n")
    text.call("getrf", "iiaia", "n, n, columns, n, pivots")
    text.pointer("factors", "columns", text.wide)
    text.pointer("swaps", "pivots", np.int32)
    text.add(
        f"phase = {one}(1)",
        f"total = {part}(0)",
        "for j in range(n):",
        "    if swaps[j] != j + 1:",
        "        phase = -phase",
        "    factor = factors[j * n + j]",
        "    length = abs(factor)",
        "    if length == 0:",
        f"        phase = {one}(0)",
        f"        total = -{part}(1e300) * {part}(1e300)",
        "        break",
        "    phase = phase * (factor / length)" if is_complex else "    phase = -phase if factor < 0 else phase",
        "    total += log(length)",
    )
    text.pointer("target", "sign", text.dtype)
    text.tokens.add(str(text.dtype))
    if logarithm:
        text.array("logarithm", logarithm[0], 1)
        text.pointer("real", "logarithm", logarithm[0].aval.dtype)
        text.add(f"target[0] = {text.dtype}(phase)", f"real[0] = {logarithm[0].aval.dtype}(total)")
    else:
        text.add(f"target[0] = {text.dtype}(phase * exp(total))")
    return text.emit(p, n, n**3 * 2 / 3, "determinants")


def emit_qr(p: Planner, eqn: Eqn) -> bool:
    """`?geqrf`, and `?orgqr` where `q` is read."""
    text = _text(eqn)
    if text is None:
        return False
    q, r = eqn.outvars
    m, n, k, few = text.m, text.n, q.aval.shape[-1], min(text.m, text.n)
    generate = ("un" if text.wide.kind == "c" else "or") + "gqr"
    text.sizes |= {"k": k, "few": few, "lwork": 0}
    lwork = _query("geqrf", text.wide, "iiaiawi", (m, n, 0, m, 0, 0, -1))
    text.array("r", r, k * n)
    text.memory("columns", m * max(n, k), text.wide)
    text.memory("factors", few, text.wide)
    if p.is_read(q):
        lwork = max(lwork, _query(generate, text.wide, "iiiaiawi", (m, k, few, 0, m, 0, 0, -1)))
    text.memory("space", lwork, text.wide)
    text.sizes |= {"lwork": lwork, "row_size": n * text.dtype.itemsize, "width": text.dtype.itemsize}
    text.bring("columns", "a", "m", "n")
    text.call("geqrf", "iiaiaai", "m, n, columns, m, factors, space, lwork")
    text.give("r", "columns", "n", "k", "m")
    text.add("for row in range(1, k):", "    zero_bytes(r + row * row_size, min(row, n) * width)")
    if p.is_read(q):
        text.array("q", q, m * k)
        text.call(generate, "iiiaiaai", "m, k, few, columns, m, factors, space, lwork")
        text.give("q", "columns", "k", "m")
    return text.emit(p, few, 4 * m * n * few, "QR decompositions")


def emit_column_order(p: Planner, eqn: Eqn) -> bool:
    """`?geqp3`, of which the order of columns is wanted."""
    text = _text(eqn, wide=False)
    if text is None:
        return False
    (order,) = eqn.outvars
    m, n, few, is_complex = text.m, text.n, min(text.m, text.n), text.wide.kind == "c"
    kinds = "iiaiaaai" + "a" * is_complex
    query = "iiaiaawi" + "a" * is_complex
    lwork = _query("geqp3", text.wide, query, (m, n, 0, m, 0, 0, 0, -1, *((0,) if is_complex else ())))
    text.sizes["lwork"] = lwork
    text.array("order", order, n)
    text.memory("columns", m * n, text.wide)
    text.memory("factors", few, text.wide)
    text.memory("reals", 2 * n if is_complex else 0, text.real)
    text.memory("space", lwork, text.wide)
    text.bring("columns", "a", "m", "n")
    text.pointer("place", "order", np.int32)
    text.add("for j in range(n):", "    place[j] = 0")
    text.call("geqp3", kinds, "m, n, columns, m, order, factors, space, lwork" + (", reals" if is_complex else ""))
    text.add("for j in range(n):", "    place[j] -= 1")
    return text.emit(p, few, 4 * m * n * few, "QR decompositions with pivoting")


# ------------------------------------------------------------------ eigenvalues and singular values


def emit_eigh(p: Planner, eqn: Eqn) -> bool:
    """`?syevd` and `?heevd`; without vectors where they are not read."""
    text = _text(eqn)
    if text is None:
        return False
    w, v = eqn.outvars
    n, vectors, is_complex = text.n, p.is_read(v), text.wide.kind == "c"
    job = b"V" if vectors else b"N"
    routine, kinds = ("heevd", "cciaiaaiaiai") if is_complex else ("syevd", "cciaiaaiai")
    query = kinds.replace("aaiai", "awiai", 1)
    lwork = _query(routine, text.wide, query, (job, b"L", n, 0, n, 0, 0, -1, *((0, -1) * (2 if is_complex else 1))))
    lrwork, liwork = (1 + 5 * n + 2 * n * n, 3 + 5 * n) if vectors else (n, 1)
    text.sizes |= {"job": ord(job), "lwork": lwork, "lrwork": lrwork, "liwork": liwork}
    text.array("w", w, n)
    text.memory("columns", n * n, text.wide)
    text.memory("values", n, text.real)
    text.memory("space", lwork, text.wide)
    text.memory("reals", lrwork if is_complex else 0, text.real)
    text.memory("integers", liwork, np.int32)
    text.bring("columns", "a", "n", "n")
    last = "reals, lrwork, integers, liwork" if is_complex else "integers, liwork"
    text.call(routine, kinds, f"job, {ord('L')}, n, columns, n, values, space, lwork, {last}", NO_EIGENVALUES)
    text.give_reals("w", "values", "n")
    if vectors:
        text.array("v", v, n * n)
        text.give("v", "columns", "n", "n")
    return text.emit(p, n, (9 if vectors else 4 / 3) * n**3, "spectral decompositions")


def emit_svd(p: Planner, eqn: Eqn) -> bool:
    """`?gesdd`."""
    text = _text(eqn)
    if text is None:
        return False
    m, n, k, is_complex = text.m, text.n, min(text.m, text.n), text.wide.kind == "c"
    vectors, full = eqn.params["compute_uv"], eqn.params["full_matrices"]
    s = eqn.outvars[1 if vectors else 0]
    left, right = (m, n) if full else (k, k)
    job = b"N" if not vectors else b"A" if full else b"S"
    kinds = "ciiaiaaiaiai" + ("aa" if is_complex else "a")
    values = (job, m, n, 0, m, 0, 0, m, 0, right, 0, -1, *((0, 0) if is_complex else (0,)))
    lwork = _query("gesdd", text.wide, "ciiaiaaiaiwi" + kinds[12:], values)
    lrwork = max(5 * k * k + 5 * k, 2 * max(m, n) * k + 2 * k * k + k) if vectors else 7 * k
    text.sizes |= {"job": ord(job), "k": k, "left": left, "right": right, "lwork": lwork}
    text.array("s", s, k)
    text.memory("columns", m * n, text.wide)
    text.memory("values", k, text.real)
    text.memory("lefts", m * left if vectors else 0, text.wide)
    text.memory("rights", right * n if vectors else 0, text.wide)
    text.memory("space", lwork, text.wide)
    text.memory("reals", lrwork if is_complex else 0, text.real)
    text.memory("integers", 8 * k, np.int32)
    text.bring("columns", "a", "m", "n")
    last = "reals, integers" if is_complex else "integers"
    text.call(
        "gesdd", kinds, f"job, m, n, columns, m, values, lefts, m, rights, right, space, lwork, {last}",
        NO_SINGULAR_VALUES,
    )  # fmt: skip
    text.give_reals("s", "values", "k")
    if vectors:
        text.array("u", eqn.outvars[0], m * left)
        text.give("u", "lefts", "left", "m")
        text.array("vh", eqn.outvars[2], right * n)
        text.give("vh", "rights", "n", "right")
    return text.emit(p, k, 4 * m * n * k + (22 * k**3 if vectors else 0), "singular value decompositions")


def emit_eig(p: Planner, eqn: Eqn) -> bool:
    """`?geev`; of a real matrix the vectors of a pair of eigenvalues are two columns, real and imaginary parts."""
    text = _text(eqn)
    if text is None:
        return False
    w, v = eqn.outvars
    n, vectors, is_complex = text.n, p.is_read(v), text.wide.kind == "c"
    job = b"V" if vectors else b"N"
    kinds = "cciaiaaiaiaia" if is_complex else "cciaiaaaiaiai"
    values: tuple[Any, ...] = (b"N", job, n, 0, n, *((0,) if is_complex else (0, 0)), 0, 1, 0, n, 0, -1)
    query = "cciaiaaiaiwi" if is_complex else "cciaiaaaiaiwi"
    lwork = _query("geev", text.wide, query + "a" * is_complex, (*values, *((0,) if is_complex else ())))
    text.sizes |= {"job": ord(job), "lwork": lwork}
    text.array("w", w, n)
    text.memory("columns", n * n, text.wide)
    text.memory("values", n, text.wide)
    text.memory("reals", 2 * n, text.real)
    text.memory("vectors", n * n, text.wide)
    text.memory("space", lwork, text.wide)
    text.pointer("elements", "a", text.dtype)
    text.add("nothing = 0.0", "for j in range(n * n):", "    nothing += abs(elements[j] * 0)")
    text.fail("nothing != 0", NOT_FINITE)
    text.bring("columns", "a", "n", "n")
    first, last = f"{ord('N')}, job, n, columns, n", "columns, 1, vectors, n, space, lwork"
    if is_complex:
        text.call("geev", kinds, f"{first}, values, {last}, reals", NO_EIGENVALUES)
        text.give("w", "values", "n", "1")
        if vectors:
            text.array("v", v, n * n)
            text.give("v", "vectors", "n", "n")
        return text.emit(p, n, 25 * n**3, "eigenvalue decompositions")
    text.call("geev", kinds, f"{first}, values, reals, {last}", NO_EIGENVALUES)
    text.pointer("real", "values", text.real)
    text.pointer("imaginary", "reals", text.real)
    text.pointer("found", "w", w.aval.dtype)
    text.add("for j in range(n):", f"    found[j] = {w.aval.dtype}(complex(real[j], imaginary[j]))")
    if vectors:
        text.array("v", v, n * n)
        text.pointer("given", "vectors", text.real)
        text.pointer("target", "v", v.aval.dtype)
        text.add(
            "for j in range(n):",
            "    pair = j - 1 if imaginary[j] < 0 else j",
            "    turn = 1.0 if imaginary[j] > 0 else -1.0 if imaginary[j] < 0 else 0.0",
            "    beside = pair if turn == 0 else pair + 1",
            "    for row in range(n):",
            "        part = complex(given[pair * n + row], given[beside * n + row] * turn)",
            f"        target[row * n + j] = {v.aval.dtype}(part)",
        )
    return text.emit(p, n, 25 * n**3, "eigenvalue decompositions")


#: How each equation is done by LAPACK.
LAPACK: dict[str, Emitter] = {
    "solve": emit_solve,
    "lu": emit_lu,
    "lu_pivots_to_permutation": emit_permutation,
    "tridiagonal_solve": emit_tridiagonal_solve,
    "det": emit_determinant,
    "slogdet": emit_determinant,
    "qr": emit_qr,
    "qr_column_order": emit_column_order,
    "eigh": emit_eigh,
    "eig": emit_eig,
    "svd": emit_svd,
}
