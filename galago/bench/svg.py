"""The few marks that pictures of results are drawn with: SVG text, bars and lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["WIDTH", "bar", "document", "foot", "legend", "line_chart", "text"]

WIDTH = 760
_STYLE = """.title { font-size: 14px; font-weight: 600 }
.label { font-size: 12px; text-anchor: end }
.value, .note { font-size: 11px; fill: #52606d } .tick { font-size: 10px; fill: #52606d; \
text-anchor: middle }"""

# Ink that is told apart on white and on dark paper.
_BOTH = """text { fill: #1f2933 } .paper { fill: #ffffff } .axis { stroke: #9aa5b1; fill: none }
.grid { stroke: #e4e7eb } .small { font-size: 10px } .ring { stroke: #ffffff }
@media (prefers-color-scheme: dark) { text { fill: #e4e7eb } .paper { fill: #14181d }
.value, .note, .tick { fill: #aab4bf } .grid { stroke: #2c343d } .ring { stroke: #14181d } }"""


def document(title: str, height: float, parts: Sequence[str], *, dark: bool = False) -> str:
    """A whole picture of the usual width; `dark`: it turns dark where the reader's page is."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img" font-family="system-ui, sans-serif">'
    )
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    style = _STYLE
    if dark:
        background = '<rect width="100%" height="100%" class="paper"/>'
        style = f"{_STYLE}\n{_BOTH}"
    about = f"<title>{escape(title)}</title>\n<style>{style}</style>"
    return "\n".join([head, about, background, *parts, "</svg>\n"])


def text(x: float, y: float, words: str, kind: str) -> str:
    """Words at a place; `kind` is title, label (ends there), value, note or tick (centred)."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{max(1.0, width):.1f}" height="{height:g}" '
        f'fill="{colour}"/>'
    )


def foot(machine: Mapping[str, Any]) -> str:
    """The line below a picture: where it was measured, and on what."""
    return f"{machine['cpu']}, {machine['threads']} threads, random weights of the published shapes"


def legend(colours: Mapping[str, str]) -> list[str]:
    """What the colours mean, in a line on top."""
    parts: list[str] = []
    for index, (name, colour) in enumerate(colours.items()):
        x = 20 + 150 * index
        parts += [bar(x, 16, 12, 12, colour), text(x + 18, 26, name, "value")]
    return parts


def line_chart(
    title: str,
    points: Sequence[tuple[float, float]],
    place: tuple[float, float, float, float],
    colour: str,
) -> list[str]:
    """Points joined by a line, both axes from zero, in a box (x, y, width, height)."""
    x, y, width, height = place
    right = max(a for a, _ in points)
    top = _ceiling(max(b for _, b in points))
    spots = [(x + width * a / right, y + height * (1 - b / top)) for a, b in points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
    parts = [
        text(x, y - 10, title, "value"),
        f'<path d="M{x} {y}V{y + height}H{x + width}" fill="none" stroke="#9aa5b1"/>',
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in spots),
        text(x - 4, y + 8, f"{top:g}", "label"),
    ]
    last = -math.inf
    for (a, _), (at, _) in zip(points, spots, strict=True):
        if at - last > 26:  # ticks that would touch are left out
            parts.append(text(at, y + height + 14, f"{a:g}", "tick"))
            last = at
    return parts


def _ceiling(value: float) -> float:
    """The next round number."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * unit >= value)
