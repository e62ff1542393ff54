"""Measuring what is missing: a process a row, and a line of JSON for each that is finished.

A finished row counts again only on the same machine, with the same versions and the same options;
so a run that was stopped goes on where it was, and a changed one starts anew.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galago.bench.jobs import Job, Row, Settings
from galago.bench.machine import busy_seconds, machine, versions
from galago.errors import StorageError
from galago.progress import Progress, Stage, silent
from galago.version import __version__

__all__ = ["Run", "merged"]

Result = dict[str, Any]


class Run:
    """Rows measured so far, in memory and in `rows.jsonl` of the cache folder."""

    def __init__(
        self, settings: Settings, *, rounds: int = 1, again: bool = False,
        progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.settings, self.rounds = settings, rounds
        self.failed: dict[str, str] = {}
        self.lacking: set[str] = set()  # modules of peers that aren't installed
        self._progress = progress
        self._file = settings.cache / "rows.jsonl"
        self._again = again
        self._share = 0.0
        self._made: dict[str, str] = {}  # a preparation -> what went wrong, or ""
        try:
            settings.cache.mkdir(parents=True, exist_ok=True)
            self._file.open("a").close()  # what can't be kept is not worth hours
        except OSError as error:
            raise StorageError(
                f"{settings.cache} can't be written ({error.strerror}); give another --cache"
            ) from error
        self._found = self._read()

    def all(self, rows: Sequence[Row]) -> None:
        """Measure every row that isn't there: round by round, those that share files together."""
        parts = _sharing(rows)
        turns = [(row, turn) for part in parts for turn in range(self.rounds) for row in part]
        turns = [(row, turn) for row, turn in turns if not (row.once and turn)]
        needed = [{job.scratch for job in row.needs if job.scratch} for row, _ in turns]
        last = {folder: done for done, folders in enumerate(needed) for folder in folders}
        for done, (row, turn) in enumerate(turns):
            self._share = done / len(turns)
            self._progress(Stage(row.name), self._share)
            self._turn(row, turn)
            for folder in needed[done]:
                if last[folder] == done:
                    shutil.rmtree(folder, ignore_errors=True)
        self._progress(Stage("done"), 1.0)

    def results(self, rows: Sequence[Row]) -> dict[str, Result]:
        """Rounds joined, by name; a row that could not be measured has an "error"."""
        found = {}
        for row in rows:
            rounds = self._found.get(self._key(row), {})
            # An earlier run's further rounds would outvote those that were measured again.
            turns = [turn for turn in sorted(rounds) if turn < self.rounds]
            if turns:
                found[row.name] = merged([rounds[turn] for turn in turns])
            elif row.name in self.failed:
                found[row.name] = {"error": self.failed[row.name]}
        return found

    def report(self, rows: Sequence[Row], packages: Sequence[str]) -> dict[str, Any]:
        """Everything that a page, its pictures and its JSON file are made of.

        `packages` are named with their versions.
        """
        found = machine(self.settings.threads, packages) | {"galago": __version__}
        return {
            "machine": found | {"cores": os.cpu_count()} | self.settings.placed,
            "runs": self.settings.runs,
            "rounds": self.rounds,
            "quick": self.settings.quick,
            "rows": self.results(rows),
        }

    def _turn(self, row: Row, turn: int) -> None:
        key = self._key(row)
        if (turn in self._found.get(key, {}) and not self._again) or row.name in self.failed:
            return
        problem = self._missing(row) or self._prepare(row)
        result = {"error": problem} if problem else self._measure(row.job)
        if "error" in result:
            self.failed[row.name] = result["error"]
            self._last(f"not measured: {row.name}: {result['error']}")
            return
        self._found.setdefault(key, {})[turn] = result
        line = {"key": key, "row": row.name, "turn": turn, "result": result}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(line)}\n")  # a killed run may have left half a line
        self._last(f"measured {row.name}: {_brief(result)}")

    def _last(self, words: str) -> None:
        self._progress(Stage(words, lasting=True), self._share)

    def _missing(self, row: Row) -> str:
        """What installs the modules of a row that aren't there."""
        needed = dict.fromkeys(one for job in (row.job, *row.needs) for one in job.modules)
        absent = [one for one in needed if importlib.util.find_spec(one) is None]
        self.lacking.update(absent)
        return f"{', '.join(absent)} not installed (in the extra bench)" if absent else ""

    def _prepare(self, row: Row) -> str:
        for job in row.needs:
            name = json.dumps([job.kind, job.options], sort_keys=True)
            if name not in self._made:
                self._progress(Stage(f"preparing {row.name}"), self._share)
                self._made[name] = str(self._measure(job).get("error", ""))
                self._progress(Stage(row.name), self._share)
            if self._made[name]:
                return self._made[name]
        return ""

    def _measure(self, job: Job) -> Result:
        """The result of a job in a process of its own."""
        with tempfile.TemporaryDirectory(prefix="galago-bench-") as scratch:
            given, result = Path(scratch) / "job.json", Path(scratch) / "result.json"
            given.write_text(json.dumps({"kind": job.kind, "options": job.options}), "utf-8")
            command = [sys.executable, "-m", "galago.bench.row", str(given), str(result)]
            others = _Others()
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment()
            )
            if not result.exists():
                said = done.stdout.decode("utf-8", "replace").strip().splitlines()
                last = said[-1] if said else f"the process ended with {done.returncode}"
                return {"error": last[:300]}
            found: Result = json.loads(result.read_text("utf-8"))
            return found | others.share() | {"when": round(time.time())}

    def _environment(self) -> dict[str, str]:
        # Nothing is to be looked up, and no library's threads are to outnumber the others'.
        return os.environ | {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": str(self.settings.threads),
            "PYTHONWARNINGS": "ignore",
        }

    def _key(self, row: Row) -> str:
        made = machine(self.settings.threads, ()) | versions(row.packages)
        if row.ours:
            made["galago"] = __version__
        text = json.dumps([row.name, row.job.options, made], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _read(self) -> dict[str, dict[int, Result]]:
        found: dict[str, dict[int, Result]] = {}
        if self._file.exists():
            for line in self._file.read_text("utf-8").splitlines():
                try:
                    one = json.loads(line)
                    found.setdefault(one["key"], {})[one["turn"]] = one["result"]
                except (ValueError, KeyError, TypeError):
                    continue  # the last line of a run that was killed
        return found


def _sharing(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows in parts that have no scratch folder in common, so that each frees its disk."""
    parts: list[tuple[set[Path | None], list[Row]]] = []
    for row in rows:
        folders: set[Path | None] = {job.scratch for job in row.needs if job.scratch} or {None}
        joined = [part for part in parts if part[0] & folders]
        first = joined[0] if joined else (set(), [])
        if not joined:
            parts.append(first)
        for part in joined[1:]:
            parts.remove(part)
            first[0].update(part[0])
            first[1].extend(part[1])
        first[0].update(folders)
        first[1].append(row)
    return [members for _, members in parts]


def _brief(result: Result) -> str:
    """A result in a line."""
    samples = {name: values for name, values in result.get("samples", {}).items() if values}
    words = [f"{n.replace('_', ' ')} {statistics.median(v):.3g}" for n, v in samples.items()]
    ends = [
        f"{statistics.median(v):.3g} s at {size}" for size, v in result.get("points", {}).items()
    ]
    return ", ".join(words + ends)


class _Others:
    """How much of the processor other processes take meanwhile, where the system tells."""

    def __init__(self) -> None:
        self._started, self._busy, self._own = time.monotonic(), busy_seconds(), self._spent()

    def share(self) -> dict[str, float]:
        """{"others": 0 to 1 of all cores}, or nothing."""
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return {}
        others = (busy - self._busy) - (self._spent() - self._own)
        whole = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        return {"others": round(min(1.0, max(0.0, others / whole)), 3)}

    @staticmethod
    def _spent() -> float:
        times = os.times()  # of processes that have ended, and their children
        return times.children_user + times.children_system


def merged(results: Sequence[Mapping[str, Any]]) -> Result:
    """One result of several rounds: measurements joined, of peaks the highest, else the last."""
    out: Result = dict(results[-1])
    for part in ("samples", "points"):
        if part in out:
            names = dict.fromkeys(name for result in results for name in result[part])
            out[part] = {n: [v for r in results for v in r[part].get(n, ())] for n in names}
    for name in ("peak_bytes", "loaded_bytes", "answered_bytes", "others"):
        if name in out:
            out[name] = max(result[name] for result in results)
    return out
