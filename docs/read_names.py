"""Writes names.json: the public names of JAX and of the array API standard, by module, and their versions.

Run it where JAX and array-api-strict (2.4, which is version 2024.12 of the standard) are installed:

    python docs/read_names.py
"""

import importlib
import json
import types
import warnings
from pathlib import Path

MODULES = (
    "jax.numpy jax.numpy.linalg jax.numpy.fft jax.lax jax.lax.linalg jax.nn jax.nn.initializers jax.random "
    "jax.scipy.cluster.vq jax.scipy.fft jax.scipy.integrate jax.scipy.interpolate jax.scipy.linalg jax.scipy.ndimage "
    "jax.scipy.optimize jax.scipy.signal jax.scipy.sparse.linalg jax.scipy.spatial.transform jax.scipy.special "
    "jax.scipy.stats"
).split()


def public(module: types.ModuleType) -> list[str]:
    names = []
    for name in dir(module):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                value = getattr(module, name)
            except AttributeError:  # what once was there
                continue
        if isinstance(value, types.ModuleType):
            if module.__name__ == "jax.scipy.stats":  # a distribution
                names += [f"{name}.{method}" for method in public(value)]
        elif not name.startswith("_"):
            names.append(name)
    return sorted(names)


def read() -> dict:
    import array_api_strict
    import jax

    standard = {"": array_api_strict, "linalg": array_api_strict.linalg, "fft": array_api_strict.fft}
    own = {"Device", "DType", "ModuleType", "EigResult", "EighResult", "QRResult", "SVDResult", "SlogdetResult"}
    return {
        "jax": {"version": jax.__version__, "modules": {m: public(importlib.import_module(m)) for m in MODULES}},
        "standard": {
            "version": array_api_strict.__array_api_version__,
            "modules": {
                f"standard.{name}".rstrip("."): sorted(
                    n for n in module.__all__ if not n.startswith("__") and "strict" not in n.lower() and n not in own
                )
                for name, module in standard.items()
            },
        },
    }


if __name__ == "__main__":
    text = json.dumps(read(), separators=(", ", ": "))
    path = Path(__file__).parent / "names.json"
    path.write_text(text.replace('], "', '],\n"').replace('{"', '{\n"') + "\n", encoding="utf-8")
