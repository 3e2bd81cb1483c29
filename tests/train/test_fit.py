"""`fit` is the loop that one would write by hand, and may be stopped and gone on with anywhere."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import functrans as ft
from functrans import nn, optim, train

cross_entropy = functools.partial(ft.losses.categorical_cross_entropy, from_logits=True)
rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4)).astype(np.float32)
CLASSES = (X @ rng.normal(size=(4, 3))).argmax(1)
Y = X[:, :1] ** 2


def mlp(out=3):
    return nn.MLP(4, out, width=8, depth=1, key=ft.random.key(1))


def fit(model, data, loss=cross_entropy, optimizer=None, epochs=1, **options):
    return train.fit(model, data, loss, optimizer or ADAM, epochs, progress=False, **options)


ADAM = optim.adam(1e-2)


def assert_same(a, b):
    leaves, treedef = ft.tree.flatten(a)
    others, other_treedef = ft.tree.flatten(b)
    assert treedef == other_treedef
    for x, y in zip(leaves, others):
        assert_array_equal(x, y)


def test_is_the_loop_written_by_hand():
    model, state = mlp(), ADAM.init(mlp())
    losses = []
    for _ in range(3):
        total = 0.0
        for i in range(0, 50, 16):
            x, y = X[i : i + 16], CLASSES[i : i + 16]
            value, gradient = ft.value_and_grad(lambda m, x, y: cross_entropy(m(x), y))(model, x, y)
            updates, state = ADAM.update(gradient, state, model)
            model = optim.apply_updates(model, updates)
            total += len(x) * float(value)
        losses.append(total / 50)
    trained = fit(mlp(), (X, CLASSES), epochs=3, batch_size=16, shuffle=False)
    assert_allclose(trained.history["loss"], losses, rtol=1e-6)
    for own, by_hand in zip(ft.tree.leaves(trained.model), ft.tree.leaves(model)):
        assert_allclose(own, by_hand, rtol=2e-5, atol=1e-6)
    assert trained.history["epoch"] == [1, 2, 3]
    assert not trained.interrupted


def test_each_epoch_has_every_example_once_and_in_an_order_of_its_own():
    seen = []

    def loss(predictions, y):
        ft.io_callback(lambda y: seen.append(np.array(y)), None, y)
        return (predictions**2).mean()

    numbers = np.arange(50)
    fit(mlp(), (X, numbers), loss, epochs=2, batch_size=16)
    first, second = np.concatenate(seen[:4]), np.concatenate(seen[4:])
    assert [len(batch) for batch in seen] == [16, 16, 16, 2] * 2
    assert_array_equal(np.sort(first), numbers)
    assert_array_equal(np.sort(second), numbers)
    assert (first != numbers).any()
    assert (first != second).any()


def stateful():
    first, last = ft.random.split(ft.random.key(3))
    return nn.Sequential(
        nn.Linear(4, 8, key=first), nn.BatchNorm(8), nn.relu, nn.Dropout(0.2), nn.Linear(8, 3, key=last)
    )


@pytest.mark.parametrize("model", [mlp, stateful])
def test_training_goes_on_to_the_bit(model, tmp_path):
    whole = fit(model(), (X, CLASSES), epochs=4, batch_size=16)
    part = fit(model(), (X, CLASSES), epochs=2, batch_size=16)
    assert_same(fit(part.state, (X, CLASSES), epochs=4, batch_size=16).state, whole.state)
    ft.save(tmp_path / "state.safetensors", part.state)
    read = ft.load(tmp_path / "state.safetensors", like=train.TrainState.create(model(), ADAM))
    again = fit(read, (X, CLASSES), epochs=4, batch_size=16)
    assert_same(again.state, whole.state)
    assert again.history["epoch"] == [3, 4]
    assert again.history["loss"] == whole.history["loss"][2:]


@pytest.mark.parametrize("at", range(1, 9))
def test_interrupted_anywhere_keeps_what_is_done(at):
    batches = [(X[i : i + 16], CLASSES[i : i + 16]) for i in range(0, 50, 16)]

    class Interrupted:
        count = 0

        def __iter__(self):
            for batch in batches:
                self.count += 1
                if self.count == at:
                    raise KeyboardInterrupt
                yield batch

    part = fit(stateful(), Interrupted(), epochs=2)
    assert part.interrupted
    assert part.state.epoch * 4 + part.state.batch == at - 1
    assert part.history["epoch"] == list(range(1, part.state.epoch + 1))
    assert_same(fit(part.state, batches, epochs=2).state, fit(stateful(), batches, epochs=2).state)


def test_interrupted_in_the_validation():
    class Interrupted:
        def __iter__(self):
            raise KeyboardInterrupt
            yield

    def spread(y, p):
        return p.std()

    part = fit(mlp(), (X, CLASSES), epochs=2, validation_data=Interrupted(), metrics=[spread], batch_size=25)
    assert part.interrupted
    assert (part.state.epoch, part.state.batch) == (0, 2)
    rest = fit(part.state, (X, CLASSES), epochs=1, batch_size=25, metrics=[spread])
    assert np.isnan([rest.history["loss"], rest.history["spread"]]).all()  # no batch of this epoch was left
    assert_same(rest.model, fit(mlp(), (X, CLASSES), epochs=1, batch_size=25).model)


def test_metrics_are_those_of_the_whole_epoch():
    def macro_f1(y, p):
        return ft.metrics.f1(y, p.argmax(-1), average="macro")

    model, frozen = mlp(), optim.sgd(0.0)
    trained = fit(
        model,
        (X, CLASSES),
        optimizer=frozen,
        batch_size=16,
        metrics=["accuracy", macro_f1],
        validation_data=(X, CLASSES),
    )
    scores = model(X)
    expected = {
        "loss": cross_entropy(scores, CLASSES),
        "accuracy": np.mean(scores.argmax(1) == CLASSES),
        "macro_f1": ft.metrics.f1(CLASSES, scores.argmax(1), average="macro"),
    }
    assert list(trained.history) == ["epoch", *expected, *(f"val_{name}" for name in expected)]
    for name, value in expected.items():
        assert_allclose(trained.history[name], [value], rtol=1e-6)
        assert_allclose(trained.history[f"val_{name}"], [value], rtol=1e-6)
    found = train.evaluate(model, (X, CLASSES), cross_entropy, {"f1": macro_f1, "a": "accuracy"}, batch_size=7)
    assert list(found) == ["loss", "f1", "a"]
    assert_allclose(list(found.values()), [expected["loss"], expected["macro_f1"], expected["accuracy"]], rtol=1e-6)


def test_weights():
    model, weights = mlp(1), rng.uniform(size=50)
    names = ["mse", "mae", "r2"]
    found = train.evaluate(model, (X, Y[:, 0], weights), batch_size=16, metrics={
        "mse": lambda y, p, weights: ft.metrics.mse(y, p[:, 0], weights=weights),
        "r2": lambda y, p, weights: ft.metrics.r2(y, p[:, 0], weights=weights),
    })  # fmt: skip
    predicted = model(X)[:, 0]
    assert_allclose(found["mse"], np.average((predicted - Y[:, 0]) ** 2, weights=weights), rtol=1e-6)
    assert_allclose(found["r2"], ft.metrics.r2(Y[:, 0], predicted, weights=weights), rtol=1e-6)

    class Column(nn.Module):
        inner: nn.Module

        def __call__(self, x):
            return self.inner(x)[:, 0]

    found = train.evaluate(Column(model), (X, Y[:, 0], weights), "mean_squared_error", names, batch_size=16)
    assert_allclose(found["loss"], np.average((predicted - Y[:, 0]) ** 2, weights=weights), rtol=1e-5)
    for name in names:
        assert_allclose(found[name], getattr(ft.metrics, name)(Y[:, 0], predicted, weights=weights), rtol=1e-5)
    masked = weights > 0.5
    with_mask = fit(Column(model), (X, Y[:, 0], masked), "mean_squared_error", batch_size=50)
    without = fit(Column(model), (X[masked], Y[masked, 0]), "mean_squared_error", batch_size=50)
    assert_allclose(with_mask.history["loss"], without.history["loss"], rtol=1e-6)


@pytest.mark.parametrize("outputs", [1, 3, 10], ids=str)
def test_weights_of_examples_are_those_of_their_elements(outputs):
    """Also where the batch has as many examples as there are outputs."""
    model, weights = mlp(outputs), rng.uniform(size=50)
    targets = rng.normal(size=(50, outputs))
    predicted = np.asarray(model(X))
    squared, absolute = (predicted - targets) ** 2, abs(predicted - targets)
    loss = functools.partial(ft.losses.huber, delta=np.inf)
    found = train.evaluate(model, (X, targets, weights), loss, ["mse", "mae"], batch_size=10)
    mean = lambda values: np.average(values.mean(1), weights=weights)
    assert_allclose(list(found.values()), [0.5 * mean(squared), mean(squared), mean(absolute)], rtol=1e-5)
    each = rng.uniform(size=(50, outputs))
    found = train.evaluate(model, (X, targets, each), "mean_absolute_error", batch_size=50)
    assert_allclose(found["loss"], np.average(absolute, weights=each), rtol=1e-5)


def test_weights_of_sequences():
    """Accuracy of labels for each time, with a weight for each sequence."""

    class Sequences(nn.Module):
        inner: nn.Module

        def __call__(self, x):
            return self.inner(x).reshape(-1, 5, 3)

    model, weights = Sequences(mlp(15)), rng.uniform(size=50)
    labels = rng.integers(0, 3, (50, 5))
    found = train.evaluate(model, (X, labels, weights), cross_entropy, "accuracy", batch_size=5)
    right = (np.asarray(model(X)).argmax(-1) == labels).mean(1)
    assert_allclose(found["accuracy"], np.average(right, weights=weights), rtol=1e-6)


def test_functions_without_weights_do_without():
    found = train.evaluate(mlp(), (X, CLASSES, rng.uniform(size=50)), cross_entropy, {"one": lambda y, p: 1.0})
    assert found["one"] == 1.0

    def plain(p, y):
        return ft.numpy.mean(p)

    with pytest.raises(ft.errors.ArgumentError, match=r"must take them: plain\(predictions, targets, weights="):
        fit(mlp(), (X, CLASSES, np.ones(50)), plain)


def test_the_last_batch_may_be_left_out():
    sizes = []

    def loss(p, y):
        sizes.append(p.shape[0])  # once for each shape: the step is traced
        return cross_entropy(p, y)

    trained = fit(mlp(), (X, CLASSES), loss, batch_size=16, drop_last=True, epochs=2)
    assert set(sizes) == {16}
    by_hand = fit(mlp(), [(X[:16], CLASSES[:16]), (X[16:32], CLASSES[16:32]), (X[32:48], CLASSES[32:48])])
    in_order = fit(mlp(), (X, CLASSES), batch_size=16, drop_last=True, shuffle=False)
    assert_same(by_hand.model, in_order.model)
    assert trained.state.epoch == 2
    with pytest.raises(ft.errors.ArgumentError, match="drop_last leaves nothing of 50 examples, a batch has 64"):
        fit(mlp(), (X, CLASSES), batch_size=64, drop_last=True)


def test_gathered_gradients():
    """`MultiSteps` is an optimizer like others."""
    whole = fit(mlp(), (X, CLASSES), epochs=2, batch_size=50, shuffle=False)
    halves = fit(mlp(), (X, CLASSES), optimizer=optim.MultiSteps(ADAM, 2), epochs=2, batch_size=25, shuffle=False)
    for a, b in zip(ft.tree.leaves(whole.model), ft.tree.leaves(halves.model)):
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 50))
@settings(max_examples=15, deadline=None)
def test_predict_is_the_model_in_pieces(n, batch_size):
    model = mlp()
    assert_allclose(train.predict(model, X[:n], batch_size=batch_size), model(X[:n]), rtol=1e-5, atol=1e-6)


def test_predict_of_trees_and_of_batches():
    class Two(nn.Module):
        a: nn.Module

        def __call__(self, inputs):
            return {"scores": self.a(inputs["x"]), "sum": inputs["z"].sum(1)}

    model = Two(mlp())
    out = train.predict(model, {"x": X, "z": Y}, batch_size=16)
    assert_allclose(out["scores"], model.a(X), rtol=1e-5, atol=1e-6)
    assert_array_equal(out["sum"], Y[:, 0])
    parts = train.predict(model.a, (X[i : i + 20] for i in range(0, 50, 20)))
    assert_allclose(parts, model.a(X), rtol=1e-5, atol=1e-6)
    assert train.predict(model.a, X[:1]).shape == (1, 3)


def test_layers_with_keys_and_state():
    model = stateful()
    a, b = (fit(model, (X, CLASSES), epochs=2, key=ft.random.key(5)) for _ in range(2))
    assert_same(a.state, b.state)
    c = fit(model, (X, CLASSES), epochs=2, shuffle=False, key=ft.random.key(6))
    d = fit(model, (X, CLASSES), epochs=2, shuffle=False, key=ft.random.key(7))
    assert (c.model[0].weight != d.model[0].weight).any()  # other places dropped
    assert int(a.state.model_state.values[0].count) == 4
    once, twice = (train.predict(a.state, X) for _ in range(2))
    assert_array_equal(once, twice)
    expected, _ = nn.inference_mode(a.model)(X, a.state.model_state)
    assert_allclose(once, expected, rtol=1e-5, atol=1e-6)
    assert_allclose(
        train.evaluate(a.state, (X, CLASSES), metrics=["accuracy"])["accuracy"], np.mean(expected.argmax(1) == CLASSES)
    )
    with pytest.raises(ft.errors.ArgumentError, match="layers that remember something"):
        train.predict(a.model, X)


def test_arrays_of_integers_are_not_trained():
    class Table(nn.Module):
        order: ft.Array
        scale: ft.Array

        def __call__(self, x):
            return x[:, self.order] * self.scale

    trained = fit(Table(np.array([3, 2]), np.ones(2, np.float32)), (X, X[:, :2]), "mean_squared_error", epochs=3)
    assert_array_equal(trained.model.order, [3, 2])
    assert trained.model.order.dtype == np.int64
    assert (trained.model.scale != 1).all()


def test_batches_of_any_iterable():
    class Loader:
        """As PyTorch's: lists of tensors, which NumPy can read."""

        def __iter__(self):
            for i in range(0, 50, 25):
                yield [Tensor(X[i : i + 25]), Tensor(CLASSES[i : i + 25])]

    class Tensor:
        def __init__(self, values):
            self.values = values

        def __array__(self, dtype=None, copy=None):
            return self.values

    expected = fit(mlp(), (X, CLASSES), epochs=2, batch_size=25, shuffle=False)
    assert_same(fit(mlp(), Loader(), epochs=2).state, expected.state)
    assert_same(fit(mlp(), list(Loader()), epochs=2).state, expected.state)
    assert_same(fit(mlp(), lambda: iter(Loader()), epochs=2).state, expected.state)
    once = fit(mlp(), iter(Loader()), epochs=1)
    assert once.history["loss"] == expected.history["loss"][:1]


