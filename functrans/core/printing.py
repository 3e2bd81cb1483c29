"""Jaxprs as text, in JAX's notation."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from functrans.core.jaxpr import Atom, ClosedJaxpr, Eqn, Jaxpr, Literal, Var


class Names:
    """Gives variables the names a, b, ..., z, aa, ab, ... in order of first appearance."""

    def __init__(self) -> None:
        self._names: dict[Var, str] = {}
        self._fresh = map(_letters, count())

    def __call__(self, atom: Atom) -> str:
        if isinstance(atom, Literal):
            return f"{_scalar(atom.value)}:{atom.aval}"
        if atom not in self._names:
            self._names[atom] = next(self._fresh)
        return self._names[atom]

    def typed(self, var: Var) -> str:
        return f"{self(var)}:{var.aval}"


def format_jaxpr(jaxpr: Jaxpr, sources: bool = False) -> str:
    """The text of a jaxpr; with `sources`, each equation ends in the user's line as a comment."""
    return "\n".join(_jaxpr_lines(jaxpr, Names(), sources))


def format_eqn(eqn: Eqn, names: Names | None = None) -> str:
    return "\n".join(_eqn_lines(eqn, names or Names(), False))


def _jaxpr_lines(jaxpr: Jaxpr, names: Names, sources: bool) -> Iterator[str]:
    binders = " ".join(map(names.typed, jaxpr.constvars)) + " ; " + " ".join(map(names.typed, jaxpr.invars))
    yield "{ lambda " + binders.strip() + ". let"
    for eqn in jaxpr.eqns:
        for line in _eqn_lines(eqn, names, sources):
            yield "    " + line
    outs = ", ".join(map(names, jaxpr.outvars))
    yield f"  in ({outs}{',' if len(jaxpr.outvars) == 1 else ''}) }}"


def _eqn_lines(eqn: Eqn, names: Names, sources: bool) -> Iterator[str]:
    left = " ".join("_:" + str(v.aval) if v is None else names.typed(v) for v in eqn.outvars)
    right = " ".join(map(names, eqn.inputs))
    comment = f"  # {eqn.source}" if sources and eqn.source else ""
    params = {k: v for k, v in sorted(eqn.params.items()) if v is not None and not callable(v)}
    inner = any(isinstance(j, (Jaxpr, ClosedJaxpr)) for v in params.values() for j in _items(v))
    if not inner:
        text = " ".join(f"{k}={format_param(v)}" for k, v in params.items())
        yield f"{left} = {eqn.primitive.name}{'[' + text + ']' if text else ''} {right}".rstrip() + comment
        return
    yield f"{left} = {eqn.primitive.name}[" + comment
    for key, value in params.items():
        lines = list(_param_lines(value, sources))
        yield f"  {key}={lines[0]}"
        for line in lines[1:]:
            yield "  " + line
    yield f"] {right}".rstrip()


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def _param_lines(value: Any, sources: bool) -> Iterator[str]:
    if isinstance(value, ClosedJaxpr):
        value = value.jaxpr
    if isinstance(value, Jaxpr):
        yield from _jaxpr_lines(value, Names(), sources)
    elif isinstance(value, (tuple, list)) and any(isinstance(v, (Jaxpr, ClosedJaxpr)) for v in value):
        yield "("
        for v in value:
            for line in _param_lines(v, sources):
                yield "  " + line
        yield ")"
    else:
        yield format_param(value)


def format_param(value: Any) -> str:
    """The text of a param, without spaces."""
    if isinstance(value, tuple):
        return "(" + ",".join(map(format_param, value)) + (",)" if len(value) == 1 else ")")
    return str(value).replace(" ", "")


def _scalar(value: Any) -> str:
    return str(value.item() if hasattr(value, "item") else value)


def _letters(n: int) -> str:
    name = ""
    n += 1
    while n:
        n, digit = divmod(n - 1, 26)
        name = chr(97 + digit) + name
    return name
