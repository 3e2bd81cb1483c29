"""Devices: which there are, where arrays are, and where functions run."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans.core.array import wrap
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DeviceError, MixedDevicesError

__all__ = ["Device", "default_device", "device_get", "device_put", "devices"]


class _State(threading.local):
    device: str | None = None


state = _State()


class _Cuda:
    """What is done on GPUs, imported when there is something to do."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("functrans.compiler.cuda.arrays"), name)


cuda = _Cuda()


@dataclass(frozen=True)
class Device:
    """A device: its platform, `cpu` or `cuda`, its number, and what it is."""

    platform: str
    id: int
    kind: str

    def __str__(self) -> str:
        return self.platform if self.platform == "cpu" else f"{self.platform}:{self.id}"


def devices(platform: str | None = None) -> list[Device]:
    """The devices of a platform: `cpu`, or `cuda` for NVIDIA's GPUs; without one those that functions run on.

    Raises:
        DeviceError: there is no device of the platform that was asked for, or what it needs is not installed.

    >>> import functrans as ft
    >>> [str(d) for d in ft.devices("cpu")]
    ['cpu']
    """
    name = platform_of(platform) if platform is not None else default_platform() or "cpu"
    if name == "cpu":
        return [Device("cpu", 0, "cpu")]
    runtime = importlib.import_module("functrans.compiler.cuda.runtime").runtime()
    return [Device("cuda", 0, runtime.name)]


def platform_of(device: Any) -> str:
    """`cpu` or `cuda`, from a name or a `Device`."""
    name = str(device)
    platform, _, number = name.partition(":")
    platform = {"gpu": "cuda"}.get(platform, platform)
    if platform not in ("cpu", "cuda") or (number and not number.isdecimal()):
        raise ArgumentError(f"a device is 'cpu', 'cuda' or one of functrans.devices(), got {device!r:.60}")
    if number and int(number):
        raise DeviceError(f"functrans uses one device of each platform, the first; got {name!r}")
    return platform


def default_platform() -> str | None:
    """The platform of `default_device`; `None` outside of it."""
    return state.device


@contextmanager
def default_device(device: Any) -> Iterator[None]:
    """Inside the block, functions under `jit` run on this device: `cpu`, `cuda`, or one of `devices()`.

    Their arguments are copied there where they are not there yet, and results stay there. It holds for this thread.

    Raises:
        DeviceError: there is no such device.

    >>> import functrans as ft
    >>> with ft.default_device("cpu"):
    ...     ft.jit(lambda x: x + 1)(1.0)
    Array(2.)
    """
    platform = platform_of(device)
    if platform == "cuda":
        devices("cuda")
    outer, state.device = state.device, platform
    try:
        yield
    finally:
        state.device = outer


def device_put(x: Any, device: Any = None) -> Any:
    """A pytree with each leaf an array on a device: `cpu`, `cuda`, or one of `devices()`.

    Without a device leaves stay where they are, and numbers become arrays on that of `default_device`. Arrays of CuPy,
    PyTorch and Numba that are on the GPU are taken as they are, without a copy.

    Raises:
        DeviceError: there is no such device.
        DeviceMemoryError: the device has not enough memory left.

    >>> import functrans as ft
    >>> ft.device_put({"a": [1, 2.0]})
    {'a': [Array(1), Array(2.)]}
    """
    leaves, tree = flatten(x)
    platform = default_platform() if device is None else platform_of(device)
    return unflatten(tree, [_put(v, platform) for v in leaves])


def _put(value: Any, platform: str | None) -> Any:
    if isinstance(value, Tracer) and not value.has_value:
        return value
    if platform == "cuda" or (platform is None and isinstance(value, Tracer)):
        return cuda.put(value)
    return wrap(np.asarray(_get(value)))


def _get(value: Any) -> Any:
    return cuda.to_host(value) if isinstance(value, Tracer) and value.has_value else np.asarray(value)


def device_get(x: Any) -> Any:
    """A pytree with each leaf a plain `np.ndarray`, once it is computed.

    >>> import functrans as ft, functrans.numpy as fnp
    >>> ft.device_get((fnp.zeros(2), 1.0))
    (array([0., 0.]), array(1.))
    """
    leaves, tree = flatten(x)
    return unflatten(tree, [np.asarray(_get(v)) for v in leaves])


def placement(device: str | None, name: str, leaves: Sequence[Any], consts: Sequence[Any]) -> str:
    """Where a compiled function runs: the device it was given, that of its arrays, or the default one."""
    if device is not None:
        return device
    placed = [isinstance(v, Tracer) and v.has_value for v in (*leaves, *consts)]
    if not any(placed):
        return default_platform() or "cpu"
    if default_platform() is None:
        for value in leaves:
            if type(value) is np.ndarray and value.ndim:  # what functrans made on the host is copied
                raise MixedDevicesError(
                    f"{name} under jit was called with arrays on the GPU and with a NumPy array of shape "
                    f"{value.shape} on the host; move it by functrans.device_put(x, 'cuda'), or say where the "
                    "function runs: jit(f, device='cuda') copies what is not there"
                )
    return "cuda"
