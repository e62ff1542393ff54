"""`galago cache`: what galago keeps where, how large it is, and its removal."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galago import catalog
from galago.cli.terminal import ask, complain, path_fields, say, shown, write, write_record
from galago.errors import OptionError, StorageError
from galago.hub.fetch import gigabytes
from galago.places import albums_dir, cache_dir, config_file

if TYPE_CHECKING:
    from galago.convert.cached import Thing

__all__ = ["cache"]

_ALL = "all"
_NOT_OURS = {
    "album": "an album can't be made again: `galago album` shows its folder, delete that",
    "hub": "other programs use the hub's cache, too: `hf cache` lists and removes what is in it",
    "settings": "`galago use --best` takes back what `galago use` has set, or delete the file",
}
_SAME = {"albums": "album", "config": "settings", "models": _ALL, "everything": _ALL}


def _complete(incomplete: str) -> Iterator[str]:
    from galago.convert.cached import things

    names = dict.fromkeys(["clear", _ALL, *(_words(things()))])
    return (name for name in names if name.startswith(incomplete))


def cache(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[clear [WHAT]...]",
            help="WHAT is a word of the first column, a model, or all.",
            show_default=False,
            autocompletion=_complete,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each, on a line of its own.")
    ] = False,
) -> None:
    """Show what galago keeps where, and how large it is; clear removes.

    `clear` alone removes what galago makes again by itself when it needs it; what would have to be
    fetched or measured again goes only when it is named. Albums, settings and the cache of the
    hub's own client are shown, and never removed. A galago that runs goes on with what it has.

    \b
    Examples:
      galago cache
      galago cache clear
      galago cache clear apple/FastVLM-7B
      galago cache clear all --yes
    """
    from galago.convert.cached import elsewhere, things

    here = things()
    if not words:
        _list([*here, *elsewhere(), *_kept_elsewhere()], as_json)
        return
    if words[0] != "clear":
        raise OptionError(_meant(words[0], here))
    chosen = _chosen(words[1:], here)
    if not chosen:
        say("there is nothing to remove" if words[1:] else _nothing(here))
        return
    if not yes:
        _confirm(chosen)
    _remove(chosen, as_json)


def _list(found: Sequence[Thing], as_json: bool) -> None:
    if as_json:
        for thing in found:
            write_record(_record(thing))
        return
    write(_table(found))
    ours = sum(thing.size for thing in found if thing.what not in _NOT_OURS)
    free = sum(thing.size for thing in found if thing.remade)
    place = shown(str(cache_dir()))
    say(f"{gigabytes(ours)} in {place}; `galago cache clear` frees {gigabytes(free)}")


def _kept_elsewhere() -> Iterator[Thing]:
    """What is not in the cache: albums and settings."""
    from galago.album import album_names
    from galago.convert.cached import Thing, size_of

    for name in album_names():
        place = albums_dir() / name
        yield Thing("album", place, size_of(place), name)
    if (place := config_file()).is_file():
        yield Thing("settings", place, place.stat().st_size, "your own defaults")


def _table(found: Sequence[Thing]) -> str:
    """A line each; the place, which may be long, stands last."""
    rows = [("WHAT", "SIZE", "WHICH", "PLACE")]
    for thing in found:
        which = ", ".join(filter(None, (thing.model, thing.about)))
        rows.append((thing.what, gigabytes(thing.size), shown(which), shown(str(thing.place))))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = ("  ".join([*map(str.ljust, row[:3], widths), row[3]]) for row in rows)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _record(thing: Thing) -> dict[str, Any]:
    return {
        "what": thing.what,
        "model": thing.model,
        "bytes": thing.size,
        "remade": thing.remade,
        "about": thing.about,
        **path_fields(str(thing.place), "place"),
    }


def _words(here: Sequence[Thing]) -> list[str]:
    """What can be named to be removed."""
    words = [thing.what for thing in here] + [thing.model for thing in here if thing.model]
    return list(dict.fromkeys(words))


def _meant(word: str, here: Sequence[Thing]) -> str:
    """What to say of a first word that isn't `clear`."""
    if word in (_ALL, *_words(here)) or catalog.find(word):
        return f"`galago cache` lists; to remove: galago cache clear {word}"
    return f"{word!r} is no action; `galago cache` lists, `galago cache clear` removes"


def _chosen(names: Sequence[str], here: list[Thing]) -> list[Thing]:
    """What these names mean, or what is made again when there are none."""
    if not names:
        return [thing for thing in here if thing.remade]
    chosen: dict[Path, Thing] = {}
    for name in names:
        word = _SAME.get(name, name)
        if word in _NOT_OURS:
            raise OptionError(_NOT_OURS[word])
        row = catalog.find(name)
        model = row.name if row else name
        kinds = ("converted", "fetched", "graphs", "phrases", "tables", "bench", "evaluate")
        found = [one for one in here if word in (_ALL, one.what) or one.model == model]
        if not found and word not in (_ALL, *kinds):
            raise OptionError(_unknown(name, row, here))
        chosen |= {thing.place: thing for thing in found}
    return list(chosen.values())


def _unknown(name: str, row: catalog.Model | None, here: Sequence[Thing]) -> str:
    if row is not None:
        embedded = "it is part of galago" if row.embedded else "`galago cache` shows what there is"
        return f"nothing of {row.name} is in the cache: {embedded}"
    near = difflib.get_close_matches(name, [_ALL, *_words(here)], 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else "`galago cache` shows what there is"
    return f"nothing in the cache is called {name!r}; {hint}"


def _nothing(here: Sequence[Thing]) -> str:
    if not here:
        return f"there is nothing in {shown(str(cache_dir()))}"
    return "nothing is there that galago makes again; name what else is to go: galago cache"


def _confirm(chosen: Sequence[Thing]) -> None:
    """Goes on only when a person says yes."""
    say(*_table(chosen).splitlines())
    answer = ask(f"remove these, {gigabytes(sum(one.size for one in chosen))}? [y/N] ")
    if answer is None:
        raise OptionError("nobody answered, so nothing was removed; --yes removes without asking")
    if answer.strip().casefold() not in ("y", "yes"):
        say("nothing was removed")
        raise typer.Exit


def _remove(chosen: Sequence[Thing], as_json: bool) -> None:
    """One after the other; what can't be removed is told, and the rest goes all the same."""
    from galago.convert.cached import remove

    failed = 0
    for thing in chosen:
        try:
            remove(thing)
        except StorageError as error:
            complain(str(error))
            failed += 1
            if as_json:
                write_record({**_record(thing), "error": str(error)})
            continue
        if as_json:
            write_record(_record(thing))
        else:
            which = f" {shown(thing.model)}" if thing.model else ""
            write(f"removed {thing.what}{which}, {gigabytes(thing.size)}\n")
    if failed:
        raise typer.Exit(2 if failed == len(chosen) else 1)
