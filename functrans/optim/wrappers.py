"""Transformations of transformations: on some parameters only, on groups of them, every few steps, adjustable."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np

import functrans.numpy as fnp
from functrans import lax
from functrans.core.array import Array
from functrans.core.avals import is_array_like, kind_of
from functrans.core.pytree import PyTreeDef, broadcast_prefix, flatten, flatten_up_to
from functrans.errors import ArgumentError, DTypeError
from functrans.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    Mask,
    each,
    for_parameters,
    is_function,
    like,
    moving_average,
    update_of,
    zeros_like,
)

__all__ = [
    "ApplyIfFiniteState", "InjectHyperparamsState", "MaskedState", "MultiSteps", "MultiStepsState", "PartitionState",
    "apply_if_finite", "inject_hyperparams", "masked", "multi_transform", "partition",
]  # fmt: skip


class MaskedState(NamedTuple):
    """`inner_state`: that of the transformation for the parameters it is applied to.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.masked(ft.optim.scale(2.0), {"w": True}).init({"w": np.zeros(1)})
    MaskedState(inner_state=EmptyState())
    """

    inner_state: Any


def masked(inner: GradientTransformation, mask: Mask) -> GradientTransformationExtraArgs:
    """A transformation applied to some of the parameters; the updates of the others pass through as they are.

    Args:
        inner: what to apply. It sees `None`, a tree without leaves, in the place of the others.
        mask: a pytree of booleans, a prefix of that of the parameters, or a function from the parameters to one.

    Raises:
        TreeStructureError: the mask does not fit the parameters.
        DTypeError: the mask has other leaves than booleans.

    >>> import functrans as ft, numpy as np
    >>> halve_w = ft.optim.masked(ft.optim.scale(0.5), {"w": True, "b": False})
    >>> params = {"w": np.ones(1), "b": np.ones(1)}
    >>> halve_w.update(params, halve_w.init(params))[0]
    {'w': Array([0.5]), 'b': array([1.])}
    """

    def chosen(tree: Any) -> list[bool]:
        leaves = broadcast_prefix(for_parameters(mask, tree), tree, "the mask of optim.masked")
        for leaf in leaves:
            if not isinstance(leaf, (bool, np.bool_)):
                raise DTypeError(f"a mask of optim.masked has True or False for each parameter, got {leaf!r:.60}")
        return leaves

    def init(params: Any) -> Any:
        return MaskedState(inner.init(_only(params, chosen(params))))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        choice = chosen(updates)
        some = None if params is None else _only(params, choice)
        new, inner_state = update_of(inner)(_only(updates, choice), state.inner_state, some, **extra)
        values, treedef = flatten(updates)
        return treedef.unflatten(_merge(treedef, values, [(choice, new)])), MaskedState(inner_state)

    return GradientTransformationExtraArgs(init, update)


class PartitionState(NamedTuple):
    """`inner_states`: for each label the state of its transformation.

    >>> import functrans as ft, numpy as np
    >>> labels = {"w": "slow"}
    >>> optimizer = ft.optim.partition({"slow": ft.optim.sgd(0.1)}, labels)
    >>> sorted(optimizer.init({"w": np.zeros(1)}).inner_states)
    ['slow']
    """

    inner_states: dict[Any, Any]


def partition(transforms: Mapping[Any, GradientTransformation], param_labels: Any) -> GradientTransformationExtraArgs:
    """To each group of parameters a transformation of its own.

    Args:
        transforms: for each label a transformation. It sees `None` in the place of the parameters of other labels.
        param_labels: a pytree of labels, a prefix of that of the parameters, or a function from the parameters to one.

    Raises:
        ArgumentError: a label without a transformation.
        TreeStructureError: the labels do not fit the parameters.

    Also called `multi_transform`.

    >>> import functrans as ft, numpy as np
    >>> groups = {"slow": ft.optim.sgd(0.01), "fast": ft.optim.sgd(1.0)}
    >>> optimizer = ft.optim.partition(groups, {"w": "slow", "b": "fast"})
    >>> params = {"w": np.ones(1), "b": np.ones(1)}
    >>> optimizer.update(params, optimizer.init(params))[0]
    {'w': Array([-0.01]), 'b': Array([-1.])}
    """

    def groups(tree: Any) -> dict[Any, list[bool]]:
        labels = broadcast_prefix(for_parameters(param_labels, tree), tree, "param_labels of optim.partition")
        for label in labels:
            if label not in transforms:
                known = ", ".join(map(repr, transforms))
                raise ArgumentError(f"optim.partition: the label {label!r} has no transformation, only {known}")
        return {label: [other == label for other in labels] for label in transforms}

    def init(params: Any) -> Any:
        return PartitionState({k: transforms[k].init(_only(params, c)) for k, c in groups(params).items()})

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        values, treedef = flatten(updates)
        states, parts = {}, []
        for label, choice in groups(updates).items():
            some = None if params is None else _only(params, choice)
            inner = update_of(transforms[label])
            new, states[label] = inner(_only(updates, choice), state.inner_states[label], some, **extra)
            parts.append((choice, new))
        return treedef.unflatten(_merge(treedef, values, parts)), PartitionState(states)

    return GradientTransformationExtraArgs(init, update)


multi_transform = partition


def _only(tree: Any, choice: list[bool]) -> Any:
    """The tree with `None` in the place of what is not chosen."""
    values, treedef = flatten(tree)
    return treedef.unflatten([x if c else None for x, c in zip(values, choice)])


def _merge(treedef: PyTreeDef, values: list[Any], parts: list[tuple[list[bool], Any]]) -> list[Any]:
    """The leaves `values`, those chosen in each part replaced by the part's."""
    for choice, part in parts:
        new = flatten_up_to(treedef, part, "update", ("the updates", "what the inner transformation returned"))
        values = [n if c else x for x, n, c in zip(values, new, choice)]
    return values


