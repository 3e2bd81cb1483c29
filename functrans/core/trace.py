"""Tracers and traces, and the trace that stages: it turns operations into equations of a jaxpr.

A trace is one run of a user's function under one transformation; a `Tracer` is a value of that run. Traces nest, and
each has a level: an operation goes to the operand's trace of the highest level, which takes tracers of lower levels as
constants. That makes nesting closure conversion, with no special case.

Python operators, methods and properties of tracers are installed by `functrans.numpy`, which stands above.
"""

from __future__ import annotations

import dis
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from functrans import errors
from functrans.core.adapters import adapt, adapters
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var
from functrans.core.source import Source, current_source, is_internal, known_source
from functrans.core.tracebacks import refused

if TYPE_CHECKING:
    from functrans.core.primitive import Primitive


class _State(threading.local):
    level = 0
    staging: StagingTrace | None = None


_state = _State()


class Trace:
    """One run of a function under one transformation."""

    level: int

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """Apply a primitive to operands, at least one of which is a tracer of this trace."""
        raise NotImplementedError


#: The instructions of Python that assign to elements.
_STORES = {dis.opmap[name] for name in ("STORE_SUBSCR", "STORE_SLICE") if name in dis.opmap}


class Tracer:
    """A value inside a transformed function: it behaves as an array, and records or differentiates what is done."""

    __slots__ = ("__weakref__", "_trace")
    __array_priority__ = 1000.0
    _trace: Trace
    aval: ShapedArray
    has_value = False  # true of arrays on another device: their trace is the device
    #: What to write instead of the attributes of NumPy's arrays that tracers do not have.
    instead: ClassVar[dict[str, str]] = {}

    def concrete(self, error: type[errors.ConcretizationError], need: str) -> Any:
        """The plain value of this tracer, or the error that Python's need for it deserves."""
        raise NotImplementedError

    def _not_stored(self) -> None:
        """The error for a value that `b[i] = x` of the caller would write into plain memory, without its derivative."""
        frame = sys._getframe(2)
        if frame.f_code.co_code[frame.f_lasti] in _STORES and not is_internal(frame.f_code.co_filename):
            raise refused(
                errors.TracerItemAssignmentError(
                    "an element of a NumPy array was assigned a traced array, for which there is no place: instead of "
                    "`b[i] = v` write `b = b.at[i].set(v)`, with b an array of functrans.numpy, or collect the values "
                    "in a list for np.stack. Under grad without jit, float(v) is the number alone.\n"
                    f"The value is {self.describe()}"
                )
            )

    def __bool__(self) -> bool:
        self._not_stored()
        return bool(self.concrete(errors.TracerBoolConversionError, "a truth value"))

    def __int__(self) -> int:
        self._not_stored()
        return int(self.concrete(errors.TracerIntegerConversionError, "an integer"))

    def __index__(self) -> int:
        return self.concrete(errors.TracerIntegerConversionError, "an integer").__index__()

    def __float__(self) -> float:
        self._not_stored()
        return float(self.concrete(errors.ConcretizationError, "a float"))

    def __complex__(self) -> complex:
        self._not_stored()
        return complex(self.concrete(errors.ConcretizationError, "a complex number"))

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise errors.TracerArrayConversionError(
            f"this value cannot become a NumPy array: {self.describe()}\n"
            "Write functions of functrans.numpy, or NumPy functions called directly on it (np.sin(x), "
            "np.stack([x, y])): np.array([x, y]), math.sin(x) and libraries that need real data cannot take it. To "
            "look at values, return them, or run without jit (functrans.disable_jit)."
        )

    def __hash__(self) -> int:
        raise refused(
            errors.UnhashableTracerError(
                "a traced array has no value to find it by in a dict, a set or a cache of functools. Keep arrays in "
                "lists; look values up in arrays (functrans.numpy.asarray(table)[x]), functions by "
                "functrans.lax.switch(x, functions); or mark the argument as static (static_argnums or static_argnames "
                f"of jit).\nThe array is {self.describe()}"
            )
        )

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise errors.TracerItemAssignmentError(
            "arrays inside a transformed function are immutable: instead of `x[i] = v` write `x = x.at[i].set(v)` "
            f"(and `x.at[i].add(v)` for `x[i] += v`).\nThe array is {self.describe()}"
        )

    def __delitem__(self, index: Any) -> NoReturn:
        raise errors.TracerItemAssignmentError(
            "elements of an array cannot be deleted: write `x = functrans.numpy.delete(x, i)`.\n"
            f"The array is {self.describe()}"
        )

    if not TYPE_CHECKING:  # else mypy would let every attribute pass

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name == "aval":  # protocols that other libraries ask for
                raise AttributeError(name)
            if name in self.instead:
                what = "an array on a GPU" if self.has_value else "a traced array"
                raise errors.NoSuchAttributeError(
                    f"{what} has no attribute {name!r}: {self.instead[name]}.\nThe array is {self.describe()}"
                )
            raise errors.NoSuchAttributeError(f"arrays have no attribute {name!r}; the array is the traced {self.aval}")

    def __deepcopy__(self, memo: Any) -> Tracer:
        return self

    def __copy__(self) -> Tracer:
        return self

    def describe(self) -> str:
        """This value in words: its type and where it arose."""
        return f"a traced array {self.aval}"

    def __repr__(self) -> str:
        return f"Traced<{self.aval}>"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return format(self.concrete(errors.ConcretizationError, f"a value to format as {spec!r}"), spec)


