"""What `functrans.numpy` has beyond NumPy: sizes, new arrays instead of writing, maps, methods of ufuncs."""

import io

import numpy as np
import pytest
from numpy_samples import B, I, P, X

import functrans as ft
import functrans.numpy as fnp
from functrans.testing import check_transforms

D = ft.errors


# ---------------------------------------------------------------- sizes

A, C = np.array([3, 1, 3, 0, 7]), np.array([7, 7, 2, 3])
F = np.array([2.0, np.nan, -1.0, np.nan, 2.0])


@pytest.mark.parametrize("x", [A, F, np.array([], int), A[:4].reshape(2, 2), F.astype(complex)], ids=str)
@pytest.mark.parametrize("jit", [lambda f: f, ft.jit], ids=["eager", "jit"])
def test_unique_with_a_size(x, jit):
    wanted = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    n = len(wanted[0])
    found = jit(lambda x: fnp.unique(x, True, True, True, size=n + 2, fill_value=9))(x)
    np.testing.assert_array_equal(found[0], [*wanted[0], 9, 9])
    np.testing.assert_array_equal(found[1][:n], wanted[1])
    np.testing.assert_array_equal(found[2], wanted[2])
    np.testing.assert_array_equal(found[3], [*wanted[3], 0, 0])
    if n > 1:
        short = jit(lambda x: fnp.unique(x, return_counts=True, size=n - 1))(x)
        np.testing.assert_array_equal(short[0], wanted[0][: n - 1])
        plain = jit(lambda x: fnp.unique(x, size=n + 1))(x)
        np.testing.assert_array_equal(plain, [*wanted[0], wanted[0][0]])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_unique_rows_with_a_size(axis):
    x = np.array([[1, 0, 1], [2, 5, 2], [1, 0, 1]])
    wanted, index, counts = np.unique(x, return_index=True, return_counts=True, axis=axis)
    n = wanted.shape[axis]
    found = ft.jit(lambda x: fnp.unique(x, True, False, True, axis, size=n))(x)
    for f, w in zip(found, (wanted, index, counts), strict=True):
        np.testing.assert_array_equal(f, w)


@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
@pytest.mark.parametrize(("a", "b"), [(A, C), (F, F[:2]), (A, A[:0]), (A[:0], C), (A, F), (A.reshape(1, 5), C)])
def test_sets_with_a_size(name, a, b):
    wanted = getattr(np, name)(a, b)
    found = ft.jit(lambda a, b: getattr(fnp, name)(a, b, size=len(wanted) + 1, fill_value=99))(a, b)
    assert found.dtype == wanted.dtype
    np.testing.assert_array_equal(found, [*wanted, 99])
    np.testing.assert_array_equal(getattr(fnp, name)(a, b, size=len(wanted)), wanted)


def test_places_of_an_intersection():
    wanted = np.intersect1d(A, C, return_indices=True)
    found = ft.jit(lambda a, b: fnp.intersect1d(a, b, return_indices=True, size=3, fill_value=-1))(A, C)
    np.testing.assert_array_equal(found[0], [*wanted[0], -1])
    np.testing.assert_array_equal(found[1], [*wanted[1], len(A)])
    np.testing.assert_array_equal(found[2], [*wanted[2], len(C)])
    unordered = fnp.setdiff1d(A, C, assume_unique=True, size=3, fill_value=-1)
    np.testing.assert_array_equal(unordered, [*np.setdiff1d(A, C, assume_unique=True), -1])


