"""Policies of `checkpoint`: which values reverse mode keeps, where it would recompute all.

A policy says of each equation whether its results are kept: `policy(primitive, *avals, **params)`. Those below have
the names and meanings that they have in `jax.checkpoint_policies`.

>>> import functrans as ft, numpy as np
>>> layer = lambda x, w: np.tanh(x @ w)
>>> saving = ft.checkpoint(layer, policy=ft.checkpoint_policies.dots_saveable)
>>> ft.grad(lambda x, w: np.sum(saving(x, w)))(np.ones(2), np.eye(2))
Array([0.41997434, 0.41997434])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "checkpoint_dots", "checkpoint_dots_with_no_batch_dims", "dots_saveable", "dots_with_no_batch_dims_saveable",
    "everything_saveable", "nothing_saveable", "offload_dot_with_no_batch_dims", "save_and_offload_only_these_names",
    "save_any_names_but_these", "save_anything_except_these_names", "save_from_both_policies", "save_only_these_names",
]  # fmt: skip


def everything_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Keep all that is needed, as without `checkpoint`.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> ft.grad(ft.checkpoint(lambda x: np.sin(x) ** 2, policy=policies.everything_saveable))(0.0)
    Array(0.)
    """
    return True


def nothing_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Keep the arguments alone: what `checkpoint` does without a policy.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> ft.grad(ft.checkpoint(lambda x: np.sin(x) ** 2, policy=policies.nothing_saveable))(0.0)
    Array(0.)
    """
    return False


def dots_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Keep the results of matrix products and convolutions.

    Also called `checkpoint_dots`.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> layer = ft.checkpoint(lambda x, w: np.sum(np.sin(x @ w)), policy=policies.dots_saveable)
    >>> ft.grad(layer)(np.ones(2), np.zeros((2, 2)))
    Array([0., 0.])
    """
    return primitive.name in ("dot_general", "conv_general_dilated")


def dots_with_no_batch_dims_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """Keep the results of matrix products that have no batch dimensions, as those of a layer and its weights.

    Also called `checkpoint_dots_with_no_batch_dims`.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> policy = policies.dots_with_no_batch_dims_saveable
    >>> layer = ft.checkpoint(lambda x, w: np.sum(np.sin(x @ w)), policy=policy)
    >>> ft.grad(layer)(np.ones(2), np.zeros((2, 2)))
    Array([0., 0.])
    """
    return primitive.name == "dot_general" and not any(params["dimension_numbers"][1])


checkpoint_dots = dots_saveable
checkpoint_dots_with_no_batch_dims = dots_with_no_batch_dims_saveable


def save_only_these_names(*names: str) -> Callable[..., bool]:
    """Keep the values to which `checkpoint_name` gave one of these names.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> layer = lambda x: ft.checkpoint_name(np.sin(x), "y") ** 2
    >>> ft.grad(ft.checkpoint(layer, policy=policies.save_only_these_names("y")))(0.0)
    Array(0.)
    """
    kept = frozenset(names)
    return lambda primitive, *avals, **params: primitive.name == "name" and params["name"] in kept


def save_any_names_but_these(*names: str) -> Callable[..., bool]:
    """Keep the values to which `checkpoint_name` gave any other name.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> layer = lambda x: ft.checkpoint_name(np.sin(x), "large") ** 2
    >>> ft.grad(ft.checkpoint(layer, policy=policies.save_any_names_but_these("large")))(0.0)
    Array(0.)
    """
    dropped = frozenset(names)
    return lambda primitive, *avals, **params: primitive.name == "name" and params["name"] not in dropped


def save_anything_except_these_names(*names: str) -> Callable[..., bool]:
    """Keep all but the values to which `checkpoint_name` gave one of these names.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> layer = lambda x: ft.checkpoint_name(np.sin(x), "large") ** 2
    >>> ft.grad(ft.checkpoint(layer, policy=policies.save_anything_except_these_names("large")))(0.0)
    Array(0.)
    """
    dropped = frozenset(names)
    return lambda primitive, *avals, **params: not (primitive.name == "name" and params["name"] in dropped)


def save_and_offload_only_these_names(
    *,
    names_which_can_be_saved: Sequence[str],
    names_which_can_be_offloaded: Sequence[str],
    offload_src: str = "device",
    offload_dst: str = "pinned_host",
) -> Callable[..., bool]:
    """Keep the values to which `checkpoint_name` gave one of these names, all where they are: nothing is moved.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> policy = policies.save_and_offload_only_these_names(
    ...     names_which_can_be_saved=["y"], names_which_can_be_offloaded=[]
    ... )
    >>> ft.grad(ft.checkpoint(lambda x: ft.checkpoint_name(np.sin(x), "y") ** 2, policy=policy))(0.0)
    Array(0.)
    """
    return save_only_these_names(*names_which_can_be_saved, *names_which_can_be_offloaded)


def offload_dot_with_no_batch_dims(
    offload_src: str = "device", offload_dst: str = "pinned_host"
) -> Callable[..., bool]:
    """`dots_with_no_batch_dims_saveable`: what it keeps stays where it is.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> policy = policies.offload_dot_with_no_batch_dims("device", "pinned_host")
    >>> ft.grad(ft.checkpoint(lambda x: np.sin(x) ** 2, policy=policy))(0.0)
    Array(0.)
    """
    return dots_with_no_batch_dims_saveable


def save_from_both_policies(policy_1: Callable[..., bool], policy_2: Callable[..., bool]) -> Callable[..., bool]:
    """Keep what either policy keeps.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checkpoint_policies as policies
    >>> policy = policies.save_from_both_policies(policies.dots_saveable, policies.save_only_these_names("y"))
    >>> ft.grad(ft.checkpoint(lambda x: ft.checkpoint_name(np.sin(x), "y") ** 2, policy=policy))(0.0)
    Array(0.)
    """
    return lambda prim, *avals, **params: policy_1(prim, *avals, **params) or policy_2(prim, *avals, **params)
