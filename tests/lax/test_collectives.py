"""Collectives over the named axes of `vmap`, against sums, maxima and exchanges of whole arrays."""

from functools import partial

import numpy as np
import pytest
from helpers import assert_same, check_rules
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import functrans as ft
from functrans import errors, lax
from functrans.core import axes
from functrans.testing import check_grads

X = np.random.default_rng(0).standard_normal((3, 2))
REDUCTIONS = {"psum": np.sum, "pmean": np.mean, "pmax": np.max, "pmin": np.min}


@settings(max_examples=30)
@given(st.data())
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_are_those_of_the_whole_array(name, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=3))
    dtype = data.draw(st.sampled_from([np.int32, np.float32, np.float64, np.complex128]))
    if name in ("pmax", "pmin") and dtype == np.complex128:
        dtype = np.float64
    x = data.draw(hnp.arrays(dtype, shape, elements=st.integers(-3, 3)))
    axis = data.draw(st.integers(0, x.ndim - 1))
    got = ft.vmap(lambda v: getattr(lax, name)(v, "i"), in_axes=axis, out_axes=axis, axis_name="i")(x)
    wanted = np.asarray(REDUCTIONS[name](x, axis=axis, keepdims=True))
    if name == "psum":
        wanted = wanted.astype(dtype)
    assert_same(got, np.broadcast_to(wanted, got.shape), 1e-6)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_over_several_axes_at_once_and_one_by_one(name):
    x = np.random.default_rng(1).standard_normal((2, 3, 4))
    reduce = getattr(lax, name)

    def both(f):
        return ft.vmap(ft.vmap(f, axis_name="j"), axis_name="i")(x)

    total = np.broadcast_to(REDUCTIONS[name](x, axis=(0, 1)), x.shape)
    assert_same(both(lambda v: reduce(v, ("i", "j"))), total, 1e-12)
    assert_same(both(lambda v: reduce(reduce(v, "i"), "j")), total, 1e-12)
    assert_same(both(lambda v: reduce(v, "i")), np.broadcast_to(REDUCTIONS[name](x, axis=0), x.shape), 1e-12)
    inner = np.broadcast_to(REDUCTIONS[name](x, axis=1, keepdims=True), x.shape)
    assert_same(both(lambda v: reduce(v, "j")), inner, 1e-12)


def test_the_innermost_axis_of_a_name_is_meant():
    f = ft.vmap(ft.vmap(lambda v: lax.psum(v, "i"), axis_name="i"), axis_name="i")
    assert_same(f(X), np.broadcast_to(X.sum(1, keepdims=True), X.shape))


def test_pytrees_lists_booleans_and_python_numbers():
    f = ft.vmap(lambda v: lax.psum({"a": v, "b": (v > 0, 2)}, "i"), axis_name="i")
    out = f(X[:, 0])
    assert_same(out["a"], np.full(3, X[:, 0].sum()), 1e-14)
    assert_same(out["b"][0], np.full(3, (X[:, 0] > 0).sum()))
    assert_same(out["b"][1], np.full(3, 6))
    assert_same(ft.vmap(lambda v: v + np.ones(lax.psum(1, "i")).sum(), axis_name="i")(np.zeros(3)), np.full(3, 3.0))


def test_what_all_examples_share():
    w = np.array([1.0, 2.0])
    for name, wanted in (("psum", 3 * w), ("pmean", w), ("pmax", w), ("pmin", w)):
        got = ft.vmap(lambda v, name=name: v * getattr(lax, name)(w, "i"), axis_name="i")(np.ones((3, 2)))
        assert_same(got, np.broadcast_to(wanted, (3, 2)), 1e-15)
    got = ft.vmap(lambda v: lax.all_gather(w, "i") + v, axis_name="i")(np.zeros(3))
    assert_same(got, np.broadcast_to(w, (3, 3, 2)))


