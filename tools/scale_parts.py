"""Measures the parts that a large `galago embed` is made of: `python tools/scale_parts.py PART …`.

What `tools/scale.py` reckons with, and nothing else.  Times are seconds of a processor (of all of a
process's threads), so that other work on the machine changes them little; each is the least of
several tries; `speeds` alone are of the clock, and aren't among those that are measured unasked.
Parts go into docs/scale.json, one by one.  Needs the extra `cluster`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))

import numpy as np  # noqa: E402

from galago.scale.known import Known  # noqa: E402
from galago.scale.rows import Batch, Made, Row  # noqa: E402
from tests.helpers.killing import many_pictures  # noqa: E402

KEPT = TOP / "docs" / "scale.json"
DIM, CHUNK = 512, 64  # of MobileCLIP2's vectors; of `--batch`
MADE = Made("MobileCLIP2-S0", "measured", DIM)


def least(tries: int, once: Callable[[], object]) -> float:
    """Seconds of a processor."""
    took = []
    for _ in range(tries):
        began = time.process_time()
        once()
        took.append(time.process_time() - began)
    return min(took)


def batch(count: int, start: int = 0) -> Batch:
    chance = np.random.default_rng(start)
    rows = [
        Row(
            f"s3://bucket/photos/{start + number:012}.jpg".encode(), 150_000, 1_700_000_000_000_000,
            f"{start + number:064x}", 640, 480, chance.standard_normal(DIM).astype(np.float32),
        )
        for number in range(count)
    ]  # fmt: skip
    return Batch(rows, [], "bf16")


def names() -> dict[str, float]:
    """Names in memory: bytes and seconds each."""
    count = 2_000_000
    before = _resident()
    began = time.process_time()
    known = Known(b"s3://bucket/photos/%d.jpg" % number for number in range(count))
    read = (time.process_time() - began) / count
    size = (_resident() - before) / count
    asked = [b"s3://bucket/other/%d.jpg" % number for number in range(100_000)]
    look = least(3, lambda: [name in known for name in asked]) / len(asked)
    return {"name_bytes": size, "name_read": read, "name_look": look}


def rows() -> dict[str, float]:
    """The driver's seconds for a row: a worker's answer unpacked, and made into Arrow."""
    from galago.scale.arrow import table_of

    packed = pickle.dumps(batch(CHUNK), 5)
    answer = least(50, lambda: pickle.loads(packed)) / CHUNK
    batches = [batch(CHUNK, start) for start in range(0, 8192, CHUNK)]
    arrow = least(3, lambda: table_of(batches, MADE)) / 8192
    return {"row_unpack": answer, "row_arrow": arrow, "row_bytes": len(packed) / CHUNK}


def lists() -> dict[str, float]:
    """Seconds a picture to list a folder, a tar, a table of addresses."""
    import pyarrow as pa
    from pyarrow import parquet

    from galago.scale.addresses import walk
    from galago.scale.listing import Listing

    found = {}
    home = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=home) as place:
        folder = Path(place) / "in"
        folder.mkdir()
        (Path(place) / "one").write_bytes(b"x")
        for number in range(20_000):
            if number % 1000 == 0:
                (folder / f"{number}").mkdir()
            os.link(Path(place) / "one", folder / f"{number // 1000 * 1000}" / f"{number}.jpg")
        with tarfile.open(Path(place) / "a.tar", "w") as tar:
            for number in range(20_000):
                info = tarfile.TarInfo(f"{number}.jpg")
                info.size = 1
                tar.addfile(info, io.BytesIO(b"x"))
        urls = [f"s3://bucket/photos/{number:012}.jpg" for number in range(100_000)]
        parquet.write_table(pa.table({"url": urls}), Path(place) / "a.parquet")
        for name, at, count in (
            ("list_folder", "in", 20_000), ("list_tar", "a.tar", 20_000),
            ("list_table", "a.parquet", 100_000),
        ):  # fmt: skip

            def listed(at: str = at, count: int = count) -> None:
                assert sum(1 for _ in Listing(str(Path(place) / at))) == count

            found[name] = least(3, listed) / count

        def walked() -> None:
            assert sum(1 for _ in walk("", str(folder))) == 20_000

        found["list_bucket"] = least(3, walked) / 20_000  # by pyarrow, as a bucket is
    return found


def commits() -> dict[str, Any]:
    """Seconds of a write to a Lance table of so many files, and of a row in it."""
    import lance
    from lance.fragment import write_fragments

    from galago.scale.arrow import table_of
    from galago.scale.lance_table import LanceTable

    took: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        out = f"{place}/out.lance"
        small = table_of([batch(1)], MADE)
        lance.write_dataset(small, out)
        have = 1
        for files in (1, 100, 1000, 4000):
            if files > have:
                rows = table_of([batch(files - have)], MADE)
                made = write_fragments(
                    rows, out, mode="append", max_rows_per_file=1, max_rows_per_group=1
                )
                version = lance.dataset(out).version
                lance.LanceDataset.commit(
                    out, lance.LanceOperation.Append(made), read_version=version
                )
                have = len(lance.dataset(out).get_fragments())

            def write() -> None:
                lance.dataset(out)  # as LanceTable does
                lance.write_dataset(small, out, mode="append")

            took[str(have)] = least(5, write)
            have += 5
        large = table_of([batch(CHUNK, start) for start in range(0, 16_384, CHUNK)], MADE)
        base = least(3, lambda: lance.write_dataset(small, f"{place}/a.lance", mode="overwrite"))
        full = least(3, lambda: lance.write_dataset(large, f"{place}/b.lance", mode="overwrite"))
        table = LanceTable(f"{place}/b.lance")
        read = least(3, lambda: list(table.names())) / len(large)
        size = sum(file.stat().st_size for file in Path(f"{place}/b.lance/data").iterdir()) / 3
        manifest = max(file.stat().st_size for file in Path(f"{out}/_versions").iterdir())
    return {
        "commit": took, "row_written": (full - base) / len(large),
        "row_read": read,
        "row_stored": size / len(large), "manifest_bytes_a_file": manifest / have,
    }  # fmt: skip


def crowd() -> dict[str, float]:
    """The driver's seconds for a chunk by Ray, and for a look at a thousand that are asked for."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False,
             logging_level="ERROR", object_store_memory=256 << 20)  # fmt: skip

    class Hand:
        def work(self, chunk: Any) -> Any:
            return self.answer

        def born(self) -> None:
            self.answer = batch(CHUNK)

        def wait(self) -> None:
            time.sleep(10_000)

    hand = ray.remote(Hand).remote()
    ray.get(hand.born.remote())
    from galago.scale.items import File, Item

    chunk = [Item(b"s3://bucket/photos/%012d.jpg" % n, File(f"photos/{n}", "s3://bucket"), 1, 1)
             for n in range(CHUNK)]  # fmt: skip

    def asked() -> None:
        running = [hand.work.remote(chunk) for _ in range(50)]
        ray.wait(running, num_returns=len(running))
        for answer in running:
            ray.get(answer)

    each = least(6, asked) / 50
    idle = ray.remote(Hand).remote()
    waiting = [idle.wait.remote() for _ in range(8000)]
    look = least(5, lambda: ray.wait(waiting, num_returns=len(waiting), timeout=0))
    ray.shutdown()
    return {"chunk_asked": each, "look_a_thousand": look / 8}


