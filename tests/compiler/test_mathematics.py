"""Functions of `functrans.compiler.mathematics` against mpmath: the whole range, and the arguments that are hard."""

import math
import platform
import re

import mpmath
import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans.compiler import kernels, mathematics


def power(x, y):
    if x < 0 and y != mpmath.floor(y):
        return mpmath.nan
    return x**y


def inverse_of_erf(x):
    """By Newton's method, because mpmath's own is good for a few digits only where 1 - x is small."""
    if abs(x) >= 1:
        return x * mpmath.inf if abs(x) == 1 else mpmath.nan
    y = mpmath.erfinv(x)
    for _ in range(3):
        y += (mpmath.erfc(y) - (1 - x)) / (2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-y * y))
    return y


#: Each function's value by mpmath, which computes to 160 bits here.
EXACT = {
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erf": mpmath.erf,
    "erfc": lambda x: mpmath.erfc(x) if abs(x) < 1000 else 1 - mpmath.sign(x),
    "erfinv": inverse_of_erf,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "lgamma": lambda x: mpmath.re(mpmath.loggamma(x)),
    "digamma": mpmath.digamma,
}
#: The same for functions of two arguments.
EXACT_OF_TWO = {"pow": power, "arctan2": mpmath.atan2, "hypot": mpmath.hypot}
CALLS = {
    name: getattr(fnp, name, None) or getattr(ft.lax, name, None) or getattr(ft.scipy.special, name)
    for name in (*EXACT, *EXACT_OF_TWO)
}
#: What the functions' documentation says of their largest error, where it is not 1.2 ulp.
BOUNDS = {"erfc": 1.5, "logistic": 2.0, "erfinv": 3.0, "lgamma": 3.0, "digamma": 3.0}
#: Where the bound holds, if not everywhere: see `test_gamma_functions_below_zero`.
LEAST = {"lgamma": -0.25, "digamma": 0.0}
TYPES = [np.float64, np.float32]
C_LIBRARY = set(
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh erf erfc exp exp2 expm1 hypot lgamma log log10 log1p log2 "
    "pow sin sinh sqrt tan tanh tgamma".split()
)
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
            rng.uniform(-1, 1, 100),
            1 - 10 ** rng.uniform(-16, 0, 100),
        ]
    ).astype(dtype)
    return np.concatenate([values, anything[np.isfinite(anything)], hard, -hard])


def pairs(name, dtype):
    """Arguments for a function of two, so that most results are finite."""
    rng = np.random.default_rng(1)
    x, y = arguments(dtype), rng.permutation(arguments(dtype))
    x, y = x[(x != 0) & (y != 0)], y[(x != 0) & (y != 0)]  # mpmath has no signed zeros
    if name != "pow":  # also of one size
        with np.errstate(over="ignore"):
            near = x * rng.normal(size=x.size).astype(dtype)
        near[~np.isfinite(near)] = 1
        return np.concatenate([x, x]), np.concatenate([y, near])
    near_one = np.exp(rng.normal(size=x.size) * 10.0 ** rng.uniform(-4, 1.5, x.size))
    bases = np.concatenate([near_one.astype(dtype), np.abs(x)])
    logarithms = rng.uniform(*((-745, 710) if dtype == np.float64 else (-104, 89)), bases.size)
    with np.errstate(divide="ignore", over="ignore"):
        exponents = (logarithms / np.log(bases.astype(np.float64))).astype(dtype)
    whole = rng.integers(-9, 9, bases.size)
    signs = rng.choice([-1.0, 1.0], bases.size).astype(dtype)
    finite = np.isfinite(exponents)
    pairs = [(bases[finite], exponents[finite]), (bases * signs, whole.astype(dtype)), (x, y)]
    return tuple(np.concatenate(parts) for parts in zip(*pairs))


def arguments_of(name, dtype):
    if name in EXACT_OF_TWO:
        return pairs(name, dtype)
    x = arguments(dtype)
    return (x[(x >= LEAST[name]) & (x != 0)] if name in LEAST else x,)


