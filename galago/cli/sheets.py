"""Pages with photos that a verb writes: where they go, and showing them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from galago.cli.terminal import say, shown
from galago.disk import whole_file
from galago.errors import OptionError, StorageError

__all__ = ["check_page", "write_page"]


def check_page(html: str | None) -> None:
    """OptionError for a page that would take a picture's or a folder's place."""
    from galago.media.images import PICTURE_SUFFIXES

    if html is None:
        return
    if os.path.splitext(html)[1].lower() in PICTURE_SUFFIXES:
        raise OptionError(f"--html {html} is the name of a picture: call the page something.html")
    if not html.strip() or os.path.isdir(os.path.expanduser(html)):
        raise OptionError(f"--html {html!r} is no file: call the page something.html")


def write_page(pieces: Iterable[str], html: str | None, view: bool) -> None:
    """Write the page as asked, or where it is only looked at; show it if that was asked for."""
    import webbrowser

    path = _page_path(html)
    try:
        with whole_file(path) as file:  # a full disk must not cut an older page
            for piece in pieces:
                file.write(piece.encode())
    except OSError as error:
        raise StorageError(f"the page can't be written to {path}: {error.strerror}") from error
    if view and not webbrowser.open(path.as_uri()):
        say(f"no browser could be opened; the page is {shown(str(path))}")


def _page_path(html: str | None) -> Path:
    """Where the page goes: as asked, else a new folder for this person's eyes only."""
    if html is not None:
        return Path(os.path.realpath(os.path.expanduser(html)))  # a link to a page stays one
    try:
        return Path(tempfile.mkdtemp(prefix="galago-")) / "found.html"
    except OSError as error:
        where = os.environ.get("TMPDIR") or "the folder for temporary files"
        with contextlib.suppress(OSError):
            where = tempfile.gettempdir()
        raise StorageError(f"the page can't be written to {where}: {error.strerror}") from error
