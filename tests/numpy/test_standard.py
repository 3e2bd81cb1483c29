"""The Python array API standard, 2024.12: names, signatures and special cases, eagerly and compiled."""

import itertools
import math

import numpy as np
import pytest
import standard_cases

import functrans as ft
import functrans.numpy as fnp

# ---------------------------------------------------------------- special cases


def _cases(text, parts):
    """The rows of a table: values of the operands (or of a complex number's two parts), and the words of the result."""
    for line in text.split(" / "):
        given, _, result = line.partition(" -> ")
        words = [w.strip() for w in given.split(";" if parts == ";" else ",")]
        for values in itertools.product(*[standard_cases.VALUES[w] for w in words]):
            yield values, line.strip(), result.strip()


def _satisfies(got, word, values, tolerance):
    names = dict(zip(("a", "b"), values)) | {f"x{i + 1}": v for i, v in enumerate(values)}
    if word == "nan":
        return math.isnan(got)
    if word.startswith("~"):
        return abs(got) == abs(eval(word[1:], {"inf": math.inf, "pi": math.pi})) or math.isclose(
            abs(got), eval(word[1:], {"inf": math.inf, "pi": math.pi}), rel_tol=tolerance
        )
    if "|" in word:
        sign, size = (-1, word[2:-1]) if word.startswith("-") else (1, word[1:-1])
        want = sign * abs(names[size])
        return got == want and math.copysign(1, got) == math.copysign(1, want)
    if word == "0":
        return got == 0
    want = eval(word, {"inf": math.inf, "pi": math.pi, **names})
    if math.isnan(want) or not math.isfinite(want) or want == 0:
        return (got == want or (got != got and want != want)) and (
            want != 0 or math.copysign(1, got) == math.copysign(1, float(eval(word, names)) if word[0] != "-" else -0.0)
        )
    return math.isclose(got, want, rel_tol=tolerance)


def _check(function, table, name, dtype):
    """Each row of a table holds of a function of arrays; the message lists those that do not."""
    tolerance = 8 * np.finfo(dtype).eps
    is_complex = np.dtype(dtype).kind == "c"
    rows = list(_cases(table[name], "," if is_complex else ";"))
    real = np.dtype(dtype).type(0).real.dtype
    columns = [np.array(c, real) for c in zip(*[values for values, _, _ in rows])]
    if is_complex:
        z = np.empty(len(rows), dtype)
        z.real, z.imag = columns
        lower = np.conj(z)
        upper_out, lower_out = (np.asarray(function(v)) for v in (z, lower))
    else:
        upper_out, lower_out = np.asarray(function(*columns)), None
    wrong = []
    for i, (values, line, result) in enumerate(rows):
        values = [float(real.type(v)) for v in values]
        got = upper_out[i].item()
        words = result.split(",")
        if result == "cis":
            size = math.inf if values[0] > 0 else 0.0
            want = [math.copysign(size, math.cos(values[1])), math.copysign(size, math.sin(values[1]))]
            ok = [got.real, got.imag] == want and math.copysign(1, got.imag) == math.copysign(1, want[1])
        elif isinstance(got, complex):
            words = [repr(math.copysign(0.0, math.sin(values[1]))) if w == "cis" else w for w in words]
            ok = all(_satisfies(g, w, values, tolerance) for g, w in zip((got.real, got.imag), words))
        else:
            ok = _satisfies(float(got), result, values, tolerance)
        if ok and isinstance(got, complex) and name != "sign" and "~" not in result:
            mirrored = lower_out[i].item().conjugate()
            ok = np.array_equal([got.real, got.imag], [mirrored.real, mirrored.imag], equal_nan=True)
            line += " (conjugate too)"
        if not ok:
            wrong.append(f"{line}: at {values} it is {got}")
    assert not wrong, f"{name} of {np.dtype(dtype)}:\n" + "\n".join(wrong)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", [*standard_cases.UNARY, *standard_cases.BINARY])
