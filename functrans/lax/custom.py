"""Functions with derivative rules of the user's own: `custom_jvp` and `custom_vjp`.

Eagerly and under differentiation the user's Python functions are called as they are, so that control flow on values
works in them; a staging trace stages the function and keeps the rule beside its jaxpr.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functrans.core.avals import ShapedArray, aval_of, float0, is_inexact, tangent_dtype
from functrans.core.jaxpr import Jaxpr, convert_constvars, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import StagingTrace, stage
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError, NotDifferentiableError, ShapeError, TreeStructureError
from functrans.lax.broadcasting import reduce_sum_p
from functrans.lax.flat import live_values, spread
from functrans.transforms.batching import batch_evaluate, batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded, guarded_evaluate
from functrans.transforms.jvp import has_tangent, instantiate, jvp, tangent_aval
from functrans.transforms.transpose import Linear, backward_pass, is_linear, transpose_jaxpr

FlatFun = Callable[..., list[Any]]


# ---------------------------------------------------------------- symbolic zeros


class SymbolicZero:
    """A tangent or cotangent that is zero whatever the values are: what rules with `symbolic_zeros=True` are given.

    >>> import functrans as ft, numpy as np
    >>> ft.custom_derivatives.SymbolicZero.from_primal_value(np.ones(3)).shape
    (3,)
    """

    def __init__(self, aval: ShapedArray):
        self.aval = aval

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)
    ndim = property(lambda self: self.aval.ndim)
    size = property(lambda self: self.aval.size)

    @staticmethod
    def from_primal_value(value: Any) -> SymbolicZero:
        return SymbolicZero(tangent_aval(value))

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval})"


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """A zero tangent of a value: an array, or a `SymbolicZero`.

    >>> import functrans as ft, numpy as np
    >>> ft.custom_derivatives.zero_from_primal(np.ones(3), symbolic_zeros=True)
    SymbolicZero(f64[3])
    """
    return SymbolicZero.from_primal_value(val) if symbolic_zeros else _tangent_argument(None, val)


class CustomVJPPrimal(NamedTuple):
    """An argument of a forward rule with `symbolic_zeros=True`, and whether a derivative by it is asked for.

    >>> import functrans as ft, numpy as np
    >>> ft.custom_derivatives.CustomVJPPrimal(np.float64(1.0), True).perturbed
    True
    """

    value: Any
    perturbed: bool


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """A pytree of `CustomVJPPrimal` with their values in their places.

    >>> import functrans as ft, numpy as np
    >>> primal = ft.custom_derivatives.CustomVJPPrimal(2.0, True)
    >>> ft.custom_derivatives.custom_vjp_primal_tree_values({"x": primal})
    {'x': 2.0}
    """
    leaves, structure = flatten(tree, is_leaf=_is_vjp_primal)
    return unflatten(structure, [x.value if _is_vjp_primal(x) else x for x in leaves])


def _is_vjp_primal(x: Any) -> bool:
    return isinstance(x, CustomVJPPrimal)


def _no_symbols(values: Sequence[Any]) -> list[Any]:
    return [None if isinstance(v, SymbolicZero) else v for v in values]


# ---------------------------------------------------------------- what both share


class _Custom:
    """A function with a rule; `nondiff_argnums` are passed to function and rule as they are."""

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
    ):
        functools.update_wrapper(self, fun)  # type: ignore[arg-type]
        self.fun = fun
        self.nondiff_argnums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        self.symbolic_zeros = False
        if nondiff_argnames:
            nondiff_argnames = (nondiff_argnames,) if isinstance(nondiff_argnames, str) else nondiff_argnames
            names = list(inspect.signature(fun).parameters)
            unknown = [n for n in nondiff_argnames if n not in names]
            if unknown:
                raise ArgumentError(
                    f"nondiff_argnames: {self.name} has no argument {', '.join(unknown)}; its arguments are "
                    f"{', '.join(names)}"
                )
            self.nondiff_argnums += tuple(names.index(n) for n in nondiff_argnames)

    @property
    def name(self) -> str:
        return getattr(self.fun, "__name__", repr(self.fun))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)  # type: ignore[operator, arg-type, misc]

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults filled in."""
        try:
            if isinstance(self.fun, (np.ufunc, Primitive)):  # their options are no arguments of a rule
                raise ValueError
            bound = inspect.signature(self.fun).bind(*args, **kwargs)
        except ValueError:  # a builtin without a signature
            if kwargs:
                raise ArgumentError(f"call {self.name} with positional arguments only") from None
            return args
        if bound.kwargs:
            raise ArgumentError(
                f"{self.name} has a custom derivative rule and keyword-only arguments ({', '.join(bound.kwargs)}), "
                "which a rule cannot take; make them positional"
            )
        bound.apply_defaults()
        return bound.args

    def split(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any], Any, Callable[[list[Any]], Any]]:
        """Static arguments, leaves and tree of the others, and the way back to all arguments."""
        skip = {i % len(args) for i in self.nondiff_argnums} if args else set()
        static = tuple(args[i] for i in sorted(skip))
        dynamic = tuple(a for i, a in enumerate(args) if i not in skip)
        leaves, tree = flatten(dynamic)

        def join(flat: list[Any]) -> list[Any]:
            rest = iter(unflatten(tree, flat))
            return [args[i] if i in skip else next(rest) for i in range(len(args))]

        return static, leaves, tree, join


