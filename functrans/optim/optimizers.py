"""Optimizers, as chains of transformations, with Optax's names, arguments and defaults.

In formulas `g` is the gradient, `p` the parameters, `a` the learning rate, `t` the number of the step, counted from 1;
all operations go element by element, and averages start at 0.
"""

from __future__ import annotations

from typing import Any

from functrans.optim.base import GradientTransformationExtraArgs, Mask, ScalarOrSchedule, chain
from functrans.optim.scaling import (
    add_decayed_weights,
    scale_by_adadelta,
    scale_by_adam,
    scale_by_adamax,
    scale_by_amsgrad,
    scale_by_learning_rate,
    scale_by_lion,
    scale_by_radam,
    scale_by_rms,
    scale_by_rss,
    scale_by_stddev,
    scale_by_trust_ratio,
    trace,
)
from functrans.optim.wrappers import masked

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "adamw", "amsgrad", "lamb", "lars", "lion", "nadam", "radam", "rmsprop",
    "sgd",
]  # fmt: skip


def sgd(
    learning_rate: ScalarOrSchedule, momentum: Any = None, nesterov: bool = False
) -> GradientTransformationExtraArgs:
    """Stochastic gradient descent: `p - a g`; with momentum `m = momentum m + g`, `p - a m`.

    Args:
        learning_rate: a number, an array, or a schedule.
        momentum: which part of `m` remains at the next step; `None` for no momentum.
        nesterov: with `p - a (momentum m + g)` in place of `p - a m`.

    Source: I. Sutskever, J. Martens, G. Dahl and G. Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.sgd(0.1, momentum=0.5)
    >>> params = np.array([1.0, 2.0])
    >>> state = optimizer.init(params)
    >>> for _ in range(2):
    ...     updates, state = optimizer.update(ft.grad(lambda p: np.sum(p**2))(params), state)
    ...     params = ft.optim.apply_updates(params, updates)
    >>> params
    Array([0.54, 1.08])
    """
    step = scale_by_learning_rate(learning_rate)
    return chain(step) if momentum is None else chain(trace(momentum, nesterov), step)


def adagrad(
    learning_rate: ScalarOrSchedule, initial_accumulator_value: Any = 0.1, eps: Any = 1e-7
) -> GradientTransformationExtraArgs:
    """Adagrad: `s = s + g^2`, `p - a g / sqrt(s + eps)`, where `s` starts at `initial_accumulator_value`.

    Source: J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", JMLR 12 (2011).

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.adagrad(0.5, initial_accumulator_value=0.0, eps=0.0)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)))[0]
    Array([-0.5,  0.5])
    """
    return chain(scale_by_rss(initial_accumulator_value, eps), scale_by_learning_rate(learning_rate))


