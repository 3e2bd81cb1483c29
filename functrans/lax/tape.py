"""Loops that pass several times over what they went through: reverse mode of `while`, to any order.

`tape(*cond_consts, *consts, *carries)` makes several passes over the turns of one loop. Each pass is a loop with
carries of its own, `carry, written = jaxpr(consts, carry, read)`: at each turn it puts values on tapes, and reads from
tapes what earlier passes wrote at the same turn. The first pass runs forward while a condition holds, and so says how
many turns there are; later ones run forward or in reverse. A gradient is two passes: forward along the loop, keeping
what it goes through, and back with the cotangents. The transpose of passes is passes: first those that are known once
more, then the linear ones from the last to the first, each in the other direction. So derivatives of derivatives have
this form too.

The tapes grow while the loop runs. In compiled programs they grow by chunks: one native loop fills a chunk, others go
over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from functrans.core.array import wrap
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.jaxpr import Jaxpr, Literal, Var, evaluate
from functrans.core.primitive import Axis, Primitive, zeros
from functrans.core.trace import stage
from functrans.lax import elementwise as ew
from functrans.lax.carry import carry_tangents, fixed_point, reordered
from functrans.lax.flat import live_values, split_list, spread
from functrans.lax.indexing import dynamic_index_in_dim, dynamic_update_index_in_dim
from functrans.lax.scans import depends_on, known_part
from functrans.lax.structural import reshape
from functrans.transforms.batching import batch_first, batch_jaxpr
from functrans.transforms.guarding import guarded
from functrans.transforms.jvp import close_over, jvp_jaxpr, separate_jvp_jaxpr, tangent_aval
from functrans.transforms.simplify import remove_dead
from functrans.transforms.transpose import Linear, backward_pass, is_linear

#: A chunk of tape has so many turns at most, and about so many bytes.
CHUNK_TURNS, CHUNK_BYTES = 1024, 1 << 22


class Pass(NamedTuple):
    """One pass: its direction, how many carries it has, and the numbers of the tapes that it reads.

    Tapes are numbered in the order in which passes write them.
    """

    reverse: bool
    ncarry: int
    reads: tuple[int, ...]


Layout = tuple[Pass, ...]
Jaxprs = tuple[Jaxpr, ...]


def _written(layout: Layout, jaxprs: Jaxprs) -> list[range]:
    """The numbers of the tapes that each pass writes."""
    ends = [0, *accumulate(len(j.outvars) - p.ncarry for p, j in zip(layout, jaxprs))]
    return [range(a, b) for a, b in zip(ends, ends[1:])]


def _split(args: Sequence[Any], cond_nconsts: int, nconsts: int, layout: Layout) -> tuple[list[Any], list[Any], Any]:
    """Operands: constants of the condition, of the passes, and the carries of each pass."""
    cond_consts, consts, *carries, _ = split_list(args, cond_nconsts, nconsts, *(p.ncarry for p in layout))
    return cond_consts, consts, carries


def _grown(
    start: Sequence[bool], flags: Callable[[Jaxpr, list[bool]], Sequence[bool]], jaxpr: Jaxpr,
    consts: Sequence[bool], reads: Sequence[bool],
) -> list[bool]:  # fmt: skip
    """The carries of a pass that have a property at some turn, given those that have it at the start."""
    return fixed_point(start, lambda m: flags(jaxpr, [*consts, *m, *reads])[: len(start)])


# ---------------------------------------------------------------- evaluation


def _impl(*args: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, layout: Layout, jaxprs: Jaxprs) -> list[Any]:
    cond_consts, consts, carries = _split(args, cond_nconsts, nconsts, layout)
    tapes: list[list[Any]] = [[] for j in _written(layout, jaxprs) for _ in j]
    written = _written(layout, jaxprs)
    turns = 0
    carry = carries[0]
    while evaluate(cond_jaxpr, (), [*cond_consts, *carry])[0]:
        outs = evaluate(jaxprs[0], (), [*consts, *carry])
        carry = outs[: layout[0].ncarry]
        for i, value in zip(written[0], outs[layout[0].ncarry :]):
            tapes[i].append(value)
        turns += 1
    results = [*carry]
    for p, jaxpr, ids, carry in zip(layout[1:], jaxprs[1:], written[1:], carries[1:]):
        for i in ids:
            tapes[i] = [None] * turns
        for k in range(turns - 1, -1, -1) if p.reverse else range(turns):
            outs = evaluate(jaxpr, (), [*consts, *carry, *(tapes[i][k] for i in p.reads)])
            carry = outs[: p.ncarry]
            for i, value in zip(ids, outs[p.ncarry :]):
                tapes[i][k] = value
        results += carry
    avals = _abstract(layout=layout, jaxprs=jaxprs)
    return [wrap(np.asarray(r, a.dtype)) for r, a in zip(results, avals)]


def _abstract(*avals: ShapedArray, layout: Layout, jaxprs: Jaxprs, **params: Any) -> list[ShapedArray]:
    return [a for p, j in zip(layout, jaxprs) for a in j.out_avals[: p.ncarry]]


def _native(
    *avals: ShapedArray, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, layout: Layout, jaxprs: Jaxprs
) -> Callable[..., Any]:
    """The passes for compiled programs: native loops that fill and read chunks of tape."""
    from functrans.compiler.program import compile

    cond_in, consts_in, carries_in = _split(avals, cond_nconsts, nconsts, layout)
    written = _written(layout, jaxprs)
    elements = [a for p, j in zip(layout, jaxprs) for a in j.out_avals[p.ncarry :]]
    nbytes = sum(a.size * a.dtype.itemsize for a in elements)
    turns = max(1, min(CHUNK_TURNS, CHUNK_BYTES // max(nbytes, 1)))
    tapes_in = [ShapedArray((turns, *a.shape), a.dtype) for a in elements]
    counter = ShapedArray((), np.dtype(np.int64))
    record = _recorder(turns, cond_nconsts, nconsts, jaxprs[0], cond_jaxpr)
    recorder = compile(*stage(record, [*cond_in, *consts_in, *carries_in[0]]))
    players = []
    for p, jaxpr, carry_in in zip(layout[1:], jaxprs[1:], carries_in[1:]):
        operands = [*consts_in, counter, *carry_in, *(tapes_in[i] for i in p.reads)]
        players.append(compile(*stage(_player(turns, nconsts, p, jaxpr), operands)))
    last_reader = {i: number for number, p in enumerate(layout) for i in p.reads}

    def run(*args: Any) -> list[Any]:
        cond_consts, consts, carries = _split(args, cond_nconsts, nconsts, layout)
        counts: list[Any] = []
        tapes: list[list[Any]] = [[] for _ in elements]
        carry, n = carries[0], turns
        while n == turns:
            count, *rest = recorder(*cond_consts, *consts, *carry)
            carry, n = rest[: layout[0].ncarry], int(count)
            counts.append(count)
            for i, tape in zip(written[0], rest[layout[0].ncarry :]):
                tapes[i].append(tape)
        results = [*carry]
        for number in range(1, len(layout)):
            p, carry = layout[number], carries[number]
            for i in written[number]:
                tapes[i] = [None] * len(counts)
            for c in range(len(counts) - 1, -1, -1) if p.reverse else range(len(counts)):
                outs = players[number - 1](*consts, counts[c], *carry, *(tapes[i][c] for i in p.reads))
                carry = outs[: p.ncarry]
                for i, tape in zip(written[number], outs[p.ncarry :]):
                    tapes[i][c] = tape
                for i in p.reads:
                    if last_reader[i] == number:
                        tapes[i][c] = None
            results += carry
        return results

    return run


def _recorder(turns: int, cond_nconsts: int, nconsts: int, body: Jaxpr, cond: Jaxpr) -> Callable[..., list[Any]]:
    """`*cond_consts, *consts, *carry -> turns made, *carry, *tapes`."""
    from functrans.lax.loops import while_loop

    def record(*args: Any) -> list[Any]:
        cond_consts, consts, carry = split_list(args, cond_nconsts, nconsts)
        tapes = [zeros(ShapedArray((turns, *a.shape), a.dtype)) for a in body.out_avals[len(carry) :]]

        def goes_on(state: Any) -> Any:
            return ew.bitwise_and(ew.lt(state[0], turns), evaluate(cond, (), [*cond_consts, *state[1]])[0])

        def turn(state: Any) -> Any:
            n, carry, tapes = state
            outs = evaluate(body, (), [*consts, *carry])
            tapes = [dynamic_update_index_in_dim(t, v, n, 0) for t, v in zip(tapes, outs[len(carry) :])]
            return ew.add(n, 1), outs[: len(carry)], tapes

        n, carry, tapes = while_loop(goes_on, turn, (np.int64(0), carry, tapes))
        return [n, *carry, *tapes]

    return record


def _player(turns: int, nconsts: int, p: Pass, step: Jaxpr) -> Callable[..., list[Any]]:
    """`*consts, turns made, *carry, *tapes read -> *carry, *tapes written`."""
    from functrans.lax.loops import while_loop

    def play(*args: Any) -> list[Any]:
        consts, (n,), carry, read = split_list(args, nconsts, 1, p.ncarry)
        tapes = [zeros(ShapedArray((turns, *a.shape), a.dtype)) for a in step.out_avals[p.ncarry :]]

        def turn(state: Any) -> Any:
            done, carry, tapes = state
            place = ew.sub(ew.sub(n, done), 1) if p.reverse else done
            values = [dynamic_index_in_dim(t, place, 0, keepdims=False) for t in read]
            outs = evaluate(step, (), [*consts, *carry, *values])
            tapes = [dynamic_update_index_in_dim(t, v, place, 0) for t, v in zip(tapes, outs[p.ncarry :])]
            return ew.add(done, 1), outs[: p.ncarry], tapes

        _, carry, tapes = while_loop(lambda s: ew.lt(s[0], n), turn, (np.int64(0), carry, tapes))
        return [*carry, *tapes]

    return play


# ---------------------------------------------------------------- forward mode


def _jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    return _push_forward(jvp_jaxpr, primals, tangents, **params)


def _linearize(primals: Any, tangents: Any, **params: Any) -> Any:
    return tape_p.bind(*primals, **params), _push_forward(separate_jvp_jaxpr, primals, tangents, **params)[1]


def _push_forward(
    derive: Callable[..., tuple[Jaxpr, list[bool]]], primals: Any, tangents: Any, *, cond_nconsts: int,
    cond_jaxpr: Jaxpr, nconsts: int, layout: Layout, jaxprs: Jaxprs,
) -> Any:  # fmt: skip
    """Passes with tangents, of the jaxprs that `derive` gives: tapes of tangents beside those of the values."""
    cond_consts, consts, carries = _split(primals, cond_nconsts, nconsts, layout)
    _, t_consts, t_carries = _split(tangents, cond_nconsts, nconsts, layout)
    nz_consts = [t is not None for t in t_consts]
    values: list[int] = []  # the new number of each tape, and of that of its tangents
    moves: list[int | None] = []
    count = 0
    new_layout: list[Pass] = []
    new_jaxprs: list[Jaxpr] = []
    operands: list[Any] = []
    masks: list[list[bool]] = []
    for p, jaxpr, carry, t_carry in zip(layout, jaxprs, carries, t_carries):
        n_out = len(jaxpr.outvars)
        nz_reads = [moves[i] is not None for i in p.reads]
        nz = _grown([t is not None for t in t_carry], lambda j, m: derive(j, m)[1], jaxpr, nz_consts, nz_reads)
        inner, live = derive(jaxpr, [*nz_consts, *nz, *nz_reads], [*nz, *[False] * (n_out - p.ncarry)])
        ins = _grouped([(nconsts, nz_consts), (p.ncarry, nz), (len(p.reads), nz_reads)])
        outs = _grouped([(p.ncarry, nz), (n_out - p.ncarry, live[p.ncarry :])])
        new_jaxprs.append(reordered(inner, ins, outs))
        read = [*(values[i] for i in p.reads), *(m for i in p.reads if (m := moves[i]) is not None)]
        new_layout.append(Pass(p.reverse, p.ncarry + sum(nz), tuple(read)))
        operands += [*carry, *carry_tangents(t_carry, carry, nz)]
        masks.append(nz)
        writes = live[p.ncarry :]
        values += range(count, count + len(writes))
        places = iter(range(count + len(writes), count + len(writes) + sum(writes)))
        moves += [next(places) if w else None for w in writes]
        count += len(writes) + sum(writes)
    unread = [Var(tangent_aval(v)) for v, nz in zip(jaxprs[0].outvars, masks[0]) if nz]
    cond = Jaxpr((), [*cond_jaxpr.invars, *unread], cond_jaxpr.eqns, cond_jaxpr.outvars)
    found = tape_p.bind(
        *cond_consts, *consts, *live_values(t_consts), *operands, cond_nconsts=cond_nconsts, cond_jaxpr=cond,
        nconsts=nconsts + sum(nz_consts), layout=tuple(new_layout), jaxprs=tuple(new_jaxprs),
    )  # fmt: skip
    out, out_tangents = [], []
    for p, nz in zip(layout, masks):
        own, ts, found = split_list(found, p.ncarry, sum(nz))
        out += own
        out_tangents += spread(ts, nz)
    return out, out_tangents


def _grouped(groups: Sequence[tuple[int, Sequence[bool]]]) -> list[int]:
    """The order of values and tangents where each group of values stands before its tangents, not all values first."""
    order: list[int] = []
    value, tangent = 0, sum(n for n, _ in groups)
    for n, nonzero in groups:
        order += [*range(value, value + n), *range(tangent, tangent + sum(nonzero))]
        value, tangent = value + n, tangent + sum(nonzero)
    return order


# ---------------------------------------------------------------- reverse mode


def transpose_passes(
    cts: Sequence[Any], operands: Sequence[Any], *, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int,
    layout: Layout, jaxprs: Jaxprs,
) -> list[Any]:  # fmt: skip
    """The cotangents of the linear operands of passes (a single one is a `while`)."""
    cond_consts, consts, carries = _split(operands, cond_nconsts, nconsts, layout)
    ct_carries = split_list(cts, *(p.ncarry for p in layout))
    lin_consts = list(map(is_linear, consts))
    known_consts = [x for x, lin in zip(consts, lin_consts) if not lin]
    sums = [x.aval.strong() for x in consts if is_linear(x)]
    lin_tapes: list[bool] = []
    lin_carries: list[list[bool]] = []
    for p, jaxpr, carry in zip(layout, jaxprs, carries):
        reads = [lin_tapes[i] for i in p.reads]
        lin = _grown(list(map(is_linear, carry)), depends_on, jaxpr, lin_consts, reads)
        lin_carries.append(lin)
        lin_tapes += depends_on(jaxpr, [*lin_consts, *lin, *reads])[p.ncarry :]
    program = _Program()
    known: dict[int, int] = {}  # the tapes of values that depend on nothing linear, and their new numbers
    entering: list[list[int]] = []  # for each pass the tapes of its known carries, as each turn begins
    written = _written(layout, jaxprs)
    for p, jaxpr, carry, lin, ids in zip(layout, jaxprs, carries, lin_carries, written):
        mask = [*lin_consts, *lin, *(lin_tapes[i] for i in p.reads)]
        kept = [i for i in ids if not lin_tapes[i]]
        values = [i for i, li in enumerate(lin) if not li]
        results = [*values, *(p.ncarry + i - ids.start for i in kept)]
        part = known_part(jaxpr, mask, results)
        starts = part.invars[len(known_consts) : len(known_consts) + len(values)]
        part = Jaxpr((), part.invars, part.eqns, [*part.outvars, *starts])
        new = Pass(p.reverse, len(values), tuple(known[i] for i in p.reads if not lin_tapes[i]))
        tapes = program.add(new, part, [carry[i] for i in values], needed=not program.layout)
        known.update(zip(kept, tapes))
        entering.append(tapes[len(kept) :])
    back: dict[int, list[int]] = {}  # for each linear tape those of its cotangents, to be added up
    order: list[int] = []
    for number in range(len(layout) - 1, -1, -1):
        p, jaxpr, lin, ids = layout[number], jaxprs[number], lin_carries[number], written[number]
        own = ct_carries[number]
        incoming = [(i, back[i]) for i in ids if i in back]
        if not incoming and all(ct is None for ct, li in zip(own, lin) if li):
            continue
        read = [
            *entering[number],
            *(known[i] for i in p.reads if not lin_tapes[i]),
            *(t for _, ts in incoming for t in ts),
        ]
        mask = [*lin_consts, *lin, *(lin_tapes[i] for i in p.reads)]
        avals = [v.aval.strong() for v, li in zip(jaxpr.outvars, lin) if li]
        step = _transposed_step(jaxpr, p, mask, lin, len(known_consts), sums, avals,
                                [(p.ncarry + i - ids.start, len(ts)) for i, ts in incoming])  # fmt: skip
        start = [zeros(a) if ct is None else ct for ct, a in zip((c for c, li in zip(own, lin) if li), avals)]
        new = Pass(not p.reverse, len(sums) + len(avals), tuple(read))
        tapes = program.add(new, step, [*map(zeros, sums), *start], needed=True)
        for i, t in zip((i for i in p.reads if lin_tapes[i]), tapes):
            back.setdefault(i, []).append(t)
        order.append(number)
    decides = [*range(cond_nconsts), *(cond_nconsts + i for i, li in enumerate(lin_carries[0]) if not li)]
    cond = Jaxpr((), [cond_jaxpr.invars[i] for i in decides], cond_jaxpr.eqns, cond_jaxpr.outvars)
    const_cts: list[Any] = [None] * len(sums)
    carry_cts: list[list[Any]] = [[None] * p.ncarry for p in layout]
    if order:
        found = program.run(cond_consts, known_consts, cond)
        for number, outs in zip(order, found):
            parts, rest = split_list(outs, len(sums))
            const_cts = [b if a is None else a + b for a, b in zip(const_cts, parts)]
            carry_cts[number] = [
                ct if is_linear(x) else None for ct, x in zip(spread(rest, lin_carries[number]), carries[number])
            ]
    return [*[None] * cond_nconsts, *spread(const_cts, lin_consts), *(ct for part in carry_cts for ct in part)]


def _transposed_step(
    jaxpr: Jaxpr, p: Pass, linear: Sequence[bool], lin_carry: Sequence[bool], n_consts: int,
    sums: Sequence[ShapedArray], avals: Sequence[ShapedArray], incoming: Sequence[tuple[int, int]],
) -> Jaxpr:  # fmt: skip
    """`known consts, sums, carry cts, known carries, known reads, cts of writes -> sums, carry cts, cts of reads`.

    `incoming` pairs the numbers of results whose cotangents are read with the number of tapes that hold parts of them.
    """
    n_lin = linear[: len(linear) - p.ncarry - len(p.reads)].count(False)
    known = [v.aval for v, li in zip(jaxpr.invars, linear) if not li]
    pieces = [jaxpr.outvars[i].aval.strong() for i, count in incoming for _ in range(count)]
    lin_reads = [v.aval.strong() for v, li in list(zip(jaxpr.invars, linear))[len(linear) - len(p.reads) :] if li]

    def step(*args: Any) -> list[Any]:
        own, so_far, ct, values, parts = split_list(args, n_lin, len(sums), len(avals), len(known) - n_lin)
        free, rest = iter([*own, *values]), iter(parts)
        out_cts = [*spread(ct, lin_carry), *[None] * (len(jaxpr.outvars) - p.ncarry)]
        for i, count in incoming:
            total = next(rest)
            for _ in range(count - 1):
                total = total + next(rest)
            out_cts[i] = total
        found = backward_pass(
            jaxpr, [], [Linear(v.aval) if li else next(free) for v, li in zip(jaxpr.invars, linear)], out_cts
        )
        live = [c for c, li in zip(found, linear) if li]
        new_sums = [s if c is None else s + c for s, c in zip(so_far, live)]
        others = zip(live[len(sums) :], [*avals, *lin_reads])
        return [*new_sums, *(zeros(a) if c is None else c for c, a in others)]

    return close_over(*stage(step, [*known[:n_lin], *sums, *avals, *known[n_lin:], *pieces]))


class _Program:
    """Passes under construction; those of which nothing is needed are left out, and so are tapes that nobody reads."""

    def __init__(self) -> None:
        self.layout: list[Pass] = []
        self.jaxprs: list[Jaxpr] = []
        self.carries: list[Sequence[Any]] = []
        self.needed: list[bool] = []
        self.tapes: list[list[int]] = []

    def add(self, p: Pass, jaxpr: Jaxpr, carry: Sequence[Any], needed: bool) -> list[int]:
        """Add a pass: the numbers of the tapes that it writes."""
        first = sum(map(len, self.tapes))
        tapes = list(range(first, first + len(jaxpr.outvars) - p.ncarry))
        self.layout.append(p)
        self.jaxprs.append(jaxpr)
        self.carries.append(carry)
        self.needed.append(needed)
        self.tapes.append(tapes)
        return tapes

    def run(self, cond_consts: Sequence[Any], consts: Sequence[Any], cond: Jaxpr) -> list[list[Any]]:
        """The carries with which the needed passes after the first end."""
        read: set[int] = set()
        kept: list[tuple[int, Pass, Jaxpr, list[int]]] = []
        for number in range(len(self.layout) - 1, -1, -1):
            p, jaxpr, tapes = self.layout[number], self.jaxprs[number], self.tapes[number]
            writes = [t for t in tapes if t in read]
            if not self.needed[number] and not writes:
                continue
            outs = [*jaxpr.outvars[: p.ncarry], *(jaxpr.outvars[p.ncarry + tapes.index(t)] for t in writes)]
            jaxpr = remove_dead(Jaxpr((), jaxpr.invars, jaxpr.eqns, outs))
            used = {a for e in jaxpr.eqns for a in e.inputs if type(a) is not Literal} | set(jaxpr.outvars)
            first = len(jaxpr.invars) - len(p.reads)
            reads = [(v, t) for v, t in zip(jaxpr.invars[first:], p.reads) if v in used]
            jaxpr = Jaxpr((), [*jaxpr.invars[:first], *(v for v, _ in reads)], jaxpr.eqns, jaxpr.outvars)
            read.update(t for _, t in reads)
            kept.append((number, Pass(p.reverse, p.ncarry, tuple(t for _, t in reads)), jaxpr, writes))
        kept.reverse()
        renamed = {t: i for i, t in enumerate(t for *_, writes in kept for t in writes)}
        layout = tuple(p._replace(reads=tuple(renamed[t] for t in p.reads)) for _, p, _, _ in kept)
        outs = tape_p.bind(
            *cond_consts, *consts, *(x for number, *_ in kept for x in self.carries[number]),
            cond_nconsts=len(cond_consts), cond_jaxpr=cond, nconsts=len(consts), layout=layout,
            jaxprs=tuple(j for _, _, j, _ in kept),
        )  # fmt: skip
        parts = split_list(outs, *(p.ncarry for p in layout))
        return [part for (number, *_), part in zip(kept, parts) if number and self.needed[number]]


def _transpose(cts: Sequence[Any], *operands: Any, **params: Any) -> list[Any]:
    return transpose_passes(cts, operands, **params)


# ---------------------------------------------------------------- batches


def _batch(
    axis: Axis, args: list[Any], dims: list[Any], *, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int,
    layout: Layout, jaxprs: Jaxprs,
) -> Any:  # fmt: skip
    """As for `while`; in later passes, lanes that were done wait until the tape is at a turn of theirs."""
    b_cond, b_consts, b_carries = _split([d is not None for d in dims], cond_nconsts, nconsts, layout)
    first = fixed_point(b_carries[0], lambda m: batch_jaxpr(jaxprs[0], axis, [*b_consts, *m])[1][: layout[0].ncarry])
    b_pred = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *first])[1][0]
    masks: list[list[bool]] = []
    tapes: list[bool] = []
    new: list[Jaxpr] = []
    for p, jaxpr, b_carry in zip(layout, jaxprs, b_carries):
        reads = [tapes[i] for i in p.reads]
        start = [True] * p.ncarry if b_pred else b_carry
        consts = [True, *b_consts] if b_pred else b_consts
        jaxpr = guarded(jaxpr) if b_pred else jaxpr
        b = _grown(start, lambda j, m: batch_jaxpr(j, axis, m)[1], jaxpr, consts, reads)
        force = [*b, *[False] * (len(jaxpr.outvars) - p.ncarry)]
        inner, out_batched = batch_jaxpr(jaxpr, axis, [*consts, *b, *reads], force)
        tapes += out_batched[p.ncarry :]
        masks.append(b)
        new.append(inner)
    flat = [b for mask in masks for b in mask]
    cond, _ = batch_jaxpr(cond_jaxpr, axis, [*b_cond, *masks[0]], [b_pred])
    batched = [*(d is not None for d in dims[: cond_nconsts + nconsts]), *flat]
    operands = [batch_first(axis, x, d) if b else x for x, d, b in zip(args, dims, batched)]
    params: dict[str, Any] = {
        "cond_nconsts": cond_nconsts, "cond_jaxpr": cond, "nconsts": nconsts, "layout": layout, "jaxprs": tuple(new),
    }  # fmt: skip
    if b_pred:
        operands = [*operands[:cond_nconsts], *operands]
        params |= _masked(cond_nconsts, cond, nconsts, layout, new)
    return tape_p.bind(*operands, **params), [0 if b else None for b in flat]


def _masked(n_cond: int, cond: Jaxpr, nconsts: int, layout: Layout, jaxprs: Sequence[Jaxpr]) -> dict[str, Any]:
    """The params of passes whose condition holds for some lanes; the constants of the condition are constants too.

    The first pass writes which lanes are running, on the tape of number 0 (all others move up by one). The jaxprs are
    guarded: they take first whether each lane is running.
    """
    from functrans.lax.reductions import reduce_or

    def any_lane(*xs: Any) -> list[Any]:
        return [reduce_or(evaluate(cond, (), xs)[0], (0,))]

    def first(*xs: Any) -> list[Any]:
        own_cond, own, carry = split_list(xs, n_cond, nconsts)
        running = evaluate(cond, (), [*own_cond, *carry])[0]
        outs = evaluate(jaxprs[0], (), [running, *own, *carry])
        kept = [where_lane(running, n, c) for n, c in zip(outs, carry)]
        return [*kept, running, *outs[len(carry) :]]

    def later(p: Pass, jaxpr: Jaxpr) -> Callable[..., list[Any]]:
        def step(*xs: Any) -> list[Any]:
            _, own, carry, (running,), read = split_list(xs, n_cond, nconsts, p.ncarry, 1)
            outs = evaluate(jaxpr, (), [running, *own, *carry, *read])
            kept = [where_lane(running, n, c) for n, c in zip(outs, carry)]
            return [*kept, *outs[len(carry) :]]

        return step

    c_avals, lanes = cond.in_avals[:n_cond], cond.outvars[0].aval
    new = [close_over(*stage(first, [*c_avals, *jaxprs[0].in_avals[1:]]))]
    for p, jaxpr in zip(layout[1:], jaxprs[1:]):
        ins = jaxpr.in_avals[1:]
        new.append(
            close_over(
                *stage(later(p, jaxpr), [*c_avals, *ins[: nconsts + p.ncarry], lanes, *ins[nconsts + p.ncarry :]])
            )
        )
    moved = [p._replace(reads=(0, *(i + 1 for i in p.reads))) for p in layout[1:]]
    return {
        "nconsts": n_cond + nconsts,
        "cond_jaxpr": close_over(*stage(any_lane, cond.in_avals)),
        "layout": (layout[0], *moved),
        "jaxprs": tuple(new),
    }


def where_lane(running: Any, new: Any, old: Any) -> Any:
    """The new value in the lanes that are running, the old one in the others."""
    mask = reshape(running, (*aval_of(running).shape, *[1] * (aval_of(new).ndim - aval_of(running).ndim)))
    return ew.select_n.bind(mask, old, new)


def _guard(
    active: Any, *operands: Any, cond_nconsts: int, cond_jaxpr: Jaxpr, nconsts: int, layout: Layout, jaxprs: Jaxprs
) -> Any:
    from functrans.lax.loops import goes_on

    return tape_p.bind(
        active, *operands[:cond_nconsts], active, *operands[cond_nconsts:], cond_nconsts=cond_nconsts + 1,
        cond_jaxpr=goes_on(cond_jaxpr), nconsts=nconsts + 1, layout=layout, jaxprs=tuple(map(guarded, jaxprs)),
    )  # fmt: skip


tape_p = Primitive("tape", multiple_results=True)
tape_p.impl = _impl
tape_p.abstract_eval = _abstract
tape_p.native = _native
tape_p.jvp = _jvp
tape_p.linearize = _linearize
tape_p.transpose = _transpose
tape_p.batch = _batch
tape_p.guard = _guard
