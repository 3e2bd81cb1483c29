"""Functions of `functrans.compiler.mathematics` against mpmath: the whole range, and the arguments that are hard."""

import mpmath
import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans.compiler import mathematics

#: Each function's value by mpmath, which computes to 160 bits here.
EXACT = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "erf": mpmath.erf,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
}
CALLS = {name: getattr(fnp, name, None) or getattr(ft.lax, name) for name in EXACT}
TYPES = [np.float64, np.float32]
#: Around these a method changes, or the result leaves the normal numbers.
HARD = [
    0.0, 0.25, 0.34657359, 0.5, 0.625, np.sqrt(0.5), 1.0, np.sqrt(2.0), 2.0, np.e, 4.0, 5.9, 6.0, 9.0, 10.0, 17.33,
    20.0, 22.0, 36.74, 40.0, 87.33, 88.72, 103.97, 104.0, 126.0, 127.0, 128.0, 149.0, 708.396, 709.78, 745.13, 746.0,
    1022.0, 1023.0, 1024.0, 1074.0, 2.0**17, 2.0**22, 2.0**30, 2.0**53,
]  # fmt: skip


def arguments(dtype):
    """Numbers of everyday size, of any bits, next to multiples of pi/2, and next to what is hard, of both signs."""
    rng = np.random.default_rng(0)
    bits = np.uint64 if dtype == np.float64 else np.uint32
    anything = rng.integers(0, np.iinfo(bits).max, 300, dtype=bits).view(dtype)
    hard = np.array(HARD, dtype)
    for _ in range(3):
        hard = np.unique(np.concatenate([hard, np.nextafter(hard, dtype(-np.inf)), np.nextafter(hard, dtype(np.inf))]))
    values = np.concatenate(
        [
            rng.uniform(-10, 10, 300),
            rng.uniform(-110 if dtype == np.float32 else -750, 90 if dtype == np.float32 else 710, 300),
            rng.normal(size=200) * 10.0 ** rng.uniform(-30, 0, 200),
            rng.integers(-(10**6), 10**6, 200) * (np.pi / 2),
            1 + rng.normal(size=100) * 1e-3,
        ]
    ).astype(dtype)
    return np.concatenate([values, anything[np.isfinite(anything)], hard, -hard])


def error_in_ulps(name, x, got):
    """The distance from the exact value in units in the last place of it; 0 where both are NaN or the same infinity."""
    info = np.finfo(x.dtype)
    least, digits = int(np.log2(float(info.smallest_subnormal))), info.nmant
    with mpmath.workprec(160):
        exact = EXACT[name](mpmath.mpf(float(x)))
        if isinstance(exact, mpmath.mpc):
            return 0.0 if np.isnan(got) else np.inf
        if mpmath.isinf(exact) or abs(exact) >= mpmath.mpf(2) ** info.maxexp * (1 - mpmath.mpf(2) ** -(digits + 2)):
            return 0.0 if np.isinf(got) and np.sign(got) == mpmath.sign(exact) else np.inf
        if not np.isfinite(got):
            return np.inf
        exponent = max(mpmath.frexp(exact)[1] - 1 - digits, least) if exact else least
        return float(abs(mpmath.mpf(float(got)) - exact) / mpmath.mpf(2) ** exponent)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_compiled_values_are_within_the_stated_bound(name, dtype):
    x = arguments(dtype)
    with np.errstate(all="ignore"):
        got = np.asarray(ft.jit(CALLS[name])(x))
    assert got.dtype == dtype
    errors = np.array([error_in_ulps(name, a, b) for a, b in zip(x, got)])
    worst = int(np.argmax(errors))
    assert errors[worst] <= 1.2, f"{name}({x[worst]!r}) is {got[worst]!r}, {errors[worst]:.3g} ulp off"


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_special_values_are_numpys(name, dtype):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, -1.0], np.float64)
    with np.errstate(all="ignore"):
        x = x.astype(dtype)
        got, want = np.asarray(ft.jit(CALLS[name])(x)), np.asarray(CALLS[name](x))
    np.testing.assert_allclose(got, want, rtol=2 * np.finfo(dtype).eps, atol=0)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_the_text_says_the_same_in_numpy(name, dtype):
    text = getattr(mathematics, f"{name}_f{np.dtype(dtype).itemsize * 8}").py_func
    with np.errstate(all="ignore"):
        x = arguments(dtype)[::3]
        compiled, interpreted = np.asarray(ft.jit(CALLS[name])(x)), np.array([text(a) for a in x], dtype)
    # Where the machine fuses multiplication and addition, last bits may differ.
    np.testing.assert_allclose(
        compiled, interpreted, rtol=3 * np.finfo(dtype).eps, atol=2 * np.finfo(dtype).smallest_subnormal
    )


def test_rare_arguments_of_several_functions_in_one_loop():
    def f(x):
        y = x.astype(np.float32)
        return fnp.sin(x) + 2 * fnp.cos(x) + 4 * (fnp.sin(y) + 2 * fnp.cos(y)).astype(np.float64)

    x = np.concatenate([np.linspace(-10, 10, 37), 10.0 ** np.linspace(5, 20, 61), [np.inf, np.nan]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(ft.jit(f)(x), f(fnp.asarray(x)), rtol=0, atol=1e-5)
