"""`check` and `checkify`: the first check that fails is the one that is told of, under every transformation."""

import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
import functrans.numpy as fnp
from functrans import checking, errors, lax
from functrans.checking import check, checkify

X = np.array([1.0, 2.0, 3.0])
BOTH = pytest.mark.parametrize("transform", [lambda f: f, ft.jit], ids=["eager", "jit"])


# ---------------------------------------------------------------- check alone


@BOTH
def test_check_raises(transform):
    def fun(x):
        check(fnp.all(x > 0), "least is {:.1f} of {x}", fnp.min(x), x=x)
        return x

    np.testing.assert_array_equal(transform(fun)(X), X)
    with pytest.raises(
        errors.CheckError, match=r"^least is -1.0 of \[-1.  2.\] \(check at .*test_checking.py:\d+ \(fun"
    ):
        transform(fun)(np.array([-1.0, 2.0]))


@BOTH
def test_check_under_transformations(transform):
    def root(x):
        check(x >= 0, "{} is negative", x)
        return fnp.sqrt(x)

    failing = [
        (ft.grad(root), -1.0, "^-1.0 is negative"),
        (ft.vmap(root), X * [1, -1, -1], "^at mapped index 1: -2.0 is negative"),
        (ft.vmap(ft.vmap(root)), np.stack([X, X * [1, 1, -1]]), "^at mapped index 1, 2: -3.0 is negative"),
        (ft.checkpoint(root), -1.0, "^-1.0 is negative"),
        (lambda x: lax.scan(lambda c, v: (root(v), c), 0.0, x), X * [1, -1, 1], "^-2.0 is negative"),
    ]
    for fun, x, message in failing:
        transform(fun)(np.abs(x))
        with pytest.raises(errors.CheckError, match=message):
            transform(fun)(np.asarray(x))


