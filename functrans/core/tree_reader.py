"""Readers of pytrees: functions written for one structure, which take the leaves out of it several times as fast as
flattening, as it is done at every call of a compiled function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from functrans.core.pytree import PyTreeDef

Reader = Callable[[Any], list[Any] | None]


@lru_cache(maxsize=256)
def reader(treedef: PyTreeDef) -> Reader | None:
    """A function that gives the leaves of a tree of this structure, in order; `None` for a tree of another.

    A leaf that is a container is not seen as such. `None` instead of a function where containers are not all tuples,
    lists, dicts and `None`.

    >>> from functrans.core.pytree import structure
    >>> read = reader(structure({"a": (1, 2), "b": [3]}))
    >>> read({"b": [30], "a": (10, 20)}), read({"a": (10, 20)})
    ([10, 20, 30], None)
    """
    lines: list[str] = []
    leaves: list[str] = []
    keys: list[Any] = []
    count = 0

    def read_node(node: PyTreeDef, name: str) -> bool:
        nonlocal count
        if node.is_leaf():
            leaves.append(name)
            return True
        if node.type is type(None):
            lines.append(f"if {name} is not None: return None")
            return True
        if node.type not in (tuple, list, dict):
            return False
        children = node.children()
        names = [f"x{count + i}" for i in range(len(children))]
        count += len(children)
        lines.append(f"if type({name}) is not {node.type.__name__} or len({name}) != {len(children)}: return None")
        if node.type is dict:
            for child, key in zip(names, node.entries()):
                lines.append(f"{child} = {name}[keys[{len(keys)}]]")
                keys.append(key)
        elif names:
            lines.append(f"{', '.join(names)}, = {name}")
        return all(map(read_node, children, names))

    if not read_node(treedef, "tree"):
        return None
    body = "\n        ".join([*lines, f"return [{', '.join(leaves)}]"])
    scope: dict[str, Any] = {"keys": tuple(keys)}
    exec(f"def read(tree):\n    try:\n        {body}\n    except KeyError:\n        return None\n", scope)
    return scope["read"]
