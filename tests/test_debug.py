"""`debug.print`, `debug.callback` and `debug.breakpoint`: what they show, and when."""

import io
import sys

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax

X = np.array([1.0, 2.0])
BOTH = pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])


# ---------------------------------------------------------------- print


@BOTH
def test_print(transform, capsys):
    def fun(x):
        ft.debug.print("{} {x!r:>10} {{}} {name}", x, x=fnp.sum(x), name="sum")
        ft.debug.print("{d[a]} {d[b][0]:.1f}", d={"a": 1, "b": [x[1]]})
        ft.debug.print("no arguments")
        return x

    transform(fun)(X)
    assert capsys.readouterr().out == "[1. 2.]  Array(3.) {} sum\n1 2.0\nno arguments\n"


@BOTH
def test_print_under_transformations(transform, capsys):
    def square(x):
        ft.debug.print("x = {}", x)
        return x * x

    transform(ft.vmap(square))(X)
    transform(ft.grad(square))(3.0)
    transform(ft.vmap(ft.grad(square)))(X)
    transform(lambda x: lax.map(square, x))(X)
    assert capsys.readouterr().out.splitlines() == [f"x = {x}" for x in (1.0, 2.0, 3.0, 1.0, 2.0, 1.0, 2.0)]


def test_shared_values_are_printed_once(capsys):
    ft.vmap(lambda x, y: (ft.debug.print("y = {}", y), x)[1], in_axes=(0, None))(X, 5.0)
    assert capsys.readouterr().out == "y = 5.0\n"


def test_print_shows_primals_of_both_orders(capsys):
    fun = lambda x: (ft.debug.print("{}", x), fnp.sin(x))[1]
    ft.jit(ft.hessian(fun))(0.5)
    ft.jit(ft.grad(ft.grad(fun)))(0.25)
    assert capsys.readouterr().out == "0.5\n0.25\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ft.debug.print(f"x = {x}", x), "does not use argument 0.*no f-string"),
        (lambda x: ft.debug.print("{x}", x=x, y=x), "does not use argument y"),
        (lambda x: ft.debug.print("{} {}", x), "placeholder"),
        (lambda x: ft.debug.print("{y}", x=x), "'y'"),
        (lambda x: ft.debug.print("{", x), "is no format"),
        (lambda x: ft.debug.print(x), "takes a format string for its message"),
        (lambda x: ft.debug.callback(x), "takes a function first"),
    ],
)
def test_mistakes_are_found_while_tracing(call, message):
    with pytest.raises(errors.ArgumentError, match=message):
        ft.make_jaxpr(call)(1.0)


# ---------------------------------------------------------------- callback


@BOTH
def test_callback_gets_pytrees_and_plain_values(transform):
    seen = []

    def callback(tree, text, *, flag):
        seen.append((tree["a"], type(tree["a"]), text, flag))

    def fun(x):
        assert ft.debug.callback(callback, {"a": x}, "text", flag=None) is None
        return x

    transform(fun)(2.0)
    assert seen == [(2.0, ft.Array, "text", None)]


def test_what_is_shown_does_not_change_what_is_computed():
    fun = lambda x: fnp.sum(fnp.sin(x) * x)
    shown = lambda x: (ft.debug.callback(lambda x: None, x), fun(x))[1]
    for transform in (ft.jit, ft.grad, ft.hessian, lambda f: ft.jit(ft.vmap(ft.grad(lambda v: f(v * X))))):
        np.testing.assert_array_equal(transform(shown)(X), transform(fun)(X))


# ---------------------------------------------------------------- breakpoint


@BOTH
def test_breakpoint_has_the_names_with_their_values(transform):
    stops = []

    def body(c, x):
        pair = {"c": c, "twice": (2 * x, "text")}
        ft.debug.breakpoint(backend=stops.append)
        return c + x, pair["c"]

    transform(lambda x: lax.scan(body, 0.0, x))(X)
    assert [s.locals for s in stops] == [
        {"c": 0.0, "x": 1.0, "pair": {"c": 0.0, "twice": (2.0, "text")}, "stops": stops},
        {"c": 1.0, "x": 2.0, "pair": {"c": 1.0, "twice": (4.0, "text")}, "stops": stops},
    ]
    assert stops[0].source.function == "body"
    assert stops[0].source.file == __file__
    assert stops[0].globals is globals()


def stopping(x):
    y = x + 1
    ft.debug.breakpoint()
    return y


def test_breakpoint_of_pdb(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("p x * 10, y\np ft is not None\ncontinue\n"))
    assert ft.jit(stopping)(2.0) == 3.0
    out = capsys.readouterr().out
    line = stopping.__code__.co_firstlineno + 2
    assert f"{__file__}({line})stopping()\n-> ft.debug.breakpoint()" in out
    assert "(Array(20.), Array(3.))" in out
    assert "True" in out


def test_quitting_pdb_ends_the_program(monkeypatch):
    import bdb

    monkeypatch.setattr(sys, "stdin", io.StringIO("quit\n"))
    with pytest.raises(bdb.BdbQuit):
        ft.jit(stopping)(2.0)