def _stage_call(primitive: Primitive) -> Any:
    """Stage the function once; what it captures becomes leading operands, counted by `num_consts`."""

    def rule(trace: StagingTrace, args: Sequence[Any], params: dict[str, Any]) -> Any:
        if "jaxpr" in params:
            return trace.add_eqn(primitive, args, params)
        fun = params.pop("fun")
        jaxpr, consts = stage(fun, [aval_of(a) for a in args], params["name"])
        params = {**params, "jaxpr": convert_constvars(jaxpr), "num_consts": len(consts)}
        return trace.add_eqn(primitive, [*consts, *args], params)

    return rule


def _run(*args: Any, fun: FlatFun | None = None, jaxpr: Jaxpr | None = None, **params: Any) -> list[Any]:
    return fun(*args) if fun is not None else evaluate(jaxpr, (), args)  # type: ignore[arg-type]


def _no_closure(name: str, tangents: Sequence[Any]) -> None:
    if any(t is not None for t in tangents):
        raise NotDifferentiableError(
            f"{name}, which has a custom derivative rule, captures a value with respect to which it is differentiated "
            "(a closure); the rule says nothing of it. Pass it as an argument."
        )


def _transpose(cts: Sequence[Any], *operands: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    linear = [is_linear(x) for x in operands]
    inner, live = transpose_jaxpr(jaxpr, linear, [ct is not None for ct in cts])
    known = [x for x in operands if not is_linear(x)]
    found = iter(evaluate(inner, (), [*known, *(ct for ct in cts if ct is not None)]))
    outs = iter([next(found) if nz else None for nz in live])
    return [next(outs) if lin else None for lin in linear]


def _batched_rule(axis: Axis, rule: Any, batched: Sequence[bool], args: Sequence[Any]) -> list[Any]:
    """Run a flat rule on batches, its results batch first."""
    avals = [aval_of(a) for a in args]
    avals = [ShapedArray(a.shape[1:], a.dtype, a.weak) if b else a for a, b in zip(avals, batched)]
    jaxpr, consts = stage(rule, avals)
    outs, dims = batch_evaluate(jaxpr, consts, axis, args, [0 if b else None for b in batched])
    return [batch_first(axis, o, d) for o, d in zip(outs, dims)]


def _guarded_rule(active: Any, rule: Any, args: Sequence[Any]) -> list[Any]:
    """Run a flat rule where `active` holds, and without harm where it does not."""
    jaxpr, consts = stage(rule, [aval_of(a) for a in args])
    return guarded_evaluate(convert_constvars(jaxpr), active, [*consts, *args])


def _guarded_call(active: Any, args: Sequence[Any], jaxpr: Jaxpr, num_consts: int) -> tuple[list[Any], Jaxpr]:
    """The operands and the jaxpr of a call with `active` as its first argument behind the captured ones."""
    inner = guarded(jaxpr)
    order = [*inner.invars[1 : 1 + num_consts], inner.invars[0], *inner.invars[1 + num_consts :]]
    return [*args[:num_consts], active, *args[num_consts:]], Jaxpr((), order, inner.eqns, inner.outvars)


# ---------------------------------------------------------------- custom_jvp


class custom_jvp(_Custom):
    """A function whose derivative is given by a forward-mode rule.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> @ft.custom_jvp
    ... def log1pexp(x):
    ...     return fnp.log(1.0 + fnp.exp(x))
    >>> @log1pexp.defjvp
    ... def log1pexp_jvp(primals, tangents):
    ...     (x,), (t,) = primals, tangents
    ...     return log1pexp(x), (1 - 1 / (1 + fnp.exp(x))) * t
    >>> ft.grad(log1pexp)(100.0)
    Array(1.)
    """

    jvp: Callable[..., Any] | None = None

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule `(primals, tangents) -> (out, tangent of out)`, linear in the tangents.

        With `symbolic_zeros`, tangents that are zero are given as `SymbolicZero`, and may be returned as such.
        """
        self.jvp, self.symbolic_zeros = jvp, symbolic_zeros
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set a rule for each argument: `(t, out, *primals) -> tangent of out`, or `None` for zero."""

        def jvp(*args: Any) -> Any:
            *static, primals, tangents = args
            rest = iter(primals)
            every = [
                static[self.nondiff_argnums.index(i)] if i in self.nondiff_argnums else next(rest)
                for i in range(len(static) + len(primals))
            ]
            out = self(*every)
            total = None
            for rule, t in zip(jvps, tangents):
                if rule is not None:
                    term = rule(t, out, *primals)
                    total = term if total is None else total + term
            return out, zeros(tangent_aval(out)) if total is None else total

        self.jvp = jvp

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.jvp is None:
            raise ArgumentError(f"{self.name} is a custom_jvp without a rule: define one with @{self.name}.defjvp")
        args = self.positional(args, kwargs)
        static, leaves, tree, join = self.split(args)
        out_tree: list[Any] = []

        def fun(*flat: Any) -> list[Any]:
            outs, structure = flatten(self.fun(*join(list(flat))))
            out_tree[:] = [structure]
            return outs

        def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            if self.symbolic_zeros:
                tangents = [SymbolicZero.from_primal_value(p) if t is None else t for t, p in zip(tangents, primals)]
            else:
                tangents = [_tangent_argument(t, p) for t, p in zip(tangents, primals)]
            pair = self.jvp(*static, unflatten(tree, primals), unflatten(tree, tangents))  # type: ignore[misc]
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TreeStructureError(
                    f"the jvp rule of {self.name} must return a pair (primal out, tangent out), got {pair!r:.80}"
                )
            outs, structure = flatten(pair[0])
            out_tangents, tangent_structure = flatten(pair[1])
            out_tangents = _no_symbols(out_tangents)
            out_tree[:] = [structure]
            if structure != tangent_structure:
                raise TreeStructureError(
                    f"the jvp rule of {self.name} returned a primal of structure {structure} and a tangent of "
                    f"structure {tangent_structure}; they must be equal"
                )
            for o, t in zip(outs, out_tangents):
                if t is not None and has_tangent(o) and aval_of(t).shape != aval_of(o).shape:
                    raise ShapeError(
                        f"the jvp rule of {self.name} returned a tangent {aval_of(t)} for a primal {aval_of(o)}; "
                        "they must have one shape"
                    )
            return outs, out_tangents

        outs = custom_jvp_call_p.bind(*leaves, fun=fun, jvp=jvp, name=self.name)
        return unflatten(out_tree[0], outs)


def _custom_jvp_jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, jvp: Any, name: str, num_consts: int = 0, **params: Any
) -> Any:
    _no_closure(name, tangents[:num_consts])
    primals, tangents = primals[num_consts:], tangents[num_consts:]
    outs, out_tangents = jvp(list(primals), list(tangents))
    return outs, [t if has_tangent(o) else None for o, t in zip(outs, out_tangents)]


