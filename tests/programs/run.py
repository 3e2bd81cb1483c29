"""Check many random programs: python tests/programs/run.py --count 10000 --seed 0 --jobs 2

Programs are checked in processes of their own, a chunk each: a crash is noticed, and the program that caused it named.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

CHUNK = 100
HERE = Path(__file__).parent


def run_chunk(first, count):
    """The reports of a chunk of programs, in a process of its own."""
    command = [sys.executable, __file__, "--chunk", str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE)
    reports = done.stdout.split("\0")
    started = [line for line in done.stderr.splitlines() if line.startswith("program ")]
    if done.returncode:
        last = started[-1] if started else f"chunk {first}"
        reports.append(f"the process ended with {done.returncode} in {last}\n{done.stderr[-2000:]}")
    return [r for r in reports if r.strip()]


def serve_chunk(first, count):
    """Check programs, telling on stderr which one is under way."""
    from check import check_seed

    for seed in range(first, first + count):
        print(f"program {seed}", file=sys.stderr, flush=True)
        report = check_seed(seed)
        if report is not None:
            print(report, end="\0", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--chunk", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chunk:
        serve_chunk(*options.chunk)
        return
    firsts = range(options.seed, options.seed + options.count, CHUNK)
    failed = checked = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        sizes = {f: min(CHUNK, options.seed + options.count - f) for f in firsts}
        pending = {pool.submit(run_chunk, f, n): n for f, n in sizes.items()}
        for done in as_completed(pending):
            checked += pending[done]
            for report in done.result():
                failed += 1
                print(f"\n{report}\n", flush=True)
            print(f"{checked} of {options.count} programs, {failed} failed", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
