"""What the array API standard asks of a namespace and of its arrays: versions, devices, dtypes, exchange of data."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from functrans.core.adapters import adapters
from functrans.core.trace import Tracer, current_staging
from functrans.errors import ArgumentError, TracerArrayConversionError
from functrans.numpy.dispatch import on_cpu

#: The version of the standard that `functrans.numpy` follows.
VERSION = "2024.12"
_VERSIONS = ("2021.12", "2022.12", "2023.12", VERSION)

_DTYPES: dict[str, Any] = {
    "bool": np.bool_, "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64, "uint8": np.uint8,
    "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64, "float32": np.float32, "float64": np.float64,
    "complex64": np.complex64, "complex128": np.complex128,
}  # fmt: skip
_KINDS = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")


def namespace(api_version: str | None = None) -> Any:
    """`functrans.numpy`, for the versions of the standard that it serves."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ArgumentError(f"functrans.numpy follows the array API standard up to {VERSION}, not {api_version!r}")
    return importlib.import_module("functrans.numpy")


class Info:
    """What `__array_namespace_info__()` gives: devices, dtypes and capabilities.

    >>> import functrans.numpy as fnp
    >>> fnp.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float64')
    """

    def capabilities(self) -> dict[str, Any]:
        """What the standard leaves open: masks as indices, and shapes that depend on values, work outside `jit`.

        Libraries ask for this where they choose their method, so it says what holds where it is asked.
        """
        values = current_staging() is None
        return {"boolean indexing": values, "data-dependent shapes": values, "max dimensions": 64}

    def default_device(self) -> str:
        return "cpu"

    def devices(self) -> list[str]:
        return ["cpu"]

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of what is made from Python numbers, and of indices."""
        on_cpu(device)
        names: dict[str, Any] = {
            "real floating": "f8",
            "complex floating": "c16",
            "integral": np.int_,
            "indexing": np.intp,
        }
        return {kind: np.dtype(name) for kind, name in names.items()}

    def dtypes(self, *, device: Any = None, kind: str | tuple[str, ...] | None = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name, all or those of a kind (as `isdtype` takes it)."""
        on_cpu(device)
        kinds = (kind,) if isinstance(kind, str) else kind
        for k in kinds or ():
            if k not in _KINDS:
                raise ArgumentError(f"dtypes takes kinds among {', '.join(_KINDS)}; got {k!r}")
        return {name: np.dtype(d) for name, d in _DTYPES.items() if kinds is None or np.isdtype(np.dtype(d), kinds)}


def __array_namespace_info__() -> Info:
    """Devices, dtypes and capabilities of `functrans.numpy`, for code written to the array API standard."""
    return Info()


# ---------------------------------------------------------------- of tracers


def to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """This array: there is one device, `"cpu"`."""
    on_cpu(device)
    if stream is not None:
        raise ArgumentError(f"the device cpu has no streams, got stream={stream!r:.40}")
    return self


def dlpack(self: Any, **options: Any) -> Any:
    raise TracerArrayConversionError(
        f"this value has no memory that another library could share: {self.describe()}\n"
        "Call the other library outside of the transformed function, or through functrans.pure_callback."
    )


def dlpack_device(self: Any) -> tuple[int, int]:
    return (1, 0)  # the CPU, as DLPack numbers devices


# ---------------------------------------------------------------- other libraries


def _adapt_einops() -> None:
    """A backend of einops for tracers; it finds those that are defined by itself."""
    backends: Any = importlib.import_module("einops._backends")

    class FunctransBackend(backends.NumpyBackend):
        framework_name = "functrans"

        def __init__(self) -> None:
            super().__init__()
            self.np = importlib.import_module("functrans.numpy")

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, Tracer)

    backends._loaded_backends["functrans"] = FunctransBackend()


adapters["einops"] = _adapt_einops
