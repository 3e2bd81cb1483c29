"""Methods, operators and attributes of arrays: the same on plain arrays, under `jit` and under `grad`; or an error that
says what to write instead.
"""

import copy
import math

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp

D = ft.errors
X = np.array([[3.0, 1.0, 2.0], [0.5, -1.0, 5.0]])
I = np.array([0, 2])

METHODS = {
    "all": lambda x: x.all(axis=0, keepdims=True),
    "any": lambda x: x.any(0, where=X > 1),
    "argmax": lambda x: x.argmax(1, keepdims=True),
    "argpartition": lambda x: x.argpartition(1),
    "argsort": lambda x: x.argsort(0),
    "astype": lambda x: x.astype(np.float32, casting="same_kind", copy=False),
    "byteswap": lambda x: x.byteswap(),
    "choose": lambda x: x[0].astype(int).clip(0, 1).choose([x[0], x[1]]),
    "clip": lambda x: x.clip(min=0, max=2),
    "compress": lambda x: x.compress([True, False, True], 1),
    "conj": lambda x: x.conj(),
    "copy": lambda x: x.copy(),
    "cumprod": lambda x: x.cumprod(),
    "cumsum": lambda x: x.cumsum(0, dtype=np.float32),
    "diagonal": lambda x: x.diagonal(1),
    "dot": lambda x: x.dot(x.T),
    "flatten": lambda x: x.flatten("F"),
    "max": lambda x: x.max(initial=0, where=X > 2),
    "mean": lambda x: x.mean(1, where=X > 0),
    "prod": lambda x: x.prod(keepdims=True),
    "ravel": lambda x: x.ravel(order="F"),
    "repeat": lambda x: x.repeat(2, axis=0),
    "reshape": lambda x: x.reshape(3, -1, order="F"),
    "round": lambda x: x.round(decimals=1),
    "searchsorted": lambda x: x[0].searchsorted(2.0, side="right"),
    "squeeze": lambda x: x[None].squeeze(0),
    "std": lambda x: x.std(ddof=1),
    "sum": lambda x: x.sum(axis=1, initial=2.0),
    "swapaxes": lambda x: x.swapaxes(0, 1),
    "take": lambda x: x.take(I, axis=1, mode="wrap"),
    "trace": lambda x: x.trace(offset=1),
    "transpose": lambda x: x.transpose((1, 0)),
    "transpose of axes": lambda x: x.transpose(1, 0),
    "var": lambda x: x.var(where=X > 0),
    "view": lambda x: x.view(np.int64),
    "view of halves": lambda x: x.view(np.float32),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "real": lambda x: x.real,
    "imag": lambda x: x.imag,
    "divmod": lambda x: divmod(x, 2),
    "divmod by": lambda x: divmod(7.0, abs(x)),
    "array +": lambda x: np.ones(3) + x,
    "list -": lambda x: [1.0, 2.0, 3.0] - x,
    "scalar /": lambda x: np.float64(2) / x,
    "2 **": lambda x: 2**x,
    "array @": lambda x: np.ones(2) @ x,
    "@ list": lambda x: x @ [1.0, 2.0, 3.0],
    "== list": lambda x: x == [3.0, 1, 0],
    "< list": lambda x: x < [1, 2, 3],
    "& list": lambda x: (x > 0) & [True, False, True],
    "array ==": lambda x: np.ones(3) == x,
    "~": lambda x: ~(x > 0),
    "abs": abs,
    "iteration": lambda x: [r * 2 for r in x],
    "reversed": lambda x: list(reversed(x)),
    "sum of rows": sum,
    "len": len,
    "nbytes": lambda x: x.nbytes,
    "ndim": lambda x: (x.ndim, x.size, x.itemsize, x.shape),
    "deepcopy": copy.deepcopy,
    "namespace": lambda x: x.__array_namespace__().exp(x),
}
OURS = {
    "argsort": (lambda x: x.argsort(descending=True), lambda x: np.argsort(-x)),
    "astype": (lambda x: x.astype(np.float32, device="cpu"), lambda x: x.astype(np.float32)),
    "compress": (lambda x: x.compress(x[0] > 1, 1, size=3, fill_value=7.0), lambda x: np.c_[x[:, [0, 2]], [7.0, 7.0]]),
    "dot": (lambda x: x.dot(b=x.T, precision="highest"), lambda x: x @ x.T),
    "nonzero": (lambda x: x.nonzero(size=7, fill_value=9)[1], lambda x: np.array([0, 1, 2, 0, 1, 2, 9])),
    "ptp": (lambda x: x.ptp(axis=1), lambda x: np.ptp(x, axis=1)),
    "repeat": (lambda x: x[0].repeat(np.array([1, 2, 0]), total_repeat_length=3), lambda x: np.array([3.0, 1.0, 1.0])),
    "round": (lambda x: round(x[1, 0]), lambda x: np.array(0.0)),
    "std": (lambda x: x.std(correction=1), lambda x: x.std(ddof=1)),
    "sum": (lambda x: x.astype(np.int8).sum(promote_integers=False), lambda x: x.astype(np.int8).sum(dtype=np.int8)),
    "swapaxes": (lambda x: x.swapaxes(axis1=0, axis2=1), lambda x: x.T),
    "take": (lambda x: x.take(np.array([9, 0]), mode="fill", fill_value=7.0), lambda x: np.array([7.0, 3.0])),
    "reshape": (lambda x: x.ravel(out_sharding=None), lambda x: x.ravel()),
    "jax's": (
        lambda x: (x.is_ready(), x.is_deleted(), x.on_device_size_in_bytes(), x.is_fully_addressable, x.aval.ndim),
        lambda x: (True, False, 48, True, 2),
    ),
}


