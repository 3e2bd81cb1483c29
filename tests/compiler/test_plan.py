"""Plans, run by an interpreter in plain Python: what they compute, and that memory is shared without harm."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import functrans as ft
from functrans.compiler import arena, kernels, loops, plan as pl
from functrans.compiler.steps import Opaque
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Jaxpr, Var, evaluate
from functrans.core.trace import stage
from functrans.errors import IndexOutOfBoundsError
from functrans.lax import broadcasting, elementwise, structural  # noqa: F401


def view(address, shape, dtype):
    size = int(np.prod(shape)) * dtype.itemsize
    if not size:
        return np.empty(shape, dtype)
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(shape)


def run(plan, inputs):
    """Interpret a plan; memory starts as garbage."""
    arena = np.full(plan.arena + 64, 0xA5, np.uint8)
    outputs = [np.full(b.aval.shape, 7, b.aval.dtype) for b in plan.outputs]
    memory = {"input": [np.ascontiguousarray(x) for x in inputs], "output": outputs, "constant": plan.constants}
    slots = [0] * len(plan.slots)
    for i, b in enumerate(plan.slots):
        if b is not None and b.kind != "lent":  # which the program computes
            slots[i] = arena.ctypes.data + b.offset if b.kind == "arena" else memory[b.kind][b.index].ctypes.data
    counters = [0] * plan.counters
    status = np.zeros(1, np.int64)
    labels = {ins.label: i for i, ins in enumerate(plan.instructions) if isinstance(ins, pl.Mark)}
    at = 0
    while at < len(plan.instructions):
        ins = plan.instructions[at]
        at += 1
        match ins:
            case pl.Copy(target, source, n):
                ctypes.memmove(slots[target], slots[source], n)
            case pl.Zero(target, n):
                ctypes.memset(slots[target], 0, n)
            case pl.MoveSlot(target, source, offset):
                slots[target] = slots[source] + offset
            case pl.SetCounter(c, value):
                counters[c] = value
            case pl.AddCounter(c, value):
                counters[c] += value
            case pl.ReadCounter(c, slot, dtype):
                counters[c] = int(view(slots[slot], (), dtype))
            case pl.Jump(label):
                at = labels[label]
            case pl.JumpIfLess(c, limit, label):
                at = labels[label] if counters[c] < limit else at
            case pl.JumpIfFalse(slot, label):
                at = at if view(slots[slot], (), np.dtype(bool)) else labels[label]
            case pl.CallPython():
                results = ins.function(*[view(slots[o.slot], o.shape, o.dtype).copy() for o in ins.ins])
                for o, r in zip(ins.outs, results):
                    view(slots[o.slot], o.shape, o.dtype)[...] = r
            case pl.Gemm():
                gemm(ins, slots)
            case pl.CallKernel(kernel, operands):
                table = np.array([slots[i] for i in operands] + [status.ctypes.data], np.int64)
                sizes = np.array([*kernel.sizes, 0], np.int64)
                call = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 4)(kernels.load(kernel.source))
                call(table.ctypes.data, sizes.ctypes.data, 0, kernel.extent)
                if kernel.checks and status[0]:
                    raise IndexOutOfBoundsError(kernel.checks[status[0] - 1])
            case pl.Mark():
                pass
            case _:
                raise NotImplementedError(ins)
    return outputs


def gemm(g, slots):
    def operand(slot, rows, columns, transposed, leading, stride):
        shape = (columns, rows) if transposed else (rows, columns)
        span = (g.batch - 1) * stride + (shape[0] - 1) * leading + shape[1]
        flat = view(slots[slot], (span,), g.dtype)
        step = g.dtype.itemsize
        x = np.lib.stride_tricks.as_strided(flat, (g.batch, *shape), (stride * step, leading * step, step))
        return x.swapaxes(1, 2) if transposed else x

    a = operand(g.a, g.m, g.k, g.transpose_a, g.lda, g.stride_a)
    b = operand(g.b, g.k, g.n, g.transpose_b, g.ldb, g.stride_b)
    c = operand(g.c, g.m, g.n, False, g.ldc, g.stride_c)
    c[...] = a @ b + (c if g.accumulate else 0)


def opaque_schedule(jaxpr, apart=False):
    return [Opaque(e) for e in jaxpr.eqns]


def aval(*shape, dtype=float):
    return ShapedArray(shape, np.dtype(dtype))


def check(fun, *args, schedule=opaque_schedule):
    avals = [ShapedArray(np.shape(a), np.asarray(a).dtype) for a in args]
    jaxpr, consts = stage(fun, avals)
    return check_jaxpr(jaxpr, consts, args, schedule)


def check_jaxpr(jaxpr, consts, args, schedule=opaque_schedule):
    plan = pl.make_plan(jaxpr, [np.asarray(c) for c in consts], schedule)
    outs = run(plan, args)
    for got, expected in zip(outs, evaluate(jaxpr, consts, args), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
    no_overlap(plan)
    return plan


def no_overlap(plan):
    """Buffers that live at the same time lie apart."""
    hosts = {i.target: i.source for i in plan.instructions if isinstance(i, pl.MoveSlot)}
    buffers = [b for b in plan.slots if b is not None and b.kind in ("arena", "lent") and b.first >= 0 and b.nbytes]
    for i, a in enumerate(buffers):
        for b in buffers[:i]:
            together = a.first <= b.last and b.first <= a.last and hosts.get(a.slot) == hosts.get(b.slot)
            assert not together or a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset


def test_memory_of_dead_values_is_used_again():
    def fun(x):
        for _ in range(20):
            x = elementwise.sin(x)
        return [x]

    plan = check(fun, np.linspace(0, 1, 64))
    assert plan.arena == 2 * 64 * 8
    assert plan.unshared == 19 * 64 * 8


def test_outputs_that_are_inputs_constants_literals_and_each_other():
    c = np.arange(3.0)

    def fun(x):
        y = elementwise.neg(x)
        return [x, y, y, structural.reshape(y, (3, 1)), c, 2.5, structural.reshape(x, (1, 3))]

    check(fun, np.array([1.0, 2.0, 3.0]))


def test_empty_arrays():
    check(lambda x: [elementwise.neg(x), structural.reshape(x, (3, 0)), x], np.zeros((0, 3)))


def random_program(draw, x, y):
    values = [x, y, elementwise.add(x, 1.0)]
    for _ in range(draw(st.integers(1, 12))):
        a, b = (values[draw(st.integers(0, len(values) - 1))] for _ in range(2))
        op = draw(st.sampled_from(["add", "mul", "sin", "reshape"]))
        if op == "reshape":
            values.append(structural.reshape(structural.reshape(a, (6,)), (2, 3)))
        else:
            values.append(elementwise.sin(a) if op == "sin" else getattr(elementwise, op)(a, b))
    return [values[draw(st.integers(0, len(values) - 1))] for _ in range(draw(st.integers(1, 4)))]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_programs(data):
    x, y = np.linspace(0, 1, 6).reshape(2, 3), np.linspace(1, 2, 6).reshape(2, 3)
    check(lambda a, b: random_program(data.draw, a, b), x, y)


def kernel_schedule(jaxpr, apart=False):
    """A kernel for each equation."""
    steps = []
    for e in jaxpr.eqns:
        steps += loops.schedule(Jaxpr((), tuple({v: 0 for v in e.inputs if type(v) is Var}), (e,), e.outvars))
    return steps


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from([1, 1 << 20]))
def test_random_programs_in_place(data, least):
    """Results in the memory of operands and of results to come, also where operands are read otherwise, and later."""
    x, y = np.linspace(0, 1, 6).reshape(2, 3), np.linspace(1, 2, 6).reshape(2, 3)

    def program(x, y):
        values = random_program(data.draw, x, y)
        if data.draw(st.booleans()):
            values += [elementwise.add(values[-1], structural.rev(values[-1], (1,))) for _ in range(2)]
        return [elementwise.mul(v, 2.0) for v in values]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pl, "WORTH_REPLACING", 1)
        patch.setattr(arena, "WORTH_LENDING", least)
        check(program, x, y, schedule=kernel_schedule)


def test_a_chain_of_kernels_needs_no_memory_of_its_own():
    x, w = np.random.default_rng(0).normal(size=(2, 64, 64))

    def network(x, w):
        for _ in range(3):
            x = ft.nn.softmax(ft.numpy.tanh(x @ w) + 1.0)
        return x

    lowered = ft.jit(network).lower(x, w)
    assert lowered.compile().memory_analysis().temp_size_in_bytes <= x.nbytes
    assert "b = a" in lowered.as_text("kernels")
    np.testing.assert_allclose(ft.jit(network)(x, w), network(x, w), rtol=1e-12)


def test_results_that_could_take_the_memory_of_one_operand():
    """Which lies where one of them is wanted; the other one is kept for a product."""
    x, y = np.random.default_rng(0).normal(size=(2, 64, 64))
    np_ = ft.numpy
    functions = [
        lambda x, y: ((x @ y) * 3, np_.tanh(x @ y) @ y),
        lambda x, y: (np_.tanh(x @ y) @ y, (x @ y) * 3),
        lambda x, y: (np_.tanh(x @ y) @ y, (x @ y) * 3, np_.sin(x @ y)),
    ]
    for function in functions:
        for got, expected in zip(ft.jit(function)(x, y), function(x, y), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_a_loop_changes_a_large_carry_where_it_lies():
    x = np.linspace(0, 1, 1000)

    def loop(x):
        return ft.lax.fori_loop(0, 5, lambda i, c: (ft.numpy.sin(c[0]) + c[1].sum(), c[1] * c[0]), (x, x))

    for a, b in zip(ft.jit(loop)(x), loop(x)):
        np.testing.assert_allclose(a, b, rtol=1e-12)
    # the first carry, the sum's operand, has to be made beside the old one; the second is changed where it lies
    assert ft.jit(loop).lower(x).compile().memory_analysis().temp_size_in_bytes < 4 * x.nbytes


def test_a_carry_that_changes_where_it_lies_beside_another_result():
    """Which would fit there too, comes first, and is kept for a product."""
    x, w = np.random.default_rng(0).normal(size=(2, 64, 64)) / 8

    def turn(c, _):
        product = ft.numpy.cos(c[0]) @ w
        return (ft.numpy.tanh(c[0]) + 1, product), c[1].sum()

    scan = lambda x: ft.lax.scan(turn, (x, x), length=4)
    for got, expected in zip(ft.tree.leaves(ft.jit(scan)(x)), ft.tree.leaves(scan(x)), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-13)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10), st.integers(0, 500)), max_size=30))
def test_assign_offsets(lives):
    buffers = []
    for i, (first, length, size) in enumerate(lives):
        b = pl.Buffer(i, "arena", 0, size, None)
        b.first, b.last = first, first + length
        buffers.append(b)
    size = arena.assign_offsets(buffers)
    assert all(b.offset % arena.ALIGNMENT == 0 and b.offset + b.nbytes <= size for b in buffers if b.nbytes)
    no_overlap(pl.Plan([], list(buffers), [], [], [], 0, 0))
