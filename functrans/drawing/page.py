"""Drawings as a page of HTML that needs nothing else: pan, zoom, search, details, folded bodies that open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape
from importlib import resources

from functrans.drawing.graph import Graph, Node
from functrans.drawing.layout import layout
from functrans.drawing.svg import DARK, FAMILIES, LIGHT, SHAPES, Numbers, rules, svg


def page(graph: Graph, title: str, summary: str) -> str:
    """The text of the page."""
    numbers = Numbers()
    views = [_view("view", graph, title, numbers)]
    views += [
        _view(f"view-{numbers(node)}", Graph([replace(node, folded=False)]), node.title, numbers)
        for node in _folded(graph)
    ]
    parts = {
        "TITLE": escape(title),
        "SUMMARY": escape(summary),
        "STYLE": "\n".join((SHAPES, rules(LIGHT, ":root"), rules(DARK, ":root[data-theme=dark]"))),
        "LEGEND": "".join(_key(family, name) for family, name in FAMILIES.items()),
        "VIEWS": "\n".join(views),
    }
    text = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    first, *rest = text.split("@")  # the template has this sign nowhere else
    return first + "".join(parts.get(part, part) for part in rest)


def _view(name: str, graph: Graph, title: str, numbers: Numbers) -> str:
    return f'<template id="{name}">{svg(layout(graph), title, numbers)}</template>'


def _folded(graph: Graph) -> Iterator[Node]:
    """All nodes whose bodies are not drawn, those within them too."""
    for node in graph.nodes:
        if node.bodies and node.folded:
            yield node
        for body in node.bodies:
            yield from _folded(body)


def _key(family: str, name: str) -> str:
    return (
        f'<span><svg class="ft-drawing"><g class="ft-node ft-{family}">'
        f'<rect x="1" y="1" width="14" height="10" rx="3"/></g></svg>{name}</span>'
    )
