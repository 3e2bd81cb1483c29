"""Schedules against evaluation by NumPy: random programs, texts that do not depend on sizes, numbers at the edges."""

import ctypes
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from functrans.compiler import kernels
from functrans.compiler.loops import schedule
from functrans.compiler.steps import Kernel, Opaque
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Jaxpr, Literal, evaluate
from functrans.core.trace import stage
from functrans.lax import (
    broadcasting as B,
    conversion as C,
    elementwise as E,
    indexing as I,
    reductions as R,
    structural as S,
)

_CALL = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)
_MARGIN = 4096


def traced(fun, *args):
    """The jaxpr of a function at the types of the arguments, and its constants."""

    def flat(*xs):
        out = fun(*xs)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    return stage(flat, [ShapedArray(np.shape(a), np.asarray(a).dtype) for a in args])


def run(jaxpr: Jaxpr, values, pieces=1):
    """Run a schedule, parallel kernels in pieces; memory around each buffer and each input must stay as it is."""
    env = {v: np.array(a, v.aval.dtype, order="C") for v, a in zip((*jaxpr.constvars, *jaxpr.invars), values)}
    for step in schedule(jaxpr):
        if isinstance(step, Opaque):
            out = step.eqn.primitive.impl(*[read(env, a) for a in step.eqn.inputs], **step.eqn.params)
            outs = out if step.eqn.primitive.multiple_results else [out]
            env.update(zip(step.eqn.outvars, map(np.asarray, outs)))
        else:
            call(step, env, pieces)
    return [read(env, a) for a in jaxpr.outvars]


def read(env, atom):
    if isinstance(atom, Literal):
        return atom.value
    return env[atom] if atom.aval.size else np.empty(atom.aval.shape, atom.aval.dtype)


def call(kernel: Kernel, env, pieces):
    memory = []
    for v in kernel.buffers:
        value = env[v] if v in env else np.zeros(v.aval.shape, v.aval.dtype)
        raw = np.full(value.nbytes + 2 * _MARGIN, 0xA5, np.uint8)
        raw[_MARGIN : _MARGIN + value.nbytes] = np.frombuffer(value.tobytes(), np.uint8)
        memory.append(raw)
    status = np.zeros(1, np.int64)
    table = np.array([*[m.ctypes.data + _MARGIN for m in memory], status.ctypes.data], np.int64)
    sizes = np.array([*kernel.sizes, 0], np.int64)
    pieces = pieces if kernel.parallel else 1
    for p in range(pieces):
        lo, hi = kernel.extent * p // pieces, kernel.extent * (p + 1) // pieces
        _CALL(kernels.load(kernel.source))(table.ctypes.data, sizes.ctypes.data, lo, hi)
    for v, raw in zip(kernel.buffers, memory):
        assert (raw[:_MARGIN] == 0xA5).all()
        assert (raw[-_MARGIN:] == 0xA5).all()
        value = np.frombuffer(raw[_MARGIN:-_MARGIN].tobytes(), v.aval.dtype).reshape(v.aval.shape)
        if v in kernel.writes:
            env[v] = value
        else:
            np.testing.assert_array_equal(value, env[v])
    if status[0]:
        raise IndexError(kernel.checks[status[0] - 1])


def check(fun, *args, pieces=3, rtol=1e-12):
    jaxpr, consts = traced(fun, *args)
    with np.errstate(all="ignore"):
        expected = evaluate(jaxpr, consts, list(args))
    for want, got in zip(expected, run(jaxpr, [*consts, *args], pieces)):
        want = np.asarray(want)
        if want.dtype.kind in "fc":
            scale = np.nanmax(np.abs(want[np.isfinite(want)]), initial=1)
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * scale)
        else:
            np.testing.assert_array_equal(got, want)
    return schedule(jaxpr)


def total(x, *axes):
    return B.reduce_sum_p.bind(x, axes=axes or tuple(range(x.aval.ndim)))


def along_rows(v, x):
    return B.broadcast_in_dim(v, x.aval.shape, (0,))


def normal(*shape, dtype=np.float64):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


# ---------------------------------------------------------------- what is fused


def softmax(x):
    e = E.exp(x)
    return E.div(e, along_rows(total(e, 1), x))


def layer_norm(x):
    n = float(x.aval.shape[1])
    d = E.sub(x, along_rows(E.div(total(x, 1), n), x))
    variance = E.div(total(E.mul(d, d), 1), n)
    return E.div(d, along_rows(E.sqrt(E.add(variance, 1e-5)), x))


