"""A cluster's `galago embed`, whose processes are killed at random while it works."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.pictures import saved, smooth
from tests.helpers.places import TOP

__all__ = ["Killed", "embed_with_kills", "left_behind", "many_pictures"]

MARK = {"GALAGO_TEST_KILLING": str(os.getpid())}  # of all processes that it starts
_PATIENCE = float(os.environ.get("GALAGO_PATIENCE", "120"))  # seconds for workers to be at work


def many_pictures(folder: Path, count: int, size: tuple[int, int] = (96, 64)) -> Path:
    """So many files of fifty different pictures, a thousand in a folder."""
    sources = []
    for seed in range(min(50, count)):
        source = folder / "0000" / f"{seed:06}.jpg"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(saved(smooth(seed, size), "JPEG"))
        sources.append(source)
    for number in range(len(sources), count):
        place = folder / f"{number // 1000:04}" / f"{number:06}.jpg"
        place.parent.mkdir(exist_ok=True)
        os.link(sources[number % len(sources)], place)
    return folder


@dataclass
class Killed:
    """What happened: workers and drivers that were killed, starts, megabytes of the drivers."""

    workers: int = 0
    drivers: int = 0
    starts: int = 0
    code: int = -1
    seconds: float = 0.0
    megabytes: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def embed_with_kills(
    *arguments: str, workers: int, drivers: int, seed: int, pause: tuple[float, float],
    minutes: float = math.inf,
) -> Killed:  # fmt: skip
    """Run `galago embed …` again and again until it ends by itself; `pause`: seconds between kills.

    Of what is killed in between, so many are workers and so many the command itself.  After so many
    minutes it is stopped as by Ctrl-C, and ends with 130.
    """
    chance = random.Random(seed)
    plan = ["worker"] * workers + ["driver"] * drivers
    chance.shuffle(plan)
    happened, began = Killed(), time.monotonic()
    while happened.code < 0:
        process = subprocess.Popen(
            [sys.executable, "-m", "galago", "embed", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TOP,
            env={**os.environ, "PYTHONPATH": str(TOP), **MARK},
        )  # fmt: skip
        happened.starts += 1
        try:
            _hurt(process, plan, chance, pause, happened, began + 60 * minutes)
            said, _ = process.communicate()
        finally:
            process.kill()
        happened.said.append(said)
        happened.code = process.returncode
    happened.seconds = time.monotonic() - began
    return happened


def _hurt(
    process: subprocess.Popen[str], plan: list[str], chance: random.Random,
    pause: tuple[float, float], happened: Killed, end: float,
) -> None:  # fmt: skip
    """Kill what the plan says, until the command itself is killed or has ended."""
    while process.poll() is None:
        if time.monotonic() > end:
            process.send_signal(signal.SIGINT)
            return
        if not _wait_for_work(process):
            return
        wait = time.monotonic() + chance.uniform(*pause)
        while time.monotonic() < wait and process.poll() is None:
            time.sleep(0.05)
        happened.megabytes.append(_megabytes(process.pid))
        if not plan:
            time.sleep(0.5)
            continue
        if plan[-1] == "driver":
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                happened.drivers += plan.pop() == "driver"
                process.wait()
                return
            continue
        at_work = list(_workers(process.pid))
        if at_work:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(at_work), signal.SIGKILL)
                happened.workers += plan.pop() == "worker"


def left_behind(seconds: float) -> list[str]:
    """Processes of ours that are still there after so long; they are ended."""
    until = time.monotonic() + seconds
    while (found := dict(_marked())) and time.monotonic() < until:
        time.sleep(0.5)
    for number in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    return list(found.values())


def _marked() -> Iterator[tuple[int, str]]:
    mark = "=".join(*MARK.items()).encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name), (folder / "cmdline").read_text().replace("\0", " ")


def _wait_for_work(process: subprocess.Popen[str]) -> bool:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        if any(True for _ in _workers(process.pid)):
            return True
        time.sleep(0.1)
    return False


def _workers(driver: int) -> Iterator[int]:
    """Actors under this process that have opened their models."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents[int(folder.name)] = int(_stat(folder)[1])
    for number in parents:
        at = number
        while at in parents and at != driver:
            at = parents[at]
        if at == driver and number != driver:
            with contextlib.suppress(OSError):
                title = (Path("/proc") / str(number) / "cmdline").read_bytes()
                if title.startswith(b"ray::_Actor.work"):
                    yield number


def _stat(folder: Path) -> list[str]:
    return (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()


def _megabytes(process: int) -> float:
    """Its resident memory; 0 when it has ended."""
    with contextlib.suppress(OSError, IndexError):
        pages = int((Path("/proc") / str(process) / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return 0.0
