"""A neural ordinary differential equation: a network learns the law of motion behind a few noisy observations.

The network is the right-hand side of a differential equation, the loss compares its solution with what was seen, and
the gradient comes from the adjoint equation (Chen et al., "Neural ordinary differential equations", 2018).

    python examples/neural_ode.py [--steps 2000] [--output FOLDER]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import functrans as ft
import functrans.numpy as fnp
from functrans import nn, optim, random
from functrans.experimental.ode import odeint


def truth(y, t):
    """A spiral that is no linear one."""
    return (y**3) @ np.array([[-0.1, 2.0], [-2.0, -0.1]])


def predict(model, start, times):
    return odeint(lambda y, t: model(y**3), start, times, rtol=1e-4, atol=1e-5)


def loss(model, start, times, seen):
    return fnp.mean((predict(model, start, times) - seen) ** 2)


def make_step(optimizer):
    @ft.jit
    def step(model, state, start, times, seen):
        value, gradient = ft.value_and_grad(loss)(model, start, times, seen)
        updates, state = optimizer.update(gradient, state, model)
        return optim.apply_updates(model, updates), state, value

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()

    rng = np.random.default_rng(0)
    times = np.linspace(0.0, 10.0, 101)
    start = np.array([2.0, 0.0])
    way = ft.jit(odeint, static_argnums=0)(truth, start, times)
    seen = way + 0.01 * rng.normal(size=way.shape)

    model = nn.MLP(2, 2, width=50, depth=1, activation=nn.tanh, key=random.key(0))
    optimizer = optim.adam(optim.cosine_decay_schedule(5e-3, options.steps))
    step, state = make_step(optimizer), optimizer.init(model)
    length, batch = 10, 20
    began = time.perf_counter()
    for turn in range(1, options.steps + 1):
        first = rng.integers(0, len(times) - length, batch)  # short pieces of the way
        pieces = seen[first + np.arange(length)[:, None]]
        model, state, value = step(model, state, pieces[0], times[:length], pieces)
        if turn % max(options.steps // 5, 1) == 0 or turn == 1:
            print(f"step {turn:4}: loss {value:.5f}, {time.perf_counter() - began:.1f} s")

    learnt = ft.jit(predict)(model, start, times)
    print(f"the whole way from its start: root mean square error {np.sqrt(np.mean((learnt - way) ** 2)):.3f}")

    options.output.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*seen.T, ".", color="0.6", label="seen")
    often = np.linspace(0.0, 10.0, 1001)
    left.plot(*odeint(truth, start, often).T, color="C2", label="truth")
    left.plot(*odeint(lambda y, t: model(y**3), start, often).T, "--", color="C3", label="learnt")
    left.set(title="The way", aspect="equal")
    left.legend()
    grid = np.stack(np.meshgrid(np.linspace(-2, 2, 17), np.linspace(-2, 2, 17)), -1)
    for field, color in ((truth(grid, 0.0), "C2"), (np.asarray(model(grid**3)), "C3")):
        direction = field / np.linalg.norm(field, axis=-1, keepdims=True).clip(1e-3)
        right.quiver(*np.moveaxis(grid, -1, 0), *np.moveaxis(direction, -1, 0), color=color, alpha=0.7)
    right.set(title="The law: direction of motion", aspect="equal")
    figure.savefig(options.output / "neural_ode.png", dpi=120)
    print(f"wrote {options.output / 'neural_ode.png'}")


if __name__ == "__main__":
    main()
