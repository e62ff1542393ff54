"""The album's long work as a server does it: in its own processes, and never in anybody's way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from galago.cli.desk import AlbumDesk
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.album import Duplicates, Summary
    from galago.album.embedder import Float
    from galago.clip.mobileclip import MobileCLIP
    from galago.media.images import Source
    from galago.media.pool import PicturePool
    from galago.progress import Stage

__all__ = ["DeskIndexer", "desk_duplicates"]

_BATCH = 8  # pictures: whoever searches meanwhile waits for no more of them


def _workers() -> int:
    """Processes that open pictures: half of the computer stays with whoever uses it."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


class DeskIndexer:
    """Indexes the album of a desk: with its own model, or the desk's where there is none yet."""

    def __init__(self, desk: AlbumDesk) -> None:
        self._desk = desk

    def folders(self) -> list[str]:
        """Those of the album; none where there is no album."""
        from galago.album import Store

        try:
            with Store.open(self._desk.folder) as store:
                return sorted(store.steady(store.folders))
        except OptionError:  # there is none
            return []

    def run(self, folders: Sequence[str]) -> _Run:
        """A run over these; OptionError for what is no folder, or when there is none to look at."""
        from galago.album.scan import as_roots

        roots = as_roots(folders)
        if not roots and not self.folders():
            raise OptionError("the album has no folder yet: name one")
        return _Run(self._desk, roots)


class _Run:
    def __init__(self, desk: AlbumDesk, folders: Sequence[str]) -> None:
        from galago.album import Summary

        self.tally: Summary = Summary()
        self._desk, self._folders = desk, folders
        self._pool: PicturePool | None = None

    def go(self, report: Callable[[Stage, int, int], None]) -> None:
        from galago.album import IndexOptions, index
        from galago.media.pool import PicturePool

        desk, source = self._desk, self._desk.source

        def choose(own: str | None) -> str:
            nonlocal source
            source = own or source
            return source

        options = IndexOptions(batch=_BATCH, workers=_workers())
        with PicturePool(options.workers) as pool:
            self._pool = pool
            try:
                index(
                    desk.folder,
                    self._folders,
                    lambda: _Polite(desk.model(source), desk.lock, pool),
                    source=choose,
                    options=options,
                    report=report,
                    give_up=pool.close,
                    date_taken=pool.date_taken,
                    into=self.tally,
                )
            finally:
                desk.look_again()

    def give_up(self) -> None:
        if self._pool is not None:
            self._pool.close()


class _Polite:
    """A MobileCLIP that others may use between any two batches."""

    def __init__(self, model: MobileCLIP, lock: threading.Lock, pool: PicturePool) -> None:
        self._model, self._lock, self._pool = model, lock, pool
        self.name, self.identity, self.dim = model.name, model.identity, model.dim

    def prepare(self, picture: Source, *, name: str | None = None) -> Float:
        return self._model.prepare(picture, name=name, pool=self._pool)

    def prepare_dated(self, picture: Source, *, name: str | None = None) -> tuple[Float, str]:
        return self._model.prepare_dated(picture, name=name, pool=self._pool)

    def embed_pixels(self, pixel_values: Float) -> Float:
        with self._lock:
            return self._model.embed_pixels(pixel_values)

    def embed_texts(self, texts: Sequence[str]) -> Float:
        with self._lock:
            return self._model.embed_texts(texts)

    def strange(self, texts: Sequence[str], rows: Float) -> list[str]:
        return self._model.strange(texts, rows)

    def embed_phrases(self, texts: Sequence[str]) -> Float:
        with self._lock:
            return self._model.embed_phrases(texts)


def desk_duplicates(
    desk: AlbumDesk,
) -> Callable[[float, bool, Callable[[float], None]], Duplicates]:
    """`find_duplicates` in the album of a desk."""

    def find(threshold: float, alike: bool, report: Callable[[float], None]) -> Duplicates:
        from galago.album import find_duplicates
        from galago.media.pool import PicturePool

        with PicturePool(_workers()) as pool:
            return find_duplicates(
                desk.folder, threshold, report, alike=alike, load_grey=pool.load_grey
            )

    return find
