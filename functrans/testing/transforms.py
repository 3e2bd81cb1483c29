"""What every transformation must make of a function, as a property of the function.

`jit(f)`, `vmap(f)`, `grad(f)` and their compositions are each defined by plain calls of `f`: the same values, a loop, a
derivative. `check_transforms` draws arguments, computes both sides and reports the smallest arguments on which they
differ. The derivative itself is held to finite differences, all else to the function's own results.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

from functrans.api.compilation import jit
from functrans.api.differentiation import hessian, jvp, linearize, vjp
from functrans.api.flattening import argument_names, name_of
from functrans.api.staging import checkpoint, make_jaxpr
from functrans.api.vectorization import vmap
from functrans.core.avals import aval_of, float0, float_info, is_inexact, kind_of
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import evaluate
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ArgumentError
from functrans.testing.comparison import difference, show
from functrans.testing.gradients import default_step

__all__ = ["TRANSFORMS", "check_transforms"]

Fun = Callable[..., Any]
Failure = tuple[str, str]  # the composition, and the report

#: What `check_transforms` can check; a composition is checked when all of its parts are chosen.
TRANSFORMS = ("jaxpr", "jit", "vmap", "checkpoint", "jvp", "vjp", "linearize", "hessian", "differences")

_NEIGHBOURS = 32  # points around a kink at which slopes are taken
_MOST_HESSIAN = 36  # elements of the arguments up to which the Hessian is formed


def check_transforms(
    *f_and_arguments: Any,
    transforms: Sequence[str] = TRANSFORMS,
    rtol: float | None = None,
    atol: float | None = None,
    max_examples: int = 20,
    settings: hypothesis.settings | None = None,
) -> Any:
    """Check that transformed versions of a function agree with the function, on drawn arguments.

    Args:
        *f_and_arguments: the function, then for each of its arguments a Hypothesis strategy (or a value that stays as
            it is). Without the function: a decorator that makes it a test.
        transforms: what to check, some of `TRANSFORMS`. `"differences"` holds derivatives to finite differences; leave
            it out for functions whose derivative is deliberately another. Functions without a derivative take
            `("jaxpr", "jit", "vmap")`.
        rtol, atol: what is allowed relative to each element, and beside. By default `rtol` is 128 units in the last
            place (float64: 2.8e-14, float32: 1.5e-5) and `atol` the same relative to the largest element of the
            array, or to one if that is larger: compiled and batched programs round elsewhere than NumPy. Where results
            differ by more, the function is evaluated at arguments a few units in the last place away, and elements
            that this moves as much are passed over: they are ill-conditioned. Shapes, dtypes, integers and booleans
            must always be equal.
        max_examples: how many arguments to draw.
        settings: Hypothesis settings to use instead of `max_examples`, no deadline and the rest of the current profile.

    What is checked, of a function `f` and arguments `x`: evaluating its jaxpr, `jit`, `checkpoint` and `vmap` (against
    a loop, arguments mapped along the first or last axis or shared); `jvp`, `linearize` and `vjp` against finite
    differences (at a kink any slope between those around it will do) and each other; the Hessian of a scalar function;
    and compositions: `jit` of `vmap`, `vmap` of `jit`, derivatives of `jit`, `vmap` and `checkpoint`, `jit` and `vmap`
    of derivatives, `jit(vmap(grad(jit(f))))`. For functions that do not return one real scalar, `vjp` with fixed
    weights takes the part of `grad`. The function must be pure: called twice it must give the same, and leave its
    arguments alone.

    Raises:
        AssertionError: with the composition, the arguments, and the first element that differs.

    >>> import numpy as np
    >>> from functrans.testing import arrays, check_transforms, shapes
    >>> check_transforms(lambda x, y: np.tanh(x) * y, arrays(shape=(3,)), arrays(shape=()))

    As a test:

    >>> @check_transforms(arrays(shape=shapes(min_dims=1, min_side=1)), transforms=("jit", "vmap"))
    ... def test_normalized(x):
    ...     return x / (1 + np.abs(x).sum(axis=-1, keepdims=True))
    >>> test_normalized()
    """
    unknown = set(transforms) - set(TRANSFORMS)
    if unknown:
        raise ArgumentError(
            f"check_transforms: no transform is called {', '.join(sorted(unknown))}; there are {', '.join(TRANSFORMS)}"
        )
    head = f_and_arguments[:1]
    if head and callable(head[0]) and not isinstance(head[0], st.SearchStrategy):
        _run(head[0], f_and_arguments[1:], transforms, rtol, atol, max_examples, settings)
        return None

    def decorate(f: Fun) -> Callable[[], None]:
        def test() -> None:
            _run(f, f_and_arguments, transforms, rtol, atol, max_examples, settings)

        test.__name__ = test.__qualname__ = name_of(f)
        test.__doc__, test.__module__ = f.__doc__, f.__module__
        return test

    return decorate


def _run(
    f: Fun, arguments: Sequence[Any], transforms: Sequence[str], rtol: float | None, atol: float | None,
    max_examples: int, settings: hypothesis.settings | None,
) -> None:  # fmt: skip
    strategy = _cases([a if isinstance(a, st.SearchStrategy) else st.just(a) for a in arguments])
    failed: list[str] = []  # the composition that failed: smaller arguments are sought for that one alone

    def property_of_function(case: _Case) -> None:
        with np.errstate(all="ignore"):
            check = _Check(f, case, set(transforms), rtol, atol, failed[0] if failed else None)
            for what, failure in check.failures():
                failed[:] = [what]
                raise AssertionError(failure)

    if settings is None:
        phases = [p for p in hypothesis.Phase if p is not hypothesis.Phase.explain]
        settings = hypothesis.settings(
            max_examples=max_examples, deadline=None, report_multiple_bugs=False, phases=phases,
            suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.nested_given],
        )  # fmt: skip
    # Hypothesis keeps failures in its database by this name.
    name = re.sub(r"\W", "_", f"transforms_of_{name_of(f)}")
    property_of_function.__name__ = property_of_function.__qualname__ = name
    settings(hypothesis.given(strategy)(property_of_function))()


class _Case:
    """Arguments, two more examples of their shapes for batches, and the axes along which these are mapped."""

    def __init__(self, args: tuple[Any, ...], others: list[tuple[Any, ...]], in_axes: tuple[int | None, ...]):
        self.args = args
        self.others = others
        self.in_axes = in_axes

    def __repr__(self) -> str:
        return f"arguments({', '.join(map(repr, self.args))}; in_axes={self.in_axes})"


@st.composite
def _cases(draw: st.DrawFn, strategies: Sequence[st.SearchStrategy[Any]]) -> _Case:
    """One example, and others that have its shapes: as drawn where they do, else with its elements in other places."""
    args = tuple(draw(s) for s in strategies)
    others = []
    for shift in (1, 2):
        drawn = tuple(draw(s) for s in strategies)
        others.append(drawn if _types(drawn) == _types(args) else _varied(args, shift))
    axes = st.sampled_from((0, None, -1))
    in_axes = tuple(draw(axes) for _ in args)
    if all(a is None for a in in_axes):
        in_axes = (0,) * len(args)
    return _Case(args, others, in_axes)


def _types(args: Any) -> Any:
    leaves, tree = flatten(args)
    return tree, [(np.shape(x), np.asarray(x).dtype) for x in leaves]


def _varied(args: tuple[Any, ...], shift: int) -> tuple[Any, ...]:
    leaves, tree = flatten(args)
    moved = []
    for x in leaves:
        array = np.asarray(x)
        if array.size > 1:
            moved.append(np.roll(array, shift))
        else:
            moved.append(array * array.dtype.type(1 - shift / 8) if is_inexact(array.dtype) else array)
    return unflatten(tree, moved)


class _Check:
    """All checks of one function at one point."""

    def __init__(
        self,
        f: Fun,
        case: _Case,
        transforms: set[str],
        rtol: float | None,
        atol: float | None,
        only: str | None = None,
    ):
        self.f = f
        self.name = name_of(f) if name_of(f) != "<lambda>" else "f"
        self.only = only
        self.case = case
        self.args = case.args
        self.chosen = transforms
        self.rtol, self.atol = rtol, atol
        self.leaves, self.tree = flatten(self.args)
        self.names = argument_names(f, self.args)
        self.inexact = [i for i, x in enumerate(self.leaves) if is_inexact(aval_of(x).dtype)]

    def failures(self) -> Iterator[Failure]:
        """The first failure, in the order in which a reader would look for a cause; none if all is well.

        With `only`, the first of that composition.
        """
        checks = (self.plain, self.values, self.batches, self.derivatives, self.second_derivatives)
        for check in checks:
            for failure in check():
                yield failure
                return

    def report(self, what: str, fault: str, problem: str, args: Any = None, extra: str = "") -> Failure:
        shown = self.leaves if args is None else flatten(args)[0]
        text = f"{what} {fault}\n{problem}\n{extra}arguments of {self.name}:\n{show(self.names, shown)}"
        return _kind(what), text

    def skips(self, what: str) -> bool:
        return self.only is not None and self.only != _kind(what)

    def wanted(self, *parts: str) -> bool:
        return self.chosen.issuperset(parts)

    # -- the function itself

    def plain(self) -> Iterator[Failure]:
        before = [np.array(x) for x in self.leaves]
        self.value = self.f(*self.args)
        again = self.f(*self.args)
        if difference(before, [np.asarray(x) for x in self.leaves], 0.0, 0.0):
            yield self.report(self.name, "changed its arguments", "a pure function leaves them alone")
        problem = difference(again, self.value, 0.0, 0.0)
        if problem:
            fault = "is not a pure function: a second call with the same arguments gave another result"
            yield self.report(self.name, fault, problem)
        self.out_leaves, self.out_tree = flatten(self.value)
        self.differentiable = bool(self.inexact) and any(is_inexact(aval_of(o).dtype) for o in self.out_leaves)

    def agree(
        self, what: str, against: str, compute: Fun, expected: Any, reference: Fun | None = None, args: Any = None
    ) -> Iterator[Failure]:
        """`compute()` gives `expected`; `reference` computes that at other arguments, for its conditioning."""
        if self.skips(what):
            return
        args = self.args if args is None else args
        try:
            found = compute()
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            yield self.report(what, f"failed, where {against} did not", text, args)
            return
        noise = None if reference is None else lambda: self.nearby(reference, args)
        problem = difference(_plain_leaves(found), _plain_leaves(expected), self.rtol, self.atol, noise)
        if problem:
            yield self.report(what, f"does not agree with {against}", problem, args)

    def nearby(self, reference: Fun, args: Any) -> Iterator[Any]:
        """`reference` at arguments a few units in the last place away."""
        rng = np.random.default_rng(0)
        leaves, tree = flatten(args)
        for _ in range(8):
            moved = []
            for x in leaves:
                x = np.asarray(x)
                if is_inexact(x.dtype):
                    signs = rng.choice([-4, -2, -1, 1, 2, 4], x.shape)
                    x = (x * (1 + signs * float_info(x.dtype).eps)).astype(x.dtype)
                moved.append(x[()])
            try:
                yield _plain_leaves(reference(*unflatten(tree, moved)))
            except Exception:
                continue  # beyond the function's domain

    # -- values

    def values(self) -> Iterator[Failure]:
        f, args, name = self.f, self.args, self.name
        plain = f"{name} itself"
        if self.wanted("jaxpr"):
            yield from self.agree(f"the jaxpr of {name}", plain, self.evaluate_jaxpr, self.value, f)
        if self.wanted("jit"):
            compiled = jit(f)
            yield from self.agree(f"jit({name})", plain, lambda: compiled(*args), self.value, f)
            yield from self.agree(f"a second call of jit({name})", plain, lambda: compiled(*args), self.value, f)
        if self.wanted("checkpoint"):
            yield from self.agree(f"checkpoint({name})", plain, lambda: checkpoint(f)(*args), self.value, f)

    def evaluate_jaxpr(self) -> Any:
        closed = make_jaxpr(self.f)(*self.args)
        check_jaxpr(closed.jaxpr)
        return unflatten(self.out_tree, evaluate(closed.jaxpr, closed.consts, self.leaves))

    # -- batches

    def batches(self) -> Iterator[Failure]:
        if not self.wanted("vmap") or not self.leaves:
            return
        every = (0,) * len(self.args)
        for in_axes in dict.fromkeys((every, self.case.in_axes)):
            yield from self.batch(in_axes)

    def batch(self, in_axes: tuple[int | None, ...]) -> Iterator[Failure]:
        f, name = self.f, self.name
        examples = self.examples(in_axes)
        batched = tuple(
            self.args[i] if axis is None else _stack([e[i] for e in examples], axis) for i, axis in enumerate(in_axes)
        )
        shown = str(in_axes[0]) if len(in_axes) == 1 else str(in_axes)
        suffix = "" if set(in_axes) == {0} else f", in_axes={shown}"
        axes: Any = in_axes

        def loop(function: Fun) -> Any:
            return _stack([function(*e) for e in examples], 0)

        def loop_at(function: Fun) -> Fun:
            def run(*args: Any) -> Any:
                rows = [
                    tuple(a if axis is None else _take(a, axis, i) for a, axis in zip(args, in_axes))
                    for i in range(len(examples))
                ]
                return _stack([function(*row) for row in rows], 0)

            return run

        cases: list[tuple[str, Fun, Fun]] = [(f"vmap({name}{suffix})", vmap(f, axes), f)]
        if self.wanted("jit"):
            cases.append((f"jit(vmap({name}{suffix}))", jit(vmap(f, axes)), f))
            cases.append((f"vmap(jit({name}){suffix})", vmap(jit(f), axes), f))
        if self.wanted("vjp") and self.differentiable:
            gradient = self.gradient(f)
            d = self.gradient_name
            cases.append((f"vmap({d(name)}{suffix})", vmap(gradient, axes), gradient))
            if self.wanted("jit"):
                inner = self.gradient(jit(f))
                cases.append((f"jit(vmap({d(f'jit({name})')}{suffix}))", jit(vmap(inner, axes)), gradient))
        if self.wanted("jvp") and self.differentiable:
            tangent = self.tangent(f)
            cases.append((f"vmap(jvp({name}){suffix})", vmap(tangent, axes), tangent))
        for what, transformed, reference in cases:
            expected = loop(reference)
            yield from self.agree(
                what,
                "a loop over the examples",
                lambda t=transformed: t(*batched),
                expected,
                loop_at(reference),
                batched,
            )
        if self.wanted("vjp") and self.differentiable:
            yield from self.gradient_of_batch(in_axes, suffix, batched, examples)

    def gradient_of_batch(
        self, in_axes: tuple[int | None, ...], suffix: str, batched: Any, examples: list[Any]
    ) -> Iterator[Failure]:
        """The derivative of a batch: each example's own, summed for what the examples share."""
        weights = self.weights(self.value)
        every = unflatten(self.out_tree, [np.stack([w] * len(examples)) for w in flatten(weights)[0]])

        def found(*args: Any) -> Any:
            return self.inexact_leaves(vjp(vmap(self.f, in_axes), *args)[1](every))

        def looped(*args: Any) -> Any:
            per_example = []
            for i in range(len(examples)):
                row = tuple(a if axis is None else _take(a, axis, i) for a, axis in zip(args, in_axes))
                per_example.append(unflatten(self.tree, self.full(self.gradient(self.f)(*row))))
            out = []
            for k, axis in enumerate(in_axes):
                own = [e[k] for e in per_example]
                out.append(_sum(own) if axis is None else _stack(own, axis))
            return self.inexact_leaves(tuple(out))

        yield from self.agree(
            f"vjp(vmap({self.name}{suffix}))",
            f"the sum of vjp({self.name}) over the examples",
            lambda: found(*batched),
            looped(*batched),
            looped,
            batched,
        )

    def examples(self, in_axes: tuple[int | None, ...]) -> list[tuple[Any, ...]]:
        """The rows of a batch: the drawn example and those others at which the function gives a like result."""
        rows = [self.args]
        for other in self.case.others:
            row = tuple(mine if axis is None else its for mine, its, axis in zip(self.args, other, in_axes))
            try:
                if _types(self.f(*row)) == _types(self.value):
                    rows.append(row)
            except Exception:
                continue  # beyond the function's domain
        return rows

    # -- derivatives

    def weights(self, value: Any) -> Any:
        """A cotangent of the result: one for a real scalar, else fixed numbers of either sign."""
        leaves, tree = flatten(value)
        return unflatten(tree, [_pattern(o, single=self.scalar) for o in leaves])

    @property
    def scalar(self) -> bool:
        if len(self.out_leaves) != 1:
            return False
        aval = aval_of(self.out_leaves[0])
        return aval.shape == () and kind_of(aval.dtype) == "f"

    def gradient_name(self, inner: str) -> str:
        return f"{'grad' if self.scalar else 'vjp'}({inner})"

    def gradient(self, f: Fun) -> Fun:
        """The cotangents of the inexact arguments; the gradient, of a scalar function."""
        weights = self.weights(self.value)
        return lambda *args: self.inexact_leaves(vjp(f, *args)[1](weights))

    def tangent(self, f: Fun) -> Fun:
        """The tangents of the inexact results in a fixed direction."""
        directions = self.directions()
        return lambda *args: _inexact(jvp(f, args, directions)[1])

    def directions(self) -> tuple[Any, ...]:
        return unflatten(self.tree, [_pattern(x, single=aval_of(x).shape == ()) for x in self.leaves])

    def inexact_leaves(self, args: Any) -> list[Any]:
        leaves = flatten(args)[0]
        return [leaves[i] for i in self.inexact]

    def full(self, inexact: Sequence[Any]) -> list[Any]:
        """Cotangents of all leaves, plain zeros for integers."""
        out = [np.zeros(aval_of(x).shape) for x in self.leaves]
        for i, x in zip(self.inexact, inexact):
            out[i] = np.asarray(x)
        return out

    def derivatives(self) -> Iterator[Failure]:
        if not self.differentiable:
            return
        f, args, name, directions = self.f, self.args, self.name, self.directions()
        tangent = self.tangent(f)
        if self.wanted("jvp"):
            yield from self.agree(
                f"the value of jvp({name})", f"{name} itself", lambda: jvp(f, args, directions)[0], self.value, f
            )
            pushed = tangent(*args)
            if self.wanted("differences"):
                yield from self.slopes(f"jvp({name})", f, pushed)
            cases = []
            if self.wanted("jit"):
                cases.append((f"jit(jvp({name}))", lambda: jit(tangent)(*args)))
                cases.append((f"jvp(jit({name}))", lambda: self.tangent(jit(f))(*args)))
            if self.wanted("checkpoint"):
                cases.append((f"jvp(checkpoint({name}))", lambda: self.tangent(checkpoint(f))(*args)))
            if self.wanted("linearize"):
                cases.append((f"linearize({name})", lambda: _inexact(linearize(f, *args)[1](*directions))))
            for what, compute in cases:
                yield from self.agree(what, f"jvp({name})", compute, pushed, tangent)
        if self.wanted("vjp"):
            yield from self.reverse(tangent)

    def reverse(self, tangent: Fun) -> Iterator[Failure]:
        f, args, name, d = self.f, self.args, self.name, self.gradient_name
        gradient = self.gradient(f)
        yield from self.agree(f"the value of vjp({name})", f"{name} itself", lambda: vjp(f, *args)[0], self.value, f)
        pulled = gradient(*args)
        expected = [aval_of(self.leaves[i]) for i in self.inexact]
        for i, ct, aval in zip(self.inexact, pulled, expected):
            if (aval_of(ct).shape, aval_of(ct).dtype) != (aval.shape, aval.dtype):
                yield self.report(d(name), f"has another type than {self.names[i]}", f"{aval_of(ct)} for {aval}")
        weights = _inexact(self.weights(self.value))

        def both(*args: Any) -> Any:
            return [_pair(gradient(*args), self.inexact_leaves(self.directions())), _pair(weights, tangent(*args))]

        backward, ahead = both(*args)
        size = [_pair_size(pulled, self.inexact_leaves(self.directions())), _pair_size(weights, tangent(*args))]
        if np.isfinite([backward, ahead]).all():
            dtypes = [x.dtype for x in (*expected, *map(aval_of, self.out_leaves)) if is_inexact(x.dtype)]
            precision = max(float(float_info(t).eps) for t in dtypes)
            if abs(backward - ahead) > (1024 * precision if self.rtol is None else 8 * self.rtol) * max(size):
                spread = max((abs(np.subtract(*b)) for b in self.nearby_pairs(both)), default=0.0)
                if abs(backward - ahead) > 32 * spread:
                    yield self.report(
                        d(name),
                        f"is not the transpose of jvp({name})",
                        f"the products with one direction differ: {backward!r} by vjp, {ahead!r} by jvp",
                    )
        cases = []
        if self.wanted("jit"):
            cases.append((f"jit({d(name)})", lambda: jit(gradient)(*args)))
            cases.append((d(f"jit({name})"), lambda: self.gradient(jit(f))(*args)))
        if self.wanted("checkpoint"):
            cases.append((d(f"checkpoint({name})"), lambda: self.gradient(checkpoint(f))(*args)))
        for what, compute in cases:
            yield from self.agree(what, d(name), compute, pulled, gradient)

    def nearby_pairs(self, both: Fun) -> Iterator[Any]:
        for pair in self.nearby(both, self.args):
            yield [float(x) for x in pair]

    def slopes(self, what: str, f: Fun, pushed: Sequence[Any]) -> Iterator[Failure]:
        """Tangents are the slopes by central differences, or, where `f` has a kink, lie between those around it."""
        if self.skips(what):
            return
        step = default_step(self.leaves)
        tangents = [np.asarray(t) for t in pushed]
        try:
            central, rounding = self.slope(f, step)
        except Exception:
            return  # on the edge of the function's domain
        wrong = [_outside(t, [c], r) for t, c, r in zip(tangents, central, rounding)]
        if not any(w.any() for w in wrong):
            return
        rng = np.random.default_rng(0)
        around = []
        for _ in range(_NEIGHBOURS):
            try:
                around.append(self.slope(f, step, 8 * step, rng)[0])
            except Exception:
                continue
        for number, (t, c, r, w) in enumerate(zip(tangents, central, rounding, wrong)):
            w &= _outside(t, [c, *(a[number] for a in around)], r)
            if w.any():
                index = tuple(int(i) for i in np.argwhere(w)[0])
                place = (f"[{number}]" if len(pushed) > 1 else "") + (
                    f"[{', '.join(map(str, index))}]" if index else ""
                )
                directions = [np.asarray(d) for d in flatten(self.directions())[0]]
                yield self.report(
                    what,
                    "does not agree with finite differences",
                    f"the tangent of result{place} is {t[index].item()!r}, the slope by differences {c[index]:.9}",
                    extra=f"in the direction\n{show(self.names, directions)}\n",
                )
                return

    def slope(self, f: Fun, step: float, offset: float = 0.0, rng: Any = None) -> tuple[list[Any], list[Any]]:
        """Central differences of the inexact results at the point (or near it), and what rounding may add to them."""
        leaves = [np.asarray(x) for x in self.leaves]
        if offset:
            leaves = [
                (x + offset * rng.uniform(-1, 1, x.shape)).astype(x.dtype) if is_inexact(x.dtype) else x for x in leaves
            ]

        def at(h: float) -> list[Any]:
            moved = [
                (x + x.dtype.type(h) * t).astype(x.dtype) if is_inexact(x.dtype) else x
                for x, t in zip(leaves, flatten(self.directions())[0])
            ]
            outs = _inexact(f(*unflatten(self.tree, [x[()] for x in moved])))
            return [np.asarray(o) for o in outs]

        slopes, rounding = [], []
        for after, before in zip(at(step), at(-step)):
            wide = np.result_type(after.dtype, np.float64)
            slopes.append((after.astype(wide) - before.astype(wide)) / (2 * step))
            size = np.maximum(np.abs(after), np.abs(before)).astype(float)
            precision = float(float_info(after.dtype).eps)
            rounding.append(16 * precision * size / step + 20 * precision**0.5)
        return slopes, rounding

    def second_derivatives(self) -> Iterator[Failure]:
        if not self.wanted("hessian", "jvp", "vjp") or not self.differentiable or not self.scalar:
            return
        inexact = [self.leaves[i] for i in self.inexact]
        if any(aval_of(x).dtype.kind == "c" for x in inexact):
            return
        size = sum(aval_of(x).size for x in inexact)
        if not 0 < size <= _MOST_HESSIAN:
            return
        f, args, name = self.f, self.args, self.name
        directions = self.inexact_leaves(self.directions())
        gradient = self.gradient(f)

        def along(*args: Any) -> Any:
            return _inexact(jvp(gradient, args, self.directions())[1])

        expected = along(*args)
        if self.wanted("differences"):
            yield from self.slopes(f"jvp(grad({name}))", gradient, expected)

        def of_leaves(values: list[Any], *args: Any) -> Any:
            full = list(flatten(args)[0])
            for i, v in zip(self.inexact, values):
                full[i] = v
            return f(*unflatten(self.tree, full))

        def contracted(matrix: Fun) -> Any:
            blocks = matrix(inexact, *args)
            return [
                np.sum([np.tensordot(b, t, np.ndim(t)) for b, t in zip(blocks[i], directions)], axis=0).astype(
                    aval_of(x).dtype
                )
                for i, x in enumerate(inexact)
            ]

        yield from self.agree(
            f"hessian({name}) times a vector", f"jvp(grad({name}))", lambda: contracted(hessian(of_leaves)), expected,
            along,
        )  # fmt: skip
        if self.wanted("jit"):
            yield from self.agree(
                f"jit(jvp(grad(jit({name}))))", f"jvp(grad({name}))",
                lambda: jit(lambda *a: _inexact(jvp(self.gradient(jit(f)), a, self.directions())[1]))(*args),
                expected, along,
            )  # fmt: skip
        yield from self.agree(
            f"grad(grad({name}) times a vector)", f"jvp(grad({name}))",
            lambda: self.inexact_leaves(vjp(lambda *a: gradient(*a), *args)[1](directions)), expected, along,
        )  # fmt: skip


