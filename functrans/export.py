"""Traced functions in files: `export`, `deserialize`, with the names of `jax.export`.

An exported function is its simplified jaxpr with the arrays that it captured, for arguments of given shapes. It needs
functrans to run, and none of the Python code that it was made from. The file is in the safetensors format: arrays, and
the program as JSON in its header. Reading one executes nothing; a program can compute, and nothing else.
"""

from __future__ import annotations

import json
import operator
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from functrans.api.compilation import Jitted, jit
from functrans.api.devices import platform_of
from functrans.api.differentiation import vjp
from functrans.compiler.program import simplified_with_constants
from functrans.core.avals import ShapedArray, ShapeDtypeStruct, aval_of, bfloat16, is_array_like, kind_of
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import (
    Atom,
    ClosedJaxpr,
    Eqn,
    Jaxpr,
    Literal,
    Var,
    convert_constvars,
    evaluate,
    inner_jaxprs,
)
from functrans.core.primitive import registry
from functrans.core.pytree import flatten, key_paths, keystr, structure_error, unflatten
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import (
    ArgumentError,
    DTypeError,
    FileFormatError,
    FunctransError,
    ShapeError,
)
from functrans.lax.calls import jit_p
from functrans.lax.checks import Message
from functrans.lax.convolution import ConvDimensionNumbers
from functrans.lax.custom import custom_vjp
from functrans.lax.fourier import FftType
from functrans.lax.tape import Pass
from functrans.transforms.jvp import Constant

__all__ = ["Exported", "deserialize", "export"]

_KEY, _VERSION = "functrans.export", 1


