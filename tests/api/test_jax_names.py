"""Names that programs written for JAX use around their mathematics: devices, types, scopes, errors."""

import logging

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, typing


def test_devices():
    assert ft.local_devices() == ft.devices() == ft.devices(backend="cpu")
    assert (ft.device_count(), ft.local_device_count(), ft.process_count(), ft.process_index()) == (1, 1, 1, 0)
    assert ft.default_backend() == "cpu"
    with pytest.raises(errors.ArgumentError, match="one process, with the number 0; got 1"):
        ft.local_devices(process_index=1)


def test_device_put():
    x = np.arange(3.0)
    for options, shares in ({}, True), ({"may_alias": True}, True), ({"may_alias": False}, False):
        y = ft.device_put({"x": x}, ft.devices()[0], src=ft.devices()[0], donate=True, **options)["x"]
        assert np.shares_memory(x, y) is shares
        np.testing.assert_array_equal(y, x)
    jitted = ft.jit(lambda x: ft.device_put(x, may_alias=False) + 1)
    np.testing.assert_array_equal(jitted(x), x + 1)


def test_typeof():
    for x in (np.ones((2, 3), np.float32), 1.0, fnp.zeros(2)):
        seen = []
        ft.jit(lambda v, seen=seen: seen.append(ft.typeof(v)) or v)(x)
        assert seen == [ft.typeof(x)]
    assert (ft.typeof(1.0).shape, ft.typeof(1.0).dtype, ft.typeof(1.0).weak_type) == ((), np.float64, True)
    with pytest.raises(errors.DTypeError, match="argument of typeof"):
        ft.typeof([1.0])


def test_scopes():
    """They stand in the source of an equation, also of those that derivatives and vmap make of it."""

    @ft.named_scope("outer")
    def f(x):
        with ft.named_scope("inner"):
            y = np.sin(x)
        return y * x

    def scopes(fun, *args):
        return {str(e.primitive): e.source.scope for e in ft.make_jaxpr(fun)(*args).eqns}

    assert scopes(f, np.ones(())) == {"sin": "outer/inner", "mul": "outer"}
    assert scopes(ft.grad(f), np.ones(()))["cos"] == "outer/inner"
    assert scopes(ft.vmap(f), np.ones(2)) == {"sin": "outer/inner", "mul": "outer"}
    assert scopes(lambda x: x + f(x), 1.0)["add"] == ""  # both are left
    with pytest.raises(errors.TracerBoolConversionError, match=r"test_jax_names.py:\d+ \(<lambda> in check\)"):
        ft.jit(ft.named_scope("check")(lambda x: 1 if x > 0 else 2))(1.0)
    with pytest.raises(errors.DTypeError, match="named_scope takes a string, got 1"):
        ft.named_scope(1)


def test_caches_cleared():
    traces = []
    f = ft.jit(lambda x: traces.append(1) or x)
    f(1.0), f(2.0)
    assert len(traces) == 1
    ft.clear_caches()
    f(1.0)
    assert len(traces) == 2


def test_tracers_and_annotations():
    seen = []

    def look(x):
        seen.append((isinstance(x, ft.core.Tracer), isinstance(x, typing.ArrayLike), isinstance(x, typing.Array)))
        return x

    look(fnp.ones(2))
    ft.grad(look)(1.0)
    ft.jit(look)(1.0)
    assert seen == [(False, True, True), (True, True, True), (True, True, True)]
    assert isinstance(1.0, typing.ArrayLike)
    assert not isinstance([1.0], typing.ArrayLike)


def test_an_interpreter():
    """As JAX's documentation writes them: over equations, by the primitives' names and params."""
    inverses = {ft.lax.exp_p: ft.lax.log_p, ft.lax.neg_p: ft.lax.neg_p}

    def inverse(fun):
        def inverted(y):
            closed = ft.make_jaxpr(fun)(y)
            env = {closed.jaxpr.outvars[0]: y}
            for eqn in reversed(closed.jaxpr.eqns):
                (operand,), params = eqn.invars, eqn.primitive.get_bind_params(eqn.params)[1]
                env[operand] = inverses[eqn.primitive].bind(env[eqn.outvars[0]], **params)
            return env[closed.jaxpr.invars[0]]

        return inverted

    f = lambda x: np.exp(-x)
    np.testing.assert_allclose(inverse(f)(f(0.3)), 0.3)
    np.testing.assert_allclose(ft.jit(ft.grad(inverse(f)))(0.5), -2.0)
    closed = ft.make_jaxpr(lambda x: x * 2)(1.0)
    assert closed.eqns[0].invars[1].val == 2.0
    with pytest.raises(errors.ArgumentError, match="the jaxpr takes 1 args, got 2"):
        ft.core.eval_jaxpr(closed.jaxpr, closed.literals, 1.0, 2.0)
    with pytest.raises(AttributeError, match="nothing_p"):
        ft.lax.nothing_p  # noqa: B018


