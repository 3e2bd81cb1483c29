"""What is exported and read back computes the same; what is damaged is an error, and nothing in a file is executed."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load, save
from samples import samples

import functrans as ft
import functrans.numpy as fnp
from functrans import checking, errors, lax
from functrans.core.check import check_jaxpr
from functrans.core.primitive import registry
from functrans.export import deserialize, export
from functrans.testing.comparison import difference

#: They call Python's functions, or exist within `vmap` alone.
CALLBACKS = {"pure_callback", "io_callback", "debug_callback", "axis_index", "custom_pullback"}
NAMES = sorted(set(registry) - CALLBACKS)
SOURCE = re.compile(r"source=Source\(.*?\)")  # lines of the user's program, which files do not tell


def again(exported):
    return deserialize(exported.serialize())


def leaves(fun):
    return lambda *args: ft.tree.leaves(fun(*args))


@pytest.mark.parametrize("name", NAMES)
def test_every_primitive(name):
    """The program that is read is, to the letter, the one that was written, and computes what the function does."""
    for sample in list(samples(name))[:2]:
        written = export(leaves(sample.fun))(*sample.args)
        read = again(written)
        check_jaxpr(read.jaxpr.jaxpr)
        assert str(read.jaxpr) == SOURCE.sub("source=None", str(written.jaxpr))
        assert read.in_info == written.in_info
        assert [c.dtype for c in read.jaxpr.consts] == [c.dtype for c in written.jaxpr.consts]
        for got, wanted in zip(read.jaxpr.consts, written.jaxpr.consts, strict=True):
            np.testing.assert_array_equal(got, wanted)


def model_and_data():
    key = ft.random.key(0)
    model = ft.nn.Sequential(
        ft.nn.Conv2d(1, 4, 3, key=key), ft.nn.relu, ft.nn.MaxPool2d(2), ft.nn.Flatten(), ft.nn.Linear(36, 3, key=key)
    )
    return model, np.random.default_rng(0).normal(size=(5, 1, 8, 8)).astype(np.float32)


def test_programs():
    """Structures of arguments and results, loops, branches, complex numbers, weak ones, numbers that are not finite."""
    model, images = model_and_data()

    def loops(x, options):
        total = lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] + c[1], c[1]), (x["a"], options[0]))[0]
        ys = lax.scan(lambda c, x: (c * x, c + 1j), 1.0 + 0j, x["b"])[1]
        return {"total": lax.cond(total > 5, lambda t: t * 2, lambda t: t, total), "ys": (ys, None), "x": [x["b"]]}

    cases = [
        (lambda x: ft.nn.softmax(model(x)), (images,)),
        (loops, ({"b": np.arange(3.0), "a": 1.5}, [2.0])),
        (lambda x: fnp.where(x > 0, np.inf, -np.inf) + np.float32(np.nan) * 0, (np.ones(2),)),
        (lambda n, w: w[n] * np.uint64(2**63), (np.array([0, 1]), np.arange(3, dtype=np.uint64))),
        (ft.jit(lambda x, n: x**n, static_argnums=1), (np.float32(3), 4)),
        (ft.jit(ft.grad(lambda x: np.sum(np.sort(x) ** 2))), (np.array([3.0, 1.0]),)),
        (lambda x: ft.random.normal(ft.random.key(1), (3,)) * x, (2.0,)),
        (lambda: np.arange(3) + fnp.zeros(3), ()),
    ]
    for fun, args in cases:
        dynamic = args[:1] if isinstance(fun, type(ft.jit(np.sin))) else args
        problem = difference(
            again(export(fun)(*args)).call(*dynamic), ft.jit(fun)(*args) if dynamic is args else fun(*args)
        )
        assert not problem, problem


def test_in_a_process_without_the_source(tmp_path):
    model, images = model_and_data()
    path = tmp_path / "model.safetensors"
    path.write_bytes(export(lambda x: model(x))(ft.ShapeDtypeStruct(images.shape, np.float32)).serialize())
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np, functrans.export as e\n"
        f"exported = e.deserialize(open({str(path)!r}, 'rb').read())\n"
        f"np.save({str(tmp_path / 'out.npy')!r}, exported.call(np.load({str(tmp_path / 'images.npy')!r})))\n"
        "assert 'functrans.nn' not in sys.modules and not any('test_export' in m for m in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model(images), rtol=1e-5, atol=1e-6)


def test_transformed():
    exported = again(export(lambda x: np.sin(x) * x)(1.0))
    np.testing.assert_allclose(ft.grad(exported.call)(2.0), np.sin(2.0) + 2 * np.cos(2.0))
    np.testing.assert_allclose(ft.jit(ft.vmap(exported.call))(np.arange(3.0)), np.sin(np.arange(3.0)) * np.arange(3.0))
    model, images = model_and_data()
    one = again(export(lambda image: model(image[None])[0])(images[0]))
    for n in (1, 5):
        np.testing.assert_allclose(ft.jit(ft.vmap(one.call))(images[:n]), model(images[:n]), rtol=1e-5, atol=1e-6)
    assert repr(exported) == "<exported <lambda>: f64[] -> f64[]>"


def stretched(rule, fun=np.sin, slope=None):
    """A function with a rule that doubles its derivative; that of the sine has one that does so again."""
    slope = slope or stretched(rule, np.cos, lambda x: -np.sin(x))
    f = (ft.custom_vjp if rule == "vjp" else ft.custom_jvp)(fun)
    if rule == "vjp":
        f.defvjp(lambda x: (fun(x), x), lambda x, ct: (2 * slope(x) * ct,))
    else:
        f.defjvp(lambda p, t: (fun(p[0]), 2 * slope(p[0]) * t[0]))
    return f


@pytest.mark.parametrize("rule", ["vjp", "jvp"])
def test_rules_to_an_order(rule):
    """In a file derivatives follow the function's rules as far as it was told, and are those of the program beyond."""
    f = lambda x, n: {"y": ft.jit(stretched(rule))(x) * n, "n": n + 1}
    slope = lambda f: lambda x: ft.grad(lambda x: f(x, 3)["y"])(x)
    curve = lambda f: lambda x: ft.grad(slope(f))(x)
    x = 0.7
    written = export(f)(x, 3)
    np.testing.assert_allclose([slope(written.call)(x), curve(written.call)(x)], [slope(f)(x), curve(f)(x)])
    for order, wanted in {
        0: [3 * np.cos(x), -3 * np.sin(x)], 1: [6 * np.cos(x), -6 * np.sin(x)], 2: [6 * np.cos(x), -12 * np.sin(x)],
    }.items():  # fmt: skip
        read = deserialize(written.serialize(vjp_order=order))
        assert ft.jit(read.call)(x, 3) == ft.tree.map(np.asarray, f(x, 3))
        np.testing.assert_allclose([slope(read.call)(x), curve(read.call)(x)], wanted)
        np.testing.assert_allclose(ft.jit(ft.vmap(slope(read.call)))(np.array([x])), wanted[:1])
    one, two = (len(written.serialize(vjp_order=n)) for n in (1, 2))
    assert len(written.serialize()) < one < two
    plain = export(lambda x: np.sin(x))(x)
    assert plain.serialize(vjp_order=2) == plain.serialize()