class Exported:
    """A function without its source: what `export` and `deserialize` return.

    Attributes:
        fun_name: the function's name.
        in_info: `(args, kwargs)` with a `ShapeDtypeStruct` in the place of each array.
        out_info: the same of what it returns.
        in_tree, in_avals, out_tree, out_avals: their structures and leaves.
        platforms: where it runs, `("cpu", "cuda")`.
        jaxpr: the program.

    >>> import functrans as ft, numpy as np
    >>> exported = ft.export.export(lambda x: 2 * x)(np.ones(3))
    >>> exported.in_info[0][0]
    ShapeDtypeStruct(shape=(3,), dtype=float64)
    """

    platforms = ("cpu", "cuda")

    def __init__(
        self,
        fun_name: str,
        in_info: Any,
        out_info: Any,
        jaxpr: ClosedJaxpr,
        ruled: ClosedJaxpr | Exported | None = None,
    ):
        self.fun_name = fun_name
        self.in_info = in_info
        self.out_info = out_info
        self.jaxpr = jaxpr
        self._callee = convert_constvars(jaxpr.jaxpr)
        self._ruled = ruled  # where derivatives follow rules: the program with them, or the exported derivative

    in_tree = property(lambda self: flatten(self.in_info)[1])
    out_tree = property(lambda self: flatten(self.out_info)[1])
    in_avals = property(lambda self: tuple(map(aval_of, flatten(self.in_info)[0])))
    out_avals = property(lambda self: tuple(map(aval_of, flatten(self.out_info)[0])))

    @api_boundary
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Run the function, compiled, on arguments of the structure, shapes and dtypes that it was exported for.

        It can be transformed as any other function. So `vmap(exported.call)` makes a function of batches of any size
        from one of an example. Derivatives are those of the program, to any order; those by custom rules of the
        function's (`custom_vjp` and others) are known in reverse mode, in files to the order that `serialize` is told.

        Raises:
            TreeStructureError, ShapeError, DTypeError: the arguments differ.
        """
        leaves, tree = flatten((args, kwargs))
        wanted, wanted_tree = flatten(self.in_info)
        if tree != wanted_tree:
            raise structure_error(
                f"arguments of the exported function {self.fun_name}", wanted_tree, tree, ("exported", "given")
            ) or ArgumentError(f"{self.fun_name} was exported for arguments {wanted_tree}, got {tree}")
        values = [
            _checked(f"{self.fun_name}: the argument {keystr(path)}", x, w)
            for path, x, w in zip(key_paths(tree), leaves, wanted)
        ]
        outs = self._run(*values) if self._ruled is None else self._run_by_rule(*values)
        return unflatten(flatten(self.out_info)[1], outs)

    def _run(self, *values: Any) -> list[Any]:
        return jit_p.bind(*self.jaxpr.consts, *values, jaxpr=self._callee, name=self.fun_name)

    def _run_by_rule(self, *values: Any) -> list[Any]:
        """The program with the exported derivative as its own."""

        def backward(leaves: Any, cts: Sequence[Any]) -> tuple[Any, ...]:
            known = iter(self.vjp().call(*leaves, *(ct for ct, a in zip(cts, self.out_avals) if _has_tangent(a))))
            return tuple(next(known) if _has_tangent(a) else None for a in self.in_avals)

        run = custom_vjp(self._run)
        run.defvjp(lambda *leaves: (self._run(*leaves), leaves), backward)
        return run(*values)

    def vjp(self) -> Exported:
        """The derivative in reverse mode, exported: a function of all leaves of the arguments, then of the cotangents.

        Cotangents, of results and of arguments, are those of floating-point leaves alone.

        >>> import functrans as ft
        >>> exported = ft.export.export(lambda d: d["x"] ** 2 * d["n"])({"x": 3.0, "n": 2})
        >>> exported.vjp()  # of n, x and the cotangent
        <exported vjp of <lambda>: i64[], f64[], f64[] -> f64[]>
        """
        if not isinstance(self._ruled, Exported):
            self._ruled = _derivative(self, self._ruled or self.jaxpr)
        return self._ruled

    def has_vjp(self) -> bool:
        """Whether there is a derivative in reverse mode: always."""
        return True

    def serialize(self, vjp_order: int = 0) -> bytes:
        """The function as bytes, in the safetensors format; write them to a file, and read it by `deserialize`.

        Args:
            vjp_order: to which order derivatives in reverse mode follow custom rules of the function's; the file holds
                so many programs more. Without such rules all derivatives are there in any case.
        """
        from safetensors.numpy import save

        if operator.index(vjp_order) < 0:
            raise ArgumentError(f"serialize: vjp_order must not be negative, got {vjp_order}")

        arrays: dict[str, np.ndarray] = {}
        program = _Writer(arrays).jaxpr(self.jaxpr.jaxpr)
        for i, value in enumerate(self.jaxpr.consts):
            _store(arrays, f"const{i}", value)
        if self._ruled is not None and vjp_order:
            arrays["vjp"] = np.frombuffer(self.vjp().serialize(vjp_order - 1), np.uint8)
        content = {
            "version": _VERSION,
            "name": self.fun_name,
            "in": _template(self.in_info, "an argument"),
            "out": _template(self.out_info, "a result"),
            "program": program,
        }
        return save(arrays, {_KEY: json.dumps(content)})

    def __repr__(self) -> str:
        leaves = lambda info: ", ".join(str(aval_of(x)) for x in flatten(info)[0])
        return f"<exported {self.fun_name}: {leaves(self.in_info)} -> {leaves(self.out_info)}>"


def _has_tangent(aval: ShapedArray) -> bool:
    return aval.dtype.kind in "fcV"


def _derivative(exported: Exported, program: ClosedJaxpr) -> Exported:
    """The derivative of a program, exported."""
    leaves = [ShapeDtypeStruct(a.shape, a.dtype) for a in program.in_avals]
    results = [ShapeDtypeStruct(a.shape, a.dtype) for a in program.out_avals if _has_tangent(a)]
    active = [i for i, a in enumerate(program.in_avals) if _has_tangent(a)]

    def backward(*values: Any) -> list[Any]:
        values, cts = values[: len(leaves)], values[len(leaves) :]

        def run(*chosen: Any) -> list[Any]:
            own = list(values)
            for i, value in zip(active, chosen):
                own[i] = value
            outs = evaluate(program.jaxpr, program.consts, own)
            return [out for out, aval in zip(outs, program.out_avals) if _has_tangent(aval)]

        return list(vjp(run, *(values[i] for i in active))[1](list(cts)))

    backward.__name__ = f"vjp of {exported.fun_name}"
    return export(backward)(*leaves, *results)


def _follows_rules(jaxpr: Jaxpr) -> bool:
    """Whether derivatives of a program run rules of the user's."""
    return any(
        eqn.primitive.calls_user_rule or any(_follows_rules(inner) for _, inner in inner_jaxprs(eqn.params))
        for eqn in jaxpr.eqns
    )