def test_a_check_in_a_branch_is_for_those_who_take_it():
    def fun(x):
        return lax.cond(x > 0, lambda x: (check(x < 5, "{} is large", x), x)[1], lambda x: -x, x)

    np.testing.assert_array_equal(ft.jit(ft.vmap(fun))(np.array([1.0, -9.0])), [1.0, 9.0])
    with pytest.raises(errors.CheckError, match="at mapped index 1: 9.0 is large|9.0 is large"):
        ft.jit(ft.vmap(fun))(np.array([1.0, 9.0]))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: check(x, "m"), errors.DTypeError, r"takes a boolean, got f64\[3\]"),
        (lambda x: check(x > 0, "m"), errors.ShapeError, r"takes a scalar, got bool\[3\].*all"),
        (lambda x: check(x[0] > 0, 3), errors.ArgumentError, "takes a format string"),
        (lambda x: check(x[0] > 0, "{} {}", x), errors.ArgumentError, "placeholder"),
        (lambda x: check(x[0] > 0, "m", x), errors.ArgumentError, "does not use argument 0"),
        (lambda x: check(x[0] > 0, "{}", "text"), errors.DTypeError, "expected an array"),
        (lambda x: checkify(3), errors.ArgumentError, "takes a function"),
        (lambda x: checkify(fnp.sin, errors="nan"), errors.ArgumentError, "sets of this module"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        ft.make_jaxpr(lambda x: (call(x), x)[1])(X)


# ---------------------------------------------------------------- checkify, by a reference

#: Programs of one number, as nested tuples; each `("check", i)` checks that the number is below a bound.
PROGRAMS = st.recursive(
    st.one_of(
        st.tuples(st.just("check"), st.integers(1, 6)),
        st.sampled_from(["double", "minus"]).map(lambda kind: (kind,)),
    ),
    lambda inner: st.tuples(
        st.sampled_from(["scan", "while", "checked while", "cond", "checkpoint", "jit", "custom_jvp"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def run(program, x):
    kind, *parts = program
    body = lambda x: run_all(parts[0], x)
    match kind:
        case "check":
            check(x < parts[0], "{x} < {}", parts[0], x=x)
        case "double":
            x = 2 * x
        case "minus":
            x = x - 1.5
        case "scan":
            x = lax.scan(lambda c, i: (body(c) + i, c), x, np.arange(2.0))[0]
        case "while":
            x = lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, body(s[1])), (0, x))[1]
        case "checked while":

            def goes_on(s):
                body(s[1])
                return s[0] < 2

            x = lax.while_loop(goes_on, lambda s: (s[0] + 1, body(s[1])), (0, x))[1]
        case "cond":
            x = lax.cond(x > 1, body, lambda x: x + 1, x)
        case "checkpoint":
            x = ft.checkpoint(body)(x)
        case "jit":
            x = ft.jit(body)(x)
        case "custom_jvp":
            fun = ft.custom_jvp(body)
            fun.defjvp(lambda p, t: (fun(p[0]), t[0]))
            x = fun(x)
    return x


def run_all(programs, x):
    for p in programs:
        x = run(p, x)
    return x


def message_of(fun, x):
    """The message of the error that a function raises, without the line; and its result if it raises none."""
    try:
        return None, fun(x)
    except errors.CheckError as error:
        return bare(str(error)), None


def bare(message):
    return None if message is None else re.sub(r" \(check at .*\)", "", message)


@given(st.lists(PROGRAMS, max_size=3), st.sampled_from([0.5, 1.5, 3.0]))
def test_the_first_failure_is_told(programs, x):
    """Plain Python raises at the first check that fails; `checkify` tells of that one, and computes the rest."""
    fun = lambda x: run_all(programs, x)
    x = np.asarray(x)
    wanted, value = message_of(fun, x)
    without = fun if wanted is None else checkify(fun, errors=frozenset())
    result = value if wanted is None else without(x)[1]
    checked = checkify(fun)
    for transformed in (checked, ft.jit(checked)):
        error, out = transformed(x)
        assert bare(error.get()) == wanted
        np.testing.assert_array_equal(out, result)
    slope, error = ft.grad(lambda x: checked(x)[::-1], has_aux=True)(x)
    assert bare(error.get()) == wanted
    np.testing.assert_allclose(slope, ft.grad(lambda x: checkify(fun, errors=frozenset())(x)[1])(x))
    assert bare(checkify(ft.value_and_grad(fun))(x)[0].get()) == wanted
    xs = np.array([0.5, 1.5, 3.0])
    singly = [checked(x) for x in xs]
    lanes = [f"at mapped index {i}: {bare(e.get())}" for i, (e, _) in enumerate(singly) if e.get()]
    error, out = ft.vmap(checked)(xs)
    assert ([] if error.get() is None else [bare(line) for line in error.get().splitlines()]) == lanes
    np.testing.assert_array_equal(out, [out for _, out in singly])


# ---------------------------------------------------------------- what errors are


def test_errors():
    def fun(x):
        check(x[0] > 0, "first {}", x)
        check(x[1] > 0, "second {}", x[1])
        return x.sum()

    error, out = checkify(fun)(X)
    assert (error.get(), out, repr(error)) == (None, 6.0, "Error(None)")
    error.throw()
    checking.check_error(error)
    error, out = checkify(fun)(X * [1, -1, 1])
    assert out == 2.0
    assert error.get().startswith("second -2.0 (check at ")
    assert repr(error).startswith("Error('second -2.0 (check at ")
    with pytest.raises(errors.CheckError, match="^second -2.0"):
        error.throw()


@BOTH
def test_check_error_checks_again(transform):
    def fun(x):
        error, out = checkify(lambda x: (check(x > 0, "{} <= 0", x), x)[1])(x)
        checking.check_error(error)
        return out

    assert transform(fun)(2.0) == 2.0
    with pytest.raises(errors.CheckError, match="^-2.0 <= 0"):
        transform(fun)(-2.0)
    again = transform(checkify(fun))
    assert bare(again(-2.0)[0].get()) == "-2.0 <= 0"

    def mapped(x):
        error, out = ft.vmap(checkify(lambda x: (check(x > 0, "{} <= 0", x), x)[1]))(x)
        checking.check_error(error)
        return out

    with pytest.raises(errors.CheckError, match="^at mapped index 1: -2.0 <= 0"):
        transform(mapped)(X * [1, -1, 1])


def test_mapping_inside_tells_the_first_example():
    fun = ft.vmap(ft.vmap(lambda x: (check(x > 0, "{} <= 0", x), x)[1]))
    error, _ = ft.jit(checkify(fun))(np.stack([X, X * [1, 1, -1]]))
    assert bare(error.get()) == "at mapped index 1, 2: -3.0 <= 0"
    error, _ = ft.jit(ft.vmap(checkify(ft.vmap(lambda x: (check(x > 0, "{} <= 0", x), x)[1]))))(
        np.stack([X, X * [1, 1, -1]])
    )
    assert bare(error.get()) == "at mapped index 1, 2: -3.0 <= 0"


# ---------------------------------------------------------------- checks that are added

ADDED = {
    "nan": (checking.nan_checks, lambda x: fnp.log(x - 2), r"nan among the results \(log at "),
    "div": (checking.div_checks, lambda x: 1 / (x - 2), r"division by zero \(div at "),
    "floor": (checking.div_checks, lambda x: x.astype(int) // (x.astype(int) - 2), r"division by zero \(floor_divide "),
    "gather": (checking.index_checks, lambda x: x[x.astype(int)], r"index 3 is out of bounds for axis 0 with size 3"),
    "negative": (checking.index_checks, lambda x: x[-x.astype(int) - 1], "index -4 is out of bounds for axis 0"),
    "scatter": (checking.index_checks, lambda x: x.at[x.astype(int)].add(1.0), r"index 3 .*\(scatter_add at "),
    "slice": (checking.index_checks, lambda x: lax.dynamic_slice(x, (x[1].astype(int),), (2,)),
              "a slice of size 2 from 2 on is out of bounds for axis 0 with size 3"),
    "update": (checking.index_checks, lambda x: lax.dynamic_update_slice(x, x[:2], (x[2].astype(int),)),
               "a slice of size 2 from 3 on"),
    "in a loop": (checking.all_checks, lambda x: lax.fori_loop(0, 3, lambda i, c: c + x[i + 1], 0.0), "index 3 "),
    "in a while": (checking.nan_checks, lambda x: lax.while_loop(lambda c: c < 5, lambda c: c + fnp.log(c - 1), x[2]),
                   None),
    "in a condition": (checking.nan_checks, lambda x: lax.while_loop(lambda c: fnp.log(c) > 0, lambda c: c - 2.5, x[1]),
                       r"nan among the results \(log"),
    "in grad": (checking.nan_checks, lambda x: ft.grad(lambda x: fnp.sqrt(x - x).sum())(x),
                r"nan among the results \(mul|nan"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("name", ADDED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_added_checks(name, transform):
    kinds, fun, message = ADDED[name]
    error, out = transform(checkify(fun, errors=kinds))(X)
    if message is None:
        assert error.get() is None
        np.testing.assert_allclose(out, fun(X))
    else:
        assert re.search(message, error.get())


def test_added_checks_name_the_line_in_transformed_bodies():
    def body(c, x):
        return fnp.sqrt(c - x), c

    line = body.__code__.co_firstlineno + 1
    fun = lambda x: lax.scan(body, x, X)[0]
    for transformed in (fun, ft.grad(fun), ft.jit(fun)):
        error, _ = ft.jit(checkify(transformed, errors=checking.nan_checks))(1.5)
        assert f"nan among the results (sqrt at {__file__}:{line} (body))" == error.get()


def test_checks_in_derivative_rules_raise_nothing():
    fun = lambda x: run(("custom_jvp", [("check", 1)]), x)
    for kinds, wanted in ((checking.user_checks, "1.5 < 1"), (checking.nan_checks, None)):
        checked = checkify(fun, errors=kinds)
        slope, error = ft.grad(lambda x, f=checked: f(x)[::-1], has_aux=True)(1.5)
        assert (slope, bare(error.get())) == (1.0, wanted)


def test_left_out_checks():
    fun = lambda x, i: (check(x[0] > 5, "m"), x[i])[1]
    error, out = checkify(fun, errors=checking.index_checks)(X, 1)
    assert (error.get(), out) == (None, 2.0)
    with pytest.raises(errors.IndexOutOfBoundsError):
        ft.jit(checkify(fun, errors=checking.nan_checks))(X, 3)


def test_effects_stay_and_happen_once():
    seen = []

    def fun(x):
        def goes_on(s):
            ft.debug.callback(lambda v: seen.append(("cond", float(v))), s)
            check(s < 100, "large")
            return s < 4

        def body(s):
            ft.debug.callback(lambda v: seen.append(("body", float(v))), s)
            return 2 * s

        return lax.while_loop(goes_on, body, x)

    wanted = (fun(1.0), list(seen))[1]
    for transformed in (checkify(fun), ft.jit(checkify(fun))):
        seen.clear()
        assert transformed(1.0)[1] == 4.0
        assert seen == wanted


def test_names_of_jax():
    from functrans.experimental import checkify as names

    for name in names.__all__:
        assert getattr(names, name) is getattr(checking, name)
    assert checking.all_checks == checking.automatic_checks | checking.user_checks


def test_debug_checks():
    """They are checked by `checkify` alone, and there as any other."""

    def f(x):
        checking.debug_check(x > 0, "{} is not positive", x)
        return ft.lax.fori_loop(0, 2, lambda i, y: (checking.check(y < 4, "large", debug=True), y * 2)[1], x)

    assert f(-1.0) == ft.jit(f)(-1.0) == ft.vmap(f)(np.array([-1.0]))[0] == -4.0
    checked = ft.jit(checking.checkify(f))
    assert checked(-1.0)[0].get().startswith("-1.0 is not positive")
    assert checked(3.0)[0].get().startswith("large")
    assert checked(1.0)[0].get() is None
    assert checking.init_error().get() is None
    checking.init_error().throw()