EXCHANGES = {
    "psum": lambda v: lax.psum(v, "i") * v,
    "pmean": lambda v: v - lax.pmean(v**2, "i"),
    "pmax": lambda v: lax.pmax(v, "i") * v,
    "pmin": lambda v: lax.pmin(v, "i") * v,
    "axis_index": lambda v: v * lax.axis_index("i") ** 2,
    "all_gather": lambda v: (lax.all_gather(v, "i", axis=1) * v[:, None]).sum(1),
    "all_gather tiled": lambda v: lax.all_gather(v, "i", tiled=True) * lax.axis_index("i"),
    "ppermute": lambda v: lax.ppermute(v**2, "i", [(0, 1), (1, 2)]) * v,
    "all_to_all": lambda v: lax.all_to_all(v[None] * np.ones((3, 1)) * lax.axis_index("i"), "i", 0, 1) * v[:, None],
    "pswapaxes": lambda v: lax.pswapaxes(v[:, None] * np.arange(3.0) * v[0], "i", 1),
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_rules(name):
    mapped = ft.vmap(EXCHANGES[name], axis_name="i")
    check_rules(mapped, X)
    assert_same(ft.jit(mapped)(X), mapped(X), 1e-13)
    assert_same(ft.vmap(ft.jit(EXCHANGES[name]), axis_name="i")(X), mapped(X), 1e-13)


@pytest.mark.parametrize("name", EXCHANGES)
def test_derivatives_inside_the_axis(name):
    """The derivative of each example's sum with respect to its own value: transposed collectives are collectives."""
    f = EXCHANGES[name]
    inner = ft.vmap(ft.grad(lambda v: ft.numpy.sum(f(v))), axis_name="i")(X)
    outer = ft.grad(lambda x: ft.numpy.sum(ft.vmap(f, axis_name="i")(x)))(X)
    assert_same(inner, outer, 1e-12)
    tangents = ft.vmap(lambda v: ft.jvp(f, (v,), (np.ones(2),))[1], axis_name="i")(X)
    assert_same(tangents, ft.jvp(ft.vmap(f, axis_name="i"), (X,), (np.ones((3, 2)),))[1], 1e-12)


GROUPS = [[2, 0], [3, 1]]


GROUPED = {
    **{name: (name, {}) for name in ("psum", "pmean", "pmax", "pmin", "all_gather", "psum_scatter")},
    "pswapaxes": ("pswapaxes", {"axis": 0}),
    "all_to_all": ("all_to_all", {"split_axis": 1, "concat_axis": 0}),
    "all_gather tiled": ("all_gather", {"tiled": True}),
    "psum_scatter tiled": ("psum_scatter", {"tiled": True}),
    "all_to_all tiled": ("all_to_all", {"split_axis": 1, "concat_axis": 0, "tiled": True}),
}


@pytest.mark.parametrize("name", GROUPED)
def test_groups(name):
    """Each example computes with its group alone: as a `vmap` over the groups, of a `vmap` over their members."""
    x = np.random.default_rng(2).standard_normal((4, 2, 2))
    function, options = GROUPED[name]
    call = lambda v, groups: getattr(lax, function)(v, axis_name="i", axis_index_groups=groups, **options)
    mapped = ft.vmap(lambda v: call(v, GROUPS), axis_name="i")
    by_group = ft.vmap(ft.vmap(lambda v: call(v, None), axis_name="i"))(x[np.array(GROUPS)])
    for f in (mapped, ft.jit(mapped)):
        got = f(x)
        assert_same(got[np.array(GROUPS)], by_group, 1e-14)


def test_derivatives_of_sums_over_groups():
    f = ft.vmap(lambda v: v * lax.psum(v, "i", axis_index_groups=GROUPS), axis_name="i")
    check_grads(f, (X[[0, 1, 2, 0]],), order=2)


def test_groups_of_several_sizes():
    x, groups = np.arange(5.0) ** 2, [[0, 3, 4], [2], [1]]
    for name, reduce in REDUCTIONS.items():
        got = ft.vmap(partial(getattr(lax, name), axis_name="i", axis_index_groups=groups), axis_name="i")(x)
        for group in groups:
            assert_same(got[group], np.full(len(group), reduce(x[group])), 1e-15)
    with pytest.raises(errors.ArgumentError, match="all_gather: axis_index_groups must be of one size"):
        ft.vmap(lambda v: lax.all_gather(v, "i", axis_index_groups=groups), axis_name="i")(x)
    with pytest.raises(errors.ArgumentError, match="name each of the 5 examples of axis 'i' once"):
        ft.vmap(lambda v: lax.psum(v, "i", axis_index_groups=[[0, 1], [1, 2]]), axis_name="i")(x)
    with pytest.raises(errors.ArgumentError, match="groups of one axis"):
        ft.vmap(lambda v: lax.psum(v, ("i",), axis_index_groups=groups), axis_name="i")(x)
    with pytest.raises(errors.ArgumentError, match="to must be 'varying' or None"):
        ft.vmap(lambda v: lax.all_gather(v, "i", to="reduced"), axis_name="i")(x)
    assert ft.vmap(lambda v: lax.pmean(v, "i", axis_index_groups=groups), axis_name="i")(np.ones(5, "f4")).dtype == "f4"


def test_equal_maxima_share_the_derivative():
    x = np.array([1.0, 3.0, 3.0])
    assert_same(ft.grad(lambda x: ft.vmap(lambda v: lax.pmax(v, "i"), axis_name="i")(x)[0])(x), np.array([0, 0.5, 0.5]))


def test_exchanges_are_those_of_the_whole_array():
    x = np.random.default_rng(2).standard_normal((3, 3, 6))

    def over(f):
        return ft.vmap(f, axis_name="i")(x)

    assert_same(over(lambda v: lax.all_gather(v, "i")), np.broadcast_to(x, (3, *x.shape)))
    assert_same(over(lambda v: lax.all_gather(v, "i", axis=-1)), np.broadcast_to(np.moveaxis(x, 0, -1), (3, 3, 6, 3)))
    tiled = np.concatenate(list(x), axis=1)
    assert_same(over(lambda v: lax.all_gather(v, "i", axis=1, tiled=True)), np.broadcast_to(tiled, (3, 3, 18)))
    assert_same(over(lambda v: lax.pswapaxes(v, "i", 0)), np.swapaxes(x, 0, 1))
    assert_same(over(lambda v: lax.all_to_all(v, "i", 0, 1)), np.transpose(x, (1, 2, 0)))
    shares = np.stack([np.concatenate([x[j][:, 2 * i : 2 * i + 2] for j in range(3)], 0) for i in range(3)])
    assert_same(over(lambda v: lax.all_to_all(v, "i", 1, 0, tiled=True)), shares)
    sent = np.stack([x[2], np.zeros((3, 6)), x[0]])
    assert_same(over(lambda v: lax.ppermute(v, "i", [(0, 2), (2, 0)])), sent)
    index = np.arange(6).reshape(2, 3)
    nested = ft.vmap(ft.vmap(lambda v: v * lax.axis_index(("i", "j")), axis_name="j"), axis_name="i")
    assert_same(nested(np.ones((2, 3))), index.astype(float))


BODIES = {
    "jit": lambda v: ft.jit(lambda v: lax.psum(v, "i") * lax.axis_index("i"))(v),
    "jit of nothing": lambda v: v + ft.jit(lambda: lax.axis_index("i") * 1.0)(),
    "checkpoint": lambda v: ft.checkpoint(lambda v: lax.psum(v**2, "i"))(v),
    "scan": lambda v: lax.scan(lambda c, x: (c + lax.psum(x, "i"), c * v), v, np.arange(6.0).reshape(3, 2))[0],
    "scan of nothing": lambda v: v * lax.scan(lambda c, _: (c + lax.axis_index("i"), None), 0, length=3)[0],
    "fori_loop": lambda v: lax.fori_loop(0, 3, lambda i, c: c + lax.psum(c, "i") * v, v),
    "while_loop": lambda v: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, lax.psum(c[1], "i")), (0, v))[1],
    "cond": lambda v: lax.cond(lax.axis_index("i") > 0, lambda: lax.psum(v, "i"), lambda: v),
    "cond of nothing": lambda v: v + lax.cond(lax.psum(1.0, "i") > 2, lambda: lax.axis_index("i"), lambda: 0),
    "vmap": lambda v: ft.vmap(lambda a: lax.psum(a, "i") * a)(v),
}
PLAIN = {
    "jit": lambda x: x.sum(0) * np.arange(3)[:, None],
    "jit of nothing": lambda x: x + np.arange(3.0)[:, None],
    "checkpoint": lambda x: np.broadcast_to((x**2).sum(0), x.shape),
    "scan": lambda x: x + 3 * np.arange(6.0).reshape(3, 2).sum(0),
    "scan of nothing": lambda x: x * 3 * np.arange(3)[:, None],
    "fori_loop": lambda x: _fori(x),
    "while_loop": lambda x: np.broadcast_to(9 * x.sum(0), x.shape),
    "cond": lambda x: np.stack([x[0], x.sum(0), x.sum(0)]),
    "cond of nothing": lambda x: x + np.arange(3)[:, None],
    "vmap": lambda x: x.sum(0) * x,
}


