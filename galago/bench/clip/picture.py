"""What is drawn of MobileCLIP and of albums: bars beside those of their peers."""

from __future__ import annotations

from galago.bench.clip.page import best, drawn, indexed, published, searched
from galago.bench.clip.rows import EMBEDDED, SMALLEST
from galago.bench.markdown import Report, Rows, measured, middle, number
from galago.bench.svg import WIDTH, bar, document, foot, legend, text

__all__ = ["picture"]

COLOURS = {"open_clip, torch": "#9aa5b1", "ONNX Runtime": "#5b7083", "galago": "#e07a1f"}
_LEFT, _BAR, _GAP, _ROOM = 150, 15, 12, 110
_TITLE = "MobileCLIP2 on a CPU: galago beside open_clip in torch and ONNX Runtime"
Bar = tuple[str, float, str]  # whose, how long (of the panel's own unit), what stands behind it
Cluster = tuple[str, list[Bar]]


def picture(report: Report) -> str:
    """SVG of towers beside their peers, of indexing, and of search latencies; "" without rows."""
    rows = measured(report)
    if not drawn(rows):
        return ""
    panels = (
        ("Pictures a second, image tower (bars: relative to torch)", _tower_bars(rows)),
        (f"Photos indexed a second, {SMALLEST}", _index_bars(rows)),
        ("An album searched, milliseconds (shorter is faster)", _search_bars(rows)),
    )
    parts: list[str] = []
    y = 62
    for title, clusters in panels:
        if clusters:
            lines, y = _panel(title, clusters, y)
            parts += lines
    cold = {model: (count, row) for model, count, row in searched(rows, "cold")}
    if cold:
        count, row = cold[EMBEDDED if EMBEDDED in cold else SMALLEST]
        line = f"galago search, {count:,} photos, process start to end: "
        parts.append(text(20, y - 6, f"{line}{middle(row, 'seconds'):.2f} s", "value"))
        y += 18
    parts.append(text(20, y + 4, foot(report["machine"]), "note"))
    return document(_TITLE, y + 20, [*legend(COLOURS), *parts])


def _tower_bars(rows: Rows) -> list[Cluster]:
    clusters: list[Cluster] = []
    for model in published(rows):
        engines = zip(COLOURS, ("torch", "onnxruntime", "galago"), strict=True)
        rates = {name: best(rows, model, e, "images_per_second") for name, e in engines}
        base = rates["open_clip, torch"] or max((r for r in rates.values() if r), default=None)
        if base:
            bars = [(n, r / base, f"{number(r)}  ({r / base:.1f}×)") for n, r in rates.items() if r]
            clusters.append((model, bars))
    return clusters


def _index_bars(rows: Rows) -> list[Cluster]:
    clusters: list[Cluster] = []
    for kind, pixels in (("large", "12 megapixels"), ("small", "640×480")):
        bars: list[Bar] = []
        count, loop, ours = indexed(rows, kind)
        for name, row in (("open_clip, torch", loop), ("galago", ours)):
            rate = middle(row, "pictures_per_second")
            if row is not None and rate is not None:
                bars.append((name, rate, f"{number(rate)}, {row['peak_bytes'] / 1e6:.0f} MB"))
        if bars:
            clusters.append((f"{count:,} of {pixels}", bars))
    return clusters


def _search_bars(rows: Rows) -> list[Cluster]:
    clusters: list[Cluster] = []
    for _, count, row in searched(rows, "warm"):
        took = middle(row, "vector_ms")
        if took is not None:
            clusters.append((f"{count:,} photos", [("galago", took, f"{number(took)} ms")]))
    return clusters


def _panel(title: str, clusters: list[Cluster], y: int) -> tuple[list[str], int]:
    """The drawn lines, and where the next panel starts."""
    longest = max(length for _, bars in clusters for _, length, _ in bars)
    scale = (WIDTH - _LEFT - _ROOM - 60) / longest
    parts = [text(20, y, title, "title")]
    y += 14
    for label, bars in clusters:
        middle = y + len(bars) * _BAR / 2 + 4
        parts.append(text(_LEFT - 8, middle, label, "label"))
        for name, length, behind in bars:
            wide = max(1.0, length * scale)
            parts.append(bar(_LEFT, y, wide, _BAR - 3, COLOURS[name]))
            parts.append(text(_LEFT + wide + 6, y + _BAR - 5, behind, "value"))
            y += _BAR
        y += _GAP
    return parts, y + 18
