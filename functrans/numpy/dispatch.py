"""How a function of this namespace is NumPy's own on plain arrays and ours on tracers.

`implements(np.f)` marks a function as the traced form of `np.f`. Called without tracers, NumPy's function runs and its
result becomes an `Array`; so eager results are NumPy's by construction. The same registry answers
`Tracer.__array_function__`: `np.f(tracer)` finds the traced form here.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from functrans import config
from functrans.core.array import Array, wrap
from functrans.core.avals import aval_of, kind_of
from functrans.core.placement import refuse_placement
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer, current_staging, stage
from functrans.core.watching import check_results
from functrans.errors import (
    ArgumentError,
    ConcretizationError,
    DTypeError,
    FunctransError,
    IndexOutOfBoundsError,
    KeywordError,
)
from functrans.lax.promotion import as_operand, refuse

F = TypeVar("F", bound=Callable[..., Any])

#: The kinds of dtypes that arrays can have here.
NUMBERS = "biufc"

#: NumPy's functions that have a traced form.
TRACED: dict[Any, Callable[..., Any]] = {}


def implements(numpy_function: Any, *beyond: str, eager: Any = None) -> Callable[[F], F]:
    """Make a function of tracers the traced form of a NumPy function.

    Args:
        beyond: names of arguments that NumPy's function does not have. Where one is given, the traced form runs on
            plain values too.
        eager: what runs on plain values, where the array API standard asks for more than NumPy's function gives.
    """
    plain = eager or numpy_function

    def register(traced: F) -> F:
        form = TRACED[numpy_function] = checked(numpy_function.__name__, traced)
        extra = frozenset(beyond)

        @functools.wraps(traced)
        def function(*args: Any, **kwargs: Any) -> Any:
            if kwargs and kwargs.get("where", True) is None:  # no mask; NumPy takes it for one that holds nowhere
                del kwargs["where"]
            if kwargs and "out_sharding" in kwargs:
                refuse_placement(numpy_function.__name__, out_sharding=kwargs.pop("out_sharding"))
            if has_tracer(args) or (kwargs and (has_tracer(kwargs.values()) or not extra.isdisjoint(kwargs))):
                return form(*args, **kwargs)
            # NumPy would sum and mix numbers of bfloat16 in their own precision
            if holds_bfloat16(args) or (kwargs and holds_bfloat16(kwargs.values())):
                return form(*as_ours(args), **{k: as_ours(v) for k, v in kwargs.items()})
            try:
                out = wrap_result(plain(*[_plain(a) for a in args], **kwargs))
            except Exception as error:
                raise explained(error, form, args, kwargs) from None
            if config.watched:
                check_results(numpy_function.__name__, args, flatten(out)[0])
            return out

        function.__doc__ = _document(numpy_function, traced)
        return function  # type: ignore[return-value]

    return register


def checked(name: str, traced: Callable[..., Any]) -> Callable[..., Any]:
    """The traced form, with an error of ours for calls that do not fit its signature."""

    @functools.wraps(traced)
    def function(*args: Any, **kwargs: Any) -> Any:
        try:
            return traced(*args, **kwargs)
        except (TypeError, ValueError, IndexError) as error:
            if isinstance(error, FunctransError) or _calls_back(args, kwargs):
                raise
            signature = inspect.signature(traced)
            try:
                signature.bind(*args, **kwargs)
            except TypeError as reason:
                bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
                call = signature.replace(parameters=bare, return_annotation=signature.empty)
                raise KeywordError(f"{name}: {reason}; it is called as {name}{call}") from None
            raise _of_ours(error, name) from None

    return function


def named(function: F) -> F:
    """A function for plain and traced arrays alike, with errors of ours for calls that do not fit its signature."""
    return checked(function.__name__, function)  # type: ignore[return-value]


def _calls_back(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether a function of the user's is among the arguments, which may have raised an exception."""
    return any(callable(a) and not isinstance(a, type) and not hasattr(a, "nin") for a in (*args, *kwargs.values()))


