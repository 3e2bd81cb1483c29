"""Where in the user's program an equation arose."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType, ModuleType
from typing import NamedTuple

import numpy
import optree
import scipy


def _folder(module: ModuleType) -> str:
    return os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep


#: The library, and those that call back into it: by where they lie, since a user's folder may have any name.
_INTERNAL = (
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep,
    *map(_folder, (numpy, scipy, optree)),
    "<__array_function__",
)


class Source(NamedTuple):
    """A line of the user's program, and the `named_scope`s around it."""

    file: str
    line: int
    function: str
    scope: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.function}{f' in {self.scope}' if self.scope else ''})"


@cache
def is_internal(filename: str) -> bool:
    """Whether a file belongs to the library (or to NumPy and SciPy, which call back into it)."""
    return filename.startswith(_INTERNAL)


class _Place(threading.local):
    source: Source | None = None
    scope: str = ""


_place = _Place()


class source_is:
    """Inside the block, operations arise at this line of the user's program: they stand for an equation from there."""

    __slots__ = ("outer", "source")

    def __init__(self, source: Source | None):
        self.source = source

    def __enter__(self) -> None:
        self.outer = _place.source
        if self.source is not None:
            _place.source = self.source

    def __exit__(self, *error: object) -> None:
        _place.source = self.outer


def current_source() -> Source | None:
    """The line of the equation that operations stand for; otherwise that of the innermost frame of the user's."""
    return _place.source or user_source()


def known_source() -> Source | None:
    """The line of the equation that operations stand for, if they do."""
    return _place.source


def user_source() -> Source | None:
    """The innermost frame of the call stack that is the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not is_internal(code.co_filename):
            return Source(code.co_filename, frame.f_lineno, code.co_name, _place.scope)
        frame = frame.f_back
    return None


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Operations inside the block are in this scope, within those around it."""
    outer = _place.scope
    _place.scope = f"{outer}/{name}" if outer else name
    try:
        yield
    finally:
        _place.scope = outer