@pytest.mark.parametrize("rows", [softmax, layer_norm])
def test_reductions_and_their_readers_share_a_kernel(rows):
    (kernel,) = check(rows, normal(600, 200))
    assert kernel.parallel
    assert kernel.extent == 600


def test_an_expensive_value_is_computed_once_in_a_row():
    (kernel,) = check(softmax, normal(30, 200))
    assert len([line for line in kernel.source.splitlines() if "exp" in line and "=" in line and "#" not in line]) == 1


def test_results_of_one_shape_share_a_kernel():
    (kernel,) = check(lambda x, y: [E.add(x, y), E.mul(x, y)], normal(40, 50), normal(40, 50))
    assert len(kernel.buffers) == 4


def test_a_result_and_its_sum_share_a_loop():
    def both(x):
        y = E.mul(x, 2.0)
        return [y, total(y, 1)]

    (kernel,) = check(both, normal(40, 50))
    assert kernel.source.count("for j in") == 1


def test_scalars_are_written_out():
    def lorenz(s):
        x, y, z = (S.reshape(S.slice(s, (i,), (i + 1,)), ()) for i in range(3))
        parts = [E.mul(10.0, E.sub(y, x)), E.sub(E.mul(x, E.sub(28.0, z)), y), E.sub(E.mul(x, y), E.mul(8 / 3, z))]
        return S.concatenate([S.reshape(p, (1,)) for p in parts], 0)

    (kernel,) = check(lambda s: E.add(s, E.mul(0.01, lorenz(E.add(s, E.mul(0.005, lorenz(s)))))), normal(3))
    assert "for " not in kernel.source
    assert "if " not in kernel.source


def test_small_kernels_in_sequence_are_one():
    def neighbours(x):
        n = x.aval.shape[0]
        y = E.tanh(x)
        return E.add(S.slice(y, (1,), (n,)), E.mul(S.slice(y, (0,), (n - 1,)), total(y)))

    (kernel,) = check(neighbours, normal(1000))
    assert kernel.extent == 1


def test_structural_reads_need_no_memory():
    def shifted(x):
        n = x.aval.shape[0]
        rolled = S.concatenate([S.slice(x, (n - 1, 0), (n, 40)), S.slice(x, (0, 0), (n - 1, 40))], 0)
        return E.add(S.transpose(rolled, (1, 0)), S.reshape(S.rev(x, (1,)), (40, n)))

    (kernel,) = check(shifted, normal(30, 40))
    assert len(kernel.buffers) == 2


def test_a_long_chain_is_cut_into_few_texts():
    def chain(x):
        for _ in range(200):
            x = E.add(E.mul(E.sin(x), 0.5), E.mul(x, 0.25))
        return x

    jaxpr, _ = traced(chain, normal(1000))
    kernels_ = schedule(jaxpr)
    assert len(kernels_) < 20
    assert len({k.source for k in kernels_}) <= 3


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((20, 3000), (0,)), ((30, 40, 50), (1,)), ((2, 30, 3000), (1,)), ((30, 40, 50), (0,)), ((5, 40, 6, 500), (0, 2))],
)
def test_reductions_over_leading_axes(shape, axes):
    check(lambda x: [E.mul(x, 2.0), total(E.mul(x, 2.0), *axes), R.reduce_max_p.bind(x, axes=axes)], normal(*shape))
    check(lambda x: total(S.transpose(x, range(len(shape))[::-1]), *axes), normal(*shape[::-1]))


_REDUCTIONS = [B.reduce_sum_p, R.reduce_prod_p, R.reduce_max_p, R.reduce_min_p]
_LOGICAL = [R.reduce_and_p, R.reduce_or_p, R.reduce_xor_p]


@pytest.mark.parametrize("dtype", "?bBiIqQefdFD")
def test_reductions_of_every_dtype(dtype):
    dtype = np.dtype(dtype)
    x = np.random.default_rng(0).integers(0, 3, (40, 30)).astype(dtype)
    if dtype.kind in "fc":
        x[3, 4], x[5, 6] = np.nan, -np.inf
    for p in _REDUCTIONS + (_LOGICAL if dtype.kind in "biu" else []):
        for axes in ((0,), (1,), (0, 1)):
            check(lambda x, p=p, axes=axes: p.bind(x, axes=axes), x, rtol=1e-2 if dtype.kind in "fc" else 0)
    check(lambda x: [p.bind(x, axes=(0,)) for p in _REDUCTIONS], x[:3, :4])
    large = np.repeat(x, 40, axis=0)
    check(lambda x: [p.bind(x, axes=(0,)) for p in _REDUCTIONS[2:]], large)


