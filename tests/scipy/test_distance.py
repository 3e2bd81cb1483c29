"""scipy.spatial.distance against SciPy's: all pairs and two vectors; derivatives, also of points that coincide."""

import numpy as np
import pytest
import scipy.spatial.distance

import functrans as ft
import functrans.numpy as fnp
from functrans import errors
from functrans.scipy.spatial import distance
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
A, B, W = RNG.random((4, 3)) + 0.1, RNG.random((6, 3)) + 0.1, np.array([0.5, 2.0, 1.0])
METRICS = sorted({*distance.__all__} - {"cdist", "pdist", "squareform"})
UNWEIGHTED = ("jensenshannon", "mahalanobis", "seuclidean")
#: Further arguments of two vectors.
OPTIONS = {"seuclidean": {"V": W}, "mahalanobis": {"VI": np.cov(B.T)}, "minkowski": {"p": 3}}


def assert_close(got, want):
    assert (np.shape(got), np.asarray(got).dtype) == (np.shape(want), np.asarray(want).dtype)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", METRICS)
def test_all_pairs(name):
    options = [{}] if name in UNWEIGHTED else [{}, {"w": W}]
    options += [OPTIONS[name]] if name in OPTIONS else []
    for kwargs in options:
        program = lambda a, b, kw=kwargs: (distance.cdist(a, b, name, **kw), distance.pdist(b, name, **kw))
        want = scipy.spatial.distance.cdist(A, B, name, **kwargs), scipy.spatial.distance.pdist(B, name, **kwargs)
        for got, w in zip(ft.jit(program)(A, B), want):
            assert_close(got, w)
    if name != "hamming":
        check_grads(lambda a, b: distance.cdist(a, b, name), (A[:2], B[:3]), 1)


@pytest.mark.parametrize("name", METRICS)
def test_two_vectors(name):
    function, kwargs = getattr(distance, name), OPTIONS.get(name, {})
    want = getattr(scipy.spatial.distance, name)(A[0], A[1], **kwargs)
    for got in (function(A[0], A[1], **kwargs), ft.jit(lambda u, v: function(u, v, **kwargs))(A[0], A[1])):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    if name not in UNWEIGHTED:
        got = ft.jit(lambda u, v: function(u, v, w=W, **kwargs))(A[0], A[1])
        np.testing.assert_allclose(got, getattr(scipy.spatial.distance, name)(A[0], A[1], w=W, **kwargs), rtol=1e-13)


def test_points_that_coincide():
    for metric in ("euclidean", "minkowski", "seuclidean", "canberra"):
        slopes = ft.jacobian(lambda a, m=metric: distance.cdist(a, A, m, **({"p": 2.5} if m == "minkowski" else {})))(A)
        assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(ft.grad(distance.euclidean)(A[0], A[0]), np.zeros(3))
    assert distance.canberra(np.zeros(2), np.zeros(2)) == ft.jit(distance.canberra)(np.zeros(2), np.zeros(2)) == 0


def test_functions_and_orders_as_metrics():
    manhattan = lambda u, v: fnp.sum(fnp.abs(u - v))
    want = scipy.spatial.distance.cdist(A, B, "cityblock")
    assert_close(ft.jit(lambda a, b: distance.cdist(a, b, manhattan))(A, B), want)
    assert_close(ft.jit(lambda b: distance.pdist(b, manhattan))(B), scipy.spatial.distance.pdist(B, "cityblock"))
    for p in (1, 2, 3.5, np.inf):
        want = scipy.spatial.distance.cdist(A, B, "minkowski", p=p)
        assert_close(ft.jit(lambda a, b, p=p: distance.cdist(a, b, "minkowski", p=p))(A, B), want)
    assert np.isfinite(ft.grad(lambda p: distance.minkowski(A[0], A[1], p))(2.5))


def test_distances_are_one_loop_nest():
    text = ft.jit(distance.cdist).lower(RNG.random((40, 30)), RNG.random((50, 30))).as_text("loops")
    assert text.count("= kernel") == 1


@pytest.mark.parametrize("n", [1, 2, 5])
def test_squareform(n):
    matrix = scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(B[:n])) if n > 1 else np.zeros((1, 1))
    vector = matrix[np.triu_indices(n, 1)]
    assert_close(ft.jit(distance.squareform)(matrix), vector)
    assert_close(ft.jit(distance.squareform)(vector), matrix)


def test_distributions_along_an_axis():
    for options in ({}, {"axis": 1, "base": 2.0}, {"axis": 1, "keepdims": True}):
        want = scipy.spatial.distance.jensenshannon(A, B[:4], **options)
        got = ft.jit(lambda p, q, o=options: distance.jensenshannon(p, q, **o))(A, B[:4])
        np.testing.assert_allclose(got, want, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda a: distance.cdist(a, a[0]), errors.ShapeError, "cdist takes points as the rows of a matrix"),
        (lambda a: distance.cdist(a, a[:, :2]), errors.ShapeError, "as many coordinates, got 3 and 2"),
        (lambda a: distance.cdist(a, a, "dice"), errors.ArgumentError, "knows no metric 'dice'"),
        (lambda a: distance.cdist(a, a * 1j), errors.DTypeError, "real points"),
        (lambda a: distance.pdist(a, out=A), errors.ArgumentError, "pdist of traced arrays does not take out="),
        (lambda a: distance.euclidean(a[0], a[0, :2]), errors.ShapeError, "euclidean takes two vectors of one length"),
        (lambda a: distance.minkowski(a[0], a[1], -1), errors.ArgumentError, "minkowski takes p > 0, got -1"),
        (lambda a: distance.squareform(a), errors.ShapeError, "a square matrix, got shape"),
        (lambda a: distance.squareform(a[:, 0]), errors.ShapeError, r"n \(n - 1\) / 2 distances, got 4"),
        (lambda a: distance.squareform(a[0], "tovector"), errors.ShapeError, "force='tovector' does not take shape"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    with pytest.raises(error, match=text):
        ft.jit(function)(A)
