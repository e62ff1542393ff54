"""An album becomes a table and a table an album, without a picture being encoded anew.

Both know a row by its path, so whichever is broken off goes on where it was.  An album has float16:
its vectors are in a table bit for bit, and a table's in an album if they are float16, else rounded.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from galago.album.contents import digest_of
from galago.album.embedder import Embedder
from galago.album.folders import excluded
from galago.album.present import opened
from galago.album.refusals import clear_errors
from galago.album.scan import within
from galago.album.seen import is_seen
from galago.album.store import Store, check_model, discard, empty, write_lock
from galago.album.texts import TextKind, text_of, write
from galago.album.write import Photo, Writer, begin
from galago.disk import file_sha256
from galago.errors import OptionError
from galago.scale.addresses import is_address
from galago.scale.known import Known
from galago.scale.reader import Reader, Record, exact_name
from galago.scale.rows import Batch, Made, Row
from galago.scale.table import Table

__all__ = ["Exported", "Imported", "export_album", "import_table"]

Report = Callable[[int], None]  # photos or rows that were gone over

_PAGE = 1024  # photos of an album at once
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_COLUMNS = [
    *("path", "path_bytes", "size", "modified", "sha256", "caption", "text"),
    *("captioner", "error"),
]


@dataclass
class Exported:
    """Counts of photos; `dated` and `read`: those whose date, and whose reader's name, stay
    behind."""

    new: int = 0
    known: int = 0  # rows already
    failed: int = 0  # of the new ones, rows with an error
    videos: int = 0  # left out: a table has pictures alone
    scenes: int = 0  # left out: what a camera saw is forgotten with its album
    dated: int = 0
    read: int = 0


@dataclass
class Imported:
    """Counts of rows; but for `new` and `known` they are left out."""

    new: int = 0
    known: int = 0  # in the album already
    failed: int = 0  # with an error
    elsewhere: int = 0  # of addresses, tars and tables: an album is of files
    missing: int = 0  # files that aren't there
    changed: int = 0  # ... or not as they were
    forgotten: int = 0  # in folders that were taken out of the album
    rounded: bool = False  # vectors, from float32


def export_album(folder: Path, table: Table, report: Report = lambda photos: None) -> Exported:
    """Make a row of each photo of an album that has none in the table yet.

    Raises OptionError for no album, nothing in it, and a table that holds something else;
    StorageError for what can't be read or written.
    """
    with Store.open(folder) as store, table.writing():
        head = store.steady(store.head)
        if head is None:
            raise OptionError(empty(folder.name))
        held = table.made.vectors if table.made is not None else "float16"
        table.begin(Made(head.model, head.identity, head.dim, held))
        known = Known(table.names())
        done = Exported()
        try:
            store.steady(lambda: _export(store, table, known, done, report))
        finally:
            table.flush()
        table.finish()
    return done


def _export(store: Store, table: Table, known: Known, done: Exported, report: Report) -> None:
    head = store.head()
    assert head is not None
    vectors, last, seen = store.rows(head), -1, 0
    while page := store.db.execute(
        "SELECT photos.rowid, path, size, mtime_ns, photos.row, error, vectors.hash, taken, "
        "frames.video FROM photos LEFT JOIN vectors ON vectors.row = photos.row "
        "LEFT JOIN frames ON frames.hash = vectors.hash "
        "WHERE photos.rowid > ? ORDER BY photos.rowid LIMIT ?",
        (last, _PAGE),
    ).fetchall():
        rows: list[Row] = []
        for _, path, size, mtime_ns, row, error, digest, taken, video in page:
            name = store.place(path)
            if is_seen(path):
                done.scenes += 1
            elif video is not None:
                done.videos += 1
            elif not known.meet(name):
                done.known += 1
            else:
                one = Row(name, size, mtime_ns // 1000 or None, error=error)
                if row is not None:
                    one.vector = vectors.take(np.array([row]))[0]
                    one.text = text_of(store, digest, "read")
                    one.caption = text_of(store, digest, "caption")
                rows.append(one)
                done.dated += bool(taken)
                done.read += bool(one.text)
                done.failed += error is not None
        table.add(Batch(rows))
        done.new += len(rows)
        last, seen = page[-1][0], seen + len(page)
        report(seen)


@dataclass
class _New:
    """What is to be recorded together: photos, and vectors and texts of new contents."""

    photos: list[Photo] = field(default_factory=list)
    vectors: dict[bytes, Any] = field(default_factory=dict)
    texts: list[tuple[bytes, TextKind, str, str | None]] = field(default_factory=list)


def import_table(
    reader: Reader,
    folder: Path,
    model: Embedder,
    source: str,
    report: Report = lambda rows: None,
    wait: Callable[[str], None] | None = None,
) -> Imported:
    """Take a table's pictures into an album, which is made if need be.

    A picture belongs to an album by its content, so its file is read (not encoded): it must be here
    as it was when the table was made.  `source` opens the model again.  Stopping loses the batch in
    hand.  Raises OptionError for another model, StorageError.
    """
    reader.check(model.name, model.identity, model.dim)
    done = Imported(rounded=reader.made.vectors != "float16")
    seen = 0
    with (
        clear_errors(folder),
        write_lock(folder, wait),
        _kept(folder) as store,
    ):
        head = store.head()
        if head is not None:
            check_model(store, head, model, source)
        writer: Writer | None = None
        try:
            out = excluded(store)
            for records in reader.rows(_COLUMNS):
                new = _New()
                for record in records:
                    _take(store, record, out, new, done)
                if new.photos:
                    if store.head() is None:
                        begin(store, model, source)
                    writer = writer or Writer(store)
                    _record(store, writer, new)
                    done.new += len(new.photos)
                seen += len(records)
                report(seen)
        finally:
            if writer is not None:
                writer.close()
    return done


@contextlib.contextmanager
def _kept(folder: Path) -> Iterator[Store]:
    """The album to write; one that got nothing is removed."""
    vain = False
    try:
        with Store.open(folder, write=True) as store:
            try:
                yield store
            finally:
                vain = store.head() is None and not store.folders()
    finally:
        if vain:
            discard(folder)


def _take(store: Store, record: Record, out: frozenset[str], new: _New, done: Imported) -> None:
    """A row as a photo of the album, or counted as what it is instead."""
    name = exact_name(record)
    path = os.fsdecode(name)
    if record["error"] is not None or record["vector"] is None:
        done.failed += 1
    elif is_address(path) or not os.path.isabs(path):
        done.elsewhere += 1
    elif out and within(path, out):
        done.forgotten += 1
    else:
        try:
            about = os.stat(path)
        except (OSError, ValueError):
            # A # may stand for what a file holds; there is no way to tell it from a file that went.
            done.elsewhere += b".tar#" in name or b".parquet#" in name
            done.missing += not (b".tar#" in name or b".parquet#" in name)
            return
        if not _unchanged(path, about, record):
            done.changed += 1
        elif _is_known(store, name, about):
            done.known += 1
        elif (digest := _digest(path)) is None:
            done.changed += 1
        else:
            _add(store, Photo(name, about.st_size, about.st_mtime_ns, digest,
                              ctime_ns=about.st_ctime_ns), record, new)  # fmt: skip


def _add(store: Store, photo: Photo, record: Record, new: _New) -> None:
    new.photos.append(photo)
    digest = photo.digest
    assert digest is not None
    if digest in new.vectors or store.row_of(digest) is not None:
        return
    new.vectors[digest] = record["vector"]
    reader = (record["captioner"] or "").rpartition(" ")[0] or None
    kinds: tuple[tuple[TextKind, str], ...] = (("read", "text"), ("caption", "caption"))
    for kind, column in kinds:
        if record[column] is not None:
            new.texts.append((digest, kind, record[column], reader))


def _record(store: Store, writer: Writer, new: _New) -> None:
    def texts() -> None:
        for digest, kind, text, reader in new.texts:
            write(store, digest, kind, text)
            store.db.execute(
                "UPDATE texts SET model = ? WHERE hash = ? AND kind = ?", (reader, digest, kind)
            )

    vectors = np.array(list(new.vectors.values()), np.float32).reshape(-1, writer.head.dim)
    writer.record(new.photos, list(new.vectors), vectors, also=texts)


def _unchanged(path: str, about: os.stat_result, record: Record) -> bool:
    """Whether a file is the one that the table's vector was made of."""
    if not stat.S_ISREG(about.st_mode) or record["size"] not in (None, about.st_size):
        return False
    if record["modified"] is not None:
        was = (record["modified"] - _EPOCH) // timedelta(microseconds=1)
        return bool(was == about.st_mtime_ns // 1000)
    with contextlib.suppress(OSError):
        return record["sha256"] is not None and file_sha256(Path(path)) == record["sha256"]
    return False


def _is_known(store: Store, name: bytes, about: os.stat_result) -> bool:
    found = store.db.execute(
        "SELECT size, mtime_ns FROM photos WHERE path = ? AND row IS NOT NULL", (name,)
    ).fetchone()
    return bool(found == (about.st_size, about.st_mtime_ns))


def _digest(path: str) -> bytes | None:
    """As a content is named in an album; None for what can't be read."""
    try:
        with opened(path) as file:
            return digest_of(file, path)
    except OSError:
        return None
