"""Loops and branches over many lanes that do not look at each other, as `vmap` makes them.

If each row of a carry depends on the same row alone, the loop need not finish a turn for all rows before the next: it
runs to its end for a block of rows, whose carry stays in cache, then for the next block, on all threads without waiting
for each other. A `while` so ends for each block of lanes when the slowest of them is done, not the slowest of all, and
a branch is passed over by each block in which no lane takes it. Loops and branches inside are of the same kind, or the
whole is not done by lanes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from functrans.compiler.contractions import with_loops
from functrans.compiler.fusion import Item, items_of
from functrans.compiler.loops import ACCESS, PARALLEL
from functrans.compiler.plan import Block, Planner, Scheduler, nbytes
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.transforms.simplify import remove_dead

#: Fewer lanes are done at once. A block's values take so many bytes, for a first level cache; it is not smaller than
#: two vectors.
FEWEST, BLOCK_BYTES, FEWEST_IN_BLOCK = 64, 1 << 15, 32
#: Blocks of a branch are smaller: they are passed over as a whole.
MOST_IN_BRANCH = 128
#: How many turns a `while` is expected to make.
TURNS = 16
#: The param that marks equations done by lanes: a `while` whose condition gives a truth value for each lane, a `cond`
#: that has such values in place of its index; its value is the `LaneLoop` where that is known already.
HAS_MASK = "has_mask"


@dataclass(frozen=True)
class Part:
    """A jaxpr by lanes: a copy, which is scheduled by itself, and what of it belongs to the lanes."""

    jaxpr: Jaxpr
    rows: frozenset[Atom]
    inner: tuple[tuple[Part, int], ...]  # jaxprs of loops and branches inside, with the turns they are expected to make

    def all(self, turns: int = 1) -> Iterator[tuple[Part, int]]:
        """This and all inside, with how often each runs."""
        yield self, turns
        for part, times in self.inner:
            yield from part.all(turns * times)


@dataclass(frozen=True)
class LaneLoop:
    """A loop in which the first axis of every carry counts lanes, or a branch in which that of every result does."""

    lanes: int
    block: int
    parallel: bool
    body: Jaxpr
    cond: Jaxpr | None = None  # whether each lane goes on
    blocks: tuple[tuple[Jaxpr, Block], ...] = ()  # the steps of these and of jaxprs inside


def lane_scan(p: Planner, body: Jaxpr, n_consts: int, n_carry: int, length: int) -> LaneLoop | None:
    """The body of a `scan` as a loop over lanes, if it is one."""
    carries = body.invars[n_consts : n_consts + n_carry]
    lanes = _lanes(carries)
    part = _by_lane(body, carries, lanes) if lanes else None
    return None if part is None else _loop(p, lanes, length, part, None)


def lane_while(p: Planner, cond: Jaxpr, cond_consts: int, body: Jaxpr, body_consts: int) -> LaneLoop | None:
    """A `while` that goes on while any lane does, and leaves the others as they are."""
    carries = body.invars[body_consts:]
    lanes = _lanes(carries)
    test = _goes_on(cond) if lanes else None
    if test is None:
        return None
    tested, part = _by_lane(test, test.invars[cond_consts:], lanes), _by_lane(body, carries, lanes)
    return None if tested is None or part is None else _loop(p, lanes, TURNS, part, tested)


def lane_branch(p: Planner, nobody: Jaxpr, somebody: Jaxpr) -> LaneLoop | None:
    """The branch `somebody` for blocks with lanes that take it, `nobody` (as `cond` of the loop) for the others."""
    lanes = _lanes(somebody.outvars)
    rows = [v for v in somebody.invars if v.aval.shape[:1] == (lanes,)]
    other = [v for v in nobody.invars if v.aval.shape[:1] == (lanes,)]
    part, rest = (_by_lane(j, r, lanes) if lanes else None for j, r in ((somebody, rows), (nobody, other)))
    return None if part is None or rest is None else _loop(p, lanes, 1, part, rest, most=MOST_IN_BRANCH)


def _lanes(values: Sequence[Atom]) -> int:
    """The common first axis of all values, if it is long."""
    firsts = {v.aval.shape[:1] for v in values}
    lanes = next(iter(firsts), ())
    return lanes[0] if len(firsts) == 1 and lanes and lanes[0] >= FEWEST and all(v.aval.size for v in values) else 0


def _goes_on(cond: Jaxpr) -> Jaxpr | None:
    """The condition for each lane, if the whole goes on while any lane does."""
    result = cond.outvars[0]
    test = next((e for e in cond.eqns if tuple(e.outvars) == (result,)), None)
    if test is None or test.primitive.name != "reduce_or" or len(test.params["axes"]) != test.inputs[0].aval.ndim:
        return None
    return Jaxpr(cond.constvars, cond.invars, [e for e in cond.eqns if e is not test], test.inputs)


def with_lane_branches(jaxpr: Jaxpr, schedule: Scheduler | None = None) -> Jaxpr:
    """The program with branches on "whether any lane" as branches by lane, whose index is each lane's truth value.

    With a schedule those alone that can be done by lanes.
    """
    if not any(e.params.get("by_lane") for e in jaxpr.eqns):
        return jaxpr
    makers = {v: e for e in jaxpr.eqns for v in e.outvars}
    eqns = []
    for eqn in jaxpr.eqns:
        mask = _mask(eqn, makers)
        if mask is not None:
            found = lane_branch(Planner(schedule), *eqn.params["branches"]) if schedule is not None else True
            if found is not None:
                eqn = eqn.replace(inputs=[mask, *eqn.inputs[1:]], params={**eqn.params, HAS_MASK: found})
        eqns.append(eqn)
    return remove_dead(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars))


def _mask(eqn: Eqn, makers: dict[Var, Eqn]) -> Atom | None:
    """What `vmap` made the index of a branch from: a truth value for each lane."""
    if not eqn.params.get("by_lane") or HAS_MASK in eqn.params:
        return None
    index: Atom = eqn.inputs[0]
    for name in ("convert_element_type", "reduce_or"):
        maker = makers.get(index)  # type: ignore[arg-type]
        if maker is None or maker.primitive.name != name:
            return None
        (index,) = maker.inputs
    shape = index.aval.shape
    fits = len(shape) == 1 and shape[0] >= FEWEST and all(v.aval.shape[:1] == shape for v in eqn.outvars)
    return index if fits else None


# ------------------------------------------------------------------ rows that look at no other


class _Rows:
    """A walk through a jaxpr that finds what belongs to lanes; `failed` when a lane looks at another."""

    def __init__(self, rows: Sequence[Var], lanes: int):
        self.lanes = lanes
        self.rows: set[Atom] = set(rows)  # depends on lanes; the first axis counts them
        self.stacked: set[Atom] = set()  # the same, with lanes along the second axis: what scans stack
        self.either: set[Atom] = set()  # depends on no lane, and has rows for them: may be made row by row
        self.across: set[Atom] = set()  # read in other places than a lane's own row
        self.inner: list[tuple[Part, int]] = []

    def part(self, jaxpr: Jaxpr) -> Part | None:
        jaxpr = with_lane_branches(with_loops(jaxpr))
        eqns: list[Eqn] = []
        for item in items_of(jaxpr):
            if item.kind == "opaque":
                new = self.inside(item.eqn)
                if new is None:
                    return None
                eqns.append(new)
            elif not self.reads_own_rows(item):
                return None
            elif not eqns or eqns[-1] is not item.eqn:
                eqns.append(item.eqn)
        given = {v for v in jaxpr.invars if v.aval.shape[:1] == (self.lanes,)}
        if not (self.rows | self.either | given).issuperset(jaxpr.outvars):
            return None
        if not self.stacked.isdisjoint(jaxpr.outvars):
            return None
        rows = frozenset(self.rows | (self.either - self.across) | self.stacked)
        return Part(Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars), rows, tuple(self.inner))

    def reads_own_rows(self, item: Item) -> bool:
        own = item.out.aval.shape[:1] == (self.lanes,)
        if not self.stacked.isdisjoint(item.inputs):
            return False
        maps = [(a, m) for a, found in zip(item.inputs, item.accesses) for m in found]
        if item.kind != "map":
            maps = [(item.inputs[0], () if item.kind == "part" or 0 in item.axes else (0,))]
        for a, m in maps:
            if a in self.rows | self.either and m[:1] != (0,):
                if a in self.rows:
                    return False
                self.across.add(a)
        if self.rows.isdisjoint(item.inputs):
            if own and item.kind != "part":
                self.either.add(item.out)
            return True
        if not own or item.kind == "part":
            return False
        self.rows.add(item.out)
        return True

    # ---- loops and branches inside

    def inside(self, eqn: Eqn) -> Eqn | None:
        makers = {"scan": self.scan, "while": self.loop, "cond": self.branch}
        maker = makers.get(eqn.primitive.name)
        return None if maker is None else maker(eqn)

    def flags(self, atoms: Sequence[Atom]) -> list[bool] | None:
        """Which operands have rows for lanes; `None` if what scans stacked is among them."""
        if not self.stacked.isdisjoint(atoms):
            return None
        return [a in self.rows or a in self.either for a in atoms]

    def of(self, jaxpr: Jaxpr, flags: Sequence[bool], turns: int) -> Part | None:
        """A jaxpr inside, with the arguments that have rows."""
        part = _by_lane(jaxpr, [v for v, flag in zip(jaxpr.invars, flags) if flag], self.lanes)
        if part is not None:
            self.inner.append((part, turns))
        return part

    def scan(self, eqn: Eqn) -> Eqn | None:
        params = eqn.params
        n, m = params["num_consts"], params["num_carry"]
        consts, carries, xs = eqn.inputs[:n], eqn.inputs[n : n + m], eqn.inputs[n + m :]
        flags = self.flags([*consts, *carries])
        if flags is None or not params["length"] or any(a in self.rows or a in self.either for a in xs):
            return None
        if _lanes(params["jaxpr"].invars[n : n + m]) != self.lanes:
            return None
        flags = [*flags[:n], *[True] * m, *(a in self.stacked for a in xs)]
        part = self.of(params["jaxpr"], flags, params["length"])
        if part is None:
            return None
        self.rows.update(eqn.outvars[:m])
        self.stacked.update(eqn.outvars[m:])
        return eqn.replace(params={**params, "jaxpr": part.jaxpr})

    def loop(self, eqn: Eqn) -> Eqn | None:
        params = eqn.params
        n, m = params["cond_nconsts"], params["body_nconsts"]
        flags, test = self.flags(eqn.inputs), _goes_on(params["cond_jaxpr"])
        if flags is None or test is None or _lanes(params["body_jaxpr"].outvars) != self.lanes:
            return None
        carries = [True] * (len(flags) - n - m)
        tested = self.of(test, [*flags[:n], *carries], TURNS)
        body = self.of(params["body_jaxpr"], [*flags[n : n + m], *carries], TURNS)
        if tested is None or body is None:
            return None
        self.rows.update(eqn.outvars)
        return eqn.replace(params={**params, "cond_jaxpr": tested.jaxpr, "body_jaxpr": body.jaxpr, HAS_MASK: True})

    def branch(self, eqn: Eqn) -> Eqn | None:
        flags = self.flags(eqn.inputs)
        if flags is None or flags[0] is not (HAS_MASK in eqn.params) or _lanes(eqn.outvars) != self.lanes:
            return None
        parts = [self.of(b, flags[1:], 1) for b in eqn.params["branches"]]
        if any(part is None for part in parts):
            return None
        self.rows.update(eqn.outvars)
        return eqn.replace(params={**eqn.params, "branches": tuple(part.jaxpr for part in parts)})  # type: ignore[union-attr]


def _by_lane(jaxpr: Jaxpr, rows: Sequence[Var], lanes: int) -> Part | None:
    """A jaxpr by lanes, if what depends on the arguments `rows` has its own row for each lane, and reads no other."""
    return _Rows(rows, lanes).part(jaxpr)


def by_lane_values(jaxpr: Jaxpr, rows: Sequence[Var], lanes: int) -> set[Atom] | None:
    """What depends on the arguments `rows` in a jaxpr without loops and branches, if it is by lanes."""
    found = _Rows(rows, lanes)
    if not all(item.kind != "opaque" and found.reads_own_rows(item) for item in items_of(jaxpr)):
        return None
    return found.rows


def _loop(
    p: Planner, lanes: int, turns: int, body: Part, cond: Part | None, most: int | None = None
) -> LaneLoop | None:
    """The loop, if its kernels can do some lanes at a time, and write nothing that is there for all lanes."""
    work = 0
    values: set[Atom] = set()
    blocks: dict[Jaxpr, Block] = {}
    for part, times in (*body.all(turns), *(cond.all(turns) if cond is not None else ())):
        blocks[part.jaxpr] = p.analysis(part.jaxpr, apart=True)
        for step in blocks[part.jaxpr].working_steps:
            if not isinstance(step, Kernel):
                if step.eqn.primitive.name not in ("scan", "while", "cond"):
                    return None
                continue
            if step.rows != lanes or step.checks or not part.rows.issuperset(step.writes):
                return None
            values.update(v for v in step.buffers if v.aval.shape[:1] == (lanes,))
            work += ACCESS * step.work * times
    row = sum(nbytes(v.aval) for v in values) // lanes
    block = min(max(BLOCK_BYTES // max(row, 1) // FEWEST_IN_BLOCK, 1) * FEWEST_IN_BLOCK, most or lanes, lanes)
    parallel = lanes > FEWEST_IN_BLOCK and work > PARALLEL
    tested = cond.jaxpr if cond is not None else None
    return LaneLoop(lanes, block, parallel, body.jaxpr, tested, tuple(blocks.items()))
