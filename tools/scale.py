"""Reckons from measured parts what `galago embed` does on a thousand nodes.

`python tools/scale.py` reads docs/scale.json (`tools/scale_parts.py` measures it), writes the table
in docs/scale.md and docs/scale.svg.  One process lists, hands out and writes, so its time for a row
is the sum of what it does for one; workers are as many as wanted.  A write costs more the more
files the table has.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

from galago.bench.chart import Axis, Series, Spot, chart, key  # noqa: E402
from galago.bench.svg import document, text  # noqa: E402

PAGE, PARTS, PICTURE = (TOP / "docs" / name for name in ("scale.md", "scale.json", "scale.svg"))
# Of a processor, half of two: docs/benchmark-clip.md, MobileCLIP2-S0 in bf16, 640 x 480.
RATE = 88.9 / 2
PROCESSORS = 16  # of a node, a worker each
# Not measured here: what a bucket needs for a thousand names, where the driver is beside it.
LISTED = 0.1
CHUNK = 64
NODES = (1, 3, 10, 30, 100, 300, 1000)
MANY = 10**9


NEEDED = (
    "chunk_asked", "commit", "list_bucket", "list_folder", "list_table", "list_tar",
    "look_a_thousand", "manifest_bytes_a_file", "name_bytes", "name_look", "name_read", "row_arrow",
    "row_bytes", "row_read", "row_stored", "row_unpack", "row_written",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """How it is built.

    rows: of a write at most.  tidy: writes until small files become few, 0 for when all is done.
    kept: rows of a file that isn't copied any more.  looks: whether each answer is looked for among
    all that are asked.  ahead: folders of a bucket that are listed at once, 0 for a table of
    addresses.
    """

    name: str
    rows: int = 65_536
    tidy: int = 64
    kept: int = 65_536
    looks: bool = False
    ahead: int = 8


NOW = Plan("a bucket listed, now")
TABLE = replace(NOW, name="a table of addresses, now", ahead=0)
BEFORE = Plan("a bucket listed, before", 8192, 0, 1 << 20, True, 1)
SECONDS = 60.0  # between writes at most


@dataclass(frozen=True)
class Run:
    """What a table of so many rows takes: seconds, mean pictures a second, seconds of them for
    copies when all is done, files at most, and what limits at the end."""

    seconds: float
    rate: float
    copied: float
    files: int
    limit: str


def row_seconds(parts: dict[str, Any], plan: Plan, workers: int) -> float:
    """The driver's for a row, but for commits."""
    listed = parts["list_table"]
    if plan.ahead == 1:
        listed = LISTED / 1000  # nothing else happens meanwhile
    elif plan.ahead:
        listed = parts["list_bucket"]
    names = 2 * parts["name_look"]  # among rows, and among those that were handed out
    asked = parts["chunk_asked"] / CHUNK  # and its answer unpacked
    looks = parts["look_a_thousand"] * 2 * workers / 1000 / CHUNK if plan.looks else 0.0
    return float(listed + names + asked + looks + parts["row_arrow"] + parts["row_written"])


def commit_seconds(parts: dict[str, Any], files: float) -> float:
    """Of a write of a table of so many files: measured ones, joined by lines."""
    known = sorted((int(count), took) for count, took in parts["commit"].items())
    (a, low), (b, high) = known[0], known[-1]
    for one, other in itertools.pairwise(known):
        if one[0] <= files <= other[0]:
            (a, low), (b, high) = one, other
            break
    return float(max(low, low + (high - low) * (files - a) / (b - a)) if files > a else low)


def simulated(parts: dict[str, Any], plan: Plan, nodes: int, pictures: int) -> Run:
    """Writes one after the other, a hundredth of the rows at a time."""
    workers = nodes * PROCESSORS
    power = workers * RATE
    each = row_seconds(parts, plan, workers)
    listing = math.inf if plan.ahead < 2 else plan.ahead * 1000 / LISTED
    seconds, files, most, limit = 0.0, 0.0, 0, ""
    step = pictures / 100
    for _ in range(100):
        commit = commit_seconds(parts, files)
        driver = max(1 / (each + commit / plan.rows), (1 - commit / SECONDS) / each
                     if (1 - commit / SECONDS) / each * SECONDS < plan.rows else 0)  # fmt: skip
        rate = min(power, driver, listing)
        limit = {power: "workers", driver: "driver", listing: "listing"}[rate]
        if limit == "driver" and commit / plan.rows > each:
            limit = "commits"
        written = min(plan.rows, rate * SECONDS)
        seconds += step / rate
        files += step / written
        most = max(most, round(files))
        if plan.tidy and written < plan.kept:  # small ones have become few
            seconds += step * 2 * parts["row_written"]
            files -= step / written - step / plan.kept
    small = min(plan.rows, rate * SECONDS) < plan.kept
    copied = pictures * 2 * parts["row_written"] if small and not plan.tidy else 0.0
    return Run(seconds + copied, pictures / (seconds + copied), copied, most, limit)