def error_in_ulps(name, got, *args):
    """The distance from the exact value in units in the last place of it; 0 where both are NaN or the same infinity."""
    info = np.finfo(got.dtype)
    least, digits = int(np.log2(float(info.smallest_subnormal))), info.nmant
    with mpmath.workprec(160):
        exact = (EXACT | EXACT_OF_TWO)[name](*[mpmath.mpf(float(x)) for x in args])
        if isinstance(exact, mpmath.mpc) or mpmath.isnan(exact):
            return 0.0 if np.isnan(got) else np.inf
        if mpmath.isinf(exact) or abs(exact) >= mpmath.mpf(2) ** info.maxexp * (1 - mpmath.mpf(2) ** -(digits + 2)):
            return 0.0 if np.isinf(got) and np.sign(got) == mpmath.sign(exact) else np.inf
        if not np.isfinite(got):
            return np.inf
        exponent = max(mpmath.frexp(exact)[1] - 1 - digits, least) if exact else least
        return float(abs(mpmath.mpf(float(got)) - exact) / mpmath.mpf(2) ** exponent)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CALLS)
def test_compiled_values_are_within_the_stated_bound(name, dtype):
    args = arguments_of(name, dtype)
    with np.errstate(all="ignore"):
        got = np.asarray(ft.jit(CALLS[name])(*args))
    assert got.dtype == dtype
    errors = np.array([error_in_ulps(name, a, *xs) for a, *xs in zip(got, *args)])
    worst = int(np.argmax(errors))
    at = ", ".join(repr(x[worst]) for x in args)
    bound = 2.0 if (name, dtype) == ("erf", np.float32) else BOUNDS.get(name, 1.2)
    assert errors[worst] <= bound, f"{name}({at}) is {got[worst]!r}, {errors[worst]:.3g} ulp off"


@pytest.mark.parametrize("dtype", TYPES)
def test_gamma_functions_below_zero(dtype):
    """There the terms of the reflection decide."""
    x = -np.random.default_rng(0).uniform(0.25, 30, 500).astype(dtype)
    lgamma, digamma = (np.asarray(ft.jit(CALLS[name])(x)) for name in ("lgamma", "digamma"))
    for v, a, b in zip(map(mpmath.mpf, x.tolist()), lgamma, digamma):
        with mpmath.workprec(160):
            for got, first, second in [
                (a, mpmath.log(mpmath.pi / abs(v * mpmath.sin(mpmath.pi * v))), mpmath.loggamma(-v)),
                (b, mpmath.digamma(1 - v), mpmath.pi / mpmath.tan(mpmath.pi * v)),
            ]:
                largest = max(1, abs(first), abs(second), abs(first - second))
                assert abs(mpmath.mpf(float(got)) - (first - second)) <= 4 * np.spacing(dtype(float(largest)))


def check_special(name, dtype, *args):
    with np.errstate(all="ignore"):
        args = [x.astype(dtype) for x in args]
        got, want = np.asarray(ft.jit(CALLS[name])(*args)), np.asarray(CALLS[name](*args))
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=0)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got)[number], np.signbit(want)[number])


SPECIAL = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308, 1.0, -1.0, 1e-320, 2.0, -2.0])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", EXACT)
def test_special_values_are_numpys(name, dtype):
    # SciPy's logarithm of the gamma function of subnormal numbers is infinity; it is 744 at most.
    check_special(name, dtype, SPECIAL if name != "lgamma" else SPECIAL[~((SPECIAL != 0) & (abs(SPECIAL) < 1e-300))])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", EXACT_OF_TWO)
def test_special_values_of_two_arguments_are_numpys(name, dtype):
    values = np.append(SPECIAL, [0.5, -0.5, 3.0, -3.0, 1.5, -1.5, 2.0**53 + 2, -(2.0**53) + 1, 1e-40])
    check_special(name, dtype, *[x.ravel() for x in np.meshgrid(values, values)])


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", ["exp", "sqrt", "sinh", "cosh"])
def test_large_complex_numbers(name, dtype):
    """Parts that overflow are infinities of their sign, and zeros stay zeros."""
    largest = float(np.finfo(dtype).max)
    exponent = math.log(largest)
    numbers = [0.0, 1.0, -2.0, exponent - 1, exponent + 1, -exponent - 1, 2 * exponent]
    numbers += [largest / 2, largest, -largest] if name == "sqrt" else []
    z = np.array([complex(a, b) for a in numbers for b in numbers], dtype)
    got = np.asarray(ft.jit(getattr(fnp, name))(z))
    with mpmath.workprec(160), np.errstate(over="ignore", under="ignore"):
        exact = [getattr(mpmath, name)(mpmath.mpc(v)) for v in z.tolist()]
        for part in ("real", "imag"):
            wanted = np.array([float(getattr(v, part)) for v in exact]).astype(got.real.dtype)
            np.testing.assert_allclose(getattr(got, part), wanted, rtol=8 * np.finfo(dtype).eps, atol=1e-300)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CALLS)
