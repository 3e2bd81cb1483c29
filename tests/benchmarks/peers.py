"""The workloads that PyTorch and autograd have too, as their users write them.

`peer_workloads(name)` gives, by the name of the workload, a function of the arguments that functrans gets; what it
returns runs the workload on the peer.
"""

import numpy as np


def torch_workloads():
    """Compiled by `torch.compile`; arguments are tensors beforehand."""
    import torch

    def tensors(args):
        if isinstance(args, (tuple, list)):
            return type(args)(tensors(a) for a in args)
        return torch.from_numpy(args)

    def price(spot, time, strike=100.0, rate=0.02, volatility=0.3):
        root = volatility * torch.sqrt(time)
        d1 = (torch.log(spot / strike) + (rate + volatility**2 / 2) * time) / root
        below = lambda x: 0.5 * (1 + torch.erf(x / 2**0.5))
        return spot * below(d1) - strike * torch.exp(-rate * time) * below(d1 - root)

    def loss(params, x, y):
        *hidden, (w, b) = params
        for layer in hidden:
            x = torch.relu(x @ layer[0] + layer[1])
        return -(torch.log_softmax(x @ w + b, -1) * y).sum(-1).mean()

    def step(params, x, y):
        grads, value = torch.func.grad_and_value(loss)(params, x, y)
        return value, [tuple(p - 0.1 * g for p, g in zip(*layer)) for layer in zip(params, grads)]

    def layer_norm(x):
        centred = x - x.mean(1, keepdim=True)
        return centred / torch.sqrt(x.var(1, keepdim=True, correction=0) + 1e-5)

    def convolution(x, w):
        return torch.nn.functional.conv2d(x, w, padding=1)

    def by_channels(image, filters):
        return image.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last), filters.permute(3, 2, 0, 1)

    def grad(function, argnums=(0, 1)):
        return torch.func.grad(function, argnums=argnums)

    plain = lambda *args: args
    functions = {
        "black_scholes": (price, plain),
        "black_scholes_grad": (grad(lambda s, t: price(s, t).sum()), plain),
        "affine": (lambda x: x * 2 + 1, plain),
        "gelu": (lambda x: torch.nn.functional.gelu(x, approximate="tanh"), plain),
        "softmax": (lambda x: torch.softmax(x, -1), plain),
        "layer_norm": (layer_norm, plain),
        "logsumexp_grad": (grad(lambda x: torch.logsumexp(x, 1).sum(), 0), plain),
        "sum_of_squares": (lambda x: (x * x).sum(), plain),
        "sum_of_squares_of_columns": (lambda x: (x * x).sum(0), plain),
        "training_step_small": (step, plain),
        "training_step_large": (step, plain),
        "convolution": (convolution, by_channels),
        "convolution_grad": (grad(lambda x, w: (convolution(x, w) ** 2).sum()), by_channels),
    }

    def workload(function, arranged):
        compiled = torch.compile(function)

        def make(args):
            args = arranged(*tensors(args))
            return lambda: compiled(*args)

        return make

    return {name: workload(*pair) for name, pair in functions.items()}


def autograd_workloads():
    import autograd
    import autograd.numpy as np_

    def logistic(args, x, y):
        def loss(w):
            p = 1 / (1 + np_.exp(-(x @ w)))
            return -np_.mean(y * np_.log(p) + (1 - y) * np_.log(1 - p))

        gradient = autograd.grad(loss)
        w = np.asarray(args[0])
        return lambda: gradient(w)

    def rosenbrock(args):
        gradient = autograd.grad(lambda x: np_.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
        x = np.asarray(args[0])
        return lambda: gradient(x)

    rng = np.random.default_rng(0)  # the data of the workload
    x, y = rng.normal(size=(100, 10)), (rng.random(100) > 0.5).astype(float)
    return {"rosenbrock_grad_eager": rosenbrock, "logistic_grad_eager": lambda args: logistic(args, x, y)}


def peer_workloads(name):
    return {"torch": torch_workloads, "autograd": autograd_workloads}[name]()