def _tangent_argument(t: Any, primal: Any) -> Any:
    """Zeros where there is no tangent; for integers of the integer's own type, as rules expect arrays."""
    if t is None and not has_tangent(primal):
        return np.zeros(aval_of(primal).shape, tangent_dtype(aval_of(primal).dtype))
    return instantiate(t, primal)


def _custom_jvp_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, jvp: Any, name: str, num_consts: int
) -> Any:
    batched = [d is not None for d in dims]
    args = [batch_first(axis, a, d) if b else a for a, d, b in zip(args, dims, batched)]
    inner, _ = batch_jaxpr(jaxpr, axis, batched, [True] * len(jaxpr.outvars))

    def batched_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        n = len(primals)
        own = batched[num_consts:]
        given = [t is not None for t in tangents]
        found: list[bool] = []

        def rule(*flat: Any) -> list[Any]:
            outs, out_tangents = jvp(flat[:n], spread(flat[n:], given))
            found[:] = [t is not None for t in out_tangents]
            return [*outs, *live_values(out_tangents)]

        flags = [*own, *(b for b, g in zip(own, given) if g)]
        flat = _batched_rule(axis, rule, flags, [*primals, *live_values(tangents)])
        return flat[: len(found)], spread(flat[len(found) :], found)

    outs = custom_jvp_call_p.bind(*args, jaxpr=inner, jvp=batched_jvp, name=name, num_consts=num_consts)
    return outs, [0] * len(outs)