def _fori(x):
    c = x
    for _ in range(3):
        c = c + c.sum(0) * x
    return c


@pytest.mark.parametrize("name", BODIES)
def test_inside_of_bodies(name):
    mapped = ft.vmap(BODIES[name], axis_name="i")
    assert_same(mapped(X), PLAIN[name](X), 1e-12)
    assert_same(ft.jit(mapped)(X), PLAIN[name](X), 1e-12)
    if name != "while_loop":
        check_rules(mapped, X)


def test_values_from_outside_are_shared():
    """A value that `grad` traces outside of the vmap is the same in every example."""

    def f(w):
        return ft.numpy.sum(ft.vmap(lambda v: lax.psum(w, "i") * v * lax.pmax(w, "i"), axis_name="i")(X[:, 0]))

    check_rules(f, np.array(2.0))
    w = np.array([1.0, 2.0])

    def g(w):
        def body(c, _):
            return c * w + lax.axis_index("i"), None

        return ft.vmap(lambda v: v * lax.scan(body, w, length=2)[0], axis_name="i")(X)

    check_rules(g, w)


def test_compiled_functions_know_the_size_of_the_axis():
    f = ft.jit(lambda v: v * lax.axis_size("i"))
    for n in (3, 4, 3):
        assert_same(ft.vmap(f, axis_name="i")(np.ones(n)), np.full(n, float(n)))
        assert_same(ft.vmap(lambda v: v * f(2.0), axis_name="i")(np.ones(n)), np.full(n, 2.0 * n))


