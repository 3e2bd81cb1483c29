"""Differentiable physics with contact: a throw that bounces twice and lands in a cup, found by its gradient.

Each step of the simulation is a branch: free flight, or a flight that meets the floor within the step. The moment at
which it does is computed, not rounded to the step, so that the derivative of where the ball lands is the true one.

    python examples/bouncing_ball.py [--output FOLDER]
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import functrans as ft
import functrans.numpy as fnp
from functrans import optim
from functrans.lax import cond, scan

GRAVITY, RESTITUTION, FRICTION = np.array([0.0, -9.81]), 0.8, 0.9
START, CUP = np.array([0.0, 1.0]), np.array([4.0, 0.3])
DT, TIME = 0.01, 1.5


def fly(ball, time):
    """Free flight; exact, for the drag of air is left out."""
    place, speed = ball
    return place + time * speed + 0.5 * time**2 * GRAVITY, speed + time * GRAVITY


def step(ball):
    """One step of time `DT`, with a bounce in it where the floor is in the way."""

    def bounce(ball):
        place, speed = ball
        impact = (speed[1] + fnp.sqrt(speed[1] ** 2 - 2 * GRAVITY[1] * place[1])) / -GRAVITY[1]
        place, speed = fly(ball, impact)
        return fly((place, speed * np.array([FRICTION, -RESTITUTION])), DT - impact)

    return cond(fly(ball, DT)[0][1] < 0, bounce, lambda ball: fly(ball, DT), ball)


def throw(speed):
    """The ball's way."""

    def turn(ball, _):
        ball = step(ball)
        return ball, ball[0]

    return scan(turn, (START, speed), None, length=round(TIME / DT))[1]


def miss(speed):
    """How far from the cup the ball ends, squared."""
    return fnp.sum((throw(speed)[-1] - CUP) ** 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for the picture")
    options = parser.parse_args()

    speed = np.array([2.0, 1.0])
    gradient = ft.jit(ft.value_and_grad(miss))
    ahead, behind = (np.array([miss(speed + s * e) for e in np.eye(2)]) for s in (1e-6, -1e-6))
    print(f"gradient at the first throw {gradient(speed)[1].round(5)}")
    print(f"by finite differences       {((ahead - behind) / 2e-6).round(5)}")

    optimizer = optim.adam(0.05)
    state, throws = optimizer.init(speed), [speed]
    for turn in range(121):
        value, slope = gradient(speed)
        if turn % 20 == 0:
            print(f"throw {turn:3}: speed {speed.round(3)}, {np.sqrt(value):.4f} m from the cup")
        updates, state = optimizer.update(slope, state, speed)
        speed = optim.apply_updates(speed, updates)
        throws.append(speed)

    options.output.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    ways = ft.jit(ft.vmap(throw))(np.stack(throws))
    for i in range(0, len(ways), 12):
        axes.plot(*ways[i].T, color="C0", alpha=0.15 + 0.85 * i / len(ways), linewidth=1)
    axes.plot(*CUP, "v", color="C3", markersize=12, label="cup")
    axes.plot(*START, "o", color="C2", label="hand")
    axes.axhline(0, color="0.3")
    axes.set(title="Throws, from the first (light) to the last", xlabel="m", ylabel="m", aspect="equal")
    axes.legend()
    figure.savefig(options.output / "bouncing_ball.png", dpi=120)
    print(f"wrote {options.output / 'bouncing_ball.png'}")


if __name__ == "__main__":
    main()