def test_line_searches_get_what_they_need():
    model, targets = nn.Linear(4, 2, key=ft.random.key(0)), X @ rng.normal(size=(4, 2))
    trained = fit(model, (X, targets), "mean_squared_error", optim.lbfgs(), epochs=20, batch_size=50)
    assert trained.history["loss"][-1] < 1e-8 * trained.history["loss"][0]


def test_a_second_training_traces_nothing():
    traces = []

    def loss(predictions, y):
        traces.append(1)
        return cross_entropy(predictions, y)

    fit(mlp(), (X, CLASSES), loss, batch_size=25, metrics=["accuracy"], validation_data=(X, CLASSES))
    first = len(traces)
    fit(mlp(), (X, CLASSES), loss, epochs=3, batch_size=25, metrics=["accuracy"], validation_data=(X, CLASSES))
    assert len(traces) == first > 0


def test_early_stopping():
    values = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 2.0, 0.0])
    states = []

    def falling(y, p):
        return next(values)

    def watch(epoch):
        states.append(epoch.state)

    stopping = train.EarlyStopping("falling", patience=2)
    trained = fit(mlp(), (X, CLASSES), epochs=8, metrics=[falling], callbacks=[watch, stopping])
    assert trained.history["falling"] == [3.0, 2.0, 2.5, 1.0, 1.5, 1.0]
    assert_same(trained.state, states[3])
    values = iter([3.0, np.nan, np.nan, 1.0])
    last = train.EarlyStopping("falling", patience=2, restore_best=False)
    trained = fit(mlp(), (X, CLASSES), epochs=8, metrics=[falling], callbacks=[last])
    assert trained.state.epoch == 3


