"""Layouts by their properties: nothing overlaps, edges run downwards and end where they should."""

import math
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given, strategies as st

from functrans.drawing.graph import Edge, Graph, Node, Port
from functrans.drawing.layout import APART, LONGEST_EDGE, layout, measure, separate


@st.composite
def graphs(draw, depth=1) -> Graph:
    """Acyclic graphs, with boxes that hold others."""
    graph = Graph()
    for i in range(draw(st.integers(0, 14))):
        body = (draw(graphs(depth=depth - 1)),) if depth and draw(st.integers(0, 4)) == 0 else ()
        text = "x" * draw(st.integers(1, 20))
        lines = tuple("y" * n for n in draw(st.lists(st.integers(0, 30), max_size=3)))
        node = Node("math", text, lines, f"node {i}", draw(st.sampled_from(["", "a b", "a b c d"])), body)
        if graph.nodes:
            for source in draw(st.lists(st.sampled_from(graph.nodes), max_size=3)):
                ports = [Port(0, draw(st.integers(-1, 2))) for _ in range(2)]
                graph.edges.append(Edge(source, node, "v: f64[]", *ports))
        graph.nodes.append(node)
    graph.inputs = [n for n in graph.nodes if not any(e.target is n for e in graph.edges)]
    graph.outputs = [n for n in graph.nodes if not any(e.source is n for e in graph.edges)]
    return graph


def rectangle(box):
    return box.x - box.width / 2, box.y, box.x + box.width / 2, box.y + box.height


def apart(a, b) -> bool:
    (al, at, ar, ab), (bl, bt, br, bb) = rectangle(a), rectangle(b)
    return ar <= bl + 1e-6 or br <= al + 1e-6 or ab <= bt + 1e-6 or bb <= at + 1e-6


def check(drawn) -> None:
    boxes = [*drawn.boxes.values(), *drawn.tags]
    assert all(apart(a, b) for a, b in combinations(boxes, 2))
    for box in boxes:
        left, top, right, bottom = rectangle(box)
        assert -1e-6 <= left
        assert right <= drawn.width + 1e-6
        assert -1e-6 <= top
        assert bottom <= drawn.height + 1e-6
        for x, y, inner in box.inside:
            assert x >= 0
            assert y >= 0
            assert x + inner.width <= box.width
            assert y + inner.height <= box.height
            check(inner)
    assert Counter(b.node for w in drawn.wires for b in w.targets) == Counter(e.target for e in drawn.graph.edges)
    for wire in drawn.wires:
        assert len(wire.heads) == len(wire.targets)
        for (x, y), box in zip(wire.heads, wire.targets, strict=True):
            left, top, right, _ = rectangle(box)
            assert y == pytest.approx(top, abs=0.02)
            assert left <= x <= right
        for (_, y0), (_, y1) in wire.pieces:
            assert y0 <= y1
        ways(wire, boxes)


def ways(wire, boxes) -> None:
    """From each arrow a way leads up to the source; verticals, where wires pass ranks, touch no other box."""
    below = {(round(x1, 2), round(y1, 2)): (x0, y0) for (x0, y0), (x1, y1) in wire.pieces}
    for x, y in wire.heads:
        for _ in wire.pieces:
            x, y = below.get((round(x, 2), round(y, 2)), (x, y))
        left, _, right, bottom = rectangle(wire.source)
        assert y == pytest.approx(bottom, abs=0.02)
        assert left <= x <= right
    for (x0, y0), (x1, y1) in wire.pieces:
        if x0 == x1:
            for box in boxes:
                left, top, right, bottom = rectangle(box)
                inside = left + 1e-6 < x0 < right - 1e-6 and max(top, y0) + 1e-6 < min(bottom, y1)
                assert not inside, (wire.label, box.node.title)


@given(graphs(), st.booleans())
def test_layouts(graph, pinned):
    check(layout(graph, pinned))


@given(graphs(depth=0))
def test_pinned_ends(graph):
    """Arguments of a body stand above all else, its results below."""
    drawn = layout(graph, pinned=True)
    both = {n for n in graph.inputs if n in graph.outputs}
    inner = [b for n, b in drawn.boxes.items() if n not in graph.inputs and n not in graph.outputs]
    for n, box in drawn.boxes.items():
        if n in graph.inputs and n not in both:
            assert all(box.y + box.height <= b.y for b in inner)
        elif n in graph.outputs:
            assert all(box.y >= b.y + b.height for b in inner)


def chain(n: int) -> Graph:
    nodes = [Node("math", str(i)) for i in range(n)]
    edges = [Edge(a, b, "v", Port(0, 0), Port(0, 0)) for a, b in pairwise(nodes)]
    return Graph(nodes, edges)


def test_chains_are_straight():
    drawn = layout(chain(30))
    assert len({round(b.x, 3) for b in drawn.boxes.values()}) == 1


def test_long_edges_are_cut():
    """The reader far below gets a tag with the value's name, which knows where it is made."""
    graph = chain(80)
    graph.edges.append(Edge(graph.nodes[0], graph.nodes[-1], "a: f64[2]", Port(0, 0), Port(0, 0)))
    (tag,) = layout(graph).tags
    assert (tag.node.title, tag.value, tag.origin) == ("a", "a: f64[2]", graph.nodes[0])
    near = chain(LONGEST_EDGE)
    near.edges.append(Edge(near.nodes[0], near.nodes[-1], "a", Port(0, 0), Port(0, 0)))
    assert not layout(near).tags


def test_crossings_are_avoided():
    """Two chains whose ends are given in the opposite order."""
    tops, ends = [Node("math", t) for t in "ab"], [Node("math", t) for t in "yx"]
    edges = [Edge(a, b, "v", Port(0, 0), Port(0, 0)) for a, b in zip(tops, reversed(ends))]
    drawn = layout(Graph([*tops, *ends], edges))
    a, b, y, x = (drawn.boxes[n].x for n in (*tops, *ends))
    assert (a < b) == (x < y)


def test_folded_bodies_take_no_room():
    body = chain(5)
    open_, folded = (Node("call", "f", bodies=(body,), folded=f) for f in (False, True))
    assert measure(folded).height < measure(open_).height
    assert not measure(folded).inside


SEPARATE = st.lists(st.tuples(st.floats(-50, 50), st.floats(0.1, 5), st.floats(0, 20)), min_size=1, max_size=8)


@given(SEPARATE)
def test_separate_is_optimal(rows):
    """Rooms are kept, and no step of any group of neighbours as one makes the sum of squares smaller."""
    wanted, weights, room = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows[1:]]
    places = separate(wanted, weights, room)
    assert all(b - a >= r - 1e-9 for a, b, r in zip(places, places[1:], room))

    def squares(xs):
        return math.fsum(w * (x - t) ** 2 for x, t, w in zip(xs, wanted, weights))

    for i in range(len(places)):
        for j in range(i + 1, len(places) + 1):
            for step in (1e-3, -1e-3):
                moved = [x + step * (i <= k < j) for k, x in enumerate(places)]
                if all(b - a >= r - 1e-9 for a, b, r in zip(moved, moved[1:], room)):
                    assert squares(moved) >= squares(places) - 1e-9


def test_neighbours_keep_their_distance():
    drawn = layout(Graph([Node("math", "x") for _ in range(4)]))
    boxes = sorted(drawn.boxes.values(), key=lambda b: b.x)
    assert all(b.x - b.width / 2 - (a.x + a.width / 2) >= APART - 1e-6 for a, b in pairwise(boxes))
