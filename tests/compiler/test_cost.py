"""Costs of equations, against the counts that one finds in books."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import lax
from functrans.compiler.cost import Cost, cost, jaxpr_cost
from functrans.core.primitive import registry

SIZES = st.integers(1, 6)
N = 8
A = np.eye(N)


def cost_of(fun, *args) -> Cost:
    return jaxpr_cost(ft.make_jaxpr(fun)(*args).jaxpr)


@given(m=SIZES, n=SIZES, k=SIZES, batch=SIZES, dtype=st.sampled_from([np.float32, np.float64]))
def test_matrix_product(m, n, k, batch, dtype):
    a, b = np.ones((batch, m, k), dtype), np.ones((batch, k, n), dtype)
    wanted = Cost(2 * batch * m * n * k, batch * (m * k + k * n + m * n) * a.itemsize)
    assert cost_of(lambda a, b: a @ b, a, b) == wanted


ROWS = {  # name: (function, arguments, operations, bytes)
    "elementwise": (np.sin, (np.ones((3, 4)),), 12, 2 * 96),
    "broadcast": (np.add, (np.ones((3, 1)), np.ones(4)), 12, 24 + 32 + 96),
    "literals are text": (lambda x: x * 2.0, (np.ones(5),), 5, 80),
    "comparison": (np.less, (np.ones(5), np.ones(5)), 5, 80 + 5),
    "reduction": (np.sum, (np.ones((3, 4)),), 11, 96 + 8),
    "argmax": (np.argmax, (np.ones(9),), 8, 72 + 8),
    "running sum": (np.cumsum, (np.ones(9),), 9, 144),
    "convolution": (
        lambda x, w: lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=2),
        (np.ones((2, 4, 8, 8)), np.ones((6, 2, 3, 3))),
        2 * (2 * 6 * 8 * 8) * (2 * 3 * 3),
        None,
    ),
    "pooling": (
        lambda x: lax.reduce_window(x, -np.inf, lax.max, (2, 2), (2, 2), "VALID"),
        (np.ones((8, 8)),),
        48,
        640,
    ),
    "moving": (np.transpose, (np.ones((3, 4)),), 0, 192),
    "conversion": (lambda x: x.astype(np.float32), (np.ones(4),), 0, 32 + 16),
    "slice": (lambda x: x[:3], (np.ones(100),), 0, 48),
    "gather": (lambda x, i: x[i], (np.ones(100), np.arange(3)), 0, 48 + 24),
    "scattered sum": (lambda x, i: fnp.asarray(x).at[i].add(1.0), (np.ones(100), np.arange(3)), 3, None),
    "fft": (np.fft.rfft, (np.ones(16),), 2.5 * 16 * 4, 128 + 9 * 16),
    "sort": (np.sort, (np.ones(16),), 16 * 4, 256),
    "inner jit": (ft.named_call(np.sin), (np.ones(5),), 5, 80),
    "scan": (lambda c, xs: lax.scan(lambda c, x: (c * x, c + x), c, xs), (np.array(1.0), np.ones(10)), 20, 10 * 2 * 24),
    "cond": (lambda x: lax.cond(x.sum() > 0, np.sin, lambda x: np.sin(x) + x, x), (np.ones(5),), 4 + 1 + 10, None),
    "while": (lambda n: lax.while_loop(lambda c: c < n, lambda c: c + c, 1.0), (3.0,), 2, None),
}


@pytest.mark.parametrize("name", ROWS)
def test_operations_and_bytes(name):
    fun, args, flops, nbytes = ROWS[name]
    found = cost_of(fun, *args)
    assert found.flops == flops
    if nbytes is not None:
        assert found.bytes == nbytes


FACTORIZATIONS = {  # flops / n**3, as n grows
    "cholesky": (lambda a: lax.linalg.cholesky(a, symmetrize_input=False), 1 / 3),
    "lu": (lambda a: lax.linalg.lu(a), 2 / 3),
    "solve": (np.linalg.solve, 2 / 3 + 2),
    "qr": (np.linalg.qr, 8 / 3),
    "eigh": (np.linalg.eigh, 9),
    "eig": (np.linalg.eig, 25),
    "svd": (np.linalg.svd, 26),
    "singular values": (lambda a: np.linalg.svd(a, compute_uv=False), 4),
}


@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_factorizations(name):
    fun, factor = FACTORIZATIONS[name]
    n = 60
    args = [ft.ShapeDtypeStruct((3, n, n), np.float64)] * (2 if name == "solve" else 1)
    assert cost_of(fun, *args).flops == pytest.approx(3 * factor * n**3, rel=0.05)


def test_one_equation_of_many_results_counts_its_matrices():
    assert cost_of(lambda a, b: lax.linalg.triangular_solve(a, b, left_side=True), A, np.ones((N, 3))).flops == 3 * N**2


def test_analyses_of_compiled_programs():
    """Operations are those of the simplified program, bytes those that fused kernels move."""
    x = np.ones((20, 30))
    fun = lambda x: np.sum(np.tanh(x) * 2.0 + x)
    compiled = ft.jit(fun).lower(x).compile()
    found = compiled.cost_analysis()
    assert found["flops"] == 3 * 600 + 599
    assert found["bytes accessed"] == 600 * 8 + 8 < cost_of(fun, x).bytes
    memory = compiled.memory_analysis()
    assert (memory.argument_size_in_bytes, memory.output_size_in_bytes) == (4800, 8)
    assert memory.constant_size_in_bytes == 0
    held = ft.jit(lambda y: x @ y).lower(np.ones(30)).compile().memory_analysis()
    assert held.constant_size_in_bytes == x.nbytes


def test_compiled_twice_costs_the_same():
    lowered = ft.jit(np.sin).lower(np.ones(7))
    assert lowered.cost_analysis() == lowered.compile().cost_analysis() == {"flops": 7.0, "bytes accessed": 112}


def test_moves_are_primitives():
    from functrans.compiler import cost as module

    known = set(registry) | {"dot_general_add"}
    for names in (module.MOVES, module._READ_PART, module._WRITE_PART, module._COUNTS):
        assert set(names) <= known


def test_empty_arrays_cost_nothing():
    (eqn,) = ft.make_jaxpr(np.sum)(np.ones((0,))).jaxpr.eqns
    assert cost(eqn) == Cost(0, 8)
