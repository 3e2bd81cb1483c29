"""The stages of a compiled function, with the names of `jax.stages`.

>>> import functrans as ft
>>> isinstance(ft.jit(lambda x: x).lower(1.0).compile(), ft.stages.Compiled)
True
"""

from functrans.api.compilation import Compiled, Jitted as Wrapped, Lowered, Traced

__all__ = ["Compiled", "Lowered", "Traced", "Wrapped"]
