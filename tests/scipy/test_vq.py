"""Vector quantization and k-means against SciPy's, traced and not."""

import numpy as np
import pytest
import scipy.cluster.vq

import functrans as ft
from functrans.errors import ArgumentError, ShapeError
from functrans.scipy.cluster import vq
from functrans.testing import check_grads

rng = np.random.default_rng(2)
POINTS = rng.normal(size=(30, 3)) + 4 * rng.integers(0, 2, (30, 3))
START = POINTS[:4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("flat", [False, True])
def test_as_scipy(dtype, flat):
    points, start = (v[:, 0] if flat else v for v in (POINTS.astype(dtype), START.astype(dtype)))
    eps = np.finfo(dtype).eps
    for name, args, options in [
        ("whiten", (points,), {}), ("vq", (points, start), {}), ("kmeans", (points, start), {}),
        ("kmeans2", (points, start), {"minit": "matrix", "iter": 3}),
    ]:  # fmt: skip
        ours = lambda *a, name=name, options=options: getattr(vq, name)(*a, **options)
        want = getattr(scipy.cluster.vq, name)(*args, **options)
        for got in (ours(*args), ft.jit(ours)(*args)):
            for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, want)), strict=True):
                assert isinstance(g, ft.Array)
                np.testing.assert_allclose(g, w, rtol=64 * eps, atol=16 * eps)
                assert g.dtype == np.asarray(w).dtype or name == "kmeans"


def test_constant_features_and_empty_clusters():
    points = np.stack([np.ones(4), np.arange(4.0)], 1)
    with pytest.warns(RuntimeWarning, match="standard deviation zero"):
        want = scipy.cluster.vq.whiten(points)
    np.testing.assert_allclose(ft.jit(vq.whiten)(points), want, rtol=1e-14)
    start = np.array([0.0, 1.0, 100.0])
    centroids, labels = ft.jit(lambda x: vq.kmeans2(x, start, minit="matrix"))(np.array([0.0, 0.5, 2.0]))
    np.testing.assert_allclose(centroids, [0.25, 2.0, 100.0])
    np.testing.assert_array_equal(labels, [0, 0, 1])


def test_derivatives():
    check_grads(vq.whiten, (POINTS[:5],), 2)
    check_grads(lambda x, c: vq.vq(x, c)[1], (POINTS[5:9], START), 2)
    check_grads(lambda x: vq.kmeans2(x, START, iter=2, minit="matrix")[0], (POINTS[:8],), 1)
    check_grads(lambda x: vq.kmeans(x, START)[1], (POINTS[4:12],), 1)
    assert np.isfinite(ft.grad(lambda x: vq.vq(x, START)[1].sum())(START)).all()


def test_errors():
    for fun, error, message in [
        (lambda x: vq.vq(x, START[:, :2]), ShapeError, "observations of 3 features and centroids of 2"),
        (lambda x: vq.vq(x, START[0]), ShapeError, "both of one axis or both of two"),
        (lambda x: vq.kmeans(x, 3), ArgumentError, "starts from given centroids"),
        (lambda x: vq.kmeans2(x, 3), ArgumentError, "starts from given centroids"),
        (lambda x: vq.kmeans2(x, START, iter=0, minit="matrix"), ArgumentError, "a positive number of rounds"),
    ]:
        with pytest.raises(error, match=message):
            ft.jit(fun)(POINTS)
