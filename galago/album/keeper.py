"""Scenes into an album while a camera runs: nobody waits, nothing is half, and old ones go.

The album's lock is held for each scene alone, so that others may index, search and forget
meanwhile.  While an index run holds it, scenes wait in memory.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from galago.album.embedder import Embedder
from galago.album.forgetting import Span, expire, forget_seen, forgotten, keep_of, set_keep
from galago.album.names import place_of
from galago.album.refusals import clear_errors
from galago.album.seen import Fresh, as_caption, make_folder, picture_of, record
from galago.album.store import Store, check_model, write_lock
from galago.album.write import Writer, begin
from galago.errors import ModelError, OptionError, StorageError
from galago.media import images
from galago.media.images import Source

__all__ = ["BusyError", "Keeper"]

_WAITING = 500  # scenes held at most while another writes: some 20 MB
_ROOM = 1 << 30  # bytes that a disk keeps free: a camera must not be what fills it
_SOON, _LATE = 60.0, 3600.0  # seconds between looks for what has grown old


class BusyError(StorageError):
    """Another process writes the album just now."""


@dataclass(frozen=True)
class _Waiting:
    """A scene on its way; `seen`: when, in seconds of the epoch."""

    fresh: Fresh
    seen: float


class Keeper:
    """Brings scenes into one album.  Safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        model: Embedder,
        source: str,
        *,
        keep: float | None = None,
        thumbnail: Callable[[Source, int], bytes] = images.thumbnail,
        model_lock: threading.Lock | None = None,
        report: Callable[[str], None] | None = None,
        begun: bool = False,
    ) -> None:
        """Makes the album if there is none, and forgets what has grown old.

        `begun`: another Keeper has done so, and nobody is waited for here.

        `source` is what opens the model again; `keep`: seconds that scenes stay from now on, as
        the album says by itself otherwise; `model_lock` is held while the model works; `report`
        hears when another process is waited for.  Raises OptionError when another model made the
        album, StorageError for what the disk refuses.
        """
        self.folder, self._model, self._source = folder, model, source
        self._thumbnail = thumbnail
        self._model_lock = model_lock or threading.Lock()
        self._one = threading.RLock()
        self._waiting: deque[_Waiting] = deque()
        self._store: Store | None = None
        self._place: tuple[int, int] | None = None
        self._looked = time.monotonic()
        if not begun:
            self._begin(keep, report)
        self.period = self._period()

    def _begin(self, keep: float | None, report: Callable[[str], None] | None) -> None:
        """The album as scenes need it.  Raises as the constructor."""
        with (
            clear_errors(self.folder),
            write_lock(self.folder, report),
            self._opened(begun=False) as store,
        ):
            if store.head() is None:
                begin(store, self._model, self._source)
            self._check(store)
            make_folder(self.folder)
            if keep is not None:
                set_keep(self.folder, keep)
            expire(store)

    def close(self, patience: float = 10.0) -> int:
        """Bring in what still waits, if that can be done in so many seconds; what was lost.

        Raises as `keep`.
        """
        until = time.monotonic() + patience
        with self._one:
            try:
                while self._waiting:
                    try:
                        self._flush()
                    except BusyError:
                        if time.monotonic() >= until:
                            break
                        time.sleep(0.1)
                return len(self._waiting)
            finally:
                if self._store is not None:
                    self._store.close()
                    self._store = None

    @property
    def kept_for(self) -> float | None:
        """Seconds that scenes stay; None: until they are forgotten.  StorageError as keep_of."""
        return keep_of(self.folder)

    @property
    def waiting(self) -> int:
        """How many scenes wait for another process to let the album go."""
        return len(self._waiting)

    def keep(
        self,
        image: Source,
        caption: str,
        when: datetime | None = None,
        seen: float | None = None,
    ) -> bool:
        """Keep a scene: the picture that the caption tells of, now unless `when` says otherwise.

        `seen`: when the camera saw it, in seconds of the epoch.  False when it waits for another
        process to let the album go; a later call brings it in, too.  Raises StorageError when it
        waits for the disk, OptionError when the album is now another model's, ImageError and
        ModelError when it can't be kept.
        """
        seen = time.time() if seen is None else seen
        when = datetime.fromtimestamp(seen) if when is None else when
        with clear_errors(self.folder):
            self._check_room()
        caption = as_caption(caption)
        picture = picture_of(image, caption, when, self._thumbnail)
        # Of the picture that is kept, so that indexing it again gives the same.
        pixel_values = self._model.prepare(picture)
        with self._model_lock:
            vector = self._model.embed_pixels(pixel_values[None])[0]
        fresh = Fresh(picture, caption, when, np.asarray(vector, np.float32))
        with self._one:
            if len(self._waiting) == _WAITING:
                self._waiting.popleft()
            self._waiting.append(_Waiting(fresh, seen))
            try:
                self._flush()
            except BusyError:
                return False
            return True

    def forget(self, last: float) -> int:
        """Forget what was seen in the last so many seconds; how many scenes.

        Raises BusyError when another process writes the album, StorageError.
        """
        span = Span(since=time.time() - last)
        with self._one:
            before = len(self._waiting)
            self._waiting = deque(one for one in self._waiting if not span.has(one.seen))
            dropped = before - len(self._waiting)
            with clear_errors(self.folder), self._locked(), self._opened() as store:
                return dropped + forget_seen(store, span)

    def _flush(self) -> None:
        """Bring in all that waits.  Raises as `keep`."""
        with clear_errors(self.folder), self._locked(), self._opened() as store:
            self._check(store)
            gone = forgotten(self.folder)
            with Writer(store) as writer:
                while self._waiting:
                    one = self._waiting[0]
                    try:
                        if not any(span.since <= one.seen <= span.until for span in gone):
                            record(store, writer, one.fresh)
                    except ModelError:  # its vector will be no better the next time
                        self._waiting.popleft()
                        raise
                    self._waiting.popleft()
            if time.monotonic() - self._looked >= self.period:
                self._looked = time.monotonic()
                expire(store, thorough=False)
                self.period = self._period()

    def _period(self) -> float:
        keep = keep_of(self.folder)
        return _LATE if keep is None else min(max(keep / 24, _SOON), _LATE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The album's lock, or BusyError at once."""
        with write_lock(self.folder, self._busy):
            yield

    def _busy(self, _: str) -> None:
        raise BusyError(
            f"another galago is indexing album {self.folder.name!r}; try again when it has ended"
        )

    @contextlib.contextmanager
    def _opened(self, *, begun: bool = True) -> Iterator[Store]:
        """The album's database, opened again when it is another one; under the lock.

        A connection that met an error is not used again.
        """
        place = place_of(self.folder)
        if self._store is not None and (place is None or place != self._place):
            self._store.close()
            self._store = None
        if self._store is None:
            if begun and place is None:
                raise OptionError(f"album {self.folder.name!r} has been deleted; start again")
            self._store = Store.open(self.folder, write=True)
            self._place = place_of(self.folder)
        try:
            yield self._store
        except BaseException:
            self._store.close()
            self._store = None
            raise

    def _check(self, store: Store) -> None:
        head = store.head()
        if head is None:
            raise OptionError(f"album {self.folder.name!r} has been deleted; start again")
        check_model(store, head, self._model, self._source)

    def _check_room(self) -> None:
        if shutil.disk_usage(self.folder).free < _ROOM:
            raise StorageError(
                f"the disk with {self.folder} has less than 1 GB left, and a camera must not fill "
                "it: make room, or forget older scenes (galago forget)"
            )