def test_exported_derivatives():
    exported = export(lambda d, z: (d["x"] * z, d["n"] + 1))({"x": np.ones(2), "n": 3}, 2j)
    pullback = again(exported.vjp())
    assert exported.has_vjp()
    assert repr(pullback) == "<exported vjp of <lambda>: i64[], f64[2], c128[], c128[2] -> f64[2], c128[]>"
    cts = pullback.call(3, np.ones(2), np.complex128(2j), np.array([1.0, 1j]))
    wanted = ft.vjp(lambda x, z: x * z, np.ones(2), 2j)[1](np.array([1.0, 1j]))
    for got, ct in zip(cts, wanted, strict=True):
        np.testing.assert_allclose(got, ct)
    assert [str(a) for a in exported.in_avals] == ["i64[]", "f64[2]", "c128[]"]
    assert exported.out_tree.num_leaves == len(exported.out_avals) == 2
    with pytest.raises(errors.ArgumentError, match="must not be negative"):
        exported.serialize(vjp_order=-1)
    with pytest.raises(errors.ArgumentError, match="'tpu'"):
        export(np.sin, platforms=["tpu"])
    assert export(np.sin, platforms=["cpu", "cuda"])(1.0).platforms == ("cpu", "cuda")


def test_a_derivative_of_another_function_is_refused():
    content = export(stretched("vjp"))(1.0).serialize(vjp_order=1)
    arrays = load(content)
    arrays["vjp"] = np.frombuffer(export(np.sin)(np.ones(2)).serialize(), np.uint8)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    with pytest.raises(errors.FileFormatError, match="not one of the function"):
        deserialize(save(arrays, header))


