"""What a gradient transformation is, and how such are put together.

An optimizer is a pair of pure functions: `init(params)` makes a state, a pytree, and `update(updates, state, params)`
turns gradients into what is to be added to the parameters, with the next state. So optimizers are chained like
functions, and `jit`, `vmap` and `grad` go through them. Names and semantics are those of Optax (DeepMind, 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of
from functrans.core.pytree import flatten, flatten_up_to, leaves
from functrans.errors import ArgumentError, DTypeError

__all__ = [
    "EmptyState", "GradientTransformation", "GradientTransformationExtraArgs", "apply_updates", "chain", "global_norm",
    "identity", "incremental_update", "set_to_zero",
]  # fmt: skip

#: A number, an array, or a schedule: a function from the number of the step, counted from 0, to a number.
ScalarOrSchedule = Any
#: A pytree of booleans, a prefix of that of the parameters, or a function from the parameters to one.
Mask = Any


class GradientTransformation(NamedTuple):
    """A pair of pure functions that change gradients on their way to the parameters.

    Attributes:
        init: `init(params) -> state`.
        update: `update(updates, state, params=None) -> (updates, state)`; the updates have the structure of `params`.

    >>> import functrans as ft, numpy as np
    >>> transformation = ft.optim.scale(-0.1)
    >>> updates, state = transformation.update(np.array([1.0]), transformation.init(np.zeros(1)))
    >>> updates
    Array([-0.1])
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


class GradientTransformationExtraArgs(GradientTransformation):
    """A transformation whose `update` takes further keyword arguments, as line searches do.

    >>> import functrans as ft, numpy as np
    >>> isinstance(ft.optim.lbfgs(), ft.optim.GradientTransformationExtraArgs)
    True
    """


class EmptyState(NamedTuple):
    """The state of a transformation without memory.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.scale(0.1).init(np.zeros(2))
    EmptyState()
    """


def apply_updates(params: Any, updates: Any) -> Any:
    """`params + updates`, leaf by leaf, in the dtypes of the parameters.

    Args:
        params: a pytree of arrays.
        updates: what `update` of an optimizer gave: the same structure and shapes.

    Raises:
        TreeStructureError: the structures differ.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.apply_updates({"w": np.ones(2, np.float32)}, {"w": np.array([0.5, -1.0])})
    {'w': Array([1.5, 0. ], dtype=float32)}
    """
    return each("apply_updates", lambda p, u: cast_like(p + u, p), params=params, updates=updates)


def incremental_update(new_tensors: Any, old_tensors: Any, step_size: Any) -> Any:
    """`step_size new + (1 - step_size) old`, leaf by leaf, in the dtypes of the old ones; of integers the new ones.

    So moving averages of parameters are kept, for evaluation, and the target networks of reinforcement learning.

    Args:
        new_tensors: a pytree of arrays.
        old_tensors: a pytree of the same structure and shapes.
        step_size: the weight of the new ones.

    Raises:
        TreeStructureError: the structures differ.

    Source: B. Polyak and A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM Journal on Control
    and Optimization 30 (1992).

    >>> import functrans as ft, numpy as np
    >>> average, params = {"w": np.zeros(2, np.float32)}, {"w": np.array([1.0, -2.0], np.float32)}
    >>> ft.optim.incremental_update(params, average, step_size=0.1)
    {'w': Array([ 0.1, -0.2], dtype=float32)}
    """

    def mean(old: Any, new: Any) -> Any:
        return new if kind_of(aval_of(old).dtype) in "iub" else moving_average(1 - step_size, old, new)

    return each("incremental_update", mean, old_tensors=old_tensors, new_tensors=new_tensors)


def global_norm(tree: Any) -> Any:
    """The Euclidean norm of all leaves of a pytree together, a scalar; float32 of half precision.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.global_norm({"w": np.array([3.0, 0.0]), "b": 4.0})
    Array(5.)
    """
    return fnp.sqrt(sum_of_squares(tree))


def identity() -> GradientTransformation:
    """The transformation that changes nothing.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.identity().update(np.array([1.0]), ft.optim.identity().init(np.zeros(1)))[0]
    array([1.])
    """
    return stateless(lambda updates, params: updates)


def set_to_zero() -> GradientTransformation:
    """Zeros for all updates: with `partition`, for parameters that stay as they are.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.set_to_zero().update(np.ones(2), ft.optim.EmptyState())[0]
    Array([0., 0.])
    """
    return stateless(lambda updates, params: each("set_to_zero", fnp.zeros_like, updates=updates))


