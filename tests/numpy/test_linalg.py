"""numpy.linalg: values eagerly, compiled and mapped, derivatives of both modes to second order, errors."""

import itertools

import numpy as np
import pytest
from helpers import check_derivatives, check_rules
from hypothesis import given, settings, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import errors

rng = np.random.default_rng(0)
INF = np.inf


def matrices(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return np.asarray(x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


A, Z = matrices(2, 3, 3) + 2 * np.eye(3), matrices(3, 3, dtype=complex) + 2 * np.eye(3)
SPD, HPD = A @ np.swapaxes(A, -1, -2), Z @ np.conj(Z.T)
TALL, WIDE, STACK = matrices(4, 2), matrices(2, 4), matrices(2, 3, 2)
LOW = matrices(4, 2) @ matrices(2, 3, seed=1)  # of rank two
V = matrices(4)
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
INTEGERS = np.array([[2, 1], [1, 3]])
HERMITIAN = matrices(4, 4) + matrices(4, 4).T

numbers = itertools.count()


def case(name, *args, order=2, **kwargs):
    return pytest.param(name, args, kwargs, order, id=f"{name}-{next(numbers)}")


CASES = [
    *[case("norm", x, ord, axis, keep) for x, ord, axis, keep in [
        (V, None, None, False), (V, 3, None, True), (V, 1, None, False), (V, INF, None, False), (V, -INF, None, True),
        (V, -2, None, False), (V, 0.5, 0, False), (TALL, None, None, False), (TALL, "fro", None, True),
        (TALL, "nuc", None, False), (TALL, 1, None, False), (TALL, -1, None, False), (TALL, 2, None, True),
        (TALL, -2, None, False), (TALL, INF, None, False), (TALL, -INF, None, False), (STACK, None, None, True),
        (STACK, None, 1, False), (STACK, 3, -1, True), (STACK, "fro", (0, 2), True), (STACK, 2, (2, 0), True),
        (STACK, "nuc", (1, 0), False), (STACK, 1, (-1, 0), True), (STACK, INF, (0, 1), False), (Z, "nuc", None, False),
        (Z, None, None, False), (Z, 1, None, False), (Z[0], 3, None, False),
    ]],
    case("norm", np.zeros(3), order=0),
    case("norm", V, 0, order=0),
    case("norm", INTEGERS, order=0),
    case("norm", np.zeros((2, 0)), 1, 1, order=0),
    *[case("vector_norm", STACK, axis=axis, keepdims=keep, ord=ord) for axis, keep, ord in [
        (None, False, 2), (None, True, 3),
        (0, False, 1), ((0, 2), True, INF), ((1, 2), False, -INF), ((2, 0), False, 4),
    ]],
    case("vector_norm", Z, axis=1, ord=1),
    *[case("matrix_norm", STACK, ord=ord, keepdims=keep) for ord, keep in itertools.product(
        ["fro", "nuc", 1, -1, 2, -2, INF, -INF], [False, True])],
    case("matrix_norm", V.reshape(2, 2).astype(np.float16), order=0),
    case("solve", A, A[::-1]), case("solve", A[0], V[:3]), case("solve", A, A[0]), case("solve", Z, A[0]),
    case("solve", INTEGERS, np.array([1, 2]), order=0), case("solve", A, V[:3]),
    case("inv", A), case("inv", Z), case("inv", INTEGERS, order=0),
    case("det", A), case("det", Z), case("det", SINGULAR), case("slogdet", A), case("slogdet", Z),
    case("qr", TALL), case("qr", WIDE), case("qr", STACK), case("qr", Z), case("qr", TALL, "r"), case("qr", WIDE, "r"),
    case("qr", TALL, "complete", order=0), case("qr", WIDE, "complete"),
    case("svd", TALL, False), case("svd", STACK, full_matrices=False), case("svd", A), case("svd", TALL, order=0),
    case("svd", WIDE, compute_uv=False), case("svdvals", STACK), case("svdvals", Z),
    case("eigvals", Z), case("eig", Z),
    case("pinv", TALL), case("pinv", STACK), case("pinv", Z), case("pinv", SINGULAR, order=0),
    case("pinv", WIDE, 0.6, order=0),
    case("pinv", A, rtol=None), case("pinv", A, rtol=np.array([0.1, 0.9]), order=0),
    case("pinv", np.zeros((2, 0)), order=0),
    case("pinv", INTEGERS, order=0), case("pinv", INTEGERS > 1, order=0),
    case("pinv", LOW, 1e-9, order=0), case("pinv", np.eye(3)),
    case("lstsq", TALL, V), case("lstsq", TALL, matrices(4, 3)), case("lstsq", WIDE, V[:2]),
    case("lstsq", A[0], A[1]), case("lstsq", TALL, V, 0.5, order=0),
    case("lstsq", Z, V[:3]),
    case("lstsq", TALL, V, -1), case("lstsq", matrices(4, 2, dtype=np.float32), V.astype(np.float32), order=0),
    *[case("matrix_rank", x, order=0) for x in (TALL, LOW, STACK, SINGULAR, V, np.zeros(3), INTEGERS, np.float64(2))],
    case("matrix_rank", A, tol=1.5, order=0), case("matrix_rank", A, tol=np.array([0.5, 3.0]), order=0),
    case("matrix_rank", A, rtol=0.5, order=0), case("matrix_rank", LOW.astype(np.float32), order=0),
    case("matrix_rank", SPD, hermitian=True, order=0),
    *[case("matrix_power", A, n) for n in (-2, -1, 0, 1, 2, 3, 7)], case("matrix_power", INTEGERS, 5, order=0),
    case("matrix_power", INTEGERS, -1, order=0),
    *[case("cond", x, p) for x, p in itertools.product([A, Z], [None, 2, -2, 1, -1, INF, -INF, "fro", "nuc"])],
    case("cond", TALL), case("cond", SINGULAR, 1, order=0), case("cond", np.zeros((2, 2)), order=0),
    *[case("cond", np.zeros((0, 2, 2)), p, order=0) for p in (None, 1)],
    case("cond", np.full((2, 2, 2), [[np.nan, 1.0], [1.0, 1.0]]), 1, order=0),
    case("multi_dot", [TALL, WIDE]), case("multi_dot", [V, TALL, WIDE, V]), case("multi_dot", [WIDE, TALL, WIDE, V]),
    case("multi_dot", [V, TALL]), case("multi_dot", [V, V]),
    case("tensorsolve", matrices(2, 3, 6), matrices(2, 3)), case("tensorsolve", matrices(6, 2, 3), V[:3].repeat(2)),
    case("tensorsolve", matrices(4, 2, 6, 3), matrices(4, 3), axes=(1, 2)),
    case("tensorinv", matrices(4, 6, 8, 3), order=0), case("tensorinv", matrices(4, 2, 2), ind=1),
    case("cross", A[0], A[1]), case("cross", A, A[0].T, axis=1), case("outer", V, V[:2]), case("outer", V, Z[0]),
    case("vecdot", Z, A[0]), case("vecdot", A, A[::-1], axis=1), case("matrix_transpose", STACK),
    case("diagonal", A, offset=1), case("diagonal", STACK), case("trace", A), case("trace", A, offset=-1),
    case("trace", INTEGERS, dtype=np.int8, order=0), case("matmul", A, Z), case("tensordot", A, STACK[0], axes=1),
    case("tensordot", A, STACK, axes=((0, 2), (0, 1))),
]  # fmt: skip


def leaves(value):
    return [np.asarray(v) for v in ft.tree.leaves(value)]


def assert_close(got, want, tolerance):
    got, want = leaves(got), leaves(want)
    assert len(got) == len(want)
    for g, w in zip(got, want):
        assert (g.shape, g.dtype) == (w.shape, w.dtype)
        if w.dtype.kind in "fc":
            finite = np.abs(w[np.isfinite(w)])
            limit = tolerance * np.finfo(w.dtype).eps * np.max(finite, initial=1e-30)
            np.testing.assert_allclose(g, w, rtol=0, atol=limit)
        else:
            np.testing.assert_array_equal(g, w)


def arrays_of(args):
    """The array arguments and the function that puts others in their places."""
    flat, tree = ft.tree.flatten(args)
    places = [i for i, a in enumerate(flat) if isinstance(a, np.ndarray) and a.ndim]

    def fill(values):
        full = list(flat)
        for i, v in zip(places, values):
            full[i] = v
        return ft.tree.unflatten(tree, full)

    return [flat[i] for i in places], fill


@pytest.mark.parametrize(("name", "args", "kwargs", "order"), CASES)
def test_values_and_derivatives(name, args, kwargs, order):
    function, numpys = getattr(fnp.linalg, name), getattr(np.linalg, name)
    want = numpys(*args, **kwargs)
    if name == "cond":
        want = np.real(want)  # NumPy 2.1 has some as complex numbers
    assert_close(function(*args, **kwargs), want, 0)
    arrays, fill = arrays_of(args)
    call = lambda *xs: function(*fill(xs), **kwargs)
    found = ft.jit(lambda *xs: numpys(*fill(xs), **kwargs))(*arrays)  # NumPy's function, traced
    assert type(found).__name__ == type(want).__name__ or not hasattr(want, "_fields")
    if name == "lstsq" and want[1].shape != found[1].shape:  # NumPy keeps the residuals of deficient ones to itself
        assert want[1].shape == (0,)
        found, want = (found[0], *found[2:]), (want[0], *want[2:])
    assert_close(found, want, 1000)
    flat = lambda *xs: ft.tree.leaves(call(*xs))
    if order and (name, np.iscomplexobj(arrays[0])) not in {("eig", True), ("svd", True)}:
        check_rules(flat, *arrays, order=order, smooth=True, rtol=1e-7)
    elif order:
        check_derivatives(flat, *arrays, order=1, smooth=True, rtol=1e-7)


HERMITIANS = [SPD, HPD, HERMITIAN]


@pytest.mark.parametrize("x", HERMITIANS, ids=["spd", "hpd", "indefinite"])
@pytest.mark.parametrize("call", [
    lambda n, x: n.eigvalsh(x), lambda n, x: n.eigvalsh(x, "U"), lambda n, x: n.svd(x, hermitian=True).S,
    lambda n, x: n.svd(x, compute_uv=False, hermitian=True), lambda n, x: n.pinv(x, hermitian=True),
    lambda n, x: n.matrix_rank(x, hermitian=True),
], ids=["eigvalsh", "upper", "svd", "svdvals", "pinv", "rank"])  # fmt: skip
def test_of_hermitian_matrices(call, x):
    want = call(np.linalg, x)
    assert_close(call(fnp.linalg, x), want, 0)
    assert_close(ft.jit(lambda x: call(fnp.linalg, x))(x), want, 1000)
    part = lambda x: call(fnp.linalg, (x + fnp.conj(fnp.matrix_transpose(x))) / 2)
    check_rules(part, x, order=2 if np.asarray(want).dtype.kind in "fc" else 0, smooth=True, rtol=1e-7, eps=1e-7)


@pytest.mark.parametrize("x", HERMITIANS, ids=["spd", "hpd", "indefinite"])
def test_factors_of_hermitian_matrices(x):
    def parts(x):
        w, v = fnp.linalg.eigh(x, "U")
        u, s, vh = fnp.linalg.svd(x, hermitian=True)
        return (v * w[..., None, :]) @ fnp.conj(fnp.matrix_transpose(v)), (u * s[..., None, :]) @ vh

    for rebuilt in ft.jit(parts)(x):
        np.testing.assert_allclose(rebuilt, x, atol=1e-12)
    if np.all(np.linalg.eigvalsh(x) > 0):
        for upper in (False, True):
            assert_close(ft.jit(lambda x, u=upper: fnp.linalg.cholesky(x, upper=u))(x),
                         np.linalg.cholesky(x, upper=upper), 100)  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.sampled_from("fdFD"), st.integers(0, 99))
def test_the_pseudoinverse_has_its_four_properties_and_a_derivative_at_any_rank(m, n, rank, dtype, seed):
    rank = min(rank, m, n)
    left, right = matrices(m, rank, dtype=dtype, seed=seed), matrices(rank, n, dtype=dtype, seed=seed + 1)
    call = ft.jit(lambda a: fnp.linalg.pinv(a, 1e-5))
    a = left @ right
    p = call(a)
    tolerance = (2e-2 if dtype in "fF" else 1e-9) * max(1, np.linalg.norm(p) ** 2) * max(1, np.linalg.norm(a) ** 2)
    h = lambda x: np.conj(x.T)
    for got, want in ((a @ p @ a, a), (p @ a @ p, p), (h(a @ p), a @ p), (h(p @ a), p @ a)):
        np.testing.assert_allclose(got, want, atol=tolerance)
    if dtype in "dD" and np.linalg.svd(left)[1][-1] * np.linalg.svd(right)[1][-1] > 0.3:
        # along matrices of the same rank
        check_derivatives(lambda l, r: fnp.linalg.pinv(fnp.matmul(l, r), 1e-5), left, right, smooth=True, rtol=1e-7)


def test_keywords_of_jax():
    """They hold for plain arrays and traced ones."""
    low, up = np.tril(SPD) + np.triu(A, 1), np.triu(SPD) + np.tril(A, -1)
    part = lambda x: (x + np.swapaxes(x, -1, -2)) / 2
    for call, want in [
        (lambda x: fnp.linalg.cholesky(x, symmetrize_input=True), np.linalg.cholesky(part(low + 9 * np.eye(3)))),
        (lambda x: fnp.linalg.cholesky(x, symmetrize_input=False), np.linalg.cholesky(low + 9 * np.eye(3))),
        (lambda x: fnp.linalg.eigvalsh(x, symmetrize_input=True), np.linalg.eigvalsh(part(low + 9 * np.eye(3)))),
        (lambda x: fnp.linalg.eigh(x, symmetrize_input=False)[0], np.linalg.eigvalsh(low + 9 * np.eye(3))),
        (lambda x: fnp.linalg.slogdet(x, method="qr")[1], np.linalg.slogdet(low + 9 * np.eye(3))[1]),
        (lambda x: fnp.linalg.svd(x, False, False, subset_by_index=(0, 2)),
         np.linalg.svd(low + 9 * np.eye(3), compute_uv=False)[..., :2]),
        (lambda x: fnp.linalg.svd(x, False, subset_by_index=(0, 2))[1],
         np.linalg.svd(low + 9 * np.eye(3), compute_uv=False)[..., :2]),
    ]:  # fmt: skip
        x = low + 9 * np.eye(3)
        assert_close(call(x), want, 100)
        assert_close(ft.jit(call)(x), want, 100)
    for call in (
        lambda x: fnp.linalg.cholesky(x, symmetrize_input=False),
        lambda x: fnp.linalg.eigh(x, symmetrize_input=False)[0],
    ):
        gradient = ft.grad(lambda x, call=call: fnp.sum(call(x)))(SPD)
        np.testing.assert_array_equal(np.triu(gradient, 1), 0)
        check_rules(call, low + 9 * np.eye(3), order=1, rtol=1e-7, smooth=True)
    assert_close(fnp.linalg.cholesky(up, upper=True), np.linalg.cholesky(up, upper=True), 0)


@pytest.mark.parametrize("call", [
    lambda n, x, low: n.cholesky(x, upper=not low), lambda n, x, low: n.eigh(x, "L" if low else "u").eigenvalues,
    lambda n, x, low: n.eigvalsh(x, "l" if low else "U"),
], ids=["cholesky", "eigh", "eigvalsh"])  # fmt: skip
@pytest.mark.parametrize("x", [SPD, HPD], ids=["real", "complex"])
@pytest.mark.parametrize("low", [True, False], ids=["lower", "upper"])
def test_one_triangle_is_read_and_gradients_are_hermitian(call, x, low):
    own, other = (np.tril, lambda a: np.triu(a, 1)) if low else (np.triu, lambda a: np.tril(a, -1))
    torn = own(x) + other(np.full(x.shape, np.nan))
    want = call(np.linalg, torn, low)
    assert_close(call(fnp.linalg, torn, low), want, 0)
    assert_close(ft.jit(lambda x: call(fnp.linalg, x, low))(torn), want, 100)
    weights = np.arange(want.size, dtype=float).reshape(want.shape)
    gradient = ft.grad(lambda x: fnp.sum(fnp.real(weights * call(fnp.linalg, x, low))))(x)
    np.testing.assert_allclose(gradient, np.conj(np.swapaxes(gradient, -1, -2)), atol=1e-12)


def test_an_infinite_matrix_has_no_least_squares():
    x = fnp.array([[np.inf, 1.0], [1.0, 2.0]])
    with pytest.raises(np.linalg.LinAlgError):
        fnp.linalg.lstsq(x, V[:2])
    assert np.isnan(ft.jit(fnp.linalg.lstsq)(x, V[:2])[0]).all()


def test_least_squares_with_equal_singular_values():
    check_rules(lambda a, b: fnp.linalg.lstsq(a, b)[:2], np.eye(4)[:, :2], V, order=1)


def test_norms_have_derivative_zero_at_zero():
    for ord in (None, 2, 3, "fro"):
        x = np.zeros((2, 2)) if ord == "fro" else np.zeros(2)
        np.testing.assert_array_equal(ft.grad(lambda x, ord=ord: fnp.linalg.norm(x, ord))(x), 0 * x)


def test_singular_matrices_raise_as_numpy():
    for call in (fnp.linalg.inv, lambda x: fnp.linalg.solve(x, x), lambda x: fnp.linalg.matrix_power(x, -1)):
        with pytest.raises(np.linalg.LinAlgError):
            ft.jit(call)(SINGULAR)


SQUARE = "takes square matrices in the last two axes, got shape"
ERRORS = [
    *[(n, (TALL,), {}, errors.ShapeError, SQUARE)
      for n in ("inv", "det", "slogdet", "eig", "eigvals", "eigh", "eigvalsh", "cholesky")],
    ("matrix_power", (TALL, 2), {}, errors.ShapeError, SQUARE),
    ("cond", (TALL, 1), {}, errors.ShapeError, SQUARE),
    *[(n, (V,), {}, errors.ShapeError, "matri")
      for n in ("inv", "svd", "qr", "pinv", "cond", "svdvals", "matrix_norm")],
    *[(n, (np.eye(2, dtype=np.float16),), {}, errors.DTypeError, "takes float32, .* matrices, got float16")
      for n in ("inv", "det", "svdvals", "pinv", "cond", "qr", "eigvalsh")],
    *[(n, (np.eye(2, dtype=np.float16), np.ones(2)), {}, errors.DTypeError, f"{n} takes float32, .* got float16")
      for n in ("solve", "lstsq")],
    ("solve", (TALL, V), {}, errors.ShapeError, SQUARE),
    ("solve", (A[0], V), {}, errors.ShapeError, "do not fit"),
    ("qr", (TALL,), {"mode": "raw"}, errors.ArgumentError, "mode 'reduced', 'complete' or 'r', got 'raw'"),
    ("eigh", (SPD, "X"), {}, errors.ArgumentError, "UPLO is 'L' or 'U', got 'X'"),
    ("pinv", (A, 0.1), {"rtol": 0.1}, errors.ArgumentError, "rcond or rtol, not both"),
    ("matrix_rank", (A, 0.1), {"rtol": 0.1}, errors.ArgumentError, "tol or rtol, not both"),
    ("lstsq", (A, V), {}, errors.ShapeError, "lstsq takes a matrix and as many rows"),
    ("lstsq", (TALL, V[:3]), {}, errors.ShapeError, "lstsq takes a matrix and as many rows"),
    ("cond", (np.zeros((0, 2)),), {}, errors.ShapeError, "not defined for empty arrays"),
    ("multi_dot", ([V],), {}, errors.ArgumentError, "at least two arrays"),
    ("multi_dot", ([TALL, V, TALL],), {}, errors.ShapeError, "takes matrices, and vectors at the ends"),
    ("multi_dot", ([TALL, WIDE],), {"out": V}, errors.ArgumentError, "does not take out="),
    ("norm", (STACK, 2), {}, errors.ShapeError, "one axis .vectors. or two .matrices."),
    ("norm", (STACK, 2, (0, 1, 2)), {}, errors.ShapeError, "one axis .vectors. or two .matrices."),
    ("norm", (TALL, 3), {}, errors.ArgumentError, "norm of matrices takes ord 'fro', 'nuc'"),
    ("norm", (TALL, None, (0, 0)), {}, errors.ShapeError, "axes"),
    ("norm", (V, "fro"), {}, errors.ArgumentError, "norm of vectors takes a number as ord, got 'fro'"),
    ("norm", (V, 1, 3), {}, errors.AxisError, "axis 3 is out of bounds"),
    ("tensorsolve", (STACK, V), {}, errors.ShapeError, "make no square system"),
    ("tensorinv", (STACK,), {"ind": 1}, errors.ShapeError, "have different sizes"),
    ("tensorinv", (STACK,), {"ind": 0}, errors.ArgumentError, "at least one, got 0"),
    ("tensorinv", (np.array(2.0),), {}, errors.ShapeError, "an array with axes"),
    ("outer", (TALL, V), {}, errors.ShapeError, "outer takes two vectors"),
    ("cross", (V, V), {}, errors.ShapeError, "cross takes vectors of three elements"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error", "text"),
    [pytest.param(*row, id=f"{row[0]}-{i}") for i, row in enumerate(ERRORS)],
)
def test_errors(name, args, kwargs, error, text):
    arrays, fill = arrays_of(args)
    if "mode" not in kwargs:
        with pytest.raises((ValueError, TypeError, IndexError)):
            getattr(np.linalg, name)(*args, **kwargs)
    with pytest.raises(error, match=text):
        ft.jit(lambda *xs: getattr(fnp.linalg, name)(*fill(xs), **kwargs))(*arrays)
