"""`galago search`: words or pictures in, photos out."""

from __future__ import annotations

import contextlib
import os
import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galago import catalog
from galago.cli import albums, options
from galago.cli.missing import missing
from galago.cli.options import ClipOpening
from galago.cli.terminal import path_fields, say, shown, write, write_record
from galago.disk import whole_file
from galago.errors import ImageError, OptionError, StorageError
from galago.text.languages import language_note
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Checked, Found, Guide
    from galago.clip.mobileclip import MobileCLIP

__all__ = ["search"]


@dataclass(frozen=True)
class _Asked:
    """One part of the query: words, or a picture's path."""

    text: str
    picture: bool
    wanted: bool = True


def search(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="WORDS", help="What the photos should show.")
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", help="At most so many photos.")] = 12,
    image: Annotated[
        list[str] | None,
        typer.Option(metavar="PICTURE", help="Find photos like this one (may be repeated)."),
    ] = None,
    plus: Annotated[
        list[str] | None,
        typer.Option(metavar="X", help="Also this: a picture or words (may be repeated)."),
    ] = None,
    minus: Annotated[
        list[str] | None,
        typer.Option(metavar="X", help="Rather not this: a picture or words (may be repeated)."),
    ] = None,
    show_all: Annotated[
        bool,
        typer.Option("--all", help="After the matches show the nearest photos that don't match."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a photo, on a line of its own.")
    ] = False,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with the photos to look at.")
    ] = None,
    view: Annotated[bool, typer.Option("--open", help="Open such a page in the browser.")] = False,
    album: albums.AlbumName = None,
    model: albums.ModelName = None,
    threads: options.Threads = None,
    offline: options.Offline = False,
) -> None:
    """Find photos by words, pictures, or both.

    Each line is a score and a path, best first. Photos that are merely the nearest are left out: a
    match must stand out from what the photo scores for other things, and above chance in this
    album. When nothing does, a line on stderr says so.

    \b
    Examples:
      galago search a dog on a beach
      galago search "a birthday cake" -k 50 --open
      galago search --image photo.jpg
      galago search beach --plus photo.jpg --minus people
      galago search sunset --json > sunsets.jsonl
    """
    from galago.album import Guide, Searcher

    _check_words(words or [])
    asked = _asked(" ".join(words or []), image or [], plus or [], minus or [])
    if k < 1:
        raise OptionError(f"-k {k} is not possible: ask for 1 or more")
    _check_page(html)
    folder = albums.folder_of(album)
    with Searcher(folder) as searcher:
        source = albums.source_of(model) if model is not None else searcher.head.source
        clip = ClipOpening(source, threads=threads, offline=offline).load()
        searcher.check(clip, source)
        notes = _notes(clip, asked)
        guide = Guide(folder.name, searcher, clip, threading.Lock())
        found = _hits(guide, asked, k, show_all)
    if strange := catalog.strange(guide.model, found.strange):
        say(f"note: {strange}")
        notes.append(strange)
    for hit in found:
        if as_json:
            write_record(_record(hit, notes))
        else:
            write(_line(hit) + "\n")
    if as_json and notes and not found:  # the reason, where there is no photo to stand beside
        write_record({"note": "; ".join(notes)})
    if as_json:
        albums.write_left_out(found.left_out)
    albums.say_left_out(found.left_out, folder)
    if not found:
        page = "; no page was written" if html is not None or view else ""
        say(f"no photo matches; --all shows the nearest all the same{page}")
    elif html is not None or view:
        _page(asked, found, html, view)


def _check_words(words: Sequence[str]) -> None:
    """OptionError for files where words are: what photos show is searched, not their names."""
    from galago.media.images import PICTURE_SUFFIXES

    for word in words:
        path = os.path.expanduser(word)
        if os.path.splitext(word)[1].lower() in PICTURE_SUFFIXES:
            raise OptionError(
                f"{word} is no word for what photos show; to find photos like that picture: "
                f"galago search --image {shlex.quote(word)}"
            )
        if os.sep in word and os.path.isdir(path):
            raise OptionError(
                f"{word} is a folder; galago index {shlex.quote(word)} makes it searchable"
            )


def _asked(words: str, images: list[str], plus: list[str], minus: list[str]) -> list[_Asked]:
    """The parts of the query; OptionError when there is nothing to look for."""
    asked = [_Asked(words, picture=False)] if words.strip() else []
    for path in images:
        if not os.path.exists(os.path.expanduser(path)):  # before a model is fetched for it
            raise ImageError(missing(path))
        asked.append(_Asked(path, picture=True))
    for wanted, values in ((True, plus), (False, minus)):
        for value in values:
            if not value.strip():
                raise OptionError(
                    f"--{'plus' if wanted else 'minus'} is empty: give words or a file"
                )
            asked.append(_Asked(value, _is_picture(value), wanted))
    if not any(part.wanted for part in asked):
        raise OptionError(
            'say what to look for: galago search "a dog on a beach", or --image photo.jpg'
        )
    return asked


