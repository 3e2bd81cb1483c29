"""Every kernel family on the device, against the CPU."""

import os

import numpy as np
import pytest
from families import FAMILIES, assert_close

import functrans as ft
from functrans.compiler.cuda import schedule
from functrans.compiler.cuda.runtime import runtime
from functrans.compiler.cuda.schedule import Limits


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name):
    function, args, _ = FAMILIES[name]
    got = ft.device_get(ft.jit(function, device="cuda")(*args))
    for g, w in zip(*(ft.tree.leaves(t) for t in (got, ft.jit(function)(*args))), strict=True):
        assert_close(g, w)


@pytest.mark.skipif(os.environ.get("NUMBA_ENABLE_CUDASIM") != "1", reason="a GPU has them anyway")
@pytest.mark.parametrize("name", ["softmax_of_long_rows", "cumsum", "any"])
def test_blocks_of_several_warps(name, monkeypatch):
    """With as many threads as two warps have: how a block combines what its warps have."""
    function, args, _ = FAMILIES[name]
    args = [x[:1, :100] for x in args]
    monkeypatch.setattr(runtime(), "limits", Limits(threads=64, most_threads=64, warp=32, blocks=1))
    monkeypatch.setattr(schedule, "WARP_STEPS", 4)
    got = ft.device_get(ft.jit(lambda *xs: function(*xs), device="cuda")(*args))
    np.testing.assert_allclose(got, ft.jit(function)(*args), rtol=2e-5)
