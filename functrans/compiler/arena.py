"""Where temporary values lie: in results that are not written yet, and in one arena, by the time they live.

Two buffers may share memory when no instruction needs both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from functrans.compiler.plan import Buffer

ALIGNMENT = 64

#: Buffers with fewer bytes do not go into results; of so many at most each is compared with each.
WORTH_LENDING, MOST_COMPARED = 4096, 256


def aligned(n: int) -> int:
    return -(-n // ALIGNMENT) * ALIGNMENT


def lend_results(results: Sequence[Buffer], buffers: Sequence[Buffer]) -> list[tuple[Buffer, Buffer]]:
    """Temporary buffers and the results in which they lie, by their offsets: large ones first."""
    hosts = sorted((r for r in results if r.nbytes >= WORTH_LENDING), key=lambda r: r.start)
    guests = sorted((b for b in buffers if b.nbytes >= WORTH_LENDING), key=lambda b: -b.nbytes)
    held: dict[Buffer, list[Buffer]] = {r: [] for r in hosts}
    lent = []
    for b in guests[:MOST_COMPARED]:
        for r in hosts:
            if b.last >= r.start:
                continue
            offset = _lowest(b, held[r])
            if offset + b.nbytes <= r.nbytes:
                b.offset = offset
                held[r].append(b)
                lent.append((b, r))
                break
    return lent


def assign_offsets(buffers: Sequence[Buffer]) -> int:
    """Give each buffer its place in one arena: the arena's size."""
    size = _by_birth(buffers)
    if len(buffers) > MOST_COMPARED:
        return size
    offsets = [b.offset for b in buffers]
    other = _by_size(buffers)
    if other < size:
        return other
    for b, offset in zip(buffers, offsets):
        b.offset = offset
    return size


def _by_size(buffers: Sequence[Buffer]) -> int:
    """The largest first, each at the lowest place that is free while it lives."""
    placed: list[Buffer] = []
    top = 0
    for b in sorted(buffers, key=lambda b: (-b.nbytes, b.first)):
        b.offset = _lowest(b, placed)
        placed.append(b)
        top = max(top, b.offset + aligned(b.nbytes))
    return top


def _lowest(b: Buffer, placed: Sequence[Buffer]) -> int:
    """The lowest offset at which a buffer meets none of those that live while it does."""
    offset, size = 0, aligned(b.nbytes)
    for start, stop in sorted(
        (p.offset, p.offset + aligned(p.nbytes)) for p in placed if p.first <= b.last and b.first <= p.last
    ):
        if start >= offset + size:
            break
        offset = max(offset, stop)
    return offset


def _by_birth(buffers: Sequence[Buffer]) -> int:
    """In order of birth, each in the smallest gap that fits."""
    births = sorted(buffers, key=lambda b: b.first)
    deaths = sorted(buffers, key=lambda b: b.last)
    gaps: list[tuple[int, int]] = []  # (start, size), by start
    top = 0
    dying = iter(deaths)
    next_dead = next(dying, None)
    for buffer in births:
        while next_dead is not None and next_dead.last < buffer.first:
            gaps = _release(gaps, next_dead.offset, aligned(next_dead.nbytes))
            next_dead = next(dying, None)
        size = aligned(buffer.nbytes)
        if not size:
            continue
        fitting = [(gap, start) for start, gap in gaps if gap >= size]
        if fitting:
            gap, start = min(fitting)
            i = gaps.index((start, gap))
            gaps[i : i + 1] = [(start + size, gap - size)] if gap > size else []
            buffer.offset = start
        else:  # at the end, over a gap that lies there
            if gaps and sum(gaps[-1]) == top:
                start, _ = gaps.pop()
            else:
                start = top
            buffer.offset = start
            top = start + size
    return top


def _release(gaps: list[tuple[int, int]], start: int, size: int) -> list[tuple[int, int]]:
    """The gaps with one more, joined to its neighbours."""
    if not size:
        return gaps
    i = bisect_left(gaps, (start, 0))
    if i < len(gaps) and start + size == gaps[i][0]:
        size += gaps.pop(i)[1]
    if i and sum(gaps[i - 1]) == start:
        start, size = gaps[i - 1][0], gaps[i - 1][1] + size
        i -= 1
        gaps.pop(i)
    gaps.insert(i, (start, size))
    return gaps
