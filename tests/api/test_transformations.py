"""The public transformations, each against the plain function and in composition."""

import functools
import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings

import functrans as ft
import functrans.numpy as fnp
from functrans import lax
from functrans.testing import arrays, check_grads, check_transforms, scalars

X = np.array([0.5, 1.5, 2.5])


def f(x):
    return fnp.sum(fnp.sin(x) * x**3)


def gradient_of_f(x):
    return np.cos(x) * x**3 + 3 * np.sin(x) * x**2


EXPECTED = gradient_of_f(X)


# ---------------------------------------------------------------- compositions

COMPOSITIONS = {
    "grad": lambda f: ft.grad(f),
    "jit grad": lambda f: ft.jit(ft.grad(f)),
    "grad jit": lambda f: ft.grad(ft.jit(f)),
    "jit grad jit": lambda f: ft.jit(ft.grad(ft.jit(f))),
    "grad checkpoint": lambda f: ft.grad(ft.checkpoint(f)),
    "jit grad checkpoint": lambda f: ft.jit(ft.grad(ft.checkpoint(f))),
    "grad checkpoint jit": lambda f: ft.grad(ft.checkpoint(ft.jit(f))),
    "jacfwd": lambda f: ft.jacfwd(f),
    "jit jacfwd": lambda f: ft.jit(ft.jacfwd(f)),
    "jacrev": lambda f: ft.jacrev(f),
    "named": lambda f: ft.jit(ft.grad(ft.named_call(f, name="inner"))),
    "vjp": lambda f: lambda x: ft.vjp(f, x)[1](1.0)[0],
    "jit vjp": lambda f: ft.jit(lambda x: ft.vjp(f, x)[1](1.0)[0]),
    "linearize": lambda f: lambda x: ft.vmap(ft.linearize(f, x)[1])(np.eye(3)),
    "vmap jvp": lambda f: lambda x: ft.vmap(lambda t: ft.jvp(f, (x,), (t,))[1])(np.eye(3)),
    "value_and_grad": lambda f: lambda x: ft.value_and_grad(f)(x)[1],
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_first_derivatives(name):
    np.testing.assert_allclose(COMPOSITIONS[name](f)(X), EXPECTED, rtol=1e-12)


@pytest.mark.parametrize("name", [n for n in COMPOSITIONS if n != "linearize"])
def test_mapped_derivatives(name):
    batch = np.stack([X, 2 * X])
    expected = np.stack([gradient_of_f(X), gradient_of_f(2 * X)])
    np.testing.assert_allclose(ft.vmap(COMPOSITIONS[name](f))(batch), expected, rtol=1e-12)
    np.testing.assert_allclose(ft.jit(ft.vmap(COMPOSITIONS[name](f)))(batch), expected, rtol=1e-12)


@pytest.mark.parametrize("outer", ["jacfwd", "jacrev", "jit jacfwd"])
@pytest.mark.parametrize("inner", [n for n in COMPOSITIONS if n != "linearize"])
def test_second_derivatives(outer, inner):
    expected = np.diag(-np.sin(X) * X**3 + 6 * np.cos(X) * X**2 + 6 * np.sin(X) * X)
    np.testing.assert_allclose(COMPOSITIONS[outer](COMPOSITIONS[inner](f))(X), expected, rtol=1e-10, atol=1e-12)


def test_third_derivative():
    third = ft.grad(ft.jit(ft.grad(ft.grad(lambda x: fnp.sin(x) ** 2))))
    np.testing.assert_allclose(third(0.3), -4 * np.sin(0.6), rtol=1e-12)


def test_every_transformation_of_a_function_of_pytrees():
    def model(p, x):
        h = fnp.tanh(x @ p["w"] + p["b"])
        return {"out": h, "norm": fnp.sum(h**2)}

    p = {"w": np.linspace(-1, 1, 6).reshape(2, 3), "b": np.zeros(3)}
    check_transforms(lambda x: model(p, x), arrays(shape=(4, 2)), max_examples=5)
    check_grads(model, (p, np.ones((4, 2))))


def test_hessian_and_products():
    h = ft.hessian(f)(X)
    v = np.array([1.0, -1.0, 2.0])
    np.testing.assert_allclose(ft.hvp(f, (X,), (v,)), h @ v, rtol=1e-12)
    np.testing.assert_allclose(ft.jit(ft.hessian(ft.jit(f)))(X), h, rtol=1e-12)


# ---------------------------------------------------------------- options


def test_argnums_aux_and_pytrees():
    def g(a, b):
        return a["x"] * b, {"sum": a["x"] + b}

    (ga, gb), aux = ft.grad(g, argnums=(0, 1), has_aux=True)({"x": 2.0}, 3.0)
    assert (ga, gb, aux) == ({"x": 3.0}, 2.0, {"sum": 5.0})
    assert isinstance(aux["sum"], np.ndarray)
    (value, aux), _ = ft.value_and_grad(g, has_aux=True)({"x": 2.0}, 3.0)
    assert (value, aux["sum"]) == (6.0, 5.0)
    _, pull, aux = ft.vjp(lambda a: g(a, 3.0), {"x": 2.0}, has_aux=True)
    assert pull(1.0) == ({"x": 3.0},)


def test_integers_have_trivial_gradients():
    gradient = ft.grad(lambda n, x: n * x, argnums=(0, 1), allow_int=True)(3, 2.0)
    assert gradient[0].dtype == ft.float0
    assert gradient[1] == 3.0
    assert repr(ft.jit(ft.grad(lambda n: 1.0, allow_int=True))(np.arange(2))).startswith("Array([(b'',), (b'',)]")


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int16])
def test_arrays_in_foreign_byte_order(dtype):
    """As files have them: computed with by their values, as arguments, captured, and beside arrays of this machine."""
    native = np.arange(1, 7).reshape(2, 3).astype(dtype)
    foreign = native.astype(native.dtype.newbyteorder())
    functions = (
        lambda a, x: (a * fnp.sin(x) + x).sum(0),
        lambda a, x: fnp.asarray(x).at[0].set(a[1]),
        lambda a, x: fnp.concatenate([x, a]),
        lambda a, x: fnp.sort(x, axis=0) @ a.T,
        lambda a, x: lax.scan(lambda c, r: (c + r, c * r), a[0], x),
        lambda a, x: lax.bitcast_convert_type(x, f"i{x.dtype.itemsize}") if x.dtype.kind != "c" else x,
    )
    if native.dtype.kind == "f":
        functions += (lambda a, x: ft.grad(lambda x: fnp.sum(fnp.sin(x) * a * x**2))(x),)

    def assert_equal(got, wanted):
        for x, y in zip(ft.tree.leaves(got), ft.tree.leaves(wanted), strict=True):
            assert ft.typeof(x) == ft.typeof(y)
            np.testing.assert_allclose(x, y, rtol=1e-6)

    for f in functions:
        wanted = f(native, native)
        assert_equal(f(foreign, foreign), wanted)
        compiled = ft.jit(f)
        for args in ((foreign, foreign), (native, native), (foreign, native), (foreign, foreign)):
            assert_equal(compiled(*args), wanted)
        assert_equal(ft.jit(functools.partial(f, foreign))(foreign), wanted)
        assert_equal(ft.vmap(f)(foreign[None], foreign[None]), ft.vmap(f)(native[None], native[None]))


