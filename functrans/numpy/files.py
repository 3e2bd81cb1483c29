"""Arrays from files, text and iterators, and to files (NumPy's reference: Input and output).

NumPy's own functions, whose results become arrays of the type `Array`. Traced arrays have no values to write.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from functrans.core.pytree import flatten
from functrans.core.trace import Tracer
from functrans.errors import ConcretizationError
from functrans.numpy.dispatch import wrap_result


def _handed_on(name: str, returns_array: bool, example: str) -> Callable[..., Any]:
    plain = getattr(np, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        for leaf in flatten((args, kwargs))[0]:
            if isinstance(leaf, Tracer):
                leaf.concrete(ConcretizationError, f"the values for numpy.{name}")
        out = plain(*args, **kwargs)
        return wrap_result(out) if returns_array else out

    functools.update_wrapper(function, plain)
    function.__module__ = __name__
    what = ", its result as an `Array`." if returns_array else "."
    function.__doc__ = f"NumPy's own `numpy.{name}`{what}\n{example}"
    return function


load = _handed_on("load", True, """
    >>> import io
    >>> import functrans.numpy as fnp
    >>> file = io.BytesIO()
    >>> fnp.save(file, fnp.array([1.0, 2.0]))
    >>> _ = file.seek(0)
    >>> fnp.load(file)
    Array([1., 2.])
    """)  # fmt: skip
loadtxt = _handed_on("loadtxt", True, """
    >>> import functrans.numpy as fnp
    >>> fnp.loadtxt(["1 2", "3 4"])
    Array([[1., 2.],
           [3., 4.]])
    """)  # fmt: skip
genfromtxt = _handed_on("genfromtxt", True, """
    >>> import functrans.numpy as fnp
    >>> fnp.genfromtxt(["1 2", "3 nan"])
    Array([[ 1.,  2.],
           [ 3., nan]])
    """)  # fmt: skip
fromfile = _handed_on("fromfile", True, """
    >>> import pathlib, tempfile
    >>> import functrans.numpy as fnp
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "numbers")
    >>> _ = path.write_bytes(bytes([1, 2, 3]))
    >>> fnp.fromfile(path, fnp.uint8)
    Array([1, 2, 3], dtype=uint8)
    >>> folder.cleanup()
    """)  # fmt: skip
fromiter = _handed_on("fromiter", True, """
    >>> import functrans.numpy as fnp
    >>> fnp.fromiter((i * i for i in range(3)), dtype=int)
    Array([0, 1, 4])
    """)  # fmt: skip
fromstring = _handed_on("fromstring", True, """
    >>> import functrans.numpy as fnp
    >>> fnp.fromstring("1 2 3", sep=" ")
    Array([1., 2., 3.])
    """)  # fmt: skip
save = _handed_on("save", False, """
    >>> import io
    >>> import functrans.numpy as fnp
    >>> file = io.BytesIO()
    >>> fnp.save(file, fnp.array([1.0, 2.0]))
    >>> file.tell() > 0
    True
    """)  # fmt: skip
savez = _handed_on("savez", False, """
    >>> import io
    >>> import functrans.numpy as fnp
    >>> file = io.BytesIO()
    >>> fnp.savez(file, x=fnp.array([1.0, 2.0]))
    >>> _ = file.seek(0)
    >>> fnp.load(file)["x"].tolist()
    [1.0, 2.0]
    """)  # fmt: skip
savez_compressed = _handed_on("savez_compressed", False, """
    >>> import io
    >>> import functrans.numpy as fnp
    >>> file = io.BytesIO()
    >>> fnp.savez_compressed(file, x=fnp.array([1.0, 2.0]))
    >>> _ = file.seek(0)
    >>> fnp.load(file)["x"].tolist()
    [1.0, 2.0]
    """)  # fmt: skip
savetxt = _handed_on("savetxt", False, """
    >>> import io
    >>> import functrans.numpy as fnp
    >>> file = io.StringIO()
    >>> fnp.savetxt(file, fnp.array([1.0, 2.0]), fmt="%.1f")
    >>> file.getvalue().split()
    ['1.0', '2.0']
    """)  # fmt: skip
