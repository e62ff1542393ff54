"""What is drawn of FastVLM: the first token beside its peers, and the curves."""

from __future__ import annotations

from galago.bench.fit import medians
from galago.bench.markdown import Report, middle, number
from galago.bench.svg import WIDTH, bar, document, foot, legend, line_chart, text
from galago.bench.vlm.page import first_rows

__all__ = ["curves", "first_token"]

VISION, PREFILL = "#5b7083", "#e07a1f"
_LEFT, _BAR, _STEP = 190, 15, 24
_TITLES = {
    "resolution": "looking, s by pixels a side",
    "prompt": "prefill, s by tokens of text",
    "answer": "answer, s by tokens",
    "requests": "all replies, s by requests at once",
    "threads": "first token, s by threads",
    "describe": "galago describe, s by pictures",
}


def first_token(report: Report) -> str:
    """SVG bars of vision and prefill, shorter is faster; "" without such rows.

    Bars longer than the picture are cut, and say so by their number.
    """
    found = [(f"{whose} {p}", row) for whose, p, row in first_rows(report["rows"])]
    if not found:
        return ""
    ours = [middle(r, "first_token") or 0.0 for label, r in found if "llava" not in label]
    room = WIDTH - _LEFT - 130
    scale = room / (1.6 * max(ours, default=1.0) or 1.0)
    parts, y = legend({"vision and projector": VISION, "prefill": PREFILL}), 54.0
    parts.append(text(20, y, "Seconds to the first token, FastVLM-0.5B's shape, 1024 px", "title"))
    y += 16
    for label, row in found:
        vision, prefill = (middle(row, part) or 0.0 for part in ("vision", "prefill"))
        seen = min(vision * scale, room)
        rest = min(prefill * scale, max(0.0, room - seen))
        parts.append(text(_LEFT - 8, y + 12, label, "label"))
        parts.append(bar(_LEFT, y, seen, _BAR, VISION))
        if rest:
            parts.append(bar(_LEFT + seen, y, rest, _BAR, PREFILL))
        cut = " (longer than the picture)" * ((vision + prefill) * scale > room)
        behind = f"{number(middle(row, 'first_token'))} s{cut}"
        parts.append(text(min(_LEFT + seen + rest + 6, WIDTH - 150), y + 12, behind, "value"))
        y += _STEP
    parts.append(text(20, y + 12, foot(report["machine"]), "note"))
    return document("galago beside its peers: seconds to the first token", y + 28, parts)


def curves(report: Report) -> str:
    """SVG of every curve, two in a line; "" without curves."""
    found = []
    for name, row in report["rows"].items():
        if name.startswith("curve/") and "points" in row:
            _, along, model = name.split("/")
            points = medians(row["points"])
            if len(points) > 1:
                found.append((f"{model}: {_TITLES[along]}", points))
    if not found:
        return ""
    parts: list[str] = []
    wide, high = (WIDTH - 140) / 2, 130
    for index, (title, points) in enumerate(found):
        place = (56 + (index % 2) * (wide + 56), 40 + (index // 2) * (high + 66), wide, high)
        parts += line_chart(title, points, place, PREFILL)
    height = 40 + (len(found) + 1) // 2 * (high + 66)
    parts.append(text(20, height, foot(report["machine"]), "note"))
    return document("galago: how its costs grow", height + 16, parts)
