"""Linearization at plain values: what it records equals what the rules stage, to the last bit where it can."""

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans.lax import elementwise as ew
from functrans.transforms.recording import ONE, NotAFactorError

F64 = fnp.asarray(np.linspace(0.2, 0.8, 6).reshape(2, 3))
ROW = fnp.asarray(np.linspace(0.5, 1.5, 3))
COLUMN = fnp.asarray(np.linspace(-1.5, -0.5, 2).reshape(2, 1))

CASES = {
    "factors": lambda x: fnp.exp(x) * fnp.sin(x) / fnp.sqrt(x),
    "numbers": lambda x: 2 - 3.0 * x + x**3 / 7 - 1 / x,
    "same operand twice": lambda x: x * x + x / (x + 1),
    "broadcast operands": lambda x: x * x[0] + x[:, :1] - x[1, 2],
    "broadcast constants": lambda x: x[0] * COLUMN + ROW * x + x[:1, :1] + F64,
    "flat parts": lambda x: x + fnp.floor(x) * fnp.sign(x),
    "choices": lambda x: fnp.maximum(x, ROW / 2) + fnp.where(x > 0.5, x, x * x) + fnp.abs(x - 0.5),
    "contractions": lambda x: (x @ x.T) @ x + x.T[0] @ F64[:, 0],
    "structure": lambda x: x[::-1, 1:].sum() * x.reshape(3, 2).T + x.mean(),
    "integers": lambda x: x * np.arange(3) + x ** np.arange(3.0),
    "kinds": lambda x: x.astype(np.float32) * np.float32(2) + (x + 1j * x).real,
}


@pytest.mark.parametrize("name", CASES)
def test_equals_compiled(name):
    f = CASES[name]

    def loss(x):
        return (f(x) * fnp.cos(fnp.arange(1.0 * f(x).size).reshape(f(x).shape))).sum()

    def directional(x):
        return ft.jvp(ft.grad(loss), (x,), (fnp.cos(x),))[1]

    np.testing.assert_allclose(ft.grad(loss)(F64), ft.jit(ft.grad(loss))(F64), rtol=1e-6 if name == "kinds" else 1e-13)
    np.testing.assert_allclose(
        ft.grad(lambda x: (ft.grad(loss)(x) * fnp.cos(F64)).sum())(F64),
        directional(F64),
        rtol=1e-5 if name == "kinds" else 1e-12,
        atol=1e-14,
    )


def test_a_cotangent_that_is_not_finite_stays_where_it_belongs():
    for f in (lambda x: fnp.copysign(x, 1.0), lambda x: fnp.where(x > 1, x, 2.0), lambda x: fnp.heaviside(2.0, x)):
        _, pull = ft.vjp(f, np.array([0.5, 2.0]))
        gradient = pull(np.array([np.inf, 1.0]))[0]
        np.testing.assert_array_equal(gradient, ft.jit(lambda ct, pull=pull: pull(ct)[0])(np.array([np.inf, 1.0])))
        assert not np.isnan(gradient).any()


def test_division_by_what_has_no_finite_reciprocal():
    tiny = 1e-310
    np.testing.assert_allclose(ft.grad(lambda x: (x / tiny) * 1e-10)(1e-310), 1e300, rtol=1e-3)
    _, pull = ft.vjp(fnp.log, np.array([tiny]))
    np.testing.assert_allclose(pull(np.array([1e-10]))[0], [1e300], rtol=1e-3)


def test_dtypes_are_kept():
    x = np.ones(3, np.float32)
    assert ft.grad(lambda x: (x * 2.0 + 3 * x / 7 + x**2.0 + 1).sum())(x).dtype == np.float32
    assert ft.grad(lambda x: (x * np.ones(3)).sum())(x).dtype == np.float32
    assert ft.grad(lambda x: (x * np.arange(3)).sum())(x).dtype == np.float32


def test_rules_that_choose_are_no_factors():
    x = fnp.asarray([1.0, 2.0])
    assert ew.exp.derivatives[0](ONE, x, x) is x
    with pytest.raises(NotAFactorError):
        ew.heaviside.derivatives[1](ONE, x, x, x)


def test_errors_name_the_operation():
    with pytest.raises(ft.errors.ShapeError, match=r"mul: operands of shapes \(3,\) and \(2,\)"):
        ft.grad(lambda x: (x * np.ones(2)).sum())(np.ones(3))
