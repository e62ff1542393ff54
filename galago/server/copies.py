"""Copies in the album, with what one needs to decide by: sizes and dates.  Nothing is deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, Field

from galago.errors import GalagoError, ImageError
from galago.media.about import about
from galago.server.album_parts import Alike, Copies, Copy
from galago.server.background import Background, Check
from galago.server.parts import Parts
from galago.server.problems import Problem, readable

__all__ = ["Comparing", "CopiesState"]

_SHOWN = 60  # copies of one group


class Photo(BaseModel):
    """`path` is exact: it may hold half characters, which stand for bytes that are no text."""

    id: int | None = Field(description="For /api/photo; None for one that left the album.")
    path: str
    name: str
    folder: str
    bytes: int
    width: int | None
    height: int | None
    time: str | None = Field(description="YYYY-MM-DD HH:MM:SS, of the camera or of the file.")
    by_camera: bool
    likeness: float = Field(description="Cosine with the first of the group.")
    same: bool = Field(description="The first one's content, byte for byte.")
    gone: bool = Field(description="Not there any more, or another file by now.")
    most: bool = Field(description="Has most pixels of the group, then most bytes.")
    oldest: bool


class Group(BaseModel):
    photos: list[Photo]
    more: int = Field(description="Copies that are not shown.")


class CopiesState(BaseModel):
    """How far comparing is, and a part of what it found."""

    running: bool = False
    share: float = 0.0
    number: int = Field(default=0, description="Of the search, counted since the server began.")
    found: bool = Field(default=False, description="Whether there is an answer to look at.")
    stopped: bool = False
    problem: str | None = None
    groups: list[Group] = []
    first: int = 0
    count: int = Field(default=0, description="Groups in all.")
    photos: int = Field(default=0, description="In all of them.")
    alike: int = Field(
        default=0, description="Photos like another one in other details, not listed."
    )
    note: str | None = None
    seconds: float = 0.0


class Comparing:
    """One search at a time; what it found is kept until the next."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._work: Background[tuple[Copies, list[Sequence[Copy]], float]] = Background("comparing")
        self._share = 0.0

    def begin(self, threshold: float, alike: bool) -> None:
        """Problem 404 without an album, 409 while a search is under way."""
        find = self._parts.duplicates
        if find is None or self._parts.album() is None:
            raise Problem(404, "there is no album yet; index a folder first", code="no_album")
        self._work.begin(lambda check: self._compare(find, threshold, alike, check))

    def _compare(
        self, find: Alike, threshold: float, alike: bool, check: Check
    ) -> tuple[Copies, list[Sequence[Copy]], float]:
        began, self._share = time.monotonic(), 0.0

        def report(share: float) -> None:
            check()
            self._share = share

        found = find(threshold, alike, report)
        return found, list(found), time.monotonic() - began

    def stop(self) -> None:
        self._work.stop()

    def close(self, seconds: float) -> None:
        self._work.close(seconds)

    def state(self, first: int, count: int) -> CopiesState:
        """With so many groups, from that one on; opens their files' headers."""
        work, result = self._work, self._work.result
        state = CopiesState(
            running=work.running,
            share=round(self._share, 3),
            number=work.number,
            stopped=work.stopped,
            problem=readable(work.problem) if work.problem else None,
            first=first,
        )
        if result is None:
            return state
        copies, groups, seconds = result
        state.found, state.count = True, len(groups)
        state.photos = sum(map(len, groups))
        state.alike, state.seconds = copies.alike, round(seconds, 1)
        state.note = copies.left_out.sentence() if copies.left_out else None
        number = self._numbers()
        state.groups = [_group(one, number, self._about) for one in groups[first : first + count]]
        return state

    def _numbers(self) -> Callable[[str], int | None]:
        try:
            album = self._parts.album()
        except GalagoError:  # the page tells why
            album = None
        return album.number_of if album is not None else lambda path: None

    def _about(self, path: str) -> tuple[tuple[int, int] | None, str]:
        pool = self._parts.pool
        try:
            found = about(path) if pool is None else pool.about(path)
        except ImageError:
            return None, ""
        return found.size, found.taken


def _group(
    copies: Sequence[Copy],
    number: Callable[[str], int | None],
    look: Callable[[str], tuple[tuple[int, int] | None, str]],
) -> Group:
    photos = [_photo(copy, number, look) for copy in islice(copies, _SHOWN)]
    there = [photo for photo in photos if not photo.gone]
    if there:
        max(there, key=lambda one: ((one.width or 0) * (one.height or 0), one.bytes)).most = True
    dated = [photo for photo in there if photo.time]
    if len({photo.time for photo in dated}) > 1:  # of one day and second none is the oldest
        min(dated, key=lambda one: one.time or "").oldest = True
    return Group(photos=photos, more=len(copies) - len(photos))


def _photo(
    copy: Copy,
    number: Callable[[str], int | None],
    look: Callable[[str], tuple[tuple[int, int] | None, str]],
) -> Photo:
    try:
        found = os.stat(copy.path)
        gone = found.st_size != copy.size
        written = datetime.fromtimestamp(found.st_mtime).isoformat(" ", "seconds")
    except (OSError, OverflowError, ValueError):
        gone, written = not os.path.lexists(copy.path), None
    size, taken = (None, "") if gone else look(copy.path)
    return Photo(
        id=number(copy.path),
        path=copy.path,
        name=readable(Path(copy.path).name),
        folder=readable(os.path.dirname(copy.path)),
        bytes=copy.size,
        width=size[0] if size else None,
        height=size[1] if size else None,
        time=taken or written,
        by_camera=bool(taken),
        likeness=round(copy.likeness, 4),
        same=copy.same,
        gone=gone,
        most=False,
        oldest=False,
    )