def speeds() -> dict[str, Any]:
    """Pictures a second of one process and of a Ray of one and two workers, mobileclip2-nano; the
    best of three, turn by turn.  For a quiet machine: these are seconds on the clock."""
    count = int(os.environ.get("GALAGO_PICTURES", "2000"))
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        pictures = many_pictures(Path(place) / "in", count, (320, 240))
        for turn in range(3):
            for name, cpus, *extra in (
                ("alone, one thread", 0, "--threads", "1"), ("alone", 0),
                ("one worker of one thread", 1, "--threads", "1"),
                ("two workers of one thread", 2, "--threads", "1"),
                ("one worker of two threads", 2, "--threads", "2"),
            ):  # fmt: skip
                out = f"{place}/{turn}.lance"
                with _cluster(cpus) as address:
                    told = subprocess.run(
                        [sys.executable, "-m", "galago", "embed", str(pictures), out, "--json",
                         "-m", "mobileclip2-nano", *extra, *address],
                        stdout=subprocess.PIPE, check=True, env=_environment(),
                    )  # fmt: skip
                shutil.rmtree(out)
                rate = count / json.loads(told.stdout)["seconds"]
                print(f"  {name}: {rate:.1f} a second", flush=True)
                best[name] = max(rate, best.get(name, 0.0))
    return {"speeds": {name: round(rate, 1) for name, rate in best.items()}}


@contextlib.contextmanager
def _cluster(cpus: int) -> Iterator[list[str]]:
    """What `galago embed` is told to use a Ray of so many processors; nothing without."""
    if not cpus:
        yield []
        return
    ray = str(Path(sys.executable).with_name("ray"))
    started = subprocess.Popen(
        [ray, "start", "--head", "--port", "6399", "--num-cpus", str(cpus), "--block",
         "--include-dashboard", "false", "--disable-usage-stats", "--node-ip-address", "127.0.0.1",
         "--object-store-memory", "100000000"],
        env=_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 6399), 1):
                break
            time.sleep(0.5)
        time.sleep(5)  # its node comes a little after its door
        yield ["--ray", "127.0.0.1:6399"]
    finally:
        started.terminate()
        started.wait()


def _environment() -> dict[str, str]:
    # Else workers stand behind everything else.
    return os.environ | {"PYTHONPATH": str(TOP), "RAY_worker_niceness": "0"}


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "names": names, "rows": rows, "lists": lists, "commits": commits, "crowd": crowd,
    "speeds": speeds,
}  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    # Without any, argparse looks for the empty list among what may be chosen.
    choices = [*PARTS, []]
    asked.add_argument("parts", nargs="*", choices=choices, metavar="PART", help=", ".join(PARTS))
    for part in asked.parse_args().parts or [*PARTS][:-1]:
        found = PARTS[part]()
        kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        KEPT.write_text(json.dumps(kept | found, indent=1, sort_keys=True) + "\n")
        print(part, json.dumps(found))


if __name__ == "__main__":
    main()
