"""`galago search`: words or pictures in, photos out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from galago import catalog
from galago.cli import albums, options
from galago.cli.hits import Output, check_output, write_hits, write_page
from galago.cli.interpret import Spoken, in_english, remarked
from galago.cli.options import ClipOpening, Opening
from galago.cli.query import Asked, asked_for, check_words
from galago.cli.spread import spread
from galago.cli.terminal import say
from galago.errors import OptionError

if TYPE_CHECKING:
    from galago.album import Checked, Filter, Found, Hit, Searcher
    from galago.clip.mobileclip import MobileCLIP

__all__ = ["search"]


@dataclass(frozen=True)
class Where:
    """Options that say which photos of the album are looked at."""

    inside: Annotated[
        list[str] | None,
        typer.Option(
            "--in", metavar="FOLDER", help="Only photos in this folder or below (may be repeated)."
        ),
    ] = None
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="Only photos taken since then: 2025, 2025-06, 2025-06-14, '2025-06-14 18:30', "
            "today, yesterday, 7d or 2w (days or weeks ago).",
        ),
    ] = None
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="Only photos taken until then, that day included."),
    ] = None
    text: Annotated[
        bool,
        typer.Option("--text", help="Look for the words in pictures' text and in captions only."),
    ] = False
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Search with the words as they are, in any language.")
    ] = False
    lance: Annotated[
        str | None,
        typer.Option(
            "--lance",
            metavar="OUT",
            help="Pictures of a table of galago embed (.lance, .parquet), not of an album.",
        ),
    ] = None
    where: Annotated[
        str | None,
        typer.Option(
            metavar="SQL",
            help='Of a Lance table: only rows that fulfil this, as "width > 1000".',
        ),
    ] = None
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Of a Lance table: by all vectors, though it has an index."),
    ] = False


@dataclass(frozen=True)
class Shown:
    """Options that say how photos are shown."""

    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a photo, on a line of its own.")
    ] = False
    paths: Annotated[
        bool, typer.Option("--paths", help="Only the paths, one a line, for other programs.")
    ] = False
    null: Annotated[
        bool,
        typer.Option("--null", "-0", help="As --paths, with a NUL behind each, for xargs -0."),
    ] = False
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with the photos to look at.")
    ] = None
    view: Annotated[bool, typer.Option("--open", help="Open such a page in the browser.")] = False
    preview: Annotated[
        bool | None,
        typer.Option(
            "--preview/--no-preview",
            help="Show the photos in the terminal; by default in Kitty, iTerm2, WezTerm and others "
            "that are known to.",
        ),
    ] = None


@spread
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
    *,
    where: Where,
    shown: Shown,
    album: albums.AlbumName = None,
    model: albums.ModelName = None,
    threads: options.Threads = None,
    offline: options.Offline = False,
) -> None:
    """Find photos by words, pictures, or both; by folder and date; by what stands in them.

    Each line is a score and a path, best first. Photos that are merely the nearest are left out: a
    match must stand out from what the photo scores for other things, and above chance in this
    album. When nothing does, a line on stderr says so. Photos whose text or caption has all the
    words match, too. With a folder or dates and no words, what there is is listed, the newest
    first; a photo that doesn't say when it was taken counts by its file's date.

    A number before words or a picture weighs it: "2:dog" "0.5:beach" (16:9 is a word).

    Models read English. Words in another language are put into English by the FastVLM that is here,
    Chinese without one word by word; what is searched for is said on stderr.

    \b
    Examples:
      galago search a dog on a beach
      galago search "a birthday cake" -k 50 --open
      galago search --image photo.jpg
      galago search beach --plus photo.jpg --minus people
      galago search 红色连衣裙
      galago search "2:dog" "1:beach" --in ~/Pictures/2025
      galago search --since 2025-06 --until 2025-08 -k 100
      galago search --text invoice
      galago search sunset -0 -k 100 | xargs -0 cp -t sunsets
      galago search sunset --json > sunsets.jsonl
      galago search --lance pictures.lance "a dog" --where "width > 1000"
    """
    from galago.album import Searcher, filter_of

    check_words(words or [])
    asked = asked_for(words or [], image or [], plus or [], minus or [])
    if where.lance is not None:
        if album is not None:
            raise OptionError("--album and --lance are two places: name one of them")
        _check_of_table(where)
        _check(asked, False, False, k)
        _search_table(asked, where, shown, (k, show_all, model, threads, offline))
        return
    if where.where is not None or where.exact:
        raise OptionError("--where and --exact are for tables: name one with --lance OUT")
    only = filter_of(where.inside or (), where.since, where.until)
    _check(asked, bool(only), where.text, k)
    output = _output(shown)
    way = check_output(output)
    folder = albums.folder_of(album)
    listed, spoken = not asked, Spoken(asked)
    with Searcher(folder) as searcher:
        # First, as it takes no model: whether anything is there at all.
        there = searcher.search((), 1, where=only) if only else None
        if there is not None and not there:
            found: Checked[Found] | Checked[Hit] = there
        elif listed or where.text:
            found = _without_model(searcher, asked, k, only)
        else:
            source = albums.source_of(model) if model is not None else searcher.head.source
            clip = ClipOpening(source, threads=threads, offline=offline).load()
            searcher.check(clip, source)
            own = Opening(threads=threads, offline=offline)
            spoken = in_english(asked, clip, own, as_is=where.as_is)
            found = _by_model(folder.name, searcher, clip, spoken, k, only, show_all)
            if strange := catalog.strange(clip.name, found.strange):
                spoken = remarked(spoken, strange)
        if where.since is not None or where.until is not None:
            _tell_dates(searcher, found)
        reason = "" if found else _why_none(searcher, only, there, where.text, show_all)
    write_hits(found, output, way, spoken.told, listed=listed)
    albums.say_left_out(found.left_out, folder)
    page = shown.html is not None or shown.view
    if not found:
        say(reason + ("; no page was written" if page else ""))
    elif page:
        write_page(_title(asked, where), found, output, spoken.told, listed=listed)


def _output(shown: Shown) -> Output:
    return Output(
        shown.as_json, shown.paths or shown.null, shown.null, shown.html, shown.view, shown.preview
    )


def _check_of_table(where: Where) -> None:
    """OptionError for what only an album has."""
    only = {
        "--in FOLDER": (where.inside, "path LIKE '/home/me/%'"),
        "--since DATE": (where.since, "modified >= timestamp '2025-06-01 00:00:00'"),
        "--until DATE": (where.until, "modified < timestamp '2025-06-01 00:00:00'"),
        "--text": (where.text, "text LIKE '%invoice%'"),
    }
    for option, (given, instead) in only.items():
        if given:
            raise OptionError(f'{option} is for albums; of a Lance table: --where "{instead}"')
    if where.where is not None and not where.where.strip():
        raise OptionError("--where is empty: give a condition, or leave it out")


def _search_table(
    asked: Sequence[Asked],
    where: Where,
    shown: Shown,
    more: tuple[int, bool, str | None, int | None, bool],
) -> None:
    from galago.cli.search_table import Asking, search_table

    assert where.lance is not None
    k, show_all, model, threads, offline = more
    asking = Asking(
        where.lance, where.where or "", where.exact, k, show_all, where.as_is, model, threads,
        offline,
    )  # fmt: skip
    search_table(asked, asking, _output(shown))


def _check(asked: Sequence[Asked], filtered: bool, text: bool, k: int) -> None:
    """OptionError when there is nothing to look for."""
    if k < 1:
        raise OptionError(f"-k {k} is not possible: ask for 1 or more")
    if text and any(part.picture for part in asked):
        raise OptionError("--text looks for words alone: leave the picture out, or --text")
    wanted = any(part.wanted for part in asked)
    if text and not wanted:
        raise OptionError("say which words to look for: galago search --text invoice")
    if not wanted and (asked or not filtered):
        raise OptionError(
            'say what to look for: galago search "a dog on a beach", or --image photo.jpg'
        )


def _without_model(
    searcher: Searcher, asked: Sequence[Asked], k: int, only: Filter
) -> Checked[Hit]:
    """By text, or (nothing asked) by date."""
    text = " ".join(part.text for part in asked if part.wanted)
    not_text = [part.text for part in asked if not part.wanted]
    return searcher.search((), k, where=only, text=text, not_text=not_text)


def _by_model(
    name: str,
    searcher: Searcher,
    clip: MobileCLIP,
    spoken: Spoken,
    k: int,
    only: Filter,
    show_all: bool,
) -> Checked[Found]:
    """What the album has for all parts of the query.

    Texts in pictures are searched with the words as they were typed.
    """
    from galago.album import Guide

    guide = Guide(name, searcher, clip, threading.Lock())
    return guide.look(spoken.wants(), k, only_matches=not show_all, where=only, text=spoken.typed)


def _tell_dates(searcher: Searcher, found: Checked[Found] | Checked[Hit]) -> None:
    """On stderr: for how many photos the date of the file stands in."""
    from galago.album.names import option

    if undated := searcher.undated():
        photos = "one photo's date is" if undated == 1 else f"{undated:,} photos' dates are"
        again = f"galago index{option(searcher.name)}"
        say(f"note: {photos} not known yet, and their files' stand in; {again} looks for them")
    elif by_file := sum(hit.by_file for hit in found):
        photos = "one photo doesn't" if by_file == 1 else f"{by_file:,} of these don't"
        say(f"note: {photos} say when taken; the date of the file stands in")


def _why_none(
    searcher: Searcher, only: Filter, there: Checked[Hit] | None, text: bool, show_all: bool
) -> str:
    """What is said when no photo is found; `there`: one that passes the filter, if there is one."""
    if there is not None and not there:
        timed = only.since is not None or only.until is not None
        parts = [
            "no photo",
            "from that time" if timed else "",
            "in that folder" * bool(only.folders),
        ]
        return " ".join([*filter(None, parts), "is there" if there.left_out else "is in the album"])
    if text:
        none = "no picture has these words in its text or caption"
        return none if searcher.texts() else f"{none}: none has been read; galago index --read does"
    if show_all:
        return "no photo could be found"
    there_too = " there" if only else ""
    return f"no photo matches{there_too}; --all shows the nearest{there_too} all the same"


def _title(asked: Sequence[Asked], where: Where) -> str:
    parts = [("+ " if part.wanted else "− ") + part.text for part in asked]
    parts += [f"in {folder}" for folder in where.inside or ()]
    parts += [f"since {where.since}"] if where.since is not None else []
    parts += [f"until {where.until}"] if where.until is not None else []
    return " ".join(parts).removeprefix("+ ")
