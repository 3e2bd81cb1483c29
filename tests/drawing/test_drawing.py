"""Drawings of programs at every stage: what they show, and that their formats are well formed."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, strategies as st

import functrans as ft
from functrans import lax
from functrans.compiler.plan import CallKernel
from functrans.drawing.drawing import STAGES
from functrans.drawing.folding import Repeat, fold
from functrans.errors import ArgumentError, ShapeError

W, V = np.full((4, 4), 0.1), np.ones(4)


def network(params, x):
    for layer in params:
        x = np.tanh(x @ layer["w"] + layer["b"])
    return np.sum(x**2)


def layers(n, size=4):
    return [{"w": np.ones((size, size)), "b": np.ones(size)} for _ in range(n)]


def recurrent(w, h, xs):
    return lax.scan(lambda h, x: (np.tanh(w @ h + x), h.sum()), h, xs)


def branches(x, y):
    return lax.cond(x.sum() > 0, lambda x, y: np.sin(x) * y, lambda x, y: x - np.exp(y), x, y)


def loop(x):
    return lax.while_loop(lambda c: c[1] < 10, lambda c: (np.sin(c[0]) * 2, c[1] + 1), (x, 0))


def doubled(x):
    return lax.while_loop(lambda c: c.sum() < 100, lambda c: np.sin(c) + c * 2, x).sum()


def softmax(x):
    e = np.exp(x - np.max(x, -1, keepdims=True))
    return e / np.sum(e, -1, keepdims=True)


@ft.custom_jvp
def softplus(x):
    return np.log1p(np.exp(x))


softplus.defjvp(lambda primals, tangents: (softplus(*primals), tangents[0] / (1 + np.exp(-primals[0]))))


def repeated_calls(x):
    return sum(ft.named_call(softmax, name="softmax")(x * float(i)) for i in range(4))


PROGRAMS = {
    "network": (network, (layers(2), W)),
    "gradient": (ft.grad(network), (layers(3), W)),
    "scan": (recurrent, (W, V, W)),
    "gradient of scan": (ft.grad(lambda w, h, xs: recurrent(w, h, xs)[1].sum()), (W, V, W)),
    "cond": (branches, (V, V)),
    "switch": (lambda i, x: lax.switch(i, [np.sin, np.cos, np.tan], x), (1, V)),
    "while": (loop, (V,)),
    "gradient of while": (ft.grad(doubled), (V,)),
    "softmax": (softmax, (W,)),
    "custom": (lambda x: softplus(x) + softplus(2 * x), (V,)),
    "calls": (repeated_calls, (V,)),
    "batched": (ft.vmap(ft.jit(softmax)), (np.ones((2, 3, 4)),)),
    "factorizations": (lambda a, b: (np.linalg.solve(a + np.eye(4), b), np.linalg.svd(a)), (W, V)),
    "captured": (lambda x: x @ W, (V,)),
    "long sum": (lambda x: np.sum(np.sin(x)), (np.ones(1 << 18),)),
    "indexing": (lambda x, i: x.at[i].add(x[::2].sum()) if hasattr(x, "at") else x, (V, np.array([1, 2]))),
    "results as they come": (lambda x, y: (x, 1.0, x, {"y": y}), (V, W)),
    "nothing": (lambda: (), ()),
    "empty": (lambda x: x + 1, (np.ones((0, 3)),)),
}


def graphs(graph):
    """A graph and all within it."""
    yield graph
    for node in graph.nodes:
        for body in node.bodies:
            yield from graphs(body)


def nodes(drawing):
    return [n for g in graphs(drawing.graph) for n in g.nodes]


def titles(drawing, kind):
    return [n.title for n in drawing.graph.nodes if kind in n.kind.split()]


class Balanced(HTMLParser):
    """Counts tags, and refuses those that do not close in order."""

    void = ("meta", "input")

    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_formats(name, stage):
    fun, args = PROGRAMS[name]
    drawing = ft.visualize(fun, stage=stage)(*args)
    root = ET.fromstring(drawing.svg)
    drawn = [e for e in root.iter() if "ft-node" in e.get("class", "").split()]
    shown = nodes(drawing)
    if not any(n.folded for n in shown):
        assert len([e for e in drawn if "ft-tag" not in e.get("class")]) == len(shown)
    page = Balanced()
    page.feed(drawing.html)
    assert not page.open
    views = {a["id"] for tag, a in page.seen if tag == "template"}
    assert len(views) == 1 + sum(n.folded for n in shown)
    dot = drawing.dot
    assert dot.count("{") - dot.count("}") == 0
    declared = set(re.findall(r"^\s*(n\d+) \[", dot, re.M))
    assert {n for edge in re.findall(r"(n\d+) -> (n\d+)", dot) for n in edge} <= declared
    clusters = set(re.findall(r"subgraph (cluster_\w+)", dot))
    assert set(re.findall(r"l(?:head|tail)=(\w+)", dot)) <= clusters


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_arrive(name, stage):
    """Every value that a node reads comes from somewhere, and all results are made."""
    fun, args = PROGRAMS[name]
    drawing = ft.visualize(fun, stage=stage, fold=False)(*args)
    for graph in graphs(drawing.graph):
        for node in graph.outputs:
            literal = re.fullmatch(r"-?[\d.e+-]+|True|False|nan|inf", (*node.lines, node.title)[0])
            empty = "[0," in node.tooltip  # no kernel makes what has no elements
            assert literal or empty or any(e.target is node for e in graph.edges), node.title
        for node in graph.nodes:
            names = {e.label.partition(":")[0] for e in graph.edges if e.target is node}
            if node.kind in ("math", "product", "move", "loop", "branch", "call") and "…" not in node.operands:
                wanted = {w for w in node.operands.split() if re.fullmatch("[a-z]+", w) and w not in ("nan", "inf")}
                assert wanted == names
        place = {n: i for i, n in enumerate(graph.nodes)}
        assert all(place[e.source] < place[e.target] for e in graph.edges)


def test_arguments_and_results_by_their_paths():
    def fun(params, flag, *, scale):
        return {"a": [params["w"] * scale, params["b"] if flag else None], "c": scale}

    jitted = ft.jit(fun, static_argnums=1)
    drawing = ft.visualize(jitted)({"w": W, "b": V}, True, scale=np.float64(2.0))
    assert titles(drawing, "input") == ["params['b']", "params['w']", "scale"]
    assert titles(drawing, "output") == ["out['a'][0]", "out['a'][1]", "out['c']"]
    by_name = ft.visualize(ft.jit(fun, static_argnames="flag"))({"w": W, "b": V}, flag=False, scale=1.0)
    assert titles(by_name, "input") == ["params['b']", "params['w']", "scale"]
    assert titles(ft.visualize(np.sin)(V), "output") == ["out"]


@pytest.mark.parametrize("name", ["network", "gradient", "softmax", "scan"])
def test_names_are_those_of_the_printed_program(name):
    fun, args = PROGRAMS[name]
    drawing = ft.visualize(fun, fold=False)(*args)
    binders = re.findall(r"^    ((?:\w+:\S+ )+)=", repr(ft.make_jaxpr(fun)(*args)), re.M)
    printed = " ".join(binders).split()
    shown = {line.replace(": ", ":") for n in drawing.graph.nodes for line in n.lines}
    assert printed
    assert set(printed) <= shown


def test_costs_and_sources():
    def fun(a, b):
        return a @ b

    drawing = ft.visualize(fun)(np.ones((3, 4), np.float32), np.ones((4, 5), np.float32))
    (node,) = (n for n in drawing.graph.nodes if n.kind == "product")
    assert node.lines == ("ij,jk->ik", "c: f32[3,5]", "120 flop · 188 B")
    assert f"{__file__}:" in node.tooltip
    assert "(fun)" in node.tooltip
    assert repr(drawing) == "<Drawing of fun, jaxpr: 4 nodes, 120 flop, 188 bytes>"
    assert node.tooltip.splitlines()[0] == "c:f32[3,5] = dot_general a b"
    assert "120 flop, 188 bytes" in node.tooltip


EINSUMS = {
    "ij,jk->ik": (np.matmul, (2, 3), (3, 4)),
    "i,i->": (np.matmul, (3,), (3,)),
    "ijk,ikl->ijl": (np.matmul, (5, 2, 3), (5, 3, 4)),
    "i,j->ij": (lambda a, b: np.tensordot(a, b, 0), (2,), (3,)),
}


@pytest.mark.parametrize("text", EINSUMS)
def test_contractions_in_the_notation_of_einsum(text):
    fun, *shapes = EINSUMS[text]
    drawing = ft.visualize(fun)(*(ft.ShapeDtypeStruct(s, np.float64) for s in shapes))
    assert text in [n.lines[0] for n in drawing.graph.nodes if n.kind == "product"]


def box(drawing, kind):
    (node,) = (n for n in drawing.graph.nodes if n.kind == kind)
    return node


def test_bodies_and_ports():
    scan = ft.visualize(recurrent)(W, V, W)
    (body,) = box(scan, "loop").bodies
    assert [n.title for n in body.inputs] == ["const", "carry", "x"]
    assert [n.title for n in body.outputs] == ["carry", "y"]
    entering = [(e.source.title, e.target_port.number) for e in scan.graph.edges if e.target.kind == "loop"]
    assert entering == [("w", 0), ("h", 1), ("xs", 2)]
    cond = ft.visualize(branches)(V, V)
    assert [b.caption for b in box(cond, "branch").bodies] == ["if false", "if true"]
    while_ = box(ft.visualize(loop)(V), "loop")
    assert [b.caption for b in while_.bodies] == ["condition", "body"]
    assert [n.title for n in while_.bodies[0].outputs] == ["go on"]
    tape = box(ft.visualize(ft.grad(doubled), stage="simplified")(V), "loop")
    assert [b.caption for b in tape.bodies] == ["condition", "body", "backwards"]
    assert [n.title for n in tape.bodies[1].outputs] == ["carry", "tape"]
    assert [n.title for n in tape.bodies[2].inputs] == ["carry", "tape"]
    assert box(ft.visualize(ft.named_call(np.sin, name="wave"))(V), "call").title == "jit wave"


def test_fused_kernels():
    """The boxes are the kernels that run, with the equations that they compute."""
    for name in ("network", "gradient", "softmax", "long sum", "cond", "batched"):
        fun, args = PROGRAMS[name]
        drawing = ft.visualize(fun, stage="fused")(*args)
        boxes = [n for n in nodes(drawing) if n.kind == "kernel" or "fused" in n.kind]
        plan = ft.jit(fun).lower(*args)._lowered.plan
        calls = [i.kernel for i in plan.instructions if isinstance(i, CallKernel)]
        assert len(boxes) >= len(calls) > 0
        sizes = sorted(len(k.eqns) for k in calls)
        found = sorted(sum("output" != n.kind != "input" for n in b.bodies[0].nodes) if b.bodies else 1 for b in boxes)
        assert found[-len(calls) :] == sizes
    (kernel,) = (n for n in ft.visualize(softmax, stage="fused")(W).graph.nodes if n.kind == "kernel")
    assert kernel.operands == "7 equations"
    assert kernel.lines == ("72 flop · 256 B",)


def test_partial_results_of_long_reductions():
    """A long sum is two kernels: what each part sums up, and the sum of that."""
    x = np.ones(1 << 18)
    drawing = ft.visualize(lambda x: np.sum(np.sin(x)), stage="fused")(x)
    first, second = (n for n in drawing.graph.nodes if n.kind == "kernel" or "fused" in n.kind)
    assert [e.target for e in drawing.graph.edges if e.source is first] == [second]
    assert [e.source for e in drawing.graph.edges if e.target is second] == [first]
    assert "kflop" not in second.lines[-1]


def test_how_what_is_not_fused_runs():
    drawing = ft.visualize(lambda a: ft.scipy.linalg.schur(a)[0], stage="fused")(W)
    assert "by NumPy" in box(drawing, "other").lines
    scan = ft.visualize(lambda xs: lax.scan(lambda c, x: (c * x, c), 1.0, xs), stage="fused")(V)
    assert box(scan, "kernel").title == "scan, 4 turns, one kernel"


def test_depth_and_bodies_that_occur_again():
    drawing = ft.visualize(repeated_calls)(V)
    calls = [n for n in drawing.graph.nodes if n.kind == "call"]
    assert [n.folded for n in calls] == [False, True, True, True]
    assert calls[1].lines[-1] == "⊕ 9 nodes"
    assert not any(n.folded for n in nodes(ft.visualize(repeated_calls, fold=False)(V)))
    assert all(n.folded for n in nodes(ft.visualize(repeated_calls, depth=0)(V)) if n.kind == "call")
    fused = ft.visualize(softmax, stage="fused", depth=0)(W)
    assert box(fused, "kernel").folded


def test_unrolled_loops_are_drawn_once():
    drawing = ft.visualize(ft.grad(network))(layers(60), W)
    forward, backward = (n for n in drawing.graph.nodes if n.kind == "repeat")
    assert "repeated 59 times" in (forward.title, backward.title)
    assert "params[0]['w'] … params[59]['w']" in titles(drawing, "input")
    assert len(nodes(drawing)) < 60
    whole = ft.visualize(ft.grad(network), fold=False)(layers(60), W)
    assert len(whole.graph.nodes) > 500
    assert whole.summary == drawing.summary


def test_large_programs_do_not_get_wide():
    """Edges over many ranks are cut, so that a gradient's residuals do not lie side by side."""
    drawing = ft.visualize(ft.grad(network), fold=False)(layers(150), W)
    assert len(drawing.graph.nodes) > 1500
    width, height = (float(ET.fromstring(drawing.svg).get(n)) for n in ("width", "height"))
    assert width < 4000 < height


