"""Linear algebra: factorizations and solvers of matrices in the last two axes, batched over the others.

Values are LAPACK's, by NumPy and SciPy. Each chapter says where its derivatives come from and where they have none.
"""

from functrans.lax.linalg.condensed import hessenberg, schur, tridiagonal
from functrans.lax.linalg.decompositions import (
    cholesky,
    cholesky_update,
    householder_product,
    lu,
    lu_pivots_to_permutation,
    ormqr,
    qr,
    symmetric_product,
)
from functrans.lax.linalg.determinants import det, slogdet
from functrans.lax.linalg.functions import expm, logm, solve_sylvester, sqrtm
from functrans.lax.linalg.spectral import eig, eigh, svd
from functrans.lax.linalg.systems import inv, solve, triangular_solve, tridiagonal_solve

__all__ = [
    "cholesky", "cholesky_update", "det", "eig", "eigh", "expm", "hessenberg", "householder_product", "inv", "logm",
    "lu", "lu_pivots_to_permutation", "ormqr", "qr", "schur", "slogdet", "solve", "solve_sylvester", "sqrtm", "svd",
    "symmetric_product", "triangular_solve", "tridiagonal", "tridiagonal_solve",
]  # fmt: skip
