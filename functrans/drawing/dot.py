"""Drawings as text for Graphviz: bodies are clusters, edges run to the inputs and from the results within them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from functrans.drawing.graph import Graph, Node, Port
from functrans.drawing.svg import LIGHT


def dot(graph: Graph, title: str) -> str:
    """The text of a graph in the DOT language."""
    lines = [
        f"digraph {_quoted(title)} {{",
        "  compound=true",
        '  node [shape=box style="rounded,filled" fontname="monospace" fontsize=11]',
        "  edge [color=gray50 arrowsize=0.7]",
        *_body(graph, "  ", {}, count()),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _body(graph: Graph, indent: str, names: dict[Node, str], fresh: Iterator[int]) -> Iterator[str]:
    for node in graph.nodes:
        names[node] = f"n{next(fresh)}"
        if not node.bodies or node.folded:
            fill, border = LIGHT.families[node.kind.split()[0]]
            text = _quoted("\n".join((f"{node.title} {node.operands}".strip(), *node.lines)))
            tooltip = _quoted(node.tooltip)
            yield f'{indent}{names[node]} [label={text} tooltip={tooltip} fillcolor="{fill}" color="{border}"]'
            continue
        yield from _cluster(f"{names[node]}", f"{node.title} {node.operands}".strip(), node.kind, indent)
        for i, body in enumerate(node.bodies):
            within = indent + "  "
            if len(node.bodies) > 1:
                yield from _cluster(f"{names[node]}_{i}", body.caption, node.kind, within)
                yield from _body(body, within + "  ", names, fresh)
                yield f"{within}}}"
            else:
                yield from _body(body, within, names, fresh)
        yield f"{indent}}}"
    for edge in graph.edges:
        source, tail = _end(edge.source, edge.source_port, names, incoming=False)
        target, head = _end(edge.target, edge.target_port, names, incoming=True)
        options = [f"ltail=cluster_{tail}"] * bool(tail) + [f"lhead=cluster_{head}"] * bool(head)
        options.append(f"tooltip={_quoted(edge.label)}")
        yield f"{indent}{source} -> {target} [{' '.join(options)}]"


def _cluster(name: str, label: str, kind: str, indent: str) -> Iterator[str]:
    fill, border = LIGHT.families[kind.split()[0]]
    yield f"{indent}subgraph cluster_{name} {{"
    yield f'{indent}  label={_quoted(label)} style="rounded,filled" fillcolor="{fill}" color="{border}"'
    yield f'{indent}  fontname="monospace"'


def _end(node: Node, port: Port, names: dict[Node, str], incoming: bool) -> tuple[str, str]:
    """The Graphviz node at an end of an edge, and the cluster at whose border the edge ends if it has no port."""
    if not node.bodies or node.folded:
        return names[node], ""
    body = node.bodies[min(port.body, len(node.bodies) - 1)]
    ends = body.inputs if incoming else body.outputs
    if 0 <= port.number < len(ends):
        end = ends[port.number]
        return _end(end, Port(0, 0), names, incoming)
    return names[body.nodes[0]], names[node]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
