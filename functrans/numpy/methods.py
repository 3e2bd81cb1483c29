"""What makes a tracer an array: operators, methods, properties and NumPy's two protocols, installed on `Tracer`.

The core knows nothing of NumPy's namespace; this file, above it, gives tracers their behaviour. Concrete arrays
(`functrans.Array`) are ndarrays and have most of it from NumPy; they get `.at` and indexing by tracers here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from functrans.core.trace import Tracer
from functrans.lax import elementwise as ew


def _binary(op: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    def forward(self: Tracer, other: Any) -> Any:
        return op(self, other) if _defers(other) else NotImplemented

    def reflected(self: Tracer, other: Any) -> Any:
        return op(other, self) if _defers(other) else NotImplemented

    return forward, reflected


def _defers(other: Any) -> bool:
    return not isinstance(other, (str, bytes, dict, set, type(None)))


def power(x: Any, y: Any) -> Any:
    """`x ** y`; a Python integer exponent becomes repeated multiplication."""
    if type(y) is int and isinstance(x, Tracer) and x.aval.dtype.kind in "fc":
        return ew.integer_pow(x, y)
    return ew.pow(x, y)


_OPERATORS = {
    "add": ew.add, "sub": ew.sub, "mul": ew.mul, "truediv": ew.div, "floordiv": ew.floor_divide, "mod": ew.rem,
    "pow": power, "and": ew.bitwise_and, "or": ew.bitwise_or, "xor": ew.bitwise_xor, "lshift": ew.shift_left,
    "rshift": ew.shift_right,
}  # fmt: skip
_COMPARISONS = {"eq": ew.eq, "ne": ew.ne, "lt": ew.lt, "le": ew.le, "gt": ew.gt, "ge": ew.ge}

for _name, _op in _OPERATORS.items():
    _forward, _reflected = _binary(_op)
    setattr(Tracer, f"__{_name}__", _forward)
    setattr(Tracer, f"__r{_name}__", _reflected)
for _name, _op in _COMPARISONS.items():
    setattr(Tracer, f"__{_name}__", _binary(_op)[0])
Tracer.__neg__ = lambda self: ew.neg(self)  # type: ignore[attr-defined]
Tracer.__pos__ = lambda self: self  # type: ignore[attr-defined]
Tracer.__abs__ = lambda self: ew.abs(self)  # type: ignore[attr-defined]
Tracer.__invert__ = lambda self: ew.bitwise_not(self)  # type: ignore[attr-defined]
