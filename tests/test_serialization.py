"""What is saved comes back to the bit; what is damaged is an error; and nothing is half-written."""

import json
import os
import stat
import struct
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import functrans as ft
from functrans.errors import ArgumentError, DTypeError, FileFormatError, TreeStructureError
from functrans.numpy import bfloat16
from functrans.serialization import read_metadata

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


class Pair(NamedTuple):
    first: object
    second: object


def bits(x):
    return np.ascontiguousarray(x).tobytes()


def assert_same(found, expected):
    assert type(found) is type(expected) or isinstance(found, np.ndarray) is isinstance(expected, np.ndarray)
    a, b = np.asarray(found), np.asarray(expected)
    assert a.shape == b.shape
    assert a.dtype == b.dtype.newbyteorder("=")
    assert bits(a) == bits(b.astype(b.dtype.newbyteorder("=")))


arrays = st.sampled_from([*DTYPES, ">f8", ">i4"]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
leaves = st.one_of(
    arrays,
    arrays.map(np.transpose),
    arrays.map(lambda x: np.broadcast_to(x, (2, *x.shape))),
    arrays.map(ft.numpy.asarray),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(names, inner, max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(lambda x: (x, None), inner),
    ),
    max_leaves=6,
)


@given(trees)
@settings(max_examples=200, deadline=None)
def test_round_trip(tmp_path_factory, tree):
    path = tmp_path_factory.getbasetemp() / "tree.safetensors"
    ft.save(path, tree)
    read = ft.load(path, like=tree)
    found, treedef = ft.tree.flatten(read)
    expected, expected_treedef = ft.tree.flatten(tree)
    assert treedef == expected_treedef
    for a, b in zip(found, expected):
        assert_same(a, b)
    assert len(ft.load(path)) == len(expected)


def test_like_may_be_shapes_alone(tmp_path):
    tree = {"w": np.ones((2, 3), np.float32), "n": np.array(3)}
    ft.save(tmp_path / "x", tree)
    read = ft.load(tmp_path / "x", like=ft.eval_shape(lambda: ft.tree.map(ft.numpy.asarray, tree)))
    assert read["w"].dtype == np.float32
    assert read["n"] == 3


def test_modules_keep_their_structure(tmp_path):
    def model(seed, activation=ft.nn.relu):
        return ft.nn.MLP(2, 3, width=4, depth=1, activation=activation, key=ft.random.key(seed))

    path = tmp_path / "model.safetensors"
    ft.save(path, model(0))
    read = ft.load(path, like=model(1, np.tanh))
    assert read.activation is np.tanh  # what is no array is the program's
    for a, b in zip(ft.tree.leaves(read), ft.tree.leaves(model(0))):
        assert_same(a, b)
    assert list(ft.load(path)) == [".layers[0].bias", ".layers[0].weight", ".layers[1].bias", ".layers[1].weight"]


def test_metadata(tmp_path):
    path = tmp_path / "x"
    ft.save(path, {"a": 1}, metadata={"epoch": 3, "names": ["é", None]})
    assert read_metadata(path) == {"epoch": 3, "names": ["é", None]}
    ft.save(path, {"a": 1})
    assert read_metadata(path) is None
    with pytest.raises(ArgumentError, match="something that JSON can express"):
        ft.save(path, {"a": 1}, metadata={1: object()})


def test_files_of_other_programs(tmp_path):
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": np.arange(3), "b": np.ones(2, np.float32)}, path)
    read = ft.load(path)
    assert_same(read["a"], ft.numpy.arange(3))
    assert read_metadata(path) is None
    ft.save(path, {"a": np.arange(3)})
    assert_same(load_file(path)["['a']"], np.arange(3))


@pytest.mark.parametrize(
    ("like", "text"),
    [
        ({"w": np.ones(2)}, r"\['b'\] is in the file, and not in `like`"),
        ({"w": np.ones(2), "b": 1.0, "c": 2}, r"\['c'\] is missing"),
        ({"w": np.ones(3), "b": 1.0}, r"\['w'\] has shape \(2,\) in the file, and \(3,\) in `like`"),
        ({"w": np.ones(2, np.float32), "b": 1.0}, r"\['w'\] has dtype float64 in the file, and float32 in `like`"),
        (np.ones(2), r"\(the tree itself\) is missing"),
        ([np.ones(2)] * 20, r"and 14 more"),
    ],
)
def test_other_structures(tmp_path, like, text):
    ft.save(tmp_path / "x", {"w": np.ones(2), "b": 1.0})
    with pytest.raises(TreeStructureError, match=text):
        ft.load(tmp_path / "x", like)


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        ("text", r"the leaf \['a'\] is no array, but 'text' of type str"),
        (np.array(["a"]), "the leaf .* is no array|has dtype <U1"),
        (np.longdouble(1), "has dtype longdouble|has dtype float128|is no array"),
        (np.array([object()]), "has dtype object|is no array"),
    ],
)
def test_what_cannot_be_saved(tmp_path, leaf, text):
    path = tmp_path / "x"
    ft.save(path, {"a": 1})
    before = path.read_bytes()
    with pytest.raises(DTypeError, match=text):
        ft.save(path, {"a": leaf})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_not_inside_jit(tmp_path):
    with pytest.raises(DTypeError, match="is no array, but"):
        ft.jit(lambda x: ft.save(tmp_path / "x", x))(np.ones(2))


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x"
    ft.save(path, {"a": 1})
    before = path.read_bytes()

    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        ft.save(path, {"a": 2})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["x"]


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        ft.load(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        ft.save(tmp_path / "no" / "x", {"a": 1})
    with pytest.raises(IsADirectoryError if os.name == "posix" else OSError):
        ft.load(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_permissions(tmp_path):
    path, plain = tmp_path / "x", tmp_path / "plain"
    plain.touch()
    ft.save(path, {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    path.chmod(0o600)
    ft.save(path, {"a": 2})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_are_errors_or_read(tmp_path_factory, data):
    """A file with a changed or missing byte never does anything else than to be read or refused."""
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    ft.save(path, {"w": np.arange(6.0).reshape(2, 3), "c": np.ones(2, complex), "n": 3})
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        tree = ft.load(path)
    except FileFormatError:
        pass
    else:
        assert all(isinstance(leaf, (np.ndarray, bool, int, float, complex)) for leaf in tree.values())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of this format",
        b"\x80\x04\x95",  # a pickle
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 31) + b'{"__metadata__":{"functrans":3}}'[:31],
    ],
)
def test_other_formats(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(FileFormatError):
        ft.load(tmp_path / "x")


@pytest.mark.parametrize(
    "own",
    [
        "[]",
        '{"numbers": {"a": "eval"}}',
        '{"numbers": 3}',
        '{"complex": ["a"]}',
        '{"complex": 1}',
        "{",
        '{"numbers": []}',
    ],
)
def test_hostile_metadata(tmp_path, own):
    from safetensors.numpy import save_file

    save_file({"a": np.arange(3)}, tmp_path / "x", {"functrans": own})
    try:
        assert_same(ft.load(tmp_path / "x")["a"], ft.numpy.arange(3))
    except FileFormatError:
        pass


def test_names_of_other_programs(tmp_path):
    """The names that PyTorch gives to what is in a `Sequential`, beside something that has no place here."""
    model = ft.nn.Sequential(
        ft.nn.Linear(2, 3, key=ft.random.key(0)), ft.nn.relu, ft.nn.Linear(3, 1, key=ft.random.key(1))
    )
    path = tmp_path / "torch.safetensors"
    names = {"0.weight": np.ones((3, 2), "f4"), "0.bias": np.zeros(3, "f4"), "2.weight": np.ones((1, 3), "f4"),
             "2.bias": np.full(1, 5, "f4")}  # fmt: skip
    safetensors.numpy.save_file({**names, "steps": np.array(7)}, path)
    rename = lambda name: name.removeprefix(".layers[").replace("]", "")
    found = ft.load(path, like=model, rename=rename, strict=False)
    np.testing.assert_array_equal(found(np.ones((1, 2), np.float32)), [[11]])
    with pytest.raises(TreeStructureError, match="steps is in the file, and not in `like`"):
        ft.load(path, like=model, rename=rename)
    with pytest.raises(TreeStructureError, match=r"\.layers\[0\]\.weight is missing"):
        ft.load(path, like=model, strict=False)
    with pytest.raises(ArgumentError, match="two leaves of `like` the same name"):
        ft.load(path, like=model, rename=lambda name: "0.weight")


def written(folder, header, content=b""):
    """A file with such a header, which need not be true."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "hostile.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


TENSOR = {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    "header",
    [
        {"a": TENSOR, "b": TENSOR},
        {"a": {**TENSOR, "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"a": {**TENSOR, "shape": [-2]}},
        {"a": TENSOR, "__metadata__": {"functrans": '{"numbers": {"a": "eval"}}'}},
        {"a": TENSOR, "__metadata__": {"functrans": '{"complex": ["a"]}'}},
        {"a": TENSOR, "__metadata__": {"functrans": "[1]"}},
        {"a": TENSOR, "__metadata__": {"functrans": "[" * 100_000}},
        b"not JSON",
    ],
)
def test_hostile_headers(tmp_path, header):
    with pytest.raises(FileFormatError, match="is damaged, or no file in the safetensors format"):
        ft.load(written(tmp_path, header, bytes(8)))


def test_brain_floats(tmp_path):
    """Numbers of eight significant bits, as published weights often are, come as float32."""
    values = np.array([[1.0, -2.5], [3.0e38, np.inf]], np.float32)
    half = (values.view(np.uint32) >> 16).astype("<u2")
    content = half.tobytes() + np.float32(7).tobytes()
    tensors = {
        "w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [], "data_offsets": [8, 12]},
    }
    found = ft.load(written(tmp_path, tensors, content))
    assert found["w"].dtype == np.float32
    np.testing.assert_allclose(found["w"], values, rtol=2**-8)
    assert found["b"] == 7


@pytest.mark.skipif(bfloat16.names is not None, reason="ml_dtypes is not installed")
def test_bfloat16_goes_there_and_back(tmp_path):
    path, tree = tmp_path / "x", {"w": np.array([1.0, -2.5, 3e38], bfloat16), "b": np.ones(2)}
    ft.save(path, tree)
    again = ft.load(path, like=tree)
    assert again["w"].dtype == bfloat16
    np.testing.assert_array_equal(again["w"], tree["w"])
    assert ft.load(path)["['w']"].dtype == np.float32
    with pytest.raises(TreeStructureError, match="bfloat16"):
        ft.load(path, like={"w": tree["w"], "b": tree["w"][:2]})
