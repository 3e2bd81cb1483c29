"""Tracebacks of the user's program only: the library's own frames are cut out of what its public functions raise."""

from __future__ import annotations

import functools
import os
import threading
import types
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from functrans.core.source import is_internal
from functrans.errors import FunctransError

P = ParamSpec("P")
R = TypeVar("R")


class _Depth(threading.local):
    value = 0
    refusal: FunctransError | None = None


_depth = _Depth()

#: How errors begin that NumPy raises in place of the one that a tracer raised when it was asked for its value.
_REPLACED = ("setting an array element with a sequence", "expected a sequence of integers or a single integer, got")


def refused(error: FunctransError) -> FunctransError:
    """The error that says why a tracer gives no value, kept in case that NumPy raises one of its own for it."""
    _depth.refusal = type(error)(*error.args)
    return error


def _replaced(error: Exception) -> FunctransError | None:
    """The error in the place of which NumPy raised this one."""
    if type(error) in (TypeError, ValueError) and str(error).startswith(_REPLACED):
        return _depth.refusal
    return None


def api_boundary(fun: Callable[P, R]) -> Callable[P, R]:
    """Mark a public entry: an exception that leaves the outermost one shows only frames of the user's code.

    Where NumPy was told by a tracer why it has no value, and raised an error of its own, the tracer's is raised.

    Set the environment variable `FUNCTRANS_TRACEBACK=full` to see every frame.
    """

    @functools.wraps(fun)
    def entry(*args: P.args, **kwargs: P.kwargs) -> R:
        _depth.value += 1
        if _depth.value == 1:
            _depth.refusal = None
        try:
            return fun(*args, **kwargs)
        except Exception as error:
            if _depth.value == 1 and (ours := _replaced(error)) is not None:
                full = os.environ.get("FUNCTRANS_TRACEBACK") == "full"
                raise ours.with_traceback(
                    error.__traceback__ if full else user_traceback(error.__traceback__)
                ) from None
            if _depth.value == 1 and os.environ.get("FUNCTRANS_TRACEBACK") != "full":
                error.__traceback__ = user_traceback(error.__traceback__)
                if error.__cause__ is not None:
                    error.__cause__.__traceback__ = user_traceback(error.__cause__.__traceback__)
            raise
        finally:
            _depth.value -= 1

    return entry


def user_traceback(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback without internal frames (all of it when there are no others)."""
    frames = []
    while traceback is not None:
        if not is_internal(traceback.tb_frame.f_code.co_filename):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept: types.TracebackType | None = None
    for tb in reversed(frames):
        kept = types.TracebackType(kept, tb.tb_frame, tb.tb_lasti, tb.tb_lineno)
    return kept
