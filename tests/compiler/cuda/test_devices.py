"""Runs the tests of `on_device/` in Numba's simulator and, where there is one, on a GPU."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parent / "on_device").glob("test_*.py"))

ON_DEVICE = {"NUMBA_ENABLE_CUDASIM", "FUNCTRANS_TEST_GPU", "FUNCTRANS_TEST_PTX"} & os.environ.keys()
pytestmark = pytest.mark.skipif(ON_DEVICE, reason="this is a process for one device")


def run_tests(file, *options, **environment):
    command = [sys.executable, "-m", "pytest", str(file), "-q", "-n", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.skipif(importlib.util.find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_in_the_simulator(file):
    said = run_tests(file, NUMBA_ENABLE_CUDASIM="1")
    assert " passed" in said
    assert " skipped" not in said


@pytest.mark.gpu
@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_on_a_gpu(file):
    probe = "import functrans; functrans.devices('cuda')"
    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(found.stderr.strip()[-200:])
    assert " passed" in run_tests(file, "-W", "default", FUNCTRANS_TEST_GPU="1")  # CuPy may warn


def test_without_a_gpu_an_error_says_what_is_missing():
    if importlib.util.find_spec("cupy") is not None:
        pytest.skip("CuPy is installed")
    text = "import functrans as ft\nft.device_put(1.0, 'cuda')"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert "DeviceError: " in done.stderr
    assert "pip install 'functrans[cuda]'" in done.stderr or "macOS" in done.stderr
