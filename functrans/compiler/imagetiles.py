"""Convolutions of images whose features lie last: tiles of results summed in registers, without a matrix of windows.

Of a window of such an image the elements of one row lie side by side, so a tile reads them where they are
(`tiles.py`); padding is a copy of one image at a time, which stays in cache. The same tiles sum the derivative with
respect to the kernel over the pixels of images, by groups of images whose results are added up at the end.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from functrans import config
from functrans.compiler.plan import Place, Planner, nbytes
from functrans.compiler.rewriting import Variant
from functrans.compiler.source import storage_token
from functrans.compiler.steps import Kernel
from functrans.core.avals import ShapedArray
from functrans.core.jaxpr import Atom, Eqn, Jaxpr, Var
from functrans.core.primitive import lookup
from functrans.core.trace import stage

#: Images and kernels beyond these bytes do not stay in cache: windows are made a matrix of (`convolution.py`).
LARGEST_IMAGE, LARGEST_KERNEL = 1 << 20, 1 << 20
#: With less for the output features of a pixel much of a vector would be idle.
FEATURES_BYTES = 48
#: Derivatives with respect to kernels are summed in so many groups of images at most.
GROUPS = 16
#: Rows of images that are summed at a time have so many bytes, for a first level cache.
ROWS_BYTES = 1 << 15

_HEAD = """# conv_general_dilated
from functrans.compiler.intrinsics import copy_bytes, load_i64, size, zero_bytes
from functrans.compiler.tiles import lanes, multiply_tile
from numba.types import {token}