def test_complex_derivatives():
    z = 1.0 + 2.0j
    assert ft.grad(lambda z: z**2, holomorphic=True)(z) == 2 * z
    np.testing.assert_allclose(ft.grad(lambda z: fnp.abs(z) ** 2)(z), 2 * np.conj(z))
    np.testing.assert_allclose(ft.grad(lambda z: fnp.real(z * z))(z), 2 * z)


def test_python_control_flow_on_values():
    def g(x):
        return x**2 if x > 0 else -x

    assert (ft.grad(g)(3.0), ft.grad(g)(-3.0)) == (6.0, -1.0)
    assert ft.jvp(g, (3.0,), (1.0,)) == (9.0, 6.0)


def test_closures_over_outer_tracers():
    def outer(a):
        inner = ft.jit(lambda b: a * b)
        mapped = ft.vmap(lambda b: a * ft.grad(lambda c: c**2 * a)(b))
        return inner(2.0) + fnp.sum(mapped(np.array([1.0, 2.0])))

    expected = 2.0 + 2 * 3.0 * 2 * (1 + 2)
    assert ft.grad(outer)(3.0) == expected
    assert ft.jit(ft.grad(outer))(3.0) == expected
    np.testing.assert_allclose(ft.vmap(ft.grad(outer))(np.array([3.0])), [expected])


