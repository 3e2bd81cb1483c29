"""Contractions: `dot_general` against its definition, `matmul` and `einsum` against NumPy's, and all their rules."""

import numpy as np
import opt_einsum
import pytest
from helpers import abstract, assert_same, check_batching, check_derivatives, check_rules, check_staged
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from functrans import errors, lax
from functrans.core.trace import stage
from functrans.lax.contraction import einsum, matmul

DTYPES = [np.bool_, np.int8, np.int32, np.uint64, np.float16, np.float32, np.float64, np.complex64, np.complex128]


def random_array(rng, shape, dtype=np.float64):
    values = rng.integers(-3, 4, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.integers(-3, 4, shape)
    return (np.abs(values) if np.dtype(dtype).kind in "bu" else values).astype(dtype)


@st.composite
def contractions(draw, dtypes=(np.float64,)):
    """Two operands with batch, contracted and free axes in any order, sizes of zero included, and the numbers."""
    counts = [draw(st.integers(0, 2)) for _ in range(4)]
    letters = iter("abcdefgh")
    batch, over, left, right = ([next(letters) for _ in range(n)] for n in counts)
    sizes = {c: draw(st.sampled_from([0, 1, 2, 3])) for c in (*batch, *over, *left, *right)}
    ta = draw(st.permutations([*batch, *over, *left]))
    tb = draw(st.permutations([*batch, *over, *right]))
    numbers = (
        (tuple(ta.index(c) for c in over), tuple(tb.index(c) for c in over)),
        (tuple(ta.index(c) for c in batch), tuple(tb.index(c) for c in batch)),
    )
    rng = np.random.default_rng(draw(st.integers(0, 100)))
    dtype = draw(st.sampled_from(list(dtypes)))
    a, b = (random_array(rng, [sizes[c] for c in t], dtype) for t in (ta, tb))
    free_a, free_b = ([c for c in t if c not in (*batch, *over)] for t in (ta, tb))
    return a, b, numbers, f"{''.join(ta)},{''.join(tb)}->{''.join([*batch, *free_a, *free_b])}"


@settings(max_examples=80, deadline=None)
@given(contractions(DTYPES))
def test_dot_general_is_its_definition(drawn):
    a, b, numbers, spec = drawn
    fun = lambda a, b: lax.dot_general(a, b, numbers)
    assert_same(fun(a, b), np.einsum(spec, a, b))
    check_staged(fun, a, b)
    check_batching(fun, a, b, rtol=1e-3 if a.dtype == np.float16 else 1e-5)


@settings(max_examples=25, deadline=None)
@given(contractions())
def test_derivatives_of_dot_general(drawn):
    a, b, numbers, _ = drawn
    check_derivatives(lambda a, b: lax.dot_general(a, b, numbers), a, b)


def test_one_operand_twice():
    x = np.random.default_rng(0).standard_normal((3, 3))
    check_rules(lambda x: lax.dot_general(x, x, (((0,), (1,)), ((), ()))), x)
    check_rules(lambda x: matmul(x, matmul(x, x)), x)


@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32])
def test_preferred_element_type_is_that_of_the_sums(dtype):
    a = np.full(300, 11, dtype)
    wide = np.int32 if dtype == np.int8 else np.float64
    fun = lambda a, b: lax.dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type=wide)
    assert_same(fun(a, a), np.asarray(300 * 121, wide))
    check_staged(fun, a, a)
    assert_same(lax.dot(a, a, preferred_element_type=wide), np.asarray(300 * 121, wide))


@pytest.mark.parametrize(
    ("shapes", "numbers", "message"),
    [
        (((2, 3), (4, 5)), (((1,), (0,)), ((), ())), r"contracted axes of shapes \(2, 3\) and \(4, 5\).*\(3,\) and"),
        (((2, 3), (2, 3)), (((0, 1), (1, 0)), ((), ())), r"contracted axes .* have equal sizes"),
        (((2, 3), (3, 2)), (((1,), (0,)), ((0,), (0,))), "second operand, of shape"),
        (((2, 3), (3, 2)), (((2,), (0,)), ((), ())), "not distinct axes of the first operand"),
        (((2, 3), (4, 3)), (((1,), (1,)), ((0,), (0,))), r"the batch axes .* \(2,\) and \(4,\)"),
    ],
)
def test_errors_of_dot_general(shapes, numbers, message):
    fun = lambda a, b: lax.dot_general(a, b, numbers)
    with pytest.raises(errors.ShapeError, match=message):
        fun(*map(np.ones, shapes))
    with pytest.raises(errors.ShapeError, match=message):
        abstract(fun, *((s, np.float64) for s in shapes))


