"""Donated arguments: results in their memory, the same results, and errors."""

import numpy as np
import pytest
from helpers import assert_same
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans import errors, lax


def rows(n=40, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 3))


PROGRAMS = {
    "set": (lambda x: x.at[1].set(2.0), True),
    "added twice": (lambda x: x.at[1].add(x[0] * 2).at[:, 0].multiply(3.0), None),
    "read before": (lambda x: (x.at[2].set(0.0), x.sum()), True),
    "read after": (lambda x: (x.at[2].set(0.0), x * 2), None),
    "in a loop": (lambda x: lax.fori_loop(0, 4, lambda i, x: x.at[i].add(i * 1.0), x), True),
    "in a scan": (lambda x: lax.scan(lambda x, i: (x.at[i].add(1.0), i), x, np.arange(3)), True),
    "slices": (lambda x: lax.dynamic_update_slice(x, np.ones((2, 2)), (1, 1)), True),
    "a new value": (lambda x: (x.T @ x)[0, 0] + np.zeros(x.shape), True),
    "element by element": (lambda x: x * 2 + 1, False),
    "itself": (lambda x: x, False),
    "itself and changed": (lambda x: (x, x.at[0].set(0.0)), False),
    "turned": (lambda x: x.T @ x @ x.T, False),
    "another type": (lambda x: (x > 0).at[0].set(True), False),
    "the same twice": (lambda x: [x.at[0].set(1.0)] * 2, None),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("kind", [np.array, ft.numpy.array], ids=["ndarray", "Array"])
def test_results_are_the_same_in_the_memory_of_arguments(name, kind):
    function, taken = PROGRAMS[name]
    donating = ft.jit(function, donate_argnums=0)
    for seed in range(2):
        wanted = ft.tree.leaves(ft.jit(function)(rows(seed=seed)))
        x = kind(rows(seed=seed))
        found = ft.tree.leaves(donating(x))
        for a, b in zip(found, wanted, strict=True):
            assert type(a) is ft.Array
            assert_same(a, b)
        if taken is not None:
            assert any(np.shares_memory(a, x) for a in found) is taken
    analysis = donating.lower(rows()).compile().memory_analysis()
    if taken is not None:
        assert analysis.alias_size_in_bytes == (rows().nbytes if taken else 0)


@pytest.mark.parametrize(
    ("function", "taken"),
    [
        (lambda x: np.tanh(x) * 2, True),
        (lambda x: (np.tanh(x) * 2, x.sum()), False),
        (lambda x: np.exp(x - x.max(1, keepdims=True)) / 3, True),
        (lambda x: lax.fori_loop(0, 3, lambda i, x: np.sin(x) + i, x), True),
        (lambda x: x + x[::-1], False),
        (lambda x: x + x.reshape(3, -1).sum(0).sum(), False),
        (lambda x: (x @ np.ones((3, 3)) * x.sum() + x) * 2, True),
    ],
    ids=["map", "read after", "rows", "loop", "reversed", "in another order", "after a product"],
)
def test_large_arguments_change_element_by_element(function, taken):
    x = rows(600)
    wanted = ft.tree.leaves(ft.jit(function)(x))
    found = ft.tree.leaves(ft.jit(function, donate_argnums=0)(x))
    for a, b in zip(found, wanted, strict=True):
        assert_same(a, b)
    assert np.shares_memory(found[0], x) is taken


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["set", "add", "read", "sum", "other"]), min_size=1, max_size=6), st.integers(0, 9))
def test_chains_of_updates(steps, seed):
    def function(x, y):
        out = []
        for n, step in enumerate(steps):
            if step == "set":
                x = x.at[n % 4].set(y[n % 4] + n)
            elif step == "add":
                x = x.at[:, n % 3].add(y[:, 0])
            elif step == "read":
                out.append(x * 2)
            elif step == "sum":
                y = y + np.sum(x)
            else:
                y = y.at[0].set(x[1])
        return x, y, out

    a, b = rows(seed=seed), rows(seed=seed + 1)
    wanted = function(ft.numpy.asarray(a), ft.numpy.asarray(b))
    found = ft.jit(function, donate_argnums=(0, 1))(a.copy(), b.copy())
    for u, v in zip(ft.tree.leaves(found), ft.tree.leaves(wanted), strict=True):
        assert_same(u, v, 1e-14, 1e-14)


def test_which_leaves_are_donated():
    def function(a, flag, b, *, c):
        return [x.at[0].set(-1.0) for x in (*a, b, c["k"])] if flag else None

    arrays = [rows(seed=i) for i in range(4)]
    donating = ft.jit(function, static_argnums=1, donate_argnums=-1, donate_argnames="c")
    donating((arrays[0], arrays[1]), True, arrays[2], c={"k": arrays[3]})
    assert [bool((x[0] == -1).all()) for x in arrays] == [False, False, True, True]
    by_name = ft.jit(function, static_argnames="flag", donate_argnames="a")
    by_name((arrays[0], arrays[1]), True, rows(), c={"k": rows()})
    assert [bool((x[0] == -1).all()) for x in arrays[:2]] == [True, True]


def test_memory_that_cannot_be_written_to_is_copied():
    donating = ft.jit(lambda x: x.at[0].set(0.0), donate_argnums=0)
    wanted = rows()
    wanted[0] = 0
    frozen = rows()
    frozen.flags.writeable = False
    assert_same(donating(frozen), wanted)
    assert_same(frozen, rows())
    turned = np.asfortranarray(rows())
    assert_same(donating(turned), wanted)
    assert_same(donating(np.frombuffer(rows().tobytes()).reshape(40, 3)), wanted)


def test_transformations_and_eager_calls_leave_arguments_alone():
    donating = ft.jit(lambda x: x.at[0].set(0.0), donate_argnums=0)
    x = rows()
    ft.grad(lambda x: donating(x).sum())(x)
    ft.vmap(donating)(x)
    ft.jit(lambda x: donating(x) + x)(x)
    with ft.disable_jit():
        donating(ft.numpy.asarray(x))
    assert_same(x, rows())


@pytest.mark.parametrize("other", [lambda x: x, lambda x: x[2:], lambda x: x[:, :1]], ids=["same", "rows", "columns"])
def test_an_argument_that_shares_the_memory(other):
    donating = ft.jit(lambda x, y: (x.at[0].set(0.0), y + 1), donate_argnums=0)
    x = rows()
    with pytest.raises(errors.ArgumentError, match="donated .* shares memory with another argument"):
        donating(x, other(x))
    assert_same(x, rows())


def test_errors():
    with pytest.raises(errors.ArgumentError, match="cannot donate static arguments; 0 is named as both"):
        ft.jit(lambda x: x, static_argnums=0, donate_argnums=0)
    with pytest.raises(errors.ArgumentError, match="donate_argnums of jit.* names argument 3"):
        ft.jit(lambda x: x, donate_argnums=3)
    with pytest.raises(errors.ArgumentError, match="donate_argnames of jit.* names 'y', which is no argument"):
        ft.jit(lambda x: x, donate_argnames="y")
