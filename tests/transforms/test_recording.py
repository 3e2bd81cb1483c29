"""Derivatives at plain values: what acts at once, forwards and recorded, equals what the rules stage."""

import weakref

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import lax
from functrans.core.check import check_jaxpr
from functrans.core.primitive import registry
from functrans.lax.elementwise import Elementwise, zero
from functrans.lax.special import Special

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
    "nothing": lambda x: (lambda y: y[:] + y)(2 * x) + fnp.where(x > 0, x[...], 1.0).sum(axis=()) + x.reshape(2, 3).T.T,
    "structure": lambda x: x[::-1, 1:].sum() * x.reshape(3, 2).T + x.mean(),
    "integers": lambda x: x * np.arange(3) + x ** np.arange(3.0),
    "reductions": lambda x: (
        x / x.sum(axis=0) + fnp.mean(x, axis=1, keepdims=True) - x.max(axis=0) * x.min() + fnp.sum(x)
    ),
    "indices": lambda x: (
        x[0] * x[np.array([0, 1, 1])][:, 1:2] + x[F64 > 0.4].sum() + x[1, 2] + x[:, None].sum(1)[0, :, None]
    ),
    "vectors": lambda x: (x[0] @ x[1]) * x + x[0] @ x.T @ x + fnp.dot(x, ROW)[:, None] + COLUMN[:, 0] @ x,
    "pieces": lambda x: fnp.concatenate([x, 2 * x, F64])[1:5:2] + fnp.pad(x, 1)[1:-1, 1:-1] + fnp.stack([x[1], ROW]),
    "powers": lambda x: x**2.5 + x**-1 + 2.0**x + x**x + fnp.hypot(x, 2.0) + fnp.arctan2(x, ROW),
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


def loss_of(f):
    return lambda x: (f(x) * fnp.cos(fnp.arange(1.0 * f(x).size).reshape(f(x).shape))).sum()


def close(name):
    return {"rtol": 1e-5 if name == "kinds" else 1e-12, "atol": 1e-13}


@pytest.mark.parametrize("name", CASES)
def test_written_out_as_a_jaxpr(name):
    f, t = CASES[name], fnp.sin(F64)
    _, push = ft.linearize(f, F64)
    check_jaxpr(push.func.func.args[1])
    np.testing.assert_allclose(push(t), ft.jit(lambda x: ft.jvp(f, (x,), (t,))[1])(F64), **close(name))
    np.testing.assert_allclose(push(t), ft.jvp(f, (F64,), (t,))[1], **close(name))
    np.testing.assert_allclose(ft.jacrev(f)(F64), ft.jacfwd(f)(F64), **close(name))


@pytest.mark.parametrize("name", CASES)
def test_a_pullback_may_be_called_often_and_is_a_pytree(name):
    out, pull = ft.vjp(CASES[name], F64)
    ct = fnp.cos(out)
    first = pull(ct)[0]
    np.testing.assert_array_equal(pull(ct)[0], first)
    leaves, tree = ft.tree.flatten(pull)
    assert all(isinstance(leaf, np.ndarray) for leaf in leaves)
    np.testing.assert_allclose(ft.tree.unflatten(tree, leaves)(ct)[0], first, **close(name))
    np.testing.assert_allclose(pull(ct)[0], first, **close(name))  # once it has become a jaxpr
    np.testing.assert_allclose(ft.jit(lambda pull, ct: pull(ct)[0])(pull, ct), first, **close(name))


@pytest.mark.parametrize("name", CASES)
def test_cotangents_that_are_traced(name):
    """What the function captures may be traced where its argument is not."""
    weights = fnp.asarray([0.5, -2.0, 3.0])
    mapped = ft.vmap(lambda w: ft.grad(lambda x: w * loss_of(CASES[name])(x))(F64))(weights)
    np.testing.assert_allclose(mapped, [w * ft.grad(loss_of(CASES[name]))(F64) for w in weights], **close(name))
    _, second = ft.jvp(lambda w: ft.grad(lambda x: w * loss_of(CASES[name])(x))(F64), (2.0,), (1.0,))
    np.testing.assert_allclose(second, ft.grad(loss_of(CASES[name]))(F64), **close(name))


def test_values_are_arrays_wherever_they_are_seen():
    seen = []

    @ft.custom_jvp
    def f(x):
        return fnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):
        seen.append(primals[0])
        return f(*primals), tangents[0] * fnp.cos(primals[0])

    @ft.custom_vjp
    def g(x):
        return x

    g.defvjp(lambda x: (seen.append(x) or x, x * 2), lambda residual, ct: seen.extend([residual, ct]) or (ct,))

    _, aux = ft.grad(lambda x: ((g(x * 3) * f(2 * x)).sum(), (x, x[0], x * 2)), has_aux=True)(F64)
    assert len(seen) == 4
    assert all(type(v) is ft.Array for v in (*aux, *seen))
    _, aux = ft.grad(lambda x: (x * x, x), has_aux=True)(3.0)
    assert aux == 3.0


def test_a_number_of_pythons_takes_the_dtype_of_what_it_meets():
    x32 = fnp.ones(3, np.float32)
    for f in (lambda x: x * x32, lambda x: x32 / x, lambda x: fnp.sin(x) + x, lambda x: -x, lambda x: x**2):
        out, pull = ft.vjp(f, 3.0)
        plain = f(3.0)
        assert out.dtype == np.asarray(plain).dtype
        np.testing.assert_array_equal(out, plain)
        np.testing.assert_allclose(
            pull(fnp.ones_like(out))[0], ft.jacfwd(f)(3.0).sum(), rtol=1e-6 if out.dtype == np.float32 else 1e-14
        )