def export(
    fun_jit: Callable[..., Any], *, platforms: Sequence[str] | None = None, disabled_checks: Sequence[Any] = ()
) -> Callable[..., Exported]:
    """A function of the same arguments that exports another for their shapes and dtypes.

    Args:
        fun_jit: a function, or one under `jit`, whose static arguments then become part of the program. Arguments and
            results are arrays, numbers, and tuples, lists and dicts (with strings as keys) of them; let it capture a
            model, as below.
        platforms: `cpu` and `cuda` are accepted: a program runs on either.
        disabled_checks: accepted; there are none to disable.

    Raises:
        ArgumentError: the function calls back into Python (`pure_callback`, `debug.print`), or its arguments or results
            are of other types.

    >>> import functrans as ft, numpy as np
    >>> from functrans.export import deserialize, export
    >>> model = ft.nn.MLP(3, 2, width=8, depth=1, key=ft.random.key(0))
    >>> x = np.ones((4, 3), np.float32)
    >>> exported = export(lambda x: ft.nn.softmax(model(x)))(x)
    >>> content = exported.serialize()  # to be written to a file
    >>> again = deserialize(content)
    >>> again
    <exported <lambda>: f32[4,3] -> f32[4,2]>
    >>> np.testing.assert_allclose(again.call(x), ft.nn.softmax(model(x)), rtol=1e-6)
    """
    for platform in platforms or ():
        platform_of(platform)

    @api_boundary
    def exporter(*args: Any, **kwargs: Any) -> Exported:
        traced = (fun_jit if isinstance(fun_jit, Jitted) else jit(fun_jit)).trace(*args, **kwargs)
        closed = traced.jaxpr
        if any(isinstance(c, Tracer) for c in closed.consts):
            raise ArgumentError(f"{traced.fun_name} captures traced arrays; export the outermost function instead")
        jaxpr, consts = simplified_with_constants(closed.jaxpr, closed.consts)
        ruled = closed if _follows_rules(closed.jaxpr) else None
        exported = Exported(traced.fun_name, traced.in_info, traced.out_info, ClosedJaxpr(jaxpr, consts), ruled)
        _template(exported.in_info, "an argument")
        _template(exported.out_info, "a result")
        _Writer({}).jaxpr(jaxpr)
        return exported

    return exporter


def deserialize(blob: bytes | bytearray) -> Exported:
    """The function that `Exported.serialize` wrote. Reading it executes nothing.

    Take programs only from those you trust all the same: once called, a program runs as native code.

    Raises:
        FileFormatError: the bytes are damaged, of another format, or of a newer version of functrans.

    >>> from functrans.export import deserialize
    >>> deserialize(b"something else")
    Traceback (most recent call last):
        ...
    functrans.errors.FileFormatError: this is damaged, or no exported function: ...
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        length = int.from_bytes(blob[:8], "little")
        header = json.loads(bytes(blob[8 : 8 + length]))
        told = json.loads(header["__metadata__"][_KEY])
        if told["version"] > _VERSION:
            raise FileFormatError(
                f"this function was exported by a newer functrans, in version {told['version']} of the format; this "
                f"one reads version {_VERSION}"
            )
        reader = _Reader(load(bytes(blob)))
        jaxpr = reader.jaxpr(told["program"])
        consts = [reader.array(f"const{i}") for i in range(len(jaxpr.constvars))]
        in_info = _from_template(told["in"], iter(jaxpr.in_avals))
        out_info = _from_template(told["out"], iter(jaxpr.out_avals))
        check_jaxpr(jaxpr)
        for var, value in zip(jaxpr.constvars, consts):
            if (var.aval.shape, var.aval.dtype) != (value.shape, value.dtype):
                raise ValueError(f"a constant {aval_of(value)} where the program has {var.aval}")
        if len(flatten((in_info, out_info))[0]) != len(jaxpr.invars) + len(jaxpr.outvars):
            raise ValueError("the program has another number of arguments or results than the file says")
        exported = Exported(str(told["name"]), in_info, out_info, ClosedJaxpr(jaxpr, consts))
        if "vjp" in reader.arrays:
            exported._ruled = _matching(deserialize(reader.array("vjp").tobytes()), exported)
        return exported
    except FileFormatError:
        raise
    except (SafetensorError, FunctransError, ValueError, KeyError, TypeError, AttributeError, IndexError,
            OverflowError, StopIteration, RecursionError) as error:  # fmt: skip
        raise FileFormatError(f"this is damaged, or no exported function: {error}") from None


def _matching(derivative: Exported, exported: Exported) -> Exported:
    """The derivative that a file holds, if it is one of the function's."""
    takes = [*exported.in_avals, *filter(_has_tangent, exported.out_avals)]
    gives = list(filter(_has_tangent, exported.in_avals))
    for found, wanted in ((derivative.in_avals, takes), (derivative.out_avals, gives)):
        if [(a.shape, a.dtype) for a in found] != [(a.shape, a.dtype) for a in wanted]:
            raise ValueError("the derivative in it is not one of the function")
    return derivative


