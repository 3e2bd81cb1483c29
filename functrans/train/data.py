"""Data as batches: arrays cut into pieces, in order or shuffled, or whatever gives batches when iterated over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from functrans import random
from functrans.core.array import Array
from functrans.core.pytree import flatten, unflatten
from functrans.errors import ArgumentError, DTypeError, ShapeError


class Batches:
    """Batches `(inputs, targets)` or `(inputs, targets, weights)` of arrays, again for each epoch.

    Args:
        what: the name of the data in errors.
        data: a tuple of two or three arrays (or pytrees of arrays) whose first axis counts examples, or an iterable of
            such tuples, each one batch, or a function that makes such an iterable.
        batch_size: the examples in a batch of arrays; the last one may have fewer.
        drop_last: leave that one out.
    """

    def __init__(self, what: str, data: Any, batch_size: int, drop_last: bool = False):
        if batch_size < 1:
            raise ArgumentError(f"batch_size must be 1 or more, got {batch_size}")
        self.what, self.data, self.batch_size = what, data, batch_size
        self.leaves: list[np.ndarray] | None = None
        if isinstance(data, tuple):
            self._check_parts(data)
            leaves, self.treedef = flatten(data, lambda x: x is None)
            self.leaves = [_array(what, leaf) for leaf in leaves]
            self.examples = count_examples(what, self.leaves)
            self.used = self.examples - self.examples % batch_size if drop_last else self.examples
            if not self.used:
                raise ArgumentError(
                    f"{what}: drop_last leaves nothing of {self.examples} examples, a batch has {batch_size}"
                )
        elif isinstance(data, (np.ndarray, Array, str, dict)) or not (isinstance(data, Iterable) or callable(data)):
            raise ArgumentError(
                f"{what} must be a tuple (inputs, targets) of arrays, an iterable of such tuples, or a function that "
                f"makes one, got {data!r:.60}"
            )

    def __len__(self) -> int:
        if self.leaves is not None:
            return math.ceil(self.used / self.batch_size)
        return len(self.data)

    @property
    def count(self) -> int | None:
        """How many batches an epoch has, if that is known."""
        try:
            return len(self)
        except TypeError:
            return None

    def check_repeatable(self) -> None:
        if isinstance(self.data, Iterator):
            raise ArgumentError(
                f"{self.what} is an iterator, {type(self.data).__name__}, which gives its batches once; for several "
                "epochs pass what can be iterated over again, such as a list, or the function that makes the iterator"
            )

    def epoch(self, key: Any = None, skip: int = 0) -> Iterator[tuple[Any, ...]]:
        """The batches of an epoch but for the first few; arrays in random order if there is a key."""
        if self.leaves is None:
            for i, batch in enumerate(self.data if isinstance(self.data, Iterable) else self.data()):
                if i >= skip:
                    yield self._converted(batch)
            return
        order = None if key is None else np.asarray(random.permutation(key, self.examples))
        for start in range(skip * self.batch_size, self.used, self.batch_size):
            chosen: Any = slice(start, start + self.batch_size)
            chosen = chosen if order is None else order[chosen]
            yield unflatten(self.treedef, [leaf[chosen] for leaf in self.leaves])

    def _converted(self, batch: Any) -> tuple[Any, ...]:
        if not isinstance(batch, (tuple, list)):
            raise ArgumentError(
                f"each batch of {self.what} must be a tuple (inputs, targets), got {batch!r:.60}. A list is "
                "taken for one of batches: inputs and targets as whole arrays are a tuple, (x, y)"
            )
        self._check_parts(batch)
        leaves, treedef = flatten(tuple(batch), lambda x: x is None)
        arrays = [_array(self.what, leaf) for leaf in leaves]
        count_examples(self.what, arrays)
        return unflatten(treedef, arrays)

    def _check_parts(self, parts: Any) -> None:
        if len(parts) not in (2, 3):
            raise ArgumentError(
                f"{self.what} must be (inputs, targets) or (inputs, targets, weights), got {len(parts)} parts"
            )


def count_examples(what: str, leaves: list[np.ndarray]) -> int:
    """The size of the first axis, which all leaves must share."""
    sizes = {leaf.shape[:1] for leaf in leaves}
    if () in sizes:
        raise ShapeError(f"{what}: the first axis of each array counts examples, but one has no axes")
    if len(sizes) != 1:
        raise ShapeError(f"{what}: arrays with different numbers of examples, {sorted(n for (n,) in sizes)}")
    ((n,),) = sizes
    if n == 0:
        raise ArgumentError(f"{what} has no examples")
    return n


def _array(what: str, leaf: Any) -> np.ndarray:
    """An array of NumPy's from anything like one: arrays, columns of pandas, tensors of PyTorch on the CPU."""
    if isinstance(leaf, np.ndarray):
        return leaf
    array = np.asarray(leaf)
    if array.dtype.kind not in "biufc":
        raise DTypeError(f"{what} must be arrays of numbers, got {leaf!r:.60} of type {type(leaf).__name__}")
    return array


def pieces(x: Any, batch_size: int) -> Iterator[Any]:
    """A pytree of arrays cut along the first axis; or the batches of an iterable as they come."""
    leaves, treedef = flatten(x)
    if len(leaves) == 1 and leaves[0] is x and not hasattr(x, "__array__") and isinstance(x, Iterable):
        yield from x
        return
    arrays = [_array("inputs", leaf) for leaf in leaves]
    for start in range(0, count_examples("inputs", arrays), batch_size):
        yield unflatten(treedef, [leaf[start : start + batch_size] for leaf in arrays])
