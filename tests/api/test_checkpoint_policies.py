"""Policies of `checkpoint`: the same derivatives, with as much memory and work as each says."""

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp

P = ft.checkpoint_policies
POLICIES = {
    "none": None,
    "nothing": P.nothing_saveable,
    "dots": P.dots_saveable,
    "dots without batch": P.dots_with_no_batch_dims_saveable,
    "a name": P.save_only_these_names("product"),
    "another name": P.save_only_these_names("wave"),
    "any other name": P.save_any_names_but_these("wave"),
    "all but a name": P.save_anything_except_these_names("wave"),
    "both": P.save_from_both_policies(P.save_only_these_names("product"), P.save_only_these_names("wave")),
    "everything": P.everything_saveable,
}
rng = np.random.default_rng(0)
X, W = rng.normal(size=(200, 20)), 0.2 * rng.normal(size=(5, 20, 20))


def network(wrap):
    def layer(x, w):
        product = ft.checkpoint_name(x @ w, "product")
        wave = ft.checkpoint_name(fnp.sin(product), "wave")
        return fnp.tanh(fnp.exp(wave))

    layer = wrap(layer)

    def loss(x, ws):
        for w in ws:
            x = layer(x, w)
        return fnp.sum(x**2)

    return loss


def checkpointed(policy):
    return network(lambda f: ft.checkpoint(f, policy=policy))


@pytest.mark.parametrize("name", POLICIES)
def test_derivatives_are_the_same(name):
    f, plain = checkpointed(POLICIES[name]), network(lambda f: f)
    for got, want in zip(ft.grad(f, (0, 1))(X, W), ft.grad(plain, (0, 1))(X, W)):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    for got, want in zip(ft.jit(ft.grad(f, (0, 1)))(X, W), ft.grad(plain, (0, 1))(X, W)):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10)
    x, w = X[:2, :3], W[:2, :3, :3]
    along = lambda f: ft.jit(ft.hessian(lambda x: f(x, w)))(x)
    np.testing.assert_allclose(along(f), along(plain), rtol=1e-9, atol=1e-9)
    each = ft.vmap(ft.grad(lambda x: f(x, W)))(np.stack([X, -X]))
    np.testing.assert_allclose(each[1], ft.grad(plain)(-X, W), rtol=1e-10, atol=1e-10)


def products(f):
    return str(ft.make_jaxpr(ft.grad(f, 1))(X, W)).count("dot_general")


def memory(f):
    return ft.jit(ft.grad(f, 1)).lower(X, W).compile().memory_analysis().temp_size_in_bytes


def test_kept_products_are_not_computed_again():
    plain = products(network(lambda f: f))
    assert products(checkpointed(None)) == products(checkpointed(P.nothing_saveable)) == plain + len(W)
    for name in ("dots", "dots without batch", "a name", "everything", "both"):
        assert products(checkpointed(POLICIES[name])) == plain, name


def test_less_is_kept():
    least, dots, all_ = memory(checkpointed(None)), memory(checkpointed(P.dots_saveable)), memory(network(lambda f: f))
    one = X.nbytes
    assert least + one <= dots <= all_ - one


def test_names_are_identities():
    x = np.arange(3.0)
    assert ft.checkpoint_name(x, "x").tolist() == [0.0, 1.0, 2.0]
    jaxpr = str(ft.make_jaxpr(lambda x: ft.checkpoint_name(x, "mine"))(x))
    assert "name[name=mine]" in jaxpr