def _is_picture(value: str) -> bool:
    """Whether a file is meant; ImageError for what can only be the name of one."""
    from galago.media.images import PICTURE_SUFFIXES

    if os.path.isfile(os.path.expanduser(value)):
        return True
    if os.path.splitext(value)[1].lower() in PICTURE_SUFFIXES:
        raise ImageError(missing(value))
    return False


def _notes(clip: MobileCLIP, asked: Sequence[_Asked]) -> list[str]:
    """What the model doesn't read of a query; said on stderr, too."""
    words = [part.text for part in asked if not part.picture]
    limit = clip.spec.text.context
    long = f"the model reads {limit} tokens of a query; the end of yours is left out"
    found = [None if all(map(clip.fits, words)) else long, language_note(words, clip.name)]
    notes = [note for note in found if note]
    for note in notes:
        say(f"note: {note}")
    return notes


def _hits(guide: Guide, asked: Sequence[_Asked], k: int, show_all: bool) -> Checked[Found]:
    """What the album has for all parts of the query."""

    def texts(wanted: bool) -> list[str]:
        return [part.text for part in asked if not part.picture and part.wanted == wanted]

    def pictures(wanted: bool) -> list[Path]:
        given = (part.text for part in asked if part.picture and part.wanted == wanted)
        return [Path(os.path.expanduser(path)) for path in given]

    return guide.find(
        texts(True),
        pictures(True),
        texts(False),
        k,
        minus_pictures=pictures(False),
        only_matches=not show_all,
    )


def _line(hit: Found) -> str:
    """A hit for people; files of one content share a line."""
    count = len(hit.copies)
    copies = f"  and {count:,} {'copy' if count == 1 else 'copies'}" if count else ""
    return f"{hit.score:.3f}  {shown(hit.path)}{copies}"


def _record(hit: Found, notes: Sequence[str]) -> dict[str, object]:
    record = {
        **path_fields(hit.path),
        "score": round(hit.score, 5),
        "strength": round(hit.strength, 3),
        "match": hit.match,
        "copies": [path_fields(path) for path in hit.copies],
    }
    return {**record, "note": "; ".join(notes)} if notes else record


def _page(asked: list[_Asked], hits: Checked[Found], html: str | None, view: bool) -> None:
    """Write the contact sheet, and show it if that was asked for."""
    import webbrowser

    from galago.album import contact_sheet
    from galago.media.pool import PicturePool

    title = " ".join(("+ " if part.wanted else "− ") + part.text for part in asked)
    title = visible(title.removeprefix("+ "))
    photos = ((hit.path, _line(hit)) for hit in hits)
    note = hits.left_out.sentence() if hits.left_out else ""
    path = _page_path(html)
    try:
        # A full disk must not cut an older page.
        with PicturePool(1) as pool, whole_file(path) as file:
            for piece in contact_sheet(title, photos, note, pool.thumbnail):
                file.write(piece.encode())
    except OSError as error:
        raise StorageError(f"the page can't be written to {path}: {error.strerror}") from error
    if view and not webbrowser.open(path.as_uri()):
        say(f"no browser could be opened; the page is {shown(str(path))}")


def _check_page(html: str | None) -> None:
    """OptionError for a page that would take a picture's or a folder's place."""
    from galago.media.images import PICTURE_SUFFIXES

    if html is None:
        return
    if os.path.splitext(html)[1].lower() in PICTURE_SUFFIXES:
        raise OptionError(f"--html {html} is the name of a picture: call the page something.html")
    if not html.strip() or os.path.isdir(os.path.expanduser(html)):
        raise OptionError(f"--html {html!r} is no file: call the page something.html")


def _page_path(html: str | None) -> Path:
    """Where the page goes: as asked, else a new folder for this person's eyes only."""
    import tempfile

    if html is not None:
        return Path(os.path.realpath(os.path.expanduser(html)))  # a link to a page stays one
    try:
        return Path(tempfile.mkdtemp(prefix="galago-")) / "found.html"
    except OSError as error:
        where = os.environ.get("TMPDIR") or "the folder for temporary files"
        with contextlib.suppress(OSError):
            where = tempfile.gettempdir()
        raise StorageError(f"the page can't be written to {where}: {error.strerror}") from error
