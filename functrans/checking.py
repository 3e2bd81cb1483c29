"""Checks at run time that survive every transformation, in the manner of `jax.experimental.checkify`.

`check` raises where a predicate does not hold. `checkify` makes of a function that checks one that returns an error
value beside its result: the number of the check that failed first, and the values its message shows. It rewrites the
function's jaxpr: loops carry the error, branches return it, and so it works under `jit`, `vmap` and `grad`. It can also
add checks: for NaN, for divisions by zero, for indices out of bounds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans.api import make_jaxpr, stop_gradient
from functrans.core.avals import aval_of, is_inexact
from functrans.core.jaxpr import Eqn, Jaxpr, Literal, Var, evaluate, jaxpr_has_effect
from functrans.core.primitive import muted, zeros
from functrans.core.pytree import flatten, register_pytree_node, unflatten
from functrans.core.source import current_source, source_is
from functrans.core.trace import Tracer, stage
from functrans.core.tracebacks import api_boundary
from functrans.debug import check_format
from functrans.errors import ArgumentError, CheckError, DTypeError, ShapeError
from functrans.lax.calls import jit_p
from functrans.lax.checks import Message, check_p
from functrans.lax.control import cond_p
from functrans.lax.flat import split_list
from functrans.lax.loops import while_p
from functrans.lax.scans import scan_p
from functrans.transforms.jvp import close_over
from functrans.transforms.simplify import without_displays

__all__ = [
    "Error", "all_checks", "automatic_checks", "check", "check_error", "checkify", "debug_check", "div_checks",
    "float_checks", "index_checks", "init_error", "nan_checks", "user_checks",
]  # fmt: skip

Checks = frozenset[str]

#: The checks that a function makes by `check`.
user_checks: Checks = frozenset({"user"})
#: NaN among the results of any operation.
nan_checks: Checks = frozenset({"nan"})
#: Zero as a divisor.
div_checks: Checks = frozenset({"div"})
#: Indices and slices out of bounds.
index_checks: Checks = frozenset({"index"})
#: NaN, and divisions by zero.
float_checks: Checks = nan_checks | div_checks
#: All but those of the user.
automatic_checks: Checks = float_checks | index_checks
#: All of them.
all_checks: Checks = automatic_checks | user_checks


# ---------------------------------------------------------------- errors as values


class Error:
    """The error that a function made by `checkify` returns: none, or the first check that failed.

    It is a pytree. Under `vmap` each example has its own.

    >>> import functrans as ft, numpy as np
    >>> error, root = ft.checking.checkify(lambda x: np.sqrt(x), errors=ft.checking.nan_checks)(np.array([4.0]))
    >>> error.get() is None
    True
    """

    def __init__(self, code: Any, payload: Sequence[Any], sites: Sequence[Message]):
        self._code = code  # 0, or the number of a site counted from 1
        self._payload = tuple(payload)  # what the messages show, one site after another
        self._sites = tuple(sites)

    def get(self) -> str | None:
        """The message of the check that failed first, of each example that has one; `None` if none failed."""
        code = np.asarray(self._code)
        lines = [self._text(int(code[index]), index) for index in np.ndindex(code.shape) if code[index]]
        return "\n".join(lines) if lines else None

    def _text(self, number: int, index: tuple[int, ...]) -> str:
        site = self._sites[number - 1]
        start = sum(s.size for s in self._sites[: number - 1])
        return site.text([np.asarray(p)[index] for p in self._payload[start : start + site.size]], index)

    def throw(self) -> None:
        """Raise `CheckError` with the message, if a check failed."""
        message = self.get()
        if message is not None:
            raise CheckError(message)

    def __repr__(self) -> str:
        if isinstance(self._code, Tracer):
            return f"Error({self._code!r})"
        return f"Error({self.get()!r})"


register_pytree_node(
    Error,
    lambda e: ((e._code, *e._payload), e._sites),
    lambda sites, leaves: Error(leaves[0], leaves[1:], sites),
)


# ---------------------------------------------------------------- the user's part


@api_boundary
def check(pred: Any, msg: str, *fmt_args: Any, debug: bool = False, **fmt_kwargs: Any) -> None:
    """Raise `CheckError` when the program comes by and `pred` does not hold; in `checkify`, note it instead.

    Args:
        pred: a boolean scalar.
        msg: a format string, as `str.format` takes it, for the error's message.
        fmt_args, fmt_kwargs: pytrees of arrays that it shows.
        debug: check only in functions that `checkify` has transformed; elsewhere nothing is checked.

    Raises:
        CheckError: `pred` does not hold; also from compiled functions.

    >>> import functrans as ft, numpy as np
    >>> @ft.jit
    ... def root(x):
    ...     ft.checking.check(x >= 0, "{} is negative", x)
    ...     return np.sqrt(x)
    >>> root(4.0)
    Array(2.)
    >>> root(-4.0)
    Traceback (most recent call last):
        ...
    functrans.errors.CheckError: -4.0 is negative (check at ...)
    """
    aval = aval_of(pred)
    if aval.dtype.kind != "b":
        raise DTypeError(f"check takes a boolean, got {aval}")
    if aval.shape != ():
        raise ShapeError(f"check takes a scalar, got {aval}; write functrans.numpy.all(...) if all are to hold")
    check_format("check", msg, fmt_args, fmt_kwargs)
    leaves, tree = flatten((fmt_args, fmt_kwargs))
    for x in leaves:
        aval_of(x)  # the error for what is no array
    check_p.bind(pred, *leaves, message=Message(msg, tree, source=current_source(), debug=debug))


def debug_check(pred: Any, msg: str, *fmt_args: Any, **fmt_kwargs: Any) -> None:
    """`check` in functions that `checkify` has transformed; elsewhere nothing is checked.

    >>> from functrans import checking
    >>> def f(x):
    ...     checking.debug_check(x > 0, "{} is not positive", x)
    ...     return x
    >>> f(-1.0)
    -1.0
    >>> error, _ = checking.checkify(f)(-1.0)
    >>> error
    Error('-1.0 is not positive (check at ...)')
    """
    check(pred, msg, *fmt_args, debug=True, **fmt_kwargs)


def init_error() -> Error:
    """The error of a function that no check of has failed.

    >>> from functrans import checking
    >>> checking.init_error()
    Error(None)
    """
    return Error(np.int64(0), (), ())


@api_boundary
def check_error(error: Error) -> None:
    """Raise `CheckError` if an error that `checkify` returned is one: a `check` again, also in traced functions.

    >>> import functrans as ft
    >>> from functrans import checking
    >>> error, _ = checking.checkify(lambda x: checking.check(x > 0, "not positive"))(-1.0)
    >>> checking.check_error(error)
    Traceback (most recent call last):
        ...
    functrans.errors.CheckError: not positive (check at ...)
    """
    if not any(isinstance(x, Tracer) for x in flatten(error)[0]):
        error.throw()
        return
    code, payload = error._code, list(error._payload)
    for number, site in enumerate(error._sites, 1):
        own, payload = split_list(payload, site.size)
        check_p.bind(code != number, *own, message=replace(site, lanes=aval_of(code).ndim))


@api_boundary
def checkify(f: Callable[..., Any], errors: Checks = user_checks) -> Callable[..., tuple[Error, Any]]:
    """A function of the same arguments that returns `(error, f(*args))`, and raises nothing when a check fails.

    Args:
        f: a function of pytrees of arrays. It is traced, as by `jit`.
        errors: which checks: `user_checks` (those by `check`), `nan_checks`, `div_checks`, `index_checks`, and sets of
            them: `float_checks` (NaN and division), `automatic_checks` (all but the user's), `all_checks`. Those of
            the user that are not among them are left out; an index out of bounds that is not among them raises
            `IndexError`, as always.

    Returns:
        A function that can be transformed as any other. `error.get()` is the message of the first check that failed or
        `None`, `error.throw()` raises it.

    Source: the design follows `jax.experimental.checkify`.

    >>> import functrans as ft, numpy as np
    >>> from functrans import checking
    >>> def f(x, i):
    ...     checking.check(x[0] >= 0, "negative: {x}", x=x[0])
    ...     return np.log(x)[i]
    >>> error, out = ft.jit(checking.checkify(f))(np.array([1.0, 2.0]), 0)
    >>> error.get(), out
    (None, Array(0.))
    >>> error, _ = ft.jit(checking.checkify(f, errors=checking.all_checks))(np.array([1.0, 2.0]), 5)
    >>> error.get()
    'index 5 is out of bounds for axis 0 with size 2 (gather at ...)'
    """
    if not callable(f):
        raise ArgumentError(f"checkify takes a function, got {f!r:.60}")
    if not isinstance(errors, frozenset) or not errors <= all_checks:
        raise ArgumentError(
            "the errors of checkify are sets of this module (user_checks, float_checks, user_checks | nan_checks), got "
            f"{errors!r:.80}"
        )

    @functools.wraps(f)
    @api_boundary
    def checked(*args: Any, **kwargs: Any) -> tuple[Error, Any]:
        closed, shapes = make_jaxpr(f, return_shape=True)(*args, **kwargs)
        state = _Checked(errors)
        outs = state.run(closed.jaxpr, closed.consts, flatten((args, kwargs))[0])
        return Error(state.code, state.payload, state.sites), unflatten(flatten(shapes)[1], outs)

    return checked


# ---------------------------------------------------------------- the transformation


class _Checked:
    """A program that is being evaluated with its checks: the error so far."""

    def __init__(self, errors: Checks):
        self.errors = errors
        self.code: Any = np.int64(0)
        self.sites: list[Message] = []
        self.payload: list[Any] = []

    def run(self, jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        """The results of a jaxpr; its checks come to the error."""
        env: dict[Var, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args)))
        read = lambda a: a.value if type(a) is Literal else env[a]
        for eqn in jaxpr.eqns:
            with source_is(eqn.source):
                env.update(zip(eqn.outvars, self.step(eqn, [read(a) for a in eqn.inputs])))
        return [read(a) for a in jaxpr.outvars]

    def step(self, eqn: Eqn, args: list[Any]) -> Sequence[Any]:
        """The results of one equation."""
        rule = _RULES.get(eqn.primitive.name)
        if rule is not None:
            return rule(self, eqn, args)
        if "index" in self.errors:
            eqn = self.check_indices(eqn, args)
        if "div" in self.errors and eqn.primitive.name in _DIVISIONS:
            self.add(fnp.any(args[-1] == 0), self.site(eqn, "division by zero"), [])
        out = eqn.primitive.bind(*args, **eqn.params)
        outs = out if eqn.primitive.multiple_results else [out]
        for o in outs:
            if "nan" in self.errors and is_inexact(aval_of(o).dtype) and eqn.primitive.name != "constant":
                self.add(fnp.any(fnp.isnan(o)), self.site(eqn, "nan among the results"), [])
        return outs

    def site(self, eqn: Eqn, fmt: str, *args: Any) -> Message:
        return Message(fmt, flatten((args, {}))[1], eqn.primitive.name, source=eqn.source)

    def add(self, bad: Any, site: Message, payload: Sequence[Any]) -> None:
        """One more check."""
        self.join(fnp.where(bad, 1, 0), [site], payload)

    def join(self, code: Any, sites: Sequence[Message], payload: Sequence[Any]) -> None:
        """The error of a part of the program, which counts if none came before."""
        number = code + np.int64(len(self.sites))
        self.code = fnp.where((self.code == 0) & (code != 0), number, self.code)
        self.sites += sites
        self.payload += [stop_gradient(p) for p in payload]

    def check_indices(self, eqn: Eqn, args: list[Any]) -> Eqn:
        """Check what an operation indexes by; the operation as one that raises no error."""
        name, params = eqn.primitive.name, eqn.params
        shape = aval_of(args[0]).shape if args else ()
        if (name == "gather" or name.startswith("scatter")) and params["mode"] in ("raise", "promise_in_bounds"):
            for i, axis in zip(args[1 if name == "gather" else 2 :], params["axes"]):
                n = shape[axis]
                self.check_range(eqn, i, -n, n - 1, f"index {{}} is out of bounds for axis {axis} with size {n}")
            return eqn.replace(params={**params, "mode": "clip"})
        if name in ("dynamic_slice", "dynamic_update_slice"):
            update = name == "dynamic_update_slice"
            sizes = aval_of(args[1]).shape if update else params["slice_sizes"]
            for axis, (i, n, size) in enumerate(zip(args[2 if update else 1 :], shape, sizes)):
                text = f"a slice of size {size} from {{}} on is out of bounds for axis {axis} with size {n}"
                self.check_range(eqn, i, 0, n - size, text)
        return eqn

    def check_range(self, eqn: Eqn, i: Any, low: int, high: int, fmt: str) -> None:
        if aval_of(i).size == 0:
            return
        flat = fnp.reshape(i, (-1,))
        bad = (flat < low) | (flat > high)
        self.add(fnp.any(bad), self.site(eqn, fmt, 0), [fnp.where(bad, flat, 0)[fnp.argmax(bad)]])


def _functional(jaxpr: Jaxpr, errors: Checks) -> tuple[Jaxpr, list[Message]]:
    """The jaxpr `args -> code, *payload, *outs`, and its checks."""

    def make() -> tuple[Jaxpr, list[Message]]:
        sites: list[Message] = []

        def fun(*args: Any) -> list[Any]:
            state = _Checked(errors)
            outs = state.run(jaxpr, (), args)
            sites[:] = state.sites
            return [state.code, *state.payload, *outs]

        return close_over(*stage(fun, jaxpr.in_avals)), sites

    return jaxpr.memoize(("checked", errors), make)


def _without_error(jaxpr: Jaxpr) -> Jaxpr:
    """A functional jaxpr in which nothing is checked, without its code."""
    return Jaxpr((), jaxpr.invars, jaxpr.eqns, jaxpr.outvars[1:])


def _blank(jaxpr: Jaxpr, sites: Sequence[Message]) -> list[Any]:
    """No error, for a functional jaxpr: a code of zero, and values that no message shows."""
    n = sum(s.size for s in sites)
    return [np.int64(0), *(zeros(v.aval.strong()) for v in jaxpr.outvars[1 : 1 + n])]


def _first(before: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """Of two errors the first, unless it is none."""
    return [fnp.where(before[0] == 0, n, b) for b, n in zip(before, new)]


def _check(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    """A check by the user. One that is mapped shows the first example that fails, after its index."""
    if "user" not in state.errors:
        return []
    pred, *payload = args
    message: Message = eqn.params["message"]
    if message.lanes:
        shape = aval_of(pred).shape
        place = fnp.argmin(fnp.reshape(pred, (-1,)))
        index = fnp.stack(fnp.unravel_index(place, shape))
        payload = [index, *(fnp.reshape(p, (-1, *aval_of(p).shape[message.lanes :]))[place] for p in payload)]
        pred, message = fnp.all(pred), replace(message, lanes=0, mapped=True)
    state.add(fnp.logical_not(pred), message, payload)
    return []


def _call(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    inner, sites = _functional(eqn.params["jaxpr"], state.errors)
    outs = eqn.primitive.bind(*args, **{**eqn.params, "jaxpr": inner})
    return _taken(state, sites, outs)


def _taken(state: _Checked, sites: Sequence[Message], outs: Sequence[Any]) -> list[Any]:
    """The results after the error, which comes to the state's."""
    (code,), payload, rest = split_list(outs, 1, sum(s.size for s in sites))
    if sites:
        state.join(code, sites, payload)
    return rest


def _custom(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    """A call with a derivative rule: the call as it is, and beside it its checks, which have no derivative."""
    body: Jaxpr = eqn.params["jaxpr"]
    inner, sites = _functional(body, state.errors)
    name = eqn.params.get("name", eqn.primitive.name)
    rules: dict[str, Any] = {k: _muted(v) for k, v in eqn.params.items() if k in ("jvp", "fwd", "bwd")}
    rules |= {k: without_displays(v) for k, v in eqn.params.items() if isinstance(v, Jaxpr)}
    if not sites:
        return eqn.primitive.bind(*args, **{**eqn.params, **rules, "jaxpr": _without_error(inner)})
    quiet = without_displays(body)
    if jaxpr_has_effect(quiet):
        raise ArgumentError(
            f"checkify of {name}, which has a derivative rule of its own, checks and an io_callback: it "
            "would run twice. Take the callback out of the function with the rule."
        )
    _taken(state, sites, jit_p.bind(*map(stop_gradient, args), jaxpr=inner, name=name))
    return eqn.primitive.bind(*args, **{**eqn.params, **rules, "jaxpr": quiet})


def _muted(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A derivative rule of the user's whose checks raise nothing: those of the function are noted."""

    def run(*args: Any) -> Any:
        with muted():
            return rule(*args)

    return run


def _scan(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    """The error is a carry."""
    p = eqn.params
    inner, sites = _functional(p["jaxpr"], state.errors)
    if not sites:
        return scan_p.bind(*args, **{**p, "jaxpr": _without_error(inner)})
    blank = _blank(inner, sites)
    consts, carry, xs = split_list(args, p["num_consts"], p["num_carry"])

    def body(*values: Any) -> list[Any]:
        own, before, rest = split_list(values, len(consts), len(blank))
        error, outs = split_list(evaluate(inner, (), [*own, *rest], sources=True), len(blank))
        return [*_first(before, error), *outs]

    avals = p["jaxpr"].in_avals
    error_avals = [aval_of(b) for b in blank]
    jaxpr = close_over(*stage(body, [*avals[: len(consts)], *error_avals, *avals[len(consts) :]]))
    outs = scan_p.bind(*consts, *blank, *carry, *xs, **{**p, "jaxpr": jaxpr, "num_carry": len(blank) + len(carry)})
    return _taken(state, sites, outs)


def _while(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    """The error is a carry, and so is the condition, which the body computes for the next turn."""
    p = eqn.params
    cond, cond_sites = _functional(p["cond_jaxpr"], state.errors)
    inner, body_sites = _functional(p["body_jaxpr"], state.errors)
    if not cond_sites and not body_sites:
        return while_p.bind(*args, **{**p, "cond_jaxpr": _without_error(cond), "body_jaxpr": _without_error(inner)})
    cond_consts, body_consts, carry = split_list(args, p["cond_nconsts"], p["body_nconsts"])
    (pred,) = _taken(state, cond_sites, evaluate(cond, (), [*cond_consts, *carry], sources=True))
    body_blank, cond_blank = _blank(inner, body_sites), _blank(cond, cond_sites)
    n_body, n_cond = len(body_blank), len(cond_blank)

    def body(*values: Any) -> list[Any]:
        c, b, body_error, cond_error, _, now = split_list(values, len(cond_consts), len(body_consts), n_body, n_cond, 1)
        new_body_error, now = split_list(evaluate(inner, (), [*b, *now], sources=True), n_body)
        new_cond_error, pred = split_list(evaluate(cond, (), [*c, *now], sources=True), n_cond)
        clean = (body_error[0] == 0) & (cond_error[0] == 0)
        # in one turn the body's error comes before the condition's
        new_cond_error[0] = fnp.where(new_body_error[0] == 0, new_cond_error[0], 0)
        pairs = zip([*body_error, *cond_error], [*new_body_error, *new_cond_error])
        return [*(fnp.where(clean, new, old) for old, new in pairs), *pred, *now]

    state_in = [*body_blank, *cond_blank, pred, *carry]
    avals = [aval_of(x).strong() for x in state_in[: n_body + n_cond + 1]]
    carry_avals = p["body_jaxpr"].in_avals[len(body_consts) :]
    const_avals = [aval_of(x) for x in (*cond_consts, *body_consts)]
    jaxpr = close_over(*stage(body, [*const_avals, *avals, *carry_avals]))
    goes_on = close_over(*stage(lambda *xs: [xs[n_body + n_cond]], [*avals, *carry_avals]))
    outs = while_p.bind(
        *cond_consts, *body_consts, *state_in, cond_nconsts=0, cond_jaxpr=goes_on,
        body_nconsts=len(cond_consts) + len(body_consts), body_jaxpr=jaxpr,
    )  # fmt: skip
    body_error, cond_error, _, results = split_list(outs, n_body, n_cond, 1)
    _taken(state, body_sites, body_error)
    _taken(state, cond_sites, cond_error)
    return results


def _cond(state: _Checked, eqn: Eqn, args: list[Any]) -> list[Any]:
    """Each branch returns its own error, in a place among those of all."""
    parts = [_functional(b, state.errors) for b in eqn.params["branches"]]
    if not any(sites for _, sites in parts):
        return cond_p.bind(*args, branches=tuple(_without_error(j) for j, _ in parts))
    blanks = [[aval_of(b) for b in _blank(j, sites)] for j, sites in parts]

    def branch(number: int) -> Jaxpr:
        inner = parts[number][0]

        def fun(*values: Any) -> list[Any]:
            error, outs = split_list(evaluate(inner, (), values, sources=True), len(blanks[number]))
            errors = [error if i == number else [zeros(a) for a in b] for i, b in enumerate(blanks)]
            return [*(x for e in errors for x in e), *outs]

        return close_over(*stage(fun, inner.in_avals))

    outs = cond_p.bind(*args, branches=tuple(map(branch, range(len(parts)))))
    for (_, sites), blank in zip(parts, blanks):
        error, outs = split_list(outs, len(blank))
        _taken(state, sites, error)
    return outs


_RULES: dict[str, Callable[[_Checked, Eqn, list[Any]], list[Any]]] = {
    "check": _check, "jit": _call, "checkpoint": _call, "custom_jvp_call": _custom, "custom_vjp_call": _custom,
    "custom_linear_solve": _custom, "custom_root": _custom, "custom_vmap_call": _custom,
    "linear_call": _custom, "scan": _scan, "while": _while, "cond": _cond,
}  # fmt: skip
_DIVISIONS = frozenset({"div", "floor_divide", "rem", "fmod", "reciprocal"})
