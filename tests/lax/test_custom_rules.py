"""Rules of the user's own: batching rules, symbolic zeros, linear functions with transposes, hoisted closures."""

import functools

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import custom_batching, custom_derivatives, errors, lax
from functrans.custom_derivatives import SymbolicZero
from functrans.testing import check_grads

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(3, 4)), rng.normal(size=4)


def close(got, want):
    for g, w in zip(ft.tree.leaves(got), ft.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- custom_vmap


def recorded():
    """A function whose batching rule notes its calls, and computes the same."""
    calls = []

    @custom_batching.custom_vmap
    def f(x, pair):
        return {"sum": fnp.sum(fnp.sin(x) * pair[0]), "other": pair[1] ** 2}

    @f.def_vmap
    def rule(axis_size, in_batched, x, pair):
        calls.append((axis_size, in_batched))
        a, b = (
            v if flag else fnp.broadcast_to(v, (axis_size, *v.shape))
            for v, flag in zip((x, pair[0]), (in_batched[0], in_batched[1][0]))
        )
        return {"sum": fnp.sum(fnp.sin(a) * b, axis=1), "other": pair[1] ** 2}, {"sum": True, "other": in_batched[1][1]}

    return f, calls


def plain(x, pair):
    return {"sum": fnp.sum(fnp.sin(x) * pair[0]), "other": pair[1] ** 2}


@pytest.mark.parametrize("wrap", [lambda f: f, ft.jit, ft.checkpoint], ids=["eager", "jit", "checkpoint"])
def test_vmap_takes_the_rule(wrap):
    f, calls = recorded()
    axes = (0, (None, None))
    got = wrap(ft.vmap(wrap(lambda x, p: f(x, p)), axes))(X, (Y, 2.0))
    close(got, ft.vmap(plain, axes)(X, (Y, 2.0)))
    assert calls == [(3, [True, (False, False)])]


TRANSFORMS = {
    "vmap(grad)": lambda f: ft.vmap(ft.grad(f, (0, 1)), (0, None)),
    "grad(vmap)": lambda f: ft.grad(lambda x, y: fnp.sum(ft.vmap(f, (0, None))(x, y)), (0, 1)),
    "vmap(jvp)": lambda f: ft.vmap(lambda x, y: ft.jvp(f, (x, y), (y, 2 * x)), (0, None)),
    "jvp(vmap)": lambda f: lambda x, y: ft.jvp(ft.vmap(f, (0, None)), (x, y), (2 * x, y)),
    "vmap(hessian)": lambda f: ft.vmap(ft.hessian(f), (0, None)),
    "vmap(linearize)": lambda f: ft.vmap(lambda x, y: ft.linearize(f, x, y)[1](y, x), (0, None)),
    "vmap(vmap)": lambda f: lambda x, y: ft.vmap(ft.vmap(f, (0, None)), (None, 0))(x, fnp.stack([y, 2 * y])),
    "vmap(scan(grad))": lambda f: ft.vmap(
        lambda x, y: lax.scan(lambda c, _: (c - 0.1 * ft.grad(f)(c, y), f(c, y)), x, None, length=2), (0, None)
    ),
    "grad(vmap(scan))": lambda f: ft.grad(
        lambda x, y: fnp.sum(ft.vmap(lambda r: lax.scan(lambda c, _: (c + f(c, y), None), r, None, length=2)[0])(x))
    ),
    "vmap(cond)": lambda f: ft.vmap(lambda x, y: lax.cond(x[0] > 0, f, lambda x, y: 0.0, x, y), (0, None)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_derivatives_go_through_the_rule(name):
    f, calls = recorded()
    scalar = lambda g: lambda x, y: g(x, (y, y[0]))["sum"] + g(x, (y, y[0]))["other"]
    transform = TRANSFORMS[name]
    want = transform(scalar(plain))(X, Y)
    close(transform(scalar(f))(X, Y), want)
    assert calls
    close(ft.jit(transform(scalar(f)))(X, Y), want)


def test_values_are_there_without_vmap_and_jit():
    @custom_batching.custom_vmap
    def f(x):
        return x * 2 if x > 0 else -x

    f.def_vmap(lambda size, batched, x: (fnp.where(x > 0, 2 * x, -x), batched[0]))
    assert f(1.0) == 2.0
    assert ft.grad(f)(-1.0) == -1.0


def test_sequential_vmap():
    seen = []

    @custom_batching.sequential_vmap
    def f(x, y):
        seen.append(x.shape)
        return {"out": fnp.sin(x) * y}

    got = ft.jit(ft.vmap(f, (0, None)))(X, Y)
    close(got["out"], np.sin(X) * Y)
    assert set(seen) == {(4,)}
    close(ft.grad(lambda x: fnp.sum(ft.vmap(f, (0, None))(x, Y)["out"]))(X), np.cos(X) * Y)


def no_rule(x):
    return x


def closure(x):
    f = custom_batching.custom_vmap(lambda y: x * y)
    f.def_vmap(lambda size, batched, y: (x * y, batched[0]))
    return f(x + 0.0)


def with_rule(rule):
    f = custom_batching.custom_vmap(lambda x: fnp.sin(x))
    f.def_vmap(rule)
    return lambda: ft.vmap(f)(X)


VMAP_ERRORS = {
    "no rule": (lambda: ft.vmap(custom_batching.custom_vmap(no_rule))(X), errors.ArgumentError, "def_vmap"),
    "pair": (with_rule(lambda n, b, x: x), errors.ArgumentError, "pair"),
    "structure": (with_rule(lambda n, b, x: ((x, x), b[0])), errors.TreeStructureError, "batching rule"),
    "flags": (with_rule(lambda n, b, x: (x, (True, True))), errors.TreeStructureError, "out_batched"),
    "shape": (with_rule(lambda n, b, x: (x, False)), errors.ShapeError, "not batched, where"),
    "closure": (lambda: ft.vmap(closure)(X), errors.NotDifferentiableError, "Pass it as an argument"),
}


@pytest.mark.parametrize("name", VMAP_ERRORS)
def test_vmap_rule_errors(name):
    call, error, text = VMAP_ERRORS[name]
    with pytest.raises(error, match=text):
        call()


# ---------------------------------------------------------------- symbolic zeros

WRAPS = {"eager": lambda f: f, "jit": ft.jit, "vmap": ft.vmap, "vmap of jit": lambda f: ft.vmap(ft.jit(f))}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_jvp_rules_see_symbolic_zeros(wrap):
    seen = []

    @ft.custom_jvp
    def f(x, y, n):
        return x * y + n, x + 0.0

    @functools.partial(f.defjvp, symbolic_zeros=True)
    def f_jvp(primals, tangents):
        x, y, n = primals
        seen[:] = [type(t) is SymbolicZero for t in tangents]
        assert all(t.shape == p.shape for t, p in zip(tangents, primals))
        tx, ty, _ = (0.0 if type(t) is SymbolicZero else t for t in tangents)
        zero = tangents[0] if type(tangents[0]) is SymbolicZero else tx
        return f(x, y, n), (tx * y + x * ty, zero)

    x, y, n = X[:, 0], X[:, 1], np.arange(3)
    got = ft.jvp(wrap(lambda x: f(x, y[:1] if x.ndim else y[0], n[:1] if x.ndim else n[0])), (x,), (x,))[1]
    close(got, (x * y[0], x))
    assert seen == [False, True, True]
    got = ft.jvp(wrap(lambda y: f(y * 0 + 2.0, y, y.astype(int))), (y,), (y,))[1]
    close(got[0], 2 * y)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_vjp_rules_see_symbolic_zeros(wrap):
    seen = {}

    @ft.custom_vjp
    def f(x, y):
        return x * y, x + y

    def fwd(x, y):
        seen["perturbed"] = (x.perturbed, y.perturbed)
        x, y = custom_derivatives.custom_vjp_primal_tree_values((x, y))
        return f(x, y), (x, y)

    def bwd(res, cts):
        seen["zero"] = [type(ct) is SymbolicZero for ct in cts]
        y = res[1]
        a, b = (0.0 if type(ct) is SymbolicZero else ct for ct in cts)
        return a * y + b, SymbolicZero.from_primal_value(y)

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    x = X[:, 0]
    total = lambda x: fnp.sum(wrap(lambda x: f(x, 2.0)[0])(x))
    close(ft.grad(total)(x), np.full(3, 2.0))
    assert seen == {"perturbed": (True, False), "zero": [False, True]}


def test_nondiff_arguments_by_number_and_name():
    @functools.partial(ft.custom_jvp, nondiff_argnums=(0,), nondiff_argnames=("power",))
    def apply(f, x, power):
        return f(x) ** power

    @apply.defjvp
    def apply_jvp(f, power, primals, tangents):
        (x,), (t,) = primals, tangents
        return apply(f, x, power), 10.0 * power * t

    assert ft.grad(lambda x: apply(fnp.sin, x, power=3))(1.0) == 30.0
    assert ft.jit(ft.vmap(ft.grad(lambda x: apply(fnp.sin, x, 3))))(np.ones(2)).tolist() == [30.0, 30.0]

    @functools.partial(ft.custom_vjp, nondiff_argnames="fun")
    def call(x, fun):
        return fun(x)

    call.defvjp(lambda x, fun: (fun(x), x), lambda fun, res, ct: (fun(res) * ct,))
    close(ft.grad(lambda x: call(x, fnp.exp))(1.0), np.e)
    with pytest.raises(errors.ArgumentError, match="no argument g"):
        ft.custom_vjp(lambda x: x, nondiff_argnames=("g",))


def test_rules_for_each_argument_beside_static_ones():
    @functools.partial(ft.custom_jvp, nondiff_argnums=(1,))
    def f(x, n, y):
        return x**n * y

    f.defjvps(lambda t, out, x, y: 2.0 * t, None)
    assert ft.grad(f, (0, 2))(3.0, 2, 5.0) == (2.0, 0.0)


# ---------------------------------------------------------------- custom_gradient, linear_call, closure_convert


def test_rules_of_numpys_functions():
    """Their options are no arguments of a rule; a keyword-only argument that is given is an error."""
    for fun in (np.sin, ft.numpy.sin, lax.sin):
        f = ft.custom_jvp(fun)
        f.defjvp(lambda p, t: (np.sin(p[0]), 2 * np.cos(p[0]) * t[0]))
        g = ft.custom_vjp(fun)
        g.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (2 * np.cos(x) * ct,))
        for rule in (f, g):
            assert ft.grad(rule)(0.0) == ft.jit(ft.grad(rule))(0.0) == 2.0

    @ft.custom_jvp
    def scaled(x, *, by=2.0):
        return by * x

    scaled.defjvp(lambda p, t: (scaled(p[0]), 3.0 * t[0]))
    assert ft.grad(scaled)(1.0) == 3.0
    with pytest.raises(errors.ArgumentError, match=r"keyword-only arguments \(by\)"):
        scaled(1.0, by=4.0)


def test_custom_gradient():
    @ft.custom_gradient
    def f(x, y):
        z = fnp.sin(x)
        return {"out": z * y}, lambda ct: (10.0 * z * ct["out"], ct["out"] + y)

    g = lambda x, y: f(x, y)["out"]
    want = (10 * np.sin(1.0), 3.0)
    for wrap in (lambda h: h, ft.jit, ft.checkpoint):
        close(ft.grad(wrap(g), (0, 1))(1.0, 2.0), want)
    close(ft.jit(ft.vmap(ft.grad(g, (0, 1))))(np.ones(2), np.full(2, 2.0)), [np.full(2, w) for w in want])
    with pytest.raises(errors.ArgumentError, match="pair"):
        ft.custom_gradient(lambda x: x)(1.0)


def test_linear_call_uses_the_given_transpose():
    def f(r, x):
        return custom_derivatives.linear_call(
            lambda r, x: {"y": r["a"] * x[0] + x[1]}, lambda r, ct: (r["a"] * ct["y"] + 100.0, ct["y"]), r, x
        )

    r, x = {"a": Y}, (Y + 1, Y + 2)
    close(f(r, x)["y"], Y * (Y + 1) + Y + 2)
    for wrap in (
        lambda h: h,
        ft.jit,
        lambda h: lambda *a: ft.tree.map(lambda v: v[0], ft.vmap(h)(*ft.tree.map(lambda v: v[None], a))),
    ):
        pull = wrap(lambda x, ct: ft.vjp(lambda x: f(r, x), x)[1]({"y": ct})[0])
        close(pull(x, Y), (Y * Y + 100.0, Y))
        close(wrap(lambda r, t: ft.jvp(lambda r: f(r, x)["y"], (r,), (t,))[1])(r, r), Y * (Y + 1))
    again = ft.linear_transpose(lambda ct: ft.linear_transpose(lambda x: f(r, x), x)({"y": ct})[0], Y)
    close(again((Y, Y))[0], Y * Y + Y)
    shared = ft.vmap(lambda ct: ft.vjp(lambda x: f(r, x), x)[1]({"y": ct})[0])(X)
    close(shared, (Y * X + 100.0, X))
    with pytest.raises(errors.TreeStructureError, match="transpose function of linear_call"):
        custom_derivatives.linear_call(lambda r, x: x, lambda r, ct: (ct, ct), 1.0, 2.0)
    with pytest.raises(errors.NotDifferentiableError, match="residual_args"):
        ft.linear_transpose(lambda r: f({"a": r}, x), Y)({"y": Y})
    check_grads(
        lambda x, y: custom_derivatives.linear_call(lambda r, v: fnp.sin(r) * v, lambda r, ct: fnp.sin(r) * ct, x, y),
        (Y, Y),
        2,
    )


def test_closure_convert_hoists_what_is_differentiated():
    @functools.partial(ft.custom_vjp, nondiff_argnums=(0,))
    def minimum(objective, x0, *captured):
        return lax.fori_loop(0, 60, lambda _, x: x - 0.1 * ft.grad(objective)(x, *captured), x0)

    def fwd(objective, x0, *captured):
        x = minimum(objective, x0, *captured)
        return x, (x, captured)

    def bwd(objective, res, ct):
        x, captured = res
        curvature = ft.grad(ft.grad(objective))(x, *captured)
        _, pull = ft.vjp(lambda *c: ft.grad(objective)(x, *c), *captured)
        return (0.0 * ct, *pull(-ct / curvature))

    minimum.defvjp(fwd, bwd)

    def solve(a, b):
        objective, captured = ft.closure_convert(lambda x: (x - a) ** 2 + b, 0.0)
        assert len(captured) <= 2
        return minimum(objective, 0.0, *captured)

    for wrap in (lambda h: h, ft.jit):
        close(wrap(ft.grad(solve, (0, 1)))(3.0, 1.0), (1.0, 0.0))
    converted, captured = ft.closure_convert(lambda x: X @ x, Y)
    assert captured == []
    close(converted(Y), X @ Y)
