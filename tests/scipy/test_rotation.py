"""Rotations against SciPy's, through every representation; derivatives, also at the identity."""

import numpy as np
import pytest
import scipy.linalg
from scipy.spatial import transform as theirs

import functrans as ft
import functrans.numpy as fnp
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.scipy.spatial.transform import Rotation, Slerp
from functrans.testing import check_grads

rng = np.random.default_rng(3)
QUATS = np.concatenate([rng.normal(size=(12, 4)), np.eye(4), -np.eye(4), [[1e-9, -2e-9, 0, 1], [1, 1, 0, 1e-12]]])
SEQUENCES = ["xyz", "zyx", "zxz", "XYZ", "ZYX", "YXY", "xzy", "YZX"]


def same(ours, scipys):
    """As rotations: up to the sign of quaternions."""
    np.testing.assert_allclose(ours.as_matrix(), scipys.as_matrix(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
@pytest.mark.parametrize("shape", [(len(QUATS),), ()])
def test_representations(shape, wrapped):
    quats = QUATS if shape else QUATS[0]
    r = theirs.Rotation.from_quat(quats)

    def all_of(quats):
        r = Rotation.from_quat(quats)
        return (
            r.as_quat(), r.as_quat(canonical=True), r.as_quat(scalar_first=True), r.as_matrix(), r.as_rotvec(),
            r.as_rotvec(degrees=True), r.as_mrp(), r.magnitude(), r.inv().as_quat(),
        )  # fmt: skip

    wanted = (
        r.as_quat(), r.as_quat(canonical=True), r.as_quat(scalar_first=True), r.as_matrix(), r.as_rotvec(),
        r.as_rotvec(degrees=True), r.as_mrp(), r.magnitude(), r.inv().as_quat(),
    )  # fmt: skip
    for got, want in zip(wrapped(all_of)(quats), wanted, strict=True):
        np.testing.assert_allclose(np.abs(got), np.abs(want), rtol=1e-13, atol=2e-15)
    same(Rotation.from_matrix(r.as_matrix()), r)
    same(Rotation.from_rotvec(r.as_rotvec()), r)
    same(Rotation.from_mrp(r.as_mrp()), r)
    same(Rotation.from_rotvec(r.as_rotvec(degrees=True), degrees=True), r)
    same(Rotation.from_quat(np.roll(quats, 1, -1), scalar_first=True), r)
    assert Rotation.from_quat(quats.astype(np.float32)).as_rotvec().dtype == np.float32


@pytest.mark.parametrize("seq", SEQUENCES)
def test_euler_angles(seq):
    angles = rng.uniform(-1.5, 1.5, (5, 3))
    same(Rotation.from_euler(seq, angles), theirs.Rotation.from_euler(seq, angles))
    same(Rotation.from_euler(seq[:2], angles[:, :2]), theirs.Rotation.from_euler(seq[:2], angles[:, :2]))
    same(Rotation.from_euler(seq[:1], 30, degrees=True), theirs.Rotation.from_euler(seq[:1], 30, degrees=True))
    r = theirs.Rotation.from_quat(QUATS[:12])
    got = Rotation.from_quat(QUATS[:12]).as_euler(seq, degrees=True)
    np.testing.assert_allclose(got, r.as_euler(seq, degrees=True), atol=1e-11)
    middle = np.array([0.0, np.pi]) if seq[0] == seq[2] else np.array([-np.pi / 2, np.pi / 2])
    for second in middle:  # the outer axes coincide
        locked = Rotation.from_euler(seq, [0.4, second, -0.9])
        with pytest.warns(UserWarning, match="Gimbal lock"):
            want = theirs.Rotation.from_quat(np.asarray(locked.as_quat())).as_euler(seq)
        np.testing.assert_allclose(locked.as_euler(seq), want, atol=1e-7)
        assert np.isfinite(ft.jacfwd(lambda q: Rotation.from_quat(q).as_euler(seq))(locked.as_quat())).all()


def test_composition_and_application():
    p, q = Rotation.from_quat(QUATS[:6]), Rotation.from_quat(QUATS[6:12])
    v = rng.normal(size=(6, 3))
    sp, sq = (theirs.Rotation.from_quat(x) for x in (QUATS[:6], QUATS[6:12]))
    same(p * q, sp * sq)
    np.testing.assert_allclose(p.apply(v), sp.apply(v), atol=1e-14)
    np.testing.assert_allclose(p.apply(v[0], inverse=True), sp.apply(v[0], inverse=True), atol=1e-14)
    np.testing.assert_allclose(p[2].apply(v), sp[2].apply(v), atol=1e-14)
    np.testing.assert_allclose((p**0.5 * p**0.5).as_matrix(), p.as_matrix(), atol=1e-14)
    same(p.mean(), sp.mean())
    same(p.mean(np.arange(1, 7)), sp.mean(np.arange(1, 7)))
    same(Rotation.concatenate([p, q[0]]), theirs.Rotation.concatenate([sp, sq[0]]))
    assert (p.approx_equal(p) & ~p.approx_equal(q)).all()
    assert len(p) == 6
    assert p.shape == (6,)
    same(Rotation.identity(3), theirs.Rotation.identity(3))


def test_random_rotations_are_uniform():
    r = Rotation.random(ft.random.key(0), 4000)
    np.testing.assert_allclose(r.as_matrix().mean(0), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(r.as_matrix() ** 2, 0), 1 / 3, atol=0.03)
    assert Rotation.random(ft.random.key(0)).single


def test_pytrees():
    r = Rotation.from_quat(QUATS)
    inverse = ft.jit(lambda r: r.inv())(r)
    assert isinstance(inverse, Rotation)
    np.testing.assert_allclose((inverse * r).magnitude(), 0, atol=1e-7)
    np.testing.assert_allclose(ft.vmap(lambda r, v: r.apply(v))(r, np.ones((len(r), 3))), r.apply(np.ones(3)))
    g = ft.grad(lambda r: r.apply([1.0, 2.0, 3.0])[0])(r[0])
    assert isinstance(g, Rotation)
    with pytest.raises(AttributeError, match="immutable"):
        r.quat = 3


@pytest.mark.parametrize("v", [(0.0, 0.0, 0.0), (1e-5, 0.0, -2e-5), (0.4, -1.2, 0.7), (0.05, 0.08, 0.03)])
def test_derivatives(v):
    v = np.array(v)
    check_grads(lambda v: Rotation.from_rotvec(v).as_matrix(), (v,), 2)
    check_grads(lambda v: Rotation.from_rotvec(v).as_rotvec(), (v,), 2)
    check_grads(lambda v: (Rotation.from_rotvec(v) * Rotation.from_mrp(v)).as_mrp(), (v,), 2)
    check_grads(lambda v: Rotation.from_euler("xyz", v).as_euler("zxy"), (v,), 1)
    check_grads(lambda v: Rotation.from_matrix(Rotation.from_rotvec(v).as_matrix()).apply([1.0, 2.0, 3.0]), (v,), 1)
    assert np.isfinite(ft.grad(lambda v: Rotation.from_rotvec(v).magnitude())(v)).all()


def test_slerp():
    times = np.array([0.0, 1.0, 2.5, 3.0])
    ours = Slerp(times, Rotation.from_quat(QUATS[:4]))
    scipys = theirs.Slerp(times, theirs.Rotation.from_quat(QUATS[:4]))
    at = np.linspace(0, 3, 13)
    same(ours(at), scipys(at))
    same(ours(0.7), scipys(0.7))
    same(ft.jit(lambda s, t: s(t))(Slerp.init(times, Rotation.from_quat(QUATS[:4])), at), scipys(at))
    check_grads(lambda t, q: Slerp(times, Rotation.from_quat(q))(t).as_matrix(), (np.array([0.3, 2.7]), QUATS[:4]), 1)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_matrices_that_are_not_orthogonal(wrapped):
    m = rng.normal(size=(7, 3, 3))
    m = np.where(np.linalg.det(m)[:, None, None] < 0, -m, m)
    nearest = np.stack([scipy.linalg.polar(v)[0] for v in m])  # as SciPy has it since 1.17
    np.testing.assert_allclose(wrapped(Rotation.from_matrix)(m).as_matrix(), nearest, rtol=0, atol=1e-13)
    valid = theirs.Rotation.random(4, random_state=1).as_matrix()
    same(wrapped(lambda m: Rotation.from_matrix(m, assume_valid=True))(valid), theirs.Rotation.from_matrix(valid))
    check_grads(lambda m: Rotation.from_matrix(m).as_matrix(), (np.stack([m[0], valid[0]]),), 2)
    with pytest.raises(ArgumentError, match="positive determinants"):
        Rotation.from_matrix(-np.eye(3))
    assert np.isnan(ft.jit(lambda m: Rotation.from_matrix(m).as_matrix())(-np.eye(3))).all()


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_alignment(wrapped):
    a, b, w = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.uniform(size=5)
    for weights in (None, w):
        ours = wrapped(lambda a, b, weights=weights: Rotation.align_vectors(a, b, weights, True))(a, b)
        scipys = theirs.Rotation.align_vectors(a, b, weights, True)
        same(ours[0], scipys[0])
        for found, wanted in zip(ours[1:], scipys[1:], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
    ours, scipys = wrapped(Rotation.align_vectors)(a[0], b[0]), theirs.Rotation.align_vectors(a[0], b[0])
    same(ours[0], scipys[0])
    np.testing.assert_allclose(ours[1], scipys[1])


def test_derivatives_of_alignment():
    a, b, w = rng.normal(size=(4, 3)), rng.normal(size=(4, 3)), rng.uniform(0.5, 1, size=4)
    check_grads(lambda a, b, w: (lambda r: (r[0].as_matrix(), r[1]))(Rotation.align_vectors(a, b, w)), (a, b, w), 1)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
@pytest.mark.parametrize("order", ["extrinsic", "intrinsic"])
def test_angles_about_any_axes(order, wrapped):
    """Also axes whose outer ones are neither equal nor orthogonal."""
    for axes in (
        [[1.0, 1, 0], [1, -1, 0], [0, 0, 2]],
        [[1.0, 0, 0], [0, 0, 1], [-0.5, -0.7, 0]],
        [[0, 1.0, 0], [1, 0, 0], [0, 1, 0]],
    ):
        axes, angles = np.array(axes), rng.normal(size=(4, 3))
        ours = wrapped(lambda angles, axes=axes: Rotation.from_davenport(axes, order, angles))(angles)
        scipys = theirs.Rotation.from_davenport(axes, order, angles)
        same(ours, scipys)
        found = wrapped(lambda r, axes=axes: r.as_davenport(axes, order, degrees=True))(ours)
        np.testing.assert_allclose(found, scipys.as_davenport(axes, order, degrees=True), atol=1e-11)
    one = Rotation.from_davenport(axes[0], order, [[10.0], [20.0]], degrees=True)
    same(one, theirs.Rotation.from_davenport(axes[0], order, [[10.0], [20.0]], degrees=True))
    with pytest.raises(ArgumentError, match="orthogonal"):
        Rotation.from_davenport([[1.0, 0, 0], [1, 1, 0]], order, [1.0, 2.0])
    with pytest.raises(ShapeError, match="takes 3 axes"):
        one.as_davenport(axes[:2], order)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_groups_and_means(wrapped):
    left, right = (Rotation.create_group(g) for g in ("D4", "C3"))
    r, lefts, rights = wrapped(lambda r: r.reduce(left, right, return_indices=True))(Rotation.from_quat(QUATS[:6]))
    scipys = theirs.Rotation.from_quat(QUATS[:6])
    groups = [theirs.Rotation.create_group(g) for g in ("D4", "C3")]
    wanted = scipys.reduce(*groups, return_indices=True)
    same(r, wanted[0])
    np.testing.assert_array_equal(lefts, wanted[1])
    np.testing.assert_array_equal(rights, wanted[2])
    grid, weights = Rotation.from_quat(QUATS[:6].reshape(2, 3, 4)), np.array([1.0, 2.0, 0.5])
    means = wrapped(lambda r: r.mean(weights, axis=1))(grid)
    for i in range(2):
        same(means[i], theirs.Rotation.from_quat(QUATS[3 * i : 3 * i + 3]).mean(weights))
    assert Rotation.identity(shape=(2, 3)).shape == (2, 3)
    assert Rotation.random(ft.random.key(0), shape=2).shape == (2,)


@pytest.mark.parametrize("wrapped", [lambda f: f, ft.jit])
def test_errors(wrapped):
    for fun, error, message in [
        (lambda q: Rotation.from_quat(q[..., :3]), ShapeError, r"takes an array of shape \(..., 4\), got \(6, 3\)"),
        (lambda q: Rotation.from_euler("xXy", q[:, :3]), ArgumentError, "1 to 3 letters of xyz"),
        (lambda q: Rotation.from_euler("xxy", q[:, :3]), ArgumentError, "consecutive axes must differ"),
        (lambda q: Rotation.from_quat(q).as_euler("xy"), ArgumentError, "is 3 letters of xyz"),
        (lambda q: Rotation.from_quat(q).mean(np.ones(3)), ShapeError, r"takes weights of the shape \(6,\)"),
        (lambda q: Rotation.from_quat(q[0])[0], DTypeError, "cannot be indexed"),
        (lambda q: len(Rotation.from_quat(q[0])), DTypeError, r"no len\(\)"),
        (lambda q: Rotation.from_quat(q + 1j), DTypeError, "real numbers, got complex128"),
        (lambda q: Slerp([0.0, 1.0], Rotation.from_quat(q)), ShapeError, "one time for each of 6 rotations"),
        (lambda q: Slerp([0.0], Rotation.from_quat(q[0])), ArgumentError, "at least two rotations"),
    ]:
        with pytest.raises(error, match=message):
            wrapped(fun)(QUATS[:6])
    with pytest.raises(ArgumentError, match="increasing order"):
        Slerp([0.0, 0.0], Rotation.from_quat(QUATS[:2]))
    with pytest.raises(ArgumentError, match=r"must lie in \[0.0, 1.0\]"):
        Slerp([0.0, 1.0], Rotation.from_quat(QUATS[:2]))(1.5)
    assert fnp.isnan(Rotation.from_quat(np.full(4, np.nan)).as_matrix()).all()