def test_more_errors_of_dot_general():
    a = np.ones((2, 2))
    for call in (lambda *xs: lax.dot_general(*xs, (((1,), (0,)), ((), ()))),):
        with pytest.raises(errors.DTypeError, match="dtypes float64 and int32"):
            call(a, a.astype(np.int32))
    with pytest.raises(errors.ArgumentError, match="dimension_numbers of dot_general are"):
        lax.dot_general(a, a, ((1,), (0,)))


# ---------------------------------------------------------------- matmul and dot


@st.composite
def matrix_shapes(draw):
    """Shapes that NumPy's matmul takes: vectors, matrices, and stacks of them that broadcast."""
    m, k, n = (draw(st.sampled_from([0, 1, 2, 3])) for _ in range(3))
    kind = draw(st.sampled_from(["vv", "vm", "mv", "mm", "Mv", "vM", "Mm", "mM", "MM"]))
    both = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=2, max_side=3)).input_shapes
    shapes = []
    for which, own, batch in zip(kind, ((m, k), (k, n)), both):
        vector = (k,)
        shapes.append({"v": vector, "m": own, "M": (*batch, *own)}[which])
    return shapes


@settings(max_examples=80, deadline=None)
@given(matrix_shapes(), st.sampled_from(DTYPES), st.sampled_from(DTYPES), st.integers(0, 100))
def test_matmul_is_numpys(shapes, left, right, seed):
    rng = np.random.default_rng(seed)
    a, b = random_array(rng, shapes[0], left), random_array(rng, shapes[1], right)
    wanted = np.matmul(a, b)
    assert_same(matmul(a, b), wanted)
    for got in stage_and_evaluate(matmul, a, b):
        assert_same(got, wanted)


def stage_and_evaluate(fun, *args):
    from functrans.core.avals import aval_of
    from functrans.core.jaxpr import evaluate

    jaxpr, consts = stage(lambda *xs: [fun(*xs)], [aval_of(a) for a in args])
    return evaluate(jaxpr, consts, args)


@settings(max_examples=25, deadline=None)
@given(matrix_shapes(), st.integers(0, 100))
def test_derivatives_of_matmul(shapes, seed):
    rng = np.random.default_rng(seed)
    check_rules(matmul, *(rng.standard_normal(s) for s in shapes))


def test_derivatives_of_complex_products():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)) for _ in range(2))
    check_rules(matmul, a, b)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (4, 5)), r"last axis of the first \(3\) and the second to last axis of the second \(4\)"),
        (((2, 3), (4,)), r"the only axis of the second \(4\)"),
        (((), (4,)), "at least one axis; multiply by scalars"),
        (((2, 1, 3), (4, 3, 1)), "leading axes: operands of shapes"),
    ],
)
def test_errors_of_matmul(shapes, message):
    if "leading" in message:
        shapes = ((2, 1, 3), (4, 3, 1))
    for call in (lambda: matmul(*map(np.ones, shapes)), lambda: abstract(matmul, *((s, np.float64) for s in shapes))):
        with pytest.raises(errors.ShapeError, match=message):
            call()


def test_dot_takes_vectors_and_matrices():
    rng = np.random.default_rng(0)
    for sa, sb in [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2))]:
        a, b = rng.standard_normal(sa), rng.standard_normal(sb)
        assert_same(lax.dot(a, b), np.dot(a, b))
    with pytest.raises(errors.ShapeError, match=r"dot takes vectors and matrices, got shape \(1, 2, 2\)"):
        lax.dot(np.ones((1, 2, 2)), np.ones((2, 2)))


# ---------------------------------------------------------------- einsum


@st.composite
def einsums(draw, max_operands=3):
    """Terms with repeated letters, ellipses and axes of size one that broadcast, with or without a result's term."""
    sizes = {c: draw(st.sampled_from([0, 1, 2, 3])) for c in "ijkl"}
    dots = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=2))
    terms, shapes = [], []
    for _ in range(draw(st.integers(1, max_operands))):
        term = "".join(draw(st.lists(st.sampled_from("ijkl"), max_size=3)))
        shape = [sizes[c] for c in term]
        if draw(st.booleans()):
            place = draw(st.integers(0, len(term)))
            own = dots[draw(st.integers(0, len(dots))) :]
            own = tuple(1 if draw(st.booleans()) else n for n in own)
            term = f"{term[:place]}...{term[place:]}"
            shape = [*shape[:place], *own, *shape[place:]]
        terms.append(term)
        shapes.append(tuple(shape))
    spec = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set(spec) - set(",."))
        out = "".join(draw(st.permutations(draw(st.lists(st.sampled_from(used), unique=True))))) if used else ""
        place = draw(st.integers(0, len(out)))
        spec = f"{spec}->{out[:place]}...{out[place:]}" if "..." in spec else f"{spec}->{out}"
    return spec, shapes