def test_perturbations_are_not_confused():
    assert ft.grad(lambda x: x * ft.grad(lambda y: x + y)(2.0))(5.0) == 1.0


def test_linear_transpose():
    transposed = ft.linear_transpose(lambda x: fnp.cumsum(2.0 * x)[1:], np.zeros(3))
    np.testing.assert_array_equal(transposed(np.array([1.0, 10.0]))[0], [22.0, 22.0, 20.0])


def test_linearize_is_linear_and_reusable():
    y, push = ft.linearize(lambda x: {"a": fnp.sin(x)}, X)
    np.testing.assert_allclose(y["a"], np.sin(X))
    np.testing.assert_allclose(push(X)["a"] + push(2 * X)["a"], push(3 * X)["a"])
    np.testing.assert_allclose(ft.jit(push)(X)["a"], push(X)["a"])


def test_vjp_can_be_called_often():
    _, pull = ft.vjp(fnp.sin, X)
    np.testing.assert_array_equal(pull(X)[0], pull(X)[0])


def test_stop_gradient():
    assert ft.grad(lambda x: x * ft.stop_gradient(x))(3.0) == 3.0
    assert ft.jit(ft.grad(lambda x: x * ft.stop_gradient(x)))(3.0) == 3.0


def test_gradients_never_share_memory_with_arguments():
    x = np.ones(3)
    gradient = ft.grad(lambda x: fnp.sum(x))(x)
    gradient[0] = 7.0
    assert x[0] == 1.0
    same = ft.grad(lambda x, y: fnp.sum(x * y))(x, x)
    same[0] = 5.0
    assert x[0] == 1.0


def test_residuals_are_freed_as_they_are_used():
    alive = []

    @ft.custom_vjp
    def layer(x):
        return x * 2.0

    class Watched(np.ndarray):
        pass

    def forward(x):
        residual = np.ones(10).view(Watched)
        alive.append(weakref.ref(residual))
        return layer(x), residual

    counts = []

    def backward(residual, ct):
        del residual
        gc.collect()
        counts.append(sum(r() is not None for r in alive))
        return (ct * 2.0,)

    layer.defvjp(forward, backward)
    ft.grad(lambda x: layer(layer(layer(layer(x)))))(1.0)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]


# ---------------------------------------------------------------- vmap


def test_vmap_axes():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    np.testing.assert_array_equal(ft.vmap(lambda x, y: x * y, (1, 0))(a, b), (a * b).T)
    np.testing.assert_array_equal(ft.vmap(lambda x, y: x * y, (1, 0), out_axes=1)(a, b), a * b)
    np.testing.assert_array_equal(ft.vmap(lambda d: d["a"] + d["b"], ({"a": 0, "b": None},))({"a": a, "b": b}), a + b)
    assert ft.vmap(lambda: 1.0, axis_size=3, out_axes=0)().shape == (3,)
    np.testing.assert_array_equal(ft.vmap(lambda x, *, y: x + y)(b, y=b), 2 * b)
    assert ft.vmap(lambda x, n: x * n if n > 1 else x, (0, None))(b, 2)[2] == 4.0


def test_vmap_of_vmap_and_names():
    a = np.arange(6.0).reshape(2, 3)
    both = ft.vmap(ft.vmap(lambda x: x / ft.lax.psum(x, ("i", "j")), axis_name="j"), axis_name="i")
    np.testing.assert_allclose(both(a), a / a.sum())
    centered = ft.vmap(lambda x: x - ft.lax.pmean(x, "i"), axis_name="i")
    np.testing.assert_allclose(ft.jit(centered)(a), a - a.mean(0))
    np.testing.assert_allclose(ft.grad(lambda x: fnp.sum(centered(x) ** 2))(a), 2 * (a - a.mean(0)), atol=1e-12)


