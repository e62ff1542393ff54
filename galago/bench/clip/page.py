"""The page that a run writes: tables from the rows that were measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from galago.bench.clip.rows import BATCH, EMBEDDED, SMALLEST, TEXTS

Rows = Mapping[str, Mapping[str, Any]]
MISSING = "–"
_COLUMNS = ("torch/fp32", "torch/bf16", "onnxruntime/fp32", "galago/fp32", "galago/bf16",
            "galago/int8")  # fmt: skip


def page(report: Mapping[str, Any], drawing: str = "benchmark-clip.svg") -> str:
    """Markdown; what was not measured is a dash."""
    rows, sizes = report["rows"], report["sizes"]
    machine = ", ".join(f"{key} {value}" for key, value in report["machine"].items())
    parts = [
        "# MobileCLIP2 on a CPU",
        prose(
            f"""Random weights of the published shapes (speed does not depend on their values) and
            generated photos. Median of {report["rounds"]} rounds in one run of `make bench-clip`,
            one fewer for S3, S4, L-14 and the small photos; every row is a process of its own, on
            {_threads(sizes)}."""
        ),
        f"![Beside open_clip in torch and ONNX Runtime]({drawing})",
        prose(f"Machine: {machine}."),
        _towers(rows, "images_per_second", "Pictures a second"),
        prose(
            f"""From pixel values to unit vectors, {_batches()} at once. torch is open_clip's own
            model, eager, its branches fused by timm as the model cards say, channels-last where
            that is faster{_unfused(rows)}. ONNX Runtime runs the same fused model as torch exports
            it. The ratios are those of the faster of galago's fp32 and bf16 to the faster of
            torch's two, and to ONNX Runtime. int8 keeps its matrices in 8 bits, not its
            convolutions, and computes in bf16."""
        ),
        _towers(rows, "texts_per_second", "Texts a second"),
        prose(
            f"""From strings to unit vectors, {TEXTS} short queries at once. With the causal text
            tower of B galago stops at the end of the longest text; the others read all 77
            places."""
        ),
        *(_indexing(rows, sizes) if row_of(rows, "index/") else ()),
        *(_searching(rows, sizes) if row_of(rows, "search/") else ()),
    ]
    return "\n\n".join(parts) + "\n"


def prose(text: str) -> str:
    """A paragraph in lines of 100."""
    return textwrap.fill(
        " ".join(text.split()), 100, break_long_words=False, break_on_hyphens=False
    )


def best(rows: Rows, variant: str, engine: str, key: str) -> float | None:
    """The faster of an engine's fp32 and bf16."""
    found = [rows.get(f"towers/{variant}/{engine}/{p}", {}).get(key) for p in ("fp32", "bf16")]
    return max((rate for rate in found if rate is not None), default=None)


def row_of(rows: Rows, start: str, end: str = "") -> Mapping[str, Any] | None:
    """The row whose name begins and ends so; counts stand between."""
    names = [name for name in rows if name.startswith(start) and name.endswith(end)]
    return rows[names[0]] if names else None


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio(of: float | None, to: float | None) -> str:
    return f"{of / to:.1f}×" if of and to else MISSING


def _towers(rows: Rows, key: str, title: str) -> str:
    lines = [
        f"## {title}\n",
        "| variant | torch fp32 | torch bf16 | ONNX Runtime fp32 | galago fp32 | galago bf16 "
        "| galago int8 | to torch | to ONNX Runtime |",
        "|---|" + "---:|" * 8,
    ]
    for variant in BATCH:
        cells = [number(rows.get(f"towers/{variant}/{c}", {}).get(key)) for c in _COLUMNS]
        ours = best(rows, variant, "galago", key)
        for peer in ("torch", "onnxruntime"):
            cells.append(ratio(ours, best(rows, variant, peer, key)))
        lines.append(f"| {' | '.join([variant, *cells])} |")
    return "\n".join(lines)


