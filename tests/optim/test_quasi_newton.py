"""L-BFGS against Optax and BFGS in matrices; line searches against the conditions that they promise."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
from functrans import errors, optim

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text())["convex"]
A = np.array([[1.0, -0.5, 2.0], [0.3, 1.2, -0.7], [-1.5, 0.4, 0.1], [0.2, -1.0, -0.6]])


def convex(p):
    return np.sum(np.logaddexp(0.0, A @ p["x"] + p["y"])) + 0.1 * (np.sum(p["x"] ** 2) + p["y"] ** 2) ** 2


def rosenbrock(p):
    return np.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lbfgs_plain", {"learning_rate": 0.7, "memory_size": 3}),
        ("lbfgs_unscaled", {"learning_rate": 0.3, "memory_size": 2, "scale_init_precond": False}),
    ],
)
def test_same_as_optax(name, options, jit):
    optimizer = optim.lbfgs(**options, linesearch=None)
    params, path = {"x": np.array([1.0, -2.0, 0.5]), "y": np.array(0.7)}, []
    state, update = optimizer.init(params), ft.jit(optimizer.update) if jit else optimizer.update
    for _ in range(10):
        updates, state = update(ft.grad(convex)(params), state, params)
        params = optim.apply_updates(params, updates)
        path.append(np.append(params["x"], params["y"]))
    np.testing.assert_allclose([path[k] for k in (0, 3, 9)], FIGURES[name], rtol=1e-7)


def test_memory_of_all_steps_is_bfgs():
    """With as much memory as steps, the direction is that of the inverse Hessian that BFGS keeps (6.17)."""
    rng = np.random.default_rng(0)
    hessian = np.diag([1.0, 4.0, 9.0, 20.0])
    scaling = optim.scale_by_lbfgs(5, scale_init_precond=False)
    params, state, inverse, last = rng.normal(size=4), scaling.init(np.zeros(4)), np.eye(4), None
    for _ in range(5):
        gradient = hessian @ params
        direction, state = scaling.update(gradient, state, params)
        if last is not None:
            s, y = params - last[0], gradient - last[1]
            v = np.eye(4) - np.outer(s, y) / (s @ y)
            inverse = v @ inverse @ v.T + np.outer(s, s) / (s @ y)
        np.testing.assert_allclose(direction, inverse @ gradient, rtol=1e-9)
        last, params = (params, gradient), params - 0.1 * direction


def minimize(optimizer, objective, params, steps, get=ft.value_and_grad):
    def step(carry, _):
        params, state = carry
        extra = {"state": state} if get is optim.value_and_grad_from_state else {}
        value, grad = get(objective)(params, **extra)
        updates, state = optimizer.update(grad, state, params, value=value, grad=grad, value_fn=objective)
        return (optim.apply_updates(params, updates), state), value

    return ft.jit(lambda p: ft.lax.scan(step, (p, optimizer.init(p)), None, steps))(params)


SEARCHES = {"zoom": optim.scale_by_zoom_linesearch, "backtracking": optim.scale_by_backtracking_linesearch}


@pytest.mark.parametrize("search", SEARCHES)
def test_rosenbrock(search):
    optimizer = optim.lbfgs(linesearch=SEARCHES[search]())
    (found, _), values = minimize(optimizer, rosenbrock, np.array([-1.2, 1.0, -1.2, 1.0, -1.2]), 100)
    np.testing.assert_allclose(found, np.ones(5), atol=1e-8)
    assert (np.diff(values) <= 1e-20).all()


def test_values_from_the_state():
    start = np.array([-1.2, 1.0])
    (want, _), values = minimize(optim.lbfgs(), rosenbrock, start, 30)
    (got, state), others = minimize(optim.lbfgs(), rosenbrock, start, 30, optim.value_and_grad_from_state)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    np.testing.assert_allclose(others, values, rtol=1e-9, atol=1e-25)
    value, grad = optim.value_and_grad_from_state(rosenbrock)(got, state=state)
    np.testing.assert_allclose(value, rosenbrock(got), atol=1e-25)
    np.testing.assert_allclose(grad, ft.grad(rosenbrock)(got), atol=1e-12)


def test_float32_and_batches():
    starts = np.array([[-1.2, 1.0], [0.5, 2.0], [0.0, 0.0]], np.float32)
    run = lambda p: minimize(optim.lbfgs(), rosenbrock, p, 40)[0][0]
    found = ft.vmap(run)(starts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.ones((3, 2)), atol=2e-3)


def test_at_the_minimum_nothing_moves():
    for search in SEARCHES.values():
        (found, _), _ = minimize(optim.lbfgs(linesearch=search()), lambda p: np.sum((p - 1.0) ** 2), np.ones(3), 3)
        np.testing.assert_array_equal(found, np.ones(3))


# ---------------------------------------------------------------- what searches promise

LINES = {
    "quadratic": lambda p: np.sum((p - 2.0) ** 2),
    "quartic": lambda p: np.sum((p - 0.3) ** 4 + 0.1 * p),
    "waves": lambda p: np.sum(np.sin(3 * p) + 0.1 * p**2),
    "exponential": lambda p: np.sum(np.exp(p) - p),
    "rosenbrock": rosenbrock,
}


def search_along(search, objective, params, scale, jit):
    value, grad = ft.value_and_grad(objective)(params)
    direction = -scale * grad

    def update(direction, params, value, grad):
        return search.update(direction, search.init(params), params, value=value, grad=grad, value_fn=objective)

    updates, state = (ft.jit(update) if jit else update)(direction, params, value, grad)
    t = float(state.learning_rate)
    np.testing.assert_allclose(updates, t * direction, rtol=1e-12)
    slope = float(grad @ direction)
    return t, float(value), slope, params + t * direction, direction, state


@given(st.sampled_from(list(LINES)), st.integers(0, 50), st.sampled_from([1e-3, 0.1, 1.0, 30.0]), st.booleans())
def test_zoom_finds_the_wolfe_conditions(name, seed, scale, jit):
    params, objective = np.random.default_rng(seed).normal(size=3), LINES[name]
    search = optim.scale_by_zoom_linesearch(max_linesearch_steps=50, curv_rtol=0.5, approx_dec_rtol=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        t, value, slope, there, direction, state = search_along(search, objective, params, scale, jit)
    assert t > 0
    assert float(objective(there)) <= value + 1e-4 * t * slope + 1e-12
    assert abs(float(ft.grad(objective)(there) @ direction)) <= 0.5 * abs(slope) * (1 + 1e-9)
    np.testing.assert_allclose(state.value, objective(there), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(state.grad, ft.grad(objective)(there), rtol=1e-9, atol=1e-9)


@given(st.sampled_from(list(LINES)), st.integers(0, 50), st.sampled_from([1e-3, 0.1, 1.0, 30.0]), st.booleans())
def test_backtracking_takes_the_first_that_will_do(name, seed, scale, jit):
    params, objective = np.random.default_rng(seed).normal(size=3), LINES[name]
    search = optim.scale_by_backtracking_linesearch(max_backtracking_steps=60, decrease_factor=0.7)
    with np.errstate(over="ignore", invalid="ignore"):
        t, value, slope, _, direction, _ = search_along(search, objective, params, scale, jit)
        enough = lambda t: float(objective(params + t * direction)) <= value + 1e-4 * t * slope
        tried = [0.7**k for k in range(60)]
        np.testing.assert_allclose(t, next(t for t in tried if enough(t)), rtol=1e-12)


def test_no_decrease_no_step():
    """Along a direction that only ascends, or into NaN, the parameters stay where they are."""
    params, objective = np.ones(2), lambda p: np.sum(p**2)
    beyond = lambda p: np.where(p[0] >= 1.0, np.sum(p**2), np.nan)
    for search in (factory() for factory in SEARCHES.values()):
        for function, direction in ((objective, np.ones(2)), (beyond, -np.ones(2))):
            value, grad = ft.value_and_grad(objective)(params)
            extra = {"value": value, "grad": grad, "value_fn": function}
            updates, _ = search.update(direction, search.init(params), params, **extra)
            np.testing.assert_array_equal(updates, [0.0, 0.0])


def test_largest_rate():
    search = optim.scale_by_zoom_linesearch(max_learning_rate=3.0)
    line = lambda p: -np.sum(p)
    updates, state = search.update(
        np.ones(1), search.init(np.zeros(1)), np.zeros(1), value=0.0, grad=-np.ones(1), value_fn=line
    )
    assert (float(updates[0]), float(state.learning_rate)) == (3.0, 3.0)


def test_infinite_values_on_the_way():
    """Steps out of the domain of a logarithm are shortened."""
    objective = lambda p: p[0] - np.log(np.maximum(p[0], 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        (found, _), _ = minimize(optim.lbfgs(scale_init_precond=False), objective, np.array([0.05]), 15)
    np.testing.assert_allclose(found, [1.0], rtol=1e-6)


def test_errors():
    params = np.ones(2)
    for search in (factory() for factory in SEARCHES.values()):
        with pytest.raises(errors.ArgumentError, match="looks along the line: call update.*value=, grad=, value_fn="):
            search.update(params, search.init(params), params)
        with pytest.raises(errors.ArgumentError, match="needs the parameters"):
            search.update(params, search.init(params))
    with pytest.raises(errors.ArgumentError, match="1 or more steps, got memory_size=0"):
        optim.lbfgs(memory_size=0)
    with pytest.raises(errors.ArgumentError, match="takes 0 < slope_rtol < curv_rtol < 1, got 0.5 and 0.1"):
        optim.scale_by_zoom_linesearch(slope_rtol=0.5, curv_rtol=0.1)
    with pytest.raises(errors.ArgumentError, match="decrease_factor in .0, 1."):
        optim.scale_by_backtracking_linesearch(decrease_factor=1.5)
    with pytest.raises(errors.ArgumentError, match="the state of one zoom line search, and found 0"):
        optim.value_and_grad_from_state(rosenbrock)(params, state=optim.adam(0.1).init(params))
