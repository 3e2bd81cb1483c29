"""Factorizations and systems of compiled programs: by LAPACK and BLAS, on one thread of theirs, without Python."""

import ctypes
import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans import config, lax
from functrans.compiler import blas

TOLERANCE = {"f": 1e-4, "F": 1e-4, "d": 1e-11, "D": 1e-11}


def positive_definite(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=shape).astype(dtype)
    if a.dtype.kind == "c":
        a = a + 1j * rng.normal(size=shape).astype(a.real.dtype)
    return (a @ a.conj().swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize("dtype", "fdFD")
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 4, 4), (2, 40, 40), (0, 0), (2, 0, 3, 3)])
def test_cholesky(shape, dtype):
    check_cholesky(shape, dtype)


def test_a_large_matrix_is_left_to_the_threads_of_blas():
    check_cholesky((800, 800), "d")


@pytest.mark.parametrize(("count", "n", "left"), [(1, 300, True), (3, 300, True), (8, 300, False), (1, 100, False)])
def test_few_large_matrices_are_left_to_the_threads_of_blas(count, n, left):
    for call in (np.linalg.inv, np.linalg.eigvalsh):
        text = ft.jit(call).lower(np.ones((count, n, n))).as_text("plan")
        assert ("BLAS on one thread" not in text) == left


def test_memory_to_work_in_is_bounded():
    lowered = ft.jit(np.linalg.svd).lower(np.ones((1000, 200, 200)))
    assert lowered.compile().memory_analysis().temp_size_in_bytes < 64 << 20


