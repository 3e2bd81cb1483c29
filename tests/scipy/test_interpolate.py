"""scipy.interpolate: interpolators, plain and traced, against SciPy's own; pytrees; derivatives; errors."""

import numpy as np
import pytest
import scipy.interpolate

import functrans as ft
from functrans import errors
from functrans.scipy import interpolate
from functrans.testing import check_grads

RNG = np.random.default_rng(0)
X = np.cumsum(0.2 + RNG.random(9))
Y = RNG.standard_normal((9, 2))
LOOP = np.concatenate([Y[:8], Y[:1]])
V = np.concatenate([RNG.uniform(X[0], X[-1], 20), X[[0, 3, -1]], [X[0] - 0.3, X[-1] + 0.4, np.nan]]).reshape(2, 13)


def close(got, want, rtol=1e-10):
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    scale = np.max(np.abs(want[np.isfinite(want)]), initial=1)
    np.testing.assert_allclose(got, want, rtol=0, atol=rtol * scale)


def agree(ours, theirs, x=X, y=Y, v=V, orders=(0, 1, 2, 3)):
    """Made and evaluated plainly, and traced by samples, points and where it is evaluated, against SciPy's."""
    want = theirs(x, y)
    plain = ours(x, y)
    for nu in orders:
        close(plain(v, *([nu] if nu else [])), want(v, *([nu] if nu else [])), 0 if nu == 0 else 1e-12)
    traced = ft.vmap(lambda x, y, v: [ours(x, y)(v, *([nu] if nu else [])) for nu in orders])(x[None], y[None], v[None])
    for nu, got in zip(orders, traced):
        close(got[0], want(v, *([nu] if nu else [])))


def test_every_name_is_scipys():
    assert all(callable(getattr(scipy.interpolate, name)) for name in interpolate.__all__)


CONDITIONS = ["not-a-knot", "natural", "clamped", ((1, [0.5, 1.0]), (2, [0.0, -1.0])), ("natural", "not-a-knot")]


@pytest.mark.parametrize("bc_type", CONDITIONS)
def test_cubic_splines(bc_type):
    make = lambda module: lambda x, y: module.CubicSpline(x, y, bc_type=bc_type)
    agree(make(interpolate), make(scipy.interpolate))
    for n in (2, 3, 4):
        agree(make(interpolate), make(scipy.interpolate), X[:n], Y[:n], orders=(0, 1))


def test_periodic_splines():
    make = lambda module: lambda x, y: module.CubicSpline(x, y, bc_type="periodic")
    agree(make(interpolate), make(scipy.interpolate), y=LOOP)
    for n in (2, 3):
        loop = np.concatenate([Y[: n - 1], Y[:1]])
        agree(make(interpolate), make(scipy.interpolate), X[:n], loop, orders=(0,))
    spline, theirs = (make(m)(X, LOOP) for m in (interpolate, scipy.interpolate))
    close(ft.vmap(lambda b: spline.integrate(X[0] - 3.0, b))(X[-1:] + 20.0)[0], theirs.integrate(X[0] - 3, X[-1] + 20))


@pytest.mark.parametrize(
    ("name", "options"),
    [("PchipInterpolator", {}), ("Akima1DInterpolator", {}), ("Akima1DInterpolator", {"method": "makima"})],
)
def test_local_cubics(name, options):
    make = lambda module: lambda x, y: getattr(module, name)(x, y, **options)
    agree(make(interpolate), make(scipy.interpolate))
    steps = np.array([0.0, 0, 0, 1, 1, 3, 3, 3, 2])
    agree(make(interpolate), make(scipy.interpolate), y=steps, orders=(0, 1))
    agree(make(interpolate), make(scipy.interpolate), X[:2], Y[:2], orders=(0,))
    agree(make(interpolate), make(scipy.interpolate), X[:3], Y[:3], orders=(0,))
    check_grads(lambda x, y: getattr(interpolate, name)(x, y, **options)(X[2] + 0.1), (X, Y), 2)


def test_hermite_cubics_and_axes():
    make = lambda module: lambda x, y: module.CubicHermiteSpline(x, y, y + 1, axis=1)
    agree(make(interpolate), make(scipy.interpolate), y=Y.T)
    for name in ("CubicSpline", "PchipInterpolator", "Akima1DInterpolator"):
        y = RNG.standard_normal((2, 9, 3))
        make = lambda m, name=name: lambda x, y: getattr(m, name)(x, y, axis=1, extrapolate=False)  # noqa: B023
        agree(make(interpolate), make(scipy.interpolate), y=y, orders=(0, 1))


