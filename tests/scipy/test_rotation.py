"""Rotations against SciPy's, through every representation; derivatives, also at the identity."""

import numpy as np
import pytest
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
def test_errors(wrapped):
    for fun, error, message in [
        (lambda q: Rotation.from_quat(q[..., :3]), ShapeError, r"takes an array of shape \(..., 4\), got \(6, 3\)"),
        (lambda q: Rotation.from_euler("xXy", q[:, :3]), ArgumentError, "1 to 3 letters of xyz"),
        (lambda q: Rotation.from_euler("xxy", q[:, :3]), ArgumentError, "consecutive axes must differ"),
        (lambda q: Rotation.from_quat(q).as_euler("xy"), ArgumentError, "is 3 letters of xyz"),
        (lambda q: Rotation.from_quat(q).mean(np.ones(3)), ShapeError, "takes 6 weights"),
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
