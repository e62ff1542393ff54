"""`galago album --export` and `--import`: an album as a table of `galago embed`, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from galago.cli.terminal import Bar, path_fields, say, shown, write, write_record

if TYPE_CHECKING:
    from galago.scale.albums import Exported, Imported

__all__ = ["from_table", "to_table"]


def to_table(folder: Path, out: str, as_json: bool) -> None:
    """Write an album's photos into a table."""
    from galago.album import Store
    from galago.cli.embed import open_table
    from galago.scale.albums import export_album

    table = open_table(out)
    with Store.open(folder) as store:
        total = store.steady(lambda: store.count("photos"))
    try:
        with Bar(total) as bar:
            done = export_album(folder, table, lambda count: bar.update("exporting", count, total))
    except KeyboardInterrupt:
        _stopped(table.place)
    if as_json:
        write_record({**path_fields(table.place, "out"), **vars(done)})
        return
    write(f"{shown(table.place)}: {_exported(done)}\n")
    for line in _left_behind(done):
        say(line)


def from_table(folder: Path, place: str, model: str | None, offline: bool, as_json: bool) -> None:
    """Take a table's pictures into an album."""
    from galago.cli import albums
    from galago.cli.search_table import load_own, opened
    from galago.scale.albums import import_table

    reader = opened(place, offline)
    clip = load_own(reader, model, None, offline)
    source = albums.source_of(model or reader.made.model)
    total = reader.count()
    try:
        with Bar(total) as bar:
            done = import_table(
                reader, folder, clip, source,
                lambda count: bar.update("importing", count, total), say,
            )  # fmt: skip
    except KeyboardInterrupt:
        _stopped(f"album {folder.name}")
    if as_json:
        write_record({"album": folder.name, **vars(done)})
        return
    write(f"album {shown(folder.name)}: {done.new:,} new, {done.known:,} there before\n")
    for line in _left_out(done):
        say(line)


def _stopped(place: str) -> NoReturn:
    say(f"stopped: what is in {shown(place)} is whole; the same command continues")
    raise typer.Exit(130) from None


def _exported(done: Exported) -> str:
    parts = (
        (done.new - done.failed, "new"),
        (done.failed, "with an error"),
        (done.known, "there before"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in parts if count) or "nothing new"


def _left_behind(done: Exported) -> list[str]:
    """What a table can't hold."""
    lines = []
    if done.new:
        lines.append(
            "an album doesn't know width, height and sha256: these columns are empty, and "
            "duplicates in the table are told by their looks alone"
        )
    for count, what in (
        (done.dated, "dates by the camera's clock stay behind: `modified` is the file's"),
        (done.read, "texts are there, without the name of who read them"),
        (done.videos, "videos are left out: a table has pictures alone"),
        (done.scenes, "scenes that a camera saw are left out: they are forgotten with their album"),
    ):
        if count:
            lines.append(f"{count:,} {what}")
    return lines


def _left_out(done: Imported) -> list[str]:
    """What an album can't hold."""
    lines = [
        f"{count:,} left out: {what}"
        for count, what in (
            (done.failed, "rows with an error; galago index looks at such files itself"),
            (done.elsewhere, "in buckets, tars or tables, and an album is of files"),
            (done.missing, "files that aren't there"),
            (done.changed, "files that have changed since the table was made"),
            (done.forgotten, "in folders that were forgotten; galago index FOLDER takes them in"),
        )
        if count
    ]
    if done.new and done.rounded:
        lines.append("vectors were float32 and are float16 in an album: rounded, within 0.0005")
    if done.new:
        lines.append(
            "dates aren't known yet, and no folder is followed: galago index FOLDER does both, "
            "and encodes nothing again"
        )
    return lines
