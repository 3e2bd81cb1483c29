"""`visualize`: from a function and its arguments to a drawing."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from functrans.api.compilation import Jitted, jit
from functrans.api.flattening import argument_names, name_of
from functrans.compiler.cost import jaxpr_cost
from functrans.core.jaxpr import Eqn, Jaxpr
from functrans.core.pytree import flatten, key_paths, keystr
from functrans.core.tracebacks import api_boundary
from functrans.drawing.graph import Graph, Options, Unit, graph_of
from functrans.errors import ArgumentError

STAGES = ("jaxpr", "simplified", "fused")


def visualize(
    fun: Callable[..., Any], *, stage: str = "jaxpr", depth: int = 4, fold: bool = True
) -> Callable[..., Drawing]:
    """A function of the same arguments that returns a drawing of the program of `fun` for their shapes and dtypes.

    Nodes are arguments (by their pytree paths), equations and results, with the type of what they make, scalar
    operations and bytes; edges are values, under the names that the printed jaxpr has. Inner programs (of `scan`,
    `cond`, `jit`, ...) stand in boxes, as do fused kernels. The tooltip of a node has its params and the line of the
    user's program that it comes from.

    Args:
        fun: a function of arrays and pytrees of them, plain, transformed or compiled.
        stage: what is drawn: the `"jaxpr"` as it was traced, the `"simplified"` one, or what runs, `"fused"`.
        depth: inner programs that lie deeper are folded; on the page, they open.
        fold: draw repeated structure once: operations of an unrolled loop as one turn, and inner programs that occur
            several times.

    Returns:
        A function whose result is a `Drawing`. Its arguments are arrays, or `ShapeDtypeStruct` for each.

    Raises:
        ArgumentError: there is no such stage.

    >>> import functrans as ft, numpy as np
    >>> drawing = ft.visualize(lambda x: np.sin(x) * 2)(np.ones(3))
    >>> drawing
    <Drawing of <lambda>, jaxpr: 4 nodes, 6 flop, 96 bytes>
    >>> drawing.save("program.html")  # doctest: +SKIP
    """
    if stage not in STAGES:
        raise ArgumentError(f"visualize has no stage {stage!r}; there are {', '.join(map(repr, STAGES))}")
    jitted = fun if isinstance(fun, Jitted) else jit(fun)

    @api_boundary
    def draw(*args: Any, **kwargs: Any) -> Drawing:
        traced = jitted.trace(*args, **kwargs)
        names = _argument_names(jitted, args, kwargs)
        outs = [f"out{keystr(path)}" for path in key_paths(flatten(traced.out_info)[1])]
        jaxpr, options = traced.jaxpr.jaxpr, Options(lambda jaxpr: jaxpr.eqns)
        if stage != "jaxpr":
            lowered = traced.lower()._lowered
            jaxpr, options = lowered.simplified, _fused(lowered) if stage == "fused" else options
        total = jaxpr_cost(jaxpr)
        moved = lowered.cost_analysis()["bytes accessed"] if stage == "fused" else total.bytes
        summary = f"{total.flops:,.0f} flop, {moved:,.0f} bytes"
        graph = graph_of(jaxpr, replace(options, depth=depth, fold=fold), names, outs)
        return Drawing(graph, f"{name_of(fun)}, {stage}", summary)

    return draw


def _argument_names(jitted: Jitted, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The names of the leaves that are no static arguments (`None` has no leaves)."""
    static = {i % len(args) for i in jitted._static_nums if -len(args) <= i < len(args)}
    dynamic = [None if i in static else a for i, a in enumerate(args)]
    return argument_names(jitted._fun, dynamic, {k: v for k, v in kwargs.items() if k not in jitted._static_names})


def _fused(lowered: Any) -> Options:
    """The units of compiled programs: kernels, and equations that run in another way."""
    program = importlib.import_module("functrans.compiler.program")
    plan = importlib.import_module("functrans.compiler.plan")
    controlflow = importlib.import_module("functrans.compiler.controlflow")
    planner = plan.Planner(program.schedule_block)
    by_numpy = {(i.name, i.source) for i in lowered.plan.instructions if isinstance(i, plan.CallPython)}

    def units(jaxpr: Jaxpr) -> Sequence[Unit]:
        return [getattr(step, "eqn", step) for step in planner.analysis(jaxpr).steps]

    def is_kernel(eqn: Eqn) -> bool:
        if eqn.primitive.name not in ("scan", "while"):
            return False
        in_place = functools.partial(controlflow.loop_in_place, planner)
        return controlflow.loop_kernel(eqn, planner.analysis, in_place) is not None

    def note(eqn: Eqn) -> str:
        return "by NumPy" if (eqn.primitive.name, eqn.source) in by_numpy else ""

    return Options(units, is_kernel=is_kernel, note=note)


class Drawing:
    """A drawing of a program: `svg`, `html` and `dot` are its text in these formats, made when first asked for.

    In a notebook it shows itself.

    >>> import functrans as ft, numpy as np
    >>> drawing = ft.visualize(np.sin)(1.0)
    >>> "sin" in drawing.dot
    True
    """

    def __init__(self, graph: Graph, title: str, summary: str):
        self.graph = graph
        self.title = title
        self.summary = summary

    @cached_property
    def svg(self) -> str:
        """An SVG image, in light or dark as the viewer wishes."""
        from functrans.drawing.layout import layout
        from functrans.drawing.svg import svg

        return svg(layout(self.graph), f"{self.title}: {self.summary}")

    @cached_property
    def html(self) -> str:
        """A page that needs no other file: pan, zoom, search, details of each node, folded programs that open."""
        from functrans.drawing.page import page

        return page(self.graph, self.title, self.summary)

    @cached_property
    def dot(self) -> str:
        """Text for Graphviz's `dot`."""
        from functrans.drawing.dot import dot

        return dot(self.graph, self.title)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the drawing to a file, in the format of the name's end: `.svg`, `.html` or `.dot`.

        Raises:
            ArgumentError: the name has another end.
        """
        texts = {".svg": lambda: self.svg, ".html": lambda: self.html, ".dot": lambda: self.dot}
        suffix = Path(path).suffix.lower()
        if suffix not in texts:
            raise ArgumentError(f"a drawing is saved as {', '.join(texts)}, not {suffix!r}, the end of {str(path)!r}")
        Path(path).write_text(texts[suffix](), encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        style = "width:100%;height:600px;border:1px solid #8884;border-radius:8px"
        return f'<iframe srcdoc="{escape(self.html)}" style="{style}" title="{escape(self.title)}"></iframe>'

    def __repr__(self) -> str:
        return f"<Drawing of {self.title}: {len(self.graph.nodes)} nodes, {self.summary}>"