def _of_ours(error: Exception, name: str) -> Exception:
    """An exception of Python's or NumPy's as one of `functrans.errors` of its kind."""
    if isinstance(error, np.linalg.LinAlgError):  # which programs catch
        return error
    if isinstance(error, IndexError):  # in words that compiled code says too
        return IndexOutOfBoundsError(str(error))
    kind = ArgumentError if isinstance(error, ValueError) else DTypeError if isinstance(error, TypeError) else None
    return error if kind is None else kind(f"{name}: {error}")


def holds_bfloat16(values: Any) -> bool:
    """Whether an array of bfloat16 is among the arguments, or in a list or tuple among them."""
    for v in values:
        if isinstance(v, (np.ndarray, np.generic)):
            if v.dtype.kind == "V":
                return True
        elif isinstance(v, (list, tuple)) and holds_bfloat16(v):
            return True
    return False


def as_ours(value: Any) -> Any:
    """Arrays of bfloat16, also in lists and tuples, as `Array`s, whose operators leave them in bfloat16."""
    if isinstance(value, (np.ndarray, np.generic)):
        return wrap(value) if value.dtype.kind == "V" else value
    return type(value)(map(as_ours, value)) if type(value) in (list, tuple) else value


def _plain(value: Any) -> Any:
    """An array of another library as NumPy's: NumPy would call that library's methods."""
    if type(value) is Array or type(value) is np.ndarray or not hasattr(value, "__array__"):
        return value
    return value if isinstance(value, (np.ndarray, np.generic)) else np.asarray(value)


def creates(numpy_function: Any) -> Callable[[F], F]:
    """The same for functions that make arrays from nothing: they are staged wherever a function is being staged."""

    def register(traced: F) -> F:
        form = TRACED[numpy_function] = checked(numpy_function.__name__, traced)

        @functools.wraps(traced)
        def function(*args: Any, **kwargs: Any) -> Any:
            if kwargs and "out_sharding" in kwargs:
                refuse_placement(numpy_function.__name__, out_sharding=kwargs.pop("out_sharding"))
            if kwargs and "device" in kwargs:
                on_cpu(kwargs.pop("device"))
            given = (*args, *kwargs.values())
            if current_staging() is not None or has_tracer(given) or holds_bfloat16(given):
                return form(*as_ours(args), **{k: as_ours(v) for k, v in kwargs.items()})
            try:
                return wrap_result(numpy_function(*args, **kwargs))
            except Exception as error:
                raise explained(error, form, args, kwargs) from None

        function.__doc__ = _document(numpy_function, traced)
        return function  # type: ignore[return-value]

    return register


def explained(
    error: Exception, traced: Callable[..., Any], args: Any, kwargs: Any, name: str | None = None
) -> Exception:
    """The error that the traced form raises for these arguments, where NumPy raised one; else NumPy's as one of ours.

    So a mistake gets one text, eagerly and in traced functions.
    """
    if isinstance(error, FunctransError):
        return error
    leaves, tree = flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and kind_of(x.dtype) in NUMBERS]

    def run(*values: Any) -> list[Any]:
        for i, value in zip(places, values):
            leaves[i] = value
        own_args, own_kwargs = unflatten(tree, leaves)
        return flatten(traced(*own_args, **own_kwargs))[0]

    try:
        stage(run, [aval_of(leaves[i]) for i in places])
    except ConcretizationError:  # it depends on values
        pass
    except FunctransError as ours:
        return ours.with_traceback(None)
    except Exception:
        return error
    return (
        error
        if _calls_back(args, kwargs)
        else _of_ours(error, name if name is not None else str(getattr(traced, "__name__", "functrans.numpy")))
    )


