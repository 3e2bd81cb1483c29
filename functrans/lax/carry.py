"""What loops share: bodies whose carry keeps its type, and the masks that say which parts of a carry take part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray, aval_of, is_array_like
from functrans.core.jaxpr import Jaxpr, evaluate
from functrans.core.primitive import zeros
from functrans.core.pytree import PyTreeDef, key_paths, keystr, structure_error
from functrans.core.trace import stage
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.conversion import convert_element_type
from functrans.lax.flat import takes_weak
from functrans.transforms.jvp import close_over, jvp_jaxpr, tangent_aval
from functrans.transforms.taylor import taylor_jaxpr

# ---------------------------------------------------------------- staging


def stage_carry(
    what: str,
    names: Sequence[str],
    carry: Sequence[Any],
    stage_body: Callable[[list[ShapedArray]], tuple[Jaxpr, list[Any]]],
) -> tuple[Jaxpr, list[Any], list[Any]]:
    """The body of a loop, what it captures, and the carry to start with.

    `stage_body` gives the body for a carry of some types; its first results are the new carry. Parts of the carry that
    come from Python numbers take the dtypes that the body gives them. `names` are the parts' for error messages.
    """
    carry = [x if is_array_like(x) else np.asarray(x) for x in carry]
    while True:
        given = [aval_of(x) for x in carry]
        jaxpr, consts = stage_body(given)
        returned = jaxpr.out_avals[: len(carry)]
        promoted = [_promoted(g, r) for g, r in zip(given, returned)]
        if promoted == given:
            break
        carry = [convert_element_type(x, p.dtype, p.weak) for x, p in zip(carry, promoted)]
    for name, g, r in zip(names, given, returned):
        if g.shape != r.shape or (g.dtype != r.dtype and not takes_weak(g.dtype, r)):
            hint = "" if g.shape != r.shape else f"; convert it (x.astype({g.dtype})) or start with {r.dtype}"
            raise (ShapeError if g.shape != r.shape else DTypeError)(
                f"{what} must return a carry of the type that it was given, but {name} came in as {g} and went out as "
                f"{r}{hint}"
            )
    return _with_carry_types(jaxpr, given), consts, carry


def _promoted(given: ShapedArray, returned: ShapedArray) -> ShapedArray:
    """The type of a carry that starts weak and is given another type, of the same kind or a higher one, by the body."""
    if given.shape != returned.shape or not takes_weak(returned.dtype, given):
        return given
    return given if returned.weak and returned.dtype == given.dtype else returned


def _with_carry_types(jaxpr: Jaxpr, wanted: Sequence[ShapedArray]) -> Jaxpr:
    """The body with its first results (the carry) of exactly these types."""
    if all(o.aval == w for o, w in zip(jaxpr.outvars, wanted)):
        return jaxpr

    def fun(*args: Any) -> list[Any]:
        outs = evaluate(jaxpr, (), args, sources=True)
        carry = [convert_element_type(o, w.dtype, w.weak) for o, w in zip(outs, wanted)]
        return [*carry, *outs[len(wanted) :]]

    return close_over(*stage(fun, jaxpr.in_avals))


def leaf_names(base: str, tree: PyTreeDef) -> list[str]:
    """The leaves of a carry as error messages call them: `carry['w']`."""
    return [base + keystr(path) for path in key_paths(tree)]


def check_structure(what: str, given: PyTreeDef, returned: PyTreeDef) -> None:
    """The error for a body that returns a carry of another structure than it was given."""
    if given != returned:
        raise structure_error(
            f"{what} must return a carry of the structure that it was given", given, returned,
            ("the carry given to it", "the carry it returned"),
        ) or ArgumentError(f"{what} returned a carry of another structure than it was given")  # fmt: skip


# ---------------------------------------------------------------- masks


def fixed_point(start: Sequence[bool], step: Callable[[list[bool]], Sequence[bool]]) -> list[bool]:
    """The least mask at least `start` that `step` does not enlarge."""
    mask = list(start)
    while True:
        new = [a or b for a, b in zip(mask, step(mask))]
        if new == mask:
            return mask
        mask = new


def carry_tangents(tangents: Sequence[Any], carry: Sequence[Any], nonzero: Sequence[bool]) -> list[Any]:
    """The tangents of the carries that have one at some turn, zeros where they have none at the start."""
    pairs = zip(tangents, carry, nonzero)
    return [zeros(tangent_aval(c)) if t is None else t for t, c, nz in pairs if nz]


def reordered(jaxpr: Jaxpr, ins: Sequence[int], outs: Sequence[int]) -> Jaxpr:
    """The jaxpr with its arguments and results in another order."""
    return Jaxpr((), [jaxpr.invars[i] for i in ins], jaxpr.eqns, [jaxpr.outvars[i] for i in outs])


def forward_rules(push_forward: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The `jvp` and `taylor` rules of a loop from `push_forward(order, derive, primals, series, **params)`.

    That gives the loop of the body that `derive` makes, which takes `order` tangents or coefficients for each argument.
    """

    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        outs, series = push_forward(1, jvp_jaxpr, primals, [None if t is None else [t] for t in tangents], **params)
        return outs, [None if s is None else s[0] for s in series]

    def taylor(order: int, primals: Any, series: Any, **params: Any) -> Any:
        def derive(jaxpr: Jaxpr, live: Sequence[bool], force: Sequence[bool] | None = None) -> tuple[Jaxpr, list[bool]]:
            return taylor_jaxpr(jaxpr, order, live, force)

        return push_forward(order, derive, primals, series, **params)

    return jvp, taylor