def everywhere(f):
    """The results of a function of an array: plain, compiled, and under differentiation."""
    return f(fnp.array(X)), ft.jit(f)(X), ft.jvp(f, (X,), (X,))[0]


@pytest.mark.parametrize("name", METHODS)
def test_numpys_methods(name):
    wanted = ft.tree.map(np.asarray, METHODS[name](X))
    for found in everywhere(METHODS[name]):
        for y, w in zip(ft.tree.leaves(found), ft.tree.leaves(wanted), strict=True):
            assert np.asarray(y).dtype == w.dtype
            np.testing.assert_allclose(y, w, rtol=1e-15, atol=0, equal_nan=True)
            assert isinstance(y, (ft.Array, int, float)) or name == "array =="


@pytest.mark.parametrize("name", OURS)
def test_methods_with_keywords_of_jax(name):
    f, plain = OURS[name]
    for found in everywhere(f):
        for y, w in zip(ft.tree.leaves(found), ft.tree.leaves(plain(X)), strict=True):
            assert np.asarray(y).dtype == np.asarray(w).dtype
            np.testing.assert_allclose(y, w, rtol=1e-15)


@pytest.mark.parametrize("to", "?bHeiqfdFD")
@pytest.mark.parametrize("own", "?bHeiqfdFD")
def test_views(own, to):
    """The same bytes, in shapes and with errors that are NumPy's."""
    from functrans.core.avals import aval_of
    from functrans.core.jaxpr import evaluate
    from functrans.core.trace import stage

    rng = np.random.default_rng(0)
    for shape in ((2, 16), (), (3, 0), (2, 3)):
        x = (rng.normal(size=shape) * 9).astype(own)
        run = lambda x: [fnp.asarray(x).view(to)]
        try:
            wanted = x.view(to)
        except ValueError:
            with pytest.raises(D.ShapeError, match="view: "):
                stage(run, [aval_of(x)])
            continue
        jaxpr, consts = stage(run, [aval_of(x)])
        found = np.asarray(evaluate(jaxpr, consts, [x])[0])
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
        if to == "?":
            np.testing.assert_array_equal(found, wanted.view(np.uint8) != 0)
        else:
            assert found.tobytes() == wanted.tobytes()


def test_derivatives_of_parts():
    z = ft.grad(lambda x: (x.astype(complex).view(float) ** 2).sum())(X)
    np.testing.assert_allclose(z, 2 * X)


