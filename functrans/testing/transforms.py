"""A user's function under every transformation and composition of them, held to the plain function by properties."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.strategies import tuples

from functrans.api import checkpoint, grad, jit, jvp, linearize, make_jaxpr, vjp, vmap
from functrans.core.avals import aval_of, float0
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import evaluate
from functrans.core.pytree import flatten, key_paths, keystr, unflatten
from functrans.errors import ArgumentError

__all__ = ["TRANSFORMS", "check_transforms"]

#: What `check_transforms` checks, in order.
TRANSFORMS = ("jit", "make_jaxpr", "checkpoint", "vmap", "jvp", "vjp", "linearize", "compositions")


def check_transforms(
    f: Callable[..., Any],
    *strategies: Any,
    transforms: Sequence[str] = TRANSFORMS,
    rtol: float | None = None,
    atol: float | None = None,
    max_examples: int = 20,
    settings: Any = None,
) -> None:
    """Hold `f` under jit, vmap, jvp, vjp, linearize, checkpoint and their compositions to the plain `f`.

    Arguments are drawn from the strategies; a failure is shrunk to a small counterexample, whose report names the
    composition, the arguments, the first element that differs, both values and the dtype.

    - `jit`, `make_jaxpr` (traced and evaluated) and `checkpoint` must give what `f` gives;
    - `vmap`, over all arguments and over each alone, along first and last axes, what a loop gives;
    - `jvp` a numerical derivative, where the differences to both sides agree on one (elsewhere `f` has a kink);
    - `linearize` and `vjp` what `jvp` gives; compositions what their parts give.

    Args:
        f: a pure function; its results are arrays or pytrees of them.
        strategies: one Hypothesis strategy for each argument (see `functrans.testing.arrays`).
        transforms: which of `TRANSFORMS` to check.
        rtol, atol: tolerances for floats, relative to the largest element of a result. By default 128 units in the last
            place, since compiled code may round differently at each operation; integers, booleans, dtypes and shapes are
            compared exactly.
        max_examples: how many arguments to draw.
        settings: a `hypothesis.settings` object instead.

    Raises:
        AssertionError: with the report.

    >>> import functrans.numpy as fnp
    >>> from functrans.testing import arrays, check_transforms
    >>> check_transforms(lambda x: fnp.sin(x) * x, arrays(shape=(3,)), max_examples=3)
    """
    unknown = set(transforms) - set(TRANSFORMS)
    if unknown:
        raise ArgumentError(f"check_transforms knows {', '.join(TRANSFORMS)}, not {', '.join(sorted(unknown))}")
    chosen = settings or hypothesis_settings(
        max_examples=max_examples, deadline=None, database=None, derandomize=True, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    @chosen
    @given(tuples(*strategies))
    def property(args: tuple[Any, ...]) -> None:
        _Check(f, args, rtol, atol).run(transforms)

    property()


class _Check:
    """All comparisons for one set of arguments."""

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], rtol: float | None, atol: float | None):
        self.f = f
        self.args = args
        self.rtol = rtol
        self.atol = atol
        with np.errstate(all="ignore"):
            self.plain = f(*args)

    def run(self, transforms: Sequence[str]) -> None:
        with np.errstate(all="ignore"):
            for name in TRANSFORMS:
                if name in transforms:
                    getattr(self, name)()

    # -- the transformations

    def jit(self) -> None:
        self.same("jit(f)", jit(self.f)(*self.args), self.plain)

    def make_jaxpr(self) -> None:
        closed = make_jaxpr(self.f)(*self.args)
        check_jaxpr(closed.jaxpr)
        outs = evaluate(closed.jaxpr, closed.consts, flatten(self.args)[0])
        self.same("the jaxpr of f", outs, flatten(self.plain)[0])

    def checkpoint(self) -> None:
        self.same("checkpoint(f)", checkpoint(self.f)(*self.args), self.plain)

    def vmap(self) -> None:
        for what, axes, args in self.batches():
            self.same(f"vmap(f, in_axes={what})", vmap(self.f, axes)(*args), self.loop(self.f, axes, args))

    def jvp(self) -> None:
        if not self.differentiable():
            return
        tangents = self.tangents()
        _, found = jvp(self.f, self.args, tangents)
        step = self.step_size()
        sides = [_difference_quotient(self.f, self.args, tangents, h, self.plain) for h in (step, -step)]
        for path, t, right, left in zip(key_paths(flatten(found)[1]), *[flatten(x)[0] for x in (found, *sides)]):
            t, right, left = np.asarray(t), np.asarray(right), np.asarray(left)
            if t.dtype.kind not in "fc":
                continue
            tolerance = 3e-2 if t.dtype.itemsize <= 4 else 1e-3
            central = (right + left) / 2
            scale = 1.0 + np.abs(central)
            smooth = (np.abs(right - left) <= tolerance * scale) & np.isfinite(central)
            wrong = smooth & ~(np.abs(t - central) <= tolerance * scale)
            if wrong.any():
                self.fail("jvp(f) against differences", path, wrong, t, central)

    def vjp(self) -> None:
        if not self.differentiable():
            return
        tangents = self.tangents()
        _, forward = jvp(self.f, self.args, tangents)
        cotangent = self.cotangents()
        pulled = vjp(self.f, *self.args)[1](cotangent)
        self.inner_products("vjp(f)", pulled, tangents, cotangent, forward)

    def linearize(self) -> None:
        if not self.differentiable():
            return
        tangents = self.tangents()
        _, forward = jvp(self.f, self.args, tangents)
        out, push = linearize(self.f, *self.args)
        self.same("the value of linearize(f)", out, self.plain)
        self.same("linearize(f)", push(*tangents), forward)

    def compositions(self) -> None:
        what, axes, args = next(self.batches(), (None, None, None))
        if args is not None:
            expected = self.loop(self.f, axes, args)
            self.same(f"jit(vmap(f, in_axes={what}))", jit(vmap(self.f, axes))(*args), expected)
            self.same(f"vmap(jit(f), in_axes={what})", vmap(jit(self.f), axes)(*args), expected)
        if not self.differentiable():
            return
        tangents = self.tangents()
        value, forward = jvp(self.f, self.args, tangents)
        self.same("jvp(jit(f))", jvp(jit(self.f), self.args, tangents), (value, forward))
        self.same("jit(jvp(f))", jit(lambda a: jvp(self.f, a, tangents))(self.args), (value, forward))
        which = tuple(i for i, a in enumerate(self.args) if self.is_float(a))
        if not which:
            return
        gradient = grad(self.total, which)
        expected = gradient(*self.args)
        self.same("grad(jit(f))", grad(jit(self.total), which)(*self.args), expected)
        self.same("jit(grad(f))", jit(gradient)(*self.args), expected)
        self.same("grad(checkpoint(f))", grad(checkpoint(self.total), which)(*self.args), expected)
        if args is not None:
            looped = self.loop(gradient, axes, args)
            self.same(f"vmap(grad(f), in_axes={what})", vmap(gradient, axes)(*args), looped)
            deep = jit(vmap(grad(jit(self.total), which), axes))
            self.same(f"jit(vmap(grad(jit(f)), in_axes={what}))", deep(*args), looped)

    # -- arguments

    def differentiable(self) -> bool:
        """Whether there are floats to differentiate, with respect to and of."""
        ins, outs = flatten(self.args)[0], flatten(self.plain)[0]
        finite = all(np.isfinite(np.asarray(x)).all() for x in (*ins, *outs) if aval_of(x).dtype.kind in "fc")
        return finite and all(any(aval_of(x).dtype.kind == "f" for x in xs) for xs in (ins, outs))

    def is_float(self, tree: Any) -> bool:
        leaves = flatten(tree)[0]
        return bool(leaves) and all(aval_of(x).dtype.kind == "f" for x in leaves)

    def total(self, *args: Any) -> Any:
        """The sum of all float results: a scalar for `grad`."""
        outs = [o for o in flatten(self.f(*args))[0] if aval_of(o).dtype.kind == "f"]
        return sum(o.sum() if hasattr(o, "sum") else o for o in outs)

    def tangents(self) -> tuple[Any, ...]:
        return self.random_like(self.args, 1)

    def cotangents(self) -> Any:
        return self.random_like(self.plain, 2)

    def random_like(self, tree: Any, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        leaves, structure = flatten(tree)
        out = []
        for x in leaves:
            aval = aval_of(x)
            if aval.dtype.kind not in "fc":
                out.append(np.zeros(aval.shape, float0))
                continue
            t = rng.normal(size=aval.shape) + (1j * rng.normal(size=aval.shape) if aval.dtype.kind == "c" else 0)
            out.append(np.asarray(t).astype(aval.dtype)[()])
        return unflatten(structure, out)

    def step_size(self) -> float:
        low = any(aval_of(x).dtype in (np.float32, np.complex64) for x in flatten(self.args)[0])
        return 1e-3 if low else 1e-6

    def batches(self) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
        """Batches of two: all arguments along the first axis, along the last, and each argument alone."""
        n = len(self.args)
        if not flatten(self.args)[0]:
            return
        choices: list[tuple[Any, ...]] = [(0,) * n, (-1,) * n]
        if n > 1:
            choices += [tuple(0 if i == j else None for j in range(n)) for i in range(n)]
        for axes in choices:
            if any(d is not None and not flatten(a)[0] for d, a in zip(axes, self.args)):
                axes = tuple(None if not flatten(a)[0] else d for d, a in zip(axes, self.args))
            batched = []
            for d, a in zip(axes, self.args):
                leaves, tree = flatten(a)
                batched.append(a if d is None else unflatten(tree, [self.pair(x, d) for x in leaves]))
            if any(d is not None for d in axes):
                yield axes, axes, tuple(batched)

    def pair(self, x: Any, axis: int) -> Any:
        """An array and its elements in reverse order, stacked: both lie in the domain of the first."""
        x = np.asarray(x)
        return np.stack([x, x.ravel()[::-1].reshape(x.shape)], axis)

    def loop(self, f: Callable[..., Any], axes: Any, args: tuple[Any, ...]) -> Any:
        rows = []
        for i in range(2):
            example = []
            for d, a in zip(axes, args):
                leaves, tree = flatten(a)
                example.append(a if d is None else unflatten(tree, [np.take(x, i, d) for x in leaves]))
            rows.append(f(*example))
        structure = flatten(rows[0])[1]
        return unflatten(structure, [np.stack([np.asarray(v) for v in vs]) for vs in zip(*[flatten(r)[0] for r in rows])])

    # -- comparisons

    def same(self, what: str, found: Any, expected: Any) -> None:
        found_leaves, found_tree = flatten(found)
        leaves, tree = flatten(expected)
        if found_tree != tree:
            raise AssertionError(f"{what} has structure {found_tree}, the plain function {tree}\n{self.arguments()}")
        for path, f, e in zip(key_paths(tree), found_leaves, leaves):
            f, e = np.asarray(f), np.asarray(e)
            if (f.shape, f.dtype) != (e.shape, e.dtype):
                place = f" in leaf {keystr(path)}" if path else ""
                raise AssertionError(
                    f"{what} is {f.dtype}{list(f.shape)}{place}, the plain function {e.dtype}{list(e.shape)}\n"
                    f"{self.arguments()}"
                )
            wrong = self.differs(f, e)
            if wrong.any():
                self.fail(what, path, wrong, f, e)

    def differs(self, f: np.ndarray, e: np.ndarray) -> np.ndarray:
        if e.dtype.kind not in "fc":
            return np.asarray(f != e) if e.dtype != float0 else np.zeros(e.shape, bool)
        rtol = 128 * float(np.finfo(e.dtype).eps) if self.rtol is None else self.rtol
        finite = np.abs(e[np.isfinite(e)])
        scale = max(float(finite.max(initial=0.0)), float(np.finfo(e.dtype).tiny))
        close = np.abs(f - e) <= rtol * scale + (0.0 if self.atol is None else self.atol)
        return ~(close | (f == e) | (np.isnan(f) & np.isnan(e)))

    def inner_products(self, what: str, pulled: Any, tangents: Any, cotangent: Any, forward: Any) -> None:
        found, size = _inner(pulled, tangents)
        expected, other = _inner(cotangent, forward)
        low = any(np.asarray(x).dtype in (np.float32, np.complex64) for x in flatten(forward)[0])
        tolerance = (1e-3 if low else 1e-9) * max(size, other, 1e-30)
        if np.isfinite(expected) and not abs(found - expected) <= tolerance:
            raise AssertionError(
                f"{what} is not the transpose of jvp(f): <vjp(ct), t> is {found:.12g}, <ct, jvp(t)> is {expected:.12g}\n"
                f"{self.arguments()}"
            )

    def fail(self, what: str, path: Any, wrong: np.ndarray, found: np.ndarray, expected: np.ndarray) -> None:
        index = tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.ndim else ()
        place = (f" in leaf {keystr(path)}" if path else "") + (f" at index {index}" if index else "")
        raise AssertionError(
            f"{what} differs from the plain function{place}: found {found[index]!r}, expected {expected[index]!r} "
            f"({expected.dtype}; {int(wrong.sum())} of {wrong.size} elements differ)\n{self.arguments()}"
        )

    def arguments(self) -> str:
        lines = []
        for i, a in enumerate(self.args):
            leaves, tree = flatten(a)
            for path, x in zip(key_paths(tree), leaves):
                text = np.array2string(np.asarray(x), threshold=50, precision=8, separator=", ")
                lines.append(f"  argument {i}{keystr(path)}: {aval_of(x)} {text}")
        return "\n".join(lines)


def _difference_quotient(f: Callable[..., Any], args: Any, tangents: Any, step: float, value: Any) -> Any:
    """`(f(args + step tangents) - f(args)) / step`."""
    leaves, tree = flatten(args)
    moved = []
    for x, t in zip(leaves, flatten(tangents)[0]):
        x = np.asarray(x)
        moved.append(x if x.dtype.kind not in "fc" else (x + step * np.asarray(t)).astype(x.dtype)[()])
    outs, out_tree = flatten(f(*unflatten(tree, moved)))
    quotients = []
    for o, v in zip(outs, flatten(value)[0]):
        o, v = np.asarray(o), np.asarray(v)
        quotients.append((o - v) / step if v.dtype.kind in "fc" else np.zeros(v.shape))
    return unflatten(out_tree, quotients)


def _inner(a: Any, b: Any) -> tuple[float, float]:
    """The real inner product of two pytrees, and the sum of the sizes of its terms."""
    total, size = 0.0, 0.0
    for x, y in zip(flatten(a)[0], flatten(b)[0]):
        x, y = np.asarray(x), np.asarray(y)
        if x.dtype.kind in "fc" and y.dtype.kind in "fc":
            terms = np.real(x * y)
            total += float(np.sum(terms))
            size += float(np.sum(np.abs(terms)))
    return total, size
