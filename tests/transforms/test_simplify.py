"""Simplification: what goes, what stays, and that the program computes the same to the bit."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from functrans import lax
from functrans.core.avals import ShapedArray, aval_of
from functrans.core.check import check_jaxpr
from functrans.core.jaxpr import evaluate
from functrans.core.trace import stage
from functrans.lax import broadcasting, conversion, elementwise, indexing, structural
from functrans.transforms.jvp import close_over
from functrans.transforms.simplify import simplify

e = elementwise


def simplified(fun, *args, same=True):
    """The simplified program; with `same`, checked to give bit for bit what the given one does."""
    avals = [ShapedArray(np.shape(a), np.asarray(a).dtype) for a in args]
    jaxpr, consts = stage(fun, avals)
    before = repr(jaxpr)
    new = simplify(jaxpr)
    check_jaxpr(new)
    assert repr(jaxpr) == before
    if same:
        with np.errstate(all="ignore"):
            expected, got = evaluate(jaxpr, consts, args), evaluate(new, consts, args)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b), strict=True)
            if np.asarray(a).dtype.kind == "f":
                signs = [np.where(np.isnan(x), False, np.signbit(x)) for x in (a, b)]  # a NaN has no sign
                np.testing.assert_array_equal(*signs)
    return new


def names(jaxpr):
    return [eqn.primitive.name for eqn in jaxpr.eqns]


SPECIAL = np.array([0.0, -0.0, 1.0, -2.5, np.inf, -np.inf, np.nan, 5e-324])


@pytest.mark.parametrize(
    ("fun", "left"),
    [
        (lambda x: x * 1.0, []),
        (lambda x: 1.0 * x, []),
        (lambda x: x / 1.0, []),
        (lambda x: x - 0.0, []),
        (lambda x: x + -0.0, []),
        (lambda x: x + 0.0, ["add"]),
        (lambda x: x - -0.0, ["sub"]),
        (lambda x: 0.0 - x, ["sub"]),
        (lambda x: x * 0.0, ["mul"]),
        (lambda x: x - x, ["sub"]),
        (lambda x: x / x, ["div"]),
        (lambda x: x * -1.0, ["neg"]),
        (lambda x: e.neg(e.neg(x)), []),
        (lambda x: x + -x, ["sub"]),
        (lambda x: x - -x, ["add"]),
        (lambda x: (-x) * (-x), ["mul"]),
        (lambda x: (-x) * 3.0, ["mul"]),
        (lambda x: e.pow(x, 1.0), []),
        (lambda x: e.pow(x, 2.0), ["mul"]),
        (lambda x: e.pow(x, 0.0), ["broadcast_in_dim"]),
        (lambda x: e.max(x, x), []),
        (lambda x: e.where(x > 0.0, x, x), []),
        (lambda x: e.where(e.bitwise_not(x > 0.0), x, -x), ["gt", "neg", "select_n"]),
        (lambda x: e.sin(x) * 1.0 + e.sin(x), ["sin", "add"]),
        (lambda x: e.sin(x) + e.cos(x) - (e.cos(x) + e.sin(x)), ["sin", "cos", "add", "sub"]),
        (lambda x: conversion.convert_element_type(conversion.convert_element_type(x, np.float64), np.float64), []),
        (lambda x: conversion.copy(x), []),
        (lambda x: structural.reshape(structural.reshape(x, (2, 4)), (8,)), []),
        (lambda x: structural.reshape(structural.reshape(x, (2, 4)), (4, 2)), ["reshape"]),
        (lambda x: structural.rev(x, ()), []),
        (lambda x: x + broadcasting.full((8,), 2.0) * 3.0, ["add"]),
        (lambda x: broadcasting.full((8,), -0.0) + x, []),
        (lambda x: e.exp(broadcasting.full((8,), 1.0)), ["broadcast_in_dim"]),
    ],
)
def test_algebra(fun, left):
    from functrans.numpy import methods  # noqa: F401

    assert names(simplified(lambda x: [fun(x)], SPECIAL)) == left


def test_integers_have_an_absorbing_zero():
    assert names(simplified(lambda x: [e.mul(x, 0), e.add(x, 0)], np.arange(3))) == ["broadcast_in_dim"]


def test_conversions_that_lose_something_stay():
    def fun(x):
        return [conversion.convert_element_type(conversion.convert_element_type(x, np.float32), np.float64)]

    assert names(simplified(fun, SPECIAL)) == ["convert_element_type"] * 2
    back = lambda x: [conversion.convert_element_type(conversion.convert_element_type(x, np.float64), np.int64)]
    assert len(names(simplified(back, np.array([2**53 + 1])))) == 2
    assert names(simplified(back, np.arange(3))) == names(simplified(back, np.arange(3)))


def test_transposes_compose():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert names(simplified(lambda x: [structural.transpose(structural.transpose(x, (1, 2, 0)), (2, 0, 1))], x)) == []
    new = simplified(lambda x: [structural.transpose(structural.transpose(x, (1, 2, 0)), (1, 2, 0))], x)
    assert names(new) == ["transpose"]
    assert new.eqns[0].params["permutation"] == (2, 0, 1)


def test_what_nothing_reads_goes():
    assert names(simplified(lambda x: [e.sin(e.cos(x)), x][1:], SPECIAL)) == []


def test_literals_fold_without_warnings():
    new = simplified(lambda x: [e.add(x, e.log(broadcasting.full((), 0.0)))], SPECIAL)
    assert names(new) == ["add"]
    assert new.eqns[0].inputs[1].value == -np.inf


def test_a_barrier_keeps_recomputation():
    def fun(x):
        y = e.sin(x)
        return [e.add(y, e.sin(conversion.optimization_barrier_p.bind(x)))]

    assert names(simplified(fun, SPECIAL)).count("sin") == 2


def test_source_lines_stay():
    new = simplified(lambda x: [e.add(e.sin(x), 1.0)], SPECIAL)
    assert all(eqn.source.file == __file__ for eqn in new.eqns)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_random_programs_keep_their_results_to_the_bit(data):
    draw = data.draw
    shapes = [(8,), (2, 4), (4, 2)]

    def fun(x):
        values = [x, broadcasting.full((2, 4), draw(st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0])))]
        pick = lambda: values[draw(st.integers(0, len(values) - 1))]
        for _ in range(draw(st.integers(1, 15))):
            op = draw(st.sampled_from(["add", "sub", "mul", "neg", "select_n", "reshape", "transpose", "lit", "max"]))
            a, b = pick(), pick()
            if op == "reshape":
                out = structural.reshape(a, shapes[draw(st.integers(0, 2))])
            elif op == "transpose":
                out = structural.transpose(a, tuple(range(aval_of(a).ndim))[::-1])
            elif op == "neg":
                out = e.neg(a)
            elif op == "lit":
                out = getattr(e, draw(st.sampled_from(["add", "sub", "mul", "div"])))(
                    a, draw(st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5]))
                )
            else:
                b = structural.reshape(b, aval_of(a).shape)
                out = e.select_n.bind(e.lt(a, b), a, b) if op == "select_n" else getattr(e, op)(a, b)
            values.append(out)
        return [pick() for _ in range(3)]

    from functrans.numpy import methods  # noqa: F401

    simplified(fun, SPECIAL)


def test_work_is_linear_in_the_size_of_the_program():
    def calls(n):
        def fun(x):
            for i in range(n):
                x = e.add(e.sin(x), float(i))
            return [x]

        jaxpr, _ = stage(fun, [ShapedArray((10,), np.dtype(float))])
        count = 0

        def count_call(frame, event, argument):
            nonlocal count
            count += event == "call"

        outer = sys.getprofile()
        sys.setprofile(count_call)
        try:
            simplified = simplify(jaxpr)
        finally:
            sys.setprofile(outer)
        assert len(simplified.eqns) == 2 * n
        return count

    assert calls(400) < 2.5 * calls(200)


def test_transposes_of_a_product_are_its_dimension_numbers():
    def fun(a, b):
        c = structural.transpose(lax.dot(structural.transpose(a, (1, 0)), b), (1, 0))
        d = lax.dot(b, a)
        return [c, structural.transpose(d, (1, 0)), d]

    new = simplified(fun, np.ones((4, 3)), np.ones((4, 4)), same=False)
    assert names(new) == ["dot_general", "dot_general", "transpose"]
    assert new.eqns[0].params["dimension_numbers"] == (((0,), (0,)), ((), ()))


# ------------------------------------------------------------------ loops and branches


def test_invariant_code_leaves_a_scan_and_unused_carries_go():
    def fun(x, w):
        def body(carry, row):
            a, b, unused = carry
            return (e.add(a, e.mul(row, e.exp(w))), b, e.add(unused, row)), a

        (a, b, _), ys = lax.scan(body, (w, w, w), x)
        return [a, b, ys]

    new = simplified(fun, np.ones((4, 3)), np.arange(3.0))
    assert names(new) == ["exp", "scan"]
    loop = new.eqns[1]
    assert loop.params["num_carry"] == 1
    assert names(loop.params["jaxpr"]) == ["mul", "add"]


def test_loops_that_run_once_or_never_are_no_loops():
    def fun(x, w):
        return [*lax.scan(lambda c, row: (e.add(c, row), c), w, x)]

    assert "scan" not in names(simplified(fun, np.ones((1, 3)), np.arange(3.0)))
    assert "scan" not in names(simplified(fun, np.ones((0, 3)), np.arange(3.0)))


def test_while_loops_lose_what_decides_nothing():
    def fun(n, w):
        def body(carry):
            i, a, unused = carry
            return e.add(i, 1), e.mul(a, e.exp(w)), e.sin(unused)

        i, a, _ = lax.while_loop(lambda c: e.lt(c[0], n), body, (0, w, w))
        return [i, a]

    for n in (0, 1, 3):
        new = simplified(fun, np.int64(n), np.arange(3.0))
        assert names(new) == ["exp", "while"]
        assert len(new.eqns[1].outvars) == 2


def test_known_branches_are_inlined_and_unused_results_go():
    def fun(i, x):
        a, b = lax.switch(i, [lambda x: (e.sin(x), x), lambda x: (e.cos(x), x)], x)
        (c,) = lax.switch(1, [lambda x: (e.sin(x),), lambda x: (e.neg(x),)], x)
        return [a, b, c]

    new = simplified(fun, np.int64(1), SPECIAL)
    branch = next(eqn for eqn in new.eqns if eqn.primitive.name == "cond")
    assert len(branch.outvars) == 1
    assert new.outvars[1] is new.invars[1]
    assert "neg" in names(new)


def test_an_update_that_is_broadcast_stays_a_sum():
    def fun(x, u):
        blank = broadcasting.full((3,), 0.0)
        return [elementwise.add(x, indexing.scatter("add", blank, u, [np.array([0, 2, 0])], [0]))]

    x, u = np.arange(6.0).reshape(2, 3), np.array([1.0, 10.0, 100.0])
    jaxpr, consts = stage(fun, [ShapedArray(x.shape, x.dtype), ShapedArray(u.shape, u.dtype)])
    simplified = simplify(close_over(jaxpr, consts))
    check_jaxpr(simplified)
    np.testing.assert_array_equal(evaluate(simplified, (), [x, u])[0], x + [101.0, 0.0, 10.0])
