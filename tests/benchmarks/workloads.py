"""What is timed: programs written once against the names that functrans and JAX share.

A workload is a function of a library and a dtype that gives a callable, as a user would call it, and its arguments. The
data come from a fixed seed, so every library computes the same.
"""

import numpy as np

WORKLOADS = {}
BOTH, DOUBLE, SINGLE = ("float64", "float32"), ("float64",), ("float32",)


def workload(dtypes=BOTH):
    def register(make):
        WORKLOADS[make.__name__] = (make, dtypes)
        return make

    return register


def normal(dtype, *shape):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


# ------------------------------------------------------------------ the price of a call


@workload(DOUBLE)
def call_with_one_array(ft, dtype):
    return ft.jit(lambda x: x + 1), (np.ones(3, dtype),)


@workload(DOUBLE)
def call_with_a_tree(ft, dtype):
    x = np.ones(3, dtype)
    return ft.jit(lambda tree: ft.tree.map(lambda x: x + 1, tree)), ({"a": [x, x], "b": (x, {"c": x})},)


# ------------------------------------------------------------------ elementwise programs and reductions


def _price(ft):
    def price(spot, time, strike=100.0, rate=0.02, volatility=0.3):
        root = volatility * ft.numpy.sqrt(time)
        d1 = (ft.numpy.log(spot / strike) + (rate + volatility**2 / 2) * time) / root
        below = lambda x: 0.5 * (1 + ft.scipy.special.erf(x / 2**0.5))
        return spot * below(d1) - strike * ft.numpy.exp(-rate * time) * below(d1 - root)

    return price


def _options(dtype):
    rng = np.random.default_rng(0)
    return rng.uniform(50, 150, 1_000_000).astype(dtype), rng.uniform(0.1, 2, 1_000_000).astype(dtype)


@workload()
def black_scholes(ft, dtype):
    return ft.jit(_price(ft)), _options(dtype)


@workload()
def black_scholes_grad(ft, dtype):
    price = _price(ft)
    return ft.jit(ft.grad(lambda s, t: price(s, t).sum(), argnums=(0, 1))), _options(dtype)


@workload()
def affine(ft, dtype):
    return ft.jit(lambda x: x * 2 + 1), (normal(dtype, 2000, 1000),)


@workload()
def gelu(ft, dtype):
    return ft.jit(ft.nn.gelu), (normal(dtype, 2000, 1000),)


@workload()
def softmax(ft, dtype):
    return ft.jit(lambda x: ft.nn.softmax(x, axis=-1)), (normal(dtype, 2000, 1000),)


@workload()
def layer_norm(ft, dtype):
    def f(x):
        centred = x - x.mean(1, keepdims=True)
        return centred / ft.numpy.sqrt(x.var(1, keepdims=True) + 1e-5)

    return ft.jit(f), (normal(dtype, 2000, 1000),)


@workload()
def logsumexp_grad(ft, dtype):
    return ft.jit(ft.grad(lambda x: ft.scipy.special.logsumexp(x, axis=1).sum())), (normal(dtype, 2000, 1000),)


@workload()
def sum_of_squares(ft, dtype):
    return ft.jit(lambda x: (x * x).sum()), (normal(dtype, 2000, 1000),)


@workload()
def sum_of_squares_of_columns(ft, dtype):
    return ft.jit(lambda x: (x * x).sum(0)), (normal(dtype, 2000, 1000),)


# ------------------------------------------------------------------ data that move


@workload(DOUBLE)
def cumsum(ft, dtype):
    return ft.jit(ft.numpy.cumsum), (normal(dtype, 1_000_000),)


@workload(DOUBLE)
def sort(ft, dtype):
    return ft.jit(ft.numpy.sort), (normal(dtype, 1_000_000),)


@workload(DOUBLE)
def segment_sum(ft, dtype):
    places = np.random.default_rng(0).integers(0, 1000, 1_000_000)
    return ft.jit(lambda v, i: ft.numpy.zeros(1000, dtype).at[i].add(v)), (normal(dtype, 1_000_000), places)


