"""Calls of the functions of `functrans.random`."""

import numpy as np
from numpy_samples import SPD, P, V, W, X

from calls.measure import Call
from functrans import random

KEY = np.asarray(random.PRNGKey(7))

PLAIN = {"kinds of keys": "key_impl"}

RANDOM: dict[str, Call] = {}


def add(name: str, *args: object, **kwargs: object) -> None:
    """Samples move with parameters as quantiles do: finite differences of one sample say nothing of that."""
    RANDOM[name] = Call(getattr(random, name), args, kwargs, step=0)


add("PRNGKey", np.array(7))
add("key", np.array(7))
add("key_data", KEY)
add("wrap_key_data", KEY)
for name in "ball bits cauchy exponential gumbel laplace logistic maxwell normal rademacher rayleigh uniform".split():
    add(name, KEY, *{"ball": (3,), "rayleigh": (W,)}.get(name, ()), shape=(4,))
for name in "split clone".split():
    add(name, KEY)
add("fold_in", KEY, np.array(3))
for name in "chisquare gamma loggamma pareto t geometric".split():
    add(name, KEY, P[0])
for name in "beta f weibull_min".split():
    add(name, KEY, W, 1 + P[0])
add("bernoulli", KEY, P)
add("binomial", KEY, np.array([5.0, 9.0]), P[0, :2])
add("categorical", KEY, X)
add("choice", KEY, V, (3,))
add("dirichlet", KEY, W)
add("double_sided_maxwell", KEY, X, P, (3, 4))
add("generalized_normal", KEY, W, (4,))
add("lognormal", KEY, W, (4,))
add("multinomial", KEY, 20, P[0] / P[0].sum())
add("multivariate_normal", KEY, V[:3], SPD[0])
add("orthogonal", KEY, 3)
add("permutation", KEY, X)
add("poisson", KEY, W)
add("randint", KEY, (4,), 0, 100)
add("triangular", KEY, X - 2, X, X + 1, (3, 4))
add("truncated_normal", KEY, -W, W)
add("wald", KEY, W)