def kernel(buffers, sizes, lo, hi):
    y = load_i64(buffers)
    x = load_i64(buffers + 8)
    w = load_i64(buffers + 16)
    item = size(sizes, 0)
    images = size(sizes, 1)
    groups = size(sizes, 2)
    image = size(sizes, 3)
    rows = size(sizes, 4)
    row = size(sizes, 5)
    copied = size(sizes, 6)
    padded = size(sizes, 7)
    down = size(sizes, 8)
    right = size(sizes, 9)
    features = size(sizes, 10)
    per_window = size(sizes, 11)
    window_rows = size(sizes, 12)
    window_down = size(sizes, 13)
    out_rows = size(sizes, 14)
    out_columns = size(sizes, 15)
    pixels = out_rows * out_columns * features * item
    wide = {vectors} * lanes({token})
    for g in range(lo, hi):
        scratch = load_i64(buffers + 24) + g * size(sizes, 16)
        zero_bytes(scratch, size(sizes, 16))
{before}        for n in range(g * images // groups, (g + 1) * images // groups):
            start = x + n * image
            if size(sizes, 16) != 0:
                for i in range(rows):
                    copy_bytes(scratch + size(sizes, 17) + i * padded, start + i * row, copied)
                start = scratch
{body}"""

_FORWARD = """            for j in range(0, features, wide):
                columns = min(features - j, wide)
                for i in range(out_rows):
                    for t in range(0, out_columns, {rows}):
                        k = min(t, out_columns - {rows})
                        c = y + n * pixels + ((i * out_columns + k) * features + j) * {item}
                        a = start + i * down + k * right
{tiles}
"""

_KERNEL = """            high = size(sizes, 18)
            for r in range(0, out_rows, size(sizes, 19)):
                runs = min(out_rows - r, size(sizes, 19))
                for q in range(window_rows):
                    for j in range(0, features, wide):
                        columns = min(features - j, wide)
                        for t in range(0, high, {rows}):
                            c = total + ((q * high + t) * features + j) * {item}
                            a = start + r * down + q * window_down + t * {item}
                            b = w + n * pixels + (r * out_columns * features + j) * {item}
{tiles}
"""


def _tile(vectors: int, some_narrow: bool, text: str, token: str, indent: int) -> str:
    """The call for a tile of so many vectors of columns; narrow ones have half of them."""
    pad = " " * indent
    call = lambda v: f"multiply_tile({token}, {text.replace('VECTORS', str(v))})"
    if not some_narrow:
        return pad + call(vectors)
    return f"{pad}if columns > lanes({token}):\n{pad}    {call(2)}\n{pad}else:\n{pad}    {call(1)}"


@cache
def machine_has_masks() -> bool:
    """Whether parts of vectors can be read and written at once."""
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("avx2", False))


def kind_of_convolution(eqn: Eqn) -> str | None:
    """How a convolution is done by tiles: as itself, `forward`, or as a derivative with respect to a `kernel`."""
    x, w = (a.aval for a in eqn.inputs)
    out, params = eqn.outvars[0].aval, eqn.params
    if x.dtype not in (np.float32, np.float64) or x.ndim != 4 or params["feature_group_count"] != 1:
        return None
    if params["lhs_dilation"] != (1, 1) or any(low < 0 for low, _ in params["padding"]) or 0 in (x.size, out.size):
        return None
    numbers = tuple(map(tuple, params["dimension_numbers"]))
    if not all(type(a) is Var for a in eqn.inputs):
        return None
    if numbers[0] == (0, 3, 1, 2) == numbers[2] and params["rhs_dilation"][1] == 1:
        window = [w.shape[a] for a in numbers[1][2:]]
        kind, features, weights, image = "forward", out.shape[3], w, _padded(out.shape[1:3], window, params)
    elif numbers == ((3, 0, 1, 2), (3, 0, 1, 2), (2, 3, 0, 1)) and params["window_strides"][1] == 1:
        kind, features, weights = "kernel", out.shape[3], out
        image = _padded(w.shape[1:3], out.shape[:2], _exchanged(params))
    else:
        return None
    if features * x.dtype.itemsize < FEATURES_BYTES or nbytes(weights) > LARGEST_KERNEL:
        return None
    if weights.size == x.shape[3] * features:  # windows of one element are a matrix already
        return None
    fits = image[0] * image[1] * x.shape[3] * x.dtype.itemsize <= LARGEST_IMAGE
    return kind if fits and machine_has_masks() else None


def _exchanged(params: dict[str, Any]) -> dict[str, Any]:
    """The strides and dilation of the convolution that a derivative with respect to a kernel belongs to."""
    return {**params, "window_strides": params["rhs_dilation"], "rhs_dilation": params["window_strides"]}


def _padded(out: Any, window: Any, params: dict[str, Any]) -> tuple[int, int]:
    """The rows and columns of an image that windows see."""
    sizes = zip(out, window, params["window_strides"], params["rhs_dilation"])
    a, b = ((n - 1) * stride + (k - 1) * spread + 1 for n, k, stride, spread in sizes)
    return a, b


def with_tiled_convolutions(jaxpr: Jaxpr) -> Jaxpr:
    """The program with the convolutions that are done by tiles as equations that are not expanded."""
    if not any(e.primitive.name == "conv_general_dilated" for e in jaxpr.eqns):
        return jaxpr
    eqns = [
        e.replace(primitive=Variant(e.primitive, expand=None))
        if e.primitive.name == "conv_general_dilated" and kind_of_convolution(e)
        else e
        for e in jaxpr.eqns
    ]
    return Jaxpr(jaxpr.constvars, jaxpr.invars, eqns, jaxpr.outvars)


def emit_convolution(p: Planner, eqn: Eqn) -> bool:
    """The kernel of a convolution that is done by tiles."""
    kind = kind_of_convolution(eqn)
    if kind is None:
        return False
    x, w = eqn.inputs
    (out,) = eqn.outvars
    x_place, w_place = p.read(x), p.read(w)
    if kind == "forward":
        into, features, *reach = (eqn.params["dimension_numbers"][1][a] for a in (1, 0, 2, 3))
        w_place, w = _in_order(p, w, w_place, (*reach, into, features))
        _emit(p, eqn, kind, p.write(out), out, x_place, w_place, w.aval.shape[:2], out.aval.shape, eqn.params)
        return True
    window, shape = out.aval.shape[:2], w.aval.shape
    _emit(p, eqn, kind, None, out, x_place, w_place, window, shape, _exchanged(eqn.params))
    return True


def _emit(
    p: Planner, eqn: Eqn, kind: str, target: Place | None, out: Var, x_place: Place, w_place: Place, window: Any,
    shape: Any, params: dict[str, Any],
) -> None:  # fmt: skip
    """One kernel over groups of images; `shape` is that of the images that the convolution makes."""
    x, w = eqn.inputs
    images, height, width, into = x.aval.shape
    dtype, item = x.aval.dtype, x.aval.dtype.itemsize
    _, out_rows, out_columns, features = shape
    token, vector = storage_token(dtype), 64 // item
    vectors = 2 if features > vector else 1
    narrow = vectors == 2 and features % (2 * vector) != 0
    per_window = window[1] * into
    tall = _height(per_window if kind == "kernel" else out_columns, vectors, kind == "forward")
    high = -(-per_window // tall) * tall
    rows, columns = _padded((out_rows, out_columns), window, params)
    (above, _), (left, _) = params["padding"]
    groups = min(images, GROUPS if kind == "kernel" else 4 * config.num_threads())
    needs_copy = (rows, columns) != (height, width) or above or left or (kind == "kernel" and high > per_window)
    row, padded = width * into * item, columns * into * item
    scratch = rows * padded + tall * item if needs_copy else 0
    scratch = -(-scratch // 64) * 64
    stride_down, stride_right = params["window_strides"]
    down, right = stride_down * padded, stride_right * into * item
    run = max(ROWS_BYTES // (out_columns * features * item), 1)
    sizes = (
        item, images, groups, height * row, min(height, rows - above), row, min(width, columns - left) * into * item,
        padded, down, right, features, per_window, window[0], params["rhs_dilation"][0] * padded, out_rows,
        out_columns, scratch, above * padded + left * into * item, high, run,
    )  # fmt: skip
    if kind == "forward":
        text = (
            f"{tall}, VECTORS, 0, c, features * {item}, columns, a, right, {item}, window_down, w + j * {item}, "
            f"features * {item}, per_window * features * {item}, per_window, window_rows"
        )
        body, before = _FORWARD.format(rows=tall, item=item, tiles=_tile(vectors, narrow, text, token, 24)), ""
        result, place = out, target
    else:
        text = (
            f"{tall}, VECTORS, 1, c, features * {item}, columns, a, {item}, right, down, b, features * {item}, "
            f"out_columns * features * {item}, out_columns, runs"
        )
        body = _KERNEL.format(rows=tall, item=item, tiles=_tile(vectors, narrow, text, token, 28))
        before = (
            "        total = y + g * window_rows * size(sizes, 18) * features * item\n"
            "        zero_bytes(total, window_rows * size(sizes, 18) * features * item)\n"
        )
        result = Var(ShapedArray((groups, window[0], high, features), dtype))
        place = p.temporary(nbytes(result.aval), result.aval)
    assert place is not None
    source = _HEAD.format(token=token, vectors=vectors, before=before, body=body)
    memory = Var(ShapedArray((groups * scratch // item,), dtype))
    work = 2 * images * out_rows * out_columns * features * per_window * window[0]
    kernel = Kernel(
        source, (result, x, w, memory), frozenset({result, memory}), sizes, groups, groups > 1 and work > 1 << 20,  # type: ignore[arg-type]
        work, (), (eqn,), f"a convolution by tiles, of {images} images in {groups} groups",
    )  # fmt: skip
    scratch_place = p.temporary(nbytes(memory.aval), memory.aval) if scratch else x_place
    p.call_at(kernel, [place, x_place, w_place, scratch_place])
    if kind == "kernel":
        _add_up(p, result, place, out, per_window)


def _height(rows: int, vectors: int, within: bool) -> int:
    """The rows of a tile: those that make the fewest instructions; `within`: no more than there are.

    A step of a tile loads its vectors once, and an element for each row.
    """
    heights = [n for n in ((16, 8, 4, 2, 1) if vectors == 1 else (12, 8, 4, 2, 1)) if n <= rows or not within]
    return min(heights, key=lambda n: -(-rows // n) * (n * vectors + vectors))


def _in_order(p: Planner, w: Atom, place: Place, order: tuple[int, ...]) -> tuple[Place, Atom]:
    """A kernel with its axes in order: rows, columns, input features, output features."""
    if order == (0, 1, 2, 3):
        if any(
            b.kind in ("input", "constant") for b in place.buffers
        ):  # for vectors that do not cross lines of the cache
            copied = p.temporary(nbytes(w.aval), w.aval)
            p.copy(copied, place, nbytes(w.aval))
            return copied, w
        return place, w
    x, y = Var(w.aval), Var(ShapedArray(tuple(w.aval.shape[a] for a in order), w.aval.dtype))
    move = Eqn(lookup("transpose"), (x,), (y,), {"permutation": order})
    (place,) = p.block(Jaxpr((), (x,), (move,), (y,)), {x: place}, [None])
    return place, y


def _add_up(p: Planner, parts: Var, place: Place, out: Var, per_window: int) -> None:
    """The sum over groups, without the rows beyond the window's."""
    groups, rows, _, features = parts.aval.shape

    def total(x: Any) -> list[Any]:
        limits = (groups, rows, per_window, features)
        x = lookup("slice").bind(x, start_indices=(0,) * 4, limit_indices=limits, strides=(1,) * 4)
        x = lookup("reduce_sum").bind(x, axes=(0,))
        return [lookup("reshape").bind(x, new_sizes=out.aval.shape)]

    jaxpr, _ = stage(total, [parts.aval])
    p.block(jaxpr, {jaxpr.invars[0]: place}, [p.write(out)])