def test_checks_are_part_of_the_program():
    def root(x):
        checking.check(x >= 0, "a root of {x}, {why}", x=x, why=x - 1)
        return np.sqrt(x)

    exported = again(export(root)(1.0))
    assert exported.call(4.0) == 2.0
    with pytest.raises(errors.CheckError, match="a root of -4.0, -5.0"):
        exported.call(-4.0)


@pytest.mark.parametrize(
    ("args", "error", "says"),
    [
        ((np.ones(3),), errors.ShapeError, "has shape (3,), and the function was exported for (2,)"),
        ((np.ones(2, np.float32),), errors.DTypeError, "has dtype float32, and the function was exported for float64"),
        (("x",), errors.DTypeError, "must be an array, got 'x'"),
        ((np.ones(2), 1.0), errors.TreeStructureError, "arguments of the exported function"),
    ],
)
def test_other_arguments(args, error, says):
    exported = again(export(lambda x: x * 2)(np.ones(2)))
    with pytest.raises(error) as raised:
        exported.call(*args)
    assert says in str(raised.value)


def test_what_cannot_be_exported():
    shape = ft.ShapeDtypeStruct((), np.float64)
    with pytest.raises(errors.ArgumentError, match="calls back into Python, by pure_callback at .*test_export.py"):
        export(lambda x: ft.pure_callback(np.sin, shape, x))(1.0)
    model, images = model_and_data()
    with pytest.raises(errors.ArgumentError, match="an argument of the function is a Sequential; .* Capture models"):
        export(lambda model, x: model(x))(model, images)


def header(change):
    """An exported function whose header was changed."""
    told = json.loads(json.dumps(json.loads(_content(export(lambda x: np.sin(x) + 1)(1.0).serialize()))))
    change(told)
    return save({}, {"functrans.export": json.dumps(told)})


def _content(written):
    return json.loads(written[8 : 8 + int.from_bytes(written[:8], "little")])["__metadata__"]["functrans.export"]


def test_the_header_is_read():
    assert deserialize(header(lambda told: None)).call(0.0) == 1.0


HOSTILE = {
    "newer": lambda t: t.update(version=9),
    "unknown operation": lambda t: t["program"]["eqns"][0].__setitem__(0, "launch"),
    "unknown variable": lambda t: t["program"]["eqns"][0].__setitem__(1, [7]),
    "variable from behind": lambda t: t["program"]["eqns"][0].__setitem__(1, [-1]),
    "wrong type": lambda t: t["program"]["eqns"][0].__setitem__(2, [["float64", [2], False]]),
    "unknown parameter": lambda t: t["program"]["eqns"][0].__setitem__(3, {"x": {"eval": "1"}}),
    "list as parameter": lambda t: t["program"]["eqns"][0].__setitem__(3, {"x": [1]}),
    "negative size": lambda t: t["program"]["in"].append(["float64", [-1], False]),
    "objects": lambda t: t["program"]["in"].append(["O", [], False]),
    "missing constant": lambda t: t["program"]["consts"].append(["float64", [], False]),
    "no results": lambda t: t["program"].update(out=[]),
    "too many arguments": lambda t: t.update({"in": {"tuple": ["*", "*", "*"]}}),
    "unknown structure": lambda t: t.update({"in": {"os.system": []}}),
    "no program": lambda t: t.pop("program"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs(name):
    with pytest.raises(errors.FileFormatError):
        deserialize(header(HOSTILE[name]))


def test_hostile_bytes():
    good = export(lambda x: x + np.arange(3.0))(np.ones(3)).serialize()
    for content in (b"", b"\x01", good[:40], good[:-1], good[8:], save({"a": np.ones(2)}), b"\xff" * 100):
        with pytest.raises(errors.FileFormatError):
            deserialize(content)
    message = "{x.__class__}"

    def checked(x):
        checking.check(x > 0, "x is {x}", x=x)
        return x

    told = _content(export(checked)(1.0).serialize()).replace("x is {x}", message)
    with pytest.raises(errors.FileFormatError, match="asks for more than values"):
        deserialize(save({}, {"functrans.export": told}))


@pytest.mark.skipif(fnp.bfloat16.names is not None, reason="ml_dtypes is not installed")
def test_bfloat16():
    weights = fnp.arange(20, dtype=fnp.bfloat16)
    function = lambda x: x * weights + 1.5
    exported = deserialize(export(function)(weights).serialize())
    assert exported.out_info.dtype == fnp.bfloat16
    np.testing.assert_array_equal(exported.call(weights), function(weights))
