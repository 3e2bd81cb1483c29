"""All there is to find out on a GPU, in one call: `python tests/benchmarks/gpu.py [--json FILE] [parts]`.

| part | what it does |
|---|---|
| `tests` | the tests of `tests/compiler/cuda` on the GPU |
| `programs` | random programs and their gradients on the GPU, held to the CPU |
| `sanitizer` | `compute-sanitizer` on every kernel family, where that tool is there |
| `benchmark` | workloads beside JAX and `torch.compile`, and the share of the card's copy bandwidth |

Without a GPU it says what is missing, and ends. JAX and PyTorch are compared where they are installed and find the GPU;
each library runs in a process of its own. Times are medians, of calls one after another with one wait at the end (of
each call, for `small_program`). Products of float32 matrices are in full precision in all libraries.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
CUDA_TESTS = HERE.parent / "compiler" / "cuda"
GIB = 1 << 30
ROUNDS, SECONDS = 5, 0.5

# ---------------------------------------------------------------- workloads


def _normal(*shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _price(lib):
    def price(spot, years, strike=100.0, rate=0.02, volatility=0.3):
        root = volatility * lib.sqrt(years)
        d1 = (lib.log(spot / strike) + (rate + volatility**2 / 2) * years) / root
        below = lambda x: 0.5 * (1 + lib.erf(x / 2**0.5))
        return spot * below(d1) - strike * lib.exp(-rate * years) * below(d1 - root)

    return price


def _softmax(lib):
    def softmax(x):
        e = lib.exp(x - lib.amax(x, -1, keepdims=True))
        return e / lib.sum(e, -1, keepdims=True)

    return softmax


def _layer_norm(lib):
    def layer_norm(x):
        centred = x - lib.mean(x, -1, keepdims=True)
        return centred / lib.sqrt(lib.mean(centred * centred, -1, keepdims=True) + 1e-5)

    return layer_norm


def _attention(lib):
    def attention(q, k, v):
        return _softmax(lib)(q @ lib.swapaxes(k, -1, -2) * 0.125) @ v

    return attention


def _mlp_step(lib):
    def loss(params, x, y):
        *hidden, (w, b) = params
        for layer in hidden:
            x = lib.tanh(x @ layer[0] + layer[1])
        error = x @ w + b - y
        return lib.mean(error * error)

    def step(params, x, y):
        slopes = lib.grad(loss)(params, x, y)
        return [tuple(p - 0.1 * g for p, g in zip(*layer)) for layer in zip(params, slopes)]

    return step


def _lorenz(lib):
    def step(s):
        x, y, z = s[..., 0], s[..., 1], s[..., 2]
        return s + 0.01 * lib.stack([10 * (y - x), x * (28 - z) - y, x * y - (8 / 3) * z], -1)

    return lambda s: lib.repeat(step, s, 1000)


def _options(n):
    rng = np.random.default_rng(0)
    return [50 + 100 * rng.random(n, np.float32), 0.1 + 1.9 * rng.random(n, np.float32)]


def _network():
    sizes = [1024, 2048, 2048, 16]
    layers = [(_normal(m, n) / m**0.5, np.zeros(n, np.float32)) for m, n in zip(sizes, sizes[1:])]
    return [layers, _normal(8192, 1024), _normal(8192, 16)]


#: By name: the function of a library, its arguments, and the bytes that it has to move (0: that is not its limit).
WORKLOADS = {
    "small_program": (lambda lib: lambda x: x * 2 + 1, lambda: [_normal(3)], 0),
    "affine": (lambda lib: lambda x: x * 2 + 1, lambda: [_normal(1 << 28)], 2 * GIB),
    "black_scholes": (_price, lambda: _options(1 << 27), 3 * GIB // 2),
    "black_scholes_grad": (
        lambda lib: lib.grad2(lambda s, t: lib.sum(_price(lib)(s, t))), lambda: _options(1 << 27), 2 * GIB,
    ),
    "softmax": (_softmax, lambda: [_normal(1 << 16, 1 << 12)], 2 * GIB),
    "layer_norm": (_layer_norm, lambda: [_normal(1 << 16, 1 << 12)], 2 * GIB),
    "sum_of_rows": (lambda lib: lambda x: lib.sum(x, 1), lambda: [_normal(1 << 16, 1 << 12)], GIB),
    "sum_of_columns": (lambda lib: lambda x: lib.sum(x, 0), lambda: [_normal(1 << 16, 1 << 12)], GIB),
    "sum_of_all": (lambda lib: lambda x: lib.sum(x), lambda: [_normal(1 << 28)], GIB),
    "transpose": (lambda lib: lambda x: lib.swapaxes(x, 0, 1) * 1.5, lambda: [_normal(1 << 14, 1 << 14)], 2 * GIB),
    "cumsum": (lambda lib: lambda x: lib.cumsum(x, 1), lambda: [_normal(1 << 14, 1 << 14)], 2 * GIB),
    "mlp_step": (_mlp_step, _network, 0),
    "attention": (_attention, lambda: [_normal(8, 16, 2048, 64) for _ in range(3)], 0),
    "lorenz_vmap": (_lorenz, lambda: [_normal(100_000, 3)], 0),
    "random_normal": (lambda lib: lib.random_normal, lambda: [np.zeros(2, np.uint32)], GIB),
}  # fmt: skip


class OfJax:
    """The names that the workloads use, from JAX or functrans."""

    def __init__(self, module, on_gpu):
        import importlib

        self.module, self.put = module, on_gpu
        self.numpy = importlib.import_module(f"{module.__name__}.numpy")
        self.lax = importlib.import_module(f"{module.__name__}.lax")
        self.erf = importlib.import_module(f"{module.__name__}.scipy.special").erf
        self.random = importlib.import_module(f"{module.__name__}.random")
        self.jit, self.grad = module.jit, module.grad

    def __getattr__(self, name):
        return getattr(self.numpy, name)

    def grad2(self, function):
        return self.grad(function, (0, 1))

    def repeat(self, step, state, times):
        each = lambda s: self.lax.scan(lambda s, _: (step(s), None), s, None, length=times)[0]
        return self.module.vmap(each)(state)

    def random_normal(self, key):
        return self.random.normal(key, (1 << 28,), np.float32)

    def wait(self, out):
        return self.module.block_until_ready(out)


class OfTorch:
    """The same names from PyTorch."""

    def __init__(self):
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        self.torch = torch
        self.put = lambda x: torch.from_numpy(x.astype(np.int64) if x.dtype == np.uint32 else x).cuda()
        self.jit = torch.compile
        self.grad = torch.func.grad

    def __getattr__(self, name):
        return getattr(self.torch, name)

    def sum(self, x, axis=None, keepdims=False):
        return self.torch.sum(x) if axis is None else self.torch.sum(x, axis, keepdim=keepdims)

    def mean(self, x, axis=None, keepdims=False):
        return self.torch.mean(x) if axis is None else self.torch.mean(x, axis, keepdim=keepdims)

    def amax(self, x, axis, keepdims):
        return self.torch.amax(x, axis, keepdim=keepdims)

    def grad2(self, function):
        return self.torch.func.grad(function, (0, 1))

    def repeat(self, step, state, times):
        for _ in range(times):
            state = step(state)
        return state

    def random_normal(self, key):
        return self.torch.randn(1 << 28, device="cuda")

    def wait(self, out):
        self.torch.cuda.synchronize()


def library(name):
    """The names of a library; an exception where it is not there or finds no GPU."""
    if name == "torch":
        lib = OfTorch()
        lib.torch.zeros(1).cuda()
        return lib
    if name == "functrans":
        import functrans

        functrans.devices("cuda")
        return OfJax(functrans, lambda x: functrans.device_put(x, "cuda"))
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices("gpu")[0]
    return OfJax(jax, lambda x: jax.device_put(x, device))


def mapped(put, args):
    return type(args)(mapped(put, a) for a in args) if isinstance(args, (list, tuple)) else put(args)


def measure(lib, name):
    """The median time of a call, and that of the first one."""
    make, arguments, _ = WORKLOADS[name]
    function = lib.jit(make(lib))
    args = mapped(lib.put, arguments())
    start = time.perf_counter()
    lib.wait(function(*args))
    first = time.perf_counter() - start
    lib.wait(function(*args))
    start = time.perf_counter()
    lib.wait(function(*args))
    once = time.perf_counter() - start
    if name == "small_program":
        times = []
        for _ in range(1000):
            start = time.perf_counter()
            lib.wait(function(*args))
            times.append(time.perf_counter() - start)
        return statistics.median(times), first
    calls, times = max(2, min(200, int(SECONDS / ROUNDS / once) + 1)), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            out = function(*args)
        lib.wait(out)
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times), first


def serve(name, words):
    """Measure workloads on a library, a line of JSON for each."""
    try:
        lib = library(name)
    except Exception as error:  # not installed, or for another machine: it is not compared then
        print(json.dumps({"missing": f"{type(error).__name__}: {error}"[:200]}), flush=True)
        return
    if name == "functrans":
        print(json.dumps({"copy": copy_bandwidth()}), flush=True)
    for workload in words:
        try:
            seconds, first = measure(lib, workload)
            print(json.dumps({"workload": workload, "seconds": seconds, "first": first}), flush=True)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"[:300]
            print(json.dumps({"workload": workload, "error": said}), flush=True)


def copy_bandwidth():
    """Bytes a second that the card reads and writes when it copies 2 GiB."""
    import cupy

    source, target = cupy.ones(2 * GIB, np.uint8), cupy.empty(2 * GIB, np.uint8)
    times = []
    for _ in range(12):
        cupy.cuda.Stream.null.synchronize()
        start = time.perf_counter()
        cupy.cuda.runtime.memcpyAsync(target.data.ptr, source.data.ptr, source.nbytes, 3, 0)
        cupy.cuda.Stream.null.synchronize()
        times.append(time.perf_counter() - start)
    return 2 * source.nbytes / statistics.median(times)


# ---------------------------------------------------------------- parts


def benchmark(words):
    results = {}
    for name in ("functrans", "jax", "torch"):
        command = [sys.executable, __file__, "--serve", name, *words]
        environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode:
            lines.append({"missing": f"the process ended with {done.returncode}: {done.stderr[-500:]}"})
        results[name] = lines
    copy = next((line["copy"] for line in results["functrans"] if "copy" in line), None)
    times = {n: {r["workload"]: r for r in lines if "workload" in r} for n, lines in results.items()}
    for name, lines in results.items():
        for line in lines:
            if "missing" in line:
                print(f"{name} is not compared: {line['missing']}")
    print(f"copy: {copy / 1e9:.0f} GB/s" if copy else "the copy bandwidth is not known")
    heads = [
        ("workload", 20),
        ("functrans", 12),
        ("of copy", 8),
        ("jax", 12),
        ("ratio", 6),
        ("torch", 12),
        ("ratio", 6),
    ]
    print(" ".join(f"{head:>{width}s}" for head, width in heads))
    for word in words:
        ours = times["functrans"].get(word, {})
        row = [f"{word:>20s}", _microseconds(ours)]
        moved = WORKLOADS[word][2]
        row.append(f"{moved / ours['seconds'] / copy:8.0%}" if copy and moved and "seconds" in ours else " " * 8)
        for other in ("jax", "torch"):
            theirs = times[other].get(word, {})
            both = "seconds" in ours and "seconds" in theirs
            row += [_microseconds(theirs), f"{ours['seconds'] / theirs['seconds']:6.2f}" if both else " " * 6]
        print(" ".join(row))
        for name in times:
            if "error" in times[name].get(word, {}):
                print(f"    {name}: {times[name][word]['error']}")
    failed = [r for r in results["functrans"] if "error" in r or "missing" in r]
    return {"ok": not failed, "copy": copy, "results": results}


def _microseconds(result):
    return f"{result['seconds'] * 1e6:9.0f} us" if "seconds" in result else f"{'-':>12s}"


def tests():
    command = [sys.executable, "-m", "pytest", str(CUDA_TESTS / "on_device"), "-q", "-n", "0"]
    done = subprocess.run(command, env=os.environ | {"FUNCTRANS_TEST_GPU": "1"}, cwd=HERE.parents[1], check=False)
    return {"ok": done.returncode == 0}


def programs(count):
    sys.path.insert(0, str(CUDA_TESTS))
    from programs import check_on_gpu

    failed = {}
    for seed in range(count):
        try:
            check_on_gpu(seed)
        except Exception as error:
            failed[seed] = f"{type(error).__name__}: {error}"[:500]
            print(f"program {seed}: {failed[seed]}", flush=True)
    print(f"{count} random programs, {len(failed)} failed")
    return {"ok": not failed, "count": count, "failed": failed}


def run_families():
    """Every kernel family once: what the sanitizer looks at."""
    sys.path.insert(0, str(CUDA_TESTS))
    from families import FAMILIES

    import functrans as ft

    for function, args, _ in FAMILIES.values():
        ft.device_get(ft.jit(function, device="cuda")(*args))


def sanitizer():
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if tool is None:
        print("compute-sanitizer is not there: left out")
        return {"ok": True, "missing": True}
    said = {}
    for check in ("memcheck", "racecheck", "initcheck", "synccheck"):
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, __file__, "--families"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said[check] = done.returncode
        print(f"compute-sanitizer {check}: {'clean' if not done.returncode else done.stdout[-3000:]}")
    return {"ok": not any(said.values()), **said}


PARTS = ("tests", "programs", "sanitizer", "benchmark")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--json", type=Path, help="where the results are written")
    parser.add_argument("--programs", type=int, default=500, help="how many random programs")
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--serve", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--families", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], options.serve[1:])
        return 0
    if options.families:
        run_families()
        return 0
    for word in (*(p for p in options.parts if p not in PARTS), *(w for w in options.workloads if w not in WORKLOADS)):
        parser.error(f"there is no {word}")
    import functrans as ft

    try:
        (device,) = ft.devices("cuda")
    except ft.errors.DeviceError as error:
        print(f"nothing can be measured here: {error}")
        return 2
    print(f"{device.kind}, functrans {ft.__version__}")
    results = {"device": device.kind, "functrans": ft.__version__}
    parts = {
        "tests": tests, "programs": lambda: programs(options.programs), "sanitizer": sanitizer,
        "benchmark": lambda: benchmark(options.workloads),
    }  # fmt: skip
    for part in options.parts or PARTS:
        print(f"\n{part}", flush=True)
        results[part] = parts[part]()
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    return 0 if all(results[part]["ok"] for part in options.parts or PARTS) else 1


if __name__ == "__main__":
    sys.exit(main())