# ------------------------------------------------------------------ matrices and networks


@workload()
def matmul_small(ft, dtype):
    return ft.jit(lambda a: a @ a), (normal(dtype, 64, 64),)


@workload()
def matmul_large(ft, dtype):
    return ft.jit(lambda a: a @ a), (normal(dtype, 1024, 1024),)


def _training_step(ft, dtype, sizes):
    rng = np.random.default_rng(0)
    params = [((rng.normal(size=s) * 0.1).astype(dtype), np.zeros(s[1], dtype)) for s in zip(sizes, sizes[1:])]
    x = rng.normal(size=(128, sizes[0])).astype(dtype)
    y = np.eye(sizes[-1], dtype=dtype)[rng.integers(0, sizes[-1], 128)]

    def loss(params, x, y):
        *hidden, (w, b) = params
        for layer in hidden:
            x = ft.nn.relu(x @ layer[0] + layer[1])
        return -(ft.nn.log_softmax(x @ w + b) * y).sum(-1).mean()

    def step(params, x, y):
        value, grads = ft.value_and_grad(loss)(params, x, y)
        return value, ft.tree.map(lambda p, g: p - 0.1 * g, params, grads)

    return ft.jit(step), (params, x, y)


@workload()
def training_step_small(ft, dtype):
    return _training_step(ft, dtype, [784, 64, 10])


@workload()
def training_step_large(ft, dtype):
    return _training_step(ft, dtype, [784, 1024, 1024, 10])


def _convolution(ft, dtype):
    image, filters = normal(dtype, 32, 32, 32, 16), normal(dtype, 3, 3, 16, 32)
    layout = ("NHWC", "HWIO", "NHWC")
    return lambda x, w: ft.lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout), (image, filters)


@workload(SINGLE)
def convolution(ft, dtype):
    function, args = _convolution(ft, dtype)
    return ft.jit(function), args


@workload(SINGLE)
def convolution_grad(ft, dtype):
    function, args = _convolution(ft, dtype)
    return ft.jit(ft.grad(lambda x, w: (function(x, w) ** 2).sum(), argnums=(0, 1))), args


@workload(SINGLE)
def attention_grad(ft, dtype):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(8, 8, 128, 32)).astype(dtype) for _ in range(3))

    def loss(q, k, v):
        scores = ft.numpy.einsum("bhqd,bhkd->bhqk", q, k) / 32**0.5
        seen = ft.numpy.tril(ft.numpy.ones((128, 128), bool))
        weights = ft.nn.softmax(ft.numpy.where(seen, scores, -1e9), axis=-1)
        return (ft.numpy.einsum("bhqk,bhkd->bhqd", weights, v) ** 2).sum()

    return ft.jit(ft.grad(loss, argnums=(0, 1, 2))), (q, k, v)


@workload(DOUBLE)
def gaussian_process_grad(ft, dtype):
    rng = np.random.default_rng(0)
    points, values = rng.normal(size=(300, 5)).astype(dtype), rng.normal(size=300).astype(dtype)

    def negative_log_likelihood(logs):
        amplitude, scales, noise = ft.numpy.exp(logs[0]), ft.numpy.exp(logs[1:6]), ft.numpy.exp(logs[6])
        z = points / scales
        squares = ((z[:, None] - z[None]) ** 2).sum(-1)
        covariance = amplitude * ft.numpy.exp(-0.5 * squares) + (noise + 1e-6) * ft.numpy.eye(300, dtype=dtype)
        factor = ft.numpy.linalg.cholesky(covariance)
        a = ft.scipy.linalg.solve_triangular(factor, values, lower=True)
        return 0.5 * a @ a + ft.numpy.log(ft.numpy.diag(factor)).sum()

    return ft.jit(ft.value_and_grad(negative_log_likelihood)), (np.zeros(7, dtype),)


@workload()
def random_normal(ft, dtype):
    return ft.jit(lambda key: ft.random.normal(key, (1_000_000,), dtype)), (ft.random.PRNGKey(0),)


