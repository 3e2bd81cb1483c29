"""Samples by name, the same for `functrans.random` and for `jax.random`.

The latter's figures are in `random/figures.json`; `python tests/random_samples.py` writes them anew, by JAX.
"""

import json
from pathlib import Path

import numpy as np

FIGURES = Path(__file__).parent / "random" / "figures.json"
P = np.array([0.1, 0.2, 0.3, 0.4])
LOGITS = np.log(np.array([P, P[::-1]]))


def samples(random):
    """Functions of a key by name; `random` is the module."""
    out = {}

    def add(name, function, *args, **kwargs):
        label = "-".join([name, *(str(v) for k, v in kwargs.items() if k in ("dtype", "mode")), str(len(out))])
        out[label] = lambda key: getattr(random, function)(key, *args, **kwargs)

    add("split", "split", 3)
    add("split", "split", (2, 3))
    add("fold_in", "fold_in", 7)
    add("fold_in", "fold_in", 2**32 - 1)
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        add("bits", "bits", (2, 3), dtype=dtype)
    for dtype in ("float16", "float32", "float64"):
        add("uniform", "uniform", (2, 3), dtype=dtype, minval=-1.0, maxval=3.0)
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"):
        add("randint", "randint", (7,), 3, 100, dtype=dtype)
    add("randint", "randint", (7,), 0, 256, dtype="uint8")
    add("randint", "randint", (7,), -(2**31), 2**31, dtype="int32")
    add("randint", "randint", (7,), -(2**62), 2**62, dtype="int64")
    add("randint", "randint", (3,), np.array([0, 5, 9]), np.array([1, 5, 4]), dtype="int64")
    add("permutation", "permutation", 10)
    add("permutation", "permutation", np.arange(12.0).reshape(4, 3))
    add("permutation", "permutation", np.arange(12.0).reshape(4, 3), axis=1, independent=True)
    add("bernoulli", "bernoulli", 0.3, (8,))
    add("bernoulli", "bernoulli", np.float32(0.3), (8,))
    add("bernoulli", "bernoulli", 0.3, (8,), mode="high")
    add("rademacher", "rademacher", (8,))
    add("choice", "choice", 10, (4,))
    add("choice", "choice", 10, (2, 2), replace=False)
    add("choice", "choice", 4, (4,), p=P)
    add("choice", "choice", np.arange(8.0).reshape(2, 4), (3,), p=P, axis=1, replace=False)
    add("categorical", "categorical", LOGITS)
    add("categorical", "categorical", LOGITS, axis=0)
    add("categorical", "categorical", LOGITS, shape=(5, 2))
    add("categorical", "categorical", LOGITS, shape=(3, 2), replace=False)
    add("geometric", "geometric", np.array([0.1, 0.5, 0.9]))
    add("poisson", "poisson", np.array([0, 0.5, 4, 9.9, 10, 50, 1e4], np.float32), (7,))
    add("binomial", "binomial", np.array([0, 5, 100, 1000, 1e5, 30]), np.array([0.5, 0.3, 0.9, 0.5, 0.01, 0.99]))
    add("multinomial", "multinomial", 20, np.array([0.2, 0.3, 0.5]))
    add("normal", "normal", (3,), dtype="complex128")
    for dtype in ("float32", "float64"):
        for name in ("cauchy", "exponential", "gumbel", "laplace", "logistic", "maxwell", "normal"):
            add(name, name, (5,), dtype=dtype)
        add("gumbel", "gumbel", (5,), dtype=dtype, mode="high")
        a = np.array([0.05, 0.5, 1, 3, 50], dtype)
        b = a[::-1].copy()
        parameters = {
            "gamma": (a,), "loggamma": (a,), "beta": (a, b), "chisquare": (a,), "f": (a + 1, b + 1), "t": (a,),
            "pareto": (a,), "rayleigh": (a,), "wald": (a,), "generalized_normal": (a + dtype_of(a)(0.5),),
            "lognormal": (a / 10,), "triangular": (a - 9, a, a + 4), "truncated_normal": (-a, a), "weibull_min": (a, b),
        }  # fmt: skip
        for name, args in parameters.items():
            add(name, name, *args, shape=(5,), dtype=dtype)
        add("dirichlet", "dirichlet", a, (2,), dtype=dtype)
        add("ball", "ball", 3, 2.0, (2,), dtype=dtype)
        add("orthogonal", "orthogonal", 3, (2,), dtype=dtype)
        add("double_sided_maxwell", "double_sided_maxwell", 0 * a, a, (2,), dtype=dtype)
        mean, covariance = np.array([1, 2], dtype), np.array([[2, 1], [1, 2]], dtype)
        for method in ("cholesky", "eigh", "svd"):
            add("multivariate_normal", "multivariate_normal", mean, covariance, (3,), method=method)
    return out


def dtype_of(a):
    return a.dtype.type


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    figures = {}
    for label, sample in samples(jax.random).items():
        x = np.asarray(sample(jax.random.PRNGKey(42)))
        numbers = x.view(f"f{x.itemsize // 2}") if x.dtype.kind == "c" else x
        figures[label] = {"dtype": str(x.dtype), "shape": x.shape, "values": numbers.ravel().tolist()}
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in figures.items())
    FIGURES.write_text(f"{{\n{lines}\n}}\n")