def _checked(what: str, x: Any, wanted: ShapeDtypeStruct) -> Any:
    if not is_array_like(x):
        raise DTypeError(f"{what} must be an array, got {x!r:.60} of type {type(x).__name__}")
    aval = aval_of(x)
    if aval.shape != wanted.shape:
        raise ShapeError(f"{what} has shape {aval.shape}, and the function was exported for {wanted.shape}")
    if aval.dtype != wanted.dtype and not (aval.weak and np.can_cast(aval.dtype, wanted.dtype, "same_kind")):
        raise DTypeError(f"{what} has dtype {aval.dtype}, and the function was exported for {wanted.dtype}")
    return x if isinstance(x, Tracer) else np.asarray(x, wanted.dtype)


# ---------------------------------------------------------------- structures

# A template is JSON: {"tuple": [...]}, {"list": [...]}, {"dict": {...}}, null, or "*" for a leaf.


def _template(tree: Any, what: str) -> Any:
    if tree is None:
        return None
    if type(tree) in (tuple, list):
        return {type(tree).__name__: [_template(x, what) for x in tree]}
    if type(tree) is dict and all(isinstance(k, str) for k in tree):
        return {"dict": {k: _template(tree[k], what) for k in tree}}
    if not is_array_like(tree) and not isinstance(tree, ShapeDtypeStruct):
        raise ArgumentError(
            f"export: {what} of the function is a {type(tree).__name__}; it must be arrays, numbers, and tuples, lists "
            "and dicts of them. Capture models, and return their parts."
        )
    return "*"


def _from_template(template: Any, avals: Any) -> Any:
    if template is None:
        return None
    if template == "*":
        aval = next(avals)
        return ShapeDtypeStruct(aval.shape, aval.dtype, aval.weak)
    ((kind, content),) = template.items()
    if kind == "dict":
        found = {k: _from_template(content[k], avals) for k in sorted(content)}
        return {k: found[k] for k in content}
    return {"tuple": tuple, "list": list}[kind]([_from_template(x, avals) for x in content])


# ---------------------------------------------------------------- jaxprs

_NAMED: dict[str, Any] = {cls.__name__: cls for cls in (ConvDimensionNumbers, Pass)}


def _store(arrays: dict[str, np.ndarray], name: str, value: Any) -> None:
    """An array for the file, which has no complex numbers and no bfloat16: those become pairs, and this its bits."""
    array = np.ascontiguousarray(value).reshape(np.shape(value))
    if array.dtype.kind == "c":
        name, array = f"{name} complex", np.stack([array.real, array.imag], -1)
    if array.dtype == bfloat16:
        name, array = f"{name} bfloat16", array.view(np.uint16)
    arrays[name] = np.array(array, array.dtype.newbyteorder("="), order="C")


def _number(value: Any) -> Any:
    scalar = np.asarray(value)[()]
    return [scalar.real.item(), scalar.imag.item()] if np.iscomplexobj(scalar) else scalar.item()


