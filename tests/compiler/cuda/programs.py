"""Random programs (`tests/programs`) on a GPU, real or simulated, held to the CPU."""

import sys
from pathlib import Path

import numpy as np

import functrans as ft

sys.path.insert(0, str(Path(__file__).parents[2] / "programs"))

from check import _floats, _precision, _same, _spread
from generator import generate


def check_on_gpu(seed):
    """Raise `Mismatch` where a program, or its gradient, differs on the GPU by more than rounding explains."""
    program = generate(seed)
    f, arguments, least = program.function(), program.arguments, _precision(program)

    def total(*args):
        return sum(v.astype(np.float64).sum() for v in _floats(f(*args))) + 0.0 * args[0].astype(np.float64).sum()

    with np.errstate(all="ignore"):
        for name, function in (("jit", f), ("jit(grad)", ft.grad(total, (0, 1)))):
            value, spread = _spread(function, arguments)
            found = ft.device_get(ft.jit(function, device="cuda")(*arguments))
            _same(f"{name} on the GPU", found, value, spread, least)