def test_early_stopping_by_accuracy_takes_more_for_better():
    values = iter([0.1, 0.2, 0.3, 0.1, 0.1, 0.9])
    metrics = {"my_accuracy": lambda y, p: next(values)}
    stopping = train.EarlyStopping("my_accuracy", patience=2)
    trained = fit(mlp(), (X, CLASSES), epochs=6, metrics=metrics, callbacks=stopping)
    assert trained.state.epoch == 3
    assert len(trained.history["epoch"]) == 5


def test_checkpoints(tmp_path):
    values = iter([3.0, 1.0, 2.0])
    best = train.Checkpoint(tmp_path / "new" / "best.safetensors", monitor="chosen")
    each = train.Checkpoint(tmp_path / "epoch-{epoch}.safetensors", every=2)
    trained = fit(
        stateful(), (X, CLASSES), epochs=3, metrics={"chosen": lambda y, p: next(values)}, callbacks=[best, each]
    )
    like = train.TrainState.create(stateful(), ADAM)
    assert ft.load(tmp_path / "new" / "best.safetensors", like).epoch == 2
    assert ft.serialization.read_metadata(tmp_path / "new" / "best.safetensors")["logs"]["chosen"] == 1.0
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["epoch-2.safetensors"]
    read = ft.load(tmp_path / "epoch-2.safetensors", like)
    assert_same(fit(read, (X, CLASSES), epochs=3).state, trained.state)


