"""A call of every public function, for the tests and for the table of functions in the docs.

Each namespace has a file of calls; `measure.py` says what can be made of one.
"""

from __future__ import annotations

import importlib
import types
from dataclasses import dataclass, field
from typing import Any

from calls import arrays, distributions, layers, matrices, operations, random, scientific, special
from calls.measure import Call


@dataclass
class Namespace:
    """A module of functrans, the modules that it is held against, and calls of its functions.

    `plain` are names by what they are about: functions with no array to transform. `apart` are classes that are no
    functions.
    """

    name: str
    others: dict[str, str]
    calls: dict[str, Call]
    plain: dict[str, str] = field(default_factory=dict)
    apart: tuple[str, ...] = ()

    @property
    def module(self) -> types.ModuleType:
        return importlib.import_module(self.name)

    def functions(self) -> list[str]:
        """The names that have a row: what can be called, in the order of the alphabet."""
        left_out = {*self.apart, *(n for names in self.plain.values() for n in names.split())}
        return sorted(
            n for n in self.module.__all__ if n not in left_out and is_function(n, getattr(self.module, n), self.calls)
        )

    def call(self, name: str) -> Call | None:
        """The call of a function, or of the one that it is another name of."""
        if name in self.calls:
            return self.calls[name]
        function = getattr(self.module, name)
        return next((c for n, c in self.calls.items() if getattr(self.module, n, None) is function), None)


def is_function(name: str, value: Any, calls: dict[str, Call]) -> bool:
    """Classes count where they have a call: layers, interpolators."""
    if isinstance(value, types.ModuleType) or not callable(value):
        return False
    return not isinstance(value, type) or name in calls


def _scipy(name: str, calls: dict[str, Call], plain: dict[str, str] | None = None, apart: Any = ()) -> Namespace:
    others = {"SciPy": f"scipy.{name}"} | ({} if name == "spatial.distance" else {"JAX": f"jax.scipy.{name}"})
    return Namespace(f"functrans.scipy.{name}", others, calls, plain or scientific.PLAIN.get(name, {}), tuple(apart))


NAMESPACES = [
    Namespace(
        "functrans.numpy", {"NumPy": "numpy", "JAX": "jax.numpy", "standard": "standard"}, arrays.NUMPY, arrays.PLAIN,
    ),
    Namespace(
        "functrans.numpy.linalg",
        {"NumPy": "numpy.linalg", "JAX": "jax.numpy.linalg", "standard": "standard.linalg"}, arrays.LINALG,
    ),
    Namespace(
        "functrans.numpy.fft", {"NumPy": "numpy.fft", "JAX": "jax.numpy.fft", "standard": "standard.fft"}, arrays.FFT
    ),
    Namespace("functrans.lax", {"JAX": "jax.lax"}, operations.LAX, operations.PLAIN),
    Namespace("functrans.lax.linalg", {"JAX": "jax.lax.linalg"}, operations.LINALG),
    Namespace("functrans.nn", {"JAX": "jax.nn"}, layers.NN, layers.PLAIN, tuple(layers.APART)),
    Namespace(
        "functrans.nn.initializers", {"JAX": "jax.nn.initializers"}, layers.INITIALIZERS, apart=("Initializer",)
    ),
    Namespace("functrans.random", {"JAX": "jax.random"}, random.RANDOM, random.PLAIN),
    _scipy("special", special.SPECIAL, special.PLAIN),
    _scipy("linalg", matrices.MATRICES, matrices.PLAIN),
    _scipy("sparse.linalg", scientific.SPARSE),
    _scipy("fft", scientific.FFT),
    _scipy("integrate", scientific.INTEGRATE),
    _scipy("interpolate", scientific.INTERPOLATE),
    _scipy("optimize", scientific.OPTIMIZE, apart=scientific.RESULTS),
    _scipy("signal", scientific.SIGNAL),
    _scipy("ndimage", scientific.NDIMAGE),
    _scipy("stats", distributions.STATS, apart=distributions.DISTRIBUTIONS),
    _scipy("spatial.distance", scientific.DISTANCE),
    _scipy("spatial.transform", scientific.TRANSFORM),
    _scipy("cluster.vq", scientific.CLUSTER),
]  # fmt: skip