def test_long_chains_do_not_need_a_deep_stack():
    def chain(x):
        for _ in range(100):
            x = E.integer_pow.bind(E.add(x, 0.001), y=7)
        return x

    check(chain, np.full(50, 0.1))
    check(lambda x: R.reduce_prod_p.bind(B.broadcast_in_dim(x, (16, 5), (1,)), axes=(0,)), normal(5))


# ---------------------------------------------------------------- texts and sizes


@pytest.mark.parametrize(
    "fun",
    [
        pytest.param(lambda x: E.add(E.mul(x, 2.0), 1.0), id="affine"),
        softmax,
        layer_norm,
        pytest.param(lambda x: total(E.mul(x, x)), id="sum of all"),
        pytest.param(lambda x: total(x, 0), id="sum of columns"),
        pytest.param(lambda x: S.transpose(x, (1, 0)), id="transpose"),
        pytest.param(lambda x: S.pad(x, 0.0, [(1, 0, 0), (0, 2, 0)]), id="pad"),
    ],
)
def test_texts_do_not_depend_on_sizes(fun):
    texts = []
    for shape in ((300, 200), (420, 777)):
        jaxpr, _ = traced(fun, normal(*shape))
        texts.append([k.source for k in schedule(jaxpr)])
    assert texts[0] == texts[1]


def test_elementwise_texts_do_not_depend_on_rank():
    texts = set()
    for shape in ((1000,), (100, 20), (10, 20, 30), (3, 3, 100)):
        jaxpr, _ = traced(lambda x, y: E.add(E.mul(x, y), 1.0), normal(*shape), normal(*shape))
        texts |= {k.source for k in schedule(jaxpr)}
    assert len(texts) == 1


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "axes"), [((3_000_000,), (0,)), ((300_000, 10), (0,)), ((10, 300_000), (1,))])
def test_sums_are_accurate(dtype, shape, axes):
    x = np.random.default_rng(0).uniform(size=shape).astype(dtype)
    jaxpr, _ = traced(lambda x: total(x, *axes), x)
    (got,) = run(jaxpr, [x])
    columns = np.moveaxis(x, axes[0], 0).reshape(shape[axes[0]], -1).T
    exact = np.array([math.fsum(c.tolist()) for c in columns]).reshape(np.shape(got))
    np.testing.assert_allclose(got, exact, rtol=1e-7 if dtype == np.float32 else 1e-15)


def test_results_do_not_depend_on_the_number_of_threads():
    x = normal(300_000)
    jaxpr, _ = traced(lambda x: total(E.mul(x, x)), x)
    assert run(jaxpr, [x], 1)[0] == run(jaxpr, [x], 5)[0]


@pytest.mark.parametrize("dtype", "?bBhHiIqQefdFD")
def test_literals_are_exact(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        values = [info.min, info.max, 1]
    elif dtype.kind == "b":
        values = [True, False]
    else:
        values = [np.nan, np.inf, -np.inf, -0.0, 0.1, np.finfo(dtype).tiny]
        values += [complex(1.5, -0.0), complex(np.nan, 2)] if dtype.kind == "c" else []
    for value in values:
        scalar = np.array(value).astype(dtype)[()]
        jaxpr, consts = traced(lambda s=scalar: B.broadcast_in_dim_p.create(s, shape=(20,), broadcast_dimensions=()))
        (got,) = run(jaxpr, consts)
        np.testing.assert_array_equal(got, np.full(20, scalar))
        if dtype.kind in "fc":
            np.testing.assert_array_equal(np.signbit(got.real), np.signbit(np.full(20, scalar).real))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64])
