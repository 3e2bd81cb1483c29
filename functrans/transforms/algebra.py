"""The algebra of simplification: what one equation is equal to, by primitive.

A rule looks at an equation and at what defines its operands, and gives an atom with the same elements, bit for bit:
x * 0 stays (x may be NaN), x + 0.0 stays (x may be -0.0), x - 0.0 is x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray, kind_of
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal
from functrans.transforms.simplify import Builder, Rule, make_literal


def first(*rules: Rule) -> Rule:
    """What the first rule that applies says."""

    def rule(b: Builder, eqn: Eqn) -> Any:
        for r in rules:
            found = r(b, eqn)
            if found is not None:
                return found
        return None

    return rule


def fits(atom: Atom, aval: ShapedArray) -> bool:
    """Whether an atom can stand where a value of this type is."""
    return atom.aval.shape == aval.shape and atom.aval.dtype == aval.dtype


def literal_value(atom: Atom) -> Any:
    """The value of a literal as a NumPy scalar; `None` for variables."""
    return np.asarray(atom.value, atom.aval.dtype)[()] if type(atom) is Literal else None


def is_value(atom: Atom, value: Any) -> bool:
    """Whether an atom is the literal of this value, the sign of zero included."""
    known = literal_value(atom)
    if known is None or known.dtype.kind == "c" or known != value:
        return False
    return kind_of(known.dtype) != "f" or bool(np.signbit(known)) == bool(np.signbit(value))


def out_aval(eqn: Eqn) -> ShapedArray:
    return eqn.outvars[0].aval


# ------------------------------------------------------------------ arithmetic


def neutral(value: Any, integer_value: Any = None, right_only: bool = False) -> Rule:
    """`x op value` is x, and `value op x` too unless `right_only`."""

    def rule(b: Builder, eqn: Eqn) -> Atom | None:
        x, y = eqn.inputs
        aval = out_aval(eqn)
        unit = integer_value if integer_value is not None and aval.dtype.kind in "iub" else value
        if is_value(y, unit) and fits(x, aval):
            return x
        if not right_only and is_value(x, unit) and fits(y, aval):
            return y
        return None

    return rule


def absorbing(value: Any, kinds: str) -> Rule:
    """`x op value` is the value, for dtypes of these kinds."""

    def rule(b: Builder, eqn: Eqn) -> Atom | None:
        aval = out_aval(eqn)
        if aval.dtype.kind in kinds and any(is_value(a, value) for a in eqn.inputs):
            return b.splat(value, aval, eqn.source)
        return None

    return rule


def idempotent(b: Builder, eqn: Eqn) -> Atom | None:
    """`x op x` is x."""
    x, y = eqn.inputs
    return x if x is y and fits(x, out_aval(eqn)) else None


def involution(b: Builder, eqn: Eqn) -> Atom | None:
    """`f(f(x))` is x."""
    inner = b.defined_by(eqn.inputs[0], eqn.primitive.name)
    return inner.inputs[0] if inner is not None and fits(inner.inputs[0], out_aval(eqn)) else None


def add_of_neg(b: Builder, eqn: Eqn) -> Atom | None:
    """`x + (-y)` is x - y."""
    for x, y in (eqn.inputs, eqn.inputs[::-1]):
        neg = b.defined_by(y, "neg")
        if neg is not None:
            return b.bind("sub", x, neg.inputs[0], aval=out_aval(eqn), source=eqn.source)
    return None


def add_of_update(b: Builder, eqn: Eqn) -> Atom | None:
    """`x` plus zeros with some elements set or added to is an update of `x`, as backward passes of indexing make them.

    (Up to the sign of zeros, and the order of the sums where an element is added to twice.)
    """
    if not all(fits(a, out_aval(eqn)) for a in eqn.inputs):
        return None  # one of them is broadcast
    for x, y in (eqn.inputs, eqn.inputs[::-1]):
        scattered = b.defined_by(y, "scatter_add")
        if scattered is not None and _is_zeros(b, scattered.inputs[0]):
            inputs = (x, *scattered.inputs[1:])
            return b.bind("scatter_add", *inputs, aval=out_aval(eqn), source=eqn.source, **scattered.params)
        block = b.defined_by(y, "dynamic_update_slice")
        if block is None or not _is_zeros(b, block.inputs[0]):
            continue
        _, update, *starts = block.inputs
        if update.aval.size * 4 > x.aval.size:
            continue
        aval = update.aval
        old = b.bind("dynamic_slice", x, *starts, aval=aval, source=eqn.source, slice_sizes=aval.shape)
        new = b.bind("add", old, update, aval=aval, source=eqn.source)
        return b.bind("dynamic_update_slice", x, new, *starts, aval=out_aval(eqn), source=eqn.source)
    return None


def _is_zeros(b: Builder, atom: Atom) -> bool:
    literal = b.splat_literal(atom)
    return literal is not None and literal_value(literal) == 0


def sub_of_neg(b: Builder, eqn: Eqn) -> Atom | None:
    """`x - (-y)` is x + y."""
    neg = b.defined_by(eqn.inputs[1], "neg")
    if neg is None:
        return None
    return b.bind("add", eqn.inputs[0], neg.inputs[0], aval=out_aval(eqn), source=eqn.source)


def product_of_negs(b: Builder, eqn: Eqn) -> Atom | None:
    """`(-x) * (-y)` is x * y, and (-x) * 2 is x * -2; likewise quotients."""
    if out_aval(eqn).dtype.kind not in "f":
        return None
    inner = [b.defined_by(a, "neg") for a in eqn.inputs]
    if all(inner):
        inputs: list[Atom] = [e.inputs[0] for e in inner if e is not None]
    else:
        inputs = []
        for a, e in zip(eqn.inputs, inner):
            if e is None and type(a) is not Literal:
                return None
            inputs.append(make_literal(-literal_value(a), a.aval) if e is None else e.inputs[0])
        if all(e is None for e in inner):
            return None
    return b.bind(eqn.primitive.name, *inputs, aval=out_aval(eqn), source=eqn.source)


def times_minus_one(b: Builder, eqn: Eqn) -> Atom | None:
    """`x * -1` is -x."""
    if out_aval(eqn).dtype.kind != "f":
        return None
    for x, y in (eqn.inputs, eqn.inputs[::-1]):
        if is_value(y, -1) and fits(x, out_aval(eqn)):
            return b.bind("neg", x, aval=out_aval(eqn), source=eqn.source)
    return None


def small_power(b: Builder, eqn: Eqn) -> Atom | None:
    """Powers 0, 1, 2, 3 and -1 of real numbers as products."""
    x, exponent = eqn.inputs
    aval = out_aval(eqn)
    if type(exponent) is not Literal or aval.dtype.kind not in "fiu" or aval.dtype.itemsize < 4 or not fits(x, aval):
        return None
    n = literal_value(exponent)
    times = lambda p, q: b.bind("mul", p, q, aval=aval, source=eqn.source)
    if n == 0:
        return b.splat(1, aval, eqn.source)
    if n == 1:
        return x
    if n == 2:
        return times(x, x)
    if n == 3:
        return times(times(x, x), x)
    if n == -1 and aval.dtype.kind == "f":
        return b.bind("div", make_literal(1, aval), x, aval=aval, source=eqn.source)
    return None


# ------------------------------------------------------------------ choice and conversion


def select(b: Builder, eqn: Eqn) -> Atom | None:
    """A choice between equal cases, by a known condition, or by a negated one."""
    which, *cases = eqn.inputs
    aval = out_aval(eqn)
    chosen: Atom | None = None
    if type(which) is Literal and 0 <= int(which.value) < len(cases):
        chosen = cases[int(which.value)]
    elif all(c is cases[0] for c in cases) or _equal_literals(cases):
        chosen = cases[0]
    if chosen is not None:
        if fits(chosen, aval):
            return chosen
        return b.splat(chosen.value, aval, eqn.source) if type(chosen) is Literal else None
    negated = b.defined_by(which, "not") or b.defined_by(which, "logical_not")
    if negated is not None and len(cases) == 2 and negated.inputs[0].aval.dtype == np.bool_:
        inputs = (negated.inputs[0], cases[1], cases[0])
        return b.bind(eqn.primitive.name, *inputs, aval=aval, source=eqn.source, **eqn.params)
    return None


def _equal_literals(atoms: list[Atom]) -> bool:
    values = [literal_value(a) for a in atoms]
    return values[0] is not None and all(v is not None and v.tobytes() == values[0].tobytes() for v in values)


def convert(b: Builder, eqn: Eqn) -> Atom | None:
    """A conversion to the dtype a value has, or of one that came from a lossless conversion."""
    x = eqn.inputs[0]
    aval = out_aval(eqn)
    if fits(x, aval):
        return x
    splat = _of_splat(b, eqn)
    if splat is not None:
        return splat
    inner = b.defined_by(x, "convert_element_type")
    if inner is None or not _lossless(inner.inputs[0].aval.dtype, x.aval.dtype):
        return None
    return b.bind("convert_element_type", inner.inputs[0], aval=aval, source=eqn.source, **eqn.params)


def _lossless(source: np.dtype, target: np.dtype) -> bool:
    """Whether a conversion keeps every value, so that what follows can start from the source."""
    if source.kind not in "biuf" or target.kind not in "biuf" or not np.can_cast(source, target, "safe"):
        return False
    return source.kind in "bf" or target.kind in "iu" or source.itemsize < target.itemsize


# ------------------------------------------------------------------ structure


def _of_splat(b: Builder, eqn: Eqn) -> Atom | None:
    """A rearrangement (or conversion) of an array of one value."""
    x = eqn.inputs[0]
    literal = b.splat_literal(x)
    if literal is None or type(x) is Literal:
        return None
    aval = out_aval(eqn)
    if aval.dtype == x.aval.dtype:
        return b.splat(literal.value, aval, eqn.source)
    scalar = b.bind(eqn.primitive.name, literal, aval=aval.with_shape(()), source=eqn.source, **eqn.params)
    return b.splat(scalar.value, aval, eqn.source) if type(scalar) is Literal else None


def reshape(b: Builder, eqn: Eqn) -> Atom | None:
    x = eqn.inputs[0]
    aval = out_aval(eqn)
    if x.aval.shape == aval.shape:
        return x
    inner = b.defined_by(x, "reshape")
    if inner is None:
        return _of_splat(b, eqn)
    return b.bind("reshape", inner.inputs[0], aval=aval, source=eqn.source, **eqn.params)


def transpose(b: Builder, eqn: Eqn) -> Atom | None:
    x = eqn.inputs[0]
    permutation = tuple(eqn.params["permutation"])
    if permutation == tuple(range(len(permutation))):
        return x
    inner = b.defined_by(x, "transpose")
    if inner is not None:
        composed = tuple(inner.params["permutation"][p] for p in permutation)
        return b.bind("transpose", inner.inputs[0], aval=out_aval(eqn), source=eqn.source, permutation=composed)
    return _of_splat(b, eqn)


def broadcast(b: Builder, eqn: Eqn) -> Atom | None:
    x = eqn.inputs[0]
    aval = out_aval(eqn)
    dims = tuple(eqn.params["broadcast_dimensions"])
    if x.aval.shape == aval.shape and dims == tuple(range(len(dims))):
        return x
    inner = b.defined_by(x, "broadcast_in_dim")
    if inner is None:
        return None
    composed = tuple(dims[d] for d in inner.params["broadcast_dimensions"])
    params = {**eqn.params, "broadcast_dimensions": composed}
    return b.bind("broadcast_in_dim", inner.inputs[0], aval=aval, source=eqn.source, **params)


def whole(b: Builder, eqn: Eqn) -> Atom | None:
    """A slice that is everything."""
    x = eqn.inputs[0]
    return x if x.aval.shape == out_aval(eqn).shape else _of_splat(b, eqn)


def unpermuted(b: Builder, eqn: Eqn) -> Atom | None:
    """A reversal along no axis."""
    return eqn.inputs[0] if not eqn.params["dimensions"] else _of_splat(b, eqn)


def itself(b: Builder, eqn: Eqn) -> Atom | None:
    """A copy is what it copies: programs have no identity of arrays."""
    return eqn.inputs[0] if fits(eqn.inputs[0], out_aval(eqn)) else None


def real_part(b: Builder, eqn: Eqn) -> Atom | None:
    """The conjugate and the real part of real numbers, and the conjugate of a conjugate."""
    x = eqn.inputs[0]
    if x.aval.dtype.kind != "c":
        return itself(b, eqn)
    return involution(b, eqn)


def alone(b: Builder, eqn: Eqn) -> Atom | None:
    """A concatenation of one operand, less the empty ones."""
    d = eqn.params["dimension"]
    parts = [a for a in eqn.inputs if a.aval.shape[d] != 0]
    if len(parts) == 1:
        return parts[0]
    if parts and len(parts) < len(eqn.inputs):
        return b.bind("concatenate", *parts, aval=out_aval(eqn), source=eqn.source, **eqn.params)
    return None


def over_no_axis(b: Builder, eqn: Eqn) -> Atom | None:
    """A reduction over no axis."""
    x = eqn.inputs[0]
    return x if not eqn.params.get("axes", True) and fits(x, out_aval(eqn)) else None


# ------------------------------------------------------------------ contractions


def contraction(b: Builder, eqn: Eqn) -> Atom | None:
    """Transposed operands of a contraction: BLAS reads them where they lie."""
    (contract, batch) = eqn.params["dimension_numbers"]
    inputs = list(eqn.inputs)
    dims = [[tuple(contract[i]), tuple(batch[i])] for i in range(2)]
    changed = False
    for i, a in enumerate(inputs):
        inner = b.defined_by(a, "transpose")
        if inner is None:
            continue
        permutation = inner.params["permutation"]
        free = [permutation[d] for d in range(a.aval.ndim) if d not in dims[i][0] and d not in dims[i][1]]
        if free == sorted(free):  # the result's axes keep their order
            inputs[i] = inner.inputs[0]
            dims[i] = [tuple(permutation[d] for d in group) for group in dims[i]]
            changed = True
    if not changed:
        return None
    numbers = ((dims[0][0], dims[1][0]), (dims[0][1], dims[1][1]))
    params = {**eqn.params, "dimension_numbers": numbers}
    return b.bind("dot_general", *inputs, aval=out_aval(eqn), source=eqn.source, **params)


def with_swapped_products(jaxpr: Jaxpr) -> Jaxpr:
    """The program with products that are only read transposed as products in the other order."""
    uses: dict[Atom, int] = {}
    for atom in (*(a for e in jaxpr.eqns for a in e.inputs), *jaxpr.outvars):
        uses[atom] = uses.get(atom, 0) + 1
    products = {e.outvars[0]: e for e in jaxpr.eqns if e.primitive.name == "dot_general"}
    swapped: dict[Eqn, Eqn] = {}
    for eqn in jaxpr.eqns:
        if eqn.primitive.name != "transpose" or eqn.inputs[0] not in products or uses[eqn.inputs[0]] != 1:
            continue
        product = products[eqn.inputs[0]]
        new = _swapped(product, tuple(eqn.params["permutation"]))
        if new is not None:
            swapped[product] = new.replace(outvars=eqn.outvars)
            swapped[eqn] = swapped[product]
    if not swapped:
        return jaxpr
    placed: set[Eqn] = set()
    eqns = [e for e in (swapped.get(e, e) for e in jaxpr.eqns) if not (e in placed or placed.add(e))]  # type: ignore[func-returns-value]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def _swapped(eqn: Eqn, permutation: tuple[int, ...]) -> Eqn | None:
    """The contraction whose result is that of `eqn`, transposed, if there is one."""
    (contract, batch) = eqn.params["dimension_numbers"]
    nb = len(batch[0])
    n_left = eqn.inputs[0].aval.ndim - nb - len(contract[0])
    rest = permutation[nb:]
    end = len(permutation)
    if any(p >= nb for p in permutation[:nb]):
        return None
    left, right = tuple(range(nb, nb + n_left)), tuple(range(nb + n_left, end))
    sides = [0, 1] if rest == left + right else [1, 0] if rest == right + left else None
    if sides is None:
        return None
    batch = [tuple(group[p] for p in permutation[:nb]) for group in batch]
    numbers = (tuple(tuple(contract[i]) for i in sides), tuple(batch[i] for i in sides))
    return eqn.replace(inputs=tuple(eqn.inputs[i] for i in sides), params={**eqn.params, "dimension_numbers": numbers})


def constant(b: Builder, eqn: Eqn) -> Atom | None:
    """A constant of one value, as broadcasting makes them, is a literal."""
    value = np.asarray(eqn.params["value"].value)
    if value.size and all(n == 1 or stride == 0 for n, stride in zip(value.shape, value.strides)):
        return b.splat(value.flat[0], out_aval(eqn), eqn.source)
    return None


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    f"reduce_{kind}": over_no_axis for kind in ("sum", "prod", "max", "min", "and", "or", "xor")
}

RULES: dict[str, Rule] = {
    "add": first(neutral(-0.0, 0), add_of_neg, add_of_update),
    "sub": first(neutral(0.0, 0, right_only=True), sub_of_neg),
    "mul": first(neutral(1.0, 1), absorbing(0, "iu"), times_minus_one, product_of_negs),
    "div": first(neutral(1.0, 1, right_only=True), product_of_negs),
    "pow": small_power,
    "neg": involution,
    "not": involution,
    "logical_not": involution,
    "conj": real_part,
    "real": real_part,
    "positive": itself,
    "max": idempotent,
    "min": idempotent,
    "and": first(idempotent, neutral(True, -1), absorbing(0, "iub")),
    "or": first(idempotent, neutral(False, 0)),
    "xor": neutral(False, 0),
    "select_n": select,
    "convert_element_type": convert,
    "reshape": reshape,
    "transpose": transpose,
    "broadcast_in_dim": broadcast,
    "slice": whole,
    "rev": unpermuted,
    "copy": itself,
    "stop_gradient": itself,
    "concatenate": alone,
    "dot_general": contraction,
    "constant": constant,
    **_REDUCTIONS,
}

__all__ = ["RULES", "fits", "literal_value", "with_swapped_products"]
