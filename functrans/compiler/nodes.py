"""Nodes: the scalar expressions that loop nests compute, and the builder `k` with which `lower` rules write them.

A rule `lower(k, idx, *operands, **params) -> Node` gives the node of the element at `idx`, a tuple of index nodes, one
for each axis of the result. `operands[j].aval` is the aval of an operand and `operands[j].at(*idx)` the node of one of
its elements. Nodes are hash-consed, so equal expressions are one node; each knows the loop variables on which it
depends, and is computed at the outermost loop where they are known.

The builder
-----------
`k.op(template, *nodes, dtype=None)`
    A scalar expression of result dtype `dtype` (default: that of the first node).
`k.const(value, dtype)`
    A constant, exact in every dtype (nan, inf, -0.0, the largest uint64 and complex values too).
`k.convert(node, dtype)`
    The conversion that `ndarray.astype` makes: truncation to integers, wraparound between integers, the real part of a
    complex value, `!= 0` for bool.
`k.bitcast(node, dtype)`
    The same bits as another dtype of the same width.
`k.where(c, a, b)`
    `a` where the bool node `c` holds, else `b`; both are evaluated. Also for index nodes.
`k.guard(c, thunk, other)`
    `thunk()` where `c` holds, else `other` (a node, or again a thunk). Reads inside a thunk happen only where its
    condition says so: use it wherever an index may lie outside its axis (pad, concatenate).
`k.size(n)`
    The integer `n` as an index node: literal up to UNROLL_LIMIT = 16, a run-time argument beyond. Python integers that
    meet an index node in arithmetic become sizes by themselves: write `idx[0] + start`, `idx[0] < n`.
`k.checked(i, n, what)`
    The index `i`, which has to lie in [0, n): otherwise `what` is reported (IndexError) and `i` is clamped.
`k.ravel(idx, shape)`, `k.unravel(flat, shape)`
    The flat row-major position of an index, and the index of a flat position. Use these (as reshape does) rather than
    own `//` and `%`: they cancel exactly.
`k.clip(i, lo, hi)`
    An index clamped to [lo, hi].

Index nodes are int64 nodes and carry `+ - * // % < <= > >= == != & | ~` (and `.eq`, `.ne`). `//` and `%` are
Python's; their divisor is positive. An integer node of data is an index after `k.convert(node, np.dtype("int64"))`; an
index node is data (int64) wherever a node is expected. Arithmetic on index nodes is that of polynomials in loop
variables and sizes, so that `ravel(unravel(flat))` is `flat` again, and conditions that hold (or fail) over the whole
loop are decided here.

Templates
---------
The text of one Python expression, with `{0}`, `{1}`, ... for the operands. It is parsed, not pasted, so operands need
no parentheses. Its *compute dtype* is the dtype of operand 0 (or `compute=`).

- Operators: `+ - * / ** < <= > >= == != & | ^ << >> not`, unary `-` and `~`, attributes `.real` and `.imag`,
  `a if c else b` (a select of values, both are evaluated). No `and`, `or`, `//`, `%`: write `&`, `|`,
  `floor_divide(a, b)`, `remainder(a, b)`.
- Numbers take the compute dtype: `0.5 * {0}` is float32 on float32, `{0} + 1` is uint64 on uint64. Names `inf`, `nan`,
  `pi` are such numbers too. Inside `.real`/`.imag` arithmetic on complex operands numbers are of the real part's dtype:
  name it by `real(0.5)`.
- Integers wrap around in their own dtype; `/` is for floats and complex values only (convert first).
- bool operands: `& | ^ not == !=`; arithmetic on bool has to be written as logic.
- Calls `f(a, ...)` are resolved by the compute dtype, in this order: `f_f64`, `f_f32` (float16 and bfloat16 compute in
  float32), `f_c128`, `f_c64`, `f_i64`, ... of `functrans.compiler.mathematics`; then the functions of
  `functrans.compiler.scalars`; then `math.f` or, on complex values, `cmath.f`, as Numba knows them.
  Names are NumPy's (`arcsin`, `maximum`, `floor_divide`, `left_shift`, `where(c, a, b)`, `less`, `logical_and`,
  `complex(re, im)`, ...), and so are results (zero divisors, NaN, signed zeros).
- float16 and bfloat16 operands arrive as float32, and the result is rounded to their dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.compiler import templates
from functrans.compiler.templates import (
    INTRINSICS,
    SCALARS,
    Resolved,
    compute_dtype,
    constant_text,
    rounded,
    small_float,
)
from functrans.core.avals import ShapedArray, kind_of
from functrans.core.jaxpr import Var
from functrans.transforms.simplify import LARGEST_WRITTEN

UNROLL_LIMIT = LARGEST_WRITTEN
INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)

Bounds = tuple[int, int] | None


class Node:
    """A scalar expression. `args` depends on `kind`; operands come before whatever is added to them here.

    | kind | args |
    |---|---|
    | `const` | value |
    | `size` | value |
    | `var` | extent (a loop variable) |
    | `poly` | terms: (coefficient, factors) |
    | `floordiv` | numerator, denominator |
    | `op` | resolved template, operands |
    | `load` | variable, offset |
    | `guard` | condition, value where it holds, other value |
    | `checked` | index, limit, message |
    | `reduce` | combine, identity, body, loop variables |
    """

    __slots__ = ("args", "bounds", "builder", "cost", "deps", "dtype", "kind", "rank", "serial", "unsafe")

    def __init__(
        self,
        builder: KernelBuilder,
        kind: str,
        args: tuple[Any, ...],
        dtype: np.dtype,
        operands: Sequence[Node],
        cost: int,
        bounds: Bounds,
    ):
        self.builder, self.kind, self.args, self.dtype, self.cost, self.bounds = (
            builder,
            kind,
            args,
            dtype,
            cost,
            bounds,
        )
        self.serial = builder.serial()
        self.deps: frozenset[Node] = frozenset().union(*[n.deps for n in operands]) if operands else frozenset()
        self.rank = max((n.rank for n in operands), default=0)  # how many reductions come before
        self.unsafe = any(n.unsafe for n in operands)  # may read out of bounds: only inside its guard

    @property
    def operands(self) -> tuple[Node, ...]:
        if self.kind in ("const", "size", "var"):
            return ()
        if self.kind == "poly":
            return tuple(f for _, factors in self.args for f in factors)
        if self.kind == "op":
            return self.args[1:]
        if self.kind in ("load", "checked"):
            return (self.args[1],) if self.kind == "load" else self.args[:2]
        return (self.args[2],) if self.kind == "reduce" else self.args

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Node:
        return self.builder.add(self, other, 1)

    def __radd__(self, other: Any) -> Node:
        return self.builder.add(self, other, 1)

    def __sub__(self, other: Any) -> Node:
        return self.builder.add(self, other, -1)

    def __rsub__(self, other: Any) -> Node:
        return self.builder.add(self.builder.index(other), self, -1)

    def __neg__(self) -> Node:
        return self.builder.mul(self, -1)

    def __mul__(self, other: Any) -> Node:
        return self.builder.mul(self, other)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Node:
        return self.builder.floordiv(self, self.builder.index(other))

    def __mod__(self, other: Any) -> Node:
        divisor = self.builder.index(other)
        return self - divisor * self.builder.floordiv(self, divisor)

    def __lt__(self, other: Any) -> Node:
        return self.builder.compare("<", self, other)

    def __le__(self, other: Any) -> Node:
        return self.builder.compare("<=", self, other)

    def __gt__(self, other: Any) -> Node:
        return self.builder.compare(">", self, other)

    def __ge__(self, other: Any) -> Node:
        return self.builder.compare(">=", self, other)

    def __eq__(self, other: Any) -> Node:  # type: ignore[override]
        return self.builder.compare("==", self, other)

    def __ne__(self, other: Any) -> Node:  # type: ignore[override]
        return self.builder.compare("!=", self, other)

    eq, ne = __eq__, __ne__

    def __and__(self, other: Node) -> Node:
        return self.builder.logic("&", self, other)

    def __or__(self, other: Node) -> Node:
        return self.builder.logic("|", self, other)

    def __invert__(self) -> Node:
        if self.kind == "const":
            return self.builder.const(not self.args[0], BOOL)
        return self.builder.op("not {0}", self, dtype=BOOL)

    def __bool__(self) -> bool:
        raise TypeError("a node has no truth value in Python: use k.where or k.guard")

    def __repr__(self) -> str:
        return f"<{self.kind} {self.serial}: {self.dtype}>"


class KernelBuilder:
    """The `k` of lowering rules: makes the nodes of one kernel, each distinct expression once."""

    def __init__(self) -> None:
        self._interned: dict[Any, Node] = {}
        self._count = 0
        self._guards = 0
        #: The loop variable that steps through memory: guards on others become choices of an index.
        self.innermost: Node | None = None

    def serial(self) -> int:
        self._count += 1
        return self._count

    def _node(
        self,
        key: tuple[Any, ...],
        args: tuple[Any, ...],
        dtype: np.dtype,
        operands: Sequence[Node] = (),
        cost: int = 0,
        bounds: Bounds = None,
    ) -> Node:
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = Node(self, key[0], args, dtype, operands, cost, bounds)
        return node

    # ---------------------------------------------------------------- leaves

    def const(self, value: Any, dtype: Any) -> Node:
        dtype = np.dtype(dtype)
        text = constant_text(value, dtype)
        scalar = np.asarray(value).astype(dtype)[()]
        bounds = (int(scalar), int(scalar)) if dtype == INT64 else None
        return self._node(("const", text, dtype), (scalar,), dtype, bounds=bounds)

    def size(self, n: int) -> Node:
        n = int(n)
        if abs(n) <= UNROLL_LIMIT:
            return self.const(n, INT64)
        if n < 0:
            return self.mul(self.size(-n), -1)
        return self._node(("size", n), (n,), INT64, bounds=(n, n))

    def index(self, value: Any) -> Node:
        """An index node as it is; a Python integer as a size."""
        return value if isinstance(value, Node) else self.size(value)

    def variable(self, extent: int) -> Node:
        """A new loop variable that runs over [0, extent)."""
        node = Node(self, "var", (extent,), INT64, (), 0, (0, max(extent - 1, 0)))
        node.deps = frozenset((node,))
        return node

    # ---------------------------------------------------------------- index arithmetic

    def _terms(self, node: Node) -> dict[tuple[int, ...], tuple[int, tuple[Node, ...]]]:
        """The polynomial of a node: (coefficient, factors) by the serial numbers of the factors."""
        if node.kind == "const":
            return {(): (int(node.args[0]), ())} if node.args[0] else {}
        if node.kind == "poly":
            return {tuple(f.serial for f in factors): (c, factors) for c, factors in node.args}
        return {(node.serial,): (1, (node,))}

    def _poly(self, terms: dict[tuple[int, ...], tuple[int, tuple[Node, ...]]]) -> Node:
        kept = sorted((key, term) for key, term in terms.items() if term[0])
        if not kept:
            return self.const(0, INT64)
        if len(kept) == 1:
            coefficient, factors = kept[0][1]
            if not factors:
                return self.const(coefficient, INT64)
            if coefficient == 1 and len(factors) == 1:
                return factors[0]
        args = tuple(term for _, term in kept)
        operands = [f for _, factors in args for f in factors]
        key = ("poly", tuple((c, k) for k, (c, _) in kept))
        return self._node(key, args, INT64, operands, len(args), _poly_bounds(args))

    def add(self, a: Node, b: Any, sign: int) -> Node:
        terms = dict(self._terms(self._int64(a)))
        for key, (c, factors) in self._terms(self._int64(self.index(b))).items():
            terms[key] = (terms[key][0] + sign * c if key in terms else sign * c, factors)
        return self._poly(terms)

    def mul(self, a: Node, b: Any) -> Node:
        if isinstance(b, int) and abs(b) <= UNROLL_LIMIT:
            return self._poly({key: (c * b, f) for key, (c, f) in self._terms(self._int64(a)).items()})
        terms: dict[tuple[int, ...], tuple[int, tuple[Node, ...]]] = {}
        others = list(self._terms(self._int64(self.index(b))).values())
        for c, factors in self._terms(self._int64(a)).values():
            for d, more in others:
                product = tuple(sorted(factors + more, key=lambda f: f.serial))
                key = tuple(f.serial for f in product)
                terms[key] = (terms[key][0] + c * d if key in terms else c * d, product)
        return self._poly(terms)

    def floordiv(self, a: Node, b: Node) -> Node:
        """`a // b` for positive `b`: exact quotients are taken out, so that remainders cancel."""
        divisor = list(self._terms(b).values())
        if a.kind == "floordiv":
            return self.floordiv(a.args[0], self.mul(a.args[1], b))
        if len(divisor) != 1:
            return self._node(("floordiv", a.serial, b.serial), (a, b), INT64, (a, b), 8)
        (coefficient, factors), quotient, rest = divisor[0], {}, {}
        for key, (c, own) in self._terms(a).items():
            left = _without(own, factors) if c % coefficient == 0 else None
            if left is None:
                rest[key] = (c, own)
            else:
                quotient[tuple(f.serial for f in left)] = (c // coefficient, left)
        r, value = self._poly(rest), b.bounds[0] if b.bounds else None
        whole = self._poly(quotient)
        if r.kind == "const" and r.args[0] == 0:
            return whole
        if value is not None and r.bounds is not None and r.bounds[0] // value == r.bounds[1] // value:
            return self.add(whole, r.bounds[0] // value, 1)
        bounds = (r.bounds[0] // value, r.bounds[1] // value) if value and r.bounds else None
        if r.kind == "floordiv":
            return self.add(whole, self.floordiv(r, b), 1)
        return self.add(whole, self._node(("floordiv", r.serial, b.serial), (r, b), INT64, (r, b), 8, bounds), 1)

    def ravel(self, idx: Sequence[Node], shape: Sequence[int]) -> Node:
        flat = self.const(0, INT64)
        for i, n in zip(idx, shape):
            if n != 1:
                flat = flat * self.size(n) + i
        return flat

    def unravel(self, flat: Node, shape: Sequence[int]) -> list[Node]:
        idx = [self.const(0, INT64)] * len(shape)
        axes = [d for d, n in enumerate(shape) if n != 1]
        for d in reversed(axes[1:]):
            size = self.size(shape[d])
            idx[d] = flat % size
            flat = flat // size
        if axes:
            idx[axes[0]] = flat
        return idx

    def clip(self, i: Any, lo: Any, hi: Any) -> Node:
        i, lo, hi = self.index(i), self.index(lo), self.index(hi)
        if all(n.bounds for n in (i, lo, hi)) and i.bounds[0] >= lo.bounds[1] and i.bounds[1] <= hi.bounds[0]:
            return i
        node = self.op("minimum(maximum({0}, {1}), {2})", i, lo, hi, dtype=INT64)
        if lo.bounds and hi.bounds:
            node.bounds = (min(lo.bounds[0], hi.bounds[0]), hi.bounds[1])
        return node

    def _int64(self, node: Node) -> Node:
        return node if node.dtype == INT64 else self.convert(node, INT64)

    def compare(self, operator: str, a: Node, b: Any) -> Node:
        if not isinstance(b, Node):
            b = self.size(b) if a.dtype == INT64 else self.const(b, a.dtype)
        if a.dtype == b.dtype == INT64:
            difference = self.add(a, b, -1)
            if difference.bounds is not None:
                known = _decide(operator, *difference.bounds)
                if known is not None:
                    return self.const(known, BOOL)
        return self.op(f"{{0}} {operator} {{1}}", a, b, dtype=BOOL)

    def logic(self, operator: str, a: Node, b: Node) -> Node:
        for x, y in ((a, b), (b, a)):
            if x.kind == "const" and x.dtype == BOOL:
                return (y if x.args[0] else x) if operator == "&" else (x if x.args[0] else y)
        return self.op(f"{{0}} {operator} {{1}}", a, b, dtype=a.dtype)

    # ---------------------------------------------------------------- values

    def op(self, template: str, *nodes: Node, dtype: Any = None, compute: Any = None) -> Node:
        result = np.dtype(dtype) if dtype is not None else nodes[0].dtype
        first = np.dtype(compute) if compute is not None else nodes[0].dtype if nodes else result
        if template in ("{0}", "({0})"):
            return self.convert(nodes[0], result)
        return self._apply(templates.resolve(template, first, result), nodes, result)

    def _apply(self, resolved: Resolved, nodes: Sequence[Node], dtype: np.dtype, bounds: Bounds = None) -> Node:
        key = ("op", resolved.text, dtype, *[n.serial for n in nodes])
        return self._node(key, (resolved, *nodes), dtype, nodes, resolved.cost, bounds)

    def convert(self, node: Node, dtype: Any) -> Node:
        to, of = np.dtype(dtype), node.dtype
        if to == of:
            return node
        if node.kind == "const":
            with np.errstate(all="ignore"):
                return self.const(node.args[0].real if of.kind == "c" and to.kind not in "cb" else node.args[0], to)
        if to.kind == "b":
            return self.op("truth({0})", node, dtype=to)
        if of.kind == "c" and to.kind != "c":
            real = np.dtype(f"f{of.itemsize // 2}")
            return self.convert(self.op("{0}.real", node, dtype=real), to)
        text, imports = f"{compute_dtype(to)}({{0}})", frozenset[tuple[str, str]]()
        if kind_of(of) == "f" and to == np.uint64:
            text, imports = "float_to_uint64({0})", frozenset({(SCALARS, "float_to_uint64")})
        elif kind_of(of) == "f" and to.kind in "iu" and to.itemsize < 4 + 4 * (to.kind == "u"):
            text = f"{to}(int64({{0}}))"
        elif small_float(to):
            text, imports = rounded("float32({0})", to)
        elif small_float(of) and to == np.float32:
            return self._apply(Resolved("{0}", imports, 0), (node,), to)
        return self._apply(Resolved(text, imports, 1), (node,), to, node.bounds if to == INT64 else None)

    def bitcast(self, node: Node, dtype: Any) -> Node:
        to = np.dtype(dtype)
        if to == node.dtype:
            return node
        source, imports = "{0}", {(SCALARS, "bitcast")}
        given, wanted = small_float(node.dtype), small_float(to)
        if given:
            source, imports = f"{given[1]}({{0}})", imports | {(INTRINSICS, given[1])}
        text = f"bitcast({source}, {'uint16' if wanted else to})"
        if wanted:
            text, imports = f"{wanted[0]}({text})", imports | {(INTRINSICS, wanted[0])}
        return self._apply(Resolved(text, frozenset(imports), 0), (node,), to)

    def where(self, c: Node, a: Any, b: Any) -> Node:
        a = a if isinstance(a, Node) else self.index(a)
        b = b if isinstance(b, Node) else self.index(b)
        if c.kind == "const":
            return a if c.args[0] else b
        if a is b:
            return a
        node = self.op("where({0}, {1}, {2})", c, a, b, dtype=a.dtype)
        if a.bounds and b.bounds:
            node.bounds = (min(a.bounds[0], b.bounds[0]), max(a.bounds[1], b.bounds[1]))
        return node

    def guard(self, c: Node, thunk: Callable[[], Node], other: Node | Callable[[], Node]) -> Node:
        if c.kind == "const":
            if c.args[0]:
                return thunk()
            return other if isinstance(other, Node) else other()
        self._guards += 1
        try:
            a = thunk()
            b = other if isinstance(other, Node) else other()
        finally:
            self._guards -= 1
        if a is b:
            return a
        if not a.unsafe and not b.unsafe:
            return self.where(c, a, b)
        nested = self._guards > 0
        if a.kind == b.kind == "load" and a.args[0] is b.args[0] and self.innermost not in c.deps:
            return self.load(a.args[0], self.choose_index(c, a.args[1], b.args[1]), safe=not nested)
        node = self._node(("guard", c.serial, a.serial, b.serial, nested), (c, a, b), a.dtype, (c, a, b), 2)
        node.unsafe = c.unsafe or nested  # what is inside may rely on the guards outside as well
        return node

    def choose_index(self, c: Node, a: Node, b: Node) -> Node:
        """`where(c, a, b)`, with what the two indices have in common added afterwards: it may belong further inside."""
        ours, theirs = self._terms(a), self._terms(b)
        common = {key: t for key, t in ours.items() if key in theirs and theirs[key][0] == t[0]}
        shared = self._poly(common)
        return self.where(c, self.add(a, shared, -1), self.add(b, shared, -1)) + shared

    def checked(self, i: Node, n: Any, what: str) -> Node:
        limit = self.index(n)
        i = self._int64(i)
        if i.bounds and limit.bounds and i.bounds[0] >= 0 and i.bounds[1] < limit.bounds[0]:
            return i
        pinned = self._guards > 0
        key = ("checked", i.serial, limit.serial, what, pinned)
        bounds = (0, max(limit.bounds[1] - 1, 0)) if limit.bounds else None
        node = self._node(key, (i, limit, what), INT64, (i, limit), 3, bounds)
        node.unsafe = node.unsafe or pinned
        return node

    def load(self, var: Var, offset: Node, safe: bool) -> Node:
        node = self._node(("load", id(var), offset.serial), (var, offset), var.aval.dtype, (offset,), 1)
        node.unsafe = offset.unsafe or not safe
        return node

    def reduce(
        self, combine: str, identity: Any, body: Node, variables: tuple[Node, ...], within: tuple[Node, ...] = ()
    ) -> Node:
        """The combination of `body` over loop variables that it binds, whose ranges depend on those of `within`."""
        key = ("reduce", combine, constant_text(identity, body.dtype), body.serial, *[v.serial for v in variables])
        node = self._node(key, (combine, identity, body, variables), body.dtype, (body,), 1)
        node.deps = (body.deps - frozenset(variables)) | frozenset(within)
        node.rank = body.rank + 1
        return node


def _poly_bounds(terms: tuple[tuple[int, tuple[Node, ...]], ...]) -> Bounds:
    low = high = 0
    for coefficient, factors in terms:
        lo = hi = coefficient
        for f in factors:
            if f.bounds is None:
                return None
            corners = [a * b for a in (lo, hi) for b in f.bounds]
            lo, hi = min(corners), max(corners)
        low, high = low + lo, high + hi
    return low, high


def _without(factors: tuple[Node, ...], removed: tuple[Node, ...]) -> tuple[Node, ...] | None:
    """Factors less those of a divisor, or None if they do not contain them."""
    left = list(factors)
    for r in removed:
        for position, f in enumerate(left):
            if f is r:
                del left[position]
                break
        else:
            return None
    return tuple(left)


def _decide(operator: str, lo: int, hi: int) -> bool | None:
    """Whether a difference within [lo, hi] always (or never) compares to zero like this."""
    always = {"<": hi < 0, "<=": hi <= 0, ">": lo > 0, ">=": lo >= 0, "==": lo == hi == 0, "!=": lo > 0 or hi < 0}
    never = {"<": lo >= 0, "<=": lo > 0, ">": hi <= 0, ">=": hi < 0, "==": lo > 0 or hi < 0, "!=": lo == hi == 0}
    return True if always[operator] else False if never[operator] else None


__all__ = ["BOOL", "INT64", "UNROLL_LIMIT", "KernelBuilder", "Node", "ShapedArray"]