class deeper:
    """A context manager that gives a level for a new trace, valid inside the block."""

    __slots__ = ()

    def __enter__(self) -> int:
        if adapters:
            adapt()
        _state.level += 1
        return _state.level

    def __exit__(self, *error: object) -> None:
        _state.level -= 1


def current_level() -> int:
    """The level of the innermost trace under way; 0 where there is none."""
    return _state.level


def current_staging() -> StagingTrace | None:
    """The innermost staging of a user's function that is under way, if any."""
    return _state.staging


@contextmanager
def staging_into(trace: StagingTrace | None) -> Iterator[None]:
    """Stage creations (`zeros`, `arange`, ...) into this trace; into none: evaluate them at once."""
    outer, _state.staging = _state.staging, trace
    try:
        yield
    finally:
        _state.staging = outer


class StagedTracer(Tracer):
    """A value of a function that is being staged: a variable of the jaxpr under construction."""

    __slots__ = ("_var", "aval")

    _trace: StagingTrace

    def __init__(self, trace: StagingTrace, var: Var):
        self._trace = trace
        self._var = var
        self.aval = var.aval

    def concrete(self, error: type[errors.ConcretizationError], need: str) -> NoReturn:
        remedy = {
            errors.TracerBoolConversionError: (
                "Use functrans.numpy.where(c, x, y) for a choice between arrays, functrans.lax.cond or "
                "functrans.lax.while_loop for control flow; or mark the argument that decides as static "
                "(static_argnums or static_argnames of jit)."
            ),
            errors.TracerIntegerConversionError: (
                "Shapes, range() and indices into Python lists must be known while tracing: take them from x.shape, or "
                "mark the argument as static (static_argnums or static_argnames of jit); for loops use "
                "functrans.lax.fori_loop, to index an ndarray by a traced value use functrans.numpy.asarray(a)[i]."
            ),
        }.get(
            error,
            "Keep it an array (x.astype(...) instead of float(x)), or return it and convert outside; "
            "functrans.debug.print shows it.",
        )
        raise refused(
            error(
                f"Python needs {need} here, but this value is only traced: it has no value yet.\n"
                f"It is {self.describe()}\n{remedy}"
            )
        )

    def describe(self) -> str:
        return f"{self.aval} {self._trace.origin(self._var)}"


StagedTracer.__name__ = "Traced"  # what Python's own errors call a value


