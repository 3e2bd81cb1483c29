"""A Kalman filter as a scan, and its noise learnt from data by the gradient of the likelihood.

Something moves through the plane, pushed about at random; a radar says where it is, badly. The filter's likelihood is a
function of how strong the pushes and how bad the radar are, so the gradient through the whole filter finds both.

    python examples/kalman.py [--output FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import minimize

import functrans as ft
import functrans.numpy as fnp
from functrans.lax import scan

DT, TURNS = 0.1, 400
PUSH, ERROR = 2.0, 0.5  # what the filter does not know
MOVE = np.kron([[1, DT], [0, 1]], np.eye(2))  # of a state (x, y, speed in x, speed in y)
SHAKE = np.kron([[DT**4 / 4, DT**3 / 2], [DT**3 / 2, DT**2]], np.eye(2))
LOOK = np.eye(2, 4)


def simulate(rng):
    """True states and what the radar says of them."""
    push = np.concatenate([DT**2 / 2 * np.ones(2), DT * np.ones(2)]) * np.tile(rng.normal(size=(TURNS, 2)), 2) * PUSH
    states = [np.array([0.0, 0.0, 3.0, 1.0])]
    for p in push[1:]:
        states.append(MOVE @ states[-1] + p)
    return np.array(states), np.array(states) @ LOOK.T + ERROR * rng.normal(size=(TURNS, 2))


def kalman(push, error, measurements):
    """Estimates of all states, their covariances, and the log-likelihood of the measurements."""

    def turn(belief, z):
        mean, cov = MOVE @ belief[0], MOVE @ belief[1] @ MOVE.T + push**2 * SHAKE
        surprise = z - LOOK @ mean
        spread = LOOK @ cov @ LOOK.T + error**2 * fnp.eye(2)
        gain = fnp.linalg.solve(spread, LOOK @ cov).T
        mean, cov = mean + gain @ surprise, cov - gain @ spread @ gain.T
        likelihood = -0.5 * (surprise @ fnp.linalg.solve(spread, surprise) + fnp.linalg.slogdet(2 * np.pi * spread)[1])
        return (mean, cov), (mean, cov, likelihood)

    _, (means, covs, likelihoods) = scan(turn, (np.zeros(4), 10 * np.eye(4)), measurements)
    return means, covs, likelihoods.sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()
    states, measurements = simulate(np.random.default_rng(0))

    negative = lambda logs: -kalman(*fnp.exp(logs), measurements)[2]
    found = minimize(ft.jit(ft.value_and_grad(negative)), np.zeros(2), jac=True, method="BFGS")
    push, error = np.exp(found.x)
    deviations = np.exp(found.x) * np.sqrt(np.diag(np.linalg.inv(ft.jit(ft.hessian(negative))(found.x))))
    print(f"log-likelihood {-found.fun:.1f} after {found.nit} steps of BFGS")
    print(f"push  {push:.3f} +- {deviations[0]:.3f}  (true {PUSH})")
    print(f"error {error:.3f} +- {deviations[1]:.3f}  (true {ERROR})")

    means, covs, _ = ft.jit(kalman)(push, error, measurements)
    rms = lambda x: np.sqrt(np.mean(np.sum(x[20:] ** 2, 1)))
    print(f"root mean square error: radar {rms(measurements - states[:, :2]):.3f}, "
          f"filter {rms(means[:, :2] - states[:, :2]):.3f}")  # fmt: skip
    inside = np.abs(means - states)[20:] < 2 * np.sqrt(np.diagonal(covs, axis1=1, axis2=2))[20:]
    print(f"{inside.mean():.1%} of the states are within two of the filter's standard deviations")

    options.output.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(*measurements[:150].T, ".", color="0.6", label="radar")
    axes.plot(*states[:150, :2].T, color="C2", linewidth=3, label="truth")
    axes.plot(*means[:150, :2].T, color="C3", label="filter")
    axes.set(title="A Kalman filter with noise learnt from the data", aspect="equal", xlabel="x", ylabel="y")
    axes.legend()
    figure.savefig(options.output / "kalman.png", dpi=120)
    print(f"wrote {options.output / 'kalman.png'}")


if __name__ == "__main__":
    main()
