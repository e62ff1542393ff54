"""Fine-tunings of seconds: rows about two colours, taught to a tiny model."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from galago.hub.resolve import resolve
from galago.rows.rows import PhotoFile, Row, Turn
from galago.train.tune.finetune import Job, Tuned, finetune
from galago.train.tune.log import read_log
from galago.train.tune.options import TuneOptions

__all__ = ["QUICK", "losses", "rows_in", "tune"]

QUICK = TuneOptions(epochs=2, rate=5e-3, measured=1, rank=4)
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40)}


def rows_in(folder: Path, each: int = 4) -> list[Row]:
    found = []
    for colour, value in COLOURS.items():
        (folder / colour).mkdir(parents=True, exist_ok=True)
        for number in range(each):
            path = folder / colour / f"{number}.png"
            Image.new("RGB", (60 + number, 50), value).save(path)
            turn = Turn("What colour?", colour)
            found.append(Row((PhotoFile(path.name, str(path)),), (turn,), f"rows:{len(found)}"))
    return found


def tune(base: Path, out: Path, options: TuneOptions, rows: list[Row], **more: object) -> Tuned:
    held = rows[:2] if len(rows) > 2 else []
    job = Job(resolve(base), rows[len(held) :], held, out, options, "colours", **more)  # type: ignore[arg-type]
    made = finetune(job)
    assert made is not None
    return made


def losses(out: Path) -> list[float]:
    """Of each step, from a made folder or one of work."""
    return [line["loss"] for line in read_log(out) if "loss" in line]