SIZED = {
    "nonzero": (lambda x: fnp.nonzero(x, size=15, fill_value=-1), lambda x: np.nonzero(x), -1),
    "where": (lambda x: fnp.where(x, size=15, fill_value=(-1, -1)), lambda x: np.where(x), -1),
    "flatnonzero": (lambda x: fnp.flatnonzero(x, size=15, fill_value=-1), lambda x: np.flatnonzero(x), -1),
    "argwhere": (lambda x: fnp.argwhere(x, size=15, fill_value=-1), lambda x: np.argwhere(x), -1),
    "extract": (lambda x: fnp.extract(x > 1, x, size=15, fill_value=7), lambda x: np.extract(x > 1, x), 7),
    "compress": (lambda x: fnp.compress(x[0] > 1, x.T, 0, size=15), lambda x: np.compress(x[0] > 1, x.T, 0), 0),
    "bincount": (lambda x: fnp.bincount(abs(x[0]), length=15), lambda x: np.bincount(abs(x[0])), 0),
    "repeat": (
        lambda x: fnp.repeat(x[0], abs(x[1]) + 1, total_repeat_length=4),
        lambda x: np.repeat(x[0], abs(x[1]) + 1)[:4],
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIZED)
def test_sizes(name):
    sized, plain, fill = SIZED[name]
    for x in (I, np.where(B, I, 0), np.where(B, 0, I)):
        wanted = ft.tree.map(np.asarray, plain(x))
        for found in (sized(x), ft.jit(sized)(x), ft.tree.map(lambda v: v[0], ft.vmap(sized)(x[None]))):
            for f, w in zip(ft.tree.leaves(found), ft.tree.leaves(wanted), strict=True):
                assert f.dtype == w.dtype
                np.testing.assert_array_equal(f[: len(w)], w)
                np.testing.assert_array_equal(f[len(w) :], np.full(f[len(w) :].shape, fill))


NEEDS_SIZE = "unique unique_all nonzero flatnonzero argwhere where".split()


@pytest.mark.parametrize("name", NEEDS_SIZE)
def test_without_a_size(name):
    function = getattr(fnp, name)
    with pytest.raises(D.ConcretizationError, match="has a shape that depends on values: give the number of results"):
        ft.jit(function)(A)
    # Under grad without jit values are there.
    ft.grad(lambda x: sum(ft.tree.leaves(ft.tree.map(lambda v: v.sum() * x.sum(), function(x * 1.0)))))(F[::2])


def test_traced_places():
    x = np.arange(6.0)
    found = ft.jit(lambda x, i: fnp.delete(x, i))(x, -2)
    np.testing.assert_array_equal(found, np.delete(x, -2))
    found = ft.jit(lambda x, i: fnp.delete(x, i, assume_unique_indices=True))(x, np.array([4, 1]))
    np.testing.assert_array_equal(found, np.delete(x, [4, 1]))
    with pytest.raises(D.ConcretizationError, match="assume_unique_indices=True"):
        ft.jit(lambda x, i: fnp.delete(x, i))(x, np.array([4, 1]))
    for i, v in ((2, 9.0), (-1, 9.0), (np.array([4, 1, 1]), np.array([7.0, 8.0, 9.0]))):
        np.testing.assert_array_equal(ft.jit(fnp.insert)(x, i, v), np.insert(x, i, v))


# ---------------------------------------------------------------- writing

Q = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
WRITES = {
    "put": ([0, -1, 2], [7.0, 8.0]),
    "place": (Q > 2.5, [7.0, 8.0, 9.0]),
    "putmask": (Q > 2.5, [7.0, 8.0, 9.0, 10.0]),
    "copyto": (np.array([1.5, 2.5, 3.5]),),
    "fill_diagonal": ([7.0, 8.0],),
    "put_along_axis": (np.array([[2], [0]]), 9.0, 1),
}


@pytest.mark.parametrize("name", WRITES)
def test_writing(name):
    function, args = getattr(fnp, name), WRITES[name]
    wanted = Q.copy()
    getattr(np, name)(wanted, *args)
    for found in (function(Q, *args, inplace=False), ft.jit(lambda x: function(x, *args, inplace=False))(Q)):
        assert isinstance(found, ft.Array)
        np.testing.assert_array_equal(found, wanted)
    x = fnp.array(Q)
    assert function(x, *args) is None
    np.testing.assert_array_equal(x, wanted)
    check_transforms(lambda x: function(x, *args, inplace=False), Q)
    with pytest.raises(D.TracerItemAssignmentError, match=f"{name} writes into its argument.*inplace=False"):
        ft.jit(lambda x: function(x, *args))(Q)
    with pytest.raises(D.TracerItemAssignmentError, match="inplace=False"):
        ft.jit(lambda x: getattr(np, name)(x, *args))(Q)


@pytest.mark.parametrize(("shape", "wrap"), [((7, 3), False), ((7, 3), True), ((2, 5), False), ((3, 3, 3), False)])
def test_diagonals(shape, wrap):
    wanted = np.zeros(shape)
    np.fill_diagonal(wanted, [1.0, 2.0], wrap)
    np.testing.assert_array_equal(fnp.fill_diagonal(np.zeros(shape), [1.0, 2.0], wrap, inplace=False), wanted)


# ---------------------------------------------------------------- functions of functions


def test_vectorize():
    f = fnp.vectorize(lambda x, y: x * y + 1)
    assert isinstance(f(X, 2.0), ft.Array)
    np.testing.assert_array_equal(f(X, P[:1]), X * P[:1] + 1)
    np.testing.assert_array_equal(ft.jit(f)(X, P[:1]), X * P[:1] + 1)
    check_transforms(lambda x: f(x, P), X)
    branch = fnp.vectorize(lambda x: x if x > 0 else -x)  # NumPy's, which calls it for each element
    np.testing.assert_array_equal(branch(X), abs(X))
    both = fnp.vectorize(lambda x: (x, -x), otypes="fd")
    assert [v.dtype for v in ft.jit(both)(X)] == [v.dtype for v in both(X)] == [np.float32, np.float64]


def test_vectorize_by_a_signature():
    mean = lambda x, n: x.sum() / n
    f = fnp.vectorize(mean, signature="(k),()->()")
    np.testing.assert_allclose(ft.jit(f)(X, np.array([1.0, 2.0, 4.0])), X.sum(1) / [1, 2, 4])
    outer = fnp.vectorize(lambda x, y: x[:, None] * y, signature="(m),(n)->(m,n)")
    wanted = np.einsum("...i,...j->...ij", X, P[:1])
    np.testing.assert_allclose(ft.jit(outer)(X, P[:1]), wanted)
    np.testing.assert_allclose(outer(X, P[:1]), wanted)
    excluded = fnp.vectorize(lambda x, n, scale=1.0: x * n * scale, excluded=[1, "scale"])
    np.testing.assert_allclose(ft.jit(lambda x: excluded(x, 3, scale=2.0))(X), 6 * X)

    @fnp.vectorize(signature="(n),(n)->()")
    def dot(x, y):
        """The scalar product."""
        return x @ y

    assert dot.__doc__ == "The scalar product."
    np.testing.assert_allclose(ft.jit(dot)(X, P), (X * P).sum(1))
    with pytest.raises(D.ShapeError, match=r"dimension n of \(n\),\(n\)->\(\) has sizes 4 and 3"):
        ft.jit(dot)(X, P[:, :3])
    with pytest.raises(D.ShapeError, match="fewer axes"):
        ft.jit(dot)(X, 1.0)
    with pytest.raises(D.ArgumentError, match="is not a signature"):
        fnp.vectorize(mean, signature="n->")
    with pytest.raises(D.ShapeError, match="does not fit"):
        ft.jit(fnp.vectorize(lambda x: x, signature="(n)->()"))(X)


def test_frompyfunc():
    f = fnp.frompyfunc(lambda x, y: 2 * x + y, 2, 1, identity=0)
    assert (f.nin, f.nout, f.nargs, f.identity) == (2, 1, 3, 0)
    np.testing.assert_array_equal(f(I, 1), 2 * I + 1)
    plain = np.frompyfunc(lambda x, y: 2 * x + y, 2, 1)
    for call in (
        lambda f, x: f.reduce(x), lambda f, x: f.accumulate(x, axis=1), lambda f, x: f.outer(x, x),
        lambda f, x: f.reduceat(x, [0, 2, 1]), lambda f, x: f.reduce(x, axis=1, keepdims=True),
    ):  # fmt: skip
        np.testing.assert_array_equal(ft.jit(lambda x, call=call: call(f, x))(I), call(plain, I).astype(int))
    np.testing.assert_array_equal(f.reduce(I[:0]), np.zeros(4))
    np.testing.assert_array_equal(f.at(np.arange(3), [0, 0, 2], 1, inplace=False), [3, 1, 5])
    with pytest.raises(D.TracerItemAssignmentError, match="inplace=False"):
        f.at(np.arange(3), [0], 1)
    with pytest.raises(D.ArgumentError, match="takes 2 arguments, got 1"):
        f(I)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "maximum", "minimum", "arctan2", "negative", "power"])
