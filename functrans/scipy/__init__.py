"""SciPy's functions for traced and plain arrays, by SciPy's modules and names."""

from functrans.scipy import linalg, special

__all__ = ["linalg", "special"]