def _custom_jvp_guard(active: Any, *args: Any, jaxpr: Jaxpr, jvp: Any, name: str, num_consts: int) -> Any:
    def guarded_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        active, *primals = primals
        given = [t is not None for t in tangents[1:]]
        found: list[bool] = []

        def rule(*flat: Any) -> list[Any]:
            outs, out_tangents = jvp(flat[: len(given)], spread(flat[len(given) :], given))
            found[:] = [t is not None for t in out_tangents]
            return [*outs, *live_values(out_tangents)]

        flat = _guarded_rule(active, rule, [*primals, *live_values(tangents[1:])])
        return flat[: len(found)], spread(flat[len(found) :], found)

    operands, inner = _guarded_call(active, args, jaxpr, num_consts)
    return custom_jvp_call_p.bind(*operands, jaxpr=inner, jvp=guarded_jvp, name=name, num_consts=num_consts)


custom_jvp_call_p = Primitive("custom_jvp_call", multiple_results=True)
custom_jvp_call_p.impl = _run
custom_jvp_call_p.abstract_eval = lambda *avals, jaxpr, **params: jaxpr.out_avals
custom_jvp_call_p.stage = _stage_call(custom_jvp_call_p)
custom_jvp_call_p.jvp = _custom_jvp_jvp
custom_jvp_call_p.transpose = _transpose
custom_jvp_call_p.batch = _custom_jvp_batch
custom_jvp_call_p.guard = _custom_jvp_guard
custom_jvp_call_p.calls_user_rule = True

# ---------------------------------------------------------------- custom_vjp