# ---------------------------------------------------------------- every few steps


class MultiStepsState(NamedTuple):
    """The state of `MultiSteps`.

    Attributes:
        mini_step: gradients gathered since the last step of the inner optimizer.
        gradient_step: steps of the inner optimizer so far.
        inner_opt_state: its state.
        acc_grads: the mean (or the sum) of the gradients gathered.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.MultiSteps(ft.optim.sgd(0.1), 2).init(np.zeros(1)).mini_step
    Array(0)
    """

    mini_step: Any
    gradient_step: Any
    inner_opt_state: Any
    acc_grads: Any


class MultiSteps:
    """An optimizer that gathers the gradients of several batches before each step; in between its updates are zeros.

    So large batches are taken in parts: with gradients of means, `k` parts of equal size make the step of the whole.

    Args:
        opt: the optimizer.
        every_k_schedule: how many gradients make a step: a positive integer, or a function from the number of steps of
            `opt` so far to one.
        use_grad_mean: `opt` sees the mean of the gradients; else their sum.

    Raises:
        ArgumentError: `every_k_schedule` is an integer below 1.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.MultiSteps(ft.optim.sgd(1.0), every_k_schedule=2)
    >>> params = np.zeros(1)
    >>> state = optimizer.init(params)
    >>> for gradient in (np.array([1.0]), np.array([3.0])):
    ...     updates, state = optimizer.update(gradient, state, params)
    ...     print(updates, optimizer.has_updated(state))
    [0.] False
    [-2.] True
    """

    def __init__(
        self,
        opt: GradientTransformation,
        every_k_schedule: int | Callable[[Any], Any],
        use_grad_mean: bool = True,
    ):
        if not callable(every_k_schedule) and every_k_schedule < 1:
            raise ArgumentError(f"MultiSteps takes a step every 1 or more gradients, not every {every_k_schedule}")
        self._opt = opt
        self._every = every_k_schedule
        self._mean = use_grad_mean

    def init(self, params: Any) -> MultiStepsState:
        """The state before the first gradient."""
        zero = fnp.zeros((), np.int64)
        return MultiStepsState(zero, zero, self._opt.init(params), zeros_like("MultiSteps", params))

    def update(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        """What to add to the parameters (zeros in between), and the next state."""
        count = state.mini_step + 1
        every = self._every(state.gradient_step) if callable(self._every) else self._every

        def gather(g: Any, total: Any) -> Any:
            return moving_average(1 - 1 / count, total, g) if self._mean else total + like(g, total)

        gathered = each("MultiSteps", gather, updates=updates, state=state.acc_grads)

        def step(gathered: Any, inner: Any) -> Any:
            out, inner = update_of(self._opt)(gathered, inner, params, **extra)
            return out, inner, each("MultiSteps", fnp.zeros_like, state=gathered)

        def wait(gathered: Any, inner: Any) -> Any:
            return each("MultiSteps", fnp.zeros_like, state=gathered), inner, gathered

        complete = count >= every
        out, inner, gathered = lax.cond(complete, step, wait, gathered, state.inner_opt_state)
        steps = state.gradient_step + fnp.where(complete, 1, 0)
        return out, MultiStepsState(fnp.where(complete, 0, count), steps, inner, gathered)

    def has_updated(self, state: MultiStepsState) -> Any:
        """Whether the update that returned this state was a step of the inner optimizer."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def gradient_transformation(self) -> GradientTransformationExtraArgs:
        """The same as a pair of functions, for `chain` and its like."""
        return GradientTransformationExtraArgs(self.init, self.update)


# ---------------------------------------------------------------- steps that are left out


class ApplyIfFiniteState(NamedTuple):
    """The state of `apply_if_finite`.

    Attributes:
        notfinite_count: how many gradients in a row, the last among them, were not finite.
        last_finite: whether the last gradient was finite.
        total_notfinite: how many were not, in all.
        inner_state: the state of the optimizer.

    >>> import functrans as ft, numpy as np
    >>> ft.optim.apply_if_finite(ft.optim.sgd(0.1), 5).init(np.zeros(1)).total_notfinite
    Array(0)
    """

    notfinite_count: Any
    last_finite: Any
    total_notfinite: Any
    inner_state: Any


def apply_if_finite(inner: GradientTransformation, max_consecutive_errors: int) -> GradientTransformationExtraArgs:
    """An optimizer that makes no step where a gradient has a NaN or an infinity: updates are 0, its state stays.

    So training in half precision goes on where the scale of the loss was too large for a batch.

    Args:
        inner: the optimizer.
        max_consecutive_errors: after so many such gradients in a row the next one is taken as it is, so that a training
            that is lost shows it.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.apply_if_finite(ft.optim.sgd(1.0), max_consecutive_errors=5)
    >>> state = optimizer.init(np.zeros(1))
    >>> for gradient in (1.0, np.inf, 2.0):
    ...     updates, state = optimizer.update(np.array([gradient]), state)
    ...     print(updates, state.last_finite)
    [-1.] True
    [0.] False
    [-2.] True
    """

    def init(params: Any) -> Any:
        zero = fnp.zeros((), np.int64)
        return ApplyIfFiniteState(zero, fnp.asarray(True), zero, inner.init(params))

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        parts = [fnp.all(fnp.isfinite(g)) for g in flatten(updates)[0]]
        finite = functools.reduce(operator.and_, parts, fnp.asarray(True))
        in_a_row = fnp.where(finite, 0, state.notfinite_count + 1)

        def step(updates: Any, inner_state: Any) -> Any:
            return update_of(inner)(updates, inner_state, params, **extra)

        def wait(updates: Any, inner_state: Any) -> Any:
            return each("apply_if_finite", fnp.zeros_like, updates=updates), inner_state

        out, inner_state = lax.cond(
            finite | (in_a_row > max_consecutive_errors), step, wait, updates, state.inner_state
        )
        total = state.total_notfinite + fnp.where(finite, 0, 1)
        return out, ApplyIfFiniteState(in_a_row, finite, total, inner_state)

    return GradientTransformationExtraArgs(init, update)


# ---------------------------------------------------------------- adjustable hyperparameters


class InjectHyperparamsState(NamedTuple):
    """The state of `inject_hyperparams`.

    Attributes:
        count: the number of steps so far.
        hyperparams: the hyperparameters by name, as they were at the last step; those that are no schedules can be
            changed here.
        inner_state: the state of the optimizer.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.inject_hyperparams(ft.optim.sgd)(learning_rate=0.1)
    >>> optimizer.init(np.zeros(1)).hyperparams
    {'learning_rate': Array(0.1)}
    """

    count: Any
    hyperparams: dict[str, Any]
    inner_state: Any


def inject_hyperparams(
    inner_factory: Callable[..., GradientTransformation], static_args: Collection[str] = ()
) -> Callable[..., GradientTransformationExtraArgs]:
    """An optimizer whose hyperparameters are part of its state, where they can be read and changed.

    Numbers and arrays become arrays `state.hyperparams[name]`; change one between steps and the next step uses it,
    without a new compilation. Functions are schedules, evaluated at each step. Booleans, strings, `None`, and integers
    where the default is an integer too stay as they are.

    Args:
        inner_factory: a function that makes an optimizer, such as `adam`.
        static_args: names of further arguments that stay as they are, such as functions that are no schedules.

    Returns:
        A function with the arguments of `inner_factory`.

    Raises:
        ArgumentError: a name of `static_args` that is no argument of the factory.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.inject_hyperparams(ft.optim.sgd)(learning_rate=0.1)
    >>> state = optimizer.init(np.ones(1))
    >>> state.hyperparams["learning_rate"] = np.array(0.5)
    >>> optimizer.update(np.ones(1), state)[0]
    Array([-0.5])
    """
    signature = inspect.signature(inner_factory)
    if unknown := sorted(set(static_args) - set(signature.parameters)):
        name = getattr(inner_factory, "__name__", "the factory")
        raise ArgumentError(f"inject_hyperparams: {name} has no argument {unknown[0]!r}")

    def factory(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        numbers, schedules = {}, {}
        for name, value in bound.arguments.items():
            default = signature.parameters[name].default
            if name in static_args or name == "mask" or name.endswith("_mask"):
                continue
            if is_function(value):
                schedules[name] = value
            elif is_array_like(value) and not isinstance(value, bool) and type(default) is not int:
                numbers[name] = value

        def inner(hyperparams: Mapping[str, Any]) -> GradientTransformation:
            call = inspect.BoundArguments(signature, {**bound.arguments, **hyperparams})
            return inner_factory(*call.args, **call.kwargs)

        def init(params: Any) -> Any:
            count = fnp.zeros((), np.int64)
            values = {name: _owned(value) for name, value in numbers.items()}
            values |= {name: fnp.asarray(schedule(count)) for name, schedule in schedules.items()}
            return InjectHyperparamsState(count, values, inner(values).init(params))

        def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
            scheduled = {name: fnp.asarray(schedule(state.count)) for name, schedule in schedules.items()}
            values = {**state.hyperparams, **scheduled}
            updates, inner_state = update_of(inner(values))(updates, state.inner_state, params, **extra)
            return updates, InjectHyperparamsState(state.count + 1, values, inner_state)

        return GradientTransformationExtraArgs(init, update)

    return factory


def _owned(value: Any) -> Any:
    """An array of floats that the state may keep."""
    value = fnp.asarray(value)
    value = value if kind_of(value.dtype) == "f" else value.astype(np.float64)
    return value.copy() if isinstance(value, Array) and isinstance(value, np.ndarray) else value
