"""A few hundred random programs; `python tests/programs/run.py --count 10000` checks as many as one likes."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from generator import generate
from run import run_chunk

CHUNK = 25


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_random_programs(first):
    assert not run_chunk(first, CHUNK)


def test_programs_are_reproducible():
    assert generate(7).text == generate(7).text
    assert len({generate(seed).text for seed in range(20)}) == 20


def test_a_wrong_program_is_found():
    from check import failure

    program = generate(3)
    program.lines.append("wrong = x0 + (0.0 if isinstance(x0, np.ndarray) else 1.0)")
    program.results.append("wrong")
    assert "Mismatch" in failure(program)
