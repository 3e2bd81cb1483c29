"""A table from the figures of a run: `python tests/benchmarks/table.py figures.json`.

pytest tests/benchmarks --benchmark-enable -n 0 --benchmark-json=figures.json
"""

import json
import math
import sys


def main(path):
    with open(path) as file:
        figures = json.load(file)["benchmarks"]
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
    main(sys.argv[1])
