"""Optimizers against their papers' formulas in NumPy, against Optax and PyTorch, and under every transformation.

`figures.json` holds the parameters after 1, 4 and 10 steps on the problem below, biases first, and schedules by step.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
from functrans import errors, optim

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text())

INPUTS = np.array([[0.2, -0.5, 1.0], [1.5, 0.3, -0.7], [-1.0, 0.8, 0.4], [0.6, -1.1, 0.9]])
TARGETS = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, -0.5], [-1.0, 0.2]])
MASK = {"w": True, "b": False}


def start(dtype=np.float64):
    weights = np.array([[0.5, -1.2, 2.0], [0.1, -0.3, 0.7]], dtype)
    return {"w": weights, "b": np.array([1.5, -0.25], dtype)}


def loss(params):
    inputs, targets = (x.astype(params["w"].dtype) for x in (INPUTS, TARGETS))
    return np.mean((np.tanh(inputs @ params["w"].T + params["b"]) - targets) ** 2) + 0.01 * np.sum(params["w"] ** 4)


def vector(params):
    return np.concatenate([np.ravel(params["b"]), np.ravel(params["w"])])


def run(optimizer, params, steps, update=None):
    """The parameters after each step."""
    state, path = optimizer.init(params), []
    for _ in range(steps):
        updates, state = (update or optimizer.update)(ft.grad(loss)(params), state, params)
        params = optim.apply_updates(params, updates)
        path.append(params)
    return path


#: By the names of figures.json. All run under every transformation below.
OPTIMIZERS = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, 0.9),
    "nesterov": optim.sgd(0.1, 0.9, nesterov=True),
    "adagrad": optim.adagrad(0.1),
    "rmsprop": optim.rmsprop(0.05, decay=0.8),
    "rmsprop_centered": optim.rmsprop(0.05, centered=True, momentum=0.5, nesterov=True),
    "adadelta": optim.adadelta(1.0, weight_decay=0.01),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1, weight_decay=0.05, mask=MASK),
    "adamax": optim.adamax(0.1),
    "nadam": optim.nadam(0.1),
    "radam": optim.radam(0.1, b2=0.9),
    "amsgrad": optim.amsgrad(0.1, b2=0.5),
    "lamb": optim.lamb(0.1, weight_decay=0.05),
    "lars": optim.lars(0.5, weight_decay=0.05, trust_coefficient=0.1),
    "lion": optim.lion(0.02, weight_decay=0.1),
    "chained": optim.chain(
        optim.clip_by_global_norm(0.3),
        optim.clip(0.15),
        optim.add_decayed_weights(0.02, MASK),
        optim.adam(optim.cosine_decay_schedule(0.2, 8)),
    ),
}

TORCH = {
    "sgd": optim.sgd(0.1),
    "momentum": optim.sgd(0.1, 0.9),
    "nesterov": optim.sgd(0.1, 0.9, nesterov=True),
    "adam": optim.adam(0.1),
    "adamw": optim.adamw(0.1, weight_decay=0.05),
    "adagrad": optim.adagrad(0.1, eps=0.0),
    "adadelta": optim.adadelta(1.0),
    "adamax": optim.adamax(0.1),
}


def test_every_stored_sequence_is_compared():
    assert set(FIGURES["optax"]) == set(OPTIMIZERS)
    assert set(FIGURES["torch"]) == set(TORCH)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_same_as_optax(name):
    path = run(OPTIMIZERS[name], start(), 10)
    np.testing.assert_allclose([vector(path[k]) for k in (0, 3, 9)], FIGURES["optax"][name], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", TORCH)
def test_same_as_torch(name):
    path = run(TORCH[name], start(), 10)
    np.testing.assert_allclose([vector(path[k]) for k in (0, 3, 9)], FIGURES["torch"][name], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moving_averages(dtype):
    gradients = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
    plain, corrected = optim.ema(0.8, debias=False), optim.ema(0.8)
    state, other = plain.init(gradients[0]), corrected.init(gradients[0])
    average = np.zeros(3, dtype)
    for t, gradient in enumerate(gradients, 1):
        (mean, state), (fair, other) = plain.update(gradient, state), ft.jit(corrected.update)(gradient, other)
        average = optim.incremental_update(gradient, average, 0.2)
        weights = 0.2 * 0.8 ** np.arange(t)[::-1]
        np.testing.assert_allclose(mean, weights @ gradients[:t], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(fair, np.average(gradients[:t], 0, weights), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(average, mean)
        assert mean.dtype == fair.dtype == average.dtype == dtype
    layers = {"w": np.ones(2, np.float32), "count": np.array(3)}
    kept = ft.jit(optim.incremental_update)(layers, ft.tree.map(np.zeros_like, layers), 0.25)
    np.testing.assert_array_equal(kept["w"], np.full(2, 0.25, np.float32))
    assert kept["count"] == 3
    assert kept["count"].dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, ft.numpy.bfloat16], ids=["float16", "bfloat16"])
def test_norms_of_half_precision_do_not_overflow(dtype):
    gradient = np.array([3000.0, -4000.0]).astype(dtype)
    assert float(optim.global_norm([gradient])) == pytest.approx(5000, rel=1e-2)
    for transformation in (optim.clip_by_global_norm(1.0), optim.scale_by_trust_ratio()):
        update = ft.jit(transformation.update)
        updates, _ = update(gradient, optim.EmptyState(), np.array([0.6, -0.8]).astype(dtype))
        assert updates.dtype == dtype
        np.testing.assert_allclose(updates.astype(float), [0.6, -0.8], rtol=1e-2)


# ---------------------------------------------------------------- against the papers, in loops over arrays


def momentum(g, p, t, s, a=0.1, b=0.8, nesterov=False):
    s["m"] = b * s.get("m", 0) + g
    return p - a * (b * s["m"] + g if nesterov else s["m"])


def adagrad(g, p, t, s, a=0.2):
    s["s"] = s.get("s", 0.1) + g * g
    return p - a * g / np.sqrt(s["s"] + 1e-7)


def rmsprop(g, p, t, s, a=0.05, rho=0.7, centered=False):
    s["m"] = rho * s.get("m", 0) + (1 - rho) * g
    s["v"] = rho * s.get("v", 0) + (1 - rho) * g * g
    return p - a * g / np.sqrt(s["v"] - centered * s["m"] ** 2 + 1e-8)


def adadelta(g, p, t, s, rho=0.8, eps=1e-3):
    s["g"] = rho * s.get("g", 0) + (1 - rho) * g * g
    step = np.sqrt(s.get("x", 0) + eps) / np.sqrt(s["g"] + eps) * g
    s["x"] = rho * s.get("x", 0) + (1 - rho) * step * step
    return p - step


def adam_direction(g, t, s, b1=0.9, b2=0.99, eps=1e-8, nesterov=False, largest=False):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["v"] = b2 * s.get("v", 0) + (1 - b2) * g * g
    m, v = s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)
    if nesterov:
        m = b1 * s["m"] / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
    if largest:
        v = s["largest"] = np.maximum(s.get("largest", 0), v)
    return m / (np.sqrt(v) + eps)


def adam(g, p, t, s, **options):
    return p - 0.1 * adam_direction(g, t, s, **options)


def adamw(g, p, t, s):
    return p - 0.1 * (adam_direction(g, t, s) + 0.3 * p)


def adamax(g, p, t, s, b1=0.9, b2=0.7):
    s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
    s["u"] = np.maximum(b2 * s.get("u", 0), np.abs(g) + 1e-8)
    return p - 0.1 / (1 - b1**t) * s["m"] / s["u"]


def radam(g, p, t, s, b1=0.9, b2=0.8):
    direction = adam_direction(g, t, s, b1, b2)
    longest = 2 / (1 - b2) - 1
    length = longest - 2 * t * b2**t / (1 - b2**t)
    if length < 5:
        return p - 0.1 * s["m"] / (1 - b1**t)
    r = ((length - 4) * (length - 2) * longest) / ((longest - 4) * (longest - 2) * length)
    return p - 0.1 * np.sqrt(r) * direction


def lamb(g, p, t, s):
    step = adam_direction(g, t, s, eps=1e-6) + 0.3 * p
    return p - 0.1 * np.linalg.norm(p) / np.linalg.norm(step) * step


def lars(g, p, t, s):
    step = g + 0.3 * p
    rate = 0.2 * np.linalg.norm(p) / np.linalg.norm(step)
    s["m"] = 0.9 * s.get("m", 0) + 0.5 * rate * step
    return p - s["m"]


def lion(g, p, t, s, b1=0.9, b2=0.6):
    p = p - 0.05 * (np.sign(b1 * s.get("m", 0) + (1 - b1) * g) + 0.3 * p)
    s["m"] = b2 * s.get("m", 0) + (1 - b2) * g
    return p


PAPERS = {
    "sgd": (optim.sgd(0.1), lambda g, p, t, s: p - 0.1 * g),
    "momentum": (optim.sgd(0.1, 0.8), momentum),
    "nesterov": (optim.sgd(0.1, 0.8, True), lambda *x: momentum(*x, nesterov=True)),
    "adagrad": (optim.adagrad(0.2), adagrad),
    "rmsprop": (optim.rmsprop(0.05, 0.7), rmsprop),
    "rmsprop_centered": (optim.rmsprop(0.05, 0.7, centered=True), lambda *x: rmsprop(*x, centered=True)),
    "adadelta": (optim.adadelta(1.0, 0.8, 1e-3), adadelta),
    "adam": (optim.adam(0.1, b2=0.99), adam),
    "nadam": (optim.nadam(0.1, b2=0.99), lambda *x: adam(*x, nesterov=True)),
    "amsgrad": (optim.amsgrad(0.1, b2=0.6), lambda *x: adam(*x, b2=0.6, largest=True)),
    "adamw": (optim.adamw(0.1, b2=0.99, weight_decay=0.3), adamw),
    "adamax": (optim.adamax(0.1, b2=0.7), adamax),
    "radam": (optim.radam(0.1, b2=0.8), radam),
    "lamb": (optim.lamb(0.1, b2=0.99, weight_decay=0.3), lamb),
    "lars": (optim.lars(0.5, weight_decay=0.3, trust_coefficient=0.2), lars),
    "lion": (optim.lion(0.05, b2=0.6, weight_decay=0.3), lion),
}


@pytest.mark.parametrize("name", PAPERS)
def test_same_as_the_paper(name):
    optimizer, step = PAPERS[name]
    got = run(optimizer, start(), 12)
    params, memory = start(), {"w": {}, "b": {}}
    for t, found in enumerate(got, 1):
        gradient = ft.grad(loss)(params)
        params = {k: step(np.asarray(gradient[k]), params[k], t, memory[k]) for k in params}
        for k in params:
            np.testing.assert_allclose(found[k], params[k], rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------- convergence


def rosenbrock(p):
    return 100 * (p[1] - p[0] ** 2) ** 2 + (1 - p[0]) ** 2


MINIMIZERS = {
    "sgd": (optim.sgd(0.05), 300),
    "momentum": (optim.sgd(0.02, 0.9), 300),
    "nesterov": (optim.sgd(0.02, 0.9, nesterov=True), 300),
    "adagrad": (optim.adagrad(1.0), 300),
    "rmsprop": (optim.rmsprop(optim.exponential_decay(0.1, 20, 0.5)), 300),
    "adadelta": (optim.adadelta(10.0), 800),
    "adam": (optim.adam(0.1), 600),
    "adamw": (optim.adamw(0.1, weight_decay=0.0), 600),
    "adamax": (optim.adamax(0.1), 600),
    "nadam": (optim.nadam(0.1), 600),
    "radam": (optim.radam(0.1), 600),
    "amsgrad": (optim.amsgrad(0.1), 600),
    "lamb": (optim.lamb(optim.exponential_decay(0.1, 40, 0.5)), 600),
    "lars": (optim.lars(optim.exponential_decay(0.1, 40, 0.5), trust_coefficient=0.5), 600),
    "lion": (optim.lion(optim.exponential_decay(0.1, 40, 0.5), weight_decay=0.0), 600),
    "lbfgs": (optim.lbfgs(1.0, linesearch=None), 40),
}


def minimize(optimizer, objective, params, steps):
    def step(carry, _):
        params, state = carry
        updates, state = optimizer.update(ft.grad(objective)(params), state, params)
        return (optim.apply_updates(params, updates), state), None

    return ft.jit(lambda p: ft.lax.scan(step, (p, optimizer.init(p)), None, steps)[0][0])(params)


@pytest.mark.parametrize("name", MINIMIZERS)
def test_quadratic(name):
    optimizer, steps = MINIMIZERS[name]
    curvatures, minimum = np.array([1.0, 3.0, 10.0]), np.array([1.0, -2.0, 0.5])
    quadratic = lambda p: 0.5 * np.sum(curvatures * (p - minimum) ** 2)
    found = minimize(optimizer, quadratic, np.zeros(3) + 0.1, steps)
    np.testing.assert_allclose(found, minimum, atol=2e-3)


@pytest.mark.parametrize("name", ["adam", "nadam", "amsgrad", "adamax"])
def test_rosenbrock(name):
    rate = 1.0 if name == "amsgrad" else 0.02  # it never forgets the first gradients, which are in the hundreds
    found = minimize(getattr(optim, name)(rate), rosenbrock, np.array([-1.2, 1.0]), 6000)
    np.testing.assert_allclose(found, [1.0, 1.0], atol=1e-2)


# ---------------------------------------------------------------- transformations and dtypes


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_compiled_is_eager(name):
    optimizer = OPTIMIZERS[name]
    eager, compiled = run(optimizer, start(), 4), run(optimizer, start(), 4, ft.jit(optimizer.update))
    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(vector(one), vector(other), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_dtypes_are_kept(name, dtype):
    optimizer, params = OPTIMIZERS[name], start(dtype)
    state = optimizer.init(params)
    updates, following = optimizer.update(ft.grad(loss)(params), state, params)
    assert [u.dtype for u in ft.tree.leaves(updates)] == [dtype, dtype]
    assert [p.dtype for p in ft.tree.leaves(optim.apply_updates(params, updates))] == [dtype, dtype]
    types = lambda tree: ft.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert types(following) == types(state)
    assert {x.dtype for x in ft.tree.leaves(state)} <= {np.dtype(dtype), np.dtype(np.int64)}


def test_learning_rates_in_a_batch():
    rates = np.array([0.01, 0.1, 0.3])
    for factory in (optim.sgd, optim.adam, optim.lamb, optim.lars, optim.radam):
        final = lambda rate, factory=factory: vector(run(factory(rate), start(), 3)[-1])
        got = ft.vmap(final)(rates)
        np.testing.assert_allclose(got, [final(float(rate)) for rate in rates], rtol=1e-12)
        assert ft.jit(lambda r, f=factory: run(f(r), start(np.float32), 1)[-1])(0.1)["w"].dtype == np.float32


def test_other_hyperparameters_may_be_traced():
    def final(decays):
        b1, b2 = decays
        return vector(run(optim.radam(0.1, b1, b2, eps_root=1e-8), start(), 3)[-1])

    betas = np.array([[0.5, 0.9], [0.9, 0.8], [0.1, 0.7]])
    np.testing.assert_allclose(ft.vmap(final)(betas), [final(tuple(b.tolist())) for b in betas], rtol=1e-12)
    ft.testing.check_grads(lambda b: np.sum(final((b[0], b[1]))), (np.array([0.5, 0.8]),), order=1)


@pytest.mark.parametrize(
    "factory",
    [
        lambda rate: optim.sgd(rate, 0.9, nesterov=True),
        lambda rate: optim.adam(rate, eps_root=1e-6),
        lambda rate: optim.lamb(rate, eps_root=1e-6),
        lambda rate: optim.chain(optim.clip_by_global_norm(0.5), optim.adagrad(rate)),
    ],
    ids=["sgd", "adam", "lamb", "adagrad"],
)
def test_derivatives_through_steps(factory):
    ft.testing.check_grads(lambda rate: loss(run(factory(rate), start(), 3)[-1]), (np.array(0.1),), order=1)


def test_steps_from_zero_gradients_have_derivatives():
    """Roots of zero norms have no derivative, but the steps do not depend on them there."""
    for optimizer in (optim.clip_by_global_norm(1.0), optim.scale_by_trust_ratio(), optim.adagrad(0.1, 0.0)):
        step = lambda g, o=optimizer: o.update(g, o.init(np.zeros(2)), np.zeros(2))[0]
        assert np.isfinite(ft.jacrev(step)(np.zeros(2))).all()


@pytest.mark.parametrize("b2", [0.5, 0.6])
def test_radam_with_too_short_an_average_is_momentum(b2):
    unbiased = optim.scale_by_schedule(lambda count: -0.05 / (1 - 0.5 ** (count + 1)))
    momentum = optim.chain(optim.trace(0.5), unbiased)
    got, want = run(optim.radam(0.1, 0.5, b2), start(), 4), run(momentum, start(), 4)
    np.testing.assert_allclose(vector(got[-1]), vector(want[-1]), rtol=1e-12)


def test_states_of_masked_parameters_hold_nothing_for_the_others():
    state = optim.masked(optim.adam(0.1), MASK).init(start())
    assert [x.shape for x in ft.tree.leaves(state)] == [(), (2, 3), (2, 3)]


def test_numbers_as_parameters():
    optimizer = optim.adam(0.1)
    updates, _ = optimizer.update({"x": 3.0}, optimizer.init({"x": 1.0}))
    assert float(optim.apply_updates({"x": 1.0}, updates)["x"]) == pytest.approx(0.9)


def test_empty_and_missing_parameters():
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(0.1))
    for params in ({}, {"w": None}):
        updates, _ = optimizer.update(params, optimizer.init(params))
        assert optim.apply_updates(params, updates) == params


# ---------------------------------------------------------------- errors


def test_missing_params():
    for optimizer in (optim.adamw(0.1), optim.lamb(0.1), optim.lars(0.1), optim.lion(0.1)):
        with pytest.raises(errors.ArgumentError, match="needs the parameters: call update.updates, state, params"):
            optimizer.update(start(), optimizer.init(start()))


def test_other_structure():
    optimizer = optim.adam(0.1)
    with pytest.raises(errors.TreeStructureError, match="scale_by_adam: the structures differ .* updates has a dict"):
        optimizer.update({"w": np.ones(2)}, optimizer.init(start()))
    with pytest.raises(errors.TreeStructureError, match="apply_updates: .* params has a dict"):
        optim.apply_updates(start(), {"w": 1.0})


def test_integer_parameters():
    with pytest.raises(errors.DTypeError, match=r"scale_by_adam takes parameters of real floating dtype, got i64\[2\]"):
        optim.adam(0.1).init({"w": np.arange(2)})


def test_learning_rate():
    with pytest.raises(errors.ArgumentError, match="a number, an array or a schedule, got '0.1'"):
        optim.adam("0.1")


def test_state_of_another_chain():
    with pytest.raises(errors.ArgumentError, match="chain: the state must be that of its 2 transformations"):
        optim.adam(0.1).update(start(), optim.sgd(0.1).init(start()))
