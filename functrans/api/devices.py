"""Devices: which there are, where arrays are, and where functions run."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from functrans import config
from functrans.core.array import wrap
from functrans.core.pytree import flatten, unflatten
from functrans.core.trace import Tracer
from functrans.errors import ArgumentError, DeviceError, MixedDevicesError

__all__ = [
    "Device", "default_backend", "default_device", "device_count", "device_get", "device_put", "devices",
    "local_device_count", "local_devices", "process_count", "process_index",
]  # fmt: skip


class _State(threading.local):
    device: str | None = None


state = _State()


class _Cuda:
    """What is done on GPUs, imported when there is something to do."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(importlib.import_module("functrans.compiler.cuda.arrays"), name)
        setattr(self, name, found)  # looked up once
        return found


cuda = _Cuda()


@dataclass(frozen=True)
class Device:
    """A device: its platform, `cpu` or `cuda`, its number, and what it is.

    >>> import functrans as ft, numpy as np
    >>> ft.devices()[0]
    Device(platform='cpu', id=0, kind='cpu')
    """

    platform: str
    id: int
    kind: str

    def __str__(self) -> str:
        return self.platform if self.platform == "cpu" else f"{self.platform}:{self.id}"


def devices(backend: str | None = None) -> list[Device]:
    """The devices of a backend: `cpu`, or `cuda` for NVIDIA's GPUs; without one those that functions run on.

    Raises:
        DeviceError: there is no device of the backend that was asked for, or what it needs is not installed.

    >>> import functrans as ft
    >>> [str(d) for d in ft.devices("cpu")]
    ['cpu']
    """
    name = platform_of(backend) if backend is not None else default_platform() or "cpu"
    if name == "cpu":
        return [Device("cpu", 0, "cpu")]
    runtime = importlib.import_module("functrans.compiler.cuda.runtime").runtime()
    return [Device("cuda", 0, runtime.name)]


def local_devices(process_index: int | None = None, backend: str | None = None) -> list[Device]:
    """The devices of this process, which are all there are: `devices(backend)`.

    >>> import functrans as ft
    >>> ft.local_devices() == ft.devices()
    True
    """
    if process_index not in (None, 0):
        raise ArgumentError(f"local_devices: a program is one process, with the number 0; got {process_index!r:.40}")
    return devices(backend)


def device_count(backend: str | None = None) -> int:
    """How many devices there are of a backend: `len(devices(backend))`.

    >>> import functrans as ft
    >>> ft.device_count("cpu")
    1
    """
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices this process has, which is all: `device_count(backend)`.

    >>> import functrans as ft
    >>> ft.local_device_count("cpu")
    1
    """
    return len(devices(backend))


def process_index(backend: str | None = None) -> int:
    """The number of this process: 0, for a program is one process.

    >>> import functrans as ft
    >>> ft.process_index(), ft.process_count()
    (0, 1)
    """
    return 0


def process_count(backend: str | None = None) -> int:
    """The number of processes of the program: 1.

    >>> import functrans as ft, numpy as np
    >>> ft.process_count()
    1
    """
    return 1


def default_backend() -> str:
    """The platform of the devices that functions run on without being told: `cpu`, or `cuda` by `default_device`.

    >>> import functrans as ft
    >>> ft.default_backend()
    'cpu'
    """
    return default_platform() or "cpu"


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


def _set_default(device: Any) -> None:
    _State.device = None if device is None else _present(device)


config.settable("jax_default_device", default_platform, _set_default)


def _present(device: Any) -> str:
    """The platform of a device that there is."""
    platform = platform_of(device)
    if platform == "cuda":
        devices("cuda")
    return platform


@contextmanager
def default_device(device: Any) -> Iterator[None]:
    """Inside the block, functions under `jit` run on this device: `cpu`, `cuda`, or one of `devices()`.

    Their arguments are copied there where they are not there yet, and results stay there. It holds for this thread.
    `None` stands for no device in particular: functions run where their arrays are.

    Raises:
        DeviceError: there is no such device.

    >>> import functrans as ft
    >>> with ft.default_device("cpu"):
    ...     ft.jit(lambda x: x + 1)(1.0)
    Array(2.)
    """
    outer = vars(state).get("device", state)
    state.device = None if device is None else _present(device)
    try:
        yield
    finally:
        if outer is state:
            del state.device
        else:
            state.device = outer


def device_put(x: Any, device: Any = None, *, src: Any = None, donate: Any = False, may_alias: Any = None) -> Any:
    """A pytree with each leaf an array on a device: `cpu`, `cuda`, or one of `devices()`.

    Without a device leaves stay where they are, and numbers become arrays on that of `default_device`. Arrays of CuPy,
    PyTorch and Numba that are on the GPU are taken as they are, without a copy.

    Args:
        x: a pytree of arrays and numbers.
        device: where to.
        src: where from; accepted, for arrays know where they are.
        donate: the caller gives the arrays away; accepted, and without effect.
        may_alias: whether a result may share the memory of an array that is on the device already: it does, unless this
            is `False`.

    Raises:
        DeviceError: there is no such device.
        DeviceMemoryError: the device has not enough memory left.

    >>> import functrans as ft
    >>> ft.device_put({"a": [1, 2.0]})
    {'a': [Array(1), Array(2.)]}
    """
    leaves, tree = flatten(x)
    platform = default_platform() if device is None else platform_of(device)
    placed = [_put(v, platform) for v in leaves]
    if may_alias is False:
        placed = [p.copy() if p is v or isinstance(v, np.ndarray) else p for p, v in zip(placed, leaves)]
    return unflatten(tree, placed)


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
