"""Folders of pictures into an album: only what changed is looked at, and it can stop anywhere.

walk folders ─ compare with the album ─ read, hash, decode (threads, a few ahead)
    ─ encode (this thread, a batch at a time) ─ record (one transaction a batch)
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from galago.album.contents import is_video
from galago.album.dates import fill_in
from galago.album.embedder import Embedder, Float
from galago.album.folders import excluded, known, remember, restore, to_walk
from galago.album.kinds import counted, kinds_told, wanted
from galago.album.patterns import understood
from galago.album.plan import Plan
from galago.album.reading import OpenVideo, Outcome, read, read_ahead
from galago.album.refusals import clear_errors
from galago.album.scan import SKIPPED, Rules, Scan, as_roots
from galago.album.seen import SEEN, files, folder_of, is_seen, note, refuse_own
from galago.album.store import Moment, Store, check_model, discard, write_lock
from galago.album.transcripts import Reader, Transcribed, transcribe, waiting
from galago.album.wishes import unwish, wish, wished
from galago.album.write import Photo, Writer, begin, finish_forgetting
from galago.errors import ImageError, OptionError, StorageError
from galago.media.images import date_taken
from galago.media.stills import stills
from galago.progress import Stage

__all__ = ["IndexOptions", "Report", "Summary", "index"]

Report = Callable[[Stage, int, int], None]  # what is being done; how many are done; of how many

_INDEXING, _LOOKING = Stage("indexing"), Stage("looking through folders")
_WAITING = Stage("waiting")
_PENDING = 200  # photos that need no encoding, before they are recorded


@dataclass(frozen=True)
class IndexOptions:
    """`skip`: files and folders to leave out, as in .gitignore (galago/album/patterns.py).

    It and `hidden` are kept with the folders named, and hold until one is named again.
    `batch` pictures are encoded and recorded at once; `workers` threads read and decode, and stay
    at most two batches ahead.  `fresh` encodes everything again.
    `read`: whether what stands written in photos is read from now on, None for as before; `reader`:
    the model that does, '' for the best that is here.  `videos`: whether videos are looked at from
    now on, by a few pictures each, if there is what opens them; None for as before, at first yes.
    `away`: folders of the album that are not looked into this time.
    """

    hidden: bool = False
    skip: tuple[str, ...] = SKIPPED
    batch: int = 16
    workers: int = field(default_factory=lambda: min(8, os.cpu_count() or 1))
    fresh: bool = False
    read: bool | None = None
    reader: str = ""
    videos: bool | None = None
    away: frozenset[str] = frozenset()


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
    transcribed: Transcribed | None = None  # when photos were to be read, and there were any


def index(
    folder: Path,
    folders: Sequence[str | os.PathLike[str]],
    model: Callable[[], Embedder],
    *,
    source: str | Callable[[str | None], str],
    options: IndexOptions | None = None,
    report: Report | None = None,
    give_up: Callable[[], None] | None = None,
    reader: Callable[[str], Reader] | None = None,
    open_video: OpenVideo = stills,
    date_taken: Callable[[str], str] = date_taken,
    into: Summary | None = None,
) -> Summary:
    """Bring the album in `folder` up to date with the pictures under `folders`.

    Without folders, those indexed before.  `model` is called when something has to be encoded;
    `source` is what opens it again, or a function that chooses it, given the album's own (None for
    a new album), when nobody else can change that any more.  Stopping (Ctrl-C, a kill) loses at
    most the batch in hand; `give_up` is called then, to end what opens pictures for the model.
    `reader` opens what reads photos, by the name that was asked for ('': the best that is here);
    `open_video` gives a few pictures of a video's path (PicturePool.stills), `date_taken` the time
    at which a photo of an older galago's album was taken (PicturePool.date_taken).
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
        run = _Run(store, model, source, options, tell, give_up or (lambda: None), open_video)
        run.summary = into if into is not None else run.summary
        summary = run.run(named)
        with _stopped(give_up or (lambda: None)):
            fill_in(store, date_taken, options.workers, tell)
        summary.photos = store.count()
        if reader is not None:
            summary.transcribed = run.read(reader)
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
        open_video: OpenVideo,
    ) -> None:
        self._store, self._model, self._source = store, model, source
        self._options, self._tell, self._give_up = options, tell, give_up
        self._open_video = open_video
        self._roots: tuple[str, ...] = ()
        self._compared: tuple[Sequence[str], Collection[str]] = ((), ())
        self.summary = Summary()

    def run(self, named: tuple[str, ...]) -> Summary:
        store, summary, options = self._store, self.summary, self._options
        before = known(store), excluded(store)
        skip = understood(options.skip, named or tuple(before[0]))
        given = Rules(options.hidden, skip)
        folders, roots = to_walk(before[0], named, given, options.fresh)
        roots = tuple(root for root in roots if root not in options.away)
        if not roots and not folder_of(store.folder).is_dir():
            raise OptionError("say which folder to index: galago index FOLDER")
        refuse_own(store, named)
        try:
            remember(store, folders, named)
            scan = Scan(
                roots,
                known=folders,
                excluded=excluded(store),
                suffixes=wanted(videos=self._videos()),
            )
            plan, todo = self._plan(scan)
            summary.unmatched = [
                one for one in skip if one not in SKIPPED and one not in scan.matched
            ]
            model = self._opened(todo)
        except Exception:
            restore(store, *before)
            raise
        self._roots = roots
        self._wish()
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

    def read(self, reader: Callable[[str], Reader]) -> Transcribed | None:
        """After the vectors: what is written in photos, if that was ever asked for."""
        wanted = wished(self._store, "read")
        count = 0 if wanted is None else waiting(self._store, self._roots)
        if wanted is None or not count:
            return None
        with _stopped(self._give_up):
            return transcribe(self._store, self._roots, reader(wanted), self._tell, count)

    def _wish(self) -> None:
        """Keep what holds for later runs, too."""
        if self._options.read:
            wish(self._store, "read", self._options.reader)
        elif self._options.read is not None:
            unwish(self._store, "read")
        if self._options.videos is not None:
            wish(self._store, "videos", "yes" if self._options.videos else "no")

    def _videos(self) -> bool:
        if self._options.videos is not None:
            return self._options.videos
        return wished(self._store, "videos") != "no"

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
        moments: list[Moment] = []
        done = 0

        def flush() -> None:
            vectors = model.embed_pixels(np.stack(list(new.values()))) if new else None
            kept = tuple(photos)
            scenes = partial(note, self._store, kept)
            writer.record(kept, list(new), vectors, moments=moments, also=scenes)
            # A video counts once.
            self.summary.encoded += len(new) - sum(one.digest != one.video for one in moments)
            self._tell(_INDEXING, done, todo)
            for gathered in (photos, new, moments):
                gathered.clear()

        with (
            Store.open(self._store.folder) as seen,
            # Closed whatever happens, so that its threads end before their album does.
            closing(self._outcomes(plan, model, seen)) as outcomes,
            _stopped(self._give_up),
        ):
            for outcome in outcomes:
                done += 1
                self._note(outcome)
                if outcome.kind not in ("new", "known", "bad"):
                    continue
                photos.append(outcome.photo)
                digest = outcome.photo.digest
                if digest is not None and outcome.kind == "new":
                    # A copy of it may have been recorded since it was read.
                    if digest in new or self._store.row_of(digest) is not None:
                        self.summary.known += 1
                    elif outcome.pixels is not None:
                        new[digest] = outcome.pixels
                    else:
                        new |= {moment.digest: pixels for moment, pixels in outcome.moments}
                        moments += [moment for moment, _ in outcome.moments]
                if len(new) >= self._options.batch or len(photos) >= _PENDING:
                    flush()
            flush()

    def _outcomes(self, plan: Plan, model: Embedder, seen: Store) -> Generator[Outcome, None, None]:
        """Photos first, then videos, of which few are held: each has several pictures."""
        workers = self._options.workers
        look = partial(read, model, self._open_video, seen)
        for videos, ahead in ((False, 2 * self._options.batch + workers), (True, workers + 1)):
            files = (file for file in plan.todo() if is_video(file.path) is videos)
            with closing(read_ahead(files, look, workers, ahead)) as some:
                yield from some

    def _note(self, outcome: Outcome) -> None:
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
    kinds = " ".join(sorted(suffix[1:] for suffix in scan.suffixes))
    return f"no picture ({kinds}) in {where}{others}"


@contextmanager
def _stopped(give_up: Callable[[], None]) -> Iterator[None]:
    """Calls it when the work inside is broken off, before anyone waits for threads to end."""
    try:
        yield
    except BaseException:
        give_up()
        raise
