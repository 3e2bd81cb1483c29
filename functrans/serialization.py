"""Pytrees of arrays in files: `save` and `load`, in the safetensors format.

A file holds a JSON header and the bytes of the arrays, by the key path of each leaf (`.layers[0].weight`), and nothing
that could be executed. Other programs read it too. What the format has no word for is said in the header's metadata:
complex arrays are stored as pairs of floats, Python's numbers as arrays of no axes.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from functrans.api.devices import device_get
from functrans.core.array import wrap
from functrans.core.avals import ShapeDtypeStruct, bfloat16, is_array_like, kind_of
from functrans.core.pytree import flatten, key_paths, keystr, unflatten
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DTypeError, FileFormatError, TreeStructureError

__all__ = ["load", "read_metadata", "save"]

_KEY = "functrans"
_NUMBERS = {"bool": bool, "int": int, "float": float, "complex": complex}


def save(path: str | os.PathLike[str], tree: Any, metadata: Any = None) -> None:
    """Write a pytree of arrays and numbers, such as a model or the state of a training, to a file.

    The file is there as a whole or not at all: it is written under another name in the same folder, and then takes its
    place. What was there before stays if anything goes wrong.

    Args:
        path: the file's name, by custom with the suffix `.safetensors`.
        tree: a pytree whose leaves are arrays, of any layout, or Python numbers. What belongs to its structure, such as
            the static fields of modules, is not written: `load` takes it from a tree like this one.
        metadata: anything that JSON can express, to be read by `read_metadata`.

    Raises:
        DTypeError: a leaf is no array, or of a dtype that the format lacks.
        ArgumentError: `metadata` is nothing for JSON; or two leaves have the same key path.

    >>> import functrans as ft, numpy as np, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model = ft.nn.Linear(2, 3, key=ft.random.key(0))
    >>> ft.save(path, model)
    >>> again = ft.load(path, like=model)
    >>> bool((again.weight == model.weight).all())
    True
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save as encode

    arrays: dict[str, np.ndarray] = {}
    numbers: dict[str, str] = {}
    complexes: list[str] = []
    for name, leaf in _named_leaves(tree):
        if name in arrays:
            raise ArgumentError(f"save: two leaves have the key path {name!r}")
        if isinstance(leaf, Tracer) and leaf.has_value:  # on a GPU
            leaf = device_get(leaf)
        if isinstance(leaf, Tracer) or not is_array_like(leaf):
            raise DTypeError(
                f"save: the leaf {_shown(name)} is no array, but {leaf!r:.60} of type {type(leaf).__name__}"
            )
        if type(leaf) in _NUMBERS.values():
            numbers[name] = type(leaf).__name__
        array = np.asarray(leaf, order="C")
        if kind_of(array.dtype) not in "biufc" or array.dtype.itemsize > 8 * (1 + (array.dtype.kind == "c")):
            raise DTypeError(f"save: the leaf {_shown(name)} has dtype {array.dtype}, which the file format lacks")
        if array.dtype.kind == "c":
            complexes.append(name)
            array = np.stack([array.real, array.imag], -1)
        arrays[name] = np.array(array, array.dtype.newbyteorder("="), order="C")
    try:
        own = json.dumps({"numbers": numbers, "complex": complexes, "metadata": metadata})
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"save: metadata must be something that JSON can express: {error}") from None
    try:
        content = encode(arrays, {_KEY: own})
    except SafetensorError as error:
        raise DTypeError(f"save: {error}") from None
    _write(Path(path), content)