def test_integers_wrap_around_and_divide_as_numpy_does(dtype):
    info = np.iinfo(dtype)
    a = np.array([info.min, info.max, 7, 249 if info.min == 0 else -7, 0, 100] * 4, dtype)
    b = np.array([info.max, 3, 0, 2, 5, info.min] * 4, dtype)
    with np.errstate(all="ignore"):
        check(lambda a, b: [E.add(a, b), E.sub(a, b), E.mul(a, b), E.neg(a)], a, b)
        check(lambda a, b: [E.floor_divide(a, b), E.rem(a, b), E.bitwise_and(a, b), E.max(a, b)], a, b)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_point_is_not_widened(dtype):
    x = np.concatenate([normal(40), [np.nan, np.inf, -np.inf, 0.0, -0.0]]).astype(dtype)
    y = np.roll(x, 7)
    jaxpr, _ = traced(lambda x, y: [E.add(E.mul(x, y), x), E.div(x, y), E.max(x, y)], x, y)
    with np.errstate(all="ignore"):
        for want, got in zip(evaluate(jaxpr, [], [x, y]), run(jaxpr, [x, y])):
            np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("of", "?bBiIqQefdFD")
@pytest.mark.parametrize("to", "?bBiIqQefdFD")
def test_conversions(of, to):
    x = np.array([0, 1, 2, 100, 3] * 5, of)
    if x.dtype.kind in "fc":
        x = x + np.array(0.75, of)
    check(lambda x: C.convert_p.bind(x, new_dtype=np.dtype(to), weak_type=False), x, rtol=1e-3) if not (
        of in "FD" and to not in "FD?"
    ) else None


@pytest.mark.parametrize(("of", "to"), ["fI", "If", "dq", "Qd", "eH", "He", "bB", "hH"])
def test_bits(of, to):
    x = np.random.default_rng(0).integers(0, 256, 24 * np.dtype(of).itemsize).astype(np.uint8).view(of)
    x = np.where(np.isnan(x), 1, x).astype(of) if of in "fde" else x
    jaxpr, _ = traced(lambda x: C.bitcast_p.bind(x, new_dtype=np.dtype(to)), x)
    (got,) = run(jaxpr, [x])
    np.testing.assert_array_equal(got.view(f"u{got.itemsize}"), x.view(f"u{x.itemsize}"))


@pytest.mark.parametrize("shape", [(0,), (0, 20), (20, 0), (1, 1), ()])
def test_empty_and_single_elements(shape):
    check(lambda x: [E.mul(x, 2.0), total(x), total(E.exp(x), *range(len(shape)))], normal(*shape))


# ---------------------------------------------------------------- indices


def gathered(x, i, mode="raise"):
    return I.gather_p.bind(x, i, axes=(0,), mode=mode, fill_value=None)


def test_rows_are_gathered():
    i = np.random.default_rng(0).integers(-30, 30, 50)
    (kernel,) = check(lambda x, i: E.mul(gathered(x, i), 2.0), normal(30, 20), i)
    assert len(kernel.buffers) == 3


def test_an_index_out_of_bounds_is_reported():
    jaxpr, _ = traced(lambda x, i: E.mul(gathered(x, i), 2.0), normal(30, 20), np.zeros(50, np.int64))
    for wrong in (30, -31, 1 << 62, -(1 << 62)):
        with pytest.raises(IndexError, match="out of bounds"):
            run(jaxpr, [normal(30, 20), np.full(50, wrong)])


# ---------------------------------------------------------------- random programs

_EXTENTS = [1, 2, 3, 5, 16, 17, 20, 33]


def random_program(seed: int):
    """A function of a few arrays that applies random primitives, and its arguments."""
    pick = random.Random(seed)
    dtype = pick.choice([np.float64, np.float64, np.float32, np.int64, np.int32, np.uint8])
    extents = [*_EXTENTS, 130, 300] if pick.random() < 0.3 else _EXTENTS
    shape = tuple(pick.choice(extents) for _ in range(pick.choice([0, 1, 1, 2, 2, 2, 3])))
    args = []
    for _ in range(pick.randint(1, 3)):
        own = shape if pick.random() < 0.6 else tuple(n if pick.random() < 0.6 else 1 for n in shape)
        args.append((np.random.default_rng(pick.randint(0, 1 << 30)).normal(size=own) * 5).astype(dtype))
    steps = [pick.randint(0, 1 << 30) for _ in range(pick.randint(2, 14))]

    def fun(*xs):
        values = list(xs)
        for number in steps:
            r = random.Random(number)
            x = values[-1] if r.random() < 0.6 else r.choice(values)
            y = r.choice(_STEPS)(r, x, values)
            if y is not None and y.aval.size <= 100_000:
                values.append(y)
        return [values[-1], *random.Random(seed).sample(values, min(2, len(values)))]

    return fun, args