def test_special_cases(name, compiled, dtype):
    table = standard_cases.UNARY if name in standard_cases.UNARY else standard_cases.BINARY
    function = getattr(fnp, name)
    _check(ft.jit(lambda *xs: function(*xs)) if compiled else function, table, name, dtype)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", list(standard_cases.COMPLEX))
def test_special_cases_of_complex_numbers(name, compiled, dtype):
    function = getattr(fnp, name)
    _check(ft.jit(function) if compiled else function, standard_cases.COMPLEX, name, dtype)


def _turned(z):
    """`i z`, exactly: the product would mix infinities with NaN."""
    return ft.lax.complex(-fnp.imag(z), fnp.real(z))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("name", "hyperbolic"),
    [("sin", "sinh"), ("cos", "cosh"), ("tan", "tanh"), ("asin", "asinh"), ("atan", "atanh")],
)
def test_circular_functions_are_the_hyperbolic_ones_of_iz(name, hyperbolic, compiled):
    """The standard says so: sin z = -i sinh iz, cos z = cosh iz, ..."""

    def through(w):
        z = -_turned(w)
        return getattr(fnp, name)(z) if name == "cos" else _turned(getattr(fnp, name)(z))

    _check(ft.jit(through) if compiled else through, standard_cases.COMPLEX, hyperbolic, np.complex128)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("name", ["log2", "log10"])
def test_other_logarithms_are_multiples_of_the_natural_one(name, compiled):
    scale = math.log(2 if name == "log2" else 10)

    def scaled(z):
        y = getattr(fnp, name)(z)
        return ft.lax.complex(fnp.real(y) * scale, fnp.imag(y) * scale)

    _check(ft.jit(scaled) if compiled else scaled, standard_cases.COMPLEX, "log", np.complex128)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("operator", ["//", "**", "%", "+", "-", "*", "/"])
def test_special_cases_of_operators(operator, compiled):
    name = {"//": "floor_divide", "**": "pow", "%": "remainder", "+": "add", "-": "subtract", "*": "multiply",
            "/": "divide"}[operator]  # fmt: skip
    apply = eval(f"lambda x, y: x {operator} y")

    def elementwise(xs, ys):
        """Operands as the scalars of the test-suite of the standard, of which NumPy treats exponents apart."""
        return np.array([function(fnp.asarray(x), y) for x, y in zip(xs, ys)])

    function = ft.jit(apply) if compiled else apply
    whole = lambda xs, ys: function(fnp.asarray(xs), fnp.asarray(ys))
    _check(whole, standard_cases.BINARY, name, np.float64)
    if not compiled:
        _check(elementwise, standard_cases.BINARY, name, np.float64)
        in_place = {"//": _floor_divide_in_place, "**": _power_in_place}.get(operator)
        if in_place:
            _check(in_place, standard_cases.BINARY, name, np.float64)


def _floor_divide_in_place(xs, ys):
    out = fnp.array(xs)
    out //= ys
    return out


def _power_in_place(xs, ys):
    out = [fnp.asarray(x) for x in xs]
    for i, y in enumerate(ys):
        out[i] **= float(y)
    return np.array(out)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_root_as_a_power_of_negative_infinity():
    x = np.array([-np.inf, -0.0, 4.0])
    for function in (lambda x: x**0.5, lambda x: fnp.power(x, 0.5), lambda x: fnp.power(x, np.array([0.5]))):
        for y in (function(fnp.asarray(x)), ft.jit(function)(x)):
            np.testing.assert_array_equal(y, [np.inf, 0.0, 2.0])
            assert not np.signbit(y[1])


def test_expm1_of_conjugates():
    """Below the real axis the imaginary part is a negative zero, where NumPy's sum with zero would lose the sign."""
    below = np.array([complex(x, -0.0) for x in (0.0, -0.0, 0.5, -1.0, 2.0)])
    for function in (fnp.expm1, ft.jit(fnp.expm1)):
        assert np.signbit(np.asarray(function(below)).imag).all()
        assert not np.signbit(np.asarray(function(below.conj())).imag).any()
