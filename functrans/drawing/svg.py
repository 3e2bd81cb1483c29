"""Drawings as SVG text: rounded boxes in the colours of their families, curved wires, tooltips."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from functrans.drawing.graph import Node
from functrans.drawing.layout import LINE, PADDING, TITLE, Box, Drawn, Wire

MARGIN = 24.0
FONT = "'DejaVu Sans Mono',Menlo,Consolas,ui-monospace,monospace"


class Colours(NamedTuple):
    """Of a theme: fill and border of each family, and of what all share."""

    families: dict[str, tuple[str, str]]
    page: str
    text: str
    faint: str
    wire: str


LIGHT = Colours(
    {
        "input": ("#e3f4e8", "#3f9a5f"), "const": ("#eef3e2", "#8a9a3f"), "output": ("#fde7e4", "#cf5b4a"),
        "math": ("#e7f0fc", "#5a8fd6"), "product": ("#fff0d9", "#d9932b"), "reduction": ("#efe7fb", "#8b63cf"),
        "move": ("#f1f3f5", "#98a2ae"), "other": ("#fbe6f1", "#c75a94"), "tag": ("#ffffff", "#98a2ae"),
        "loop": ("#f3fafa", "#2f9c9c"), "branch": ("#fdf8ec", "#b98a1d"), "call": ("#f7f8fa", "#8794a5"),
        "kernel": ("#fff8ef", "#e07a1f"), "repeat": ("#f4f3fc", "#6d6fc9"),
    },
    "#ffffff", "#1d2530", "#5b6675", "#8592a3",
)  # fmt: skip
DARK = Colours(
    {
        "input": ("#17321f", "#5cc281"), "const": ("#2a3016", "#b3c45a"), "output": ("#3b1d19", "#ef8374"),
        "math": ("#172a44", "#6fa8f0"), "product": ("#3b2a10", "#efae4c"), "reduction": ("#2a1f42", "#b08cf0"),
        "move": ("#262c34", "#8b96a5"), "other": ("#3a1a2b", "#ea82b8"), "tag": ("#14181e", "#8b96a5"),
        "loop": ("#10252a", "#48bcbc"), "branch": ("#2a2412", "#d9ab40"), "call": ("#1c2129", "#7d8a9b"),
        "kernel": ("#2b2013", "#f59440"), "repeat": ("#1e1f38", "#9395ec"),
    },
    "#14181e", "#e6ebf2", "#9aa6b5", "#77859a",
)  # fmt: skip

#: What the families are, for the legend.
FAMILIES = {
    "input": "argument", "const": "captured array", "output": "result", "math": "elementwise", "product": "contraction",
    "reduction": "reduction", "move": "moves elements", "other": "other", "loop": "loop", "branch": "branch",
    "call": "call", "kernel": "kernel", "repeat": "repeated", "tag": "value from far above",
}  # fmt: skip

_ROUND = {"input": 13.0, "const": 13.0, "output": 13.0, "tag": 9.0}


def rules(colours: Colours, scope: str = "") -> str:
    """The style sheet of a theme, for elements within `scope`."""
    lines = [
        f"{scope} .ft-page{{fill:{colours.page}}}",
        f"{scope} .ft-title{{fill:{colours.text}}}",
        f"{scope} .ft-line{{fill:{colours.faint}}}",
        f"{scope} .ft-wire path{{stroke:{colours.wire}}}",
        f"{scope} .ft-wire polygon{{fill:{colours.wire}}}",
    ]
    for family, (fill, border) in colours.families.items():
        lines.append(f"{scope} .ft-{family}>rect{{fill:{fill};stroke:{border}}}")
    lines.append(f"{scope} .ft-fused>rect{{stroke:{colours.families['kernel'][1]}}}")
    return "\n".join(line.strip() for line in lines)


#: What does not depend on the theme.
SHAPES = f"""
.ft-drawing{{font-family:{FONT}}}
.ft-title{{font-size:13px;font-weight:600}}
.ft-line{{font-size:11px;font-weight:400}}
.ft-node>rect{{stroke-width:1.2}}
.ft-kernel>rect,.ft-fused>rect{{stroke-width:2}}
.ft-tag>rect,.ft-repeat>rect{{stroke-dasharray:4 3}}
.ft-wire path{{fill:none;stroke-width:1.3}}
""".strip()


class Numbers:
    """Numbers for nodes, in the order of the drawing."""

    def __init__(self) -> None:
        self.of: dict[Node, int] = {}

    def __call__(self, node: Node) -> int:
        return self.of.setdefault(node, len(self.of))


def svg(drawn: Drawn, title: str, numbers: Numbers | None = None) -> str:
    """The text of an SVG image with its own style sheets, for light and dark; a page has these, and gives `numbers`."""
    width, height = drawn.width + 2 * MARGIN, drawn.height + 2 * MARGIN
    style = f"<style>{SHAPES}\n{rules(LIGHT)}\n@media(prefers-color-scheme:dark){{{rules(DARK)}}}</style>"
    style = style if numbers is None else ""
    body = "\n".join(_graph(drawn, MARGIN, MARGIN, numbers or Numbers()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ft-drawing" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(title)}">{style}'
        f'<rect class="ft-page" width="{width:.0f}" height="{height:.0f}" rx="8"/>\n{body}\n</svg>'
    )


def _graph(drawn: Drawn, x: float, y: float, numbers: Numbers) -> Iterator[str]:
    yield f'<g transform="translate({x:.1f} {y:.1f})">'
    for wire in drawn.wires:
        yield _wire(wire, numbers)
    for box in (*drawn.boxes.values(), *drawn.tags):
        yield from _box(box, numbers)
    yield "</g>"


def _wire(wire: Wire, numbers: Numbers) -> str:
    path = []
    for (x0, y0), (x1, y1) in wire.pieces:
        path.append(f"M{x0:.1f} {y0:.1f}")
        if abs(x0 - x1) < 0.05:
            path.append(f"V{y1:.1f}")
        else:
            bend = (y1 - y0) * 0.5
            path.append(f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}")
    heads = "".join(
        f'<polygon points="{x:.1f},{y:.1f} {x - 3.5:.1f},{y - 7:.1f} {x + 3.5:.1f},{y - 7:.1f}"/>'
        for x, y in wire.heads
    )
    ends = " ".join(str(numbers(b.node)) for b in (wire.source, *wire.targets))
    return (
        f'<g class="ft-wire" data-ends="{ends}"><title>{escape(wire.label)}</title>'
        f'<path d="{"".join(path)}"/>{heads}</g>'
    )


def _box(box: Box, numbers: Numbers) -> Iterator[str]:
    node = box.node
    left = box.x - box.width / 2
    classes = " ".join(f"ft-{k}" for k in ("node", *node.kind.split()))
    origin = f' data-origin="{numbers(box.origin)}"' if box.origin is not None else ""
    yield f'<g class="{classes}" data-n="{numbers(node)}"{origin} transform="translate({left:.1f} {box.y:.1f})">'
    yield f"<title>{escape(node.tooltip)}</title>"
    radius = _ROUND.get(node.kind, 7.0)
    yield f'<rect width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.0f}"/>'
    middle = box.width / 2
    y = PADDING / 2 + TITLE[1] - 5
    if node.operands:  # the title ends where they begin, whatever the font's width
        title, operands = len(node.title) * TITLE[0], (len(node.operands) + 1) * LINE[0]
        border = middle + (title - operands) / 2
        yield f'<text class="ft-title" x="{border:.1f}" y="{y:.1f}" text-anchor="end">{escape(node.title)}</text>'
        yield f'<text class="ft-line" x="{border + LINE[0]:.1f}" y="{y:.1f}">{escape(node.operands)}</text>'
    else:
        yield f'<text class="ft-title" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(node.title)}</text>'
    for line in node.lines:
        y += LINE[1]
        yield f'<text class="ft-line" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(line)}</text>'
    for x, top, drawn in box.inside:
        if drawn.graph.caption:
            at = x + drawn.width / 2
            caption = escape(drawn.graph.caption)
            yield f'<text class="ft-line" x="{at:.1f}" y="{top - 5:.1f}" text-anchor="middle">{caption}</text>'
        yield from _graph(drawn, x, top, numbers)
    yield "</g>"
