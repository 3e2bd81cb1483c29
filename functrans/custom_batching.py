"""Batching rules of the user's own, as in `jax.custom_batching`."""

from functrans.lax.custom_vmap import custom_vmap, sequential_vmap

__all__ = ["custom_vmap", "sequential_vmap"]