def test_piecewise_polynomials():
    c = RNG.standard_normal((4, 8, 2))
    for extrapolate in (True, False, "periodic"):
        agree(
            lambda x, c, e=extrapolate: interpolate.PPoly(c, x, e),
            lambda x, c, e=extrapolate: scipy.interpolate.PPoly(c, x, e),
            y=c, orders=(0, 1, 4),
        )  # fmt: skip
    p, theirs = interpolate.PPoly(c, X), scipy.interpolate.PPoly(c, X)
    for nu in (1, 2, 5):
        close(p.derivative(nu)(V), theirs.derivative(nu)(V))
    for nu in (1, 2):
        close(p.antiderivative(nu)(V), theirs.antiderivative(nu)(V), 1e-9)
    close(ft.jit(lambda p, b: p.integrate(0.5, b))(p, 2.0), theirs.integrate(0.5, 2.0))
    z = c + 1j * c[::-1]
    agree(lambda x, c: interpolate.PPoly(c, x), lambda x, c: scipy.interpolate.PPoly(c, x), y=z, orders=(0, 1))


@pytest.mark.parametrize("k", [0, 1, 2, 3, 5])
def test_splines(k):
    make = lambda module: lambda x, y: module.make_interp_spline(x, y, k)
    agree(make(interpolate), make(scipy.interpolate), orders=(0, 1) if k else (0,))
    t = np.sort(RNG.random(9 + k + 1)) * 5
    for extrapolate in (False, "periodic"):
        agree(
            lambda x, c, e=extrapolate: interpolate.BSpline(t, c, k, e),
            lambda x, c, e=extrapolate: scipy.interpolate.BSpline(t, c, k, e),
            orders=(0, 1) if k else (0,),
        )


def test_splines_have_axes_and_derivatives():
    make = lambda module: lambda x, y: module.make_interp_spline(x, y, axis=1)
    agree(make(interpolate), make(scipy.interpolate), y=Y.T)
    spline = interpolate.make_interp_spline(X, Y)
    close(ft.jit(lambda s: s.derivative(2))(spline)(V), scipy.interpolate.make_interp_spline(X, Y).derivative(2)(V))
    check_grads(lambda x, y: interpolate.make_interp_spline(x, y)(X[3] + 0.1), (X, Y), 2)
    with_bc = interpolate.make_interp_spline(X, Y, bc_type="natural")
    close(with_bc(V), scipy.interpolate.make_interp_spline(X, Y, bc_type="natural")(V), 0)


# ---------------------------------------------------------------- grids

GRID = (X[:5], X[:7] - 1.0)
VALUES = RNG.standard_normal((5, 7, 2))
POINTS = np.stack([RNG.uniform(GRID[0][0], GRID[0][-1], (3, 8)), RNG.uniform(GRID[1][0], GRID[1][-1], (3, 8))], axis=-1)


@pytest.mark.parametrize("method", ["linear", "nearest", "slinear", "cubic"])
def test_grids(method):
    theirs = scipy.interpolate.RegularGridInterpolator(GRID, VALUES, method)
    ours = interpolate.RegularGridInterpolator(GRID, VALUES, method)
    close(ours(POINTS), theirs(POINTS), 0)
    corners = np.stack([GRID[0][[0, -1, 2]], GRID[1][[0, -1, 3]]], axis=-1)
    for xi in (POINTS, POINTS[0, 0], corners):
        got = ft.vmap(lambda v, xi: interpolate.RegularGridInterpolator(GRID, v, method)(xi))(VALUES[None], xi[None])[0]
        close(got, theirs(xi), 1e-5 if method == "cubic" else 1e-12)  # SciPy solves for its coefficients by iteration
    if method != "cubic":
        close(ft.jit(lambda f, xi: f(xi))(ours, POINTS), theirs(POINTS), 1e-12)
    if method != "nearest":
        f = lambda g, v, xi: interpolate.RegularGridInterpolator((g, GRID[1]), v, method)(xi)
        check_grads(ft.vmap(f, (None, None, 0)), (GRID[0], VALUES, POINTS[0, :3]), 2 if method == "linear" else 1)


def test_points_beyond_the_grid():
    beyond = np.array([[X[0] - 0.1, 1.0], [X[1], 99.0], [np.nan, 1.0], [X[1], 0.5]])
    for fill in (np.nan, -3.0, None):
        for method in ("linear", "nearest"):
            make = lambda module, fill=fill, m=method: module.RegularGridInterpolator(GRID, VALUES, m, False, fill)
            got = ft.vmap(lambda f, xi: f(xi), (None, 0))(make(interpolate), beyond[None])[0]
            close(got, make(scipy.interpolate)(beyond), 1e-11)
    with pytest.raises(ValueError, match="a point lies beyond the grid"):
        ft.jit(interpolate.RegularGridInterpolator(GRID, VALUES))(beyond)


