"""Folders of pictures into an album: only what changed is looked at, and it can stop anywhere.

walk folders ─ compare with the album ─ read, hash, decode (threads, a few ahead)
    ─ encode (this thread, a batch at a time) ─ record (one transaction a batch)
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from galago.album.dates import fill_in
from galago.album.embedder import Embedder, Float
from galago.album.folders import excluded, known, remember, restore, to_walk
from galago.album.kinds import counted, kinds_told
from galago.album.patterns import understood
from galago.album.plan import Plan
from galago.album.present import opened
from galago.album.refusals import clear_errors
from galago.album.scan import SKIPPED, Found, Rules, Scan, as_roots
from galago.album.seen import SEEN, files, folder_of, is_seen, note, refuse_own
from galago.album.store import Store, check_model, content_hash, discard, write_lock
from galago.album.write import Photo, Writer, begin, finish_forgetting
from galago.errors import ImageError, MissingExtraError, OptionError, StorageError, UnopenedError
from galago.media.images import PICTURE_SUFFIXES, date_taken
from galago.media.limits import SETTING
from galago.progress import Stage

__all__ = ["IndexOptions", "Report", "Summary", "index"]

Report = Callable[[Stage, int, int], None]  # what is being done; how many are done; of how many

Kind = Literal["new", "known", "bad", "unread", "restless", "gone"]

_INDEXING, _LOOKING = Stage("indexing"), Stage("looking through folders")
_WAITING = Stage("waiting")
_LABEL = "the picture"
_MAX_BYTES = 1 << 29  # a larger picture file is a mistake, and would be held in memory
_NO_MEMORY = "there is too little memory to read it"
_PENDING = 200  # photos that need no encoding, before they are recorded
_RACY = 2_000_000_000  # ns: a file this young may change again without its time changing


@dataclass(frozen=True)
class IndexOptions:
    """`skip`: files and folders to leave out, as in .gitignore (galago/album/patterns.py).

    It and `hidden` are kept with the folders named, and hold until one is named again.
    `batch` pictures are encoded and recorded at once; `workers` threads read and decode, and stay
    at most two batches ahead.  `fresh` encodes everything again.
    """

    hidden: bool = False
    skip: tuple[str, ...] = SKIPPED
    batch: int = 16
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    fresh: bool = False


@dataclass
class Summary:
    """What a run found and did; counts of files."""

    photos: int = 0  # in the album afterwards
    seen: int = 0
    unchanged: int = 0
    noted: int = 0  # unchanged, too, but couldn't be read before
    encoded: int = 0
    known: int = 0  # moved, copied, or only their time changed: their vectors were there
    gone: int = 0
    others: int = 0  # files that are no pictures
    passed_over: dict[str, int] = field(default_factory=dict)  # suffixes of raw photos, videos …
    unmatched: list[str] = field(default_factory=list)  # what of `skip` left nothing out
    failed: list[tuple[str, str]] = field(default_factory=list)  # noted in the album
    unread: list[tuple[str, str]] = field(default_factory=list)  # not noted: tried again next time
    restless: list[str] = field(default_factory=list)  # changed while being read
    unreadable: dict[str, str] = field(default_factory=dict)  # folders
    seconds: float = 0.0  # of reading and encoding


@dataclass(frozen=True)
class _Outcome:
    """A file after reading.  "gone" and "restless" files are left for the next run."""

    kind: Kind
    photo: Photo
    pixels: Float | None = None


def index(
    folder: Path,
    folders: Sequence[str | os.PathLike[str]],
    model: Callable[[], Embedder],
    *,
    source: str | Callable[[str | None], str],
    options: IndexOptions | None = None,
    report: Report | None = None,
    give_up: Callable[[], None] | None = None,
    date_taken: Callable[[str], str] = date_taken,
    into: Summary | None = None,
) -> Summary:
    """Bring the album in `folder` up to date with the pictures under `folders`.

    Without folders, those indexed before.  `model` is called when something has to be encoded;
    `source` is what opens it again, or a function that chooses it, given the album's own (None for
    a new album), when nobody else can change that any more.  Stopping (Ctrl-C, a kill) loses at
    most the batch in hand; `give_up` is called then, to end what opens pictures for the model.
    `date_taken` tells of a path when that picture was taken, for photos that an older galago has
    indexed; a PicturePool's opens it elsewhere.
    `into` is the summary to fill, which others may look at as it grows.  What `report` raises ends
    the run; an exception that is no Exception does so as Ctrl-C does.

    Raises OptionError for a missing folder, another model, or nothing to index; ImageError when
    there is no picture; StorageError for what the disk refuses.
    """
    options = options or IndexOptions()
    tell = report or (lambda stage, done, total: None)
    if options.batch < 1 or options.workers < 1:
        raise OptionError("batch and workers must be 1 or more")
    named = as_roots(folders)
    with (
        clear_errors(folder),
        write_lock(
            folder,
            lambda wait: tell(Stage(wait, lasting=True), 0, 0),
            lambda: tell(_WAITING, 0, 0),
        ),
        _opened(folder) as store,
    ):
        if callable(source):
            head = store.head()
            source = source(head.source if head else None)
        run = _Run(store, model, source, options, tell, give_up or (lambda: None))
        run.summary = into if into is not None else run.summary
        summary = run.run(named)
        with _stopped(give_up or (lambda: None)):
            fill_in(store, date_taken, options.workers, tell)
        summary.photos = store.count()
    return summary


@contextmanager
def _opened(folder: Path) -> Iterator[Store]:
    """The album to write; one that was made for nothing is removed."""
    vain = False
    try:
        with Store.open(folder, write=True) as store:
            try:
                yield store
            except Exception:  # not Ctrl-C: what was asked for is kept, to be continued
                vain = store.head() is None and not store.folders()
                raise
    finally:
        if vain:
            discard(folder)


class _Run:
    """One run under the lock."""

    def __init__(
        self,
        store: Store,
        model: Callable[[], Embedder],
        source: str,
        options: IndexOptions,
        tell: Report,
        give_up: Callable[[], None],
    ) -> None:
        self._store, self._model, self._source = store, model, source
        self._options, self._tell, self._give_up = options, tell, give_up
        self.summary = Summary()
        self._compared: tuple[Sequence[str], Collection[str]] = ((), ())

    def run(self, named: tuple[str, ...]) -> Summary:
        store, summary, options = self._store, self.summary, self._options
        before = known(store), excluded(store)
        skip = understood(options.skip, named or tuple(before[0]))
        given = Rules(options.hidden, skip)
        folders, roots = to_walk(before[0], named, given, options.fresh)
        if not roots and not folder_of(store.folder).is_dir():
            raise OptionError("say which folder to index: galago index FOLDER")
        refuse_own(store, named)
        try:
            remember(store, folders, named)
            scan = Scan(roots, known=folders, excluded=excluded(store))
            plan, todo = self._plan(scan)
            summary.unmatched = [
                one for one in skip if one not in SKIPPED and one not in scan.matched
            ]
            model = self._opened(todo)
        except Exception:
            restore(store, *before)
            raise
        if options.fresh:
            todo, summary.gone = plan.compare(*self._compared)
        summary.noted = plan.noted()
        summary.unchanged = summary.seen - todo - summary.noted
        with Writer(store) as writer:
            if model is not None:
                self._tell(_INDEXING, 0, todo)
                start = time.monotonic()
                self._encode(plan, todo, model, writer)
                summary.seconds = time.monotonic() - start
            gone = plan.gone()
            writer.drop([path for path in gone if not is_seen(path)])
            writer.drop([path for path in gone if is_seen(path)], at_once=True)
            writer.compact()
        if any(map(is_seen, gone)):
            finish_forgetting(store)
        return summary

    def _plan(self, scan: Scan) -> tuple[Plan, int]:
        """Walk; what there is to do, and how much; ImageError when there is nothing at all."""
        summary, plan = self.summary, Plan(self._store)
        for count in plan.look(scan):
            self._tell(_LOOKING, count, 0)
        found = plan.seen()
        scenes, all_scenes = files(self._store.folder)
        for _ in plan.look(scenes):
            pass
        unreadable = scan.unreadable if all_scenes else {**scan.unreadable, SEEN: ""}
        self._compared = (*scan.roots, SEEN), unreadable
        todo, summary.gone = plan.compare(*self._compared)
        summary.seen, summary.others = plan.seen(), scan.others
        summary.unreadable, summary.passed_over = scan.unreadable, dict(scan.kinds)
        if scan.roots and not found and not summary.gone:
            raise ImageError(_nothing(scan))
        return plan, todo

    def _opened(self, todo: int) -> Embedder | None:
        """The album's model, which makes the album if there is none; None when it isn't needed."""
        head = self._store.head()
        if head is not None and head.source == self._source and not (todo or self._options.fresh):
            return None
        try:
            model = self._model()
        except OSError as error:  # not of the album's disk
            reason = error.strerror or error
            raise StorageError(f"the model {self._source} can't be read: {reason}") from error
        if head is None or self._options.fresh:
            self._tell(Stage("calibrating"), 0, 0)
            begin(self._store, model, self._source)
        else:
            check_model(self._store, head, model, self._source)
            if head.source != self._source:  # the same model at another place
                values = (model.name, self._source)
                self._store.db.execute("UPDATE head SET model = ?, source = ?", values)
        return model

    def _encode(self, plan: Plan, todo: int, model: Embedder, writer: Writer) -> None:
        """Read ahead in threads, encode here, record each batch."""
        photos: list[Photo] = []
        new: dict[bytes, Float] = {}
        done = 0

        def flush() -> None:
            vectors = model.embed_pixels(np.stack(list(new.values()))) if new else None
            kept = tuple(photos)
            writer.record(kept, list(new), vectors, lambda: note(self._store, kept))
            self.summary.encoded += len(new)
            self._tell(_INDEXING, done, todo)
            photos.clear()
            new.clear()

        ahead = 2 * self._options.batch + self._options.workers
        with (
            Store.open(self._store.folder) as seen,
            # Closed whatever happens, so that its threads end before their album does.
            closing(
                _read_ahead(plan.todo(), partial(_read, model, seen), self._options.workers, ahead)
            ) as outcomes,
            _stopped(self._give_up),
        ):
            for outcome in outcomes:
                done += 1
                self._note(outcome)
                if outcome.kind not in ("new", "known", "bad"):
                    continue
                photos.append(outcome.photo)
                digest = outcome.photo.digest
                if digest is not None and outcome.pixels is not None:
                    # A copy of it may have been recorded since it was read.
                    if digest in new or self._store.row_of(digest) is not None:
                        self.summary.known += 1
                    else:
                        new[digest] = outcome.pixels
                if len(new) == self._options.batch or len(photos) >= _PENDING:
                    flush()
            flush()

    def _note(self, outcome: _Outcome) -> None:
        summary, path = self.summary, os.fsdecode(self._store.place(outcome.photo.path))
        if outcome.kind in ("bad", "unread"):
            told = summary.failed if outcome.kind == "bad" else summary.unread
            told.append((path, outcome.photo.error or ""))
        elif outcome.kind == "restless":
            summary.restless.append(path)
        elif outcome.kind == "known":
            summary.known += 1


def _nothing(scan: Scan) -> str:
    where = ", ".join(scan.roots)
    if scan.unreadable:
        reasons = "; ".join(f"{path}: {reason}" for path, reason in scan.unreadable.items())
        return f"no picture could be found in {where}, as folders can't be read ({reasons})"
    others = f", only {counted(scan.others, 'other file')}" if scan.others else ""
    others += f": {kinds_told(scan.kinds)}" if scan.kinds else ""
    kinds = " ".join(sorted(suffix[1:] for suffix in PICTURE_SUFFIXES))
    return f"no picture ({kinds}) in {where}{others}"


@contextmanager
def _stopped(give_up: Callable[[], None]) -> Iterator[None]:
    """Calls it when the work inside is broken off, before anyone waits for threads to end."""
    try:
        yield
    except BaseException:
        give_up()
        raise


def _read_ahead(
    files: Iterator[Found], read: Callable[[Found], _Outcome], workers: int, ahead: int
) -> Generator[_Outcome, None, None]:
    """Outcomes in the order of the files; at most `ahead` are read and not yet taken."""
    waiting: deque[Future[_Outcome]] = deque()
    with ThreadPoolExecutor(workers, "galago-read") as pool:
        try:
            for file in files:
                waiting.append(pool.submit(read, file))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read(model: Embedder, seen: Store, file: Found) -> _Outcome:
    """Read, hash and, if the content is new, decode one file; runs in threads."""
    path = os.fsdecode(seen.place(file.path))
    photo = Photo(file.path, file.size, file.mtime_ns)
    try:
        with opened(path) as stream:
            before = os.fstat(stream.fileno())
            large = before.st_size > _MAX_BYTES
            data = b"" if large else stream.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return _Outcome("gone", photo)
    except OSError as error:  # a disk or a permission: to be tried again, so not recorded
        return _Outcome("unread", replace(photo, error=f"can't be read: {error.strerror}"))
    except MemoryError:
        return _Outcome("unread", replace(photo, error=_NO_MEMORY))
    # A file this young may change again without its time showing it: look at it next time too.
    young = abs(time.time_ns() - before.st_mtime_ns) < _RACY
    changed = None if young else before.st_ctime_ns
    photo = replace(photo, size=before.st_size, mtime_ns=before.st_mtime_ns, ctime_ns=changed)
    if large:
        return _Outcome("bad", replace(photo, error="larger than 512 MB"))
    photo = replace(photo, digest=content_hash(data).digest())
    whole = len(data) == before.st_size
    if whole and seen.row_of(photo.digest or b"") is not None:
        outcome = _Outcome("known", photo)
    else:
        # By its path, so that a pool's worker reads it from where it lies; see `_same` below.
        outcome = _prepared(model, photo, data if young else path)
    return outcome if whole and _same(path, before) else _Outcome("restless", photo)


def _prepared(model: Embedder, photo: Photo, source: bytes | str) -> _Outcome:
    try:
        pixels, taken = model.prepare_dated(source, name=_LABEL)
        return _Outcome("new", replace(photo, taken=taken), pixels)
    except MemoryError:
        return _Outcome("unread", replace(photo, digest=None, error=_NO_MEMORY))
    except ImageError as error:
        # By the next time an extra may have been installed, a limit raised, and a busy machine have
        # more of it.
        reason = str(error)
        again = isinstance(error, (MissingExtraError, UnopenedError)) or SETTING in reason
        kind: Kind = "unread" if again else "bad"
        # It is told after the picture's path.
        reason = reason.removeprefix(f"{_LABEL} ").removeprefix("is ")
        return _Outcome(kind, replace(photo, digest=None, error=reason))


def _same(path: str, before: os.stat_result) -> bool:
    """Whether what was hashed and what was decoded are one content, for all that times tell."""
    try:
        return _times(os.stat(path)) == _times(before)
    except OSError:
        return False


def _times(about: os.stat_result) -> tuple[int, int, int]:
    """What tells of a change; a picture may be edited with its old time set again."""
    return about.st_size, about.st_mtime_ns, about.st_ctime_ns
