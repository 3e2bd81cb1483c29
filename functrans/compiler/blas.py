"""Addresses of SciPy's BLAS and LAPACK routines, and of what sets the number of threads that they use."""

from __future__ import annotations

import ctypes
import importlib
from functools import cache
from pathlib import Path

import numpy as np

_PREFIX = {"f": "s", "d": "d", "F": "c", "D": "z"}


@cache
def address(routine: str) -> int:
    """The address of a routine by its Fortran name: `dgemm`, `spotrf`; integers are 32-bit."""
    for module in ("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack"):
        capsules = importlib.import_module(module).__pyx_capi__
        if routine in capsules:
            capsule = capsules[routine]
            name = ctypes.pythonapi.PyCapsule_GetName
            name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
            get = ctypes.pythonapi.PyCapsule_GetPointer
            get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
            return int(get(capsule, name(capsule)))
    raise LookupError(f"no routine {routine} in SciPy's BLAS and LAPACK")


def routine(name: str, dtype: np.dtype) -> int:
    """The address of a routine for a dtype: `gemm` for float64 is `dgemm`."""
    return address(_PREFIX[dtype.char] + name)


@cache
def thread_count() -> tuple[int, int]:
    """The addresses of OpenBLAS's `int get_num_threads()` and `set_num_threads(int)`; zeros for another BLAS."""
    import scipy

    package = Path(scipy.__file__).parent
    for folder in (package.parent / "scipy.libs", package / ".dylibs"):
        for path in folder.glob("*openblas*"):
            try:
                library = ctypes.CDLL(str(path))
                names = (f"scipy_openblas_{verb}_num_threads" for verb in ("get", "set"))
                get, set_ = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names)
            except (OSError, AttributeError):
                continue
            return get, set_
    return 0, 0
