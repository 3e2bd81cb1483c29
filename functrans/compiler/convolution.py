"""Primitives that are expanded into others before loops are made: convolutions, and reductions of windows.

A primitive with an `expand` rule becomes what the rule makes of it. A convolution becomes a product of matrices, one of
which holds each element of the image as often as windows see it (Chellapilla, Puri, Simard, "High performance
convolutional neural networks for document processing", 2006). To bound its size, a convolution of
many images becomes a loop over some of them at a time.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from functrans import config
from functrans.compiler.contractions import BLAS_DTYPES
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.core.primitive import lookup, zeros
from functrans.core.trace import stage
from functrans.errors import JaxprError

#: Bytes of a matrix of windows, for each thread, from which on it is made in parts: what a core's own cache holds, so
#: that the product finds there what the same thread has written.
BLOCK = 1 << 20


def with_expansions(jaxpr: Jaxpr, limit: int | None = None) -> Jaxpr:
    """The program with the equations of primitives that have an `expand` rule as what the rule says.

    `limit` is how many bytes a matrix of windows may have; by default what the caches of all threads hold.
    """
    if not any(e.primitive.expand for e in jaxpr.eqns):
        return jaxpr
    eqns: list[Eqn] = []
    reshaped: dict[tuple[Atom, tuple[int, ...]], Var] = {}
    for eqn in jaxpr.eqns:
        if eqn.primitive.expand is None:
            eqns.append(eqn)
            continue
        inner = _expanded(eqn, limit)
        names: dict[Atom, Atom] = dict(zip((*inner.invars, *inner.outvars), (*eqn.inputs, *eqn.outvars)))
        for step in inner.eqns:
            inputs = tuple(names.get(a, a) for a in step.inputs)
            outvars = tuple(names.get(v, v) for v in step.outvars)
            (out, *_) = step.outvars
            if step.primitive.name == "reshape" and out not in names:  # convolutions may split an operand alike
                known = reshaped.setdefault((inputs[0], out.aval.shape), out)
                if known is not out:
                    names[out] = known
                    continue
            eqns.append(Eqn(step.primitive, inputs, outvars, step.params, eqn.source))  # type: ignore[arg-type]
    return with_expansions(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars), limit)


def _expanded(eqn: Eqn, limit: int | None) -> Jaxpr:
    assert eqn.primitive.expand is not None
    expand = (_in_parts(eqn, limit) if eqn.primitive.name == "conv_general_dilated" else None) or eqn.primitive.expand
    jaxpr, consts = stage(lambda *xs: [expand(*xs, **eqn.params)], [a.aval for a in eqn.inputs])
    if consts or not any(v in jaxpr.outvars for e in jaxpr.eqns for v in e.outvars):
        raise JaxprError(f"the expansion of {eqn.primitive.name} captured constants, or returns an operand")
    return jaxpr


class Parts(NamedTuple):
    """How a convolution is done in parts: of its images, or of its features, over which the results are summed."""

    of_images: bool
    number: int


def parts(lhs: ShapedArray, rhs: ShapedArray, out: ShapedArray, params: dict[str, Any], limit: int) -> Parts | None:
    """The parts in which the matrix of windows takes at most about `limit` bytes; `None` for a single one.

    Only an axis that leads in all arrays that have it is divided.
    """
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    kernel, space = (math.prod(x.shape[d] for d in spec[2:]) for x, spec in ((rhs, rhs_spec), (out, out_spec)))
    size = lhs.shape[lhs_spec[0]] * lhs.shape[lhs_spec[1]] * kernel * space * lhs.dtype.itemsize
    of_images = lhs_spec[0] == 0 and out_spec[0] == 0
    of_features = lhs_spec[1] == 0 and rhs_spec[1] == 0 and params["feature_group_count"] == 1
    if size <= limit or kernel == 1 or not (of_images or of_features):
        return None
    length = lhs.shape[0]
    number = next(n for n in range(min(-(-size // limit), length), length + 1) if length % n == 0)
    return Parts(of_images, number) if number > 1 else None


def _in_parts(eqn: Eqn, limit: int | None) -> Any:
    """A large convolution as a loop; `None` for a small one, and where loops over all elements need no matrix."""
    lhs, rhs = (a.aval for a in eqn.inputs)
    (out,) = (v.aval for v in eqn.outvars)
    rhs_spec, groups = eqn.params["dimension_numbers"][1], eqn.params["feature_group_count"]
    is_filter_of_features = rhs.shape[rhs_spec[1]] == 1 and rhs.shape[rhs_spec[0]] == groups
    if lhs.dtype not in BLAS_DTYPES or is_filter_of_features:
        return None
    found = parts(lhs, rhs, out, eqn.params, BLOCK * config.num_threads() if limit is None else limit)
    if found is None:
        return None
    of_images, length = found
    part = lhs.shape[0] // length
    conv = eqn.primitive

    def split(x: Any) -> Any:
        return lookup("reshape").bind(x, new_sizes=(length, part, *x.aval.shape[1:]))

    def scan(body: Any, avals: list[ShapedArray], operands: list[Any], consts: int, carry: int) -> list[Any]:
        jaxpr, _ = stage(body, avals)
        return lookup("scan").bind(
            *operands, num_consts=consts, num_carry=carry, jaxpr=jaxpr, length=length, reverse=False, unroll=1
        )

    block = ShapedArray((part, *lhs.shape[1:]), lhs.dtype)

    def by_images(x: Any, w: Any, **params: Any) -> Any:
        (y,) = scan(lambda w, x: [conv.bind(x, w, **params)], [rhs, block], [w, split(x)], 1, 0)
        return lookup("reshape").bind(y, new_sizes=out.shape)

    def by_features(x: Any, w: Any, **params: Any) -> Any:
        add = lambda total, x, w: [lookup("add").bind(total, conv.bind(x, w, **params))]
        avals = [out.strong(), block, ShapedArray((part, *rhs.shape[1:]), rhs.dtype)]
        return scan(add, avals, [zeros(out.strong()), split(x), split(w)], 0, 1)[0]

    return by_images if of_images else by_features


__all__ = ["BLOCK", "Parts", "parts", "with_expansions"]