# ---------------------------------------------------------------- jit


def test_jit_traces_once_for_each_type():
    traces = []

    @ft.jit
    def g(x):
        traces.append(x.shape)
        return x + 1

    for x in (X, X + 1, np.ones(4), X.astype(np.float32)):
        g(x)
    assert len(traces) == 3
    g.clear_cache()
    g(X)
    assert len(traces) == 4


def test_new_sizes_compile_no_new_kernel():
    g = ft.jit(lambda x: fnp.tanh(x) * fnp.sum(x**2, axis=0) + 0.12345)
    g(np.ones((40, 50)))
    before = ft.cache_info().kernels_compiled
    g(np.ones((60, 70)))
    g(np.ones((41, 33)))
    assert ft.cache_info().kernels_compiled == before


def test_static_arguments():
    power = ft.jit(lambda x, n, flag=True: x**n if flag else x, static_argnums=1, static_argnames=("flag",))
    assert (power(2.0, 3), power(2.0, 3, flag=False), power(2.0, n=2)) == (8.0, 2.0, 4.0)
    kinds = ft.jit(lambda x, n: x * 0 + (1 if isinstance(n, bool) else 2), static_argnums=1)
    assert (kinds(1.0, True), kinds(1.0, 1)) == (1.0, 2.0)


def test_methods_and_decorators():
    class Model:
        scale = 2.0

        @ft.jit
        def plain(x):
            return x * 3.0

        @staticmethod
        @ft.jit
        def static(x):
            return x * 2.0

    assert Model.static(2.0) == 4.0
    assert Model.plain(2.0) == 6.0

    @ft.jit(static_argnames="n")
    def g(x, n):
        """Documented."""
        return x * n

    assert g(2.0, n=3) == 6.0
    assert g.__doc__ == "Documented."


def test_results_never_share_memory():
    x = np.ones(3)
    a, b = ft.jit(lambda x: (x, x))(x)
    a[0] = 5.0
    assert x[0] == 1.0
    assert b[0] == 1.0


def test_layouts_and_scalars():
    g = ft.jit(lambda x: x * 2)
    base = np.arange(24.0).reshape(4, 6)
    arrays_ = (base.T, base[::2, ::3], base[:, ::-1], np.broadcast_to(1.0, (3, 2)), np.zeros((0, 3)))
    for x in (*arrays_, np.float64(3.0), 2, True):
        np.testing.assert_array_equal(g(x), np.asarray(x) * 2)


def test_stages_can_be_seen():
    lowered = ft.jit(lambda x: fnp.sum(fnp.sin(x) ** 2)).lower(ft.ShapeDtypeStruct((100,), np.float64))
    text = lowered.as_text()
    for part in ("# simplified", "# loops", "# kernels", "# plan", "def kernel(buffers, sizes, lo, hi)"):
        assert part in text
    compiled = lowered.compile()
    np.testing.assert_allclose(compiled(np.ones(100)), 100 * np.sin(1.0) ** 2)
    assert compiled.memory_analysis().output_size_in_bytes == 8
    with pytest.raises(ft.errors.ShapeError, match="compiled for f64"):
        compiled(np.ones(5))


def test_disable_jit_and_ensure_compile_time_eval():
    with ft.disable_jit():
        assert ft.jit(lambda x: x + 1 if x > 0 else x)(1.0) == 2.0

    @ft.jit
    def g(x):
        with ft.ensure_compile_time_eval():
            n = int(fnp.sum(fnp.arange(4)))
        return x * n

    assert g(2.0) == 12.0


@settings(max_examples=20, deadline=None)  # the first call compiles
@given(arrays(shape=(20,)), scalars())
def test_jit_is_the_plain_function(x, s):
    def g(x, s):
        return fnp.where(x > s, fnp.exp(-(x**2)), fnp.cumsum(x)) + fnp.max(x)

    np.testing.assert_allclose(ft.jit(g)(x, s), g(x, s), rtol=1e-13, atol=1e-13)


# ---------------------------------------------------------------- custom rules