def units(period: int, times: int):
    """The equations of a loop that Python unrolled, between others."""

    def fun(x, y):
        z = np.exp(x) - 1.0
        for _ in range(times):
            for i in range(period):
                z = z * float(i + 1) + y
        return np.cos(z)

    return ft.make_jaxpr(fun)(V, V).jaxpr


@given(period=st.integers(1, 5), times=st.integers(2, 12))
def test_folding(period, times):
    """A fold keeps all: its turns' equations and the others are those of the program."""
    jaxpr = units(period, times)
    folded = fold(jaxpr.eqns, jaxpr.outvars)
    repeats = [u for u in folded if isinstance(u, Repeat)]
    assert sum(len(u.units) * u.times if isinstance(u, Repeat) else 1 for u in folded) == len(jaxpr.eqns)
    if times >= 3 and (times - 1) * 2 * period >= 12:
        (repeat,) = repeats
        assert repeat.times in (times, times - 1)
        assert len(repeat.units) == 2 * period
        assert sorted(e.carried for e in repeat.entries) == [False, True]
        assert [len(o) for o in repeat.outcomes] == [repeat.times]
    for repeat in repeats:
        assert repeat.times >= 3


def test_only_what_passes_values_on_alike_is_folded():
    """The same operations, but each turn reads what another turn did, or its own."""

    def fun(x):
        values = [x, x]
        for i in range(20):
            values += [np.sin(values[-1]), np.sin(values[-1 if i % 2 else -2])]
        return values[-1]

    jaxpr = ft.make_jaxpr(fun)(V).jaxpr
    for unit in fold(jaxpr.eqns, jaxpr.outvars):
        if isinstance(unit, Repeat) and len(unit.units) > 1:
            made = {v for e in unit.units for v in e.outvars}
            assert any(a in made for e in unit.units for a in e.inputs)


