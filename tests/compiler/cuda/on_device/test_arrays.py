"""Arrays on the device: where they are, what can be done with them, and the errors."""

import copy
import pickle

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, nn, optim
from functrans.compiler.cuda.runtime import runtime

X = np.linspace(-1, 2, 7).astype(np.float32)
M = np.random.default_rng(0).normal(size=(3, 4))


def on_gpu(x):
    return ft.device_put(x, "cuda")


def same(got, want):
    got = ft.device_get(got)
    assert got.dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-5 if got.dtype == np.float32 else 1e-12, atol=1e-7)


def test_placement():
    x = on_gpu(X)
    assert x.device == "cuda:0"
    assert isinstance(x, ft.Array)
    assert (x.shape, x.dtype, x.ndim, x.size, len(x)) == ((7,), np.float32, 1, 7, 7)
    assert on_gpu(x) is x
    assert ft.device_put(x) is x
    assert type(ft.device_get(x)) is np.ndarray
    back = ft.device_put(x, "cpu")
    assert type(back) is ft.Array
    np.testing.assert_array_equal(back, X)
    tree = ft.device_put({"a": 1.5, "b": (X,)}, ft.devices("cuda")[0])
    assert tree["b"][0].device == "cuda:0"
    assert float(tree["a"]) == 1.5
    assert [str(d) for d in ft.devices("gpu")] == ["cuda:0"]
    assert [str(d) for d in ft.devices()] == ["cpu"]
    with ft.default_device("cuda"):
        assert [str(d) for d in ft.devices()] == ["cuda:0"]
        assert ft.device_put(1.0).device == "cuda:0"
        assert ft.jit(lambda x: x + 1)(X).device == "cuda:0"
    assert type(ft.jit(lambda x: x + 1)(X)) is ft.Array
    assert type(ft.jit(lambda x: x + 1, device="cpu")(x)) is ft.Array


def test_a_copy_is_its_own():
    host = X.copy()
    x = on_gpu(host)
    host[0] = 99
    assert float(x[0]) == X[0]


EAGER = {
    "operators": lambda x: (2 * x + 1) / (3 - x) ** 2 % 5,
    "comparisons": lambda x: (x > 0) & ~(x == 1) | (x <= -1),
    "numpy": lambda x: np.sin(x) + np.maximum(x, 0),
    "functrans.numpy": lambda x: fnp.where(x > 0, fnp.exp(x), x),
    "methods": lambda x: x.reshape(7, 1).T.sum(axis=0).cumsum().astype(np.float64),
    "reductions": lambda x: x.mean() + x.std() + np.linalg.norm(x),
    "indexing": lambda x: x[2:5] + x[-1] + x[np.array([0, 3, 5])],
    "boolean": lambda x: fnp.where(x > 0, x, 0).sum(),
    "updates": lambda x: x.at[1:3].set(7.0).at[np.array([0, 0])].add(1.0),
    "matmul": lambda x: x @ x + (x[:, None] @ x[None])[0],
    "joining": lambda x: np.concatenate([x, x[::-1]]) * np.stack([x, x])[0, 0],
    "sorting": lambda x: fnp.sort(-x) + fnp.argsort(-x),
    "control flow": lambda x: ft.lax.fori_loop(0, 3, lambda i, s: s + i * x, x),
    "a branch": lambda x: ft.lax.cond(x.sum() > 0, lambda: x, lambda: -x),
    "python": lambda x: x * 2 if x.sum() > 0 else x,
    "iteration": lambda x: sum(v * i for i, v in enumerate(x)),
    "creation": lambda x: x + fnp.zeros(7, np.float32) + fnp.arange(7, dtype=np.float32),
}


@pytest.mark.parametrize("name", EAGER)
def test_eager(name):
    same(EAGER[name](on_gpu(X)), EAGER[name](X.view(ft.Array)))


def loss(w, x):
    return fnp.tanh(x @ w).sum() ** 2