def test_custom_jvp():
    @ft.custom_jvp
    def g(x, y):
        return fnp.sin(x) * y

    g.defjvps(lambda t, out, x, y: 2 * t * fnp.cos(x) * y, lambda t, out, x, y: t * fnp.sin(x))
    expected = (2 * np.cos(1.0) * 3.0, np.sin(1.0))
    for gradient in (ft.grad(g, (0, 1)), ft.jit(ft.grad(g, (0, 1))), ft.grad(ft.jit(g), (0, 1))):
        np.testing.assert_allclose(gradient(1.0, 3.0), expected)
    np.testing.assert_allclose(ft.vmap(ft.grad(g), (0, None))(np.ones(2), 3.0), [expected[0]] * 2)
    mapped = ft.grad(lambda x: fnp.sum(ft.vmap(g)(x, np.array([3.0, 3.0]))))
    np.testing.assert_allclose(mapped(np.ones(2)), [expected[0]] * 2)


def test_custom_vjp():
    @ft.custom_vjp
    def g(x, y):
        return x * fnp.sin(y)

    g.defvjp(lambda x, y: (g(x, y), (x, y)), lambda r, ct: (ct * fnp.sin(r[1]), ct * r[0] * fnp.cos(r[1]) * 3.0))
    expected = (np.sin(2.0), 3 * np.cos(2.0))
    for gradient in (ft.grad(g, (0, 1)), ft.jit(ft.grad(g, (0, 1))), ft.grad(ft.jit(g), (0, 1))):
        np.testing.assert_allclose(gradient(1.0, 2.0), expected)
    np.testing.assert_allclose(ft.vmap(ft.grad(g, 1), (None, 0))(1.0, np.full(2, 2.0)), [expected[1]] * 2)
    _, forward = ft.jvp(g, (1.0, 2.0), (0.0, 1.0))
    np.testing.assert_allclose(forward, expected[1])
    hessian = ft.hessian(g, (0, 1))(1.0, 2.0)
    np.testing.assert_allclose(hessian[1][1], -3 * np.sin(2.0))


def test_custom_vjp_with_forward_mode_through_the_function():
    """Where the backward rule is not linear."""
    f = ft.custom_vjp(lambda x: np.sin(x) * x, forward_through=True)
    f.defvjp(lambda x: (f(x), None), lambda _, ct: (ct * abs(ct),))
    x = np.array([0.5, 2.0])
    tangent = lambda x: ft.jvp(f, (x,), (np.ones(np.shape(x)),))[1]
    for how in (tangent, ft.jit(tangent), ft.vmap(tangent), ft.jit(ft.vmap(tangent))):
        np.testing.assert_allclose(how(x), np.sin(x) + x * np.cos(x))
    np.testing.assert_allclose(ft.vmap(ft.grad(tangent))(x), 2 * np.cos(x) - x * np.sin(x))
    np.testing.assert_allclose(ft.grad(lambda x: np.sum(3.0 * f(x)))(x), [9.0, 9.0])


def test_custom_vjp_with_static_arguments_and_unmapped_ones():
    clip = ft.custom_vjp(lambda limit, x, w: x * w, nondiff_argnums=(0,))
    clip.defvjp(
        lambda limit, x, w: (x * w, (x, w)),
        lambda limit, r, ct: (fnp.clip(ct * r[1], -limit, limit), ct * r[0]),
    )
    assert ft.grad(lambda x: clip(0.5, x, 3.0))(1.0) == 0.5
    summed = ft.grad(lambda w: fnp.sum(ft.vmap(lambda x: clip(0.5, x, w))(np.array([1.0, 2.0]))))
    assert summed(3.0) == 3.0
    with pytest.raises(ft.errors.NotDifferentiableError, match="not linear in the cotangents"):
        ft.jvp(lambda x: clip(0.5, x, 3.0), (1.0,), (1.0,))


def test_custom_rules_and_closures():
    @ft.custom_jvp
    def g(x):
        return x

    def outer(a):
        g.defjvp(lambda p, t: (p[0], t[0] * a))
        return g(1.0 * a)

    with pytest.raises(ft.errors.NotDifferentiableError, match="captures a value"):
        ft.grad(outer)(2.0)
