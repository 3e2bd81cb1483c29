"""When the learning rate falls: at the steps at which Optax's does (0.2.8, `contrib.reduce_on_plateau`)."""

import numpy as np
import pytest

import functrans as ft
from functrans import errors, optim

VALUES = np.round(np.concatenate([np.linspace(2, 1, 15), 1 + 0.01 * np.random.default_rng(0).normal(size=40)]), 3)
#: Optax's: the step of each reduction and the scale from then on.
CASES = [
    ({"patience": 2, "cooldown": 3, "factor": 0.5}, [(19, 0.5), (27, 0.25), (32, 0.125), (37, 0.0625), (42, 0.03125),
                                                     (47, 0.015625), (52, 0.0078125)]),
    ({"patience": 2, "accumulation_size": 4, "factor": 0.5, "min_scale": 0.3}, [(36, 0.5), (44, 0.3)]),
    ({"patience": 4, "rtol": 0.05, "cooldown": 1, "factor": 0.5}, [(19, 0.5), (24, 0.25), (29, 0.125), (34, 0.0625),
                                                                   (39, 0.03125), (44, 0.015625), (49, 0.0078125),
                                                                   (54, 0.00390625)]),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(CASES)))
def test_reductions(case):
    options, wanted = CASES[case]
    optimizer = optim.reduce_on_plateau(**options)
    update = ft.jit(lambda state, value: optimizer.update(np.ones(1), state, value=value))
    state, scale, found = optimizer.init(np.ones(1)), 1.0, []
    for step, value in enumerate(VALUES, 1):
        (new,), state = update(state, value)
        if new != scale:
            found.append((step, pytest.approx(float(new))))
        scale = new
    assert found == wanted


def test_in_a_training():
    """The loss of a constant target cannot fall below its floor, so after the first epochs steps get shorter."""
    x, y = np.ones((8, 1), np.float32), np.arange(8, dtype=np.float32)[:, None]
    optimizer = optim.chain(optim.sgd(0.1), optim.reduce_on_plateau(0.5, patience=2, rtol=1e-3, accumulation_size=2))
    model = ft.nn.Linear(1, 1, key=ft.random.key(0))
    trained = ft.train.fit(
        model, (x, y), "mean_squared_error", optimizer, epochs=40, batch_size=4, shuffle=False, progress=False
    )
    state = trained.state.optimizer_state[-1]
    assert state.scale < 0.1
    assert trained.model.weight.dtype == np.float32


def test_mistakes():
    with pytest.raises(errors.ArgumentError, match="got factor=2"):
        optim.reduce_on_plateau(2)
    with pytest.raises(errors.ArgumentError, match="patience=0"):
        optim.reduce_on_plateau(patience=0)
    optimizer = optim.reduce_on_plateau()
    with pytest.raises(errors.ArgumentError, match="needs the loss: call update.updates, state, params, value=loss"):
        optimizer.update(np.ones(1), optimizer.init(np.ones(1)))
