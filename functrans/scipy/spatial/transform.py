"""Rotations in three dimensions, as `scipy.spatial.transform`: immutable pytrees of unit quaternions.

Quaternions are `(x, y, z, w)`. What divides by an angle is a power series near angle zero, so that derivatives at the
identity are finite. Sources: Shepperd, Quaternion from rotation matrix (1978); Bernardes and Viollet, Quaternion to
Euler angles conversion (2022); Markley, Cheng, Crassidis, Oshman, Averaging quaternions (2007).
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

import functrans.numpy as fnp
from functrans import lax, random
from functrans.core.avals import SMALL_FLOATS, aval_of, kind_of
from functrans.core.pytree import GetAttrKey, register_pytree_with_keys
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, ShapeError
from functrans.lax.broadcasting import canonical_shape
from functrans.lax.conversion import as_inexact
from functrans.numpy.dispatch import normalize_axes

__all__ = ["Rotation", "Slerp"]


def _floats(what: str, value: Any, *shape: int) -> Any:
    """An array of floats whose last axes have this shape."""
    value = fnp.asarray(value)
    kind = kind_of(aval_of(value).dtype)
    if kind == "c":
        raise DTypeError(f"{what} takes real numbers, got {aval_of(value).dtype}")
    if aval_of(value).shape[-len(shape) :] != shape:
        wanted = ", ".join(map(str, ("...", *shape)))
        raise ShapeError(f"{what} takes an array of shape ({wanted}), got {aval_of(value).shape}")
    return as_inexact(value, np.float32 if aval_of(value).dtype in SMALL_FLOATS else None)


def _stack(*parts: Any) -> Any:
    return fnp.stack(fnp.broadcast_arrays(*parts), axis=-1)


def _square(v: Any) -> Any:
    return fnp.sum(v * v, axis=-1)


def _norm(v: Any) -> Any:
    """The length; its derivative is taken as zero at zero."""
    square = _square(v)
    zero = square == 0
    return fnp.where(zero, 0.0, fnp.sqrt(fnp.where(zero, 1.0, square)))


def _compose(p: Any, q: Any) -> Any:
    """The quaternion of the rotation `q` followed by `p`."""
    (px, py, pz, pw), (qx, qy, qz, qw) = (fnp.moveaxis(v, -1, 0) for v in (p, q))
    return _stack(
        pw * qx + qw * px + py * qz - pz * qy,
        pw * qy + qw * py + pz * qx - px * qz,
        pw * qz + qw * pz + px * qy - py * qx,
        pw * qw - px * qx - py * qy - pz * qz,
    )


def _half_angle(square: Any) -> tuple[Any, Any]:
    """sin(a / 2) / a and cos(a / 2) by the square of the angle, both smooth at zero."""
    near = square < 1e-2
    s, angle = fnp.where(near, square, 0.0), fnp.sqrt(fnp.where(near, 1.0, square))
    sine = 1 / 2 - s * (1 / 48 - s * (1 / 3840 - s * (1 / 645120 - s / 185794560)))
    cosine = 1 - s * (1 / 8 - s * (1 / 384 - s * (1 / 46080 - s / 10321920)))
    return fnp.where(near, sine, fnp.sin(angle / 2) / angle), fnp.where(near, cosine, fnp.cos(angle / 2))


def _shape(name: str, num: Any, shape: Any) -> tuple[int, ...]:
    if num is not None and shape is not None:
        raise ArgumentError(f"Rotation.{name} takes num or shape, not both")
    if num is not None:
        return (operator.index(num),)
    return () if shape is None else canonical_shape(shape)


def _axes(seq: str, count: Sequence[int]) -> tuple[list[int], bool]:
    """The axes by number, and whether they are those of the rotating body."""
    if not isinstance(seq, str) or len(seq) not in count or not (set(seq) <= set("xyz") or set(seq) <= set("XYZ")):
        lengths = f"{count[0]} to {count[-1]}" if len(count) > 1 else str(count[0])
        raise ArgumentError(f"a sequence of axes is {lengths} letters of xyz (fixed axes) or of XYZ, got {seq!r}")
    if any(a == b for a, b in zip(seq, seq[1:])):
        raise ArgumentError(f"consecutive axes must differ, got {seq!r}")
    return ["xyz".index(c) for c in seq.lower()], seq.isupper()


def _cofactors(m: Any) -> tuple[Any, Any]:
    """The matrices of cofactors, and the determinants."""
    rows = fnp.moveaxis(m, -2, 0)
    out = fnp.stack([fnp.cross(rows[i - 2], rows[i - 1]) for i in range(3)], axis=-2)
    return out, fnp.sum(rows[0] * out[..., 0, :], axis=-1)[..., None, None]


def _nearest_orthogonal(m: Any) -> Any:
    """The orthogonal factor of the polar decomposition, by Newton's iteration with scaled steps (Higham, 1986)."""
    det = _cofactors(m)[1]
    if not isinstance(m, Tracer) and np.any(det <= 0):
        raise ArgumentError("Rotation.from_matrix takes matrices with positive determinants")

    def step(_: int, x: Any) -> Any:
        cofactors, det = _cofactors(x)
        scale = fnp.cbrt(fnp.abs(det))  # then the determinant is one
        return (x / scale + cofactors / (det / scale)) / 2

    m = fnp.where(det > 0, m, np.nan)
    return (
        lax.fori_loop(0, 9, step, m)
        if isinstance(m, Tracer)
        else functools.reduce(lambda x, i: step(i, x), range(9), m)
    )


