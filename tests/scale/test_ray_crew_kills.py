"""Workers and drivers of `galago embed --ray local` killed at random: a row a picture, none twice.

`make cluster-kills` does it with 50,000 pictures; here are as many as take seconds.  With
GALAGO_MINUTES it stops after so many, and with the same GALAGO_FOLDER it goes on where it was.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.killing import embed_with_kills, left_behind, many_pictures
from tests.helpers.rays import need_ray

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")

PICTURES = int(os.environ.get("GALAGO_PICTURES", "400"))
WORKERS = int(os.environ.get("GALAGO_KILLS", "3"))
DRIVERS = int(os.environ.get("GALAGO_DRIVER_KILLS", "1"))
MINUTES = float(os.environ.get("GALAGO_MINUTES", "inf"))
FOLDER = os.environ.get("GALAGO_FOLDER")  # of pictures and rows; else they go with the test
# Few pictures are made larger, or all would be done before the first kill.
SIZE = (1600, 1200) if PICTURES < 2000 else (96, 64)
PAUSE = (0.5, 2.0) if PICTURES < 2000 else (2.0, 10.0)


def test_every_picture_is_one_row_whoever_is_killed(tmp_path: Path) -> None:
    need_ray()
    lance: Any = pytest.importorskip("lance", reason="needs the extra cluster")
    place = Path(FOLDER) if FOLDER else tmp_path
    pictures, out = place / "pictures", place / "out.lance"
    goes_on = out.exists()
    if not (pictures / "bad.jpg").exists():
        many_pictures(pictures, PICTURES, SIZE)
        (pictures / "bad.jpg").write_bytes(b"no picture")
    killed = embed_with_kills(
        str(pictures), str(out), "--ray", "local", "--batch", "16", "-m", "mobileclip2-nano",
        workers=WORKERS, drivers=DRIVERS, seed=int(time.time()), pause=PAUSE,
        minutes=MINUTES,
    )  # fmt: skip
    # Agents of a driver that was killed end when they have missed it for a while.
    assert left_behind(120) == []
    rows = lance.dataset(str(out)).to_table(columns=["path", "error", "sha256"])
    paths = rows["path"].to_pylist()
    errors = [error for error in rows["error"].to_pylist() if error is not None]
    sizes = [one for one in killed.megabytes if one]
    print(
        f"\n{len(paths):,} rows of {PICTURES + 1:,} pictures, "
        f"{len(paths) - len(set(paths))} twice; "
        f"{killed.workers} workers and {killed.drivers} drivers killed, {killed.starts} starts, "
        f"{killed.seconds:.0f} s; the driver's memory {min(sizes):.0f} to {max(sizes):.0f} MB; "
        f"{len(errors)} rows with an error\n"
        f"megabytes, in order: {' '.join(f'{size:.0f}' for size in sizes)}"
    )
    said = "".join(killed.said)
    assert "Traceback" not in said and "(raylet)" not in said
    assert goes_on or not killed.workers or "died: others get what they had in hand" in said
    assert len(paths) == len(set(paths))
    if killed.code == 130:
        pytest.skip(f"stopped after {MINUTES:g} minutes: the same GALAGO_FOLDER goes on")
    # One of them is no picture: told by the run that met it, which may have been killed.
    assert killed.code in (0, 1), killed.said[-1]
    assert sorted(paths) == sorted(str(path) for path in pictures.rglob("*.jpg"))
    assert len(errors) == 1, errors
    # Of what little another run has left, not all that was planned may be killed.
    assert goes_on or (killed.drivers == DRIVERS and killed.workers >= min(WORKERS, 1))
    assert len(set(rows["sha256"].to_pylist())) == min(50, PICTURES) + 1