def test_errors_by_their_names_in_jax():
    """Every name of jax.errors but that of symbolic dimensions."""
    for name in (
        "ConcretizationTypeError", "JAXIndexError", "JAXTypeError", "JaxRuntimeError", "JaxprTypeError",
        "KeyReuseError", "NonConcreteBooleanIndexError", "TracerArrayConversionError", "TracerBoolConversionError",
        "TracerIntegerConversionError", "UnexpectedTracerError",
    ):  # fmt: skip
        assert issubclass(getattr(errors, name), errors.FunctransError)
    with pytest.raises(errors.ConcretizationTypeError):
        ft.jit(float)(1.0)


def test_log(caplog):
    with caplog.at_level(logging.INFO, "functrans.debug"):
        ft.jit(lambda x: ft.debug.log("x = {x:.2f}", x=x * 2))(1.5)
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [("INFO", "x = 3.00")]
    with pytest.raises(errors.ArgumentError, match="debug.log: the format"):
        ft.debug.log("{}")


def test_what_reverse_mode_keeps(capsys):
    saved = ft.ad_checkpoint.saved_residuals

    def f(x, w):
        y = ft.checkpoint_name(np.sin(x @ w), "y")
        return np.sum(np.cos(y) * 3.0)

    args = np.ones(3), np.ones((3, 2))
    lines = saved(f, *args)
    kinds = {line.split(" at ")[0] for line in lines}
    assert {"f64[3] the argument x of f", "f64[3,2] the argument w of f", "f64[2] the result of cos"} <= kinds
    assert all("argument" in line or "test_jax_names.py" in line for line in lines)
    policy = ft.checkpoint_policies.save_only_these_names("y")
    ft.ad_checkpoint.print_saved_residuals(ft.checkpoint(f, policy=policy), *args)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert sum("argument" in line for line in printed) == 2
    assert saved(lambda x: 2 * x, 1.0) == []


@pytest.mark.parametrize("jitted", [True, False])
def test_forward_and_backward_passes(jitted):
    traces = []

    def f(p, n, y):
        traces.append(1)
        return {"out": p["w"] ** n * np.sin(y)}, n

    fwd, bwd = ft.fwd_and_bwd(f, (0, -1), has_aux=True, jitted=jitted)
    for w in (1.5, 2.5, 3.5):
        out, residuals, aux = fwd({"w": w}, 2, 0.5)
        assert aux == 2
        (dp, dy) = bwd(residuals, ft.tree.map(np.ones_like, out))
        np.testing.assert_allclose([dp["w"], dy], [2 * w * np.sin(0.5), w**2 * np.cos(0.5)])
    assert len(traces) == (1 if jitted else 3)
    with pytest.raises(errors.ArgumentError, match="argnums"):
        ft.fwd_and_bwd(f, 7)[0]({"w": 1.0}, 2, 0.5)


def test_dtypes():
    dtypes = ft.dtypes
    key = ft.random.key(0)
    assert not dtypes.issubdtype(key.dtype, dtypes.prng_key)
    assert dtypes.issubdtype(dtypes.prng_key, dtypes.extended)
    assert dtypes.issubdtype(np.complex64, np.inexact)
    assert dtypes.result_type(np.float32, 2.0, return_weak_type_flag=True) == (np.float32, False)
    assert dtypes.result_type(1, 2.0, return_weak_type_flag=True) == (np.float64, True)
    seen = []
    ft.jit(lambda x: seen.append((dtypes.scalar_type_of(x), dtypes.result_type(x, 1.0))) or x)(np.int32(1))
    assert seen == [(int, np.float64)]
    assert [dtypes.scalar_type_of(x) for x in (True, 1, 1.0, 1j)] == [bool, int, float, complex]
    assert dtypes.itemsize_bits(np.int16) == 16
    assert dtypes.finfo(np.float32).eps == np.finfo(np.float32).eps
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    assert dtypes.issubdtype(dtypes.bfloat16, np.floating)
    assert dtypes.issubdtype(bfloat16, bfloat16)
    assert not dtypes.issubdtype(bfloat16, np.integer)
    assert dtypes.scalar_type_of(np.ones(2, bfloat16)) is float
    with pytest.raises(errors.DTypeError, match="arrays of numbers"):
        dtypes.scalar_type_of(np.array(["a"]))


def test_stages():
    f = ft.jit(np.sin)
    stages = ft.stages
    assert isinstance(f, stages.Wrapped)
    assert isinstance(f.trace(1.0), stages.Traced)
    assert isinstance(f.lower(1.0), stages.Lowered)


