"""Writes jax_figures.json: what JAX's initializers and its attention compute.

Run it in an environment with JAX:

    pip install jax && python tests/nn/make_jax_figures.py

The key of initializers is that of the seed 3; `test_attention.py` makes the inputs of attention in the same way.
"""

import json
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)

init = jax.nn.initializers
INITIALIZERS = {
    **{
        f"{name}_{distribution}": (getattr(init, f"{name}_{distribution}")(), (2, 3, 4))
        for name in ("glorot", "lecun", "he")
        for distribution in ("uniform", "normal")
    },
    "uniform": (init.uniform(0.5), (2, 3, 4)),
    "normal": (init.normal(0.5), (2, 3, 4)),
    "truncated_normal": (init.truncated_normal(0.5, lower=-1.0), (2, 3, 4)),
    "variance_scaling": (init.variance_scaling(0.7, "fan_geo_avg", "normal", 0, (1,), 2), (2, 3, 4)),
    "variance_scaling_axes": (init.variance_scaling(0.7, "fan_out", "uniform", 0, (1, 2)), (2, 3, 4)),
    "orthogonal": (init.orthogonal(2.0), (2, 3, 4)),
    "orthogonal_axis": (init.orthogonal(column_axis=0), (2, 3, 4)),
    "orthogonal_wide": (init.orthogonal(), (2, 5)),
    "delta_orthogonal": (init.delta_orthogonal(0.5), (3, 2, 3)),
}


def attention():
    rng = np.random.default_rng(0)
    query = rng.normal(size=(2, 4, 6, 3))
    key, value = rng.normal(size=(2, 2, 5, 2, 3))
    bias, mask = rng.normal(size=(1, 6, 4, 5)), rng.random((2, 1, 4, 5)) < 0.7
    lengths = {"query_seq_lengths": np.array([3, 4], np.int32), "key_value_seq_lengths": np.array([2, 5], np.int32)}
    cases = {
        "plain": {},
        "bias": {"bias": bias, "scale": 0.3},
        "mask": {"mask": mask},
        "causal": {"is_causal": True},
        "window": {"local_window_size": (1, 2)},
        "lengths": lengths,
        "all": {"bias": bias, "mask": mask, "is_causal": True, "local_window_size": 2},
    }
    return {name: jax.nn.dot_product_attention(query, key, value, **case) for name, case in cases.items()}


def main():
    key = jax.random.PRNGKey(3)
    made = {name: function(key, shape, np.float64) for name, (function, shape) in INITIALIZERS.items()}
    figures = {"initializers": made, "attention": attention()}
    text = json.dumps(jax.tree.map(lambda x: np.asarray(x).tolist(), figures))
    (Path(__file__).parent / "jax_figures.json").write_text(text)


if __name__ == "__main__":
    main()
