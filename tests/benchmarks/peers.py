"""The workloads that PyTorch and autograd have too, as their users write them.

`peer_workloads(name)` gives, by the name of the workload, a function of the arguments that functrans gets; what it
returns runs the workload on the peer.
"""

import numpy as np
from workloads import images, tanh_network, tanh_network_data


def torch_workloads(compiled=True):
    """Compiled by `torch.compile`, or eager; arguments are tensors beforehand."""
    import torch

    compile = torch.compile if compiled else lambda function: function

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
        function = compile(function)

        def make(args):
            args = arranged(*tensors(args))
            return lambda: function(*args)

        return make

    def trainer(name):
        """A step of training with Adam, as a user of PyTorch writes it."""
        nn = torch.nn
        if name == "dense":
            model = nn.Sequential(nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))
        else:
            model = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
            )  # fmt: skip
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=not compiled)
        loss = compile(lambda x, y: nn.functional.cross_entropy(model(x), y))
        update = compile(optimizer.step)

        def step(x, y):
            optimizer.zero_grad()
            value = loss(x, y)
            value.backward()
            update()
            return value

        return step

    def steps(name):
        def make(args):
            step, (x, y) = trainer(name), tensors(images(64))
            return lambda: step(x, y)

        return make

    def epochs(name):
        def make(args):
            step, (x, y) = trainer(name), tensors(images())
            order = torch.from_numpy(np.random.default_rng(2).permutation(len(x)))

            def epoch():
                for i in range(0, len(x), 64):
                    batch = order[i : i + 64]
                    value = step(x[batch], y[batch])
                return value.item()

            return epoch

        return make

    made = {name: workload(*pair) for name, pair in functions.items()}
    for name in ("dense", "convolutions"):
        made[f"adam_step_{name}"], made[f"adam_epoch_{name}"] = steps(name), epochs(name)
    return made


def autograd_workloads():
    import autograd
    import autograd.numpy as np_

    def rosenbrock(x):
        return np_.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    def logistic(w):
        p = 1 / (1 + np_.exp(-(x @ w)))
        return -np_.mean(y * np_.log(p) + (1 - y) * np_.log(1 - p))

    rng = np.random.default_rng(0)  # the data of the workload
    x, y = rng.normal(size=(100, 10)), (rng.random(100) > 0.5).astype(float)
    network = tanh_network(np_, *tanh_network_data(float)[1:])
    functions = {
        "rosenbrock_grad_eager": autograd.grad(rosenbrock),
        "logistic_grad_eager": autograd.grad(logistic),
        "network_grad_eager": autograd.grad(network),
        "rosenbrock_jvp_eager": lambda x, t: autograd.make_jvp(rosenbrock)(x)(t)[1],
        "rosenbrock_vjp_eager": lambda x: autograd.make_vjp(rosenbrock)(x)[0](1.0),
    }

    def plain(arg):
        return [tuple(map(np.asarray, layer)) for layer in arg] if isinstance(arg, list) else np.asarray(arg)

    def of_arguments(function):
        def runner(args):
            args = tuple(map(plain, args))
            return lambda: function(*args)

        return runner

    return {name: of_arguments(function) for name, function in functions.items()}


def peer_workloads(name):
    makers = {
        "torch": torch_workloads,
        "torch-eager": lambda: torch_workloads(compiled=False),
        "autograd": autograd_workloads,
    }
    return makers[name]()