@settings(max_examples=120, deadline=None)
@given(einsums(), st.lists(st.sampled_from(DTYPES), min_size=3, max_size=3), st.integers(0, 100))
def test_einsum_is_numpys(drawn, dtypes, seed):
    spec, shapes = drawn
    rng = np.random.default_rng(seed)
    args = [random_array(rng, s, d) for s, d in zip(shapes, dtypes)]
    if np.result_type(*args) == np.float16:
        args[0] = args[0].astype(np.float32)  # NumPy's own sums of halves depend on their order
    wanted = np.einsum(spec, *args)
    assert_same(einsum(spec, *args), wanted)
    (got,) = stage_and_evaluate_many(spec, args)
    assert_same(got, wanted)


def stage_and_evaluate_many(spec, args):
    return stage_and_evaluate(lambda *xs: einsum(spec, *xs), *args)


@settings(max_examples=30, deadline=None)
@given(einsums(max_operands=2), st.integers(0, 100))
def test_rules_of_einsum(drawn, seed):
    spec, shapes = drawn
    rng = np.random.default_rng(seed)
    check_rules(lambda *xs: einsum(spec, *xs), *(rng.standard_normal(s) for s in shapes), order=1)


@pytest.mark.parametrize("optimize", ["auto", "greedy", "optimal", True, False, ["einsum_path", (0, 2), (0, 1)]])
def test_einsum_along_every_path(optimize):
    rng = np.random.default_rng(0)
    args = [rng.standard_normal(s) for s in ((2, 3), (3, 4), (4, 2))]
    wanted = opt_einsum.contract("ij,jk,ki->", *args)
    assert_same(einsum("ij,jk,ki->", *args, optimize=optimize), wanted, 1e-12)
    assert_same(einsum(" i j, jk , ki -> ", *args, optimize=optimize), wanted, 1e-12)


def test_einsum_with_lists_of_labels():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 3)), rng.standard_normal((3, 4))
    assert_same(einsum(a, [0, 1], b, [1, 2], [2, 0]), (a @ b).T, 1e-13)
    assert_same(einsum(a, [0, 1], b, [1, 2]), a @ b, 1e-13)
    check_staged(lambda a, b: einsum(a, [0, 1], b, [1, 2], [2, 0]), a, b)


def test_diagonals_are_read_not_computed():
    x = np.array([[1.0, np.nan], [np.inf, 2.0]])
    assert_same(einsum("ii->i", x), np.array([1.0, 2.0]))
    assert einsum("ii", x) == 3.0
    jaxpr, _ = stage(lambda x: [einsum("ii->i", x)], abstract(lambda x: x, ((3, 3), np.float64)))
    assert [e.primitive.name for e in jaxpr.eqns] == ["reshape", "slice"]


def test_contractions_reach_the_matrix_product():
    avals = abstract(lambda a, b: (a, b), ((5, 2, 3), np.float64), ((5, 3, 4), np.float64))
    jaxpr, _ = stage(lambda a, b: [einsum("bij,bjk->bik", a, b)], avals)
    assert [e.primitive.name for e in jaxpr.eqns] == ["dot_general"]


@pytest.mark.parametrize(
    ("spec", "shapes", "message"),
    [
        ("ij,jk", ((2, 3), (4, 5)), r"operands of shapes \(2, 3\), \(4, 5\): Size of label 'j'"),
        ("ij,jk", ((2, 3),), "must be equal to the number of operands"),
        ("ijk->", ((2, 3),), "correct number of indices"),
        ("ij->ik", ((2, 3),), "Output character 'k' did not appear"),
        ("ii->i", ((2, 3),), "the index 'i' stands for axes of sizes 2 and 3"),
        ("ii->i", ((1, 3),), "the index 'i' stands for axes of sizes"),
    ],
)
def test_errors_of_einsum(spec, shapes, message):
    fun = lambda *xs: einsum(spec, *xs)
    for call in (lambda: fun(*map(np.ones, shapes)), lambda: abstract(fun, *((s, np.float64) for s in shapes))):
        with pytest.raises(errors.ShapeError, match=message):
            call()


def test_einsum_needs_subscripts():
    with pytest.raises(errors.DTypeError, match="takes the subscripts as a string"):
        einsum(np.ones(3), np.ones(3))
