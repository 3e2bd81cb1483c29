"""Every kernel family in Numba's simulator, against the CPU."""

import numpy as np
import pytest
from families import FAMILIES

import functrans as ft


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name):
    function, args, _ = FAMILIES[name]
    got = ft.device_get(ft.jit(function, device="cuda")(*args))
    for g, w in zip(*(ft.tree.leaves(t) for t in (got, ft.jit(function)(*args))), strict=True):
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        tolerance = {np.dtype("f2"): 2e-3, np.dtype("f4"): 2e-5, np.dtype("c8"): 2e-5}.get(g.dtype, 1e-12)
        scale = np.abs(np.asarray(w, np.complex128)).max(initial=1e-30)
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * min(float(scale), 1e3))
