"""What a search found, as lines, records, paths, pictures or a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from galago.cli import albums, sheets
from galago.cli.terminal import (
    path_fields,
    say,
    shown,
    write,
    write_drawing,
    write_path,
    write_record,
)
from galago.errors import OptionError
from galago.text.visible import visible

if TYPE_CHECKING:
    from galago.album import Checked, Found, Hit

    Photos = Checked[Found] | Checked[Hit]
    Photo = Found | Hit

__all__ = ["Output", "check_output", "line_of", "write_hits", "write_page"]


@dataclass(frozen=True)
class Output:
    """How what was found is to be shown; `preview`: None where the terminal decides."""

    as_json: bool = False
    paths: bool = False
    null: bool = False
    html: str | None = None
    view: bool = False
    preview: bool | None = None


def check_output(output: Output) -> str | None:
    """What the terminal is to be spoken to for previews, if at all; OptionError for what doesn't go
    together, and for a page that would take a picture's or a folder's place."""
    from galago.cli.preview import drawing

    if output.as_json and output.paths:
        raise OptionError("--json has the paths; leave out --paths, or --json")
    plain = output.as_json or output.paths
    if plain and output.preview:
        raise OptionError("--preview doesn't go with --json or --paths")
    sheets.check_page(output.html)
    return None if plain else drawing(output.preview)


def write_hits(
    hits: Photos, output: Output, way: str | None, told: Mapping[str, str], *, listed: bool
) -> None:
    """To stdout; `listed`: found by their dates alone.  `way`: as of check_output; `told`: of the
    query, by field."""
    if output.paths:
        _write_paths(hits, output.null)
    elif output.as_json:
        for hit in hits:
            write_record({**_record(hit), **told})
        if told and not hits:  # the reason, where there is no photo to stand beside
            write_record(dict(told))
        albums.write_left_out(hits.left_out)
    elif way is None:
        for hit in hits:
            write(line_of(hit, listed) + "\n")
    else:
        _draw(hits, way, listed)


def _write_paths(hits: Photos, null: bool) -> None:
    for hit in hits:
        write_path(hit.path, "\0" if null else "\n")
    broken = sum("\n" in hit.path for hit in hits)
    if broken and not null:
        names = "name holds a line break" if broken == 1 else "names hold line breaks"
        say(f"note: {broken:,} {names}; -0 keeps them apart")


def _draw(hits: Photos, way: str, listed: bool) -> None:
    from galago.cli.preview import drawn
    from galago.media.pool import PicturePool

    with PicturePool(1) as pool:
        for hit in hits:
            write(line_of(hit, listed) + "\n")
            write_drawing(drawn(way, hit.path, pool))


def line_of(hit: Photo, listed: bool = False) -> str:
    """A hit for people; files of one content share a line."""
    parts = [shown(hit.path) + _moment(hit)]
    if hit.score is not None:
        parts.insert(0, f"{hit.score:.3f}")
    elif listed:
        parts.insert(0, f"{hit.taken[:10]:16}" if hit.by_file else hit.taken[:16])
    if count := len(hit.copies):
        parts.append(f"and {count:,} {'copy' if count == 1 else 'copies'}")
    if hit.caption is not None and not hit.by_file and not listed:  # what a camera saw
        parts.append(hit.taken)
    if hit.text is not None:
        parts.append(f"{hit.kind}: “{hit.text}”")
    elif hit.caption is not None:
        parts.append(visible(hit.caption))
    if listed and hit.by_file:
        parts.append("(its file's date)")
    return "  ".join(parts)


def _moment(hit: Photo) -> str:
    """Where in a video it is: " @ 1:23"; nothing for a photo."""
    if hit.second is None:
        return ""
    minutes, seconds = divmod(int(hit.second), 60)
    hours, minutes = divmod(minutes, 60)
    return f" @ {hours}:{minutes:02}:{seconds:02}" if hours else f" @ {minutes}:{seconds:02}"


def _record(hit: Photo) -> dict[str, object]:
    record: dict[str, object] = {
        **path_fields(hit.path),
        "score": None if hit.score is None else round(hit.score, 5),
        "strength": None if hit.score is None else round(hit.strength, 3),
        "match": hit.match,
        "copies": [path_fields(path) for path in hit.copies],
        "taken": hit.taken,
        "taken_by": "file" if hit.by_file else "camera",
    }
    if hit.second is not None:
        record["second"] = round(hit.second, 3)
    if hit.caption is not None:
        record["caption"] = hit.caption
    if hit.text is not None:
        record |= {"text": hit.text, "text_kind": hit.kind}
    return record


def write_page(
    title: str, hits: Photos, output: Output, told: Mapping[str, str], *, listed: bool
) -> None:
    """Write the contact sheet, and show it if that was asked for."""
    from galago.album import contact_sheet
    from galago.media.pool import PicturePool

    photos = ((hit.path, line_of(hit, listed)) for hit in hits)
    seconds = {hit.path: hit.second for hit in hits}
    instead = told.get("searched_for")
    notes = [f"searched for: {visible(instead)}"] if instead else []
    note = "; ".join([*notes, *([hits.left_out.sentence()] if hits.left_out else [])])
    with PicturePool(1) as pool:

        def thumbnail(photo: str, side: int) -> bytes:
            return pool.thumbnail(photo, side, second=seconds.get(photo))

        pieces = contact_sheet(visible(title), photos, note, thumbnail)
        sheets.write_page(pieces, output.html, output.view)
