"""Guarding: a jaxpr for examples of which some must not run it.

`vmap` runs a branch for all examples if one takes it, and the turns of a loop until the last is done. What the others
compute on the way is thrown away, but it must not raise, nor go on for ever. `guarded(jaxpr)` takes one argument more,
`active`: where that is true it is the same jaxpr; where it is false its results are of no matter, its indices lie in
bounds, its checks hold, and its loops take no turn. Primitives that can do harm say what to do by their `guard` rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Eqn, Jaxpr, Literal, Var, inner_jaxprs
from functrans.core.source import source_is
from functrans.core.trace import stage
from functrans.transforms.jvp import close_over

ACTIVE = ShapedArray((), np.dtype(bool))

#: Loops that need not end where they must not run.
_ENDLESS = frozenset({"while", "tape"})


def can_do_harm(jaxpr: Jaxpr) -> bool:
    """Whether a jaxpr has equations that must not run for examples that are not active."""
    return jaxpr.memoize("can do harm", lambda: any(map(_has_guard, jaxpr.eqns)))


def _has_guard(eqn: Eqn) -> bool:
    if eqn.primitive.guard is None:
        return False
    inner = [j for _, j in inner_jaxprs(eqn.params)]
    return not inner or eqn.primitive.name in _ENDLESS or any(map(can_do_harm, inner))


def guarded(jaxpr: Jaxpr) -> Jaxpr:
    """The jaxpr with `active`, a scalar truth value, as its first argument."""
    return jaxpr.memoize("guarded", lambda: _guarded(jaxpr))


def _guarded(jaxpr: Jaxpr) -> Jaxpr:
    if not can_do_harm(jaxpr):
        return Jaxpr((), [Var(ACTIVE), *jaxpr.invars], jaxpr.eqns, jaxpr.outvars)
    return close_over(*stage(lambda active, *args: guarded_evaluate(jaxpr, active, args), [ACTIVE, *jaxpr.in_avals]))


def guarded_evaluate(jaxpr: Jaxpr, active: Any, args: Sequence[Any]) -> list[Any]:
    """Run a jaxpr (without constvars) where `active` holds, and without harm where it does not."""
    env: dict[Var, Any] = dict(zip(jaxpr.invars, args))

    def read(atom: Any) -> Any:
        return atom.value if type(atom) is Literal else env[atom]

    for eqn in jaxpr.eqns:
        values = [read(a) for a in eqn.inputs]
        with source_is(eqn.source):
            if _has_guard(eqn):
                out = eqn.primitive.guard(active, *values, **eqn.params)  # type: ignore[misc]
            else:
                out = eqn.primitive.bind(*values, **eqn.params)
        env.update(zip(eqn.outvars, out if eqn.primitive.multiple_results else [out]))
    return [read(a) for a in jaxpr.outvars]