def check_cholesky(shape, dtype):
    f = ft.jit(np.linalg.cholesky)
    a = positive_definite(shape, dtype)
    assert "NumPy" not in f.lower(a).as_text("plan")
    kept = a.copy()
    out = f(a)
    assert out.dtype == a.dtype
    np.testing.assert_allclose(out, np.linalg.cholesky(a), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(a, kept)  # what is computed in place is a copy


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_matrix_that_is_not_positive_definite(threads):
    """The error is NumPy's, with the line; BLAS has its threads back afterwards, and the program goes on working."""
    good = positive_definite((3, 6, 6), "d")
    bad = np.stack([good[0], -good[1], good[2]])
    f = ft.jit(lambda a: np.linalg.cholesky(a) * 2)
    get = blas.thread_count()[0]
    count = ctypes.CFUNCTYPE(ctypes.c_int)(get) if get else lambda: 0
    before = count()
    with config.threads(threads):
        for a in (bad, -good):
            with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite, at .*test_factorizations.py:\d+"):
                f(a)
            assert count() == before
        np.testing.assert_allclose(f(good), 2 * np.linalg.cholesky(good))
        assert np.isnan(f(np.full((3, 6, 6), np.nan))).any()  # as in NumPy
    assert count() == before


@pytest.mark.parametrize("dtype", "dF")
@pytest.mark.parametrize("left", [True, False], ids=["left", "right"])
@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
@pytest.mark.parametrize("transpose", [True, False], ids=["transposed", "plain"])
@pytest.mark.parametrize(("batch", "n", "free"), [((), 150, 301), ((), 7, 3), ((3,), 60, 200), ((), 4, 0), ((), 0, 4)])
def test_triangular_systems(batch, n, free, transpose, lower, left, dtype):
    """Large systems are split by their right-hand sides."""
    rng = np.random.default_rng(0)
    a = (rng.normal(size=(*batch, n, n)) + max(n, 1) * np.eye(n)).astype(dtype)
    b = rng.normal(size=(*batch, *((n, free) if left else (free, n)))).astype(dtype)

    def solve(a, b):
        return lax.linalg.triangular_solve(a, b, left_side=left, lower=lower, transpose_a=transpose)

    x = ft.jit(solve)(a, b)
    t = np.tril(a) if lower else np.triu(a)
    t = t.swapaxes(-1, -2) if transpose else t
    np.testing.assert_allclose(t @ x if left else x @ t, b, rtol=10 * TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def test_a_system_is_solved_where_its_right_hand_side_was():
    a, b = np.eye(80) * 2, np.ones((80, 80))
    f = ft.jit(lambda a, b: lax.linalg.triangular_solve(a, b * 3.0, left_side=True, lower=True) + 1)
    np.testing.assert_allclose(f(a, b), 2.5)
    assert "copy" not in f.lower(a, b).as_text("plan")


def matrices(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return np.asarray(x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def hermitian(x):
    return x + np.conj(np.swapaxes(x, -1, -2))


RECTANGULAR = [(5, 3), (3, 5), (2, 3, 7, 2)]
SQUARE = [(1, 1), (2, 3, 4, 4), (150, 3, 3), (40, 40)]
#: For each equation: a function, what its operands are made of, and shapes.
LAPACK = {
    "solve": (lambda a: np.linalg.solve(a, a[..., :2]), None, SQUARE),
    "solve of vectors": (lambda a: np.linalg.solve(a, a[..., :1]), None, SQUARE[1:3]),
    "solve of one matrix": (lambda a: lax.linalg.solve(a[0], a), None, [(3, 5, 5), (90, 6, 6), (3, 80, 80)]),
    "solve with one right-hand side": (lambda a: lax.linalg.solve(a, a[0]), None, [(3, 4, 4)]),
    "solve that broadcasts": (lambda a: lax.linalg.solve(a[:, :1], a[0]), None, [(2, 3, 4, 4)]),
    "inv": (np.linalg.inv, None, SQUARE),
    "lu": (lax.linalg.lu, None, SQUARE + RECTANGULAR),
    "det": (np.linalg.det, None, SQUARE),
    "slogdet": (np.linalg.slogdet, None, SQUARE),
    "lu_pivots_to_permutation": (
        lambda a: lax.linalg.lu_pivots_to_permutation(lax.linalg.lu(a)[1], 7),
        None,
        SQUARE[:3],
    ),
    "tridiagonal_solve": (
        lambda a: lax.linalg.tridiagonal_solve(a[..., 0], a[..., 1] + 9, a[..., 2], a),
        None,
        [(3, 3), (2, 3, 5, 5)],
    ),
    "tridiagonal_solve that broadcasts": (
        lambda a: lax.linalg.tridiagonal_solve(a[0, 0, 0], a[0, :, 1] + 9, a[:, :1, 2], a[:, 0]),
        None,
        [(2, 2, 4, 4)],
    ),
    "qr with pivoting": (
        lambda a: lax.linalg.qr(a, pivoting=True, full_matrices=False),
        None,
        SQUARE[:3] + RECTANGULAR,
    ),
    "gradient of det": (ft.grad(lambda a: np.sum(np.real(np.linalg.det(a)))), None, SQUARE[:3]),
    "qr": (np.linalg.qr, None, SQUARE + RECTANGULAR),
    "qr, complete": (lambda a: np.linalg.qr(a, "complete"), None, RECTANGULAR),
    "r of qr": (lambda a: np.linalg.qr(a, "r"), None, RECTANGULAR),
    "eigh": (np.linalg.eigh, hermitian, SQUARE),
    "eigvalsh": (np.linalg.eigvalsh, hermitian, SQUARE),
    "svd": (lambda a: np.linalg.svd(a, full_matrices=False), None, SQUARE + RECTANGULAR),
    "svd, full": (np.linalg.svd, None, RECTANGULAR),
    "svdvals": (np.linalg.svdvals, None, SQUARE + RECTANGULAR),
    "eig": (lambda a: [x + 0j for x in np.linalg.eig(a)], None, SQUARE[:3]),  # always complex, where NumPy looks
    "eigvals": (lambda a: np.linalg.eigvals(a) + 0j, None, SQUARE[1:2]),
}


@pytest.mark.parametrize("dtype", "fdFD")
@pytest.mark.parametrize("name", LAPACK)
def test_lapack_gives_what_numpy_gives(name, dtype):
    """The same routine, on the same matrix, in the same precision; but builds of LAPACK differ in signs and phases."""
    function, prepare, shapes = LAPACK[name]
    for shape in shapes:
        a = matrices(shape, dtype)
        a = a if prepare is None else prepare(a)
        kept, f = a.copy(), ft.jit(function)
        text = f.lower(a).as_text("plan")
        assert "NumPy" not in text, text
        want = ft.tree.leaves(function(a))
        for threads in (1, 2) if len(shape) > 2 else (1,):
            with config.threads(threads):
                got = ft.tree.leaves(f(a))
            vectors = name in ("eig", "eigh", "svd", "svd, full")
            for x, y in zip(got, want, strict=True):
                assert (x.shape, x.dtype) == (y.shape, y.dtype)
                limit = TOLERANCE[dtype] * max(1.0, float(np.max(np.abs(y))))
                x, y = (np.abs(x), np.abs(y)) if vectors and x.ndim == a.ndim else (x, y)
                np.testing.assert_allclose(x, y, rtol=0, atol=limit)
            if vectors:
                np.testing.assert_allclose(product_of(name, *got), a, rtol=0, atol=40 * TOLERANCE[dtype])
        np.testing.assert_array_equal(a, kept)


def product_of(name, *factors):
    """What was decomposed, from its factors, whose signs and phases are LAPACK's choice."""
    if name.startswith("svd"):
        u, s, vh = factors
        return (u[..., : s.shape[-1]] * s[..., None, :]) @ vh[..., : s.shape[-1], :]
    w, v = factors
    return (v * w[..., None, :]) @ (np.linalg.inv(v) if name == "eig" else np.conj(np.swapaxes(v, -1, -2)))


@pytest.mark.parametrize(
    ("function", "name"),
    [(lambda a: np.linalg.eigh(a)[0], "v_all"), (lambda a: np.linalg.qr(a)[1], "orgqr"),
     (lambda a: np.linalg.eig(a)[0], "v_all")],
    ids=["eigh", "qr", "eig"],
)  # fmt: skip
def test_vectors_that_are_not_read_are_not_computed(function, name):
    a = hermitian(matrices((3, 3), "d"))
    whole = lambda a: [function(a), np.linalg.eigh(a), np.linalg.qr(a), np.linalg.eig(a)]
    assert name not in ft.jit(function).lower(a).as_text("kernels")
    assert name in ft.jit(whole).lower(a).as_text("kernels")


@pytest.mark.parametrize(("call", "bad", "text"), [
    (np.linalg.inv, np.ones((3, 3)), "Singular matrix"),
    (lambda a: np.linalg.solve(a, np.ones((3, 1))), np.zeros((3, 3)), "Singular matrix"),
    (lambda a: lax.linalg.solve(a[0], a), np.zeros((3, 3)), "Singular matrix"),
    (lambda a: lax.linalg.tridiagonal_solve(0 * a[0], a.sum(-1), 0 * a[0], a), np.zeros((3, 3)), "Singular matrix"),
    (np.linalg.eigvalsh, np.full((3, 3), np.nan), "Eigenvalues did not converge"),
    (lambda a: np.linalg.svd(a)[0], np.full((3, 3), np.nan), "SVD did not converge"),
    (lambda a: np.linalg.eig(a)[1] * 1j, np.diag([1.0, np.inf, 1.0]), "Array must not contain infs or NaNs"),
], ids=["inv", "solve", "shared", "tridiagonal", "eigvalsh", "svd", "eig"])  # fmt: skip
@pytest.mark.parametrize("threads", [1, 2])
def test_what_lapack_refuses_raises_as_in_numpy(call, bad, text, threads, capfd):
    """With the line; BLAS has its threads back afterwards, and the program goes on working."""
    good = np.stack([2 * np.eye(3)] * 3)
    stack = good.copy()
    stack[0 if call.__name__ == "<lambda>" else 1] = bad
    f = ft.jit(call)
    get = blas.thread_count()[0]
    count = ctypes.CFUNCTYPE(ctypes.c_int)(get) if get else lambda: 0
    before = count()
    with pytest.raises(np.linalg.LinAlgError, match=text):
        call(stack)
    with config.threads(threads):
        with pytest.raises(np.linalg.LinAlgError, match=rf"{text}, at .*test_factorizations.py:\d+"):
            f(stack)
        assert count() == before
        np.testing.assert_allclose(f(good), call(good), atol=1e-12)
    capfd.readouterr()  # LAPACK writes of illegal values


@pytest.mark.parametrize(
    "call",
    [np.linalg.inv, np.linalg.det, lambda a: lax.linalg.lu(a)[0], lambda a: np.linalg.qr(a)[1]],
    ids=["inv", "det", "lu", "qr"],
)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_go_where_numpy_lets_them(call, bad):
    a = np.stack([2 * np.eye(3), np.full((3, 3), bad), np.diag([1.0, bad, 2.0])])
    with np.errstate(all="ignore"):
        want = np.asarray(call(a))
    spoilt = lambda x: np.isnan(x).reshape(3, -1).any(axis=1)  # which elements are depends on the order of the steps
    np.testing.assert_array_equal(spoilt(ft.jit(call)(a)), spoilt(want))


@settings(deadline=None, max_examples=40)
@given(st.sampled_from([(1, 1), (2, 3), (3, 1), (4, 2), (5, 2)]), st.sampled_from("fdFD"), st.integers(0, 999))
def test_small_systems_of_whole_numbers(sizes, dtype, seed):
    """Singular ones raise as in NumPy; of the others the solution is exact but for rounding, whatever the pivots."""
    (n, k), rng = sizes, np.random.default_rng(seed)
    a = rng.integers(-2, 3, size=(4, n, n)).astype(dtype)
    a[0] = a[0][::-1] * (1j if dtype in "FD" else 1)
    b = rng.integers(-3, 4, size=(4, n, k)).astype(dtype)
    exact = np.round(np.linalg.det(a), 6)
    np.testing.assert_allclose(JITTED[0](a), exact, atol=1e-4)
    sign, logarithm = JITTED[1](a)
    np.testing.assert_allclose(sign * np.exp(logarithm), exact, atol=1e-4)
    for matrix, right, value in zip(a, b, exact):
        if value:
            np.testing.assert_allclose(matrix @ JITTED[2](matrix, right), right, atol=1e-4 if dtype in "fF" else 1e-11)
    zero = a.copy()
    zero[2] = zero[2, :1] if n > 1 else 0  # equal rows
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix, at"):
        JITTED[2](zero, b)


JITTED = [ft.jit(np.linalg.det), ft.jit(np.linalg.slogdet), ft.jit(np.linalg.solve)]


def test_determinants_of_singular_and_of_large_matrices():
    large = [np.diag([1e200, 1e200, 1e-300]), np.diag([1e-200, 1e-200, 1e300, 1.0]), np.eye(3)[[1, 0, 2]] * 1e-200]
    for a in (np.zeros((3, 3)), np.ones((3, 3)), *large, np.kron(np.eye(2), large[0])):
        for dtype in "dD":
            for call in (np.linalg.det, np.linalg.slogdet):
                for x, y in zip(ft.tree.leaves(ft.jit(call)(a.astype(dtype))), ft.tree.leaves(call(a.astype(dtype)))):
                    np.testing.assert_allclose(x, y, rtol=1e-12)


def test_loops_and_threads_of_the_caller():
    """A program works in memory of its own wherever it runs."""
    a = matrices((20, 6, 6), "d") + 4 * np.eye(6)

    @ft.jit
    def chain(a):
        def body(x, m):
            w, v = np.linalg.eigh(m @ m.T)
            x = np.linalg.solve(m, x) + v @ np.diag(w) @ v.T
            return x / np.linalg.norm(x), np.linalg.svdvals(x)

        return lax.scan(body, np.eye(6), a)

    x, want = np.eye(6), []
    for m in a:
        x = np.linalg.solve(m, x) + m @ m.T
        want.append(np.linalg.svdvals(x))
        x = x / np.linalg.norm(x)
    results = {}

    def call(number):
        results[number] = [chain(a) for _ in range(5)]

    callers = [threading.Thread(target=call, args=(i,)) for i in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for found, values in itertools.chain(*results.values()):
        np.testing.assert_allclose(found, x, atol=1e-10)
        np.testing.assert_allclose(values, want, atol=1e-10)
