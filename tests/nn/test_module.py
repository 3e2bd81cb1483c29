"""Modules: what is a leaf, what is structure, what is frozen; and the functions on trees of them."""

import copy
import dataclasses
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, nn, random
from functrans.testing import check_grads

KEY = random.key(0)
X = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)


class Affine(nn.Module):
    """Fields as of a dataclass."""

    weight: Any
    bias: Any = None
    activation: Any = np.tanh
    power: float = nn.field(static=True, default=1.0)

    def __call__(self, x):
        y = x @ self.weight
        return self.activation(y if self.bias is None else y + self.bias) ** self.power


class Net(nn.Module):
    """An `__init__` of its own, and fields that are not declared."""

    def __init__(self, key):
        first, last = random.split(key)
        self.layers = [nn.Linear(3, 4, key=first), nn.relu, nn.Linear(4, 2, key=last)]
        self.scale = np.array(2.0, np.float32)
        self.gain = 1.0
        self.name = "net"
        self.sizes = (3, 4, 2)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.gain * self.scale * x


def paths(tree):
    return [ft.tree_util.keystr(path) for path, _ in ft.tree.leaves_with_path(tree)]


# What is a leaf -------------------------------------------------------------------------------------------------------


def test_arrays_and_modules_are_children():
    model = Net(KEY)
    assert paths(model) == [".layers[0].weight", ".layers[0].bias", ".layers[2].weight", ".layers[2].bias", ".scale"]
    again = ft.tree.map(lambda x: x, model)
    assert (again.name, again.sizes, again.scale, again.gain) == ("net", (3, 4, 2), 2.0, 1.0)
    assert ft.tree.structure(again) == ft.tree.structure(model)
    assert isinstance(model.layers[1], nn.Lambda)


LEAVES = [np.ones(2), np.arange(2), np.array(1.5), fnp.ones(()), [np.zeros(3), 2.0], ft.ShapeDtypeStruct((2,), float)]
STATIC = [
    1, 1.5, 2j, True, "text", np.int64(3), np.float32(1), np.dtype("f4"), np.float32, np.tanh, len, (1, "a")
]  # fmt: skip


@pytest.mark.parametrize("value", LEAVES, ids=repr)
def test_values_that_are_children(value):
    module = Affine(value, None)
    assert len(ft.tree.leaves(module)) == len(ft.tree.leaves(value))


@pytest.mark.parametrize("value", STATIC, ids=repr)
def test_values_that_are_structure(value):
    module = Affine(value, None)
    assert ft.tree.leaves(module) == []
    assert ft.tree.map(lambda x: x, module).weight is value
    assert hash(ft.tree.structure(module)) == hash(ft.tree.structure(Affine(value, None)))


@pytest.mark.parametrize("value", [None, [], {}, ()])
def test_empty_containers_are_children(value):
    module = Affine(np.ones(2), value)
    assert paths(module) == [".weight"]
    assert ft.tree.structure(module) == ft.tree.structure(Affine(np.zeros(3), value))


def test_the_choice_is_made_once():
    """Whatever a transformation puts into the places of leaves, they stay leaves."""
    model = Net(KEY)
    numbers = ft.tree.map(lambda x: 0, model)
    assert len(ft.tree.leaves(numbers)) == 5
    assert ft.tree.structure(numbers) == ft.tree.structure(model)
    stacked = ft.tree.map(lambda x: np.stack([x, x]), model)
    y = ft.vmap(lambda m, x: m(x), in_axes=(numbers, None))(stacked, X)
    np.testing.assert_allclose(y, np.stack([model(X)] * 2), rtol=1e-6)


def test_static_values_of_other_types_are_other_structures():
    one, true, same = (ft.tree.structure(Affine(p)) for p in (1, True, 1))
    assert one != true
    assert one == same


def test_declared_static_fields():
    class Lookup(nn.Module):
        weight: Any
        table: Any = nn.field(static=True)

    assert paths(Lookup(np.ones(2), ft.tree_util.Partial(np.add, np.ones(2)))) == [".weight"]
    with pytest.raises(errors.StaticArgumentError, match=r"field 'power' of Affine is array.* cannot be hashed"):
        Affine(1.0, power=np.ones(2))


