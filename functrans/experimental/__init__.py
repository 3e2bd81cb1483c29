"""The names of `jax.experimental` that functrans has."""

from functrans.lax.callbacks import io_callback

__all__ = ["io_callback"]