def _binary(r, x, values):
    y = r.choice(values)
    try:
        np.broadcast_shapes(x.aval.shape, y.aval.shape)
    except ValueError:
        return None
    return r.choice([E.add, E.sub, E.mul, E.max])(x, y)


def _slice(r, x, values):
    if 0 in x.aval.shape:
        return None
    starts = [r.randint(0, min(n - 1, 3)) for n in x.aval.shape]
    limits = [r.randint(s + 1, n) for s, n in zip(starts, x.aval.shape)]
    return S.slice(x, starts, limits, [r.choice([1, 1, 2]) for _ in starts])


def _pad(r, x, values):
    low = [r.randint(-1 if n > 2 else 0, 2) for n in x.aval.shape]
    return S.pad(x, x.aval.dtype.type(1), [(lo, r.randint(0, 2), r.choice([0, 0, 1])) for lo in low])


def _concatenate(r, x, values):
    if not x.aval.ndim:
        return None
    d = r.randrange(x.aval.ndim)
    rest = lambda v: v.aval.shape[:d] + v.aval.shape[d + 1 :]
    y = r.choice([v for v in values if v.aval.ndim == x.aval.ndim and rest(v) == rest(x)])
    return S.concatenate([x, y, x][: r.randint(2, 3)], d)


def _transpose(r, x, values):
    axes = list(range(x.aval.ndim))
    r.shuffle(axes)
    return S.transpose(x, axes)


def _reshape(r, x, values):
    n = x.aval.size
    return S.reshape(x, r.choice([(n,), (n, 1), *[(n // k, k) for k in (2, 3, 4, 17) if n % k == 0]]))


def _spread(r, x, values):
    shape = x.aval.shape
    after = r.random() < 0.5
    n = r.choice([2, 3, 18])
    new = (*shape, n) if after else (n, *shape)
    return B.broadcast_in_dim(x, new, range(len(shape)) if after else range(1, len(shape) + 1))


def _reduce(r, x, values):
    n = x.aval.ndim
    axes = tuple(sorted(r.sample(range(n), r.randint(0, n))))
    y = r.choice([B.reduce_sum_p, R.reduce_max_p, R.reduce_min_p]).bind(x, axes=axes) if axes else x
    kept = [d for d in range(n) if d not in axes]
    return B.broadcast_in_dim(y, x.aval.shape, kept) if r.random() < 0.6 else y


def _gather(r, x, values):
    numbers = r.choice(values)
    if not x.aval.ndim or 0 in x.aval.shape or x.aval.size * numbers.aval.size > 100_000:
        return None
    indices = _indices(E.clamp(_of(-40, numbers), numbers, _of(40, numbers)))
    mode = r.choice(["clip", "wrap", "fill"])
    axis = r.randrange(x.aval.ndim)
    return I.gather_p.bind(x, indices, axes=(axis,), mode=mode, fill_value=7 if mode == "fill" else None)


def _indices(x):
    """Integers that the last bits of a result do not decide."""
    return C.convert_element_type(E.rint(x) if x.aval.dtype.kind == "f" else x, np.int64)


def _dynamic(r, x, values):
    starts = [_indices(total(r.choice(values))) if r.random() < 0.5 else 1 for _ in x.aval.shape]
    if any(getattr(v, "aval", v) is None or 0 in x.aval.shape for v in starts):
        return None
    starts = [np.int64(s) if isinstance(s, int) else E.clamp(np.int64(-5), s, np.int64(50)) for s in starts]
    block = I.dynamic_slice_p.bind(x, *starts, slice_sizes=tuple(-(-n // 2) for n in x.aval.shape))
    return block if r.random() < 0.5 else I.dynamic_update_slice_p.bind(x, E.add(block, 1), *starts)


def _of(value, x):
    dtype = x.aval.dtype
    return dtype.type(max(value, 0) if dtype.kind == "u" else value)


_STEPS = [
    lambda r, x, values: E.add(x, 2),
    lambda r, x, values: E.tanh(x) if x.aval.dtype.kind == "f" else E.mul(x, 3),
    lambda r, x, values: S.rev(x, range(x.aval.ndim)),
    *[_binary] * 4, _slice, _pad, _concatenate, _transpose, _reshape, _spread, _gather, _dynamic, *[_reduce] * 3,
]  # fmt: skip


@given(st.integers(0, 1 << 30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_random_programs(seed, pieces):
    fun, args = random_program(seed)
    check(fun, *args, pieces=pieces, rtol=1e-4 if args[0].dtype == np.float32 else 1e-9)