def test_lists_of_integers_are_refused():
    with pytest.raises(errors.StaticArgumentError, match=r"field 'weight' of Affine is \[1, 2\].*tuple for a list"):
        Affine([1, 2])


# Classes --------------------------------------------------------------------------------------------------------------


def test_modules_are_dataclasses():
    assert [f.name for f in dataclasses.fields(Affine)] == ["weight", "bias", "activation", "power"]
    assert Affine.__doc__ == "Fields as of a dataclass."
    module = Affine(weight=np.eye(3, dtype=np.float32), bias=0.5, activation=nn.relu)
    np.testing.assert_allclose(module(X), np.maximum(X + 0.5, 0), rtol=1e-6)


def test_signatures():
    assert str(inspect.signature(Net)) == "(key)"
    assert list(inspect.signature(Affine).parameters) == ["weight", "bias", "activation", "power"]
    assert list(inspect.signature(Net(KEY)).parameters) == ["x"]


def test_subclasses_inherit_what_makes_them():
    class Wider(Affine):
        extra: Any = 3.0

    class Other(Net):
        def twice(self, x):
            return 2 * self(x)

    assert paths(Wider(np.ones(2), np.ones(2), extra=np.ones(2))) == [".weight", ".bias", ".extra"]
    assert len(ft.tree.leaves(Other(KEY))) == 5
    np.testing.assert_array_equal(Other(KEY).twice(X), 2 * Net(KEY)(X))


def test_post_init_defaults_and_factories():
    class Layer(nn.Module):
        n: int
        weight: Any = nn.field(default_factory=lambda: np.zeros(2))

        def __post_init__(self):
            self.total = self.n + 1

    class Own(nn.Module):
        n: int = 3
        weight: Any = nn.field(default_factory=lambda: np.zeros(2))

        def __init__(self):
            pass

    assert (Layer(2).total, Own().n, Own().weight.shape) == (3, 3, (2,))


def test_a_field_that_is_not_set():
    class Forgetful(nn.Module):
        weight: Any

        def __init__(self):
            pass

    with pytest.raises(errors.ArgumentError, match="Forgetful.__init__ returned without setting the field 'weight'"):
        Forgetful()


def test_modules_are_frozen():
    model = Net(KEY)
    for change in (
        lambda: setattr(model, "scale", 1.0),
        lambda: setattr(model, "new", 1.0),
        lambda: setattr(ft.tree.map(lambda x: x, model), "scale", 1.0),
    ):
        with pytest.raises(errors.FrozenModuleError, match=r"cannot be assigned.*model.replace\(.*nn.tree_at\("):
            change()
    with pytest.raises(AttributeError, match="'scale' cannot be deleted"):
        del model.scale


def test_replace():
    module = Affine(np.ones(2))
    changed = module.replace(bias=np.zeros(2), activation=nn.relu, power=3)
    assert (module.bias, changed.power, changed.activation) == (None, 3, nn.relu)
    assert paths(changed) == [".weight", ".bias"]
    assert paths(changed.replace(weight=0, bias=None)) == [".weight"]
    assert paths(module.replace(bias=nn.relu)) == [".weight"]
    assert paths(module.replace(bias=3)) == [".weight"]
    with pytest.raises(errors.ArgumentError, match="Affine has no field 'wait'; it has weight, bias, activation, pow"):
        module.replace(wait=1.0)


def test_equality_is_identity():
    a, b = Affine(np.ones(2)), Affine(np.ones(2))
    assert a == a
    assert a != b
    assert len({a, b}) == 2


def test_copies():
    model = nn.Sequential(nn.Linear(3, 2, key=KEY), nn.tanh)
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model), copy.deepcopy(model)):
        assert ft.tree.structure(other) == ft.tree.structure(model)
        np.testing.assert_array_equal(other(X), model(X))
        with pytest.raises(errors.FrozenModuleError):
            other.layers = ()


