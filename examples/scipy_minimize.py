"""A fit with SciPy's own optimizer, its gradient and Hessian made and compiled by functrans.

Logistic regression with a ridge penalty on scikit-learn's breast cancer data (569 real biopsies, 30 measurements), by
Newton's method in a trust region.

    python examples/scipy_minimize.py [--output FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

import functrans as ft

PENALTY = 1.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()

    data = load_breast_cancer()
    features = (data.data - data.data.mean(0)) / data.data.std(0)
    benign = data.target.astype(float)

    def objective(parameters):
        """Negative log-likelihood and penalty; the last parameter is the intercept."""
        weights, intercept = parameters[:-1], parameters[-1]
        score = features @ weights + intercept
        return np.sum(np.logaddexp(0.0, score) - benign * score) + 0.5 * PENALTY * np.sum(weights**2)

    start = np.zeros(features.shape[1] + 1)
    path = []
    found = ft.scipy.optimize.minimize(
        objective,
        start,
        method="trust-exact",
        callback=lambda x: path.append(float(objective(x))),
        options={"gtol": 1e-8},
    )
    print(f"{found.message} after {found.nit} iterations: objective {found.fun:.6f}")
    print(f"largest element of the gradient: {np.abs(found.jac).max():.1e}")

    reference = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=10_000).fit(features, data.target)
    expected = np.append(reference.coef_[0], reference.intercept_)
    print(f"largest difference from scikit-learn's fit: {np.abs(found.x - expected).max():.1e}")
    right = (features @ found.x[:-1] + found.x[-1] > 0) == data.target
    print(f"accuracy on the data: {right.mean():.2%}")

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    options.output.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.semilogy(np.array(path) - found.fun + 1e-12, marker="o")
    axes.set(xlabel="iteration", ylabel="objective above its minimum", title="Newton steps in a trust region")
    figure.savefig(options.output / "scipy_minimize.png", dpi=120)
    print(f"wrote {options.output / 'scipy_minimize.png'}")


if __name__ == "__main__":
    main()
