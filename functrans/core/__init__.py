"""What everything stands on: avals, jaxprs, primitives, traces, pytrees.

The names of `jax.core` and `jax.extend.core` are here, for whoever walks over jaxprs or asks for tracers:

>>> import functrans as ft
>>> seen = []
>>> y = ft.jit(lambda x: seen.append(isinstance(x, ft.core.Tracer)) or x)(1.0)
>>> seen, isinstance(y, ft.core.Tracer)
([True], False)
"""

from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var, eval_jaxpr
from functrans.core.primitive import Primitive
from functrans.core.trace import Trace, Tracer

AbstractValue = ShapedArray
JaxprEqn = Eqn

__all__ = [
    "AbstractValue", "Atom", "ClosedJaxpr", "Eqn", "Jaxpr", "JaxprEqn", "Literal", "Primitive", "ShapedArray", "Trace",
    "Tracer", "Var", "eval_jaxpr",
]  # fmt: skip