def test_repr():
    assert repr(nn.Linear(784, 64, key=KEY)) == (
        "Linear(in_features=784, out_features=64, weight=f32[64,784], bias=f32[64])"
    )
    assert repr(Affine({"a": np.ones(2), "b": (1.0,)}, np.dtype("f4"))) == (
        "Affine(weight={'a': f64[2], 'b': (1.0,)}, bias=float32, activation=tanh, power=1.0)"
    )
    assert repr(Net(KEY)) == (
        "Net(\n"
        "  layers=[\n"
        "    Linear(in_features=3, out_features=4, weight=f32[4,3], bias=f32[4]),\n"
        "    Lambda(fn=relu),\n"
        "    Linear(in_features=4, out_features=2, weight=f32[2,4], bias=f32[2]),\n"
        "  ],\n"
        "  scale=f32[],\n"
        "  gain=1.0,\n"
        "  name='net',\n"
        "  sizes=(3, 4, 2),\n"
        ")"
    )
    shown = []
    ft.jit(lambda m: shown.append(repr(m)) or m.weight)(nn.Linear(2, 3, bias=False, key=KEY))
    assert shown == ["Linear(in_features=2, out_features=3, weight=f32[3,2], bias=None)"]


# Transformations ------------------------------------------------------------------------------------------------------


def loss(model, x):
    return fnp.mean(model(x) ** 2)


def test_models_are_arguments_of_every_transformation():
    model = ft.tree.map(lambda x: fnp.asarray(x, np.float64), Net(KEY))
    x = X.astype(np.float64)
    np.testing.assert_allclose(ft.jit(lambda m, x: m(x))(model, x), model(x), rtol=1e-12)
    np.testing.assert_allclose(ft.jit(model)(x), model(x), rtol=1e-12)
    np.testing.assert_allclose(ft.vmap(model)(x), model(x), rtol=1e-12)
    gradient = ft.jit(ft.grad(loss))(model, x)
    assert isinstance(gradient, Net)
    assert ft.tree.structure(gradient) == ft.tree.structure(model)
    check_grads(loss, (model, x), 1)
    (again, _), _ = ft.lax.scan(lambda c, _: ((c[0], c[1] + 1), c[0](x)), (model, 0.0), None, 2)
    np.testing.assert_array_equal(again(x), model(x))


def test_ensembles_are_made_by_vmap():
    keys = random.split(KEY, 4)
    models = ft.vmap(Net)(keys)
    y = ft.vmap(lambda model: model(X))(models)
    np.testing.assert_allclose(y, np.stack([Net(key)(X) for key in keys]), rtol=1e-5, atol=1e-6)


def test_methods_can_be_compiled_where_they_stand():
    class Compiled(Net):
        @ft.jit
        def __call__(self, x):
            return Net.__call__(self, x)

    model = Compiled(KEY)
    np.testing.assert_allclose(model(X), Net(KEY)(X), rtol=1e-5, atol=1e-6)
    assert ft.grad(loss)(model, X).scale == pytest.approx(float(ft.grad(loss)(Net(KEY), X).scale), rel=1e-5)
    assert "Compiled  (5, 2)" in nn.summary(model, (5, 3))


def test_jit_traces_once_for_models_of_one_structure():
    traces = []
    f = ft.jit(lambda model, x: traces.append(1) or model(x))
    for seed in range(3):
        f(Net(random.key(seed)), X)
    assert len(traces) == 1
    f(Net(KEY).replace(name="other"), X)
    assert len(traces) == 2


def test_optimizers_take_models():
    model, target = Net(KEY), np.array([1.0, -1.0], np.float32)
    objective = lambda model: fnp.mean((model(X) - target) ** 2)
    optimizer = ft.optim.adam(0.05)
    state, before = optimizer.init(model), objective(model)
    for _ in range(50):
        updates, state = optimizer.update(ft.grad(objective)(model), state, model)
        model = ft.optim.apply_updates(model, updates)
    assert objective(model) < 0.2 * before


# Parts of trees -------------------------------------------------------------------------------------------------------


class Counting(nn.Module):
    weight: Any
    steps: Any

    def __call__(self, x):
        return x * self.weight + self.steps


def test_partition_and_combine():
    model = Counting(np.ones(3), np.array(2))
    floats, rest = nn.partition(model, nn.is_inexact_array)
    assert (floats.steps, rest.weight) == (None, None)
    both = nn.combine(floats, rest)
    assert both.weight is model.weight
    assert both.steps is model.steps
    assert nn.filter(model, False).weight is None
    spec = ft.tree.map(lambda x: False, model)
    assert nn.filter(model, nn.tree_at(lambda m: m.steps, spec, True)).steps is model.steps
    with pytest.raises(errors.TreeStructureError, match="the filter"):
        nn.partition(model, [True])
    with pytest.raises(errors.ArgumentError, match="tree 1 has another structure"):
        nn.combine([1], [1, 2])