def test_at(name):
    function, x, i = getattr(fnp, name), np.array([1.0, 2.0, 3.0]), [0, 0, 2]
    rest = () if name == "negative" else (np.array([2.0, 0.5, 3.0]),)
    wanted = x.copy()
    getattr(np, name).at(wanted, i, *rest)
    np.testing.assert_allclose(function.at(x, i, *rest, inplace=False), wanted)
    np.testing.assert_allclose(ft.jit(lambda x: function.at(x, i, *rest, inplace=False))(x), wanted)
    function.at(x, i, *rest)
    np.testing.assert_allclose(x, wanted)
    with pytest.raises(D.TracerItemAssignmentError, match=rf"x = {name}.at\(x, ..., inplace=False\)"):
        ft.jit(lambda x: getattr(np, name).at(x, i, *rest))(x)


def test_options_of_ufuncs():
    x = X.astype(np.float32)
    for f in (lambda n, x: n.add(x, 1, dtype=np.float64), lambda n, x: n.power(x, 2.0, dtype=np.float64),
              lambda n, x: n.sqrt(abs(x), dtype="d", casting="same_kind")):  # fmt: skip
        wanted = f(np, x)
        for found in (f(fnp, x), ft.jit(lambda x, f=f: f(fnp, x))(x), ft.jit(lambda x, f=f: f(np, x))(x)):
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=1e-15)
    np.testing.assert_array_equal(fnp.add(x, 1, out=np.zeros_like(x), where=B)[B], (x + 1)[B])
    with pytest.raises(D.ArgumentError, match="power of a traced array does not take out="):
        ft.jit(lambda x: fnp.power(x, 2.0, out=X))(x)
    with pytest.raises(D.ShapeError, match="subtract.reduce has no identity"):
        ft.jit(lambda x: fnp.subtract.reduce(x))(x[:0])
    assert (fnp.add.nin, fnp.divmod.nout, fnp.multiply.identity) == (2, 2, 1)


