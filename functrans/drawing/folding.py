"""Repeated structure: an unrolled loop is drawn once.

A program that a Python loop unrolled holds runs of units with one period: unit `i` is the same operation, on the same
types, as unit `i + period`. Such a run becomes one `Repeat`: its first turn, and which values enter and leave there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Literal, Var

#: A run is folded from so many turns on, and if that leaves out at least so many units.
TURNS, UNITS = 3, 12
#: The longest period that is looked for.
LONGEST = 200


@dataclass(eq=False)
class Entry:
    """A value that the turns read from outside: that of the first turn, and all that come from before the run."""

    first: Var
    values: list[Var]
    carried: bool = False  # later turns read there what an earlier turn has made


@dataclass(eq=False)
class Repeat:
    """`times` turns of the same units; `results` of the first turn leave the run, `outcomes` are those of all turns."""

    units: Sequence[Any]
    times: int
    entries: list[Entry]
    results: list[Var]
    outcomes: list[list[Var]]


def fold(units: Sequence[Any], outvars: Sequence[Atom]) -> list[Any]:
    """The units with each run of repeated ones as one `Repeat`."""
    found = _best_run([_key(u) for u in units])
    if found is None:
        return list(units)
    start, period, times = found
    end = start + period * times
    turns = [units[i : i + period] for i in range(start, end, period)]
    outside = {v for u in (*units[:start], *units[end:]) for v in reads(u)} | {v for v in outvars if type(v) is Var}
    repeat = _repeat(turns, outside)
    if repeat is None:
        return list(units)
    before = fold(units[:start], [*outvars, *(v for u in units[start:] for v in reads(u))])
    return [*before, repeat, *fold(units[end:], outvars)]


def reads(unit: Any) -> list[Var]:
    """The values that a unit reads, in order."""
    if isinstance(unit, Kernel):
        return [v for v in unit.buffers if v not in unit.writes]
    return [a for a in unit.inputs if isinstance(a, Var)]


def writes(unit: Any) -> list[Var]:
    """The values that a unit makes, in order."""
    if isinstance(unit, Kernel):
        return [v for v in unit.buffers if v in unit.writes]
    return [v for v in unit.outvars if v is not None]


def _key(unit: Eqn | Kernel) -> Any:
    """Units with one key are the same operation on the same types."""
    if isinstance(unit, Kernel):
        return unit.source, unit.sizes, tuple(v.aval for v in unit.buffers)
    params = tuple((k, id(v) if isinstance(v, Jaxpr) or callable(v) else str(v)) for k, v in unit.params.items())
    operands = tuple((a.aval, str(a.value) if isinstance(a, Literal) else None) for a in unit.inputs)
    return unit.primitive.name, params, operands, tuple(None if v is None else v.aval for v in unit.outvars)


def _best_run(keys: Sequence[Any]) -> tuple[int, int, int] | None:
    """Start, period and number of turns of the run that leaves out most; of the shortest period among equals."""
    numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    row = [numbers[key] for key in keys]
    best, saved = None, UNITS - 1
    for period in range(1, min(len(row) // TURNS, LONGEST) + 1):
        run = 0
        for i in range(len(row) - period + 1):
            if i + period < len(row) and row[i] == row[i + period]:
                run += 1
                continue
            times = run // period + 1
            if times >= TURNS and (times - 1) * period > saved:
                best, saved = (i - run, period, times), (times - 1) * period
            run = 0
    return best


def _repeat(turns: Sequence[Sequence[Any]], outside: set[Var]) -> Repeat | None:
    """The turns as a `Repeat`; `None` if they do not pass values on in the same way."""
    places = [{v: (i, j) for i, u in enumerate(turn) for j, v in enumerate(writes(u))} for turn in turns]
    inside = set().union(*places)
    entries: dict[Var, Entry] = {}
    for alike in zip(*turns):
        for operands in zip(*map(reads, alike)):
            own = {place.get(v) for v, place in zip(operands, places)}
            if len(own) > 1:
                return None
            if own != {None}:
                continue
            entry = entries.setdefault(operands[0], Entry(operands[0], []))
            entry.values += [v for v in operands if v not in inside and v not in entry.values]
            entry.carried |= any(v in inside for v in operands)
    leaving = sorted({place[v] for place in places for v in outside & place.keys()})
    outcomes = [[writes(turn[i])[j] for turn in turns] for i, j in leaving]
    return Repeat(turns[0], len(turns), list(entries.values()), [alike[0] for alike in outcomes], outcomes)
