"""Looking into functions that run transformed and compiled: `print`, `callback` and `breakpoint` at run time.

All of them run once for each time that the program comes by, in the program's order, also under `grad` (with the
primal values) and within compiled loops; under `vmap` once for each example. They never change what is computed.
"""

from __future__ import annotations

import bdb
import builtins
import logging
import pdb
import string
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from functrans.core.pytree import flatten
from functrans.core.source import Source, is_internal
from functrans.core.trace import Tracer
from functrans.core.tracebacks import api_boundary
from functrans.errors import ArgumentError
from functrans.lax.callbacks import debug_callback

__all__ = ["Frame", "breakpoint", "callback", "log", "print"]


class _Format(string.Formatter):
    """Refuses arguments that a format does not use."""

    def check_unused_args(self, used_args: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        unused = [repr(i) for i in range(len(args)) if i not in used_args]
        unused += [k for k in kwargs if k not in used_args]
        if unused:
            raise ArgumentError(
                f"the format does not use argument {', '.join(unused)}; write a placeholder, as in "
                '("x = {}", x) or ("x = {x}", x=x), and no f-string: that would format while tracing'
            )


_format = _Format()


class _Anything:
    """Stands for a value where a format is tried out."""

    def __format__(self, spec: str) -> str:
        return ""

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, key: Any) -> Any:
        return self