def test_other_grids():
    down = (GRID[0][::-1], GRID[1])
    want = scipy.interpolate.RegularGridInterpolator(down, VALUES)(POINTS)
    close(ft.vmap(interpolate.RegularGridInterpolator(down, VALUES))(POINTS[None])[0], want, 1e-12)
    for xi in (np.array([0.5, 1.0]) + X[0], np.array([[0.5]]) + X[0]):
        want = scipy.interpolate.interpn((X,), Y, xi)
        close(interpolate.interpn((X,), Y, xi), want, 0)
        close(ft.vmap(lambda y, xi: interpolate.interpn((X,), y, xi))(Y[None], xi[None])[0], want, 1e-12)
    mesh = tuple(np.meshgrid(X[1:3], X[2:4], indexing="ij"))
    close(
        ft.vmap(lambda v: interpolate.interpn(GRID, v, mesh))(VALUES[None])[0],
        scipy.interpolate.interpn(GRID, VALUES, mesh),
        1e-12,
    )
    single = interpolate.RegularGridInterpolator([g.astype("f") for g in GRID], VALUES.astype("f"))
    assert ft.vmap(single)(POINTS[0, :, :].astype("f")).dtype == np.float32


@pytest.mark.parametrize(
    "kind", ["linear", "nearest", "nearest-up", "zero", "slinear", "quadratic", "cubic", "previous", "next"]
)
def test_lines(kind):
    for fill in (np.nan, (0.5, 2.5), "extrapolate"):
        make = lambda module, fill=fill: (
            lambda x, y: module.interp1d(x, y, kind, 0, bounds_error=False, fill_value=fill)
        )
        agree(make(interpolate), make(scipy.interpolate), orders=(0,))
    make = lambda module: lambda x, y: module.interp1d(x, y, kind)
    agree(make(interpolate), make(scipy.interpolate), y=Y.T, v=V[0], orders=(0,))
    order = np.argsort(RNG.random(9))
    close(interpolate.interp1d(X[order], Y[order], kind, 0)(V[0]), scipy.interpolate.interp1d(X, Y, kind, 0)(V[0]), 0)


def test_points_beyond_a_line():
    with pytest.raises(ValueError, match="a point lies beyond the samples"):
        ft.jit(interpolate.interp1d(X, Y.T))(99.0)
    check_grads(lambda x, y, v: interpolate.interp1d(x, y)(v), (X, Y.T, np.array([X[0] + 0.1, X[4] + 0.07])), 2)


# ---------------------------------------------------------------- pytrees, derivatives, precision


def test_interpolators_are_pytrees():
    makers = [
        interpolate.CubicSpline, interpolate.make_interp_spline, interpolate.PchipInterpolator,
        lambda x, y: interpolate.RegularGridInterpolator((x,), y, bounds_error=False),
        lambda x, y: interpolate.interp1d(x, y, axis=0),
    ]  # fmt: skip
    at = np.array([X[2] + 0.1, X[5] + 0.1])
    for make in makers:
        made = make(X, Y)
        back = ft.tree.unflatten(ft.tree.structure(made), ft.tree.leaves(made))
        assert type(back) is type(made)
        assert repr(back).startswith(type(made).__name__)
        close(back(at), made(at), 1e-14)
        lanes = ft.vmap(make, (None, 0))
        many = (ft.jit(lanes) if make is interpolate.CubicSpline else lanes)(X, np.stack([Y, 2 * Y]))
        close(ft.vmap(lambda s: s(at))(many)[1], 2 * np.asarray(made(at)), 1e-12)
        by_coefficients = ft.grad(lambda s: np.sum(s(at)))(made)
        assert type(by_coefficients) is type(made)
    doubled = ft.tree.map(lambda leaf: leaf, interpolate.CubicSpline(X, Y))
    close(doubled(at), interpolate.CubicSpline(X, Y)(at), 1e-14)