class StagingTrace(Trace):
    """Records operations as equations; `what` names the function, `arg_names` its flat arguments.

    Operations on captured tracers alone are those tracers' own affair, unless this trace `absorbs` them, or one that it
    lies in does: then they become equations too, and captured tracers constants.
    """

    def __init__(
        self,
        level: int,
        what: str = "a transformed function",
        arg_names: Sequence[str] | None = None,
        sources: bool = True,
        absorbs: bool = False,
    ):
        self.level = level
        self.absorbs: bool = absorbs or (_state.staging is not None and _state.staging.absorbs)
        self.sources = sources
        self.what = what
        self.arg_names = arg_names
        self.invars: list[Var] = []
        self.eqns: list[Eqn] = []
        self.consts: dict[int, tuple[Var, Any]] = {}
        self.open = True

    def argument(self, aval: ShapedArray) -> StagedTracer:
        var = Var(aval)
        self.invars.append(var)
        return StagedTracer(self, var)

    def atom(self, value: Any) -> Atom:
        """The variable or literal that stands for a value of this trace, of an outer one, or of none."""
        if isinstance(value, StagedTracer) and value._trace is self:
            if not self.open:
                raise _leaked(value)
            return value._var
        if isinstance(value, StagedTracer) and not value._trace.open:
            raise _leaked(value)
        known = self.consts.get(id(value))
        if known is not None:
            return known[0]
        aval = aval_of(value)
        if not isinstance(value, Tracer) and aval.shape == ():
            return Literal(value, aval)
        var = Var(aval)
        self.consts[id(value)] = (var, value)
        return var

    def process(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if primitive.stage is not None:
            return primitive.stage(self, args, params)
        return self.add_eqn(primitive, args, params)

    def add_eqn(self, primitive: Primitive, args: Sequence[Any], params: dict[str, Any]) -> Any:
        atoms = [self.atom(a) for a in args]
        out = primitive.abstract_eval(*[a.aval for a in atoms], **params)
        if not primitive.multiple_results:
            return self._append(primitive, atoms, params, [out])[0]
        return self._append(primitive, atoms, params, out)

    def record(self, primitive: Primitive, args: Sequence[Any], aval: ShapedArray, **params: Any) -> StagedTracer:
        """The equation of an operation whose result is known to be of this type."""
        return self._append(primitive, [self.atom(a) for a in args], params, [aval])[0]

    def _append(
        self, primitive: Primitive, atoms: Sequence[Atom], params: dict[str, Any], avals: Sequence[ShapedArray]
    ) -> list[StagedTracer]:
        outvars = [Var(aval) for aval in avals]
        self.eqns.append(Eqn(primitive, atoms, outvars, params, current_source() if self.sources else known_source()))
        return [StagedTracer(self, v) for v in outvars]

    def close(self, outs: Sequence[Any]) -> list[Atom]:
        """End the trace: the atoms of the results."""
        atoms = [self.atom(o) for o in outs]
        self.open = False
        return atoms

    def jaxpr(self, outs: Sequence[Atom]) -> tuple[Jaxpr, list[Any]]:
        """The jaxpr of the closed trace with these results, and the values of its constvars."""
        constvars = [var for var, _ in self.consts.values()]
        return Jaxpr(constvars, self.invars, self.eqns, outs), [value for _, value in self.consts.values()]

    def origin(self, var: Var) -> str:
        """Where a variable arose, in words."""
        if var in self.invars:
            i = self.invars.index(var)
            name = self.arg_names[i] if self.arg_names and i < len(self.arg_names) else f"number {i}"
            return f"the argument {name} of {self.what}"
        for eqn in self.eqns:
            if var in eqn.outvars:
                where = f" at {eqn.source}" if eqn.source else ""
                inputs = [
                    f"{self.arg_names[i]}"
                    for i, v in enumerate(self.invars)
                    if v in eqn.inputs and self.arg_names and i < len(self.arg_names)
                ]
                of = f" of {', '.join(inputs)}" if inputs else ""
                return f"the result of {eqn.primitive.name}{of}{where}, in {self.what}"
        return f"a value of {self.what}"


def _leaked(tracer: StagedTracer) -> errors.UnexpectedTracerError:
    return errors.UnexpectedTracerError(
        "a traced array was used after the transformation that made it had returned: a side effect saved it (in a "
        "global, an attribute, a list or a cache) and it leaked out. Return values from the function instead of saving "
        f"them.\nThe leaked array is {tracer.describe()}"
    )


def stage(
    fun: Callable[..., Sequence[Any]],
    avals: Sequence[ShapedArray],
    what: str = "a transformed function",
    arg_names: Sequence[str] | None = None,
    absorbs: bool = False,
) -> tuple[Jaxpr, list[Any]]:
    """Run a flat function on tracers of these types: its jaxpr, and the values of what it captured."""
    with deeper() as level:
        trace = StagingTrace(level, what, arg_names, absorbs=absorbs)
        with staging_into(trace):
            outs = fun(*[trace.argument(aval) for aval in avals])
            return trace.jaxpr(trace.close(outs))


def stage_closed(fun: Callable[..., Sequence[Any]], avals: Sequence[ShapedArray]) -> Jaxpr:
    """Stage a function of its arguments alone; plain constants it makes stay inside as literals or fail."""
    jaxpr, consts = stage(fun, avals)
    if consts:
        raise errors.JaxprError("a function that must be closed captured constants")
    return jaxpr


__all__ = [
    "Source",
    "StagedTracer",
    "StagingTrace",
    "Trace",
    "Tracer",
    "current_level",
    "current_staging",
    "deeper",
    "stage",
    "stage_closed",
    "staging_into",
]