def _threads(sizes: Mapping[str, Any]) -> str:
    if sizes.get("clock") != "cpu":
        return f"{sizes['threads']} threads"
    return """one thread, and towers are timed by the processor's time for it, since other programs
        were using the machine: so a second here is one of a core"""


def _batches() -> str:
    counts: dict[int, list[str]] = {}
    for variant, count in BATCH.items():
        counts.setdefault(count, []).append(variant.removeprefix("MobileCLIP2-"))
    return ", ".join(f"{count} ({', '.join(names)})" for count, names in counts.items())


def _unfused(rows: Rows) -> str:
    row = rows.get(f"towers/{SMALLEST}/torch/fp32-unfused")
    if row is None:
        return ""
    rate = number(row["images_per_second"])
    return f" (left as it loads, not fused, {SMALLEST} does {rate} in fp32)"


def _indexing(rows: Rows, sizes: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Indexing\n",
        "| photos | by | pictures a second | seconds for all | peak memory MB | to the loop |",
        "|---|---|---:|---:|---:|---:|",
    ]
    notes = []
    for kind, pixels in (("large", "4000×3000"), ("small", "640×480")):
        count = sizes["photos" if kind == "large" else "small"]
        loop, ours = (rows.get(f"index/{kind}/{count}/{e}") for e in ("loop", "galago"))
        for name, row in (("open_clip and PIL", loop), ("galago", ours)):
            if row is None:
                continue
            rate, whole = row["pictures_per_second"], row["photos"] == count
            seconds = number(row["seconds"]) if whole else MISSING
            faster = ratio(rate, loop["pictures_per_second"]) if loop and row is ours else ""
            lines.append(
                f"| {count:,} of {pixels} | {name}, {row['precision']} | {number(rate)} "
                f"| {seconds} | {row['peak_memory'] / 1e6:.0f} | {faster} |"
            )
        if ours:
            notes.append(
                f"""{count:,} {kind} ones: {number(ours["steady_per_second"])} a second once the new
                album is calibrated ({ours["calibrating"]:.1f} s) and the first batch is through;
                run again, {ours["again"]:.2f} s to find that nothing has changed."""
            )
    about = f"""{SMALLEST}'s shape. galago's row is `galago.album.index` as a whole: loading the
        model, calibrating, walking, hashing, decoding at reduced scale, encoding, recording
        durably. The loop opens each photo with PIL, prepares it with open_clip's transform and
        encodes 16 at once, in the precision and layout that torch is fastest in; its time starts
        when the model is loaded, and it takes the first {sizes["share"]:.0%} of the photos, as its
        rate does not change. Photos are in the page cache. {" ".join(notes)}"""
    return ["\n".join(lines), prose(about)]


def _searching(rows: Rows, sizes: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Search\n",
        "| photos | by a vector, ms | slowest, ms | by words, ms | peak memory MB |",
        "|---:|---:|---:|---:|---:|",
    ]
    for count in sizes["vectors"]:
        row = rows.get(f"search/warm/{SMALLEST}/{count}")
        if row is not None:
            cells = [number(row[key]) for key in ("vector_ms", "vector_worst_ms", "words_ms")]
            cells.append(f"{row['peak_memory'] / 1e6:.0f}")
            lines.append(f"| {count:,} | {' | '.join(cells)} |")
    cold = []
    for name in (SMALLEST, EMBEDDED):
        row = rows.get(f"search/cold/{name}/{sizes['cold']}")
        if row is not None:
            cold.append(
                f"- {name}: {row['seconds']:.2f} s (slowest {row['worst']:.2f} s), peak memory "
                f"{row['peak_memory'] / 1e6:.0f} MB, the album {row['disk'] / 1e6:.0f} MB on disk"
            )
    about = f"""An open album, exact search, 12 hits; by words the text tower of {SMALLEST}'s shape
        (512 numbers a vector) runs first. Peak memory includes that model and the pages of the
        album that were read."""
    start = f"""`galago search` over {sizes["cold"]:,} photos, from the start of the process to its
        end, its files in the page cache:"""
    return ["\n".join(lines), prose(about), prose(start), "\n".join(cold) or MISSING]