def test_errors():
    with pytest.raises(errors.AxisNameError, match=r"binds the axis name 'j' \(bound here: 'i'\)"):
        ft.vmap(lambda v: lax.psum(v, "j"), axis_name="i")(X)
    for call in (lax.psum, lax.pmean, lax.pmax, lax.all_gather, lambda v, i: lax.axis_index(i)):
        with pytest.raises(errors.AxisNameError, match=r"bound here: none\); give it as vmap\(f, axis_name='i'\)"):
            call(X, "i")
    for perm, message in (([(0, 1), (0, 2)], "twice"), ([(0, 1), (2, 1)], "twice"), ([(0, 3)], "outside of the 3")):
        with pytest.raises(errors.ShapeError, match=message):
            ft.vmap(lambda v, perm=perm: lax.ppermute(v, "i", perm), axis_name="i")(X)
    with pytest.raises(errors.ShapeError, match=r"axis 0 of shape \(2,\) must have the size of axis 'i', 3"):
        ft.vmap(lambda v: lax.all_to_all(v, "i", 0, 0), axis_name="i")(X)
    with pytest.raises(errors.AxisError, match="axis 3 is out of bounds"):
        ft.vmap(lambda v: lax.all_gather(v, "i", axis=3), axis_name="i")(X)
    with pytest.raises(errors.DTypeError, match="pmax: expected an array or a number, got 'a'"):
        ft.vmap(lambda v: lax.pmax("a", "i"), axis_name="i")(X)


def test_names_are_forgotten_after_an_error():
    with pytest.raises(RuntimeError), axes.bind_axis("i", 3):
        raise RuntimeError
    assert axes.bound_axes() == ()
