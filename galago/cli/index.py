"""`galago index`: folders of pictures into an album."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from galago.cli import albums, following, options, reading
from galago.cli.options import ClipOpening
from galago.cli.terminal import Bar, complain, say, shown, write
from galago.errors import OptionError
from galago.progress import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from galago.album import IndexOptions, Summary
    from galago.clip.mobileclip import MobileCLIP

__all__ = ["index"]

_NAMED = 5  # files that can't be read, named one by one


def index(
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="FOLDER", help="Folders; those indexed before when none is named."),
    ] = None,
    album: albums.AlbumName = None,
    model: albums.ModelName = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Encode everything again, as for another model.")
    ] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X",
            help="Leave out files and folders: a name, a path or a glob, as in .gitignore (may be "
            "repeated).",
        ),
    ] = None,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Look at hidden files and folders too.")
    ] = False,
    videos: Annotated[
        bool | None,
        typer.Option(
            "--videos/--no-videos",
            help="Videos, too, by up to eight pictures each: on unless the album was told "
            "otherwise.",
        ),
    ] = None,
    read: Annotated[
        bool | None,
        typer.Option(
            "--read/--no-read",
            help="Also read what is written in the photos, so that it is found; later runs go on "
            "with new ones until --no-read.",
        ),
    ] = None,
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Read with this FastVLM (implies --read); the best that is here by default.",
            autocompletion=options.complete_fastvlm,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Stay, and index what changes, until Ctrl-C."),
    ] = False,
    precision: options.ClipPrecision = "auto",
    threads: options.Threads = None,
    device: options.Device = None,
    offline: options.Offline = False,
) -> None:
    """Index folders of pictures, to be searched.

    Run again, it looks only at what is new, changed or gone. It may be stopped at any time: the
    same command continues (after --fresh without it). Wastebaskets, caches of programs and folders
    with a file .nomedia are left out; --skip and --hidden are kept with the folders until those
    are named again, and with no folder named are added to what each has. Exit code 1 when some new
    or changed files can't be read, 2 when the album has no photo because none can.

    \b
    Examples:
      galago index ~/Pictures
      galago index
      galago index /mnt/disk/photos --album disk --skip "*_small.jpg" --skip private/
      galago index --read
      galago index --watch
      galago index --fresh -m MobileCLIP2-S0
    """
    from galago.album import IndexOptions
    from galago.album.following import import_watchfiles
    from galago.album.names import option

    folder = albums.folder_of(album)
    source = None if model is None else albums.source_of(model)
    opening = ClipOpening(source, precision, threads, offline, device)
    if reader is not None and read is False:
        raise OptionError("--reader MODEL and --no-read contradict each other")
    if watch:
        import_watchfiles()
    progress = _Progress()
    try:
        chosen = IndexOptions(fresh=fresh, hidden=hidden, read=True if reader else read)
        chosen = replace(chosen, skip=(*chosen.skip, *(skip or ())))
        chosen = replace(chosen, videos=videos, reader=reading.source_of(reader) if reader else "")
        summary = _run(folder, folders or [], source, opening, progress, chosen)
        if watch:
            _tell(folder.name, summary, fresh)
            following.keep_up(
                folder,
                folders or [],
                lambda changed: _run(folder, [], source, opening, progress, changed),
                partial(_tell_change, folder.name),
            )
    except KeyboardInterrupt:
        command = "the same command"
        if fresh and progress.begun:  # which would begin anew
            command = f"galago index{option(folder.name)}"
            command += f" -m {shlex.quote(model)}" if model is not None else ""
        if progress.begun or not watch:  # else nothing was at work
            say(f"stopped: {progress.kept()} {command} continues")
        raise typer.Exit(130) from None
    _tell(folder.name, summary, fresh)
    bad = summary.failed or summary.unread
    if bad and not summary.photos:
        raise typer.Exit(2)
    raise typer.Exit(1 if bad or summary.unreadable else 0)


def _run(
    folder: Path,
    folders: list[str],
    source: str | None,
    opening: ClipOpening,
    progress: _Progress,
    chosen: IndexOptions,
) -> Summary:
    """Index; without a source by the album's own model, or the one of `opening` for a new album."""
    from galago.album import index as index_folders
    from galago.media.pool import PicturePool

    def choose(own: str | None) -> str:
        nonlocal opening
        name = own or opening.name()
        opening = replace(opening, model=name)
        return name

    with PicturePool(chosen.workers) as pool, Bar(None, rate=True) as bar:
        progress.bar = bar

        def load() -> MobileCLIP:
            with bar.aside():
                return opening.load(pool.warm())

        summary = index_folders(
            folder,
            folders,
            load,
            source=source or choose,
            options=chosen,
            report=progress,
            give_up=pool.close,
            date_taken=pool.date_taken,
            open_video=pool.stills,
            reader=partial(reading.opened, opening=opening, pool=pool, bar=bar),
        )
    progress.clear()
    return summary


