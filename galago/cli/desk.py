"""The album and the MobileCLIP that `galago serve` and `galago mcp` search with."""

from __future__ import annotations

import os
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from galago.cli import albums
from galago.cli.options import ClipOpening
from galago.cli.remember import own_source
from galago.cli.terminal import say
from galago.errors import GalagoError

if TYPE_CHECKING:
    from galago.album import Guide
    from galago.album.keeper import Keeper
    from galago.album.store import Head
    from galago.clip.mobileclip import MobileCLIP
    from galago.media.pool import PicturePool

__all__ = ["AlbumDesk"]

_AGAIN = 10.0  # seconds: opening may load a model, too much for every request that would fail


class AlbumDesk:
    """The album that was asked for, and a MobileCLIP.

    The album is opened when there is one to open, and again when another model has indexed it.
    """

    def __init__(
        self,
        name: str | None,
        clip: str | None,
        pool: PicturePool,
        *,
        threads: int | None,
        offline: bool,
        device: str | None = None,
        may_be_new: bool = False,
    ) -> None:
        """`pool` opens pictures to search by; `may_be_new`: a named album may be made yet.

        Raises GalagoError when the model, or an album that was named, can't be opened.
        """
        self.lock = threading.Lock()
        self._opening = threading.Lock()
        self._name = name
        self._needed = name is not None and not (may_be_new and self._is_empty())
        self._pool, self._device = pool, device
        self._threads, self._offline = threads, offline
        self._loaded: dict[str, MobileCLIP] = {}
        self._guide: Guide | None = None
        self._refusal: GalagoError | None = None
        self._refused_at = 0.0
        self.clip = self._load(albums.source_of(clip)) if clip else self._albums_own()
        self.source = next(where for where, one in self._loaded.items() if one is self.clip)
        if self._needed:
            self._guide = self._open()

    def keeper(self, keep: float | None, *, begun: bool = False) -> Keeper:
        """The album to keep what a camera sees in, made if there is none; as `open_keeper`.

        `begun`: another process has one already.
        """
        from galago.album.keeper import Keeper

        source = own_source(self.folder) or self.source
        return Keeper(
            self.folder,
            self._load(source),
            source,
            keep=keep,
            thumbnail=self._pool.thumbnail,
            model_lock=self.lock,
            report=say,
            begun=begun,
        )

    @property
    def folder(self) -> Path:
        """Of the album, made or not."""
        return albums.folder_of(self._name)

    def model(self, source: str) -> MobileCLIP:
        """The MobileCLIP that this opens, loaded once."""
        with self._opening:
            return self._load(source)

    @property
    def refusal(self) -> str | None:
        """Why the album could not be opened when that was last tried."""
        return None if self._refusal is None else str(self._refusal)

    def guide(self) -> Guide | None:
        """The album; None while there is none.  Raises GalagoError when it can't be opened."""
        with self._opening:
            if not self._is_current():
                self._guide = self._open_again() if self._exists() else None
            return self._guide

    def look_again(self) -> None:
        """The album has changed: what was wrong with it a moment ago may be wrong no more."""
        with self._opening:
            self._refusal = None

    def _is_current(self) -> bool:
        try:
            return self._guide is not None and self._guide.is_current()
        except GalagoError:  # opening it anew tells why
            return False

    def _open_again(self) -> Guide:
        """As _open; what went wrong a moment ago is raised again, without a further try."""
        if self._refusal is None or time.monotonic() - self._refused_at > _AGAIN:
            try:
                self._refusal = None
                return self._open()
            except GalagoError as error:
                self._refuse(error)
        assert self._refusal is not None
        self._guide = None
        raise self._refusal.with_traceback(None)

    def _refuse(self, error: GalagoError) -> None:
        self._refusal, self._refused_at = error, time.monotonic()

    def _exists(self) -> bool:
        from galago.album.names import DATABASE

        try:
            os.stat(albums.folder_of(self._name) / DATABASE)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # opening it tells what is wrong
            pass
        return True

    def _is_empty(self) -> bool:
        """Whether nothing is in the album yet, or there is none."""
        from galago.album import Store

        if not self._exists():
            return True
        with Store.open(albums.folder_of(self._name)) as store:
            return not store.steady(store.any_photo)

    def _albums_own(self) -> MobileCLIP:
        """The album's own model; the default where no album was named and none can be opened."""
        from galago.album import Searcher

        if self._needed or self._exists():
            try:
                with Searcher(albums.folder_of(self._name)) as searcher:
                    source = searcher.head.source
                return self._load(source)
            except GalagoError as error:
                if self._needed:
                    raise
                self._refuse(error)
        return self._load(ClipOpening().name())

    def _load(self, source: str) -> MobileCLIP:
        if source not in self._loaded:
            opening = ClipOpening(
                source, threads=self._threads, offline=self._offline, device=self._device
            )
            self._loaded[source] = opening.load(self._pool)
        return self._loaded[source]

    def _maker(self, head: Head) -> MobileCLIP:
        """The model that made an album, or what is now where that was."""
        if head.identity == self.clip.identity:
            return self.clip
        held = self._loaded.get(head.source)
        if held is not None and held.identity != head.identity:  # its files may be others by now
            del self._loaded[head.source]
        return self._load(head.source)

    def _open(self) -> Guide:
        from galago.album import Guide, Searcher

        folder = albums.folder_of(self._name)
        searcher = Searcher(folder)
        try:
            model = self._maker(searcher.head)
            searcher.check(model, searcher.head.source)
        except BaseException:
            searcher.close()
            raise
        guide = Guide(folder.name, searcher, model, self.lock)
        weakref.finalize(guide, searcher.close)  # when the last search in it has ended
        return guide
