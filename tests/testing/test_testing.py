"""The tests' own tools: right functions pass, wrong ones are found, shrunk and reported readably."""

import numpy as np
import pytest
from hypothesis import given

import functrans as ft
import functrans.numpy as fnp
from functrans.testing import (
    arrays,
    broadcastable_shapes,
    check_grads,
    check_transforms,
    complex_step_jvp,
    dtypes,
    numerical_jvp,
    pytrees,
    scalars,
    shapes,
)


@given(arrays(dtype=dtypes("biufhc"), shape=shapes(), special=True))
def test_arrays_have_what_was_asked_for(x):
    assert isinstance(x, np.ndarray)
    assert x.ndim <= 3
    np.testing.assert_array_equal(fnp.asarray(x), x)


@given(arrays(shape=(2, 3), domain="unit"), scalars(np.float32, "positive"))
def test_domains_hold(x, s):
    assert (np.abs(x) <= 0.875).all()
    assert s > 0
    assert s.dtype == np.float32


@given(broadcastable_shapes(2))
def test_shapes_broadcast(both):
    np.broadcast_shapes(*both)


@given(pytrees(arrays(shape=(2,))))
def test_pytrees_round_trip(tree):
    leaves, structure = ft.tree.flatten(tree)
    assert ft.tree.structure(ft.tree.unflatten(structure, leaves)) == structure


def test_numerical_derivatives():
    x = np.array([0.3, 1.2])
    t = np.array([1.0, -2.0])
    expected = np.cos(x) * t
    np.testing.assert_allclose(numerical_jvp(np.sin, (x,), (t,)), expected, rtol=1e-9)
    np.testing.assert_allclose(complex_step_jvp(np.sin, (x,), (t,)), expected, rtol=1e-15)


def test_right_gradients_pass():
    check_grads(lambda p, y: fnp.sum(fnp.sin(p["a"]) * y) + p["b"] ** 3, ({"a": np.ones(3), "b": 2.0}, np.arange(3.0)))
    check_grads(np.exp, (np.array([0.1, 0.2]),), order=3)
    check_grads(fnp.sin, (0.5,), order=1, method="complex step")
    check_grads(lambda x: fnp.sum(x * x), (np.float32([1.0, 2.0]),))
    check_grads(lambda z: z * z, (np.array([1.0 + 2.0j]),))


@ft.custom_jvp
def wrong(x):
    return fnp.sin(x)


wrong.defjvp(lambda primals, tangents: (wrong(primals[0]), 2 * tangents[0] * fnp.cos(primals[0])))


def test_a_wrong_gradient_is_found():
    with pytest.raises(AssertionError, match="the forward-mode derivative of f is wrong at index"):
        check_grads(wrong, (np.ones(2),), modes=("fwd",))
    with pytest.raises(AssertionError, match="the reverse-mode derivative of f does not agree"):
        check_grads(wrong, (np.ones(2),), modes=("rev",))


def test_a_wrong_second_derivative_is_found():
    @ft.custom_jvp
    def f(x):
        return fnp.sin(x)

    @ft.custom_jvp
    def derivative(x):
        return fnp.cos(x)

    derivative.defjvp(lambda p, t: (derivative(p[0]), t[0]))
    f.defjvp(lambda p, t: (f(p[0]), t[0] * derivative(p[0])))
    check_grads(f, (0.7,), order=1)
    with pytest.raises(AssertionError, match="jvp of f"):
        check_grads(f, (0.7,), order=2)


def test_right_functions_pass():
    check_transforms(lambda x, y: {"p": fnp.sin(x) * y, "s": fnp.sum(x)}, arrays(shape=(3,)), scalars(), max_examples=5)
    check_transforms(lambda x: fnp.sort(x)[::-1], arrays(shape=(20,)), max_examples=3)
    check_transforms(lambda n: n % 3 == 0, arrays(np.int64, (4,)), max_examples=3)


def report_of(f, *strategies, **options):
    with pytest.raises(AssertionError) as caught:
        check_transforms(f, *strategies, **options)
    return str(caught.value)


def test_wrong_derivative_rules_are_found_and_shrunk():
    report = report_of(wrong, arrays(shape=(3,), layouts=("C",)), max_examples=10)
    assert "jvp(f) against differences differs from the plain function at index (0,)" in report
    assert "argument 0: f64[3]" in report


def test_results_that_depend_on_state_are_found():
    calls = []

    def impure(x):
        calls.append(1)
        return x + len(calls)

    assert "jit(f) differs" in report_of(impure, scalars(), max_examples=2)


def test_wrong_batching_is_found():
    @ft.custom_vjp
    def scaled(x):
        return x * 2.0 if np.ndim(x) == 1 else x * 3.0  # looks at its rank, which no transformation may change

    scaled.defvjp(lambda x: (scaled(x), None), lambda _, ct: (ct * 2.0,))
    check_transforms(scaled, arrays(shape=(2,), layouts=("C",)), max_examples=2)
    report = report_of(lambda x: fnp.sum(x) * (1.0 if isinstance(x, np.ndarray) else 2.0), arrays(shape=(2,)))
    assert "differs from the plain function" in report


def test_unknown_names_are_refused():
    with pytest.raises(ft.errors.ArgumentError, match="pmap"):
        check_transforms(fnp.sin, scalars(), transforms=["pmap"])
    with pytest.raises(ft.errors.ArgumentError, match="modes"):
        check_grads(fnp.sin, (1.0,), modes=["backwards"])
