"""Where a compiled function spends its time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans.api.compilation import Jitted, jit
from functrans.api.flattening import any_tracer, name_of
from functrans.compiler.program import lower
from functrans.core.pytree import flatten
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError


@dataclass(frozen=True)
class ProfiledStep:
    """One step of a compiled program: a fused kernel, a product of matrices, a copy, a call of NumPy."""

    operation: str  #: what it does
    source: str  #: the line of the user's program that it comes from, as far as it comes from one
    calls: int  #: how often it ran in one call of the function
    seconds: float  #: all its calls together
    flops: float  #: scalar operations of all its calls, counted by the algorithm
    bytes: float  #: bytes read and written by all its calls


@dataclass(frozen=True)
class Profile:
    """The steps of one call of a compiled function in the order of the program; prints as a table, slowest first.

    >>> import functrans as ft, numpy as np
    >>> profile = ft.profile(np.sin)(np.ones(3))
    >>> isinstance(profile, ft.api.Profile), profile.seconds > 0
    (True, True)
    """

    name: str
    seconds: float  #: one whole call, measured apart
    steps: tuple[ProfiledStep, ...]

    def __str__(self) -> str:
        total = sum(s.seconds for s in self.steps) or 1.0
        rows: list[tuple[str, ...]] = [("time", "share", "calls", "Gflop/s", "GB/s", "step", "line")]
        for s in sorted(self.steps, key=lambda s: -s.seconds):
            rate = [f"{x / s.seconds / 1e9:.2f}" if x and s.seconds else "" for x in (s.flops, s.bytes)]
            share = f"{100 * s.seconds / total:.1f}%"
            rows.append((_time(s.seconds), share, str(s.calls), *rate, s.operation, s.source))
        widths = [max(len(r[i]) for r in rows) for i in range(5)]
        lines = [f"{self.name}: {_time(self.seconds)} a call"]
        for row in rows:
            figures = "  ".join(cell.rjust(w) for cell, w in zip(row, widths))
            lines.append(f"{figures}  {row[5]}" + (f"  # {row[6]}" if row[6] else ""))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Profile of {self.name}: {_time(self.seconds)}, {len(self.steps)} steps>"


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.3f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.1f} us"


def profile(fun: Callable[..., Any], *, runs: int = 10) -> Callable[..., Profile]:
    """A function of the same arguments that compiles and runs `fun` with a clock behind each step of its program.

    Times are medians over some runs, on as many threads as `config.num_threads()`. A step is what
    `jit(fun).lower(*args).as_text("loops")` shows in one line: a kernel stands for all the operations fused into it.
    For the whole of a program as Python sees it, any profiler of Python will do.

    Args:
        fun: a function of arrays and pytrees of them, plain, transformed or compiled.
        runs: how many times the program runs.

    Returns:
        A function whose result is a `Profile`. `fun` runs with all its effects.

    Raises:
        ArgumentError: `runs` is below 1, or the function captures traced arrays.

    >>> import functrans as ft, numpy as np
    >>> profile = ft.profile(lambda x: np.sum(np.sin(x) @ np.cos(x)))(np.ones((64, 64)))
    >>> for step in profile.steps:
    ...     print(step.operation)
    kernel 0: sin cos
    gemm float64 (64, 64) @ (64, 64)
    kernel 1: reduce_sum
    """
    if runs < 1:
        raise ArgumentError(f"profile needs at least one run, got runs={runs!r}")
    jitted = fun if isinstance(fun, Jitted) else jit(fun)

    @api_boundary
    def run(*args: Any, **kwargs: Any) -> Profile:
        from functrans.compiler.profiling import profile as measure

        closed = jitted.trace(*args, **kwargs).jaxpr
        leaves, _ = flatten((args, kwargs))
        if any_tracer(closed.consts) or any_tracer(leaves):
            raise ArgumentError(
                f"{name_of(fun)} computes with traced arrays, which take no time: profile the outermost"
            )
        arrays = [np.asarray(x, v.aval.dtype) for x, v in zip(leaves, closed.jaxpr.invars)]
        steps, seconds = measure(lower(closed.jaxpr, closed.consts).plan, arrays, runs)
        return Profile(name_of(fun), seconds, tuple(ProfiledStep(**vars(s)) for s in steps))

    return run


__all__ = ["Profile", "ProfiledStep", "profile"]
