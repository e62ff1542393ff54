"""`galago album`: what is indexed, by which model, how large."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago.cli import albums, options
from galago.cli.durations import length_told
from galago.cli.terminal import one_line, path_fields, say, shown, write, write_record
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.album import Store

__all__ = ["album"]


def album(
    name: albums.AlbumName = None,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    failed: Annotated[
        bool, typer.Option("--failed", help="List the files that can't be read, and why.")
    ] = False,
    forget: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Take a folder out of the album (not off the disk), with all that is known of "
            "its photos; it stays out until it is named to index again.",
        ),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="OUT", help="Make a table of it: NAME.lance or NAME.parquet."),
    ] = None,
    taken_in: Annotated[
        str | None,
        typer.Option("--import", metavar="IN", help="Take in the pictures of such a table."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="With --import: the table's MobileCLIP, where its name alone doesn't open it.",
            autocompletion=options.complete_clip,
        ),
    ] = None,
    offline: options.Offline = False,
) -> None:
    """Show what is indexed, by which model.

    An album is the folder that is shown; delete it to be rid of it. Photos are never touched.
    Folders that were forgotten are shown as "without".

    --export and --import carry vectors, captions and texts between an album and a table of
    galago embed, and encode nothing; what can't be carried is said. The same command continues one
    that was stopped, and nothing is there twice. They need the extra `cluster`.

    \b
    Examples:
      galago album
      galago album --album disk --json
      galago album --failed
      galago album --forget /mnt/old-disk/photos
      galago album --export pictures.lance
      galago album --album work --import pictures.lance
    """
    from galago.album import Store

    folder = albums.folder_of(name)
    if export is not None or taken_in is not None:
        _check_moving(export, taken_in, forget is not None or failed)
        _move(folder, export, taken_in, model, offline, as_json)
        return
    if model is not None:
        raise OptionError("-m is for --import IN alone")
    if forget is not None:
        _forget(folder, forget)
        return
    with Store.open(folder) as store:
        if failed:
            _failed(store, as_json)
            return
        record = store.steady(lambda: _record(store))
    if as_json:
        write_record(record)
    else:
        write(_page(record))


def _check_moving(export: str | None, taken_in: str | None, others: bool) -> None:
    """OptionError for what doesn't go together."""
    if (export is not None and taken_in is not None) or others:
        raise OptionError("give one of --export, --import, --forget and --failed at a time")
    if not (export or taken_in or "").strip():
        raise OptionError("the name of the table is empty: NAME.lance or NAME.parquet")


def _move(
    folder: Path,
    export: str | None,
    taken_in: str | None,
    model: str | None,
    offline: bool,
    as_json: bool,
) -> None:
    from galago.cli.album_tables import from_table, to_table

    if export is not None:
        if offline:
            from galago.scale.addresses import check_offline

            check_offline(export)
        to_table(folder, export, as_json)
    elif taken_in is not None:
        from_table(folder, taken_in, model, offline, as_json)


def _record(store: Store) -> dict[str, Any]:
    from galago.album import album_names
    from galago.album.contents import MOMENTS, VIDEOS
    from galago.album.folders import excluded
    from galago.album.forgetting import count_seen, keep_of
    from galago.album.transcripts import READ, readers

    head = store.head()
    files = (file for file in store.folder.rglob("*") if file.is_file())
    return {
        "album": store.folder.name,
        "photos": store.count(),
        "contents": store.count(f"vectors WHERE unused IS NULL AND hash NOT IN ({MOMENTS})"),
        "videos": store.count(VIDEOS),
        "failed": store.count("photos WHERE error IS NOT NULL"),
        "scenes": count_seen(store),
        "keep_seconds": keep_of(store.folder),
        "read": store.count(READ),
        "with_text": store.count(f"{READ} AND text <> ''"),
        "read_by": readers(store),
        "model": head.model if head else None,
        "dim": head.dim if head else None,
        "folders": [path_fields(path)["path"] for path in store.folders()],
        "without": [path_fields(path)["path"] for path in sorted(excluded(store))],
        "bytes": sum(file.stat().st_size for file in files),
        "place": str(store.folder),
        "changed": datetime.fromtimestamp(head.changed).astimezone().isoformat(" ", "seconds")
        if head
        else None,
        "others": [name for name in album_names() if name != store.folder.name],
    }


def _page(record: dict[str, Any]) -> str:
    """The record for people."""
    from galago.album.kinds import counted

    copies = record["photos"] - record["contents"]
    photos = f"{record['photos']:,}" + (f", {copies:,} of them copies" if copies else "")
    if record["videos"]:
        photos += f"; {counted(record['videos'], 'video')} among them"
    lines = [
        ("album", shown(record["album"])),
        ("photos", photos),
        (
            "model",
            f"{shown(record['model'])}, {record['dim']} numbers a photo"
            if record["model"]
            else "-",
        ),
        ("size", f"{record['bytes'] / 1e6:.1f} MB in {shown(record['place'])}"),
        ("changed", record["changed"] or "-"),
        *([("seen", _seen(record))] if record["scenes"] else []),
        *(("folder", shown(path)) for path in record["folders"]),
        *(("without", shown(path)) for path in record["without"]),
    ]
    if record["failed"]:
        lists = "lists it" if record["failed"] == 1 else "lists them"
        lines.append(("failed", f"{counted(record['failed'], 'file')}; --failed {lists}"))
    if record["read"]:
        texts, by = record["with_text"], ", ".join(map(shown, record["read_by"]))
        lines.append(("read", f"{counted(record['read'], 'photo')} by {by}; {texts:,} show text"))
    if record["others"]:
        lines.append(("others", ", ".join(map(shown, record["others"]))))
    return "".join(f"{head:8} {text}\n" for head, text in lines)


def _seen(record: dict[str, Any]) -> str:
    """What a camera saw."""
    keep = record["keep_seconds"]
    how_long = f", each kept for {length_told(keep)}" if keep is not None else ""
    return f"{record['scenes']:,} of these are scenes that a camera saw{how_long}"


def _failed(store: Store, as_json: bool) -> None:
    asked = "SELECT path, error FROM photos WHERE error IS NOT NULL ORDER BY path"
    store.check_photos()
    found = store.steady(lambda: store.db.execute(asked).fetchall())
    for raw, reason in found:
        path = os.fsdecode(store.place(raw))
        if as_json:
            write_record({**path_fields(path), "error": reason})
        else:
            write(f"{shown(path)}: {one_line(reason)}\n")
    if not found:
        say("all files could be read")


def _forget(folder: Path, text: str) -> None:
    from galago.album.kinds import counted
    from galago.album.refusals import clear_errors
    from galago.album.store import Store, write_lock
    from galago.album.write import forget

    if not text.strip():  # it would be the current folder
        raise OptionError("--forget is empty: name a folder of the album")
    Store.open(folder).close()  # says so when there is none
    path = os.path.expanduser(text)
    paths = dict.fromkeys((os.path.realpath(path), os.path.abspath(path)))
    with clear_errors(folder), write_lock(folder, say), Store.open(folder, write=True) as store:
        count = forget(store, *paths)
    write(f"{counted(count, 'photo')} left album {shown(folder.name)}\n")
