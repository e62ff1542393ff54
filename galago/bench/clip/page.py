"""What is told of MobileCLIP and of albums: Markdown tables from the rows that were measured."""

from __future__ import annotations

from collections.abc import Iterator

from galago.bench.clip.rows import EMBEDDED, PICTURES, SMALLEST, TEXTS
from galago.bench.jobs import CLIP
from galago.bench.markdown import (
    Report,
    Row,
    Rows,
    disturbed,
    machine,
    measured,
    middle,
    not_measured,
    number,
    prose,
    ratio,
)

__all__ = ["KINDS", "best", "drawn", "indexed", "page", "published", "searched"]

KINDS = {"large": "4000×3000", "small": "640×480"}  # of photos, and their pixels
_COLUMNS = ("torch/fp32", "torch/bf16", "onnxruntime/fp32", "galago/fp32", "galago/bf16",
            "galago/int8")  # fmt: skip


def page(report: Report, drawing: str = "benchmark-clip.svg") -> str:
    """Markdown, a whole page; what was not measured is a dash. `drawing` is the picture's file."""
    rows = measured(report)
    picture = f"![Beside open_clip in torch and ONNX Runtime]({drawing})"
    parts = [
        "# MobileCLIP2 on a CPU",
        prose(_about(report, rows)),
        picture * drawn(rows),
        prose(f"Machine: {machine(report)}.{disturbed(report)}"),
        *_towers(rows),
        *_indexing(rows),
        *_searching(rows),
        not_measured(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def drawn(rows: Rows) -> bool:
    """Whether there is anything to draw: the embedded model stands beside nobody."""
    return any(f"/{EMBEDDED}/" not in name for name in rows)


def published(rows: Rows) -> list[str]:
    """The published models, if any was measured; the others are dashes then."""
    others = [name for name in PICTURES if name != EMBEDDED]
    return others if any(_towers_of(rows, name) for name in others) else []


def best(rows: Rows, model: str, engine: str, key: str) -> float | None:
    """The faster of an engine's fp32 and bf16."""
    found = [middle(rows.get(f"{CLIP}towers/{model}/{engine}/{p}"), key) for p in ("fp32", "bf16")]
    return max((rate for rate in found if rate is not None), default=None)


def indexed(rows: Rows, kind: str) -> tuple[int, Row | None, Row | None]:
    """How many photos of a kind, the loop's row, and galago's; 0 when there is neither."""
    start = f"{CLIP}index/{kind}/"
    found = {n.rpartition("/")[2]: (n, row) for n, row in rows.items() if n.startswith(start)}
    counts = [int(name.split("/")[3]) for name, _ in found.values()]
    loop, ours = (found[who][1] if who in found else None for who in ("loop", "galago"))
    return max(counts, default=0), loop, ours


def searched(rows: Rows, what: str) -> list[tuple[str, int, Row]]:
    """(model, photos, row) of albums that were searched "warm" or "cold"."""
    start = f"{CLIP}search/{what}/"
    found = [(name.split("/"), row) for name, row in rows.items() if name.startswith(start)]
    return [(parts[3], int(parts[4]), row) for parts, row in found]


def _towers_of(rows: Rows, model: str) -> bool:
    return any(name.startswith(f"{CLIP}towers/{model}/") for name in rows)


def _about(report: Report, rows: Rows) -> str:
    given = "The embedded model, and an album of random vectors."
    if drawn(rows):
        given = """Random weights of the published shapes (speed does not depend on their values)
            and generated photos."""
    rounds = report["rounds"]
    made = f"One round of `galago bench{' --quick' * report['quick']}`;"
    if rounds > 1:
        fewer = "one fewer" if rounds == 2 else "one only"
        made = f"""Median of {rounds} rounds in one run of `make bench-clip`, {fewer} for S3, S4,
            L-14 and the small photos;"""
    return f"{given} {made} every row is a process of its own, on {_threads(report, rows)}."


def _threads(report: Report, rows: Rows) -> str:
    if all(row.get("clock") != "cpu" for row in rows.values()):
        return f"{report['machine']['threads']} threads"
    return """one thread, and towers are timed by the processor's time for it, since other programs
        were using the machine: so a second here is one of a core"""


def _towers(rows: Rows) -> Iterator[str]:
    others = published(rows)
    models = [EMBEDDED] * _towers_of(rows, EMBEDDED) + others
    if not models:
        return
    peers = f"""torch is open_clip's own model, eager, its branches fused by timm as the model cards
        say, channels-last where that is faster{_unfused(rows)}. ONNX Runtime runs the same fused
        model as torch exports it. The ratios are those of the faster of galago's fp32 and bf16 to
        the faster of torch's two, and to ONNX Runtime."""
    yield _rates(rows, models, "images_per_second", "Pictures a second")
    yield prose(
        f"""From pixel values to unit vectors, {_batches(models)} at once. {peers * bool(others)}
        int8 keeps its matrices in 8 bits, not its convolutions, and computes in bf16."""
    )
    whole = """With the causal text tower of B galago stops at the end of the longest text; the
        others read all 77 places."""
    yield _rates(rows, models, "texts_per_second", "Texts a second")
    yield prose(
        f"""From strings to unit vectors, {TEXTS} short queries at once. {whole * bool(others)}"""
    )


def _rates(rows: Rows, models: list[str], key: str, title: str) -> str:
    lines = [
        f"## {title}\n",
        "| variant | torch fp32 | torch bf16 | ONNX Runtime fp32 | galago fp32 | galago bf16 "
        "| galago int8 | to torch | to ONNX Runtime |",
        "|---|" + "---:|" * 8,
    ]
    for model in models:
        cells = [number(middle(rows.get(f"{CLIP}towers/{model}/{c}"), key)) for c in _COLUMNS]
        ours = best(rows, model, "galago", key)
        peers = (best(rows, model, peer, key) for peer in ("torch", "onnxruntime"))
        cells += [ratio(ours, peer, places=1) for peer in peers]
        lines.append(f"| {' | '.join([model, *cells])} |")
    return "\n".join(lines)


def _batches(models: list[str]) -> str:
    counts: dict[int, list[str]] = {}
    for model in models:
        counts.setdefault(PICTURES[model], []).append(model.removeprefix("MobileCLIP2-"))
    return ", ".join(f"{count} ({', '.join(names)})" for count, names in counts.items())


def _unfused(rows: Rows) -> str:
    rate = middle(rows.get(f"{CLIP}towers/{SMALLEST}/torch/fp32-unfused"), "images_per_second")
    if rate is None:
        return ""
    return f" (left as it loads, not fused, {SMALLEST} does {number(rate)} in fp32)"


def _indexing(rows: Rows) -> Iterator[str]:
    lines = [
        "## Indexing\n",
        "| photos | by | pictures a second | seconds for all | peak memory MB | to the loop |",
        "|---|---|---:|---:|---:|---:|",
    ]
    notes, beside = [], ""
    for kind, pixels in KINDS.items():
        count, loop, ours = indexed(rows, kind)
        for name, row in (("open_clip and PIL", loop), ("galago", ours)):
            if row is not None:
                rate = middle(row, "pictures_per_second")
                seconds = middle(row, "seconds") if row["photos"] == count else None
                cells = [f"{count:,} of {pixels}", f"{name}, {row['precision']}", number(rate)]
                cells += [number(seconds), _megabytes(row)]
                compared = loop is not None and row is ours
                cells.append(ratio(rate, middle(loop, "pictures_per_second"), 1) * compared)
                lines.append(f"| {' | '.join(cells)} |")
        if ours is not None:
            notes.append(
                f"""{count:,} {kind} ones: {number(middle(ours, "steady_per_second"))} a second once
                the new album is calibrated ({middle(ours, "calibrating"):.1f} s) and the first
                batch is through; run again, {middle(ours, "again"):.2f} s to find that nothing has
                changed."""
            )
        if loop is not None and not beside:
            beside = f"""The loop opens each photo with PIL, prepares it with open_clip's transform
                and encodes 16 at once, in the precision and layout that torch is fastest in; its
                time starts when the model is loaded, and it takes the first
                {loop["photos"] / count:.0%} of the photos, as its rate does not change."""
    if len(lines) > 3:
        yield "\n".join(lines)
        yield prose(
            f"""{SMALLEST}'s shape. galago's row is `galago.album.index` as a whole: loading the
            model, calibrating, walking, hashing, decoding at reduced scale, encoding, recording
            durably. {beside} Photos are in the page cache. {" ".join(notes)}"""
        )


def _searching(rows: Rows) -> Iterator[str]:
    warm, cold = searched(rows, "warm"), searched(rows, "cold")
    if warm or cold:
        yield "## Search"
    lines = [
        "| photos | by a vector, ms | slowest, ms | by words, ms | peak memory MB |",
        "|---:|---:|---:|---:|---:|",
    ]
    for _, count, row in warm:
        cells = [number(middle(row, n)) for n in ("vector_ms", "vector_worst_ms", "words_ms")]
        lines.append(f"| {' | '.join([f'{count:,}', *cells, _megabytes(row)])} |")
    if warm:
        yield "\n".join(lines)
        yield prose(
            f"""An open album, exact search, 12 hits; by words the text tower of {SMALLEST}'s shape
            (512 numbers a vector) runs first. Peak memory includes that model and the pages of the
            album that were read."""
        )
    if cold:
        yield prose(
            f"""`galago search` over {cold[0][1]:,} photos, from the start of the process to its
            end, its files in the page cache:"""
        )
        yield "\n".join(_cold(model, row) for model, _, row in cold)


def _cold(model: str, row: Row) -> str:
    return (
        f"- {model}: {middle(row, 'seconds'):.2f} s (slowest {middle(row, 'worst'):.2f} s), peak "
        f"memory {_megabytes(row)} MB, the album {row['disk_bytes'] / 1e6:.0f} MB on disk"
    )


def _megabytes(row: Row) -> str:
    return f"{row['peak_bytes'] / 1e6:.0f}"