def test_files(tmp_path):
    drawing = ft.visualize(np.sin)(V)
    for suffix, text in ((".svg", drawing.svg), (".html", drawing.html), (".dot", drawing.dot)):
        drawing.save(tmp_path / f"program{suffix}")
        assert (tmp_path / f"program{suffix}").read_text("utf-8") == text
    drawing.save(str(tmp_path / "UPPER.SVG"))
    with pytest.raises(ArgumentError, match=r"saved as .svg, .html, .dot, not '.png', the end of '.*x.png'"):
        drawing.save(tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_pages_need_nothing_else():
    drawing = ft.visualize(lambda x: x < 1)(V)
    text = drawing.html
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.findall(r"\b(src|href)=|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "<lambda>" not in text
    assert "&lt;lambda&gt;" in text
    assert "<lambda>" not in drawing.svg


def test_notebooks():
    drawing = ft.visualize(np.sin)(V)
    assert drawing._repr_svg_() == drawing.svg
    frame = Balanced()
    frame.feed(drawing._repr_html_())
    ((tag, attributes),) = frame.seen
    assert (tag, attributes["srcdoc"]) == ("iframe", drawing.html)


def test_mistakes():
    with pytest.raises(ArgumentError, match="no stage 'hlo'; there are 'jaxpr', 'simplified', 'fused'"):
        ft.visualize(np.sin, stage="hlo")
    with pytest.raises(ShapeError):
        ft.visualize(np.matmul)(np.ones(3), np.ones(4))
