"""Functional transformations of NumPy programs: `grad`, `vmap`, `jit` and the rest, in the style of JAX."""

__version__ = "0.1.0"

from functrans import tree, tree_util

__all__ = ["tree", "tree_util"]
