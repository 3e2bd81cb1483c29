"""Docstrings of functions that are made and not written: rows of tables and what factories return."""

from __future__ import annotations

from typing import Any

IMPORTS = "import functrans as ft, numpy as np"


def with_example(summary: str, call: str, result: str, imports: str = IMPORTS) -> str:
    r"""A docstring: what the function does, and one call of it with the result.

    >>> with_example("The sine.", "np.sin(0.0)", "0.0", "import numpy as np")
    'The sine.\n\n>>> import numpy as np\n>>> np.sin(0.0)\n0.0'
    """
    lines = [*([summary, ""] if summary else []), *(f">>> {line}" for line in imports.split("\n")), f">>> {call}"]
    return "\n".join([*lines, result] if result else lines)


def describe(objects: dict[str, Any], text: str, types: str, imports: str = IMPORTS) -> dict[str, str]:
    """Give objects their docstrings, which it returns by name: a module's `__test__`, for doctest to run the examples.

    Args:
        text: blocks with an empty line between: the name and the public names after a colon, what it is, an example.
        types: what all docstrings say of operands and results.
    """
    docs = {}
    for block in text.strip().split("\n\n"):
        head, summary, *example = block.split("\n")
        name, _, public = head.partition(": ")
        names = ", ".join(f"`{n}`" for n in public.split(", "))
        lines = [summary, "", f"{types} Public as {names}.", "", *(f">>> {line}" for line in imports.split("\n"))]
        docs[name] = objects[name].__doc__ = "\n".join([*lines, *example])
    return docs