def _document(numpy_function: Any, traced: Any) -> str:
    name = numpy_function.__name__
    lines = [line.strip() for line in (numpy_function.__doc__ or "").strip().splitlines()]
    # ufuncs and some others begin with their signature
    summary: list[str] = []
    for line in lines:
        if not line and summary:
            break
        if line and not (not summary and line.startswith(f"{name}(")):
            summary.append(line)
    own = inspect.getdoc(traced)
    place = getattr(numpy_function, "__module__", None) or "numpy"
    module = ".".join(part for part in place.split(".") if not part.startswith("_"))
    text = f"{' '.join(summary)}\n\nAs `{module}.{name}`."
    return f"{text}\n\n{own}" if own else text


def has_tracer(values: Any) -> bool:
    """Whether a tracer is among the arguments, or in a list or tuple among them."""
    for v in values:
        if isinstance(v, Tracer) or (isinstance(v, (list, tuple)) and has_tracer(v)):
            return True
    return False


def wrap_result(value: Any) -> Any:
    """NumPy's result with arrays and NumPy scalars as `Array`s."""
    if type(value) is Array or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        if kind_of(value.dtype) not in NUMBERS:
            refuse(value.dtype)
        return wrap(value)
    if type(value) in (tuple, list):
        return type(value)(wrap_result(v) for v in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(wrap_result(v) for v in value))
    return value


def known(value: Any) -> np.ndarray | None:
    """The value of an array, or `None` if it is only traced (under `grad` without `jit` values are there)."""
    if not isinstance(value, Tracer):
        return np.asarray(value)
    try:
        return np.asarray(value.concrete(ConcretizationError, "a value"))
    except ConcretizationError:
        return None


def sized(name: str, a: Any, size: Any, call: str = "x, size=n") -> int:
    """The `size` of a result whose shape depends on values, or the error that asks for it."""
    if size is None:
        raise ConcretizationError(
            f"{name} of a traced array has a shape that depends on values: give the number of results as "
            f"functrans.numpy.{name}({call}), or call it outside the traced function.\n"
            f"The array is {a.describe() if isinstance(a, Tracer) else aval_of(a)}"
        )
    return operator.index(size)


def operand(name: str, value: Any) -> Any:
    """An array-like as something that primitives take."""
    return as_operand(name, value)


def shape_of(value: Any) -> tuple[int, ...]:
    return aval_of(value).shape


def dtype_of(value: Any) -> np.dtype:
    return aval_of(value).dtype


def unsupported(name: str, **options: Any) -> None:
    """Refuse arguments of NumPy's that have no meaning for functional arrays (given and not at their default)."""
    for option, value in options.items():
        if value is not None:
            hint = {
                "out": "results are new arrays; write y = ... instead of out=y",
                "order": "compiled arrays are in C order",
            }.get(option, "it has no functional form")
            raise ArgumentError(f"{name} of a traced array does not take {option}={value!r:.40}: {hint}")


def on_cpu(device: Any) -> None:
    """Refuse a `device=` of NumPy's and the array API's other than the one there is."""
    if device is not None and str(device) != "cpu":
        raise ArgumentError(
            f'arrays are made on the device "cpu", not {device!r:.40}; functrans.device_put copies them to a GPU'
        )


def check_order(name: str, order: Any) -> None:
    """Refuse an `order=` that NumPy does not know; traced arrays have none."""
    if order not in (None, "C", "F", "A", "K"):
        raise ArgumentError(f"{name}: order must be one of 'C', 'F', 'A', or 'K', got {order!r:.40}")


def normalize_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """An `axis` argument as a tuple of axes counted from the front; all of them for `None`."""
    from functrans.lax.reductions import canonical_axes

    if axis is None:
        return tuple(range(ndim))
    axes: Any = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    return canonical_axes(axes, ndim)


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a reduction; NumPy lets an array without axes be reduced along its first or last."""
    if isinstance(axis, list):
        raise DTypeError(f"an axis must be an integer or a tuple of integers, got the list {axis!r:.40}")
    if not ndim and axis in (0, -1):
        return ()
    return normalize_axes(axis, ndim)


def normalize_axis(axis: Any, ndim: int) -> int:
    from functrans.lax.structural import canonical_axis

    return canonical_axis(axis, ndim)
