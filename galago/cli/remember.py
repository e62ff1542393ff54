"""What a camera saw into an album: the album opened for it, and what becomes of each scene told."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from galago import catalog, memory
from galago.cli.durations import length_told
from galago.cli.options import ClipOpening
from galago.cli.terminal import complain, say, shown
from galago.errors import GalagoError, OptionError

if TYPE_CHECKING:
    from PIL.Image import Image

    from galago.album.keeper import Keeper
    from galago.media.frames import Frame

__all__ = ["Memory", "introduce", "open_keeper", "own_source"]


def own_source(folder: Path) -> str | None:
    """What opens the model of an album; None while nothing is in it."""
    from galago.album import Store
    from galago.album.names import DATABASE

    if not (folder / DATABASE).is_file():
        return None
    with Store.open(folder) as store:
        head = store.steady(store.head)
    return head.source if head is not None else None


def open_keeper(folder: Path, keep: float | None, *, threads: int | None, offline: bool) -> Keeper:
    """An album to keep scenes in, with its own model, or the best that is here for a new one.

    Its model runs beside another one: OptionError where the memory doesn't hold both.
    """
    from PIL import Image

    from galago.album.keeper import Keeper

    source = own_source(folder) or ClipOpening().name()
    _check_memory(source)
    model = ClipOpening(source, threads=threads, offline=offline).load()
    keeper = Keeper(folder, model, source, keep=keep, report=say)
    # The first picture has the network compiled: before anybody waits for a caption.
    model.embed_pixels(model.prepare(Image.new("RGB", (64, 64)))[None])
    return keeper


def _check_memory(source: str) -> None:
    row, free = catalog.find(source), memory.available()
    if row is None or row.embedded or free is None or row.download <= free:
        return
    raise OptionError(
        f"{row.name} needs {row.download / 1e9:.1f} GB beside the model that captions, and "
        f"{free / 1e9:.1f} GB are free: caption with a smaller model (-m), or use another --album"
    )


def introduce(folder: Path) -> str:
    """The line that says what is kept of a camera, where, for how long, and how it goes."""
    from galago.album.forgetting import keep_of
    from galago.album.names import option
    from galago.album.seen import folder_of

    keep = keep_of(folder)
    how_long = f"for {length_told(keep)}" if keep is not None else "until you forget it"
    return (
        f"remembering: each new scene's picture, caption and time stay in "
        f"{shown(str(folder_of(folder)))} {how_long}; to forget: "
        f"galago forget --last 1h{option(folder.name)}"
    )


class Memory:
    """The scenes of one watch that are new; a context manager.

    What goes wrong is told once, and captions go on.
    """

    def __init__(self, keeper: Keeper, begun: datetime | None = None) -> None:
        """`begun`: the time of the first picture of a video file; of cameras it is now."""
        from galago.media.changes import ChangeDetector

        self.kept, self.seconds = 0, 0.0
        self._keeper, self._begun = keeper, begun
        self._still = ChangeDetector(max_age=math.inf)
        self._text: str | None = None
        self._trouble = ""
        self._given_up = False

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        if self._given_up:
            return
        try:
            if self._keeper.waiting:
                say("waiting for another galago that is writing the album; Ctrl-C leaves it out")
            lost = self._keeper.close()
        except GalagoError as error:
            complain(f"the last scenes are not kept: {error}")
        else:
            if lost:
                complain(f"{lost} scenes are not kept: another galago is still writing the album")

    def is_new(self, frame: Frame, text: str) -> bool:
        """Whether words or picture differ from those of the last scene that was new."""
        new = text != self._text or not self._still.unchanged(frame.grey(), frame.at)
        if new:
            self._text = text
            self._still.keep(frame.grey(), frame.at)
        return new

    def take(self, image: Image, text: str, at: float, seen: float) -> None:
        """Keep a scene: of this many seconds from the start, `seen` at this second of the epoch."""
        if self._given_up:
            return
        when = None if self._begun is None else self._begun + timedelta(seconds=at)
        started = time.perf_counter()
        try:
            if self._keeper.keep(image, text, when, seen):
                self._trouble = ""
            else:
                self._tell(
                    "busy", "another galago is indexing the album: scenes wait until it ends"
                )
            self.kept += 1
            self.seconds += time.perf_counter() - started
        except OptionError as error:
            self._given_up = True
            self._tell("over", f"nothing more is kept: {error}")
        except GalagoError as error:
            self._tell(type(error).__name__, f"the scene is not kept: {error}")

    def _tell(self, kind: str, line: str) -> None:
        if kind != self._trouble:
            self._trouble = kind
            complain(line)

    def figures(self) -> str:
        """For --stats."""
        each = 1000 * self.seconds / max(self.kept, 1)
        return f"{self.kept} scenes remembered, {each:.0f} ms each beside the caption"