BASE = np.random.default_rng(0).uniform(0.1, 0.9, (4, 6))
LAYOUTS = {
    "turned": BASE.T, "with steps": BASE[::-1, ::2], "in Fortran's order": np.asfortranarray(BASE), "a row": BASE[0],
    "one row": BASE[:1], "one element": BASE[0, 0], "no axes": np.asarray(BASE[0, 0]), "no rows": BASE[:0],
    "no columns": BASE[:, :0], "three axes": BASE[:, None, :2], "a number": 0.3,
}  # fmt: skip
FUNCTIONS = {
    "broadcast": lambda x: (x[..., None] * np.ones(3) + 1).sum() - (2 * x).sum() / 3,
    "choices": lambda x: fnp.sum(fnp.where(x > 0.3, x, 2.0) * fnp.maximum(x, 0.5) ** 3),
    "reductions": lambda x: fnp.sum(x * fnp.sum(x, keepdims=True)) + (x**2).sum(keepdims=True).reshape(()),
    "structure": lambda x: fnp.sum(x.reshape(-1)[::2]) + fnp.sum(fnp.concatenate([x.ravel(), 2 * x.ravel()]) ** 2),
    "extremes": lambda x: x.max(initial=-1.0) * fnp.cumsum(x.ravel()).sum() + fnp.prod(x + 1),
    "products": lambda x: fnp.sum(fnp.reshape(x, (x.size, 1)) @ fnp.reshape(x, (1, x.size))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_layouts(name, layout, dtype):
    f, x = FUNCTIONS[name], LAYOUTS[layout]
    if layout == "in another byte order":
        x = x.astype(np.dtype(dtype).newbyteorder(">"))
    elif layout != "a number":
        x = x.astype(dtype)
    direct, compiled = ft.grad(f)(x), ft.jit(ft.grad(f))(x)
    assert (type(direct), direct.dtype, direct.shape) == (ft.Array, compiled.dtype, compiled.shape)
    np.testing.assert_allclose(direct, compiled, rtol=1e-5 if dtype == np.float32 else 1e-13)
    y, t = ft.jvp(f, (x,), (x,))
    assert (t.dtype, t.shape) == (y.dtype, y.shape)
    np.testing.assert_allclose(t, (direct * x).sum(), rtol=1e-5 if dtype == np.float32 else 1e-13)


def test_what_leaks_is_told():
    kept = []

    def f(x):
        kept.append(x * 2)
        return (x * x).sum()

    ft.grad(f)(F64)
    with pytest.raises(ft.errors.UnexpectedTracerError):
        kept[0] * 2


def test_inside_of_what_is_staged_meanwhile():
    def f(x):
        y = x * 2
        return lax.scan(lambda c, i: (c * y[0, 0] + (x * y).sum(), None), y[1, 1], fnp.arange(3.0))[0]

    np.testing.assert_allclose(ft.grad(f)(F64), ft.jit(ft.grad(f))(F64), rtol=1e-12)
    np.testing.assert_allclose(ft.jvp(f, (F64,), (F64,))[1], (ft.grad(f)(F64) * F64).sum(), rtol=1e-12)


def test_nan_is_found_where_it_arises():
    def f(x):
        with ft.config.debug_nans():
            return fnp.log(x - 10).sum()

    with np.errstate(invalid="ignore"), pytest.raises(ft.errors.NonFiniteError, match="log"):
        ft.grad(f)(F64)


def test_residuals_go_when_they_have_been_read():
    """While `grad` walks back, the factors of later operations are free already."""
    alive = []

    @ft.custom_vjp
    def watched(x):
        return x

    watched.defvjp(lambda x: (x, None), lambda _, ct: (alive.append([r() is not None for r in refs]), (ct,))[1])
    refs = []

    def factor(i):
        array = np.full(1000, 1.0 + i)
        refs.append(weakref.ref(array))
        return array

    def f(x):
        x = watched(x * factor(0))
        return (x * factor(1) * factor(2)).sum()

    ft.grad(f)(fnp.ones(1000))
    assert alive == [[True, False, False]]


#: Rows of real operands and results with a derivative.
ROWS = [
    name
    for name, row in registry.items()
    if type(row) in (Elementwise, Special)
    and any(d is not zero for d in row.derivatives)
    and name not in ("ldexp", "wofz", "sph_harm_y", "lambertw")
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_rows_at_values_equal_rows_in_programs(name, dtype):
    """Forwards and backwards, with the dtype of the operand, for each operand that has a derivative."""
    row, rng = registry[name], np.random.default_rng(0)
    args = [fnp.asarray(rng.uniform(0.2, 0.8, 3).astype(dtype)) for _ in row.derivatives]
    for i, x in enumerate(args):

        def f(x, i=i):
            return row(*args[:i], x, *args[i + 1 :])

        def pushed(x, f=f):
            return ft.jvp(f, (x,), (x,))

        if getattr(row.derivatives[i], "__qualname__", "").startswith("unknown"):
            continue
        y, t = pushed(x)
        gradient = ft.grad(lambda x, f=f: f(x).sum())(x)
        assert (t.dtype, gradient.dtype) == (y.dtype, dtype)
        program = ft.make_jaxpr(pushed)(x)
        staged = ft.core.eval_jaxpr(program.jaxpr, program.consts, x)
        for found, expected in zip((y, t, gradient * x), (*staged, staged[1])):
            np.testing.assert_allclose(found, expected, rtol=20 * np.finfo(dtype).eps)


def test_errors_name_the_operation():
    with pytest.raises(ft.errors.ShapeError, match=r"mul: operands of shapes \(3,\) and \(2,\)"):
        ft.grad(lambda x: (x * np.ones(2)).sum())(np.ones(3))