def rmsprop(
    learning_rate: ScalarOrSchedule,
    decay: Any = 0.9,
    eps: Any = 1e-8,
    initial_scale: Any = 0.0,
    centered: bool = False,
    momentum: Any = None,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """RMSProp: `v = decay v + (1 - decay) g^2`, `p - a g / sqrt(v + eps)`.

    Args:
        learning_rate: a number, an array, or a schedule.
        decay: of the averages.
        eps: added under the root.
        initial_scale: the first `v`.
        centered: with `v - m^2` under the root in place of `v`, where `m = decay m + (1 - decay) g`: the variance.
        momentum, nesterov: of the steps, as for `sgd`.

    Source: T. Tieleman and G. Hinton, "Neural networks for machine learning", lecture 6.5, 2012; centered: A. Graves,
    "Generating sequences with recurrent neural networks", 2013.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.rmsprop(0.1, decay=0.75)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)))[0]
    Array([-0.2,  0.2])
    """
    scaling = (scale_by_stddev if centered else scale_by_rms)(decay, eps, initial_scale)
    step = scale_by_learning_rate(learning_rate)
    return chain(scaling, step) if momentum is None else chain(scaling, step, trace(momentum, nesterov))


def adadelta(
    learning_rate: ScalarOrSchedule = 1.0,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: Any = 0.0,
    weight_decay_mask: Mask | None = None,
) -> GradientTransformationExtraArgs:
    """Adadelta: steps as long as the last ones were, relative to the gradients.

    `s = rho s + (1 - rho) g^2`, `u = g sqrt(d + eps) / sqrt(s + eps)`, `d = rho d + (1 - rho) u^2`, `p - a u`, all with
    `g + weight_decay p` in place of `g`. `update` needs the parameters.

    Source: M. Zeiler, "ADADELTA: an adaptive learning rate method", 2012.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.adadelta(eps=0.1)
    >>> optimizer.update(np.array([1.0]), optimizer.init(np.zeros(1)), np.zeros(1))[0]
    Array([-0.70710678])
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        scale_by_adadelta(rho, eps),
        scale_by_learning_rate(learning_rate),
    )


def adam(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Adam: the average of gradients over the root of the average of their squares.

    `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`,
    `p - a (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t) + eps_root) + eps)`.

    Args:
        learning_rate: a number, an array, or a schedule.
        b1, b2: decays of the averages.
        eps: added to the denominator.
        eps_root: added under the root; positive where one differentiates through steps, as the root has no derivative
            at 0.
        nesterov: the same as `nadam`.

    Raises:
        DTypeError: parameters that are not real floats.

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.adam(0.1)
    >>> params = {"w": np.array([1.0, -1.0], np.float32)}
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update({"w": np.array([3.0, -0.01], np.float32)}, state)
    >>> ft.optim.apply_updates(params, updates)
    {'w': Array([ 0.9000000, -0.9000001], dtype=float32)}
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root, nesterov=nesterov), scale_by_learning_rate(learning_rate))


def adamw(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    weight_decay: Any = 1e-4,
    mask: Mask | None = None,
    *,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Adam with decoupled weight decay: `p - a (u + weight_decay p)`, where `u` is the step of `adam` without `a`.

    Args:
        learning_rate, b1, b2, eps, eps_root, nesterov: as for `adam`.
        weight_decay: a number.
        mask: which parameters decay, as for `add_decayed_weights`; all by default.

    `update` needs the parameters. Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR
    2019.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.adamw(0.1, weight_decay=0.5, mask={"w": True, "b": False})
    >>> params = {"w": np.ones(1), "b": np.ones(1)}
    >>> optimizer.update(params, optimizer.init(params), params)[0]
    {'w': Array([-0.15]), 'b': Array([-0.1])}
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root, nesterov=nesterov),
        add_decayed_weights(weight_decay, mask),
        scale_by_learning_rate(learning_rate),
    )


def nadam(
    learning_rate: ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformationExtraArgs:
    """Adam with Nesterov's momentum: `m / (1 - b1^t)` becomes `b1 m / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t)`.

    Arguments as for `adam`. The decay `b1` is constant, as in Optax; PyTorch's has a schedule.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR workshop 2016.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.nadam(0.19)
    >>> optimizer.update(np.array([1.0]), optimizer.init(np.zeros(1)))[0]
    Array([-0.28])
    """
    return adam(learning_rate, b1, b2, eps, eps_root, nesterov=True)


def adamax(
    learning_rate: ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8
) -> GradientTransformationExtraArgs:
    """Adam with a maximum in place of the root: `v = max(b2 v, |g| + eps)`, `p - a (m / (1 - b1^t)) / v`.

    Source: D. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 7.1.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.adamax(0.1)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)))[0]
    Array([-0.1,  0.1])
    """
    return chain(scale_by_adamax(b1, b2, eps), scale_by_learning_rate(learning_rate))


def radam(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-8,
    eps_root: Any = 0.0,
    threshold: Any = 5.0,
) -> GradientTransformationExtraArgs:
    """Rectified Adam: plain momentum until the average of squares is long enough to divide by.

    With `n = 2 / (1 - b2) - 1` and the length `l = n - 2 t b2^t / (1 - b2^t)`: while `l < threshold`,
    `p - a m / (1 - b1^t)`; then the step of `adam` times
    `sqrt((l - 4) (l - 2) n / ((n - 4) (n - 2) l))`.

    Arguments as for `adam`. Source: L. Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR
    2020.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.radam(0.1)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)))[0]
    Array([-0.2,  0.9])
    """
    return chain(scale_by_radam(b1, b2, eps, eps_root, threshold), scale_by_learning_rate(learning_rate))


def amsgrad(
    learning_rate: ScalarOrSchedule, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0
) -> GradientTransformationExtraArgs:
    """Adam that divides by the largest average of squares so far: `w = max(w, v / (1 - b2^t))` under the root.

    Arguments as for `adam`. As in Optax the maximum is taken of what is corrected for the start at 0; PyTorch corrects
    the maximum.

    Source: S. Reddi, S. Kale and S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.amsgrad(0.1)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)))[0]
    Array([-0.1,  0.1])
    """
    return chain(scale_by_amsgrad(b1, b2, eps, eps_root), scale_by_learning_rate(learning_rate))


def lamb(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.999,
    eps: Any = 1e-6,
    eps_root: Any = 0.0,
    weight_decay: Any = 0.0,
    mask: Mask | None = None,
) -> GradientTransformationExtraArgs:
    """Adam for large batches: `p - a u |p| / |u|` for each array, where `u` is the step of `adamw` without `a`.

    Arguments as for `adamw`; `update` needs the parameters. Where a norm is 0 the step is `a u`.

    Source: Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", ICLR 2020.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.lamb(0.1)
    >>> params = np.array([3.0, 4.0])
    >>> optimizer.update(np.array([7.0, -7.0]), optimizer.init(params), params)[0]
    Array([-0.35355339,  0.35355339])
    """
    return chain(
        scale_by_adam(b1, b2, eps, eps_root),
        add_decayed_weights(weight_decay, mask),
        scale_by_trust_ratio(),
        scale_by_learning_rate(learning_rate),
    )


def lars(
    learning_rate: ScalarOrSchedule,
    weight_decay: Any = 0.0,
    weight_decay_mask: Mask = True,
    trust_coefficient: Any = 0.001,
    eps: Any = 0.0,
    trust_ratio_mask: Mask = True,
    momentum: Any = 0.9,
    nesterov: bool = False,
) -> GradientTransformationExtraArgs:
    """Momentum for large batches: each array's step in proportion to its norm.

    `u = g + weight_decay p`, `m = momentum m + a trust_coefficient u |p| / (|u| + eps)`, `p - m`.

    Args:
        learning_rate: a number, an array, or a schedule.
        weight_decay: a number.
        weight_decay_mask, trust_ratio_mask: which parameters decay, and which are scaled by their norms, as for
            `add_decayed_weights`; all by default.
        trust_coefficient: a factor of the ratio of norms.
        eps: added to the norm of `u`.
        momentum, nesterov: as for `sgd`.

    `update` needs the parameters. Where a norm is 0 the step is `u`, not scaled.

    Source: Y. You, I. Gitman and B. Ginsburg, "Large batch training of convolutional networks", 2017.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.lars(0.1, trust_coefficient=1.0)
    >>> params = np.array([3.0, 4.0])
    >>> optimizer.update(np.array([5.0, 12.0]), optimizer.init(params), params)[0]
    Array([-0.19230769, -0.46153846])
    """
    return chain(
        add_decayed_weights(weight_decay, weight_decay_mask),
        masked(scale_by_trust_ratio(trust_coefficient, eps), trust_ratio_mask),
        scale_by_learning_rate(learning_rate),
        trace(momentum, nesterov),
    )


def lion(
    learning_rate: ScalarOrSchedule,
    b1: Any = 0.9,
    b2: Any = 0.99,
    weight_decay: Any = 1e-3,
    mask: Mask | None = None,
) -> GradientTransformationExtraArgs:
    """Lion: steps of one size, `p - a (sign(b1 m + (1 - b1) g) + weight_decay p)`, then `m = b2 m + (1 - b2) g`.

    Args:
        learning_rate: a number, an array, or a schedule; smaller by about ten than that of `adam`.
        b1, b2: decays for the step and for the average.
        weight_decay: a number.
        mask: which parameters decay, as for `add_decayed_weights`; all by default.

    `update` needs the parameters. Source: X. Chen et al., "Symbolic discovery of optimization algorithms", 2023.

    >>> import functrans as ft, numpy as np
    >>> optimizer = ft.optim.lion(0.1, weight_decay=0.0)
    >>> optimizer.update(np.array([2.0, -9.0]), optimizer.init(np.zeros(2)), np.zeros(2))[0]
    Array([-0.1,  0.1])
    """
    return chain(scale_by_lion(b1, b2), add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate))