SHAPE = ft.ShapeDtypeStruct((2,), float)
REFUSED = {
    "sharding": [
        lambda: ft.ShapeDtypeStruct((2,), float, sharding="x"),
        lambda: ft.pure_callback(np.sin, SHAPE, np.ones(2), sharding="x"),
        lambda: ft.io_callback(np.sin, SHAPE, np.ones(2), sharding="x"),
    ],
    "in_shardings": [lambda: ft.jit(np.sin, in_shardings="x")],
    "out_shardings": [lambda: ft.jit(np.sin, out_shardings="x")],
    "spmd_axis_name": [lambda: ft.vmap(np.sin, spmd_axis_name="x")],
    "out_sharding": [
        lambda: ft.nn.initializers.ones(None, (2,), float, "x"),
        lambda: ft.nn.initializers.zeros(None, (2,), float, out_sharding="x"),
    ],
}


@pytest.mark.parametrize("keyword", REFUSED)
def test_placement_is_refused(keyword):
    for call in REFUSED[keyword]:
        with pytest.raises(errors.ArgumentError, match=f"does not take {keyword}='x': a program runs on one device"):
            call()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ft.grad(np.sin, reduce_axes=("i",)), "grad does not take reduce_axes.*lax.psum"),
        (lambda: ft.value_and_grad(np.sin, reduce_axes=("i",)), "reduce_axes"),
        (lambda: ft.vjp(np.sin, 1.0, reduce_axes=("i",)), "vjp does not take reduce_axes"),
        (lambda: ft.linear_transpose(lambda x: 2 * x, 1.0, reduce_axes=("i",)), "linear_transpose does not take"),
        (lambda: ft.vmap(np.sin, sum_match=True), "does not take sum_match=True"),
        (lambda: ft.jit(np.sin, compiler_options={"xla_flag": True}), "those of XLA"),
        (lambda: ft.jit(np.sin, device="cpu", backend="cpu"), "a device or a backend"),
        (lambda: ft.checkpoint(lambda x: x, static_argnames="y"), "static_argnames of checkpoint.*names 'y'"),
        (lambda: ft.checkpoint(3), "checkpoint takes a function"),
    ],
)
def test_keywords_that_are_refused(call, text):
    with pytest.raises(errors.ArgumentError, match=text):
        call()


def test_keywords_that_ask_for_nothing():
    assert ft.grad(np.sin, reduce_axes=())(0.0) == 1.0
    assert ft.jit(np.cos, backend="cpu", compiler_options=None, in_shardings=None)(0.0) == 1.0
    assert ft.jit(np.cos, static_argnames=iter(())).lower(0.0) is not None


def test_static_arguments_of_checkpoint():
    """By position and by name, given either way."""

    def power(x, n, *, twice=False):
        for _ in range(n):
            x = np.sin(x)
        return 2 * x if twice else x

    slope = ft.grad(power)(0.3, 2)
    by_name = ft.checkpoint(power, static_argnames=("n", "twice"))
    by_number = ft.checkpoint(power, static_argnums=1, static_argnames="twice")
    for f in (by_name, by_number):
        np.testing.assert_allclose(ft.grad(f)(0.3, 2), slope)
        np.testing.assert_allclose(ft.grad(f)(0.3, n=2), slope)
        np.testing.assert_allclose(ft.jit(ft.grad(lambda x, f=f: f(x, n=2, twice=True)))(0.3), 2 * slope)


def test_axes_of_make_jaxpr():
    f = lambda x: x / ft.lax.psum(1, "i") + ft.lax.psum(x, "i")
    closed = ft.make_jaxpr(f, axis_env=[("i", 4)])(1.0)
    assert [e.primitive.name for e in closed.eqns].count("psum") == 1
    assert "4.0" in str(closed)
    with pytest.raises(errors.AxisNameError):
        ft.make_jaxpr(f)(1.0)


def test_policies_that_offload():
    policies = ft.checkpoint_policies
    policy = policies.save_and_offload_only_these_names(
        names_which_can_be_saved=["a"], names_which_can_be_offloaded=["b"], offload_src="device", offload_dst="host"
    )

    def f(x):
        for name in "abc":
            x = ft.checkpoint_name(np.sin(x), name)
        return x

    sines = lambda **options: str(ft.make_jaxpr(ft.grad(ft.checkpoint(f, **options)))(1.0)).count("sin ")
    assert sines(policy=policy) == 3  # what the derivative reads is kept
    assert sines() > 3
    assert policies.offload_dot_with_no_batch_dims("device", "host") is policies.dots_with_no_batch_dims_saveable