def test_derivatives_by_floating_arrays():
    model, x = Counting(np.ones(3), np.array(2)), np.arange(3.0)
    objective = lambda model, x, scale=1.0: scale * model(x).sum()
    with pytest.raises(errors.IntegerGradError, match="steps"):
        ft.grad(objective)(model, x)
    gradient = nn.filter_grad(objective)(model, x, scale=2.0)
    np.testing.assert_array_equal(gradient.weight, 2 * x)
    assert gradient.steps is None
    value, _ = ft.jit(nn.filter_value_and_grad(objective))(model, x)
    assert value == objective(model, x)
    (_, aux), _ = nn.filter_value_and_grad(lambda m: (objective(m, x), 7.0), has_aux=True)(model)
    gradient, same = nn.filter_grad(lambda m: (objective(m, x), 7.0), has_aux=True)(model)
    assert aux == same == 7.0
    np.testing.assert_array_equal(gradient.weight, x)


def test_tree_at():
    model = Net(KEY)
    zero = nn.tree_at(lambda m: m.layers[0].weight, model, np.zeros((4, 3)))
    np.testing.assert_array_equal(zero.layers[0].weight, 0)
    np.testing.assert_array_equal(zero.layers[0].bias, model.layers[0].bias)
    assert zero.layers[2].weight is model.layers[2].weight
    longer = nn.tree_at(lambda m: m.layers[1], model, nn.Sequential(nn.relu, nn.relu))
    np.testing.assert_array_equal(longer(X), model(X))
    assert isinstance(nn.tree_at(lambda m: m.layers[1], model, nn.gelu).layers[1], nn.Lambda)
    both = nn.tree_at(
        lambda m: [m.scale, m.layers[2]], model, replace_fn=lambda part: ft.tree.map(lambda x: 3 * x, part)
    )
    np.testing.assert_allclose(both(X), 9 * model(X), rtol=1e-6)
    assert nn.tree_at(lambda m: m.bias, Affine(np.ones(2)), 2.0).bias == 2.0
    assert nn.tree_at(lambda t: t["a"], {"a": (1, 2), "b": 3}, None) == {"a": None, "b": 3}
    assert nn.tree_at(lambda t: t, {"a": 1}, 5) == 5


def test_mistakes_with_tree_at():
    model = Net(KEY)
    with pytest.raises(errors.ArgumentError, match=r"where gave 'net', which is no node .*model.replace"):
        nn.tree_at(lambda m: m.name, model, "other")
    with pytest.raises(errors.ArgumentError, match="2 nodes, so replace must be a tuple or list of as many"):
        nn.tree_at(lambda m: (m.scale, m.layers[0].bias), model, 1.0)
    with pytest.raises(errors.ArgumentError, match="one node twice"):
        nn.tree_at(lambda m: (m.scale, m.scale), model, (1.0, 2.0))


def test_inference_mode_reaches_every_layer():
    class Own(nn.Module):
        inner: Any
        inference: bool = False

    model = Own({"a": [nn.Dropout(0.5), nn.Sequential(nn.BatchNorm(2), nn.Dropout(0.1))]})
    still = nn.inference_mode(model)
    first, (norm, last) = still.inner["a"]
    assert still.inference is first.inference is norm.inference is last.inference is True
    assert ft.tree.structure(nn.inference_mode(still, False)) == ft.tree.structure(model)


def test_attributes_that_models_have_elsewhere():
    """The error says what to write; names of no other library get none."""
    model = nn.Sequential(nn.Linear(3, 2, key=KEY))
    for name, remedy in {
        "parameters": "tree.leaves", "forward": "model.x.", "state_dict": "functrans.save", "eval": "nn.inference_mode",
        "fit": "functrans.train.fit", "to": "device_put", "layer": "has no attribute 'layer'$",
    }.items():  # fmt: skip
        with pytest.raises(errors.NoSuchAttributeError, match=remedy):
            getattr(model, name)
        assert not hasattr(model, name)


def test_errors_of_properties_are_their_own():
    class Broken(nn.Module):
        weight: Any

        @property
        def size(self):
            return self.weight.sizes

    with pytest.raises(AttributeError, match="'sizes'"):
        _ = Broken(np.ones(2)).size
