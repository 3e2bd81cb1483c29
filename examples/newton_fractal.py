"""Newton's method from many places at once: which root it finds, and how fast, is a fractal.

The method is written for one complex number, with a loop that stops when it is there; `vmap` makes it that of a grid,
`jit` a program in which every place takes its own number of turns.

    python examples/newton_fractal.py [--size 800] [--output FOLDER]
"""

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.image import imsave

import functrans as ft
import functrans.numpy as fnp
from functrans.lax import while_loop

ROOTS = np.exp(2j * np.pi * np.arange(5) / 5)
STEPS = 60


def polynomial(z):
    return z**5 - 1


def newton(z):
    """The root that Newton's method finds from `z`, and after how many steps."""
    slope = ft.grad(polynomial, holomorphic=True)

    def far(state):
        z, previous, steps = state
        return (abs(z - previous) > 1e-10) & (steps < STEPS)

    def step(state):
        z, _, steps = state
        return z - polynomial(z) / slope(z), z, steps + 1

    z, _, steps = while_loop(far, step, (z, z + 1, 0))
    return z, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=800, help="of the picture, in pixels")
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()

    axis = np.linspace(-1.5, 1.5, options.size)
    grid = axis - 1j * axis[:, None]
    everywhere = ft.jit(ft.vmap(ft.vmap(newton)))
    everywhere(grid)  # compiles
    start = time.perf_counter()
    z, steps = everywhere(grid)
    seconds = time.perf_counter() - start
    print(f"{z.size:,} places, {steps.sum():,} steps in {seconds:.2f} s: {seconds / steps.sum() * 1e9:.0f} ns each")

    root = fnp.argmin(abs(z[..., None] - ROOTS), -1)
    found = abs(z - ROOTS[root]) < 1e-8
    for number, value in enumerate(ROOTS):
        print(f"  {np.mean(found & (root == number)):6.2%} find {value:.3f}")
    print(
        f"  {np.mean(~found):6.2%} find none within {STEPS} steps; the slowest of the others took {steps[found].max()}"
    )

    light = np.where(found, 0.95**steps, 0.0)[..., None]
    picture = colormaps["Set2"](np.asarray(root))[..., :3] * light
    options.output.mkdir(parents=True, exist_ok=True)
    imsave(options.output / "newton_fractal.png", np.ascontiguousarray(picture))
    print(f"wrote {options.output / 'newton_fractal.png'}")


if __name__ == "__main__":
    main()