def test_functions_as_callbacks():
    trained = fit(mlp(), (X, CLASSES), epochs=9, callbacks=lambda epoch: epoch.number == 2)
    assert trained.history["epoch"] == [1, 2]


def test_progress(capsys, monkeypatch):
    train.fit(mlp(), (X, CLASSES), cross_entropy, ADAM, 2, metrics=["accuracy"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "  accuracy 0." in lines[1]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    train.fit(mlp(), (X, CLASSES), cross_entropy, ADAM, 1)
    shown = capsys.readouterr().err
    assert "2/2" not in shown.splitlines()[-1]
    assert "epoch 1/1  loss" in shown
    train.fit(mlp(), (X, CLASSES), cross_entropy, ADAM, 1, progress=False)
    assert capsys.readouterr().err == ""


def test_a_loss_that_is_not_finite_is_told_once():
    logarithm_of_negatives = lambda predictions, targets: np.log(predictions.min() - 100)
    with pytest.warns(RuntimeWarning, match="the loss is nan in epoch 1. .* from_logits=True") as told:
        trained = fit(mlp(), (X, CLASSES), logarithm_of_negatives, epochs=3)
    assert len(told) == 1
    assert trained.history["epoch"] == [1, 2, 3]


def test_printed_in_a_line():
    trained = fit(mlp(), (X, CLASSES), metrics=["accuracy"])
    loss, accuracy = trained.history["loss"][0], trained.history["accuracy"][0]
    assert repr(trained) == f"Trained(MLP, epoch=1, loss={loss:.4g}, accuracy={accuracy:.4g})"


def test_history(tmp_path):
    trained = fit(mlp(), (X, CLASSES), epochs=3, metrics=["accuracy"], validation_data=(X, CLASSES))
    figure = trained.history.plot(tmp_path / "curves.png")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
    line, validation = figure.axes[0].lines
    assert_array_equal(line.get_xydata(), np.transpose([[1, 2, 3], trained.history["loss"]]))
    assert_array_equal(validation.get_ydata(), trained.history["val_loss"])
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert len(repr(trained.history).splitlines()) == 4
    with pytest.raises(KeyError, match="the history has epoch, loss"):
        trained.history["acuracy"]


class Forward(nn.Module):
    """What somebody who knows PyTorch may write."""

    inner: nn.Module

    def forward(self, x):
        return self.inner(x)


MISTAKES = {
    "model": (lambda: fit(lambda x: x, (X, CLASSES)), "has no arrays"),
    "parameters": (lambda: fit({"w": X}, (X, CLASSES)), "must be a module"),
    "loss": (lambda: fit(mlp(), (X, CLASSES), "cross_entropy"), "there is no loss 'cross_entropy'"),
    "loss type": (lambda: fit(mlp(), (X, CLASSES), 3), "the loss must be a function"),
    "optimizer": (lambda: fit(mlp(), (X, CLASSES), optimizer=optim.adam), r"one of .*; call it: adam\(learning_rate"),
    "epochs type": (lambda: fit(mlp(), (X, CLASSES), epochs=ADAM), "epochs must be an integer, 0 or more, got Grad"),
    "list": (lambda: fit(mlp(), [X, CLASSES]), r"inputs and targets as whole arrays are a tuple, \(x, y\)"),
    "forward": (lambda: fit(Forward(mlp()), (X, CLASSES)), "name its method `forward` `__call__`"),
    "epochs": (lambda: fit(mlp(), (X, CLASSES), epochs=-1), "epochs must be an integer, 0 or more, got -1"),
    "batch size": (lambda: fit(mlp(), (X, CLASSES), batch_size=0), "batch_size must be 1 or more"),
    "lengths": (lambda: fit(mlp(), (X, CLASSES[1:])), "different numbers of examples, .49, 50."),
    "scalars": (lambda: fit(mlp(), (X, 3)), "one has no axes"),
    "empty": (lambda: fit(mlp(), (X[:0], CLASSES[:0])), "has no examples"),
    "array": (lambda: fit(mlp(), X), "must be a tuple .inputs, targets. of arrays"),
    "one": (lambda: fit(mlp(), (X,)), "got 1 parts"),
    "text": (lambda: fit(mlp(), (X, ["a"] * 50)), "must be arrays of numbers"),
    "batches": (lambda: fit(mlp(), [X, CLASSES]), "each batch of data must be a tuple"),
    "no batches": (lambda: fit(mlp(), []), "gave no batches in epoch 1"),
    "iterator": (lambda: fit(mlp(), iter([(X, CLASSES)]), epochs=2), "is an iterator, list_it.* the function that"),
    "metric": (lambda: fit(mlp(), (X, CLASSES), metrics=["f1"]), "there is no metric 'f1' by name"),
    "metric type": (lambda: fit(mlp(), (X, CLASSES), metrics={"a": 3}), "the metric 'a' must be a function"),
    "metrics": (lambda: fit(mlp(), (X, CLASSES), metrics=3), "metrics must be a sequence"),
    "metric name": (lambda: fit(mlp(), (X, CLASSES), metrics={"loss": "mse"}), "cannot be named 'loss'"),
    "two metrics": (lambda: fit(mlp(), (X, CLASSES), metrics=["mse", "mse"]), "two metrics have one name"),
    "binary accuracy": (
        lambda: fit(mlp(1), (X, Y), "mean_squared_error", metrics=["accuracy"]), "For two classes by one number",
    ),
    "callback": (lambda: fit(mlp(), (X, CLASSES), callbacks=[train.EarlyStopping]), "a callback must be"),
    "monitor": (
        lambda: fit(mlp(), (X, CLASSES), callbacks=[train.EarlyStopping()]), "no 'val_loss' to monitor, only loss",
    ),
    "mode": (lambda: train.EarlyStopping(mode="up"), "mode is 'auto', 'min' or 'max'"),
    "patience": (lambda: train.EarlyStopping(patience=-1), "patience must be 0 or more"),
    "every": (lambda: train.Checkpoint("x", every=0), "every must be 1 or more"),
    "path": (lambda: fit(mlp(), (X, CLASSES), callbacks=[train.Checkpoint("{step}")]), "names 'step', which is none"),
    "key": (lambda: fit(fit(mlp(), (X, CLASSES)).state, (X, CLASSES), key=ft.random.key(1)), "has its own key"),
    "nothing to evaluate": (lambda: train.evaluate(mlp(), (X, CLASSES)), "needs a loss or metrics"),
    "no inputs": (lambda: train.predict(mlp(), iter([])), "there are no inputs"),
    "predict size": (lambda: train.predict(mlp(), X, batch_size=0), "batch_size must be 1 or more"),
    "state": (lambda: fit(Stateful(nn.BatchNorm(4)), (X, CLASSES)), "must return .predictions, state."),
}  # fmt: skip


class Stateful(nn.Module):
    norm: nn.Module

    def __call__(self, x, state):
        return self.norm(x, state)[0]


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    call, text = MISTAKES[name]
    with pytest.raises((ft.errors.ArgumentError, ft.errors.ShapeError, ft.errors.DTypeError), match=text):
        call()
