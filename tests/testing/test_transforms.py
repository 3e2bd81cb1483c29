"""Wrong functions are found, shrunk, and described so that a reader sees what is wrong."""

import re

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.core.primitive import Primitive, registry
from functrans.testing import arrays, check_transforms, scalars, shapes


def report(*args, **kwargs):
    with pytest.raises(AssertionError) as error:
        check_transforms(*args, **kwargs)
    return str(error.value)


# ---------------------------------------------------------------- right functions

VECTOR = arrays(shape=(3,))


@pytest.mark.parametrize(
    ("f", "strategies"),
    [
        (lambda x, y: fnp.tanh(x) * y, (VECTOR, scalars())),
        (lambda x: fnp.log(fnp.exp(x).sum()), (VECTOR,)),
        (lambda x: fnp.maximum(x, 0).sum(), (VECTOR,)),  # at 0 between the slopes of its sides
        (lambda x: fnp.sort(x)[1], (VECTOR,)),  # ties
        (lambda x: fnp.floor(x) + x, (VECTOR,)),
        (lambda x: fnp.sin(x) ** 2 + fnp.cos(x) ** 2 - 1, (VECTOR,)),  # nothing but rounding
        (lambda p, n: {"a": p["w"] @ p["b"] * n, "n": n + 1},
         (st.fixed_dictionaries({"w": arrays(shape=(2, 3)), "b": VECTOR}), scalars(np.int64))),
        (lambda z: z * fnp.conj(z), (arrays(np.complex128, (2,)),)),
        (lambda x: x * np.float32(2), (arrays(np.float32, (2,)),)),
        (lambda n: n * n, (arrays(np.int32, (2,)),)),
        (lambda: fnp.ones(2), ()),
    ],
)  # fmt: skip
def test_right_functions_pass(f, strategies):
    check_transforms(f, *strategies, max_examples=4)


def test_values_stay_as_they_are():
    check_transforms(lambda x, y: x + y, VECTOR, 1.0, transforms=("jit",))


@check_transforms(arrays(shape=(2,)), transforms=("jit", "vmap"))
def test_decorated(x):
    return fnp.cumsum(x)


def test_a_decorated_test_fails():
    @check_transforms(arrays(shape=(2,)), transforms=("jit",))
    def broken(x):
        return float(x[0])

    assert broken.__name__ == "broken"
    with pytest.raises(AssertionError, match=r"^jit\(broken\) failed, where broken itself did not"):
        broken()


# ---------------------------------------------------------------- wrong functions


def wrong_rule(x):
    return x**3


wrong_rule = ft.custom_jvp(wrong_rule)
wrong_rule.defjvp(lambda primals, tangents: (primals[0] ** 3, 2 * primals[0] ** 2 * tangents[0]))


def test_a_wrong_derivative_is_found_and_shrunk():
    text = report(wrong_rule, arrays(shape=shapes(min_dims=1)))
    assert text == (
        "jvp(wrong_rule) does not agree with finite differences\n"
        "the tangent of result[0] is 0.0078125, the slope by differences 0.0117187501\n"
        "in the direction\n"
        "  x = array([1.])\n"
        "arguments of wrong_rule:\n"
        "  x = array([0.0625])"
    )


def test_a_wrong_derivative_passes_without_differences():
    names = ("jaxpr", "vmap", "jvp", "vjp", "linearize")
    check_transforms(wrong_rule, VECTOR, transforms=names)


def test_a_backward_rule_that_is_no_transpose_is_found():
    @ft.custom_vjp
    def f(x):
        return 2 * x

    calls = []

    def bwd(_, ct):  # another result at each call
        calls.append(ct)
        return (len(calls) * ct,)

    f.defvjp(lambda x: (2 * x, None), bwd)
    assert "does not agree with" in report(f, arrays(shape=()), transforms=("jvp", "vjp", "differences"))


def test_global_state_is_found():
    state = []

    def counter(x):
        state.append(x)
        return x + len(state)

    text = report(counter, arrays(shape=()))
    assert text.startswith(
        "counter is not a pure function: a second call with the same arguments gave another result\nresult is "
    )
    assert text.endswith("arguments of counter:\n  x = 0.0 (float64)")


