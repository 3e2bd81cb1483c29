"""Every primitive has its rules, and every rule is right: the registry walked with the table of `samples.py`."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
from helpers import check_batching, check_staged
from hypothesis import given, settings, strategies as st
from samples import COMPLEX, SAMPLES, samples

import functrans as ft
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import Jaxpr, inner_jaxprs
from functrans.core.primitive import Primitive, registry
from functrans.core.trace import StagingTrace
from functrans.lax.elementwise import Elementwise
from functrans.testing import arrays, broadcastable_shapes, check_grads
from functrans.testing.comparison import difference

NAMES = sorted(registry)
ELEMENTWISE = [n for n in NAMES if isinstance(registry[n], Elementwise)]

#: No derivative rule: they have no operand, are only transposed (`custom_pullback`), or are LAPACK's own forms.
NOT_DIFFERENTIABLE = {"axis_index", "constant", "iota", "custom_pullback", "hessenberg", "tridiagonal"}


def missing(primitive: Primitive, rule: str) -> bool:
    return "_missing" in getattr(getattr(primitive, rule), "__qualname__", "")


def inner_primitives(jaxpr: Jaxpr) -> set[str]:
    inner = [j for eqn in jaxpr.eqns for _, j in inner_jaxprs(eqn.params)]
    return {eqn.primitive.name for j in inner for eqn in j.eqns}.union(*map(inner_primitives, inner))


def test_the_table_names_only_primitives():
    assert set(SAMPLES) | set(COMPLEX) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_rules_are_there(name):
    primitive = registry[name]
    assert not missing(primitive, "impl") or name == "axis_index"  # has a value for the enclosing vmap alone
    assert not missing(primitive, "abstract_eval")
    # What has no operand is never batched.
    assert not missing(primitive, "batch") or name in ("constant", "iota")
    declared = primitive.jvp.__qualname__ == "Primitive._not_differentiable"
    assert declared == (name in NOT_DIFFERENTIABLE)
    assert len(list(samples(name))) > 0


CASES = [pytest.param(s, name, id=f"{name}-{i}") for name in NAMES for i, s in enumerate(samples(name))]


@pytest.mark.parametrize(("sample", "name"), CASES)
def test_sample_applies_the_primitive(sample, name, monkeypatch):
    seen = set()
    add_eqn = StagingTrace.add_eqn
    monkeypatch.setattr(StagingTrace, "add_eqn", lambda self, p, *rest: seen.add(p.name) or add_eqn(self, p, *rest))
    closed = ft.make_jaxpr(sample.fun)(*sample.args)
    check_jaxpr(closed.jaxpr)
    assert name in seen | {eqn.primitive.name for eqn in closed.jaxpr.eqns} | inner_primitives(closed.jaxpr)


@pytest.mark.parametrize(("sample", "name"), CASES)
def test_staged_and_batched(sample, name):
    check_staged(flat(sample.fun), *sample.args)
    check_batching(flat(sample.fun), *sample.args)


@pytest.mark.parametrize(("sample", "name"), CASES)
def test_compiled(sample, name):
    wanted = flat(sample.fun)(*sample.args)
    problem = difference(ft.jit(flat(sample.fun))(*sample.args), wanted)
    assert not problem, problem


@pytest.mark.parametrize(("sample", "name"), [c for c in CASES if c.values[0].order])
def test_derivatives(sample, name):
    check_grads(sample.fun, sample.args, sample.order, sample.modes)


@pytest.mark.parametrize(("sample", "name"), [c for c in CASES if c.values[0].order])
def test_compiled_derivatives(sample, name):
    rng = np.random.default_rng(1)
    args = [np.asarray(a) for a in sample.args]
    tangents = [
        rng.normal(size=a.shape).astype(a.dtype) if a.dtype.kind in "fc" else np.zeros(a.shape, ft.float0) for a in args
    ]
    push = lambda *a: [t for t in flat(lambda *a: ft.jvp(sample.fun, a, tangents)[1])(*a) if t.dtype != ft.float0]
    for got, want in zip(ft.jit(push)(*args), push(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)
    if "rev" in sample.modes:
        out = ft.tree.map(np.ones_like, sample.fun(*args))
        pull = lambda *a: [t for t in ft.tree.leaves(ft.vjp(sample.fun, *a)[1](out)) if t.dtype != ft.float0]
        for got, want in zip(ft.jit(pull)(*args), pull(*args), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def flat(fun: Callable[..., Any]) -> Callable[..., list[Any]]:
    return lambda *args: ft.tree.leaves(fun(*args))


# ---------------------------------------------------------------- elementwise primitives against their ufuncs

#: Units in the last place between kernels and NumPy, where it is not 4: both sides round.
ULPS: dict[str, int] = {
    "log": 32,  # complex: the logarithm of a modulus near one
    "log10": 32,
    "ndtr": 64,  # far to the left, where rounding x / sqrt(2) counts x^2 times
}
#: What SciPy computes in float32 with errors of a hundred units, and kernels in float64.
IN_DOUBLE = ("regularized_incomplete_beta", "betaincc", "betaincinv", "betainccinv", "stdtr", "stdtrit")


def _lgamma(x: float) -> float:
    if not 0 < abs(x) < np.inf or (x < 0 and x == int(x)):
        return scipy.special.gammaln(x)
    with mpmath.workdps(40):
        return float(mpmath.log(abs(mpmath.gamma(x))) if abs(x) < 1e3 else mpmath.re(mpmath.loggamma(x)))


def _digamma(x: float) -> float:
    if not 0 < abs(x) < np.inf or (x < 0 and x == int(x)):
        return scipy.special.digamma(x)
    with mpmath.workdps(40):
        return float(mpmath.digamma(x))


#: Functions of which SciPy's have errors of dozens of units in the last place, or more.
REFERENCES = {"lgamma": _lgamma, "erfc": math.erfc, "digamma": _digamma}

CI = [np.bool_, np.int32, np.uint8, np.float32, np.float64, np.complex128]
ALL = [np.bool_, *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)), "f2", "f4", "f8", "c8", "c16"]
DTYPES = [np.dtype(t) for t in (ALL if settings.default.max_examples > 100 else CI)]


def values_of(dtype: np.dtype, rng: np.random.Generator) -> np.ndarray:
    """Special values, and numbers of every size."""
    if dtype.kind == "b":
        return np.array([False, True] * 20)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        special = [0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1]
        return np.array([*special, *rng.integers(max(info.min, -99), min(info.max, 99), 31)], dtype)
    part = np.empty(0, dtype).real.dtype
    info = np.finfo(part)
    special = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.nan, np.inf, -np.inf, info.max, -info.max, info.tiny, info.eps]
    special += [info.smallest_subnormal, -info.smallest_subnormal, 1 - info.epsneg, 1 + info.eps, np.pi, 1e3, -1e3]
    sizes = np.exp(rng.uniform(-6, 6, 40)) * rng.choice([-1, 1], 40)
    real = np.array([*special, *rng.uniform(-1, 1, 20), *sizes]).astype(part)
    if dtype.kind == "f":
        return real
    # Numba's complex square root divides by zero at the smallest subnormal of all.
    finite = real[np.isfinite(real) & (np.abs(real) < 1e3) & (np.abs(real) != info.smallest_subnormal)]
    return (rng.permutation(finite) + 1j * rng.permutation(finite)).astype(dtype)


#: `max(a, b) + log1p(...)` may cancel: then the error of the second term, of this size at most, is what remains. So may
#: `digamma(1 - x) - pi / tan(pi x)`, below zero.
SUMMANDS = {"logaddexp": float(np.log(2)), "logaddexp2": 1.0, "digamma": float(np.log(10))}


def assert_within_ulps(got: Any, want: Any, ulps: int, summand: float = 0.0) -> None:
    """Equal shapes and dtypes; equal integers; floats within units in the last place, NaN and infinities alike.

    `summand` is the size of a term that the result may be a small difference of; its units count as well.
    """
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want)
        return
    eps = np.finfo(want.dtype).eps
    np.testing.assert_allclose(got, want, rtol=ulps * eps, atol=np.finfo(want.dtype).tiny + ulps * eps * summand)


def operands_for(primitive: Elementwise, dtype: np.dtype) -> list[np.ndarray] | None:
    """Pairs of all values (as a column and a row), or `None` where NumPy has no such loop."""
    rng = np.random.default_rng(0)
    count = primitive.ufunc.nin
    columns = [values_of(dtype, rng) for _ in range(count)]
    if primitive.name.startswith("shift"):
        columns[1] = np.arange(7).astype(dtype)
    if primitive.name == "reciprocal" and dtype.kind in "iu":
        columns[0] = columns[0][columns[0] != 0]  # undefined, also in NumPy
    if primitive.name == "pow" and dtype.kind in "iu":
        columns[1] = np.arange(7).astype(dtype)
    if primitive.name == "ldexp":
        columns[1] = rng.integers(-5, 5, 20).astype(np.int32)
    if primitive.name == "polygamma":
        columns = [np.array([1.0, 2.0, 3.0], dtype), columns[1]]
    if primitive.name == "hyp1f1":  # at large parameters SciPy does not come to an end
        columns = [c[~(np.abs(c) > 20)] for c in columns]
        columns = [c[: min(map(len, columns))] for c in columns]
    if primitive.name == "kv" and dtype.kind == "f":  # the largest order of all is no number to SciPy's float32
        columns[0] = columns[0][~(np.abs(columns[0]) == np.finfo(dtype).max)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            primitive.ufunc(*(c[:1] for c in columns))
    except TypeError:
        return None
    if count > 2:  # not all combinations, but many
        return [rng.permutation(np.repeat(c, 4)) for c in columns]
    return columns if count == 1 else [columns[0][:, None], columns[1]]


#: Without those that are no functions of arbitrary operands to SciPy either; kernels call SciPy for them.
OPAQUE = ("hyp0f1", "lambertw", "sph_harm_y", *[n for n in ELEMENTWISE if n.startswith(("eval_", "spherical_"))])
WITH_UFUNC = [n for n in ELEMENTWISE if registry[n].ufunc is not None and n not in ("integer_pow", *OPAQUE)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", WITH_UFUNC)
def test_compiled_values_are_numpys(name, dtype):
    primitive = registry[name]
    if name == "polygamma" and dtype not in (np.float32, np.float64):
        pytest.skip("SciPy computes it in float32 for small dtypes, and says float64")
    operands = operands_for(primitive, dtype)
    if operands is None:
        with pytest.raises(ft.errors.DTypeError):
            ft.make_jaxpr(primitive)(*[np.zeros(2, dtype)] * primitive.ufunc.nin)
        return
    with np.errstate(all="ignore"):
        with warnings.catch_warnings():
            if name == "expn":  # SciPy warns of orders that are not whole
                warnings.simplefilter("ignore")
            want = np.asarray(primitive.impl(*operands))  # the ufunc, or what lax/corners.py makes of it
        got = ft.jit(primitive)(*operands)
        if name in IN_DOUBLE and dtype == np.float32:
            want = primitive.ufunc(*(x.astype(np.float64) for x in operands)).astype(dtype)
    if name in REFERENCES and dtype.kind != "c":
        exact = np.array([REFERENCES[name](x) for x in operands[0].astype(want.dtype).tolist()])
        with np.errstate(over="ignore"):
            want = exact.astype(want.dtype)
    assert_within_ulps(got, want, ULPS.get(name, 4), SUMMANDS.get(name, 0.0))


@given(st.data())
@pytest.mark.parametrize("name", ["add", "select_n", "exp", "max"])
def test_shapes_and_layouts(name, data):
    primitive = registry[name]
    count = len(next(iter(samples(name))).args) if name != "select_n" else 3
    shapes = data.draw(broadcastable_shapes(count, max_dims=2, min_side=0, max_side=2))
    dtypes = [np.dtype(bool), *[np.dtype(float)] * 2] if name == "select_n" else [np.dtype(float)] * count
    operands = [data.draw(arrays(d, s, special=True)) for d, s in zip(dtypes, shapes)]
    with np.errstate(all="ignore"):
        want = primitive(*operands)
    assert_within_ulps(ft.jit(primitive)(*operands), want, 4)
    if all(o.ndim for o in operands) and all(len(o) for o in operands):
        rows = min(len(o) for o in operands)
        mapped = ft.vmap(primitive)(*[o[:rows] for o in operands])
        loop = np.stack([primitive(*[o[i] for o in operands]) for i in range(rows)])
        assert_within_ulps(mapped, loop, 4)
