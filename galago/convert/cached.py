"""What lies in galago's cache, thing by thing, and how it is removed.

A thing is a converted model, a fetched one, or a folder of what galago remembers (compiled graphs,
vectors of texts, the benchmark's rows). Some of it is made again when it is needed, in seconds or
minutes; the rest would have to be fetched or measured again, and goes only when it is named.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from galago import catalog
from galago.convert.folder import FORMAT
from galago.convert.store import Entry, entry_in
from galago.disk import ABANDONED, discard_folder
from galago.errors import StorageError
from galago.hub.fetched import only_one
from galago.hub.resolve import Wanted, local
from galago.places import cache_dir, slug
from galago.progress import Stage

__all__ = ["Thing", "elsewhere", "remove", "size_of", "things"]

_OF_MODELS = ("converted", "fetched")  # a folder a thing; the others are a folder of files
_REMADE = {"devices", "graphs", "phrases", "tables", "told"}
_ABOUT = {
    "devices": "whether they agree with the CPU, compared again at the next start",
    "graphs": "compiled for this processor, made again at the next start",
    "phrases": "vectors of labels and of an album's calibration, made again",
    "tables": "where a match begins in tables of galago embed, gone over again",
    "told": "suggestions that were made once",
    "bench": "models and finished rows of galago bench",
    "evaluate": "answers of galago evaluate, asked again when they are needed",
}


@dataclass(frozen=True)
class Thing:
    """Something in the cache. `what`: its kind; `model`: whose it is, if it is a model's.

    `remade`: galago makes it again without fetching anything, if it is needed at all. `size`: bytes
    of its files; what links lead to doesn't count.
    """

    what: str
    place: Path
    size: int
    about: str
    model: str | None = None
    remade: bool = False


def things() -> list[Thing]:
    """All that is there, models first; StorageError where no home folder is known."""
    return [*_converted(), *_fetched(), *_remembered()]


def elsewhere() -> list[Thing]:
    """Models of the catalogue that galago reads from the cache of the hub's own client.

    Other programs use them as well: they are not galago's to remove.
    """
    found = []
    for row in catalog.MODELS:
        here = None if row.embedded else local(row.name)
        if here is None or here.folder.is_relative_to(cache_dir()):
            continue
        place = here.folder.parent.parent  # models--owner--name/snapshots/revision
        found.append(Thing("hub", place, size_of(place), "shared with other programs", row.name))
    return found


def remove(thing: Thing) -> None:
    """Take it off the disk; a process that has it open goes on with what it has.

    StorageError for what another galago is preparing right now, and for what the disk refuses.
    """

    def busy(stage: Stage, share: float) -> None:
        raise StorageError(f"another galago is preparing {thing.model}: try again when it is done")

    lock: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
    if thing.model is not None:
        lock = only_one(Wanted(thing.model, catalog.find(thing.model)), busy)
    try:
        with lock:
            whole = thing.what in _OF_MODELS
            for place in [thing.place] if whole else _inside(thing.place):
                if place.is_dir() and not place.is_symlink():
                    discard_folder(place, strict=True)
                else:
                    place.unlink(missing_ok=True)
    except OSError as error:
        where = error.filename or thing.place
        raise StorageError(f"{where} can't be removed: {error.strerror or error}") from error


def size_of(place: Path) -> int:
    """Bytes of a file, or of those in a folder and the folders in it; links count as nothing."""
    within = () if place.is_symlink() else os.walk(place)
    files = [Path(folder, name) for folder, _, names in within for name in names]
    total = 0
    for path in files or [place]:
        with contextlib.suppress(OSError):  # gone meanwhile
            state = path.lstat()
            total += state.st_size if stat.S_ISREG(state.st_mode) else 0
    return total


def _converted() -> Iterator[Thing]:
    for folder in _folders(cache_dir() / "converted"):
        entry = entry_in(folder)
        if folder.name.startswith("."):
            if _is_left(folder):
                yield _thing(folder, "left of what was stopped, not used", remade=True)
        elif entry is None:
            yield _thing(folder, "damaged, not used", remade=True)
        elif entry.format != FORMAT:
            yield _thing(folder, "of another version of galago, not used", entry, remade=True)
        else:
            again = _has_source(entry)
            about = "made again from what was fetched" if again else "its source is gone"
            yield _thing(folder, f"{entry.precision}, {about}", entry, remade=again)


def _thing(folder: Path, about: str, entry: Entry | None = None, *, remade: bool) -> Thing:
    model = entry.name if entry else None
    return Thing("converted", folder, size_of(folder), about, model, remade)


def _has_source(entry: Entry) -> bool:
    if path := entry.identity.get("path"):
        return os.path.isdir(str(path))
    row = catalog.find(entry.name)
    return local(Wanted(entry.name, row, repository=row.repo if row else entry.name)) is not None


def _fetched() -> Iterator[Thing]:
    by_folder = {slug(row.repo): row for row in catalog.MODELS if row.repo}
    for folder in _folders(cache_dir() / "sources"):
        if folder.name.startswith("."):
            left = "left of what was stopped, not used"
            yield Thing("fetched", folder, size_of(folder), left, remade=True)
            continue
        row = by_folder.get(folder.name)
        name = row.name if row else folder.name.replace("--", "/", 1)
        whole = local(Wanted(name, row, repository=row.repo if row else name)) is not None
        about = "would be fetched again" if whole else "not whole: galago pull goes on with it"
        yield Thing("fetched", folder, size_of(folder), about, name)


def _remembered() -> Iterator[Thing]:
    for folder in _folders(cache_dir()):
        if folder.name in ("converted", "sources", "locks") or not (inside := _inside(folder)):
            continue
        size = sum(map(size_of, inside))
        about = _ABOUT.get(folder.name, "")
        yield Thing(folder.name, folder, size, about, remade=folder.name in _REMADE)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.glob("*") if path.is_dir())


def _inside(folder: Path) -> list[Path]:
    """What is in it, but for what another process may be writing."""
    return [path for path in folder.glob("*") if path.suffix != ".part" or _is_left(path)]


def _is_left(path: Path) -> bool:
    """Whether it is what a stopped process left, and not what one is writing."""
    try:
        return path.name.endswith(".old.part") or time.time() - path.stat().st_mtime > ABANDONED
    except OSError:
        return False
