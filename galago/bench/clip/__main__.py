"""`python -m benchmarks.clip`: MobileCLIP2's towers, indexing and search, galago beside its peers.

Random weights of the published shapes and generated photos; nothing is fetched. Every row is a
process of its own. Rows of one kind are measured in turn, `--rounds` times over, and the median is
kept: what slows this machine for a while slows all of them. Writes benchmark-clip.json, .md and
.svg to docs. With --folder a run that was stopped goes on where it was, and files are used again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.shared import DOCS, measured
from galago.bench.clip.page import page
from galago.bench.clip.picture import picture
from galago.bench.clip.rows import EMBEDDED, Command, Group, Row, Sizes, groups
from galago.bench.machine import machine

PACKAGES = ("openvino", "torch", "open_clip_torch", "timm", "onnxruntime", "numpy", "pillow")
FINISHED = "rows.json"
Runs = dict[str, list[dict[str, Any]]]
console = Console(stderr=True)


def main() -> int:
    options = _parser().parse_args()
    sizes = Sizes(
        photos=options.photos,
        small=options.small,
        vectors=tuple(options.vectors),
        cold=options.cold,
        share=options.peer,
        seconds=options.seconds,
        threads=1 if options.cpu else options.threads,
        clock="cpu" if options.cpu else "wall",
    )
    with tempfile.TemporaryDirectory(prefix="galago-bench-") as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        every = groups(folder, sizes, _embedded())
        run = _Run(folder, options.rounds, sizes.threads, keep=options.folder is not None)
        chosen = [_chosen(group, options.rows) for group in every]
        try:
            run.all([group for group in chosen if group.rows])
        except KeyboardInterrupt:
            console.print(f"stopped; the same command goes on from {folder}" * run.keep)
            return 130
        planned = [row.name for group in every for row in group.rows]
    found = {name: run.found[name] for name in planned if run.found.get(name)}
    report = {
        "machine": machine(sizes.threads, PACKAGES),
        "rounds": options.rounds,
        "sizes": asdict(sizes),
        "rows": {name: _median(runs) for name, runs in found.items()},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report | {"runs": found}, indent=1) + "\n"
    (options.out / f"{options.name}.json").write_text(text)
    written = page(report, f"{options.name}.svg")
    (options.out / f"{options.name}.md").write_text(written)
    (options.out / f"{options.name}.svg").write_text(picture(report))
    print(written)
    for name in run.failed:
        console.print(f"failed: {name}", style="red")
    return 1 if run.failed else 0


def _parser() -> argparse.ArgumentParser:
    default = Sizes()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clip", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=2)
    add("--threads", type=int, default=default.threads)
    add("--photos", type=int, default=default.photos, help="of 12 megapixels")
    add("--small", type=int, default=default.small, help="of 640x480")
    add("--vectors", type=int, nargs="*", default=default.vectors, help="sizes of albums searched")
    add("--cold", type=int, default=default.cold, help="photos for a search from a cold start")
    add(
        "--peer", type=float, default=default.share, help="share of the photos for open_clip's loop"
    )
    add("--seconds", type=float, default=default.seconds, help="a tower is timed for, at least")
    add(
        "--cpu",
        action="store_true",
        help="towers on one thread, by its processor time: for a machine that others are using",
    )
    add("--folder", type=Path, help="keep files and finished rows here, and use them again")
    add("--rows", nargs="*", help="beginnings of names, such as towers/MobileCLIP2-S0 index search")
    add("--out", type=Path, default=DOCS, help="where the results are written")
    add("--name", default="benchmark-clip", help="of the results' files")
    return parser


def _chosen(group: Group, wanted: Sequence[str] | None) -> Group:
    rows = tuple(r for r in group.rows if not wanted or r.name.startswith(tuple(wanted)))
    return Group(rows, group.leaves)


def _embedded() -> bool:
    """Whether this galago comes with the model that people start with."""
    from galago import GalagoError, MobileCLIP

    try:
        MobileCLIP.load(EMBEDDED, offline=True)
    except GalagoError:
        return False
    return True


class _Run:
    """Rows that were measured, in memory and in the folder."""

    def __init__(self, folder: Path, rounds: int, threads: int, *, keep: bool) -> None:
        self.folder, self.rounds, self.keep = folder, rounds, keep
        self.failed: list[str] = []
        self._made: set[Command] = set()
        self._unmade: set[Command] = set()
        self._file = folder / FINISHED
        self.found: Runs = json.loads(self._file.read_text()) if self._file.exists() else {}
        # Nothing is to be looked up, and no library's threads are to outnumber the others'.
        self._environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(threads),
            "PYTHONWARNINGS": "ignore",
        }

    def all(self, chosen: Sequence[Group]) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
            task = bar.add_task("", total=sum(self._turns(r) for g in chosen for r in g.rows))
            for group in chosen:
                missing = [r for r in group.rows if len(self._of(r)) < self._turns(r)]
                for command in dict.fromkeys(need for row in missing for need in row.needs):
                    bar.update(task, description=f"preparing: {_short(command)}")
                    self._prepare(command)
                for turn in range(self.rounds):
                    for row in group.rows:
                        if turn < self._turns(row):
                            bar.update(task, description=row.name)
                            self._turn(row, turn)
                            bar.advance(task)
                for path in () if self.keep else group.leaves:
                    shutil.rmtree(path, ignore_errors=True)

    def _turns(self, row: Row) -> int:
        return max(1, self.rounds - 1) if row.heavy else self.rounds

    def _of(self, row: Row) -> list[dict[str, Any]]:
        return self.found.setdefault(row.name, [])

    def _turn(self, row: Row, turn: int) -> None:
        if len(self._of(row)) > turn or row.name in self.failed:
            return
        if self._unmade.intersection(row.needs):
            self.failed.append(row.name)
            return
        try:
            result = self._measure(row.command)
        except subprocess.CalledProcessError:
            self.failed.append(row.name)
            return
        self._of(row).append(result)
        console.print(f"{row.name}: {_brief(result)}")
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self.found))
        part.replace(self._file)

    def _prepare(self, command: Command) -> None:
        if command not in self._made:
            try:
                self._measure(command)
            except subprocess.CalledProcessError:
                self._unmade.add(command)
        self._made.add(command)

    def _measure(self, command: Command) -> dict[str, Any]:
        return measured(*command, environment=self._environment)


def _short(command: Command) -> str:
    return " ".join([command[0].removeprefix("benchmarks.clip."), *command[1:]])[:60]


def _brief(result: dict[str, Any]) -> str:
    return ", ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in result.items()
    )


def _median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of numbers; of words the last."""
    first = runs[-1]
    return {
        key: statistics.median(run[key] for run in runs) if isinstance(first[key], (int, float))
        else first[key] for key in first
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
