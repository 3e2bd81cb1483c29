import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.testing import arrays, check_grads, complex_step_jvp, numerical_jvp


def failure(*args, **kwargs):
    """The report of a check that must fail."""
    with pytest.raises(AssertionError) as error:
        check_grads(*args, **kwargs)
    return str(error.value)


def with_rule(function, rule):
    """`function` whose derivative is taken to be `rule(tangent, x)`."""

    def wrapped(x):
        return function(x)

    wrapped = ft.custom_jvp(wrapped)
    wrapped.defjvp(lambda primals, tangents: (function(primals[0]), rule(tangents[0], primals[0])))
    return wrapped


def test_numerical_jvp_of_a_pytree():
    f = lambda p, n: {"a": p["w"] ** 2 * n, "n": n}
    out = numerical_jvp(f, ({"w": np.array([1.0, 2.0])}, 3), ({"w": np.array([1.0, 0.5])}, 0))
    np.testing.assert_allclose(out["a"], [6.0, 6.0], rtol=1e-9)
    assert out["n"] == 0


def test_numerical_jvp_takes_a_step():
    assert numerical_jvp(lambda x: x**3, (0.0,), (1.0,), eps=0.5) == 0.25


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_step_suits_the_dtype(dtype):
    x = np.linspace(0.1, 1, 7, dtype=dtype)
    error = np.abs(numerical_jvp(np.exp, (x,), (np.ones_like(x),)) - np.exp(x.astype(np.float64)))
    assert error.max() < 10 * np.finfo(dtype).eps ** (2 / 3)


@given(arrays(shape=(3,), domain="small"))
def test_complex_steps_are_exact(x):
    found = complex_step_jvp(lambda x: np.sin(x) * np.exp(x), (x,), (np.ones(3),))
    np.testing.assert_allclose(found, (np.sin(x) + np.cos(x)) * np.exp(x), rtol=4e-16, atol=4e-16)


def test_complex_steps_need_real_arguments():
    with pytest.raises(errors.ArgumentError, match="takes real arguments; use numerical_jvp"):
        complex_step_jvp(np.exp, (1j,), (1.0,))


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, y: fnp.sin(x) * y, (np.array([0.5, 1.0]), 2.0)),
        (lambda x: fnp.tanh(x) @ x, (np.linspace(-1, 1, 5, dtype=np.float32),)),
        (lambda p: {"a": p["w"] @ p["b"], "n": p["n"] + 1}, ({"w": np.ones((2, 3)), "b": np.arange(3.0), "n": 1},)),
        (lambda z: z * fnp.conj(z) + fnp.exp(z), (np.array([0.5 + 1j, -1j]),)),
        (lambda x: (fnp.abs(fnp.exp(1j * x)), fnp.real((1 + 2j) * x)), (np.array([0.5, 2.0]),)),
        (lambda x: 1e6 + fnp.sin(x), (1.0,)),  # the rounding of the value limits what differences can tell
        (lambda x: fnp.sin(x), (1e5,)),
        (lambda x: x[:0], (np.ones(3),)),
    ],
)
def test_right_derivatives_pass(f, args):
    check_grads(f, args)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_every_order(order):
    check_grads(lambda x: fnp.sin(x) ** 2, (np.array([0.3, 0.6]),), order=order)


def test_complex_step_as_method():
    check_grads(lambda x: fnp.sin(x) * fnp.exp(x), (np.array([0.5, 1.0]),), method="complex step")
    nearly = with_rule(np.sin, lambda t, x: t * fnp.cos(x) * (1 + 1e-11))
    check_grads(nearly, (0.5,), order=1)  # too little for differences to see
    report = failure(lambda x: nearly(x) if isinstance(x, ft.Array) else np.sin(x), (0.5,), method="complex step")
    assert "by complex step" in report


