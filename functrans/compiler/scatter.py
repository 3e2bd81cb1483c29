"""Updates of some elements as kernels: they write into an array, which is first copied where it is still needed.

A scatter is a loop over its indices, an update of a slice a loop over the slice. One text serves all shapes with the
same number of indexed axes and of runs of other axes; sizes and strides are arguments. The loop of a scatter is serial,
so repeated indices combine in order, as in NumPy's `ufunc.at`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from functrans.compiler.plan import Planner
from functrans.compiler.source import storage_token
from functrans.compiler.steps import Kernel
from functrans.core.jaxpr import Eqn, Var

_COMBINE = {
    "scatter": "{new}",
    "scatter_add": "{old} + {new}",
    "scatter_mul": "{old} * {new}",
    "scatter_max": "maximum({old}, {new})",
    "scatter_min": "minimum({old}, {new})",
}
_COMBINE_BOOL = {
    "scatter": "{new}",
    "scatter_add": "{old} | {new}",
    "scatter_mul": "{old} & {new}",
    "scatter_max": "{old} | {new}",
    "scatter_min": "{old} & {new}",
}
_BEYOND = {
    "clip": ["j{a} = min(max(j{a}, 0), n{a} - 1)", "if j{a} < 0:", "    continue"],
    "wrap": ["j{a} = j{a} % n{a} if n{a} else -1", "if j{a} < 0:", "    continue"],
    "drop": ["if (j{a} < 0) | (j{a} >= n{a}):", "    continue"],
    "fill": ["if (j{a} < 0) | (j{a} >= n{a}):", "    continue"],
    "raise": ["if (j{a} < 0) | (j{a} >= n{a}):", "    bad{code} = True", "    continue"],
    "promise_in_bounds": [],
}


def emit_scatter(p: Planner, eqn: Eqn) -> bool:
    """Copy the array (unless it may be overwritten), then write the updates into it."""
    operand, updates, *indices = eqn.inputs
    aval = operand.aval
    if combining(eqn) is None:
        return False
    (out,) = eqn.outvars
    sources = [p.read(a) for a in (updates, *indices)]
    target = p.updated(operand, out)
    kernel = scatter_kernel(eqn)
    if (kernel.extent and updates.aval.size and aval.size) or (kernel.checks and kernel.extent):
        p.call_at(kernel, [target, *sources])
    return True


def combining(eqn: Eqn) -> str | None:
    """How a scatter makes an element from the `{old}` and the `{new}` one; `None` if there is no kernel for it."""
    name, dtype = eqn.primitive.name, eqn.inputs[0].aval.dtype
    simple = dtype.kind in "biu" or dtype in (np.float32, np.float64) or (dtype == np.float16 and name == "scatter")
    known = simple or (dtype in (np.complex64, np.complex128) and name not in ("scatter_max", "scatter_min"))
    if not known or eqn.params["mode"] not in _BEYOND or any(i.aval.dtype == np.uint64 for i in eqn.inputs[2:]):
        return None
    return (_COMBINE_BOOL if dtype.kind == "b" else _COMBINE)[name]


def scatter_kernel(eqn: Eqn) -> Kernel:
    """The kernel that writes updates; its first buffer is the result."""
    operand, updates, *indices = eqn.inputs
    axes: Sequence[int] = tuple(eqn.params["axes"])
    shape = operand.aval.shape
    strides = strides_of(shape)
    mode = str(eqn.params.get("mode", "raise"))
    sizes: list[int] = []
    head: list[str] = []

    def size(name: str, value: int) -> str:
        head.append(f"{name} = size(sizes, {len(sizes)})")
        sizes.append(value)
        return name

    body = []
    checks = []
    for a, axis in enumerate(axes):
        size(f"n{a}", shape[axis])
        size(f"s{a}", strides[axis])
        body += [f"j{a} = int64(i{a}[b])", f"if j{a} < 0:", f"    j{a} += n{a}"]
        if mode == "raise":
            checks.append(f"index out of bounds for axis {axis} with size {shape[axis]}")
            head.append(f"bad{len(checks)} = False")
        body += [line.format(a=a, code=len(checks)) for line in _BEYOND[mode]]
    body.append("x0 = " + (" + ".join(f"j{a} * s{a}" for a in range(len(axes))) or "0"))
    runs = _runs(shape, strides, [d for d in range(len(shape)) if d not in axes])
    body.append("u0 = b" + "".join(f" * {size(f'e{r}', extent)}" for r, (extent, _) in enumerate(runs)))
    indent = ""
    for r, (_, stride) in enumerate(runs):
        step = "" if stride == 1 else f" * {size(f't{r}', stride)}"
        inner = "".join(f" * e{q}" for q in range(r + 1, len(runs)))
        body.append(f"{indent}for k{r} in range(e{r}):")
        indent += "    "
        body += [f"{indent}x{r + 1} = x{r} + k{r}{step}", f"{indent}u{r + 1} = u{r} + k{r}{inner}"]
    x, u = f"x[x{len(runs)}]", f"updates[u{len(runs)}]"
    dtype = operand.aval.dtype
    combine = combining(eqn)
    assert combine is not None
    body.append(f"{indent}{x} = " + combine.format(old=x, new=u))
    token = storage_token(dtype)
    pointers = [f"x = pointer(buffers, 0, {token})", f"updates = pointer(buffers, 1, {token})"]
    kinds = [storage_token(i.aval.dtype) for i in indices]
    pointers += [f"i{a} = pointer(buffers, {2 + a}, {kind})" for a, kind in enumerate(kinds)]
    tail = []
    if checks:
        pointers.append(f"status = pointer(buffers, {2 + len(axes)}, int64)")
        for code in range(1, len(checks) + 1):
            tail += [f"if bad{code}:", f"    status[0] = {code}"]
    lines = [*pointers, *head, "for b in range(lo, hi):", *("    " + line for line in body), *tail]
    scalars = "from functrans.compiler.scalars import maximum, minimum\n" if "imum(" in combine else ""
    source = (
        f"# {eqn.primitive.name}, indices beyond the end: {mode}\n"
        "from functrans.compiler.intrinsics import pointer, size\n"
        f"{scalars}from numba.types import {', '.join(sorted({token, 'int64', *kinds}))}\n\n\n"
        "def kernel(buffers, sizes, lo, hi):\n" + "".join(f"    {line}\n" for line in lines)
    )
    count = int(np.prod(indices[0].aval.shape, dtype=np.int64)) if indices else 1
    (out,) = eqn.outvars
    buffers = (out, *(a if isinstance(a, Var) else Var(a.aval) for a in (updates, *indices)))
    return Kernel(
        source, buffers, frozenset({out}), tuple(sizes), count, False, updates.aval.size + count, tuple(checks), (eqn,),
        f"a loop over {count} indices",
    )  # fmt: skip


def strides_of(shape: Sequence[int]) -> list[int]:
    strides = [1] * len(shape)
    for d in range(len(shape) - 2, -1, -1):
        strides[d] = strides[d + 1] * shape[d + 1]
    return strides


def _runs(shape: Sequence[int], strides: Sequence[int], dims: Sequence[int]) -> list[tuple[int, int]]:
    """The other axes as (extent, stride), those that lie side by side as one."""
    runs: list[tuple[int, int]] = []
    for d in dims:
        if shape[d] == 1:
            continue
        if runs and runs[-1][1] == shape[d] * strides[d]:
            runs[-1] = (runs[-1][0] * shape[d], strides[d])
        else:
            runs.append((shape[d], strides[d]))
    return runs


# ------------------------------------------------------------------ updates of a slice


def emit_update(p: Planner, eqn: Eqn) -> bool:
    """`dynamic_update_slice`: copy the array (unless it may be overwritten), then write the slice."""
    operand, update, *starts = eqn.inputs
    if any(s.aval.dtype.kind not in "iu" for s in starts):
        return False
    sources = [p.read(a) for a in (update, *starts)]
    target = p.updated(operand, eqn.outvars[0])
    if update.aval.size:
        p.call_at(update_kernel(eqn), [target, *sources])
    return True


def update_kernel(eqn: Eqn) -> Kernel:
    """The kernel that writes a slice; its first buffer is the result."""
    operand, update, *starts = eqn.inputs
    shape, part = operand.aval.shape, update.aval.shape
    strides = strides_of(shape)
    token = storage_token(operand.aval.dtype)
    sizes: list[int] = []
    tokens = {token}
    head = [f"x = pointer(buffers, 0, {token})", f"update = pointer(buffers, 1, {token})"]
    base = []
    for d, (start, n, m) in enumerate(zip(starts, shape, part)):
        if n == m:
            continue
        kind = storage_token(start.aval.dtype)
        tokens.add(kind)
        head.append(f"s{d} = min(max(int64(pointer(buffers, {2 + d}, {kind})[0]), 0), size(sizes, {len(sizes)}))")
        base.append(f"s{d} * size(sizes, {len(sizes) + 1})")
        sizes += [n - m, strides[d]]
    head.append(f"x0 = {' + '.join(base) or '0'}")
    runs: list[tuple[int, int]] = []  # extents and strides of axes, whole axes joined to the one before
    for d, m in enumerate(part):
        if runs and m == shape[d] and runs[-1][1] == m * strides[d]:
            runs[-1] = (runs[-1][0] * m, strides[d])
        elif m != 1:
            runs.append((m, strides[d]))
    runs = runs or [(1, 1)]
    body = []
    for r, (extent, stride) in enumerate(runs):
        head.append(f"e{r} = size(sizes, {len(sizes)})")
        sizes.append(extent)
        step = ""
        if stride != 1:
            step = f" * size(sizes, {len(sizes)})"
            sizes.append(stride)
        indent = "    " * r
        inner = "".join(f" * e{q}" for q in range(r + 1, len(runs)))
        before = f"u{r} + " if r else ""
        bounds = "lo, hi" if r == 0 else f"e{r}"
        body += [f"{indent}for k{r} in range({bounds}):", f"{indent}    x{r + 1} = x{r} + k{r}{step}"]
        body.append(f"{indent}    u{r + 1} = {before}k{r}{inner}")
    body.append("    " * len(runs) + f"x[x{len(runs)}] = update[u{len(runs)}]")
    source = (
        "# dynamic_update_slice\n"
        "from functrans.compiler.intrinsics import pointer, size\n"
        f"from numba.types import {', '.join(sorted({*tokens, 'int64'}))}\n\n\n"
        "def kernel(buffers, sizes, lo, hi):\n" + "".join(f"    {line}\n" for line in (*head, *body))
    )
    (out,) = eqn.outvars
    buffers = (out, *(a if isinstance(a, Var) else Var(a.aval) for a in (update, *starts)))
    return Kernel(
        source, buffers, frozenset({out}), tuple(sizes), runs[0][0], False, update.aval.size, (), (eqn,),
        f"a loop over a slice of shape {part}",
    )  # fmt: skip
