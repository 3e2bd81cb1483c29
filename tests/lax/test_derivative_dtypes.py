"""Tangents have the dtype of their values, cotangents that of their operands: nothing grows to float64 on the way."""

import numpy as np
import pytest

from functrans import lax
from functrans.core.primitive import registry
from functrans.lax.elementwise import Elementwise
from functrans.lax.subscript import IndexUpdate, getitem
from functrans.transforms.jvp import jvp, linearize
from functrans.transforms.transpose import transpose_linear

DTYPES = [np.float16, np.float32, np.complex64]
NUMBER_OF_OPERANDS = {"real": 1, "imag": 1, "complex": 2}  # of what is no ufunc of NumPy's


def operands(name, dtype):
    """Operands of which some are equal, where every function is defined."""
    primitive = registry[name]
    n = NUMBER_OF_OPERANDS.get(name) or primitive.ufunc.nin
    if n > 2:
        return [np.array([v] * 3, dtype) for v in (0.5, 0.25, 0.75, 0.5)[:n]]
    xs = [np.array(v, dtype) for v in ([0.25, 0.5, 0.5], [0.5, 0.25, 0.5])][:n]
    return [x + dtype(1) for x in xs] if name == "acosh" else xs


def is_differentiable(name, dtype):
    try:
        return registry[name](*operands(name, dtype)).dtype.kind in "fc"
    except TypeError:
        return False


# primitives on random bits, and those whose derivative by a parameter is not known
OTHER = (
    "threefry2x32 high_word beta_slope_a beta_slope_b expn gamma_curvature hyp0f1 hyp1f1 hyp2f1 iv ive jv kv kve "
    "lambertw log_beta_aa log_beta_ab log_beta_bb sph_harm_y t_curvature yv"
).split()
# the order of a polygamma is no real number, and SciPy has no complex zeta function
WITHOUT = [("digamma", np.complex64), *((name, t) for name in ("integer_pow", "polygamma", "select_n") for t in DTYPES)]
ELEMENTWISE = [
    (name, dtype)
    for name, p in registry.items()
    for dtype in DTYPES
    if isinstance(p, Elementwise)
    and name not in OTHER
    and not name.startswith(("eval_", "spherical_"))  # nor is that by an order
    and (name, dtype) not in WITHOUT
    and is_differentiable(name, dtype)
]
I = np.array([0, 2, 1])

FUNCTIONS = {
    "reduce_sum": lambda x: lax.reduce_sum(x, (0,)),
    "reduce_prod": lambda x: lax.reduce_prod(x, (0,)),
    "reduce_max": lambda x: lax.reduce_max(x, (0,)),
    "cumsum": lax.cumsum,
    "cumprod": lax.cumprod,
    "cummax": lax.cummax,
    "cumlogsumexp": lambda x: lax.cumlogsumexp(lax.real(x)),
    "sort": lax.sort,
    "top_k": lambda x: lax.top_k(x, 2)[0],
    "gather": lambda x: lax.gather(x, [I], [0], "fill"),
    "getitem": lambda x: getitem(x, (None, slice(None, None, -1))),
    **{
        f"{kind} at {place}": lambda x, kind=kind, index=index: getattr(IndexUpdate(x)[index], kind)(x[index] * 2)
        for kind in ("set", "add", "multiply", "divide", "power", "min", "max")
        for place, index in {"an array": I, "a slice": slice(1, None)}.items()
    },
}


def check(fun, *xs):
    (out,), (tangent,) = jvp(lambda *xs: [fun(*xs)], xs, xs)
    assert tangent is None or (tangent.shape, tangent.dtype) == (out.shape, out.dtype)
    outs, linear = linearize(lambda *xs: [fun(*xs)], xs)
    for x, ct in zip(xs, transpose_linear(linear, [np.ones_like(o) for o in outs])):
        assert ct is None or (ct.shape, ct.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize(("name", "dtype"), ELEMENTWISE)
def test_elementwise(name, dtype):
    check(registry[name], *operands(name, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_arrays(name, dtype):
    check(FUNCTIONS[name], np.array([0.25, 1.5, 0.75], dtype))
