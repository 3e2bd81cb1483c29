"""Masks, groups, gathered gradients, adjustable hyperparameters: each against the same done by hand."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
from functrans import errors, optim

PARAMS = {"layer": {"w": np.array([1.0, -2.0]), "b": np.array([0.5])}, "scale": np.array(3.0)}
GRADS = {"layer": {"w": np.array([0.3, 0.1]), "b": np.array([-0.7])}, "scale": np.array(0.2)}


def assert_same(got, want):
    assert ft.tree.structure(got) == ft.tree.structure(want)
    for x, y in zip(ft.tree.leaves(got), ft.tree.leaves(want), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def run(optimizer, steps=3, grads=GRADS, jit=True):
    """Updates of each step with gradients that grow."""
    update = ft.jit(optimizer.update) if jit else optimizer.update
    state, out = optimizer.init(PARAMS), []
    for k in range(steps):
        updates, state = update(ft.tree.map(lambda g, k=k: (k + 1.0) * g, grads), state, PARAMS)
        out.append(updates)
    return out


@pytest.mark.parametrize(
    "mask",
    [
        {"layer": {"w": True, "b": False}, "scale": False},
        lambda tree: ft.tree.map_with_path(lambda path, _: "w" in ft.tree_util.keystr(path), tree),
    ],
    ids=["tree", "function"],
)
def test_masked(mask):
    got = run(optim.masked(optim.adam(0.1), mask))
    alone = optim.adam(0.1)
    state = alone.init(PARAMS["layer"]["w"])
    for k, updates in enumerate(got):
        w, state = alone.update((k + 1) * GRADS["layer"]["w"], state)
        rest = {"layer": {"w": w, "b": (k + 1) * GRADS["layer"]["b"]}, "scale": (k + 1) * GRADS["scale"]}
        assert_same(updates, rest)


def test_masks_may_be_prefixes():
    decay = optim.add_decayed_weights(0.1, {"layer": True, "scale": False})
    zeros = ft.tree.map(np.zeros_like, PARAMS)
    (updates,) = run(decay, 1, zeros)
    assert_same(updates, {"layer": ft.tree.map(lambda p: 0.1 * p, PARAMS["layer"]), "scale": np.array(0.0)})


def test_partition():
    groups = {"adam": optim.adam(0.1), "sgd": optim.sgd(0.5, 0.9), "fixed": optim.set_to_zero()}
    labels = {"layer": {"w": "adam", "b": "sgd"}, "scale": "fixed"}
    for param_labels in (labels, lambda params: labels):
        got = run(optim.partition(groups, param_labels))
        separate = {name: run(groups[name]) for name in ("adam", "sgd")}
        for k, updates in enumerate(got):
            want = {
                "layer": {"w": separate["adam"][k]["layer"]["w"], "b": separate["sgd"][k]["layer"]["b"]},
                "scale": np.array(0.0),
            }
            assert_same(updates, want)
    assert optim.multi_transform is optim.partition


def test_models_of_masks_and_labels():
    """A pytree that can be called, as a model can, is no function of the parameters."""
    model = ft.nn.Sequential(ft.nn.Linear(3, 2, key=ft.random.key(0)), ft.nn.relu)
    grads = ft.tree.map(np.ones_like, model)
    decay = optim.add_decayed_weights(0.5, ft.tree.map(lambda p: p.ndim > 1, model))
    updates, _ = decay.update(grads, decay.init(model), model)
    np.testing.assert_allclose(updates[0].weight, 1 + 0.5 * model[0].weight)
    np.testing.assert_array_equal(updates[0].bias, 1)
    labels = ft.tree.map(lambda p: "fixed" if p.ndim > 1 else "sgd", model)
    groups = optim.partition({"fixed": optim.set_to_zero(), "sgd": optim.sgd(0.1)}, labels)
    updates, _ = ft.jit(groups.update)(grads, groups.init(model), model)
    np.testing.assert_array_equal(updates[0].weight, 0)
    np.testing.assert_allclose(updates[0].bias, -0.1)


def test_models_are_no_learning_rates():
    model = ft.nn.Linear(3, 2, key=ft.random.key(0))
    with pytest.raises(errors.ArgumentError, match="got Linear.*; the parameters are an argument of init and update"):
        optim.adam(model)


def test_keyword_arguments_pass_through():
    """A line search inside masks, groups and chains sees the objective; transformations without such do not mind."""
    objective = lambda p: (p["x"] - 3.0) ** 2
    search = optim.chain(optim.sgd(1.0), optim.scale_by_backtracking_linesearch())
    own = optim.GradientTransformation(lambda params: (), lambda g, state, params=None: (g, state))
    params = {"x": np.array(0.0)}
    value, grad = ft.value_and_grad(objective)(params)
    want, _ = search.update(grad, search.init(params), params, value=value, grad=grad, value_fn=objective)
    for optimizer in (optim.masked(search, True), optim.partition({0: search}, 0), optim.chain(own, search)):
        got, _ = optimizer.update(grad, optimizer.init(params), params, value=value, grad=grad, value_fn=objective)
        assert_same(got, want)


@pytest.mark.parametrize("jit", [False, True])
def test_apply_if_finite(jit):
    """Steps with finite gradients are those of the optimizer that has seen no others, until there are too many."""
    optimizer, alone = optim.apply_if_finite(optim.adam(0.1), 2), optim.adam(0.1)
    update = ft.jit(optimizer.update) if jit else optimizer.update
    state, alone_state, zeros = optimizer.init(PARAMS), alone.init(PARAMS), ft.tree.map(np.zeros_like, PARAMS)
    bad = {**GRADS, "scale": np.array(np.nan)}
    for good, in_a_row, total in ((True, 0, 0), (False, 1, 1), (False, 2, 2), (True, 0, 2), (False, 1, 3)):
        updates, state = update(GRADS if good else bad, state, PARAMS)
        want = zeros
        if good:
            want, alone_state = alone.update(GRADS, alone_state, PARAMS)
        assert_same(updates, want)
        assert_same(state.inner_state, alone_state)
        assert (state.last_finite, state.notfinite_count, state.total_notfinite) == (good, in_a_row, total)
    for _ in range(2):
        updates, state = update(bad, state, PARAMS)
    assert np.isnan(updates["scale"])
    assert np.isfinite(updates["layer"]["w"]).all()


@given(st.integers(1, 4), st.booleans(), st.booleans())
def test_multi_steps(every, mean, jit):
    optimizer = optim.MultiSteps(optim.adam(0.1), every, use_grad_mean=mean)
    update = ft.jit(optimizer.update) if jit else optimizer.update
    rng = np.random.default_rng(every)
    gradients = [ft.tree.map(lambda g: rng.normal(size=g.shape), GRADS) for _ in range(2 * every)]
    alone = optim.adam(0.1)
    alone_state, state = alone.init(PARAMS), optimizer.init(PARAMS)
    for k, g in enumerate(gradients, 1):
        updates, state = update(g, state, PARAMS)
        assert bool(optimizer.has_updated(state)) == (k % every == 0)
        if k % every:
            assert_same(updates, ft.tree.map(np.zeros_like, PARAMS))
        else:
            gathered = ft.tree.map(lambda *x: (np.mean if mean else np.sum)(x, axis=0), *gradients[k - every : k])
            want, alone_state = alone.update(gathered, alone_state)
            assert_same(updates, want)
    assert (int(state.gradient_step), int(state.mini_step)) == (2, 0)


def test_multi_steps_by_a_schedule():
    optimizer = optim.MultiSteps(optim.sgd(1.0), lambda step: step + 1).gradient_transformation()
    out = [float(updates["scale"]) != 0 for updates in run(optimizer, 6)]
    assert out == [True, False, True, False, False, True]


def test_multi_steps_keeps_float32():
    optimizer = optim.MultiSteps(optim.adam(0.1), 2)
    params = np.ones(2, np.float32)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(params, state, params)
        assert updates.dtype == state.acc_grads.dtype == np.float32


def test_multi_steps_in_a_batch():
    optimizer = optim.MultiSteps(optim.sgd(0.5), 2)
    run_one = lambda scale: optimizer.update(
        scale * np.ones(2), optimizer.update(np.ones(2), optimizer.init(np.ones(2)))[1]
    )[0]
    np.testing.assert_allclose(ft.vmap(run_one)(np.array([1.0, 3.0])), [[-0.5, -0.5], [-1.0, -1.0]])


def test_injected_hyperparameters():
    optimizer = optim.inject_hyperparams(optim.adamw)(
        learning_rate=optim.linear_schedule(0.1, 0.0, 10),
        weight_decay=0.2,
        mask=lambda p: ft.tree.map(np.ndim, p) and True,
    )
    traces = []

    @ft.jit
    def update(grads, state):
        traces.append(None)
        return optimizer.update(grads, state, PARAMS)

    state = optimizer.init(PARAMS)
    assert set(state.hyperparams) == {"learning_rate", "b1", "b2", "eps", "eps_root", "weight_decay"}
    got = []
    for k in range(3):
        if k == 2:
            state.hyperparams["weight_decay"] = np.array(0.7)
        updates, state = update(GRADS, state)
        got.append(updates)
        assert float(state.hyperparams["learning_rate"]) == pytest.approx(0.1 - 0.01 * k)
    assert len(traces) == 1
    state = optim.adam(1.0).init(PARAMS)
    for k, decay in enumerate((0.2, 0.2, 0.7)):
        direction, state = optim.adam(1.0).update(GRADS, state)
        assert_same(got[k], ft.tree.map(lambda d, p, k=k, c=decay: (0.1 - 0.01 * k) * (d - c * p), direction, PARAMS))


def test_injected_integers_and_dtypes():
    optimizer = optim.inject_hyperparams(optim.lbfgs)(learning_rate=1, linesearch=None)
    params = np.ones(2, np.float32)
    state = optimizer.init(params)
    assert {k: v.dtype for k, v in state.hyperparams.items()} == {"learning_rate": np.dtype(float)}
    assert optimizer.update(params, state, params)[0].dtype == np.float32


# ---------------------------------------------------------------- errors


def test_errors():
    with pytest.raises(errors.TreeStructureError, match="the mask of optim.masked does not fit the tree"):
        optim.masked(optim.adam(0.1), {"other": True}).init(PARAMS)
    with pytest.raises(errors.DTypeError, match="a mask of optim.masked has True or False for each parameter, got 1"):
        optim.masked(optim.adam(0.1), 1).init(PARAMS)
    with pytest.raises(errors.ArgumentError, match="the label 'slow' has no transformation, only 'fast'"):
        optim.partition({"fast": optim.adam(0.1)}, "slow").init(PARAMS)
    with pytest.raises(errors.TreeStructureError, match="param_labels of optim.partition does not fit"):
        optim.partition({"fast": optim.adam(0.1)}, ["fast"]).init(PARAMS)
    with pytest.raises(errors.ArgumentError, match="every 1 or more gradients, not every 0"):
        optim.MultiSteps(optim.sgd(0.1), 0)
    with pytest.raises(errors.ArgumentError, match="adam has no argument 'beta'"):
        optim.inject_hyperparams(optim.adam, static_args=("beta",))
