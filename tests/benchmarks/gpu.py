"""All there is to find out on a GPU, in one call: `python tests/benchmarks/gpu.py [--out FOLDER] [parts]`.

| part | what it does |
|---|---|
| `environment` | versions of the packages, the driver and the card; what is missing |
| `families` | every kernel family on the GPU, held to the CPU |
| `benchmark` | workloads beside JAX and `torch.compile`, and the share of the card's copy bandwidth |
| `programs` | random programs and their gradients on the GPU, held to the CPU |
| `tests` | the tests of `tests/compiler/cuda` on the GPU |
| `sanitizer` | `compute-sanitizer` on every kernel family, where that tool is there |

Each part is on its own: what fails or takes too long is named, and the rest goes on, if need be in a new process.
Results are written to the folder as they come, a line of JSON each, and printed at the end. JAX and PyTorch are
compared where they are installed and find the GPU. Times are medians, of calls one after another with one wait at the
end (of each call, for `small_program`). Products of float32 matrices are in full precision in all libraries.

`--small` is for trying this script out: small sizes, JAX and PyTorch on the CPU. With `NUMBA_ENABLE_CUDASIM=1` it needs
no GPU at all.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import math
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CUDA_TESTS = HERE.parent / "compiler" / "cuda"
sys.path[:0] = [str(ROOT), str(HERE.parent), str(CUDA_TESTS)]
GIB = 1 << 30
ROUNDS, SECONDS = 5, 0.5
SMALLER = int(os.environ.get("FUNCTRANS_BENCHMARK_SMALLER", "1"))

# ---------------------------------------------------------------- workloads


def _normal(*shape):
    """Random numbers, the same million again and again, which takes a host less time."""
    shape = tuple(max(1, n // SMALLER) if n > 64 else n for n in shape)
    block = np.random.default_rng(0).standard_normal(min(math.prod(shape), 1 << 20), dtype=np.float32)
    return np.resize(block, shape)


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

    return lib.repeat(step, 1000 // min(SMALLER, 500))


def _options(n):
    x = np.abs(_normal(n)).clip(0, 3) / 3
    return [50 + 100 * x, 0.1 + 1.9 * x[::-1].copy()]


def _network():
    sizes = [1024, 2048, 2048, 16]
    weights = [_normal(m, n) / np.float32(m**0.5) for m, n in zip(sizes, sizes[1:])]
    layers = [(w, np.zeros(w.shape[1], np.float32)) for w in weights]
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

    def repeat(self, step, times):
        return self.module.vmap(lambda s: self.lax.scan(lambda s, _: (step(s), None), s, None, length=times)[0])

    def random_normal(self, key):
        return self.random.normal(key, ((1 << 28) // SMALLER,), np.float32)

    def wait(self, out):
        return self.module.block_until_ready(out)


class OfTorch:
    """The same names from PyTorch."""

    def __init__(self):
        import torch

        torch.backends.cuda.matmul.allow_tf32 = False
        self.torch, self.device = torch, "cpu" if SMALLER > 1 else "cuda"
        torch.zeros(1, device=self.device)  # an error where there is no GPU
        self.put = lambda x: torch.from_numpy(x.astype(np.int64) if x.dtype == np.uint32 else x).to(self.device)
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

    def jit(self, function):
        return function if function.__name__ == "steps" else self.torch.compile(function)

    def repeat(self, step, times):
        """Steps one by one: `compile` would write all of them out."""
        step = self.torch.compile(step)

        def steps(state):
            for _ in range(times):
                state = step(state)
            return state

        return steps

    def random_normal(self, key):
        return self.torch.randn((1 << 28) // SMALLER, device=self.device)

    def wait(self, out):
        if self.device == "cuda":
            self.torch.cuda.synchronize()


def library(name):
    """The names of a library; an exception where it is not there or finds no GPU."""
    if name == "torch":
        return OfTorch()
    if name == "functrans":
        import functrans

        functrans.devices("cuda")
        return OfJax(functrans, lambda x: functrans.device_put(x, "cuda"))
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    device = jax.devices("cpu" if SMALLER > 1 else "gpu")[0]
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
        for _ in range(1000 if SMALLER == 1 else 5):
            start = time.perf_counter()
            lib.wait(function(*args))
            times.append(time.perf_counter() - start)
        return statistics.median(times), first
    calls, times = max(2, min(200, int(SECONDS / ROUNDS / once) + 1)) if SMALLER == 1 else 1, []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(calls):
            out = function(*args)
        lib.wait(out)
        times.append((time.perf_counter() - start) / calls)
    return statistics.median(times), first


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
    bandwidth = 2 * source.nbytes / statistics.median(times)
    del source, target
    cupy.get_default_memory_pool().free_all_blocks()
    return bandwidth


# ---------------------------------------------------------------- in a process of its own


def check_family(name):
    from families import FAMILIES, assert_close

    import functrans as ft

    function, args, _ = FAMILIES[name]
    got = ft.device_get(ft.jit(function, device="cuda")(*args))
    for g, w in zip(*(ft.tree.leaves(t) for t in (got, ft.jit(function)(*args))), strict=True):
        assert_close(g, w)


def check_programs(seeds):
    from programs import check_on_gpu

    failed = []
    for seed in range(*map(int, seeds.split("-"))):
        try:
            check_on_gpu(seed)
        except Exception as error:
            if _is_lasting(error):
                raise
            failed.append(f"program {seed}: {_said(error)}")
    if failed:
        raise AssertionError(f"{len(failed)} of {seeds} differ: " + "\n".join(failed))


def check_benchmark(name, item):
    if item == "copy":
        return {"bandwidth": copy_bandwidth()}
    _LIBRARIES[name] = lib = _LIBRARIES.get(name) or library(name)
    seconds, first = measure(lib, item)
    return {"seconds": seconds, "first": first}


_LIBRARIES: dict = {}


def child(part, items):
    """Do items one after another, and say of each how it went; an error that lasts ends the process."""
    kind, _, name = part.partition(":")
    for item in items:
        start = time.perf_counter()
        try:
            found = {"families": check_family, "programs": check_programs}.get(kind, lambda i: check_benchmark(name, i))
            result = {"item": item, **(found(item) or {})}
        except Exception as error:
            result = {"item": item, "error": _said(error)}
            if _is_lasting(error):
                print(json.dumps(result), flush=True)
                os._exit(3)
        print(json.dumps({**result, "took": round(time.perf_counter() - start, 2)}), flush=True)
    return 0


def _said(error):
    return f"{type(error).__name__}: {error}"[:1500]


def _is_lasting(error):
    """Whether a process cannot go on with CUDA after an error."""
    text = f"{type(error).__mro__} {error}"
    return "CUDARuntimeError" in text or "CUDA_ERROR" in text or "cudaError" in text


# ---------------------------------------------------------------- parts


class Run:
    """The results, the folder that they are written to, and the time that is left."""

    def __init__(self, folder, seconds):
        self.folder, self.end = folder, time.monotonic() + seconds
        self.results = []
        folder.mkdir(parents=True, exist_ok=True)

    def left(self):
        return self.end - time.monotonic()

    def add(self, part, **result):
        self.results.append({"part": part, **result})
        with (self.folder / "results.jsonl").open("a") as file:
            file.write(json.dumps(self.results[-1]) + "\n")
        if "error" in result:
            print(f"  {part} {result.get('item', '')}: {result['error'][:600]}", flush=True)

    def of(self, part):
        return [r for r in self.results if r["part"] == part]

    def items(self, part, items, each):
        """Do items in processes: a new one after each that fails for good or takes more seconds than `each`."""
        rest, starts = list(items), 0
        while rest and starts < 12:
            starts += 1
            with tempfile.TemporaryFile("w+") as errors:
                command = [sys.executable, __file__, "--child", part, *rest]
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(), cwd=ROOT
                )
                lines: queue.Queue = queue.Queue()
                threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
                said = False  # it has to import what it needs first
                while rest:
                    try:
                        line = lines.get(timeout=max(min(each + (0 if said else 30), self.left()), 0.1))
                    except queue.Empty:
                        process.kill()
                        self.add(part, item=rest.pop(0), error="it took too long")
                        break
                    if line is None:
                        break
                    try:
                        result = json.loads(line)
                    except ValueError:
                        print(line.rstrip(), flush=True)
                        continue
                    said = True
                    rest.remove(result["item"])
                    self.add(part, **result)
                process.kill() if self.left() < 0 else None
                code = process.wait()
                if code and rest and not self._just_failed(part):
                    errors.seek(0)
                    said = errors.read()[-1200:]
                    self.add(part, item=rest.pop(0), error=f"the process ended with {code}: {said}")
            if self.left() < 0:
                break
        for item in rest:
            self.add(part, item=item, error="no time was left")

    def _just_failed(self, part):
        found = self.of(part)
        return bool(found) and "error" in found[-1]

    def command(self, part, item, command, limit, environment=()):
        """Run a command; its output goes to a file in the folder, and what it ends with to the results."""
        path = self.folder / f"{part}-{item}.txt"
        limit = min(limit, self.left())
        if limit < 5:
            return self.add(part, item=item, error="no time was left")
        with path.open("w") as file:
            try:
                code = subprocess.run(
                    command, stdout=file, stderr=subprocess.STDOUT, env=_environment() | dict(environment), cwd=ROOT,
                    timeout=limit, check=False,
                ).returncode  # fmt: skip
            except subprocess.TimeoutExpired:
                code = "the limit of time"
        end = path.read_text(errors="replace")[-2500:]
        if code:
            return self.add(part, item=item, error=f"ended with {code}: {end}")
        return self.add(part, item=item, end=end[-200:])


def _environment():
    return os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONWARNINGS": "ignore"}


def _pass_on(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


PACKAGES = (
    "numpy", "scipy", "numba", "numba-cuda", "llvmlite", "cupy-cuda13x", "cupy-cuda12x", "cuda-bindings", "optree",
    "opt_einsum", "ml_dtypes", "safetensors", "pytest", "pytest-xdist", "hypothesis", "jax", "jaxlib", "torch",
    "nvidia-nvvm", "nvidia-nvjitlink", "nvidia-cublas", "nvidia-cusolver", "nvidia-cufft",
)  # fmt: skip


def environment(run, options):
    for package in PACKAGES:
        try:
            run.add("environment", item=package, version=importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            run.add("environment", item=package, version=None)
    versions = {r["item"]: r["version"] for r in run.of("environment")}
    print("  " + ", ".join(f"{p} {v or 'is missing'}" for p, v in versions.items()))
    smi = shutil.which("nvidia-smi")
    if smi:
        query = [smi, "--query-gpu=name,driver_version,memory.total,clocks.sm,clocks.mem", "--format=csv"]
        print("  " + subprocess.run(query, capture_output=True, text=True, check=False).stdout.replace("\n", "\n  "))
    probe = "import functrans as ft; d, = ft.devices('cuda'); print(d.kind, ft.__version__)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        run.add("environment", item="functrans", error=done.stderr.strip()[-1000:])
    else:
        print(f"  functrans finds {done.stdout.strip()}")
    return not done.returncode


def families(run, options):
    from families import FAMILIES

    names = list(FAMILIES)[:: 12 if SMALLER > 1 else 1]
    run.items("families", names, 60)
    good = [r for r in run.of("families") if "error" not in r]
    print(f"  {len(good)} of {len(names)} families as on the CPU")


def benchmark(run, options):
    for name in ("functrans", "jax", "torch"):
        part = f"benchmark:{name}"
        if importlib.util.find_spec(name) is None:
            print(f"  {name} is not compared: it is not installed")
            continue
        first = ["copy"] if name == "functrans" and SMALLER == 1 else []
        run.items(part, [*first, *options.workloads], 60)
    report(run, options)


def report(run, options):
    times = {n: {r["item"]: r for r in run.of(f"benchmark:{n}")} for n in ("functrans", "jax", "torch")}
    copy = times["functrans"].get("copy", {}).get("bandwidth")
    print(f"  copy: {copy / 1e9:.0f} GB/s" if copy else "  the copy bandwidth is not known")
    heads = [
        ("workload", 20), ("functrans", 12), ("of copy", 8), ("jax", 12), ("ratio", 6), ("torch", 12), ("ratio", 6),
        ("first call", 11),
    ]  # fmt: skip
    print("  " + " ".join(f"{head:>{width}s}" for head, width in heads))
    for word in options.workloads:
        ours = times["functrans"].get(word, {})
        row = [f"{word:>20s}", _microseconds(ours)]
        moved = WORKLOADS[word][2]
        row.append(f"{moved / ours['seconds'] / copy:8.0%}" if copy and moved and "seconds" in ours else " " * 8)
        for other in ("jax", "torch"):
            theirs = times[other].get(word, {})
            both = "seconds" in ours and "seconds" in theirs
            row += [_microseconds(theirs), f"{ours['seconds'] / theirs['seconds']:6.2f}" if both else " " * 6]
        row.append(f"{ours['first']:9.2f} s" if "first" in ours else "")
        print("  " + " ".join(row))


def _microseconds(result):
    return f"{result['seconds'] * 1e6:9.0f} us" if "seconds" in result else f"{'-':>12s}"


def programs(run, options):
    step = 20 if SMALLER == 1 else 1
    run.items("programs", [f"{n}-{n + step}" for n in range(0, options.programs, step)], 120)
    good = [r for r in run.of("programs") if "error" not in r]
    print(f"  {len(good) * step} of {options.programs} random programs in stretches without a difference")


def tests(run, options):
    """The project's settings are left aside: they turn warnings, which CuPy may have, into errors."""
    if importlib.util.find_spec("pytest") is None:
        return run.add("tests", item="pytest", error="pytest is not installed")
    workers = ["-n", "8"] if importlib.util.find_spec("xdist") is not None else []
    device = {"FUNCTRANS_TEST_GPU": "1"} if "NUMBA_ENABLE_CUDASIM" not in os.environ else {}
    paths = [CUDA_TESTS / "on_device", *([CUDA_TESTS / "test_cupy.py"] if device else [])]
    common = [
        "-c",
        os.devnull,
        "--rootdir",
        str(ROOT),
        "--import-mode=importlib",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    for path in paths:
        command = [sys.executable, "-m", "pytest", str(path), *common, *workers]
        if SMALLER > 1:
            command += ["-k", "test_placement or affine"]
        python_path = os.pathsep.join([str(ROOT), str(HERE.parent), str(CUDA_TESTS)])
        run.command("tests", path.stem, command, 300, {"PYTHONPATH": python_path, **device}.items())
    for r in run.of("tests"):
        print(f"  {r['item']}: {r.get('end', '').strip().splitlines()[-1:] or 'failed'}")


def sanitizer(run, options):
    places = [os.environ.get("PATH", ""), "/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer"]
    places += [str(p) for p in Path(np.__file__).parents[1].glob("nvidia/*/bin")]
    tool = shutil.which("compute-sanitizer", path=os.pathsep.join(places))
    if tool is None:
        print("  compute-sanitizer is not there: left out")
        return
    from families import FAMILIES

    for check in ("memcheck", "racecheck", "synccheck", "initcheck"):
        command = [tool, "--tool", check, "--error-exitcode", "9", sys.executable, __file__, "--child", "families"]
        run.command("sanitizer", check, [*command, *FAMILIES], 240)
    for r in run.of("sanitizer"):
        print(f"  {r['item']}: {'clean' if 'error' not in r else 'not clean'}")


PARTS = {f.__name__: f for f in (environment, families, benchmark, programs, tests, sanitizer)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--out", type=Path, default=Path("gpu-results"), help="the folder for the results")
    parser.add_argument("--seconds", type=float, default=3600, help="how long all of it may take")
    parser.add_argument("--programs", type=int, default=200, help="how many random programs")
    parser.add_argument("--workloads", nargs="*", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--small", action="store_true", help="small sizes, to try out this script")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return child(options.child[0], options.child[1:])
    for word in options.parts:
        if word not in PARTS:
            parser.error(f"there is no part {word}: {', '.join(PARTS)}")
    if options.small:
        os.environ["FUNCTRANS_BENCHMARK_SMALLER"] = "16384"
        return subprocess.run([sys.executable, *(w for w in sys.argv if w != "--small")], check=False).returncode
    run = Run(options.out, options.seconds)
    for part in options.parts or PARTS:
        print(f"{part}, {run.left():.0f} s left", flush=True)
        start = time.monotonic()
        try:
            there = PARTS[part](run, options)
        except Exception as error:  # of this script's: the next part goes on
            run.add(part, item="", error=_said(error))
            there = True
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
        if there is False:
            print("nothing can be measured here")
            return 2
    failed = [r for r in run.results if "error" in r]
    print(f"\n{len(failed)} failures; all results are in {run.folder / 'results.jsonl'}")
    for r in failed:
        print(f"  {r['part']} {r.get('item', '')}: {r['error'].splitlines()[-1][:200] if r['error'] else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
