"""What `explain` says of each trace."""

import re

import numpy as np
import pytest

import functrans as ft


def reasons(f):
    lines = ft.explain(f).splitlines()
    return [line.strip() for line in lines if "again" in line or "first call" in line]


def test_shapes_dtypes_and_weak_types():
    f = ft.jit(lambda x, y: x * y)
    for args in (
        (np.ones(20), 2.0),
        (np.ones(30), 2.0),
        (np.ones(20, np.float32), 2.0),
        (np.ones(30), np.float64(2.0)),
    ):
        f(*args)
        f(*args)
    assert reasons(f) == [
        "first call",
        "traced again: x has shape (30,), not (20,) as in 1",
        "traced again: x has dtype float32, not float64 as in 1",
        "traced again: y is an array, not a Python number as in 2",
    ]
    assert "kernels: 0 compiled, 0 from disk, 1 from memory" in ft.explain(f)  # the second shape


def test_static_arguments_and_structures():
    f = ft.jit(lambda x, n, mode="a": ft.tree.map(lambda v: v * n, x), static_argnums=1, static_argnames="mode")
    f([1.0], 2)
    f([1.0], 3)
    f([1.0], 3, mode="b")
    f((1.0,), 2)
    told = reasons(f)
    assert told[1] == "traced again: static argument 1 is 3, not 2 as in 1"
    assert told[2] == "traced again: static argument 'mode' is given, not as in 2"
    assert told[3] == "traced again: x is a tuple of length 1, not a list of length 1 as in 1"


def test_fields_of_models():
    """What makes a model of another structure is named: here an activation that is a new function each time."""
    f = ft.jit(lambda scale, model, **options: scale * model(np.ones(3)))
    model = ft.nn.MLP(3, 2, width=4, depth=1, key=ft.random.key(0))
    f(1.0, model)
    f(1.0, model.replace(activation=np.tanh))
    f(1.0, model.replace(activation=np.tanh), mode=2.0)
    f(1.0, model.layers[0])
    told = reasons(f)
    assert re.fullmatch(r"traced again: model.activation is <.*tanh.*>, not <function relu .*> as in 1", told[1])
    assert told[2].startswith("traced again: the dict of keyword arguments is a dict with the keys ['mode'], not")
    assert told[3] == "traced again: model is a Linear, not a MLP as in 1"


def test_axes_of_vmap():
    f = ft.jit(lambda x: x + 1)
    f(1.0)
    ft.vmap(lambda x: f(x), axis_name="batch")(np.ones(3))
    assert len(reasons(f)) == 2
    assert "other axes of vmap" in ft.explain(f) or "a Python number" in ft.explain(f)


def test_not_traced_and_not_jitted():
    assert ft.explain(ft.jit(np.sin)) == "sin was not traced yet"
    with pytest.raises(ft.errors.ArgumentError, match="explain takes what jit returned, got <ufunc 'sin'>"):
        ft.explain(np.sin)