def _outside(t: np.ndarray, slopes: Sequence[np.ndarray], rounding: np.ndarray) -> np.ndarray:
    """Where a tangent lies outside the range of slopes (of real and imaginary parts each)."""
    out = np.zeros(t.shape, bool)
    for part in (np.real, np.imag):
        s = np.stack([part(v) for v in slopes])
        known = np.isfinite(s)
        low, high = np.where(known, s, np.inf).min(axis=0), np.where(known, s, -np.inf).max(axis=0)
        allowed = rounding * np.maximum(1.0, np.where(known, np.abs(s), 0.0).max(axis=0))
        inside = (part(t) >= low - allowed) & (part(t) <= high + allowed)
        out |= ~inside & known.any(axis=0)
    return out


def _kind(what: str) -> str:
    """A composition without the axes that one example happened to use."""
    return re.sub(r", in_axes=(\([^)]*\)|-?\w+)", "", what)


def _plain_leaves(tree: Any) -> Any:
    leaves, structure = flatten(tree)
    return unflatten(structure, [np.asarray(x) for x in leaves])


def _inexact(tree: Any) -> list[Any]:
    return [x for x in flatten(tree)[0] if is_inexact(aval_of(x).dtype)]


def _pattern(x: Any, single: bool) -> Any:
    """Numbers to weigh the elements of `x` with: one, or a sequence without symmetry."""
    aval = aval_of(x)
    if not is_inexact(aval.dtype):
        return np.zeros(aval.shape, float0)
    if single:
        return aval.dtype.type(1)
    values = itertools.cycle([1.0, -0.5, 0.75, 2.0, -1.25, 0.375, -1.75])
    real = np.array([next(values) for _ in range(aval.size)]).reshape(aval.shape)
    if aval.dtype.kind == "c":
        real = real + 1j * np.array([next(values) for _ in range(aval.size)]).reshape(aval.shape)
    return np.asarray(real).astype(aval.dtype)[()]


def _stack(trees: Sequence[Any], axis: int) -> Any:
    columns = zip(*(flatten(t)[0] for t in trees))
    return unflatten(flatten(trees[0])[1], [np.stack([np.asarray(x) for x in c], axis) for c in columns])


def _sum(trees: Sequence[Any]) -> Any:
    columns = zip(*(flatten(t)[0] for t in trees))
    return unflatten(flatten(trees[0])[1], [np.sum([np.asarray(x) for x in c], axis=0) for c in columns])


def _take(tree: Any, axis: int, i: int) -> Any:
    leaves, structure = flatten(tree)
    return unflatten(structure, [np.take(np.asarray(x), i, axis)[()] for x in leaves])


def _pair(cotangents: Sequence[Any], tangents: Sequence[Any]) -> float:
    products = [np.sum(np.asarray(c, complex) * np.asarray(t, complex)) for c, t in zip(cotangents, tangents)]
    return float(np.real(sum(products)))


def _pair_size(cotangents: Sequence[Any], tangents: Sequence[Any]) -> float:
    products = [np.sum(np.abs(np.asarray(c, complex) * np.asarray(t, complex))) for c, t in zip(cotangents, tangents)]
    return float(np.sum(products))
