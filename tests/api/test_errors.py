"""Every mistake is answered in the user's terms: the class, what is wrong, where, what to do; no internal frames."""

import math
import traceback
from pathlib import Path

import numpy as np
import pytest

import functrans as ft
import functrans.numpy as fnp
from functrans import errors, lax

X = np.ones(3)
M = np.ones((2, 3))


def assign(x):
    x[0] = 1.0
    return x


def assign_to(b):
    def fun(x):
        b[0] = x[0]
        return x.sum()

    return fun


def delete(x):
    del x[0]


def leak():
    seen = []
    ft.jit(lambda x: seen.append(x) or x)(1.0)
    return ft.jit(lambda y: y + seen[0])(1.0)


CASES = {
    # Python needs a value
    "if": (lambda: ft.jit(lambda x: 1 if x > 0 else 2)(1.0), errors.TracerBoolConversionError,
           r"truth value.*\n.*bool\[\] the result of gt of x at .*test_errors.py.*\n.*lax.cond"),
    "and": (lambda: ft.vmap(lambda x: x and 1)(X), errors.TracerBoolConversionError,
        "the argument x of <lambda> under vmap"),
    "range": (lambda: ft.jit(lambda n: [0 for _ in range(n)])(3), errors.TracerIntegerConversionError,
              "an integer.*\n.*the argument n.*\n.*static_argnums"),
    "float": (lambda: ft.jit(lambda x: float(x))(1.0), errors.ConcretizationError, r"a float.*\n.*\n.*astype"),
    "format": (lambda: ft.jit(lambda x: f"{x:.3f}")(1.0), errors.ConcretizationError,
               r"a value to format as '\.3f'.*\n.*the argument x.*\n.*debug\.print"),
    "math": (lambda: ft.jit(lambda x: math.sin(x))(1.0), errors.ConcretizationError, "a float"),
    "np.array": (lambda: ft.grad(lambda x: np.sum(np.array([x, x])))(1.0), errors.TracerArrayConversionError,
                 r"np\.stack"),
    "item": (lambda: ft.jit(lambda x: x.item())(1.0), errors.ConcretizationError, "a Python number"),
    "mask": (lambda: ft.jit(lambda x: x[x > 0])(X), errors.NonConcreteBooleanIndexError, r"where\(mask, x, 0\)"),
    "nonzero": (lambda: ft.jit(lambda x: fnp.nonzero(x))(X), errors.ConcretizationError, r"size=n"),
    "assign": (lambda: ft.jit(assign)(X), errors.TracerItemAssignmentError, r"x = x\.at\[i\]\.set\(v\)"),
    "element": (lambda: ft.jit(assign_to(np.zeros(3)))(X), errors.TracerItemAssignmentError,
                r"(?s)element of a NumPy array.*b = b\.at\[i\]\.set\(v\).*the result of .* at .*test_errors"),
    "element of integers": (lambda: ft.vmap(assign_to(np.zeros(3, int)))(M), errors.TracerItemAssignmentError, "NumPy"),
    "element of booleans": (lambda: ft.jit(assign_to(np.zeros(3, bool)))(X), errors.TracerItemAssignmentError, "NumPy"),
    "element of complex": (lambda: ft.jit(assign_to(np.zeros(3, "c16")))(X), errors.TracerItemAssignmentError, "NumPy"),
    "element under grad": (lambda: ft.grad(assign_to(fnp.zeros(3)))(X), errors.TracerItemAssignmentError, "float.v."),
    "fill": (lambda: ft.jit(lambda x: np.zeros(3).fill(x))(1.0), errors.ConcretizationError, "a float"),
    "delete": (lambda: ft.jit(delete)(X), errors.TracerItemAssignmentError, r"functrans.numpy.delete\(x, i\)"),
    "np.zeros": (lambda: ft.jit(lambda n: np.zeros(n))(3), errors.TracerIntegerConversionError, "the argument n"),
    "dict": (lambda: ft.jit(lambda i: {0: 1}[i])(0), errors.UnhashableTracerError, r"asarray\(table\)\[x\].*\n.* i of"),
    "set": (lambda: ft.grad(lambda x: x if x in {0.0} else -x)(0.0), errors.UnhashableTracerError, "a dict, a set"),
    "attribute": (lambda: ft.jit(lambda x: x.numpy())(X), errors.NoSuchAttributeError, "'numpy'; .* the traced f64.3."),
    "at()": (lambda: ft.jit(lambda x: x.at(0).set(1.0))(X), errors.IndexTypeError, r"x\.at\[i\]\.set\(v\), not x"),
    "at.set": (lambda: fnp.ones(3).at.set(1.0), errors.NoSuchAttributeError, r"write x\.at\[i\]\.set\(v\)"),
    "at.item": (lambda: fnp.ones(3).at.item, errors.NoSuchAttributeError, "x.at has no attribute 'item'"),
    "at[].sub": (lambda: fnp.ones(3).at[0].sub(1.0), errors.NoSuchAttributeError, "no method 'sub': use subtract"),
    "at[].foo": (lambda: fnp.ones(3).at[0].foo(1.0), errors.NoSuchAttributeError, "there are add, apply, divide, get"),
    "leak": (leak, errors.UnexpectedTracerError, "leaked out.*\n.*the argument x of <lambda> under jit"),
    "slice bounds": (lambda: ft.jit(lambda x, n: x[:n])(X, 2), errors.ArgumentError, "dynamic_slice"),
    # derivatives
    "non-scalar": (lambda: ft.grad(np.sin)(X), errors.NonScalarGradError, r"shape \(3,\).*jacobian"),
    "several": (lambda: ft.grad(lambda x: (x, x))(1.0), errors.NonScalarGradError, "2 arrays.*has_aux"),
    "integer": (lambda: ft.grad(lambda n: n * 2.0)(3), errors.IntegerGradError,
        r"with respect to n, which is i64\[\].*3\.0"),
    "integer result": (lambda: ft.grad(lambda x: fnp.argmax(x))(X), errors.IntegerGradError, "an integer result"),
    "complex result": (lambda: ft.grad(lambda x: x * 1j)(1.0), errors.NonScalarGradError, "holomorphic"),
    "argnums": (lambda: ft.grad(lambda x: x, argnums=2)(1.0), errors.ArgumentError,
        "argument 2.*1 positional argument;"),
    "tangent shape": (lambda: ft.jvp(np.sin, (X,), (1.0,)), errors.ShapeError, r"tangent of shape \(\).*\(3,\)"),
    "tangent dtype": (lambda: ft.jvp(np.sin, (X,), (X.astype(np.float32),)), errors.DTypeError, "float32.*float64"),
    "tangent tree": (lambda: ft.jvp(lambda d: d["a"], ({"a": 1.0},), ({"b": 1.0},)), errors.TreeStructureError,
        "primals"),
    "primals": (lambda: ft.jvp(np.sin, 1.0, 1.0), errors.ArgumentError, r"write \(primals,\)"),
    "cotangent": (lambda: ft.vjp(np.sin, X)[1](1.0), errors.ShapeError, "vjp of sin"),
    "aux": (lambda: ft.grad(lambda x: x, has_aux=True)(1.0), errors.ArgumentError, "pair"),
    # vmap
    "sizes": (lambda: ft.vmap(lambda a, b: a)(X, np.ones(4)), errors.AxesError,
        r"a: axis 0 of shape \(3,\) has size 3"),
    "scalar": (lambda: ft.vmap(lambda a: a)(1.0), errors.AxesError, "in_axes=None"),
    "no axis": (lambda: ft.vmap(lambda a: a, in_axes=2)(X), errors.AxesError, "axis 2 of a"),
    "entries": (lambda: ft.vmap(lambda a: a, in_axes=(0, 0))(X), errors.AxesError, "2 entries.*1 positional argument"),
    "prefix": (lambda: ft.vmap(lambda d: d, in_axes=({"a": 0},))({"b": X}), errors.AxesError, "in_axes"),
    "out_axes": (lambda: ft.vmap(lambda a: a, out_axes=None)(X), errors.AxesError, "out_axes"),
    "axis name": (lambda: ft.vmap(lambda a: lax.psum(a, "j"), axis_name="i")(X), errors.AxisNameError, "'j'.*'i'"),
    # jit
    "static": (lambda: ft.jit(lambda x, n: x, static_argnums=1)(1.0, [1]), errors.StaticArgumentError,
        "a tuple for a list"),
    "static name": (lambda: ft.jit(lambda x: x, static_argnames="y"), errors.ArgumentError, "'y'"),
    "string": (lambda: ft.jit(lambda x: x)("a"), errors.DTypeError, "'a' of type str.*static"),
    "string beside static": (lambda: ft.jit(lambda n, x: x, static_argnums=0)(2, "a"), errors.DTypeError,
                             "^x, an argument of <lambda>, is 'a'"),
    "tracer beside static": (lambda: ft.jit(lambda n, x: x if x > 0 else n, static_argnums=0)(2, 1.0),
                             errors.TracerBoolConversionError, "gt of x at"),
    "objects": (lambda: ft.jit(lambda p: p)({"w": np.array([1, None])}), errors.DTypeError,
                r"^p\['w'\], an argument of <lambda>, has the dtype object.*astype\(float\)"),
    "strings": (lambda: ft.grad(lambda x: 1.0)(np.array(["a"])), errors.DTypeError, "has the dtype <U1"),
    "dates": (lambda: ft.vmap(lambda t: t)(np.array(["2026-12-01"], "datetime64[D]")), errors.DTypeError,
              r"the argument t of vmap.*has the dtype datetime64\[D\]"),
    "returned": (lambda: ft.jit(lambda x: "a")(1.0), errors.DTypeError, "returned 'a' of type str"),
    "not callable": (lambda: ft.jit(3), errors.ArgumentError, "takes a function"),
    # shapes, axes, dtypes, indices
    "broadcast": (lambda: ft.jit(lambda a, b: a + b)(X, np.ones(4)), errors.ShapeError, r"\(3,\) and \(4,\)"),
    "matmul": (lambda: ft.jit(lambda a, b: a @ b)(M, M), errors.ShapeError, r"\(2, 3\) and \(2, 3\)"),
    "reshape": (lambda: ft.jit(lambda a: a.reshape(4))(X), errors.ShapeError, r"\(3,\).*\(4,\)"),
    "concatenate": (lambda: ft.jit(lambda a: fnp.concatenate([a, M]))(X), errors.ShapeError, "concatenate"),
    "stack": (lambda: ft.jit(lambda a: fnp.stack([a, np.ones(2)]))(X), errors.ShapeError, "one shape"),
    "axis": (lambda: ft.jit(lambda a: a.sum(2))(X), errors.AxisError, "axis 2 is out of bounds"),
    "transpose": (lambda: ft.jit(lambda a: a.transpose(0, 0))(M), errors.ShapeError, "not a permutation"),
    "squeeze": (lambda: ft.jit(lambda a: a.squeeze(0))(X), errors.ShapeError, "size 3"),
    "invert": (lambda: ft.jit(lambda a: ~a)(X), errors.DTypeError, "not"),
    "einsum": (lambda: ft.jit(lambda a: fnp.einsum("ij,jk", a, a))(M), errors.ShapeError, "einsum"),
    "solve": (lambda: ft.jit(lambda a: fnp.linalg.inv(a))(M), errors.ShapeError, r"square.*\(2, 3\)"),
    "associative_scan shape": (lambda: lax.associative_scan(lambda a, b: fnp.sum(a @ b), np.ones((3, 2, 2))),
                               errors.ShapeError,
                               r"many elements at once, along axis 0.*elem as f64\[1,2,2\].*returned f64\[\].*vmap"),
    "associative_scan dtype": (lambda: lax.associative_scan(lambda a, b: a / 2 + b, np.arange(3)),
                               errors.DTypeError, r"elem as i64\[1\] and returned f64\[1\]"),
    "static index": (lambda: ft.jit(lambda a: a[5])(X), errors.IndexOutOfBoundsError, "index 5 is out of bounds"),
    "traced index": (lambda: ft.jit(lambda a, i: a[i])(X, 5), errors.IndexOutOfBoundsError,
                     r"out of bounds for axis 0 with size 3.*test_errors.py"),
    "index type": (lambda: ft.jit(lambda a, i: a[i])(X, 1.0), errors.DTypeError, "of integer"),
    "too many": (lambda: ft.jit(lambda a: a[0, 0])(X), errors.IndexOutOfBoundsError, "too many indices"),
    "update": (lambda: ft.jit(lambda a: a.at[:2].set(np.ones(3)))(X), errors.ShapeError, r"\(3,\).*\(2,\)"),
    "mode": (lambda: fnp.asarray(X).at[0].set(1.0, mode="sideways"), errors.ArgumentError, "sideways"),
    "out": (lambda: ft.jit(lambda a: np.add(a, 1, out=np.zeros(3)))(X), errors.ArgumentError, "out="),
    "no traced form": (lambda: ft.jit(lambda a: np.busday_count(a, a))(X), errors.DTypeError,
        "busday_count.*no traced form"),
    # control flow
    "carry": (lambda: lax.scan(lambda c, x: (c.astype(int), None), 1.0, X), errors.DTypeError, "carry.*f64.*i64"),
    "scan pair": (lambda: lax.scan(lambda c, x: c, 1.0, X), errors.ArgumentError, "return carry, None"),
    "branches": (lambda: ft.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: X))(True), errors.ShapeError, "true_fun"),
    "branch trees": (lambda: ft.jit(lambda p: lax.cond(p, lambda: 1.0, lambda: (1.0, 2.0)))(True),
                     errors.TreeStructureError, "false_fun"),
    "condition": (lambda: lax.while_loop(lambda c: c, lambda c: c, 1.0), errors.DTypeError, "boolean scalar"),
    # custom rules
    "no rule": (lambda: ft.custom_vjp(lambda x: x)(1.0), errors.ArgumentError, "defvjp"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_error(name):
    call, kind, text = CASES[name]
    with pytest.raises(kind, match=f"(?s){text}") as caught:
        call()
    assert isinstance(caught.value, errors.FunctransError)
    frames = [f.filename for f in traceback.extract_tb(caught.value.__traceback__)]
    internal = [f for f in frames[1:] if "functrans" in f and not f.endswith("tracebacks.py") and "tests" not in f]
    if name not in (
        "mode",
        "static name",
        "not callable",
        "at.set",
        "at.item",
        "at[].sub",
        "at[].foo",
    ):  # these never enter a transformation
        assert len(set(internal)) <= 1, internal  # at most the file whose function the user called


def test_errors_are_what_numpy_and_python_would_raise():
    for kind, builtin in {
        errors.ShapeError: ValueError, errors.DTypeError: TypeError, errors.IndexOutOfBoundsError: IndexError,
        errors.TracerBoolConversionError: TypeError, errors.AxisNameError: NameError,
        errors.StaticArgumentError: TypeError, errors.TreeStructureError: ValueError, errors.AxesError: ValueError,
    }.items():  # fmt: skip
        assert issubclass(kind, builtin)
        assert issubclass(kind, errors.FunctransError)


def test_every_class_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.FunctransError)]
    for kind in kinds:
        if kind not in (errors.FunctransError, errors.JaxprError):
            assert f"`{kind.__name__}`" in text