class custom_vjp(_Custom):
    """A function whose derivative is given by a reverse-mode rule.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> @ft.custom_vjp
    ... def clip_gradient(x):
    ...     return x
    >>> clip_gradient.defvjp(lambda x: (x, None), lambda _, ct: (fnp.clip(ct, -1.0, 1.0),))
    >>> ft.grad(lambda x: 5.0 * clip_gradient(x))(2.0)
    Array(1.)

    Forward mode transposes the backward rule, which must be linear in the cotangents for that. With `forward_through`
    it differentiates the function itself: for rules that are not (an adjoint equation solved with steps of its own).
    """

    fwd: Callable[..., Any] | None = None
    bwd: Callable[..., Any] | None = None

    def __init__(
        self,
        fun: Callable[..., Any],
        nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
        *,
        forward_through: bool = False,
    ):
        super().__init__(fun, nondiff_argnums, nondiff_argnames)
        self.forward_through = forward_through

    def defvjp(
        self,
        fwd: Callable[..., Any],
        bwd: Callable[..., Any],
        symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:
        """Set `fwd(*args) -> (out, residuals)` and `bwd(residuals, ct) -> cotangents of args` (`None` for zero).

        With `symbolic_zeros`, each array among the arguments of `fwd` is a `CustomVJPPrimal`, which says whether a
        derivative by it is asked for, and cotangents that are zero are given to `bwd` as `SymbolicZero`.
        `optimize_remat` is accepted: `checkpoint` keeps no residuals of rules anyway.
        """
        self.fwd, self.bwd, self.symbolic_zeros = fwd, bwd, symbolic_zeros

    @api_boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.fwd is None or self.bwd is None:
            raise ArgumentError(f"{self.name} is a custom_vjp without rules: define them with {self.name}.defvjp")
        args = self.positional(args, kwargs)
        static, leaves, tree, join = self.split(args)
        avals = [aval_of(x) for x in leaves]
        out_tree: list[Any] = []
        res_tree: list[Any] = []

        def fun(*flat: Any) -> list[Any]:
            outs, structure = flatten(self.fun(*join(list(flat))))
            out_tree[:] = [structure]
            return outs

        def fwd(flat: Sequence[Any], perturbed: Sequence[bool]) -> tuple[list[Any], list[Any]]:
            if self.symbolic_zeros:
                flat = [CustomVJPPrimal(x, p) for x, p in zip(flat, perturbed)]
            pair = self.fwd(*join(list(flat)))  # type: ignore[misc]
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise TreeStructureError(
                    f"the forward rule of {self.name} must return a pair (out, residuals), got {pair!r:.80}"
                )
            outs, structure = flatten(pair[0])
            residuals, residual_structure = flatten(pair[1])
            out_tree[:] = [structure]
            res_tree[:] = [residual_structure]
            return outs, residuals

        def bwd(residuals: Sequence[Any], cts: Sequence[Any], out_avals: Sequence[ShapedArray]) -> list[Any]:
            zero = SymbolicZero if self.symbolic_zeros else _zero_cotangent
            cts = [zero(a) if ct is None else ct for ct, a in zip(cts, out_avals)]
            found = self.bwd(*static, unflatten(res_tree[0], residuals), unflatten(out_tree[0], cts))  # type: ignore[misc]
            return _cotangents(self.name, found, tree, avals)

        through = {"forward_through": True} if self.forward_through else {}
        outs = custom_vjp_call_p.bind(*leaves, fun=fun, fwd=fwd, bwd=bwd, name=self.name, **through)
        return unflatten(out_tree[0], outs)


def _cotangents(name: str, found: Any, tree: Any, avals: Sequence[ShapedArray]) -> list[Any]:
    """The flat cotangents that a backward rule returned, `None` standing for zeros of a whole argument."""
    arguments = unflatten(tree, list(range(len(avals))))
    if isinstance(found, list):
        found = tuple(found)
    if not isinstance(found, tuple) or len(found) != len(arguments):
        raise TreeStructureError(
            f"the backward rule of {name} must return a tuple of {len(arguments)} cotangents, one for each "
            f"argument of {name}, got {type(found).__name__} {found!r:.80}"
        )
    flat: list[Any] = [None] * len(avals)
    for number, (argument, ct) in enumerate(zip(arguments, found)):
        places, structure = flatten(argument)
        if ct is None:
            continue
        cts, ct_structure = flatten(ct, is_leaf=lambda x: x is None)
        if len(cts) != len(places) or (ct_structure != structure and None not in cts):
            raise TreeStructureError(
                f"the backward rule of {name} returned a cotangent of structure {ct_structure} for argument {number}, "
                f"whose structure is {structure}"
            )
        for place, c in zip(places, _no_symbols(cts)):
            aval = avals[place]
            if c is not None and is_inexact(aval.dtype):
                if aval_of(c).shape != aval.shape:
                    raise ShapeError(
                        f"the backward rule of {name} returned a cotangent {aval_of(c)} for argument {number}, "
                        f"which is {aval}"
                    )
                flat[place] = c
    return flat


def _zero_cotangent(aval: ShapedArray) -> Any:
    return np.zeros(aval.shape, float0) if aval.dtype == float0 else zeros(aval)


def _cotangent_avals(out_avals: Sequence[ShapedArray]) -> list[ShapedArray]:
    return [ShapedArray(a.shape, tangent_dtype(a.dtype)) for a in out_avals]


def _push_forward(
    bwd: Any, name: str, residuals: Sequence[Any], tangents: Sequence[Any], out_avals: Sequence[ShapedArray]
) -> list[Any]:
    """Forward mode from a backward rule, which is a linear map of cotangents: its transpose maps tangents."""
    present: list[bool] = []

    def pull(*cts: Any) -> list[Any]:
        found = bwd(residuals, list(cts), ct_avals)
        present[:] = [ct is not None for ct in found]
        return live_values(found)

    ct_avals = _cotangent_avals(out_avals)
    jaxpr, consts = stage(pull, ct_avals, f"the backward rule of {name}")
    live = [t for t, p in zip(tangents, present) if p]
    live = [zeros(a) if t is None else t for t, a in zip(live, jaxpr.out_avals)]
    try:
        return backward_pass(jaxpr, consts, [Linear(a) for a in ct_avals], live)
    except NotImplementedError as error:
        raise NotDifferentiableError(
            f"forward-mode differentiation (jvp, jacfwd, hessian) of {name}, whose custom_vjp rule is not "
            "linear in the "
            f"cotangents ({error}): that rule serves reverse mode only. Use grad, vjp or jacrev, or give the "
            "function a "
            "custom_jvp rule, which serves both; with custom_vjp(..., forward_through=True) forward mode goes "
            "through the function itself."
        ) from None


def _custom_vjp_jvp(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    fwd: Any,
    bwd: Any,
    name: str,
    num_consts: int = 0,
    forward_through: bool = False,
    **params: Any,
) -> Any:
    if forward_through:
        outs, out_tangents = jvp(lambda *args: _run(*args, **params), primals, tangents)
        return outs, [t if has_tangent(o) else None for o, t in zip(outs, out_tangents)]
    _no_closure(name, tangents[:num_consts])
    outs, residuals = fwd(primals[num_consts:], [t is not None for t in tangents[num_consts:]])
    avals = [aval_of(o).strong() for o in outs]
    return outs, _push_forward(bwd, name, residuals, tangents[num_consts:], avals)


def _custom_vjp_linearize(
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    fwd: Any,
    bwd: Any,
    name: str,
    num_consts: int = 0,
    **params: Any,
) -> Any:
    _no_closure(name, tangents[:num_consts])
    primals, tangents = primals[num_consts:], tangents[num_consts:]
    live = [t is not None for t in tangents]
    outs, residuals = fwd(primals, live)
    out_tangents = custom_pullback_p.bind(
        *residuals,
        *(t for t in tangents if t is not None),
        bwd=bwd,
        name=name,
        num_residuals=len(residuals),
        live=tuple(live),
        out_avals=tuple(aval_of(o).strong() for o in outs),
    )
    return outs, [t if has_tangent(o) else None for o, t in zip(outs, out_tangents)]


def _pullback_transpose(
    cts: Sequence[Any], *operands: Any, bwd: Any, num_residuals: int, live: Any, out_avals: Any, **params: Any
) -> list[Any]:
    found = bwd(operands[:num_residuals], list(cts), _cotangent_avals(out_avals))
    return [*[None] * num_residuals, *(ct for ct, lv in zip(found, live) if lv)]


def _custom_vjp_batch(
    axis: Axis, args: list[Any], dims: list[Any], *, jaxpr: Jaxpr, fwd: Any, bwd: Any, name: str, num_consts: int,
    **params: Any,
) -> Any:  # fmt: skip
    batched = [d is not None for d in dims]
    args = [batch_first(axis, a, d) if b else a for a, d, b in zip(args, dims, batched)]
    inner, _ = batch_jaxpr(jaxpr, axis, batched, [True] * len(jaxpr.outvars))
    own = batched[num_consts:]

    def batched_fwd(primals: Sequence[Any], perturbed: Sequence[bool]) -> tuple[list[Any], list[Any]]:
        counts: list[int] = []

        def rule(*flat: Any) -> list[Any]:
            outs, residuals = fwd(flat, perturbed)
            counts[:] = [len(outs)]
            return [*outs, *residuals]

        flat = _batched_rule(axis, rule, own, primals)
        return flat[: counts[0]], flat[counts[0] :]

    def batched_bwd(residuals: Sequence[Any], cts: Sequence[Any], out_avals: Sequence[ShapedArray]) -> list[Any]:
        n = len(residuals)
        given = [ct is not None for ct in cts]
        one = [a.with_shape(a.shape[1:]) for a in out_avals]
        present: list[bool] = []

        def rule(*flat: Any) -> list[Any]:
            found = bwd(flat[:n], spread(flat[n:], given), one)
            present[:] = [ct is not None for ct in found]
            return live_values(found)

        operands = [*residuals, *live_values(cts)]
        found = spread(_batched_rule(axis, rule, [True] * len(operands), operands), present)
        return [
            ct if ct is None or b else reduce_sum_p.bind(ct, axes=(0,))  # an argument that all examples share
            for ct, b in zip(found, own)
        ]

    outs = custom_vjp_call_p.bind(
        *args, jaxpr=inner, fwd=batched_fwd, bwd=batched_bwd, name=name, num_consts=num_consts, **params
    )
    return outs, [0] * len(outs)


def _custom_vjp_guard(
    active: Any, *args: Any, jaxpr: Jaxpr, fwd: Any, bwd: Any, name: str, num_consts: int, **params: Any
) -> Any:
    def guarded_fwd(primals: Sequence[Any], perturbed: Sequence[bool]) -> tuple[list[Any], list[Any]]:
        active, *primals = primals
        counts: list[int] = []

        def rule(*flat: Any) -> list[Any]:
            outs, residuals = fwd(flat, perturbed[1:])
            counts[:] = [len(outs)]
            return [*outs, *residuals]

        flat = _guarded_rule(active, rule, primals)
        return flat[: counts[0]], [active, *flat[counts[0] :]]

    def guarded_bwd(residuals: Sequence[Any], cts: Sequence[Any], out_avals: Sequence[ShapedArray]) -> list[Any]:
        active, *residuals = residuals
        given = [ct is not None for ct in cts]
        present: list[bool] = []

        def rule(*flat: Any) -> list[Any]:
            found = bwd(flat[: len(residuals)], spread(flat[len(residuals) :], given), out_avals)
            present[:] = [ct is not None for ct in found]
            return live_values(found)

        return [None, *spread(_guarded_rule(active, rule, [*residuals, *live_values(cts)]), present)]

    operands, inner = _guarded_call(active, args, jaxpr, num_consts)
    return custom_vjp_call_p.bind(
        *operands, jaxpr=inner, fwd=guarded_fwd, bwd=guarded_bwd, name=name, num_consts=num_consts, **params
    )


custom_vjp_call_p = Primitive("custom_vjp_call", multiple_results=True)
custom_vjp_call_p.impl = _run
custom_vjp_call_p.abstract_eval = lambda *avals, jaxpr, **params: jaxpr.out_avals
custom_vjp_call_p.stage = _stage_call(custom_vjp_call_p)
custom_vjp_call_p.jvp = _custom_vjp_jvp
custom_vjp_call_p.linearize = _custom_vjp_linearize
custom_vjp_call_p.transpose = _transpose
custom_vjp_call_p.batch = _custom_vjp_batch
custom_vjp_call_p.guard = _custom_vjp_guard
custom_vjp_call_p.calls_user_rule = True


def _pullback_impl(*operands: Any, bwd: Any, name: str, num_residuals: int, live: Any, out_avals: Any) -> list[Any]:
    rest = iter(operands[num_residuals:])
    tangents = [next(rest) if lv else None for lv in live]
    found = _push_forward(bwd, name, operands[:num_residuals], tangents, out_avals)
    return [zeros(ShapedArray(a.shape, tangent_dtype(a.dtype))) if t is None else t for t, a in zip(found, out_avals)]


def _pullback_batch(axis: Axis, args: list[Any], dims: list[Any], **params: Any) -> Any:
    batched = [d is not None for d in dims]
    args = [batch_first(axis, a, d) if b else a for a, d, b in zip(args, dims, batched)]
    outs = _batched_rule(axis, lambda *flat: _pullback_impl(*flat, **params), batched, args)
    return outs, [0] * len(outs)


custom_pullback_p = Primitive("custom_pullback", multiple_results=True)
custom_pullback_p.__doc__ = "The linear map whose transpose is a user's backward rule."
custom_pullback_p.impl = _pullback_impl
custom_pullback_p.abstract_eval = lambda *avals, out_avals, **params: [
    ShapedArray(a.shape, tangent_dtype(a.dtype)) for a in out_avals
]
custom_pullback_p.transpose = _pullback_transpose
custom_pullback_p.batch = _pullback_batch
