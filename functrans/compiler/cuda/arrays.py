"""Arrays that live on a GPU, and what is done with them outside of `jit`.

To the rest of functrans a `DeviceArray` is a tracer whose trace is the device itself, below all others: what is done
with it goes where operations on tracers go, and the device's trace compiles and runs each operation as a program of one
equation. So operators, methods, NumPy's functions and all transformations work on it with nothing written twice. Unlike
other tracers it has a value: `if x > 0:` fetches it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from functrans import errors
from functrans.core.array import Array
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Eqn, Jaxpr, Var
from functrans.core.trace import Trace, Tracer

if TYPE_CHECKING:
    from functrans.compiler.cuda.program import DeviceLowered, DeviceProgram
    from functrans.compiler.cuda.runtime import Runtime
    from functrans.core.primitive import Primitive


def _runtime() -> Runtime:
    from functrans.compiler.cuda.runtime import runtime

    return runtime()


def lower(jaxpr: Jaxpr, consts: Sequence[Any]) -> DeviceLowered:
    """The stages before machine code; arrays that a program captured become its constants."""
    from functrans.compiler.cuda import program

    return program.lower(jaxpr, [to_host(c) for c in consts])


def compile(jaxpr: Jaxpr, consts: Sequence[Any]) -> DeviceProgram:
    """The program of a jaxpr on the GPU."""
    from functrans.compiler.cuda.program import DeviceProgram

    return DeviceProgram(lower(jaxpr, consts).plan, _runtime())


def call(program: DeviceProgram, avals: Sequence[ShapedArray], values: Sequence[Any]) -> list[DeviceArray]:
    """Run a program on values of these types, of which those on the host are copied."""
    outs = program(*[to_device(v, a.dtype) for v, a in zip(values, avals)])
    return [DeviceArray(data) for data in outs]


def to_device(value: Any, dtype: np.dtype | None = None) -> Any:
    """A value as an array of the runtime's library."""
    if isinstance(value, DeviceArray):
        return value.data
    if _is_cuda(value):
        return _runtime().adopt(value)
    return _runtime().upload(np.asarray(value, dtype))


def _is_cuda(value: Any) -> bool:
    """Whether another library's array is on a GPU."""
    return not isinstance(value, (np.ndarray, np.generic)) and hasattr(value, "__cuda_array_interface__")


def to_host(value: Any) -> Any:
    """A value as a NumPy array."""
    if isinstance(value, DeviceArray):
        return _runtime().download(value.data)
    return value


def put(value: Any) -> DeviceArray:
    """A copy on the GPU; an array that is there already as it is, whichever library made it."""
    return value if isinstance(value, DeviceArray) else DeviceArray(to_device(value))


class DeviceTrace(Trace):
    """The GPU as the lowest of all traces: it does at once what it is given."""

    level = 0

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if primitive.stage is not None:  # its parameters are functions of the user's, which are called as they are
            return primitive.impl(*args, **params)
        avals = tuple(aval_of(a) for a in args)
        if not primitive.multiple_results:  # others may have what their functions captured among their operands
            refuse_mixed(primitive.name, args)
        try:
            program = _program(primitive, avals, tuple(sorted(params.items())))
        except TypeError:  # params that do not hash
            program = _compiled(primitive, avals, params)
        outs = call(program, avals, args)
        return outs if primitive.multiple_results else outs[0]


def refuse_mixed(what: str, values: Sequence[Any]) -> None:
    """NumPy's arrays are not moved unasked; what functrans made on the host, and numbers, are."""
    for value in values:
        if type(value) is np.ndarray and value.ndim and what not in _TAKE_INDICES:
            raise errors.MixedDevicesError(
                f"{what} has operands on the GPU and a NumPy array of shape {value.shape} on the host; move it by "
                "functrans.device_put(x, 'cuda'), or the others by functrans.device_get"
            )


_TAKE_INDICES = frozenset({"gather", "scatter", "scatter_add", "scatter_mul", "scatter_max", "scatter_min"})


@lru_cache(maxsize=4096)
def _program(
    primitive: Primitive, avals: tuple[ShapedArray, ...], params: tuple[tuple[str, Any], ...]
) -> DeviceProgram:
    return _compiled(primitive, avals, dict(params))


def _compiled(primitive: Primitive, avals: Sequence[ShapedArray], params: dict[str, Any]) -> DeviceProgram:
    """A program of one equation."""
    invars = [Var(a) for a in avals]
    out = primitive.abstract_eval(*avals, **params)
    outvars = [Var(a) for a in out] if primitive.multiple_results else [Var(out)]
    return compile(Jaxpr((), invars, [Eqn(primitive, invars, outvars, params)], outvars), ())


TRACE = DeviceTrace()


class DeviceArray(Tracer):
    """An array on a GPU. `data` is CuPy's array of it (NumPy's in the simulator), which shares its memory.

    CuPy, PyTorch and Numba take it without a copy, by DLPack or `__cuda_array_interface__`.
    """

    __slots__ = ("aval", "data")

    has_value = True

    def __init__(self, data: Any):
        self._trace = TRACE
        self.data = data
        self.aval = ShapedArray(tuple(data.shape), np.dtype(data.dtype))

    @property
    def device(self) -> str:
        """Where the array is: `cuda:0`."""
        return f"cuda:{_index(self.data)}"

    def concrete(self, error: type[errors.ConcretizationError], need: str) -> Any:
        value = _runtime().download(self.data)
        return value[()] if value.ndim == 0 else value

    def block_until_ready(self) -> DeviceArray:
        """This array, once it is computed."""
        _runtime().synchronize()
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise errors.DeviceError(
            f"this array of shape {self.aval.shape} is on the GPU and is not copied to the host unasked: use "
            "functrans.device_get(x)"
        )

    def __dlpack__(self, **options: Any) -> Any:
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    @property
    def __cuda_array_interface__(self) -> Any:
        return self.data.__cuda_array_interface__

    def __reduce__(self) -> tuple[Callable[[Any], DeviceArray], tuple[np.ndarray]]:
        return put, (to_host(self),)

    def describe(self) -> str:
        return f"an array {self.aval} on the GPU"

    def __repr__(self) -> str:
        text = repr(to_host(self).view(Array))
        return f"{text[:-1]}, device='{self.device}')"

    def __format__(self, spec: str) -> str:
        return format(to_host(self)[()], spec)


def _index(data: Any) -> int:
    return int(getattr(getattr(data, "device", 0), "id", 0))