def check_format(what: str, fmt: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """The error for a format that is none, or does not fit its arguments, while tracing already."""
    if not isinstance(fmt, str):
        raise ArgumentError(f"{what} takes a format string for its message, got {fmt!r:.60}")
    try:
        _format.vformat(fmt, [_Anything()] * len(args), dict.fromkeys(kwargs, _Anything()))
    except (IndexError, KeyError) as error:
        raise ArgumentError(f"{what}: the format {fmt!r} has a placeholder {error} without an argument") from None
    except ArgumentError as error:
        raise ArgumentError(f"{what}: {error}") from None
    except ValueError as error:
        raise ArgumentError(f"{what}: {fmt!r} is no format ({error})") from None


@api_boundary
def print(
    fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, skip_format_check: bool = False,
    **kwargs: Any,
) -> None:  # fmt: skip
    """Print `fmt.format(*args, **kwargs)` when the program comes by, with the values that arrays then have.

    Args:
        fmt: a format string, as `str.format` takes it.
        args, kwargs: pytrees of arrays and of other Python values.
        ordered: accepted; lines are printed in the order of the program in any case.
        partitioned: accepted; there are no parts.
        skip_format_check: whether to find out only at run time whether `fmt` and the arguments fit.

    Raises:
        ArgumentError: `fmt` and the arguments do not fit; raised while tracing.

    >>> import functrans as ft, numpy as np
    >>> @ft.jit
    ... def f(x):
    ...     ft.debug.print("x = {}, its sine {s:.3f}", x, s=np.sin(x))
    ...     return x
    >>> y = f(2.0)
    x = 2.0, its sine 0.909
    """
    if not skip_format_check:
        check_format("debug.print", fmt, args, kwargs)

    def show(*values: Any, **named: Any) -> None:
        builtins.print(fmt.format(*values, **named))

    debug_callback(show, args, kwargs)


_logger = logging.getLogger("functrans.debug")


@api_boundary
def log(
    fmt: str, *args: Any, ordered: bool = False, partitioned: bool = False, skip_format_check: bool = False,
    level: int = logging.INFO, **kwargs: Any,
) -> None:  # fmt: skip
    """As `print`, to the logger `functrans.debug` of Python's `logging`.

    Args:
        fmt, args, kwargs, ordered, partitioned, skip_format_check: as for `print`.
        level: the level of the message.

    >>> import functrans as ft, logging, sys
    >>> logger = logging.getLogger("functrans.debug")
    >>> logger.addHandler(handler := logging.StreamHandler(sys.stdout))
    >>> y = ft.jit(lambda x: ft.debug.log("x = {}", x, level=logging.WARNING))(2.0)
    x = 2.0
    >>> logger.removeHandler(handler)
    """
    if not skip_format_check:
        check_format("debug.log", fmt, args, kwargs)

    def write(*values: Any, **named: Any) -> None:
        _logger.log(level, "%s", fmt.format(*values, **named))

    debug_callback(write, args, kwargs)


@api_boundary
def callback(
    callback: Callable[..., Any], *args: Any, ordered: bool = False, partitioned: bool = False, **kwargs: Any
) -> None:
    """Call `callback(*args, **kwargs)` when the program comes by, with the values that arrays then have.

    What it returns is dropped; what it raises reaches the caller of the program.

    Args:
        callback: a function of pytrees of arrays.
        args, kwargs: pytrees of arrays and of other Python values.
        ordered: accepted; callbacks run in the order of the program in any case.
        partitioned: accepted; there are no parts.

    >>> import functrans as ft, numpy as np
    >>> norms = []
    >>> def step(x, _):
    ...     ft.debug.callback(lambda n: norms.append(float(n)), np.sum(x))
    ...     return x / 2, None
    >>> y = ft.jit(lambda x: ft.lax.scan(step, x, None, length=3))(np.array([1.0, 3.0]))
    >>> norms
    [4.0, 2.0, 1.0]
    """
    if not callable(callback):
        raise ArgumentError(f"debug.callback takes a function first, got {callback!r:.60}")
    debug_callback(callback, args, kwargs)


# ---------------------------------------------------------------- breakpoint


@dataclass(frozen=True)
class Frame:
    """A frame of the user's program at a breakpoint: where it is, and its names with the values of the run.

    >>> import functrans as ft
    >>> frames = []
    >>> def f(x):
    ...     ft.debug.breakpoint(backend=frames.append)
    ...     return x
    >>> f(1.0), frames[0].locals["x"]
    (1.0, 1.0)
    """

    source: Source
    locals: dict[str, Any]
    globals: dict[str, Any]


@api_boundary
def breakpoint(
    *, backend: Callable[[Frame], None] | None = None, filter_frames: bool = True, num_frames: int | None = None,
    ordered: bool = False,
) -> None:  # fmt: skip
    """Stop in the debugger when the program comes by, with the values that the names of the calling function then have.

    The debugger is Python's `pdb`: `p x` shows a value, `list` the program around, `continue` goes on, `quit` ends the
    program by `bdb.BdbQuit`. It shows the function's frame as it was when it called `breakpoint`; stepping goes on.

    Args:
        backend: what to do in place of `pdb`, given a `Frame`.
        filter_frames, num_frames: accepted; one frame is shown, the user's.
        ordered: accepted; breakpoints are reached in the order of the program in any case.

    >>> import functrans as ft
    >>> stops = []
    >>> @ft.jit
    ... def f(x):
    ...     y = x + 1
    ...     ft.debug.breakpoint(backend=stops.append)
    ...     return y
    >>> y = f(2.0)
    >>> stops[0].locals
    {'x': Array(2.), 'y': Array(3.)}
    """
    frame = _user_frame()
    source = Source(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)
    module = frame.f_globals
    names = {} if frame.f_locals is module else dict(frame.f_locals)
    traced = {k: v for k, v in names.items() if any(isinstance(leaf, Tracer) for leaf in flatten(v)[0])}
    stop = backend or _stop_in_pdb

    def arrive(values: dict[str, Any]) -> None:
        stop(Frame(source, {**names, **values}, module))

    debug_callback(arrive, (traced,), {})


def _user_frame() -> FrameType:
    """The innermost frame that is not the library's."""
    frame = sys._getframe(1)
    while is_internal(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _stop_in_pdb(frame: Frame) -> None:
    """The prompt of `pdb` in a frame at the user's line whose names are those of `frame`."""
    source, found = frame.source, "__stopped_at__"
    code = compile("\n" * (source.line - 1) + f"{found}({found}_())", source.file, "exec")
    frames: list[FrameType] = []
    here = {**frame.globals, found: frames.append, f"{found}_": sys._getframe}
    exec(code.replace(co_name=source.function), here, dict(frame.locals))
    (stopped,) = frames
    debugger = pdb.Pdb(nosigint=True)
    debugger.reset()
    debugger.interaction(stopped, None)
    if debugger.quitting:
        raise bdb.BdbQuit
