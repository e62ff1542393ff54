"""Folders to choose from, one level at a time: those of the home folder and of plugged-in disks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, Field

from galago.media.images import PICTURE_SUFFIXES
from galago.server.problems import Problem, readable

__all__ = ["FolderList", "look_into"]

_ENTRIES = 20_000  # of a folder that are looked at
_SHOWN = 500  # folders


class Folder(BaseModel):
    name: str
    path: str = Field(description="To be sent back as it is; it may hold half characters.")


class FolderList(BaseModel):
    """A folder of this computer, and what lies in it; hidden folders are left out."""

    path: str
    up: str | None = Field(description="The folder above; None where none may be looked into.")
    folders: list[Folder]
    pictures: int = Field(description="Files in it, not below, that look like pictures.")
    more: bool = Field(description="Whether it holds more than is shown.")
    places: list[Folder] = Field(description="Where to begin: home, and disks.")


def look_into(path: str | None) -> FolderList:
    """What a folder holds; the home folder without a path.

    Problem 403 outside of home and disks, 404 for what is no folder, or can't be looked into.
    """
    places = list(_places())
    if path is None and not places:
        raise Problem(404, "no home folder is known: type the whole path", code="no_folder")
    at = places[0] if path is None else _real(path)
    if not any(_within(at, place) for place in places):
        told = "only the home folder and disks are listed here; type the path of any other folder"
        raise Problem(403, told, code="outside")
    names, pictures, more = _entries(at)
    up = os.path.dirname(at)
    return FolderList(
        path=at,
        up=up if up != at and any(_within(up, place) for place in places) else None,
        folders=[Folder(name=readable(name), path=os.path.join(at, name)) for name in names],
        pictures=pictures,
        more=more,
        places=[Folder(name=readable(Path(one).name or one), path=one) for one in places],
    )


def _real(path: str) -> str:
    try:
        found = os.path.realpath(os.path.expanduser(path))
        if os.path.isdir(found):
            return found
    except (OSError, ValueError):  # a NUL, or half a character that no file can have
        pass
    raise Problem(404, f"there is no folder {readable(path)[:200]}", code="no_folder")


def _entries(at: str) -> tuple[list[str], int, bool]:
    """Names of folders in order, how many pictures, and whether there is more."""
    names: list[str] = []
    pictures, more = 0, False
    try:
        with os.scandir(at) as found:
            for count, entry in enumerate(found):
                if count >= _ENTRIES:
                    more = True
                    break
                if entry.name.startswith("."):
                    continue
                if os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES:
                    pictures += 1
                elif _is_folder(entry):
                    names.append(entry.name)
    except OSError as error:
        told = f"{readable(at)} can't be looked into: {error.strerror or error}"
        raise Problem(404, told, code="closed_folder") from None
    names.sort(key=lambda name: (name.casefold(), name))
    return names[:_SHOWN], pictures, more or len(names) > _SHOWN


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, a disk that is gone
        return False


def _places() -> Iterator[str]:
    """The home folder first."""
    home = os.path.expanduser("~")
    if home != "~" and os.path.isdir(home):
        yield os.path.realpath(home)
    if sys.platform == "win32":
        yield from (f"{letter}:\\" for letter in "DEFGH" if os.path.isdir(f"{letter}:\\"))
        return
    user = os.path.basename(home)
    for place in (f"/run/media/{user}", f"/media/{user}", "/mnt", "/Volumes"):
        try:
            filled = any(True for _ in os.scandir(place))
        except OSError:
            continue
        if filled:
            yield os.path.realpath(place)


def _within(path: str, place: str) -> bool:
    try:
        return os.path.commonpath((path, place)) == place
    except ValueError:  # another drive of Windows
        return False
