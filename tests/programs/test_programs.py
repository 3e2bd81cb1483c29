"""A few hundred random programs; `python tests/programs/run.py --count 10000` checks as many as one likes."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from check import failure, minimize
from generator import Program, generate
from run import run_chunk

CHUNK = 25


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_random_programs(first):
    assert not run_chunk(first, CHUNK)


def test_programs_are_reproducible():
    assert generate(7).text == generate(7).text
    assert len({generate(seed).text for seed in range(20)}) == 20


def test_a_wrong_program_is_found():
    wrong = "v0 = x0 + (0.0 if type(x0) is np.ndarray else 1.0)"
    program = Program([np.ones(3), np.ones(3)], [wrong, "v1 = fnp.sin(x1)"], ["v0", "v1"])
    assert "Mismatch" in failure(program)
    assert minimize(program).lines == [wrong]
