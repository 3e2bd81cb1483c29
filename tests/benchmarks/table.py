"""A table from the figures of runs, each library in a process of its own: their threads get in each other's way.

for each in functrans jax; do
    pytest tests/benchmarks -k test_$each --benchmark-enable -n 0 --benchmark-json=$each.json
done
python tests/benchmarks/table.py functrans.json jax.json
"""

import json
import math
import sys


def main(paths):
    figures = []
    for path in paths:
        with open(path) as file:
            figures += json.load(file)["benchmarks"]
    times = {}
    for figure in figures:
        case = (figure["params"]["name"], figure["params"]["dtype"])
        times.setdefault(case, {})[figure["name"].split("[")[0]] = 1e6 * figure["stats"]["median"]
    print("| workload | dtype | functrans, µs | JAX, µs | ratio |\n|---|---|---|---|---|")
    ratios = []
    for (name, dtype), found in times.items():
        mine, other = found["test_functrans"], found.get("test_jax")
        ratio = mine / other if other else math.nan
        ratios.append(ratio)
        print(f"| {name} | {dtype} | {mine:.1f} | {other or math.nan:.1f} | {ratio:.2f} |")
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    print(f"\nGeometric mean of the ratios: {mean:.2f}; below one in {sum(r < 1 for r in ratios)} of {len(ratios)}.")


if __name__ == "__main__":
    main(sys.argv[1:])
