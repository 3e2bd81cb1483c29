"""Linear algebra: factorizations and solvers of matrices in the last two axes, batched over the others.

Values are LAPACK's, by NumPy and SciPy. Each chapter says where its derivatives come from and where they have none.
"""

from functrans.lax.linalg.decompositions import cholesky, householder_product, lu, lu_pivots_to_permutation, qr
from functrans.lax.linalg.determinants import det, slogdet
from functrans.lax.linalg.functions import expm, logm, solve_sylvester, sqrtm
from functrans.lax.linalg.spectral import eig, eigh, svd
from functrans.lax.linalg.systems import inv, solve, triangular_solve, tridiagonal_solve

__all__ = [
    "cholesky", "det", "eig", "eigh", "expm", "householder_product", "inv", "logm", "lu", "lu_pivots_to_permutation",
    "qr", "slogdet", "solve", "solve_sylvester", "sqrtm", "svd", "triangular_solve", "tridiagonal_solve",
]  # fmt: skip
