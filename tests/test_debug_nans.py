"""`config.debug_nans` and `config.debug_infs`: the operation and the line that made a NaN or an infinity."""

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import config, errors, lax

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

X = np.array([0.5, 1.0])


def roots(x):
    def body(c, v):
        c = c - v
        return fnp.sqrt(c), c

    return lax.scan(body, x, np.arange(3.0))[0]


LINE = roots.__code__.co_firstlineno + 3

TRANSFORMED = {
    "eager": roots,
    "jit": ft.jit(roots),
    "inner jit": lambda x: ft.jit(roots)(x) * 2,
    "grad": ft.grad(roots),
    "jit of grad": ft.jit(ft.grad(roots)),
    "vmap": lambda x: ft.vmap(roots)(x[None]),
    "jit of vmap": lambda x: ft.jit(ft.vmap(roots))(x[None]),
    "checkpoint": ft.jit(ft.checkpoint(roots)),
    "compiled": lambda x: ft.jit(roots).lower(x).compile()(x),
    "while": ft.jit(lambda x: lax.while_loop(lambda s: s[0] < 1, lambda s: (s[0] + 1, roots(s[1])), (0, x))),
    "cond": ft.jit(lambda x: lax.cond(x > 0, roots, lambda x: x, x)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_the_line_that_made_the_nan_is_named(name):
    fun, x = TRANSFORMED[name], np.asarray(0.7)
    fun(x)  # without the mode, nothing is raised
    with config.debug_nans(), pytest.raises(FloatingPointError) as caught:
        fun(x)
    assert str(caught.value) == f"nan in a result of sqrt at {__file__}:{LINE} (body)"
    assert isinstance(caught.value, errors.NonFiniteError)


def test_infinities():
    fun = ft.jit(lambda x: 1 / (x - 0.5))
    with config.debug_nans():
        assert np.isinf(fun(X)[0])
    with config.debug_infs(), pytest.raises(errors.NonFiniteError, match="^inf in a result of div at"):
        fun(X)


def test_nan_among_the_arguments_is_told():
    with config.debug_nans(), pytest.raises(errors.NonFiniteError, match=r"sin at .*\(nan was among its operands\)"):
        ft.jit(fnp.sin)(np.array([np.nan]))


def test_backward_pass():
    """The derivative of a root at zero, hidden by `where` in the value alone."""
    fun = lambda x: fnp.where(x > 0, fnp.sqrt(x), 0.0)
    for transformed in (ft.grad(fun), ft.jit(ft.grad(fun))):
        assert np.isnan(transformed(0.0))
        with config.debug_nans(), pytest.raises(errors.NonFiniteError, match=f"{__file__}"):
            transformed(0.0)


@pytest.mark.parametrize("fun", [fnp.log, lambda x: fnp.nanmax(fnp.log(x))], ids=["ufunc", "nested"])
def test_functions_of_the_namespace_on_plain_arrays(fun):
    with config.debug_nans(), pytest.raises(errors.NonFiniteError, match="nan in a result of log at"):
        fun(-X)


def test_the_search_repeats_no_effects():
    seen = []

    @ft.jit
    def shown(x):
        ft.debug.callback(lambda x: seen.append(float(x)), x)
        return fnp.log(x)

    with config.debug_nans():
        with pytest.raises(errors.NonFiniteError, match="nan in a result of log"):
            shown(-1.0)
        assert seen == [-1.0]
        asked = ft.jit(lambda x: fnp.log(ft.io_callback(lambda x: seen.append(0.0) or x, x, x)))
        with pytest.raises(errors.NonFiniteError, match="compiled <lambda>; .*io_callback"):
            asked(np.asarray(-1.0))
        assert seen == [-1.0, 0.0]


def test_settings():
    assert config.watched == frozenset()
    with config.debug_nans():
        with config.debug_infs():
            assert config.watched == {"nan", "inf"}
            with config.debug_nans(False):
                assert config.watched == {"inf"}
        assert config.watched == {"nan"}
    config.set_debug_infs(True)
    assert config.watched == {"inf"}
    config.set_debug_infs(False)
    assert config.watched == frozenset()
