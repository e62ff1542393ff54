"""`python -m galago.train.nano.teach TEACHER SHARDS --out FOLDER --with PLACE`.

Asks a teacher about every picture of the shards and keeps what it says in FOLDER/TEACHER. The same
command goes on where it was stopped. TEACHER is "hands" or "text" (PLACE: the python of its
environment), "things" (PLACE: a folder with node_modules), or "counts", which needs no place: a
small network on the landmarks that "hands" found, taught with the shards whose fingers are known.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from rich.progress import track

from galago.errors import OptionError
from galago.train.nano.data.assets import samples
from galago.train.nano.teach.workers import (
    SCRIPTS,
    answers,
    command_of,
    place_of,
    read_rows,
)


def main() -> None:
    described = (__doc__ or "").split("\n\n", 1)[1]
    parser = argparse.ArgumentParser("python -m galago.train.nano.teach", description=described)
    parser.add_argument("teacher", choices=[*SCRIPTS, "counts"])
    parser.add_argument("shards", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="where the rows are kept")
    parser.add_argument("--with", dest="place", type=Path, help="the teacher's environment")
    parser.add_argument("--most", type=int, help="ask about so many pictures a shard")
    options = parser.parse_args()
    if options.teacher == "counts":
        from galago.train.nano.teach.counts import write_counts

        print(json.dumps(write_counts(options.out, options.shards), indent=1))
        return
    if options.place is None:
        raise OptionError("--with is missing: where this teacher's environment lies")
    for shard in options.shards:
        label(options.teacher, options.place, shard, options.out, options.most)


def label(teacher: str, place: Path, shard: Path, out: Path, most: int | None = None) -> int:
    """Ask about what has no row yet; how many pictures were asked about."""
    path = place_of(out, teacher, shard.stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    there = read_rows(out, teacher, shard.stem)
    # Whole rows only: a line that an interruption tore would spoil the one appended to it.
    whole = path.with_suffix(".part")
    whole.write_text("".join(json.dumps(row) + "\n" for row in there.values()), "utf-8")
    whole.replace(path)
    todo = [(info["key"], data) for info, data in samples(shard)][:most]
    todo = [(key, data) for key, data in todo if key not in there]
    if not todo:
        return 0
    command, folder = command_of(teacher, place)
    with open(path, "a", encoding="utf-8") as sink:
        for row in _told(answers(command, todo, folder), f"{teacher}: {shard.stem}", len(todo)):
            sink.write(json.dumps(row) + "\n")
    return len(todo)


def _told(rows: Iterator[dict[str, object]], what: str, count: int) -> Iterator[dict[str, object]]:
    return iter(track(rows, description=what, total=count))


if __name__ == "__main__":
    main()