@pytest.mark.parametrize("bc_type", ["not-a-knot", "periodic", "natural"])
def test_derivatives_of_cubic_splines(bc_type):
    at = X[:3] + 0.1

    def f(x, y, v):
        y = np.concatenate([y[:8], y[:1]]) if bc_type == "periodic" else y
        return interpolate.CubicSpline(x, y, bc_type=bc_type)(v)

    check_grads(f, (X, Y, at), 1)
    if bc_type == "natural":
        close(ft.jit(ft.jacobian(f, 1))(X, Y, at), ft.jacobian(f, 1)(X, Y, at))
    second = scipy.interpolate.CubicSpline(X, LOOP if bc_type == "periodic" else Y, bc_type=bc_type)(at[1], 2)[0]
    close(ft.grad(ft.grad(lambda v: f(X, Y, v)[0]))(at[1]), second)
    by_end = lambda s: interpolate.CubicSpline(X, Y[:, 0], bc_type=((1, s), (1, 0.0)))(X[0] + 0.1)
    check_grads(by_end, (0.3,), 1)


def test_single_precision_stays():
    x, y, v = X.astype("f"), Y.astype("f"), V[0, :5].astype("f")
    for make in (
        interpolate.CubicSpline, interpolate.PchipInterpolator, interpolate.Akima1DInterpolator,
        interpolate.make_interp_spline, lambda x, y: interpolate.interp1d(x, y, "cubic", 0),
    ):  # fmt: skip
        plain, traced = make(x, y)(v), ft.vmap(lambda x, y, v, make=make: make(x, y)(v))(x[None], y[None], v[None])[0]
        assert plain.dtype == traced.dtype == np.float32
        np.testing.assert_allclose(plain, make(X, Y)(V[0, :5]), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(traced, plain, rtol=1e-4, atol=1e-5)


GRIDS = interpolate.RegularGridInterpolator


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda y: interpolate.CubicSpline(X[::-1], y), errors.ArgumentError, "takes x that increase strictly"),
        (lambda y: interpolate.CubicSpline(X[:4], y), errors.ShapeError, "y with 4 values along axis 0"),
        (lambda y: interpolate.CubicSpline(X[:1], y[:1]), errors.ShapeError, "at least 2 points as x"),
        (lambda y: interpolate.CubicSpline(X, y, bc_type="not"), errors.ArgumentError, "bc_type is 'not-a-knot'"),
        (lambda y: interpolate.CubicSpline(X, y, bc_type=((3, 0), "natural")), errors.ArgumentError, "order 1 or 2"),
        (lambda y: interpolate.CubicSpline(X, y, bc_type=((1, [1, 2, 3]),) * 2), errors.ShapeError, "values of shape"),
        (lambda y: interpolate.CubicSpline(X, y, extrapolate="no"), errors.ArgumentError, "extrapolate is True"),
        (lambda y: interpolate.CubicSpline(X, Y, bc_type="periodic"), errors.ArgumentError, "first and last values"),
        (lambda y: interpolate.PPoly(y, X), errors.ShapeError, r"c of shape \(k, 8, ...\)"),
        (lambda y: interpolate.Akima1DInterpolator(X, y, method="no"), errors.ArgumentError, "'akima' or 'makima'"),
        (lambda y: interpolate.CubicHermiteSpline(X, y, y[:, :1]), errors.ShapeError, "y and dydx of one shape"),
        (lambda y: interpolate.BSpline(X, y, 4), errors.ShapeError, "at least 10 knots for degree 4, got 9"),
        (lambda y: interpolate.BSpline(X, y[:2], 2), errors.ShapeError, "6 coefficients"),
        (lambda y: interpolate.BSpline(X[::-1], y, 2), errors.ArgumentError, "knots that do not decrease"),
        (lambda y: interpolate.make_interp_spline(X, y, 9), errors.ShapeError, "more than k=9 points, got 9"),
        (lambda y: interpolate.make_interp_spline(X, y, bc_type="natural"), errors.ArgumentError, "takes no bc_type"),
        (lambda y: GRIDS((X, X), y), errors.ShapeError, "do not fit values"),
        (lambda y: GRIDS((X, X, X), y), errors.ShapeError, "3 vectors of points"),
        (lambda y: GRIDS((X,), y, "no"), errors.ArgumentError, "takes method='linear'"),
        (lambda y: GRIDS((X[:3],), y[:3], "cubic"), errors.ShapeError, "more than 3 points for 'cubic', got 3"),
        (lambda y: GRIDS((X,), y)(y), errors.ShapeError, "points with 1 coordinates"),
        (lambda y: GRIDS((X,), y)(X, nu=1), errors.ArgumentError, "takes no nu"),
        (lambda y: interpolate.interp1d(X, y, "no"), errors.ArgumentError, "interp1d takes one of the kinds"),
        (lambda y: interpolate.interp1d(X, y * 1j, axis=0)(y * 1j), errors.DTypeError, "real numbers as points"),
    ],
)  # fmt: skip
def test_errors(function, error, text):
    def run(y):
        function(y)
        return y

    with pytest.raises(error, match=text):
        ft.jit(run)(Y)
