"""Derivatives against finite differences, complex steps, and each other.

A derivative is a linear map, so it is enough to test it in a random direction: forward mode against a numerical
directional derivative, and reverse mode, its transpose, by `<ct, J t> = <J^T ct, t>`. Where that fails, the report
goes through the elements to find the one that is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans.api.differentiation import jvp, vjp
from functrans.api.flattening import argument_names, name_of
from functrans.core.avals import aval_of, float0, float_info, is_inexact, kind_of
from functrans.core.pytree import flatten, key_paths, keystr, unflatten
from functrans.errors import ArgumentError
from functrans.testing.comparison import number, show

__all__ = ["check_grads", "complex_step_jvp", "numerical_jvp"]

Fun = Callable[..., Any]
_MOST_ELEMENTS = 200  # elements that a report searches for the wrong one


def numerical_jvp(f: Fun, primals: Sequence[Any], tangents: Sequence[Any], eps: float | None = None) -> Any:
    """The derivative of `f` at `primals` in the direction `tangents`, by central differences.

    Args:
        f: a function of arrays and pytrees of them.
        primals: its arguments.
        tangents: the direction: a structure like that of `primals`; what belongs to integers is ignored.
        eps: the step. By default a power of two near the cube root of the precision of the coarsest argument, which
            balances the error of truncation (its square) with that of rounding (the precision divided by it): `2**-17`
            for float64, `2**-8` for float32.

    Returns:
        A pytree like the result of `f`, in float64 or complex128; zeros for integers.

    >>> import numpy as np
    >>> from functrans.testing import numerical_jvp
    >>> float(round(numerical_jvp(np.sin, (0.0,), (2.0,)), 8))
    2.0
    """
    leaves, tree = flatten(tuple(primals))
    directions = flatten(tuple(tangents))[0]
    step = default_step(leaves) if eps is None else eps

    def at(signed_step: float) -> list[Any]:
        moved = [_moved(x, t, signed_step) for x, t in zip(leaves, directions)]
        outs, structure = flatten(f(*unflatten(tree, moved)))
        out_tree[:] = [structure]
        return outs

    out_tree: list[Any] = []
    plus, minus = at(step), at(-step)
    return unflatten(out_tree[0], [_quotient(p, m, 2 * step) for p, m in zip(plus, minus)])


def default_step(leaves: Sequence[Any], order: int = 2) -> float:
    """The step of differences with an error of this order that suits these arguments."""
    return 2.0 ** round(math.log2(_precision(leaves)) / (order + 1))


def _extrapolated_jvp(f: Fun, primals: Sequence[Any], tangents: Sequence[Any], step: float) -> Any:
    """The limit to which central differences with two steps point (L. Richardson, 1911): an error of order four."""
    far, tree = flatten(numerical_jvp(f, primals, tangents, step))
    near = flatten(numerical_jvp(f, primals, tangents, step / 2))[0]
    return unflatten(tree, [(4 * n - w) / 3 for n, w in zip(near, far)])


def _precision(leaves: Sequence[Any]) -> float:
    dtypes = [aval_of(x).dtype for x in leaves]
    return max((float(float_info(d).eps) for d in dtypes if is_inexact(d)), default=float(np.finfo(float).eps))


def _moved(x: Any, t: Any, step: float) -> Any:
    x = np.asarray(x)
    return x[()] if not is_inexact(x.dtype) else (x + x.dtype.type(step) * np.asarray(t)).astype(x.dtype)[()]


def _quotient(plus: Any, minus: Any, width: float) -> Any:
    plus, minus = np.asarray(plus), np.asarray(minus)
    if not is_inexact(plus.dtype):
        return np.zeros(plus.shape)
    wide = np.result_type(plus.dtype, np.float64)
    return (plus.astype(wide) - minus.astype(wide)) / width


def complex_step_jvp(f: Fun, primals: Sequence[Any], tangents: Sequence[Any], step: float = 1e-30) -> Any:
    """The directional derivative `imag(f(x + i h t)) / h`: exact to rounding, for real analytic functions.

    Nothing is subtracted, so the step can be tiny. `f` must accept complex arguments, and must not use `abs`, `conj`,
    comparisons and other operations that are not analytic.

    Source: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
    (1998).

    >>> import numpy as np
    >>> from functrans.testing import complex_step_jvp
    >>> float(complex_step_jvp(np.exp, (1.0,), (1.0,)) - np.exp(1.0))
    0.0
    """
    leaves, tree = flatten(tuple(primals))
    directions = flatten(tuple(tangents))[0]
    moved = []
    for x, t in zip(leaves, directions):
        x = np.asarray(x)
        if x.dtype.kind == "c":
            raise ArgumentError("complex_step_jvp takes real arguments; use numerical_jvp for complex ones")
        moved.append((x + 1j * step * np.asarray(t) if kind_of(x.dtype) == "f" else x)[()])
    outs, out_tree = flatten(f(*unflatten(tree, moved)))
    return unflatten(out_tree, [np.imag(np.asarray(o)) / step for o in outs])


_METHODS = ("central differences", "extrapolated differences", "complex step")


class _Options(NamedTuple):
    modes: Sequence[str]
    rtol: float
    atol: float
    eps: float | None
    method: str

    def step(self, leaves: Sequence[Any]) -> float:
        order = 4 if self.method == "extrapolated differences" else 2
        return default_step(leaves, order) if self.eps is None else self.eps


def check_grads(
    f: Fun,
    args: Sequence[Any],
    order: int = 2,
    modes: str | Sequence[str] = ("fwd", "rev"),
    atol: float | None = None,
    rtol: float | None = None,
    eps: float | None = None,
    *,
    method: str = "central differences",
    seed: int = 0,
) -> None:
    """Check the derivatives of a function at a point, to an order, in forward and reverse mode.

    Forward mode is held to a numerical derivative in a random direction, and reverse mode to the same by an inner
    product with a random cotangent; then those derivatives are functions that are checked likewise. Shapes, dtypes and
    structures of tangents and cotangents must be those of what they belong to.

    Args:
        f: a function of arrays and pytrees of them, smooth at `args`. Integer arguments and results are held fixed.
        args: the point, a tuple or list.
        order: how often to differentiate.
        modes: `"fwd"`, `"rev"` or both.
        atol, rtol: what is allowed, beside and relative to the size of the derivative. By default ten times the square
            root of the precision of the coarsest argument (float64: 1.5e-7, float32: 3.5e-3): the error of central
            differences of functions whose third derivative is not much larger than the first. The rounding error of
            `f` divided by the step is always allowed for.
        eps: the step of differences; see `numerical_jvp`.
        method: `"central differences"`; `"extrapolated differences"`, of two larger steps (by default near the fifth
            root of the precision, `2**-10` for float64): a thousand times better of functions that are smooth that far
            and have some noise, as solvers have, and held to the power 2/3 of the precision (3.7e-10) by default; or
            `"complex step"`: exact first derivatives of functions that accept complex numbers, held to 1e-13 in float64
            (higher orders use differences).
        seed: of directions and cotangents.

    Raises:
        AssertionError: with the leaf and element, what was found and what was expected.

    >>> import numpy as np
    >>> import functrans as ft
    >>> from functrans.testing import check_grads
    >>> check_grads(lambda x, y: np.sin(x) * y, (np.array([0.5, 1.0]), 2.0))

    >>> @ft.custom_jvp
    ... def cube(x):
    ...     return x**3
    >>> @cube.defjvp
    ... def cube_jvp(primals, tangents):
    ...     return primals[0] ** 3, 2 * primals[0] ** 2 * tangents[0]
    >>> check_grads(cube, (2.0,), modes="fwd")
    Traceback (most recent call last):
        ...
    AssertionError: the forward-mode derivative of cube is wrong with respect to x
    it is 8.0, expected 12.0 by central differences (tolerance 1.94e-06)
      x = 2.0 (float64)
    """
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if not modes or not set(modes) <= {"fwd", "rev"}:
        raise ArgumentError(f"check_grads takes modes 'fwd' and 'rev', got {modes}")
    if method not in _METHODS:
        *others, last = map(repr, _METHODS)
        raise ArgumentError(f"check_grads takes the methods {', '.join(others)} and {last}, got {method!r}")
    precision = _precision(flatten(tuple(args))[0])
    if rtol is None:
        rtol = 10 * precision ** (2 / 3 if method == "extrapolated differences" else 1 / 2)
    options = _Options(modes, rtol, rtol if atol is None else atol, eps, method)
    with np.errstate(all="ignore"):
        _check(f, tuple(args), order, options, np.random.default_rng(seed), name_of(f), argument_names(f, args))


def _check(
    f: Fun, args: tuple[Any, ...], order: int, options: _Options, rng: np.random.Generator, name: str, names: list[str]
) -> None:
    leaves, tree = flatten(args)
    if not any(is_inexact(aval_of(x).dtype) for x in leaves):
        raise ArgumentError(f"check_grads of {name}: none of its arguments is a float or complex array")
    tangents = unflatten(tree, [_direction(x, rng, options.step(leaves)) for x in leaves])
    if "fwd" in options.modes:
        out, tangent = jvp(f, args, tangents)
        _check_types("tangent", f"the result of {name}", tangent, out)
        problem = _Problem(f, args, options, name, names)
        problem.check_forward(tangents, tangent)
        if order > 1:
            derivative = lambda *a: _inexact(jvp(f, a, tangents)[1])
            _check(derivative, args, order - 1, _no_complex_step(options), rng, f"jvp of {name}", names)
    if "rev" in options.modes:
        out, pull = vjp(f, *args)
        cotangent = _cotangent(out, rng)
        pulled = pull(cotangent)
        _check_types("cotangent", f"the arguments of {name}", pulled, args)
        _Problem(f, args, options, name, names).check_reverse(tangents, cotangent, pulled)
        if order > 1:
            derivative = lambda *a: _inexact(vjp(f, *a)[1](cotangent))
            _check(derivative, args, order - 1, _no_complex_step(options), rng, f"vjp of {name}", names)


def _no_complex_step(options: _Options) -> _Options:
    return options._replace(method="central differences") if options.method == "complex step" else options


def _inexact(tree: Any) -> list[Any]:
    """The leaves that can be differentiated again."""
    return [x for x in flatten(tree)[0] if is_inexact(aval_of(x).dtype)]


def _direction(x: Any, rng: np.random.Generator, step: float) -> Any:
    """A random direction, rounded so that a step in it is exact."""
    aval = aval_of(x)
    if not is_inexact(aval.dtype):
        return np.zeros(aval.shape, float0)
    t = rng.normal(size=aval.shape)
    if aval.dtype.kind == "c":
        t = t + 1j * rng.normal(size=aval.shape)
    x, t = np.asarray(x), np.asarray(t).astype(aval.dtype)
    h = x.real.dtype.type(step)
    exact = ((x + h * t) - x) / h
    return np.where(np.isfinite(exact), exact, t).astype(aval.dtype)[()]


def _cotangent(out: Any, rng: np.random.Generator) -> Any:
    leaves, tree = flatten(out)
    return unflatten(tree, [_direction(np.zeros(aval_of(x).shape, aval_of(x).dtype), rng, 1.0) for x in leaves])


def _check_types(what: str, of: str, found: Any, primal: Any) -> None:
    leaves, tree = flatten(primal)
    for path, f, p in zip(key_paths(tree), flatten(found)[0], leaves):
        have, want = aval_of(f), aval_of(p)
        if is_inexact(want.dtype) and (have.shape, have.dtype) != (want.shape, want.dtype):
            raise AssertionError(f"the {what} of {of}{keystr(path)} is {have}, expected {want}")


class _Problem:
    """A function at a point whose derivatives are compared with numerical ones."""

    def __init__(self, f: Fun, args: tuple[Any, ...], options: _Options, name: str, names: list[str]):
        self.f = f
        self.args = args
        self.options = options
        self.name = name
        self.names = names
        self.leaves, self.tree = flatten(args)
        self.noise = self.rounding_error()

    def numerical(self, tangents: Any) -> Any:
        if self.options.method == "complex step":
            return complex_step_jvp(self.f, self.args, tangents)
        if self.options.method == "extrapolated differences":
            return _extrapolated_jvp(self.f, self.args, tangents, self.options.step(self.leaves))
        return numerical_jvp(self.f, self.args, tangents, self.options.eps)

    def rounding_error(self) -> float:
        """What the rounding of the function's results may add to a difference quotient."""
        if self.options.method == "complex step":
            return 0.0
        step = self.options.step(self.leaves)
        values = [np.asarray(o) for o in _inexact(self.f(*self.args))]
        return max((8 * float(float_info(v.dtype).eps) * _largest(v) / step for v in values), default=0.0)

    def tolerance(self, scale: float) -> float:
        if self.options.method == "complex step":
            precision = _precision(self.leaves)
            return 512 * precision * max(scale, 1.0)
        return self.options.atol + self.options.rtol * scale + self.noise

    def check_forward(self, tangents: Any, found: Any) -> None:
        problem = self.compare(found, self.numerical(tangents))
        if problem is None:
            return
        for number_, index, basis in self.directions():
            local = self.compare(jvp(self.f, self.args, basis)[1], self.numerical(basis))
            if local is not None:
                raise self.wrong("forward", local, number_, index)
        raise self.wrong("forward", problem)

    def compare(self, found: Any, expected: Any) -> str | None:
        leaves, tree = flatten(found)
        for path, f, e in zip(key_paths(tree), leaves, flatten(expected)[0]):
            f, e = np.asarray(f), np.asarray(e)
            if not is_inexact(f.dtype):
                continue
            allowed = self.tolerance(_largest(e))
            wrong = ~(np.abs(f - e) <= allowed) & ~(np.isnan(f) & np.isnan(e))
            if wrong.any():
                index = tuple(int(i) for i in np.argwhere(wrong)[0])
                place = keystr(path) + (f"[{', '.join(map(str, index))}]" if index else "")
                where = f"in result{place} " if place else ""
                return f"{where}it is {number(f[index])}, {self.expected(e[index], allowed)}"
        return None

    def expected(self, value: Any, allowed: float) -> str:
        return f"expected {np.complex128(value) if np.iscomplexobj(value) else float(value):.9} by {self.options.method} (tolerance {allowed:.3g})"  # noqa: E501

    def check_reverse(self, tangents: Any, cotangent: Any, pulled: Any) -> None:
        expected = self.numerical(tangents)
        found, wanted = _inner(pulled, tangents), _inner(cotangent, expected)
        size = _norm(cotangent) * max(_norm(expected), 1.0)
        if abs(found - wanted) <= self.tolerance(size) or (math.isnan(found) and math.isnan(wanted)):
            return
        flat = flatten(pulled)[0]
        for number_, index, basis in self.directions():
            ct = np.asarray(flat[number_])[index]
            numerical = self.numerical(basis)
            slope = _inner(cotangent, numerical)
            allowed = self.tolerance(_norm(cotangent) * max(_norm(numerical), 1.0))
            if np.imag(np.asarray(flatten(basis)[0][number_])[index]):  # <ct, i> is minus the imaginary part
                ct = np.real(1j * ct)
            if not abs(np.real(ct) - slope) <= allowed:
                text = f"it is {number(np.real(ct))}, {self.expected(np.float64(slope), allowed)}"
                raise self.wrong("reverse", text, number_, index)
        text = f"its inner product with a direction is {found:.9}, {self.expected(np.float64(wanted), self.tolerance(size))}"  # noqa: E501
        raise self.wrong("reverse", text)

    def directions(self) -> Any:
        """Unit vectors along the elements of the arguments (complex ones twice), so far as a report needs them."""
        count = 0
        for i, x in enumerate(self.leaves):
            aval = aval_of(x)
            if not is_inexact(aval.dtype):
                continue
            for index in np.ndindex(aval.shape):
                for unit in (1, 1j) if aval.dtype.kind == "c" else (1,):
                    count += 1
                    if count > _MOST_ELEMENTS:
                        return
                    flat = [_zero_tangent(v) for v in self.leaves]
                    flat[i][index] = unit
                    yield i, index, unflatten(self.tree, [t[()] for t in flat])

    def wrong(self, mode: str, text: str, argument: int | None = None, index: tuple[int, ...] = ()) -> AssertionError:
        where = ""
        if argument is not None:
            where = f" with respect to {self.names[argument]}" + (f"[{', '.join(map(str, index))}]" if index else "")
        return AssertionError(
            f"the {mode}-mode derivative of {self.name} is wrong{where}\n{text}\n{show(self.names, self.leaves)}"
        )


def _zero_tangent(x: Any) -> np.ndarray:
    aval = aval_of(x)
    return np.zeros(aval.shape, aval.dtype if is_inexact(aval.dtype) else float0)


def _largest(x: np.ndarray) -> float:
    size = np.abs(x)
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def _inner(cotangents: Any, tangents: Any) -> float:
    """The real bilinear pairing of cotangents with tangents."""
    total = 0.0
    for x, y in zip(flatten(cotangents)[0], flatten(tangents)[0]):
        x, y = np.asarray(x), np.asarray(y)
        if is_inexact(x.dtype) and is_inexact(y.dtype):
            wide = np.result_type(x.dtype, y.dtype, np.float64)
            total += float(np.real(np.sum(x.astype(wide) * y.astype(wide))))
    return total


def _norm(tree: Any) -> float:
    return math.sqrt(sum(float(np.sum(np.abs(np.asarray(x, complex)) ** 2)) for x in _inexact(tree)))
