"""The workloads on functrans and on a peer: `python tests/benchmarks/compare.py [words in the names of workloads]`.

The peer is JAX, or with `--peer` PyTorch (by `torch.compile`, or eager) or autograd, for the workloads of `peers.py`.
Each library runs in a process of its own, and they take turns, so what else the machine does meets both. The ratio is
the median over the rounds of functrans' time by the peer's. `--cold` begins with an empty cache of kernels, and times
first calls in a second process too.
"""

import argparse
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, SECONDS = 7, 0.1


def timed(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def serve(library):
    """Answer lines with a workload and a dtype: with the time of its first call, then of others."""
    import numpy as np
    from workloads import WORKLOADS

    module = importlib.import_module(library.removesuffix("-eager"))
    if library == "jax":
        module.config.update("jax_enable_x64", True)
    if library in ("functrans", "jax"):
        for part in ("numpy", "lax", "nn", "random", "scipy.special", "scipy.linalg", "tree"):
            importlib.import_module(f"{library}.{part}")
    else:
        from peers import peer_workloads

        others, functrans = peer_workloads(library), importlib.import_module("functrans")
    runs = {}
    for line in sys.stdin:
        case = name, dtype = tuple(line.split())
        if case not in runs:
            if library in ("functrans", "jax"):
                function, args = WORKLOADS[name][0](module, np.dtype(dtype).type)
                if library == "jax":
                    args = module.tree.map(module.numpy.asarray, args)
                runs[case] = lambda f=function, a=args: module.block_until_ready(f(*a))
            else:
                _, args = WORKLOADS[name][0](functrans, np.dtype(dtype).type)
                runs[case] = others[name](args)
            run = runs[case]
            print(timed(run), flush=True)
            run()
            continue
        times = [timed(runs[case])]
        while sum(times) < SECONDS:
            times.append(timed(runs[case]))
        print(statistics.median(times), flush=True)


class Worker:
    def __init__(self, library, **environment):
        command = [sys.executable, __file__, "--serve", library]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, text=True, env=os.environ | environment, **pipes)

    def ask(self, name, dtype):
        print(name, dtype, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="parts of the names of workloads; all by default")
    parser.add_argument("--peer", default="jax", choices=["jax", "torch", "torch-eager", "autograd"])
    parser.add_argument(
        "--cold", action="store_true", help="first calls with an empty cache of kernels, and a full one"
    )
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(options, {"FUNCTRANS_CACHE_DIR": folder} if options.cold else {})


def compare(options, environment):
    from workloads import WORKLOADS

    names = [n for n in WORKLOADS if not options.words or any(w in n for w in options.words)]
    if options.peer != "jax":
        from peers import peer_workloads

        names = [n for n in names if n in peer_workloads(options.peer)]
    mine, other = Worker("functrans", **environment), Worker(options.peer)
    again = Worker("functrans", **environment) if options.cold else None
    columns = ["workload", "dtype", "functrans, µs", f"{options.peer}, µs", "ratio", "first call, ms"]
    print("|", " | ".join([*columns, *["again, ms"] * options.cold, f"{options.peer}, ms"]), "|")
    print("|---" * (7 + options.cold) + "|")
    figures = []
    for name in names:
        for dtype in WORKLOADS[name][1]:
            firsts = [1e3 * worker.ask(name, dtype) for worker in (mine, other)]
            if again is not None:
                firsts.insert(1, 1e3 * again.ask(name, dtype))
            pairs = [[1e6 * worker.ask(name, dtype) for worker in (mine, other)] for _ in range(ROUNDS)]
            a, b = (statistics.median(times) for times in zip(*pairs))
            ratio = statistics.median(x / y for x, y in pairs)
            calls = " | ".join(f"{ms:.0f}" for ms in firsts)
            print(f"| {name} | {dtype} | {a:.1f} | {b:.1f} | {ratio:.2f} | {calls} |", flush=True)
            figures.append({"name": name, "dtype": dtype, "us": [a, b], "ratio": ratio, "first_ms": firsts})
    ratios = [f["ratio"] for f in figures]
    firsts = [
        f"{geometric_mean(f['first_ms'][i] / f['first_ms'][-1] for f in figures):.2f}" for i in range(1 + options.cold)
    ]
    print(
        f"\nGeometric mean of the ratios {geometric_mean(ratios):.2f}, of first calls {', again '.join(firsts)}; "
        f"below one in {sum(r < 1 for r in ratios)} of {len(ratios)}."
    )
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


def geometric_mean(values):
    return math.exp(statistics.mean(map(math.log, values)))


if __name__ == "__main__":
    main()
