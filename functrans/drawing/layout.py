"""Where the nodes of a graph stand and how its edges run: the layered drawing of Sugiyama, Tagawa and Toda (1981).

Ranks come from longest paths, the order within a rank from barycenters, and the places from least squares: each node
wants to stand below what it reads and above its readers, and keeps its distance from its neighbours (Gansner et al.,
"A technique for drawing directed graphs", 1993, name the aims; an isotonic regression for each rank meets them). All
edges of one value share their way. One that would pass many ranks is cut, and its reader gets a tag with its name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from functrans.drawing.graph import Edge, Graph, Node, Port

#: Width of a character and height of a line, of titles and of the lines below; the room around a node's text.
TITLE, LINE = (8.2, 18.0), (7.0, 15.0)
PADDING = 10.0
#: Room between neighbours and between a box and its contents.
APART, INSIDE = 22.0, 16.0
#: Least and most room between ranks, and how much of it wide edges want.
GAP, WIDEST_GAP, SLOPE = 30.0, 110.0, 0.12
#: An edge over more ranks is cut; between the ranks of a small graph, over more than its half.
LONGEST_EDGE = 12
ROUNDING = 0.01
SWEEPS, SMALL_SWEEPS, SMALL = 4, 12, 400

#: How much less the edges of inputs weigh: these stand beside what reads them, not above.
LEAF = 0.1
#: How much more edges weigh that lie on a longest path: long programs stand straight.
SPINE = 1000.0

Point = tuple[float, float]
#: For each vertex its neighbours in one direction, with two numbers for each.
Neighbours = dict[int, list[tuple[int, float, float]]]


@dataclass(eq=False)
class Box:
    """A node in its place, with the drawings of its bodies (relative to it)."""

    node: Node
    width: float
    height: float
    x: float = 0.0  # of its middle
    y: float = 0.0  # of its top
    inside: list[tuple[float, float, Drawn]] = field(default_factory=list)
    value: str = ""  # of a tag: the value whose edge was cut
    origin: Node | None = None  # of a tag: where it is made

    def entry(self, port: Port) -> float:
        """Where a port is on the upper side, from the middle."""
        return self._port(port, [d.graph.inputs for _, _, d in self.inside])

    def exit(self, port: Port) -> float:
        """Where a port is on the lower side, from the middle."""
        return self._port(port, [d.graph.outputs for _, _, d in self.inside])

    def _port(self, port: Port, ends: Sequence[Sequence[Node]]) -> float:
        if port.body >= len(ends) or not 0 <= port.number < len(ends[port.body]):
            return 0.0
        x, _, drawn = self.inside[port.body]
        return x + drawn.boxes[ends[port.body][port.number]].x - self.width / 2


@dataclass(eq=False)
class Wire:
    """The way of one value: curves between ranks and straight lines through them, and where arrows stand."""

    label: str
    source: Box
    targets: list[Box] = field(default_factory=list)
    pieces: list[tuple[Point, Point]] = field(default_factory=list)
    heads: list[Point] = field(default_factory=list)


@dataclass(eq=False)
class Drawn:
    """A graph with places for all."""

    graph: Graph
    width: float
    height: float
    boxes: dict[Node, Box]
    tags: list[Box]
    wires: list[Wire]


def layout(graph: Graph, pinned: bool = False) -> Drawn:
    """Give a graph's nodes their places; with `pinned`, inputs stand in the first rank and outputs in the last."""
    boxes = {node: measure(node) for node in graph.nodes}
    sheet = _Sheet(graph, boxes, pinned)
    return sheet.draw()


def measure(node: Node) -> Box:
    """The size of a node, with its bodies laid out where they are drawn."""
    title = len(node.title) * TITLE[0] + (len(node.operands) + 1) * LINE[0] * bool(node.operands)
    width = max(title, *(len(line) * LINE[0] for line in node.lines), 24.0) + 2 * PADDING
    height = TITLE[1] + LINE[1] * len(node.lines) + PADDING
    box = Box(node, width, height)
    if not node.bodies or node.folded:
        return box
    drawn = [layout(body, pinned=True) for body in node.bodies]
    captions = LINE[1] if any(d.graph.caption for d in drawn) else 0.0
    x = INSIDE
    for d in drawn:
        room = max(d.width, len(d.graph.caption) * LINE[0])
        box.inside.append((x + (room - d.width) / 2, height + captions, d))
        x += room + APART
    inner = x - APART + INSIDE
    shift = max(0.0, (width - inner) / 2)
    box.inside = [(x + shift, y, d) for x, y, d in box.inside]
    box.width = max(width, inner)
    box.height = height + captions + max(d.height for d in drawn) + INSIDE
    return box