def test_changed_arguments_are_found():
    def scale(x):
        x *= 2
        return x

    text = report(scale, arrays(shape=(1,), layouts=["C"], exclude=(0.0,)))
    assert text.startswith("scale changed its arguments\na pure function leaves them alone\narguments of scale:")


def test_python_control_flow_is_named():
    def relu(x):
        return x if x > 0 else 0 * x

    check_transforms(relu, scalars(exclude=(0.0,)), transforms=("jvp", "vjp", "linearize", "differences"))
    text = report(relu, scalars())
    assert text.startswith(
        "the jaxpr of relu failed, where relu itself did not\n"
        "TracerBoolConversionError: Python needs a truth value here"
    )
    assert text.endswith("arguments of relu:\n  x = 0.0 (float64)")


@pytest.fixture
def swap():
    """A primitive whose batching rule is right for batches in front, and wrong for those behind."""
    p = Primitive("swap")
    p.impl = lambda x: np.asarray(x)[::-1]
    p.abstract_eval = lambda x: x
    p.batch = lambda axis, args, dims: (np.asarray(args[0])[:, ::-1], dims[0])
    yield p.bind
    del registry["swap"]


def test_a_wrong_batching_rule_is_found(swap):
    text = report(lambda x: swap(x), arrays(shape=(3,), layouts=["C"]), transforms=("jaxpr", "vmap"))
    assert re.fullmatch(
        r"vmap\(f, in_axes=-1\) does not agree with a loop over the examples\n"
        r"result\[\d, \d\] is \S+, expected \S+ \(float64; difference .*, tolerance .*\)\n"
        r"\d of 9 elements differ\n"
        r"arguments of f:\n"
        r"  x = array\(\[\[.*\],\n *\[.*\],\n *\[.*\]\]\)",
        text,
    )
    assert len(set(re.findall(r"\d\.\d*", text.partition("arguments")[2]))) == 2  # zeros, and one element that is not


def test_a_result_of_another_dtype_is_found():
    def f(x):
        return x * 2 if isinstance(x, np.ndarray) else (x * 2).astype(np.float32)

    text = report(f, arrays(shape=(1,)), transforms=("jit",))
    assert text.startswith("jit(f) does not agree with f itself\nresult is f32[1], expected f64[1]\n")


def test_a_result_of_another_structure_is_found():
    text = report(lambda x: (x,) if isinstance(x, np.ndarray) else [x], arrays(shape=(1,)), transforms=("jit",))
    assert "jit(f) does not agree with f itself\nthe result has structure" in text


def test_one_wrong_element_is_named():
    def f(x):
        return x if isinstance(x, np.ndarray) else x.at[1].add(1.0)

    assert report(f, arrays(shape=(3,)), transforms=("jit",)) == (
        "jit(f) does not agree with f itself\n"
        "result[1] is 1.0, expected 0.0 (float64; difference 1, tolerance 2.84e-14)\n"
        "1 of 3 elements differ\n"
        "arguments of f:\n"
        "  x = array([0., 0., 0.])"
    )


def test_settings_pass_through():
    seen = []
    settings = hypothesis.settings(max_examples=3, database=None, deadline=None)
    check_transforms(lambda x: seen.append(x) or x, VECTOR, transforms=(), settings=settings)
    assert len(seen) == 2 * 3  # twice for each example, to see that the function is pure


def test_tolerances():
    def f(x):
        return x if isinstance(x, np.ndarray) else x + 1e-6

    check_transforms(f, arrays(shape=(3,)), transforms=("jit",), atol=1e-5)
    assert "tolerance 1e-07" in report(f, arrays(shape=(3,)), transforms=("jit",), atol=1e-7, rtol=0.0)


def test_ill_conditioned_results_say_nothing():
    check_transforms(lambda x: 1e12 * fnp.sin(1e3 * x), arrays(shape=(3,)), transforms=("jaxpr", "jit", "vmap"))


def test_unknown_transforms_are_named():
    with pytest.raises(errors.ArgumentError, match="no transform is called pmap; there are jaxpr, jit"):
        check_transforms(np.sin, VECTOR, transforms=("jit", "pmap"))


def test_errors_of_the_function_are_its_own():
    def f(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        check_transforms(f, VECTOR)