def _davenport_axes(name: str, axes: Any, order: str, count: Sequence[int]) -> tuple[Any, bool]:
    """Unit vectors along the axes, `(n, 3)`, and whether they are those of the rotating body."""
    axes = fnp.asarray(axes)
    axes = _floats(f"Rotation.{name}", axes[None] if aval_of(axes).ndim == 1 else axes, 3)
    n = aval_of(axes).shape[0]
    if aval_of(axes).ndim != 2 or n not in count:
        lengths = f"{count[0]} to {count[-1]}" if len(count) > 1 else str(count[0])
        raise ShapeError(f"Rotation.{name} takes {lengths} axes, got an array of shape {aval_of(axes).shape}")
    if order not in ("e", "extrinsic", "i", "intrinsic"):
        raise ArgumentError(f"Rotation.{name} takes the order 'extrinsic' or 'intrinsic', got {order!r}")
    axes = axes / _norm(axes)[:, None]
    if not isinstance(axes, Tracer) and any(abs(np.dot(axes[i], axes[i + 1])) >= 1e-7 for i in range(n - 1)):
        raise ArgumentError(f"Rotation.{name}: consecutive axes must be orthogonal")
    return axes, order[0] == "i"


def _three_angles(a: Any, b: Any, c: Any, d: Any, intrinsic: bool, between: Any, sign: int) -> Any:
    """The angles about three axes, by the parts of a quaternion along them; the outer axes enclose `between`.

    They are those of the pairs `(a, b)` and `(c, d)`, of which one vanishes where the outer axes coincide.
    """
    middle = 2 * fnp.arctan2(_norm(_stack(c, d)), _norm(_stack(a, b)))
    low, high = fnp.abs(middle) <= 1e-7, fnp.abs(middle - math.pi) <= 1e-7
    safe = lambda y, x, gone: fnp.arctan2(fnp.where(gone, 0.0, y), fnp.where(gone, 1.0, x))
    plus, minus = safe(b, a, high), safe(d, c, low)
    first = fnp.where(low, 2 * plus, fnp.where(high, -2 * minus, plus - minus))
    if intrinsic:  # the first of the axes given is the last here, and it is the one that keeps an angle
        last = fnp.where(low, 2 * plus, fnp.where(high, 2 * minus, plus + minus))
        first = fnp.where(low | high, 0.0, first)
    else:
        last = fnp.where(low | high, 0.0, plus + minus)
    last, middle = last * sign, middle - between
    first, last = (fnp.where(v < -math.pi, v + 2 * math.pi, v) for v in (first, last))
    first, last = (fnp.where(v > math.pi, v - 2 * math.pi, v) for v in (first, last))
    return _stack(last, middle, first) if intrinsic else _stack(first, middle, last)


