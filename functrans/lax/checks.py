"""The primitive of `checking.check`: an error at run time where a predicate does not hold.

`check(pred, *payload; message)` raises `CheckError` with a message made of its payload. The first `message.lanes` axes
of `pred` and of the payload are those of enclosing `vmap`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from functrans.core.avals import ShapedArray
from functrans.core.primitive import Axis, Primitive
from functrans.core.pytree import PyTreeDef, unflatten
from functrans.core.source import Source
from functrans.errors import CheckError
from functrans.lax import elementwise as ew
from functrans.transforms.batching import batch_first


@dataclass(frozen=True)
class Message:
    """What a failed check says: a format, and the structure `(args, kwargs)` of what goes into it."""

    fmt: str
    tree: PyTreeDef
    what: str = "check"
    lanes: int = 0  # axes of enclosing vmaps
    mapped: bool = False  # the payload begins with the index of an example, which the message tells
    source: Source | None = None
    debug: bool = False  # checked by `checkify` alone

    @property
    def size(self) -> int:
        """How many values the payload has."""
        return self.tree.num_leaves + self.mapped

    def text(self, payload: Sequence[Any], index: Sequence[int] = ()) -> str:
        """The message for the values of one example, which is at this index."""
        if self.mapped:
            index, payload = (*index, *payload[0].tolist()), payload[1:]
        args, kwargs = unflatten(self.tree, list(payload))
        where = f"at mapped index {', '.join(map(str, index))}: " if len(index) else ""
        line = f" at {self.source}" if self.source else ""
        return f"{where}{self.fmt.format(*args, **kwargs)} ({self.what}{line})"


def _impl(pred: Any, *payload: Any, message: Message) -> list[Any]:
    pred = np.asarray(pred)
    if not message.debug and not pred.all():
        index = tuple(int(i) for i in np.argwhere(~pred)[0])
        raise CheckError(message.text([np.asarray(p)[index] for p in payload], index))
    return []


def _abstract(*avals: ShapedArray, message: Message) -> list[ShapedArray]:
    return []


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
    return check_p.bind(*primals, **params), []


def _batch(axis: Axis, args: list[Any], dims: list[Any], *, message: Message) -> Any:
    args = [batch_first(axis, a, d) for a, d in zip(args, dims)]
    return check_p.bind(*args, message=replace(message, lanes=message.lanes + 1)), []


check_p = Primitive("check", multiple_results=True)
check_p.impl = _impl
check_p.abstract_eval = _abstract
check_p.jvp = _jvp
check_p.batch = _batch
check_p.guard = lambda active, pred, *payload, message: check_p.bind(
    ew.bitwise_or(pred, ew.bitwise_not(active)), *payload, message=message
)
check_p.effect = True