class _Sheet:
    """One graph under layout. Vertices are boxes, and points where the way of a value passes a rank."""

    def __init__(self, graph: Graph, boxes: dict[Node, Box], pinned: bool):
        self.graph = graph
        self.boxes = boxes
        self.tags: list[Box] = []
        self.number = {node: i for i, node in enumerate(graph.nodes)}
        self.rank, self.spine = _ranks(graph, pinned)
        self.widths = [boxes[n].width for n in graph.nodes]
        self.heights = [boxes[n].height for n in graph.nodes]
        self.box_of: list[Box | None] = [boxes[n] for n in graph.nodes]
        self.links: list[tuple[int, int, float, float]] = []  # from, to, and where on both, from their middles
        self.wires: list[tuple[Wire, list[int]]] = []  # with the links of each
        self._route()

    # -- ways

    def _route(self) -> None:
        ways: dict[tuple[Node, Port], list[Edge]] = defaultdict(list)
        for edge in self.graph.edges:
            ways[edge.source, edge.source_port].append(edge)
        longest = max(LONGEST_EDGE, (max(self.rank, default=0) + 1) // 2 if len(self.rank) < 60 else 0)
        for (source, port), edges in ways.items():
            start = self.number[source]
            edges.sort(key=lambda e: self.rank[self.number[e.target]])
            rank, near = self.rank[start], []
            while edges and self.rank[self.number[edges[0].target]] - rank <= longest:
                near.append(edges.pop(0))
            if near:
                self._way(start, self.boxes[source].exit(port), near, Wire(near[0].label, self.boxes[source]))
            while edges:
                first = self.rank[self.number[edges[0].target]] - 1
                group = [e for e in edges if self.rank[self.number[e.target]] - first <= LONGEST_EDGE // 2]
                edges = edges[len(group) :]
                name = group[0].label.partition(":")[0]
                tag = measure(Node("tag", name, tooltip=f"{group[0].label}, made far above"))
                tag.value, tag.origin = group[0].label, source
                self.tags.append(tag)
                self._way(self._vertex(first, tag.width, tag.height, tag), 0.0, group, Wire(group[0].label, tag))

    def _way(self, start: int, offset: float, edges: Sequence[Edge], wire: Wire) -> None:
        """Links from a vertex to all that read a value, through points that they share."""
        last = max(self.rank[self.number[e.target]] for e in edges)
        points = {self.rank[start]: (start, offset)}
        links = []
        for rank in range(self.rank[start] + 1, last):
            point = self._vertex(rank, 2.0, 0.0, None)
            links.append(self._link(*points[rank - 1], point, 0.0))
            points[rank] = (point, 0.0)
        for edge in edges:
            target = self.number[edge.target]
            box = self.boxes[edge.target]
            wire.targets.append(box)
            links.append(self._link(*points[self.rank[target] - 1], target, box.entry(edge.target_port)))
        self.wires.append((wire, links))

    def _vertex(self, rank: int, width: float, height: float, box: Box | None) -> int:
        self.rank.append(rank)
        self.widths.append(width)
        self.heights.append(height)
        self.box_of.append(box)
        return len(self.rank) - 1

    def _link(self, a: int, at: float, b: int, bt: float) -> int:
        self.links.append((a, b, at, bt))
        return len(self.links) - 1

    # -- places

    def draw(self) -> Drawn:
        layers: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for v in self._first_order():
            layers[self.rank[v]].append(v)
        layers = self._ordered(layers)
        xs = self._columns(layers)
        self._spread_entries(xs)
        tops, bottoms = self._rows(layers, xs)
        for v, box in enumerate(self.box_of):
            if box is not None:
                r = self.rank[v]
                box.x, box.y = xs[v], (tops[r] + bottoms[r] - box.height) / 2
        for wire, links in self.wires:
            self._trace(wire, links, xs, tops, bottoms)
        left = min((xs[v] - self.widths[v] / 2 for v in range(len(xs))), default=0.0)
        right = max((xs[v] + self.widths[v] / 2 for v in range(len(xs))), default=0.0)
        drawn = Drawn(
            self.graph, right - left, bottoms[-1] if bottoms else 0.0, self.boxes, self.tags, [w for w, _ in self.wires]
        )
        for box in (*self.boxes.values(), *self.tags):
            box.x -= left
        for wire in drawn.wires:
            wire.pieces = [((x - left, y), (z - left, w)) for (x, y), (z, w) in wire.pieces]
            wire.heads = [(x - left, y) for x, y in wire.heads]
        return drawn

    def _first_order(self) -> list[int]:
        """All vertices depth first, so that what belongs together stands together."""
        after: dict[int, list[int]] = defaultdict(list)
        for a, b, _, _ in self.links:
            after[a].append(b)
        seen: set[int] = set()
        order: list[int] = []
        for root in sorted(range(len(self.rank)), key=lambda v: self.rank[v]):
            stack = [root]
            while stack:
                v = stack.pop()
                if v not in seen:
                    seen.add(v)
                    order.append(v)
                    stack.extend(reversed(after[v]))
        return order

    def _ordered(self, layers: list[list[int]]) -> list[list[int]]:
        """The layers, their vertices ordered by barycenters: downwards and upwards, the fewest crossings win."""
        above: Neighbours = defaultdict(list)
        below: Neighbours = defaultdict(list)
        for a, b, at, bt in self.links:
            at, bt = at / self.widths[a], bt / self.widths[b]
            above[b].append((a, at, bt))
            below[a].append((b, bt, at))
        best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
        for sweep in range(SMALL_SWEEPS if len(self.rank) < SMALL else SWEEPS):
            down = sweep % 2 == 0
            for layer in layers if down else reversed(layers):
                _sort_by_barycenter(layer, layers, above if down else below, self.rank)
            crossings = _crossings(layers, below)
            if crossings <= fewest:
                best, fewest = [list(layer) for layer in layers], crossings
        return best

    def _columns(self, layers: Sequence[Sequence[int]]) -> list[float]:
        """The middle of each vertex: sweeps of least squares, rank by rank, straight ways first."""
        xs = [0.0] * len(self.rank)
        for layer in layers:
            x = 0.0
            for v in layer:
                xs[v] = x + self.widths[v] / 2
                x += self.widths[v] + APART
            for v in layer:
                xs[v] -= x / 2
        above: Neighbours = defaultdict(list)
        below: Neighbours = defaultdict(list)
        leaves = set(range(len(xs))) - {b for _, b, _, _ in self.links}
        for a, b, at, bt in self.links:
            weight = (8.0, 2.0, 1.0)[(self.box_of[a] is not None) + (self.box_of[b] is not None)]
            if a in leaves:
                weight *= LEAF
            elif self.spine.get(a) == b:
                weight *= SPINE
            above[b].append((a, at - bt, weight))
            below[a].append((b, bt - at, weight))
        rounds = 36
        for sweep in range(rounds):
            down = sweep % 2 == 0
            both = sweep >= rounds // 2
            for layer in layers if down else reversed(layers):
                wanted, weights = [], []
                for v in layer:
                    near = [*above[v], *below[v]] if both else above[v] if down else below[v]
                    weight = sum(w for _, _, w in near)
                    wanted.append(sum((xs[u] + d) * w for u, d, w in near) / weight if weight else xs[v])
                    weights.append(weight or 0.1)
                room = [(self.widths[a] + self.widths[b]) / 2 + APART for a, b in pairwise(layer)]
                for v, x in zip(layer, separate(wanted, weights, room)):
                    xs[v] = x
        return xs

    def _spread_entries(self, xs: Sequence[float]) -> None:
        """Let the edges into a plain box end side by side, in the order in which they come."""
        into: dict[int, list[int]] = defaultdict(list)
        for i, (_, b, _, _) in enumerate(self.links):
            box = self.box_of[b]
            if box is not None and not box.inside:
                into[b].append(i)
        for b, links in into.items():
            links.sort(key=lambda i: xs[self.links[i][0]] + self.links[i][2])
            step = min(18.0, (self.widths[b] - 16.0) / max(len(links), 1))
            for place, i in enumerate(links):
                a, _, at, _ = self.links[i]
                self.links[i] = (a, b, at, (place - (len(links) - 1) / 2) * step)

    def _rows(self, layers: Sequence[Sequence[int]], xs: Sequence[float]) -> tuple[list[float], list[float]]:
        """Top and bottom of each rank; edges that run far sideways get more room."""
        sideways = [0.0] * (len(layers) + 1)
        for a, b, at, bt in self.links:
            r = self.rank[b]
            sideways[r] = max(sideways[r], abs(xs[a] + at - xs[b] - bt))
        tops, bottoms = [], []
        y = 0.0
        for r, layer in enumerate(layers):
            if r:
                y += min(GAP + SLOPE * sideways[r], WIDEST_GAP)
            tops.append(y)
            y += max((self.heights[v] for v in layer), default=0.0)
            bottoms.append(y)
        return tops, bottoms

    def _trace(
        self, wire: Wire, links: Sequence[int], xs: Sequence[float], tops: list[float], bottoms: list[float]
    ) -> None:
        """The pieces of a way: a curve in each gap, and verticals through ranks, beside boxes lower than these."""
        passed: set[int] = set()
        for i in links:
            a, b, at, bt = self.links[i]
            source, target = self.box_of[a], self.box_of[b]
            start, end = (xs[a] + at, bottoms[self.rank[a]]), (xs[b] + bt, tops[self.rank[b]])
            if a not in passed:
                passed.add(a)
                upper = source.y + source.height if source else tops[self.rank[a]]
                if upper < start[1] - ROUNDING:
                    wire.pieces.append(((start[0], upper), start))
            wire.pieces.append((start, end))
            if target is not None:
                if target.y > end[1] + ROUNDING:
                    wire.pieces.append((end, (end[0], target.y)))
                wire.heads.append((end[0], target.y))


# ------------------------------------------------------------------ ranks, orders, distances


def _ranks(graph: Graph, pinned: bool) -> tuple[list[int], dict[int, int]]:
    """Longest paths from the inputs; what has more readers than operands then moves down to the first of them.

    Besides, the spines: for a node the reader with the longest way to go, if the node is the last of its operands.
    """
    number = {node: i for i, node in enumerate(graph.nodes)}
    above: list[set[int]] = [set() for _ in graph.nodes]
    below: list[set[int]] = [set() for _ in graph.nodes]
    for edge in graph.edges:
        a, b = number[edge.source], number[edge.target]
        above[b].add(a)
        below[a].add(b)
    order = _topological(above, below)
    rank, height = [0] * len(graph.nodes), [0] * len(graph.nodes)
    for v in order:
        rank[v] = max((rank[u] + 1 for u in above[v]), default=0)
    for v in reversed(order):
        height[v] = max((height[u] + 1 for u in below[v]), default=0)
    spine = {v: max(sorted(below[v]), key=height.__getitem__) for v in order if below[v]}
    longest = max((r + h for r, h in zip(rank, height)), default=0)
    spine = {
        v: u
        for v, u in spine.items()
        if v == max(sorted(above[u]), key=rank.__getitem__) and rank[v] + height[v] == longest
    }
    fixed = {number[n] for n in graph.inputs} if pinned else set()
    for v in reversed(order):
        if len(below[v]) > len(above[v]) and v not in fixed:
            rank[v] = min(rank[u] for u in below[v]) - 1
    if pinned and graph.outputs:
        inner = [rank[number[n]] for n in graph.nodes if n not in graph.outputs]
        for n in graph.outputs:
            rank[number[n]] = max(inner, default=-1) + 1
    return rank, spine


def _topological(above: Sequence[set[int]], below: Sequence[set[int]]) -> list[int]:
    left = [len(a) for a in above]
    ready = [v for v, n in enumerate(left) if n == 0]
    for v in ready:
        for u in sorted(below[v]):
            left[u] -= 1
            if left[u] == 0:
                ready.append(u)
    return ready


def _sort_by_barycenter(
    layer: list[int], layers: Sequence[Sequence[int]], near: Neighbours, rank: Sequence[int]
) -> None:
    """Order a layer by the mean place of neighbours; vertices without any keep their places."""
    place: dict[int, float] = {}
    for r in {rank[u] for v in layer for u, _, _ in near[v]}:
        place.update((u, i + 0.5) for i, u in enumerate(layers[r]))
    keys = {}
    for i, v in enumerate(layer):
        places = [place[u] + at for u, at, _ in near[v]]
        keys[v] = sum(places) / len(places) / len(layers[rank[near[v][0][0]]]) if places else (i + 0.5) / len(layer)
    layer.sort(key=keys.__getitem__)


def _crossings(layers: Sequence[Sequence[int]], below: Neighbours) -> int:
    """How many pairs of edges cross: inversions, counted with a Fenwick tree (Barth, Jünger and Mutzel 2002)."""
    total = 0
    for upper, lower in pairwise(layers):
        place = {v: i for i, v in enumerate(lower)}
        ends = [end for v in upper for _, end in sorted((start, place[u] + at) for u, at, start in below[v])]
        number = {end: i + 1 for i, end in enumerate(sorted(set(ends)))}
        tree = [0] * (len(number) + 1)
        for seen, end in enumerate(ends):
            i, before = number[end], 0
            while i:
                before += tree[i]
                i &= i - 1
            total += seen - before
            i = number[end]
            while i < len(tree):
                tree[i] += 1
                i += i & -i
    return total


def separate(wanted: Sequence[float], weights: Sequence[float], room: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, by weighted squares, with at least `room` from each to the next.

    Less the room before it each place must not fall: an isotonic regression, by pooling adjacent violators.

    >>> separate([0.0, 0.0], [1.0, 1.0], [2.0])
    [-1.0, 1.0]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, size
    shifts = [0.0]
    for r in room:
        shifts.append(shifts[-1] + r)
    for x, w, s in zip(wanted, weights, shifts):
        mean, weight, size = x - s, w, 1
        while blocks and blocks[-1][0] >= mean:
            m, v, n = blocks.pop()
            mean, weight, size = (m * v + mean * weight) / (v + weight), v + weight, size + n
        blocks.append((mean, weight, size))
    means = [m for m, _, n in blocks for _ in range(n)]
    return [m + s for m, s in zip(means, shifts)]
