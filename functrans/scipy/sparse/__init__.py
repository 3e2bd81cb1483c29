"""Sparse linear algebra, as `scipy.sparse`: solvers of systems of which only products are known."""

from functrans.scipy.sparse import linalg

__all__ = ["linalg"]