# ------------------------------------------------------------------ training on images of digits, with Adam


def network(name):
    """Weights and the names of what they do: of a dense network 784-64-10, or of one with two convolutions."""
    rng = np.random.default_rng(0)
    if name == "dense":
        shapes = {"dense1": (64, 784), "dense2": (10, 64)}
    else:
        shapes = {"conv1": (16, 1, 3, 3), "conv2": (32, 16, 3, 3), "dense": (10, 32 * 7 * 7)}
    return {
        name: {"w": (rng.normal(size=s) / np.sqrt(np.prod(s[1:]))).astype(np.float32), "b": np.zeros(s[0], np.float32)}
        for name, s in shapes.items()
    }


def images(count=64 * 20):
    """Noise with the shape of digits, and labels."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, count)


def _scores(ft, params, x):
    def dense(layer, x):
        return x @ layer["w"].T + layer["b"]

    def convolved(layer, x):
        x = ft.lax.conv_general_dilated(x, layer["w"], (1, 1), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
        x = ft.nn.relu(x + layer["b"][:, None, None])
        return ft.lax.reduce_window(x, -np.inf, ft.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    if "dense1" in params:
        return dense(params["dense2"], ft.nn.relu(dense(params["dense1"], x.reshape(x.shape[0], -1))))
    x = convolved(params["conv2"], convolved(params["conv1"], x))
    return dense(params["dense"], x.reshape(x.shape[0], -1))


def _adam_step(ft):
    def loss(params, x, y):
        return -ft.numpy.take_along_axis(ft.nn.log_softmax(_scores(ft, params, x)), y[:, None], 1).mean()

    @ft.jit
    def step(state, x, y):
        params, m, v, t = state
        value, grads = ft.value_and_grad(loss)(params, x, y)
        m = ft.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = ft.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        rate = 1e-3 * ft.numpy.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = ft.tree.map(lambda p, m, v: p - rate * m / (ft.numpy.sqrt(v) + 1e-8), params, m, v)
        return (params, m, v, t + 1), value

    return step


def _start(ft, name):
    params = network(name)
    zeros = ft.tree.map(np.zeros_like, params)
    return params, zeros, zeros, np.float32(1)


@workload(SINGLE)
def adam_step_dense(ft, dtype):
    x, y = images(64)
    return _adam_step(ft), (_start(ft, "dense"), x, y)


@workload(SINGLE)
def adam_step_convolutions(ft, dtype):
    x, y = images(64)
    return _adam_step(ft), (_start(ft, "convolutions"), x, y)


def _epoch(ft, name):
    step, (x, y) = _adam_step(ft), images()
    order = np.random.default_rng(2).permutation(len(x))

    def epoch(state):
        for i in range(0, len(x), 64):
            batch = order[i : i + 64]
            state, value = step(state, x[batch], y[batch])
        return value

    return epoch, (_start(ft, name),)


@workload(SINGLE)
def adam_epoch_dense(ft, dtype):
    return _epoch(ft, "dense")


@workload(SINGLE)
def adam_epoch_convolutions(ft, dtype):
    return _epoch(ft, "convolutions")


# ------------------------------------------------------------------ loops


@workload(DOUBLE)
def heat_equation(ft, dtype):
    def step(u, _):
        around = sum(ft.numpy.roll(u, shift, axis) for shift in (1, -1) for axis in (0, 1))
        return u + 0.1 * (around - 4 * u), None

    return ft.jit(lambda u: ft.lax.scan(step, u, None, length=50)[0]), (normal(dtype, 512, 512),)


def _lorenz_step(ft):
    def slope(s):
        x, y, z = s[0], s[1], s[2]
        return ft.numpy.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    def step(s, _, h=0.01):
        k1 = slope(s)
        k2 = slope(s + h / 2 * k1)
        k3 = slope(s + h / 2 * k2)
        k4 = slope(s + h * k3)
        s = s + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return s, s

    return step


@workload(DOUBLE)
def lorenz(ft, dtype):
    return ft.jit(lambda s: ft.lax.scan(_lorenz_step(ft), s, None, length=1000)[1]), (np.ones(3, dtype),)


@workload(DOUBLE)
def lorenz_grad(ft, dtype):
    last = lambda s: ft.lax.scan(_lorenz_step(ft), s, None, length=100)[0].sum()
    return ft.jit(ft.grad(last)), (np.ones(3, dtype),)


@workload(DOUBLE)
def lorenz_vmap(ft, dtype):
    last = lambda s: ft.lax.scan(_lorenz_step(ft), s, None, length=200)[0]
    return ft.jit(ft.vmap(last)), (1 + 0.1 * normal(dtype, 1000, 3),)


@workload(DOUBLE)
def newton_vmap(ft, dtype):
    def root(a):
        far = lambda c: ft.numpy.abs(c * c - a) > 1e-12 * a
        return ft.lax.while_loop(far, lambda c: 0.5 * (c + a / c), a)

    return ft.jit(ft.vmap(root)), (np.random.default_rng(0).uniform(1, 100, 10_000).astype(dtype),)


# ------------------------------------------------------------------ small problems of research code


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@workload(DOUBLE)
def rosenbrock_grad(ft, dtype):
    return ft.jit(ft.grad(rosenbrock)), (np.linspace(-1, 1, 1000).astype(dtype),)


@workload(DOUBLE)
def rosenbrock_hessian(ft, dtype):
    return ft.jit(ft.hessian(rosenbrock)), (np.linspace(-1, 1, 200).astype(dtype),)


@workload(DOUBLE)
def rosenbrock_grad_eager(ft, dtype):
    return ft.grad(rosenbrock), (ft.numpy.asarray(np.linspace(-1, 1, 1000).astype(dtype)),)


@workload(DOUBLE)
def logistic_grad_eager(ft, dtype):
    rng = np.random.default_rng(0)
    x = ft.numpy.asarray(rng.normal(size=(100, 10)).astype(dtype))
    y = ft.numpy.asarray((rng.random(100) > 0.5).astype(dtype))

    def loss(w):
        p = 1 / (1 + ft.numpy.exp(-(x @ w)))
        return -(y * ft.numpy.log(p) + (1 - y) * ft.numpy.log(1 - p)).mean()

    return ft.grad(loss), (ft.numpy.zeros(10, dtype),)


def tanh_network(np_, x, y):
    def loss(params):
        (w1, b1), (w2, b2) = params
        scores = np_.dot(np_.tanh(np_.dot(x, w1) + b1), w2) + b2
        scores = scores - np_.max(scores, axis=1, keepdims=True)
        total = np_.log(np_.sum(np_.exp(scores), axis=1, keepdims=True))
        return -np_.mean(np_.sum(y * (scores - total), axis=1))

    return loss


def tanh_network_data(dtype):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 10)).astype(dtype), np.eye(3, dtype=dtype)[rng.integers(0, 3, 100)]
    params = [(rng.normal(size=(n, m)).astype(dtype), np.zeros(m, dtype)) for n, m in ((10, 16), (16, 3))]
    return params, x, y


@workload(DOUBLE)
def network_grad_eager(ft, dtype):
    params, x, y = ft.tree.map(ft.numpy.asarray, tanh_network_data(dtype))
    return ft.grad(tanh_network(ft.numpy, x, y)), (params,)


@workload(DOUBLE)
def rosenbrock_jvp_eager(ft, dtype):
    x = ft.numpy.asarray(np.linspace(-1, 1, 1000).astype(dtype))
    return lambda x, t: ft.jvp(rosenbrock, (x,), (t,))[1], (x, x)


@workload(DOUBLE)
def rosenbrock_vjp_eager(ft, dtype):
    x = ft.numpy.asarray(np.linspace(-1, 1, 1000).astype(dtype))
    return lambda x: ft.vjp(rosenbrock, x)[1](1.0)[0], (x,)
