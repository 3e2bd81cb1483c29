"""The workloads on functrans and on JAX: `python tests/benchmarks/compare.py [words in the names of workloads]`.

Each library runs in a process of its own, and they take turns, so what else the machine does meets both. The ratio is
the median over the rounds of functrans' time by JAX's.
"""

import argparse
import importlib
import json
import math
import statistics
import subprocess
import sys
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

    module = importlib.import_module(library)
    if library == "jax":
        module.config.update("jax_enable_x64", True)
    for part in ("numpy", "lax", "nn", "scipy.special", "scipy.linalg", "tree"):
        importlib.import_module(f"{library}.{part}")
    runs = {}
    for line in sys.stdin:
        case = name, dtype = tuple(line.split())
        if case not in runs:
            function, args = WORKLOADS[name][0](module, np.dtype(dtype).type)
            if library == "jax":
                args = module.tree.map(module.numpy.asarray, args)
            run = runs[case] = lambda f=function, a=args: module.block_until_ready(f(*a))
            print(timed(run), flush=True)
            run()
            continue
        times = [timed(runs[case])]
        while sum(times) < SECONDS:
            times.append(timed(runs[case]))
        print(statistics.median(times), flush=True)


class Worker:
    def __init__(self, library):
        command = [sys.executable, __file__, "--serve", library]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name, dtype):
        print(name, dtype, file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="parts of the names of workloads; all by default")
    parser.add_argument("--json", help="a file for the figures")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    from workloads import WORKLOADS

    mine, other = Worker("functrans"), Worker("jax")
    print("| workload | dtype | functrans, µs | JAX, µs | ratio | first call, ms | JAX, ms |\n" + "|---" * 7 + "|")
    figures = []
    for name, (_, dtypes) in WORKLOADS.items():
        for dtype in dtypes if not options.words or any(w in name for w in options.words) else ():
            firsts = [1e3 * worker.ask(name, dtype) for worker in (mine, other)]
            pairs = [[1e6 * worker.ask(name, dtype) for worker in (mine, other)] for _ in range(ROUNDS)]
            a, b = (statistics.median(times) for times in zip(*pairs))
            ratio = statistics.median(x / y for x, y in pairs)
            print(
                f"| {name} | {dtype} | {a:.1f} | {b:.1f} | {ratio:.2f} | {firsts[0]:.0f} | {firsts[1]:.0f} |",
                flush=True,
            )
            figures.append({"name": name, "dtype": dtype, "us": [a, b], "ratio": ratio, "first_ms": firsts})
    ratios = [f["ratio"] for f in figures]
    mean = math.exp(statistics.mean(map(math.log, ratios)))
    first = math.exp(statistics.mean(math.log(f["first_ms"][0] / f["first_ms"][1]) for f in figures))
    print(
        f"\nGeometric mean of the ratios {mean:.2f}, of first calls {first:.2f}; "
        f"below one in {sum(r < 1 for r in ratios)} of {len(ratios)}."
    )
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