W = np.linspace(0, 1, 4)
TRANSFORMED = {
    "grad": lambda: ft.grad(loss),
    "jit(grad)": lambda: ft.jit(ft.grad(loss)),
    "grad(jit)": lambda: ft.grad(ft.jit(loss)),
    "value_and_grad": lambda: lambda w, x: ft.value_and_grad(loss, (0, 1))(w, x)[1][1],
    "jvp": lambda: lambda w, x: ft.jvp(lambda w: loss(w, x), (w,), (w,))[1],
    "vjp": lambda: lambda w, x: ft.vjp(lambda w: fnp.sin(x @ w), w)[1](x[:, 0])[0],
    "linearize": lambda: lambda w, x: ft.linearize(lambda w: fnp.sin(x @ w), w)[1](w),
    "vmap": lambda: ft.vmap(loss, (None, 0)),
    "vmap(grad)": lambda: ft.vmap(ft.grad(loss), (None, 0)),
    "hessian": lambda: ft.hessian(loss),
    "jacrev": lambda: ft.jacrev(lambda w, x: fnp.sin(x @ w)),
    "checkpoint": lambda: ft.grad(ft.checkpoint(loss)),
    "jit(vmap(hessian))": lambda: ft.jit(ft.vmap(ft.hessian(loss), (None, 0))),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed(name):
    same(TRANSFORMED[name]()(on_gpu(W), on_gpu(M)), TRANSFORMED[name]()(W, M))


@ft.custom_jvp
def doubled_slope(x):
    return fnp.sin(x)


doubled_slope.defjvp(lambda primals, tangents: (doubled_slope(*primals), 2 * tangents[0] * fnp.cos(primals[0])))


def test_rules_of_the_user():
    same(doubled_slope(on_gpu(W)), np.sin(W))
    same(ft.grad(lambda x: doubled_slope(x).sum())(on_gpu(W)), 2 * np.cos(W))
    same(ft.jit(ft.grad(lambda x: doubled_slope(x).sum()))(on_gpu(W)), 2 * np.cos(W))


def test_captured_arrays():
    f = ft.jit(lambda y: y * W)
    same(ft.vmap(f)(on_gpu(M)), M * W)
    same(ft.grad(lambda y: f(y).sum())(on_gpu(W)), W)
    x = on_gpu(X)
    f = ft.jit(lambda y: y * x)
    same(f(x), X * X)
    same(f(2.0), 2 * X)
    same(f(x), X * X)
    same(ft.jit(lambda y: y * X)(x), X * X)


def test_a_step_of_training():
    model = nn.Sequential(nn.Linear(4, 8, key=ft.random.key(0)), nn.tanh, nn.Linear(8, 1, key=ft.random.key(1)))
    optimizer = optim.adam(0.1)

    @ft.jit
    def step(model, state, x, y):
        value, slope = ft.value_and_grad(lambda m: fnp.mean((ft.vmap(m)(x)[:, 0] - y) ** 2))(model)
        updates, state = optimizer.update(slope, state, model)
        return optim.apply_updates(model, updates), state, value

    y = M[:, 0]
    placed = ft.device_put((model, optimizer.init(model), M, y), "cuda")
    same(step(placed[0], optimizer.init(placed[0]), *placed[2:])[2], step(model, optimizer.init(model), M, y)[2])
    there, here = placed, (model, optimizer.init(model), M, y)
    for _ in range(2):
        *there, value = step(*there[:2], *placed[2:])
        *here, wanted = step(*here[:2], M, y)
        assert value.device == "cuda:0"
        np.testing.assert_allclose(float(value), wanted, rtol=1e-5)


def test_saved_from_the_device(tmp_path):
    ft.save(tmp_path / "x.safetensors", {"x": on_gpu(X), "n": 3})
    same(ft.load(tmp_path / "x.safetensors", {"x": X, "n": 0})["x"], X)


def test_a_conversion_is_asked_for():
    x = on_gpu(X)
    with pytest.raises(errors.DeviceError, match="is not copied to the host unasked: use functrans.device_get"):
        np.asarray(x)
    assert repr(on_gpu(np.array([1.0, 2.0]))) == "Array([1., 2.], device='cuda:0')"
    assert f"{x[0]:.1f}" == "-1.0"
    assert (float(x[0]), int(x[-1]), bool(x[1] < 0)) == (-1.0, 2, True)
    assert x[:2].tolist() == [-1.0, -0.5]
    assert x.block_until_ready() is x
    assert copy.deepcopy(x) is x
    same(pickle.loads(pickle.dumps(x)), X)


def test_other_libraries_share_its_memory():
    x = on_gpu(X)
    library = runtime().xp
    assert library.shares_memory(library.from_dlpack(x), x.data)
    again = on_gpu(x.data)
    same(again, X)
    if library is not np:
        assert library.shares_memory(library.asarray(x), x.data)
        assert again.data is x.data


MIXED, OUTSIDE = errors.MixedDevicesError, errors.IndexOutOfBoundsError
ERRORS = {
    "mixed operands": (lambda: on_gpu(X) + X, MIXED, "add has operands on the GPU and a NumPy array"),
    "mixed arguments": (lambda: ft.jit(lambda x, y: x + y)(on_gpu(X), X), MIXED, "jit(f, device='cuda')"),
    "a name": (lambda: ft.device_put(X, "tpu"), errors.ArgumentError, "a device is 'cpu', 'cuda'"),
    "another name": (lambda: ft.jit(lambda x: x, device=3), errors.ArgumentError, "a device is 'cpu', 'cuda'"),
    "another GPU": (lambda: ft.device_put(X, "cuda:1"), errors.DeviceError, "one device of each platform"),
    "an index": (lambda: ft.jit(lambda x, i: x[i])(on_gpu(X), 7), OUTSIDE, "axis 0 with size 7, at "),
    "an eager index": (lambda: on_gpu(X)[7], IndexError, "out of bounds"),
    "an update": (lambda: ft.jit(lambda x, i: x.at[i].set(0))(on_gpu(X), -8), OUTSIDE, "size 7, at "),
    "shapes": (lambda: on_gpu(X) + on_gpu(M), errors.ShapeError, "add"),
    "assignment": (lambda: on_gpu(X).__setitem__(0, 1.0), errors.TracerItemAssignmentError, "at"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, kind, text = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


def test_a_program_goes_on_after_an_error():
    f = ft.jit(lambda x, i: x[i])
    x = on_gpu(X)
    with pytest.raises(IndexError):
        f(x, 9)
    assert float(f(x, 1)) == X[1]


def test_nan_is_found():
    with ft.config.debug_nans(), pytest.raises(errors.NonFiniteError, match="nan in a result of log"):
        ft.jit(lambda x: fnp.log(x))(on_gpu(X))


def test_callbacks_run_on_the_host():
    seen = []
    f = ft.jit(lambda x: ft.pure_callback(lambda v: np.asarray(v) * 2, ft.ShapeDtypeStruct((7,), np.float32), x) + 1)
    same(f(on_gpu(X)), 2 * X + 1)
    g = ft.jit(lambda x: (ft.debug.callback(lambda v: seen.append(np.asarray(v).copy()), x), x + 1)[1])
    same(g(on_gpu(X)), X + 1)
    np.testing.assert_array_equal(seen[0], X)


def test_the_program_says_what_runs_where():
    f = ft.jit(lambda x: ft.scipy.special.jv(1, ft.scipy.special.j0(fnp.linalg.inv(x))).sum(), device="cuda")
    text = f.lower(np.eye(20)).as_text("plan")
    assert "CuPy solve" in text
    assert "CuPy bessel_j0" in text
    assert "NumPy jv" in text
    assert "# def" not in text
    same(f.lower(np.eye(20)).compile()(np.eye(20)), ft.device_get(f(np.eye(20))))


def test_two_threads_share_a_program():
    from concurrent.futures import ThreadPoolExecutor

    f = ft.jit(lambda x: fnp.cumsum(x * 2) + x.sum())
    inputs = [on_gpu(X + i) for i in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for x, y in zip(inputs, pool.map(f, inputs)):
            same(y, np.cumsum(ft.device_get(x) * 2) + ft.device_get(x).sum())