class _Progress:
    """Shows what the indexer reports, and remembers how far it came."""

    def __init__(self) -> None:
        self.bar: Bar | None = None
        self.clear()

    def clear(self) -> None:
        """Nothing is at work."""
        self.done = self.total = 0
        self.read = self.to_read = 0
        self.begun = False

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        from galago.album.dates import DATING

        assert self.bar is not None
        if stage.lasting:
            with self.bar.aside():
                say(stage)
            return
        if stage in ("indexing", DATING):
            self.done, self.total, self.begun = done, total, True
        elif stage == "reading":
            self.read, self.to_read, self.begun = done, total, True
        self.bar.update(stage, done, total or None)

    def kept(self) -> str:
        if self.to_read:
            return f"{self.read:,} of {self.to_read:,} photos are read and kept;"
        if not self.total:
            return "nothing was begun;"
        return f"{self.done:,} of {self.total:,} files are done and kept;"


def _tell_change(name: str, summary: Summary) -> None:
    """The same of a run that --watch brought about; nothing when it found nothing."""
    changed = summary.encoded, summary.known, summary.gone, summary.failed, summary.unread
    if any(changed) or summary.transcribed is not None:
        _tell(name, replace(summary, passed_over={}, unmatched=[]), fresh=False)


def _tell(name: str, summary: Summary, fresh: bool) -> None:
    """The result in a line, and what went wrong."""
    from galago.album.kinds import counted, kinds_told, remedy
    from galago.album.names import option

    for path, reason in summary.failed[:_NAMED]:
        complain(f"{shown(path)}: {reason}")
    if (more := len(summary.failed) - _NAMED) > 0:
        complain(f"{counted(more, 'more file')} can't be read: galago album --failed{option(name)}")
    reasons: dict[str, list[str]] = {}
    for path, reason in summary.unread:
        reasons.setdefault(reason, []).append(path)
    for reason, paths in reasons.items():
        others = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        complain(f"{shown(paths[0])}{others}: {reason}")
    for path, reason in summary.unreadable.items():
        now = "are not in the album" if fresh else "stay as they were"
        complain(f"{shown(path)} can't be looked into ({reason}); its photos {now}")
    if summary.restless:
        files = counted(len(summary.restless), "file")
        say(f"{files} changed while being read; the next run looks again")
    for pattern in summary.unmatched:
        complain(f"--skip {shown(pattern)} left nothing out: no file or folder looked at fits it")
    if summary.passed_over:
        install = remedy(summary.passed_over)
        line = f"not indexed: {kinds_told(summary.passed_over)}"
        say(f"{line}; {install}" if install else line)
    parts = [
        (summary.encoded, "new"),
        (summary.known, "known by their content"),
        (summary.unchanged, "unchanged"),
        (summary.gone, "gone"),
        (summary.noted + len(summary.failed) + len(summary.unread), "can't be read"),
    ]
    told = ", ".join(f"{count:,} {what}" for count, what in parts if count)
    rate = ""
    if summary.encoded > 20:
        rate = f"; {summary.encoded / max(summary.seconds, 1e-3):.1f} a second"
    photos = counted(summary.photos, "photo")
    write(f"album {shown(name)}: {photos} ({told or 'nothing new'}{rate})\n")
    if summary.transcribed is not None:
        reading.tell(name, summary.transcribed)