def chain(*transformations: GradientTransformation) -> GradientTransformationExtraArgs:
    """The transformations one after the other; the state is the tuple of theirs.

    Further keyword arguments of `update` reach those that take such.

    >>> import functrans as ft, numpy as np
    >>> clipped = ft.optim.chain(ft.optim.clip(1.0), ft.optim.sgd(0.1))
    >>> params = np.array([1.0, 1.0])
    >>> updates, state = clipped.update(np.array([0.5, 8.0]), clipped.init(params), params)
    >>> updates
    Array([-0.05, -0.1 ])
    """

    def init(params: Any) -> Any:
        return tuple(t.init(params) for t in transformations)

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        if not isinstance(state, tuple) or len(state) != len(transformations):
            raise ArgumentError(
                f"chain: the state must be that of its {len(transformations)} transformations; pass what init or the "
                "last update of the same chain returned"
            )
        states = []
        for t, s in zip(transformations, state):
            updates, s = update_of(t)(updates, s, params, **extra)
            states.append(s)
        return updates, tuple(states)

    return GradientTransformationExtraArgs(init, update)


# ---------------------------------------------------------------- what transformations are written with


def update_of(transformation: GradientTransformation) -> Callable[..., tuple[Any, Any]]:
    """The `update` of a transformation, made to ignore the keyword arguments that it does not take."""
    if isinstance(transformation, GradientTransformationExtraArgs):
        return transformation.update
    return lambda updates, state, params=None, **extra: transformation.update(updates, state, params)


def stateless(function: Callable[[Any, Any], Any]) -> GradientTransformation:
    """The transformation by a function of updates and parameters."""
    return GradientTransformation(
        lambda params: EmptyState(), lambda updates, state, params=None: (function(updates, params), state)
    )


def is_function(value: Any) -> bool:
    """Whether this is a function, and no pytree that can be called, as models are."""
    return callable(value) and any(leaf is value for leaf in leaves(value))


def for_parameters(given: Any, params: Any) -> Any:
    """A pytree for the parameters, such as a mask, given as one or as a function of them."""
    return given(params) if is_function(given) else given


def each(what: str, f: Callable[..., Any], **trees: Any) -> Any:
    """`tree.map` over trees that the user knows by these names; the first gives the structure."""
    (first, tree), *rest = trees.items()
    values, treedef = flatten(tree)
    others = [flatten_up_to(treedef, other, what, (first, name)) for name, other in rest]
    return treedef.unflatten(map(f, values, *others))


def needed(what: str, params: Any) -> Any:
    """The parameters, where a transformation cannot do without."""
    if params is None:
        raise ArgumentError(f"{what} needs the parameters: call update(updates, state, params)")
    return params


def like(value: Any, x: Any) -> Any:
    """A hyperparameter as an operand that leaves the dtype of `x` as it is; Python's numbers do so by themselves."""
    return value if type(value) in (int, float) else cast_like(value, x)


def cast_like(value: Any, x: Any) -> Any:
    return lax.convert_element_type(value, aval_of(x).dtype)


def zeros_like(what: str, params: Any, fill: Any = 0.0) -> Any:
    """Arrays like the parameters, for moments and their like."""

    def filled(p: Any) -> Any:
        aval = aval_of(p)
        if kind_of(aval.dtype) != "f":
            raise DTypeError(
                f"{what} takes parameters of real floating dtype, got {aval}; keep other arrays out of the parameters, "
                "or leave them out by optim.masked"
            )
        return fnp.full(aval.shape, cast_like(fill, p))

    return each(what, filled, params=params)


def moving_average(decay: Any, m: Any, x: Any) -> Any:
    """`decay m + (1 - decay) x`, of the dtype of `m`."""
    return like(decay, m) * m + like(1 - decay, m) * cast_like(x, m)


def sum_of_squares(tree: Any) -> Any:
    """That of all leaves together; of half precision in float32, in which it does not overflow."""
    exact = lambda x: x.astype(np.float32) if aval_of(x).dtype in SMALL_FLOATS else x
    squares = [fnp.sum(fnp.square(exact(x))) for x in leaves(tree)]
    return sum(squares[1:], squares[0]) if squares else fnp.asarray(0.0)
