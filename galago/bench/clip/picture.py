"""The picture that a run draws: bars in SVG, longer is faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galago.bench.clip.page import Rows, best, number, row_of
from galago.bench.clip.rows import BATCH, EMBEDDED, SMALLEST
from galago.bench.svg import WIDTH, bar, document, legend, text

COLOURS = {"open_clip, torch": "#9aa5b1", "ONNX Runtime": "#5b7083", "galago": "#e07a1f"}
_LEFT, _BAR, _GAP, _ROOM = 150, 15, 12, 110
_TITLE = "MobileCLIP2 on a CPU: galago beside open_clip in torch and ONNX Runtime"
Bar = tuple[str, float, str]  # whose, how long (of the panel's own unit), what stands behind it
Cluster = tuple[str, list[Bar]]


def picture(report: Mapping[str, Any]) -> str:
    """SVG of towers beside their peers, of indexing, and of search latencies."""
    rows, sizes = report["rows"], report["sizes"]
    panels = (
        ("Pictures a second, image tower (bars: relative to torch)", _tower_bars(rows)),
        (f"Photos indexed a second, {SMALLEST}", _index_bars(rows, sizes)),
        ("An album searched, milliseconds (shorter is faster)", _search_bars(rows, sizes)),
    )
    parts: list[str] = []
    y = 62
    for title, clusters in panels:
        if clusters:
            drawn, y = _panel(title, clusters, y)
            parts += drawn
    cold = row_of(rows, f"search/cold/{EMBEDDED}/") or row_of(rows, f"search/cold/{SMALLEST}/")
    if cold is not None:
        line = f"galago search, {sizes['cold']:,} photos, process start to end: "
        parts.append(text(20, y - 6, f"{line}{cold['seconds']:.2f} s", "value"))
        y += 18
    machine = report["machine"]
    foot = f"{machine['cpu']}, {machine['threads']} threads, random weights of the published shapes"
    parts.append(text(20, y + 4, foot, "note"))
    return document(_TITLE, y + 20, [*legend(COLOURS), *parts])


def _tower_bars(rows: Rows) -> list[Cluster]:
    clusters: list[Cluster] = []
    for variant in BATCH:
        engines = zip(COLOURS, ("torch", "onnxruntime", "galago"), strict=True)
        rates = {name: best(rows, variant, e, "images_per_second") for name, e in engines}
        base = rates["open_clip, torch"] or max((r for r in rates.values() if r), default=None)
        if base:
            bars = [(n, r / base, f"{number(r)}  ({r / base:.1f}×)") for n, r in rates.items() if r]
            clusters.append((variant, bars))
    return clusters


def _index_bars(rows: Rows, sizes: Mapping[str, Any]) -> list[Cluster]:
    clusters: list[Cluster] = []
    for kind, pixels, key in (("large", "12 megapixels", "photos"), ("small", "640×480", "small")):
        bars: list[Bar] = []
        for name, engine in (("open_clip, torch", "loop"), ("galago", "galago")):
            row = rows.get(f"index/{kind}/{sizes[key]}/{engine}")
            if row is not None:
                rate = row["pictures_per_second"]
                bars.append((name, rate, f"{number(rate)}, {row['peak_memory'] / 1e6:.0f} MB"))
        if bars:
            clusters.append((f"{sizes[key]:,} of {pixels}", bars))
    return clusters


def _search_bars(rows: Rows, sizes: Mapping[str, Any]) -> list[Cluster]:
    clusters: list[Cluster] = []
    for count in sizes["vectors"]:
        row = rows.get(f"search/warm/{SMALLEST}/{count}")
        if row is not None:
            shown = f"{number(row['vector_ms'])} ms"
            clusters.append((f"{count:,} photos", [("galago", row["vector_ms"], shown)]))
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