class _Writer:
    """Jaxprs as JSON: variables are numbered from 0 in each, constvars and arguments first."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays

    def jaxpr(self, jaxpr: Jaxpr) -> Any:
        numbers = {v: i for i, v in enumerate((*jaxpr.constvars, *jaxpr.invars))}

        def atom(a: Atom) -> Any:
            return [*self.aval(a.aval), _number(a.value)] if isinstance(a, Literal) else numbers[a]

        eqns = []
        for eqn in jaxpr.eqns:
            inputs = [atom(a) for a in eqn.inputs]
            numbers.update(zip(eqn.outvars, range(len(numbers), len(numbers) + len(eqn.outvars))))
            outs = [self.aval(v.aval) for v in eqn.outvars]
            params = {k: self.param(eqn, v) for k, v in eqn.params.items()}
            eqns.append([eqn.primitive.name, inputs, outs, params])
        avals = lambda variables: [self.aval(v.aval) for v in variables]
        outvars = [atom(a) for a in jaxpr.outvars]
        return {"consts": avals(jaxpr.constvars), "in": avals(jaxpr.invars), "eqns": eqns, "out": outvars}

    def aval(self, aval: ShapedArray) -> Any:
        return [aval.dtype.name, list(aval.shape), aval.weak]

    def param(self, eqn: Eqn, value: Any) -> Any:
        if type(value) in _NAMED.values():
            return {type(value).__name__: [self.param(eqn, v) for v in value]}
        if isinstance(value, FftType):
            return {"FftType": int(value)}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if type(value) is tuple:
            return {"tuple": [self.param(eqn, v) for v in value]}
        if isinstance(value, np.dtype):
            return {"dtype": value.name}
        if isinstance(value, np.generic):
            return {"number": [value.dtype.name, _number(value)]}
        if isinstance(value, Jaxpr):
            return {"jaxpr": self.jaxpr(value)}
        if isinstance(value, Constant):
            name = f"inner{len(self.arrays)}"
            _store(self.arrays, name, value.value)
            return {"constant": name}
        if isinstance(value, Message):
            tree = _template(unflatten(value.tree, [0] * value.tree.num_leaves), "what a check tells")
            return {"message": [value.fmt, tree, value.what, value.lanes, value.mapped]}
        where = f" at {eqn.source}" if eqn.source else ""
        if callable(value):
            raise ArgumentError(f"export: the function calls back into Python, by {eqn.primitive.name}{where}")
        raise ArgumentError(
            f"export: {eqn.primitive.name}{where} has a parameter that files have no form for: {value!r:.60}"
        )


class _Reader:
    """The way back. What it does not expect raises one of the errors that `deserialize` catches."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.arrays = arrays

    def array(self, name: str) -> np.ndarray:
        if name in self.arrays:
            return self.arrays[name]
        if f"{name} bfloat16" in self.arrays:
            return self.arrays[f"{name} bfloat16"].view(bfloat16)
        pairs = self.arrays[f"{name} complex"]
        return np.ascontiguousarray(pairs).view(f"c{2 * pairs.dtype.itemsize}")[..., 0]

    def jaxpr(self, told: Any) -> Jaxpr:
        constvars = [Var(self.aval(a)) for a in told["consts"]]
        invars = [Var(self.aval(a)) for a in told["in"]]
        variables: list[Var] = [*constvars, *invars]

        def atom(a: Any) -> Atom:
            if isinstance(a, list):
                aval = self.aval(a[:3])
                return Literal(self.number(aval.dtype, a[3]), aval)
            if a < 0:
                raise ValueError(f"no variable has the number {a}")
            return variables[a]

        eqns = []
        for name, inputs, outs, params in told["eqns"]:
            if name not in registry:
                raise FileFormatError(f"this exported function uses the operation {name!r}, which this functrans lacks")
            operands = [atom(a) for a in inputs]
            outvars = [Var(self.aval(a)) for a in outs]
            variables += outvars
            eqns.append(Eqn(registry[name], operands, outvars, {k: self.param(v) for k, v in params.items()}, None))
        return Jaxpr(constvars, invars, eqns, [atom(a) for a in told["out"]])

    def aval(self, told: Any) -> ShapedArray:
        dtype, shape, weak = told
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"{shape} is no shape")
        return ShapedArray(tuple(shape), self.dtype(dtype), bool(weak))

    def dtype(self, name: str) -> np.dtype:
        dtype = np.dtype(str(name))
        if kind_of(dtype) not in "biufc":
            raise ValueError(f"{name} is no dtype of a program's")
        return dtype

    def number(self, dtype: np.dtype, value: Any) -> Any:
        return dtype.type(complex(*value) if isinstance(value, list) else value)

    def param(self, told: Any) -> Any:
        if not isinstance(told, dict):
            if isinstance(told, list):
                raise ValueError("a list is no parameter")
            return told
        ((kind, content),) = told.items()
        if kind in _NAMED:
            return _NAMED[kind](*map(self.param, content))
        readers: dict[str, Callable[[Any], Any]] = {
            "FftType": FftType,
            "tuple": lambda c: tuple(map(self.param, c)),
            "dtype": self.dtype,
            "number": lambda c: self.number(self.dtype(c[0]), c[1]),
            "jaxpr": self.jaxpr,
            "constant": lambda c: Constant(self.array(c)),
            "message": self.message,
        }
        return readers[kind](content)

    def message(self, told: Sequence[Any]) -> Message:
        fmt, template, what, lanes, mapped = told
        if any(
            field and not field.isidentifier() and not field.isdigit()
            for _, field, _, _ in string.Formatter().parse(fmt)
        ):
            raise ValueError(f"{fmt!r} asks for more than values")
        leaves = iter(lambda: ShapedArray((), np.dtype(float)), None)
        return Message(fmt, flatten(_from_template(template, leaves))[1], str(what), int(lanes), bool(mapped))