def table(parts: dict[str, Any]) -> str:
    """10⁹ pictures by so many nodes, as Markdown."""
    lines = [
        "![Pictures a second over nodes](scale.svg)",
        "",
        "| nodes | workers alone | before | a bucket | a table of addresses | files | limited by |",
        "|---:|---:|---:|---:|---:|---:|---|",
    ]
    for nodes in NODES:
        before, bucket, addresses = (
            simulated(parts, plan, nodes, MANY) for plan in (BEFORE, NOW, TABLE)
        )
        alone = nodes * PROCESSORS * RATE
        lines.append(
            f"| {nodes:,} | {alone:,.0f} | {before.rate:,.0f} | {bucket.rate:,.0f} | "
            f"{addresses.rate:,.0f} | {before.files:,} to {addresses.files:,} | "
            f"{before.limit}; {bucket.limit}; {addresses.limit} |"
        )
    return "\n".join(lines) + "\n"


def measured(parts: dict[str, Any]) -> str:
    """The parts, as Markdown."""
    micro = {
        "listed, in a folder": parts["list_folder"],
        "listed, as a bucket is": parts["list_bucket"],
        "listed, in a tar": parts["list_tar"],
        "listed, a table of addresses": parts["list_table"],
        "looked up among names, twice": 2 * parts["name_look"],
        "given to a worker of Ray and taken back, as one of 64": parts["chunk_asked"] / CHUNK,
        "... of that its row unpacked": parts["row_unpack"],
        "made into Arrow": parts["row_arrow"],
        "written to Lance, without the write's own costs": parts["row_written"],
        "at the next start: its name read out of OUT": parts["row_read"] + parts["name_read"],
    }
    lines = ["| the command's work for a picture | µs of a processor |", "|---|---:|"]
    lines += [f"| {name} | {took * 1e6:.1f} |" for name, took in micro.items()]
    commits = ", ".join(
        f"{took * 1e3:.0f} ms with {int(files):,}" for files, took in parts["commit"].items()
    )
    look = parts["look_a_thousand"] * 1e6
    lines += [
        f"| a look at a thousand lots of pictures that workers have | {look:.0f} |",
        "",
        f"A write of a Lance table costs {commits} files; it writes their list anew, "
        f"{parts['manifest_bytes_a_file']:.0f} bytes a file. A row is {parts['row_stored']:,.0f} "
        f"bytes there (512 numbers in float32), {parts['row_bytes']:,.0f} on its way to the "
        f"command. A name takes {parts['name_bytes']:.0f} bytes of memory.",
    ]
    return "\n".join(lines) + "\n"


def cost(parts: dict[str, Any]) -> str:
    """Hours of a processor for a million pictures, as Markdown."""
    driver = row_seconds(parts, TABLE, PROCESSORS)
    lines = ["| a million pictures | hours of a processor |", "|---|---:|"]
    for name, rate in (("640 x 480", RATE), ("4000 x 3000", 35.9 / 2)):
        lines.append(f"| MobileCLIP2-S0 in bf16, {name} | {1e6 / rate / 3600:.1f} |")
    lines.append(f"| the command itself, addresses in a table | {1e6 * driver / 3600:.3f} |")
    return "\n".join(lines) + "\n"


def drawn(parts: dict[str, Any]) -> str:
    """Pictures a second over nodes, as SVG."""
    plans: Sequence[tuple[str, Plan | None, str]] = (
        ("the workers alone", None, "#9aa5b1"), (BEFORE.name, BEFORE, "#d64545"),
        (NOW.name, NOW, "#2f7ed8"), (TABLE.name, TABLE, "#2a9d64"),
    )  # fmt: skip
    series = []
    for name, plan, colour in plans:
        spots = [
            Spot(nodes, nodes * PROCESSORS * RATE if plan is None
                 else simulated(parts, plan, nodes, MANY).rate)
            for nodes in NODES
        ]  # fmt: skip
        series.append(Series(name, colour, spots, joined=True))
    field = chart(
        series, Axis("nodes of 16 processors", log=True), Axis("pictures a second", log=True),
        (70, 74, 640, 330),
    )  # fmt: skip
    title = text(20, 24, "10⁹ pictures, one command: reckoned from measured parts", "title")
    return document("Throughput over nodes", 460, [title, *key(series, 36), *field], dark=True)


def main() -> None:
    parts = json.loads(PARTS.read_text())
    if lacks := sorted({*NEEDED} - {*parts}):
        sys.exit(f"docs/scale.json lacks {', '.join(lacks)}: python tools/scale_parts.py")
    PICTURE.write_text(drawn(parts), "utf-8")
    page = PAGE.read_text("utf-8")
    for name, made in (("parts", measured), ("simulation", table), ("cost", cost)):
        part = re.compile(f"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        written = made(parts)
        page = part.sub(lambda m, written=written: m[1] + written + m[2], page)  # type: ignore[misc]
    PAGE.write_text(page, "utf-8")
    print(table(parts))
    for plan in (BEFORE, NOW, TABLE):
        print(f"{plan.name}: {row_seconds(parts, plan, 16_000) * 1e6:.1f} us of the driver a row")


if __name__ == "__main__":
    main()
