"""Minima, roots and fits, as `scipy.optimize`.

On plain values SciPy's own solvers run, with derivatives made and compiled here where they use any. With traced values,
under `jit`, `vmap` and derivatives, solvers are loops of the program, and solutions have implicit derivatives: those of
the equation that they solve, whatever the solver did. `minimize`, `brentq` and their like decide by their arguments and
by one call of the user's function, which may capture traced values.
"""

from functrans.scipy.optimize.fitting import LeastSquaresResult, curve_fit, least_squares, linear_sum_assignment
from functrans.scipy.optimize.minimizing import OptimizeResults, minimize
from functrans.scipy.optimize.roots import (
    RootResult,
    RootResults,
    bisect,
    brenth,
    brentq,
    fixed_point,
    newton,
    ridder,
    root,
    root_scalar,
    toms748,
)
from functrans.scipy.optimize.scalar import ScalarResult, minimize_scalar

__all__ = [
    "LeastSquaresResult", "OptimizeResults", "RootResult", "RootResults", "ScalarResult", "bisect", "brenth", "brentq",
    "curve_fit", "fixed_point", "least_squares", "linear_sum_assignment", "minimize", "minimize_scalar", "newton",
    "ridder", "root", "root_scalar", "toms748",
]  # fmt: skip
