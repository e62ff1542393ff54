"""`galago index --read`: which model reads the photos of an album, and what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from galago import catalog
from galago.cli.options import ClipOpening, Opening
from galago.cli.terminal import complain, say, shown, write

if TYPE_CHECKING:
    from galago.album import Transcribed
    from galago.cli.terminal import Bar
    from galago.media.pool import PicturePool
    from galago.vlm.reading import TextReader

__all__ = ["opened", "source_of", "tell"]

_NAMED = 5  # photos that can't be read, named one by one


def source_of(model: str) -> str:
    """What will open this FastVLM again; told before hours of indexing that there is none."""
    from galago.cli.albums import source_of
    from galago.hub.resolve import local, resolve, understand

    wanted = understand(model)
    if wanted.row is not None:
        catalog.check_kind(wanted.row.name, wanted.row.kind, "fastvlm")
    elif wanted.repository is None and local(wanted) is None:
        resolve(wanted)  # which says what is wrong with the name
    return source_of(model)


def opened(name: str, *, opening: ClipOpening, pool: PicturePool, bar: Bar) -> TextReader:
    """The model that reads, by its name or else the best that is here; what it can do is told."""
    from galago.vlm.reading import TextReader

    with bar.aside():
        own = Opening(name or None, threads=opening.threads, offline=opening.offline)
        model = own.load(pool=pool)
        row = catalog.find(model.name)
        if row is not None and row.name == model.name and row.embedded:
            say(
                f"reading with {model.name}, a small demonstration model: it reads a few large "
                "printed words and gets one letter in seven wrong; better: galago pull "
                "apple/FastVLM-0.5B, then galago index --fresh"
            )
        else:
            say(f"reading with {model.name}")
    return TextReader(model)


def tell(album: str, done: Transcribed) -> None:
    """The result in a line, and what went wrong."""
    from galago.album.kinds import counted
    from galago.album.names import option

    for path, reason in done.unread[:_NAMED]:
        complain(f"{shown(path)}: {reason}")
    if (more := len(done.unread) - _NAMED) > 0:
        complain(f"{counted(more, 'more photo')} can't be read; the next run tries again")
    if done.others:
        say(
            f"other photos were read by {', '.join(done.others)}; to read all of them with "
            f"{done.model}: galago index --fresh{option(album)}"
        )
    if done.read:
        each = done.seconds / done.read
        texts = f"{done.written:,} of them show text" if done.written else "none of them shows text"
        photos = counted(done.read, "photo")
        write(f"read by {done.model}: {photos}, {texts} ({each:.2g} s each)\n")