def test_extrapolated_differences_as_method():
    method = "extrapolated differences"
    for order in (1, 2, 3):
        check_grads(lambda x: fnp.sin(x) ** 2, (np.array([0.3, 0.6]),), order=order, method=method)
    check_grads(lambda x: fnp.tanh(x) @ x, (np.linspace(-1, 1, 5, dtype=np.float32),), method=method)
    check_grads(lambda z: z * fnp.conj(z) + fnp.exp(z), (np.array([0.5 + 1j, -1j]),), method=method)
    nearly = with_rule(np.sin, lambda t, x: t * fnp.cos(x) * (1 + 1e-8))
    check_grads(nearly, (0.5,), order=1)  # too little for central differences to see
    assert "by extrapolated differences" in failure(nearly, (0.5,), order=1, method=method)
    noisy = with_rule(lambda x: np.sin(x) + 1e-11 * np.sin(1e12 * x), lambda t, x: t * fnp.cos(x))
    check_grads(noisy, (0.5,), order=1, rtol=1e-7, method=method)


# ---------------------------------------------------------------- wrong derivatives

cube = with_rule(lambda x: x**3, lambda t, x: 2 * x**2 * t)


def test_a_wrong_rule_is_found_in_forward_mode():
    assert failure(lambda x: cube(x) + 1, (np.array([0.0, 2.0]),), modes="fwd") == (
        "the forward-mode derivative of <lambda> is wrong with respect to x[1]\n"
        "in result[1] it is 8.0, expected 12.0 by central differences (tolerance 1.94e-06)\n"
        "  x = array([0., 2.])"
    )


def test_a_wrong_rule_is_found_in_reverse_mode():
    report = failure(lambda p: {"loss": cube(p["w"])}, ({"w": np.array([0.0, 2.0])},), modes=("rev",))
    assert report.startswith("the reverse-mode derivative of <lambda> is wrong with respect to p['w'][1]\nit is ")
    assert report.endswith("\n  p['w'] = array([0., 2.])")


def test_a_wrong_backward_rule_is_found():
    @ft.custom_vjp
    def square(x):
        return x**2

    square.defvjp(lambda x: (x**2, x), lambda x, ct: (x * ct,))
    assert "the reverse-mode derivative of square is wrong with respect to x[2]" in failure(
        square, (np.array([0.0, 0.0, 1.0]),), order=1, modes="rev"
    )


def test_a_wrong_imaginary_part_is_found():
    f = with_rule(lambda z: z * z, lambda t, z: 2 * fnp.conj(z) * t)
    check_grads(f, (2.0 + 0j,), order=1)
    assert "with respect to x\n" in failure(f, (2.0 + 1j,), modes="fwd")
    assert "with respect to x\n" in failure(f, (2.0 + 1j,), modes="rev")


def test_a_wrong_second_derivative_is_found():
    sine = with_rule(fnp.sin, lambda t, x: t * with_rule(fnp.cos, lambda t, x: t * fnp.sin(x))(x))
    check_grads(sine, (1.0,), order=1)
    report = failure(sine, (1.0,), modes="fwd")
    assert report.startswith("the forward-mode derivative of jvp of wrapped is wrong with respect to x\n")
    assert "the reverse-mode derivative of vjp of wrapped" in failure(sine, (1.0,), modes="rev")


def test_a_rule_that_gives_nan_is_found():
    f = with_rule(lambda x: x * 2, lambda t, x: t * fnp.log(x))
    assert "it is nan, expected 2.0 by central differences" in failure(f, (-1.0,), modes="fwd")


def test_a_cotangent_of_another_dtype_is_found():
    @ft.custom_vjp
    def f(x):
        return x * 2

    f.defvjp(lambda x: (x * 2, None), lambda _, ct: (np.float64(2) * ct,))
    assert failure(f, (np.float32(1),), order=1, modes="rev") == (
        "the cotangent of the arguments of f[0] is f64[], expected f32[]"
    )


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"modes": "forward"}, "takes modes 'fwd' and 'rev'"),
        ({"modes": ()}, "takes modes 'fwd' and 'rev'"),
        ({"method": "symbols"}, "'extrapolated differences' and 'complex step', got 'symbols'"),
    ],
)
def test_mistakes_are_named(kwargs, message):
    with pytest.raises(errors.ArgumentError, match=message):
        check_grads(np.sin, (1.0,), **kwargs)


def test_integers_alone_have_no_derivative():
    with pytest.raises(errors.ArgumentError, match="none of its arguments is a float"):
        check_grads(lambda n: n * 2, (1,))


@given(st.integers(0, 2**32 - 1))
def test_seeds(seed):
    check_grads(lambda x: fnp.exp(x), (np.array([0.25, -1.0]),), seed=seed)
