"""Hamiltonian Monte Carlo: many chains at once, each a scan of leapfrog steps with the gradient of a log-density.

The data are Rubin's: what coaching did for test scores in eight schools (1981), the first example of many a book on
hierarchical models. Effects are written as `mu + tau * z`, so that the density has no funnel.

    python examples/hmc.py [--chains 64] [--samples 1000] [--output FOLDER]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import functrans as ft
import functrans.numpy as fnp
from functrans import random
from functrans.lax import fori_loop, scan

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
STEP, LEAPS = 0.4, 8


def log_density(q):
    """Of `q = (mu, log tau, z of the schools)`, up to a constant."""
    mu, log_tau, z = 5 * q[0], q[1], q[2:]
    effects = mu + fnp.exp(log_tau) * z
    prior = -0.5 * (q[0] ** 2 + fnp.sum(z**2)) + log_tau - fnp.log1p((fnp.exp(log_tau) / 5) ** 2)
    return prior - 0.5 * fnp.sum(((EFFECTS - effects) / ERRORS) ** 2)


def leapfrog(q, p):
    """Along the energy's level for `LEAPS` steps."""
    force = ft.grad(log_density)

    def leap(_, state):
        q, p = state
        q = q + STEP * p
        return q, p + STEP * force(q)

    q, p = fori_loop(0, LEAPS - 1, leap, (q, p + 0.5 * STEP * force(q)))
    q = q + STEP * p
    return q, p + 0.5 * STEP * force(q)


def chain(key, samples):
    """States of one Markov chain, and how often it moved."""
    first, key = random.split(key)

    def move(q, key):
        throw, accept = random.split(key)
        p = random.normal(throw, q.shape)
        new_q, new_p = leapfrog(q, p)
        gain = log_density(new_q) - log_density(q) + 0.5 * (p @ p - new_p @ new_p)
        moved = fnp.log(random.uniform(accept)) < gain
        q = fnp.where(moved, new_q, q)
        return q, (q, moved)

    return scan(move, random.normal(first, (10,)), random.split(key, samples))[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--samples", type=int, default=1000, help="of each chain, the first fifth of which is dropped")
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()

    sample = ft.jit(ft.vmap(lambda key: chain(key, options.samples)))
    keys = random.split(random.key(0), options.chains)
    sample(keys)  # compiles
    start = time.perf_counter()
    q, moved = sample(keys)
    seconds = time.perf_counter() - start
    each = seconds / (options.chains * options.samples * LEAPS) * 1e9
    print(f"{options.chains} chains of {options.samples} in {seconds:.2f} s: {each:.0f} ns a leapfrog step")
    print(f"{moved.mean():.1%} of the proposals were accepted")

    q = q[:, options.samples // 5 :]
    mu, tau = 5 * q[..., 0], np.exp(q[..., 1])
    schools = mu[..., None] + tau[..., None] * q[..., 2:]
    for name, x in {"mu": mu, "tau": tau, **{f"school {c}": schools[..., i] for i, c in enumerate("ABCDEFGH")}}.items():
        within, between = x.var(1, ddof=1).mean(), x.mean(1).var(ddof=1)
        print(f"{name:9} {x.mean():6.2f} +- {x.std():5.2f}   R-hat {np.sqrt(1 + between / within):.3f}")

    options.output.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hexbin(schools[..., 0].ravel(), np.log(tau).ravel(), gridsize=60, cmap="magma", bins="log")
    left.set(xlabel="effect in school A", ylabel="log tau", title="Posterior", ylim=(-4, 4), xlim=(-25, 50))
    shown = schools.reshape(-1, 8)
    right.boxplot(shown, whis=(5, 95), showfliers=False, tick_labels=list("ABCDEFGH"))
    right.errorbar(np.arange(1, 9) + 0.35, EFFECTS, ERRORS, fmt=".", color="C3", label="measured alone")
    right.set(xlabel="school", ylabel="effect of coaching", title="Schools learn from each other")
    right.legend()
    figure.savefig(options.output / "hmc.png", dpi=120)
    print(f"wrote {options.output / 'hmc.png'}")


if __name__ == "__main__":
    main()