def test_the_users_own_exceptions_keep_their_traceback():
    def broken(x):
        return inner(x)

    def inner(x):
        raise ZeroDivisionError("mine")

    for call in (ft.jit(broken), ft.grad(broken), ft.vmap(broken), ft.jit(ft.grad(ft.jit(broken)))):
        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            call(X)
        names = [f.name for f in traceback.extract_tb(caught.value.__traceback__)]
        assert names[-2:] == ["broken", "inner"]


def test_full_tracebacks_on_request(monkeypatch):
    monkeypatch.setenv("FUNCTRANS_TRACEBACK", "full")
    with pytest.raises(errors.NonScalarGradError) as caught:
        ft.grad(np.sin)(X)
    assert any("_check_scalar" in f.name for f in traceback.extract_tb(caught.value.__traceback__))


def test_what_numpy_replaces(monkeypatch):
    """NumPy's errors that tracers did not cause, and those that the user catches, stay as they are."""
    with pytest.raises(ValueError, match="setting an array element with a sequence") as caught:
        ft.jit(lambda x: np.zeros(3).__setitem__(0, [1.0, 2.0]))(1.0)
    assert not isinstance(caught.value, errors.FunctransError)

    def guarded(x):
        try:
            np.zeros(3)[0] = x
        except ValueError:
            return x
        return None

    assert ft.jit(guarded)(2.0) == 2.0
    with pytest.raises(TypeError, match="expected a sequence of integers or a single integer, got"):
        ft.jit(lambda x: np.zeros(print))(1.0)
    monkeypatch.setenv("FUNCTRANS_TRACEBACK", "full")
    with pytest.raises(errors.TracerItemAssignmentError) as ours:
        ft.jit(assign_to(np.zeros(3)))(X)
    assert any(f.name == "_call" for f in traceback.extract_tb(ours.value.__traceback__))