# ---------------------------------------------------------------- grids, files, texts


def test_arrays_written_as_indices():
    for f in (
        lambda n, x: n.r_[x, 0, 1.5, 1:3, 0:1:3j], lambda n, x: n.c_[x, x], lambda n, x: n.r_["0,2", x, x],
        lambda n, x: n.r_["0,3,1", x, x], lambda n, x: n.r_["1", x.reshape(1, -1), [[1]]],
        lambda n, x: n.c_[x, 2 * x, x],
        lambda n, x: n.r_["-1", x.reshape(-1, 1), x.reshape(-1, 1)],
    ):  # fmt: skip
        wanted = f(np, X[0])
        for found in (f(fnp, X[0]), ft.jit(lambda x, f=f: f(fnp, x))(X[0])):
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(fnp.mgrid[0:2, 0:1:3j], np.mgrid[0:2, 0:1:3j])
    assert all(isinstance(v, ft.Array) for v in fnp.ogrid[0:2, 0:3])
    with pytest.raises(D.TracerIntegerConversionError):
        ft.jit(lambda n: fnp.mgrid[0:n])(3)
    with pytest.raises(D.ArgumentError, match="takes a first item as '0,2,1'"):
        ft.jit(lambda x: fnp.r_["r", x])(X[0])


def test_files():
    file = io.BytesIO()
    fnp.save(file, fnp.array(X))
    file.seek(0)
    found = fnp.load(file)
    assert isinstance(found, ft.Array)
    np.testing.assert_array_equal(found, X)
    assert isinstance(fnp.loadtxt(io.StringIO("1 2\n3 4")), ft.Array)
    assert isinstance(fnp.fromiter(range(3), int), ft.Array)
    with pytest.raises(D.ConcretizationError, match="the values for numpy.save"):
        ft.jit(lambda x: fnp.save(io.BytesIO(), x))(X)


