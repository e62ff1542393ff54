"""Where a benchmark's data sets lie on this machine, and which they are.

lmms-eval names data sets as the hub does, "owner/name". A folder of that name below the one that
it works in comes before the hub: so its own task files read local data as they are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from galago.errors import OptionError, StorageError
from galago.evaluate.vlm.tasks import Task
from galago.places import hub_cache

__all__ = ["DataSet", "find_data", "link_data", "missing_line"]


@dataclass(frozen=True)
class DataSet:
    """A data set's name and folder; `digest` names its files by their places, sizes and times."""

    name: str
    folder: Path
    digest: str


def find_data(name: str, folder: Path | None) -> DataSet | None:
    """A data set that is here: in `folder` as owner/name, without one in the cache of the hub's own
    client.

    OptionError for a folder that isn't there.
    """
    if folder is not None and not folder.is_dir():
        raise OptionError(f"--data {folder} is no folder")
    place = _in_cache(name) if folder is None else folder / name
    if place is None or not place.is_dir() or not any(place.iterdir()):
        return None
    return DataSet(name, place.resolve(), _digest(place))


def missing_line(task: Task, folder: Path | None) -> str:
    """What to do about a data set that isn't here, in a line."""
    here = "the hub's cache" if folder is None else str(folder)
    into = "" if folder is None else f" --local-dir {folder / task.data}"
    fetch = f"hf download {task.data} --repo-type dataset{into}"
    return f"{task.name} needs data of the hub that {here} hasn't: {fetch}"


def link_data(data: DataSet, folder: Path) -> None:
    """Have a data set below a folder, under its name.  StorageError where that can't be."""
    place = folder / data.name
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink():
            place.unlink()
        os.symlink(data.folder, place, target_is_directory=True)
    except OSError as error:
        hint = "; on Windows links need its developer mode" if os.name == "nt" else ""
        raise StorageError(f"{place} can't be made: {error.strerror}{hint}") from None


def _in_cache(name: str) -> Path | None:
    """The newest copy that the hub's own client has fetched."""
    home = hub_cache() / f"datasets--{name.replace('/', '--')}" / "snapshots"
    copies = [path for path in home.glob("*") if path.is_dir()]
    return max(copies, key=lambda path: path.stat().st_mtime, default=None)


def _digest(folder: Path) -> str:
    """Twelve letters for the files of a data set."""
    found = blake2b(repr(str(folder.resolve())).encode(), digest_size=6)
    for place, folders, files in os.walk(folder):
        # what the hub's client notes of its own work changes with every look
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            state = (Path(place) / name).stat()
            found.update(repr((place, name, state.st_size, state.st_mtime_ns)).encode())
    return found.hexdigest()
