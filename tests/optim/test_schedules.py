"""Schedules against Optax's (`figures.json`), at integers, arrays and traced steps, and in optimizers."""

import json
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
from functrans import errors, optim

FIGURES = json.loads((Path(__file__).parent / "figures.json").read_text())["schedules"]

SCHEDULES = {
    "linear": optim.linear_schedule(1.0, 0.1, 10, 3),
    "polynomial": optim.polynomial_schedule(1.0, 0.1, 3.0, 12, 2),
    "exponential": optim.exponential_decay(1.0, 5, 0.7, 2),
    "staircase": optim.exponential_decay(1.0, 5, 0.7, 2, staircase=True, end_value=0.4),
    "growth": optim.exponential_decay(1.0, 5, 1.5, end_value=2.0),
    "piecewise": optim.piecewise_constant_schedule(1.0, {9: 0.1, 4: 0.5}),
    "cosine": optim.cosine_decay_schedule(2.0, 12, 0.1, 1.5),
    "warmup_constant": optim.warmup_constant_schedule(0.1, 1.0, 6),
    "warmup_cosine": optim.warmup_cosine_decay_schedule(0.1, 1.0, 5, 15, 0.01),
    "warmup_exponential": optim.warmup_exponential_decay_schedule(0.1, 1.0, 4, 3, 0.5, 2, end_value=0.2),
    "sgdr": optim.sgdr_schedule(
        [
            {"init_value": 0.1, "peak_value": 1.0, "warmup_steps": 2, "decay_steps": 6, "end_value": 0.05},
            {"init_value": 0.05, "peak_value": 0.5, "warmup_steps": 3, "decay_steps": 9},
        ]
    ),
    "linear_onecycle": optim.linear_onecycle_schedule(16, 1.0, 0.3, 0.8),
    "cosine_onecycle": optim.cosine_onecycle_schedule(16, 1.0, 0.3),
    "join": optim.join_schedules(
        [optim.constant_schedule(0.3), optim.linear_schedule(1.0, 0.0, 5), optim.cosine_decay_schedule(1.0, 6)], [4, 10]
    ),
}


def test_every_stored_schedule_is_compared():
    assert set(FIGURES) == set(SCHEDULES)


@pytest.mark.parametrize("name", SCHEDULES)
def test_same_as_optax(name):
    schedule, steps = SCHEDULES[name], np.arange(20)
    want = FIGURES[name]
    for got in (
        [float(schedule(k)) for k in range(20)],
        schedule(steps),
        ft.jit(schedule)(steps),
        ft.vmap(schedule)(steps.astype(np.int32)),
    ):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)
        assert np.asarray(got).dtype == np.float64


def test_step_decay_and_constant():
    np.testing.assert_allclose(optim.step_decay(0.5, 3, 0.1)(np.arange(7)), 0.5 * 0.1 ** (np.arange(7) // 3))
    np.testing.assert_array_equal(ft.jit(optim.constant_schedule(0.5))(np.arange(3)), [0.5] * 3)


def test_optimizers_count_from_zero():
    optimizer = optim.sgd(lambda count: 0.1 * (count + 1))
    state, params = optimizer.init(np.zeros(1, np.float32)), np.zeros(1, np.float32)
    sizes = []
    for _ in range(3):
        updates, state = ft.jit(optimizer.update)(np.ones(1, np.float32), state, params)
        assert updates.dtype == np.float32
        sizes.append(float(updates[0]))
    np.testing.assert_allclose(sizes, [-0.1, -0.2, -0.3], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.linear_schedule(1.0, 0.0, 0), "takes a positive transition_steps, got 0"),
        (lambda: optim.exponential_decay(1.0, 5, -0.5), "takes a positive decay_rate, got -0.5"),
        (lambda: optim.cosine_decay_schedule(1.0, -1), "takes a positive decay_steps, got -1"),
        (lambda: optim.step_decay(1.0, 0), "takes a positive step_size, got 0"),
        (lambda: optim.warmup_cosine_decay_schedule(0.0, 1.0, 5, 5), "takes 0 < warmup_steps < decay_steps"),
        (lambda: optim.join_schedules([], []), "got .* for 0 schedules"),
        (lambda: optim.join_schedules([abs, abs, abs], [4, 2]), "increasing boundaries"),
        (lambda: optim.cosine_onecycle_schedule(3, 1.0), r"its phases need a step or more each, .* \[0, 0, 3\]"),
    ],
    ids=range(8),
)
def test_errors(make, message):
    with pytest.raises(errors.ArgumentError, match=message):
        make()