def test_python_names_a_tracer():
    with pytest.raises(TypeError, match="'Traced' object is not callable"):
        ft.grad(ft.jit(lambda x: x(0)))(1.0)
    assert ft.jit(lambda x: x if hasattr(x, "dtype") and not hasattr(x, "_fields") else None)(1.0) == 1.0


def test_numbers_kept_beside_a_derivative():
    kept = np.zeros(1)

    def fun(x):
        kept[0] = float(x)
        return x * x

    assert ft.grad(fun)(3.0) == 6.0
    assert kept[0] == 3.0


def test_nothing_is_half_written():
    x = np.ones(3)
    with pytest.raises(IndexError):
        ft.jit(lambda x, i: x.at[i].set(0.0))(x, np.array([0, 7]))
    np.testing.assert_array_equal(x, np.ones(3))
    program = ft.jit(lambda x, i: x[i])
    with pytest.raises(IndexError):
        program(x, 9)
    assert program(x, 2) == 1.0


def test_a_users_folder_may_be_named_as_a_library():
    namespace = {"ft": ft}
    exec(compile("def f(x):\n    return x if x > 0 else -x\n", "/home/me/numpy/model.py", "exec"), namespace)
    with pytest.raises(ft.errors.TracerBoolConversionError, match="/home/me/numpy/model.py:2"):
        ft.jit(namespace["f"])(1.0)


def test_formatted_values():
    """Under `grad` values are there; while tracing a string without a format has the type."""
    seen = []
    ft.grad(lambda x: seen.append(f"{x:.3f} {x * 2:.1e}") or x)(1.5)
    ft.jit(lambda x: seen.append(f"{x}") or x)(1.5)
    assert seen == ["1.500 3.0e+00", "Traced<f64[]>"]
