"""Bad input of every function: NumPy's kind of exception, one of `functrans.errors`, with one text eagerly and traced.

From each good call (`numpy_samples`) bad ones are made: an axis too far, twice, or no integer; a dtype, order or kind
that there is not; a wrong keyword; too many arguments; arrays of strings and of objects; shapes that do not broadcast.
"""

import inspect

import numpy as np
import pytest
from numpy_samples import SAMPLES

import functrans as ft
import functrans.numpy as fnp
from functrans.core.avals import aval_of
from functrans.core.trace import stage

D = ft.errors
KINDS = (TypeError, ValueError, IndexError)


def find(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def good_calls():
    """One good call of each function, by its name."""
    return {s.name: s for s in reversed(SAMPLES) if callable(getattr(np, s.name.split(".")[0], None)) or "." in s.name}


def bad_calls(sample):
    f = find(np, sample.name)
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):  # NumPy before 2.4
        names = []
    args, kwargs = sample.args, sample.kwargs
    if "axis" in names and "axis" not in kwargs and names.index("axis") >= len(args):
        yield from ((args, {**kwargs, "axis": axis}) for axis in (9, -9, (0, 0), (0, 9), "x", 1.5))
    if "axes" in names and "axes" not in kwargs and names.index("axes") >= len(args) and not isinstance(f, np.ufunc):
        yield from ((args, {**kwargs, "axes": axes}) for axes in ((0, 9), (0, 0), ("x", "y")))
    if "dtype" in names and "dtype" not in kwargs and names.index("dtype") >= len(args):
        yield args, {**kwargs, "dtype": "nope"}
    for option in ("order", "kind", "mode", "method", "norm", "indexing"):
        if (
            option in names
            and option not in kwargs
            and names.index(option) >= len(args)
            and not isinstance(f, np.ufunc)
        ):
            yield args, {**kwargs, option: "nope"}
    if sample.name not in ("apply_along_axis", "apply_over_axes", "piecewise"):  # which pass arguments on
        yield args, {**kwargs, "foo": 1}
        if sample.name not in ("meshgrid", "ix_", "einsum", "broadcast_arrays"):  # which take any number
            yield (*args, *[args[0]] * 12), kwargs
    for i, a in enumerate(args):
        if isinstance(a, np.ndarray) and a.ndim:
            for other in (a.astype(str), _objects(a), np.ones((7, 11)), np.array(2.0)):
                yield (*args[:i], other, *args[i + 1 :]), kwargs


def _objects(a):
    out = a.astype(object)
    out.flat[:1] = None
    return out


def outcome(f, *args, **kwargs):
    try:
        f(*args, **kwargs)
    except Exception as error:
        return error
    return None


def traced(f, args, kwargs):
    leaves, tree = ft.tree.flatten(args)
    places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and x.dtype.kind in "biufc"]

    def run(*values):
        full = list(leaves)
        for i, x in zip(places, values):
            full[i] = x
        return ft.tree.leaves(f(*ft.tree.unflatten(tree, full), **kwargs))

    return stage(run, [aval_of(leaves[i]) for i in places])


#: Traced forms that take less or more than NumPy's function, or see first what it sees last.
DIFFERENT = set(
    "add.accumulate bitwise_and.reduce polyint polyder polydiv roots poly polyval histogram2d quantile nanquantile "
    "nanargmin cumulative_prod cumulative_sum piecewise linalg.norm take_along_axis triu tril".split()
)
#: Older versions of NumPy raise other kinds of exceptions here and there.
CHECKS_KINDS = np.lib.NumpyVersion(np.__version__) >= "2.4.0"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", good_calls())
def test_bad_calls(name):
    sample = good_calls()[name]
    theirs, ours = find(np, name), find(fnp, name)
    wrong = []
    for args, kwargs in bad_calls(sample):
        with np.errstate(all="ignore"):
            wanted = outcome(theirs, *args, **kwargs)
            eager = outcome(ours, *args, **kwargs)
            later = outcome(traced, ours, args, kwargs)
        what = f"{name}{[getattr(a, 'shape', a) for a in args]}{kwargs or ''}: {wanted!r}, {eager!r}, {later!r}"
        if any(e is not None and not isinstance(e, D.FunctransError) for e in (eager, later)):
            wrong.append(f"raw: {what}")
        elif any(isinstance(a, np.ndarray) and a.dtype.kind in "OU" for a in args):
            if not all(e is None or isinstance(e, D.DTypeError) for e in (eager, later)):  # NumPy takes some
                wrong.append(f"no numbers: {what}")
        elif isinstance(later, D.ConcretizationError) or name in DIFFERENT:  # the first: only values tell
            continue
        elif str(eager) != str(later):
            wrong.append(f"differ: {what}")
        elif (
            CHECKS_KINDS
            and wanted is not None
            and not isinstance(eager, tuple(k for k in KINDS if isinstance(wanted, k)))
        ):
            wrong.append(f"kind: {what}")
    assert not wrong, "\n".join(wrong)
