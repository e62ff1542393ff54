"""Points in a field of two axes, as SVG: series joined by lines, labels that don't touch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from galago.bench.svg import bar, text

__all__ = ["Axis", "Series", "Spot", "chart", "key"]

_LINE = 12  # between labels, px
_LETTER = 5.6  # about the width of one, px
_DECADE = (1, 2, 5)


@dataclass(frozen=True)
class Spot:
    """A point; `label` stands beside it."""

    x: float
    y: float
    label: str = ""


@dataclass(frozen=True)
class Series:
    """Points of one colour; `joined` by a line from left to right."""

    name: str
    colour: str
    spots: Sequence[Spot] = field(default_factory=list)
    joined: bool = False


@dataclass(frozen=True)
class Axis:
    """What is along a side; `log`: a factor is a distance."""

    title: str
    log: bool = False

    def ends(self, values: Sequence[float]) -> tuple[float, float]:
        """A little more than the values take."""
        low, high = min(values), max(values)
        if self.log:
            return low / 1.3, high * 1.3
        room = (high - low or abs(high) or 1.0) * 0.08
        return low - room, high + room

    def place(self, value: float, ends: tuple[float, float]) -> float:
        """0 to 1 along the axis."""
        low, high = ends
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)

    def ticks(self, ends: tuple[float, float]) -> list[float]:
        """Round numbers between the ends."""
        low, high = ends
        if self.log:
            tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            return [n * 10.0**p for p in tens for n in _DECADE if low <= n * 10.0**p <= high]
        step = 10.0 ** math.floor(math.log10((high - low) / 3))
        step = next(n * step for n in (1, 2, 5, 10) if (high - low) / (n * step) <= 6)
        first = math.ceil(low / step)
        return [n * step for n in range(first, math.floor(high / step) + 1)]


Place = tuple[float, float, float, float]  # x, y, width, height of the field


def chart(series: Sequence[Series], across: Axis, up: Axis, place: Place) -> list[str]:
    """The lines of a chart; nothing without a point."""
    spots = [spot for one in series for spot in one.spots]
    if not spots:
        return []
    left, top, width, height = place
    wide, high = across.ends([s.x for s in spots]), up.ends([s.y for s in spots])

    def at(spot: Spot) -> tuple[float, float]:
        return (
            left + width * across.place(spot.x, wide),
            top + height * (1 - up.place(spot.y, high)),
        )

    parts = [f'<path d="M{left} {top}V{top + height}H{left + width}" class="axis"/>']
    for value in up.ticks(high):
        y = top + height * (1 - up.place(value, high))
        parts.append(f'<path d="M{left} {y:.1f}h{width}" class="grid"/>')
        parts.append(text(left - 6, y + 4, f"{value:g}", "label"))
    for value in across.ticks(wide):
        x = left + width * across.place(value, wide)
        parts.append(text(x, top + height + 14, f"{value:g}", "tick"))
    parts.append(text(left, top - 8, up.title, "value"))
    parts.append(text(left, top + height + 32, across.title, "value"))
    for one in series:
        places = [at(spot) for spot in sorted(one.spots, key=lambda s: s.x)]
        if one.joined and len(places) > 1:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            line = f'<polyline points="{path}" fill="none" stroke="{one.colour}" stroke-width="2"/>'
            parts.append(line)
        for x, y in places:
            dot = f'cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{one.colour}"'
            parts.append(f'<circle {dot} class="ring"/>')
    return [*parts, *_labels([(*at(spot), spot.label) for spot in spots], left + width)]


def _labels(spots: Sequence[tuple[float, float, str]], right: float) -> Iterator[str]:
    """Beside its point each, moved until it covers nothing; at the edge on the left."""
    taken = [(x - 6, x + 6, y + 4) for x, y, _ in spots]
    for x, y, words in sorted(spot for spot in spots if spot[2]):
        wide = len(words) * _LETTER
        start = x + 8 if x + 8 + wide <= right + 40 else x - 8 - wide
        free = y + 4
        for step in (0, -1, 1, -2, 2, -3, 3, -4, 4):
            free = y + 4 + step * _LINE
            if all(
                abs(free - other) >= _LINE - 1 or start > end or start + wide < begin
                for begin, end, other in taken
            ):
                break
        taken.append((start, start + wide, free))
        yield f'<text x="{start:.1f}" y="{free:.1f}" class="small">{escape(words)}</text>'


def key(series: Sequence[Series], y: float) -> list[str]:
    """What the colours mean, in a line."""
    parts, x = [], 20.0
    for one in series:
        parts += [bar(x, y, 12, 12, one.colour), text(x + 18, y + 10, one.name, "value")]
        x += 40 + len(one.name) * _LETTER * 1.1
    return parts