@pytest.mark.parametrize("call", [
    lambda: fnp.array(["a"]), lambda: fnp.asarray([object()]), lambda: fnp.sort(np.array(["b", "a"])),
    lambda: fnp.concatenate([["a"], ["b"]]), lambda: fnp.add(np.array(["a"]), "b"),
    lambda: fnp.unique(np.array(["b"])), lambda: fnp.array(np.array(["2020-01-01"], "M8[D]")),
    lambda: fnp.full(2, "a"), lambda: fnp.zeros(2, object), lambda: fnp.where(B, "a", "b"),
], ids=range(10))  # fmt: skip
def test_no_strings_and_objects(call):
    with pytest.raises(D.DTypeError):
        call()


def test_windows_are_arrays():
    for name in ("bartlett", "blackman", "hamming", "hanning"):
        for n in (0, 1, 2, 7):
            wanted = getattr(np, name)(n)
            assert isinstance(getattr(fnp, name)(n), ft.Array)
            np.testing.assert_allclose(ft.jit(lambda n=n, name=name: getattr(fnp, name)(n))(), wanted, atol=1e-15)
    for n in (0, 1, 2, 7):
        np.testing.assert_allclose(ft.jit(lambda b, n=n: fnp.kaiser(n, b))(2.5), np.kaiser(n, 2.5), rtol=1e-14)


def test_roots_and_polynomials_of_traced_coefficients():
    p = np.array([2.0, -3.0, 1.0, 5.0])
    np.testing.assert_allclose(np.sort_complex(ft.jit(fnp.roots)(p)), np.sort_complex(np.roots(p)))
    np.testing.assert_allclose(fnp.roots(p, strip_zeros=False), np.roots(p))
    zeros = np.array([0.0, 0.0, 1.0, -2.0, 0.0])
    np.testing.assert_allclose(fnp.roots.__wrapped__(zeros), np.roots(zeros))
    np.testing.assert_allclose(ft.jit(fnp.poly)(np.array([[2.0, 1.0], [1.0, 3.0]])), [1, -5, 5], atol=1e-12)
    quotient, rest = ft.jit(fnp.polydiv)(p, p[1:3])
    wanted = np.polydiv(p, p[1:3])
    np.testing.assert_allclose(quotient, wanted[0])
    np.testing.assert_allclose(rest, [0, 0, 0, wanted[1][0]], atol=1e-14)
    trimmed = fnp.polydiv(p, p[1:3], trim_leading_zeros=True)[1]
    np.testing.assert_allclose(trimmed[-1:], wanted[1])
    with pytest.raises(D.ConcretizationError, match="trim_leading_zeros=True needs values"):
        ft.jit(lambda p: fnp.polymul(p, p, trim_leading_zeros=True))(p)


def test_numpys_polynomial_package_traces():
    from numpy.polynomial import chebyshev, polynomial

    c = np.array([1.0, 2.0, 3.0])
    for f in (
        lambda x: polynomial.polyval(x, c),
        lambda x: chebyshev.chebval(x, c),
    ):
        np.testing.assert_allclose(ft.jit(f)(X[0]), f(X[0]), rtol=1e-14)
        check_transforms(f, X[0])


def test_edges_and_repeats_of_jax():
    np.testing.assert_array_equal(fnp.take(A, [0, 9], fill_value=-1), [3, -1])
    np.testing.assert_array_equal(fnp.take_along_axis(A, np.array([0, 9]), 0, fill_value=-1), [3, -1])
    assert fnp.sum(np.array([1], np.int8), promote_integers=False).dtype == np.int8
    np.testing.assert_array_equal(fnp.isin(I, np.arange(30), method="binary_search"), np.isin(I, np.arange(30)))
    np.testing.assert_array_equal(fnp.sort(F, descending=True), [np.nan, np.nan, 2, 2, -1])
    np.testing.assert_array_equal(fnp.mask_indices(3, np.triu), np.mask_indices(3, np.triu))
    assert fnp.array_repr(fnp.arange(2)) == "Array([0, 1])"
    assert fnp.einsum_path("ij,jk", X, P.T)[0] == ["einsum_path", (0, 1)]
