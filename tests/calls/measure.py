"""A call of a public function that stands for all calls of it, and the measure of what can be made of it.

Traced are the NumPy arrays among a call's arguments; all else (numbers, lists, functions) stays as it is. Nothing is
asserted here: a mark is what came of trying.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import functrans as ft
from functrans.compiler.plan import CallPython
from functrans.core.avals import kind_of


@dataclass
class Call:
    """A call: `fun(*args, **kwargs)`.

    `step` is that of finite differences, zero where these say nothing of the derivative; `rtol` is to what a search for
    an answer comes near it.
    """

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    step: float = 1e-6
    rtol: float = 1e-11

    def of_arrays(self) -> tuple[Callable[..., Any], list[np.ndarray]]:
        """The call as a function of its arrays, and these."""
        leaves, tree = ft.tree.flatten((self.args, self.kwargs))
        places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray)]

        def function(*arrays: Any) -> Any:
            full = list(leaves)
            for i, x in zip(places, arrays, strict=True):
                full[i] = x
            args, kwargs = ft.tree.unflatten(tree, full)
            return ft.tree.leaves(self.fun(*args, **kwargs))

        return function, [leaves[i] for i in places]


#: What became of a transformation. FLAT: the derivative is zero, or the results are no floats; NONE: there is nothing
#: to transform.
YES, NO, FLAT, NONE = "yes", "no", "flat", "none"


class Marks(NamedTuple):
    """What was found of a function; `native` are the names of the steps for which its program calls NumPy or SciPy.

    Each mark but `native` is one of the above; `problems` says why one is NO.
    """

    forward: str
    reverse: str
    vmap: str
    jit: str
    native: tuple[str, ...]
    problems: dict[str, str]


def measure(call: Call, run: bool = False) -> Marks:
    """Try it all: derivatives against finite differences and each other, a map against a loop, a program.

    The program is made up to the text of its kernels; with `run` these are compiled, and its results held to the
    eager ones.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return _measure(call, run)


def _measure(call: Call, run: bool) -> Marks:
    function, arrays = call.of_arrays()
    problems: dict[str, str] = {}
    values = [np.asarray(v) for v in function(*arrays)]

    def attempt(what: str, run: Callable[[], Any]) -> Any:
        try:
            return run()
        except Exception as error:
            problems[what] = f"{type(error).__name__}: {error}"
            return NO

    forward = reverse = NONE
    floats = [i for i, x in enumerate(arrays) if kind_of(x.dtype) in "fc"]
    if floats:
        forward = attempt("forward", lambda: _forward(function, arrays, floats, values, call.step))
        reverse = attempt("reverse", lambda: _reverse(function, arrays, floats, values, forward))
        forward, reverse = (v if isinstance(v, str) else YES for v in (forward, reverse))
    vmap = attempt("vmap", lambda: _map(function, arrays, call.rtol)) if arrays else NONE
    native: Sequence[str] = ()
    lowered = attempt("jit", lambda: ft.jit(function).lower(*arrays))
    if lowered is not NO:
        native = [i.name for i in lowered._lowered.plan.instructions if isinstance(i, CallPython)]
    if run and lowered is not NO:
        lowered = attempt("jit", lambda: _same(lowered.compile()(*arrays), values, call.rtol))
    return Marks(forward, reverse, vmap, NO if lowered is NO else YES, tuple(dict.fromkeys(native)), problems)


def _directions(arrays: Sequence[np.ndarray], seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = []
    for x in arrays:
        t = rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1, 1], x.shape)
        made.append((t * (1 + 0.5j) if x.dtype.kind == "c" else t).astype(x.dtype))
    return made


def _forward(function: Any, arrays: Any, floats: Sequence[int], values: Any, step: float) -> Any:
    """The tangents, as `jvp` and finite differences have them."""
    directions = _directions([arrays[i] for i in floats], 0)

    def along(h: float) -> list[Any]:
        full = list(arrays)
        for i, t in zip(floats, directions):
            full[i] = (arrays[i] + h * t).astype(arrays[i].dtype)
        return [np.asarray(v) for v in function(*full)]

    def of_floats(*xs: Any) -> Any:
        full = list(arrays)
        for i, x in zip(floats, xs):
            full[i] = x
        return function(*full)

    _, tangents = ft.jvp(of_floats, tuple(arrays[i] for i in floats), tuple(directions))
    tangents = [None if np.asarray(t).dtype == ft.float0 else np.asarray(t) for t in tangents]
    if all(t is None or not np.any(t) for t in tangents):
        tangents = []
    if step:
        h = step if all(arrays[i].dtype.itemsize >= 8 for i in floats) else 1e-2
        ahead, behind = along(h), along(-h)
        for k, v in enumerate(values):
            if v.dtype.kind not in "fc":
                continue
            slope = (ahead[k] - behind[k]) / (2 * h)
            t = tangents[k] if tangents else np.zeros_like(v)
            scale = max(1.0, float(np.max(np.abs(slope[np.isfinite(slope)]), initial=0.0)))
            tolerance = 1e-4 if h < 1e-3 else 1e-1
            if not np.allclose(t, slope, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
                raise AssertionError(f"jvp gives {t}, finite differences {slope}")
    return tangents or FLAT


def _reverse(function: Any, arrays: Any, floats: Sequence[int], values: Any, forward: Any) -> Any:
    """The cotangents; they pair with the directions of `_forward` as its tangents do."""
    directions = _directions([arrays[i] for i in floats], 0)

    def of_floats(*xs: Any) -> Any:
        full = list(arrays)
        for i, x in zip(floats, xs):
            full[i] = x
        return function(*full)

    values, pull = ft.vjp(of_floats, *(arrays[i] for i in floats))
    weights = _directions([np.asarray(v) for v in values], 1)
    weights = [w if w.dtype.kind in "fc" else np.zeros(w.shape, ft.float0) for w in weights]
    cotangents = [np.asarray(c) for c in pull(weights)]
    if isinstance(forward, str):
        if any(np.any(c) for c in cotangents) and forward == FLAT:
            raise AssertionError("vjp gives cotangents, jvp no tangents")
        return forward if forward == FLAT else YES
    pairing = lambda xs, ys: sum(float(np.real(np.sum(x * y))) for x, y in zip(xs, ys) if y is not None)
    left, right = pairing(weights, forward), pairing(cotangents, directions)
    if not np.isclose(left, right, rtol=1e-4, atol=1e-4, equal_nan=True):
        raise AssertionError(f"cotangents pair to {right}, tangents to {left}")
    return YES


def _map(function: Any, arrays: Any, rtol: float) -> str:
    """Two examples at once, against one after the other."""
    second = [(x * x.dtype.type(1 - 1 / 64)).astype(x.dtype) if kind_of(x.dtype) in "fc" else x for x in arrays]
    wanted = [[np.asarray(v) for v in function(*xs)] for xs in (arrays, second)]
    found = ft.vmap(function)(*[np.stack(pair) for pair in zip(arrays, second)])
    for i in range(2):
        _same([np.asarray(v)[i] for v in found], wanted[i], rtol)
    return YES


def _same(found: Sequence[Any], wanted: Sequence[np.ndarray], rtol: float) -> str:
    for f, w in zip(found, wanted, strict=True):
        near = max(rtol, 1e4 * float(np.finfo(w.dtype).eps)) if w.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(f, w, rtol=near, atol=near)
    return YES
