import numpy as np
import pytest
from hypothesis import find, given, strategies as st

from functrans import errors, testing
from functrans.testing import strategies


def seen(strategy, predicate):
    """Whether some drawn value satisfies the predicate (else Hypothesis raises NoSuchExample)."""
    find(strategy, predicate)
    return True


@given(testing.dtypes("ui"))
def test_dtypes_are_of_the_kinds(dtype):
    assert dtype.kind in "ui"


@given(testing.shapes(min_dims=1, max_dims=2, min_side=2, max_side=3))
def test_shapes_lie_within_their_bounds(shape):
    assert len(shape) in (1, 2)
    assert set(shape) <= {2, 3}


def test_shapes_include_scalars_and_empty_arrays():
    assert seen(testing.shapes(), lambda shape: shape == ())
    assert seen(testing.shapes(), lambda shape: 0 in shape and len(shape) > 1)


@given(testing.broadcastable_shapes(3))
def test_broadcastable_shapes_broadcast(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@given(st.data(), st.sampled_from(sorted(strategies.DOMAINS)), testing.dtypes("fhicu"))
def test_values_lie_in_the_domain(data, domain, dtype):
    low, high = strategies.DOMAINS[domain]
    if domain == "probability" and dtype.kind in "iu":
        with pytest.raises(errors.ArgumentError, match=f"no {dtype} lies in the domain from 0.0625 to 0.9375"):
            data.draw(testing.arrays(dtype, domain=domain))
        return
    x = data.draw(testing.arrays(dtype, domain=domain))
    assert x.dtype == dtype
    for part in (x.real, x.imag) if dtype.kind == "c" else (x,):
        assert ((part >= low) & (part <= high)).all()


@given(testing.arrays(shape=(20,), domain=(0.25, 0.3)))
def test_narrow_intervals_have_many_values(x):
    assert ((x >= 0.25) & (x <= 0.3)).all()


def test_narrow_intervals_are_not_one_point():
    assert seen(testing.scalars(domain=(0.25, 0.3)), lambda x: x not in (0.25, 0.3))


@given(testing.arrays(testing.dtypes("fci"), exclude=(0, 1)))
def test_excluded_values_do_not_occur(x):
    for value in (0, 1):
        assert not (x.real == value).any()


@given(testing.arrays(shape=(6,), unique=True))
def test_unique_elements(x):
    assert len(set(x.tolist())) == 6


@pytest.mark.parametrize(
    ("special", "is_it"),
    [
        ("nan", np.isnan),
        ("inf", np.isinf),
        ("negative zero", lambda x: x == 0 and np.signbit(x)),
        ("subnormal", lambda x: 0 < abs(x) < np.finfo(np.float32).smallest_normal),
        ("extreme", lambda x: abs(x) == np.finfo(np.float32).max),
    ],
)
def test_special_values_come_on_request(special, is_it):
    assert seen(testing.scalars(np.float32, special=[special]), is_it)
    assert seen(testing.scalars(np.float32, special=True), is_it)


@given(testing.arrays(testing.dtypes("fc")))
def test_values_are_finite_unless_asked_for(x):
    assert np.isfinite(x).all()


def test_extreme_integers_come_on_request():
    assert seen(testing.scalars(np.int8, special=True), lambda x: x == -128)
    assert seen(testing.scalars(np.uint64, special=True), lambda x: x == 2**64 - 1)


LAYOUTS = {
    "F": lambda x: x.flags.f_contiguous and not x.flags.c_contiguous,
    "strided": lambda x: not x.flags.contiguous and min(x.strides) > 0,
    "reversed": lambda x: min(x.strides) < 0,
    "readonly": lambda x: not x.flags.writeable,
    "broadcast": lambda x: 0 in x.strides,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    assert seen(testing.arrays(shape=(2, 3), layouts=[layout]), LAYOUTS[layout])
    assert seen(testing.arrays(shape=(2, 3)), LAYOUTS[layout])


@given(testing.arrays(testing.dtypes("f"), shape=testing.shapes()), st.sampled_from(strategies.LAYOUTS))
def test_a_layout_keeps_the_values(x, layout):
    laid_out = strategies.laid_out(x, layout)
    expected = np.broadcast_to(x[:1], x.shape) if layout == "broadcast" and x.ndim and len(x) else x
    np.testing.assert_array_equal(laid_out, expected, strict=True)


@given(testing.pytrees(testing.scalars()))
def test_pytrees(tree):
    assert isinstance(tree, (np.floating, list, tuple, dict))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: testing.dtypes("fx"), "dtypes takes kinds among 'biufhc', got 'fx'"),
        (lambda: find(testing.arrays(domain="imaginary"), bool), "no domain is called 'imaginary'; there are real"),
        (lambda: find(testing.arrays(domain=(1.0, 0.0)), bool), "a domain is an interval (low, high), got (1.0, 0.0)"),
        (lambda: find(testing.arrays(special=["nano"]), bool), "special values are nan, inf"),
        (lambda: find(testing.arrays(layouts=["D"]), bool), "no memory layout is called 'D'; there are C, F"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(errors.ArgumentError) as error:
        make()
    assert message in str(error.value)