WRITES = {
    "sort": (lambda x: x.sort(), r"write x = functrans.numpy.sort\(x\)"),
    "partition": (lambda x: x.partition(1), r"write x = functrans.numpy.partition"),
    "fill": (lambda x: x.fill(2), r"write x = functrans.numpy.full_like\(x, value\)"),
    "put": (lambda x: x.put([0], 5.0), r"put\(x, indices, values, inplace=False\)"),
    "resize": (lambda x: x.resize((3, 2)), r"write x = functrans.numpy.resize"),
    "flat": (lambda x: x.flat[1], r"write x.ravel\(\)"),
    "flags": (lambda x: x.flags, "has no memory of its own"),
    "setflags": (lambda x: x.setflags(write=False), "has no memory of its own"),
    "tobytes": (lambda x: x.tobytes(), "has no memory of its own"),
    "sharding": (lambda x: x.sharding, "a program runs on one device"),
    "shape": (lambda x: setattr(x, "shape", (3, 2)), r"write x = x.reshape\(shape\)"),
    "real": (lambda x: setattr(x, "real", 1), "x.real cannot be assigned"),
    "byteswap": (lambda x: x.byteswap(inplace=True), r"write x = x.byteswap\(\)"),
    "del": (lambda x: x.__delitem__(0), r"write `x = functrans.numpy.delete"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_what_traced_arrays_cannot_do(name):
    f, text = WRITES[name]
    for run in (lambda: ft.jit(f)(X), lambda: ft.jvp(f, (X,), (X,))):
        with pytest.raises((D.NoSuchAttributeError, D.TracerItemAssignmentError), match=text):
            run()


def test_attributes_that_nothing_has():
    ft.jit(lambda x: [hasattr(x, n) for n in ("flags", "flat", "foo")] == [False] * 3 and x)(X)


def test_values_in_arrays():
    assert 2.0 in fnp.asarray(X)
    seen = []

    def look(x):
        seen.extend([2.0 in x, 9.0 in x, math.trunc(x[0, 0]), f"{x[0, 1]:.1f}", x[0].item(2), x.tolist()])
        return x.sum()

    ft.grad(look)(X)
    assert seen == [True, False, 3, "1.0", 2.0, X.tolist()]
    with pytest.raises(D.TracerBoolConversionError):
        ft.jit(lambda x: 2.0 in x)(X)
    for f in (lambda x: pow(x, 2, 3), ft.jit(lambda x: pow(x, 2, 3))):
        with pytest.raises(D.DTypeError, match=r"x \*\* y % m"):
            f(fnp.asarray(X))
    with pytest.raises(D.DTypeError, match="cannot be cast to int64 by the rule 'safe'"):
        ft.jit(lambda x: x.astype(int, casting="safe"))(X)


OPERATORS = ["+=", "-=", "*=", "/=", "//=", "%=", "**=", "@="]


@pytest.mark.parametrize("operator", OPERATORS)
def test_updates_by_operators(operator):
    """`y += x` with a traced `x` makes a new `y`, whether `y` is traced itself or not."""
    y0 = np.diag([2.0, 3.0, 4.0]) + 1
    code = compile(f"y {operator} x", "update", "exec")

    def f(x, y):
        names = {"x": x, "y": y}
        exec(code, names)
        return names["y"]

    x = np.array([[1.5, 2.0, 3.0], [0.5, 1.0, 2.0], [2.0, 3.0, 0.25]])
    wanted = f(x, y0.copy())
    plain = fnp.array(y0)
    value, tangent = ft.jvp(lambda x: f(x, plain), (x,), (np.ones_like(x),))
    np.testing.assert_allclose(value, wanted)
    np.testing.assert_array_equal(plain, y0)
    same = ft.jvp(lambda x: f(x, x * 0 + y0), (x,), (np.ones_like(x),))[1]
    np.testing.assert_allclose(tangent, same)
    np.testing.assert_allclose(ft.jit(lambda x: f(x, plain))(x), wanted, rtol=1e-14)
    f(fnp.asarray(x), plain)
    np.testing.assert_allclose(plain, wanted)  # without tracers it happens in place
