"""The table of functions in the docs: every function has a call there, and what does not go is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from calls import NAMESPACES
from calls.distributions import DISTRIBUTIONS
from calls.measure import FLAT, NONE, YES, Call, measure

import functrans as ft
import functrans.numpy as fnp

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))

import absent
import function_tables as tables

#: What does not go, and why it cannot: shapes and dtypes that depend on values, LAPACK's forms without a derivative.
KNOWN = {
    "trim_zeros": {"vmap", "jit"}, "real_if_close": {"vmap", "jit"}, "null_space": {"vmap", "jit"},
    "orth": {"vmap", "jit"}, "hessenberg": {"forward", "reverse"}, "tridiagonal": {"forward", "reverse"},
}  # fmt: skip
X = np.array([0.3, 0.7, 1.5])


def by_name(namespace):
    return namespace.name.removeprefix("functrans.")


@pytest.mark.parametrize("namespace", NAMESPACES, ids=by_name)
def test_every_function_has_a_call(namespace):
    for name in namespace.functions():
        assert namespace.call(name) is not None, f"{name} needs a call in tests/calls/"
    for name in (*namespace.calls, *namespace.apart, *(n for v in namespace.plain.values() for n in v.split())):
        assert hasattr(namespace.module, name), name


@pytest.mark.parametrize("namespace", NAMESPACES, ids=by_name)
def test_every_transformation_of_every_function(namespace):
    problems = {n: m.problems for n, m in tables.marks_of(namespace).items() if m.problems}
    assert {n: set(p) for n, p in problems.items()} == {n: KNOWN[n] for n in problems if n in KNOWN}, problems


@pytest.mark.parametrize("name", ["gamma", "binom"])  # the others: scipy/test_distributions.py
def test_every_transformation_of_distributions(name):
    for method, call in DISTRIBUTIONS[name].items():
        assert not measure(call).problems, method


@pytest.mark.parametrize(
    ("library", "namespace"),
    [(k, n) for n in NAMESPACES for k in n.others if k != "SciPy"],
    ids=lambda v: v if isinstance(v, str) else by_name(v),
)
def test_what_is_absent_has_a_reason(library, namespace):
    missing = tables.absent(namespace, library)
    assert not missing.get(""), f"say why in docs/absent.py, or write them: {missing['']}"


def test_reasons_are_given_for_what_is_absent_alone():
    for module, reasons in absent.ABSENT.items():
        namespace = next(n for n in NAMESPACES if module in n.others.values())
        for name in (n for names in reasons.values() for n in names.split()):
            assert not tables.is_here(namespace, name), f"{name} is here now"


@ft.custom_jvp
def steep(x):
    return fnp.sin(x)


steep.defjvp(lambda primals, tangents: (steep(*primals), tangents[0]))


def lopsided(x):
    """Its reverse mode is twice what its forward mode is."""
    return ft.custom_derivatives.linear_call(lambda _, x: x, lambda _, ct: 2 * ct, (), x)


def test_marks_say_what_is_so():
    marks = lambda fun, *args, **options: measure(Call(fun, args, **options), run=True)
    good = marks(fnp.sin, X)
    assert good[:5] == (YES, YES, YES, YES, ())
    assert not good.problems
    assert marks(fnp.floor, X)[:3] == (FLAT, FLAT, YES)
    assert marks(fnp.zeros, 3)[:4] == (NONE, NONE, NONE, YES)
    called = lambda x: ft.pure_callback(np.sin, ft.ShapeDtypeStruct(x.shape, x.dtype), x)
    assert marks(called, X).native == ("pure_callback",)
    assert set(marks(steep, X).problems) == {"forward"}
    assert set(marks(lopsided, X).problems) == {"reverse"}
    assert marks(steep, X, step=0)[:2] == (YES, YES)
    assert set(marks(lambda x: x if x[0] > 0.5 else -x, X).problems) == {"vmap", "jit"}
    assert marks(lambda x: fnp.where(x > 1, x, 0.0), X, step=0).forward == YES


def test_the_page(monkeypatch):
    """It has a row of each function; a function without a call is seen there."""
    namespace = next(n for n in NAMESPACES if n.name == "functrans.numpy.fft")
    monkeypatch.setattr(tables, "NAMESPACES", [namespace])
    page = tables.filled("{versions}\n{tables}")
    assert np.__version__ in page.splitlines()[0]
    for name in namespace.functions():
        assert f"| {{py:obj}}`{name} <functrans.numpy.fft.{name}>` | NumPy, JAX" in page
    monkeypatch.delitem(namespace.calls, "fft")
    assert "no sample" in tables.filled("{tables}")
    source = ["{tables}"]
    tables.read_page(None, "index", source)
    assert source == ["{tables}"]
