"""Every primitive of the registry on the device, against the CPU: as a kernel, by a library, or on the host."""

import warnings

import numpy as np
import pytest
from samples import samples

import functrans as ft
from functrans.core.primitive import registry

#: Those that speak to the world.
EFFECTS = {"debug_callback", "io_callback"}
CASES = [(name, i) for name in sorted(registry) if name not in EFFECTS for i, _ in enumerate(samples(name))]


def as_float32(x):
    x = np.asarray(x)
    return x.astype({"f": np.float32, "c": np.complex64}[x.dtype.kind]) if x.dtype.kind in "fc" else x


@pytest.mark.parametrize(("name", "number"), CASES, ids=[f"{n}-{i}" for n, i in CASES])
def test_primitive(name, number):
    sample = list(samples(name))[number]
    for args, tolerance in ((sample.args, 1e-9), (tuple(map(as_float32, sample.args)), 2e-4)):
        with warnings.catch_warnings(action="ignore"):  # of SciPy's: what float32 cannot do well
            try:
                want = sample.fun(*args)
            except (ft.errors.FunctransError, TypeError):  # not in float32
                continue
            got = ft.device_get(ft.jit(sample.fun, device="cuda")(*args))
        for g, w in zip(ft.tree.leaves(got), ft.tree.leaves(want), strict=True):
            assert (g.dtype, g.shape) == (w.dtype, w.shape)
            np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
