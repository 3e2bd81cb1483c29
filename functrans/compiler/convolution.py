"""Primitives that are expanded into others before loops are made: convolutions, and reductions of windows.

A primitive with an `expand` rule becomes what the rule makes of it. A convolution becomes a product of matrices, one of
which holds each element of the image as often as windows see it (Chellapilla, Puri, Simard, "High performance
convolutional neural networks for document processing", 2006). To bound its size, a convolution of
many images becomes a loop over some of them at a time.
"""

from __future__ import annotations

import math
from typing import Any

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.core.primitive import lookup, zeros
from functrans.core.trace import stage
from functrans.errors import JaxprError

#: Bytes of a matrix of windows from which on it is made in parts: large enough that threads meet rarely.
BLOCK = 1 << 23


def with_expansions(jaxpr: Jaxpr) -> Jaxpr:
    """The program with the equations of primitives that have an `expand` rule as what the rule says."""
    if not any(e.primitive.expand for e in jaxpr.eqns):
        return jaxpr
    eqns: list[Eqn] = []
    reshaped: dict[tuple[Atom, tuple[int, ...]], Var] = {}
    for eqn in jaxpr.eqns:
        if eqn.primitive.expand is None:
            eqns.append(eqn)
            continue
        inner = _expanded(eqn)
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
    return with_expansions(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars))


def _expanded(eqn: Eqn) -> Jaxpr:
    assert eqn.primitive.expand is not None
    expand = (_blocks(eqn) if eqn.primitive.name == "conv_general_dilated" else None) or eqn.primitive.expand
    jaxpr, consts = stage(lambda *xs: [expand(*xs, **eqn.params)], [a.aval for a in eqn.inputs])
    if consts or not any(v in jaxpr.outvars for e in jaxpr.eqns for v in e.outvars):
        raise JaxprError(f"the expansion of {eqn.primitive.name} captured constants, or returns an operand")
    return jaxpr


def _blocks(eqn: Eqn) -> Any:
    """A convolution as a loop over blocks of images, if it is large and images are its leading axes; or `None`."""
    lhs, rhs = (a.aval for a in eqn.inputs)
    (out,) = (v.aval for v in eqn.outvars)
    params = eqn.params
    lhs_spec, rhs_spec, out_spec = params["dimension_numbers"]
    windows = math.prod(rhs.shape[d] for d in rhs_spec[2:]) * math.prod(out.shape[d] for d in out_spec[2:])
    size = lhs.shape[lhs_spec[0]] * lhs.shape[lhs_spec[1]] * windows * lhs.dtype.itemsize
    count = lhs.shape[0]
    if size <= BLOCK or windows == 1 or count < 2:
        return None
    over_images = lhs_spec[0] == 0 and out_spec[0] == 0
    over_features = lhs_spec[1] == 0 and rhs_spec[1] == 0 and params["feature_group_count"] == 1
    if not (over_images or over_features):
        return None
    length = next(n for n in range(min(-(-size // BLOCK), count), count + 1) if count % n == 0)
    part = count // length
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

    return by_images if over_images else by_features


__all__ = ["BLOCK", "with_expansions"]
