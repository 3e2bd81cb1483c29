"""`gather` and `scatter*` with dimension numbers, against their definition, element by element."""

import itertools

import numpy as np
import pytest

import functrans as ft
from functrans import errors, lax
from functrans.testing import check_grads

MODES = ("clip", "fill", "promise_in_bounds")


def draw(seed):
    """An operand, indices, and dimension numbers for both directions that fit them."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 4))
    shape = tuple(int(n) for n in rng.integers(2, 5, ndim))
    batch = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3)))
    axes = list(rng.permutation(ndim))
    batching, index_batching = [], []
    if batch and ndim > 1 and rng.random() < 0.4:
        batching, index_batching = [axes.pop()], [int(rng.integers(len(batch)))]
        shape = tuple(batch[index_batching[0]] if a == batching[0] else n for a, n in enumerate(shape))
    indexed = axes[: int(rng.integers(0, len(axes) + 1))]
    sizes = [1 if a in batching else int(rng.integers(1, n + 1)) for a, n in enumerate(shape)]
    collapsed = sorted(a for a in range(ndim) if a not in batching and sizes[a] == 1 and rng.random() < 0.6)
    kept = [a for a in range(ndim) if a not in collapsed and a not in batching]
    offset = sorted(int(d) for d in rng.permutation(len(batch) + len(kept))[: len(kept)])
    indices = rng.integers(-2, 5, (*batch, len(indexed)))
    numbers = (
        tuple(offset),
        tuple(collapsed),
        tuple(map(int, indexed)),
        tuple(map(int, batching)),
        tuple(index_batching),
    )
    return shape, tuple(sizes), indices, numbers


def elements(shape, sizes, indices, numbers, mode):
    """Pairs (place in the result or the updates, place in the operand or `None`), by the definition."""
    offset, collapsed, indexed, batching, index_batching = numbers
    batch = indices.shape[:-1]
    kept = [a for a in range(len(shape)) if a not in collapsed and a not in batching]
    for b in np.ndindex(*batch):
        start = [0] * len(shape)
        for j, a in enumerate(indexed):
            start[a] = int(indices[(*b, j)])
        for a, i in zip(batching, index_batching):
            start[a] = b[i]
        inside = all(0 <= s <= n - m for s, n, m in zip(start, shape, sizes))
        if mode == "clip":
            start = [min(max(s, 0), n - m) for s, n, m in zip(start, shape, sizes)]
        for w in np.ndindex(*(sizes[a] for a in kept)):
            place, rest = [0] * (len(batch) + len(kept)), iter(b)
            for d in range(len(place)):
                place[d] = w[offset.index(d)] if d in offset else next(rest)
            at = list(start)
            for a, i in zip(kept, w):
                at[a] += i
            yield tuple(place), tuple(at) if inside or mode == "clip" else None


def result_shape(sizes, indices, numbers):
    offset, collapsed, _, batching, _ = numbers
    windows = iter(n for a, n in enumerate(sizes) if a not in collapsed and a not in batching)
    batch = iter(indices.shape[:-1])
    total = indices.ndim - 1 + len(offset)
    return tuple(next(windows) if d in offset else next(batch) for d in range(total))


def in_bounds(shape, sizes, indices, numbers):
    limits = [shape[a] - sizes[a] for a in numbers[2]]
    return np.clip(indices, 0, np.array(limits, int)) if limits else indices


def cases(count):
    for seed, mode in itertools.islice(zip(range(count), itertools.cycle(MODES)), count):
        shape, sizes, indices, numbers = draw(seed)
        if mode == "promise_in_bounds":
            indices = in_bounds(shape, sizes, indices, numbers)
        yield seed, shape, sizes, indices, numbers, mode


def test_gather():
    for case in cases(90):
        check_gather(*case)


def check_gather(seed, shape, sizes, indices, numbers, mode):
    x = np.random.default_rng(seed).normal(size=shape)
    want = np.full(result_shape(sizes, indices, numbers), np.nan)
    for place, at in elements(shape, sizes, indices, numbers, mode):
        if at is not None:
            want[place] = x[at]
    numbers = lax.GatherDimensionNumbers(*numbers)
    f = lambda x, i: lax.gather(x, i, numbers, sizes, mode=mode)
    np.testing.assert_array_equal(f(x, indices), want)
    if seed % 10 == 0:
        np.testing.assert_array_equal(ft.jit(f)(x, indices), want)
        batched = ft.vmap(f)(np.stack([x, 2 * x]), np.stack([indices, indices]))
        np.testing.assert_array_equal(batched, np.stack([want, 2 * want]))
        check_grads(lambda x: lax.gather(x, indices, numbers, sizes, mode=mode, fill_value=1.0), (x,), 1)


SCATTERS = {
    "scatter_add": np.add, "scatter_sub": np.subtract, "scatter_mul": np.multiply, "scatter_min": np.minimum,
    "scatter_max": np.maximum,
}  # fmt: skip


def test_scatter():
    for case in cases(90):
        check_scatter(*case)


def check_scatter(seed, shape, sizes, indices, numbers, mode):
    rng = np.random.default_rng(seed)
    x, u = rng.normal(size=shape), rng.normal(size=result_shape(sizes, indices, numbers))
    name = list(SCATTERS)[seed % 5]
    want = x.copy()
    for place, at in elements(shape, sizes, indices, numbers, mode):
        if at is not None:
            want[at] = SCATTERS[name](want[at], u[place])
    numbers = lax.ScatterDimensionNumbers(*numbers)
    f = lambda x, i, u: getattr(lax, name)(x, i, u, numbers, mode=mode)
    np.testing.assert_allclose(f(x, indices, u), want, rtol=1e-12)
    if seed % 9 == 0:
        np.testing.assert_allclose(ft.jit(f)(x, indices, u), want, rtol=1e-12)
        batched = ft.vmap(f, (None, 0, 0))(x, np.stack([indices, indices]), np.stack([u, u]))
        np.testing.assert_allclose(batched, np.stack([want, want]), rtol=1e-12)


def test_scatter_replaces_and_applies():
    numbers = lax.ScatterDimensionNumbers((1,), (0,), (0,))
    x, i, u = np.arange(8.0).reshape(4, 2), np.array([[2], [7], [0]]), np.arange(10.0, 16.0).reshape(3, 2)
    want = x.copy()
    want[2], want[0] = u[0], u[2]
    np.testing.assert_array_equal(lax.scatter(x, i, u, numbers), want)
    np.testing.assert_array_equal(
        lax.scatter(x, i, u.astype(int).tolist()[0] and 0.0 * u, numbers, mode="drop")[2], 0.0
    )
    applied = lax.scatter_apply(x, i, lambda v: -v, numbers, update_shape=(3, 2))
    np.testing.assert_array_equal(applied, np.where(np.isin(np.arange(4), [0, 2])[:, None], -x, x))
    with pytest.raises(errors.IndexOutOfBoundsError, match="out of bounds"):
        ft.jit(lambda x, i, u: lax.scatter(x, i, u, numbers, mode="raise"))(x, i, u)
    check_grads(lambda x, u: lax.scatter(x, i, u, numbers, mode=lax.GatherScatterMode.FILL_OR_DROP), (x, u), 1)
    whole = lax.ScatterDimensionNumbers((0, 1), (), ())
    np.testing.assert_array_equal(lax.scatter_add(x, np.zeros(0, int), x, whole), 2 * x)
    assert (
        lax.scatter_add(np.array(2.0), np.zeros((3, 0), int), np.ones(3), lax.ScatterDimensionNumbers((), (), ()))
        == 5.0
    )


X = np.zeros((3, 4))
ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))
BAD = {
    "no numbers": (lambda: lax.gather(X, np.array([[0]])), errors.ArgumentError, "GatherDimensionNumbers"),
    "sizes": (lambda: lax.gather(X, np.array([[0]]), ROWS, (1,)), errors.ShapeError, "each axis needs one"),
    "too large": (lambda: lax.gather(X, np.array([[0]]), ROWS, (1, 5)), errors.ShapeError, "do not fit"),
    "collapsed": (lambda: lax.gather(X, np.array([[0]]), ROWS, (2, 4)), errors.ShapeError, "size one"),
    "entries": (lambda: lax.gather(X, np.array([[0, 1]]), ROWS, (1, 4)), errors.ShapeError, "an index for each"),
    "floats": (lambda: lax.gather(X, np.array([[0.0]]), ROWS, (1, 4)), errors.DTypeError, "integers"),
    "mode": (lambda: lax.gather(X, np.array([[0]]), ROWS, (1, 4), mode="x"), errors.ArgumentError, "mode of gather"),
    "updates": (
        lambda: lax.scatter_add(X, np.array([[0]]), np.ones((2, 4)), lax.ScatterDimensionNumbers((1,), (0,), (0,))),
        errors.ShapeError, "updates of shape",
    ),
    "dtype": (
        lambda: lax.scatter_add(X.astype(int), np.array([[0]]), np.ones((1, 4)),
                                lax.ScatterDimensionNumbers((1,), (0,), (0,))),
        errors.DTypeError, "convert them",
    ),
    "no scatter numbers": (lambda: lax.scatter_add(X, np.array([[0]]), X, None), errors.ArgumentError, "Scatter"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_errors(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
    with pytest.raises(error, match=text):
        ft.jit(lambda: call())()
