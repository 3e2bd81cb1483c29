"""Primitives and the functions over them, by family; names and semantics of `jax.lax`."""