class Rotation:
    """One rotation, or an array of rotations of any shape: unit quaternions of shape `(..., 4)`.

    Made by `from_quat`, `from_matrix`, `from_rotvec`, `from_mrp`, `from_euler`, `identity`, `random`, `concatenate`. A
    pytree: an argument or result of transformed functions.

    >>> import functrans as ft, numpy as np
    >>> from functrans.scipy.spatial.transform import Rotation
    >>> r = Rotation.from_euler("z", 90, degrees=True)
    >>> r.apply([1.0, 0.0, 0.0]).round(12)
    Array([0., 1., 0.])
    >>> ft.grad(lambda v: Rotation.from_rotvec(v).as_matrix()[1, 0])(np.zeros(3))
    Array([0., 0., 1.])
    """

    __slots__ = ("_quat",)
    _quat: Any
    __array_ufunc__ = None

    def __init__(self, quat: Any, normalize: bool = True, copy: bool = True, scalar_first: bool = False):
        quat = _floats("Rotation", quat, 4)
        if scalar_first:
            quat = fnp.roll(quat, -1, axis=-1)
        object.__setattr__(self, "_quat", quat / fnp.sqrt(_square(quat))[..., None] if normalize else quat)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("rotations are immutable")

    # -- made of

    @classmethod
    def from_quat(cls, quat: Any, *, scalar_first: bool = False) -> Rotation:
        """From quaternions `(..., 4)`, which are normalized; quaternions of zeros give NaN."""
        return cls(quat, scalar_first=scalar_first)

    @classmethod
    def from_matrix(cls, matrix: Any, *, assume_valid: bool = False) -> Rotation:
        """From matrices `(..., 3, 3)` with positive determinants: the rotations that are nearest to them.

        Args:
            assume_valid: that the matrices are orthogonal, which saves the search for the nearest ones. Other matrices
                then give something else.

        Traced matrices of another determinant, which cannot raise an error, give NaN.
        """
        m = _floats("Rotation.from_matrix", matrix, 3, 3)
        if not assume_valid:
            m = _nearest_orthogonal(m)
        trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
        candidates = []
        for i in range(3):  # each times four of its component i, or of the last one
            j, k = (i + 1) % 3, (i + 2) % 3
            parts = [None, None, None, m[..., k, j] - m[..., j, k]]
            parts[i] = 1 + 2 * m[..., i, i] - trace
            parts[j], parts[k] = m[..., j, i] + m[..., i, j], m[..., k, i] + m[..., i, k]
            candidates.append(_stack(*parts))
        skew = [m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]]
        candidates.append(_stack(*skew, 1 + trace))
        sizes = _stack(m[..., 0, 0], m[..., 1, 1], m[..., 2, 2], trace)
        choice = fnp.argmax(sizes, axis=-1)[..., None]
        quat = candidates[0]
        for i in (1, 2, 3):
            quat = fnp.where(choice == i, candidates[i], quat)
        return cls(quat)

    @classmethod
    def from_rotvec(cls, rotvec: Any, degrees: bool = False) -> Rotation:
        """From vectors `(..., 3)` along the axis, as long as the angle."""
        v = _floats("Rotation.from_rotvec", rotvec, 3)
        v = v * (math.pi / 180) if degrees else v
        sine, cosine = _half_angle(_square(v))
        return cls(fnp.concatenate([v * sine[..., None], cosine[..., None]], axis=-1), normalize=False)

    @classmethod
    def from_mrp(cls, mrp: Any) -> Rotation:
        """From modified Rodrigues parameters `(..., 3)`: along the axis, the tangent of a fourth of the angle long."""
        v = _floats("Rotation.from_mrp", mrp, 3)
        square = _square(v)[..., None]
        return cls(fnp.concatenate([2 * v, 1 - square], axis=-1) / (1 + square), normalize=False)

    @classmethod
    def from_euler(cls, seq: str, angles: Any, degrees: bool = False) -> Rotation:
        """From angles about one to three axes: about fixed ones for lower case letters, else about the body's own.

        Args:
            seq: letters of `xyz` or of `XYZ`.
            angles: `(..., len(seq))`; for one axis also without the last axis.
            degrees: whether the angles are in degrees.
        """
        axes, intrinsic = _axes(seq, (1, 2, 3))
        angles = fnp.asarray(angles)
        if len(axes) == 1 and not (aval_of(angles).ndim > 1 and aval_of(angles).shape[-1] == 1):
            angles = angles[..., None]
        angles = _floats("Rotation.from_euler", angles, len(axes)) / 2
        angles = angles * (math.pi / 180) if degrees else angles
        total: Any = None
        for place, axis in enumerate(axes):
            half = angles[..., place]
            parts = [0 * half, 0 * half, 0 * half, fnp.cos(half)]
            parts[axis] = fnp.sin(half)
            turn = _stack(*parts)
            total = turn if total is None else _compose(total, turn) if intrinsic else _compose(turn, total)
        return cls(total, normalize=False)

    @classmethod
    def identity(
        cls, num: int | None = None, dtype: Any = float, *, shape: int | tuple[int, ...] | None = None
    ) -> Rotation:
        """No rotation, or `num` of them, or an array of a shape of them."""
        one = fnp.asarray(np.array([0, 0, 0, 1], np.dtype(dtype)))
        return cls(fnp.broadcast_to(one, (*_shape("identity", num, shape), 4)), normalize=False)

    @classmethod
    def random(
        cls, key: Any, num: int | None = None, dtype: Any = float, *, shape: int | tuple[int, ...] | None = None
    ) -> Rotation:
        """Uniformly distributed rotations, `num` or an array of a shape, by a key of `functrans.random`."""
        return cls(random.normal(key, (*_shape("random", num, shape), 4), dtype))

    @classmethod
    def from_davenport(cls, axes: Any, order: str, angles: Any, degrees: bool = False) -> Rotation:
        """From angles about one to three given axes, each at right angles to the next.

        Args:
            axes: `(3,)` or `(n, 3)`, of any length.
            order: `"e"` or `"extrinsic"` for fixed axes, `"i"` or `"intrinsic"` for those of the rotating body.
            angles: `(..., n)`; for one axis also without the last axis.
            degrees: whether the angles are in degrees.
        """
        axes, intrinsic = _davenport_axes("from_davenport", axes, order, (1, 2, 3))
        n = aval_of(axes).shape[0]
        angles = fnp.asarray(angles)
        if n == 1 and not (aval_of(angles).ndim > 1 and aval_of(angles).shape[-1] == 1):
            angles = angles[..., None]
        angles = _floats("Rotation.from_davenport", angles, n)
        angles = angles * (math.pi / 180) if degrees else angles
        turns = [cls.from_rotvec(angles[..., i, None] * axes[i])._quat for i in range(n)]
        return cls(functools.reduce(_compose, turns if intrinsic else turns[::-1]), normalize=False)

    @classmethod
    def create_group(cls, group: str, axis: str = "Z") -> Rotation:
        """The rotations of a symmetry group, by its name: `I`, `O`, `T`, `Dn` or `Cn`, the last two about an axis."""
        scipys: Any = importlib.import_module("scipy.spatial.transform")
        try:
            return cls(scipys.Rotation.create_group(group, axis).as_quat(), normalize=False)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"Rotation.create_group: {error}") from None

    @classmethod
    def align_vectors(cls, a: Any, b: Any, weights: Any = None, return_sensitivity: bool = False) -> tuple[Any, ...]:
        """The rotation that takes vectors `b` nearest to vectors `a`, in the sum of weighted squared distances.

        Args:
            a, b: `(n, 3)`, or `(3,)` for one vector each.
            weights: `(n,)`, finite and not negative; equal ones by default.
            return_sensitivity: whether the matrix is given that tells how much errors of the vectors turn the result.

        Returns:
            The rotation, the square root of the weighted sum of squared distances that are left, and the matrix
            `(3, 3)` if it is asked for. The rotation has derivatives where it is the only one.
        """
        a, b = (_floats("Rotation.align_vectors", v, 3) for v in (a, b))
        a, b = (v[None] if aval_of(v).ndim == 1 else v for v in (a, b))
        if aval_of(a).shape != aval_of(b).shape or aval_of(a).ndim != 2:
            raise ShapeError(f"align_vectors takes as many vectors, got shapes {aval_of(a).shape}, {aval_of(b).shape}")
        n = aval_of(a).shape[0]
        weights = fnp.ones(n, aval_of(a).dtype) if weights is None else fnp.asarray(weights)
        if aval_of(weights).shape != (n,):
            raise ShapeError(f"align_vectors takes {n} weights, got them in the shape {aval_of(weights).shape}")
        if not isinstance(weights, Tracer) and not np.all((weights >= 0) & np.isfinite(weights)):
            raise ArgumentError("align_vectors takes weights that are finite and not negative")
        if n == 1:  # the shortest way
            to, of = (v / _norm(v)[:, None] for v in (a, b))
            quat = fnp.concatenate([fnp.cross(of[0], to[0]), 1 + fnp.sum(to * of, axis=-1)])
        else:
            spread = (a * weights[:, None]).T @ b
            z = [spread[2, 1] - spread[1, 2], spread[0, 2] - spread[2, 0], spread[1, 0] - spread[0, 1]]
            trace = fnp.trace(spread)
            block = spread + spread.T - trace * np.eye(3)
            side = fnp.stack(z)[:, None]
            k = fnp.block([[block, side], [side.T, fnp.reshape(trace, (1, 1))]])
            quat = fnp.linalg.eigh(k)[1][:, -1]  # Davenport's method
        rotation = cls(quat)
        left = fnp.sum(weights * _square(a - rotation.apply(b)))
        left = fnp.where(left > 0, fnp.sqrt(fnp.where(left > 0, left, 1.0)), 0.0)
        if not return_sensitivity:
            return rotation, left
        if n == 1:
            raise ArgumentError("align_vectors of one vector has no sensitivity: it can turn about the vector")
        spread = (a * weights[:, None]).T @ b
        x, y, z = fnp.linalg.svd(spread, compute_uv=False) * fnp.stack([1.0, 1.0, fnp.sign(fnp.linalg.det(spread))])
        scale = fnp.mean(weights) / ((x + y) * (y + z) * (z + x))
        return rotation, left, scale * ((x * y + y * z + z * x) * np.eye(3) + spread @ spread.T)

    @classmethod
    def concatenate(cls, rotations: Sequence[Rotation]) -> Rotation:
        """Rotations one after another, in one array."""
        if isinstance(rotations, Rotation):
            return rotations
        quats = [r._quat[None] if r.single else r._quat for r in rotations]
        return cls(fnp.concatenate(quats, axis=0), normalize=False)

    # -- as

    def as_quat(self, canonical: bool = False, *, scalar_first: bool = False) -> Any:
        """Unit quaternions `(..., 4)`; canonical ones begin, from `w` on, with a positive number."""
        quat = self._quat
        if canonical:
            x, y, z, w = fnp.moveaxis(quat, -1, 0)
            first = fnp.where(w != 0, w, fnp.where(x != 0, x, fnp.where(y != 0, y, z)))
            quat = fnp.where((first < 0)[..., None], -quat, quat)
        return fnp.roll(quat, 1, axis=-1) if scalar_first else quat

    def as_matrix(self) -> Any:
        """Rotation matrices `(..., 3, 3)`."""
        x, y, z, w = fnp.moveaxis(self._quat, -1, 0)
        return fnp.stack(
            [
                _stack(x * x - y * y - z * z + w * w, 2 * (x * y - z * w), 2 * (x * z + y * w)),
                _stack(2 * (x * y + z * w), -x * x + y * y - z * z + w * w, 2 * (y * z - x * w)),
                _stack(2 * (x * z - y * w), 2 * (y * z + x * w), -x * x - y * y + z * z + w * w),
            ],
            axis=-2,
        )

    def as_rotvec(self, degrees: bool = False) -> Any:
        """Vectors `(..., 3)` along the axis, as long as the angle, which is at most half a turn."""
        v, w = self._upper()
        square = _square(v)
        near = square < 1e-3 * (w * w)
        u = fnp.where(near, square / fnp.where(near, w * w, 1.0), 0.0)
        size = fnp.sqrt(fnp.where(near, 1.0, square))
        series = 1 - u * (1 / 3 - u * (1 / 5 - u * (1 / 7 - u * (1 / 9 - u / 11))))
        scale = fnp.where(near, 2 / fnp.where(near, w, 1.0) * series, 2 * fnp.arctan2(size, w) / size)
        return v * (scale * (180 / math.pi) if degrees else scale)[..., None]

    def as_mrp(self) -> Any:
        """Modified Rodrigues parameters `(..., 3)`, of a turn of at most half a circle."""
        v, w = self._upper()
        return v / (1 + w)[..., None]

    def as_euler(self, seq: str, degrees: bool = False, *, suppress_warnings: bool = False) -> Any:
        """Angles `(..., 3)` about three axes; where two axes come to coincide the third angle is zero.

        SciPy warns of that unless told not to; here there are no warnings.

        The first and third angles lie in [-pi, pi], the second in [0, pi] if the first and last axis are one, else in
        [-pi/2, pi/2].
        """
        axes, intrinsic = _axes(seq, (3,))
        i, j, k = axes[::-1] if intrinsic else axes
        proper = i == k
        k = 3 - i - j if proper else k
        sign = (i - j) * (j - k) * (k - i) // 2
        q = fnp.moveaxis(self._quat, -1, 0)
        a, b, c, d = q[3], q[i], q[j], q[k] * sign
        if not proper:
            a, b, c, d = a - c, b + d, c + a, d - b
        angles = _three_angles(a, b, c, d, intrinsic, 0.0 if proper else math.pi / 2, 1 if proper else sign)
        return angles * (180 / math.pi) if degrees else angles

    def as_davenport(self, axes: Any, order: str, degrees: bool = False, *, suppress_warnings: bool = False) -> Any:
        """Angles `(..., 3)` about three given axes; where the outer axes come to coincide the third angle is zero.

        Args:
            axes: `(3, 3)`, of any lengths; the second is at right angles to the others.
            order: `"e"` or `"extrinsic"` for fixed axes, `"i"` or `"intrinsic"` for those of the rotating body.
            degrees: whether the angles are given in degrees.
        """
        axes, intrinsic = _davenport_axes("as_davenport", axes, order, (3,))
        outer, n2, other = axes[::-1] if intrinsic else axes
        across = fnp.cross(outer, n2)
        between = fnp.arctan2(other @ across, other @ outer)  # the outer axes enclose it
        side = fnp.where(between < 0, -1.0, 1.0)
        between, across, n2 = side * between, side * across, side * n2
        q = _compose(Rotation.from_rotvec(between * n2)._quat, self._quat)
        v, w = q[..., :3], q[..., 3]
        angles = _three_angles(w, v @ outer, v @ n2, v @ across, intrinsic, between, 1)
        angles = angles * fnp.stack([1.0, side, 1.0])
        return angles * (180 / math.pi) if degrees else angles

    # -- what they do

    def apply(self, vectors: Any, inverse: bool = False) -> Any:
        """Vectors `(..., 3)` rotated; shapes of vectors and rotations broadcast."""
        vectors = _floats("Rotation.apply", vectors, 3)
        v, w = self._quat[..., :3], self._quat[..., 3:]
        turned = 2 * fnp.cross(-v if inverse else v, vectors)
        return vectors + w * turned + fnp.cross(-v if inverse else v, turned)

    def inv(self) -> Rotation:
        """The inverse."""
        return Rotation(self._quat * np.array([-1, -1, -1, 1], aval_of(self._quat).dtype), normalize=False)

    def __mul__(self, other: Any) -> Rotation:
        """`(p * q).apply(v)` is `p.apply(q.apply(v))`."""
        if not isinstance(other, Rotation):
            return NotImplemented
        return Rotation(_compose(self._quat, other._quat))

    def __pow__(self, n: Any) -> Rotation:
        """The rotation about the same axis by `n` times the angle; `n` need not be whole."""
        return Rotation.from_rotvec(self.as_rotvec() * fnp.asarray(n)[..., None])

    def magnitude(self) -> Any:
        """The angle of rotation, from 0 to pi."""
        return 2 * fnp.arctan2(_norm(self._quat[..., :3]), fnp.abs(self._quat[..., 3]))

    def approx_equal(self, other: Rotation, atol: float | None = None, degrees: bool = False) -> Any:
        """Whether the rotation from the one to the other is by an angle of less than `atol`, by default 1e-8."""
        if atol is None:
            atol, degrees = 1e-8, False
        return (self * other.inv()).magnitude() < (math.radians(atol) if degrees else atol)

    def mean(self, weights: Any = None, axis: int | tuple[int, ...] | None = None) -> Rotation:
        """The rotation with the least sum of squared distances, between matrices, to those of axes, by default all.

        Args:
            weights: of the shape of the rotations, or one that broadcasts to it.
            axis: the axes of the array of rotations over which the mean is taken.
        """
        shape = self.shape or (1,)
        axes = normalize_axes(axis, len(shape))
        kept = [i for i in range(len(shape)) if i not in axes]
        quat = fnp.transpose(fnp.reshape(self._quat, (*shape, 4)), (*kept, *axes, len(shape)))
        quat = fnp.reshape(quat, (*[shape[i] for i in kept], -1, 4))
        scaled = quat
        if weights is not None:
            weights = fnp.asarray(weights)
            try:
                weights = fnp.broadcast_to(weights, shape)
            except ShapeError:
                raise ShapeError(
                    f"Rotation.mean takes weights of the shape {shape}, got them in the shape {aval_of(weights).shape}"
                ) from None
            weights = fnp.reshape(fnp.transpose(weights, (*kept, *axes)), aval_of(quat).shape[:-1])
            scaled = quat * weights[..., None]
        return Rotation(fnp.linalg.eigh(fnp.matrix_transpose(scaled) @ quat)[1][..., -1])

    def reduce(self, left: Rotation | None = None, right: Rotation | None = None, return_indices: bool = False) -> Any:
        """The rotations of least angle that groups `left` and `right` make of these: `l * self * r`.

        Args:
            left, right: one-dimensional arrays of rotations; none by default.
            return_indices: whether the places of `l` and `r` are given too.
        """
        groups = [Rotation.identity(1) if g is None else g for g in (left, right)]
        for g in groups:
            if not isinstance(g, Rotation) or len(g.shape) != 1:
                raise ShapeError(f"Rotation.reduce takes one-dimensional arrays of rotations, got {g!r:.60}")
        first, last = groups
        quat = self._quat[..., None, None, :]
        all_of_them = _compose(_compose(first._quat[:, None], quat), last._quat)
        flat = fnp.reshape(all_of_them, (*self.shape, len(first) * len(last), 4))
        best = fnp.argmax(fnp.abs(flat[..., 3]), axis=-1)
        out = Rotation(fnp.take_along_axis(flat, best[..., None, None], axis=-2)[..., 0, :], normalize=False)
        if not return_indices:
            return out
        return out, *(
            None if g is None else place for g, place in ((left, best // len(last)), (right, best % len(last)))
        )

    # -- as a sequence

    @property
    def single(self) -> bool:
        """Whether this is one rotation."""
        return aval_of(self._quat).ndim == 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array of rotations."""
        return aval_of(self._quat).shape[:-1]

    def __len__(self) -> int:
        if self.single:
            raise DTypeError("a single rotation has no len()")
        return self.shape[0]

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, index: Any) -> Rotation:
        if self.single:
            raise DTypeError("a single rotation cannot be indexed")
        return Rotation(self._quat[index], normalize=False)

    def __repr__(self) -> str:
        return f"Rotation({self._quat!r})"

    def _upper(self) -> tuple[Any, Any]:
        """Vector and scalar part of the quaternion, or of its opposite, that has no negative scalar part."""
        quat = fnp.where(self._quat[..., 3:] < 0, -self._quat, self._quat)
        return quat[..., :3], quat[..., 3]


def _restored(kind: type, names: Sequence[str]) -> Any:
    def whole(_: Any, children: Any) -> Any:
        out: Any = object.__new__(kind)
        for name, value in zip(names, children, strict=True):
            object.__setattr__(out, name, value)
        return out

    return whole


register_pytree_with_keys(Rotation, lambda r: (((GetAttrKey("quat"), r._quat),), None), _restored(Rotation, ("_quat",)))


class Slerp:
    """Rotations between given ones, each by a constant angular velocity, as `scipy.spatial.transform.Slerp`.

    Args:
        times: `(n,)`, increasing; at least two.
        rotations: `n` rotations.

    Times beyond the given ones raise an error; traced ones, which cannot, go on at the velocity of the first or last
    piece. A pytree.

    >>> from functrans.scipy.spatial.transform import Rotation, Slerp
    >>> between = Slerp([0.0, 1.0], Rotation.from_euler("z", [0.0, 90.0], degrees=True))
    >>> between(0.5).as_euler("zyx", degrees=True)[0]
    Array(45.)
    """

    def __init__(self, times: Any, rotations: Rotation):
        if not isinstance(rotations, Rotation) or len(rotations.shape) != 1 or len(rotations) < 2:
            raise ArgumentError(f"Slerp takes a Rotation of at least two rotations, got {rotations!r:.80}")
        times = fnp.asarray(times).astype(aval_of(rotations._quat).dtype)
        if aval_of(times).shape != (len(rotations),):
            raise ShapeError(f"Slerp takes one time for each of {len(rotations)} rotations, got {aval_of(times).shape}")
        if not isinstance(times, Tracer) and not np.all(np.diff(times) > 0):
            raise ArgumentError("Slerp takes times in increasing order")
        self.times, self.rotations = times, rotations[:-1]
        self.rotvecs = (self.rotations.inv() * rotations[1:]).as_rotvec()

    init = classmethod(lambda cls, times, rotations: cls(times, rotations))
    init.__doc__ = "The same by JAX's name."

    def __call__(self, times: Any) -> Rotation:
        """The rotations at times of shape `()` or `(m,)`."""
        at = fnp.asarray(times).astype(aval_of(self.times).dtype)
        if aval_of(at).ndim > 1:
            raise ShapeError(f"Slerp takes times of at most one axis, got {aval_of(at).shape}")
        if not isinstance(at, Tracer) and not isinstance(self.times, Tracer):
            first, last = self.times[0], self.times[-1]
            if np.any((at < first) | (at > last)):
                raise ArgumentError(f"times must lie in [{first}, {last}]")
        piece = fnp.clip(fnp.searchsorted(self.times, at) - 1, 0, aval_of(self.times).shape[0] - 2)
        share = (at - self.times[piece]) / (self.times[piece + 1] - self.times[piece])
        return self.rotations[piece] * Rotation.from_rotvec(self.rotvecs[piece] * share[..., None])


_PARTS = ("times", "rotations", "rotvecs")
register_pytree_with_keys(
    Slerp, lambda s: (tuple((GetAttrKey(n), getattr(s, n)) for n in _PARTS), None), _restored(Slerp, _PARTS)
)