def test_the_text_says_the_same_in_numpy(name, dtype):
    text = getattr(mathematics, f"{name}_f{np.dtype(dtype).itemsize * 8}").py_func
    with np.errstate(all="ignore"):
        args = [x[::3] for x in arguments_of(name, dtype)]
        compiled, interpreted = np.asarray(ft.jit(CALLS[name])(*args)), np.array([text(*xs) for xs in zip(*args)])
    assert interpreted.dtype == dtype
    # Where the machine fuses multiplication and addition, last bits may differ.
    np.testing.assert_allclose(
        compiled, interpreted, rtol=3 * np.finfo(dtype).eps, atol=2 * np.finfo(dtype).smallest_subnormal
    )


def test_logarithms_of_powers_are_whole_numbers():
    n = np.arange(-22, 23)
    np.testing.assert_array_equal(ft.jit(fnp.log2)(2.0**n), n)
    np.testing.assert_array_equal(ft.jit(fnp.log10)(np.array([float(f"1e{k}") for k in n])), n)
    np.testing.assert_array_equal(ft.jit(fnp.log10)(np.float32(10.0) ** np.arange(11)), np.arange(11))


def test_powers_that_are_floats_are_exact():
    x, y = (a.ravel().astype(np.float64) for a in np.meshgrid(np.arange(-20, 21), np.arange(12)))
    np.testing.assert_array_equal(ft.jit(fnp.power)(x, y), x**y)
    np.testing.assert_array_equal(ft.jit(fnp.power)(x**2, np.full_like(x, 0.5)), np.abs(x))


#: These ask the C library about large arguments.
RARE = {"sin", "cos", "tan"}


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="reads x86's assembly")
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", CALLS)
def test_loops_are_vectors_without_the_c_library(name, dtype):
    args = [np.ones(1000, dtype)] * (1 if name in EXACT else 2)
    code = kernels.assembly(ft.jit(lambda *xs: CALLS[name](*xs)).lower(*args).as_text("kernels"))
    assert len(re.findall(rf"^\s+v?(?:f?n?madd\d*|mul|add)p{'d' if dtype == np.float64 else 's'}\b", code, re.M)) >= 4
    if dtype == np.float32:
        assert not re.search(r"^\s+v?\w*(?:madd\d*|mul|add|sub|div)[ps]d\b", code, re.M)
    symbols = re.findall(r"(?:\$|call\w*\s+)([a-z]\w*)", code)
    assert name in RARE or not C_LIBRARY & {s.removesuffix("f") for s in symbols}


def test_rare_arguments_of_several_functions_in_one_loop():
    def f(x):
        y = x.astype(np.float32)
        single = fnp.sin(y) + 2 * fnp.cos(y) + fnp.arctan(fnp.tan(y))
        return fnp.sin(x) + 2 * fnp.cos(x) + 4 * single.astype(np.float64) + fnp.arctan(fnp.tan(x))

    x = np.concatenate([np.linspace(-10, 10, 37), 10.0 ** np.linspace(5, 20, 61), [np.inf, np.nan]])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(ft.jit(f)(x), f(fnp.asarray(x)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    "c", [3.0, -7.3, 0.1, 49.0, -0.5, 1024.0, 1 / 3, np.pi, 1e-10, -1e17, 1.9999999, 1e-30, np.inf]
)
def test_division_by_a_constant(c, dtype):
    """Products with the reciprocal, corrected: NumPy's quotients, but for those whose residual is subnormal."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, info.tiny, info.smallest_subnormal, info.max, -info.max]
    sizes = 10 ** rng.uniform(np.log10(info.tiny), np.log10(info.max), 20_000) * rng.choice([-1, 1], 20_000)
    x = np.concatenate([special, rng.normal(size=20_000), np.arange(-2000, 2000), sizes]).astype(dtype)
    with np.errstate(all="ignore"):
        want = x / dtype(c)
    got = ft.jit(lambda x: x / dtype(c))(x)
    np.testing.assert_array_equal(np.signbit(got) & ~np.isnan(x), np.signbit(want) & ~np.isnan(x))
    small = np.abs(x) < info.tiny / info.eps
    np.testing.assert_array_equal(got[~small], want[~small])
    np.testing.assert_allclose(got[small], want[small], rtol=float(info.eps), atol=float(info.smallest_subnormal))