def _write(path: Path, content: bytes) -> None:
    """Write a file under another name, make sure that it is on the disk, and let it take the place of the old one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not path.exists():  # the permissions that any new file has
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
        else:
            os.chmod(name, path.stat().st_mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def load(
    path: str | os.PathLike[str], like: Any = None, *, rename: Callable[[str], str] | None = None, strict: bool = True
) -> Any:
    """Read a pytree from a file that `save` wrote, or any file in the safetensors format.

    Arrays of bfloat16 become float32, unless `like` has bfloat16 in their place.

    Args:
        path: the file's name.
        like: a pytree of the structure that was saved, whose leaves (arrays, numbers, or `ShapeDtypeStruct`) tell
            shapes and dtypes; a model as it was made, say.
        rename: from the key path of a leaf of `like` to the name that it has in the file, for files of other programs.
        strict: whether a leaf of the file that `like` has no place for is an error.

    Returns:
        A pytree of the structure of `like`; without `like` a dict of arrays by key path.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is damaged, or of another format.
        TreeStructureError: it holds other leaves than `like`, or leaves of other shapes or dtypes: the message names
            them.

    >>> import functrans as ft, numpy as np, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "params.safetensors")
    >>> ft.save(path, {"w": np.ones(2), "steps": 3})
    >>> ft.load(path)
    {"['steps']": 3, "['w']": Array([1., 1.])}
    """
    found, _, brain = _read(path)
    if like is None:
        return found
    wanted = {name if rename is None else rename(name): leaf for name, leaf in _named_leaves(like)}
    if len(wanted) < len(flatten(like)[0]):
        raise ArgumentError("load: rename gives two leaves of `like` the same name in the file")
    problems = [f"{_shown(name)} is missing" for name in wanted if name not in found]
    if strict:
        problems += [f"{_shown(name)} is in the file, and not in `like`" for name in found if name not in wanted]
    for name, leaf in wanted.items():
        if name in brain and _type(leaf)[1] == bfloat16:
            found[name] = wrap(np.asarray(found[name]).astype(bfloat16))
        if name in found and (difference := _difference(found[name], leaf)):
            problems.append(f"{_shown(name)} {difference}")
    if problems:
        more = f"; and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise TreeStructureError(
            f"{os.fspath(path)} does not hold what `like` describes: {'; '.join(problems[:8])}{more}"
        )
    _, treedef = flatten(like)
    return unflatten(treedef, [_as(leaf, found[name]) for name, leaf in wanted.items()])


def read_metadata(path: str | os.PathLike[str]) -> Any:
    """What `save` was given as `metadata`.

    >>> import functrans as ft, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "x.safetensors")
    >>> ft.save(path, {}, metadata={"epoch": 3})
    >>> ft.serialization.read_metadata(path)
    {'epoch': 3}
    """
    return _read(path)[1]


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Any, list[str]]:
    """The leaves of a file by key path, the user's metadata, and which leaves are bfloat16 there."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # the operating system's error for a file that cannot be read
        pass
    try:
        with safe_open(os.fspath(path), framework="np") as file:
            own = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            names = list(file.keys())
            brain = [name for name in names if file.get_slice(name).get_dtype() == "BF16"]
            arrays = {name: file.get_tensor(name) for name in names if name not in brain}
        arrays.update(_brain_floats(path, brain))
        numbers, complexes = own.get("numbers", {}), own.get("complex", [])
        out: dict[str, Any] = {}
        for name in sorted(arrays):
            array = arrays[name]
            if name in complexes:
                if array.dtype.kind != "f" or array.shape[-1:] != (2,):
                    raise ValueError(f"{name} is {array.dtype}{list(array.shape)}, which holds no complex numbers")
                array = np.ascontiguousarray(array).view(f"c{2 * array.dtype.itemsize}")[..., 0]
            out[name] = _NUMBERS[numbers[name]](array[()]) if name in numbers else wrap(array)
        return out, own.get("metadata"), brain
    except (SafetensorError, *_DAMAGE) as error:
        raise FileFormatError(f"{os.fspath(path)} is damaged, or no file in the safetensors format: {error}") from None


_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


def _brain_floats(path: str | os.PathLike[str], names: list[str]) -> dict[str, np.ndarray]:
    """Arrays of bfloat16, which NumPy lacks, as float32, of which they are the first half."""
    if not names:
        return {}
    from safetensors import deserialize

    found = dict(deserialize(Path(path).read_bytes()))
    halves = {name: np.frombuffer(found[name]["data"], "<u2").astype(np.uint32) for name in names}
    return {name: (half << 16).view(np.float32).reshape(found[name]["shape"]) for name, half in halves.items()}


def _named_leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    leaves, treedef = flatten(tree)
    for path, leaf in zip(key_paths(treedef), leaves):
        yield keystr(path), leaf


def _shown(name: str) -> str:
    return name or "(the tree itself)"


def _type(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    array = leaf if isinstance(leaf, (np.ndarray, ShapeDtypeStruct)) else np.asarray(leaf)
    return tuple(array.shape), np.dtype(array.dtype).newbyteorder("=")


def _difference(found: Any, wanted: Any) -> str:
    (shape, dtype), (wanted_shape, wanted_dtype) = _type(found), _type(wanted)
    if shape != wanted_shape:
        return f"has shape {shape} in the file, and {wanted_shape} in `like`"
    if dtype != wanted_dtype and type(wanted) not in _NUMBERS.values():
        return f"has dtype {dtype} in the file, and {wanted_dtype} in `like`"
    return ""


def _as(wanted: Any, found: Any) -> Any:
    """A leaf of the file as the kind of value that stands in `like`."""
    if type(wanted) in _NUMBERS.values():
        return type(wanted)(found[()] if isinstance(found, np.ndarray) else found)
    return wrap(np.asarray(found, _type(wanted)[1]))
